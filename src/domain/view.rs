//! The state that boi shows: `boi status --json` prints these types as JSON, and `boi status` formats them
//! for a terminal. Field names are stable, since scripts read them.

use serde::{Deserialize, Deserializer, Serialize};

use super::admission::Deferral;
use super::cause::Cause;
use super::copied::CopiedFiles;
use super::event::Cursor;
use super::id::SpecId;
use super::life::{SpecStatus, TaskStatus};
use super::money::Usd;
use super::outcome::{Delivery, MergedBy, Usage};
use super::repository_change::RepositoryChange;
use super::time::Timestamp;
use super::verdict::{ReloadOutcome, Verdict, WatchMode};

/// The state of the daemon, its configuration and the queue, with the requested specs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// The running daemon; `None` while no daemon runs.
    pub daemon: Option<DaemonView>,
    /// The configuration in force; while no daemon runs, the state of the file on disk.
    pub config: ConfigView,
    /// The slots for workers.
    pub slots: SlotsView,
    /// Whether claiming is paused.
    pub paused: bool,
    /// Why the starts of specs are deferred: the machine has too little of something. `None`: it has enough, or
    /// nothing waits for a start.
    #[serde(default)]
    pub deferred: Option<Deferral>,
    /// The build slots.
    #[serde(default)]
    pub builds: BuildsView,
    /// The agents for which boi starts no worker for now.
    pub holds: Vec<HoldView>,
    /// The agents whose runs start more slowly than `spawns_per_tick` allows, because their model's service
    /// refused requests.
    #[serde(default)]
    pub paces: Vec<PaceView>,
    /// What the agents used in the last 24 h, and the budget for that time.
    #[serde(default)]
    pub spending: SpendingView,
    /// The hooks, with their progress.
    #[serde(default)]
    pub hooks: Vec<HookView>,
    /// The landers, and the landing queues that wait for their next lander.
    #[serde(default)]
    pub landers: Vec<LanderView>,
    /// How many specs there are, by status.
    pub counts: Counts,
    /// The requested specs; by default the running ones, then queued ones, then those that ended last.
    pub specs: Vec<SpecView>,
    /// Whether more specs match the request than `specs` contains.
    #[serde(default)]
    pub more: bool,
    /// Whether the daemon can read and write the queue.
    #[serde(default)]
    pub store: StoreView,
}

/// A hook of the configuration, and its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookView {
    /// The hook's name.
    pub name: String,
    /// The last event that the hook got, or that it does not get.
    pub cursor: Cursor,
    /// The event whose delivery failed, if the hook's next event is that one.
    pub failing: Option<FailingHookView>,
    /// When the oldest event happened that the hook has not got yet; `None`: it has got all, or no daemon runs.
    pub behind_since: Option<Timestamp>,
    /// How many events were skipped, because their delivery failed for a day.
    pub skipped: u64,
    /// How many events were removed by `retention_days` before they were delivered.
    pub overtaken: u64,
}

/// An event whose delivery to a hook failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingHookView {
    /// The event's cursor.
    pub event: Cursor,
    /// The event's kind.
    pub kind: String,
    /// When the first delivery failed.
    pub since: Timestamp,
    /// How many deliveries failed.
    pub tries: u32,
    /// When the next delivery begins.
    pub next: Timestamp,
    /// Why the last delivery failed.
    pub error: String,
}

/// What the agents used in the last 24 h, and the budget for that time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpendingView {
    /// The sum over all agents.
    pub day: Usage,
    /// The sum for each agent with a run that ended in the last 24 h.
    pub agents: Vec<AgentSpendingView>,
    /// `max_usd_per_day`; `None`: there is no limit.
    pub max_usd_per_day: Option<Usd>,
    /// When agents may start again, if the budget is used up.
    pub used_up_until: Option<Timestamp>,
}

impl SpendingView {
    /// Returns the view of what each of these agents used in the last 24 h.
    pub(crate) fn of(agents: Vec<(String, Usage)>) -> SpendingView {
        let mut day = Usage::default();
        agents.iter().for_each(|(_, usage)| day += *usage);
        let agents = agents.into_iter().map(|(agent, day)| AgentSpendingView { agent, day }).collect();
        SpendingView { day, agents, ..SpendingView::default() }
    }
}

