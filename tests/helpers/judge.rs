//! What boi concludes from the output of an agent.

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use boi::agents::{EndedRun, OutputKind};
use boi::domain::command::{CommandEnd, EndCause, ExitStatus};
use boi::domain::outcome::{AgentReport, TryOutcome};
use boi::domain::time::Timestamp;

/// The time at which the tests judge a run: 2026-11-23T23:54:00Z.
pub const NOW: Timestamp = Timestamp(1_795_478_040_000);

/// What boi concludes from a run of an agent that prints lines of this kind.
pub fn judge(kind: OutputKind, output: &Output) -> (TryOutcome, AgentReport) {
    let status = output.status.code().map(ExitStatus::Code).or(output.status.signal().map(ExitStatus::Signal));
    let end = CommandEnd::new(EndCause::Finished, status, NOW);
    let mut transcript = kind.transcript();
    transcript.push(&output.stdout);
    let (reading, stderr) = (transcript.finish(), String::from_utf8_lossy(&output.stderr));
    let run = EndedRun { end: &end, reading: &reading, stderr: &stderr, now: NOW, zone: |_| None };
    (kind.dialect().diagnose(&run).outcome, reading.report())
}
