//! What a person can do about an outcome, in a sentence.

use crate::domain::outcome::TryOutcome;

/// What the user should do; `None` where boi goes on by itself, or where the outcome says it all. `agent` is the name
/// in the spec, of a task that has a prompt.
pub fn advice(outcome: &TryOutcome, agent: Option<&str>) -> Option<String> {
    let text = match outcome {
        TryOutcome::Auth(_) if agent == Some("claude") => {
            "log in: start `claude` and type `/login`, or start boi with ANTHROPIC_API_KEY in its environment; then \
             `boi retry ID`"
        }
        TryOutcome::Auth(_) => "log the agent in, then `boi retry ID`",
        TryOutcome::NeedsHuman(_) => "see to the account's billing, credit or spending cap, then `boi retry ID`",
        TryOutcome::NotExecuted(why) if !why.starts_with("cannot execute") => "mend that, then `boi retry ID`",
        TryOutcome::NotExecuted(_) if agent == Some("claude") => {
            "install Claude Code, or set `claude_bin` in config.toml to its whole path; then `boi retry ID`"
        }
        TryOutcome::NotExecuted(_) => "have the program on the daemon's PATH, then `boi retry ID`",
        TryOutcome::Context(_) => "the prompt does not fit: shorten `context` and `prompt`, or split the task",
        TryOutcome::TaskBudget(_) => {
            "raise the limit in `claude_args` (`--max-turns`, `--max-budget-usd`), or split the task; then `boi retry ID`"
        }
        TryOutcome::TimedOut => "raise `timeout_minutes` in the task, or split the task; then dispatch it again",
        TryOutcome::TooMuchOutput => "raise `max_output_mb` in the config, or have the command print less",
        TryOutcome::Crashed(detail) if detail.contains("cannot be used with root") => {
            "Claude Code does not skip permissions as root: run the daemon as another user, or in a sandbox with \
             IS_SANDBOX=1 in its environment"
        }
        TryOutcome::Failed(detail) if detail.contains("issue with the selected model") => {
            "correct `model` in the spec, then dispatch it again"
        }
        TryOutcome::Succeeded
        | TryOutcome::Failed(_)
        | TryOutcome::Crashed(_)
        | TryOutcome::Lost
        | TryOutcome::Limited { .. }
        | TryOutcome::Throttled(_)
        | TryOutcome::Overloaded(_) => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_says_how_to_log_in() {
        let text = advice(&TryOutcome::Auth("401".into()), Some("claude")).unwrap();
        for part in ["`claude`", "`/login`", "ANTHROPIC_API_KEY", "`boi retry ID`"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(advice(&TryOutcome::Throttled("429".into()), Some("claude")), None);
        let root = "ended with exit code 1 and without a result: --dangerously-skip-permissions cannot be used with \
                    root/sudo privileges for security reasons";
        assert!(advice(&TryOutcome::Crashed(root.into()), Some("claude")).unwrap().contains("IS_SANDBOX"));
    }

    #[test]
    fn what_was_not_executed_is_installed_only_if_it_is_the_program_that_is_missing() {
        let advised = |why: &str, agent| advice(&TryOutcome::NotExecuted(why.into()), agent).unwrap();
        assert!(advised("cannot execute `claude`: No such file or directory", Some("claude")).contains("Claude Code"));
        assert!(advised("cannot execute `sh`: No such file or directory", None).contains("PATH"));
        for agent in [Some("claude"), None] {
            let text = advised("the folder to work in, /x, is not there", agent);
            assert!(!text.contains("install") && !text.contains("PATH"), "{text}");
        }
    }
}
