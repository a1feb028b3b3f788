//! Makes a candidate commit of the files that are in the worktree after a try.
//!
//! Whatever an agent did with git (commits, other branches, a detached HEAD, an unfinished rebase), the candidate
//! consists of the worktree's files, on the commit where the task began. Only boi moves the spec's branch.

use super::git_error::GitError;
use super::worktree::LockedWorktree;
use super::{branch, index, ref_names, refs, revision, sync};

/// The result of [`capture`]: the commit of the try's files, and the refs that keep the agent's own commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CapturedTry {
    /// The candidate commit; `None`: no file differs from the base.
    pub(crate) commit: Option<String>,
    /// Refs that keep the agent's own commits.
    pub(crate) kept: Vec<String>,
}

/// Commits the worktree's files on `base`, without moving the branch to the new commit. The branch returns to
/// `base` and HEAD to the branch; the agent's own commits are kept under refs; no file changes. Files that git ignores
/// are not committed; a nested repository that git does not ignore is an error.
pub(crate) fn capture(
    worktree: &LockedWorktree,
    base: &str,
    message: &str,
    label: &str,
) -> Result<CapturedTry, GitError> {
    let entry = worktree.entry()?;
    branch::reset_branch(worktree, base, label)?;
    branch::attach_head(worktree, &entry, base, label)?;
    index::load(worktree, Some(base))?;
    index::install(worktree, &entry)?;
    let nested = index::nested_repositories(worktree)?;
    if !nested.is_empty() {
        return Err(GitError::NestedRepositories { paths: nested });
    }
    let tree = index::write_tree(worktree, &[], Some(base))?;
    let kept = refs::kept_refs_with_label(worktree.git_location(), worktree.spec(), label)?;
    if tree == revision::tree_of(worktree.path(), base)? {
        return Ok(CapturedTry { commit: None, kept });
    }
    let commit = refs::commit_tree(worktree, &tree, &[base], message)?;
    // Git does not write an object that exists already, and the agent's git did not sync it.
    sync::sync_worktree(worktree)?;
    worktree.repo_git()?.args(["update-ref", &ref_names::candidate_ref(worktree.spec()), &commit]).run()?;
    Ok(CapturedTry { commit: Some(commit), kept })
}
