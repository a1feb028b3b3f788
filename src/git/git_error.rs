//! The errors of git operations. Each message names the operation and the path, contains git's own message, and says
//! what to do next if git does not say it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many paths an error message names.
const NAMED: usize = 10;

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
        /// Whether a retry can help, as far as git's text shows.
        severity: Severity,
    },
    /// Git refuses to add files of the worktree, for example because a filter fails.
    #[error("git cannot commit the files in {dir:?}: {stderr}")]
    CannotAdd {
        dir: PathBuf,
        /// The end of git's standard error.
        stderr: String,
    },
    /// Git did not end within its time limit, and was ended.
    #[error(
        "git {subcommand} in {dir:?} did not end within {} and was ended{}{}",
        describe_limit(*.limit), describe_cause(*.is_short), after_colon(.stderr)
    )]
    TimedOut {
        subcommand: String,
        dir: PathBuf,
        limit: Duration,
        /// Whether git had less time than a step usually has.
        is_short: bool,
        /// The end of git's standard error.
        stderr: String,
    },
    /// boi ended git, or did not start it, because the worker was ordered to end.
    #[error("git {subcommand} in {dir:?} was ended by boi")]
    Ended { subcommand: String, dir: PathBuf },
    /// Another process holds a lock.
    #[error("another process holds the lock of {path:?}; wait until it has ended, or end it")]
    Locked { path: PathBuf },
    /// Another repository is in the place of the worktree's repository.
    #[error(
        "{common_dir:?} is not the repository in which boi created the worktree; put that repository back at this path"
    )]
    RepositoryReplaced { common_dir: PathBuf },
    /// The worktree's repository cannot be found.
    #[error("the repository of {path:?} cannot be found; move it back to its path")]
    NoRepository {
        /// The working tree that the spec names.
        path: PathBuf,
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
    /// The worktree's `.git` was replaced.
    #[error("the worktree's {path:?} was replaced by something else; move it away")]
    LinkReplaced { path: PathBuf },
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
    /// A command changed submodules. Before this error, the changes were kept, and the submodules put back.
    #[error(
        "the try changed submodules, which boi does not commit: {}; boi put them back{}; to change a submodule, work on \
         its own repository, in a spec of its own",
        .changes.join(", "),
        describe_kept(.kept)
    )]
    SubmodulesChanged {
        /// A description of each changed submodule.
        changes: Vec<String>,
        /// The kept refs, and the folder beside the worktree, with the changes.
        kept: Vec<String>,
    },
    /// The repository is a partial clone and lacks an object that git needs.
    #[error(
        "git {subcommand} failed in {dir:?}, because the partial clone lacks {}, and boi fetches nothing; fetch what is \
         missing in your clone with `git fetch --refetch --no-filter`, then `boi retry`; git says: {stderr}",
        describe_object(.object.as_deref())
    )]
    MissingObject {
        subcommand: String,
        dir: PathBuf,
        /// The object; `None`: git does not name it.
        object: Option<String>,
        /// The end of git's standard error.
        stderr: String,
    },
    /// The changes of a try contain paths that boi does not commit: files that boi copied into the worktree, or folders
    /// that it keeps for the next spec.
    #[error("{}", .0)]
    Withheld(Box<WithheldPaths>),
    /// The record of the files that boi copied into the worktree cannot be read.
    #[error(
        "boi cannot read its record of the files that it copied into the worktree, so it cannot tell which files it must not \
         commit: {path:?}: {why}; remove the copied files from the worktree, then remove this record"
    )]
    CopyRecordDamaged { path: PathBuf, why: String },
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

/// The paths in the changes of a try that boi does not commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct WithheldPaths {
    /// Files that git no longer ignores.
    pub(super) not_ignored: Vec<PathBuf>,
    /// Paths that the try added to the index.
    pub(super) in_index: Vec<PathBuf>,
    /// Paths in commits of the try.
    pub(super) in_commits: Vec<PathBuf>,
}

impl WithheldPaths {
    pub(super) fn is_empty(&self) -> bool {
        self.not_ignored.is_empty() && self.in_index.is_empty() && self.in_commits.is_empty()
    }
}

impl fmt::Display for WithheldPaths {
    /// Says which paths the try must not commit, and what the next try has to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "boi copied these paths into the worktree, or keeps them for the next spec, and does not commit them",
        )?;
        let parts = [
            (
                &self.not_ignored,
                "git no longer ignores",
                "make git ignore them again: undo the change of .gitignore, .git/info/exclude or core.excludesFile",
            ),
            (&self.in_index, "the try added to git's index", "boi removed them from the index: do not add them again"),
            (
                &self.in_commits,
                "commits of the try contain",
                "boi kept the commits without these paths under a ref: do not commit them again",
            ),
        ];
        for (paths, what, next) in parts.into_iter().filter(|(paths, ..)| !paths.is_empty()) {
            write!(f, "; {what} {} ({next})", list_some(paths))?;
        }
        Ok(())
    }
}

