//! Finds out whether a base contains the changes of a spec's branch, also if the user merged or squashed the branch by
//! hand.

use std::collections::HashMap;
use std::path::Path;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::{refs, repository, revision};
use crate::domain::id::SpecId;

/// Returns the commit of each local branch of the repository, by its short name.
pub(crate) fn local_branches(repo: &Path) -> Result<HashMap<String, String>, GitError> {
    let format = "--format=%(objectname) %(refname:lstrip=2)";
    let listed = Git::reading(&repository::find(repo)?).args(["for-each-ref", format, "refs/heads/"]).run()?;
    let text = String::from_utf8_lossy(&listed);
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(commit, name)| (name.into(), commit.into())))
        .collect())
}

/// How many of the last commits of a base are examined, in case a later commit changed the same lines again.
const EXAMINED: &str = "--max-count=20";
/// How many of the files that a branch changed are used to select these commits.
const SELECTING_FILES: usize = 200;

/// Whether `base` contains the changes that a branch made between `origin` and `head`: `head` is an ancestor of `base`,
/// or a merge of `head` would change nothing in `base` or in one of its last commits. A branch without changes counts
/// as not merged.
pub(crate) fn has_changes(repo: &Path, base: &str, origin: &str, head: &str) -> Result<bool, GitError> {
    has_changes_at(&repository::find(repo)?, base, origin, head)
}

fn has_changes_at(repo: &Place, base: &str, origin: &str, head: &str) -> Result<bool, GitError> {
    if origin == head {
        return Ok(false);
    }
    let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", origin, head];
    let changed = program::paths(&Git::reading(repo).args(args).run()?);
    if changed.is_empty() {
        return Ok(false);
    }
    if revision::is_ancestor(repo, head, base)? {
        return Ok(true);
    }
    // The repository's attributes could name merge programs. The empty tree has no attributes, so none of them runs.
    let no_attributes = Git::reading(repo).args(["hash-object", "-t", "tree", "/dev/null"]).line()?;
    if would_change_nothing(repo, base, head, &no_attributes)? {
        return Ok(true);
    }
    // Later commits of the base may have changed the same lines again, so its last commits are examined too.
    let listed = Git::reading(repo).env("GIT_LITERAL_PATHSPECS", "1");
    let listed = listed.args(["rev-list", "--first-parent", EXAMINED, base, "--not", head, "--"]);
    let listed = listed.args(changed.iter().take(SELECTING_FILES)).run()?;
    for commit in String::from_utf8_lossy(&listed).lines() {
        if would_change_nothing(repo, commit, head, &no_attributes)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether merging `head` into `commit` with the attributes in the tree `attributes` would change nothing.
fn would_change_nothing(repo: &Place, commit: &str, head: &str, attributes: &str) -> Result<bool, GitError> {
    let git = Git::reading(repo).settings(&["merge.renormalize=false"]).env("GIT_ATTR_SOURCE", attributes);
    // Git before 2.38 fails, and a conflict gives another exit code. Both count as "not merged", not as errors.
    let merged = git.args(["merge-tree", "--write-tree", commit, head]).output()?;
    Ok(merged.code == Some(0) && program::line(&merged.stdout) == revision::tree_of(repo, commit)?)
}

/// Whether a spec's branch is in one of its bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeState {
    /// No base has all changes of the branch, or the branch does not exist.
    NotMerged,
    /// A base contains every commit of the branch, and the branch made no changes of its own.
    Unchanged,
    /// A base has the changes of the branch.
    Merged,
}

/// Whether `boi/<SPEC>`, which started from `origin`, is in one of `bases`: branches, tags or commits, of which some
/// need not exist.
pub(crate) fn merge_state(repo: &Path, spec: &SpecId, bases: &[String], origin: Option<&str>) -> MergeState {
    let Ok(at) = repository::find(repo) else { return MergeState::NotMerged };
    let Ok(Some(head)) = refs::branch_head_at(&at, spec) else { return MergeState::NotMerged };
    let mut state = MergeState::NotMerged;
    for commit in bases.iter().filter_map(|base| revision::resolve_base(repo, base).ok()) {
        if origin.is_some_and(|origin| has_changes_at(&at, &commit, origin, &head).unwrap_or(false)) {
            return MergeState::Merged;
        }
        if revision::is_ancestor(&at, &head, &commit).unwrap_or(false) {
            state = MergeState::Unchanged;
        }
    }
    state
}
