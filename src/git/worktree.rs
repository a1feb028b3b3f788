//! A spec's worktree, and its lock, which every operation that writes for the worktree holds.

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
    /// A directory outside the repository for this worktree alone. It contains the lock file of the worktree,
    /// boi's own index and a commit message.
    pub(crate) scratch: PathBuf,
}

/// A worktree whose lock is held. Git processes that write inherit the lock. So the lock is held while one of
/// them runs, even if the daemon has died.
#[derive(Debug)]
pub(crate) struct LockedWorktree {
    worktree: Worktree,
    lock: File,
}

impl Worktree {
    /// Acquires the worktree's lock: waits until no other git process of boi writes for this worktree. Fails
    /// with [`GitError::Occupied`] if there is a symbolic link at the worktree's path.
    pub(crate) fn lock(&self) -> Result<LockedWorktree, GitError> {
        let dir = &self.scratch;
        files::restore_permissions(&[dir]).map_err(GitError::io("cannot restore access to", dir))?;
        files::private_dir(dir).map_err(GitError::io("cannot create", dir))?;
        let path = dir.join("git.lock");
        let lock = files::private_file(&path).map_err(GitError::io("cannot open", &path))?;
        locks::lock_exclusively(&lock).map_err(GitError::io("cannot lock", &path))?;
        // A symbolic link may lead to one of the user's folders, or to the worktree by a path that git does
        // not know.
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

    /// Returns the working tree that the spec names. The user may have removed or moved it; see
    /// [`LockedWorktree::git_location`].
    pub(super) fn users_repo(&self) -> &Path {
        &self.worktree.repo
    }

    /// Returns the directory outside the repository for this worktree alone.
    pub(super) fn scratch(&self) -> &Path {
        &self.worktree.scratch
    }

    /// Returns the worktree's lock file, for git processes that write elsewhere in the repository.
    pub(super) fn lock_file(&self) -> &File {
        &self.lock
    }

    pub(super) fn branch_ref(&self) -> String {
        ref_names::branch_ref(self.spec())
    }

    /// Returns a directory in which git finds the repository: the worktree if it is intact, otherwise the
    /// working tree that the spec names, which the user may have removed or moved.
    pub(super) fn git_location(&self) -> &Path {
        if entry::of_worktree(self.path()).is_some() { self.path() } else { self.users_repo() }
    }

    /// Returns the worktree's entry. Fails if there is no intact worktree.
    pub(super) fn entry(&self) -> Result<PathBuf, GitError> {
        entry::of_worktree(self.path()).ok_or_else(|| GitError::NoWorktree { path: self.path().to_owned() })
    }

    /// Returns a git command that writes in the worktree.
    pub(super) fn git(&self) -> Result<Git, GitError> {
        Ok(Git::writing(self.path(), &self.lock)?.own_tree())
    }

    /// Returns a git command that writes in the repository. The worktree need not exist.
    pub(super) fn repo_git(&self) -> Result<Git, GitError> {
        Git::writing(self.git_location(), &self.lock)
    }

    /// Returns the path of boi's own index of the worktree. Agents do not write this file.
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

    /// Removes lock files that a killed git process left. They are stale, because no other git process of boi
    /// writes for the worktree while it is locked.
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

/// Returns the path of the lock file that git creates while it writes the file `path`.
fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
