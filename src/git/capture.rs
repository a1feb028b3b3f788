//! What a try left becomes a candidate commit, and a verified candidate becomes the branch's head.
//!
//! Whatever an agent does with git (commits, other branches, a detached HEAD, a rebase that was left in the middle), the
//! candidate is the worktree's files on the commit that the task began with, and the branch is boi's alone to move.

use std::path::Path;

use super::git::{self, Git};
use super::{Error, WorktreeLock, entry, power, refs, tree};

/// What a try left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The candidate, a commit on the task's base; `None`: no file differs from the base.
    pub commit: Option<String>,
    /// Refs that hold the agent's own commits.
    pub kept: Vec<String>,
}

/// Makes a commit of the worktree's files on `base`, without moving the branch to it. The agent's own commits are kept;
/// the branch goes back to `base` and HEAD to the branch; the worktree's files stay as they are. What git ignores is not
/// committed; a nested repository that git does not ignore is an error.
pub fn capture(at: &WorktreeLock, base: &str, message: &str, label: &str) -> Result<Captured, Error> {
    let entry = entry::of_worktree(at.path()).ok_or_else(|| Error::NoWorktree { path: at.path().to_owned() })?;
    rewind(at, base, label)?;
    bring_home(at, &entry, base, label)?;
    tree::begin(at, Some(base))?;
    tree::install_index(at, &entry)?;
    let nested = tree::nested(at)?;
    if !nested.is_empty() {
        return Err(Error::NestedRepository { paths: nested });
    }
    let tree = tree::stage(at, &[], Some(base))?;
    let kept = refs::kept_with(at.repo(), at.spec(), label)?;
    if tree == tree::tree_of(at.path(), base)? {
        return Ok(Captured { commit: None, kept });
    }
    let commit = refs::commit_tree(at, &tree, &[base], message)?;
    // Git writes no object that is there already, and the agent's git did not sync it.
    power::keep(at)?;
    at.repo_git()?.args(["update-ref", &refs::candidate_ref(at.spec()), &commit]).run()?;
    Ok(Captured { commit: Some(commit), kept })
}

/// Moves the branch from `base` to `candidate`. Already there is fine; anywhere else is [`Error::Diverged`].
pub fn advance(at: &WorktreeLock, base: &str, candidate: &str) -> Result<(), Error> {
    entry::break_locks(at)?;
    let found = refs::branch_head(at.repo(), at.spec())?;
    match found.as_deref() {
        Some(head) if head == candidate => Ok(()),
        Some(head) if head == base => match refs::move_branch(at, candidate, Some(base)) {
            Err(Error::Git { .. }) if refs::branch_head(at.repo(), at.spec())?.as_deref() != Some(base) => {
                advance(at, base, candidate)
            }
            moved => moved,
        },
        _ => Err(Error::Diverged { branch: at.spec().branch(), expected: base.to_owned(), found }),
    }
}

/// Puts the branch at `to`, wherever it is, and returns the refs that hold what it held beyond that. No file changes.
pub fn rewind(at: &WorktreeLock, to: &str, label: &str) -> Result<Vec<String>, Error> {
    entry::break_locks(at)?;
    let head = refs::branch_head(at.repo(), at.spec())?;
    if head.as_deref() != Some(to) {
        if let Some(head) = &head {
            keep_beyond(at, head, to, label)?;
        }
        refs::move_branch(at, to, head.as_deref())?;
    }
    refs::kept_with(at.repo(), at.spec(), label)
}

/// Puts HEAD back on the branch, which stands at `commit`, and ends what is under way; no file changes. Commits that
/// HEAD or an operation under way holds beyond `commit` are kept first.
pub(super) fn bring_home(at: &WorktreeLock, entry: &Path, commit: &str, label: &str) -> Result<(), Error> {
    for held in entry::operation_commits(entry) {
        if let Some(held) = refs::commit_of(at.path(), &held)? {
            keep_beyond(at, &held, commit, label)?;
        }
    }
    let symbolic = Git::reading(at.path()).args(["symbolic-ref", "--quiet", "HEAD"]).output()?;
    if git::line(&symbolic.stdout) != at.branch_ref() {
        if let Some(head) = refs::commit_of(at.path(), "HEAD")? {
            keep_beyond(at, &head, commit, label)?;
        }
        at.git()?.args(["symbolic-ref", "-m", "boi", "HEAD", &at.branch_ref()]).run()?;
    }
    entry::clear_operation(entry)
}

/// Keeps `commit` unless all of it is in `base`.
pub(super) fn keep_beyond(at: &WorktreeLock, commit: &str, base: &str, label: &str) -> Result<(), Error> {
    if refs::is_ancestor(at.repo(), commit, base)? { Ok(()) } else { refs::keep(at, commit, label) }
}
