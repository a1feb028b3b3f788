//! Refs: the spec's branch, and `refs/boi/kept/<SPEC>/<label>-<hash>`, which hold work that no branch holds.
//!
//! Invariant: a ref moves only from where it is known to be.

use std::path::Path;

use super::git::{self, Git};
use super::inspect::resolve_base;
use super::{BaseError, Error, WorktreeLock, deliver, entry};
use crate::domain::id::SpecId;

/// How much of a commit's hash is in the name of a kept ref.
const SHORT: usize = 12;

/// The commit of `boi/<SPEC>`; `None`: there is no such branch.
pub fn branch_head(repo: &Path, spec: &SpecId) -> Result<Option<String>, Error> {
    commit_of(repo, &branch_ref(spec))
}

/// Whether all of `boi/<SPEC>` is in `into` (a branch, tag or commit). A branch that does not exist is not merged.
pub fn is_merged(repo: &Path, spec: &SpecId, into: &str) -> Result<bool, BaseError> {
    let Some(head) = branch_head(repo, spec)? else { return Ok(false) };
    let into = resolve_base(repo, into)?;
    Ok(is_ancestor(repo, &head, &into)?)
}

/// Deletes `boi/<SPEC>` if it is at `expected` and checked out nowhere. One that does not exist is fine.
pub fn delete_branch(repo: &Path, spec: &SpecId, expected: &str) -> Result<(), Error> {
    let lock = entry::lock_repository(&entry::common_dir(repo)?)?;
    let found = match branch_head(repo, spec)? {
        None => return Ok(()),
        Some(found) if found == expected => found,
        found => return Err(Error::Diverged { branch: spec.branch(), expected: expected.to_owned(), found }),
    };
    if let Some(path) = deliver::checkout_of(repo, &spec.branch())? {
        return Err(Error::BranchInUse { branch: spec.branch(), path });
    }
    Git::writing(repo, &lock)?.args(["update-ref", "-d", &branch_ref(spec), &found]).run()?;
    Ok(())
}

/// The refs that hold work of this spec which no branch holds.
pub fn kept_refs(repo: &Path, spec: &SpecId) -> Result<Vec<String>, Error> {
    let listed = Git::reading(repo).args(["for-each-ref", "--format=%(refname)", &kept_dir(spec)]).run()?;
    Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
}

/// Whether `name` is a local branch.
pub fn is_branch(repo: &Path, name: &str) -> bool {
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    commit_of(repo, &format!("refs/heads/{name}")).is_ok_and(|commit| commit.is_some())
}

pub(super) fn branch_ref(spec: &SpecId) -> String {
    format!("refs/heads/{}", spec.branch())
}

pub(super) fn kept_dir(spec: &SpecId) -> String {
    format!("refs/boi/kept/{spec}/")
}

/// Holds a candidate while it is being verified, so that no garbage collection takes it.
pub(super) fn candidate_ref(spec: &SpecId) -> String {
    format!("refs/boi/candidate/{spec}")
}

/// The commit that a ref or hash names; `None`: it names nothing.
pub(super) fn commit_of(dir: &Path, revision: &str) -> Result<Option<String>, Error> {
    let outcome =
        Git::reading(dir).args(["rev-parse", "--quiet", "--verify", &format!("{revision}^{{commit}}")]).output()?;
    match outcome.code {
        Some(0) => Ok(Some(git::line(&outcome.stdout))),
        Some(1) => Ok(None),
        _ => Err(outcome.into_error()),
    }
}

/// Whether all of `commit` is in `other`.
pub(super) fn is_ancestor(dir: &Path, commit: &str, other: &str) -> Result<bool, Error> {
    Ok(commit == other || Git::reading(dir).args(["merge-base", "--is-ancestor", commit, other]).output()?.yes()?)
}

/// Moves the spec's branch from `old` (`None`: it must not exist) to `new`.
pub(super) fn move_branch(at: &WorktreeLock, new: &str, old: Option<&str>) -> Result<(), Error> {
    let nothing = "0".repeat(new.len());
    at.repo_git()?.args(["update-ref", "-m", "boi", &at.branch_ref(), new, old.unwrap_or(&nothing)]).run()?;
    Ok(())
}

/// Keeps a commit under a ref.
pub(super) fn keep(at: &WorktreeLock, commit: &str, label: &str) -> Result<(), Error> {
    keep_in(at, at.repo(), commit, label)
}

/// Keeps a commit of the repository at `dir` under a ref.
pub(super) fn keep_in(at: &WorktreeLock, dir: &Path, commit: &str, label: &str) -> Result<(), Error> {
    let short = &commit[..SHORT.min(commit.len())];
    let name = format!("{}{}-{short}", kept_dir(at.spec()), component(label));
    Git::writing(dir, &at.file)?.args(["update-ref", &name, commit]).run()?;
    Ok(())
}

/// Keeps a tree as a commit on `parent` under a ref, once.
pub(super) fn keep_tree(at: &WorktreeLock, tree: &str, parent: Option<&str>, label: &str) -> Result<(), Error> {
    let format = "--format=%(tree) %(parent)";
    let held = Git::reading(at.repo()).args(["for-each-ref", format, &kept_dir(at.spec())]).run()?;
    let wanted = format!("{tree} {}", parent.unwrap_or(""));
    if String::from_utf8_lossy(&held).lines().any(|line| line.trim() == wanted.trim()) {
        return Ok(());
    }
    let text = format!("boi {}: what was left ({label})\n\nKept because no branch holds it.\n", at.spec());
    let commit = commit_tree(at, tree, parent.as_slice(), &text)?;
    keep(at, &commit, label)
}

/// Makes a commit of a tree, with a message that no argument carries.
pub(super) fn commit_tree(at: &WorktreeLock, tree: &str, parents: &[&str], message: &str) -> Result<String, Error> {
    let mut git = at.repo_git()?.identity()?.args(["commit-tree", tree]);
    for parent in parents {
        git = git.args(["-p", parent]);
    }
    git.arg("-F").arg(at.message(message)?).line()
}

/// The kept refs of one label, also those of an earlier call that was cut off.
pub(super) fn kept_with(repo: &Path, spec: &SpecId, label: &str) -> Result<Vec<String>, Error> {
    let prefix = format!("{}{}-", kept_dir(spec), component(label));
    let ours = |name: &String| {
        name.strip_prefix(&prefix)
            .is_some_and(|hash| hash.len() == SHORT && hash.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    Ok(kept_refs(repo, spec)?.into_iter().filter(ours).collect())
}

/// `label` as a part of a ref's name: git takes no dot at its beginning and no two in a row.
fn component(label: &str) -> String {
    let mut last = '.';
    let safe = |c: char| {
        let fits = c.is_ascii_alphanumeric() || c == '-' || c == '_' || (c == '.' && last != '.');
        last = if fits { c } else { '-' };
        last
    };
    label.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_label_becomes_part_of_a_ref() {
        assert_eq!(component("t-1.2"), "t-1.2");
        assert_eq!(component(".a..b c/ä~^"), "-a.-b-c----");
    }
}
