//! A worktree goes, and whatever is in it that no branch holds is kept.
//!
//! ```text
//! keep ─▶ set the folder aside, delete the entry (under the repository's lock) ─▶ delete the folder
//! ```

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::git::Git;
use super::{Error, WorktreeLock, entry, refs, tree};
use crate::system::files;

/// Removes the worktree and its entry, after keeping files and commits that no branch holds; returns the refs that hold
/// them. The branch stays. A worktree with a nested repository is an error, and so is one with files whose repository
/// cannot be reached: nothing is removed. A worktree that is gone already is fine.
pub fn remove(at: &WorktreeLock, label: &str) -> Result<Vec<String>, Error> {
    let path = at.path();
    let aside = aside(path);
    delete_folder(&aside)?;
    let Some(common) = common(at)? else {
        refuse_unreachable(at)?;
        delete_folder(path)?;
        return Ok(Vec::new());
    };
    if let Some(entry) = entry::of_worktree(path) {
        entry::break_locks(at)?;
        entry::drop_torn_index(&entry)?;
        keep_all(at, &entry, label)?;
    } else {
        refuse_foreign(path)?;
    }
    {
        let _lock = entry::lock_repository(&common)?;
        let known = entry::find(&common, path)?;
        if let (Some(entry), false) = (&known, path.exists()) {
            keep_head(at, entry, label)?;
        }
        match fs::rename(path, &aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("cannot move away", path)(e)),
            _ => {}
        }
        if let Some(entry) = known {
            entry::delete(&entry)?;
        }
    }
    delete_folder(&aside)?;
    let _ = fs::remove_file(at.index());
    Git::writing(&common, &at.file)?.args(["update-ref", "-d", &refs::candidate_ref(at.spec())]).run()?;
    refs::kept_with(&common, at.spec(), label)
}

/// Says what [`remove`] would refuse, and takes nothing away.
pub fn check_removal(at: &WorktreeLock) -> Result<(), Error> {
    if common(at)?.is_none() {
        return refuse_unreachable(at);
    }
    let Some(entry) = entry::of_worktree(at.path()) else { return refuse_foreign(at.path()) };
    entry::drop_torn_index(&entry)?;
    let on = match refs::branch_head(at.path(), at.spec())? {
        Some(branch) => Some(branch),
        None => refs::commit_of(at.path(), "HEAD")?,
    };
    tree::begin(at, on.as_deref())?;
    let nested = tree::nested(at)?;
    if nested.is_empty() { Ok(()) } else { Err(Error::NestedRepository { paths: nested }) }
}

/// Deletes a worktree whose repository cannot be reached, with whatever is in it. One whose repository is there stays.
pub fn discard(at: &WorktreeLock) -> Result<(), Error> {
    if common(at)?.is_some() {
        return Err(Error::NoWorktree { path: at.path().to_owned() });
    }
    delete_folder(&aside(at.path()))?;
    delete_folder(at.path())
}

/// Without its repository nothing of a worktree can be kept.
fn refuse_unreachable(at: &WorktreeLock) -> Result<(), Error> {
    let path = at.path();
    if path.exists() && !is_empty(path) && !is_only_link(path) {
        return Err(Error::Unreachable { repo: at.worktree().repo.clone() });
    }
    Ok(())
}

fn refuse_foreign(path: &Path) -> Result<(), Error> {
    if path.exists() && !is_empty(path) && !is_only_link(path) {
        return Err(Error::NoWorktree { path: path.to_owned() });
    }
    Ok(())
}

/// The repository's git directory, which is there also when the checkout that the spec named is not; `None`: there is
/// none to be reached.
fn common(at: &WorktreeLock) -> Result<Option<PathBuf>, Error> {
    if let Some(entry) = entry::named_by(at.path()) {
        if let Some(common) = entry::common_of(&entry) {
            return Ok(Some(common));
        }
        // The worktree's own repository is away. What git finds in its place may be another one, such as one above it.
        if !entry.ancestors().nth(2).is_some_and(Path::exists) {
            return Ok(None);
        }
    }
    let repo = &at.worktree().repo;
    match entry::common_dir(repo) {
        Ok(common) => Ok(Some(common)),
        Err(Error::Git { stderr, .. }) if stderr.contains("not a git repository") => Ok(None),
        Err(_) if fs::symlink_metadata(repo).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) => Ok(None),
        Err(e) => Err(e),
    }
}

fn keep_all(at: &WorktreeLock, entry: &Path, label: &str) -> Result<(), Error> {
    let head = refs::commit_of(at.path(), "HEAD")?;
    let branch = refs::branch_head(at.path(), at.spec())?;
    let on = branch.or_else(|| head.clone());
    let unfinished = !entry.join("index").exists();
    tree::begin(at, on.as_deref())?;
    let nested = tree::nested(at)?;
    if !nested.is_empty() {
        return Err(Error::NestedRepository { paths: nested });
    }
    let tree = tree::stage(at, &[], on.as_deref())?;
    let clean = match &on {
        Some(on) => tree == tree::tree_of(at.path(), on)? || (unfinished && tree::only_lacks(at.path(), on, &tree)?),
        None => is_empty_tree(at)?,
    };
    if !clean {
        refs::keep_tree(at, &tree, on.as_deref(), label)?;
    }
    for held in entry::operation_commits(entry).into_iter().chain(head) {
        if let Some(held) = refs::commit_of(at.path(), &held)? {
            keep_unheld(at, at.path(), &held, label)?;
        }
    }
    Ok(())
}

/// Keeps the commit of a detached HEAD whose worktree's folder is gone.
fn keep_head(at: &WorktreeLock, entry: &Path, label: &str) -> Result<(), Error> {
    let Some(held) = entry::detached_head(entry) else { return Ok(()) };
    let Some(dir) = entry::common_of(entry) else { return Ok(()) };
    match refs::commit_of(&dir, &held)? {
        Some(held) => keep_unheld(at, &dir, &held, label),
        None => Ok(()),
    }
}

/// Keeps a commit unless a branch, a tag or a kept ref holds it.
fn keep_unheld(at: &WorktreeLock, dir: &Path, commit: &str, label: &str) -> Result<(), Error> {
    let holders = ["refs/heads", "refs/tags", "refs/remotes", "refs/boi/kept"];
    let args = ["for-each-ref", "--count=1", "--contains", commit];
    let held = Git::reading(dir).args(args).args(holders).run()?;
    if held.is_empty() { refs::keep_in(at, dir, commit, label) } else { Ok(()) }
}

fn is_empty_tree(at: &WorktreeLock) -> Result<bool, Error> {
    Ok(at.git()?.index(&at.index()).arg("ls-files").run()?.is_empty())
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether there is nothing but the link to the repository: git was cut off before any file was laid.
fn is_only_link(path: &Path) -> bool {
    let is_link = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() == ".git");
    path.join(".git").is_file() && fs::read_dir(path).is_ok_and(|mut entries| entries.all(is_link))
}

/// Where the folder goes in one step, so that a removal that is cut off never looks like deleted files.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    name.push(".removed");
    path.with_file_name(name)
}

/// Deletes a folder, also when it holds folders that may not be written to.
fn delete_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            files::open_up(path);
            fs::remove_dir_all(path).map_err(Error::io("cannot remove", path))
        }
        Err(e) => Err(Error::io("cannot remove", path)(e)),
    }
}
