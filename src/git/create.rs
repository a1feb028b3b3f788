//! Creates a worktree: its branch, its entry in the repository, and its files.
//!
//! ```text
//! branch ─▶ `worktree add --no-checkout` (under the repository's lock) ─▶ files ─▶ the worktree's index
//! ```
//!
//! The repository's lock is not held while files are written, so worktrees are checked out in parallel. If a
//! worktree has no index, its checkout was killed, and is repeated.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::sparse::{self, Sparse};
use super::worktree::LockedWorktree;
use super::{branch_repair, checkout, entry, index, locks, refs, reset_files, sync};
use crate::domain::position::Checkout;
use crate::system::failpoint;
use crate::system::files;

/// A complete worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreatedWorktree {
    /// The branch's commit.
    pub(crate) head: String,
    /// Refs that keep the files and commits that were removed from the worktree.
    pub(crate) kept: Vec<String>,
    /// Whether the files were created, or made equal to the branch.
    pub(crate) is_new: bool,
}

/// Creates the worktree, and the branch at `base`, if they are missing; completes a creation that was killed.
/// With [`Checkout::Clean`], [`reset_files::reset_to_commit`] then makes the files equal to the branch. With
/// [`Checkout::AsItIs`], the files of a complete worktree are not changed.
pub(crate) fn create_worktree(
    worktree: &LockedWorktree,
    base: &str,
    mode: Checkout,
    label: &str,
) -> Result<CreatedWorktree, GitError> {
    let (at, head) = match worktree.place() {
        Ok(at) => {
            worktree.remove_stale_locks()?;
            (at, ensure_branch(worktree, base)?)
        }
        Err(GitError::NoWorktree { .. }) => {
            let Attached { at, head, is_new } = attach(worktree, base, mode, label)?;
            if is_new {
                failpoint::hit("worktree.added");
                reset_files::populate(worktree, &at, &head)?;
                sync::sync_worktree(worktree)?;
                let kept = refs::kept_refs_with_label(&at, worktree.spec(), label)?;
                return Ok(CreatedWorktree { head, kept, is_new: true });
            }
            (at, head)
        }
        Err(error) => return Err(error),
    };
    entry::pin_work_tree(&at.git_dir, worktree.path(), worktree.sparse().as_ref())?;
    if mode == Checkout::AsItIs && at.git_dir.join("index").exists() {
        index::repair(worktree)?;
        return Ok(CreatedWorktree { head, kept: Vec::new(), is_new: false });
    }
    let kept = reset_files::reset_to_commit(worktree, &head, label)?;
    Ok(CreatedWorktree { head, kept, is_new: true })
}

/// Repairs the branch, or creates it at `base`, if necessary. Returns the branch's commit.
fn ensure_branch(worktree: &LockedWorktree, base: &str) -> Result<String, GitError> {
    if let Some(head) = refs::branch_head_at(&worktree.repository()?, worktree.spec())? {
        return Ok(head);
    }
    if let Some(head) = branch_repair::repair_branch(worktree, base)? {
        return Ok(head);
    }
    refs::move_branch(worktree, base, None)?;
    Ok(base.to_owned())
}

/// A worktree that has an entry in the repository.
pub(super) struct Attached {
    at: Place,
    /// The branch's commit.
    head: String,
    /// Whether git created the worktree in this call. Then it has no files yet.
    is_new: bool,
}

/// Attaches the worktree to the repository. If the worktree has files, boi writes the broken link and entry
/// again; otherwise git creates both. With [`Checkout::Clean`], boi also writes the link again if something that
/// holds no work replaced it.
pub(super) fn attach(worktree: &LockedWorktree, base: &str, mode: Checkout, label: &str) -> Result<Attached, GitError> {
    let path = worktree.path();
    let common_dir = worktree.common_dir()?.to_owned();
    worktree.remove_stale_locks()?;
    let head = ensure_branch(worktree, base)?;
    failpoint::hit("branch.made");
    // Git creates the folder with the user's umask; other users have no business in it.
    files::private_dir(path).map_err(GitError::io("cannot create", path))?;
    let repository_lock = locks::lock_repository(&common_dir, worktree.watch())?;
    let is_new = match find_entry_to_relink(worktree, &common_dir, &head, mode, label)? {
        Some(entry) => {
            entry::relink(&entry, path, &worktree.branch_ref(), worktree.sparse().as_ref())?;
            false
        }
        None if matches!(read_content(path, &common_dir)?, Content::Nothing) => {
            add_with_git(worktree, &repository_lock)?;
            true
        }
        None => return Err(GitError::Occupied { path: path.to_owned() }),
    };
    let at = worktree.place()?;
    let sparse = if is_new { inherit_sparse_checkout(worktree, &at)? } else { worktree.sparse() };
    entry::pin_work_tree(&at.git_dir, path, sparse.as_ref())?;
    worktree.remove_stale_locks()?;
    Ok(Attached { at, head, is_new })
}

