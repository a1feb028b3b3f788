//! Forks this process in the two ways that the standard library does not offer: as a child of its own parent,
//! and with the child in a cgroup from its first moment.
//!
//! Both need a process with one thread: the copy of the memory then contains no lock that another thread
//! holds. Unlike libc's `fork`, these calls leave libc's copy of the thread id as it was. Only functions of
//! threads read it, and, in musl, `abort`; neither kind of child starts a thread, and a panic unwinds.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::cgroup::Cgroup;

/// A new child of this process's parent.
#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) pid: i32,
    /// `None`: the kernel made none.
    pub(crate) pidfd: Option<OwnedFd>,
}

/// Forks this process into a child of its own parent. Returns `None` in the new process.
#[cfg(all(target_os = "linux", not(target_arch = "s390x")))]
pub(super) fn fork_sibling() -> io::Result<Option<Sibling>> {
    use std::os::fd::FromRawFd;

    let flags = libc::CLONE_PARENT | libc::CLONE_PIDFD | libc::SIGCHLD;
    let flags = libc::c_ulong::try_from(flags).map_err(io::Error::other)?;
    let mut pidfd: libc::c_int = -1;
    // SAFETY: without CLONE_VM and without a stack of its own, this is a fork: the new process continues here with a copy
    // of the memory (see the module for locks).
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => {
            // SAFETY: the kernel opened this descriptor for this process, and nothing else knows it.
            let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
            Ok(Some(Sibling { pid: i32::try_from(pid).map_err(io::Error::other)?, pidfd }))
        }
    }
}

/// Always fails: only Linux has such a fork, and on s390x its arguments have another order.
#[cfg(not(all(target_os = "linux", not(target_arch = "s390x"))))]
pub(super) fn fork_sibling() -> io::Result<Option<Sibling>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Executes `command` in a child process, inside `cgroup` if the kernel can do that. Before the execution, the
/// child calls `prepare` with whether it is in the cgroup. Returns the child's pid once the command is
/// executed. If this fails, nothing was executed and no child is left.
pub(crate) fn execute(
    command: &mut Command,
    cgroup: Option<&Cgroup>,
    prepare: impl FnOnce(bool) -> io::Result<()>,
) -> io::Result<i32> {
    let (errors, sender) = pipe_with(PipeFlags::CLOEXEC)?;
    let (child, is_member) = match cgroup.and_then(fork_into) {
        Some(pid) => (pid, true),
        // SAFETY: this process has one thread (see the module).
        None => (unsafe { libc::fork() }, false),
    };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let error = prepare(is_member).err().unwrap_or_else(|| command.exec());
            let number = error.raw_os_error().unwrap_or(libc::EINVAL);
            File::from(sender).write_all(&number.to_ne_bytes()).ok();
            // SAFETY: ends this copy of the process, without the work that only the original may do.
            unsafe { libc::_exit(127) }
        }
        pid => {
            drop(sender);
            let mut number = [0; 4];
            // The pipe is closed without a byte when the command is executed.
            match File::from(errors).read_exact(&mut number) {
                Err(_) => Ok(pid),
                Ok(()) => {
                    waitpid(Pid::from_raw(pid), WaitOptions::empty()).ok();
                    Err(io::Error::from_raw_os_error(i32::from_ne_bytes(number)))
                }
            }
        }
    }
}

/// Forks this process with the child in `cgroup`. Returns the child's pid, or 0 in the child; `None`: the
/// kernel cannot do that.
///
/// A process that moves itself into a cgroup waits for several milliseconds, until no process of the machine
/// is amid a fork or an exit.
#[cfg(target_os = "linux")]
fn fork_into(cgroup: &Cgroup) -> Option<libc::pid_t> {
    use std::os::fd::AsRawFd;

    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let folder = File::open(cgroup.path()).ok()?;
    // SAFETY: all bytes 0 are a valid value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = u64::try_from(libc::SIGCHLD).ok()?;
    arguments.cgroup = u64::try_from(folder.as_raw_fd()).ok()?;
    // SAFETY: as in `fork_sibling`; the kernel only reads `arguments`, whose size is given.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    libc::pid_t::try_from(pid).ok().filter(|pid| *pid >= 0)
}

#[cfg(not(target_os = "linux"))]
fn fork_into(_cgroup: &Cgroup) -> Option<libc::pid_t> {
    None
}
