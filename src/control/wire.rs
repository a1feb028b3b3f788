//! What goes over the socket.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::domain::view::StatusView;
use crate::queue::{Canceled, Filter};

/// Who asks for something gives up a daemon that has not answered anything for so long, or whose queue has not.
pub const GIVE_UP: Duration = Duration::from_secs(30);

/// Queue these, all or none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dispatch {
    /// The specs.
    pub specs: Vec<Spec>,
}

/// One or more specs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ids {
    /// Their ids.
    pub ids: Vec<SpecId>,
}

/// Tell the state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ask {
    /// Of which specs.
    pub filter: Filter,
    /// Not before it is newer than this.
    pub newer_than: Option<u64>,
}

/// The state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    /// Its revision.
    pub revision: u64,
    /// The state.
    pub status: StatusView,
}

/// What became of a cancel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CancelResult {
    /// The spec.
    pub id: SpecId,
    /// What became of it.
    pub outcome: Canceled,
}

/// Pause or resume claiming.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Pause {
    /// Which.
    pub paused: bool,
}

/// Note what a clean has put away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cleaned {
    /// The spec.
    pub id: SpecId,
    /// Refs that hold work which no branch holds.
    pub kept: Vec<String>,
    /// Whether its worktree is gone.
    pub worktree: bool,
    /// Whether its branch is gone.
    pub branch: bool,
}

/// It was not done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    /// Why, in words.
    pub error: String,
    /// Whose fault it is.
    #[serde(default)]
    pub code: RefusalCode,
}

/// Whose fault it is that something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// There is no such spec.
    Unknown,
    /// The queue's rules are against it.
    Refused,
    /// The queue does not answer.
    Silent,
    /// The daemon could not.
    #[default]
    Internal,
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Its number.
    pub generation: u64,
    /// Each key's value, as `config.toml` writes it.
    pub values: BTreeMap<String, String>,
    /// What the daemon's command line sets: `KEY = VALUE`.
    #[serde(default)]
    pub flags: Vec<String>,
}

/// The daemon is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leave {
    /// Its workers are stopped first, and their specs queued again.
    Stop,
    /// What runs finishes first.
    Drain,
}
