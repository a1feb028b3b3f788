//! The state machine of a worker: for each step, one function decides from the step's result what follows.
//!
//! The worker carries out its [`Step`], passes the result to the function of that step, and records the
//! [`Move`] before it does anything else. After a crash before the move is recorded, the next worker repeats
//! the step. So a worker may carry out every step twice.

mod idle_git;
mod setup;
#[cfg(test)]
mod setup_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;

pub(crate) use self::idle_git::without_idle_git;
pub(crate) use self::setup::after_setup;
use self::setup::{continue_with, setup};
use super::budget::SpecBudget;
use super::{land, retry};
use crate::agents::exit;
use crate::domain::cause::{Cause, Unmerged};
use crate::domain::command::{CommandEnd, EndCause, ExitStatus};
use crate::domain::failure::{FailedHow, FailedPart, Failure};
use crate::domain::landing::LandingChange;
use crate::domain::life::{TaskStatus, UsedUp};
use crate::domain::outcome::{AgentReport, TryOutcome, Usage};
use crate::domain::position::{
    AgentSession, CommandStage, Delivered, Ending, GitStage, Position, Progress, RunningCommand, Setup, Stage, Step,
    Try, Verify,
};
use crate::domain::repository_config::RepositoryConfig;
use crate::domain::spec::{Action, Deliver, Spec};
use crate::domain::text;
use crate::domain::time::Timestamp;

/// How many times in a row a command may be cut off (ended by something other than boi, such as a logout) and
/// run again. After that, boi treats the end as if the command had ended by itself.
const CUT_OFFS: u32 = 3;
/// How many times in a row boi continues the work of an agent that ended in the middle of it, without using
/// up a try.
const CUTS: u32 = 3;

/// How many protected files that a try changed are named.
const PROTECTED_SHOWN: usize = 20;

/// The input of the functions of this module, apart from the attempt's progress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttemptPlan<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// For each task, whether it is done.
    pub done: &'a [bool],
    /// For each task, how many tries began before this attempt.
    pub tries: &'a [u32],
    /// How many more tries a task gets after its first try failed.
    pub retry_count: u32,
    /// The first and the longest pause between two tries of a task, in seconds.
    pub retry_backoff: [u64; 2],
    /// The time at which the step ended.
    pub now: Timestamp,
    /// The configuration's time limit of one command, in minutes.
    pub timeout_minutes: u32,
    /// The spec's budget before the step; `None`: its cost is not limited.
    pub budget: Option<SpecBudget>,
    /// The boot and the marker for the next command, if the next step runs one.
    pub next_command: &'a RunningCommand,
}

/// What the worker does after a step.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub(crate) enum Move {
    /// The worker continues at this position.
    Go(Position, Vec<RecordChange>),
    /// The model's service refused the try: the spec goes back to the queue, and continues at this position
    /// when it is claimed again.
    Refused(Position, Vec<RecordChange>, TryOutcome),
    /// The spec's budget is used up: the spec is blocked, and continues at this position when the block ends.
    Blocked(Position, Vec<RecordChange>, UsedUp),
    /// The command died: the spec goes back to the queue, waits, and continues at this position when it is
    /// claimed again.
    Died(Position, Vec<RecordChange>, Failure),
    /// The spec ends.
    End(Ending),
}

/// A change of a spec's records that the queue makes in the same transaction in which it records a move.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RecordChange {
    /// A try began: its task is running.
    TryBegan {
        /// The try.
        of: Try,
    },
    /// The command of a try ended.
    TryEnded {
        /// The try.
        of: Try,
        /// How the try ended.
        outcome: TryOutcome,
        /// What the agent reported.
        report: AgentReport,
    },
    /// An order ended the command of a try before the try ended. The try is repeated later, or never if the
    /// spec was canceled.
    TryInterrupted {
        /// The try.
        of: Try,
        /// What the agent reported.
        report: AgentReport,
    },
    /// A run of an agent ended. The worker adds this change to the change that ends the try.
    RunEnded {
        /// The try that the run belongs to.
        of: Try,
        /// The run.
        run: AgentRun,
    },
    /// The changes of a try could not be committed, or did not pass a verify command.
    TryRejected {
        /// The try.
        of: Try,
        /// The reason.
        failure: Failure,
    },
    /// A task is done.
    TaskDone {
        /// The task's index.
        task: usize,
        /// The commit of the task's changes; `None`: the task changed nothing.
        commit: Option<String>,
        /// Whether the task gave a prompt to an agent, and changed no file of the repository.
        unchanged: bool,
    },
    /// The configuration of the repository completes the spec.
    RepositoryConfig {
        /// The configuration.
        config: Box<RepositoryConfig>,
    },
    /// The spec has a worktree, or will have it.
    Placed {
        /// The worktree's path.
        path: String,
    },
    /// A task has a new status.
    Task {
        /// The task's index.
        task: usize,
        /// The status.
        status: TaskStatus,
    },
    /// A lander changes another spec.
    Landing(LandingChange),
}

