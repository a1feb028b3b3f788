//! The errors of the queue's verbs. Each variant has the same meaning for every implementation.

use std::error::Error;
use std::fmt;

use super::Fence;
use crate::domain::id::SpecId;
use crate::domain::life::{BudgetKey, SpecStatus, UsedUp};
use crate::domain::money::Usd;

type Source = Box<dyn Error + Send + Sync>;

/// Why a verb of the queue failed.
#[derive(Debug)]
pub(crate) enum QueueError {
    /// There is no such spec.
    NotFound(SpecId),
    /// The write belongs to an attempt that is not the current one.
    Superseded(Fence),
    /// A rule of the queue forbids the change.
    Refused(Refusal),
    /// This version cannot read a record of the spec.
    Unreadable {
        /// The spec.
        spec: SpecId,
        /// Which record cannot be read, and why.
        detail: String,
    },
    /// The queue cannot be used at present: for example, the disk is full, another process has locked the
    /// database, or the database file is missing. Nothing was changed, and the same call may work later.
    Unavailable(Source),
    /// It is unknown whether the change was made, because its commit failed midway. The caller must read the
    /// queue again.
    Unknown(Source),
    /// A fault inside boi. Nothing was changed.
    Internal(Source),
}

/// A rule of the queue that forbids a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A new spec depends on a spec that ended without completing.
    DependencyEnded {
        /// The title of the new spec.
        title: String,
        /// The dependency: the spec that the new spec waits for.
        dependency: SpecId,
        /// The status with which the dependency ended.
        status: SpecStatus,
    },
    /// The spec cannot be retried: it has not ended, or it completed and was delivered as requested.
    NothingToRetry {
        /// The spec.
        spec: SpecId,
        /// Its status.
        status: SpecStatus,
    },
    /// The spec cannot be retried, since it waits to land or is being landed.
    WaitsToLand {
        /// The spec.
        spec: SpecId,
    },
    /// The spec cannot be landed, since it did not complete.
    NotCompleted {
        /// The spec.
        spec: SpecId,
        /// Its status.
        status: SpecStatus,
    },
    /// The spec cannot be landed, since it has no branch.
    NothingToLand {
        /// The spec.
        spec: SpecId,
    },
    /// The spec depends on a spec that ended without completing.
    WaitsForIncomplete {
        /// The spec.
        spec: SpecId,
        /// The dependency that ended without completing.
        blocker: SpecId,
    },
    /// A command of the spec may be running.
    CommandMayRun {
        /// The spec.
        spec: SpecId,
    },
    /// The priority of a spec cannot be changed, since the spec is not queued.
    NotQueued {
        /// The spec.
        spec: SpecId,
        /// Its status.
        status: SpecStatus,
    },
    /// The budget of the spec is used up, and a retry without a higher limit would start no agent.
    BudgetUsedUp {
        /// The spec.
        spec: SpecId,
        /// The budget that is used up.
        used_up: UsedUp,
    },
    /// The spec's agents have already cost as much as the new limit.
    LimitTooLow {
        /// The spec.
        spec: SpecId,
        /// The new limit.
        limit: Usd,
        /// The cost of its agents.
        spent: Usd,
    },
    /// The spec depends on a spec that was dropped.
    WaitsForDropped {
        /// The spec.
        spec: SpecId,
        /// The dropped spec.
        dropped: SpecId,
    },
    /// The spec is running, so it cannot be dropped.
    Runs {
        /// The spec.
        spec: SpecId,
    },
    /// A base has the branch of the spec, so it can be neither dropped nor sent back.
    Landed {
        /// The spec.
        spec: SpecId,
    },
    /// The spec is not dropped.
    NotDropped {
        /// The spec.
        spec: SpecId,
        /// Its status.
        status: SpecStatus,
    },
    /// The spec has not ended, or is dropped, so it cannot be sent back.
    CannotSendBack {
        /// The spec.
        spec: SpecId,
        /// Its status.
        status: SpecStatus,
    },
    /// The spec has no task with a prompt that could contain a note.
    NoPromptTask {
        /// The spec.
        spec: SpecId,
    },
    /// No free id was found.
    NoFreeId,
}

impl QueueError {
    /// Whether the error concerns the whole queue, and not only the failed call.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, QueueError::Unavailable(_) | QueueError::Unknown(_))
    }

    pub(super) fn internal(error: impl Into<Source>) -> QueueError {
        QueueError::Internal(error.into())
    }

    pub(super) fn unavailable(error: impl Into<Source>) -> QueueError {
        QueueError::Unavailable(error.into())
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueError::NotFound(spec) => write!(f, "there is no spec {spec} in the queue"),
            QueueError::Superseded(Fence { spec, attempt }) => {
                write!(f, "attempt {attempt} of {spec} is no longer current: the spec has ended or has a newer attempt")
            }
            QueueError::Refused(refusal) => refusal.fmt(f),
            QueueError::Unreadable { spec, detail } => write!(f, "a record of {spec} cannot be read: {detail}"),
            QueueError::Unavailable(source) => write!(f, "the queue cannot be used: {source}"),
            QueueError::Unknown(source) => {
                write!(f, "the queue failed during a change, and it is unknown whether the change was made: {source}")
            }
            QueueError::Internal(source) => write!(f, "internal fault in the queue: {source}; please report it"),
        }
    }
}

