//! Reads the specs in the queue for the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Finding, Text};
use crate::domain::life::SpecStatus;
use crate::domain::view::SpecView;
use crate::queue::sqlite::{Access, OpenError};
use crate::queue::{Filter, Queue, open};
use crate::system::paths::Home;

/// The number of specs that are read from the queue at a time.
const PAGE: u32 = 500;

/// Every spec in the queue, by id.
pub(super) struct RecordedSpecs {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) specs: BTreeMap<String, SpecView>,
    /// The ids in the queue that are not valid ids of specs.
    pub(super) malformed_ids: Vec<String>,
}

impl RecordedSpecs {
    /// Reads the whole queue; `None`: the queue does not exist yet.
    pub(super) fn read(home: &Home) -> Result<Option<RecordedSpecs>, OpenError> {
        let queue = match open::open(home, Access::Read) {
            Err(OpenError::Missing { .. }) => return Ok(None),
            opened => opened?,
        };
        let malformed_ids = open::check_integrity(home)?;
        let specs = read_all(queue.as_ref())?;
        Ok(Some(RecordedSpecs { queue, specs, malformed_ids }))
    }

    /// Returns the folders that contain worktrees: the configured folder, and the parent folders of the
    /// worktrees that the queue records.
    pub(super) fn worktree_folders(&self, home: &Home) -> BTreeSet<PathBuf> {
        let recorded = self.specs.values().filter_map(|spec| Path::new(spec.worktree.as_ref()?).parent());
        recorded.map(Path::to_owned).chain([home.worktrees().to_owned()]).collect()
    }

    /// Returns the status of a spec; `None`: the queue has no spec with this id.
    pub(super) fn status(&self, id: &str) -> Option<SpecStatus> {
        self.specs.get(id).map(|spec| spec.status)
    }
}

fn read_all(queue: &dyn Queue) -> Result<BTreeMap<String, SpecView>, OpenError> {
    let (mut specs, mut offset) = (BTreeMap::new(), 0);
    loop {
        let page = queue.list(&Filter { all: true, limit: PAGE, offset, ..Filter::default() })?;
        specs.extend(page.specs.into_iter().map(|spec| (spec.id.as_str().to_owned(), spec)));
        if !page.more {
            return Ok(specs);
        }
        offset += PAGE;
    }
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
