//! A worktree is laid: its branch, its entry in the repository, its files.
//!
//! ```text
//! branch ─▶ `worktree add --no-checkout` (under the repository's lock) ─▶ files ─▶ the worktree's index
//! ```
//!
//! The repository's lock is not held while files are written, so that worktrees are filled in parallel. A worktree
//! without an index was cut off before its files were complete; it is filled again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::git::Git;
use super::{Error, WorktreeLock, capture, deliver, entry, power, refs, tree};
use crate::domain::attempt::Laying;
use crate::system::{failpoint, files};

/// A worktree that is ready to work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// Where the branch stands.
    pub head: String,
    /// Refs that hold what was taken away.
    pub kept: Vec<String>,
    /// Nested repositories that were left in place, relative to the worktree.
    pub nested: Vec<PathBuf>,
}

/// Makes the branch at `base` and the worktree, as far as they are missing, and mends what a crash left half made. With
/// [`Laying::Clean`] the files are then made equal to the branch's head, as by [`tree::settle`]; with
/// [`Laying::AsItIs`] a worktree that is complete is not touched.
pub fn prepare(at: &WorktreeLock, base: &str, laying: Laying, label: &str) -> Result<Laid, Error> {
    let (entry, head) = match entry::of_worktree(at.path()) {
        Some(entry) => {
            entry::break_locks(at)?;
            (entry, ensure_branch(at, base)?)
        }
        None => {
            let (entry, head, created) = add(at, base, label)?;
            if created {
                failpoint::hit("worktree.added");
                tree::fill(at, &entry, &head)?;
                power::keep(at)?;
                return Ok(Laid { head, kept: refs::kept_with(at.path(), at.spec(), label)?, nested: Vec::new() });
            }
            (entry, head)
        }
    };
    if laying == Laying::AsItIs && entry.join("index").exists() {
        power::mend_index(at)?;
        return Ok(Laid { head, kept: Vec::new(), nested: Vec::new() });
    }
    let settled = tree::settle(at, &head, label)?;
    Ok(Laid { head, kept: settled.kept, nested: settled.nested })
}

pub(super) fn ensure_branch(at: &WorktreeLock, base: &str) -> Result<String, Error> {
    if let Some(head) = refs::branch_head(at.repo(), at.spec())? {
        return Ok(head);
    }
    if let Some(head) = power::mend_branch(at, &entry::common_dir(at.repo())?, base)? {
        return Ok(head);
    }
    refs::move_branch(at, base, None)?;
    Ok(base.to_owned())
}

/// Adds the worktree to the repository, after mending what is there of it. Returns its entry, the branch's head, and
/// whether the worktree is a new one, without files.
pub(super) fn add(at: &WorktreeLock, base: &str, label: &str) -> Result<(PathBuf, String, bool), Error> {
    let (repo, path) = (&at.worktree().repo, at.path());
    let common = entry::common_dir(repo)?;
    entry::break_locks(at)?;
    let head = ensure_branch(at, base)?;
    failpoint::hit("branch.made");
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("cannot create", parent))?;
    }
    let lock = entry::lock_repository(&common)?;
    let known = entry::find(&common, path)?;
    let within = match content(path)? {
        Content::Nothing => {
            if let Some(entry) = known {
                if let Some(held) = entry::detached_head(&entry) {
                    capture::keep_beyond(at, &held, &head, label)?;
                }
                entry::delete(&entry)?;
            }
            None
        }
        Content::OnlyLink if known.as_deref().is_some_and(entry::is_initializing) => {
            // Git was cut off while it added the worktree, which therefore has no files yet.
            entry::delete(known.as_deref().unwrap_or(path))?;
            let link = path.join(".git");
            fs::remove_file(&link).map_err(Error::io("cannot remove", &link))?;
            None
        }
        // The link or the entry is gone, but the files are there.
        Content::OnlyLink | Content::Linked => known.or_else(|| {
            let named = entry::named_by(path).filter(|named| !named.exists())?;
            let ours = fs::canonicalize(named.parent()?.parent()?).ok()? == common;
            ours.then(|| common.join("worktrees").join(named.file_name().unwrap_or_default()))
        }),
        // A loss of power left the link's name, and no entry that bears the worktree's.
        Content::TornLink => known.or_else(|| {
            let entry = common.join("worktrees").join(path.file_name()?);
            (!entry.exists()).then_some(entry)
        }),
        Content::Unlinked => known,
        Content::Repository => return Err(Error::Occupied { path: path.to_owned() }),
    };
    let created = within.is_none();
    match within {
        Some(entry) => entry::relink(&entry, path, &at.branch_ref())?,
        None if matches!(content(path)?, Content::Nothing) => create(at, &lock)?,
        None => return Err(Error::Occupied { path: path.to_owned() }),
    }
    let entry = entry::of_worktree(path).ok_or_else(|| Error::NoWorktree { path: path.to_owned() })?;
    entry::break_locks(at)?;
    Ok((entry, head, created))
}

fn create(at: &WorktreeLock, lock: &fs::File) -> Result<(), Error> {
    let git = Git::writing(&at.worktree().repo, lock)?.own_tree();
    let git = git.args(["worktree", "add", "--no-checkout"]).arg("--").arg(at.path()).arg(at.spec().branch());
    let Err(error) = git.run() else { return Ok(()) };
    match deliver::checkout_of(&at.worktree().repo, &at.spec().branch())? {
        Some(path) => Err(Error::BranchInUse { branch: at.spec().branch(), path }),
        None => Err(error),
    }
}

/// What is in the place of a worktree.
enum Content {
    /// Nothing, or an empty directory.
    Nothing,
    /// The file `.git` alone.
    OnlyLink,
    /// The file `.git` and others.
    Linked,
    /// A file `.git` that a loss of power left without its content, perhaps with others.
    TornLink,
    /// Files, but no `.git`.
    Unlinked,
    /// A repository of its own, or no directory at all.
    Repository,
}

fn content(path: &Path) -> Result<Content, Error> {
    let mut names = match fs::read_dir(path) {
        Ok(entries) => entries.take(2).collect::<Result<Vec<_>, _>>().map_err(Error::io("cannot read", path))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Content::Nothing),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(Content::Repository),
        Err(e) => return Err(Error::io("cannot read", path)(e)),
    };
    let link = fs::symlink_metadata(path.join(".git")).ok();
    Ok(match (names.pop().is_some(), link) {
        (false, _) => Content::Nothing,
        (true, None) => Content::Unlinked,
        (true, Some(link)) if !link.is_file() => Content::Repository,
        (true, Some(_)) if files::is_torn(&path.join(".git")) => Content::TornLink,
        (true, Some(_)) if names.is_empty() => Content::OnlyLink,
        (true, Some(_)) => Content::Linked,
    })
}
