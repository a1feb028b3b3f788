//! Advisory file locks, and the lock of a repository. A lock belongs to the open file: child processes that inherit the
//! file hold it too.

use std::fs::File;
use std::io;
use std::path::Path;

use super::git_error::GitError;

/// Acquires an exclusive lock on `file`; blocks until the lock is free. The lock is released when the last
/// copy of `file` is closed.
pub(super) fn lock_exclusively(file: &File) -> io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, rustix::fs::FlockOperation::LockExclusive))?;
    Ok(())
}

/// Locks a repository for changes to its `worktrees/`. The lock is on the git directory, and is held while
/// the returned file is open.
pub(super) fn lock_repository(common_dir: &Path) -> Result<File, GitError> {
    let dir = File::open(common_dir).map_err(GitError::io("cannot open", common_dir))?;
    lock_exclusively(&dir).map_err(GitError::io("cannot lock", common_dir))?;
    Ok(dir)
}
