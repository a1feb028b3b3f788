//! The errors of git operations. Each message names the operation and the path, contains git's own message, and says
//! what to do next if git does not say it.

use std::io;
use std::path::{Path, PathBuf};

/// Whether the same operation can succeed when it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The cause, such as a full disk, is usually temporary.
    Transient,
    /// Git failed for an unknown reason. A caller retries a limited number of times, then treats it as permanent.
    Unknown,
    /// The operation fails until somebody removes the cause.
    Permanent,
}

/// Why an operation of this module failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// The git program could not be executed.
    #[error("cannot run git: {0}; install git and make sure it is on the PATH")]
    CannotRun(#[source] io::Error),
    /// Git ran and failed.
    #[error("git {subcommand} failed in {dir:?} ({}): {stderr}", describe_exit(*.code))]
    Failed {
        subcommand: String,
        dir: PathBuf,
        /// The exit code; `None`: a signal ended git.
        code: Option<i32>,
        /// The end of git's standard error.
        stderr: String,
    },
    /// Git refuses to work in a directory that another user owns.
    #[error(
        "git refuses to work in {dir:?}, because another user owns this directory (dubious ownership); \
         allow it with: git config --global --add safe.directory {dir:?}"
    )]
    DubiousOwnership { dir: PathBuf },
    /// A file operation failed.
    #[error("{action} {path:?}: {source}")]
    Io {
        /// The operation that failed: "cannot read".
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The worktree's path contains something other than the worktree, or is a symbolic link.
    #[error("the path {path:?} is reserved for this spec's worktree, but contains something else; move it away")]
    Occupied { path: PathBuf },
    /// There is no worktree at the path, or its link to the repository is broken.
    #[error("the worktree {path:?} is missing, or its link to the repository is broken")]
    NoWorktree { path: PathBuf },
    /// The branch is checked out elsewhere.
    #[error("the branch {branch} is checked out in {path:?}; check out another branch in that directory")]
    BranchInUse { branch: String, path: PathBuf },
    /// The worktree contains git repositories. A commit would contain only a link to each, not its files.
    #[error(
        "git repositories inside the worktree cannot be committed: {paths:?}; \
         remove the .git in each of them, or make git ignore them"
    )]
    NestedRepositories {
        /// The paths of the repositories, relative to the worktree.
        paths: Vec<PathBuf>,
    },
    /// Something other than boi moved or deleted the spec's branch. Nothing was changed.
    #[error(
        "something other than boi moved or deleted the branch {branch}: expected {expected}, found {}",
        .found.as_deref().unwrap_or("no branch")
    )]
    Diverged {
        branch: String,
        expected: String,
        /// The branch's commit; `None`: the branch does not exist.
        found: Option<String>,
    },
}

impl GitError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GitError {
        let path = path.to_owned();
        move |source| GitError::Io { action, path, source }
    }

    /// Whether a retry can help.
    pub(crate) fn severity(&self) -> Severity {
        match self {
            GitError::CannotRun(_) | GitError::Io { .. } => Severity::Transient,
            GitError::Failed { .. } => Severity::Unknown,
            GitError::DubiousOwnership { .. }
            | GitError::Occupied { .. }
            | GitError::NoWorktree { .. }
            | GitError::BranchInUse { .. }
            | GitError::NestedRepositories { .. }
            | GitError::Diverged { .. } => Severity::Permanent,
        }
    }
}

fn describe_exit(code: Option<i32>) -> String {
    code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit code {code}"))
}