/// A run of an agent that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentRun {
    /// The number of the run's command in the attempt.
    pub command: u32,
    /// The agent's name.
    pub agent: String,
    /// The model, if it is known.
    pub model: Option<String>,
    /// What the run used.
    pub usage: Usage,
}

/// The result of preparing the worktree. Both commits are `None` if the spec has no repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The commit that the branch started from.
    pub origin: Option<String>,
    /// The commit that the branch is on.
    pub head: Option<String>,
    /// Whether the working tree is new, or was made clean, so that the setup commands have to run.
    pub is_new: bool,
}

/// The result of a try's command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Acted {
    /// How the try ended.
    pub outcome: TryOutcome,
    /// What the agent reported.
    pub report: AgentReport,
    /// The end of the output of a `run` command; for an agent, its last message or the end of its standard
    /// error.
    pub output: String,
}

/// The result of capturing the changes of a try.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Captured {
    /// The changes are in this commit; `None`: the try changed nothing.
    Candidate(Option<String>),
    /// The try changed these protected files. The next try can put them back.
    Protected(Vec<String>),
    /// boi cannot commit the files for this reason. The next try can correct the problem.
    NotCommitted(String),
}

/// The result of fast-forwarding the base.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Landed {
    /// The base contains the branch.
    Done,
    /// The base moved after the batch was built, so it cannot be fast-forwarded.
    BaseMoved,
    /// The base cannot be moved.
    Unmerged(Unmerged),
}

/// Decides what follows `Prepare`.
pub(crate) fn after_prepare(plan: &AttemptPlan<'_>, progress: Progress, then: Option<Stage>, result: Prepared) -> Move {
    let progress = Progress { origin: result.origin, head: result.head, ..progress };
    if !result.is_new || progress.landing.is_some() {
        return continue_with(plan, progress, then);
    }
    let then = match then {
        // The commands that have run made another working tree ready.
        Some(Stage::Command(CommandStage::Setup(begun))) => begun.then,
        then => then.map(Box::new),
    };
    setup(plan, progress, Setup { index: 0, run: 1, then })
}

/// Whether the agent may no longer have the session that its run had to continue. `answered`: the model answered the run.
pub(crate) fn lost_session(continued: bool, answered: bool, outcome: &TryOutcome) -> bool {
    continued && !answered && matches!(outcome, TryOutcome::Failed(_) | TryOutcome::Crashed(_))
}

