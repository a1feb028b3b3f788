//! Repairs a worktree and its repository after a power loss, before any other git process reads them.
//!
//! Everything that boi's records refer to is intact, because it was synced before the record was written (see
//! `sync`). Files that other programs wrote shortly before the power loss, and files of an operation that did
//! not complete, may be empty. An empty git object must be removed: if git later commits content with the
//! same object name, it finds the empty object and does not write the content.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::git_error::GitError;
use super::worktree::LockedWorktree;
use super::{branch_repair, create, index, submodules};
use crate::domain::position::Checkout;
use crate::system::files;

/// The repairs that were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Repairs {
    /// How many empty objects were removed from the repository and from those of submodules.
    pub(crate) empty_objects: usize,
    /// Whether the branch named no existing commit and was moved to an existing one.
    pub(crate) branch: bool,
    /// Whether the link between the worktree and its entry was broken and was written again.
    pub(crate) link: bool,
    /// Whether the worktree's index was unreadable and was rebuilt.
    pub(crate) index: bool,
}

/// Repairs what a power loss damaged. `base` is a commit that the branch is known to have had: a damaged
/// branch is moved to `base` if its reflog is lost, too. No file of the worktree changes. If the repository
/// cannot be reached, nothing happens: the next operation that needs the repository reports the problem.
pub(crate) fn repair_after_power_loss(worktree: &LockedWorktree, base: &str, label: &str) -> Result<Repairs, GitError> {
    let Ok(common_dir) = worktree.common_dir() else { return Ok(Repairs::default()) };
    worktree.remove_stale_locks()?;
    let mut empty_objects = remove_empty_objects(common_dir)?;
    for repository in submodules::repositories_after_power_loss(worktree)? {
        empty_objects += remove_empty_objects(&repository)?;
    }
    let branch = branch_repair::repair_branch(worktree, base)?.is_some();
    let has_files = files::list_folder(worktree.path()).is_ok_and(|names| !names.is_empty());
    let link = has_files && worktree.entry().is_err();
    if link {
        create::attach(worktree, base, Checkout::AsItIs, label)?;
    }
    let index = index::repair(worktree)?;
    Ok(Repairs { empty_objects, branch, link, index })
}

fn remove_empty_objects(common_dir: &Path) -> Result<usize, GitError> {
    let list = |folder: &Path| files::list_folder(folder).map_err(GitError::io("cannot read", folder));
    // While git is writing an object, the file's name is not a hash.
    let is_hash = |path: &Path, lengths: &[usize]| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        lengths.contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_empty = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0);
    let mut removed = 0;
    for folder in list(&common_dir.join("objects"))?.iter().filter(|path| is_hash(path, &[2])) {
        for object in list(folder)?.iter().filter(|path| is_hash(path, &[38, 62]) && is_empty(path)) {
            fs::remove_file(object).map_err(GitError::io("cannot remove", object))?;
            removed += 1;
        }
    }
    Ok(removed)
}
