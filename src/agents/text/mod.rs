//! Agents whose output is any text. The exit code alone decides the outcome of a run. boi cannot continue
//! sessions of these agents, and passes them no model.

use super::credentials::Credentials;
use super::dialect::{Diagnosis, Dialect, EndedRun, Resumed, Run};
use super::exit::{agent_outcome_of_cause, command_outcome, last_line, missing_program};
use super::reading::{LONGEST_TEXT, LineReader, Reading};
use crate::domain::exit::describe_end;
use crate::domain::outcome::TryOutcome;
use crate::domain::text;

/// The dialect of agents that print any text.
pub(super) struct Text;

/// The reader of the output. The last line that is not empty is the agent's last message.
struct Lines;

impl LineReader for Lines {
    fn read_line(&mut self, line: &[u8], reading: &mut Reading) {
        let tail = text::tail(line, LONGEST_TEXT);
        let line = text::plain(&tail);
        if !line.trim().is_empty() {
            reading.last_text = Some(line.trim().to_owned());
        }
    }
}

impl Dialect for Text {
    fn command_line(&self, run: &Run<'_>) -> Vec<String> {
        [run.command, run.arguments].concat()
    }

    fn resume_interactively(&self, _resumed: &Resumed<'_>) -> Option<Vec<String>> {
        None
    }

    fn line_reader(&self) -> Box<dyn LineReader> {
        Box::new(Lines)
    }

    fn diagnose(&self, run: &EndedRun<'_>) -> Diagnosis {
        if let Some(outcome) = agent_outcome_of_cause(run.end) {
            return Diagnosis::by_end(outcome);
        }
        let last = last_line(run.stderr);
        if run.reading.last_text.is_none() && missing_program(run) {
            let detail = format!("the program ended with {}: {last}", describe_end(run.end));
            return Diagnosis::by_line(TryOutcome::NoProgram(detail), Some(&last));
        }
        Diagnosis::by_end(command_outcome(run.end))
    }

    fn remedy(&self, _outcome: &TryOutcome, _agent: &str) -> Option<String> {
        None
    }

    fn describe(&self, line: &[u8]) -> Option<String> {
        let line = text::plain(&String::from_utf8_lossy(line));
        Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
    }

    fn credentials(&self) -> &'static [Credentials] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::dialect::Session;
    use crate::agents::transcript::Transcript;
    use crate::domain::command::{CommandEnd, EndCause, ExitStatus};
    use crate::domain::time::Timestamp;

    fn read(output: &[u8]) -> Reading {
        let mut transcript = Transcript::new(Text.line_reader());
        transcript.push(output);
        transcript.finish()
    }

    fn outcome(cause: EndCause, status: ExitStatus, output: &[u8], stderr: &str) -> TryOutcome {
        let (end, reading) = (CommandEnd::new(cause, Some(status), Timestamp(0)), read(output));
        let run = EndedRun { end: &end, reading: &reading, stderr, now: Timestamp(0), zone: |_| None };
        Text.diagnose(&run).outcome
    }

    #[test]
    fn the_configured_command_is_run_as_it_is() {
        let [command, arguments] = [["sh", "-c"], ["x", "y"]].map(|words| words.map(str::to_owned));
        let session = Session::Resume("s");
        let run = Run { command: &command, arguments: &arguments, model: Some("m"), session, max_usd: None };
        assert_eq!(Text.command_line(&run), ["sh", "-c", "x", "y"]);
    }

    #[test]
    fn the_exit_code_decides_and_the_text_does_not() {
        let code = ExitStatus::Code;
        let prose = b"429: you've hit your usage limit\n{\"type\":\"result\",\"is_error\":true}\n\xff\n".as_slice();
        for (cause, status, stderr, expected) in [
            (EndCause::Finished, code(0), "", TryOutcome::Succeeded),
            (EndCause::Finished, code(2), "Not logged in", TryOutcome::Failed("exit code 2".into())),
            (EndCause::Finished, code(127), "", TryOutcome::Failed("exit code 127".into())),
            (EndCause::Finished, ExitStatus::Signal(9), "", TryOutcome::Crashed("signal 9 (SIGKILL)".into())),
            (EndCause::TimedOut, code(0), "", TryOutcome::TimedOut),
            (
                EndCause::NotExecuted("cannot execute `a`: no".into()),
                code(0),
                "",
                TryOutcome::NoProgram("cannot execute `a`: no".into()),
            ),
            (
                EndCause::NotExecuted("the working directory /w does not exist".into()),
                code(0),
                "",
                TryOutcome::NotExecuted("the working directory /w does not exist".into()),
            ),
        ] {
            assert_eq!(outcome(cause, status, prose, stderr), expected);
        }
        let missing = outcome(EndCause::Finished, code(127), b"", "env: 'node': No such file");
        assert_eq!(
            missing,
            TryOutcome::NoProgram("the program ended with exit code 127: env: 'node': No such file".into())
        );
    }

    #[test]
    fn the_last_line_is_the_message_and_lines_are_shown_as_they_are() {
        let output = [vec![b'x'; 8 << 20], b"\n\x1b[31mdone\x1b[0m\r\n\n".to_vec()].concat();
        assert_eq!(read(&output).report().message.as_deref(), Some("done"));
        assert_eq!(read(b"half a line").last_text.as_deref(), Some("half a line"));
        assert_eq!(read(b"").last_text, None);
        assert_eq!(Text.describe(b"\x1b[31m  a\xff \r\n").as_deref(), Some("  a\u{fffd}"));
        assert_eq!(Text.describe(b" "), None);
    }
}
