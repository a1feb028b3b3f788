//! Identifies and signals single processes, without confusing two processes that have the same pid one after
//! the other.
//!
//! Invariant: a signal goes only to a process whose identity (pid, start time, boot) was checked **after** a pidfd to
//! it was opened. From then on the pidfd cannot refer to another process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::procfs::{self, Stat};
use crate::domain::command::Identity;
use crate::system::clock;

/// A pidfd. It refers to one process, even after that process has ended and its pid is reused.
#[derive(Debug)]
pub(crate) struct ProcessHandle(OwnedFd);

impl ProcessHandle {
    /// Opens the process that `identity` names; `None`: it has ended.
    pub(crate) fn open(identity: &Identity) -> io::Result<Option<ProcessHandle>> {
        if !procfs::is_of_this_namespace() {
            // The identity was read in a `/proc` whose pids mean other processes to the kernel.
            return Err(io::Error::other("/proc shows another PID namespace: mount /proc of this one"));
        }
        if identity.boot_id != clock::boot_id() {
            return Ok(None);
        }
        let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => Ok(has_its_pid(identity).then_some(ProcessHandle(handle))),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The process that `pidfd` refers to.
    pub(super) fn from_pidfd(pidfd: OwnedFd) -> ProcessHandle {
        ProcessHandle(pidfd)
    }

    /// Whether the process has not ended.
    pub(crate) fn lives(&self) -> bool {
        let mut ends = [PollFd::new(&self.0, PollFlags::IN)];
        !matches!(poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1))
    }

    /// Sends `signal` to the process. Returns `false` if the process has ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(self.0.as_fd(), signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the pidfd, which becomes readable when the process ends.
    pub(super) fn into_fd(self) -> OwnedFd {
        self.0
    }
}

/// Identifies the process that has `pid` now, even if it is a zombie.
pub(crate) fn identify(pid: i32) -> Option<Identity> {
    procfs::stat(pid).map(|stat| with_stat(pid, &stat))
}

/// Identifies the process that has `pid` now; `None`: there is none, or it is a zombie.
pub(super) fn identify_living(pid: i32) -> Option<Identity> {
    procfs::stat(pid).filter(Stat::lives).map(|stat| with_stat(pid, &stat))
}

/// Returns the identity of the process with `pid`, whose `stat` was read.
pub(super) fn with_stat(pid: i32, stat: &Stat) -> Identity {
    Identity { pid, start_time: stat.start_time, boot_id: clock::boot_id().to_owned() }
}

/// Whether the process that `identity` names is alive. A zombie is not.
pub(crate) fn lives(identity: &Identity) -> bool {
    identity.boot_id == clock::boot_id() && has_its_pid(identity)
}

/// Sends `signal` to exactly the process that `identity` names. Returns `false` if that process has ended.
pub(crate) fn signal(identity: &Identity, signal: Signal) -> io::Result<bool> {
    ProcessHandle::open(identity)?.map_or(Ok(false), |process| process.signal(signal))
}

fn has_its_pid(identity: &Identity) -> bool {
    procfs::stat(identity.pid).is_some_and(|stat| stat.start_time == identity.start_time && stat.lives())
}
