//! The report as one page of HTML: it needs no other file, runs no script, and can be read on a phone. Every text that is
//! not boi's own goes through [`escaped`].

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::diff::{DiffLine, LineKind, ShownDiff};
use super::words::{self, NeedWords};
use crate::domain::escape;
use crate::domain::id::SpecId;
use crate::domain::report::{Need, Report, Review, SpecLine};
use crate::domain::text;
use crate::ui::times::{clock_time, localized};
use crate::ui::units::{counted, short_cost};

const STYLE: &str = include_str!("page.css");
/// The longest text of one entry, in characters.
const TEXT: usize = 4_000;

/// Returns the page, with these diffs of unmerged branches.
pub(crate) fn html(report: &Report, diffs: &HashMap<SpecId, ShownDiff>) -> String {
    let mut page = Page { out: String::new(), diffs };
    page.head(report);
    page.sums(report);
    page.needs(report);
    page.reviews(report);
    page.list("Merged", "merged", &report.merged, |merged| (&merged.spec, words::merged_into(merged)));
    page.list("Done, nothing to review", "done", &report.done, |spec| (spec, String::new()));
    page.list("Canceled", "canceled", &report.canceled, |spec| (spec, String::new()));
    page.list("Dropped", "dropped", &report.dropped, |spec| (spec, String::new()));
    page.open(report);
    for note in words::left_out(report) {
        page.add(&format!("<p class=\"facts\">{}</p>\n", with_code(&note)));
    }
    page.add(&format!("<footer>Made by boi at {}.</footer>\n</body>\n</html>\n", escaped(&clock_time(report.at))));
    page.out
}

struct Page<'a> {
    out: String,
    diffs: &'a HashMap<SpecId, ShownDiff>,
}

