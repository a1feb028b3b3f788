//! Checks whether the home's daemon answers and whether its queue works.

use super::{Finding, Subject, Text};

/// The state of the home's daemon.
pub(crate) enum DaemonState {
    /// No daemon runs.
    Absent,
    /// A daemon runs, and its queue works.
    Working,
    /// A daemon runs, but its queue does not work.
    QueueFailed {
        reason: String,
        /// `true`: the queue does not answer at all; `false`: it answers with an error.
        unanswered: bool,
    },
    /// A daemon runs, but it does not answer at its socket.
    Unreachable { reason: String, advice: String },
}

impl DaemonState {
    pub(crate) fn runs(&self) -> bool {
        !matches!(self, DaemonState::Absent)
    }

    /// Returns whether reading the queue would block.
    pub(super) fn blocks_queue(&self) -> bool {
        matches!(self, DaemonState::QueueFailed { unanswered: true, .. })
    }
}

pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    let text = match &subject.daemon {
        DaemonState::Absent | DaemonState::Working => return Vec::new(),
        DaemonState::QueueFailed { reason, .. } => Text {
            what: reason.clone(),
            place: subject.home.db().display().to_string(),
            why: "the daemon starts no specs until this is fixed; running commands continue".into(),
            advice: "fix the cause above; then the daemon continues by itself".into(),
        },
        DaemonState::Unreachable { reason, advice } => Text {
            what: reason.clone(),
            place: subject.home.socket().display().to_string(),
            why: "no command reaches the daemon, and it may start no specs; running commands continue".into(),
            advice: advice.clone(),
        },
    };
    vec![Finding::problem("daemon", text)]
}
