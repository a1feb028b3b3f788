//! Makes a worktree equal to a commit without keeping what is in it.

use super::git_error::GitError;
use super::submodules::{self, Changed};
use super::worktree::LockedWorktree;
use super::{branch, create, refs, reset_files};
use crate::domain::position::Checkout;

/// Makes the worktree and its branch equal to `commit`, and keeps nothing of what is in the worktree: only for a worktree
/// in which neither a user nor an agent works. Creates the worktree if it is missing.
pub(crate) fn overwrite_worktree(worktree: &LockedWorktree, commit: &str, label: &str) -> Result<(), GitError> {
    let found = refs::branch_head_at(&worktree.repository()?, worktree.spec())?;
    if found.as_deref() != Some(commit) {
        refs::move_branch(worktree, commit, found.as_deref())?;
    }
    let at = match worktree.place() {
        Ok(at) if at.git_dir.join("index").exists() => at,
        _ => return create::create_worktree(worktree, commit, Checkout::Clean, label).map(drop),
    };
    worktree.remove_stale_locks()?;
    branch::attach_head(worktree, &at, commit, label)?;
    let submodules = submodules::keep(worktree, &at, Some(commit), Changed::Discard)?;
    worktree.git_at(&at)?.running_filters().args(["read-tree", "--reset", "-u", commit]).run()?;
    submodules::lay(worktree, &at, commit, &at.git_dir.join("index"), &submodules.outdated)?;
    reset_files::remove_untracked(worktree, &[])
}

/// Deletes what was kept with `label` for the spec of this worktree: only for a worktree in which neither a user nor an
/// agent works. A worktree whose creation was interrupted is kept before it is made again.
pub(crate) fn delete_kept(worktree: &LockedWorktree, label: &str) -> Result<(), GitError> {
    let repo = &worktree.repository()?;
    let kept = refs::kept_refs_with_label(repo, worktree.spec(), label)?;
    if kept.is_empty() { Ok(()) } else { refs::delete_refs(worktree, repo, &kept) }
}
