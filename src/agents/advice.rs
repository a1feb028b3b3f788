//! Advice for the user: what to do about a failure whose remedy is the same for all agents, and about a `run`
//! command that failed.

use crate::domain::id::SpecId;
use crate::domain::outcome::TryOutcome;

/// Returns the advice for the outcome of a `run` command; `None` for an outcome that is not a failure of a
/// `run` command.
pub(super) fn for_command(outcome: &TryOutcome, spec: &SpecId) -> Option<String> {
    match outcome {
        TryOutcome::NotExecuted(_) => Some(format!(
            "Fix the problem that the reason names. If a program is missing, install it where the PATH of the daemon \
             finds it. {}",
            then_retry(spec)
        )),
        TryOutcome::Failed(_) | TryOutcome::Crashed(_) => Some(read_the_output(spec)),
        TryOutcome::TimedOut => Some(timed_out(spec)),
        TryOutcome::TooMuchOutput => Some(too_much_output(spec)),
        TryOutcome::Lost => Some(lost(spec)),
        _ => None,
    }
}

/// Returns the last sentence of an advice whose fix is outside of the spec file.
pub(super) fn then_retry(spec: &SpecId) -> String {
    format!("Then run `boi retry {spec}`.")
}

/// Returns the last sentence of an advice that changes the spec file. `boi retry` would not read the changed
/// file, since the queue contains a copy of the spec that never changes.
pub(super) fn then_dispatch() -> &'static str {
    "Then queue the changed spec file with `boi dispatch FILE`."
}

/// Returns the advice for a failure that only the output explains.
pub(super) fn read_the_output(spec: &SpecId) -> String {
    format!("Read the output with `boi log {spec}` and fix the cause. {}", then_retry(spec))
}

/// Returns the advice for a command that exceeded its time limit.
pub(super) fn timed_out(spec: &SpecId) -> String {
    format!(
        "Read with `boi log {spec}` what took so long. If the task needs more time, raise its `timeout_minutes` in the \
         spec file, or split the task. {}",
        then_dispatch()
    )
}

/// Returns the advice for a command that printed more than allowed.
pub(super) fn too_much_output(spec: &SpecId) -> String {
    format!(
        "Make the command print less, or raise the limit with `boi config set max_output_mb MB` and \
         `boi daemon restart`. {}",
        then_retry(spec)
    )
}

/// Returns the advice for a command that was killed together with its supervisor.
pub(super) fn lost(spec: &SpecId) -> String {
    format!(
        "Find out what killed the processes: `journalctl -k` shows whether the machine ran out of memory. {}",
        then_retry(spec)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_a_plain_command_has_advice() {
        let spec: SpecId = "SD979".parse().unwrap();
        for (outcome, expected) in [
            (TryOutcome::NotExecuted("cannot execute `sh`".into()), "the PATH of the daemon"),
            (TryOutcome::Failed("exit code 1".into()), "`boi log SD979`"),
            (TryOutcome::Crashed("signal 9".into()), "`boi log SD979`"),
            (TryOutcome::TimedOut, "`timeout_minutes`"),
            (TryOutcome::TooMuchOutput, "`boi config set max_output_mb MB`"),
            (TryOutcome::Lost, "`journalctl -k`"),
        ] {
            let advice = for_command(&outcome, &spec).unwrap();
            assert!(advice.contains(expected), "{advice}");
            let last = if outcome == TryOutcome::TimedOut { "`boi dispatch FILE`." } else { "`boi retry SD979`." };
            assert!(advice.ends_with(last), "{advice}");
        }
        assert_eq!(for_command(&TryOutcome::Succeeded, &spec), None);
    }
}
