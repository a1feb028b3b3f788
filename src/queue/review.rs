//! The verbs with which the user decides about the results of specs: rejects them, sends them back, opens
//! them; and those that find the spec that an argument names.

use super::QueueError;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;
use crate::domain::view::NoteView;

/// The verbs of the queue for the review of results. They have the invariants of [`super::Queue`].
pub(crate) trait Review {
    /// Returns the ids that begin with `prefix`, which is in upper case: at most `limit`, in alphabetical
    /// order.
    fn ids_with_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<SpecId>, QueueError>;

    /// Returns the specs that were dispatched last: at most `limit`, the last one first.
    fn last_dispatched(&self, limit: u32) -> Result<Vec<SpecId>, QueueError>;

    /// Drops a spec that is queued or has ended, and fails the specs that wait for it or will start from its
    /// branch. `head` is the commit of its branch, if the branch exists. If the spec is dropped already, only
    /// records `head`.
    fn drop_spec(&self, spec: &SpecId, head: Option<String>, now: Timestamp) -> Result<Dropped, QueueError>;

    /// Returns what the queue recorded when it dropped a spec; `None`: the spec is not dropped.
    fn drop_record(&self, spec: &SpecId) -> Result<Option<DropRecord>, QueueError>;

    /// Gives a dropped spec its former status back, and returns this status. `kept` is the kept ref from
    /// which its branch was restored.
    fn undo_drop(&self, spec: &SpecId, kept: Option<String>, now: Timestamp) -> Result<SpecStatus, QueueError>;

    /// Queues a spec again that has ended and whose branch no base has, also a completed one: a new attempt
    /// tries a prompt task with `note` in its prompt. Continues a blocked spec with `note` in the same
    /// attempt. Adds `note` to an earlier note that no attempt has begun with. Otherwise like
    /// [`super::Queue::retry`].
    fn send_back(
        &self,
        spec: &SpecId,
        note: &str,
        max_usd: Option<Usd>,
        now: Timestamp,
    ) -> Result<Vec<SpecId>, QueueError>;

    /// Returns the notes with which the user sent a spec back, oldest first.
    fn notes(&self, spec: &SpecId) -> Result<Vec<NoteView>, QueueError>;

    /// Returns the last commit of a spec's branch that the queue knows.
    fn recorded_head(&self, spec: &SpecId) -> Result<Option<String>, QueueError>;

    /// Records the worktree that the user opened, and the commit of the branch in it. Changes nothing unless
    /// the spec completed, failed or was canceled.
    fn record_opened(&self, spec: &SpecId, worktree: Option<String>, head: Option<String>) -> Result<(), QueueError>;
}

/// The effect of dropping a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Whether the spec was dropped before.
    pub before: bool,
    /// The specs that failed, because they wait for the spec or start from its branch.
    pub failed: Vec<SpecId>,
}

/// What the queue recorded when it dropped a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DropRecord {
    /// The status that the spec gets back.
    pub status: SpecStatus,
    /// The commit of its branch; `None`: there was no branch.
    pub head: Option<String>,
}

/// A note with which the user sent a spec back, for the prompt of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskNote {
    /// The task's index.
    pub task: usize,
    /// The text.
    pub text: String,
}
