//! Runs the git program. Environment variables and settings that could make git act on another repository, run a hook,
//! prompt, or sign a commit are cleared or overridden.
//!
//! Invariants:
//! - A git process that writes inherits a locked file as its standard input. The lock is released only when the daemon
//!   and every such process have closed the file. So a daemon that acquires the lock of a worktree knows that no git
//!   process of an earlier daemon writes for that worktree. The exception is a process that reads its input from a
//!   file: what it writes is the same whenever it runs.
//! - A git process that writes gets its git directory, common directory and working tree explicitly.
//! - Every git process has a time limit, and ends with its descendants on an order.
//! - No git process fetches anything: neither objects that a partial clone lacks, nor objects of Git LFS.
//! - Text from the user (prompts, titles) is never an argument: commit messages go through files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::git_error::GitError;
use super::place::Place;
use super::sparse::Sparse;
use super::watch::{GitWatch, Work};
use crate::process::bounded::BoundedEnd;
use crate::process::inherited;
use crate::system::paths::{self, variable};

/// Environment variables that change how git reads paths, names refs or finds attributes. They are removed together
/// with the variables that select a repository.
const CLEARED: &[&str] = &[
    "GIT_ATTR_SOURCE",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_QUARANTINE_PATH",
    "GIT_REFLOG_ACTION",
];

/// Settings for every git process. They disable the user's hooks, signatures and background jobs, and sync
/// commits so that these survive a power loss.
const ALWAYS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "core.fsmonitor=false",
    "rerere.enabled=false",
    "merge.autoStash=false",
    "merge.verifySignatures=false",
    "worktree.useRelativePaths=false",
    "submodule.recurse=false",
    // Git LFS uses the objects of the user's clone and fetches no other ones: there is no server at this address.
    "lfs.url=file:///dev/null/boi-fetches-no-objects",
    // By default git syncs only refs, so after a power loss a branch could name a commit that is not on the disk.
    "core.fsync=committed",
    "core.fsyncMethod=batch",
];

/// Settings for git in boi's worktrees: every change of a file is detected.
const OWN_TREE: &[&str] = &[
    "index.sparse=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "core.checkStat=default",
    "core.trustctime=true",
    "core.safecrlf=false",
];

/// The protocols over which git may fetch. It also keeps versions of git that do not know `GIT_NO_LAZY_FETCH` from
/// fetching.
const ALLOWED_PROTOCOLS: &str = "GIT_ALLOW_PROTOCOL";

/// How many bytes from the end of git's standard error an error message contains.
const STDERR_TAIL: usize = 2_000;

/// The name and email in commits if the user has not configured both.
const IDENTITY: (&str, &str) = ("boi", "boi@localhost");

/// A git command line that has not been run yet.
pub(crate) struct Git {
    command: Command,
    /// The directory that errors name.
    dir: PathBuf,
    watch: Arc<GitWatch>,
    work: Work,
    subcommand: Option<String>,
}

impl Git {
    /// Returns a git command that reads the repository which git finds from `dir`.
    pub(super) fn locating(dir: &Path, watch: &Arc<GitWatch>) -> Git {
        let mut git = Git::new(dir, dir, watch);
        git.command.arg("--no-optional-locks").stdin(Stdio::null());
        git
    }

    /// Returns a git command that only reads. Git acquires no lock for it, not even to refresh an index.
    pub(crate) fn reading(at: &Place) -> Git {
        let mut git = Git::pinned(at);
        git.command.arg("--no-optional-locks").stdin(Stdio::null());
        git
    }

    /// Returns a git command that writes, with the locked file `lock` as its standard input.
    pub(crate) fn writing(at: &Place, lock: &File) -> Result<Git, GitError> {
        let lock = lock.try_clone().map_err(GitError::io("cannot duplicate the lock for", &at.work_tree))?;
        let mut git = Git::pinned(at);
        git.command.stdin(Stdio::from(lock));
        Ok(git)
    }

    /// Returns a git command that writes, and that reads `input` from its standard input. This is the content of the locked
    /// file `lock`, so that git inherits the lock here too.
    pub(super) fn writing_from(at: &Place, mut lock: &File, input: &[u8]) -> Result<Git, GitError> {
        let mut fill = || {
            lock.set_len(0)?;
            lock.rewind()?;
            lock.write_all(input)?;
            lock.rewind()
        };
        fill().map_err(GitError::io("cannot write the lock for", &at.work_tree))?;
        Git::writing(at, lock)
    }

    /// Returns a git command that works in exactly this place, whatever the repository's configuration says.
    fn pinned(at: &Place) -> Git {
        // Without a working tree, for example because its folder was deleted, git can still use the repository.
        let start = if at.work_tree.is_dir() { &at.work_tree } else { &at.common_dir };
        let mut git = Git::new(start, &at.work_tree, &at.watch);
        git.command.env("GIT_DIR", &at.git_dir).env("GIT_COMMON_DIR", &at.common_dir);
        git.command.env("GIT_WORK_TREE", &at.work_tree);
        git
    }

