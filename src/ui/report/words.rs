//! The words of a report, which its forms share.

use crate::domain::outcome::{Cost, MergedBy, Usage};
use crate::domain::report::{BaseMove, DiffSize, Merged, Need, Overlap, Report, Review, Running, SpecLine};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::ui::times::{clock_time, localized};
use crate::ui::units::{counted, duration, short_cost};

/// How a branch is reviewed: what to do, and the command.
pub(super) const REVIEW_STEPS: [(&str, &str); 5] = [
    ("look", "boi diff ID"),
    ("merge", "boi merge ID"),
    ("merge all", "boi merge --all"),
    ("send back", "boi retry ID --note TEXT"),
    ("reject", "boi drop ID"),
];

/// What can be done with failed specs: what to do, and the command.
pub(super) const FAILED_STEPS: [(&str, &str); 3] = [
    ("retry all that failed", "boi retry --failed"),
    ("retry one with a note for its agent", "boi retry ID --note TEXT"),
    ("reject", "boi drop ID"),
];

/// The longest message of an agent that is shown, in characters.
const MESSAGE: usize = 600;

/// A need in words.
pub(super) struct NeedWords<'a> {
    /// The spec; `None`: the need is about several specs or none.
    pub(super) spec: Option<&'a SpecLine>,
    /// What it is about: a status, the number of failed specs, or the name of what needs the user.
    pub(super) label: String,
    /// The reason or cause.
    pub(super) reason: Option<String>,
    /// Text that is not boi's own, with what it is.
    pub(super) quote: Option<(&'static str, String)>,
    /// What the user can do.
    pub(super) advice: Option<String>,
    /// The specs of a group.
    pub(super) specs: &'a [SpecLine],
    /// The specs that stand still because of this.
    pub(super) stops: Option<String>,
    /// The next command.
    pub(super) next: Option<&'a str>,
}

