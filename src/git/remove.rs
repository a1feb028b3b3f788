//! Removes a worktree. Before that, files and commits of the worktree that no branch contains are kept under refs.
//!
//! ```text
//! keep ─▶ rename the folder, delete the entry (under the repository's lock) ─▶ delete the folder
//! ```

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file_times::CheckedFiles;
use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::worktree::LockedWorktree;
use super::{
    checkout, copy_record, entry, index, locks, operation, refs, revision, set_aside, shared_snapshot, submodules, warm,
};
use crate::system::untrusted;

/// Why boi refuses to remove a worktree. In each case, boi has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RemovalRefusal {
    /// The worktree's repository cannot be found, so boi cannot keep the worktree's files in it.
    #[error("the repository {} cannot be reached", repo.display())]
    RepositoryUnreachable { repo: PathBuf },
    /// The worktree must not be discarded, because its files can be kept in its repository.
    #[error(
        "the repository {} can be reached, so boi can keep the worktree's files there; remove the worktree without \
         discarding its files",
        repo.display()
    )]
    RepositoryReachable { repo: PathBuf },
    /// The folder has files but is not a worktree, or its link to the repository is broken.
    #[error("{path:?} has files but is not a git worktree")]
    NotAWorktree { path: PathBuf },
    /// Removing the worktree would delete the git repositories nested in it: a commit keeps only a link to each of them,
    /// not its files.
    #[error(
        "removing the worktree would delete the git repositories inside the worktree: {paths:?}; move them away; or \
         remove the .git in each of them, and boi keeps their files; or make git ignore them, and boi deletes them"
    )]
    NestedRepositories {
        /// The paths of the repositories, relative to the worktree.
        paths: Vec<PathBuf>,
    },
}

/// Why the removal of a worktree failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error(transparent)]
    Refused(#[from] RemovalRefusal),
    #[error(transparent)]
    Git(GitError),
}

impl From<GitError> for RemoveError {
    fn from(error: GitError) -> RemoveError {
        match error {
            GitError::NestedRepositories { paths } => RemovalRefusal::NestedRepositories { paths }.into(),
            error => RemoveError::Git(error),
        }
    }
}

/// Removes the worktree and its entry, after keeping files and commits that no branch contains under refs.
/// Files that git cannot store stay in a folder beside the worktree's path. Returns all kept refs with `label`,
/// including those of earlier calls, and the path of that folder. Does not delete the branch. The
/// worktree need not exist.
pub(crate) fn remove_worktree(worktree: &LockedWorktree, label: &str) -> Result<Vec<String>, RemoveError> {
    remove_checked_worktree(worktree, label, None, &[])
}

/// Removes the worktree like [`remove_worktree`]. Does not read files that were not written since `checked`. The folders
/// `keep` wait for the next worktree at the path.
pub(crate) fn remove_checked_worktree(
    worktree: &LockedWorktree,
    label: &str,
    checked: Option<&CheckedFiles>,
    keep: &[String],
) -> Result<Vec<String>, RemoveError> {
    let path = worktree.path();
    let doomed = doomed_path(path);
    delete_folder(&doomed)?;
    let Ok(common_dir) = worktree.common_dir() else {
        check_has_no_files(path, || RemovalRefusal::RepositoryUnreachable { repo: worktree.users_repo().to_owned() })?;
        delete_folder(path)?;
        return Ok(Vec::new());
    };
    let mut aside = Vec::new();
    let mut times = None;
    if let Some(at) = place_of_files(worktree)? {
        worktree.remove_stale_locks()?;
        entry::remove_damaged_index(&at.git_dir)?;
        aside = submodules::keep_before_removal(worktree, &at, label)?;
        match keep_work(worktree, &at, label, checked) {
            Ok(Kept::ByGit) if keep.is_empty() => {}
            // Without the times, the next worktree has the kept folders all the same.
            Ok(Kept::ByGit) => times = Some(clean_times(worktree, &at).unwrap_or_default()),
            Ok(Kept::InFolder) => aside.push(set_aside::rename(path)?),
            Err(error) => {
                // The worktree stays.
                submodules::put_back(worktree, &BTreeSet::new())?;
                return Err(error);
            }
        }
    } else {
        check_has_no_files(path, || RemovalRefusal::NotAWorktree { path: path.to_owned() })?;
    }
    {
        let _repository_lock = locks::lock_repository(common_dir, worktree.watch())?;
        let known = entry::find(common_dir, path)?;
        if let (Some(entry), false) = (&known, path.exists()) {
            keep_detached_head(worktree, entry, label)?;
        }
        match fs::rename(path, &doomed) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(GitError::io("cannot rename", path)(e).into()),
            _ => {}
        }
        if let Some(entry) = known {
            entry::delete(&entry)?;
        }
    }
    if let Some(times) = times {
        warm::take(&doomed, path, keep, times);
    }
    delete_folder(&doomed)?;
    submodules::forget(worktree)?;
    let _ = fs::remove_file(worktree.own_index());
    shared_snapshot::delete_snapshot_and_candidate(worktree)?;
    let mut kept = refs::kept_refs_with_label(&worktree.repository()?, worktree.spec(), label)?;
    kept.extend(aside);
    Ok(kept)
}