    #[expect(clippy::disallowed_methods, reason = "`git` starts git")]
    fn new(start: &Path, dir: &Path, watch: &Arc<GitWatch>) -> Git {
        let mut command = Command::new(paths::find_program("git").unwrap_or_else(|_| "git".into()));
        for name in inherited::GIT_LOCAL.iter().chain(CLEARED) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_EDITOR", "true");
        // In a partial clone, a missing object would be fetched: that executes what the remote's configuration
        // names, and may hang.
        command.env("GIT_NO_LAZY_FETCH", "1").env(ALLOWED_PROTOCOLS, "none");
        // A file whose object Git LFS lacks gets its pointer as the content; otherwise the checkout would fail.
        command.env("GIT_LFS_SKIP_DOWNLOAD_ERRORS", "1");
        command.arg("-C").arg(start);
        let (dir, watch) = (dir.to_owned(), Arc::clone(watch));
        let mut git = Git { command, dir, watch, work: Work::Plain, subcommand: None };
        git.configure(ALWAYS);
        git
    }

    /// Marks a command that reads or writes files of a working tree, so that git may run filters: its time
    /// limit is that of the step.
    pub(crate) fn running_filters(mut self) -> Git {
        self.work = Work::RunsFilters;
        self
    }

    fn configure(&mut self, settings: &[&str]) {
        for setting in settings {
            self.command.arg("-c").arg(setting);
        }
    }

    /// Adds the settings for boi's worktrees. `sparse` is the sparse checkout of the worktree. Must be called before
    /// the first argument is added.
    pub(super) fn own_tree(mut self, sparse: Option<&Sparse>) -> Git {
        self.configure(OWN_TREE);
        match sparse {
            Some(sparse) => self.configure(&sparse.settings()),
            None => self.configure(&["core.sparseCheckout=false"]),
        }
        self
    }

    /// Adds settings. Must be called before the first argument is added.
    pub(crate) fn settings(mut self, settings: &[&str]) -> Git {
        self.configure(settings);
        self
    }

    /// Uses `file` as the index.
    pub(crate) fn index(mut self, file: &Path) -> Git {
        self.command.env("GIT_INDEX_FILE", file);
        self
    }

    /// Uses `folder` as the working tree.
    pub(crate) fn work_tree(mut self, folder: &Path) -> Git {
        self.command.env("GIT_WORK_TREE", folder);
        self
    }

    /// Uses `file` as the standard input.
    pub(super) fn input(mut self, file: File) -> Git {
        self.command.stdin(Stdio::from(file));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Git {
        self.command.env(name, value);
        self
    }

    /// Uses boi's identity for authors and committers that the user has not configured.
    pub(crate) fn identity(self, at: &Place) -> Result<Git, GitError> {
        let output = Git::reading(at)
            .args(["config", "--name-only", "--get-regexp", r"^(user|author|committer)\.(name|email)$"])
            .output()?;
        let configured = String::from_utf8_lossy(&output.stdout).into_owned();
        let missing = missing_identity(&configured, variable);
        Ok(missing.into_iter().fold(self, |git, (name, value)| git.env(name, value)))
    }

    /// Adds an argument; the first one is the subcommand.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Git {
        let arg = arg.as_ref();
        self.subcommand.get_or_insert_with(|| arg.to_string_lossy().into_owned());
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(self, args: I) -> Git {
        args.into_iter().fold(self, Git::arg)
    }

    /// Runs git and returns its exit code and output, whatever the exit code is. Fails only if git cannot be
    /// run, or refuses the repository because of its owner.
    pub(crate) fn output(mut self) -> Result<GitOutput, GitError> {
        let subcommand = self.subcommand.unwrap_or_default();
        let name = format!("git {subcommand}");
        let (end, limit) = self.watch.run(&mut self.command, &name, self.work).map_err(GitError::CannotRun)?;
        let (status, stdout, stderr) = match end {
            BoundedEnd::Exited { status, stdout, stderr } => (status, stdout, stderr),
            BoundedEnd::TimedOut(stderr) => {
                let stderr = tail(&String::from_utf8_lossy(&stderr));
                let is_short = self.watch.is_short();
                return Err(GitError::TimedOut { subcommand, dir: self.dir, limit, is_short, stderr });
            }
            BoundedEnd::Ordered => return Err(GitError::Ended { subcommand, dir: self.dir }),
        };
        let stderr = String::from_utf8_lossy(&stderr);
        let permission_denied = stderr.contains("Permission denied");
        let stderr = tail(&stderr);
        if stderr.contains("dubious ownership") || stderr.contains("unsafe repository") {
            return Err(GitError::DubiousOwnership { dir: self.dir });
        }
        Ok(GitOutput { code: status.code(), stdout, stderr, permission_denied, dir: self.dir, subcommand })
    }

    /// Runs git and returns its standard output. Fails on any exit code but 0.
    pub(crate) fn run(self) -> Result<Vec<u8>, GitError> {
        self.output()?.success()
    }

    /// Runs git and returns the one line that it printed. Fails on any exit code but 0.
    pub(crate) fn line(self) -> Result<String, GitError> {
        Ok(line(&self.run()?))
    }
}

/// How a git process ended, and what it printed.
pub(crate) struct GitOutput {
    /// The exit code; `None`: a signal ended git.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    /// The end of the standard error.
    pub(crate) stderr: String,
    /// Whether git reported `Permission denied` for a file.
    pub(super) permission_denied: bool,
    pub(super) dir: PathBuf,
    subcommand: String,
}

impl GitOutput {
    /// Turns this output into an error which says that git failed.
    pub(crate) fn into_error(self) -> GitError {
        GitError::failed(self.subcommand, self.dir, self.code, self.stderr)
    }