/// Decides what follows the command of a try.
pub(crate) fn after_act(plan: &AttemptPlan<'_>, progress: Progress, of: Try, result: Acted) -> Move {
    let Acted { outcome, report, output } = result;
    let deaths = if outcome.is_death() { progress.deaths + 1 } else { 0 };
    let task = &plan.spec.tasks[of.task];
    let agent = matches!(task.action, Action::Prompt(_)).then(|| plan.spec.agent_of(of.task).to_owned());
    let session = agent.as_ref().and_then(|agent| session(agent, &report));
    let (earlier, answered) = (progress.session.clone(), report.answered);
    let used_up = plan.budget.and_then(|budget| budget.plus(report.usage.known_cost()).left().err());
    let progress = Progress { cut_offs: 0, deaths, session: None, ..progress };
    let ended = RecordChange::TryEnded { of, outcome: outcome.clone(), report };
    let part = agent.clone().map_or(FailedPart::Run, |agent| FailedPart::Agent { agent });
    // The agent reached the limit on its cost that boi gave it.
    if let (TryOutcome::TaskBudget(_), Some(used_up)) = (&outcome, used_up) {
        let progress = Progress { session: session.or(earlier), ..progress };
        return Move::Blocked(progress.resume_at(Stage::Command(CommandStage::Act(of))), vec![ended], used_up);
    }
    let how = match &outcome {
        TryOutcome::Succeeded => {
            let progress = Progress { cuts: 0, ..progress };
            return go(plan, progress, Stage::Git(GitStage::Capture(of)), vec![ended]);
        }
        TryOutcome::Limited { .. }
        | TryOutcome::Throttled(_)
        | TryOutcome::Overloaded(_)
        | TryOutcome::Auth(_)
        | TryOutcome::NeedsHuman(_)
        | TryOutcome::RefusesRoot(_)
        | TryOutcome::NoProgram(_) => {
            // A run that was refused before it began has no session, so the next run continues the earlier
            // session.
            let progress = Progress { session: session.or(earlier), ..progress };
            return Move::Refused(progress.resume_at(Stage::Command(CommandStage::Act(of))), vec![ended], outcome);
        }
        TryOutcome::Cut(_) if progress.cuts < CUTS => {
            let progress = Progress { session, cuts: progress.cuts + 1, ..progress };
            return with_change(act(plan, progress, of), ended);
        }
        // Repeating the try in a new session does not use up a try.
        outcome if lost_session(earlier.is_some(), answered, outcome) => {
            return with_change(act(plan, progress, of), ended);
        }
        TryOutcome::ModeForbidden(_)
        | TryOutcome::UnknownModel(_)
        | TryOutcome::NotExecuted(_)
        | TryOutcome::Context(_) => {
            let cause = Cause::TryFailed { task: task.id.clone(), outcome, agent };
            return with_change(fail(plan.spec, progress, Some(of.task), cause), ended);
        }
        TryOutcome::Failed(_)
        | TryOutcome::Crashed(_)
        | TryOutcome::Cut(_)
        | TryOutcome::Denied(_)
        | TryOutcome::Stalled
        | TryOutcome::TaskBudget(_) => FailedHow::Outcome { outcome: outcome.clone() },
        TryOutcome::TimedOut => FailedHow::TimedOut { minutes: minutes(plan, of) },
        TryOutcome::TooMuchOutput => FailedHow::TooMuchOutput,
        TryOutcome::Lost => FailedHow::Lost,
    };
    let failure = Failure { part, how, output };
    if outcome.is_death() && has_tries_left(plan, &progress, of) {
        let next = Try { number: of.number + 1, ..of };
        let progress = Progress { failure: Some(failure.clone()), session, ..progress };
        return Move::Died(progress.resume_at(Stage::Command(CommandStage::Act(next))), vec![ended], failure);
    }
    with_change(try_again(plan, progress, of, failure), ended)
}

/// Decides what follows a command that something other than boi ended, such as a logout: the worker runs the
/// command again. `counted`: the end counts as one of at most `CUT_OFFS` in a row. `ended`: how the try
/// ended; `None` if the command does not belong to a try.
pub(crate) fn after_cut_off(
    plan: &AttemptPlan<'_>,
    progress: Progress,
    stage: CommandStage,
    counted: bool,
    ended: Option<(TryOutcome, AgentReport)>,
) -> Move {
    let mut changes = Vec::new();
    let mut progress = progress;
    if let CommandStage::Act(of) = stage {
        let reported = ended.as_ref().and_then(|(_, report)| session(plan.spec.agent_of(of.task), report));
        progress.session = reported.or(progress.session);
        changes.extend(ended.map(|(outcome, report)| RecordChange::TryEnded { of, outcome, report }));
        changes.push(RecordChange::TryBegan { of });
    }
    let cut_offs = progress.cut_offs + u32::from(counted);
    go(plan, Progress { cut_offs, ..progress }, Stage::Command(stage), changes)
}

/// Returns the session that a run of `agent` reported, so that a later run can continue it.
pub(crate) fn session(agent: &str, report: &AgentReport) -> Option<AgentSession> {
    report.session_id.clone().map(|id| AgentSession { agent: agent.to_owned(), id, tokens: report.session_tokens })
}

