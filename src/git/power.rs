//! What a loss of power does to a worktree.
//!
//! Git syncs what boi has it commit. It syncs neither the files that it lays nor their index nor the entry in
//! `worktrees/`, and an agent's git does not sync the objects of its commits: for half a minute the disk has their names
//! and not their content.
//!
//! Invariants:
//! - A worktree that boi made equal to a commit is on the disk before anything builds on that ([`keep`]), so that a
//!   command that goes on finds no file emptied which it did not write itself.
//! - What is torn all the same is mended before git looks at it ([`mend`]). An empty object is removed: git would take it
//!   for the content that is to be committed next, and not write that.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::git::Git;
use super::{Error, WorktreeLock, entry, lay, refs, tree};
use crate::system::files;

/// Returns when the worktree as it is, and its entry, are on the disk.
pub(super) fn keep(at: &WorktreeLock) -> Result<(), Error> {
    let sync = |path: &Path| files::sync_around(path).map_err(Error::io("cannot sync", path));
    sync(at.path())?;
    let Some(entry) = entry::of_worktree(at.path()) else { return Ok(()) };
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    if device(&entry) == device(at.path()) { Ok(()) } else { sync(&entry) }
}

/// What was mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mended {
    /// Empty objects that were removed from the repository.
    pub objects: usize,
    /// Whether the branch named no commit that is there, and names the last one before that again.
    pub branch: bool,
    /// Whether the worktree and its entry had lost each other.
    pub link: bool,
    /// Whether the worktree's index could not be read.
    pub index: bool,
}

/// Mends what a loss of power tore, where the branch stood at `base` or beyond. No file of the worktree is touched; a
/// repository that is away is left to the step that needs it.
pub fn mend(at: &WorktreeLock, base: &str, label: &str) -> Result<Mended, Error> {
    let Ok(common) = entry::common_dir(at.repo()) else { return Ok(Mended::default()) };
    entry::break_locks(at)?;
    let objects = remove_empty_objects(&common)?;
    let branch = mend_branch(at, &common, base)?.is_some();
    let has_files = files::listed(at.path()).is_ok_and(|names| !names.is_empty());
    let link = has_files && entry::of_worktree(at.path()).is_none();
    if link {
        lay::add(at, base, label)?;
    }
    let index = mend_index(at)?;
    Ok(Mended { objects, branch, link, index })
}

fn remove_empty_objects(common: &Path) -> Result<usize, Error> {
    let list = |folder: &Path| files::listed(folder).map_err(Error::io("cannot read", folder));
    // What a git that runs is writing has other names.
    let is_hash = |path: &Path, lengths: &[usize]| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        lengths.contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_empty = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0);
    let mut removed = 0;
    for folder in list(&common.join("objects"))?.iter().filter(|path| is_hash(path, &[2])) {
        for object in list(folder)?.iter().filter(|path| is_hash(path, &[38, 62]) && is_empty(path)) {
            fs::remove_file(object).map_err(Error::io("cannot remove", object))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A branch that names nothing goes back to the last commit of its history that is there, else to `base`; returns which, if
/// it was so.
pub(super) fn mend_branch(at: &WorktreeLock, common: &Path, base: &str) -> Result<Option<String>, Error> {
    let name = at.branch_ref();
    let file = common.join(&name);
    let torn = files::is_torn(&file);
    let names_nothing = !torn && {
        let args = ["rev-parse", "--quiet", "--verify", &name];
        Git::reading(common).args(args).output()?.yes()? && refs::commit_of(common, &name)?.is_none()
    };
    if !torn && !names_nothing {
        return Ok(None);
    }
    let last = mend_history(&common.join("logs").join(&name), common)?.unwrap_or_else(|| base.to_owned());
    // Else its history would name what it named.
    match fs::remove_file(&file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("cannot remove", &file)(e)),
        _ => {}
    }
    Git::writing(common, &at.file)?.args(["update-ref", "-m", "boi", &name, &last]).run()?;
    Ok(Some(last))
}

/// Takes out of a branch's history what names commits that are gone, and returns the last one that is there.
fn mend_history(file: &Path, common: &Path) -> Result<Option<String>, Error> {
    let Ok(history) = fs::read(file) else { return Ok(None) };
    let is_nothing = |commit: &[u8]| commit.iter().all(|digit| *digit == b'0');
    let is_there = |commit: &[u8]| match str::from_utf8(commit) {
        Ok(_) if is_nothing(commit) => Ok(true),
        Ok(commit) => refs::commit_of(common, commit).map(|found| found.is_some()),
        Err(_) => Ok(false),
    };
    let (mut last, mut whole) = (None, Vec::new());
    for line in history.split_inclusive(|byte| *byte == b'\n') {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (Some(old), Some(new), Some(_)) = (words.next(), words.next(), words.next()) else { continue };
        if is_there(old)? && is_there(new)? {
            last = (!is_nothing(new)).then(|| String::from_utf8_lossy(new).into_owned());
            whole.extend_from_slice(line);
        }
    }
    if whole.len() < history.len() {
        fs::write(file, whole).map_err(Error::io("cannot write", file))?;
    }
    Ok(last)
}

/// Makes the worktree's own index anew from the branch, when it cannot be read; what was staged is staged no more.
pub(super) fn mend_index(at: &WorktreeLock) -> Result<bool, Error> {
    let Some(entry) = entry::of_worktree(at.path()).filter(|entry| entry.join("index").exists()) else {
        return Ok(false);
    };
    if Git::reading(at.path()).args(["ls-files", "--", ".git"]).output()?.code == Some(0) {
        return Ok(false);
    }
    let head = refs::branch_head(at.path(), at.spec())?;
    tree::begin(at, head.as_deref())?;
    tree::install_index(at, &entry)?;
    Ok(true)
}