/// What one agent used in the last 24 h.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentSpendingView {
    /// The agent's name.
    pub agent: String,
    /// What its runs used.
    pub day: Usage,
}

/// Whether the daemon can read and write the queue. While it cannot, it starts no worker, and running
/// commands continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreView {
    /// Whether the daemon can read and write the queue.
    pub ok: bool,
    /// Why the queue cannot be used, in words.
    pub reason: Option<String>,
    /// For how many seconds the queue has not answered; `None`: it answers.
    #[serde(default)]
    pub unanswered_seconds: Option<u64>,
    /// The size of the database's write-ahead log, in bytes.
    #[serde(default)]
    pub wal_bytes: u64,
}

impl Default for StoreView {
    fn default() -> StoreView {
        StoreView { ok: true, reason: None, unanswered_seconds: None, wal_bytes: 0 }
    }
}

/// The running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonView {
    /// The daemon's process id.
    pub pid: u32,
    /// When the daemon started.
    pub since: Timestamp,
    /// The daemon's version.
    pub version: String,
    /// Whether the daemon claims only the specs of one `boi run`.
    #[serde(default)]
    pub scoped: bool,
    /// Whether the daemon claims no more specs, and ends when its workers have finished.
    #[serde(default)]
    pub draining: bool,
    /// Whether the daemon is ending: it is stopping its workers, or leaves their commands running, and then
    /// ends.
    #[serde(default)]
    pub stopping: bool,
    /// Whether the daemon runs in another PID namespace than the command that shows this. Then `pid` is the
    /// daemon's pid as this command sees it, or, if it cannot see the daemon, the daemon's pid in its own
    /// namespace.
    #[serde(default)]
    pub other_pid_namespace: bool,
    /// Whether every process of the daemon's container ends with the daemon.
    #[serde(default)]
    pub ends_container: bool,
    /// The file that the daemon logs to; `None`: the daemon logs to standard error.
    #[serde(default)]
    pub log: Option<String>,
}

/// The configuration in force, and the state of the file on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigView {
    /// The number of the configuration in force; each swap adds one.
    pub generation: u64,
    /// The result of the last reload.
    pub outcome: ReloadOutcome,
    /// How the daemon notices changes of the file.
    pub watch: WatchMode,
    /// Why the daemon notices changes only by polling, in words; `None`: it does not only poll, or the reason
    /// is unknown.
    #[serde(default)]
    pub watch_reason: Option<String>,
    /// When the daemon began to access the file, if the file's file system has not answered for several
    /// seconds.
    #[serde(default)]
    pub look_pending_since: Option<Timestamp>,
    /// Changed keys that need a restart of the daemon to take effect: `KEY: OLD -> NEW`.
    pub pending_restart: Vec<String>,
    /// Why the file on disk is not valid.
    pub errors: Vec<String>,
    /// Warnings about values that are valid but will not work, such as a program that is not installed.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Values that the daemon's command line sets, as `KEY = VALUE`. They override the values in the file.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Whether the daemon started with the last good configuration, because the file on disk is not valid.
    #[serde(default)]
    pub degraded: bool,
    /// The verdict of the last reload; `None` while no daemon runs.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// The verdict of the reload that put this generation in force.
    #[serde(default)]
    pub last_applied: Option<Verdict>,
}

impl ConfigView {
    /// Returns the view while no daemon runs: it contains only the state of the file on disk.
    pub fn without_daemon(outcome: ReloadOutcome, errors: Vec<String>) -> ConfigView {
        ConfigView {
            generation: 0,
            outcome,
            watch: WatchMode::None,
            watch_reason: None,
            look_pending_since: None,
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

/// The build slots: how many `run` and verify commands run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildsView {
    /// `build_slots`: how many of these commands may run at a time; 0: there is no limit.
    pub build_slots: u32,
    /// How many run.
    pub running: u32,
    /// How many workers wait until they may run one.
    pub waiting: u32,
}

/// An agent for which boi starts no worker for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// The agent's name.
    pub agent: String,
    /// Why boi starts no worker for the agent, in words, with the next step for the user.
    pub reason: String,
    /// When the hold ends, if it was made by hand; otherwise when a probe may start. `None`: only the user
    /// ends the hold.
    pub until: Option<Timestamp>,
    /// The name of the hold's cause: `by_hand` if the user made the hold, or the kind of the refusal
    /// (`limited`, `throttled`, `overloaded`, `auth`, `needs_human` or `no_program`).
    #[serde(default)]
    pub cause: String,
    /// When the hold began.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The line of the agent's output, or another text such as an error, that shows why the agent was
    /// refused.
    #[serde(default)]
    pub evidence: String,
    /// The spec whose run is now the probe; `None`: no probe is running.
    #[serde(default)]
    pub probe: Option<SpecId>,
}

/// The pace at which runs of an agent start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaceView {
    /// The agent's name.
    pub agent: String,
    /// How many runs may start in one `tick_interval_ms`.
    pub starts_per_tick: f64,
}

