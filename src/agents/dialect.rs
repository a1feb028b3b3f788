//! What every agent must provide.

use jiff::tz::TimeZone;

use super::reading::{LineReader, Reading};
use crate::domain::command::CommandEnd;
use crate::domain::id::SpecId;
use crate::domain::outcome::TryOutcome;
use crate::domain::time::Timestamp;

/// How boi calls one agent and interprets its output.
pub trait Dialect: Sync {
    /// The program and its arguments for one run. The prompt is not among them: it goes to stdin, which is then closed,
    /// because the kernel limits the length of an argument.
    fn command_line(&self, run: &Run<'_>) -> Vec<String>;

    /// A reader of the lines that one run prints.
    fn line_reader(&self) -> Box<dyn LineReader>;

    /// Decides the outcome of a run.
    fn outcome(&self, run: &EndedRun<'_>) -> TryOutcome;

    /// What a person can do about `outcome` of a run for `spec`, in complete sentences; `None` if nobody needs to act.
    fn advice(&self, outcome: &TryOutcome, spec: &SpecId) -> Option<String>;

    /// Turns a line of the output into one or more lines of plain text for people; `None` if it holds nothing for them.
    fn describe(&self, line: &[u8]) -> Option<String>;
}

/// One run of an agent that is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The agent's program.
    pub program: &'a str,
    /// Arguments that the user adds; they come last.
    pub arguments: &'a [String],
    /// The model; `None`: the agent's default.
    pub model: Option<&'a str>,
    /// A UUID for the session. It must be new: Claude Code refuses to start a second session under the same id.
    pub session: &'a str,
}

/// A run that has ended, with everything that is known about it.
#[derive(Debug, Clone, Copy)]
pub struct EndedRun<'a> {
    /// How the command of the run ended.
    pub end: &'a CommandEnd,
    /// What the agent's output says.
    pub reading: &'a Reading,
    /// The end of what the command printed to stderr.
    pub stderr: &'a str,
    /// The current time.
    pub now: Timestamp,
    /// Finds a time zone by its IANA name.
    pub zone: fn(&str) -> Option<TimeZone>,
}
