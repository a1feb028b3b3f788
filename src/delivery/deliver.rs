//! Delivers a spec's branch to its base. The base is merged into the branch in the worktree, the caller verifies the
//! result there, and the base is moved by fast-forward.
//!
//! ```text
//! plan ─▶ NeedsMerge ─▶ merge the base into the branch ─▶ plan ─▶ FastForward ─▶ fast-forward the base
//! ```
//!
//! Invariants:
//! - The base moves only forward, and only from the commit that the plan names.
//! - If the user has checked out the base, that checkout moves together with it. The base moves only if the checkout
//!   has no changes and no operation in progress.

use std::fs::File;

use tracing::{info, warn};

use super::checkout_update::Update;
use super::outcome::{DeliveryError, FastForward};
use super::recovery::{self, Recovered, Unfinished};
use crate::domain::delivery::MergeRefusal;
use crate::git::checkout::{self, Checkout};
use crate::git::{self, GitError, LockedWorktree, Place, locks, operation, program, ref_names, refs, revision};

/// The next step that brings the branch into its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeliveryPlan {
    /// Nothing: the base contains the branch.
    AlreadyMerged,
    /// The base can be moved forward from its commit `from` to the branch's commit `head`.
    FastForward { from: String, head: String },
    /// The base has commits that the branch lacks: the base's commit `from` must be merged into the branch first.
    NeedsMerge { from: String },
}

/// Compares the branch with its base, and returns the next step of the delivery.
pub(crate) fn plan_delivery(worktree: &LockedWorktree, base: &str) -> Result<DeliveryPlan, DeliveryError> {
    let repo = &worktree.repository()?;
    let Some(from) = revision::commit_of(repo, &ref_names::full_branch_name(base))? else {
        return Err(MergeRefusal::BaseNotLocalBranch { base: base.to_owned() }.into());
    };
    let Some(head) = refs::branch_head_at(repo, worktree.spec())? else {
        return Err(MergeRefusal::BranchMissing { branch: worktree.spec().branch() }.into());
    };
    if revision::is_ancestor(repo, &head, &from)? {
        Ok(DeliveryPlan::AlreadyMerged)
    } else if revision::is_ancestor(repo, &from, &head)? {
        Ok(DeliveryPlan::FastForward { from, head })
    } else {
        Ok(DeliveryPlan::NeedsMerge { from })
    }
}

/// Merges `from`, a commit of the branch `base`, into the spec's branch and returns the branch's new commit.
/// Before the merge, the worktree is made equal to the branch (see [`git::reset_to_commit`]). After
/// the merge, the worktree is equal to the branch again, even if the merge had conflicts.
pub(crate) fn merge_base_into_branch(
    worktree: &LockedWorktree,
    base: &str,
    from: &str,
    message: &str,
) -> Result<String, DeliveryError> {
    let Some(head) = refs::branch_head_at(&worktree.repository()?, worktree.spec())? else {
        let (branch, expected) = (worktree.spec().branch(), from.to_owned());
        return Err(GitError::Diverged { branch, expected, found: None }.into());
    };
    git::reset_to_commit(worktree, &head, "merge")?;
    let at = &worktree.place()?;
    if revision::is_ancestor(at, from, &head)? {
        return Ok(head);
    }
    let args = ["merge", "--no-ff", "--no-commit", "--no-stat", "--quiet", from];
    let merged = worktree.git_at(at)?.running_filters().fetching().identity(at)?.args(args).output()?;
    if merged.code == Some(0) {
        let tree = worktree.git()?.arg("write-tree").line()?;
        let merge = refs::commit_tree(worktree, &tree, &[&head, from], message)?;
        refs::move_branch(worktree, &merge, Some(&head))?;
        abandon_merge(worktree)?;
        git::sync_worktree(worktree)?;
        return Ok(merge);
    }
    let conflicts = worktree.git()?.args(["diff", "--name-only", "--diff-filter=U", "-z"]).run()?;
    abandon_merge(worktree)?;
    worktree.git_at(at)?.running_filters().args(["read-tree", "--reset", "-u", &head]).run()?;
    git::remove_untracked(worktree)?;
    let files: Vec<String> =
        program::paths(&conflicts).iter().map(|path| path.to_string_lossy().into_owned()).collect();
    if files.is_empty() {
        return Err(merged.into_error().into());
    }
    Err(MergeRefusal::Conflicts { base: base.to_owned(), files }.into())
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
