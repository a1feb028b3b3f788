//! Commits the files that are in the worktree after a try, as the candidate.
//!
//! Whatever an agent did with git (commits, other branches, a detached HEAD, an unfinished rebase), the
//! candidate contains the worktree's files, and its parent is the commit at which the task began. Only boi
//! moves the spec's branch.

use std::path::PathBuf;

use super::copy_record::{self, Withheld};
use super::git_error::GitError;
use super::git_error::WithheldPaths;
use super::place::Place;
use super::program::Git;
use super::worktree::LockedWorktree;
use super::{branch, index, operation, ref_names, refs, revision, submodules, sync, withheld};

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
/// does not ignore, or if a submodule was changed. Fails with [`GitError::Withheld`] if the try would commit, or has
/// committed or staged, a path that boi withholds. `merged` is a commit that was merged into the files; it becomes the
/// second parent.
pub(crate) fn capture_merge(
    worktree: &LockedWorktree,
    base: &str,
    merged: Option<&str>,
    message: &str,
    label: &str,
) -> Result<CapturedTry, GitError> {
    let at = &worktree.place()?;
    let withheld = paths_to_withhold(worktree, at, merged)?;
    let mut found = WithheldPaths::default();
    if !withheld.is_empty() {
        found.in_commits = committed_paths(worktree, at, base, &withheld, label)?;
        found.in_index = index::withheld_in_index(at, base, &withheld)?;
    }
    branch::reset_branch(worktree, base, label)?;
    branch::attach_head(worktree, at, base, label)?;
    let loaded = index::load(worktree, at, base)?.with_merged(merged);
    index::install(worktree, &at.git_dir)?;
    submodules::refuse_changes(worktree, at, label)?;
    found.not_ignored = index::withheld_files(worktree, at, &withheld)?;
    if !found.is_empty() {
        return Err(GitError::Withheld(Box::new(found)));
    }
    let refuse = |paths: Vec<_>| if paths.is_empty() { Ok(paths) } else { Err(GitError::NestedRepositories { paths }) };
    let tree = index::read_files(worktree, at, &loaded, &[], refuse)?;
    // A process that outlived the try may have changed what git ignores since the files were listed.
    found.not_ignored = index::withheld_in_tree(at, base, &tree, &withheld)?;
    if !found.is_empty() {
        return Err(GitError::Withheld(Box::new(found)));
    }
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

/// Returns the paths that boi does not commit. A path that `merged` contains was committed by the user.
fn paths_to_withhold(worktree: &LockedWorktree, at: &Place, merged: Option<&str>) -> Result<Withheld, GitError> {
    let mut withheld = copy_record::withheld(worktree)?;
    if let Some(merged) = merged.filter(|_| !withheld.is_empty()) {
        let args = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", merged];
        withheld.release(&Git::reading(at).args(args).run()?);
    }
    Ok(withheld)
}

/// Returns the withheld paths in commits that the try made and left in the worktree's branch or HEAD, or that a capture
/// with this label found there before it was killed.
fn committed_paths(
    worktree: &LockedWorktree,
    at: &Place,
    base: &str,
    withheld: &Withheld,
    label: &str,
) -> Result<Vec<PathBuf>, GitError> {
    let record = copy_record::read(worktree)?;
    let mut commits = Vec::new();
    commits.extend(refs::branch_head_at(at, worktree.spec())?);
    commits.extend(revision::commit_of(at, "HEAD")?);
    for held in operation::held_commits(&at.git_dir) {
        commits.extend(revision::commit_of(at, &held)?);
    }
    commits.retain(|commit| commit != base);
    commits.sort_unstable();
    commits.dedup();
    let mut found = withheld::paths_in_history(worktree, &record, withheld, &commits, Some(base))?;
    let known = record.withheld.iter().filter(|(of, work)| of == label && work.held_by.is_none());
    found.extend(known.flat_map(|(_, work)| work.paths.iter().map(PathBuf::from)));
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
