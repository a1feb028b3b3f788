//! The queue: a dozen domain verbs, each one durable transaction.
//!
//! Invariants:
//! - What a verb returns from is on disk. A verb that fails has changed nothing.
//! - A verb that carries a [`Fence`] changes nothing when that attempt is superseded, and says so.
//! - Nothing outside this folder knows SQL.

#[cfg(test)]
mod conformance;
mod pending;
mod sqlite;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::pending::Pending;
#[cfg(test)]
pub(crate) use self::sqlite::Occupied;
pub use self::sqlite::{Access, SqliteStore};
use crate::config::WorkerConfig;
use crate::decide::step::Change;
use crate::domain::attempt::{Ending, Intent, Position, SpecStatus, Step, TaskStatus};
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::view::{Counts, SpecView};

/// Which attempt a write belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The spec.
    pub spec: SpecId,
    /// The attempt.
    pub attempt: u32,
}

/// A claimed spec: everything that a worker is built from, at its first start and by a later daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Which attempt it is.
    pub fence: Fence,
    /// The spec.
    pub spec: Spec,
    /// The configuration it was claimed with.
    pub config: WorkerConfig,
    /// Where it stands.
    pub position: Position,
    /// For each task: its status and how many tries were begun.
    pub tasks: Vec<(TaskStatus, u32)>,
    /// What an operator wants of it.
    pub intent: Option<Intent>,
    /// How often in a row it could not be started, or was refused by the model's service.
    pub setbacks: u32,
    /// Whether a worker was started since it was claimed.
    pub started: bool,
    /// Where its working tree is, once it has one.
    pub worktree: Option<String>,
}

/// Where a spec's worktree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// There.
    At(String),
    /// Nowhere: it is gone.
    Gone,
}

/// A claimed spec goes back to the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct GiveBack {
    /// Where it goes on.
    pub position: Position,
    /// What goes with it.
    pub changes: Vec<Change>,
    /// Why, in words; `None`: no particular reason.
    pub reason: Option<String>,
    /// When it is eligible again; `None`: at once.
    pub not_before: Option<Timestamp>,
    /// Whether it counts as one more setback in a row.
    pub setback: bool,
}

/// A command that began, and where its attempt stood.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandRow {
    /// The attempt.
    pub attempt: u32,
    /// Its number in the attempt.
    pub number: u32,
    /// The step that it belongs to.
    pub step: Step,
}

/// What became of a wish to end a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canceled {
    /// It was queued: it is canceled.
    Now,
    /// It runs: its worker has to end first.
    Ending,
    /// It had ended before.
    EndedBefore(SpecStatus),
}

/// Which specs [`Store::specs`] lists.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only these; empty: any.
    pub ids: Vec<SpecId>,
    /// Only with this status.
    pub status: Option<SpecStatus>,
    /// Every one, rather than all that waits or runs and the last of what ended.
    pub all: bool,
    /// At most so many; 0: the usual number.
    pub limit: u32,
    /// How many to pass over first.
    pub offset: u32,
    /// With the history of each task's tries.
    pub history: bool,
}

