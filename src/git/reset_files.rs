//! Makes the files of a worktree equal to a commit. Files that git ignores, and nested repositories, are not
//! deleted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::program::Git;
use super::worktree::LockedWorktree;
use super::{branch, entry, index, refs, revision, sync};

/// Makes the worktree's files equal to `commit`, with HEAD on the branch and no operation in progress. The
/// branch must be at `commit`. Files and commits that this removes from the worktree are kept under refs.
/// Returns all kept refs with `label`.
pub(crate) fn reset_to_commit(worktree: &LockedWorktree, commit: &str, label: &str) -> Result<Vec<String>, GitError> {
    let entry = worktree.entry()?;
    worktree.remove_stale_locks()?;
    entry::remove_damaged_index(&entry)?;
    let found = refs::branch_head(worktree.path(), worktree.spec())?;
    if found.as_deref() != Some(commit) {
        return Err(GitError::Diverged { branch: worktree.spec().branch(), expected: commit.to_owned(), found });
    }
    branch::attach_head(worktree, &entry, commit, label)?;
    let is_incomplete = !entry.join("index").exists();
    index::load(worktree, Some(commit))?;
    let nested = index::nested_repositories(worktree)?;
    refuse_to_replace(worktree, commit, nested.as_slice())?;
    let tree = index::write_tree(worktree, &nested, Some(commit))?;
    if tree == revision::tree_of(worktree.path(), commit)? {
        index::install(worktree, &entry)?;
    } else {
        // Files that a killed checkout did not write are not deletions by an agent, so there is no work to keep.
        if !(is_incomplete && revision::is_part_of_commit(worktree.path(), &tree, commit)?) {
            refs::keep_tree(worktree, &tree, Some(commit), label)?;
        }
        index::check_out(worktree, commit)?;
        index::install(worktree, &entry)?;
        remove_untracked(worktree)?;
    }
    // The sync is necessary even if no file differed: a command may have written the same content again, unsynced.
    sync::sync_worktree(worktree)?;
    refs::kept_refs_with_label(worktree.git_location(), worktree.spec(), label)
}

/// Writes the files of `commit` into a worktree that has none yet.
pub(super) fn populate(worktree: &LockedWorktree, entry: &Path, commit: &str) -> Result<(), GitError> {
    let _ = fs::remove_file(worktree.own_index());
    worktree.remove_stale_locks()?;
    index::check_out(worktree, commit)?;
    index::install(worktree, entry)
}

/// Deletes untracked files, except ignored ones and nested repositories.
pub(super) fn remove_untracked(worktree: &LockedWorktree) -> Result<(), GitError> {
    worktree.git()?.args(["clean", "-f", "-d", "-q"]).run()?;
    Ok(())
}

/// Fails if the commit has a file at the path of a nested repository or of a folder that contains one: writing that
/// file would delete the repository.
fn refuse_to_replace(worktree: &LockedWorktree, commit: &str, nested: &[PathBuf]) -> Result<(), GitError> {
    if nested.is_empty() {
        return Ok(());
    }
    let paths: BTreeSet<&Path> = nested.iter().flat_map(|path| path.ancestors()).collect();
    let paths = paths.into_iter().filter(|path| !path.as_os_str().is_empty());
    let listed = Git::reading(worktree.path()).args(["ls-tree", "-z", commit, "--"]).args(paths).run()?;
    let is_file = |entry: &[u8]| !entry.is_empty() && !entry.starts_with(b"040000 ");
    if listed.split(|byte| *byte == 0).any(is_file) {
        return Err(GitError::NestedRepositories { paths: nested.to_vec() });
    }
    Ok(())
}
