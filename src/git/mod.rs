//! Everything boi does with git: a worktree and a branch of its own for each spec, in the user's repository.
//!
//! Functions are synchronous and made for a blocking thread. Those that write take a [`WorktreeLock`].
//!
//! Invariants:
//! - The user's checkouts, index, stash, configuration and other branches stay byte for byte as they are; only
//!   [`fast_forward`] moves a branch of the user's, and a checkout with it. What boi adds to a repository is
//!   `refs/heads/boi/<SPEC>`, `refs/boi/*` and one entry in `worktrees/`.
//! - Work is never deleted: what no branch holds goes under `refs/boi/kept/<SPEC>/` before it is taken away.
//! - Each operation may be cut off between any two processes and is mended by being called again.
//! - Two locks, always taken in this order: the worktree's (whoever holds it finds no git of boi's at work on that
//!   worktree), then the repository's (around `worktrees/`), which is the git directory itself, so that no file is
//!   created there.

mod capture;
mod deliver;
mod entry;
mod git;
mod inspect;
mod lay;
mod power;
mod refs;
mod remove;
mod survey;
#[cfg(test)]
mod tests;
mod tree;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub use self::capture::{Captured, advance, capture, rewind};
pub use self::deliver::{LandError, MergeError, Plan, PlanError, fast_forward, merge_base, plan};
pub use self::inspect::{BaseError, Inspected, Refusal, inspect, resolve_base, same_repository};
pub use self::lay::{Laid, prepare};
pub use self::power::{Mended, mend};
pub use self::refs::{branch_head, delete_branch, is_branch, is_merged, kept_refs};
pub use self::remove::{check_removal, discard, remove};
pub use self::survey::{entries_without_folder, git_version, ids_in, lock_files, own_refs};
pub use self::tree::{Settled, settle};
use crate::domain::id::SpecId;
use crate::system::files;

/// A spec's worktree: where it is, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// The user's working tree that the spec names; its repository gets the branch.
    pub repo: PathBuf,
    /// Where the worktree is.
    pub path: PathBuf,
    /// Whose it is.
    pub spec: SpecId,
    /// A directory outside the repository, for this worktree alone: the lock, an index and a message file.
    pub scratch: PathBuf,
}

/// The right to run git that writes for one worktree. It passes on to the git processes, so that it outlives the daemon
/// for as long as one of them runs.
#[derive(Debug)]
pub struct WorktreeLock {
    worktree: Worktree,
    file: File,
}

/// What went wrong with git.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git cannot be executed.
    #[error("cannot run git: {0}; is it installed and on PATH?")]
    Start(#[source] io::Error),
    /// Git failed.
    #[error("git {subcommand} failed in {dir:?} ({}): {stderr}", exit(*.code))]
    Git {
        /// The subcommand.
        subcommand: String,
        /// Where it ran.
        dir: PathBuf,
        /// Its exit code; `None`: a signal ended it.
        code: Option<i32>,
        /// The end of its standard error.
        stderr: String,
    },
    /// Git refuses to work in a directory of somebody else's.
    #[error(
        "git refuses {dir:?} because another user owns it (dubious ownership); \
         allow it with: git config --global --add safe.directory {dir:?}"
    )]
    DubiousOwnership {
        /// The directory.
        dir: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{doing} {path:?}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Something that is not the spec's worktree is where it should be.
    #[error("{path:?} holds something that is not the worktree of this spec; move it away")]
    Occupied {
        /// The place.
        path: PathBuf,
    },
    /// The repository of a worktree is not where it was, so that nothing of the worktree can be kept in it.
    #[error("the repository {} cannot be reached", repo.display())]
    Unreachable {
        /// Where it was.
        repo: PathBuf,
    },
    /// There is no worktree.
    #[error("{path:?} is not there, or is no git worktree any more")]
    NoWorktree {
        /// The place.
        path: PathBuf,
    },
    /// The branch is checked out somewhere else.
    #[error("branch {branch} is checked out in {path:?}; check out another branch there")]
    BranchInUse {
        /// The branch.
        branch: String,
        /// The checkout that has it.
        path: PathBuf,
    },
    /// Git repositories inside the worktree: their content would be lost in a commit or with the worktree.
    #[error(
        "git repositories inside the worktree cannot be committed: {paths:?}; remove their .git or have git ignore them"
    )]
    NestedRepository {
        /// Where, relative to the worktree.
        paths: Vec<PathBuf>,
    },
    /// The branch is not where boi left it. Nothing was touched.
    #[error("branch {branch} was moved by somebody else: expected {expected}, found {}", .found.as_deref().unwrap_or("no branch"))]
    Diverged {
        /// The branch.
        branch: String,
        /// Where it should be.
        expected: String,
        /// Where it is; `None`: it is gone.
        found: Option<String>,
    },
}

impl Error {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { doing, path, source }
    }
}

fn exit(code: Option<i32>) -> String {
    code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit code {code}"))
}

impl Worktree {
    /// Waits until no git process of boi's writes for this worktree, and keeps others from starting. A link in its place is
    /// [`Error::Occupied`].
    pub fn lock(&self) -> Result<WorktreeLock, Error> {
        let dir = &self.scratch;
        files::regain(&[dir]).map_err(Error::io("cannot use", dir))?;
        files::private_dir(dir).map_err(Error::io("cannot create", dir))?;
        let path = self.scratch.join("git.lock");
        let file = files::private_file(&path).map_err(Error::io("cannot open", &path))?;
        git::lock(&file).map_err(Error::io("cannot lock", &path))?;
        // Behind a link is somebody's folder, or the worktree in another place.
        if self.path.is_symlink() {
            return Err(Error::Occupied { path: self.path.clone() });
        }
        // A worktree that its command closed cannot be told from none.
        files::give(&self.path, 0o700, 0).map_err(Error::io("cannot use", &self.path))?;
        Ok(WorktreeLock { worktree: self.clone(), file })
    }
}

impl WorktreeLock {
    /// The worktree that is locked.
    pub fn worktree(&self) -> &Worktree {
        &self.worktree
    }

    fn path(&self) -> &Path {
        &self.worktree.path
    }

    fn spec(&self) -> &SpecId {
        &self.worktree.spec
    }

    fn branch_ref(&self) -> String {
        refs::branch_ref(self.spec())
    }

    /// Where git finds the repository: in the worktree while that is there, since the user may have removed or moved
    /// the checkout that the spec named.
    fn repo(&self) -> &Path {
        if entry::of_worktree(self.path()).is_some() { self.path() } else { &self.worktree.repo }
    }

    /// Git that writes in the worktree.
    fn git(&self) -> Result<git::Git, Error> {
        Ok(git::Git::writing(self.path(), &self.file)?.own_tree())
    }

    /// Git that writes in the repository, no matter whether the worktree is there.
    fn repo_git(&self) -> Result<git::Git, Error> {
        git::Git::writing(self.repo(), &self.file)
    }

    /// Boi's own index of the worktree, which no agent writes.
    fn index(&self) -> PathBuf {
        self.worktree.scratch.join("index")
    }

    /// Writes a commit message to the scratch directory, for `-F`.
    fn message(&self, text: &str) -> Result<PathBuf, Error> {
        let path = self.worktree.scratch.join("message");
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        let written = options.write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
            io::Write::write_all(&mut file, text.as_bytes())?;
            if text.ends_with('\n') { Ok(()) } else { io::Write::write_all(&mut file, b"\n") }
        });
        written.map_err(Error::io("cannot write", &path))?;
        Ok(path)
    }
}
