//! Commits the files that are in the worktree after a try, as the candidate.
//!
//! Whatever an agent did with git (commits, other branches, a detached HEAD, an unfinished rebase), the
//! candidate contains the worktree's files, and its parent is the commit at which the task began. Only boi
//! moves the spec's branch.

use super::git_error::GitError;
use super::worktree::LockedWorktree;
use super::{branch, index, ref_names, refs, submodules, sync};

/// The result of [`capture_merge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CapturedTry {
    /// The candidate commit; `None`: no file differs from the base.
    pub(crate) commit: Option<String>,
    /// Refs that keep the agent's own commits.
    pub(crate) kept: Vec<String>,
}

/// Commits the worktree's files like [`capture_merge`], without a merged commit.
#[cfg(test)]
pub(crate) fn capture(
    worktree: &LockedWorktree,
    base: &str,
    message: &str,
    label: &str,
) -> Result<CapturedTry, GitError> {
    capture_merge(worktree, base, None, message, label)
}

/// Commits the worktree's files, with `base` as the parent, without moving the branch to the new commit.
/// Moves the branch back to `base` and HEAD back to the branch, and keeps the agent's own commits under refs.
/// Changes no file. Files that git ignores are not committed. Fails if there is a nested repository that git
/// does not ignore, or if a submodule was changed. `merged` is a commit that was merged into the files; it becomes the second parent.
pub(crate) fn capture_merge(
    worktree: &LockedWorktree,
    base: &str,
    merged: Option<&str>,
    message: &str,
    label: &str,
) -> Result<CapturedTry, GitError> {
    let at = &worktree.place()?;
    branch::reset_branch(worktree, base, label)?;
    branch::attach_head(worktree, at, base, label)?;
    let loaded = index::load(worktree, at, base)?.with_merged(merged);
    index::install(worktree, &at.git_dir)?;
    submodules::refuse_changes(worktree, at, label)?;
    let refuse = |paths: Vec<_>| if paths.is_empty() { Ok(paths) } else { Err(GitError::NestedRepositories { paths }) };
    let tree = index::read_files(worktree, at, &loaded, refuse)?;
    let kept = refs::kept_refs_with_label(at, worktree.spec(), label)?;
    // Without a commit, a merge that was resolved to the old files would be repeated.
    if tree == loaded.tree && merged.is_none() {
        return Ok(CapturedTry { commit: None, kept });
    }
    let parents: Vec<&str> = std::iter::once(base).chain(merged).collect();
    let commit = refs::commit_tree(worktree, &tree, &parents, message)?;
    // The sync is needed because git does not write objects that exist already, and the agent's git did not
    // sync its objects.
    sync::sync_worktree(worktree)?;
    let candidate = ref_names::candidate_ref(worktree.spec());
    refs::write_own_ref(worktree, &worktree.repository()?, &candidate, &commit)?;
    Ok(CapturedTry { commit: Some(commit), kept })
}
