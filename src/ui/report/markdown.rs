//! The report as Markdown, such as for an issue or a chat.

use super::words::{self, NeedWords};
use crate::domain::report::{Report, SpecLine};
use crate::domain::text;
use crate::ui::units::short_cost;

/// The longest text of one entry, in characters.
const TEXT: usize = 2_000;

/// Returns the report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut out = String::from("# boi report\n\n");
    line(&mut out, &escaped(&words::headline(report).join(", ")));
    let counts = words::counts(report);
    if words::is_empty(report) {
        line(&mut out, "\nNothing ended, nothing runs, nothing waits.");
    } else if !counts.is_empty() {
        line(&mut out, &format!("\n{}", escaped(&counts.join(", "))));
    }
    section(&mut out, "Needs you", report.needs_you.is_empty());
    report.needs_you.iter().for_each(|need| self::need(&mut out, &NeedWords::of(need)));
    section(&mut out, "To review, smallest first", report.to_review.is_empty());
    for review in &report.to_review {
        let size = [words::lines_of(review.diff), words::files_of(review.diff)].join(" ");
        let on = review.on.as_ref().map(|on| format!(", on `{on}`")).unwrap_or_default();
        line(&mut out, &format!("- {}, {}{on}", spec(&review.spec), escaped(size.trim())));
        words::overlaps(review).iter().for_each(|overlaps| line(&mut out, &format!("  - {}", escaped(overlaps))));
    }
    if !report.to_review.is_empty() {
        let steps: Vec<String> =
            words::REVIEW_STEPS.iter().map(|(what, command)| format!("{what}: `{command}`")).collect();
        line(&mut out, &format!("\n{}", steps.join(", ")));
    }
    section(&mut out, "Merged", report.merged.is_empty());
    for merged in &report.merged {
        line(&mut out, &format!("- {}, {}", spec(&merged.spec), escaped(&words::merged_into(merged))));
    }
    for (title, specs) in
        [("Done, nothing to review", &report.done), ("Canceled", &report.canceled), ("Dropped", &report.dropped)]
    {
        section(&mut out, title, specs.is_empty());
        specs.iter().for_each(|one| line(&mut out, &format!("- {}", spec(one))));
    }
    open(&mut out, report);
    words::left_out(report).iter().for_each(|note| line(&mut out, &format!("\n{note}")));
    out
}

fn need(out: &mut String, need: &NeedWords<'_>) {
    let reason = need.reason.as_deref().map(|reason| format!(": {}", escaped(reason))).unwrap_or_default();
    match need.spec {
        Some(one) => line(out, &format!("- **{}** {}{reason}", escaped(&need.label), spec(one))),
        None => line(out, &format!("- **{}**{reason}", escaped(&need.label))),
    }
    if let Some((what, quote)) = &need.quote {
        line(out, &format!("  - {what}: {}", code(quote)));
    }
    need.specs.iter().for_each(|one| line(out, &format!("  - {}", spec(one))));
    need.stops.iter().chain(&need.advice).for_each(|words| line(out, &format!("  - {}", escaped(words))));
    need.next.iter().for_each(|next| line(out, &format!("  - next: {}", code(next))));
}

fn open(out: &mut String, report: &Report) {
    let open = &report.open;
    section(out, "Still open", open.running.is_empty() && open.queued == 0);
    for running in &open.running {
        let what = words::running(running, report.at);
        line(out, &format!("- `{}` {}, running: {}", running.id, escaped(&running.title), escaped(&what)));
    }
    for waiting in &open.next {
        let reason = waiting.reason.as_deref().map(|reason| format!(": {}", escaped(reason))).unwrap_or_default();
        line(out, &format!("- `{}` {}, queued{reason}", waiting.id, escaped(&waiting.title)));
    }
    match open.queued.saturating_sub(open.next.len() as u64) {
        0 => {}
        more => line(out, &format!("- {more} more queued")),
    }
}

fn section(out: &mut String, title: &str, is_empty: bool) {
    if !is_empty {
        line(out, &format!("\n## {title}\n"));
    }
}

fn spec(spec: &SpecLine) -> String {
    let cost = match short_cost(&spec.usage) {
        cost if cost.is_empty() => String::new(),
        cost => format!(", {}", escaped(&cost)),
    };
    format!("`{}` {}, {}{cost}", spec.id, escaped(&spec.title), words::tries(spec))
}

fn line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// Returns text as one line in which nothing is Markdown or HTML.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text::one_line(text, TEXT).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '!' | '$' | '@') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Returns text as one line of code.
fn code(text: &str) -> String {
    let line = text::one_line(text, TEXT);
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let gap = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{gap}{line}{gap}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markdown_or_html() {
        assert_eq!(escaped("a*b* <img src=x> [x](y)\n# \u{202e}"), "a\\*b\\* \\<img src=x\\> \\[x\\](y) \\#");
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("`a`` b"), "``` `a`` b ```");
    }
}