impl Error for QueueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            QueueError::Unavailable(source) | QueueError::Unknown(source) | QueueError::Internal(source) => {
                Some(source.as_ref())
            }
            _ => None,
        }
    }
}

impl From<Refusal> for QueueError {
    fn from(refusal: Refusal) -> QueueError {
        QueueError::Refused(refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::DependencyEnded { title, dependency, status } => write!(
                f,
                "`{title}` waits for {dependency}, which {} first",
                match status {
                    SpecStatus::Dropped => format!("was dropped: run `boi drop --undo {dependency}`"),
                    SpecStatus::Canceled => format!("was canceled: run `boi retry {dependency}`"),
                    _ => format!("failed: run `boi retry {dependency}`"),
                }
            ),
            Refusal::NothingToRetry { spec, status } => {
                let advice = match status {
                    SpecStatus::Completed => format!("; `boi retry {spec} --note TEXT` sends it back to its agent"),
                    SpecStatus::Dropped => format!("; `boi drop --undo {spec}` restores it"),
                    _ => String::new(),
                };
                let status = status.as_str();
                write!(f, "{spec} is {status}: only a failed, canceled or unmerged spec can be retried{advice}")
            }
            Refusal::WaitsForDropped { spec, dropped } => {
                write!(f, "{spec} waits for {dropped}, which was dropped: run `boi drop --undo {dropped}` first")
            }
            Refusal::Runs { spec } => {
                write!(f, "{spec} is running: end it with `boi cancel {spec}`, then drop it")
            }
            Refusal::Landed { spec } => write!(
                f,
                "{spec} is merged into its base: dispatch a new spec for further changes; `boi clean {spec}` removes \
                 what it left"
            ),
            Refusal::NotDropped { spec, status } => write!(f, "{spec} is {}, not dropped", status.as_str()),
            Refusal::CannotSendBack { spec, status: SpecStatus::Dropped } => {
                write!(f, "{spec} is dropped: run `boi drop --undo {spec}` first")
            }
            Refusal::CannotSendBack { spec, status } => write!(
                f,
                "{spec} is {}: only a spec that has ended or was stopped can be sent back; `boi stop {spec}` stops it",
                status.as_str()
            ),
            Refusal::NoPromptTask { spec } => {
                write!(f, "{spec} has no task with a prompt, so no agent can read the note; retry it without --note")
            }
            Refusal::WaitsToLand { spec } => {
                write!(f, "{spec} waits to land: `boi wait {spec}` waits until it is merged or stays unmerged")
            }
            Refusal::NotCompleted { spec, status } if status.is_ended() => write!(
                f,
                "{spec} is {}, so it is not merged: run `boi retry {spec}`, or merge its unfinished branch with `boi merge \
                 --force {spec}`",
                status.as_str()
            ),
            Refusal::NotCompleted { spec, status } => {
                write!(f, "{spec} is {}: only a spec that has completed can be merged", status.as_str())
            }
            Refusal::NothingToLand { spec } => write!(f, "{spec} has no branch that could be merged"),
            Refusal::WaitsForIncomplete { spec, blocker } => {
                write!(
                    f,
                    "{spec} waits for {blocker}, which has not completed: `boi retry {blocker}` queues both again"
                )
            }
            Refusal::CommandMayRun { spec } => {
                write!(f, "{spec} cannot be queued again while one of its commands may be running")
            }
            Refusal::NotQueued { spec, status } => {
                write!(f, "{spec} is {}: only a queued spec has a priority that can be changed", status.as_str())
            }
            Refusal::BudgetUsedUp { spec, used_up } => {
                let more = match used_up.key {
                    BudgetKey::MaxUsd => "",
                    BudgetKey::MaxUsdPerSpec => ", or raise `max_usd_per_spec` in config.toml",
                };
                write!(
                    f,
                    "{spec} stays blocked: {used_up}; set a higher limit with `boi retry {spec} --max-usd N`{more}"
                )
            }
            Refusal::LimitTooLow { spec, limit, spent } => {
                write!(
                    f,
                    "the agents of {spec} have cost {spent} already, so a limit of {limit} is too low; give a higher limit"
                )
            }
            Refusal::NoFreeId => f.write_str("no free id was found for the spec: the queue has too many specs"),
        }
    }
}
