//! Tests of the helper programs, the fake agent and the loopback model API, and of what boi reads in the output of the
//! fake agent and of the real Claude Code CLI.
//!
//! `BOI_TEST_CLAUDE` names the program of the real CLI. Without it, its tests print that they are skipped.

#![expect(clippy::disallowed_methods, reason = "tests start programs and read the environment")]

mod fake;
mod model_api;
mod real;

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use boi::agents::{Agent, EndedRun};
use boi::domain::command::{CommandEnd, EndCause, ExitStatus};
use boi::domain::outcome::{AgentReport, TryOutcome};
use boi::domain::time::Timestamp;

/// The time at which the tests judge a run: 2026-11-23T23:54:00Z.
const NOW: Timestamp = Timestamp(1_795_478_040_000);

/// What boi concludes from the output of Claude Code or of the fake agent.
fn judge(output: &Output) -> (TryOutcome, AgentReport) {
    let status = output.status.code().map(ExitStatus::Code).or(output.status.signal().map(ExitStatus::Signal));
    let end = CommandEnd::new(EndCause::Finished, status, NOW);
    let mut transcript = Agent::Claude.transcript();
    transcript.push(&output.stdout);
    let (reading, stderr) = (transcript.finish(), String::from_utf8_lossy(&output.stderr));
    let run = EndedRun { end: &end, reading: &reading, stderr: &stderr, now: NOW, zone: |_| None };
    (Agent::Claude.dialect().outcome(&run), reading.report())
}
