//! Reads, creates, moves and deletes the spec's branch, and its kept refs, which keep work that no branch
//! contains.
//!
//! Invariant: an existing ref is moved only if it is at the expected commit.

use std::path::Path;

use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::worktree::LockedWorktree;
use super::{
    checkout, copy_record, entry, identity, locks, own_refs, ref_files, ref_names, repository, revision, withheld,
};
use crate::domain::copied::WithheldWork;
use crate::domain::id::SpecId;

/// Returns the commit of the branch `boi/<SPEC>`; `None`: the branch does not exist.
pub(crate) fn branch_head(repo: &Path, spec: &SpecId) -> Result<Option<String>, GitError> {
    branch_head_at(&repository::find(repo)?, spec)
}

/// Returns the commit of `boi/<SPEC>`; `None`: the branch does not exist.
pub(crate) fn branch_head_at(at: &Place, spec: &SpecId) -> Result<Option<String>, GitError> {
    revision::commit_of(at, &ref_names::branch_ref(spec))
}

/// Whether the branch `boi/<SPEC>` is at `commit`, of which the caller knows that it exists. `false`: it is not, or only
/// git can tell.
pub(super) fn is_branch_at(at: &Place, spec: &SpecId, commit: &str) -> bool {
    let branch = ref_names::branch_ref(spec);
    ref_files::resolve(at, &branch)
        .is_some_and(|found| found.name == branch.as_bytes() && found.hash.as_deref() == Some(commit))
}

/// Deletes the branch `boi/<SPEC>` if it is at `expected` and not checked out. The branch need not exist.
pub(crate) fn delete_branch(repo: &Path, spec: &SpecId, expected: &str) -> Result<(), GitError> {
    let at = &repository::find(repo)?;
    let lock = locks::lock_repository(&at.common_dir, &at.watch)?;
    let found = match branch_head_at(at, spec)? {
        None => return Ok(()),
        Some(found) if found == expected => found,
        found => return Err(GitError::Diverged { branch: spec.branch(), expected: expected.to_owned(), found }),
    };
    if let Some(checkout) = checkout::find(at, &spec.branch())? {
        return Err(GitError::BranchInUse { branch: spec.branch(), path: checkout.place.work_tree });
    }
    Git::writing(&Place::of_repository(&at.common_dir, &at.watch), &lock)?
        .args(["update-ref", "-d", &ref_names::branch_ref(spec), &found])
        .run()?;
    Ok(())
}

/// Returns all kept refs of the spec.
pub(super) fn kept_refs(at: &Place, spec: &SpecId) -> Result<Vec<String>, GitError> {
    let dir = ref_names::kept_dir(spec);
    if let Some(found) = ref_files::list(at, &dir) {
        return Ok(found.into_keys().map(|name| String::from_utf8_lossy(&name).into_owned()).collect());
    }
    let listed = Git::reading(at).args(["for-each-ref", "--format=%(refname)", &dir]).run()?;
    Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
}

/// Returns the commit that the HEAD of a worktree's entry names, if no branch may contain it: HEAD is detached, or
/// the repository stores refs in tables, so that the entry's files do not show whether it is.
pub(super) fn head_of_entry(worktree: &LockedWorktree, entry: &Path) -> Result<Option<String>, GitError> {
    let at = worktree.place_with(entry.to_owned())?;
    let name = if at.has_ref_tables() { Some("HEAD".to_owned()) } else { entry::detached_head(entry) };
    name.map_or(Ok(None), |name| revision::commit_of(&at, &name))
}

/// Returns the kept refs of the spec with this label, including those that earlier calls created before they
/// were killed.
pub(super) fn kept_refs_with_label(at: &Place, spec: &SpecId, label: &str) -> Result<Vec<String>, GitError> {
    let mut refs = kept_refs(at, spec)?;
    refs.retain(|name| ref_names::is_kept_with_label(name, spec, label));
    Ok(refs)
}

/// Moves the spec's branch from `old` (`None`: it must not exist) to `new`.
pub(crate) fn move_branch(worktree: &LockedWorktree, new: &str, old: Option<&str>) -> Result<(), GitError> {
    let no_commit = "0".repeat(new.len());
    let args = ["update-ref", "-m", "boi", &worktree.branch_ref(), new, old.unwrap_or(&no_commit)];
    worktree.repo_git()?.args(args).run()?;
    Ok(())
}

/// Points a ref of boi to an object that was just written.
pub(super) fn write_own_ref(worktree: &LockedWorktree, at: &Place, name: &str, hash: &str) -> Result<(), GitError> {
    if own_refs::write(at, name, hash) {
        return Ok(());
    }
    Git::writing(at, worktree.lock_file())?.args(["update-ref", name, hash]).run().map(drop)
}

