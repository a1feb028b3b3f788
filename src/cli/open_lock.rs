//! The lock that `boi open` holds while the user works in the worktree of a spec.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};

use super::{CliError, FAILED};
use crate::domain::id::SpecId;
use crate::system::paths::Home;
use crate::system::{attempt_folder, files};

/// The lock file, in the folder of a spec that holds the lock of its worktree too.
const LOCK: &str = "open.lock";

/// Acquires the lock; `None`: another `boi open` holds it. It is released when the returned file is closed.
pub(super) fn acquire(home: &Home, id: &SpecId) -> io::Result<Option<File>> {
    let (folder, _) = attempt_folder::make(&home.spec_attempts(id).join("git"))?;
    let file = folder.lockable(LOCK)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether `boi open` has the worktree of a spec open.
pub(super) fn is_held(home: &Home, id: &SpecId) -> bool {
    files::is_locked(&home.spec_attempts(id).join("git").join(LOCK)).unwrap_or(false)
}

/// Fails if `boi open` has the worktree of a spec open. `what` is what must not be done meanwhile.
pub(super) fn refuse_if_open(home: &Home, id: &SpecId, what: &str) -> Result<(), CliError> {
    match is_held(home, id) {
        true => Err(is_open(id, what)),
        false => Ok(()),
    }
}

/// The error about a worktree that `boi open` has open.
pub(super) fn is_open(id: &SpecId, what: &str) -> CliError {
    CliError::new(FAILED, format!("the worktree of {id} is open in a `boi open`, so it cannot be {what}"))
        .hint("end that shell or agent first")
}
