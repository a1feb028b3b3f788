//! Makes the files of a worktree equal to a commit. Files that git ignores, and nested repositories, are not
//! deleted.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::file_times::CheckedFiles;
use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::submodules::{self, Changed};
use super::worktree::LockedWorktree;
use super::{branch, copy_record, entry, index, lfs, refs, revision, set_aside, sync};

/// How many files are excepted from the deletion of untracked files: they are arguments of git.
const MAX_EXCEPTIONS: usize = 2_000;

/// Makes the worktree's files equal to `commit`, with HEAD on the branch and no operation in progress. The
/// branch must be at `commit`. Files and commits that this removes from the worktree are kept under refs.
/// Returns all kept refs with `label`.
pub(crate) fn reset_to_commit(worktree: &LockedWorktree, commit: &str, label: &str) -> Result<Vec<String>, GitError> {
    Ok(reset_checked_to_commit(worktree, commit, label, None)?.kept)
}

/// The result of [`reset_checked_to_commit`].
pub(crate) struct Reset {
    /// All kept refs with the label.
    pub(crate) kept: Vec<String>,
    /// Whether every file was compared with the commit. Nested repositories were left out.
    pub(crate) is_complete: bool,
}

/// Resets the worktree like [`reset_to_commit`]. Does not read files that were not written since `checked`.
pub(crate) fn reset_checked_to_commit(
    worktree: &LockedWorktree,
    commit: &str,
    label: &str,
    checked: Option<&CheckedFiles>,
) -> Result<Reset, GitError> {
    let at = &worktree.place()?;
    worktree.remove_stale_locks()?;
    entry::remove_damaged_index(&at.git_dir)?;
    let is_narrowed = worktree.sparse().map_or(Ok(false), |sparse| sparse.restore(&at.git_dir))?;
    if !refs::is_branch_at(at, worktree.spec(), commit) {
        let found = refs::branch_head_at(at, worktree.spec())?;
        if found.as_deref() != Some(commit) {
            return Err(GitError::Diverged { branch: worktree.spec().branch(), expected: commit.to_owned(), found });
        }
    }
    branch::attach_head(worktree, at, commit, label)?;
    let submodules = submodules::keep(worktree, at, Some(commit), Changed::Keep(label))?;
    let is_incomplete = !at.git_dir.join("index").exists();
    let loaded = index::load(worktree, at, commit)?;
    let mut is_complete = true;
    let leave_out = |nested: Vec<PathBuf>| {
        is_complete = false;
        refuse_to_replace(at, commit, &nested).map(|()| nested)
    };
    let mut aside = None;
    let is_known = checked.is_some_and(|checked| checked.commit() == commit && checked.is_unwritten(worktree.path()))
        && !is_narrowed
        && !submodules::has_any(worktree);
    let withheld =
        if is_known { Vec::new() } else { index::withheld_files(worktree, at, &copy_record::withheld(worktree)?)? };
    let read =
        if is_known { Ok(loaded.tree.clone()) } else { index::read_files(worktree, at, &loaded, &withheld, leave_out) };
    match read {
        Ok(tree) if tree == loaded.tree && !is_narrowed => index::install(worktree, &at.git_dir)?,
        Ok(tree) => {
            // Files that a killed checkout did not write are not deletions by an agent, so there is no work to keep.
            if tree != loaded.tree && !(is_incomplete && revision::is_part_of_commit(at, &tree, commit)?) {
                refs::keep_tree(worktree, &tree, Some(commit), label)?;
            }
            index::check_out(worktree, at, commit)?;
            index::install(worktree, &at.git_dir)?;
            remove_untracked(worktree, &withheld)?;
        }
        Err(error) if error.is_about_files() => {
            aside = Some(set_aside::set_aside(worktree)?);
            entry::relink(&at.git_dir, worktree.path(), &worktree.branch_ref(), worktree.sparse().as_ref())?;
            populate(worktree, at, commit)?;
        }
        Err(error) => return Err(error),
    }
    submodules::lay(worktree, at, commit, &worktree.own_index(), &submodules.outdated)?;
    // The sync is necessary even if no file differed: a command may have written the same content again, unsynced.
    sync::sync_worktree(worktree)?;
    let mut kept = refs::kept_refs_with_label(at, worktree.spec(), label)?;
    kept.extend(aside);
    kept.extend(submodules.aside);
    Ok(Reset { kept, is_complete })
}

/// Writes the files of `commit` into a worktree that has none yet.
pub(super) fn populate(worktree: &LockedWorktree, at: &Place, commit: &str) -> Result<(), GitError> {
    let _ = fs::remove_file(worktree.own_index());
    worktree.remove_stale_locks()?;
    lfs::forget(worktree)?;
    index::check_out(worktree, at, commit)?;
    submodules::lay(worktree, at, commit, &worktree.own_index(), &BTreeSet::new())?;
    index::install(worktree, &at.git_dir)
}

/// Deletes untracked files, except ignored ones, nested repositories and the files `withheld`.
pub(super) fn remove_untracked(worktree: &LockedWorktree, withheld: &[PathBuf]) -> Result<(), GitError> {
    let mut clean = worktree.git()?.args(["clean", "-f", "-d", "-q"]);
    for path in withheld.iter().take(MAX_EXCEPTIONS) {
        let mut option = OsString::from("--exclude=");
        option.push(literal_pattern(path));
        clean = clean.arg(option);
    }
    clean.run()?;
    Ok(())
}

/// Returns the pattern of `.gitignore` that matches this path alone.
fn literal_pattern(path: &Path) -> OsString {
    let mut pattern = b"/".to_vec();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b'*' | b'?' | b'[' | b']' | b' ') {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    OsString::from_vec(pattern)
}

/// Fails if the commit has a file at the path of a nested repository or of a folder that contains one: writing that
/// file would delete the repository.
fn refuse_to_replace(at: &Place, commit: &str, nested: &[PathBuf]) -> Result<(), GitError> {
    if nested.is_empty() {
        return Ok(());
    }
    let paths: BTreeSet<&Path> = nested.iter().flat_map(|path| path.ancestors()).collect();
    let paths = paths.into_iter().filter(|path| !path.as_os_str().is_empty());
    let listed = Git::reading(at).args(["ls-tree", "-z", commit, "--"]).args(paths).run()?;
    let is_file = |entry: &[u8]| !entry.is_empty() && !entry.starts_with(b"040000 ");
    if listed.split(|byte| *byte == 0).any(is_file) {
        return Err(GitError::NestedRepositories { paths: nested.to_vec() });
    }
    Ok(())
}
