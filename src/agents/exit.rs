//! Decides the outcome of a `run` command, and of any command whose end has a cause that alone decides the
//! outcome.

use super::dialect::EndedRun;
use crate::domain::command::{CommandEnd, EndCause, EndReason, ExitStatus};
use crate::domain::exit::describe_end;
use crate::domain::outcome::TryOutcome;
use crate::domain::text;

/// The exit code of a shell whose child was killed with SIGKILL, for example by the kernel when memory is
/// short.
pub(crate) const CHILD_KILLED: i32 = 128 + 9;

/// Decides the outcome of a `run` command.
pub(crate) fn command_outcome(end: &CommandEnd) -> TryOutcome {
    outcome_of_cause(end).unwrap_or_else(|| match end.status {
        Some(ExitStatus::Code(0)) if end.cause == EndCause::Finished => TryOutcome::Succeeded,
        Some(ExitStatus::Code(CHILD_KILLED)) => TryOutcome::Crashed(describe_end(end)),
        Some(ExitStatus::Code(_)) if end.cause == EndCause::Finished => TryOutcome::Failed(describe_end(end)),
        _ => TryOutcome::Crashed(describe_end(end)),
    })
}

/// Returns the outcome of a command if the cause of its end alone decides the outcome; `None` if the exit
/// status and the output decide it.
fn outcome_of_cause(end: &CommandEnd) -> Option<TryOutcome> {
    match (&end.cause, end.reason) {
        (EndCause::Terminated | EndCause::Lost, Some(EndReason::Stalled)) => Some(TryOutcome::Stalled),
        (EndCause::Terminated | EndCause::Lost, Some(EndReason::OverBudget)) => Some(TryOutcome::TaskBudget(
            "the run cost as much as was left of the spec's budget, so boi ended it".to_owned(),
        )),
        // boi ended the agent. The result or the mode that the agent had reported decides the outcome.
        (EndCause::Terminated | EndCause::Lost, Some(EndReason::AfterResult | EndReason::ModeForbidden)) => None,
        (EndCause::TimedOut, _) => Some(TryOutcome::TimedOut),
        (EndCause::TooMuchOutput, _) => Some(TryOutcome::TooMuchOutput),
        (EndCause::Lost, None) => Some(TryOutcome::Lost),
        (EndCause::NotExecuted(error) | EndCause::NotExecutedYet(error), _) => {
            Some(TryOutcome::NotExecuted(error.clone()))
        }
        (EndCause::Finished, _) | (EndCause::Terminated, None) => None,
    }
}

/// Returns the outcome of an agent's run if the cause of its end alone decides the outcome.
pub(super) fn agent_outcome_of_cause(end: &CommandEnd) -> Option<TryOutcome> {
    outcome_of_cause(end).map(|outcome| match outcome {
        // Another error, such as a missing worktree, does not show that the agent's program is missing.
        TryOutcome::NotExecuted(error) if error.starts_with(CANNOT_EXECUTE) => TryOutcome::NoProgram(error),
        outcome => outcome,
    })
}

/// Returns whether a run failed because the agent's program, or a part of it, is missing. A shell or `env`
/// reports this with its exit code, and Node.js on stderr, for example while `npm` replaces the program.
/// Returns `false` if the agent had begun to work.
pub(super) fn missing_program(run: &EndedRun<'_>) -> bool {
    const MISSING_PART: [&str; 3] = ["cannot find module", "cannot find package", "missing optional dependency"];
    let ExitStatus::Code(code) = run.end.status.unwrap_or(ExitStatus::Code(0)) else { return false };
    let stderr = run.stderr.to_lowercase();
    let has_begun = run.reading.session_id.is_some() || run.reading.answered;
    !has_begun && (matches!(code, 126 | 127) || code != 0 && MISSING_PART.iter().any(|part| stderr.contains(part)))
}

/// Returns the last line of `stderr` that is not empty, as plain text.
pub(super) fn last_line(stderr: &str) -> String {
    let plain = text::plain(stderr);
    plain.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("").to_owned()
}

/// The beginning of the error that a supervisor reports if it could not execute its command's program.
const CANNOT_EXECUTE: &str = "cannot execute `";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    const ZERO: Option<ExitStatus> = Some(ExitStatus::Code(0));

    fn end(cause: EndCause, status: Option<ExitStatus>) -> CommandEnd {
        CommandEnd::new(cause, status, Timestamp(0))
    }

    #[test]
    fn the_reason_of_a_requested_end_decides_only_if_the_agent_hung() {
        let of = |cause, reason| outcome_of_cause(&CommandEnd { reason, ..end(cause, None) });
        for cause in [EndCause::Terminated, EndCause::Lost] {
            assert_eq!(of(cause.clone(), Some(EndReason::Stalled)), Some(TryOutcome::Stalled));
            let over_budget = of(cause.clone(), Some(EndReason::OverBudget));
            assert!(matches!(over_budget, Some(TryOutcome::TaskBudget(_))), "{over_budget:?}");
            assert_eq!(of(cause.clone(), Some(EndReason::AfterResult)), None);
            assert_eq!(of(cause, Some(EndReason::ModeForbidden)), None);
        }
        assert_eq!(of(EndCause::Terminated, None), None);
        assert_eq!(of(EndCause::TimedOut, Some(EndReason::Stalled)), Some(TryOutcome::TimedOut));
    }

    #[test]
    fn a_run_command_succeeds_only_by_exit_code_0_of_its_own() {
        let code = |code| Some(ExitStatus::Code(code));
        let signal = |signal| Some(ExitStatus::Signal(signal));
        let (failed, crashed) =
            (|how: &str| TryOutcome::Failed(how.into()), |how: &str| TryOutcome::Crashed(how.into()));
        for (cause, status, expected) in [
            (EndCause::Finished, ZERO, TryOutcome::Succeeded),
            (EndCause::Finished, code(2), failed("exit code 2")),
            (EndCause::Finished, code(143), failed("exit code 143 (SIGTERM)")),
            (EndCause::Finished, code(137), crashed("exit code 137 (SIGKILL)")),
            (EndCause::Finished, signal(9), crashed("signal 9 (SIGKILL)")),
            (EndCause::Finished, None, crashed("an unknown exit status")),
            (EndCause::TimedOut, ZERO, TryOutcome::TimedOut),
            (EndCause::TooMuchOutput, ZERO, TryOutcome::TooMuchOutput),
            (EndCause::Lost, None, TryOutcome::Lost),
            (EndCause::NotExecuted("sh: no".into()), None, TryOutcome::NotExecuted("sh: no".into())),
            (EndCause::NotExecutedYet("sh: no".into()), None, TryOutcome::NotExecuted("sh: no".into())),
            (EndCause::Terminated, ZERO, crashed("exit code 0, after its supervisor got a request to end it")),
            (EndCause::Terminated, code(1), crashed("exit code 1, after its supervisor got a request to end it")),
        ] {
            assert_eq!(command_outcome(&end(cause, status)), expected);
        }
    }
}