/// Gives the new worktree the sparse checkout of the user's working tree.
fn inherit_sparse_checkout(worktree: &LockedWorktree, at: &Place) -> Result<Option<Sparse>, GitError> {
    let sparse = sparse::inherit(&worktree.users_place()?, worktree.scratch(), &at.git_dir)?;
    let config = at.git_dir.join("config.worktree");
    if sparse.is_some() && config.exists() {
        // Git refuses to change a setting that has several values, as `git sparse-checkout` in the worktree does.
        for key in sparse::KEYS {
            let git = worktree.git_at(at)?.args(["config", "--file"]).arg(&config);
            git.args(["--unset-all", key]).output()?;
        }
    }
    Ok(sparse)
}

/// Returns the entry to which the files at the worktree's path belong; `None`: there are no files, or they
/// belong to no entry of the repository. Deletes the entry if the files are missing.
fn find_entry_to_relink(
    worktree: &LockedWorktree,
    common_dir: &Path,
    head: &str,
    mode: Checkout,
    label: &str,
) -> Result<Option<PathBuf>, GitError> {
    let path = worktree.path();
    let known = entry::find(common_dir, path)?;
    Ok(match read_content(path, common_dir)? {
        Content::Nothing => {
            if let Some(entry) = known {
                if let Some(held) = refs::head_of_entry(worktree, &entry)? {
                    refs::keep_unless_in(worktree, &held, head, label)?;
                }
                entry::delete(&entry)?;
            }
            None
        }
        // Git was killed while it added the worktree: there are no files yet.
        Content::OnlyLink if known.as_deref().is_some_and(entry::is_initializing) => {
            entry::delete(known.as_deref().unwrap_or(path))?;
            let link = path.join(".git");
            fs::remove_file(&link).map_err(GitError::io("cannot remove", &link))?;
            None
        }
        // If the entry is missing, it is created again under the name in the link.
        Content::OnlyLink | Content::Linked => known.or_else(|| {
            let named = entry::named_by_link(path).filter(|named| !named.exists())?;
            let is_of_repository = fs::canonicalize(named.parent()?.parent()?).ok()? == common_dir;
            is_of_repository.then(|| common_dir.join("worktrees").join(named.file_name().unwrap_or_default()))
        }),
        Content::DamagedLink => known.or_else(|| {
            let entry = common_dir.join("worktrees").join(path.file_name()?);
            (!entry.exists()).then_some(entry)
        }),
        Content::Unlinked => known,
        Content::ReplacedLink if mode == Checkout::Clean && known.is_some() => known,
        Content::ReplacedLink if known.is_some() => return Err(GitError::LinkReplaced { path: path.join(".git") }),
        Content::ReplacedLink | Content::Foreign => return Err(GitError::Occupied { path: path.to_owned() }),
    })
}

fn add_with_git(worktree: &LockedWorktree, repository_lock: &fs::File) -> Result<(), GitError> {
    let (at, branch) = (worktree.repository()?, worktree.spec().branch());
    let git = Git::writing(&at, repository_lock)?.own_tree(None);
    let git = git.args(["worktree", "add", "--no-checkout"]).arg("--").arg(worktree.path()).arg(&branch);
    let Err(error) = git.run() else { return Ok(()) };
    match checkout::find(&at, &branch)? {
        Some(checkout) => Err(GitError::BranchInUse { branch, path: checkout.place.work_tree }),
        None => Err(error),
    }
}

/// What the worktree's path contains.
enum Content {
    /// Nothing, or an empty directory.
    Nothing,
    /// The link `.git` alone.
    OnlyLink,
    /// The link and other files.
    Linked,
    /// A link whose content a power loss destroyed, possibly with other files.
    DamagedLink,
    /// Files without a link.
    Unlinked,
    /// Something other than the link is at its path, and it contains no work: a link to another repository, a pipe.
    ReplacedLink,
    /// A separate git repository, or something that is not a directory.
    Foreign,
}

fn read_content(path: &Path, common_dir: &Path) -> Result<Content, GitError> {
    // Two names are enough to distinguish the link alone from the link with other files.
    let mut names = match fs::read_dir(path) {
        Ok(entries) => entries.take(2).collect::<Result<Vec<_>, _>>().map_err(GitError::io("cannot read", path))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Content::Nothing),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(Content::Foreign),
        Err(e) => return Err(GitError::io("cannot read", path)(e)),
    };
    let link = fs::symlink_metadata(path.join(".git")).ok();
    Ok(match (names.pop().is_some(), link) {
        (false, _) => Content::Nothing,
        (true, None) => Content::Unlinked,
        (true, Some(link)) if link.is_dir() => Content::Foreign,
        (true, Some(link)) if !link.is_file() => Content::ReplacedLink,
        (true, Some(_)) if entry::is_torn(&path.join(".git")) => Content::DamagedLink,
        (true, Some(_)) if names_other_repository(path, common_dir) => Content::ReplacedLink,
        (true, Some(_)) if names.is_empty() => Content::OnlyLink,
        (true, Some(_)) => Content::Linked,
    })
}

/// Whether the link in `path` leads to an existing git directory of another repository.
fn names_other_repository(path: &Path, common_dir: &Path) -> bool {
    entry::named_by_link(path).is_some_and(|named| named.exists() && !entry::is_of_repository(&named, common_dir))
}
