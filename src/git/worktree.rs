//! A spec's worktree, and its lock, which every operation that writes for the worktree holds.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::git_error::GitError;
use super::place::{self, Place};
use super::program::Git;
use super::sparse::Sparse;
use super::watch::GitWatch;
use super::{entry, locks, ref_names, repository};
use crate::domain::id::SpecId;
use crate::domain::position::RepositoryIdentity;
use crate::system::{attempt_folder, files};

/// The lock file in a worktree's scratch directory.
const LOCK: &str = "git.lock";

/// A spec's worktree, which need not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct Worktree {
    /// The user's working tree that the spec names; its repository gets the branch.
    pub(crate) repo: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) spec: SpecId,
    /// A directory outside the repository for this worktree alone. It contains the lock file of the worktree,
    /// boi's own index and a commit message.
    pub(crate) scratch: PathBuf,
    /// The repository in which the worktree was created; `None`: that was not recorded.
    pub(crate) repository: Option<RepositoryIdentity>,
    /// The watch over the git processes that work for the worktree.
    pub(crate) watch: Arc<GitWatch>,
}

/// A worktree whose lock is held. Git processes that write inherit the lock. So the lock is held while one of
/// them runs, even if the daemon has died.
#[derive(Debug)]
pub(crate) struct LockedWorktree {
    worktree: Worktree,
    lock: File,
    /// The repository's common directory; `None`: the repository cannot be found.
    common_dir: Option<PathBuf>,
}

impl Worktree {
    /// Returns the worktree for a command of the user, which knows neither the recorded repository nor the worker.
    pub(crate) fn of_user(repo: PathBuf, path: PathBuf, spec: SpecId, scratch: PathBuf) -> Worktree {
        Worktree { repo, path, spec, scratch, repository: None, watch: Arc::default() }
    }

    /// Acquires the worktree's lock: waits until no other git process of boi writes for this worktree, and ends
    /// git processes that an earlier daemon left. Finds the repository, and fails if another one is in its
    /// place. Fails with [`GitError::Occupied`] if there is a symbolic link at the worktree's path.
    pub(crate) fn lock(&self) -> Result<LockedWorktree, GitError> {
        let lock = self.acquire_lock()?;
        // A symbolic link may lead to one of the user's folders, or to the worktree by a path that git does
        // not know.
        if self.path.is_symlink() {
            return Err(GitError::Occupied { path: self.path.clone() });
        }
        // A command may have removed the access rights; a worktree that cannot be read looks like a missing one.
        files::grant_owner(&self.path, 0o700, 0).map_err(GitError::io("cannot restore access to", &self.path))?;
        let common_dir = self.find_repository(Some(&self.path))?;
        Ok(LockedWorktree { worktree: self.clone(), lock, common_dir })
    }

    /// Acquires the worktree's lock for an operation that uses only its repository, whatever is at the
    /// worktree's path.
    pub(crate) fn lock_for_repository(&self) -> Result<LockedWorktree, GitError> {
        let lock = self.acquire_lock()?;
        // A symbolic link may lead to another worktree.
        let common_dir = self.find_repository(Some(&*self.path).filter(|path| !path.is_symlink()))?;
        Ok(LockedWorktree { worktree: self.clone(), lock, common_dir })
    }

    fn acquire_lock(&self) -> Result<File, GitError> {
        let dir = &self.scratch;
        let (folder, _) = attempt_folder::make(dir).map_err(GitError::io("cannot create", dir))?;
        let path = dir.join(LOCK);
        let lock = folder.lockable(LOCK).map_err(GitError::io("cannot open", &path))?;
        if locks::is_held(&lock) {
            self.watch.end_leftovers();
        }
        locks::lock_exclusively(&lock, &path, &self.watch)?;
        // Git would write through a link in the place of the index.
        folder.remove_impostors(LOCK).map_err(GitError::io("cannot remove links in", dir))?;
        Ok(lock)
    }

    /// Returns the repository's common directory; `None`: it cannot be found. `path` is the worktree, whose link may lead to
    /// the repository. Fails if another repository is in its place.
    pub(crate) fn find_repository(&self, path: Option<&Path>) -> Result<Option<PathBuf>, GitError> {
        match (&self.repository, path) {
            (Some(recorded), _) => repository::check(recorded, &self.path, &self.spec, &self.watch),
            (None, Some(path)) => repository::common_dir(&self.repo, path, &self.watch),
            (None, None) => Ok(Place::linked_from(&self.repo, &self.watch).map(|place| place.common_dir)),
        }
    }

