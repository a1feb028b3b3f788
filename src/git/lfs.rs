//! Objects of Git LFS that the user's clone lacks. The files stay pointers; boi records which ones these are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::entry;
use super::git_error::GitError;
use super::program::{Git, GitOutput};
use super::worktree::LockedWorktree;
use crate::system::attempt_folder;
use crate::system::files::Durability;

/// The file in the scratch directory that records the paths.
const RECORD: &str = "lfs-missing";
const MAX_RECORD: usize = 16 << 20;

/// Records which files are pointers, if Git LFS reported missing objects when git wrote the worktree's files. `git` is a
/// command that works with the index of these files.
pub(super) fn record_missing(worktree: &LockedWorktree, written: &GitOutput, git: Git) -> Result<(), GitError> {
    if !written.stderr.contains("Error downloading object") && !written.stderr.contains("git lfs logs last") {
        return Ok(());
    }
    let listed = git.args(["lfs", "ls-files"]).run()?;
    let paths: Vec<&[u8]> = listed.split(|byte| *byte == b'\n').filter_map(missing_path).collect();
    let path = worktree.scratch().join(RECORD);
    attempt_folder::open(worktree.scratch())
        .and_then(|folder| folder.replace(RECORD, &paths.join(&b'\n'), Durability::Process))
        .map_err(GitError::io("cannot write", &path))
}

/// Returns the path in a line of `git lfs ls-files` for a file that is a pointer: `HASH - PATH`.
fn missing_path(line: &[u8]) -> Option<&[u8]> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    (parts.next().is_some() && parts.next()? == b"-").then(|| parts.next())?
}

/// Returns the files of the worktree that are pointers, because the user's clone lacks their objects.
pub(crate) fn pointers(worktree: &LockedWorktree) -> Vec<PathBuf> {
    let read = attempt_folder::open(worktree.scratch()).and_then(|folder| folder.read(RECORD, MAX_RECORD));
    let bytes = read.ok().flatten().unwrap_or_default();
    let paths = bytes.split(|byte| *byte == b'\n').filter(|path| !path.is_empty());
    paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect()
}

/// Deletes the record, before the files of the worktree are written anew.
pub(super) fn forget(worktree: &LockedWorktree) -> Result<(), GitError> {
    entry::remove_any(&worktree.scratch().join(RECORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pointers_are_listed() {
        let listed = ["777fc59010 * a.bin", "a81c31ac62 - b - c.bin", ""];
        let paths: Vec<_> = listed.iter().filter_map(|line| missing_path(line.as_bytes())).collect();
        assert_eq!(paths, [b"b - c.bin"]);
    }
}
