//! Decides the outcome of a `run` command, and of any command whose end has a cause that alone decides the
//! outcome.

use crate::domain::command::{CommandEnd, EndCause, ExitStatus};
use crate::domain::exit::describe_end;
use crate::domain::outcome::TryOutcome;

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
pub(super) fn outcome_of_cause(end: &CommandEnd) -> Option<TryOutcome> {
    match &end.cause {
        EndCause::TimedOut => Some(TryOutcome::TimedOut),
        EndCause::TooMuchOutput => Some(TryOutcome::TooMuchOutput),
        EndCause::Lost => Some(TryOutcome::Lost),
        EndCause::NotExecuted(error) | EndCause::NotExecutedYet(error) => Some(TryOutcome::NotExecuted(error.clone())),
        EndCause::Finished | EndCause::Terminated => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    const ZERO: Option<ExitStatus> = Some(ExitStatus::Code(0));

    fn end(cause: EndCause, status: Option<ExitStatus>) -> CommandEnd {
        CommandEnd::new(cause, status, Timestamp(0))
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
