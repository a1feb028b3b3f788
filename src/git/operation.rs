//! Git operations in progress (merge, rebase, cherry-pick, revert, bisect), read from the files that git keeps for them
//! in a checkout's git directory: the entry of a worktree, or the repository's own git directory.

use std::fs::File;
use std::path::Path;

use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::{entry, revision, small_file};
use crate::domain::delivery::GitOperation;

/// Files and folders that git keeps while an operation is in progress.
const STATE_FILES: &[&str] = &[
    "AUTO_MERGE",
    "BISECT_ANCESTORS_OK",
    "BISECT_EXPECTED_REV",
    "BISECT_FIRST_PARENT",
    "BISECT_LOG",
    "BISECT_NAMES",
    "BISECT_RUN",
    "BISECT_START",
    "BISECT_TERMS",
    "CHERRY_PICK_HEAD",
    "MERGE_AUTOSTASH",
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "MERGE_RR",
    "REBASE_HEAD",
    "REVERT_HEAD",
    "SQUASH_MSG",
    "rebase-apply",
    "rebase-merge",
    "refs/bisect",
    "sequencer",
];

/// The state files that are refs where the repository stores refs in tables.
const STATE_REFS: &[&str] =
    &["AUTO_MERGE", "BISECT_EXPECTED_REV", "BISECT_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD", "REVERT_HEAD"];

/// The state files that contain the hash of a commit which perhaps no branch contains.
const COMMIT_FILES: &[&str] = &[
    "MERGE_AUTOSTASH",
    "rebase-apply/autostash",
    "rebase-apply/orig-head",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
];

/// For each operation, a file or folder that exists while the operation is in progress.
const MARKERS: &[(&str, GitOperation)] = &[
    ("MERGE_HEAD", GitOperation::Merge),
    ("rebase-merge", GitOperation::Rebase),
    ("rebase-apply", GitOperation::Rebase),
    ("CHERRY_PICK_HEAD", GitOperation::CherryPick),
    ("REVERT_HEAD", GitOperation::Revert),
    ("sequencer", GitOperation::CherryPickOrRevert),
    ("BISECT_START", GitOperation::Bisect),
];

/// Returns the operation in progress in a checkout.
pub(crate) fn in_progress(at: &Place) -> Result<Option<GitOperation>, GitError> {
    for (name, operation) in MARKERS {
        let is_table_ref = at.has_ref_tables() && STATE_REFS.contains(name);
        if at.git_dir.join(name).exists() || is_table_ref && revision::commit_of(at, name)?.is_some() {
            return Ok(Some(*operation));
        }
    }
    Ok(None)
}

/// Whether an operation in progress started on this branch and will return to it. HEAD is detached during such an
/// operation.
pub(super) fn returns_to(git_dir: &Path, branch: &str) -> bool {
    let contains =
        |file: &str, wanted: &str| small_file::read_text(&git_dir.join(file)).is_some_and(|text| text.trim() == wanted);
    let full = format!("refs/heads/{branch}");
    contains("rebase-merge/head-name", &full)
        || contains("rebase-apply/head-name", &full)
        || contains("BISECT_START", branch)
}

/// Returns the hashes of commits to which perhaps nothing but the operation in progress refers.
pub(super) fn held_commits(git_dir: &Path) -> Vec<String> {
    let read = |name: &&str| small_file::read_text(&git_dir.join(name));
    COMMIT_FILES.iter().filter_map(read).filter_map(|text| entry::parse_hash(&text)).collect()
}

/// Ends any operation in progress without changing files of the checkout. `lock` is the worktree's locked file.
pub(crate) fn abandon(at: &Place, lock: &File) -> Result<(), GitError> {
    STATE_FILES.iter().try_for_each(|name| entry::remove_any(&at.git_dir.join(name)))?;
    if at.has_ref_tables() {
        for name in STATE_REFS {
            if revision::commit_of(at, name)?.is_some() {
                Git::writing(at, lock)?.args(["update-ref", "-d", name]).run()?;
            }
        }
    }
    Ok(())
}