/// Decides what follows `Capture`. `message` is the last message of the try's agent, if it is known.
pub(crate) fn after_capture(
    plan: &AttemptPlan<'_>,
    progress: Progress,
    of: Try,
    result: Captured,
    message: Option<&str>,
) -> Move {
    match result {
        Captured::Candidate(None) if plan.spec.repo.is_some() && plan.spec.requires_changes(of.task) => {
            let output = message.unwrap_or_default().to_owned();
            reject(plan, progress, of, Failure { part: FailedPart::Changes, how: FailedHow::NothingChanged, output })
        }
        Captured::Candidate(candidate) => verify_task(plan, progress, of, candidate, 0),
        Captured::Protected(paths) => {
            let words = format!("{}; put them back as they were", text::listed(&paths, PROTECTED_SHOWN));
            let (part, how) = (FailedPart::Protected, FailedHow::Reported { words });
            reject(plan, progress, of, Failure { part, how, output: String::new() })
        }
        Captured::NotCommitted(words) => {
            let (part, how) = (FailedPart::Commit, FailedHow::Reported { words });
            reject(plan, progress, of, Failure { part, how, output: String::new() })
        }
    }
}

/// Decides what follows a verify command. `output` is the end of what the command printed.
pub(crate) fn after_verify(
    plan: &AttemptPlan<'_>,
    progress: Progress,
    verify: Verify,
    end: &CommandEnd,
    output: String,
) -> Move {
    let died = died(end, progress.deaths == 0 && plan.retry_count > 0);
    let progress = Progress { cut_offs: 0, deaths: if died { progress.deaths + 1 } else { 0 }, ..progress };
    let failure = || verify_failure(plan, &progress, &verify, end, output.clone());
    if let Verify::Batch { index } = verify {
        return match died && progress.deaths <= plan.retry_count {
            true => go(plan, progress, Stage::Command(CommandStage::Verify(verify)), vec![]),
            false if end.succeeded() => land::after_pass(plan, progress, index),
            false => {
                let failure = failure();
                land::after_fail(plan, progress, index, failure)
            }
        };
    }
    if died && progress.deaths <= plan.retry_count {
        let failure = failure();
        return Move::Died(progress.resume_at(Stage::Command(CommandStage::Verify(verify))), vec![], failure);
    }
    if died && let Verify::Task { of, .. } = &verify {
        let (failure, deaths) = (failure().without_output(), progress.deaths);
        let cause = Cause::RepeatedDeaths { task: plan.spec.tasks[of.task].id.clone(), failure, deaths };
        return fail(plan.spec, progress, Some(of.task), cause);
    }
    if !end.succeeded() {
        let failure = failure();
        return match verify {
            Verify::Task { of, .. } => reject(plan, progress, of, failure),
            Verify::Spec { .. } => {
                fail(plan.spec, progress, None, Cause::SpecVerify { failure: failure.without_output() })
            }
            Verify::Batch { .. } | Verify::Merge { .. } => wait_to_land(progress),
        };
    }
    match verify {
        Verify::Task { of, candidate, index } => verify_task(plan, progress, of, candidate, index + 1),
        Verify::Spec { index } => verify_spec(plan, progress, index + 1, vec![]),
        Verify::Batch { .. } | Verify::Merge { .. } => wait_to_land(progress),
    }
}

/// Decides what follows `Advance`: the task is done.
pub(crate) fn after_advance(plan: &AttemptPlan<'_>, progress: Progress, of: Try, candidate: Option<String>) -> Move {
    let head = candidate.clone().or(progress.head.clone());
    let mut done = plan.done.to_vec();
    done[of.task] = true;
    let is_prompt = matches!(plan.spec.tasks[of.task].action, Action::Prompt(_));
    let unchanged = candidate.is_none() && is_prompt && plan.spec.repo.is_some();
    let changes = vec![RecordChange::TaskDone { task: of.task, commit: candidate, unchanged }];
    // The task of a spec that was sent back is verified by the commands that verify the whole branch.
    let verified = if plan.spec.is_landing_task(of.task) { head.clone() } else { progress.verified.clone() };
    let progress = Progress { head, verified, failure: None, ..progress };
    next_task(&AttemptPlan { done: &done, ..*plan }, progress, changes)
}

