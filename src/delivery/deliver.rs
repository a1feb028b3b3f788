//! Delivers the branches of specs to their base. A lander merges them into the base's commit on a branch of its own, the
//! caller verifies the result in the lander's worktree, and the base is moved by fast-forward.
//!
//! Invariants:
//! - No branch of a spec moves.
//! - The base moves only forward, and only from the commit that the caller names.
//! - If the user has checked out the base, that checkout moves together with it. The base moves only if the checkout
//!   has no changes and no operation in progress.

use std::fs::File;

use tracing::{info, warn};

use super::checkout_update::Update;
use super::outcome::{DeliveryError, FastForward};
use super::recovery::{self, Recovered, Unfinished};
use crate::domain::delivery::MergeRefusal;
use crate::domain::id::SpecId;
use crate::git::checkout::{self, Checkout};
use crate::git::program::{Git, GitOutput};
use crate::git::{
    self, GitError, LockedWorktree, Place, RemoveError, locks, operation, program, ref_names, refs, revision,
};

/// The label of kept refs of a lander. They go with its branch.
const LABEL: &str = "landing";

/// A spec whose branch is to be landed.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'a> {
    /// The spec.
    pub spec: &'a SpecId,
    /// The message of the merge, if one is needed.
    pub message: String,
}

/// What became of a candidate while a batch was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merged {
    /// The batch contains the commit of its branch.
    Joined(String),
    /// The base contains its changes.
    Contained,
    /// Its branch conflicts with the base in these files.
    Conflicts(Vec<String>),
    /// Its branch conflicts with another one of the batch.
    Postponed,
    /// Its branch does not exist.
    NoBranch,
}

/// A batch that was built on the lander's branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltBatch {
    /// The commit of the base.
    pub from: String,
    /// The commit of the batch.
    pub tip: String,
    /// The tree of that commit.
    pub tree: String,
    /// What became of each candidate.
    pub merged: Vec<Merged>,
}

