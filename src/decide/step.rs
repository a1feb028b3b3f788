//! A worker's state machine: position x event -> move.
//!
//! The worker does what its [`Step`] says, reports what came of it as an [`Event`], and records the [`Move`] before it
//! does anything else. Every step may be done twice: a crash between doing and recording repeats it.

use crate::agents::{advice, exit};
use crate::domain::attempt::{Ending, Position, Step, TaskStatus};
use crate::domain::outcome::{AgentReport, CommandEnd, Delivery, EndCause, ExitStatus, Failure, TryOutcome};
use crate::domain::spec::{Action, Deliver, Spec};
use crate::domain::text;

/// How often a base may move away under a delivery before it is given up: each time somebody else has delivered.
const DELIVERY_ROUNDS: u32 = 100;
/// How often in a row a command may be ended from outside before it counts.
const CUT_OFFS: u32 = 3;
/// What became of a command that is lost.
const DIED: &str = "died with its supervisor, which was killed (`kill -9`, no memory left, no power)";
const KILLED: &str = "was killed (`kill -9`, no memory left)";

/// What stays the same while a worker works, and which tasks are done.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// For each task, whether it is done.
    pub done: &'a [bool],
    /// For each task, how many tries were begun before this attempt.
    pub tries: &'a [u32],
    /// How many tries a task gets after its first.
    pub retry_count: u32,
    /// The configuration's minutes for one command.
    pub timeout_minutes: u32,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The worktree is laid; the branch stands on `head`.
    Prepared {
        /// Where the branch started.
        origin: Option<String>,
        /// Where it stands.
        head: Option<String>,
    },
    /// The try's command ended.
    Acted {
        /// What it came to.
        outcome: TryOutcome,
        /// What the agent said of itself.
        report: AgentReport,
        /// The end of what it printed.
        output: String,
    },
    /// The step's command was ended from outside, such as by a logout: it is carried out again.
    CutOff {
        /// What its try came to and the agent said of itself, where it was one.
        ended: Option<(TryOutcome, AgentReport)>,
    },
    /// The worktree's files are a commit on the task's base.
    Captured {
        /// `None`: nothing changed.
        candidate: Option<String>,
    },
    /// The files cannot become a commit, for a reason that the agent can mend.
    NotCaptured(Failure),
    /// A verify command ended.
    Checked {
        /// How.
        end: CommandEnd,
        /// The end of what it printed.
        output: String,
    },
    /// Branch and worktree are at the candidate.
    Advanced,
    /// The base is in the branch; it can move from `from` to `head`.
    Deliverable {
        /// Where the base stands.
        from: String,
        /// Where the branch stands.
        head: String,
    },
    /// The base has everything.
    Landed,
    /// The base moved meanwhile.
    BaseMoved,
    /// The result cannot be merged.
    NotMerged(String),
    /// The step cannot be done and somebody has to look; nothing is lost.
    Blocked(String),
    /// Everything is put away.
    Closed,
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Move {
    /// Go on there.
    Go(Position, Vec<Change>),
    /// The model's service refused: give the slot back, and go on there when it is claimed again.
    GiveBack(Position, Vec<Change>, TryOutcome),
    /// The step's command died: give the slot back for a while, and go on there when it is claimed again.
    Rest(Position, Vec<Change>, String),
    /// The spec ends.
    End(Ending),
}

/// A change of the record that goes with a move, in the same transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A try began, and its task with it.
    TryBegan {
        /// The task.
        task: usize,
        /// The try.
        try_number: u32,
    },
    /// A try's command ended.
    TryEnded {
        /// The task.
        task: usize,
        /// The try.
        try_number: u32,
        /// What it came to.
        outcome: TryOutcome,
        /// What the agent said of itself.
        report: AgentReport,
    },
    /// What a try left did not verify.
    TryRejected {
        /// The task.
        task: usize,
        /// The try.
        try_number: u32,
        /// Why.
        failure: Failure,
    },
    /// A task is done.
    TaskDone {
        /// The task.
        task: usize,
        /// Its commit; `None`: it changed nothing.
        commit: Option<String>,
    },
    /// A task's status.
    Task {
        /// The task.
        task: usize,
        /// Its new status.
        status: TaskStatus,
    },
}

