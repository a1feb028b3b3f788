//! Checks for changes of repositories that block deliveries.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::recorded_specs::RecordedSpecs;
use super::{Finding, Subject, Text};
use crate::domain::repository_change::RepositoryChange;
use crate::git;
use crate::queue::BlockingChange;

pub(super) fn check(subject: &Subject, specs: &RecordedSpecs) -> Vec<Finding> {
    let Ok(blocking) = specs.queue.blocking_changes() else { return Vec::new() };
    let mut by_value: BTreeMap<_, Vec<BlockingChange>> = BTreeMap::new();
    for found in blocking {
        let value = (found.repository.clone(), found.change.path.clone(), found.change.name.clone());
        by_value.entry(value).or_default().push(found);
    }
    by_value.into_values().filter_map(|changes| finding(subject, &changes)).collect()
}

/// Returns the finding for the changes of one value, oldest first; `None` if the value is the same as before
/// the first change.
fn finding(subject: &Subject, changes: &[BlockingChange]) -> Option<Finding> {
    let BlockingChange { spec, repository, change, .. } = changes.first()?;
    let watch = Arc::default();
    if !git::still_differs(change, &watch) {
        return None;
    }
    let numbers: Vec<i64> = changes.iter().map(|found| found.number).collect();
    // The value may have changed again since the recorded change.
    let now = git::present_state(change, &watch);
    let what = RepositoryChange { path: None, ..change.clone() }.states(change.old.clone(), now);
    let restore = change.restore.as_ref().map(|command| format!("put it back: `{command}`; or "));
    let text = Text {
        what: format!("{what} (while a command of {spec} ran)"),
        place: change.path.clone().unwrap_or_else(|| repository.clone()),
        why: "a command of an agent, or you, changed it; specs are not merged in this repository until that is settled"
            .into(),
        advice: format!("{}accept what is there now: `boi doctor --fix`", restore.unwrap_or_default()),
    };
    let (settle, accepted) = (subject.settle.clone(), format!("accepted: {what}"));
    let remedy = move || settle(numbers).map(|()| accepted);
    Some(Finding::problem("repository-changed", text).with_remedy(remedy))
}
