//! Reads an agent's output while it runs, to notice an agent that has given its result and does not exit.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::agents::{Agent, Reading, Transcript};
use crate::system::files;

/// How long boi waits for the exit of an agent that has given its result. Then boi ends the agent.
const HANG_AFTER_RESULT: Duration = Duration::from_secs(20);

/// Reads an agent's output piece by piece, and remembers when the agent gave its result.
pub(super) struct OutputFollower {
    agent: Agent,
    transcript: Transcript,
    /// How many bytes were read.
    offset: u64,
    result_at: Option<Instant>,
    ended_after_result: bool,
}

impl OutputFollower {
    pub(super) fn new(agent: Agent) -> OutputFollower {
        let transcript = agent.transcript();
        OutputFollower { agent, transcript, offset: 0, result_at: None, ended_after_result: false }
    }

    /// Reads the new output. Returns true, once, when the agent gave its result `HANG_AFTER_RESULT` ago.
    pub(super) async fn is_hanging(&mut self, output: &Path) -> io::Result<bool> {
        let unread = OutputFollower::new(self.agent);
        *self = std::mem::replace(self, unread).read_on(output).await?;
        if self.transcript.so_far().result.is_none() {
            return Ok(false);
        }
        let since = *self.result_at.get_or_insert_with(Instant::now);
        let is_hanging = !self.ended_after_result && since.elapsed() >= HANG_AFTER_RESULT;
        self.ended_after_result |= is_hanging;
        Ok(is_hanging)
    }

    /// Reads the rest of the output, after the agent has ended.
    pub(super) async fn finish(self, output: &Path) -> io::Result<Reading> {
        let ended_after_result = self.ended_after_result;
        let mut reading = self.read_on(output).await?.transcript.finish();
        reading.ended_after_result = ended_after_result;
        Ok(reading)
    }

    async fn read_on(mut self, output: &Path) -> io::Result<OutputFollower> {
        let output = output.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            files::read_from(&output, self.offset, |chunk| self.transcript.push(chunk)).map(|offset| {
                self.offset = offset;
                self
            })
        });
        read.await.map_err(io::Error::other)?
    }
}