/// What follows at `position` when `event` came of its step. An event that does not belong to the step is a fault of the
/// worker and ends the spec as failed, with everything in place.
pub fn advance(plan: &Plan<'_>, position: &Position, event: Event) -> Move {
    let cut_off = match &event {
        Event::Acted { .. } | Event::Checked { .. } => 0,
        _ => position.cut_off,
    };
    let says_nothing = |end: &CommandEnd| says_nothing(end, position.deaths == 0 && plan.retry_count > 0);
    let deaths = match &event {
        Event::Acted { outcome, .. } if outcome.is_death() => position.deaths + 1,
        Event::Checked { end, .. } if says_nothing(end) => position.deaths + 1,
        Event::Acted { .. } | Event::Checked { .. } => 0,
        _ => position.deaths,
    };
    let here = Position { cut_off, deaths, ..position.clone() };
    match (position.step.clone(), event) {
        (Step::Deliver { .. } | Step::DeliverCheck { .. } | Step::Land { .. }, Event::Blocked(reason)) => {
            close(here, unmerged(reason))
        }
        (Step::Close { ending }, Event::Blocked(_)) => Move::End(ending),
        (_, Event::Blocked(reason)) => fail(here, None, reason),
        (Step::Prepare { then, .. }, Event::Prepared { origin, head }) => {
            let laid = Position { origin, head, ..here };
            match then.map(|step| *step) {
                Some(Step::Act { task, try_number }) => act(laid, task, try_number),
                Some(step) => go(laid, step, vec![]),
                None => next_task(plan, laid, vec![]),
            }
        }
        (Step::Act { task, try_number }, Event::Acted { outcome, report, output }) => {
            acted(plan, here, task, try_number, outcome, report, output)
        }
        (step, Event::CutOff { ended }) if step.is_command() => {
            let mut changes = Vec::new();
            if let Step::Act { task, try_number } = step {
                changes.extend(ended.map(|(outcome, report)| Change::TryEnded { task, try_number, outcome, report }));
                changes.push(Change::TryBegan { task, try_number });
            }
            go(Position { cut_off: here.cut_off + 1, ..here }, step, changes)
        }
        (step, Event::Checked { end, .. }) if says_nothing(&end) && deaths <= plan.retry_count => {
            let how = if end.cause == EndCause::Lost { DIED } else { KILLED };
            Move::Rest(Position { step, ..here }.resumed(), vec![], format!("a verify command {how}"))
        }
        (Step::Check { task, index, .. }, Event::Checked { end, output }) if says_nothing(&end) => {
            let failure = verify_failure(&plan.spec.tasks[task].verify, index, &end, plan.timeout_minutes, output);
            fail(here, Some(task), format!("{}, {deaths} times in a row", sentence(&failure)))
        }
        (Step::Capture { task, try_number }, Event::Captured { candidate }) => {
            check(plan, here, task, try_number, candidate, 0)
        }
        (Step::Capture { task, try_number }, Event::NotCaptured(failure)) => {
            reject(plan, here, task, try_number, failure)
        }
        (Step::Check { task, try_number, candidate, index }, Event::Checked { end, output }) => {
            let commands = &plan.spec.tasks[task].verify;
            if end.succeeded() {
                check(plan, here, task, try_number, candidate, index + 1)
            } else {
                let minutes = plan.spec.tasks[task].timeout_minutes.unwrap_or(plan.timeout_minutes);
                reject(plan, here, task, try_number, verify_failure(commands, index, &end, minutes, output))
            }
        }
        (Step::Advance { task, candidate, .. }, Event::Advanced) => {
            let head = candidate.clone().or(here.head.clone());
            let mut done = plan.done.to_vec();
            done[task] = true;
            let changes = vec![Change::TaskDone { task, commit: candidate }];
            next_task(&Plan { done: &done, ..*plan }, Position { head, failure: None, ..here }, changes)
        }
        (Step::FinalCheck { index }, Event::Checked { end, output }) => {
            if end.succeeded() {
                final_check(plan, here, index + 1, vec![])
            } else {
                let failure = verify_failure(&plan.spec.verify, index, &end, plan.timeout_minutes, output);
                fail(here, None, format!("the spec's own {}", sentence(&failure)))
            }
        }
        (Step::Deliver { round }, Event::Deliverable { from, head }) => {
            let verified = here.verified.as_deref() == Some(head.as_str());
            let laid = Position { head: Some(head.clone()), ..here };
            if verified {
                go(laid, Step::Land { round, from, head }, vec![])
            } else {
                deliver_check(plan, laid, round, from, head, 0)
            }
        }
        (Step::DeliverCheck { round, from, head, index }, Event::Checked { end, output }) => {
            if end.succeeded() {
                deliver_check(plan, here, round, from, head, index + 1)
            } else {
                let failure = verify_failure(&plan.spec.verify, index, &end, plan.timeout_minutes, output);
                close(here, unmerged(format!("after the merge with its base, {}", sentence(&failure))))
            }
        }
        (Step::Land { round, .. }, Event::BaseMoved) if round < DELIVERY_ROUNDS => {
            go(here, Step::Deliver { round: round + 1 }, vec![])
        }
        (Step::Land { .. }, Event::BaseMoved) => {
            close(here, unmerged(format!("its base moved {DELIVERY_ROUNDS} times while the merge was verified")))
        }
        (Step::Deliver { .. } | Step::Land { .. }, Event::Landed) => {
            close(here, Ending::Completed { delivery: Some(Delivery::Merged), reason: None })
        }
        (Step::Deliver { .. } | Step::Land { .. }, Event::NotMerged(reason)) => close(here, unmerged(reason)),
        (Step::Close { ending }, Event::Closed) => Move::End(ending),
        (step, event) => fail(here, None, format!("internal fault: {event:?} at {step:?}; please report it")),
    }
}

