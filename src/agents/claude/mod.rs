//! The agent Claude Code. boi runs it as `claude -p` with `--output-format stream-json`, which prints one
//! JSON object a line.

mod command_line;
mod describe;
mod diagnose;
mod json_lines;
mod line_reader;
mod phrases;
mod remedies;
mod reset_time;

#[cfg(test)]
mod recorded;

use super::dialect::{Dialect, EndedRun, Run};
use super::reading::LineReader;
use crate::domain::id::SpecId;
use crate::domain::outcome::TryOutcome;

/// The dialect of Claude Code.
pub(super) struct Claude;

impl Dialect for Claude {
    fn command_line(&self, run: &Run<'_>) -> Vec<String> {
        command_line::command_line(run)
    }

    fn line_reader(&self) -> Box<dyn LineReader> {
        Box::<line_reader::StreamJson>::default()
    }

    fn outcome(&self, run: &EndedRun<'_>) -> TryOutcome {
        diagnose::outcome(run)
    }

    fn advice(&self, outcome: &TryOutcome, spec: &SpecId) -> Option<String> {
        remedies::advice(outcome, spec)
    }

    fn describe(&self, line: &[u8]) -> Option<String> {
        describe::describe(line)
    }
}