/// Deletes refs of boi, those that only git can delete in one transaction. They need not exist.
pub(super) fn delete_refs(worktree: &LockedWorktree, at: &Place, names: &[String]) -> Result<(), GitError> {
    // A killed daemon may have left the lock of a ref, also of one that it had deleted.
    worktree.remove_stale_locks()?;
    let mut left = Vec::new();
    for name in names {
        let exists = ref_files::resolve(at, name).is_none_or(|found| found.hash.is_some());
        if exists && !own_refs::delete(at, name) {
            left.push(name);
        }
    }
    match left[..] {
        [] => Ok(()),
        [name] => Git::writing(at, worktree.lock_file())?.args(["update-ref", "-d", name]).run().map(drop),
        _ => {
            let list: String = left.iter().map(|name| format!("delete {name}\n")).collect();
            let git = Git::writing_from(at, worktree.lock_file(), list.as_bytes())?;
            git.args(["update-ref", "--stdin"]).run().map(drop)
        }
    }
}

/// Returns the kept refs of a worktree's spec with this label.
pub(crate) fn kept_refs_of(worktree: &LockedWorktree, label: &str) -> Result<Vec<String>, GitError> {
    kept_refs_with_label(&worktree.repository()?, worktree.spec(), label)
}

/// Keeps a commit of the repository under a ref, and returns the ref. If the commit or its history contains paths that boi
/// does not commit, keeps a commit with the same message and the other files instead.
pub(super) fn keep_commit(worktree: &LockedWorktree, commit: &str, label: &str) -> Result<String, GitError> {
    let commit = &committable(worktree, commit, label, "")?;
    let name = ref_names::kept_ref(worktree.spec(), label, commit);
    worktree.repo_git()?.args(["update-ref", &name, commit]).run()?;
    Ok(name)
}

/// Returns `commit`, or a commit with the same message and without the paths that boi does not commit, if `commit` or its
/// history contains such paths. Records that commit with the kept ref that the caller gives it: its label is `label`
/// followed by `suffix`.
pub(super) fn committable(
    worktree: &LockedWorktree,
    commit: &str,
    label: &str,
    suffix: &str,
) -> Result<String, GitError> {
    let record = copy_record::read(worktree)?;
    let withheld = record.paths_to_withhold();
    let found = withheld::paths_in_history(worktree, &record, &withheld, &[commit.to_owned()], None)?;
    if found.is_empty() {
        return Ok(commit.to_owned());
    }
    let at = &worktree.repository()?;
    let known = record.withheld.iter().find(|(of, work)| of == label && work.commit == commit);
    if let Some(kept) = known.and_then(|(_, work)| work.kept.as_ref())
        && let Some(kept) = revision::commit_of(at, kept)?
    {
        return Ok(kept);
    }
    let tree = withheld::tree_without(worktree, at, &withheld, commit)?;
    let message = withheld::message_of(at, commit)?;
    let stripped = commit_tree(worktree, &tree, record.base.as_deref().as_slice(), &message)?;
    let kept = Some(ref_names::kept_ref(worktree.spec(), &format!("{label}{suffix}"), &stripped));
    let work = WithheldWork { commit: commit.to_owned(), paths: copy_record::named(&found), kept, held_by: None };
    copy_record::add_withheld(worktree, label, work)?;
    Ok(stripped)
}

/// Keeps `commit` under a ref unless `base` contains it.
pub(super) fn keep_unless_in(worktree: &LockedWorktree, commit: &str, base: &str, label: &str) -> Result<(), GitError> {
    let is_kept = revision::is_ancestor(&worktree.repository()?, commit, base)?;
    if is_kept { Ok(()) } else { keep_commit(worktree, commit, label).map(drop) }
}

/// Keeps a tree under a ref, as a commit on `parent`, unless a kept ref has the same tree and parent already.
pub(super) fn keep_tree(
    worktree: &LockedWorktree,
    tree: &str,
    parent: Option<&str>,
    label: &str,
) -> Result<(), GitError> {
    let (at, spec) = (&worktree.repository()?, worktree.spec());
    let format = "--format=%(tree) %(parent)";
    let kept = Git::reading(at).args(["for-each-ref", format, &ref_names::kept_dir(spec)]).run()?;
    let wanted = format!("{tree} {}", parent.unwrap_or(""));
    if String::from_utf8_lossy(&kept).lines().any(|line| line.trim() == wanted.trim()) {
        return Ok(());
    }
    let message = format!("boi {spec}: files of the worktree ({label})\n\nKept because no branch contains them.\n");
    let commit = commit_tree(worktree, tree, parent.as_slice(), &message)?;
    keep_commit(worktree, &commit, label).map(drop)
}

/// Creates a commit of a tree. No ref names the new commit yet.
pub(crate) fn commit_tree(
    worktree: &LockedWorktree,
    tree: &str,
    parents: &[&str],
    message: &str,
) -> Result<String, GitError> {
    let at = &worktree.repository()?;
    let git = worktree.repo_git()?;
    let git = if identity::is_configured(at) { git } else { git.identity(at)? };
    let mut git = git.args(["commit-tree", tree]);
    for parent in parents {
        git = git.args(["-p", parent]);
    }
    git.arg("-F").arg(worktree.write_message(message)?).line()
}
