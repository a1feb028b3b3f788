//! How a command ended, in words, and what that means for a `run` command.

use crate::domain::outcome::{CommandEnd, EndCause, ExitStatus, TryOutcome};

/// What a shell exits with whose command was ended by SIGKILL, such as for want of memory.
pub const CHILD_KILLED: i32 = 128 + 9;

/// What a `run` command came to.
pub fn command_outcome(end: &CommandEnd) -> TryOutcome {
    ended_by_boi(end).unwrap_or_else(|| match end.status {
        Some(ExitStatus::Code(0)) if end.cause == EndCause::Finished => TryOutcome::Succeeded,
        Some(ExitStatus::Code(CHILD_KILLED)) => TryOutcome::Crashed(how(end)),
        Some(ExitStatus::Code(_)) if end.cause == EndCause::Finished => TryOutcome::Failed(how(end)),
        _ => TryOutcome::Crashed(how(end)),
    })
}

/// How a command ended, in words that fit after "ended with": `exit code 1`, `signal 9 (SIGKILL)`.
pub fn how(end: &CommandEnd) -> String {
    let status = match end.status {
        Some(ExitStatus::Code(code)) => match signal_name(code.saturating_sub(128)) {
            // What a shell, or a program that catches the signal, makes of it.
            Some(name) if code > 128 => format!("exit code {code} ({name})"),
            _ => format!("exit code {code}"),
        },
        Some(ExitStatus::Signal(signal)) => match signal_name(signal) {
            Some(name) => format!("signal {signal} ({name})"),
            None => format!("signal {signal}"),
        },
        None => "an unknown status".to_owned(),
    };
    match &end.cause {
        EndCause::Finished => status,
        EndCause::NotExecuted(error) | EndCause::NotExecutedYet(error) => format!("could not be executed: {error}"),
        EndCause::TimedOut => "its deadline".to_owned(),
        EndCause::TooMuchOutput => "too much output".to_owned(),
        EndCause::Terminated => format!("{status}, after boi was asked to end it"),
        EndCause::Lost => "its supervisor, which was killed".to_owned(),
    }
}

/// The outcome of a command that something other than the command ended, where that alone decides.
pub(super) fn ended_by_boi(end: &CommandEnd) -> Option<TryOutcome> {
    match &end.cause {
        EndCause::TimedOut => Some(TryOutcome::TimedOut),
        EndCause::TooMuchOutput => Some(TryOutcome::TooMuchOutput),
        EndCause::Lost => Some(TryOutcome::Lost),
        EndCause::NotExecuted(error) | EndCause::NotExecutedYet(error) => Some(TryOutcome::NotExecuted(error.clone())),
        EndCause::Finished | EndCause::Terminated => None,
    }
}

/// The names of the signals whose numbers are the same everywhere.
fn signal_name(signal: i32) -> Option<&'static str> {
    match signal {
        1 => Some("SIGHUP"),
        2 => Some("SIGINT"),
        3 => Some("SIGQUIT"),
        4 => Some("SIGILL"),
        6 => Some("SIGABRT"),
        8 => Some("SIGFPE"),
        9 => Some("SIGKILL"),
        11 => Some("SIGSEGV"),
        13 => Some("SIGPIPE"),
        14 => Some("SIGALRM"),
        15 => Some("SIGTERM"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn end(cause: EndCause, status: Option<ExitStatus>) -> CommandEnd {
        CommandEnd { cause, status, swept: 0, ended_at: Timestamp(0) }
    }

    #[test]
    fn only_exit_code_0_of_its_own_is_success() {
        let outcome = |cause, status| command_outcome(&end(cause, status));
        let code = |code| Some(ExitStatus::Code(code));
        assert_eq!(outcome(EndCause::Finished, code(0)), TryOutcome::Succeeded);
        assert_eq!(outcome(EndCause::Finished, code(2)), TryOutcome::Failed("exit code 2".into()));
        assert_eq!(outcome(EndCause::Finished, code(143)), TryOutcome::Failed("exit code 143 (SIGTERM)".into()));
        let killed = outcome(EndCause::Finished, Some(ExitStatus::Signal(9)));
        assert_eq!(killed, TryOutcome::Crashed("signal 9 (SIGKILL)".into()));
        assert_eq!(
            outcome(EndCause::Finished, code(137)),
            TryOutcome::Crashed("exit code 137 (SIGKILL)".into()),
            "the shell tells of its command"
        );
        assert_eq!(outcome(EndCause::Finished, None), TryOutcome::Crashed("an unknown status".into()));
        assert_eq!(outcome(EndCause::TimedOut, code(0)), TryOutcome::TimedOut);
        assert_eq!(outcome(EndCause::TooMuchOutput, code(0)), TryOutcome::TooMuchOutput);
        assert_eq!(outcome(EndCause::Lost, None), TryOutcome::Lost);
        assert_eq!(outcome(EndCause::NotExecuted("sh: no".into()), None), TryOutcome::NotExecuted("sh: no".into()));
        assert!(matches!(outcome(EndCause::Terminated, code(0)), TryOutcome::Crashed(_)));
    }

    #[test]
    fn odd_codes_have_no_signal_name() {
        for code in [i32::MAX, -1, 128, 255] {
            assert_eq!(how(&end(EndCause::Finished, Some(ExitStatus::Code(code)))), format!("exit code {code}"));
        }
    }
}
