//! Reads the specs in the queue for the checks.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Finding, Text};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::view::SpecView;
use crate::queue::sqlite::{Access, OpenError};
use crate::queue::survey::Survey;
use crate::queue::{Filter, Queue, open};
use crate::system::paths::Home;

/// The specs in the queue. The queue may have very many, so only the specs that a check asks for are looked up.
pub(super) struct RecordedSpecs {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) survey: Survey,
    /// The ids in the queue that are not valid ids of specs.
    pub(super) malformed_ids: Vec<String>,
    /// The specs that were looked up; `None`: the queue has no such spec.
    statuses: RefCell<HashMap<SpecId, Option<SpecStatus>>>,
}

impl RecordedSpecs {
    /// Reads the queue; `None`: it does not exist yet.
    pub(super) fn read(home: &Home) -> Result<Option<RecordedSpecs>, OpenError> {
        let queue = match open::open(home, Access::Read) {
            Err(OpenError::Missing { .. }) => return Ok(None),
            opened => opened?,
        };
        let malformed_ids = open::check_integrity(home)?;
        let survey = queue.survey()?;
        Ok(Some(RecordedSpecs { queue, survey, malformed_ids, statuses: RefCell::default() }))
    }

    /// Returns the folders that contain worktrees: the configured folder, and the parent folders of the
    /// worktrees that the queue records.
    pub(super) fn worktree_folders(&self, home: &Home) -> BTreeSet<PathBuf> {
        let recorded = self.survey.worktrees.iter().filter_map(|(_, path)| Path::new(path).parent());
        recorded.map(Path::to_owned).chain([home.worktrees().to_owned()]).collect()
    }

    /// Looks up these ids together, which is faster than one after the other.
    pub(super) fn look_up<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut statuses = self.statuses.borrow_mut();
        let ids: Vec<SpecId> = names.filter_map(exact_id).filter(|id| !statuses.contains_key(id)).collect();
        if ids.is_empty() {
            return;
        }
        // If the queue cannot be read any more, the specs count as running, so that nothing of them is
        // reported or removed.
        let Ok(found) = self.queue.statuses(&ids) else {
            statuses.extend(ids.into_iter().map(|id| (id, Some(SpecStatus::Running))));
            return;
        };
        statuses.extend(ids.into_iter().map(|id| (id, None)));
        statuses.extend(found.into_iter().map(|(id, status)| (id, Some(status))));
    }

    /// Returns the status of a spec; `None`: the queue has no spec with this id.
    pub(super) fn status(&self, id: &str) -> Option<SpecStatus> {
        self.look_up([id].into_iter());
        self.statuses.borrow().get(&exact_id(id)?).copied().flatten()
    }

    /// Returns the view of a spec.
    pub(super) fn view(&self, id: &SpecId) -> Option<SpecView> {
        self.queue.list(&Filter { ids: vec![id.clone()], ..Filter::default() }).ok()?.specs.into_iter().next()
    }
}

/// Parses the id of a spec in the form in which boi writes it.
fn exact_id(name: &str) -> Option<SpecId> {
    name.parse::<SpecId>().ok().filter(|id| id.as_str() == name)
}

/// Returns the finding for a queue that cannot be read.
pub(super) fn unreadable(home: &Home, error: &OpenError) -> Finding {
    Finding::problem(
        "queue",
        Text {
            what: error.to_string(),
            place: home.db().display().to_string(),
            why: "boi runs no spec without the queue, and no daemon starts with a damaged queue".into(),
            advice: match error {
                OpenError::Damaged { advice, .. } | OpenError::Lost { advice, .. } => advice.clone(),
                _ => "fix the cause above, then run `boi doctor` again".into(),
            },
        },
    )
}
