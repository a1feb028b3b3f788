//! What needs the user: specs, held agents, a rejected configuration, a queue that does not answer.

use crate::domain::admission::Shortage;
use crate::domain::cause::Cause;
use crate::domain::life::{SpecStatus, TaskStatus};
use crate::domain::outcome::Delivery;
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::{SpecView, StatusView};
use crate::ui::times::localized;

/// One thing that needs the user.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Need {
    /// The spec; `None`: it is not about a spec.
    pub(crate) spec: Option<Box<SpecView>>,
    /// The id of the spec, or the name of the agent or file.
    pub(crate) name: String,
    /// What is wrong, in one or two words.
    pub(crate) kind: &'static str,
    /// Why, and what the user can do.
    pub(crate) text: String,
}

impl Need {
    /// Returns what needs the user: first what stops more than one spec, then the specs in the given order. Specs
    /// that do not need the user are left out.
    pub(crate) fn all(status: &StatusView, specs: Vec<SpecView>) -> Vec<Need> {
        let note = |name: &str, kind, text: String| Need { spec: None, name: name.to_owned(), kind, text };
        let mut all = Vec::new();
        all.extend(status.store.reason.iter().map(|reason| note("queue", "no answer", reason.clone())));
        if status.config.outcome == ReloadOutcome::Rejected {
            let first = status.config.errors.first().cloned().unwrap_or_default();
            all.push(note("config", "rejected", format!("{first}; `boi config check` shows every error")));
        }
        all.extend(status.holds.iter().map(|hold| note(&hold.agent, "held", localized(&hold.reason))));
        // Memory is short for a time; a full disk waits for the user.
        let is_disk = |by: &&Shortage| matches!(by, Shortage::Disk { .. });
        let shortages = status.deferred.iter().flat_map(|deferral| &deferral.by);
        all.extend(shortages.filter(is_disk).map(|by| note("disk", "deferred", by.with_reading())));
        all.extend(specs.into_iter().filter_map(|spec| {
            let kind = kind(&spec)?;
            let text = spec.reason.as_deref().map(localized).unwrap_or_default();
            let text = if text.is_empty() { default_text(kind).to_owned() } else { text };
            Some(Need { name: spec.id.to_string(), spec: Some(Box::new(spec)), kind, text })
        }));
        all
    }
}

/// Returns why a spec needs the user; `None`: it does not.
fn kind(spec: &SpecView) -> Option<&'static str> {
    match (spec.status, &spec.cause) {
        (SpecStatus::Queued, Some(Cause::Blocked { .. })) => Some("blocked"),
        (SpecStatus::Queued | SpecStatus::Running, Some(Cause::Quarantined { .. })) => Some("unreadable"),
        (SpecStatus::Failed, _) => Some("failed"),
        (SpecStatus::Completed, _) if spec.delivery == Some(Delivery::Unmerged) => Some("unmerged"),
        (SpecStatus::Completed, _) if changed_nothing(spec) => Some("no changes"),
        (SpecStatus::Completed, _) if has_branch_to_review(spec) => Some("review"),
        _ => None,
    }
}

/// Returns whether agents of a completed spec had prompts, and no task changed a file.
fn changed_nothing(spec: &SpecView) -> bool {
    spec.tasks.iter().any(|task| task.status == TaskStatus::Done && task.unchanged)
        && spec.tasks.iter().all(|task| task.commit.is_none())
}

/// Returns whether a spec has commits on a branch that nobody merged.
fn has_branch_to_review(spec: &SpecView) -> bool {
    spec.delivery == Some(Delivery::Branch) && spec.tasks.iter().any(|task| task.commit.is_some())
}

fn default_text(kind: &str) -> &'static str {
    match kind {
        "no changes" => "it completed, and its agents changed no file",
        "review" => "it completed, and its branch is not merged",
        _ => "",
    }
}
