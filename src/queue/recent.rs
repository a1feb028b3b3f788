//! The specs that ended in a time, for `boi report`.

use crate::domain::id::SpecId;

/// The specs that ended in a time, and those that wait for the user now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recent {
    /// The specs that ended, the last one first.
    pub ended: Vec<SpecId>,
    /// Whether more specs ended in that time.
    pub more: bool,
    /// The first of the queued specs that are blocked or quarantined.
    pub blocked: Vec<SpecId>,
    /// How many completed specs have a branch with changes that is not recorded as merged, whenever they ended. At most
    /// [`MOST_COUNTED`] branches are looked at.
    pub unlanded: u64,
}

/// The largest number of unmerged branches that are counted.
pub(crate) const MOST_COUNTED: u64 = 10_000;
