//! Git itself: the one place that starts it, with everything taken away that could make it act on another repository,
//! run a hook, ask a question or sign.
//!
//! Invariants:
//! - A git process that writes has a locked file as its standard input. The lock belongs to the open file, so it lasts
//!   for as long as that process or its daemon lives, and whoever takes the lock later finds no git at work.
//! - Text of the user's (prompts, titles) never becomes an argument: messages go through files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::Error;
use crate::process::inherited;

/// Variables that change how git reads paths, names its refs or finds attributes, besides those that point it at another
/// repository.
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

/// Settings for every git process: none of the user's hooks, signatures or background jobs, and what is recorded as
/// committed outlives a loss of power.
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
    // By default only refs are synced: a loss of power would leave branches on commits that are not there.
    "core.fsync=committed",
    "core.fsyncMethod=batch",
];

/// Settings for git in a worktree of boi's own: the whole tree is checked out, and every change of a file is noticed.
const OWN_TREE: &[&str] = &[
    "core.sparseCheckout=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "core.checkStat=default",
    "core.trustctime=true",
    "core.safecrlf=false",
];

/// How much of git's standard error an error carries.
const STDERR_TAIL: usize = 2_000;

/// The identity of commits when the user has configured none.
const IDENTITY: (&str, &str) = ("boi", "boi@localhost");

/// One git process to be.
pub(super) struct Git {
    command: Command,
    dir: PathBuf,
    subcommand: Option<String>,
}

impl Git {
    /// Git that only reads: it takes no locks, not even to refresh an index.
    pub(super) fn reading(dir: &Path) -> Git {
        let mut git = Git::new(dir);
        git.command.arg("--no-optional-locks").stdin(Stdio::null());
        git
    }

    /// Git that writes, with `lock` as its standard input.
    pub(super) fn writing(dir: &Path, lock: &File) -> Result<Git, Error> {
        let lock = lock.try_clone().map_err(Error::io("cannot share the lock for", dir))?;
        let mut git = Git::new(dir);
        git.command.stdin(Stdio::from(lock));
        Ok(git)
    }

    fn new(dir: &Path) -> Git {
        let mut command = Command::new("git");
        for name in inherited::GIT_LOCAL.iter().chain(CLEARED) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_EDITOR", "true");
        command.arg("-C").arg(dir);
        let mut git = Git { command, dir: dir.to_owned(), subcommand: None };
        git.configure(ALWAYS);
        git
    }

    fn configure(&mut self, settings: &[&str]) {
        for setting in settings {
            self.command.arg("-c").arg(setting);
        }
    }

    /// In a worktree of boi's own. Before any argument.
    pub(super) fn own_tree(mut self) -> Git {
        self.configure(OWN_TREE);
        self
    }

    /// With `file` as the index.
    pub(super) fn index(mut self, file: &Path) -> Git {
        self.command.env("GIT_INDEX_FILE", file);
        self
    }

    /// With an environment variable.
    pub(super) fn env(mut self, name: &str, value: &str) -> Git {
        self.command.env(name, value);
        self
    }

    /// With boi's identity in place of what the user has not configured. The user's comes first.
    pub(super) fn identity(self) -> Result<Git, Error> {
        let output = Git::reading(&self.dir)
            .args(["config", "--name-only", "--get-regexp", r"^(user|author|committer)\.(name|email)$"])
            .output()?;
        let configured = String::from_utf8_lossy(&output.stdout).into_owned();
        let missing = missing_identity(&configured, crate::system::paths::variable);
        Ok(missing.into_iter().fold(self, |git, (name, value)| git.env(name, value)))
    }

    /// With an argument; the first one is the subcommand.
    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Git {
        let arg = arg.as_ref();
        self.subcommand.get_or_insert_with(|| arg.to_string_lossy().into_owned());
        self.command.arg(arg);
        self
    }

    /// With arguments.
    pub(super) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(self, args: I) -> Git {
        args.into_iter().fold(self, Git::arg)
    }

    /// Runs it to its end, whatever that is. A repository that git will not touch is an error already here.
    pub(super) fn output(mut self) -> Result<Outcome, Error> {
        let Output { status, stdout, stderr } = self.command.output().map_err(Error::Start)?;
        let stderr = String::from_utf8_lossy(&stderr);
        let denied = stderr.contains("Permission denied");
        let stderr = tail(&stderr);
        if stderr.contains("dubious ownership") || stderr.contains("unsafe repository") {
            return Err(Error::DubiousOwnership { dir: self.dir });
        }
        let subcommand = self.subcommand.unwrap_or_default();
        Ok(Outcome { code: status.code(), stdout, stderr, denied, dir: self.dir, subcommand })
    }

    /// Runs it and returns what it printed; anything but exit code 0 is an error.
    pub(super) fn run(self) -> Result<Vec<u8>, Error> {
        let outcome = self.output()?;
        if outcome.code == Some(0) { Ok(outcome.stdout) } else { Err(outcome.into_error()) }
    }

    /// Runs it and returns the one line that it printed.
    pub(super) fn line(self) -> Result<String, Error> {
        Ok(line(&self.run()?))
    }
}

/// How a git process ended.
pub(super) struct Outcome {
    /// Its exit code; `None`: a signal ended it.
    pub(super) code: Option<i32>,
    /// What it printed.
    pub(super) stdout: Vec<u8>,
    /// The end of what it printed to standard error.
    pub(super) stderr: String,
    /// Whether it said that it may not read something.
    pub(super) denied: bool,
    dir: PathBuf,
    subcommand: String,
}

impl Outcome {
    /// This outcome as a failure.
    pub(super) fn into_error(self) -> Error {
        Error::Git { subcommand: self.subcommand, dir: self.dir, code: self.code, stderr: self.stderr }
    }

    /// For commands that answer with their exit code: 0 is yes, 1 is no, all else is a failure.
    pub(super) fn yes(self) -> Result<bool, Error> {
        match self.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(self.into_error()),
        }
    }
}

/// What git printed, without its line end.
pub(super) fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes)).into_owned()
}

/// A path that git printed, without its line end; it need not be UTF-8.
pub(super) fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes.strip_suffix(b"\n").unwrap_or(bytes)))
}

/// Paths that git printed with `-z`.
pub(super) fn paths(bytes: &[u8]) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    bytes.split(|b| *b == 0).filter(|p| !p.is_empty()).map(|p| PathBuf::from(OsStr::from_bytes(p))).collect()
}

/// Takes an exclusive lock, waiting for whoever has it. It is released when the last copy of `file` is closed.
pub(super) fn lock(file: &File) -> io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, rustix::fs::FlockOperation::LockExclusive))?;
    Ok(())
}

/// The variables that give boi's identity to a role (author, committer) for which the user has no complete one.
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
    fn the_users_identity_comes_first_and_an_incomplete_one_is_replaced_whole() {
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
    fn only_the_end_of_a_long_error_is_carried() {
        let text = format!("{}ä the end", "ä".repeat(5_000));
        assert!(tail(&text).len() <= STDERR_TAIL);
        assert!(tail(&text).ends_with("the end"));
    }
}
