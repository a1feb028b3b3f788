//! A spec's worktree, and the lock that every operation which writes for it holds.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::program::Git;
use super::{entry, locks, ref_names};
use crate::domain::id::SpecId;
use crate::system::files;

/// A spec's worktree, which need not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worktree {
    /// The user's working tree that the spec names; its repository gets the branch.
    pub(crate) repo: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) spec: SpecId,
    /// A directory outside the repository for this worktree alone. It holds the worktree's lock, boi's own index and a
    /// commit message.
    pub(crate) scratch: PathBuf,
}

/// A worktree whose lock is held. Git processes that write inherit the lock, so it stays held while one of them runs,
/// even if the daemon has died.
#[derive(Debug)]
pub(crate) struct LockedWorktree {
    worktree: Worktree,
    lock: File,
}

impl Worktree {
    /// Waits until no git process of boi's writes for this worktree, and prevents others from starting. A symbolic link
    /// at the worktree's path is [`GitError::Occupied`].
    pub(crate) fn lock(&self) -> Result<LockedWorktree, GitError> {
        let dir = &self.scratch;
        files::restore_permissions(&[dir]).map_err(GitError::io("cannot restore access to", dir))?;
        files::private_dir(dir).map_err(GitError::io("cannot create", dir))?;
        let path = dir.join("git.lock");
        let lock = files::private_file(&path).map_err(GitError::io("cannot open", &path))?;
        locks::lock_exclusively(&lock).map_err(GitError::io("cannot lock", &path))?;
        // A symbolic link may lead to a folder of the user's, or to the worktree under a path that git does not know.
        if self.path.is_symlink() {
            return Err(GitError::Occupied { path: self.path.clone() });
        }
        // A command may have removed the access rights; a worktree that cannot be read looks like a missing one.
        files::grant_owner(&self.path, 0o700, 0).map_err(GitError::io("cannot restore access to", &self.path))?;
        Ok(LockedWorktree { worktree: self.clone(), lock })
    }
}

impl LockedWorktree {
    pub(super) fn path(&self) -> &Path {
        &self.worktree.path
    }

    pub(super) fn spec(&self) -> &SpecId {
        &self.worktree.spec
    }

    /// The working tree that the spec names. It may have been removed or moved since; see
    /// [`LockedWorktree::git_location`].
    pub(super) fn users_repo(&self) -> &Path {
        &self.worktree.repo
    }

    /// The spec's directory outside the repository.
    pub(super) fn scratch(&self) -> &Path {
        &self.worktree.scratch
    }

    /// The worktree's locked file, for git processes that write elsewhere in the repository.
    pub(super) fn lock_file(&self) -> &File {
        &self.lock
    }

    pub(super) fn branch_ref(&self) -> String {
        ref_names::branch_ref(self.spec())
    }

    /// Where git finds the repository: the worktree while it is intact, because the user may have removed or moved the
    /// working tree that the spec names.
    pub(super) fn git_location(&self) -> &Path {
        if entry::of_worktree(self.path()).is_some() { self.path() } else { self.users_repo() }
    }

    /// The worktree's entry; an error if there is no intact worktree.
    pub(super) fn entry(&self) -> Result<PathBuf, GitError> {
        entry::of_worktree(self.path()).ok_or_else(|| GitError::NoWorktree { path: self.path().to_owned() })
    }

    /// A git command that writes in the worktree.
    pub(super) fn git(&self) -> Result<Git, GitError> {
        Ok(Git::writing(self.path(), &self.lock)?.own_tree())
    }

    /// A git command that writes in the repository, whether the worktree exists or not.
    pub(super) fn repo_git(&self) -> Result<Git, GitError> {
        Git::writing(self.git_location(), &self.lock)
    }

    /// The file of boi's own index of the worktree. Agents do not write this file.
    pub(super) fn own_index(&self) -> PathBuf {
        self.scratch().join("index")
    }

    /// Writes a commit message to a file, for git's option `-F`.
    pub(super) fn write_message(&self, text: &str) -> Result<PathBuf, GitError> {
        let path = self.scratch().join("message");
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        let written = options.write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
            io::Write::write_all(&mut file, text.as_bytes())?;
            if text.ends_with('\n') { Ok(()) } else { io::Write::write_all(&mut file, b"\n") }
        });
        written.map_err(GitError::io("cannot write", &path))?;
        Ok(path)
    }

    /// Removes lock files that a killed git process left. They are stale: while the worktree is locked, no other git
    /// process of boi's writes for it.
    pub(super) fn remove_stale_locks(&self) -> Result<(), GitError> {
        let entry = entry::of_worktree(self.path());
        let mut stale = vec![lock_of(&self.own_index())];
        stale.extend(entry.iter().flat_map(|entry| [entry.join("index.lock"), entry.join("HEAD.lock")]));
        let common_dir = entry.as_deref().and_then(entry::common_dir_of_entry);
        if let Some(common_dir) = common_dir.or_else(|| entry::common_dir(self.git_location()).ok()) {
            let refs = [self.branch_ref(), ref_names::candidate_ref(self.spec())];
            stale.extend(refs.map(|name| lock_of(&common_dir.join(name))));
            let kept = common_dir.join(ref_names::kept_dir(self.spec()));
            let files = fs::read_dir(kept).into_iter().flatten().flatten().map(|file| file.path());
            stale.extend(files.filter(|path| path.extension() == Some(OsStr::new("lock"))));
        }
        stale.iter().try_for_each(|path| entry::remove_any(path))
    }
}

/// The lock file that git creates beside `path` while it writes that file.
fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