/// Decides what follows a step that stopped at a problem that only the user can fix. A lander leaves its specs
/// unmerged. At `Close`, the spec ends as planned. At any other step, it fails or, if it was sent back, stays
/// unmerged.
pub(crate) fn after_obstacle(spec: &Spec, position: Position, cause: Cause) -> Move {
    let Position { step, progress } = position;
    match step {
        Step::Close(ending) => Move::End(ending),
        _ if progress.landing.is_some() => {
            land::after_obstacle(progress, Unmerged::Obstacle { detail: cause.to_string() })
        }
        Step::Prepare { .. } | Step::Command { .. } | Step::Git(_) => fail(spec, progress, None, cause),
    }
}

/// Returns the move of a spec whose branch an earlier version was merging: it waits for a lander.
pub(crate) fn wait_to_land(progress: Progress) -> Move {
    close(progress, Ending::Completed(Delivered::Waiting))
}

/// Returns whether something other than boi ended the command, so that `end` is no result of the command.
/// After `CUT_OFFS` such ends in a row, it returns false, and the end is treated as a result.
pub(crate) fn is_cut_off(progress: &Progress, end: &CommandEnd) -> bool {
    end.cause == EndCause::Terminated && end.reason.is_none() && progress.cut_offs < CUT_OFFS
}

/// Returns the position of an attempt that the user cancels.
pub(crate) fn canceled(progress: Progress) -> Position {
    Position { step: Step::Close(Ending::Canceled), progress }
}

/// Returns the move to `stage`. If `stage` runs a command, the move gives the command a new number, boot and
/// marker.
pub(super) fn go(plan: &AttemptPlan<'_>, progress: Progress, stage: Stage, changes: Vec<RecordChange>) -> Move {
    let position = match stage {
        Stage::Git(stage) => Position { step: Step::Git(stage), progress },
        Stage::Command(stage) => {
            let command = plan.next_command.clone();
            let (commands, last_boot) = (progress.commands + 1, Some(command.boot.clone()));
            Position { step: Step::Command { stage, command }, progress: Progress { commands, last_boot, ..progress } }
        }
    };
    Move::Go(position, changes)
}

fn act(plan: &AttemptPlan<'_>, progress: Progress, of: Try) -> Move {
    let progress = Progress { next_try_at: None, ..progress };
    go(plan, progress, Stage::Command(CommandStage::Act(of)), vec![RecordChange::TryBegan { of }])
}

fn next_task(plan: &AttemptPlan<'_>, progress: Progress, mut changes: Vec<RecordChange>) -> Move {
    match plan.done.iter().position(|done| !done) {
        Some(task) => {
            let of = Try { task, number: plan.tries[task] + 1 };
            changes.push(RecordChange::TryBegan { of });
            let progress = Progress { first_try: of.number, ..progress };
            go(plan, progress, Stage::Command(CommandStage::Act(of)), changes)
        }
        None => verify_spec(plan, progress, 0, changes),
    }
}

/// Returns whether a verify command was killed from outside, so that its end is no result of the
/// verification. The end by a signal other than SIGKILL, such as a crash of the program, is a failure. The
/// exit code of a shell whose child was killed counts as a death only if `once` is true. The caller passes
/// true for the first death in a row only, because a command with `timeout -s KILL` ends with this code each
/// time.
fn died(end: &CommandEnd, once: bool) -> bool {
    match (&end.cause, end.status) {
        (EndCause::Lost, _) | (EndCause::Finished, Some(ExitStatus::Signal(9))) => true,
        (EndCause::Finished, Some(ExitStatus::Code(exit::CHILD_KILLED))) => once,
        _ => false,
    }
}

fn has_tries_left(plan: &AttemptPlan<'_>, progress: &Progress, of: Try) -> bool {
    if plan.spec.is_landing_task(of.task) {
        return of.number < plan.retry_count;
    }
    of.number - progress.first_try < plan.retry_count
}

fn reject(plan: &AttemptPlan<'_>, progress: Progress, of: Try, failure: Failure) -> Move {
    let rejected = RecordChange::TryRejected { of, failure: failure.clone() };
    with_change(try_again(plan, progress, of, failure), rejected)
}

