//! Renames a worktree's folder when git cannot store its files: git refuses a file, or a filter fails or hangs.
//! The files are kept in the renamed folder instead.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::worktree::LockedWorktree;

/// The ending of the name of a folder that was set aside.
pub(crate) const SET_ASIDE: &str = ".kept";

/// Renames the worktree's folder to a free name beside it and creates an empty folder in its place. Returns the new
/// path. Removes the folder's link to the repository, so that git does not treat the folder as the worktree.
pub(super) fn set_aside(worktree: &LockedWorktree) -> Result<String, GitError> {
    let to = rename(worktree.path())?;
    let path = worktree.path();
    fs::create_dir(path).map_err(GitError::io("cannot create", path))?;
    Ok(to)
}

/// Renames a worktree's folder to a free name beside it, and returns the new path.
pub(super) fn rename(path: &Path) -> Result<String, GitError> {
    let to = free_name(path);
    fs::rename(path, &to).map_err(GitError::io("cannot rename", path))?;
    let link = to.join(".git");
    if fs::symlink_metadata(&link).is_ok_and(|metadata| !metadata.is_dir()) {
        fs::remove_file(&link).map_err(GitError::io("cannot remove", &link))?;
    }
    Ok(to.to_string_lossy().into_owned())
}

/// Returns a path beside the worktree that nothing has yet.
pub(super) fn free_name(path: &Path) -> PathBuf {
    let name = |number: u32| {
        let mut name = path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
        name.push(SET_ASIDE);
        if number > 1 {
            name.push(format!("-{number}"));
        }
        path.with_file_name(name)
    };
    // A name is free only if nothing has it, not even a broken link.
    (1..).map(name).find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| name(0))
}