impl<'a> NeedWords<'a> {
    pub(super) fn of(need: &'a Need) -> NeedWords<'a> {
        let words = NeedWords {
            spec: None,
            label: String::new(),
            reason: None,
            quote: None,
            advice: None,
            specs: &[],
            stops: None,
            next: None,
        };
        match need {
            Need::NothingStarts { reason, next } => NeedWords {
                label: "nothing starts".to_owned(),
                reason: Some(localized(reason)),
                next: next.as_deref(),
                ..words
            },
            Need::ConfigRejected { errors, next } => NeedWords {
                label: "config.toml is not valid".to_owned(),
                reason: Some(errors.join("; ")),
                next: Some(next),
                ..words
            },
            Need::Held { agent, reason, next, .. } => NeedWords {
                label: format!("agent {agent} is held"),
                reason: Some(localized(reason)),
                next: Some(next),
                ..words
            },
            Need::Unmerged { spec, reason, stops, next } => NeedWords {
                spec: Some(spec),
                label: "unmerged".to_owned(),
                reason: Some(localized(reason)),
                stops: self::stops(stops),
                next: Some(next),
                ..words
            },
            Need::Failed { cause, output, advice, specs, stops, next } => NeedWords {
                label: format!("{} failed", specs.len()),
                reason: Some(localized(cause)),
                quote: output.clone().map(|line| ("last line", line)),
                advice: advice.clone(),
                specs,
                stops: self::stops(stops),
                next: Some(next),
                ..words
            },
            Need::NoChanges { spec, message, asks, next } => NeedWords {
                spec: Some(spec),
                label: "no changes".to_owned(),
                quote: message.as_deref().map(|message| (if *asks { "asks" } else { "says" }, end_of(message))),
                next: Some(next),
                ..words
            },
            Need::Blocked { spec, reason, next } => NeedWords {
                spec: Some(spec),
                label: "blocked".to_owned(),
                reason: Some(localized(reason)),
                next: Some(next),
                ..words
            },
        }
    }
}

/// Returns the end of an agent's message as one line: a question is at its end.
fn end_of(message: &str) -> String {
    crate::ui::wrap::fit_ends(message, MESSAGE)
}

fn stops(ids: &[crate::domain::id::SpecId]) -> Option<String> {
    let ids: Vec<&str> = ids.iter().map(crate::domain::id::SpecId::as_str).collect();
    (!ids.is_empty()).then(|| format!("also stops {}", ids.join(", ")))
}

/// Returns the reported time and its sums: when specs ran, how many ended, their cost, and what the bases gained.
pub(super) fn headline(report: &Report) -> Vec<String> {
    let when = match (report.began_at, report.ended_at) {
        (Some(began), ended) => {
            let end = ended.map_or_else(|| "now".to_owned(), clock_time);
            format!("{} to {end} ({})", clock_time(began), hours(report.wall_ms))
        }
        (None, _) => format!("since {}", clock_time(report.since)),
    };
    let mut parts = vec![when, counted(report.totals.specs as u64, "spec")];
    parts.extend(total_cost(&report.totals.usage));
    parts.extend(report.totals.bases.iter().map(base_move));
    parts
}

fn base_move(base: &BaseMove) -> String {
    match base.commits {
        Some(commits) => format!("{} +{commits}", base.base),
        None => format!("{} gained {}", base.base, counted(base.specs as u64, "spec")),
    }
}

/// Returns how many specs ended in each way; empty if none did.
pub(super) fn counts(report: &Report) -> Vec<String> {
    let totals = &report.totals;
    let causes = if totals.causes == 1 { "1 cause".to_owned() } else { format!("{} causes", totals.causes) };
    let counts = [
        (totals.unmerged, "unmerged".to_owned()),
        (totals.failed, format!("failed ({causes})")),
        (totals.unchanged, "without changes".to_owned()),
        (totals.to_review, "to review".to_owned()),
        (totals.merged, "merged".to_owned()),
        (totals.done, "done".to_owned()),
        (totals.canceled, "canceled".to_owned()),
        (totals.dropped, "dropped".to_owned()),
        (report.open.running.len(), "still running".to_owned()),
        (usize::try_from(report.open.queued).unwrap_or(usize::MAX), "queued".to_owned()),
    ];
    counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

/// Returns the cost of everything; `None`: no agent ran.
fn total_cost(usage: &Usage) -> Option<String> {
    let unknown = usage.unpriced_runs;
    match usage.cost() {
        Cost::Known(_) if *usage == Usage::default() => None,
        Cost::Known(_) => Some(short_cost(usage)),
        Cost::AtLeast(_) => Some(format!("{} (+{unknown} unknown)", short_cost(usage).trim_end_matches('+'))),
        Cost::Unknown => Some(format!("cost of {} unknown", counted(unknown, "run"))),
    }
}

/// Returns a length of time with hours and minutes.
fn hours(millis: u64) -> String {
    match millis / 60_000 {
        minutes @ 120.. => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => duration(i64::try_from(millis).unwrap_or(i64::MAX)),
    }
}

/// Returns `+52 -7`.
pub(super) fn lines_of(diff: Option<DiffSize>) -> String {
    diff.map_or_else(|| "size unknown".to_owned(), |diff| format!("+{} -{}", diff.added, diff.deleted))
}

/// Returns `4 files`, with the number of binary ones.
pub(super) fn files_of(diff: Option<DiffSize>) -> String {
    match diff {
        None => String::new(),
        Some(DiffSize { files, binary: 0, .. }) => counted(files, "file"),
        Some(DiffSize { files, binary, .. }) if files == binary => format!("{files} binary"),
        Some(DiffSize { files, binary, .. }) => format!("{}, {binary} binary", counted(files, "file")),
    }
}

/// Returns `try 2/4`: how many tries a task of the spec needed in its last attempt, and how many it had.
pub(super) fn tries(spec: &SpecLine) -> String {
    match (spec.attempt_tries, spec.max_tries) {
        (0, _) => "not run".to_owned(),
        (tries, Some(most)) => format!("try {tries}/{most}"),
        (tries, None) => format!("try {tries}"),
    }
}

/// Returns the files that other unmerged branches change too, or `None`.
pub(super) fn overlaps(review: &Review) -> Option<String> {
    let one = |overlap: &Overlap| {
        let more = match overlap.count.saturating_sub(overlap.files.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let files: Vec<String> = overlap.files.iter().map(|file| text::one_line(file, 200)).collect();
        format!("{} ({}{more})", overlap.id, files.join(", "))
    };
    let shown: Vec<String> = review.overlaps.iter().map(one).collect();
    (!shown.is_empty()).then(|| format!("! also changed by {}", shown.join(", ")))
}

pub(super) fn merged_into(merged: &Merged) -> String {
    let base = merged.base.as_deref().map_or_else(|| "merged".to_owned(), |base| format!("into {base}"));
    match merged.by {
        MergedBy::Boi => base,
        MergedBy::User => format!("{base}, by hand"),
    }
}

/// Returns the task and the try that a spec is at, and for how long it runs.
pub(super) fn running(spec: &Running, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if let Some(task) = &spec.task {
        parts.push(format!("task {task}, try {}", spec.number));
    }
    parts.extend(spec.since.map(|since| format!("for {}", duration(now.millis_since(since)))));
    parts.join(", ")
}

/// Returns what the report does not contain.
pub(super) fn left_out(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if report.older_to_review > 0 {
        let branches = match report.older_to_review {
            1 => "1 older branch is".to_owned(),
            count => format!("{count} older branches are"),
        };
        notes.push(format!("{branches} not merged: `boi report --since 30d` shows what ended in 30 days"));
    }
    if report.more {
        let count = report.totals.specs;
        notes.push(format!("more specs ended in this time: the report has the last {count}; choose a later `--since`"));
    }
    notes
}

/// Whether there is nothing to report.
pub(super) fn is_empty(report: &Report) -> bool {
    report.totals.specs == 0 && report.needs_you.is_empty() && report.open.running.is_empty() && report.open.queued == 0
}
