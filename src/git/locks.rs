//! Advisory file locks, and the lock of a repository. A lock belongs to the open file: child processes that inherit the
//! file hold it too.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::git_error::GitError;
use super::watch::GitWatch;

/// The pause before the next try to acquire a lock that another process holds.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// Acquires an exclusive lock on `file`, whose path is `path`; blocks until the lock is free. The lock is
/// released when the last copy of `file` is closed. Fails when the step is ordered to end, or its time is over.
pub(super) fn lock_exclusively(file: &File, path: &Path, watch: &GitWatch) -> Result<(), GitError> {
    let until = watch.lock_deadline();
    let mut waiting = None;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(error) => return Err(GitError::io("cannot lock", path)(error.into())),
        }
        waiting.get_or_insert_with(|| watch.waiting(path));
        if watch.is_ended() {
            watch.interrupt();
            return Err(GitError::Ended { subcommand: "lock".to_owned(), dir: path.to_owned() });
        }
        if until <= Instant::now() {
            return Err(GitError::Locked { path: path.to_owned() });
        }
        thread::sleep(TRY_AGAIN);
    }
}

/// Locks a repository for changes to its `worktrees/`. The lock is on the git directory, and is held while
/// the returned file is open.
pub(crate) fn lock_repository(common_dir: &Path, watch: &GitWatch) -> Result<File, GitError> {
    let dir = File::open(common_dir).map_err(GitError::io("cannot open", common_dir))?;
    lock_exclusively(&dir, common_dir, watch)?;
    Ok(dir)
}

/// Whether another process holds the lock of `file`.
pub(super) fn is_held(file: &File) -> bool {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        // Releasing a lock that was just acquired does not fail.
        Ok(()) => flock(file, FlockOperation::Unlock).is_err(),
        Err(error) => error == Errno::WOULDBLOCK,
    }
}

/// Returns whether another process, or another open file of this one, holds the lock of a repository.
pub(crate) fn is_locked(common_dir: &Path) -> Result<bool, GitError> {
    let dir = File::open(common_dir).map_err(GitError::io("cannot open", common_dir))?;
    Ok(is_held(&dir))
}