    /// Identifies the repository that the spec names. Fails if git refuses it.
    pub(crate) fn identify_repository(&self) -> Result<Option<RepositoryIdentity>, GitError> {
        repository::identify(&self.repo, &self.watch)
    }
}

impl Drop for LockedWorktree {
    /// Removes other users' permissions for boi's own index, which git may have added. If this fails, the folder
    /// around the index is still private.
    fn drop(&mut self) {
        files::make_private(&self.own_index()).ok();
    }
}

impl LockedWorktree {
    pub(crate) fn path(&self) -> &Path {
        &self.worktree.path
    }

    pub(crate) fn spec(&self) -> &SpecId {
        &self.worktree.spec
    }

    /// Returns the working tree that the spec names. The user may have removed or moved it.
    pub(super) fn users_repo(&self) -> &Path {
        &self.worktree.repo
    }

    /// Returns the directory outside the repository for this worktree alone.
    pub(super) fn scratch(&self) -> &Path {
        &self.worktree.scratch
    }

    /// Returns the worktree's lock file, for git processes that write elsewhere in the repository.
    pub(crate) fn lock_file(&self) -> &File {
        &self.lock
    }

    pub(super) fn branch_ref(&self) -> String {
        ref_names::branch_ref(self.spec())
    }

    /// Returns the repository's common directory. Fails if the repository cannot be found.
    pub(super) fn common_dir(&self) -> Result<&Path, GitError> {
        let existing = self.common_dir.as_deref().filter(|path| path.is_dir());
        existing.ok_or_else(|| GitError::NoRepository { path: self.users_repo().to_owned() })
    }

    pub(crate) fn watch(&self) -> &Arc<GitWatch> {
        &self.worktree.watch
    }

    /// Returns the worktree's entry. Fails if there is no intact worktree of the repository.
    pub(super) fn entry(&self) -> Result<PathBuf, GitError> {
        entry::of_worktree(self.path(), self.common_dir()?)
            .ok_or_else(|| GitError::NoWorktree { path: self.path().to_owned() })
    }

    /// Returns the place of the worktree. Fails if there is no intact worktree of the repository.
    pub(crate) fn place(&self) -> Result<Place, GitError> {
        self.place_with(self.entry()?)
    }

    /// Returns the place of the worktree with this entry. Does not read the worktree's `.git`.
    pub(super) fn place_with(&self, entry: PathBuf) -> Result<Place, GitError> {
        let (common_dir, watch) = (self.common_dir()?.to_owned(), Arc::clone(self.watch()));
        Ok(Place { git_dir: entry, common_dir, work_tree: self.path().to_owned(), watch })
    }

    /// Returns the place for work on the repository's refs and objects. The worktree need not exist.
    pub(crate) fn repository(&self) -> Result<Place, GitError> {
        Ok(Place::of_repository(self.common_dir()?, self.watch()))
    }

    /// Returns the place of the working tree that the spec names if it still belongs to the repository, otherwise
    /// that of the repository.
    pub(crate) fn users_place(&self) -> Result<Place, GitError> {
        let repository = self.repository()?;
        let users = repository::of_working_tree(self.users_repo(), self.watch())?;
        Ok(users.filter(|users| users.common_dir == repository.common_dir).unwrap_or(repository))
    }

    /// Returns the worktree's sparse checkout; `None`: it contains all files.
    pub(super) fn sparse(&self) -> Option<Sparse> {
        Sparse::recorded(self.scratch())
    }

    /// Returns a git command that writes in the worktree.
    pub(crate) fn git(&self) -> Result<Git, GitError> {
        self.git_at(&self.place()?)
    }

    /// Returns a git command that writes in the worktree at `place`.
    pub(crate) fn git_at(&self, place: &Place) -> Result<Git, GitError> {
        Ok(Git::writing(place, &self.lock)?.own_tree(self.sparse().as_ref()))
    }

    /// Returns a git command that writes in the repository. The worktree need not exist.
    pub(crate) fn repo_git(&self) -> Result<Git, GitError> {
        Git::writing(&self.repository()?, &self.lock)
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
        let mut stale = vec![lock_of(&self.own_index())];
        if let Ok(entry) = self.entry() {
            stale.extend(["index.lock", "HEAD.lock", "reftable/tables.list.lock"].map(|name| entry.join(name)));
        }
        if let Some(common_dir) = self.common_dir.as_deref().filter(|common_dir| !place::has_ref_tables(common_dir)) {
            let spec = self.spec();
            let refs = [self.branch_ref(), ref_names::candidate_ref(spec), ref_names::snapshot_ref(spec)];
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
