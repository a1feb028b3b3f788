//! Landing queues and their landers.

use super::QueueError;
use crate::domain::view::LanderView;

/// A landing queue: the completed specs that wait to be landed on one base of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The git directory of the repository.
    pub repository: String,
    /// The full name of the base's ref.
    pub base: String,
}

/// The verbs that read landers.
pub(crate) trait Landers {
    /// Returns the landers of all landing queues, in the order of their ids. The record of a lander that cannot
    /// be read counts as `Building`, without a batch.
    fn landers(&self) -> Result<Vec<LanderView>, QueueError>;
}
