//! Reads an agent's output while it runs, to notice an agent that has given its result and does not exit.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::agents::{Agent, Reading, Transcript};
use crate::domain::cause::Cause;
use crate::domain::time::Timestamp;
use crate::process::command_dir::{CommandDir, OUTPUT};
use crate::system::{clock, files};

/// How long boi waits for the exit of an agent that has given its result. Then boi ends the agent.
const HANG_AFTER_RESULT: Duration = Duration::from_secs(20);
/// How many bytes a command can print beyond its limit before its supervisor notices.
const OVERSHOOT: u64 = 64 << 20;

/// Reads an agent's output piece by piece, and remembers when the agent gave its result.
pub(super) struct OutputFollower {
    agent: Agent,
    transcript: Transcript,
    /// How many bytes were read.
    offset: u64,
    max_bytes: u64,
    result_at: Option<Instant>,
    ended_after_result: bool,
    /// When the first API error since the model's last answer was read.
    errors_since: Option<Timestamp>,
}

impl OutputFollower {
    /// Makes a follower that reads at most `max_bytes` bytes and [`OVERSHOOT`] more. The supervisor's limit
    /// is not enough: it watches the size of the output file, and the agent can replace that file.
    pub(super) fn new(agent: Agent, max_bytes: u64) -> OutputFollower {
        let transcript = agent.transcript();
        let max_bytes = max_bytes.saturating_add(OVERSHOOT);
        OutputFollower {
            agent,
            transcript,
            offset: 0,
            max_bytes,
            result_at: None,
            ended_after_result: false,
            errors_since: None,
        }
    }

    /// Reads the new output. Returns true once: when the agent gave its result `HANG_AFTER_RESULT` ago or
    /// earlier.
    pub(super) async fn is_hanging(&mut self, dir: &CommandDir) -> io::Result<bool> {
        let unread = OutputFollower { max_bytes: self.max_bytes, ..OutputFollower::new(self.agent, 0) };
        *self = std::mem::replace(self, unread).read_on(dir).await?;
        if self.transcript.so_far().result.is_none() {
            return Ok(false);
        }
        let since = *self.result_at.get_or_insert_with(Instant::now);
        let is_hanging = !self.ended_after_result && since.elapsed() >= HANG_AFTER_RESULT;
        self.ended_after_result |= is_hanging;
        Ok(is_hanging)
    }

    /// Returns a cause with the API errors that the agent got since its model's last answer; `None`: the last
    /// request was answered.
    pub(super) fn api_errors(&mut self) -> Option<Cause> {
        let errors = self.transcript.so_far().api_errors.clone();
        if errors.count == 0 {
            self.errors_since = None;
            return None;
        }
        let since = *self.errors_since.get_or_insert_with(clock::now);
        Some(Cause::ApiErrors { errors: errors.count, last: errors.last, since })
    }

    /// Reads the rest of the output, after the agent has ended.
    pub(super) async fn finish(self, dir: &CommandDir) -> io::Result<Reading> {
        let ended_after_result = self.ended_after_result;
        let mut reading = self.read_on(dir).await?.transcript.finish();
        reading.ended_after_result = ended_after_result;
        Ok(reading)
    }

    async fn read_on(mut self, dir: &CommandDir) -> io::Result<OutputFollower> {
        let dir = dir.clone();
        let read = tokio::task::spawn_blocking(move || {
            if let Some(output) = dir.open_file(OUTPUT)? {
                let push = |chunk: &[u8]| self.transcript.push(chunk);
                self.offset = files::read_from(output, self.offset, self.max_bytes, push)?;
            }
            Ok(self)
        });
        read.await.map_err(io::Error::other)?
    }
}
