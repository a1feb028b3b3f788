//! The command line of an agent.

/// What to execute for one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCommand {
    /// The program and its arguments. The prompt is not among them: it goes to stdin, which is then closed.
    pub argv: Vec<String>,
}

/// How `agent` is called for one try in a session of its own; `None` for an agent that boi does not know.
///
/// `session` is a UUID that was never used before: Claude Code refuses a second start with the same one.
pub fn command(
    agent: &str,
    claude_bin: &str,
    claude_args: &[String],
    model: Option<&str>,
    session: &str,
) -> Option<AgentCommand> {
    if agent != "claude" {
        return None;
    }
    let fixed = ["-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions", "--session-id"];
    let mut argv = vec![claude_bin.to_owned()];
    argv.extend(fixed.map(str::to_owned));
    argv.push(session.to_owned());
    if let Some(model) = model {
        argv.extend(["--model".to_owned(), model.to_owned()]);
    }
    argv.extend_from_slice(claude_args);
    Some(AgentCommand { argv })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_is_called_with_the_users_arguments_last() {
        let extra = ["--max-turns".to_owned(), "7".to_owned()];
        let argv = command("claude", "/opt/claude", &extra, Some("sonnet"), "3f22").unwrap().argv;
        assert_eq!(
            argv.join(" "),
            "/opt/claude -p --output-format stream-json --verbose --dangerously-skip-permissions --session-id 3f22 \
             --model sonnet --max-turns 7"
        );
        assert!(!command("claude", "claude", &[], None, "3f22").unwrap().argv.contains(&"--model".to_owned()));
        assert_eq!(command("nobody", "claude", &[], None, "3f22"), None);
    }
}
