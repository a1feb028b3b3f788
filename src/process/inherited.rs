//! What the programs that boi starts must not inherit from boi: variables of its environment, and open files.

use std::os::fd::{BorrowedFd, RawFd};

use libc::STDERR_FILENO;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Environment variables that tie git to one repository: those of `git rev-parse --local-env-vars`, of all versions of
/// git.
pub(crate) const GIT_LOCAL: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Environment variables that must not reach a command: those of an agent or a command under which boi itself may run,
/// and those by which the service manager and the daemon communicate.
pub(super) const NOT_FOR_COMMANDS: &[&str] = &[
    "BOI_ATTEMPT",
    "BOI_SPEC",
    "BOI_TASK",
    "BOI_TRY",
    "CLAUDECODE",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Marks all open files but the standard streams close-on-exec. Otherwise a daemon or a command would hold the locks
/// and pipes of boi's caller for hours. Must be called before this process opens anything.
pub fn close_on_exec() {
    // If this folder does not exist, the files stay inheritable.
    for entry in std::fs::read_dir("/dev/fd").into_iter().flatten().flatten() {
        let number: Option<RawFd> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|&number| number > STDERR_FILENO) else { continue };
        // SAFETY: the descriptor is open: this process has no other thread that could close it.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        // Neither call fails on an open descriptor.
        if let Ok(flags) = fcntl_getfd(fd) {
            fcntl_setfd(fd, flags | FdFlags::CLOEXEC).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_local_variable_of_the_installed_git_is_listed() {
        let output = std::process::Command::new("git").args(["rev-parse", "--local-env-vars"]).output().unwrap();
        let named = String::from_utf8(output.stdout).unwrap();
        assert!(named.lines().count() > 5, "{named}");
        let unknown: Vec<&str> = named.lines().filter(|name| !GIT_LOCAL.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
