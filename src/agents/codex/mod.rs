//! The agent Codex. boi runs it as `codex exec --json`, which prints one JSON object a line.

mod describe;
mod diagnose;
mod line_reader;
mod phrases;

#[cfg(test)]
mod recorded;

use super::credentials::Credentials;
use super::dialect::{Diagnosis, Dialect, EndedRun, Resumed, Run, Session};
use super::reading::LineReader;
use crate::domain::outcome::TryOutcome;

/// The dialect of Codex.
pub(super) struct Codex;

impl Dialect for Codex {
    fn command_line(&self, run: &Run<'_>) -> Vec<String> {
        let mut argv = run.command.to_vec();
        let mut add = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
        add(match run.session {
            // Codex makes the id of a new session itself.
            Session::New(_) => &["exec"],
            Session::Resume(_) => &["exec", "resume"],
        });
        add(&["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]);
        if let Some(model) = run.model {
            add(&["--model", model]);
        }
        argv.extend_from_slice(run.arguments);
        if let Session::Resume(id) = run.session {
            argv.push(id.to_owned());
        }
        // The prompt is on stdin.
        argv.push("-".to_owned());
        argv
    }

    fn resume_interactively(&self, resumed: &Resumed<'_>) -> Option<Vec<String>> {
        Some(resumed.with(&["resume", resumed.session], "--model"))
    }

    fn line_reader(&self) -> Box<dyn LineReader> {
        Box::<line_reader::Jsonl>::default()
    }

    fn diagnose(&self, run: &EndedRun<'_>) -> Diagnosis {
        diagnose::diagnose(run)
    }

    fn remedy(&self, outcome: &TryOutcome, agent: &str) -> Option<String> {
        Some(match outcome {
            TryOutcome::Auth(_) => {
                "Log in: run `codex login` as the user of the daemon. Or run `boi daemon restart` with the API key of \
                 the provider in the environment."
                    .to_owned()
            }
            TryOutcome::NeedsHuman(_) => "Check the plan, the credit and the spending limit of the account, at \
                 <https://chatgpt.com/settings/usage> or <https://platform.openai.com/usage>."
                .to_owned(),
            TryOutcome::NotExecuted(_) | TryOutcome::NoProgram(_) => format!(
                "Fix the problem that the reason names. If `codex` is missing, install Codex with `npm install -g \
                 @openai/codex`, or correct the program of the agent `{agent}` in the configuration."
            ),
            _ => return None,
        })
    }

    fn describe(&self, line: &[u8]) -> Option<String> {
        describe::describe(line)
    }

    fn credentials(&self) -> &'static [Credentials] {
        &[Credentials { variable: "CODEX_HOME", folder: ".codex", file: "auth.json" }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_begun_or_continued_and_the_prompt_comes_from_stdin() {
        let command = ["/opt/codex".to_owned()];
        let arguments = ["-c".to_owned(), "x=1".to_owned()];
        let run = Run { command: &command, arguments: &[], model: None, session: Session::New("u"), max_usd: None };
        let fixed = "--json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox";
        assert_eq!(Codex.command_line(&run).join(" "), format!("/opt/codex exec {fixed} -"));
        let session = Session::Resume("01a2");
        let run = Run { arguments: &arguments, model: Some("m"), session, ..run };
        assert_eq!(
            Codex.command_line(&run).join(" "),
            format!("/opt/codex exec resume {fixed} --model m -c x=1 01a2 -")
        );
    }
}