fn try_again(plan: &AttemptPlan<'_>, progress: Progress, of: Try, failure: Failure) -> Move {
    let progress = Progress { failure: Some(failure.clone()), cuts: 0, ..progress };
    let tries = of.number - progress.first_try + 1;
    if has_tries_left(plan, &progress, of) {
        let next = Try { number: of.number + 1, ..of };
        let pause = retry::try_backoff_millis(tries, plan.retry_backoff);
        if pause == 0 {
            return act(plan, progress, next);
        }
        let progress = Progress { next_try_at: Some(plan.now.plus_millis(pause)), ..progress };
        return Move::Go(progress.resume_at(Stage::Command(CommandStage::Act(next))), vec![]);
    }
    let task = plan.spec.tasks[of.task].id.clone();
    let cause = Cause::OutOfTries { task, failure: failure.without_output(), tries };
    fail(plan.spec, progress, Some(of.task), cause)
}

fn verify_task(plan: &AttemptPlan<'_>, progress: Progress, of: Try, candidate: Option<String>, index: usize) -> Move {
    let stage = if index < plan.spec.verify_of(of.task).len() {
        Stage::Command(CommandStage::Verify(Verify::Task { of, candidate, index }))
    } else {
        Stage::Git(GitStage::Advance { of, candidate })
    };
    go(plan, progress, stage, vec![])
}

fn verify_spec(plan: &AttemptPlan<'_>, progress: Progress, index: usize, changes: Vec<RecordChange>) -> Move {
    let is_verified = progress.head.is_some() && progress.verified == progress.head;
    if index < plan.spec.verify.len() && !is_verified {
        return go(plan, progress, Stage::Command(CommandStage::Verify(Verify::Spec { index })), changes);
    }
    let progress = Progress { verified: progress.head.clone(), ..progress };
    let delivered = match &plan.spec.repo {
        None => Delivered::Nothing,
        Some(_) if plan.spec.deliver == Deliver::Merge || plan.spec.is_sent_back => Delivered::Waiting,
        Some(_) => Delivered::Branch,
    };
    Move::Go(Position { step: Step::Close(Ending::Completed(delivered)), progress }, changes)
}

fn verify_failure(
    plan: &AttemptPlan<'_>,
    progress: &Progress,
    verify: &Verify,
    end: &CommandEnd,
    output: String,
) -> Failure {
    let (commands, index, minutes) = match verify {
        Verify::Batch { index } => {
            let batch = progress.landing.as_ref().and_then(|landing| landing.batch.as_ref());
            let commands = batch.map_or(vec![], |batch| batch.verify.iter().map(String::as_str).collect());
            (commands, *index, plan.timeout_minutes)
        }
        Verify::Task { of, index, .. } => (plan.spec.verify_of(of.task), *index, minutes(plan, *of)),
        Verify::Spec { index } | Verify::Merge { index, .. } => {
            (plan.spec.verify.iter().map(String::as_str).collect(), *index, plan.timeout_minutes)
        }
    };
    let part = FailedPart::Verify { command: commands[index].to_owned(), number: index + 1, count: commands.len() };
    Failure { part, how: FailedHow::of(end, minutes), output }
}

/// Returns the time limit of each command of the try's task, in minutes.
fn minutes(plan: &AttemptPlan<'_>, of: Try) -> u32 {
    plan.spec.tasks[of.task].timeout_minutes.unwrap_or(plan.timeout_minutes)
}

/// Ends the attempt because of `cause`: the spec fails. If it had completed before and was sent back to its agent, it
/// stays completed and unmerged instead.
fn fail(spec: &Spec, progress: Progress, task: Option<usize>, cause: Cause) -> Move {
    if spec.is_sent_back && task.is_none_or(|task| spec.is_landing_task(task)) {
        let why = Unmerged::NotResolved { detail: cause.to_string() };
        return close(progress, Ending::Completed(Delivered::Unmerged(why)));
    }
    let changes = task.map(|task| RecordChange::Task { task, status: TaskStatus::Failed }).into_iter().collect();
    Move::Go(Position { step: Step::Close(Ending::Failed(cause)), progress }, changes)
}

fn close(progress: Progress, ending: Ending) -> Move {
    Move::Go(Position { step: Step::Close(ending), progress }, vec![])
}

/// Inserts a change before the other changes of a move. `Move::End` has no changes and is returned as it is.
fn with_change(mut next: Move, change: RecordChange) -> Move {
    match &mut next {
        Move::Go(_, changes)
        | Move::Refused(_, changes, _)
        | Move::Blocked(_, changes, _)
        | Move::Died(_, changes, _) => changes.insert(0, change),
        Move::End(_) => {}
    }
    next
}
