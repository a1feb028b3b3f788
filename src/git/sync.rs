//! Syncs a worktree to the disk.
//!
//! Git syncs the objects and refs that it writes for boi. It does not sync checked-out files, their index and
//! the entry in `worktrees/`. An agent's git does not sync the objects of its commits, either. For up to half
//! a minute after such a file was written, a power loss can leave the file's name on the disk without its content.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::git_error::GitError;
use super::worktree::LockedWorktree;
use crate::system::files;

/// Syncs the worktree and its entry to the disk. Once this has returned, boi may write records that refer to
/// both.
pub(crate) fn sync_worktree(worktree: &LockedWorktree) -> Result<(), GitError> {
    let sync = |path: &Path| files::sync_file_system(path).map_err(GitError::io("cannot sync", path));
    sync(worktree.path())?;
    let Ok(entry) = worktree.entry() else { return Ok(()) };
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    if device(&entry) == device(worktree.path()) { Ok(()) } else { sync(&entry) }
}
