//! What the whole queue records about places outside of it.

use std::collections::BTreeSet;

use crate::domain::id::SpecId;

/// What the queue records about repositories, worktrees and rows that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Survey {
    /// The paths of the repositories of all specs.
    pub repositories: BTreeSet<String>,
    /// The specs with a recorded worktree, each with its path.
    pub worktrees: Vec<(SpecId, String)>,
    /// The specs with a row that may not be readable, and those that a claim quarantined.
    pub doubtful: Vec<SpecId>,
}
