//! Finds hooks that fail, and hooks that have missed events.

use super::recorded_specs::RecordedSpecs;
use super::{Finding, Text};
use crate::decide::hook::{Failing, HookState};

/// Checks the progress of the hooks that the queue stores.
pub(super) fn check(specs: &RecordedSpecs) -> Vec<Finding> {
    // If the queue cannot be read, another check reports that.
    let hooks = specs.queue.hooks().unwrap_or_default();
    hooks.iter().flat_map(|hook| failing(hook).into_iter().chain(missed(hook))).collect()
}

fn failing(hook: &HookState) -> Option<Finding> {
    let Failing { kind, since, tries, error, .. } = hook.failing.as_ref()?;
    let name = &hook.name;
    let text = Text {
        what: format!("the hook {name} fails on the event {kind} since {since} ({tries} times): {error}"),
        place: format!("hook {name}"),
        why: "its next events wait; an event whose delivery fails for a day is skipped".into(),
        advice: format!("correct the command of the hook {name} in config.toml; it is then run again at once"),
    };
    Some(Finding::problem("hook-failing", text))
}

fn missed(hook: &HookState) -> Option<Finding> {
    let HookState { name, skipped, overtaken, .. } = hook;
    let text = Text {
        what: format!(
            "the hook {name} has missed events: {skipped} whose delivery failed for a day, {overtaken} that \
             `retention_days` removed"
        ),
        place: format!("hook {name}"),
        why: "boi does not deliver these events any more".into(),
        advice: "`boi events` shows the events that are left; another name for the hook begins a new count".into(),
    };
    (skipped + overtaken > 0).then(|| Finding::note("hook-missed", text))
}