    /// Returns the standard output; any exit code but 0 is an error.
    pub(super) fn success(self) -> Result<Vec<u8>, GitError> {
        if self.code == Some(0) { Ok(self.stdout) } else { Err(self.into_error()) }
    }

    /// Returns the answer of a git command that answers a question with its exit code: 0 is yes, 1 is no, and
    /// any other exit code is an error.
    pub(crate) fn yes_or_no(self) -> Result<bool, GitError> {
        match self.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(self.into_error()),
        }
    }
}

/// Returns the first two numbers of git's version; `None`: git's output has an unknown form.
pub(crate) fn git_version() -> Result<Option<(u32, u32)>, GitError> {
    let printed = Git::locating(Path::new("/"), &Arc::default()).args(["version"]).line()?;
    let mut numbers = printed.split_whitespace().nth(2).unwrap_or_default().split('.').map(|part| part.parse().ok());
    Ok(numbers.next().flatten().zip(numbers.next().flatten()))
}

/// Returns output of git as text, without the line end.
pub(super) fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes)).into_owned()
}

/// Returns a path that git printed, without the line end. The path need not be UTF-8.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes.strip_suffix(b"\n").unwrap_or(bytes)))
}

/// Returns the paths that git printed with the option `-z`.
pub(crate) fn paths(bytes: &[u8]) -> Vec<PathBuf> {
    bytes.split(|b| *b == 0).filter(|p| !p.is_empty()).map(|p| PathBuf::from(OsStr::from_bytes(p))).collect()
}

/// Returns environment variables that set boi's identity for each role (author, committer) whose name or
/// email the user has not configured. `configured` lists the git settings that the user has, `env` reads the
/// environment.
fn missing_identity(configured: &str, env: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, &'static str)> {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    let has = |key: &str| configured.lines().any(|line| line.eq_ignore_ascii_case(key));
    let mut missing = Vec::new();
    for (role, name, email) in
        [("author", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"), ("committer", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")]
    {
        let has_name = set(name) || has(&format!("{role}.name")) || has("user.name");
        let has_email = set(email) || has(&format!("{role}.email")) || has("user.email") || set("EMAIL");
        if !(has_name && has_email) {
            missing.extend([(name, IDENTITY.0), (email, IDENTITY.1)]);
        }
    }
    missing
}

fn tail(text: &str) -> String {
    let text = text.trim();
    let start = text.len().saturating_sub(STDERR_TAIL);
    let start = (start..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_identity_is_used_and_an_incomplete_one_is_replaced_as_a_whole() {
        let nothing = |_: &str| None;
        assert_eq!(missing_identity("user.name\nuser.email\n", nothing), []);
        assert_eq!(missing_identity("author.name\nauthor.email\n", nothing).len(), 2);
        assert_eq!(missing_identity("user.name\n", nothing).len(), 4);
        assert_eq!(missing_identity("", nothing)[0], ("GIT_AUTHOR_NAME", "boi"));
        let email = |name: &str| (name == "EMAIL").then(|| OsString::from("u@example.org"));
        assert_eq!(missing_identity("user.name\n", email), []);
        let author = |name: &str| name.starts_with("GIT_AUTHOR").then(|| OsString::from("u"));
        let committer = [("GIT_COMMITTER_NAME", "boi"), ("GIT_COMMITTER_EMAIL", "boi@localhost")];
        assert_eq!(missing_identity("", author), committer);
    }

    #[test]
    fn a_long_error_is_cut_to_its_end() {
        let text = format!("{}ä the end", "ä".repeat(5_000));
        assert!(tail(&text).len() <= STDERR_TAIL);
        assert!(tail(&text).ends_with("the end"));
    }
}
