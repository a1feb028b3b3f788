//! Repairs a spec's branch that a power loss damaged: the branch's file is empty or names a commit that is not on the
//! disk.

use std::fs;
use std::io;
use std::path::Path;

use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::worktree::LockedWorktree;
use super::{entry, ref_files, refs, revision};

/// Moves a damaged branch to the last existing commit in its reflog, or to `base` if the reflog has none. Returns the
/// new commit of the branch; `None`: the branch is intact or does not exist.
pub(super) fn repair_branch(worktree: &LockedWorktree, base: &str) -> Result<Option<String>, GitError> {
    let at = &worktree.repository()?;
    let name = worktree.branch_ref();
    if at.has_ref_tables() {
        // Git syncs the tables. They contain the reflogs too, and boi cannot read their format, so only `base` is left.
        if !names_missing_commit(worktree, at)? {
            return Ok(None);
        }
        worktree.repo_git()?.args(["update-ref", "-m", "boi", &name, base]).run()?;
        return Ok(Some(base.to_owned()));
    }
    let file = at.common_dir.join(&name);
    if !entry::is_torn(&file) && !names_missing_commit(worktree, at)? {
        return Ok(None);
    }
    let last = prune_reflog(&at.common_dir.join("logs").join(&name), at)?.unwrap_or_else(|| base.to_owned());
    // The file is removed first. Otherwise git would write its old value, the missing commit, into the reflog
    // again.
    match fs::remove_file(&file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(GitError::io("cannot remove", &file)(e)),
        _ => {}
    }
    worktree.repo_git()?.args(["update-ref", "-m", "boi", &name, &last]).run()?;
    Ok(Some(last))
}

fn names_missing_commit(worktree: &LockedWorktree, at: &Place) -> Result<bool, GitError> {
    if ref_files::resolve(at, &worktree.branch_ref()).is_some_and(|found| found.hash.is_none()) {
        return Ok(false);
    }
    let args = ["rev-parse", "--quiet", "--verify", &worktree.branch_ref()];
    let exists = Git::reading(at).args(args).output()?.yes_or_no()?;
    Ok(exists && refs::branch_head_at(at, worktree.spec())?.is_none())
}

/// Removes lines that name missing commits from a branch's reflog, and returns the last commit that is left.
fn prune_reflog(file: &Path, at: &Place) -> Result<Option<String>, GitError> {
    let Ok(reflog) = fs::read(file) else { return Ok(None) };
    let is_zero = |commit: &[u8]| commit.iter().all(|digit| *digit == b'0');
    let exists = |commit: &[u8]| match str::from_utf8(commit) {
        Ok(_) if is_zero(commit) => Ok(true),
        Ok(commit) => revision::commit_of(at, commit).map(|found| found.is_some()),
        Err(_) => Ok(false),
    };
    let (mut last, mut intact) = (None, Vec::new());
    // Each line is `OLD NEW WHO, WHEN AND WHY`.
    for line in reflog.split_inclusive(|byte| *byte == b'\n') {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (Some(old), Some(new), Some(_)) = (words.next(), words.next(), words.next()) else { continue };
        if exists(old)? && exists(new)? {
            last = (!is_zero(new)).then(|| String::from_utf8_lossy(new).into_owned());
            intact.extend_from_slice(line);
        }
    }
    if intact.len() < reflog.len() {
        fs::write(file, intact).map_err(GitError::io("cannot write", file))?;
    }
    Ok(last)
}
