//! Causes: typed reasons why a spec waits, failed or is unmerged. The queue stores causes as data. boi turns
//! a cause into words only to show it: `Display` writes the cause, and `decide::reason` adds what the user
//! can do next.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::admission::{self, Shortage};
use super::delivery::MergeRefusal;
use super::failure::Failure;
use super::id::SpecId;
use super::landing::SentBack;
use super::life::{Block, SpecStatus};
use super::money::Usd;
use super::outcome::TryOutcome;
use super::repository_change::RepositoryChange;
use super::text;
use super::time::Timestamp;

/// The longest text of a setup command that a cause contains, in characters.
const COMMAND: usize = 80;

/// An agent's own attempt to repeat a request that its model's service did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRetry {
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The number of the last attempt that the agent makes.
    pub of: u32,
}

/// Why a spec is in its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// Queued: the spec waits for other specs.
    WaitsFor {
        /// The first few of the specs that have to complete, or to be merged, before this spec can start.
        specs: Vec<Awaited>,
    },
    /// Queued: the daemon was stopped while the spec was running.
    Stopped,
    /// Queued: the model's service refused the agent's request, such as because of a usage limit.
    Refused {
        /// The outcome of the refused try.
        outcome: TryOutcome,
        /// When boi may repeat the try; `None`: as soon as a slot is free.
        until: Option<Timestamp>,
    },
    /// Queued: a command died, and boi runs it again after a wait.
    CommandDied {
        /// How the command died.
        failure: Failure,
        /// How many times in a row commands of the attempt have died.
        deaths: u32,
        /// When boi may run the command again.
        until: Timestamp,
    },
    /// Queued: a command could not be started, and nothing was executed.
    CommandNotStarted {
        /// Why the command could not be started.
        detail: String,
    },
    /// Queued: the worker could not be started.
    WorkerNotStarted {
        /// Why the worker could not be started.
        detail: String,
    },
    /// Queued or running: the worker failed.
    WorkerFailed {
        /// Why the worker failed.
        detail: String,
        /// When the worker of a running spec is restarted; `None`: the spec is back in the queue.
        until: Option<Timestamp>,
    },
    /// Queued or running: this version of boi cannot read a stored record. Nothing is done with the spec
    /// until a version that can read the record runs, or the user cancels the spec.
    Quarantined {
        /// Which record cannot be read, and why.
        detail: String,
    },
    /// Running: the user requested to cancel or stop the spec, and its worker is ending the command.
    Ending,
    /// Running: a try of a task failed, and the next one starts after a pause.
    NextTry {
        /// The task's id.
        task: String,
        /// The failure of the last try.
        failure: Failure,
        /// How many tries of the attempt have failed.
        failed: u32,
        /// How many tries the attempt may make.
        tries: u32,
        /// When the next try starts.
        until: Timestamp,
    },
    /// Running: a setup command failed, and is run again after a pause.
    NextSetup {
        /// The text of the command.
        command: String,
        /// How many runs of the command have failed.
        failed: u32,
        /// How many runs the command may have.
        runs: u32,
        /// When the next run starts.
        until: Timestamp,
    },
    /// Running: the worker waits for its turn to start its agent, because runs of the agent start at a
    /// limited pace.
    WaitsForStart {
        /// The agent's name.
        agent: String,
    },
    /// Running: the worker waits until it may run its next command, because `build_slots` commands run.
    WaitsForBuildSlot {
        /// How many other workers get a build slot before this one.
        before: u32,
    },
    /// Queued: the start is deferred, because the machine has too little of something.
    Deferred {
        /// What the machine has too little of.
        by: Vec<Shortage>,
    },
    /// Queued: the spec is blocked until the user acts.
    Blocked {
        /// What blocks the spec.
        by: Block,
    },
    /// Queued: the budget of all agents for 24 h is used up.
    DayBudget(DayUsedUp),
    /// Running: the agent's requests to its model's service fail, and the agent repeats them by itself.
    ApiErrors {
        /// How many requests failed since the model's last answer.
        errors: u32,
        /// The last failure.
        last: String,
        /// The agent's next attempt to repeat the request, if the agent reports it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry: Option<ApiRetry>,
        /// When the first of these failures was seen.
        since: Timestamp,
    },
    /// Failed: every try of a task that `retry_count` allows has failed.
    OutOfTries {
        /// The task's id.
        task: String,
        /// The last failure.
        failure: Failure,
        /// How many tries of the task the attempt made.
        tries: u32,
    },
    /// Failed: a setup command failed in every run that `retry_count` allows.
    Setup {
        /// The last failure.
        failure: Failure,
    },
    /// Failed: a verify command of a task died more than `retry_count` times in a row.
    RepeatedDeaths {
        /// The task's id.
        task: String,
        /// The last failure.
        failure: Failure,
        /// How many times in a row commands of the attempt died.
        deaths: u32,
    },
    /// Failed: a task's try ended with an outcome that another try would repeat, such as a refused login.
    TryFailed {
        /// The task's id.
        task: String,
        /// How the try ended.
        outcome: TryOutcome,
        /// The agent's name; `None`: the try was a `run` command.
        agent: Option<String>,
    },
    /// Failed: a verify command of the spec itself failed.
    SpecVerify {
        /// The failure.
        failure: Failure,
    },
    /// Failed: the repository or the worktree has a problem that only the user can fix.
    Repository {
        /// The problem in words, with the path.
        detail: String,
    },
    /// Failed: this version of boi does not know the spec's agent.
    UnknownAgent {
        /// The agent's name.
        agent: String,
    },
    /// Failed: a dependency (a spec that this spec waits for) ended without completing.
    DependencyEnded {
        /// The dependency.
        spec: SpecId,
        /// The status of the dependency.
        status: SpecStatus,
    },
    /// Failed: the retry of one dependency did not queue the spec again, because another dependency has not
    /// completed.
    DependencyIncomplete {
        /// The dependency that has not completed.
        spec: SpecId,
    },
    /// Canceled by the user.
    Canceled,
    /// Dropped by the user.
    Dropped,
    /// Completed, but not merged into the base.
    Unmerged {
        /// Why the spec is not merged.
        why: Unmerged,
    },
    /// Failed or canceled, and `boi merge --force` could not merge the branch into the base.
    EndedUnmerged {
        /// Why the spec failed or was canceled.
        ended: Box<Cause>,
        /// Why the branch is not merged.
        why: Unmerged,
    },
    /// The branch could not be landed, so the spec was sent back to its agent.
    #[serde(rename = "landing")]
    SentBack {
        /// Why it could not be landed.
        sent: SentBack,
    },
    /// A cause that version 0.1.0 recorded as words.
    Recorded {
        /// The recorded sentence.
        words: String,
    },
}

