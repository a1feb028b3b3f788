//! The errors of the daemon's loop, and of calls to the daemon.

use std::path::PathBuf;
use std::time::Duration;

use crate::control::calls::{CallFailure, FailureCode};
use crate::domain::id::SpecId;
use crate::queue::QueueError;

/// Why the loop failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoopError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The daemon's home was removed or replaced.
    #[error("{} is no longer this daemon's home: it was removed or replaced", home.display())]
    HomeGone {
        /// The path of the home.
        home: PathBuf,
    },
    /// The queue could not record the results of some specs while the daemon was leaving.
    #[error(
        "the queue could not record the result of {}: {reason}; the next daemon resumes each spec from its last record",
        list(specs)
    )]
    Unrecorded {
        /// The specs whose results are not recorded.
        specs: Vec<SpecId>,
        /// Why the queue could not record the results.
        reason: String,
    },
    /// The loop panicked.
    #[error("internal fault: the daemon's loop panicked; please report it")]
    Panicked,
}

/// Why a call to the daemon failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The queue has not answered any request of the daemon for `silent_for`.
    #[error(
        "the daemon answers, but its queue has not answered for {} s: {place}; check the disk that holds the queue: the \
         daemon continues by itself when the queue answers", silent_for.as_secs()
    )]
    QueueSilent {
        /// The path of the queue.
        place: String,
        /// How long the queue has not answered.
        silent_for: Duration,
    },
    /// The processes of a canceled spec have ended, and the queue could not record their end.
    #[error(
        "the processes of {spec} have ended, but the queue could not record the cancel: {reason}; run `boi cancel {spec}` \
         again when the queue can be written"
    )]
    CanceledUnrecorded {
        /// The canceled spec.
        spec: SpecId,
        /// Why the queue could not record the results.
        reason: String,
    },
    /// The task that carried out the call panicked.
    #[error("internal fault: the daemon panicked while it carried out the call; please report it")]
    Panicked,
}

impl From<CallError> for CallFailure {
    fn from(error: CallError) -> CallFailure {
        let code = match &error {
            CallError::Queue(QueueError::NotFound(_)) => FailureCode::Unknown,
            CallError::Queue(QueueError::Refused(_)) => FailureCode::Refused,
            CallError::QueueSilent { .. } => FailureCode::Silent,
            _ => FailureCode::Internal,
        };
        CallFailure { error: error.to_string(), code }
    }
}

fn list(specs: &[SpecId]) -> String {
    specs.iter().map(SpecId::as_str).collect::<Vec<_>>().join(", ")
}
