//! The setup commands: what follows each of them.

use super::{AttemptPlan, Move, act, fail, go, next_task};
use crate::decide::retry;
use crate::domain::cause::Cause;
use crate::domain::command::CommandEnd;
use crate::domain::failure::{FailedHow, FailedPart, Failure};
use crate::domain::position::{CommandStage, Progress, Setup, Stage};

/// Continues with `then`; `None`: with the first task that is not done.
pub(super) fn continue_with(plan: &AttemptPlan<'_>, progress: Progress, then: Option<Stage>) -> Move {
    match then {
        Some(Stage::Command(CommandStage::Act(of))) => act(plan, progress, of),
        Some(stage) => go(plan, progress, stage, vec![]),
        None => next_task(plan, progress, vec![]),
    }
}

/// Runs a setup command, or continues if there are no further ones.
pub(super) fn setup(plan: &AttemptPlan<'_>, progress: Progress, next: Setup) -> Move {
    if next.index < plan.spec.setup.len() {
        return go(plan, progress, Stage::Command(CommandStage::Setup(next)), vec![]);
    }
    continue_with(plan, progress, next.then.map(|then| *then))
}

/// Decides what follows a setup command. A command that failed is run again as often as a task may be tried again; this uses
/// up no try of a task. `output` is the end of what the command printed.
pub(crate) fn after_setup(
    plan: &AttemptPlan<'_>,
    progress: Progress,
    done: Setup,
    end: &CommandEnd,
    output: String,
) -> Move {
    let progress = Progress { cut_offs: 0, deaths: 0, next_try_at: None, ..progress };
    if end.succeeded() {
        return setup(plan, progress, Setup { index: done.index + 1, run: 1, then: done.then });
    }
    if done.run > plan.retry_count {
        let part = FailedPart::Setup {
            command: plan.spec.setup[done.index].clone(),
            number: done.index + 1,
            count: plan.spec.setup.len(),
        };
        let failure = Failure { part, how: FailedHow::of(end, setup_minutes(plan)), output };
        return fail(plan.spec, progress, None, Cause::Setup { failure });
    }
    let wait = retry::try_backoff_millis(done.run, plan.retry_backoff);
    let next = Stage::Command(CommandStage::Setup(Setup { run: done.run + 1, ..done }));
    Move::Go(Progress { next_try_at: Some(plan.now.plus_millis(wait)), ..progress }.resume_at(next), vec![])
}

/// Returns the time limit of a setup command, in minutes.
fn setup_minutes(plan: &AttemptPlan<'_>) -> u32 {
    plan.spec.of_repository.timeout_minutes.unwrap_or(plan.timeout_minutes)
}
