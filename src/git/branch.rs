//! Moves the spec's branch, and puts the worktree's HEAD back on it. Commits that no ref would contain after
//! such a move are first kept under refs.

use super::git_error::GitError;
use super::place::Place;
use super::worktree::LockedWorktree;
use super::{checkout, copy_record, operation, refs, revision, withheld};

/// Moves the branch from `base` to `candidate`. Does nothing if the branch is at `candidate` already. Fails
/// with [`GitError::Diverged`] if the branch is at any other commit.
pub(crate) fn advance_branch(worktree: &LockedWorktree, base: &str, candidate: &str) -> Result<(), GitError> {
    worktree.remove_stale_locks()?;
    let head = || refs::branch_head_at(&worktree.repository()?, worktree.spec());
    let found = if refs::is_branch_at(&worktree.repository()?, worktree.spec(), base) {
        Some(base.to_owned())
    } else {
        head()?
    };
    match found.as_deref() {
        Some(found) if found == candidate => Ok(()),
        Some(found) if found == base => match refs::move_branch(worktree, candidate, Some(base)) {
            // The branch moved between the comparison and the update.
            Err(GitError::Failed { .. }) if head()?.as_deref() != Some(base) => {
                advance_branch(worktree, base, candidate)
            }
            moved => moved,
        },
        _ => Err(GitError::Diverged { branch: worktree.spec().branch(), expected: base.to_owned(), found }),
    }
}

/// Moves the branch from any commit to `commit`, or creates it. Commits that only the branch contained are
/// kept under a ref. Returns all kept refs with `label`. Changes no file.
pub(crate) fn reset_branch(worktree: &LockedWorktree, commit: &str, label: &str) -> Result<Vec<String>, GitError> {
    worktree.remove_stale_locks()?;
    let at = &worktree.repository()?;
    if !refs::is_branch_at(at, worktree.spec(), commit) {
        let head = refs::branch_head_at(at, worktree.spec())?;
        if head.as_deref() == Some(commit) {
            return refs::kept_refs_with_label(at, worktree.spec(), label);
        }
        if let Some(head) = &head {
            refs::keep_unless_in(worktree, head, commit, label)?;
        }
        refs::move_branch(worktree, commit, head.as_deref())?;
    }
    refs::kept_refs_with_label(at, worktree.spec(), label)
}

/// Moves the branch back to `commit`, as [`reset_branch`] does, if the branch or its history contains a path that boi does
/// not commit. Returns the kept refs with `label`.
pub(crate) fn withhold_branch(worktree: &LockedWorktree, commit: &str, label: &str) -> Result<Vec<String>, GitError> {
    let record = copy_record::read(worktree)?;
    let withheld = record.paths_to_withhold();
    if withheld.is_empty() || refs::is_branch_at(&worktree.repository()?, worktree.spec(), commit) {
        return Ok(Vec::new());
    }
    let Some(head) = refs::branch_head_at(&worktree.repository()?, worktree.spec())? else { return Ok(Vec::new()) };
    if withheld::paths_in_history(worktree, &record, &withheld, &[head], Some(commit))?.is_empty() {
        return Ok(Vec::new());
    }
    reset_branch(worktree, commit, label)
}

/// Attaches HEAD to the branch, which must be at `commit`, and ends a git operation in progress (a merge, a rebase).
/// Commits that are reachable only from HEAD or from the state of that operation are first saved under refs. Changes no
/// file of the worktree.
pub(super) fn attach_head(worktree: &LockedWorktree, place: &Place, commit: &str, label: &str) -> Result<(), GitError> {
    for held in operation::held_commits(&place.git_dir) {
        if let Some(held) = revision::commit_of(place, &held)? {
            refs::keep_unless_in(worktree, &held, commit, label)?;
        }
    }
    if checkout::head_ref(place).ok().flatten() != Some(worktree.branch_ref()) {
        if let Some(head) = revision::commit_of(place, "HEAD")? {
            refs::keep_unless_in(worktree, &head, commit, label)?;
        }
        worktree.git_at(place)?.args(["symbolic-ref", "-m", "boi", "HEAD", &worktree.branch_ref()]).run()?;
    }
    operation::abandon(place, worktree.lock_file())
}
