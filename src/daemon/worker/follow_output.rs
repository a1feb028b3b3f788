//! Reads an agent's output while it runs.

use std::io;

use crate::agents::{OutputKind, Reading, Transcript};
use crate::process::command_dir::{CommandDir, ERRORS, OUTPUT};
use crate::system::{blocking, files};

/// How many bytes a command can print beyond its limit before its supervisor notices.
const OVERSHOOT: u64 = 64 << 20;

/// Reads an agent's output piece by piece.
pub(super) struct OutputFollower {
    agent: OutputKind,
    transcript: Transcript,
    /// How many bytes of the output were read.
    offset: u64,
    max_bytes: u64,
    /// The size of the output and of the error output together, in bytes.
    size: u64,
}

impl OutputFollower {
    /// Makes a follower that reads at most `max_bytes` bytes and [`OVERSHOOT`] more. The supervisor's limit
    /// is not enough: it watches the size of the output file, and the agent can replace that file.
    pub(super) fn new(agent: OutputKind, max_bytes: u64) -> OutputFollower {
        let transcript = agent.transcript();
        OutputFollower { agent, transcript, offset: 0, max_bytes: max_bytes.saturating_add(OVERSHOOT), size: 0 }
    }

    /// Reads the new output of a running agent.
    pub(super) async fn read(&mut self, dir: &CommandDir) -> io::Result<()> {
        let unread = OutputFollower { max_bytes: self.max_bytes, ..OutputFollower::new(self.agent, 0) };
        let follower = std::mem::replace(self, unread);
        *self = follower.read_on(dir, |dir| dir.restore_permissions()).await?;
        Ok(())
    }

    /// Returns what the output that was read so far reports.
    pub(super) fn so_far(&self) -> &Reading {
        self.transcript.so_far()
    }

    /// Returns the size of the output and of the error output together at the last reading, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Reads the rest of the output, after the agent has ended.
    pub(super) async fn finish(self, dir: &CommandDir) -> io::Result<Reading> {
        Ok(self.read_on(dir, |_| Ok(())).await?.transcript.finish())
    }

    async fn read_on(
        mut self,
        dir: &CommandDir,
        before: fn(&CommandDir) -> io::Result<()>,
    ) -> io::Result<OutputFollower> {
        let dir = dir.clone();
        let read = blocking::run(move || {
            before(&dir)?;
            self.size = 0;
            if let Some(output) = dir.open_file(OUTPUT)? {
                let size = output.metadata()?.len();
                self.size = size;
                if size > self.offset {
                    let push = |chunk: &[u8]| self.transcript.push(chunk);
                    self.offset = files::read_from(output, self.offset, self.max_bytes, push)?;
                }
            }
            if let Some(errors) = dir.open_file(ERRORS)? {
                self.size = self.size.saturating_add(errors.metadata()?.len());
            }
            Ok(self)
        });
        read.await.map_err(io::Error::other)?
    }
}