/// Checks whether [`remove_worktree`] would refuse, without removing anything.
pub(crate) fn check_removal(worktree: &LockedWorktree) -> Result<(), RemoveError> {
    let path = worktree.path();
    if worktree.common_dir().is_err() {
        let repo = worktree.users_repo().to_owned();
        return Ok(check_has_no_files(path, || RemovalRefusal::RepositoryUnreachable { repo })?);
    }
    let Some(at) = place_of_files(worktree)? else {
        return Ok(check_has_no_files(path, || RemovalRefusal::NotAWorktree { path: path.to_owned() })?);
    };
    entry::remove_damaged_index(&at.git_dir)?;
    let head = match refs::branch_head_at(&at, worktree.spec())? {
        Some(branch) => Some(branch),
        None => revision::commit_of(&at, "HEAD")?,
    };
    match check_nested(worktree, &at, head.as_deref()) {
        Err(error) if error.is_about_files() => Ok(()),
        checked => Ok(checked?),
    }
}

/// Deletes a worktree whose repository cannot be reached, with all its files. Fails if the repository can be
/// reached.
pub(crate) fn discard_worktree(worktree: &LockedWorktree) -> Result<(), RemoveError> {
    if worktree.common_dir().is_ok() {
        return Err(RemovalRefusal::RepositoryReachable { repo: worktree.users_repo().to_owned() }.into());
    }
    delete_folder(&doomed_path(worktree.path()))?;
    Ok(delete_folder(worktree.path())?)
}

/// Fails if the folder has files other than the link `.git`. A folder with only the link is left by a
/// creation of the worktree that was killed.
fn check_has_no_files(path: &Path, refusal: impl FnOnce() -> RemovalRefusal) -> Result<(), RemovalRefusal> {
    let has_files = path.exists() && !is_empty(path) && !has_only_link(path);
    if has_files { Err(refusal()) } else { Ok(()) }
}

/// Loads `head` into boi's own index, and fails if the worktree contains nested repositories.
fn check_nested(worktree: &LockedWorktree, at: &Place, head: Option<&str>) -> Result<(), GitError> {
    match head {
        Some(head) => drop(index::load(worktree, at, head)?),
        None => index::load_nothing(worktree, at)?,
    }
    refuse_nested(index::nested_repositories(worktree, at)?).map(drop)
}

