//! Processes: who they are, how a supervisor is started, waited for and told to end, and how a tree is ended.
//!
//! Invariant: a signal goes only to a process whose identity (pid, start time, boot) was checked **after** a pidfd to it
//! was opened; a pid that was given to another process is never signalled.

pub mod background;
pub mod cgroup;
pub mod command;
pub mod inherited;
pub mod limits;
pub mod together;
pub mod tool;
pub mod tree;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::domain::command::Identity;
use crate::system::clock;

/// The identity of the process that has `pid` now.
pub fn identity(pid: i32) -> Option<Identity> {
    let stat = tree::stat(pid)?;
    Some(Identity { pid, start_time: stat.start_time, boot_id: clock::boot_id().to_owned() })
}

/// A handle on exactly the process that `identity` names; `None` when it is gone.
pub fn open(identity: &Identity) -> io::Result<Option<OwnedFd>> {
    if identity.boot_id != clock::boot_id() {
        return Ok(None);
    }
    let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // The check comes after the handle: from then on the pid cannot be given away unnoticed.
        Ok(handle) => Ok(matches_now(identity).then_some(handle)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A process that can be signalled and no other, whatever becomes of its pid.
#[derive(Debug)]
pub struct Target(OwnedFd);

/// The process that `identity` names; `None` when it is gone.
pub fn target(identity: &Identity) -> io::Result<Option<Target>> {
    Ok(open(identity)?.map(Target))
}

impl Target {
    /// Whether it has not ended.
    pub fn lives(&self) -> bool {
        let mut ends = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        !matches!(rustix::event::poll(&mut ends, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1))
    }

    /// Sends it `signal`. Returns whether it was there.
    pub fn send(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(self.0.as_fd(), signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Sends `signal` to exactly the process that `identity` names. Returns whether it was there.
pub fn signal(identity: &Identity, signal: Signal) -> io::Result<bool> {
    target(identity)?.map_or(Ok(false), |target| target.send(signal))
}

/// Whether the process that `identity` names lives (a zombie does not).
pub fn lives(identity: &Identity) -> bool {
    identity.boot_id == clock::boot_id() && matches_now(identity)
}

/// Whether a signal has stopped the process that has `pid` now.
pub fn is_stopped(pid: i32) -> bool {
    tree::stat(pid).is_some_and(|stat| matches!(stat.state, b'T' | b't'))
}

/// Whether anything carries a command's marker or is in its cgroup.
pub fn is_carried(marker: &str) -> bool {
    !tree::marked(marker).is_empty() || cgroup::Cgroup::of(marker).is_some_and(|cgroup| cgroup.is_populated())
}

/// Whether the process that has `pid` now has `file` open, as far as that may be seen.
pub fn has_open(pid: u32, file: &Path) -> bool {
    let Ok(file) = file.canonicalize() else { return false };
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.flat_map(|entry| std::fs::read_link(entry.path())).any(|open| open == file)
}

fn matches_now(identity: &Identity) -> bool {
    tree::stat(identity.pid).is_some_and(|stat| stat.start_time == identity.start_time && stat.lives())
}
