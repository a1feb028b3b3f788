//! What every agent must provide.

use jiff::tz::TimeZone;

use super::reading::{LineReader, Reading};
use crate::domain::command::CommandEnd;
use crate::domain::id::SpecId;
use crate::domain::outcome::TryOutcome;
use crate::domain::time::Timestamp;

/// How one agent is called and understood.
pub trait Dialect: Sync {
    /// The program and its arguments for one run. The prompt is not among them: it goes to stdin, which is then closed,
    /// because the kernel limits the length of an argument.
    fn command_line(&self, run: &Run<'_>) -> Vec<String>;

    /// A reader of the lines that one run prints.
    fn line_reader(&self) -> Box<dyn LineReader>;

    /// What a run came to.
    fn outcome(&self, run: &EndedRun<'_>) -> TryOutcome;

    /// What a person can do about `outcome` of a run for `spec`, in complete sentences; `None` if nobody is needed.
    fn advice(&self, outcome: &TryOutcome, spec: &SpecId) -> Option<String>;

    /// A line of the output for people: one or more lines of plain text, or `None` if it holds nothing for them.
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

/// All that is known of a run that has ended.
#[derive(Debug, Clone, Copy)]
pub struct EndedRun<'a> {
    /// How its command ended.
    pub end: &'a CommandEnd,
    /// What its output says.
    pub reading: &'a Reading,
    /// The end of what it printed to stderr.
    pub stderr: &'a str,
    /// The current time.
    pub now: Timestamp,
    /// Finds a time zone by its IANA name.
    pub zone: fn(&str) -> Option<TimeZone>,
}