/// Whether `end` says nothing of the command at `position`: somebody else than boi had it ended. One that this happens to
/// again and again is taken at its end.
pub fn is_cut_off(position: &Position, end: &CommandEnd) -> bool {
    end.cause == EndCause::Terminated && position.cut_off < CUT_OFFS
}

/// Where a canceled attempt goes.
pub fn canceled(position: Position) -> Position {
    Position { step: Step::Close { ending: Ending::Canceled }, awaiting: false, ..position }
}

/// A failure in one sentence.
pub fn sentence(failure: &Failure) -> String {
    match &failure.command {
        Some(command) => format!("{} (`{}`): {}", failure.what, text::one_line(command, 80), failure.how),
        None => format!("{}: {}", failure.what, failure.how),
    }
}

fn go(position: Position, step: Step, changes: Vec<Change>) -> Move {
    let awaiting = step.is_command();
    let commands = position.commands + u32::from(awaiting);
    Move::Go(Position { step, commands, awaiting, ..position }, changes)
}

fn act(position: Position, task: usize, try_number: u32) -> Move {
    go(position, Step::Act { task, try_number }, vec![Change::TryBegan { task, try_number }])
}

fn next_task(plan: &Plan<'_>, position: Position, mut changes: Vec<Change>) -> Move {
    match plan.done.iter().position(|done| !done) {
        Some(task) => {
            let first_try = plan.tries[task] + 1;
            changes.push(Change::TryBegan { task, try_number: first_try });
            go(Position { first_try, ..position }, Step::Act { task, try_number: first_try }, changes)
        }
        None => final_check(plan, position, 0, changes),
    }
}

/// Whether a verify command died, as only what is outside of it ends it: that says nothing of what it verifies. Another
/// signal, such as of a program that crashes, does. A shell whose command was killed is believed `once`: it may be a
/// `timeout -s KILL` that it runs each time.
fn says_nothing(end: &CommandEnd, once: bool) -> bool {
    match (&end.cause, end.status) {
        (EndCause::Lost, _) | (EndCause::Finished, Some(ExitStatus::Signal(9))) => true,
        (EndCause::Finished, Some(ExitStatus::Code(exit::CHILD_KILLED))) => once,
        _ => false,
    }
}

fn acted(
    plan: &Plan<'_>,
    here: Position,
    task: usize,
    try_number: u32,
    outcome: TryOutcome,
    report: AgentReport,
    output: String,
) -> Move {
    let ended = Change::TryEnded { task, try_number, outcome: outcome.clone(), report };
    let what = match &plan.spec.tasks[task].action {
        Action::Prompt(_) => "the agent's run",
        Action::Run(_) => "the run command",
    };
    let again = |how: String| Failure { what: what.to_owned(), command: None, how, output: output.clone() };
    let failure = match &outcome {
        TryOutcome::Succeeded => return go(here, Step::Capture { task, try_number }, vec![ended]),
        TryOutcome::Limited { .. } | TryOutcome::Throttled(_) | TryOutcome::Overloaded(_) => {
            return Move::GiveBack(here.resumed(), vec![ended], outcome);
        }
        TryOutcome::Auth(why)
        | TryOutcome::NeedsHuman(why)
        | TryOutcome::NotExecuted(why)
        | TryOutcome::Context(why) => {
            let agent = matches!(plan.spec.tasks[task].action, Action::Prompt(_)).then_some(plan.spec.agent.as_str());
            let reason = match advice::advice(&outcome, agent) {
                Some(advice) => format!("{why}; {advice}"),
                None => why.clone(),
            };
            return with(fail(here, Some(task), reason), ended);
        }
        TryOutcome::Failed(how) | TryOutcome::Crashed(how) | TryOutcome::TaskBudget(how) => again(how.clone()),
        TryOutcome::TimedOut => {
            let minutes = plan.spec.tasks[task].timeout_minutes.unwrap_or(plan.timeout_minutes);
            again(format!("timed out after {minutes} min"))
        }
        TryOutcome::TooMuchOutput => again("ended because it printed more than max_output_mb".to_owned()),
        TryOutcome::Lost => again(DIED.to_owned()),
    };
    if outcome.is_death() && tries_left(plan, &here, try_number) {
        let (why, step) = (sentence(&failure), Step::Act { task, try_number: try_number + 1 });
        return Move::Rest(Position { step, failure: Some(failure), ..here }.resumed(), vec![ended], why);
    }
    with(try_again(plan, here, task, try_number, failure), ended)
}