impl Page<'_> {
    fn add(&mut self, html: &str) {
        self.out.push_str(html);
    }

    fn head(&mut self, report: &Report) {
        let title = format!("boi report, {}", words::headline(report).join(", "));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
            base64(&Sha256::digest(STYLE.as_bytes()))
        );
        self.add(&format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"robots\" content=\"noindex\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
            escaped(&title)
        ));
    }

    fn sums(&mut self, report: &Report) {
        let headline = words::headline(report);
        self.add(&format!("<h1>{}</h1>\n<ul class=\"sums\">", escaped(&headline[0])));
        headline[1..].iter().for_each(|part| self.add(&format!("<li>{}</li>", escaped(part))));
        self.add("</ul>\n<ul class=\"counts\">");
        let counts = words::counts(report);
        counts.iter().for_each(|count| self.add(&format!("<li>{}</li>", escaped(count))));
        self.add("</ul>\n");
        if words::is_empty(report) {
            self.add("<p>Nothing ended, nothing runs, nothing waits.</p>\n");
        }
    }

    fn section(&mut self, title: &str, anchor: &str, count: usize) {
        self.add(&format!("<h2 id=\"{anchor}\">{title} <small>{count}</small></h2>\n"));
    }

    fn needs(&mut self, report: &Report) {
        if report.needs_you.is_empty() {
            return;
        }
        self.section("Needs you", "needs-you", report.needs_you.len());
        for need in &report.needs_you {
            let words = NeedWords::of(need);
            self.add("<article class=\"bad\">\n<div class=\"head\">");
            match words.spec {
                Some(spec) => {
                    let label = format!("<span class=\"label\">{}</span>", escaped(&words.label));
                    self.add(&format!("{}{label}{}</div>\n", id(spec), title_and_facts(spec)));
                }
                None => self.add(&format!("<span class=\"label\">{}</span></div>\n", escaped(&words.label))),
            }
            if let Some(reason) = &words.reason {
                self.add(&format!("<p>{}</p>\n", with_code(reason)));
            }
            self.quote(need, &words);
            if !words.specs.is_empty() {
                self.add("<ul class=\"specs\">\n");
                for spec in words.specs {
                    self.add(&format!("<li><div class=\"head\">{}{}</div></li>\n", id(spec), title_and_facts(spec)));
                }
                self.add("</ul>\n");
            }
            for words in words.stops.iter().chain(&words.advice) {
                self.add(&format!("<p>{}</p>\n", with_code(words)));
            }
            if let Some(next) = words.next {
                self.add(&format!("<p>Next: <code>{}</code></p>\n", escaped(next)));
            }
            if let Need::Unmerged { spec, .. } = need {
                self.diff(spec, "Diff");
            }
            self.add("</article>\n");
        }
    }

    /// Adds the text that is not boi's own: the whole last message of an agent, or a line of output.
    fn quote(&mut self, need: &Need, words: &NeedWords<'_>) {
        let whole = match need {
            Need::NoChanges { message, .. } => message.as_deref().map(|text| end_of(text, TEXT)),
            _ => None,
        };
        if let Some((what, quote)) = &words.quote {
            let quote = whole.unwrap_or_else(|| quote.clone());
            self.add(&format!("<p class=\"facts\">{what}:</p>\n<div class=\"quote\">{}</div>\n", escaped(&quote)));
        }
    }

    fn reviews(&mut self, report: &Report) {
        if report.to_review.is_empty() {
            return;
        }
        self.section("To review, smallest first", "to-review", report.to_review.len());
        let step = |(what, command): &(&str, &str)| format!("{what}: <code>{}</code>", escaped(command));
        let steps: Vec<String> = words::REVIEW_STEPS.iter().map(step).collect();
        self.add(&format!("<p class=\"facts\">{}</p>\n", steps.join(", ")));
        report.to_review.iter().for_each(|review| self.review(review));
    }

    fn review(&mut self, review: &Review) {
        let spec = &review.spec;
        self.add(&format!("<article class=\"good\">\n<div class=\"head\">{}{}", id(spec), title_and_facts(spec)));
        self.add("</div>\n<p class=\"facts\">");
        match review.diff {
            Some(diff) => self.add(&format!(
                "<span class=\"plus\">+{}</span> <span class=\"minus\">-{}</span> in {}, {}",
                diff.added,
                diff.deleted,
                words::files_of(review.diff),
                counted(review.commits as u64, "commit")
            )),
            None => self.add(&words::lines_of(None)),
        }
        if let Some(on) = &review.on {
            self.add(&format!(", builds on <span class=\"id\">{}</span>", escaped(on.as_str())));
        }
        self.add("</p>\n");
        if let Some(overlaps) = words::overlaps(review) {
            self.add(&format!("<p class=\"over\">{}</p>\n", escaped(&overlaps)));
        }
        self.diff(spec, "Diff");
        self.add("</article>\n");
    }

    fn diff(&mut self, spec: &SpecLine, title: &str) {
        let command = format!("boi diff {}", spec.id);
        let Some(diff) = self.diffs.get(&spec.id) else {
            self.add(&format!("<p class=\"facts\">The diff: <code>{}</code></p>\n", escaped(&command)));
            return;
        };
        self.add(&format!("<details>\n<summary>{title}</summary>\n<pre>"));
        diff.lines.iter().for_each(|line| self.diff_line(line));
        self.add("</pre>\n");
        let files = counted(diff.files_left_out as u64, "file");
        let left_out = match (diff.is_cut, diff.files_left_out) {
            (false, 0) => None,
            (true, 0) => Some("The rest is left out".to_owned()),
            (false, _) => Some(format!("{files} more: left out")),
            (true, _) => Some(format!("The rest and {files} more are left out")),
        };
        if let Some(left_out) = left_out {
            self.add(&format!(
                "<p class=\"facts\">{left_out}; the whole diff: <code>{}</code></p>\n",
                escaped(&command)
            ));
        }
        self.add("</details>\n");
    }

    fn diff_line(&mut self, line: &DiffLine) {
        let class = match line.kind {
            LineKind::File => "f",
            LineKind::Hunk => "h",
            LineKind::Added => "a",
            LineKind::Deleted => "d",
            LineKind::Context => return self.add(&format!("{}\n", entities(&line.text))),
        };
        self.add(&format!("<span class=\"{class}\">{}\n</span>", entities(&line.text)));
    }

    fn list<T>(&mut self, title: &str, anchor: &str, items: &[T], parts: impl Fn(&T) -> (&SpecLine, String)) {
        if items.is_empty() {
            return;
        }
        self.section(title, anchor, items.len());
        for item in items {
            let (spec, what) = parts(item);
            let what = if what.is_empty() { what } else { format!("<span class=\"facts\">{}</span>", escaped(&what)) };
            self.add(&format!("<div class=\"head\">{}{}{what}</div>\n", id(spec), title_and_facts(spec)));
        }
    }

    fn open(&mut self, report: &Report) {
        let open = &report.open;
        let count = open.running.len() + usize::try_from(open.queued).unwrap_or(usize::MAX);
        if count == 0 {
            return;
        }
        self.section("Still open", "open", count);
        for spec in &open.running {
            let what = words::running(spec, report.at);
            self.open_spec(&spec.id, &spec.title, &format!("running: {what}"), spec.reason.as_deref());
        }
        for spec in &open.next {
            self.open_spec(&spec.id, &spec.title, "queued", spec.reason.as_deref());
        }
        let more = open.queued.saturating_sub(open.next.len() as u64);
        if more > 0 {
            self.add(&format!("<p class=\"facts\">{more} more queued</p>\n"));
        }
    }

    fn open_spec(&mut self, spec: &SpecId, title: &str, what: &str, reason: Option<&str>) {
        self.add(&format!(
            "<article class=\"warn\">\n<div class=\"head\"><span class=\"id\">{}</span><span class=\"title\">{}</span>\
             <span class=\"facts\">{}</span></div>\n",
            escaped(spec.as_str()),
            escaped(title),
            escaped(what)
        ));
        if let Some(reason) = reason {
            self.add(&format!("<p>{}</p>\n", with_code(&localized(reason))));
        }
        self.add("</article>\n");
    }
}

