//! The life of a spec: the statuses of specs and of their tasks, and what `boi cancel` and `boi retry` do in
//! each status.
//!
//! ```text
//!                 claim                    finish
//! dispatch ─▶ queued ─────▶ running ─────────────▶ completed, failed or canceled
//!              ▲ ▲  │          │                            │
//!              │ └──┼──────────┘ give back                  │
//!              │    └───── cancel ──▶ canceled              │
//!              └────────────────────────────────────────────┘ retry (except a spec that was delivered as it asks)
//! ```
//!
//! - A claim takes only **eligible** specs: queued specs that are not blocked, that wait neither for other
//!   specs nor for a time, and whose records can be read.
//! - `boi stop` blocks a queued spec; a running one is given back to the queue and blocked. `boi retry` ends
//!   the block.
//! - A spec whose budget is used up is blocked before its next agent starts. A higher limit ends the block.
//! - boi cancels a running spec in two steps: it records the intent, then the spec's worker ends the attempt.
//! - If a spec ends without completing, every spec that waits for it fails.
//! - `boi drop` rejects a spec that is queued or has ended and that no base has. `boi drop --undo` gives the
//!   spec its
//!   former status back; a spec that was queued becomes canceled.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::money::Usd;
use super::repository_block::RepositoryBlock;

/// The status of a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecStatus {
    /// The spec waits for a slot, for other specs or for a time.
    Queued,
    /// A worker carries out an attempt of the spec.
    Running,
    /// Every task of the spec is done and verified.
    Completed,
    /// The spec ended without completing; `boi retry` queues it again.
    Failed,
    /// The user canceled the spec; `boi retry` queues it again.
    Canceled,
    /// The user rejected the spec; `boi drop --undo` gives it its former status back.
    Dropped,
}

impl SpecStatus {
    /// All statuses, in the order of a spec's life.
    pub const ALL: [SpecStatus; 6] = [
        SpecStatus::Queued,
        SpecStatus::Running,
        SpecStatus::Completed,
        SpecStatus::Failed,
        SpecStatus::Canceled,
        SpecStatus::Dropped,
    ];

    /// Returns the name of the status in the database, in JSON and in text.
    pub fn as_str(self) -> &'static str {
        match self {
            SpecStatus::Queued => "queued",
            SpecStatus::Running => "running",
            SpecStatus::Completed => "completed",
            SpecStatus::Failed => "failed",
            SpecStatus::Canceled => "canceled",
            SpecStatus::Dropped => "dropped",
        }
    }

    /// Returns the status with this name; `None` if the name is unknown.
    pub fn from_name(name: &str) -> Option<SpecStatus> {
        SpecStatus::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Returns whether the spec has ended. Only a request of the user changes a spec that has ended.
    pub fn is_ended(self) -> bool {
        !matches!(self, SpecStatus::Queued | SpecStatus::Running)
    }

    /// Returns what `boi stop` does to a spec in this status.
    pub fn on_stop(self) -> OnStop {
        match self {
            SpecStatus::Queued => OnStop::BlockNow,
            SpecStatus::Running => OnStop::RecordIntent,
            SpecStatus::Completed | SpecStatus::Failed | SpecStatus::Canceled | SpecStatus::Dropped => OnStop::Nothing,
        }
    }

    /// Returns what `boi cancel` does to a spec in this status.
    pub fn on_cancel(self) -> OnCancel {
        match self {
            SpecStatus::Queued => OnCancel::CancelNow,
            SpecStatus::Running => OnCancel::RecordIntent,
            SpecStatus::Completed | SpecStatus::Failed | SpecStatus::Canceled | SpecStatus::Dropped => {
                OnCancel::Nothing
            }
        }
    }

    /// Returns whether `boi retry` queues a spec in this status again. `delivered` says whether the spec's
    /// result was delivered as its `deliver` field requests.
    pub fn is_retryable(self, delivered: bool) -> bool {
        match self {
            SpecStatus::Queued | SpecStatus::Running | SpecStatus::Dropped => false,
            SpecStatus::Completed => !delivered,
            SpecStatus::Failed | SpecStatus::Canceled => true,
        }
    }
}

/// What a request to cancel does to a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCancel {
    /// The queue cancels the spec at once, since the spec has no worker.
    CancelNow,
    /// The queue records the intent to cancel; the spec becomes canceled when its worker has ended the
    /// attempt.
    RecordIntent,
    /// The request changes nothing: the spec has already ended.
    Nothing,
}

/// The effect of a request to stop a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// The spec is blocked at once, since it has no worker.
    BlockNow,
    /// The intent is recorded; the spec is blocked when its worker has ended the command.
    RecordIntent,
    /// Nothing happens: the spec has already ended.
    Nothing,
}