fn tries_left(plan: &Plan<'_>, here: &Position, try_number: u32) -> bool {
    try_number - here.first_try < plan.retry_count
}

fn reject(plan: &Plan<'_>, here: Position, task: usize, try_number: u32, failure: Failure) -> Move {
    let rejected = Change::TryRejected { task, try_number, failure: failure.clone() };
    with(try_again(plan, here, task, try_number, failure), rejected)
}

fn try_again(plan: &Plan<'_>, here: Position, task: usize, try_number: u32, failure: Failure) -> Move {
    if !tries_left(plan, &here, try_number) {
        let tries = try_number - here.first_try + 1;
        let reason = format!("{}, on try {tries} of {tries}", sentence(&failure));
        fail(Position { failure: Some(failure), ..here }, Some(task), reason)
    } else {
        act(Position { failure: Some(failure), ..here }, task, try_number + 1)
    }
}

fn check(
    plan: &Plan<'_>,
    here: Position,
    task: usize,
    try_number: u32,
    candidate: Option<String>,
    index: usize,
) -> Move {
    if index < plan.spec.tasks[task].verify.len() {
        go(here, Step::Check { task, try_number, candidate, index }, vec![])
    } else {
        go(here, Step::Advance { task, try_number, candidate }, vec![])
    }
}

fn final_check(plan: &Plan<'_>, here: Position, index: usize, changes: Vec<Change>) -> Move {
    if index < plan.spec.verify.len() {
        return go(here, Step::FinalCheck { index }, changes);
    }
    let here = Position { verified: here.head.clone(), ..here };
    match (plan.spec.deliver, &plan.spec.repo) {
        (Deliver::Merge, Some(_)) => go(here, Step::Deliver { round: 1 }, changes),
        (_, repo) => {
            let ending = Ending::Completed { delivery: repo.as_ref().map(|_| Delivery::Branch), reason: None };
            go(here, Step::Close { ending }, changes)
        }
    }
}

fn deliver_check(plan: &Plan<'_>, here: Position, round: u32, from: String, head: String, index: usize) -> Move {
    if index < plan.spec.verify.len() {
        go(here, Step::DeliverCheck { round, from, head, index }, vec![])
    } else {
        let here = Position { verified: Some(head.clone()), ..here };
        go(here, Step::Land { round, from, head }, vec![])
    }
}

fn verify_failure(commands: &[String], index: usize, end: &CommandEnd, minutes: u32, output: String) -> Failure {
    let what = match commands.len() {
        1 => "verify command failed".to_owned(),
        count => format!("verify command {} of {count} failed", index + 1),
    };
    let how = match end.cause {
        EndCause::TimedOut => format!("timed out after {minutes} min"),
        EndCause::TooMuchOutput => "ended because it printed more than max_output_mb".to_owned(),
        EndCause::Lost => DIED.to_owned(),
        _ => exit::how(end),
    };
    Failure { what, command: Some(commands[index].clone()), how, output }
}

fn unmerged(reason: String) -> Ending {
    Ending::Completed { delivery: Some(Delivery::Unmerged), reason: Some(reason) }
}

fn fail(here: Position, task: Option<usize>, reason: String) -> Move {
    let changes = task.map(|task| Change::Task { task, status: TaskStatus::Failed }).into_iter().collect();
    go(here, Step::Close { ending: Ending::Failed { task, reason } }, changes)
}

fn close(here: Position, ending: Ending) -> Move {
    go(here, Step::Close { ending }, vec![])
}

fn with(mut next: Move, change: Change) -> Move {
    match &mut next {
        Move::Go(_, changes) | Move::GiveBack(_, changes, _) | Move::Rest(_, changes, _) => changes.insert(0, change),
        Move::End(_) => {}
    }
    next
}

#[cfg(test)]
mod tests;
