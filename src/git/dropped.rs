//! Moves the branch of a dropped spec to a kept ref, and back.

use super::git_error::GitError;
use super::worktree::LockedWorktree;
use super::{checkout, entry, ref_names, refs, revision};
use crate::domain::id::SpecId;

/// The label of the kept ref with the branch of a dropped spec.
const DROPPED: &str = "dropped";

/// Returns the name of the kept ref for the branch of a dropped spec, which was at `head`.
pub(crate) fn dropped_ref(spec: &SpecId, head: &str) -> String {
    ref_names::kept_ref(spec, DROPPED, head)
}

/// Keeps the commit of the branch under the ref [`dropped_ref`], and returns the ref. If the branch contains paths that
/// boi does not commit, another ref keeps a commit without them, and the branch cannot be restored.
pub(crate) fn keep_dropped(worktree: &LockedWorktree, head: &str) -> Result<String, GitError> {
    refs::keep_commit(worktree, head, DROPPED)
}

/// What restoring the branch of a dropped spec found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Restored {
    /// The branch is at the commit at which it was dropped.
    Branch,
    /// The kept ref is missing, and so is the branch.
    NothingKept,
    /// The branch exists and is at this other commit.
    OtherBranch(String),
}

/// Creates the branch of a dropped spec again at `head`, from its kept ref. Changes nothing if the branch
/// exists.
pub(crate) fn restore_dropped(worktree: &LockedWorktree, head: &str) -> Result<Restored, GitError> {
    worktree.remove_stale_locks()?;
    let at = &worktree.repository()?;
    match refs::branch_head_at(at, worktree.spec())? {
        Some(found) if found == head => return Ok(Restored::Branch),
        Some(found) => return Ok(Restored::OtherBranch(found)),
        None => {}
    }
    if revision::commit_of(at, &dropped_ref(worktree.spec(), head))?.as_deref() != Some(head) {
        return Ok(Restored::NothingKept);
    }
    refs::move_branch(worktree, head, None)?;
    Ok(Restored::Branch)
}

/// Deletes the kept ref of a branch that was restored, unless the branch is not at `head`.
pub(crate) fn forget_dropped(worktree: &LockedWorktree, head: &str) -> Result<(), GitError> {
    let at = &worktree.repository()?;
    if refs::branch_head_at(at, worktree.spec())?.as_deref() != Some(head) {
        return Ok(());
    }
    refs::delete_refs(worktree, at, &[dropped_ref(worktree.spec(), head)])
}

/// Fails if the branch is checked out in a working tree other than the spec's own worktree.
pub(crate) fn refuse_foreign_checkout(worktree: &LockedWorktree) -> Result<(), GitError> {
    let branch = worktree.spec().branch();
    match checkout::find(&worktree.repository()?, &branch)? {
        Some(found) if entry::real_path(&found.place.work_tree) != entry::real_path(worktree.path()) => {
            Err(GitError::BranchInUse { branch, path: found.place.work_tree })
        }
        _ => Ok(()),
    }
}
