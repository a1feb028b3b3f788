//! Finds commits that contain paths which boi does not commit, and makes trees without these paths.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::copy_record::{self, CopyRecord, Withheld};
use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::worktree::LockedWorktree;

/// Settings that make `git log` print only the names of changed files, also those that a merge changed.
const PLAIN_LOG: &[&str] = &["log.showSignature=false", "log.diffMerges=separate", "diff.relative=false"];

/// Returns the withheld paths that any of `commits` contains, or that an ancestor contains which is neither an ancestor of
/// `base` nor of the commit that the worktree was created at.
pub(super) fn paths_in_history(
    worktree: &LockedWorktree,
    record: &CopyRecord,
    withheld: &Withheld,
    commits: &[String],
    base: Option<&str>,
) -> Result<Vec<PathBuf>, GitError> {
    if withheld.is_empty() || commits.is_empty() {
        return Ok(Vec::new());
    }
    let known = [record.base.as_deref(), base].into_iter().flatten();
    let known: BTreeSet<String> = known.map(|known| format!("^{known}")).collect();
    let log = |known: &BTreeSet<String>| {
        let names = ["log", "-z", "-m", "--root", "--format=", "--name-only", "--no-renames", "--diff-filter=d"];
        let options = ["--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "-O/dev/null", "--ignore-missing"];
        let git = Git::reading(&worktree.repository()?).settings(PLAIN_LOG).args(names).args(options);
        git.args(commits).args(known).arg("--").output()
    };
    let mut listed = log(&known)?;
    if listed.code != Some(0) && !known.is_empty() {
        // A commit that was recorded may be missing after a power loss.
        listed = log(&BTreeSet::new())?;
    }
    let listed = listed.success()?;
    let names = listed.split(|byte| *byte == 0).map(|name| name.strip_prefix(b"\n").unwrap_or(name));
    let found: BTreeSet<PathBuf> = names.filter(|name| withheld.covers(name)).map(copy_record::path_of).collect();
    Ok(found.into_iter().collect())
}

/// Returns the tree of `commit` without the withheld paths.
pub(super) fn tree_without(
    worktree: &LockedWorktree,
    at: &Place,
    withheld: &Withheld,
    commit: &str,
) -> Result<String, GitError> {
    let listed = Git::reading(at).args(["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit]).run()?;
    let mut removed = Vec::new();
    for path in listed.split(|byte| *byte == 0).filter(|path| withheld.covers(path)) {
        removed.extend_from_slice(path);
        removed.push(0);
    }
    if removed.is_empty() {
        return super::revision::tree_of(at, commit);
    }
    let index = worktree.scratch().join("withheld-index");
    let _ = fs::remove_file(&index);
    let done = (|| {
        Git::writing(at, worktree.lock_file())?.index(&index).args(["read-tree", commit]).run()?;
        let remove = Git::writing_from(at, worktree.lock_file(), &removed)?;
        remove.index(&index).args(["update-index", "--force-remove", "-z", "--stdin"]).run()?;
        Git::writing(at, worktree.lock_file())?.index(&index).arg("write-tree").line()
    })();
    let _ = fs::remove_file(&index);
    done
}

/// Returns the message of a commit.
pub(super) fn message_of(at: &Place, commit: &str) -> Result<String, GitError> {
    let args = ["log", "-1", "--no-show-signature", "--format=%B", commit, "--"];
    Ok(program::line(&Git::reading(at).args(args).run()?))
}
