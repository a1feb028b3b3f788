//! Composes the command line of Claude Code.

use crate::agents::dialect::{Run, Session};

const FIXED: [&str; 5] = ["-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"];

pub(super) fn command_line(run: &Run<'_>) -> Vec<String> {
    let mut argv = run.command.to_vec();
    argv.extend(FIXED.map(str::to_owned));
    let (flag, id) = match run.session {
        Session::New(id) => ("--session-id", id),
        Session::Resume(id) => ("--resume", id),
    };
    argv.extend([flag.to_owned(), id.to_owned()]);
    if let Some(usd) = run.max_usd {
        argv.extend(["--max-budget-usd".to_owned(), usd.dollars().to_string()]);
    }
    if let Some(model) = run.model {
        argv.extend(["--model".to_owned(), model.to_owned()]);
    }
    argv.extend_from_slice(run.arguments);
    argv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Usd;

    fn line(command: &[&str], arguments: &[&str], run: Run<'_>) -> String {
        let [command, arguments] =
            [command, arguments].map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        command_line(&Run { command: &command, arguments: &arguments, ..run }).join(" ")
    }

    #[test]
    fn the_users_arguments_come_last() {
        let fixed = "-p --output-format stream-json --verbose --dangerously-skip-permissions";
        let plain = Run { command: &[], arguments: &[], model: None, session: Session::New("3f22"), max_usd: None };
        assert_eq!(line(&["claude"], &[], plain), format!("claude {fixed} --session-id 3f22"));
        let run =
            Run { model: Some("sonnet"), session: Session::Resume("3f22"), max_usd: Usd::from_dollars(0.25), ..plain };
        assert_eq!(
            line(&["nice", "/opt/claude"], &["--max-turns", "7"], run),
            format!("nice /opt/claude {fixed} --resume 3f22 --max-budget-usd 0.25 --model sonnet --max-turns 7")
        );
    }
}