/// The status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// The task has not begun.
    Pending,
    /// The task's current try is running or being verified.
    Running,
    /// The task is verified, and committed if it changed anything.
    Done,
    /// The task has failed, and therefore its spec too.
    Failed,
    /// The task is not done, and its spec has ended.
    Skipped,
}

impl TaskStatus {
    /// All statuses, in the order of a task's life.
    pub const ALL: [TaskStatus; 5] =
        [TaskStatus::Pending, TaskStatus::Running, TaskStatus::Done, TaskStatus::Failed, TaskStatus::Skipped];

    /// Returns the name of the status in the database, in JSON and in text.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Pending => "pending",
            TaskStatus::Running => "running",
            TaskStatus::Done => "done",
            TaskStatus::Failed => "failed",
            TaskStatus::Skipped => "skipped",
        }
    }

    /// Returns the status with this name; `None` if the name is unknown.
    pub fn from_name(name: &str) -> Option<TaskStatus> {
        TaskStatus::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What the user requested for a running attempt. boi records the intent before it sends a signal to any
/// process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Intent {
    /// End the attempt's command, and cancel the spec.
    Cancel,
    /// End the attempt's command, and queue the spec again, to resume at the same step.
    Stop,
    /// End the attempt's command, and block the spec until the user retries it: it then resumes at the same
    /// step.
    Block,
}

/// Why a queued spec is blocked: no daemon claims the spec until the block ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// The user stopped the spec; `boi retry` ends the block.
    Stopped,
    /// The spec's budget is used up. A higher limit ends the block.
    Budget(UsedUp),
    /// The configuration of the spec's repository holds the spec back.
    Repository(Box<RepositoryBlock>),
}

/// The budget of a spec that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedUp {
    /// The key that sets the limit.
    pub key: BudgetKey,
    /// What the spec's agents have cost so far.
    pub spent: Usd,
    /// The limit.
    pub limit: Usd,
}

/// What sets the limit of a spec's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetKey {
    /// `max_usd` in the spec, or `boi retry --max-usd`.
    MaxUsd,
    /// `max_usd_per_spec` in the configuration.
    MaxUsdPerSpec,
}

impl BudgetKey {
    /// Returns the name of the key, in the database and in text.
    pub fn as_str(self) -> &'static str {
        match self {
            BudgetKey::MaxUsd => "max_usd",
            BudgetKey::MaxUsdPerSpec => "max_usd_per_spec",
        }
    }
}

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UsedUp { key, spent, limit } = self;
        write!(f, "the spec's budget is used up: its agents cost {spent}, and `{}` is {limit}", key.as_str())
    }
}

impl Block {
    /// Returns the name of the block in the database.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Block::Stopped => "stopped",
            Block::Budget(_) => "budget",
            Block::Repository(block) => block.name(),
        }
    }
}

impl Intent {
    const ALL: [Intent; 3] = [Intent::Cancel, Intent::Stop, Intent::Block];

    /// Returns the name of the intent in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Intent::Cancel => "cancel",
            Intent::Stop => "stop",
            Intent::Block => "block",
        }
    }

    /// Returns the intent with this name; `None` if the name is unknown.
    pub(crate) fn from_name(name: &str) -> Option<Intent> {
        Intent::ALL.into_iter().find(|intent| intent.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_unknown_names_are_refused() {
        for status in SpecStatus::ALL {
            assert_eq!(SpecStatus::from_name(status.as_str()), Some(status));
        }
        for status in TaskStatus::ALL {
            assert_eq!(TaskStatus::from_name(status.as_str()), Some(status));
        }
        for intent in Intent::ALL {
            assert_eq!(Intent::from_name(intent.as_str()), Some(intent));
        }
        assert_eq!(
            (SpecStatus::from_name("rejected"), TaskStatus::from_name(""), Intent::from_name("x")),
            (None, None, None)
        );
    }

    #[test]
    fn cancel_and_retry_in_each_status() {
        use SpecStatus::{Canceled, Completed, Dropped, Failed, Queued, Running};
        let table = [
            (Queued, OnCancel::CancelNow, [false, false]),
            (Running, OnCancel::RecordIntent, [false, false]),
            (Completed, OnCancel::Nothing, [true, false]),
            (Failed, OnCancel::Nothing, [true, true]),
            (Canceled, OnCancel::Nothing, [true, true]),
            (Dropped, OnCancel::Nothing, [false, false]),
        ];
        for (status, on_cancel, [undelivered, delivered]) in table {
            assert_eq!(status.on_cancel(), on_cancel, "{status:?}");
            assert_eq!(status.is_ended(), on_cancel == OnCancel::Nothing, "{status:?}");
            assert_eq!(status.is_retryable(false), undelivered, "{status:?}");
            assert_eq!(status.is_retryable(true), delivered, "{status:?}");
        }
    }
}