/// Merges the branches of `candidates` into the commit of `base`, one after another, on the branch of the lander's
/// worktree. No other branch is moved. A branch that conflicts is left out.
pub(crate) fn build_batch(
    lander: &LockedWorktree,
    base: &str,
    candidates: &[Candidate<'_>],
) -> Result<BuiltBatch, DeliveryError> {
    let repo = &lander.repository()?;
    let Some(from) = revision::commit_of(repo, base)? else {
        let base = ref_names::short_branch_name(base).to_owned();
        return Err(MergeRefusal::BaseNotLocalBranch { base }.into());
    };
    let mut tip = from.clone();
    move_own_branch(lander, &tip)?;
    let mut merged = Vec::new();
    for candidate in candidates {
        let Some(head) = refs::branch_head_at(repo, candidate.spec)? else {
            merged.push(Merged::NoBranch);
            continue;
        };
        merged.push(if revision::is_ancestor(repo, &head, &tip)? {
            // The commits of a branch that another branch contains land with that one.
            match revision::is_ancestor(repo, &head, &from)? {
                true => Merged::Contained,
                false => Merged::Joined(head),
            }
        } else if is_straight_on(repo, &head, &tip)? {
            move_own_branch(lander, &head)?;
            tip.clone_from(&head);
            Merged::Joined(head)
        } else {
            match merge_into_branch(lander, &tip, &head, &candidate.message)? {
                Ok(merge) if merge == tip && tip == from => Merged::Contained,
                Ok(merge) => {
                    tip = merge;
                    Merged::Joined(head)
                }
                Err(files) if tip == from => Merged::Conflicts(files),
                Err(_) => match conflicts_with_base(lander, &from, &tip, &head)? {
                    Some(files) => Merged::Conflicts(files),
                    None => Merged::Postponed,
                },
            }
        });
    }
    let tree = revision::tree_of(repo, &tip)?;
    Ok(BuiltBatch { from, tip, tree, merged })
}

/// Whether `head` can be the base's next commit without a merge: `tip` is its ancestor along first parents. So the first
/// parents of a base are always its own earlier commits.
fn is_straight_on(repo: &Place, head: &str, tip: &str) -> Result<bool, GitError> {
    if !revision::is_ancestor(repo, tip, head)? {
        return Ok(false);
    }
    let args = ["rev-list", "--first-parent", "--parents", head, "--not", tip];
    let listed = Git::reading(repo).args(args).run()?;
    let last = String::from_utf8_lossy(&listed).lines().last().map(str::to_owned).unwrap_or_default();
    Ok(last.split(' ').nth(1) == Some(tip))
}

/// Makes the files of the lander's worktree equal to the batch.
pub(crate) fn lay_batch(lander: &LockedWorktree, tip: &str) -> Result<(), GitError> {
    git::overwrite_worktree(lander, tip, LABEL)
}

/// Removes the worktree and the branch of a lander.
pub(crate) fn remove_lander(lander: &LockedWorktree) -> Result<(), RemoveError> {
    let repo = &lander.repository()?;
    let Some(head) = refs::branch_head_at(repo, lander.spec())? else { return Ok(()) };
    if lander.place().is_ok() {
        lay_batch(lander, &head)?;
        git::remove_worktree(lander, LABEL)?;
    }
    git::delete_kept(lander, LABEL)?;
    git::delete_branch(&repo.common_dir, lander.spec(), &head)?;
    Ok(())
}

/// Whether the base contains the commit.
pub(crate) fn base_contains(lander: &LockedWorktree, base: &str, commit: &str) -> Result<bool, GitError> {
    let repo = &lander.repository()?;
    match revision::commit_of(repo, base)? {
        Some(head) => revision::is_ancestor(repo, commit, &head),
        None => Ok(false),
    }
}

/// Moves the branch of the lander, which only the lander uses.
fn move_own_branch(lander: &LockedWorktree, to: &str) -> Result<(), GitError> {
    let found = refs::branch_head_at(&lander.repository()?, lander.spec())?;
    if found.as_deref() == Some(to) { Ok(()) } else { refs::move_branch(lander, to, found.as_deref()) }
}

/// Returns the files in which `head` conflicts with the base; `None`: it does not. Leaves the lander's branch at `tip`.
fn conflicts_with_base(
    lander: &LockedWorktree,
    from: &str,
    tip: &str,
    head: &str,
) -> Result<Option<Vec<String>>, DeliveryError> {
    move_own_branch(lander, from)?;
    let merged = merge_into_branch(lander, from, head, "Try to merge a branch\n")?;
    move_own_branch(lander, tip)?;
    Ok(merged.err())
}

/// Merges `head` into the lander's branch, which is at `tip`, and returns the branch's new commit; if the merge changes
/// nothing, the branch stays. `Err`: the files with conflicts. Before and after the merge, the lander's worktree is
/// equal to its branch.
fn merge_into_branch(
    lander: &LockedWorktree,
    tip: &str,
    head: &str,
    message: &str,
) -> Result<Result<String, Vec<String>>, DeliveryError> {
    lay_batch(lander, tip)?;
    let merged = begin_merge(lander, head)?;
    if merged.code == Some(0) {
        let tree = lander.git()?.arg("write-tree").line()?;
        abandon_merge(lander)?;
        if tree == revision::tree_of(&lander.repository()?, tip)? {
            return Ok(Ok(tip.to_owned()));
        }
        let merge = refs::commit_tree(lander, &tree, &[tip, head], message)?;
        refs::move_branch(lander, &merge, Some(tip))?;
        git::sync_worktree(lander)?;
        return Ok(Ok(merge));
    }
    let files = conflicting_files(lander)?;
    lay_batch(lander, tip)?;
    if files.is_empty() {
        return Err(merged.into_error().into());
    }
    Ok(Err(files))
}

/// Merges `commit` into the files of the worktree, without a commit. Conflicts stay marked in the files.
pub(crate) fn merge_into_files(worktree: &LockedWorktree, commit: &str) -> Result<(), DeliveryError> {
    let merged = begin_merge(worktree, commit)?;
    let has_conflicts = !conflicting_files(worktree)?.is_empty();
    abandon_merge(worktree)?;
    if merged.code != Some(0) && !has_conflicts {
        return Err(merged.into_error().into());
    }
    git::follow_merge(worktree, commit, LABEL)?;
    Ok(())
}

fn begin_merge(worktree: &LockedWorktree, commit: &str) -> Result<GitOutput, GitError> {
    let at = &worktree.place()?;
    let args = ["merge", "--no-ff", "--no-commit", "--no-stat", "--quiet", commit];
    worktree.git_at(at)?.running_filters().identity(at)?.args(args).output()
}

fn conflicting_files(worktree: &LockedWorktree) -> Result<Vec<String>, GitError> {
    let conflicts = worktree.git()?.args(["diff", "--name-only", "--diff-filter=U", "-z"]).run()?;
    Ok(program::paths(&conflicts).iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

fn abandon_merge(worktree: &LockedWorktree) -> Result<(), GitError> {
    operation::abandon(&worktree.place()?, worktree.lock_file())
}

/// Moves the branch `base` from `from` forward to `to`, together with the checkout that is on it. If the base is at
/// `to` already, nothing happens.
pub(crate) fn fast_forward_base(
    worktree: &LockedWorktree,
    base: &str,
    from: &str,
    to: &str,
) -> Result<FastForward, DeliveryError> {
    let (repo, base_ref) = (&worktree.repository()?, ref_names::full_branch_name(base));
    let base = ref_names::short_branch_name(base);
    // The lock is needed because a checkout that another delivery is changing looks as if the user had changed
    // it.
    let lock = locks::lock_repository(&repo.common_dir, worktree.watch())?;
    let unfinished = recover(repo, &lock);
    let before = revision::commit_of(repo, &base_ref)?;
    if before.as_deref() == Some(to) {
        return Ok(FastForward::Done);
    }
    if before.as_deref() != Some(from) || !revision::is_ancestor(repo, from, to)? {
        return Ok(FastForward::BaseMoved);
    }
    let Some(checkout) = checkout::find(&worktree.users_place()?, base)? else {
        return move_unused_branch(worktree, base, &base_ref, from, to);
    };
    let into_it = |other: &Unfinished| other.folder.parent() == Some(&checkout.place.git_dir.join("boi"));
    if let Some(other) = unfinished.into_iter().find(into_it) {
        return Err(half_changed(base, &checkout, other).into());
    }
    Update { worktree, checkout: &checkout, base, base_ref: &base_ref, from, to }.carry_out()
}

/// Moves a branch that no checkout is on.
fn move_unused_branch(
    worktree: &LockedWorktree,
    base: &str,
    base_ref: &str,
    from: &str,
    to: &str,
) -> Result<FastForward, DeliveryError> {
    let moved = worktree.repo_git()?.args(["update-ref", "-m", "boi deliver", base_ref, to, from]).output()?;
    match revision::commit_of(&worktree.repository()?, base_ref)? {
        Some(after) if after == to => Ok(FastForward::Done),
        Some(after) if after == from && moved.code != Some(0) => {
            let words: Vec<&str> = moved.stderr.split_whitespace().collect();
            Err(MergeRefusal::RejectedByGit { base: base.to_owned(), message: words.join(" ") }.into())
        }
        _ => Ok(FastForward::BaseMoved),
    }
}

/// Completes or undoes the interrupted deliveries of the repository, and returns those for which neither is possible.
fn recover(repo: &Place, lock: &File) -> Vec<Unfinished> {
    let (recovered, unfinished) = recovery::recover_all(repo, lock);
    for delivery in recovered {
        match delivery {
            Recovered::Completed(spec) => info!(%spec, "boi completed an interrupted delivery"),
            Recovered::Undone(spec, left) if left.is_empty() => {
                info!(%spec, "boi undid an interrupted delivery: the checkout is as it was before");
            }
            Recovered::Undone(spec, left) => {
                warn!(%spec, ?left, "boi undid an interrupted delivery, but kept the files in `left`, which somebody changed meanwhile");
            }
            Recovered::Settled(spec) => {
                info!(%spec, "boi removed the journal of an interrupted delivery, of which nothing had to be undone")
            }
        }
    }
    unfinished
}

fn half_changed(base: &str, checkout: &Checkout, delivery: Unfinished) -> MergeRefusal {
    MergeRefusal::CheckoutHalfChanged {
        base: base.to_owned(),
        checkout: checkout.place.work_tree.display().to_string(),
        files: delivery.files.iter().map(|path| path.display().to_string()).collect(),
        message: delivery.reason,
    }
}
