//! What boi tells of its state: the JSON of `boi status`, and what the terminal draws. Field names are stable.

use serde::{Deserialize, Serialize};

use super::attempt::{SpecStatus, TaskStatus};
use super::id::SpecId;
use super::outcome::{Delivery, Usage};
use super::time::Timestamp;
use super::verdict::{ReloadOutcome, Verdict, WatchMode};

/// The whole state, as far as asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// The running daemon; `None` while none runs.
    pub daemon: Option<DaemonView>,
    /// The configuration in force, or the one that would be.
    pub config: ConfigView,
    /// Places for workers.
    pub slots: SlotsView,
    /// Whether claiming is paused.
    pub paused: bool,
    /// Why nothing is spawned for an agent for now.
    pub holds: Vec<HoldView>,
    /// How many specs there are.
    pub counts: Counts,
    /// What waits or runs, then the last of what ended.
    pub specs: Vec<SpecView>,
    /// Whether `specs` was cut.
    #[serde(default)]
    pub more: bool,
    /// Whether the queue works.
    #[serde(default)]
    pub store: StoreView,
}

impl StatusView {
    /// The same with each spec's own id where its reason says what to do about "ID".
    #[must_use]
    pub fn with_ids_in_reasons(mut self) -> StatusView {
        for spec in &mut self.specs {
            if let Some(reason) = &mut spec.reason {
                *reason = reason.replace("`boi retry ID`", &format!("`boi retry {}`", spec.id));
            }
        }
        self
    }
}

/// Whether the queue works. While it does not, nothing new is started, and what runs goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreView {
    /// Whether it does.
    pub ok: bool,
    /// Why not, in words.
    pub reason: Option<String>,
    /// For how long it has not answered, when it does not.
    #[serde(default)]
    pub unanswered_seconds: Option<u64>,
}

impl Default for StoreView {
    fn default() -> StoreView {
        StoreView { ok: true, reason: None, unanswered_seconds: None }
    }
}

/// The running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonView {
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub since: Timestamp,
    /// Its version.
    pub version: String,
    /// Whether it claims only the specs of one `boi run`.
    #[serde(default)]
    pub scoped: bool,
    /// Whether it starts nothing new, and ends when what runs has finished.
    #[serde(default)]
    pub draining: bool,
    /// The file of its log; `None`: it logs to its standard error.
    #[serde(default)]
    pub log: Option<String>,
}

/// The configuration in force, and what is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigView {
    /// Its number; every swap adds one.
    pub generation: u64,
    /// What became of the last reading.
    pub outcome: ReloadOutcome,
    /// How changes of the file are noticed.
    pub watch: WatchMode,
    /// Frozen keys that differ on disk: `KEY: OLD -> NEW`.
    pub pending_restart: Vec<String>,
    /// What is wrong with the file on disk.
    pub errors: Vec<String>,
    /// What is valid and still will not work.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What the daemon's command line sets, which outranks the file: `KEY = VALUE`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Whether the daemon started on its last good configuration, because the file is bad.
    #[serde(default)]
    pub degraded: bool,
    /// The last reading; `None` while no daemon runs.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// The reading that put this generation in force.
    #[serde(default)]
    pub last_applied: Option<Verdict>,
}

impl ConfigView {
    /// What is known of the configuration while no daemon runs.
    pub fn without_daemon(outcome: ReloadOutcome, errors: Vec<String>) -> ConfigView {
        ConfigView {
            generation: 0,
            outcome,
            watch: WatchMode::None,
            pending_restart: Vec::new(),
            errors,
            warnings: Vec::new(),
            flags: Vec::new(),
            degraded: false,
            verdict: None,
            last_applied: None,
        }
    }
}

/// Places for workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotsView {
    /// How many there are.
    pub max_workers: u32,
    /// How many are taken.
    pub running: u32,
}

/// A reason why nothing is spawned for an agent for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// The agent.
    pub agent: String,
    /// Why, in words.
    pub reason: String,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
}

/// How many specs there are, by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Waiting.
    pub queued: u64,
    /// With a worker.
    pub running: u64,
    /// Completed.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Canceled.
    pub canceled: u64,
}

impl Counts {
    /// How many have not ended.
    pub fn open(&self) -> u64 {
        self.queued + self.running
    }
}

/// One spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecView {
    /// Its id.
    pub id: SpecId,
    /// What the user calls it.
    pub title: String,
    /// Where it is in its life.
    pub status: SpecStatus,
    /// Why it waits, failed or is unmerged, in words.
    pub reason: Option<String>,
    /// Lower runs first.
    pub priority: i64,
    /// The current attempt; 0 before the first.
    pub attempt: u32,
    /// The generation of the configuration that its worker was started with.
    pub config_generation: Option<u64>,
    /// The branch that holds its result, once there is one.
    pub branch: Option<String>,
    /// The repository it works on.
    pub repo: Option<String>,
    /// The commit that the branch started from.
    pub base_commit: Option<String>,
    /// Its working tree, while there is one.
    pub worktree: Option<String>,
    /// What became of its result.
    pub delivery: Option<Delivery>,
    /// When it was dispatched.
    pub queued_at: Timestamp,
    /// When its first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its tasks, in the order they are carried out.
    pub tasks: Vec<TaskView>,
    /// What its agents cost, over all attempts.
    pub usage: Usage,
    /// Refs that hold work which no branch holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// How many tries were begun.
    pub tries: u32,
    /// Its commit, if it is done and changed anything.
    pub commit: Option<String>,
    /// Each try, oldest first; only where one spec is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<TryView>,
}

/// One try of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TryView {
    /// Its number in the task.
    pub number: u32,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended, in words; `None` while it runs.
    pub outcome: Option<String>,
    /// The agent's session.
    pub session_id: Option<String>,
    /// What it cost.
    pub usage: Usage,
}
