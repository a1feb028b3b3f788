//! The agent opencode. boi runs it as `opencode run` with `--format json`, which prints one JSON object a line.

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

/// The dialect of opencode.
pub(super) struct Opencode;

/// The arguments of every run. With `--auto`, opencode approves each tool call that its configuration does
/// not deny.
const FIXED: [&str; 4] = ["run", "--format", "json", "--auto"];

impl Dialect for Opencode {
    fn command_line(&self, run: &Run<'_>) -> Vec<String> {
        let mut argv = run.command.to_vec();
        argv.extend(FIXED.map(str::to_owned));
        // opencode chooses the id of a new session itself.
        if let Session::Resume(id) = run.session {
            argv.extend(["-s".to_owned(), id.to_owned()]);
        }
        argv.extend(run.model.into_iter().flat_map(|model| ["-m".to_owned(), model.to_owned()]));
        argv.extend_from_slice(run.arguments);
        argv
    }

    fn resume_interactively(&self, resumed: &Resumed<'_>) -> Option<Vec<String>> {
        Some(resumed.with(&["--session", resumed.session], "-m"))
    }

    fn line_reader(&self) -> Box<dyn LineReader> {
        Box::<line_reader::JsonEvents>::default()
    }

    fn diagnose(&self, run: &EndedRun<'_>) -> Diagnosis {
        diagnose::diagnose(run)
    }

    fn remedy(&self, outcome: &TryOutcome, _agent: &str) -> Option<String> {
        let remedy = match outcome {
            TryOutcome::Auth(_) => {
                "Log in with `opencode auth login`. Or run `boi daemon restart` with the provider's API key in the \
                 environment."
            }
            TryOutcome::NeedsHuman(_) => "Check the plan, the credit and the spending limit at the model's provider.",
            TryOutcome::NotExecuted(_) | TryOutcome::NoProgram(_) => {
                "Fix the problem that the reason names. If `opencode` is missing, install it with `npm install -g \
                 opencode-ai`, or correct `agents.opencode` in the configuration."
            }
            TryOutcome::UnknownModel(_) => {
                "Correct `model` in the spec file: opencode needs PROVIDER/MODEL, and `opencode models` lists them."
            }
            _ => return None,
        };
        Some(remedy.to_owned())
    }

    fn describe(&self, line: &[u8]) -> Option<String> {
        describe::describe(line)
    }

    fn credentials(&self) -> &'static [Credentials] {
        &[
            Credentials { variable: "XDG_DATA_HOME", folder: ".local/share", file: "opencode/auth.json" },
            Credentials { variable: "XDG_CONFIG_HOME", folder: ".config", file: "opencode/opencode.json" },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_only_named_to_continue_it() {
        let [command, arguments] = [["/opt/opencode".to_owned()], ["--thinking".to_owned()]];
        let plain =
            Run { command: &command, arguments: &[], model: None, session: Session::New("3f22"), max_usd: None };
        let fixed = "/opt/opencode run --format json --auto";
        assert_eq!(Opencode.command_line(&plain).join(" "), fixed);
        let session = Session::Resume("ses_1");
        let run = Run { arguments: &arguments, model: Some("openai/gpt-5"), session, ..plain };
        assert_eq!(Opencode.command_line(&run).join(" "), format!("{fixed} -s ses_1 -m openai/gpt-5 --thinking"));
    }
}
