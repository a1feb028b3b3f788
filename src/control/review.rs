//! The calls for the review of results: drop, send back, open.

use serde::{Deserialize, Serialize};

use super::calls::{Call, Ids};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::money::Usd;

/// Asks the daemon to record that the user drops a spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DropSpec {
    /// The spec.
    pub id: SpecId,
    /// The commit of its branch; `None`: there is no branch.
    pub head: Option<String>,
}

impl Call for DropSpec {
    const PATH: &'static str = "/v1/drop";
    type Answer = DroppedSpec;
}

/// The answer to [`DropSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DroppedSpec {
    /// Whether the spec was dropped before.
    pub before: bool,
    /// The specs that failed, because they wait for the dropped one or start from its branch.
    pub failed: Vec<SpecId>,
}

/// Asks the daemon to give a dropped spec its former status back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UndoDrop {
    /// The spec.
    pub id: SpecId,
    /// The kept ref from which its branch was restored.
    pub kept: Option<String>,
}

impl Call for UndoDrop {
    const PATH: &'static str = "/v1/undo-drop";
    type Answer = RestoredSpec;
}

/// The answer to [`UndoDrop`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RestoredSpec {
    /// The status that the spec has again.
    pub status: SpecStatus,
}

/// Asks the daemon to send a spec back to its agent with a note. The answer contains all specs that were
/// queued.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SendBack {
    /// The spec.
    pub id: SpecId,
    /// The note for the agent's prompt.
    pub note: String,
    /// The new cost limit of the spec; 0: no limit. `None`: the limit does not change.
    pub max_usd: Option<Usd>,
}

impl Call for SendBack {
    const PATH: &'static str = "/v1/send-back";
    type Answer = Ids;
}

/// Asks the daemon to record the worktree that the user opened, and the commit of the branch in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Opened {
    /// The spec.
    pub id: SpecId,
    /// The path of the worktree.
    pub worktree: Option<String>,
    /// The commit of the branch.
    pub head: Option<String>,
}

impl Call for Opened {
    const PATH: &'static str = "/v1/opened";
    type Answer = ();
}
