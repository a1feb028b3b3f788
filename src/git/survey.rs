//! Lists boi's refs, worktrees and lock files in a repository, for `boi doctor` and for the choice of new ids. This
//! module only reads.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::program::Git;
use super::{entry, ref_files, repository, small_file};
use crate::domain::id::SpecId;

/// Returns the branches and kept refs that boi created in the repository.
pub(crate) fn own_refs(repo: &Path) -> Result<Vec<String>, GitError> {
    let at = &repository::find(repo)?;
    let [branches, kept] = ["refs/heads/boi/", "refs/boi/kept/"].map(|prefix| ref_files::list(at, prefix));
    if let (Some(branches), Some(kept)) = (branches, kept) {
        let names = kept.into_keys().chain(branches.into_keys());
        return Ok(names.map(|name| String::from_utf8_lossy(&name).into_owned()).collect());
    }
    let listed =
        Git::reading(at).args(["for-each-ref", "--format=%(refname)", "refs/heads/boi/", "refs/boi/kept/"]).run()?;
    Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
}

/// Returns the ids of all specs that have a branch or a kept ref in the repository.
pub(crate) fn spec_ids_in_refs(repo: &Path) -> Result<HashSet<SpecId>, GitError> {
    let ids = own_refs(repo)?.into_iter().filter_map(|name| {
        let id =
            name.strip_prefix("refs/heads/boi/").or_else(|| name.strip_prefix("refs/boi/kept/")?.split('/').next());
        id?.parse().ok()
    });
    Ok(ids.collect())
}

/// Returns the paths of worktrees in the folder `parent` that have an entry in the repository but do not
/// exist.
pub(crate) fn entries_without_folder(repo: &Path, parent: &Path) -> Result<Vec<PathBuf>, GitError> {
    let worktrees = entries_with_worktrees(repo, parent)?.into_iter().map(|(_, worktree)| worktree);
    Ok(worktrees.filter(|worktree| !worktree.exists()).collect())
}

/// Returns git's lock files for boi's branches, and those in the entries of worktrees in the folder `parent`.
pub(crate) fn lock_files(repo: &Path, parent: &Path) -> Result<Vec<PathBuf>, GitError> {
    let branches = repository::find(repo)?.common_dir.join("refs/heads/boi");
    let folders = entries_with_worktrees(repo, parent)?.into_iter().map(|(entry, _)| entry).chain([branches]);
    let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let mut locks: Vec<PathBuf> =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "lock")).collect();
    locks.sort();
    Ok(locks)
}

/// Returns each entry whose worktree is in the folder `parent`, with the worktree's path.
fn entries_with_worktrees(repo: &Path, parent: &Path) -> Result<Vec<(PathBuf, PathBuf)>, GitError> {
    let folder = repository::find(repo)?.common_dir.join("worktrees");
    let parent = entry::real_path(parent);
    let read = |entry: PathBuf| {
        let worktree = small_file::read_path(&entry.join("gitdir"))?.parent()?.to_owned();
        (worktree.parent() == Some(&parent)).then_some((entry, worktree))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    Ok(entries.filter_map(|file| read(file.path())).collect())
}
