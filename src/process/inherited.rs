//! What a program that boi starts does not inherit: of the environment that boi was started in, and of its open files.

use std::os::fd::{BorrowedFd, RawFd};

use libc::STDERR_FILENO;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Variables that tie git to one repository: what `git rev-parse --local-env-vars` names, of every version.
pub const GIT_LOCAL: &[&str] = &[
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

/// Besides, for commands: of an agent or a command of boi's that boi itself may run under, and of the service manager
/// that started the daemon, which takes messages from the daemon alone.
pub const OF_ANOTHER: &[&str] = &[
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

/// Keeps what this process was started with, besides its standard streams, from all that it starts: a daemon or a command
/// would hold its caller's locks and pipes for hours. To be called before anything is opened.
pub fn close_on_exec() {
    // Where there is no such folder they are passed on.
    for entry in std::fs::read_dir("/dev/fd").into_iter().flatten().flatten() {
        let number: Option<RawFd> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|&number| number > STDERR_FILENO) else { continue };
        // SAFETY: it is open, as that of the listing itself is, since nothing else of this process runs.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        // Neither fails of one that is open.
        if let Ok(flags) = fcntl_getfd(fd) {
            fcntl_setfd(fd, flags | FdFlags::CLOEXEC).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_that_git_calls_local_is_known() {
        let output = std::process::Command::new("git").args(["rev-parse", "--local-env-vars"]).output().unwrap();
        let named = String::from_utf8(output.stdout).unwrap();
        assert!(named.lines().count() > 5, "{named}");
        let unknown: Vec<&str> = named.lines().filter(|name| !GIT_LOCAL.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
