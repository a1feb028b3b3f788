//! The agent Claude Code. boi runs it as `claude -p` with `--output-format stream-json`, which prints one
//! JSON object a line.

mod command_line;
mod describe;
mod diagnose;
mod json_lines;
mod line_reader;
mod phrases;
mod remedies;

#[cfg(test)]
mod recorded;

use super::credentials::Credentials;
use super::dialect::{Diagnosis, Dialect, EndedRun, Resumed, Run};
use super::reading::LineReader;
use crate::domain::outcome::TryOutcome;

/// The dialect of Claude Code.
pub(super) struct Claude;

impl Dialect for Claude {
    fn command_line(&self, run: &Run<'_>) -> Vec<String> {
        command_line::command_line(run)
    }

    fn resume_interactively(&self, resumed: &Resumed<'_>) -> Option<Vec<String>> {
        Some(resumed.with(&["--resume", resumed.session], "--model"))
    }

    fn line_reader(&self) -> Box<dyn LineReader> {
        Box::<line_reader::StreamJson>::default()
    }

    fn diagnose(&self, run: &EndedRun<'_>) -> Diagnosis {
        diagnose::diagnose(run)
    }

    fn remedy(&self, outcome: &TryOutcome, _agent: &str) -> Option<String> {
        remedies::remedy(outcome)
    }

    fn credentials(&self) -> &'static [Credentials] {
        &[Credentials { variable: "CLAUDE_CONFIG_DIR", folder: ".claude", file: ".credentials.json" }]
    }

    fn describe(&self, line: &[u8]) -> Option<String> {
        describe::describe(line)
    }
}
