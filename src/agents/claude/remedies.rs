//! Advice for the user: what to do about a failure of Claude Code.

use crate::domain::outcome::TryOutcome;

/// Returns how the user removes the cause of `outcome` with Claude Code. Returns `None` if the advice is the
/// same as for every other agent.
pub(super) fn remedy(outcome: &TryOutcome) -> Option<String> {
    let remedy = match outcome {
        TryOutcome::Auth(_) => {
            "Log in: start `claude` and type `/login`. Or run `boi daemon restart` with ANTHROPIC_API_KEY in the \
             environment."
        }
        TryOutcome::NeedsHuman(_) => {
            "Check the account's plan, credit and spending limit at <https://console.anthropic.com>, or in `claude` \
             with `/status`."
        }
        TryOutcome::ModeForbidden(_) => {
            "Allow the mode `bypassPermissions` in the settings file that forbids it, such as `.claude/settings.json` in \
             the repository."
        }
        TryOutcome::NotExecuted(_) | TryOutcome::NoProgram(_) => {
            "Fix the problem that the reason names. If `claude` is missing, install Claude Code with `npm install -g \
             @anthropic-ai/claude-code`, or run `boi config set claude_bin /path/to/claude`."
        }
        TryOutcome::RefusesRoot(_) => {
            "Claude Code refuses to run as root without permission prompts. Start the daemon as another user. If the \
             daemon runs in a sandbox, run `boi daemon restart` with IS_SANDBOX=1 in the environment."
        }
        TryOutcome::TaskBudget(_) => {
            "Raise `--max-turns` or `--max-budget-usd` in `claude_args`, as in `boi config set claude_args \
             \"['--max-turns', '200']\"`."
        }
        TryOutcome::UnknownModel(_) => {
            "Correct `model` in the spec file, or leave it out to use the default of Claude Code."
        }
        _ => return None,
    };
    Some(remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::agents::advice::advice;
    use crate::agents::claude::diagnose;
    use crate::agents::claude::recorded::{self, read};
    use crate::agents::dialect::EndedRun;
    use crate::domain::command::{CommandEnd, EndCause, ExitStatus};
    use crate::domain::outcome::TryOutcome;
    use crate::domain::time::Timestamp;

    /// Returns the advice for a run that ended with `cause` and printed `output` and `stderr`.
    fn advised(cause: EndCause, output: &str, stderr: &str) -> Option<String> {
        let (now, reading) = (Timestamp(1_795_478_040_000), read(output));
        let end = CommandEnd::new(cause, Some(ExitStatus::Code(1)), now);
        let run = EndedRun { end: &end, reading: &reading, stderr, now, zone: |_| None };
        advice(&diagnose::diagnose(&run).outcome, Some("claude"), &"SD979".parse().unwrap())
    }

    const RETRY: &str = "`boi retry SD979`.";
    const DISPATCH: &str = "`boi dispatch FILE`.";

    #[test]
    fn what_was_recorded_of_a_failure_leads_to_advice() {
        let missing = EndCause::NotExecuted("cannot execute `claude`: No such file or directory (os error 2)".into());
        let finished = || EndCause::Finished;
        for (cause, output, stderr, expected, last) in [
            (finished(), recorded::REFUSED_LOGIN, "", "type `/login`", RETRY),
            (finished(), recorded::NOT_LOGGED_IN, "", "ANTHROPIC_API_KEY", RETRY),
            (finished(), recorded::FORBIDDEN, "", "Log in: start `claude`", RETRY),
            (finished(), recorded::NO_CREDIT, "", "credit and spending limit", RETRY),
            (finished(), recorded::DISABLED, "", "the account's plan", RETRY),
            (finished(), recorded::TOO_LONG, "", "Shorten `context`", DISPATCH),
            (finished(), recorded::UNKNOWN_MODEL, "", "Correct `model`", DISPATCH),
            (finished(), recorded::MAX_TURNS, "", "Raise `--max-turns`", RETRY),
            (finished(), recorded::MAX_BUDGET, "", "`boi config set claude_args", RETRY),
            (finished(), recorded::UNKNOWN_SESSION, "", "`boi log SD979`", RETRY),
            (finished(), "", recorded::REFUSES_ROOT, "IS_SANDBOX=1", RETRY),
            (finished(), "", "Segmentation fault", "`boi log SD979`", RETRY),
            (missing, "", "", "`npm install -g @anthropic-ai/claude-code`", RETRY),
            (EndCause::TimedOut, "", "", "`timeout_minutes`", DISPATCH),
            (EndCause::TooMuchOutput, "", "", "`boi config set max_output_mb MB`", RETRY),
            (EndCause::Lost, "", "", "`journalctl -k`", RETRY),
        ] {
            let advice = advised(cause, output, stderr).unwrap();
            assert!(advice.contains(expected) && advice.ends_with(last), "{advice}");
        }
    }

    #[test]
    fn what_boi_waits_out_needs_no_advice() {
        for output in [
            recorded::LIMITED,
            recorded::SPENDING_CAP,
            recorded::LIMITED_KEY,
            recorded::THROTTLED,
            recorded::OVERLOADED,
        ] {
            assert_eq!(advised(EndCause::Finished, output, ""), None, "{output}");
        }
        assert_eq!(advice(&TryOutcome::Succeeded, Some("claude"), &"SD979".parse().unwrap()), None);
    }
}