/// Lists the first of the paths, and says how many more there are.
fn list_some(paths: &[PathBuf]) -> String {
    let first: Vec<String> = paths.iter().take(NAMED).map(|path| format!("{path:?}")).collect();
    match paths.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

impl GitError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GitError {
        let path = path.to_owned();
        move |source| GitError::Io { action, path, source }
    }

    /// Returns the error of a git process that failed.
    pub(super) fn failed(subcommand: String, dir: PathBuf, code: Option<i32>, stderr: String) -> GitError {
        if lacks_object(&stderr) {
            return GitError::MissingObject { subcommand, dir, object: missing_object(&stderr), stderr };
        }
        let severity = severity_of(&stderr);
        GitError::Failed { subcommand, dir, code, stderr, severity }
    }

    /// Whether a retry can help.
    pub(crate) fn severity(&self) -> Severity {
        match self {
            GitError::CannotRun(error) | GitError::Io { source: error, .. } if is_temporary(error) => {
                Severity::Transient
            }
            GitError::Failed { severity, .. } => *severity,
            GitError::Ended { .. } => Severity::Transient,
            GitError::CannotRun(_) | GitError::Io { .. } | GitError::Locked { .. } => Severity::Unknown,
            GitError::CannotAdd { .. }
            | GitError::TimedOut { .. }
            | GitError::RepositoryReplaced { .. }
            | GitError::NoRepository { .. }
            | GitError::DubiousOwnership { .. }
            | GitError::Occupied { .. }
            | GitError::LinkReplaced { .. }
            | GitError::NoWorktree { .. }
            | GitError::BranchInUse { .. }
            | GitError::NestedRepositories { .. }
            | GitError::MissingObject { .. }
            | GitError::SubmodulesChanged { .. }
            | GitError::Withheld(_)
            | GitError::CopyRecordDamaged { .. }
            | GitError::Diverged { .. } => Severity::Permanent,
        }
    }

    /// Whether git cannot store files of the worktree, so that they must be kept in another way.
    pub(super) fn is_about_files(&self) -> bool {
        matches!(self, GitError::CannotAdd { .. })
            || matches!(self, GitError::TimedOut { subcommand, is_short: false, .. } if matches!(subcommand.as_str(), "add" | "ls-files"))
    }
}

/// Texts of git that name a missing resource, which may become available.
const OUT_OF_RESOURCES: &[&str] = &[
    "No space left on device",
    "Disk quota exceeded",
    "Cannot allocate memory",
    "Out of memory",
    "out of memory",
    "Too many open files",
    "Resource temporarily unavailable",
];

/// Texts of git about an obstacle that a retry does not remove: a filter that fails, or a tree that is missing.
const PERMANENT: &[&str] = &["external filter '", "clean filter '", "smudge filter ", "failed to unpack tree object"];
/// Texts of git about an object that a partial clone lacks.
const LACKS_OBJECT: &[&str] = &["lazy fetching disabled", " from promisor remote"];

/// Whether git failed because a partial clone lacks an object.
pub(super) fn lacks_object(stderr: &str) -> bool {
    LACKS_OBJECT.iter().any(|text| stderr.contains(text))
}

/// Returns the object that git names in its message `could not fetch HASH from promisor remote`.
fn missing_object(stderr: &str) -> Option<String> {
    let before = stderr.split_once(" from promisor remote")?.0;
    let name = before.rsplit(' ').next()?;
    let is_hash = matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| name.to_owned())
}

fn describe_kept(kept: &[String]) -> String {
    if kept.is_empty() { String::new() } else { format!(" and kept the changes: {}", kept.join(", ")) }
}

fn describe_object(object: Option<&str>) -> String {
    object.map_or_else(|| "an object".to_owned(), |object| format!("the object {object}"))
}

/// Whether a retry of a git process that printed `stderr` can help.
pub(super) fn severity_of(stderr: &str) -> Severity {
    let contains = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
    match () {
        () if contains(OUT_OF_RESOURCES) => Severity::Transient,
        () if contains(PERMANENT) => Severity::Permanent,
        () => Severity::Unknown,
    }
}

/// Whether the cause of an error is a missing resource, which may become available.
fn is_temporary(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ExecutableFileBusy, Interrupted, OutOfMemory, QuotaExceeded, ResourceBusy, StorageFull, TimedOut, WouldBlock,
    };
    let is_out_of_files = [libc::EMFILE, libc::ENFILE].map(Some).contains(&error.raw_os_error());
    is_out_of_files
        || matches!(
            error.kind(),
            ExecutableFileBusy
                | Interrupted
                | OutOfMemory
                | QuotaExceeded
                | ResourceBusy
                | StorageFull
                | TimedOut
                | WouldBlock
        )
}

fn describe_limit(limit: Duration) -> String {
    let seconds = limit.as_secs();
    if seconds >= 120 { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

fn describe_cause(is_short: bool) -> &'static str {
    if is_short { "" } else { "; a filter or another program that the repository's configuration names may hang" }
}

fn after_colon(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

fn describe_exit(code: Option<i32>) -> String {
    code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit code {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_resources_pass_and_failing_filters_do_not() {
        for (stderr, severity) in [
            ("fatal: write error: No space left on device", Severity::Transient),
            ("error: external filter 'x' failed 1\nfatal: f: clean filter 'x' failed", Severity::Permanent),
            ("error: external filter 'x' failed: No space left on device", Severity::Transient),
            ("fatal: unable to access 'https://host/': Could not resolve host", Severity::Unknown),
        ] {
            assert_eq!(severity_of(stderr), severity, "{stderr}");
        }
        let io = |kind: io::ErrorKind| GitError::io("cannot read", Path::new("/x"))(kind.into()).severity();
        assert_eq!(io(io::ErrorKind::StorageFull), Severity::Transient);
        assert_eq!(io(io::ErrorKind::NotADirectory), Severity::Unknown);
    }
}