/// A lander, which brings the branches of completed specs into one base of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanderView {
    /// The lander's id.
    pub id: SpecId,
    /// The path of the repository.
    pub repo: String,
    /// The name of the base, without `refs/heads/`.
    pub base: String,
    /// What the lander does now.
    pub step: LanderStep,
    /// The verify command that runs; `None` unless the step is `verifying`.
    pub verify: Option<BatchVerifyView>,
    /// The specs that are being verified or landed together, in the order of their merges.
    pub batch: Vec<SpecId>,
    /// How many specs are in the landing queue besides those of the batch.
    pub waiting: u64,
    /// When the lander may start again; `None`: at once, or the lander is running.
    pub starts_at: Option<Timestamp>,
}

/// What a lander does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LanderStep {
    /// The lander is not running: it starts again later, or with the next daemon.
    Waiting,
    /// The lander merges branches in its worktree.
    Building,
    /// A verify command of the batch runs.
    Verifying,
    /// The lander moves the base forward to the batch.
    Landing,
    /// The lander removes its worktree and ends, because nothing waits.
    Ending,
}

/// A verify command of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchVerifyView {
    /// The command.
    pub command: String,
    /// The command's number in the batch, from 1.
    pub number: usize,
    /// How many verify commands the batch has.
    pub count: usize,
}

/// How many specs there are, by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Specs that wait to be claimed.
    pub queued: u64,
    /// Specs that the daemon claimed and that have not ended.
    pub running: u64,
    /// Specs whose tasks are all done and verified.
    pub completed: u64,
    /// Specs that ended without completing.
    pub failed: u64,
    /// Specs that the user canceled.
    pub canceled: u64,
    /// Completed specs that could not be merged; they are a part of `completed`. At most 10,000 are counted.
    #[serde(default)]
    pub unmerged: u64,
    /// Specs that the user dropped.
    #[serde(default)]
    pub dropped: u64,
}

impl Counts {
    /// Returns how many specs have not ended.
    pub fn open(&self) -> u64 {
        self.queued + self.running
    }
}