/// The budget of all agents for 24 h (`max_usd_per_day`), which is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsedUp {
    /// The cost of the runs that ended in the last 24 h.
    pub spent: Usd,
    /// The limit: `max_usd_per_day`.
    pub limit: Usd,
    /// When agents may start again, because enough of these runs are 24 h old.
    pub until: Timestamp,
}

/// A spec that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The spec's id.
    pub id: SpecId,
    /// Whether the spec has completed and only its merge into its base is missing.
    pub merge: bool,
}

/// Why a completed spec is not merged into its base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unmerged {
    /// A verify command failed on the merge with the base.
    Verify {
        /// The failure.
        failure: Failure,
    },
    /// Each time that boi verified a merge, the base moved meanwhile; after a bounded number of merges, boi
    /// gave up.
    BaseMoved {
        /// How many times the base moved.
        times: u32,
    },
    /// The base, or the checkout that it is in, cannot be fast-forwarded.
    Refused {
        /// Why the merge was refused.
        refusal: MergeRefusal,
    },
    /// The spec was sent back to its agent, which did not make the branch ready for the base.
    NotResolved {
        /// Why the agent's last try failed.
        detail: String,
    },
    /// A problem that only the user can fix kept git from delivering.
    Obstacle {
        /// The problem in words, with the path.
        detail: String,
    },
    /// The configuration of the repository changed while a command ran, and the user has not settled the
    /// change yet.
    #[serde(rename = "repository-changed")]
    RepositoryChanged {
        /// The first few of the changes.
        changes: Vec<RepositoryChange>,
    },
    /// A reason that version 0.1.0 recorded as free text.
    Recorded {
        /// The recorded sentence.
        words: String,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::WaitsFor { specs } => {
                let specs: Vec<String> = specs.iter().map(Awaited::to_string).collect();
                write!(f, "waits for {}", specs.join(", "))
            }
            Cause::Stopped => f.write_str("the daemon was stopped; the spec resumes at the same step"),
            Cause::Refused { outcome, until } => {
                f.write_str(&outcome.describe())?;
                until.map_or(Ok(()), |until| write!(f, "; boi retries at {until}"))
            }
            Cause::CommandDied { failure, until, .. } => write!(f, "{}; boi retries at {until}", failure.sentence()),
            Cause::CommandNotStarted { detail } => write!(f, "a command could not be started: {detail}"),
            Cause::WorkerNotStarted { detail } => write!(f, "the spec's worker could not be started: {detail}"),
            Cause::WorkerFailed { detail, until: None } => f.write_str(detail),
            Cause::WorkerFailed { detail, until: Some(until) } => {
                write!(f, "{detail}; the spec's worker restarts at {until}")
            }
            Cause::Quarantined { detail } => write!(f, "quarantined: {detail}"),
            Cause::Ending => f.write_str("the spec's worker is ending the running command"),
            Cause::Blocked { by: Block::Stopped } => f.write_str("blocked: stopped by the user"),
            Cause::Blocked { by: Block::Budget(used_up) } => write!(f, "blocked: {used_up}"),
            Cause::Blocked { by: Block::Repository(block) } => block.fmt(f),
            Cause::NextSetup { command, failed, runs, until } => {
                let command = text::one_line(command, COMMAND);
                write!(f, "setup command `{command}` failed ({failed} of {runs} runs); the next run starts at {until}")
            }
            Cause::Setup { failure } => f.write_str(&failure.sentence()),
            Cause::DayBudget(DayUsedUp { spent, limit, until }) => write!(
                f,
                "the budget of the day is used up: agents cost {spent} in the last 24 h, and `max_usd_per_day` is \
                 {limit}; boi starts agents again at {until}"
            ),
            Cause::ApiErrors { last, retry: Some(retry), since, .. } => {
                write!(
                    f,
                    "API: {last}, retry {} of {}: the agent repeats its request; no request was answered since \
                     {since}",
                    retry.attempt, retry.of
                )
            }
            Cause::ApiErrors { errors, last, retry: None, since } => {
                let requests = if *errors == 1 { "request" } else { "requests" };
                write!(
                    f,
                    "the agent gets only API errors since {since}: {errors} {requests} failed, the last with {last}"
                )
            }
            Cause::NextTry { task, failure, failed, tries, until } => {
                let failure = clause(failure);
                write!(f, "task {task}: {failure}, on try {failed} of {tries}; the next try starts at {until}")
            }
            Cause::WaitsForStart { agent } => {
                write!(f, "waits for its turn to start the agent {agent}, whose runs start at a limited pace")
            }
            Cause::WaitsForBuildSlot { before: 0 } => f.write_str("waits for a build slot, next in line"),
            Cause::WaitsForBuildSlot { before } => write!(f, "waits for a build slot, {before} before it"),
            Cause::Deferred { by } => write!(f, "deferred: {}", admission::join(by, Shortage::to_string)),
            Cause::OutOfTries { task, failure, tries } => {
                write!(f, "task {task}: {}, on try {tries} of {tries}", clause(failure))
            }
            Cause::RepeatedDeaths { task, failure, deaths } => {
                write!(f, "task {task}: {}, {deaths} times in a row", clause(failure))
            }
            Cause::TryFailed { task, outcome, .. } => write!(f, "task {task}: {}", outcome.describe()),
            Cause::SpecVerify { failure } => write!(f, "verification of the whole spec: {}", failure.sentence()),
            Cause::Repository { detail } => f.write_str(detail),
            Cause::UnknownAgent { agent } => write!(f, "boi knows no agent `{agent}`"),
            Cause::DependencyEnded { spec, status: SpecStatus::Canceled } => {
                write!(f, "waits for {spec}, which was canceled")
            }
            Cause::DependencyEnded { spec, status: SpecStatus::Dropped } => {
                write!(f, "waits for {spec}, which was dropped")
            }
            Cause::DependencyEnded { spec, .. } => write!(f, "waits for {spec}, which failed"),
            Cause::DependencyIncomplete { spec } => write!(f, "waits for {spec}, which has not completed"),
            Cause::Canceled => f.write_str("canceled by the user"),
            Cause::Dropped => f.write_str("dropped by the user"),
            Cause::Unmerged { why } => why.fmt(f),
            Cause::EndedUnmerged { ended, why } => {
                write!(f, "{}; its branch is unmerged: {why}", ended.to_string().trim_end_matches('.'))
            }
            Cause::SentBack { sent } => write!(f, "sent back to the agent: {sent}"),
            Cause::Recorded { words } => f.write_str(words),
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.id, if self.merge { " (until it is merged)" } else { "" })
    }
}

