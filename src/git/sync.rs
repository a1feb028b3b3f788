//! Syncs a worktree to the disk.
//!
//! Git syncs the objects and refs that it writes for boi. It does not sync checked-out files, their index and the entry
//! in `worktrees/`, and an agent's git does not sync the objects of its commits. For up to half a minute the disk may
//! have the names of these files without their content.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::entry;
use super::git_error::GitError;
use super::worktree::LockedWorktree;
use crate::system::files;

/// Writes the worktree and its entry to the disk before it returns. Records that are written afterwards may rely on
/// both.
pub(super) fn sync_worktree(worktree: &LockedWorktree) -> Result<(), GitError> {
    let sync = |path: &Path| files::sync_file_system(path).map_err(GitError::io("cannot sync", path));
    sync(worktree.path())?;
    let Some(entry) = entry::of_worktree(worktree.path()) else { return Ok(()) };
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    if device(&entry) == device(worktree.path()) { Ok(()) } else { sync(&entry) }
}