/// The state of one spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecView {
    /// The spec's id.
    pub id: SpecId,
    /// The user's title.
    pub title: String,
    /// The spec's status.
    pub status: SpecStatus,
    /// Why the spec waits, failed or is unmerged, in words, with the next step for the user.
    pub reason: Option<String>,
    /// The reason as data: its `kind` and the fields of that kind.
    #[serde(default, deserialize_with = "known_cause")]
    pub cause: Option<Cause>,
    /// The priority; specs with a lower number run first.
    pub priority: i64,
    /// The agent that the spec starts next; `None`: its next command is not an agent, or the spec runs or has
    /// ended.
    #[serde(default)]
    pub next_agent: Option<String>,
    /// The current attempt; 0 before the first.
    pub attempt: u32,
    /// The generation of the configuration that was in force when the daemon claimed the current attempt.
    pub config_generation: Option<u64>,
    /// The branch that holds the spec's result; `None` until the branch exists.
    pub branch: Option<String>,
    /// The repository that the spec works on.
    pub repo: Option<String>,
    /// The commit that the branch started from.
    pub base_commit: Option<String>,
    /// The path of the spec's working tree, while it exists.
    pub worktree: Option<String>,
    /// The git process of boi that works for the spec now, if it has run for a second or longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitView>,
    /// How the spec's result was delivered.
    pub delivery: Option<Delivery>,
    /// Who merged the branch; `None` unless the delivery is `merged`.
    #[serde(default)]
    pub merged_by: Option<MergedBy>,
    /// When the spec was dispatched.
    pub queued_at: Timestamp,
    /// When the spec's first attempt started.
    pub started_at: Option<Timestamp>,
    /// When the worker of the current attempt started; `None` while the spec has no worker.
    #[serde(default)]
    pub attempt_started_at: Option<Timestamp>,
    /// When the spec ended.
    pub finished_at: Option<Timestamp>,
    /// The spec's tasks, in the order in which they are carried out.
    pub tasks: Vec<TaskView>,
    /// The resources that the spec's agents used in all attempts together.
    pub usage: Usage,
    /// The limit of the cost that `boi retry --max-usd` set; `None`: the limit of the spec or of the
    /// configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_usd: Option<Usd>,
    /// How many tries each task has in the current attempt; `None`: the spec has no attempt yet, or the daemon is of an
    /// earlier version.
    #[serde(default)]
    pub max_tries: Option<u32>,
    /// The kept refs of the spec: they save work that no branch contains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// The notes with which the user sent the spec back, oldest first; empty unless the request asks for the
    /// history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteView>,
    /// Changes of the shared part of the repository while commands of the spec ran, oldest first.
    #[serde(default)]
    pub repository_changes: Vec<RepositoryChange>,
    /// The files that boi copied into the worktree; `None`: none, or the request was not for this spec alone.
    #[serde(default)]
    pub copied: Option<CopiedFiles>,
}

/// A running git process of boi, or boi's wait for a lock of git.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitView {
    /// The command: `git add`; or the wait: `wait for the lock of "/repo/.git"`.
    pub command: String,
    /// When the process or the wait started.
    pub since: Timestamp,
}

impl SpecView {
    /// Whether the spec has ended, and no lander will change its result.
    pub fn is_settled(&self) -> bool {
        self.status.is_ended() && !self.delivery.is_some_and(Delivery::is_under_way)
    }

    /// Whether the spec has completed and its result is where the spec asks for it.
    pub fn is_as_asked(&self) -> bool {
        self.status == SpecStatus::Completed && self.is_settled() && self.delivery != Some(Delivery::Unmerged)
    }
}

/// Reads a cause. A cause of an unknown kind, such as one that a later version of boi sends, becomes `None`;
/// the field `reason` still describes it in words.
fn known_cause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cause>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// The state of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// The task's id.
    pub id: String,
    /// The title, one line for people.
    pub title: String,
    /// The task's status.
    pub status: TaskStatus,
    /// How many tries of the task have begun.
    pub tries: u32,
    /// The task's commit, if the task is done and changed anything.
    pub commit: Option<String>,
    /// Whether the task is done, gave a prompt to an agent, and changed no file.
    #[serde(default)]
    pub unchanged: bool,
    /// The resources that the agents used in all tries of the task together.
    #[serde(default)]
    pub usage: Usage,
    /// The task's tries, oldest first; empty unless the request asks for the history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<TryView>,
}

/// A note with which the user sent a spec back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteView {
    /// The attempt whose prompt contains the note.
    pub attempt: u32,
    /// The id of the task whose prompt contains the note.
    pub task: String,
    /// The text.
    pub note: String,
    /// When the user sent the spec back.
    pub at: Timestamp,
}

/// One try of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TryView {
    /// The try's number in its task.
    pub number: u32,
    /// The attempt that the try belongs to.
    pub attempt: u32,
    /// When the try began.
    pub started_at: Timestamp,
    /// When the try ended.
    pub finished_at: Option<Timestamp>,
    /// How the try ended, in words; `None` while the try runs.
    pub outcome: Option<String>,
    /// The id of the agent's session.
    pub session_id: Option<String>,
    /// The resources that the agent used during the try.
    pub usage: Usage,
    /// The line of the agent's output, or another text such as an error, that decided the outcome.
    #[serde(default)]
    pub evidence: Option<String>,
    /// The agent's last message.
    #[serde(default)]
    pub message: Option<String>,
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
        let counts =
            Counts { queued: 2, running: 3, completed: 10, failed: 20, canceled: 30, dropped: 40, unmerged: 1 };
        assert_eq!(counts.open(), 5);
    }
}
