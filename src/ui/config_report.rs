//! Formats reports on the configuration: its lines in `boi status`, and the verdict of a reload.

use super::style::{ATTENTION, BAD, GOOD, paint};
use super::times::clock_time;
use crate::domain::verdict::{Change, ReloadOutcome, TakesEffect, Trigger, Verdict, WatchMode};
use crate::domain::view::ConfigView;

/// Returns the lines about the configuration in `boi status`. `daemon_runs`: a daemon runs with this
/// configuration.
pub(crate) fn status_lines(view: &ConfigView, daemon_runs: bool) -> Vec<String> {
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
    if daemon_runs {
        let since = view.last_applied.as_ref().map(|applied| format!(", in force since {}", clock_time(applied.at)));
        let degraded = if view.degraded {
            " (the last good one, because the file was invalid when the daemon started)"
        } else {
            ""
        };
        let polled = match (view.watch, &view.watch_reason) {
            (WatchMode::Poll, Some(reason)) => format!("; config.toml is polled every 2 s: {reason}"),
            (WatchMode::Poll, None) => "; config.toml is polled every 2 s".to_owned(),
            _ => String::new(),
        };
        let disk = disk.map(|disk| format!("; {}", paint(&disk, BAD))).unwrap_or_default();
        lines.push(format!(
            "config: generation {}{}{degraded}{disk}{polled}",
            view.generation,
            since.unwrap_or_default()
        ));
    } else if let Some(disk) = disk {
        lines.push(format!("config: {}", paint(&disk, BAD)));
    }
    if let Some(since) = view.look_pending_since {
        let waited = jiff::Timestamp::now().as_millisecond().saturating_sub(since.0) / 1000;
        lines.push(paint(&format!("config: the file system of config.toml has not answered for {waited} s"), BAD));
    }
    lines.extend(view.errors.iter().take(5).map(|error| format!("  {}", paint(error, BAD))));
    if view.errors.len() > 5 {
        lines.push(format!("  ... {} more: `boi config check` shows all", view.errors.len() - 5));
    }
    lines.extend(view.flags.iter().map(|flag| format!("set on the daemon's command line: {flag}")));
    lines.extend(view.pending_restart.iter().map(|pending| paint(&format!("pending restart: {pending}"), ATTENTION)));
    // Notes from the daemon's start; no command has printed them.
    let notes =
        view.verdict.iter().filter(|verdict| verdict.trigger == Trigger::Boot).flat_map(|verdict| &verdict.notes);
    lines.extend(notes.chain(&view.warnings).map(|warning| paint(&format!("warning: {warning}"), ATTENTION)));
    lines
}

/// Returns the verdict of a reload, as `boi daemon reload` prints it.
pub(crate) fn verdict(view: &ConfigView, verdict: &Verdict) -> String {
    let mut lines = Vec::new();
    let generation = verdict.generation;
    match verdict.outcome {
        ReloadOutcome::Applied => {
            let colon = if verdict.changed.is_empty() { "" } else { ":" };
            lines.push(format!("{}: generation {generation} is in force{colon}", paint("applied", GOOD)));
            lines.extend(verdict.changed.iter().map(change_line));
        }
        ReloadOutcome::Unchanged => {
            lines.push(format!("unchanged: generation {generation} is in force"));
            // The file watch may have applied the file before this reload: the user wants to see those
            // changes.
            if let Some(applied) = view.last_applied.as_ref().filter(|applied| applied.trigger != Trigger::Boot) {
                lines.push(format!("applied at {}, by {}:", clock_time(applied.at), applied.trigger.as_str()));
                lines.extend(applied.changed.iter().map(change_line));
            }
        }
        ReloadOutcome::Rejected => {
            lines.push(format!("{}: generation {generation} stays in force", paint("rejected", BAD)));
        }
        ReloadOutcome::Missing => {
            lines.push(format!("missing: there is no config.toml, generation {generation} stays in force"))
        }
        ReloadOutcome::Waiting => lines.push(format!("waiting: generation {generation} stays in force meanwhile")),
    }
    lines.extend(verdict.notes.iter().map(|note| format!("  {note}")));
    lines.extend(verdict.pending_restart.iter().map(|change| format!("  pending restart: {change}")));
    lines.extend(verdict.warnings.iter().map(|warning| format!("  warning: {warning}")));
    match &verdict.report {
        Some(report) => {
            lines.push(format!("\n{report}\n"));
            lines.push("the daemon applies config.toml as soon as a valid version of it is saved".to_owned());
        }
        None => lines.extend(verdict.errors.iter().map(|error| format!("  {error}"))),
    }
    lines.join("\n") + "\n"
}

/// Returns a line that says what changed, and when the change takes effect.
pub(crate) fn change_line(change: &Change) -> String {
    let when = match change.takes_effect {
        TakesEffect::AtOnce => "at once".to_owned(),
        TakesEffect::Restart => "after a restart".to_owned(),
        later => format!("from the {later}"),
    };
    format!("  {change} ({when})")
}
