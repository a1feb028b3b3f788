//! One run of a real CLI, as boi calls it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use boi::agents::{OutputKind, Run, Session};
use boi::domain::outcome::{AgentReport, TryOutcome};

use super::judge::judge;
use super::model_api::ModelApi;
use super::support::skip;

/// The CLI of an agent.
pub struct Cli {
    /// The agent's name in specs and in the configuration.
    pub agent: &'static str,
    pub kind: OutputKind,
    /// The environment variable that names the program.
    pub variable: &'static str,
    /// The model that the runs ask for.
    pub model: &'static str,
    /// The environment in which the CLI talks to the API.
    pub environment: fn(&ModelApi, &Path) -> Vec<(&'static str, String)>,
}

pub const CLAUDE: Cli = Cli {
    agent: "claude",
    kind: OutputKind::ClaudeStreamJson,
    variable: "BOI_TEST_CLAUDE",
    model: "sonnet",
    environment: ModelApi::claude_env,
};

pub const CODEX: Cli = Cli {
    agent: "codex",
    kind: OutputKind::CodexJsonl,
    variable: "BOI_TEST_CODEX",
    model: "gpt-5",
    environment: ModelApi::codex_env,
};

pub const GEMINI: Cli = Cli {
    agent: "gemini",
    kind: OutputKind::GeminiStreamJson,
    variable: "BOI_TEST_GEMINI",
    model: "gemini-2.5-flash",
    environment: ModelApi::gemini_env,
};

pub const OPENCODE: Cli = Cli {
    agent: "opencode",
    kind: OutputKind::OpencodeJson,
    variable: "BOI_TEST_OPENCODE",
    model: "loopback/scripted",
    environment: ModelApi::opencode_env,
};

/// How a run ended, and its stdout and stderr.
#[derive(Debug)]
pub struct Ended {
    pub outcome: TryOutcome,
    pub report: AgentReport,
    pub output: String,
}

impl Cli {
    /// The program, if the environment names one; else prints that the test is skipped.
    pub fn program(&self) -> Option<String> {
        let program = std::env::var(self.variable).ok().filter(|path| !path.is_empty());
        if program.is_none() {
            skip(&format!("{} does not name the program of {}", self.variable, self.agent));
        }
        program
    }

    /// Runs the CLI in `folder` with `prompt` on stdin, in the API's environment as `env` changes it; an empty value
    /// removes a variable.
    pub fn run(
        &self,
        api: &ModelApi,
        place: &Place,
        session: Session<'_>,
        env: &[(&str, &str)],
        prompt: &str,
    ) -> Ended {
        let command = [self.program().expect("the test has looked for the program")];
        let run = Run { command: &command, arguments: &[], model: Some(self.model), session, max_usd: None };
        let argv = self.kind.dialect().command_line(&run);
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).current_dir(place.folder.path()).env("PWD", place.folder.path());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["CLAUDE", "ANTHROPIC_", "CODEX_", "OPENAI_", "GEMINI_", "GOOGLE_", "OPENCODE"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(&*name);
            }
        }
        command.envs((self.environment)(api, place.home.path()));
        for (name, value) in env {
            if value.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap_or_else(|error| panic!("{}: {error}", argv[0]));
        child.stdin.take().expect("stdin").write_all(prompt.as_bytes()).expect("the CLI reads its prompt");
        let output = child.wait_with_output().expect("the CLI ends");
        let (outcome, report) = judge(self.kind, &output);
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Ended { outcome, report, output: format!("{:?}\n{stdout}\n{stderr}", output.status) }
    }
}

/// The folder and the home of a run. Dropping it deletes both.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub home: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let [folder, home] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
        Place { folder, home }
    }
}
