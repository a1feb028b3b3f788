//! Ended specs that are old enough to be removed from the queue.

use crate::domain::id::SpecId;
use crate::domain::time::Timestamp;

/// How old a spec has to be to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age {
    /// Specs that ended at this time or earlier are removed.
    pub ended_by: Timestamp,
    /// Runs that ended after this time count toward the budget of the day, also after their spec is removed.
    pub runs_since: Timestamp,
}

/// The place of an ended spec among all ended specs, by its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// When the spec ended.
    pub finished_at: Timestamp,
    /// The number of the spec, which tells specs apart that ended at the same time.
    pub seq: i64,
}

/// A spec that nothing in the queue still needs. Its files, its repository or its processes may need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The spec.
    pub id: SpecId,
    /// The path of its repository.
    pub repo: Option<String>,
    /// The recorded path of its worktree.
    pub worktree: Option<String>,
    /// Whether the user dropped it. Its kept refs stay in the repository when it is removed.
    pub is_dropped: bool,
    /// Whether the queue records that a base has the changes of its branch.
    pub is_merged: bool,
    /// Whether the queue records work of the spec in the repository that no base is known to have: a branch
    /// that is not merged, or kept refs unless the spec is dropped.
    pub has_own_work: bool,
}

/// A page of expired specs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ExpiredPage {
    /// The specs.
    pub specs: Vec<Expired>,
    /// The place after which the next page begins; `None`: this is the last page.
    pub next: Option<Place>,
}
