//! The agent Gemini CLI. boi runs it with `-o stream-json`, which prints one JSON object a line.

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

/// The dialect of Gemini CLI.
pub(super) struct Gemini;

/// The arguments of every run. With the empty prompt of `-p`, the CLI reads the prompt from stdin and starts
/// no user interface. `--skip-trust` makes the CLI trust the folder: otherwise it would ask before each tool
/// call, and nobody could answer.
const FIXED: [&str; 7] = ["-p", "", "--approval-mode", "yolo", "--skip-trust", "-o", "stream-json"];

impl Dialect for Gemini {
    fn command_line(&self, run: &Run<'_>) -> Vec<String> {
        let mut argv = run.command.to_vec();
        argv.extend(FIXED.map(str::to_owned));
        let (flag, id) = match run.session {
            Session::New(id) => ("--session-id", id),
            Session::Resume(id) => ("--resume", id),
        };
        argv.extend([flag.to_owned(), id.to_owned()]);
        argv.extend(run.model.into_iter().flat_map(|model| ["-m".to_owned(), model.to_owned()]));
        argv.extend_from_slice(run.arguments);
        argv
    }

    fn resume_interactively(&self, resumed: &Resumed<'_>) -> Option<Vec<String>> {
        Some(resumed.with(&["--resume", resumed.session], "-m"))
    }

    fn line_reader(&self) -> Box<dyn LineReader> {
        Box::<line_reader::StreamJson>::default()
    }

    fn diagnose(&self, run: &EndedRun<'_>) -> Diagnosis {
        diagnose::diagnose(run)
    }

    fn remedy(&self, outcome: &TryOutcome, _agent: &str) -> Option<String> {
        let remedy = match outcome {
            TryOutcome::Auth(_) => {
                "Log in: start `gemini` and type `/auth`. Or run `boi daemon restart` with GEMINI_API_KEY in the \
                 environment."
            }
            TryOutcome::NeedsHuman(_) => {
                "Check the account's plan, billing and quota at <https://aistudio.google.com>, or in `gemini` with \
                 `/stats`."
            }
            TryOutcome::ModeForbidden(_) => {
                "Allow the approval mode `yolo` in the settings of Gemini CLI: `security.disableYoloMode` and \
                 `admin.secureModeEnabled` must not be true."
            }
            TryOutcome::NotExecuted(_) | TryOutcome::NoProgram(_) => {
                "Fix the problem that the reason names. If `gemini` is missing, install Gemini CLI with `npm install \
                 -g @google/gemini-cli`, or correct `agents.gemini` in the configuration."
            }
            TryOutcome::TaskBudget(_) => "Raise `model.maxSessionTurns` in the settings of Gemini CLI.",
            _ => return None,
        };
        Some(remedy.to_owned())
    }

    fn describe(&self, line: &[u8]) -> Option<String> {
        describe::describe(line)
    }

    fn credentials(&self) -> &'static [Credentials] {
        &[
            Credentials { variable: "GEMINI_CLI_HOME", folder: "", file: ".gemini/oauth_creds.json" },
            Credentials { variable: "GEMINI_CLI_HOME", folder: "", file: ".gemini/settings.json" },
            Credentials { variable: "GEMINI_CLI_HOME", folder: "", file: ".gemini/.env" },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_the_user_come_last() {
        let [command, arguments] = [["/opt/gemini".to_owned()], ["--debug".to_owned()]];
        let plain =
            Run { command: &command, arguments: &[], model: None, session: Session::New("3f22"), max_usd: None };
        let fixed = "/opt/gemini -p  --approval-mode yolo --skip-trust -o stream-json";
        assert_eq!(Gemini.command_line(&plain).join(" "), format!("{fixed} --session-id 3f22"));
        let run =
            Run { arguments: &arguments, model: Some("gemini-2.5-pro"), session: Session::Resume("3f22"), ..plain };
        assert_eq!(Gemini.command_line(&run).join(" "), format!("{fixed} --resume 3f22 -m gemini-2.5-pro --debug"));
    }
}
