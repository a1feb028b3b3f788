//! The state that boi shows: `boi status --json` prints these types, and the terminal's reports are made from them.
//! Field names are stable, since scripts read them.

use serde::{Deserialize, Deserializer, Serialize};

use super::cause::Cause;
use super::id::SpecId;
use super::life::{SpecStatus, TaskStatus};
use super::outcome::{Delivery, Usage};
use super::time::Timestamp;
use super::verdict::{ReloadOutcome, Verdict, WatchMode};

/// The state of the daemon, its configuration and the queue, with the requested specs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// The running daemon; `None` while none runs.
    pub daemon: Option<DaemonView>,
    /// The configuration in force; while no daemon runs, the state of the file on disk.
    pub config: ConfigView,
    /// The slots for workers.
    pub slots: SlotsView,
    /// Whether claiming is paused.
    pub paused: bool,
    /// The agents for which no worker is started for now.
    pub holds: Vec<HoldView>,
    /// How many specs there are, by status.
    pub counts: Counts,
    /// The requested specs; by default the running ones, then queued ones, then those that ended last.
    pub specs: Vec<SpecView>,
    /// Whether there are more specs than `specs` holds.
    #[serde(default)]
    pub more: bool,
    /// Whether the queue can be used.
    #[serde(default)]
    pub store: StoreView,
}

/// Whether the queue can be used. While it cannot, no worker is started, and running commands continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreView {
    /// Whether the queue can be used.
    pub ok: bool,
    /// Why the queue cannot be used, in words.
    pub reason: Option<String>,
    /// How long the queue has not answered, if that is the reason.
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
    /// Whether it claims no more specs, and ends when its workers have finished.
    #[serde(default)]
    pub draining: bool,
    /// The file that it logs to; `None`: it logs to standard error.
    #[serde(default)]
    pub log: Option<String>,
}

/// The configuration in force, and what is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigView {
    /// The number of the configuration in force; each swap adds one.
    pub generation: u64,
    /// The result of the last reload.
    pub outcome: ReloadOutcome,
    /// How changes of the file are noticed.
    pub watch: WatchMode,
    /// Frozen keys that differ on disk: `KEY: OLD -> NEW`.
    pub pending_restart: Vec<String>,
    /// Why the file on disk is not valid.
    pub errors: Vec<String>,
    /// Values that are valid and will not work, such as a program that is not installed.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Values that the daemon's command line sets; they override the file: `KEY = VALUE`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Whether the daemon started with the last good configuration, because the file on disk is not valid.
    #[serde(default)]
    pub degraded: bool,
    /// The verdict on the last reload; `None` while no daemon runs.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// The verdict on the reload that put this generation in force.
    #[serde(default)]
    pub last_applied: Option<Verdict>,
}

impl ConfigView {
    /// The configuration while no daemon runs: only the state of the file on disk is known.
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

/// The slots for workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotsView {
    /// How many slots there are.
    pub max_workers: u32,
    /// How many slots are taken.
    pub running: u32,
}

/// An agent for which no worker is started for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// The agent.
    pub agent: String,
    /// Why, in words.
    pub reason: String,
    /// When the hold ends, if that is known.
    pub until: Option<Timestamp>,
}

/// How many specs there are, by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Specs that wait to be claimed.
    pub queued: u64,
    /// Specs that are claimed and have not ended.
    pub running: u64,
    /// Specs whose tasks are all done and verified.
    pub completed: u64,
    /// Specs that ended without completing.
    pub failed: u64,
    /// Specs that the user canceled.
    pub canceled: u64,
}

impl Counts {
    /// How many specs have not ended.
    pub fn open(&self) -> u64 {
        self.queued + self.running
    }
}

/// One spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecView {
    /// Its id.
    pub id: SpecId,
    /// The user's title.
    pub title: String,
    /// Its status.
    pub status: SpecStatus,
    /// Why it waits, failed or is unmerged, in words, with what to do next.
    pub reason: Option<String>,
    /// The same reason as data: its `kind` and the fields of that kind.
    #[serde(default, deserialize_with = "known_cause")]
    pub cause: Option<Cause>,
    /// Lower runs first.
    pub priority: i64,
    /// The current attempt; 0 before the first.
    pub attempt: u32,
    /// The generation of the configuration that its current attempt was claimed with.
    pub config_generation: Option<u64>,
    /// The branch that holds its result, once there is one.
    pub branch: Option<String>,
    /// The repository it works on.
    pub repo: Option<String>,
    /// The commit that the branch started from.
    pub base_commit: Option<String>,
    /// The path of its working tree, while there is one.
    pub worktree: Option<String>,
    /// How its result was delivered.
    pub delivery: Option<Delivery>,
    /// When it was dispatched.
    pub queued_at: Timestamp,
    /// When its first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its tasks, in the order they are carried out.
    pub tasks: Vec<TaskView>,
    /// What its agents used, over all attempts.
    pub usage: Usage,
    /// Refs that keep work which no branch contains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
}

/// Reads a cause. A cause of an unknown kind, such as one that a later version sends, becomes `None`: `reason` has its
/// words.
fn known_cause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cause>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// Its status.
    pub status: TaskStatus,
    /// How many tries were begun.
    pub tries: u32,
    /// Its commit, if it is done and changed anything.
    pub commit: Option<String>,
    /// Its tries, oldest first; empty unless the request asks for the history.
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
    /// The id of the agent's session.
    pub session_id: Option<String>,
    /// What its agent used.
    pub usage: Usage,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cause_of_an_unknown_kind_is_left_out() {
        let read = |cause| {
            let mut spec = json!({
                "id": "S0001", "title": "t", "status": "queued", "reason": "words", "priority": 1, "attempt": 0,
                "config_generation": null, "branch": null, "repo": null, "base_commit": null, "worktree": null,
                "delivery": null, "queued_at": "2026-01-01T00:00:00Z", "started_at": null, "finished_at": null,
                "tasks": [], "usage": Usage::default(), "kept": [],
            });
            spec["cause"] = cause;
            serde_json::from_value::<SpecView>(spec).unwrap()
        };
        assert_eq!(read(json!({"kind": "of_a_later_version", "more": 1})).cause, None);
        assert_eq!(read(json!({"kind": "ending"})).cause, Some(Cause::Ending));
        assert_eq!(read(json!(null)).reason.as_deref(), Some("words"));
    }

    #[test]
    fn specs_that_wait_or_run_are_open() {
        let counts = Counts { queued: 2, running: 3, completed: 10, failed: 20, canceled: 30 };
        assert_eq!(counts.open(), 5);
    }
}
