//! The verbs about repositories' own configurations: which commands the user trusts, and which specs a repository's
//! configuration blocks.

use serde::{Deserialize, Serialize};

use super::QueueError;
use crate::domain::id::SpecId;
use crate::domain::repository_block::ConfigPlace;
use crate::domain::time::Timestamp;

/// The verbs of the queue for repositories' own configurations. They have the invariants of [`super::Queue`].
pub(crate) trait Repositories {
    /// Records that the user trusts these commands in this repository, and ends the block of each spec that waits for it.
    /// Returns these specs.
    fn trust(&self, trusted: &Trusted) -> Result<Vec<SpecId>, QueueError>;

    /// Returns what the user trusts in a repository, or in all repositories: the latest first.
    fn trusted(&self, repository: Option<&str>) -> Result<Vec<Trusted>, QueueError>;

    /// Forgets what the user trusts in a repository. Returns how many records there were.
    fn revoke_trust(&self, repository: &str) -> Result<usize, QueueError>;

    /// Returns where the configurations were read that block queued specs, each place once.
    fn blocking_configs(&self) -> Result<Vec<ConfigPlace>, QueueError>;

    /// Returns whether a spec has its worktree at this path, which is one of the fixed paths of worktrees that keep folders
    /// for the next one.
    fn has_worktree(&self, path: &str) -> Result<bool, QueueError>;

    /// Ends blocks by repositories' configurations. Returns the specs.
    fn end_repository_blocks(&self, which: &EndBlocks) -> Result<Vec<SpecId>, QueueError>;
}

/// Commands of a repository's configuration that the user trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trusted {
    /// The git directory that all working trees of the repository share.
    pub repository: String,
    /// The hash of the commands.
    pub hash: String,
    /// The commands, one setting in a line.
    pub commands: String,
    /// When the user trusted them.
    pub at: Timestamp,
}

impl Trusted {
    /// Returns the record of trust in these commands.
    pub(crate) fn new(repository: &str, commands: &str, at: Timestamp) -> Trusted {
        Trusted { repository: repository.to_owned(), hash: hash(commands), commands: commands.to_owned(), at }
    }
}

/// Returns the hash of the commands of a configuration.
pub(crate) fn hash(commands: &str) -> String {
    blake3::hash(commands.as_bytes()).to_hex().to_string()
}

/// Which blocks end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndBlocks {
    /// The blocks by the configuration that was read at this place: the base has moved.
    ReadAt(ConfigPlace),
    /// The block of the first spec, in queue order, that waits for another spec of this repository to end.
    FirstWaitingIn(String),
    /// The blocks of all specs that wait for other specs of their repositories to end.
    AllWaiting,
}