fn refuse_nested(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, GitError> {
    if paths.is_empty() { Ok(paths) } else { Err(GitError::NestedRepositories { paths }) }
}

/// Returns the place in which git reads the worktree's files; `None`: the files belong to no entry of the repository, or
/// a git directory is in the place of the worktree's link. A link that is missing, or was replaced by something else, is
/// not needed: the entry names the worktree.
fn place_of_files(worktree: &LockedWorktree) -> Result<Option<Place>, GitError> {
    match worktree.place() {
        Ok(at) => return Ok(Some(at)),
        Err(GitError::NoWorktree { .. }) => {}
        Err(error) => return Err(error),
    }
    let path = worktree.path();
    let is_replaced = fs::symlink_metadata(path.join(".git")).is_ok_and(|link| !link.is_dir());
    if !is_replaced {
        return Ok(None);
    }
    let Some(entry) = entry::find(worktree.common_dir()?, path)? else { return Ok(None) };
    if !entry::is_complete(&entry) {
        return Ok(None);
    }
    worktree.place_with(entry).map(Some)
}

/// Where the files and commits of a worktree are kept.
enum Kept {
    /// Git has all of it: in a branch or under kept refs.
    ByGit,
    /// Git cannot store the files, so they must stay in their folder.
    InFolder,
}

/// Keeps the worktree's files and commits under refs, unless the branch or another ref contains them.
fn keep_work(
    worktree: &LockedWorktree,
    at: &Place,
    label: &str,
    checked: Option<&CheckedFiles>,
) -> Result<Kept, RemoveError> {
    let is_on_branch = checkout::head_ref(at).is_ok_and(|name| name == Some(worktree.branch_ref()));
    let is_known = checked.is_some_and(|checked| {
        refs::is_branch_at(at, worktree.spec(), checked.commit()) && checked.is_unwritten(worktree.path())
    });
    if is_on_branch && operation::held_commits(&at.git_dir).is_empty() && is_known {
        return Ok(Kept::ByGit);
    }
    let head = revision::commit_of(at, "HEAD")?;
    let parent = refs::branch_head_at(at, worktree.spec())?.or_else(|| head.clone());
    let is_incomplete = !at.git_dir.join("index").exists();
    let kept = match is_clean(worktree, at, parent.as_deref(), is_incomplete) {
        Ok((_, true)) => Kept::ByGit,
        Ok((tree, false)) => {
            refs::keep_tree(worktree, &tree, parent.as_deref(), label)?;
            Kept::ByGit
        }
        Err(error @ GitError::NestedRepositories { .. }) => return Err(error.into()),
        Err(error) if error.is_about_files() => Kept::InFolder,
        Err(error) => return Err(error.into()),
    };
    // The branch contains its own commit.
    let head = head.filter(|_| !is_on_branch);
    for held in operation::held_commits(&at.git_dir).into_iter().chain(head) {
        if let Some(held) = revision::commit_of(at, &held)? {
            keep_unless_contained(worktree, &held, label)?;
        }
    }
    Ok(kept)
}

/// Returns the tree of the worktree's files, and whether `parent` contains all of them. `is_incomplete`: a killed checkout
/// did not write all files.
fn is_clean(
    worktree: &LockedWorktree,
    at: &Place,
    parent: Option<&str>,
    is_incomplete: bool,
) -> Result<(String, bool), GitError> {
    let Some(parent) = parent else {
        check_nested(worktree, at, None)?;
        let tree = index::read_all_files(worktree, at)?;
        return Ok((tree, index::is_empty(worktree, at)?));
    };
    let loaded = index::load(worktree, at, parent)?;
    let withheld = index::withheld_files(worktree, at, &copy_record::withheld(worktree)?)?;
    let tree = index::read_files(worktree, at, &loaded, &withheld, refuse_nested)?;
    let is_clean = tree == loaded.tree || (is_incomplete && revision::is_part_of_commit(at, &tree, parent)?);
    Ok((tree, is_clean))
}

/// Returns the times of the worktree's files; none if the files differ from the branch, since nothing is known about them.
fn clean_times(worktree: &LockedWorktree, at: &Place) -> Result<warm::Times, GitError> {
    let Some(head) = refs::branch_head_at(at, worktree.spec())? else { return Ok(warm::Times::default()) };
    let loaded = index::load(worktree, at, &head)?;
    let withheld = index::withheld_files(worktree, at, &copy_record::withheld(worktree)?)?;
    let is_clean = index::read_files(worktree, at, &loaded, &withheld, refuse_nested)? == loaded.tree;
    if is_clean { warm::read_times(worktree, at) } else { Ok(warm::Times::default()) }
}

/// Keeps the commit of the entry's HEAD under a ref if HEAD is detached. Used when the worktree's folder is
/// missing and only its entry exists.
fn keep_detached_head(worktree: &LockedWorktree, entry: &Path, label: &str) -> Result<(), GitError> {
    match refs::head_of_entry(worktree, entry)? {
        Some(held) => keep_unless_contained(worktree, &held, label),
        None => Ok(()),
    }
}

/// Keeps a commit under a ref unless a branch, a tag or a kept ref contains the commit.
fn keep_unless_contained(worktree: &LockedWorktree, commit: &str, label: &str) -> Result<(), GitError> {
    let namespaces = ["refs/heads", "refs/tags", "refs/remotes", "refs/boi/kept"];
    let args = ["for-each-ref", "--count=1", "--contains", commit];
    let containing = Git::reading(&worktree.repository()?).args(args).args(namespaces).run()?;
    if containing.is_empty() { refs::keep_commit(worktree, commit, label).map(drop) } else { Ok(()) }
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn has_only_link(path: &Path) -> bool {
    let is_link = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() == ".git");
    path.join(".git").is_file() && fs::read_dir(path).is_ok_and(|mut entries| entries.all(is_link))
}

/// Returns the path to which the folder is renamed before it is deleted. Otherwise, after a deletion that was
/// killed, the missing files would look like files that an agent deleted.
fn doomed_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    name.push(".removed");
    path.with_file_name(name)
}

/// Deletes a folder, after restoring access rights if necessary. The folder need not exist.
fn delete_folder(path: &Path) -> Result<(), GitError> {
    untrusted::remove(path).map_err(GitError::io("cannot remove", path))
}
