//! Landing queues.

/// A landing queue: the completed specs that wait to be landed on one base of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The git directory of the repository.
    pub repository: String,
    /// The full name of the base's ref.
    pub base: String,
}