fn id(spec: &SpecLine) -> String {
    format!("<span class=\"id\">{}</span>", escaped(spec.id.as_str()))
}

fn title_and_facts(spec: &SpecLine) -> String {
    let cost = short_cost(&spec.usage);
    let facts: Vec<String> = [words::tries(spec), cost].into_iter().filter(|fact| !fact.is_empty()).collect();
    format!(
        "<span class=\"title\">{}</span><span class=\"facts\">{}</span>",
        escaped(&spec.title),
        escaped(&facts.join(", "))
    )
}

/// Returns boi's own sentence, in which commands are between backticks.
fn with_code(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in escaped(text).split('`').enumerate() {
        let tag = match number {
            0 => "",
            number if number % 2 == 1 => "<code>",
            _ => "</code>",
        };
        out.push_str(tag);
        out.push_str(part);
    }
    if escaped(text).matches('`').count() % 2 == 1 {
        out.push_str("</code>");
    }
    out
}

/// Returns the end of a long text, with its line breaks.
fn end_of(text: &str, most: usize) -> String {
    let plain = text::plain(text);
    let plain = plain.trim();
    let end = text::last_bytes(plain, most);
    if end.len() < plain.len() { format!("… {end}") } else { end.to_owned() }
}

/// Returns text that shows itself in HTML: without markup, and with its unsafe characters visible.
fn escaped(text: &str) -> String {
    let shown: String = escape::escaped_lines(text).chars().take(TEXT).collect();
    entities(&shown)
}

fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            if digit <= chunk.len() {
                out.push(char::from(DIGITS[(group >> (18 - 6 * digit) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_digits_and_the_padding_of_the_standard() {
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn text_is_never_markup() {
        assert_eq!(escaped("<script>'\"&\x1b\u{202e}"), "&lt;script&gt;&#39;&quot;&amp;\\u{1b}\\u{202e}");
        assert_eq!(with_code("run `a <b>` now `x"), "run <code>a &lt;b&gt;</code> now <code>x</code>");
    }
}
