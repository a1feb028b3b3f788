//! The helper programs of the tests, tested themselves: the fake agent and the loopback model API, and what boi reads
//! in the output of the fake agent and of the real Claude Code CLI.
//!
//! The real CLI is the program that `BOI_TEST_CLAUDE` names; without it, its tests say that they are skipped.

mod fake;
mod model_api;
mod real;

use boi::agents::outcome::outcome;
use boi::agents::transcript::{Reading, Transcript};
use boi::domain::outcome::{AgentReport, CommandEnd, EndCause, ExitStatus, TryOutcome};
use boi::domain::time::Timestamp;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

/// The moment at which the tests judge: 2026-11-23T23:54:00Z.
const NOW: Timestamp = Timestamp(1_795_478_040_000);

fn read(output: &Output) -> Reading {
    let mut transcript = Transcript::new();
    transcript.push(&output.stdout);
    transcript.finish()
}

fn judge(output: &Output) -> (TryOutcome, AgentReport) {
    let status = output.status.code().map(ExitStatus::Code).or(output.status.signal().map(ExitStatus::Signal));
    let end = CommandEnd { cause: EndCause::Finished, status, swept: 0, ended_at: NOW };
    outcome(&end, &read(output), &String::from_utf8_lossy(&output.stderr), NOW, |_| None)
}
