//! Composes the command line of Claude Code.

use crate::agents::dialect::Run;

const FIXED: [&str; 6] =
    ["-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions", "--session-id"];

pub(super) fn command_line(run: &Run<'_>) -> Vec<String> {
    let mut argv = vec![run.program.to_owned()];
    argv.extend(FIXED.map(str::to_owned));
    argv.push(run.session.to_owned());
    if let Some(model) = run.model {
        argv.extend(["--model".to_owned(), model.to_owned()]);
    }
    argv.extend_from_slice(run.arguments);
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_arguments_come_last() {
        let arguments = ["--max-turns".to_owned(), "7".to_owned()];
        let run = Run { program: "/opt/claude", arguments: &arguments, model: Some("sonnet"), session: "3f22" };
        assert_eq!(
            command_line(&run).join(" "),
            "/opt/claude -p --output-format stream-json --verbose --dangerously-skip-permissions --session-id 3f22 \
             --model sonnet --max-turns 7"
        );
        let plain = Run { program: "claude", arguments: &[], model: None, session: "3f22" };
        assert!(command_line(&plain).join(" ").ends_with(" --session-id 3f22"));
    }
}
