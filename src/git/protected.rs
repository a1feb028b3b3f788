//! Finds the protected files that a try changed.

use std::collections::BTreeSet;

use super::git_error::GitError;
use super::program::Git;
use super::worktree::LockedWorktree;

/// Returns the paths that match one of `patterns` and that `candidate` changed. If the candidate merges `onto` into the
/// branch, only those changes count that `onto` does not have. A pattern is a glob of git (`**` also matches `/`); one that
/// names a folder matches every file in it.
pub(crate) fn changed_protected_files(
    worktree: &LockedWorktree,
    head: &str,
    onto: Option<&str>,
    candidate: &str,
    patterns: &[String],
) -> Result<Vec<String>, GitError> {
    let at = worktree.place()?;
    let changed = |from: &str| -> Result<BTreeSet<String>, GitError> {
        let args = ["diff-tree", "-r", "-z", "--no-renames", "--name-only", from, candidate, "--"];
        let listed = Git::reading(&at).args(args).args(patterns.iter().flat_map(|pattern| pathspecs(pattern))).run()?;
        let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    };
    let mut paths = changed(head)?;
    if let Some(onto) = onto
        && !paths.is_empty()
    {
        let also = changed(onto)?;
        paths.retain(|path| also.contains(path));
    }
    Ok(paths.into_iter().collect())
}

fn pathspecs(pattern: &str) -> [String; 2] {
    let folder = pattern.trim_end_matches('/');
    [format!(":(top,glob){folder}"), format!(":(top,glob){folder}/**")]
}
