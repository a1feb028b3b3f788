//! Where git works: the git directory, the repository's common directory, and the working tree. Each git
//! process that writes gets all three explicitly, so neither the repository's configuration nor a file in the
//! working tree can make git work elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::small_file;
use super::watch::GitWatch;

/// Where git works, and the watch over git.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The git directory of the working tree: the repository's own, or the entry of a linked worktree.
    pub(crate) git_dir: PathBuf,
    /// The git directory that all working trees of the repository share.
    pub(crate) common_dir: PathBuf,
    /// The working tree. For work on refs and objects alone, this is the common directory.
    pub(crate) work_tree: PathBuf,
    pub(crate) watch: Arc<GitWatch>,
}

impl Place {
    /// Returns the place for work on the refs and objects of the repository at `common_dir`.
    pub(super) fn of_repository(common_dir: &Path, watch: &Arc<GitWatch>) -> Place {
        let common_dir = common_dir.to_owned();
        Place { git_dir: common_dir.clone(), work_tree: common_dir.clone(), common_dir, watch: Arc::clone(watch) }
    }

    /// Returns the place of the working tree at `dir`, found by its `.git`; `None`: `.git` is missing, is a symbolic
    /// link, or does not lead to a git directory.
    pub(super) fn linked_from(dir: &Path, watch: &Arc<GitWatch>) -> Option<Place> {
        let (git_dir, common_dir) = git_dirs_of(dir)?;
        Some(Place { git_dir, common_dir, work_tree: dir.to_owned(), watch: Arc::clone(watch) })
    }

    /// Returns the same place with a new watch, so that git also runs after an order to end.
    pub(crate) fn under_any_order(&self) -> Place {
        Place { watch: Arc::new(self.watch.next_step()), ..self.clone() }
    }

    /// Whether the repository stores its refs in tables instead of files.
    pub(super) fn has_ref_tables(&self) -> bool {
        has_ref_tables(&self.common_dir)
    }
}

/// Whether the repository at `common_dir` stores its refs in tables instead of files.
pub(super) fn has_ref_tables(common_dir: &Path) -> bool {
    common_dir.join("reftable").is_dir()
}

fn git_dirs_of(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let link = dir.join(".git");
    let metadata = link.symlink_metadata().ok()?;
    let git_dir = if metadata.is_dir() { link } else { dir.join(small_file::read_path_after(&link, b"gitdir: ")?) };
    let git_dir = git_dir.canonicalize().ok()?;
    let common_dir = match small_file::read_path(&git_dir.join("commondir")) {
        Some(relative) => git_dir.join(relative).canonicalize().ok()?,
        None => git_dir.clone(),
    };
    let is_complete = common_dir.join("objects").is_dir() && small_file::read(&git_dir.join("HEAD")).is_some();
    is_complete.then_some((git_dir, common_dir))
}