/// Specs, and whether there are more.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Running, then queued in the order of the queue, then ended, the last first.
    pub specs: Vec<SpecView>,
    /// Whether the listing was cut.
    pub more: bool,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened.
    #[error("cannot open the queue {}: {source}", path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// What SQLite or the file system says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database is damaged.
    #[error("the queue {} is damaged ({reason}) and is left as it is: {advice}", path.display())]
    Broken {
        /// Its file.
        path: PathBuf,
        /// How it is known.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The database is gone, and something shows that there was one.
    #[error("the queue {} is gone, but there was one, as {signs} shows: {advice}", path.display())]
    Lost {
        /// Its file.
        path: PathBuf,
        /// What shows it.
        signs: String,
        /// What to do.
        advice: String,
    },
    /// The database cannot be written.
    #[error("the queue {} can only be read: make it and its folder writable (`chmod u+w`, or mount its disk for writing)", path.display())]
    ReadOnly {
        /// Its file.
        path: PathBuf,
    },
    /// The database that was opened is not at its path any more.
    #[error("the queue {} {how}", path.display())]
    Away {
        /// Its file.
        path: PathBuf,
        /// What became of it, and what to do.
        how: &'static str,
    },
    /// The home of a running daemon is not its own any more.
    #[error("{} is not this daemon's home any more: it was removed or replaced", home.display())]
    Homeless {
        /// The home.
        home: PathBuf,
    },
    /// A verb has been under way for long: the disk blocks.
    #[error(
        "the daemon answers, but its queue has not answered for {seconds} s: {}; look at the disk that it is on: the daemon \
         goes on by itself when that answers",
        path.display()
    )]
    Silent {
        /// The database's file.
        path: PathBuf,
        /// For so long.
        seconds: u64,
    },
    /// Another process writes to the database.
    #[error("the queue {} is in use by another boi process", path.display())]
    InUse {
        /// Its file.
        path: PathBuf,
    },
    /// There is no database, and reading does not make one.
    #[error("there is no queue at {} yet", path.display())]
    Missing {
        /// Its file.
        path: PathBuf,
    },
    /// The database was written by a later boi.
    #[error("the queue {} has schema version {found}, and this boi knows only {known}: use the newer boi", path.display())]
    TooNew {
        /// Its file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// The database was written by an earlier boi.
    #[error("the queue {} has schema version {found}, and this boi reads {known}", path.display())]
    TooOld {
        /// Its file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// The attempt that wanted to write is not the current one.
    #[error("attempt {} of {} is superseded", fence.attempt, fence.spec)]
    Superseded {
        /// Whose write it was.
        fence: Fence,
    },
    /// There is no such spec.
    #[error("there is no spec {0} in the queue")]
    Unknown(SpecId),
    /// The queue's rules are against it.
    #[error("{0}")]
    Refused(String),
    /// SQLite failed.
    #[error("the queue's database failed: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A row does not hold what it should.
    #[error("the queue's row of {what} is damaged: {source}")]
    Damaged {
        /// Which.
        what: String,
        /// How.
        source: serde_json::Error,
    },
    /// The writer is gone.
    #[error("the queue's writer has ended")]
    Closed,
    /// It is done, but the database cannot take it.
    #[error("{what} ended, but it could not be recorded: {reason}; {advice}")]
    Unrecorded {
        /// Which specs, in words.
        what: String,
        /// Why.
        reason: String,
        /// What to do.
        advice: String,
    },
}

impl StoreError {
    /// Whether the database failed, not the verb: it may be full, locked or broken.
    pub fn is_of_database(&self) -> bool {
        matches!(
            self,
            StoreError::Sql(_)
                | StoreError::Closed
                | StoreError::Open { .. }
                | StoreError::Away { .. }
                | StoreError::ReadOnly { .. }
        )
    }

    /// A canceled spec's processes have ended, and the database cannot take it.
    pub fn canceled_unrecorded(spec: &SpecId, reason: String) -> StoreError {
        let advice = format!("run `boi cancel {spec}` again once there is room");
        StoreError::Unrecorded { what: format!("{spec} has"), reason, advice }
    }
}

/// The queue. Calls block until they are durable; async callers put them on a blocking thread.
pub trait Store: Send + Sync {
    /// Queues `specs`, all or none, and returns their ids in the same order.
    fn enqueue(&self, specs: Vec<Spec>, now: Timestamp) -> Result<Vec<SpecId>, StoreError>;

    /// How many specs could be claimed now, counted up to `limit`. `scope`: only these and what they wait for.
    fn eligible(&self, limit: u32, scope: Option<&[SpecId]>) -> Result<u32, StoreError>;

    /// Takes up to `count` specs out of the queue, in its order: each is running, with `config`, when this returns.
    fn claim(
        &self,
        count: u32,
        scope: Option<&[SpecId]>,
        config: &WorkerConfig,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// A worker of the attempt is started: what the pace counts, over a restart too.
    fn started(&self, fence: &Fence, now: Timestamp) -> Result<(), StoreError>;

    /// Moves an attempt on.
    fn record(
        &self,
        fence: &Fence,
        position: &Position,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Puts a running spec back into the queue, to go on with the same attempt; one that is to be canceled ends instead.
    /// Refused while a command of it is awaited: that may be alive, and only a running spec's is looked after.
    fn give_back(&self, fence: &Fence, back: GiveBack, now: Timestamp) -> Result<(), StoreError>;

    /// Ends a spec, and the specs that wait for it if it did not complete. Returns those.
    fn finish(&self, fence: &Fence, ending: &Ending, now: Timestamp) -> Result<Vec<SpecId>, StoreError>;

    /// Commits the wish that a spec ends; one that is only queued is canceled at once.
    fn cancel(&self, spec: &SpecId, now: Timestamp) -> Result<Canceled, StoreError>;

    /// Commits the wish that a running attempt stops and goes on later.
    fn stop(&self, fence: &Fence) -> Result<(), StoreError>;

    /// Queues a failed, canceled or unmerged spec again, and those that failed because of it. Returns all of them.
    fn retry(&self, spec: &SpecId, now: Timestamp) -> Result<Vec<SpecId>, StoreError>;

    /// Makes specs eligible whose time has come; returns when the next one's comes.
    fn promote(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// All running attempts.
    fn running(&self) -> Result<Vec<Claimed>, StoreError>;

    /// `ids` and all they wait for, directly or not.
    fn scope(&self, ids: &[SpecId]) -> Result<Vec<SpecId>, StoreError>;

    /// When workers were started, since `since`.
    fn starts_since(&self, since: Timestamp) -> Result<Vec<Timestamp>, StoreError>;

    /// Whether claiming is paused.
    fn paused(&self) -> Result<bool, StoreError>;

    /// Pauses or resumes claiming.
    fn set_paused(&self, paused: bool) -> Result<(), StoreError>;

    /// Notes refs that hold work of an attempt which no branch holds, and where its worktree is, if that has changed.
    fn note(&self, fence: &Fence, kept: Vec<String>, worktree: Option<Place>) -> Result<(), StoreError>;

    /// Notes refs that hold work of an ended spec which no branch holds.
    fn keep(&self, spec: &SpecId, refs: Vec<String>) -> Result<(), StoreError>;

    /// Notes that an ended spec's worktree is at `path`, or (`None`) is gone.
    fn set_worktree(&self, spec: &SpecId, path: Option<String>) -> Result<(), StoreError>;

    /// Notes that a spec's branch was deleted.
    fn forget_branch(&self, spec: &SpecId) -> Result<(), StoreError>;

    /// The snapshot of a spec.
    fn spec(&self, spec: &SpecId) -> Result<Spec, StoreError>;

    /// The commands that began for a spec, oldest first.
    fn commands(&self, spec: &SpecId) -> Result<Vec<CommandRow>, StoreError>;

    /// Lists specs.
    fn specs(&self, filter: &Filter) -> Result<Listing, StoreError>;

    /// How many specs there are.
    fn counts(&self) -> Result<Counts, StoreError>;

    /// Whether the queue is still where it was opened. Costs next to nothing.
    fn look(&self) -> Result<(), StoreError>;

    /// The verbs under way, of whoever says so.
    fn pending(&self) -> &Pending;

    /// Writes something that says nothing, to learn whether writing works.
    fn probe(&self, now: Timestamp) -> Result<(), StoreError>;
}
