//! The interface that each coding agent implements.

use jiff::tz::TimeZone;

use super::reading::{LineReader, Reading};
use crate::domain::command::CommandEnd;
use crate::domain::id::SpecId;
use crate::domain::outcome::TryOutcome;
use crate::domain::time::Timestamp;

/// How boi calls one agent and interprets its output.
pub trait Dialect: Sync {
    /// Returns the program and its arguments for one run. The prompt is not an argument, because the kernel
    /// limits the length of an argument: boi writes the prompt to stdin, and then closes stdin.
    fn command_line(&self, run: &Run<'_>) -> Vec<String>;

    /// Returns a reader of the lines that one run prints.
    fn line_reader(&self) -> Box<dyn LineReader>;

    /// Decides the outcome of a run.
    fn outcome(&self, run: &EndedRun<'_>) -> TryOutcome;

    /// Returns what the user can do about `outcome` of a run for `spec`, in complete sentences; `None` if the
    /// user does not need to act.
    fn advice(&self, outcome: &TryOutcome, spec: &SpecId) -> Option<String>;

    /// Turns a line of the output into one or more lines of plain text for people; `None` if the line
    /// contains nothing of interest to them.
    fn describe(&self, line: &[u8]) -> Option<String>;
}

/// The parameters of one run of an agent, before it starts.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The agent's program.
    pub program: &'a str,
    /// The arguments that the user configured. They come last on the command line.
    pub arguments: &'a [String],
    /// The model; `None`: the agent's default.
    pub model: Option<&'a str>,
    /// A UUID for the session. It must be new: Claude Code refuses to start a second session under the same
    /// id.
    pub session: &'a str,
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
    /// Finds a time zone by its IANA name.
    pub zone: fn(&str) -> Option<TimeZone>,
}
