//! The configuration in `boi status`, and verdicts on it.

use crate::domain::time::Timestamp;
use crate::domain::verdict::{Change, ReloadOutcome, TakesEffect, Trigger, Verdict, WatchMode};
use crate::domain::view::ConfigView;

/// What `boi status` says of the configuration, line by line.
pub fn status(view: &ConfigView, runs: bool, color: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let disk = match (view.outcome, &view.verdict) {
        (ReloadOutcome::Applied | ReloadOutcome::Unchanged, _) => None,
        (outcome, Some(verdict)) => {
            let errors = match (outcome, view.errors.len()) {
                (ReloadOutcome::Rejected, 1) => ", 1 error".to_owned(),
                (ReloadOutcome::Rejected, count) => format!(", {count} errors"),
                _ => String::new(),
            };
            Some(format!("disk: {} {}{errors}", outcome.as_str(), clock_time(verdict.at)))
        }
        (outcome, None) => Some(format!("disk: {}", outcome.as_str())),
    };
    if runs {
        let since = view.last_applied.as_ref().map(|applied| format!(", in force since {}", clock_time(applied.at)));
        let degraded = if view.degraded { " (the last good one: the file was bad at the start)" } else { "" };
        let polled = if view.watch == WatchMode::Poll { "; changes are looked for every 2 s" } else { "" };
        let disk = disk.map(|disk| format!("; {}", paint(&disk, 31, color))).unwrap_or_default();
        lines.push(format!(
            "config: generation {}{}{degraded}{disk}{polled}",
            view.generation,
            since.unwrap_or_default()
        ));
    } else if let Some(disk) = disk {
        lines.push(format!("config: {}", paint(&disk, 31, color)));
    }
    lines.extend(view.errors.iter().take(5).map(|error| format!("  {}", paint(error, 31, color))));
    if view.errors.len() > 5 {
        lines.push(format!("  ... {} more: `boi config check`", view.errors.len() - 5));
    }
    lines.extend(view.flags.iter().map(|flag| format!("set by the daemon's command line: {flag}")));
    lines.extend(view.pending_restart.iter().map(|pending| paint(&format!("pending restart: {pending}"), 33, color)));
    lines.extend(view.warnings.iter().map(|warning| paint(&format!("warning: {warning}"), 33, color)));
    lines
}

/// What `boi daemon reload` says.
pub fn verdict(view: &ConfigView, verdict: &Verdict, color: bool) -> String {
    let mut lines = Vec::new();
    let generation = verdict.generation;
    match verdict.outcome {
        ReloadOutcome::Applied => {
            let defaults = if verdict.changed.is_empty() { "" } else { ":" };
            lines.push(format!("{}: generation {generation} is in force{defaults}", paint("applied", 32, color)));
            lines.extend(verdict.changed.iter().map(shown));
        }
        ReloadOutcome::Unchanged => {
            lines.push(format!("unchanged: generation {generation} is in force"));
            // The watch may have been first: what it did is what the user wants to know.
            if let Some(applied) = view.last_applied.as_ref().filter(|applied| applied.trigger != Trigger::Boot) {
                lines.push(format!("since {}, by {}:", clock_time(applied.at), applied.trigger.as_str()));
                lines.extend(applied.changed.iter().map(shown));
            }
        }
        ReloadOutcome::Rejected => {
            lines.push(format!("{}: generation {generation} stays in force", paint("rejected", 31, color)));
        }
        ReloadOutcome::Missing => lines.push(format!("missing: generation {generation} stays in force")),
        ReloadOutcome::Waiting => lines.push(format!("waiting: generation {generation} stays in force until then")),
    }
    lines.extend(verdict.notes.iter().map(|note| format!("  {note}")));
    lines.extend(verdict.pending_restart.iter().map(|change| format!("  pending restart: {change}")));
    lines.extend(verdict.warnings.iter().map(|warning| format!("  warning: {warning}")));
    match &verdict.report {
        Some(report) => {
            lines.push(format!("\n{report}\n"));
            lines.push("the daemon takes the file as soon as a good one is saved".to_owned());
        }
        None => lines.extend(verdict.errors.iter().map(|error| format!("  {error}"))),
    }
    lines.join("\n") + "\n"
}

/// One change, with when it takes effect.
pub fn shown(change: &Change) -> String {
    let when = match change.takes_effect {
        TakesEffect::AtOnce => "at once".to_owned(),
        TakesEffect::Restart => "after a restart".to_owned(),
        later => format!("with the {later}"),
    };
    format!("  {change} ({when})")
}

/// A time of today as the clock shows it; any other with its date.
fn clock_time(at: Timestamp) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(at.0) else { return at.to_string() };
    let zone = jiff::tz::TimeZone::system();
    let (civil, today) = (zone.to_datetime(at), zone.to_datetime(jiff::Timestamp::now()).date());
    let format = if civil.date() == today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    civil.strftime(format).to_string()
}

fn paint(text: &str, code: u8, color: bool) -> String {
    if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
