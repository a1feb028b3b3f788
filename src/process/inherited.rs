//! The environment variables and open files of boi that the programs that it starts must not inherit.

use std::os::fd::{BorrowedFd, RawFd};
use std::process::Command;

use libc::STDERR_FILENO;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Environment variables that select a repository for git: those that `git rev-parse --local-env-vars` lists,
/// in any version of git.
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

/// Environment variables that boi removes from the environment of commands:
///
/// - those that boi has if it was started by an agent or by a command of another boi,
/// - those that make an agent believe that it is a part of another session,
/// - those that make an agent wait for the end of a usage limit itself,
/// - those with which a service manager and the daemon communicate.
pub(crate) const NOT_FOR_COMMANDS: &[&str] = &[
    "BOI_ATTEMPT",
    "BOI_PROMPT_FILE",
    "BOI_REPO",
    "BOI_SPEC",
    "BOI_TASK",
    "BOI_TRY",
    "BOI_WORKTREE",
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_RETRY_WATCHDOG",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Removes the variables that no command may inherit from the environment of a new supervisor or forker.
pub(super) fn prepare_for_supervisor(command: &mut Command) {
    for variable in GIT_LOCAL.iter().chain(NOT_FOR_COMMANDS) {
        command.env_remove(variable);
    }
}

/// Environment variables that every command gets: git starts no editor and asks no question, because nobody
/// answers.
pub(crate) const FOR_COMMANDS: [(&str, &str); 2] = [("GIT_EDITOR", "true"), ("GIT_TERMINAL_PROMPT", "0")];

/// Marks all open files except the standard streams close-on-exec. Otherwise a daemon or a command would
/// inherit the locks and pipes of boi's caller, and keep them open for hours. Must be called before this
/// process opens a file or starts a thread.
pub fn close_on_exec() {
    // If the folder `/dev/fd` does not exist, the files stay inheritable.
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
