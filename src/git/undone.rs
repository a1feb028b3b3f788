//! Finds files of earlier tasks that a later task of the same spec deleted or reverted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::worktree::LockedWorktree;
use crate::domain::repository_change::{ChangeKind, RepositoryChange};

/// The maximum number of files that are listed.
const LISTED: usize = 20;

/// A file's mode and blob in a commit; `None`: the commit does not have the file.
type Version = Option<(String, String)>;

/// Returns the files that the commits from `origin` to `base` changed, and that `candidate`, a commit on `base`,
/// deletes or sets back to their content in `origin`.
pub(crate) fn undone_files(
    worktree: &LockedWorktree,
    origin: &str,
    base: &str,
    candidate: &str,
) -> Result<Vec<RepositoryChange>, GitError> {
    let at = &worktree.repository()?;
    let later = differences(at, base, candidate)?;
    if later.is_empty() || origin == base {
        return Ok(Vec::new());
    }
    let earlier = differences(at, origin, base)?;
    let mut changes: Vec<RepositoryChange> = Vec::new();
    for (path, (before, now)) in later {
        let Some((first, _)) = earlier.get(&path) else { continue };
        if now.is_some() && now != *first {
            continue;
        }
        let blob = |version: Version| version.map(|(_, blob)| blob);
        let change = RepositoryChange::new(ChangeKind::Undone, path.display().to_string());
        changes.push(change.states(blob(before), blob(now)));
    }
    if changes.len() > LISTED {
        let name = format!("{} more files of earlier tasks were deleted or reverted", changes.len() - LISTED);
        changes.truncate(LISTED);
        changes.push(RepositoryChange::new(ChangeKind::More, name));
    }
    Ok(changes)
}

/// The files that differ between two commits: each with its version in both.
fn differences(at: &Place, one: &str, other: &str) -> Result<BTreeMap<PathBuf, (Version, Version)>, GitError> {
    let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", one, other];
    let listed = Git::reading(at).args(args).run()?;
    let mut fields = listed.split(|byte| *byte == 0);
    let mut found = BTreeMap::new();
    // Each change is `:MODE MODE BLOB BLOB STATUS`, then its path.
    while let (Some(change), Some(path)) = (fields.next(), fields.next()) {
        let change = program::line(change);
        let words: Vec<&str> = change.trim_start_matches(':').split(' ').collect();
        let &[old_mode, new_mode, old, new, ..] = words.as_slice() else { continue };
        let version = |mode: &str, blob: &str| (mode != "000000").then(|| (mode.to_owned(), blob.to_owned()));
        found.insert(program::path(path), (version(old_mode, old), version(new_mode, new)));
    }
    Ok(found)
}