impl fmt::Display for Unmerged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmerged::Verify { failure } => {
                write!(f, "after the merge of the branch with its base, {}", failure.sentence())
            }
            Unmerged::BaseMoved { times } => write!(f, "the base moved {times} times while boi verified the merge"),
            Unmerged::Refused { refusal } => refusal.fmt(f),
            Unmerged::NotResolved { detail } => {
                write!(f, "the agent could not make the branch ready for the base: {detail}")
            }
            Unmerged::Obstacle { detail } => f.write_str(detail),
            Unmerged::RepositoryChanged { changes } => {
                let changes: Vec<String> = changes.iter().map(RepositoryChange::to_string).collect();
                write!(f, "the repository changed while a command ran: {}", changes.join("; "))
            }
            Unmerged::Recorded { words } => f.write_str(words),
        }
    }
}

/// Returns a failure in words that others can follow: what an agent reports may end with a full stop.
fn clause(failure: &Failure) -> String {
    failure.sentence().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::failure::{FailedHow, FailedPart};
    use crate::domain::life::{BudgetKey, UsedUp};
    use crate::domain::repository_change::ChangeKind;

    fn failure() -> Failure {
        Failure { part: FailedPart::Run, how: FailedHow::Lost, output: String::new() }
    }

    fn usd(dollars: f64) -> Usd {
        Usd::from_dollars(dollars).unwrap()
    }

    fn id() -> SpecId {
        "SD979".parse().unwrap()
    }

    fn causes() -> Vec<(Cause, &'static str)> {
        let (failure, task, detail) = (failure(), "t-1".to_owned(), "no space left".to_owned());
        let lost =
            "the run command failed: killed together with its supervisor (kill -9, out of memory, or a power cut)";
        let limited = TryOutcome::Limited { until: None, detail: "5 h".into() };
        let awaited = vec![Awaited { id: id(), merge: false }, Awaited { id: "SD97A".parse().unwrap(), merge: true }];
        let long = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        vec![
            (Cause::WaitsFor { specs: awaited }, "waits for SD979, SD97A (until it is merged)"),
            (Cause::Stopped, "the daemon was stopped; the spec resumes at the same step"),
            (Cause::Refused { outcome: limited.clone(), until: None }, long(limited.describe())),
            (
                Cause::Refused { outcome: limited.clone(), until: Some(Timestamp(0)) },
                long(format!("{}; boi retries at 1970-01-01T00:00:00.000Z", limited.describe())),
            ),
            (
                Cause::CommandDied { failure: failure.clone(), deaths: 2, until: Timestamp(0) },
                long(format!("{lost}; boi retries at 1970-01-01T00:00:00.000Z")),
            ),
            (Cause::CommandNotStarted { detail: detail.clone() }, "a command could not be started: no space left"),
            (
                Cause::WorkerNotStarted { detail: detail.clone() },
                "the spec's worker could not be started: no space left",
            ),
            (Cause::WorkerFailed { detail: detail.clone(), until: None }, "no space left"),
            (
                Cause::WorkerFailed { detail: detail.clone(), until: Some(Timestamp(0)) },
                "no space left; the spec's worker restarts at 1970-01-01T00:00:00.000Z",
            ),
            (Cause::Quarantined { detail: detail.clone() }, "quarantined: no space left"),
            (Cause::Blocked { by: Block::Stopped }, "blocked: stopped by the user"),
            (
                Cause::Blocked {
                    by: Block::Budget(UsedUp { key: BudgetKey::MaxUsd, spent: usd(2.5), limit: usd(2.0) }),
                },
                "blocked: the spec's budget is used up: its agents cost $2.50, and `max_usd` is $2.00",
            ),
            (
                Cause::DayBudget(DayUsedUp { spent: usd(20.0), limit: usd(20.0), until: Timestamp(0) }),
                "the budget of the day is used up: agents cost $20.00 in the last 24 h, and `max_usd_per_day` is \
                 $20.00; boi starts agents again at 1970-01-01T00:00:00.000Z",
            ),
            (
                Cause::ApiErrors { errors: 1, last: "529".into(), retry: None, since: Timestamp(0) },
                "the agent gets only API errors since 1970-01-01T00:00:00.000Z: 1 request failed, the last with 529",
            ),
            (
                Cause::ApiErrors {
                    errors: 7,
                    last: "529".into(),
                    retry: Some(ApiRetry { attempt: 7, of: 10 }),
                    since: Timestamp(0),
                },
                "API: 529, retry 7 of 10: the agent repeats its request; no request was answered since \
                 1970-01-01T00:00:00.000Z",
            ),
            (Cause::Ending, "the spec's worker is ending the running command"),
            (Cause::WaitsForBuildSlot { before: 0 }, "waits for a build slot, next in line"),
            (Cause::WaitsForBuildSlot { before: 3 }, "waits for a build slot, 3 before it"),
            (
                Cause::Deferred {
                    by: vec![Shortage::Memory {
                        used_bytes: 7 << 30,
                        total_bytes: 8 << 30,
                        max_percent: 80,
                        ends_at_percent: 75,
                    }],
                },
                "deferred: too much memory is used; specs start again when at most 75 % are used (`max_memory_percent` is 80)",
            ),
            (
                Cause::OutOfTries { task: task.clone(), failure: failure.clone(), tries: 4 },
                long(format!("task t-1: {lost}, on try 4 of 4")),
            ),
            (
                Cause::RepeatedDeaths { task: task.clone(), failure: failure.clone(), deaths: 4 },
                long(format!("task t-1: {lost}, 4 times in a row")),
            ),
            (
                Cause::TryFailed { task, outcome: TryOutcome::Auth("401".into()), agent: None },
                "task t-1: the login is missing or was refused: 401",
            ),
            (Cause::SpecVerify { failure: failure.clone() }, long(format!("verification of the whole spec: {lost}"))),
            (Cause::Repository { detail: detail.clone() }, "no space left"),
            (Cause::UnknownAgent { agent: "x".into() }, "boi knows no agent `x`"),
            (
                Cause::DependencyEnded { spec: id(), status: SpecStatus::Canceled },
                "waits for SD979, which was canceled",
            ),
            (Cause::DependencyEnded { spec: id(), status: SpecStatus::Failed }, "waits for SD979, which failed"),
            (Cause::DependencyIncomplete { spec: id() }, "waits for SD979, which has not completed"),
            (Cause::Canceled, "canceled by the user"),
            (Cause::Dropped, "dropped by the user"),
            (Cause::DependencyEnded { spec: id(), status: SpecStatus::Dropped }, "waits for SD979, which was dropped"),
            (
                Cause::Unmerged { why: Unmerged::Verify { failure } },
                long(format!("after the merge of the branch with its base, {lost}")),
            ),
            (
                Cause::Unmerged { why: Unmerged::BaseMoved { times: 3 } },
                "the base moved 3 times while boi verified the merge",
            ),
            (
                Cause::EndedUnmerged {
                    ended: Cause::Canceled.into(),
                    why: Unmerged::Obstacle { detail: detail.clone() },
                },
                "canceled by the user; its branch is unmerged: no space left",
            ),
            (Cause::Unmerged { why: Unmerged::Obstacle { detail } }, "no space left"),
            (
                Cause::Unmerged {
                    why: Unmerged::RepositoryChanged {
                        changes: vec![
                            RepositoryChange::new(ChangeKind::ConfigChanged, "core.bare")
                                .states(Some("false".into()), Some("true".into())),
                        ],
                    },
                },
                "the repository changed while a command ran: configuration changed: core.bare: false -> true",
            ),
            (
                Cause::Unmerged {
                    why: Unmerged::Refused { refusal: MergeRefusal::BaseNotLocalBranch { base: "v1".into() } },
                },
                "`v1` is not a local branch, and only a local branch can be merged into",
            ),
            (Cause::Unmerged { why: Unmerged::Recorded { words: "old".into() } }, "old"),
            (Cause::Recorded { words: "as it was".into() }, "as it was"),
        ]
    }

    #[test]
    fn each_cause_has_its_words_and_reads_back() {
        for (cause, words) in causes() {
            assert_eq!(cause.to_string(), words);
            let text = serde_json::to_string(&cause).unwrap();
            assert_eq!(serde_json::from_str::<Cause>(&text).unwrap(), cause, "{text}");
            assert!(text.starts_with(r#"{"kind":""#), "{text}");
        }
    }

    #[test]
    fn the_full_stop_of_an_agents_message_is_left_out_within_a_sentence() {
        let how = FailedHow::Outcome { outcome: TryOutcome::Failed("It broke.".into()) };
        let failure = Failure { part: FailedPart::Agent { agent: "claude".into() }, how, output: String::new() };
        let cause = Cause::OutOfTries { task: "t".into(), failure, tries: 2 };
        assert_eq!(cause.to_string(), "task t: the agent's run failed: It broke, on try 2 of 2");
    }
}
