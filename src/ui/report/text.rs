//! The report as text, for a terminal or a pipe.

use super::words::{self, NeedWords};
use crate::domain::report::{Report, Review, SpecLine};
use crate::domain::text;
use crate::ui::style::{ATTENTION, BAD, GOOD, paint};
use crate::ui::units::short_cost;
use crate::ui::wrap::{wrap, wrap_reason};

/// The most lines of one reason.
const REASON_LINES: usize = 4;
/// Where the lines below a row begin.
const INDENT: usize = 9;
/// The width of a pipe, which has none: wide enough that no reason is wrapped.
const PIPE: usize = 4_000;

/// Returns the report for an output that is `columns` wide; `None`: the output is no terminal.
pub(crate) fn text(report: &Report, columns: Option<usize>) -> String {
    let mut page = Page { lines: Vec::new(), columns: columns.unwrap_or(PIPE).max(20) };
    page.wrapped(0, &words::headline(report).join(", "));
    let counts = words::counts(report);
    if words::is_empty(report) {
        page.lines.push("  nothing ended, nothing runs, nothing waits".to_owned());
    } else if !counts.is_empty() {
        page.wrapped(2, &counts.join(", "));
    }
    page.section("NEEDS YOU", BAD, !report.needs_you.is_empty());
    for need in &report.needs_you {
        page.need(&NeedWords::of(need));
    }
    if report.totals.failed > 0 {
        page.steps(&words::FAILED_STEPS);
    }
    page.section("TO REVIEW, smallest first", GOOD, !report.to_review.is_empty());
    report.to_review.iter().for_each(|review| page.review(review));
    if !report.to_review.is_empty() {
        page.steps(&words::REVIEW_STEPS);
    }
    page.section("MERGED", GOOD, !report.merged.is_empty());
    for merged in &report.merged {
        page.row(2, &merged.spec, &words::merged_into(merged));
    }
    page.section("DONE, nothing to review", GOOD, !report.done.is_empty());
    report.done.iter().for_each(|spec| page.row(2, spec, ""));
    page.section("CANCELED", ATTENTION, !report.canceled.is_empty());
    report.canceled.iter().for_each(|spec| page.row(2, spec, ""));
    page.section("DROPPED", ATTENTION, !report.dropped.is_empty());
    report.dropped.iter().for_each(|spec| page.row(2, spec, ""));
    page.open(report);
    let notes = words::left_out(report);
    if !notes.is_empty() {
        page.lines.push(String::new());
    }
    notes.iter().for_each(|note| page.wrapped(0, note));
    page.lines.iter().fold(String::new(), |out, line| out + line.trim_end() + "\n")
}

struct Page {
    lines: Vec<String>,
    columns: usize,
}

impl Page {
    fn section(&mut self, title: &str, style: anstyle::Style, is_there: bool) {
        if is_there {
            self.lines.push(String::new());
            self.lines.push(paint(title, style.bold()));
        }
    }

    fn steps(&mut self, steps: &[(&str, &str)]) {
        let steps: Vec<String> = steps.iter().map(|(what, command)| format!("{what}: {command}")).collect();
        self.wrapped(2, &steps.join("; "));
    }

    /// Adds text, wrapped to the width of the page.
    fn wrapped(&mut self, indent: usize, text: &str) {
        // Gaps of several spaces separate parts, so only a line that is too long is broken.
        if text::width(&text::plain(text)) + indent <= self.columns && !text.contains('\n') {
            self.lines.push(format!("{:indent$}{text}", ""));
            return;
        }
        for line in wrap(text, self.columns - indent, REASON_LINES) {
            self.lines.push(format!("{:indent$}{line}", ""));
        }
    }

    fn reason(&mut self, text: &str) {
        for line in wrap_reason(text, self.columns - INDENT, REASON_LINES) {
            self.lines.push(format!("{:INDENT$}{line}", ""));
        }
    }

    /// Adds a row that is cut at the width of the page.
    fn cut(&mut self, row: &str, title: &str) {
        match self.columns.checked_sub(text::width(&text::plain(row))) {
            Some(room) => self.lines.push(format!("{row}{}", text::fit(title, room))),
            None => self.lines.push(text::fit(row, self.columns)),
        }
    }

    /// Adds a row about a spec; `what` comes before the title.
    fn row(&mut self, indent: usize, spec: &SpecLine, what: &str) {
        let gap = if what.is_empty() { "" } else { "  " };
        let (tries, cost) = (words::tries(spec), short_cost(&spec.usage));
        self.cut(&format!("{:indent$}{:<6} {tries:<7} {cost:>8}  {what}{gap}", "", spec.id), &spec.title);
    }

    fn need(&mut self, need: &NeedWords<'_>) {
        match need.spec {
            Some(spec) => self.row(2, spec, &paint(&need.label, ATTENTION)),
            None => {
                let reason = need.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                let label = paint(&need.label, ATTENTION);
                let lines = wrap(&format!("{}{reason}", need.label), self.columns - 2, REASON_LINES);
                for (number, line) in lines.iter().enumerate() {
                    let line = if number == 0 { line.replacen(&need.label, &label, 1) } else { line.clone() };
                    self.lines.push(format!("  {line}"));
                }
            }
        }
        if need.spec.is_some()
            && let Some(reason) = &need.reason
        {
            self.reason(reason);
        }
        if let Some((what, quote)) = &need.quote {
            self.reason(&format!("{what}: {quote}"));
        }
        need.specs.iter().for_each(|spec| self.row(INDENT, spec, ""));
        if let Some(stops) = &need.stops {
            self.reason(stops);
        }
        if let Some(advice) = &need.advice {
            self.reason(advice);
        }
        if let Some(next) = need.next {
            self.lines.push(format!("{:INDENT$}> {next}", ""));
        }
    }

    fn review(&mut self, review: &Review) {
        let (lines, files) = (words::lines_of(review.diff), words::files_of(review.diff));
        let spec = &review.spec;
        let (tries, cost) = (words::tries(spec), short_cost(&spec.usage));
        self.cut(&format!("  {:<6} {lines:<12} {files:<9} {tries:<7} {cost:>8}  ", spec.id), &spec.title);
        if let Some(on) = &review.on {
            self.reason(&format!("builds on {on}, which is not merged"));
        }
        if let Some(overlaps) = words::overlaps(review) {
            self.reason(&paint(&overlaps, ATTENTION));
        }
    }

    fn open(&mut self, report: &Report) {
        let open = &report.open;
        self.section("STILL OPEN", ATTENTION, !open.running.is_empty() || open.queued > 0);
        for spec in &open.running {
            let what = words::running(spec, report.at);
            let cost = short_cost(&spec.usage);
            self.cut(&format!("  {:<6} running  {what:<24} {cost:>8}  ", spec.id), &spec.title);
            spec.reason.iter().for_each(|reason| self.reason(reason));
        }
        for spec in &open.next {
            self.cut(&format!("  {:<6} queued   ", spec.id), &spec.title);
            spec.reason.iter().for_each(|reason| self.reason(reason));
        }
        let shown = open.next.len() as u64;
        if open.queued > shown {
            self.wrapped(2, &format!("... {} more queued: `boi status --status queued`", open.queued - shown));
        }
    }
}
