//! Removes a worktree. Before that, files and commits of the worktree that no branch contains are kept under refs.
//!
//! ```text
//! keep ─▶ rename the folder, delete the entry (under the repository's lock) ─▶ delete the folder
//! ```

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::program::Git;
use super::worktree::LockedWorktree;
use super::{entry, index, locks, operation, ref_names, refs, revision};
use crate::system::files;

/// Why boi refuses to remove a worktree. Nothing was changed.
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
/// Returns all kept refs with `label`, including those of earlier calls. Does not delete the branch. The
/// worktree need not exist.
pub(crate) fn remove_worktree(worktree: &LockedWorktree, label: &str) -> Result<Vec<String>, RemoveError> {
    let path = worktree.path();
    let doomed = doomed_path(path);
    delete_folder(&doomed)?;
    let Some(common_dir) = find_common_dir(worktree)? else {
        check_has_no_files(path, || RemovalRefusal::RepositoryUnreachable { repo: worktree.users_repo().to_owned() })?;
        delete_folder(path)?;
        return Ok(Vec::new());
    };
    if let Some(entry) = entry::of_worktree(path) {
        worktree.remove_stale_locks()?;
        entry::remove_damaged_index(&entry)?;
        keep_work(worktree, &entry, label)?;
    } else {
        check_has_no_files(path, || RemovalRefusal::NotAWorktree { path: path.to_owned() })?;
    }
    {
        let _repository_lock = locks::lock_repository(&common_dir)?;
        let known = entry::find(&common_dir, path)?;
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
    delete_folder(&doomed)?;
    let _ = fs::remove_file(worktree.own_index());
    let candidate = ref_names::candidate_ref(worktree.spec());
    Git::writing(&common_dir, worktree.lock_file())?.args(["update-ref", "-d", &candidate]).run()?;
    Ok(refs::kept_refs_with_label(&common_dir, worktree.spec(), label)?)
}

/// Checks whether [`remove_worktree`] would refuse, without removing anything.
pub(crate) fn check_removal(worktree: &LockedWorktree) -> Result<(), RemoveError> {
    let path = worktree.path();
    if find_common_dir(worktree)?.is_none() {
        let repo = worktree.users_repo().to_owned();
        return Ok(check_has_no_files(path, || RemovalRefusal::RepositoryUnreachable { repo })?);
    }
    let Some(entry) = entry::of_worktree(path) else {
        return Ok(check_has_no_files(path, || RemovalRefusal::NotAWorktree { path: path.to_owned() })?);
    };
    entry::remove_damaged_index(&entry)?;
    let head = match refs::branch_head(path, worktree.spec())? {
        Some(branch) => Some(branch),
        None => revision::commit_of(path, "HEAD")?,
    };
    check_nested(worktree, head.as_deref())
}

/// Deletes a worktree whose repository cannot be reached, with all its files. Fails if the repository can be
/// reached.
pub(crate) fn discard_worktree(worktree: &LockedWorktree) -> Result<(), RemoveError> {
    if find_common_dir(worktree)?.is_some() {
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
fn check_nested(worktree: &LockedWorktree, head: Option<&str>) -> Result<(), RemoveError> {
    index::load(worktree, head)?;
    let paths = index::nested_repositories(worktree)?;
    if paths.is_empty() { Ok(()) } else { Err(RemovalRefusal::NestedRepositories { paths }.into()) }
}

/// Returns the repository's git directory, even if the working tree that the spec named no longer exists;
/// `None`: the repository cannot be reached.
fn find_common_dir(worktree: &LockedWorktree) -> Result<Option<PathBuf>, GitError> {
    if let Some(entry) = entry::named_by_link(worktree.path()) {
        if let Some(common_dir) = entry::common_dir_of_entry(&entry) {
            return Ok(Some(common_dir));
        }
        // The worktree's repository is missing. Git might find another repository in a parent folder, and the
        // work must not be kept in that one.
        if !entry.ancestors().nth(2).is_some_and(Path::exists) {
            return Ok(None);
        }
    }
    let repo = worktree.users_repo();
    match entry::common_dir(repo) {
        Ok(common_dir) => Ok(Some(common_dir)),
        Err(GitError::Failed { stderr, .. }) if stderr.contains("not a git repository") => Ok(None),
        Err(_) if fs::symlink_metadata(repo).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Keeps the worktree's files and commits under refs, unless the branch or another ref contains them.
fn keep_work(worktree: &LockedWorktree, entry: &Path, label: &str) -> Result<(), RemoveError> {
    let path = worktree.path();
    let head = revision::commit_of(path, "HEAD")?;
    let parent = refs::branch_head(path, worktree.spec())?.or_else(|| head.clone());
    let is_incomplete = !entry.join("index").exists();
    check_nested(worktree, parent.as_deref())?;
    let tree = index::write_tree(worktree, &[], parent.as_deref())?;
    let is_clean = match &parent {
        Some(parent) => {
            tree == revision::tree_of(path, parent)?
                || (is_incomplete && revision::is_part_of_commit(path, &tree, parent)?)
        }
        None => index::is_empty(worktree)?,
    };
    if !is_clean {
        refs::keep_tree(worktree, &tree, parent.as_deref(), label)?;
    }
    for held in operation::held_commits(entry).into_iter().chain(head) {
        if let Some(held) = revision::commit_of(path, &held)? {
            keep_unless_contained(worktree, path, &held, label)?;
        }
    }
    Ok(())
}

/// Keeps the commit of the entry's HEAD under a ref if HEAD is detached. Used when the worktree's folder is
/// missing and only its entry exists.
fn keep_detached_head(worktree: &LockedWorktree, entry: &Path, label: &str) -> Result<(), GitError> {
    let Some(held) = entry::detached_head(entry) else { return Ok(()) };
    let Some(dir) = entry::common_dir_of_entry(entry) else { return Ok(()) };
    match revision::commit_of(&dir, &held)? {
        Some(held) => keep_unless_contained(worktree, &dir, &held, label),
        None => Ok(()),
    }
}

/// Keeps a commit under a ref unless a branch, a tag or a kept ref contains the commit.
fn keep_unless_contained(worktree: &LockedWorktree, dir: &Path, commit: &str, label: &str) -> Result<(), GitError> {
    let namespaces = ["refs/heads", "refs/tags", "refs/remotes", "refs/boi/kept"];
    let args = ["for-each-ref", "--count=1", "--contains", commit];
    let containing = Git::reading(dir).args(args).args(namespaces).run()?;
    if containing.is_empty() { refs::keep_commit(worktree, dir, commit, label) } else { Ok(()) }
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
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            files::make_tree_readable(path);
            fs::remove_dir_all(path).map_err(GitError::io("cannot remove", path))
        }
        Err(e) => Err(GitError::io("cannot remove", path)(e)),
    }
}
