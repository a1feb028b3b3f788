//! Describes in words how a command ended.

use super::command::{CommandEnd, EndCause, ExitStatus};

/// Returns how a command ended, in words that fit after "ended with": `exit code 1`, `signal 9 (SIGKILL)`.
pub(crate) fn describe_end(end: &CommandEnd) -> String {
    match &end.cause {
        EndCause::Finished => describe_status(end.status),
        EndCause::NotExecuted(error) | EndCause::NotExecutedYet(error) => {
            format!("an error before the program ran: {error}")
        }
        EndCause::TimedOut => "a timeout".to_owned(),
        EndCause::TooMuchOutput => "too much output".to_owned(),
        EndCause::Terminated => {
            format!("{}, after its supervisor got a request to end it", describe_status(end.status))
        }
        EndCause::Lost => "the death of its supervisor".to_owned(),
    }
}

/// Returns an exit status in words: `exit code 1`, `signal 9 (SIGKILL)`.
pub(crate) fn describe_status(status: Option<ExitStatus>) -> String {
    match status {
        // A shell, or a program that catches a signal, exits with 128 and the signal's number.
        Some(ExitStatus::Code(code)) => match signal_name(code.saturating_sub(128)) {
            Some(name) => format!("exit code {code} ({name})"),
            _ => format!("exit code {code}"),
        },
        Some(ExitStatus::Signal(signal)) => match signal_name(signal) {
            Some(name) => format!("signal {signal} ({name})"),
            None => format!("signal {signal}"),
        },
        None => "an unknown exit status".to_owned(),
    }
}

/// Returns the name of a signal whose number is the same on every platform; `None` for every other signal.
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

    #[test]
    fn an_end_is_described_by_its_cause_or_its_status() {
        for (cause, words) in [
            (EndCause::Finished, "exit code 0"),
            (EndCause::NotExecuted("no file".into()), "an error before the program ran: no file"),
            (EndCause::NotExecutedYet("no memory".into()), "an error before the program ran: no memory"),
            (EndCause::TimedOut, "a timeout"),
            (EndCause::TooMuchOutput, "too much output"),
            (EndCause::Terminated, "exit code 0, after its supervisor got a request to end it"),
            (EndCause::Lost, "the death of its supervisor"),
        ] {
            let end = CommandEnd::new(cause, Some(ExitStatus::Code(0)), Timestamp(0));
            assert_eq!(describe_end(&end), words);
        }
    }

    #[test]
    fn signals_are_named_also_in_the_exit_code_of_a_shell() {
        let code = |code| describe_status(Some(ExitStatus::Code(code)));
        let signal = |signal| describe_status(Some(ExitStatus::Signal(signal)));
        let numbers = [1, 2, 3, 4, 6, 8, 9, 11, 13, 14, 15];
        let names = "HUP INT QUIT ILL ABRT FPE KILL SEGV PIPE ALRM TERM".split(' ');
        for (number, name) in numbers.into_iter().zip(names) {
            assert_eq!(signal(number), format!("signal {number} (SIG{name})"));
            assert_eq!(code(128 + number), format!("exit code {} (SIG{name})", 128 + number));
        }
        assert_eq!(signal(64), "signal 64");
        for unnamed in [i32::MAX, i32::MIN, -1, 1, 9, 128, 255] {
            assert_eq!(code(unnamed), format!("exit code {unnamed}"));
        }
        assert_eq!(describe_status(None), "an unknown exit status");
    }
}
