//! The interface that each dialect implements: a way to call an agent and to read its output.

use jiff::tz::TimeZone;

use super::credentials::Credentials;
use super::reading::{LineReader, Reading};
use crate::domain::command::CommandEnd;
use crate::domain::money::Usd;
use crate::domain::outcome::TryOutcome;
use crate::domain::time::Timestamp;

/// How boi calls an agent and interprets its output.
pub trait Dialect: Sync {
    /// Returns the program and its arguments for one run. The prompt is not an argument, because the kernel
    /// limits the length of an argument.
    fn command_line(&self, run: &Run<'_>) -> Vec<String>;

    /// Returns the program and its arguments with which the user continues a session on a terminal; `None`:
    /// the agent has no sessions.
    fn resume_interactively(&self, resumed: &Resumed<'_>) -> Option<Vec<String>>;

    /// Returns a reader of the lines that one run prints.
    fn line_reader(&self) -> Box<dyn LineReader>;

    /// Decides the outcome of a run.
    fn diagnose(&self, run: &EndedRun<'_>) -> Diagnosis;

    /// Returns how the user removes the cause of `outcome`, in complete sentences, if this dialect knows more
    /// than what holds for all agents. `agent` is the agent's name in the configuration.
    fn remedy(&self, outcome: &TryOutcome, agent: &str) -> Option<String>;

    /// Turns a line of the output into one or more lines of plain text for people; `None` if the line
    /// contains nothing of interest to them.
    fn describe(&self, line: &[u8]) -> Option<String>;

    /// Returns the files that change when the user logs in.
    fn credentials(&self) -> &'static [Credentials];
}

/// The parameters of one run of an agent, before it starts.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The agent's program and its first arguments. They come first on the command line.
    pub command: &'a [String],
    /// More arguments that the user configured. They come last on the command line.
    pub arguments: &'a [String],
    /// The model; `None`: the agent's default.
    pub model: Option<&'a str>,
    /// The session of the run.
    pub session: Session<'a>,
    /// What the run may cost at most; `None`: no limit.
    pub max_usd: Option<Usd>,
}

/// The session of a run: the conversation that a later run can continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session<'a> {
    /// The run begins a session. A dialect whose agent accepts an id for a new session passes this UUID. It
    /// must be new: Claude Code refuses to start a second session under the same id.
    New(&'a str),
    /// The run continues the session with this id, as the agent reported it.
    Resume(&'a str),
}

/// A session that the user continues on a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Resumed<'a> {
    /// The agent's program and its first arguments.
    pub command: &'a [String],
    /// The model; `None`: the agent's default.
    pub model: Option<&'a str>,
    /// The session's id, as the agent reported it.
    pub session: &'a str,
}

impl Resumed<'_> {
    /// Returns the command line with these words, followed by the model as the option `flag`.
    pub(super) fn with(&self, words: &[&str], flag: &str) -> Vec<String> {
        let words = words.iter().copied().chain(self.model.into_iter().flat_map(|model| [flag, model]));
        self.command.iter().cloned().chain(words.map(str::to_owned)).collect()
    }
}

/// How the prompt reaches the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptVia {
    /// boi writes the prompt to the agent's stdin, and then closes stdin.
    #[default]
    Stdin,
    /// The environment variable `BOI_PROMPT_FILE` contains the path of a file with the prompt. Stdin is
    /// empty.
    File,
}

impl PromptVia {
    /// All ways to pass the prompt.
    pub const ALL: [PromptVia; 2] = [PromptVia::Stdin, PromptVia::File];

    /// Returns the value of the configuration key `prompt` that selects this way.
    pub const fn name(self) -> &'static str {
        match self {
            PromptVia::Stdin => "stdin",
            PromptVia::File => "file",
        }
    }
}

/// A run that has ended: all input for the decision on its outcome.
#[derive(Debug, Clone, Copy)]
pub struct EndedRun<'a> {
    /// How the command of the run ended.
    pub end: &'a CommandEnd,
    /// What boi read from the agent's output.
    pub reading: &'a Reading,
    /// The end of what the command printed to stderr.
    pub stderr: &'a str,
    /// The current time.
    pub now: Timestamp,
    /// Finds a time zone by its IANA name; the name `""` is the zone of this process.
    pub zone: fn(&str) -> Option<TimeZone>,
}

/// The outcome of a run, and the line that led to this decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The outcome.
    pub outcome: TryOutcome,
    /// The line of the output or of stderr that decided the outcome, of at most `EVIDENCE` characters. `None`
    /// if the way in which the command ended decided it.
    pub evidence: Option<String>,
}

/// The longest evidence of a diagnosis, in characters.
pub(super) const EVIDENCE: usize = 600;

impl Diagnosis {
    /// Makes a diagnosis whose outcome was decided by `line`.
    pub(super) fn by_line(outcome: TryOutcome, line: Option<&str>) -> Diagnosis {
        let evidence = line.map(|line| crate::domain::text::one_line(line, EVIDENCE)).filter(|line| !line.is_empty());
        Diagnosis { outcome, evidence }
    }

    /// Makes a diagnosis whose outcome was decided by the way in which the command ended.
    pub(super) fn by_end(outcome: TryOutcome) -> Diagnosis {
        Diagnosis { outcome, evidence: None }
    }
}
