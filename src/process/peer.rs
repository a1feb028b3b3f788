//! The process at the other end of a Unix socket, as the kernel names it.
//!
//! A pid is a number of one PID namespace: a daemon in a container writes a pid that names an unrelated
//! process outside of the container. So boi signals only the process that the kernel names for the socket,
//! never a pid that the other side sent or wrote.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::identity::ProcessHandle;
use super::procfs;

/// The process that listens at the other end of a connected Unix socket.
#[derive(Debug)]
pub(crate) enum Peer {
    /// A process of this PID namespace.
    Here {
        /// The pid.
        pid: u32,
        /// The process, which can be signalled.
        process: ProcessHandle,
    },
    /// A process of another PID namespace. boi cannot signal it.
    Elsewhere {
        /// The pid that the process has in this namespace; `None`: it cannot be seen from here.
        pid: Option<u32>,
        /// A handle that reports the end of the process; `None`: the kernel cannot report it.
        end: Option<ProcessEnd>,
    },
}

/// A process for whose end boi can wait, but which it does not signal.
#[derive(Debug)]
pub(crate) struct ProcessEnd(ProcessHandle);

impl Peer {
    /// Opens the process at the other end of `socket`, whose credentials name `pid`. Call it before a request is sent on
    /// the socket: then an answer on the socket proves that the opened process lived until the answer, so that no other
    /// process had its pid.
    pub(crate) fn open(socket: impl AsFd, pid: Option<i32>) -> Peer {
        let pid = pid.filter(|pid| *pid > 0).filter(|_| procfs::is_of_this_namespace());
        let pidfd = match peer_pidfd(socket) {
            Some(pidfd) => Some(pidfd),
            None => pid.and_then(Pid::from_raw).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()),
        };
        let handle = pidfd.map(ProcessHandle::from_pidfd);
        match (pid.filter(|pid| !procfs::is_in_nested_namespace(*pid)), handle) {
            (Some(pid), Some(process)) => Peer::Here { pid: pid.unsigned_abs(), process },
            (_, handle) => Peer::Elsewhere { pid: pid.map(i32::unsigned_abs), end: handle.map(ProcessEnd) },
        }
    }

    /// The pid that the process has in this PID namespace, if it has one.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Peer::Here { pid, .. } => Some(*pid),
            Peer::Elsewhere { pid, .. } => *pid,
        }
    }

    /// Whether the process is in another PID namespace.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, Peer::Elsewhere { .. })
    }

    /// Whether the process has not ended; `None`: the kernel cannot report it.
    pub(crate) fn lives(&self) -> Option<bool> {
        match self {
            Peer::Here { process, .. } => Some(process.lives()),
            Peer::Elsewhere { end, .. } => end.as_ref().map(|ProcessEnd(process)| process.lives()),
        }
    }

    /// Sends `signal` to the process. Returns `false` if nothing was sent: the process has ended, or is in another PID
    /// namespace.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        match self {
            Peer::Here { process, .. } => process.signal(signal),
            Peer::Elsewhere { .. } => Ok(false),
        }
    }
}

/// Returns a pidfd of the process at the other end of `socket`; `None`: the kernel (before Linux 6.5) cannot
/// open one.
#[cfg(target_os = "linux")]
fn peer_pidfd(socket: impl AsFd) -> Option<OwnedFd> {
    use std::os::fd::{AsRawFd, FromRawFd, RawFd};
    let mut pidfd: RawFd = -1;
    let mut length = libc::socklen_t::try_from(size_of::<RawFd>()).ok()?;
    // SAFETY: the pointers are to live values, and `length` is the size of the first.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            (&raw mut pidfd).cast(),
            &raw mut length,
        )
    };
    // SAFETY: after a success the kernel has opened the descriptor for this process, and nothing else owns it.
    (result == 0 && pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// Always returns `None`, because this platform has no pidfds.
#[cfg(not(target_os = "linux"))]
fn peer_pidfd(_: impl AsFd) -> Option<OwnedFd> {
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn the_process_that_listens_is_the_peer_whatever_pid_it_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let socket = UnixStream::connect(&path).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let peer = Peer::open(&socket, Some(own));
        assert!(matches!(peer, Peer::Here { pid, .. } if pid == std::process::id()), "{peer:?}");
        assert_eq!((peer.lives(), peer.is_elsewhere()), (Some(true), false));
        // The credentials of a process that cannot be seen from this PID namespace hold no pid.
        for invisible in [None, Some(0)] {
            let peer = Peer::open(&socket, invisible);
            assert!(peer.is_elsewhere() && peer.pid().is_none(), "{peer:?}");
            assert!(!peer.signal(Signal::TERM).unwrap(), "a process of another PID namespace was signalled");
        }
    }
}
