//! One event in one line, for people.

use super::style::{self, paint};
use super::times::{clock_time, localized};
use super::units::cost;
use crate::domain::event::{
    ConfigApplied, DaemonStarted, DaemonStopped, DeferredBegan, DeferredEnded, Event, EventKind, Happening, HoldBegan,
    HoldEnded, Landing, Merged, Queued, QueuedBy, Restored, TaskDone, TaskStarted, TryEnded, Waiting,
};
use crate::domain::life::SpecStatus;
use crate::domain::outcome::Usage;
use crate::domain::text;

/// The largest width of a line's part after the id of the spec, in terminal columns.
const DETAIL: usize = 240;

/// Returns the line of an event: cursor, time, kind, spec, and what happened.
pub(crate) fn event_line(event: &Event) -> String {
    let kind = paint(&format!("{:<14}", event.what.kind_name()), style_of(event.what.kind()));
    let spec = event.spec.as_ref().map(ToString::to_string).unwrap_or_default();
    let detail = text::fit(&localized(&detail(event)), DETAIL);
    let (cursor, at) = (event.cursor, clock_time(event.at));
    format!("{cursor:>6}  {at}  {kind} {spec:<6} {detail}").trim_end().to_owned()
}

fn style_of(kind: Option<EventKind>) -> anstyle::Style {
    match kind {
        Some(EventKind::SpecCompleted | EventKind::SpecMerged) => style::of_spec(SpecStatus::Completed),
        Some(EventKind::SpecFailed | EventKind::ConfigRejected) => style::BAD,
        Some(EventKind::SpecUnmerged | EventKind::SpecBlocked | EventKind::HoldBegan | EventKind::DeferredBegan) => {
            style::ATTENTION
        }
        _ => anstyle::Style::new(),
    }
}

fn detail(event: &Event) -> String {
    let what = match &event.what {
        Happening::SpecQueued(Queued { by: QueuedBy::Dispatch, .. }) => "dispatched".to_owned(),
        Happening::SpecQueued(Queued { by: QueuedBy::Retry, .. }) => "retried".to_owned(),
        Happening::SpecQueued(Queued { by: QueuedBy::GiveBack, .. }) => "back in the queue".to_owned(),
        Happening::SpecQueued(Queued { by: QueuedBy::Landing, .. }) => "sent back to the agent".to_owned(),
        Happening::SpecQueued(Queued { by: QueuedBy::Budget, .. }) => "within its budget again".to_owned(),
        Happening::SpecWaiting(Waiting { base }) => format!("to land on {base}"),
        Happening::SpecLanding(Landing { base, lander }) => format!("on {base}, by {lander}"),
        Happening::SpecRestored(Restored { status }) => status.as_str().to_owned(),
        Happening::SpecMerged(Merged { by }) => format!("by {}", by.as_str()),
        Happening::TaskStarted(TaskStarted { task }) => format!("task {task}"),
        Happening::TaskDone(TaskDone { task, commit, .. }) => match commit {
            Some(commit) => format!("task {task}, commit {}", commit.get(..10).unwrap_or(commit)),
            None => format!("task {task}, nothing to commit"),
        },
        Happening::TryEnded(TryEnded { task, number, usage, refused, .. }) => {
            let refused = if *refused { ", refused" } else { "" };
            let cost = if *usage == Usage::default() { String::new() } else { format!(", {}", cost(usage)) };
            format!("task {task}, try {number}{refused}{cost}")
        }
        Happening::HoldBegan(HoldBegan { agent, .. }) | Happening::HoldEnded(HoldEnded { agent }) => agent.clone(),
        Happening::DeferredBegan(DeferredBegan { by }) | Happening::DeferredEnded(DeferredEnded { by }) => {
            by.repository().unwrap_or_default().to_owned()
        }
        Happening::ConfigApplied(ConfigApplied { generation, changed, .. }) => {
            format!("generation {generation}: {}", changed.join(", "))
        }
        Happening::DaemonStarted(DaemonStarted { pid, version, .. }) => format!("pid {pid}, version {version}"),
        Happening::DaemonStopped(DaemonStopped { pid }) => format!("pid {pid}"),
        Happening::SpecStarted(_)
        | Happening::SpecCompleted(_)
        | Happening::SpecFailed(_)
        | Happening::SpecCanceled(_)
        | Happening::SpecBlocked(_)
        | Happening::SpecDropped(_)
        | Happening::SpecUnmerged(_)
        | Happening::ConfigRejected(_)
        | Happening::QueueIdle(_)
        | Happening::Other { .. } => String::new(),
    };
    let parts = [event.title.clone(), Some(what), event.what.reason()];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cause::Cause;
    use crate::domain::event::{Cursor, Failed};
    use crate::domain::time::Timestamp;

    #[test]
    fn a_line_names_the_spec_and_the_reason() {
        let event = Event {
            cursor: Cursor(17),
            at: Timestamp(0),
            spec: Some("SD979".parse().unwrap()),
            title: Some("Fix\nit".into()),
            attempt: Some(1),
            what: Happening::SpecFailed(Failed { cause: Cause::Repository { detail: "no base".into() } }),
        };
        let line = anstream::adapter::strip_str(&event_line(&event)).to_string();
        assert!(line.starts_with("    17  1970-01-01 "), "{line}");
        assert!(line.ends_with("  spec.failed    SD979  Fix it: no base"), "{line}");
    }
}
