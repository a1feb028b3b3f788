//! Finds repositories, and detects that a worktree's repository was replaced by another one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::watch::GitWatch;
use super::{entry, refs};
use crate::domain::id::SpecId;
use crate::domain::position::RepositoryIdentity;
use crate::system::clock;

/// Finds the repository of a directory of the user, for a command of the user. Reads only files if git would find the
/// same repository from them; otherwise asks git.
pub(crate) fn find(dir: &Path) -> Result<Place, GitError> {
    let watch = Arc::default();
    Place::linked_from(dir, &watch).map_or_else(|| ask_git(dir, &watch), Ok)
}

/// Finds the repository of the working tree whose top folder is `dir`; `None`: there is no `.git`, or it does not lead to
/// a repository. Also finds it if `.git` is a symbolic link, about which git is asked.
pub(crate) fn of_working_tree(dir: &Path, watch: &Arc<GitWatch>) -> Result<Option<Place>, GitError> {
    if let Some(place) = Place::linked_from(dir, watch) {
        return Ok(Some(place));
    }
    // Without `.git`, git could find another working tree in a parent directory.
    if !dir.join(".git").exists() {
        return Ok(None);
    }
    match ask_git(dir, watch) {
        Err(GitError::Failed { .. } | GitError::DubiousOwnership { .. }) => Ok(None),
        asked => asked.map(Some),
    }
}

/// Asks git for the repository of a directory. Git refuses a repository of another user.
pub(super) fn ask_git(dir: &Path, watch: &Arc<GitWatch>) -> Result<Place, GitError> {
    let ask = |options: &[&str]| Git::locating(dir, watch).arg("rev-parse").args(options).run();
    let real = |printed: &[u8]| {
        let path = dir.join(program::path(printed));
        path.canonicalize().map_err(GitError::io("cannot find", &path))
    };
    let options = ["--absolute-git-dir", "--git-common-dir"];
    let both = ask(&options)?;
    let (git_dir, common_dir) = match both.split(|byte| *byte == b'\n').collect::<Vec<_>>()[..] {
        [git_dir, common_dir, []] => (real(git_dir)?, real(common_dir)?),
        // A path contains newlines, so each needs a git process of its own.
        _ => (real(&ask(&options[..1])?)?, real(&ask(&options[1..])?)?),
    };
    Ok(Place { git_dir, common_dir, work_tree: dir.to_owned(), watch: Arc::clone(watch) })
}

/// Identifies the repository of a directory of the user; `None`: its path cannot be recorded, because it is not
/// UTF-8. Fails if git refuses the repository.
pub(super) fn identify(dir: &Path, watch: &Arc<GitWatch>) -> Result<Option<RepositoryIdentity>, GitError> {
    let common_dir = ask_git(dir, watch)?.common_dir;
    let metadata = fs::metadata(&common_dir).map_err(GitError::io("cannot access", &common_dir))?;
    let Some(path) = common_dir.to_str() else { return Ok(None) };
    Ok(Some(RepositoryIdentity {
        common_dir: path.to_owned(),
        boot: clock::boot_id().to_owned(),
        device: metadata.dev(),
        inode: metadata.ino(),
    }))
}

/// Returns the recorded common directory; `None`: it is missing. Fails if another repository is in its place. `worktree`
/// is the path of the spec's worktree.
pub(super) fn check(
    recorded: &RepositoryIdentity,
    worktree: &Path,
    spec: &SpecId,
    watch: &Arc<GitWatch>,
) -> Result<Option<PathBuf>, GitError> {
    let path = PathBuf::from(&recorded.common_dir);
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(GitError::io("cannot access", &path)(error)),
    };
    // After a restart of the machine, a file system may have another device number.
    let is_same_file =
        recorded.boot != clock::boot_id() || (metadata.dev(), metadata.ino()) == (recorded.device, recorded.inode);
    let is_same_path = fs::canonicalize(&path).is_ok_and(|real| real == path);
    // Mounting a file system again may change both numbers.
    if is_same_path && (is_same_file || has_work_of(&path, worktree, spec, watch)?) {
        Ok(Some(path))
    } else {
        Err(GitError::RepositoryReplaced { common_dir: path })
    }
}

/// Whether the repository at `common_dir` has an entry of the spec's worktree, or the spec's branch.
fn has_work_of(common_dir: &Path, worktree: &Path, spec: &SpecId, watch: &Arc<GitWatch>) -> Result<bool, GitError> {
    let link = entry::real_path(worktree).join(".git");
    let mut entries = fs::read_dir(common_dir.join("worktrees")).into_iter().flatten().flatten();
    if entries.any(|entry| entry::names_link(&entry.path(), &link)) {
        return Ok(true);
    }
    match refs::branch_head_at(&Place::of_repository(common_dir, watch), spec) {
        Ok(head) => Ok(head.is_some()),
        Err(GitError::Failed { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the common directory of the repository of the worktree at `path`; `None`: the repository cannot be found.
/// `repo` is the working tree that the spec names. The user may have removed it, if it was a linked one; then the
/// worktree's own link leads to the repository.
pub(super) fn common_dir(repo: &Path, path: &Path, watch: &Arc<GitWatch>) -> Result<Option<PathBuf>, GitError> {
    if let Some(place) = Place::linked_from(repo, watch) {
        return Ok(Some(place.common_dir));
    }
    if let Some(entry) = entry::named_by_link(path) {
        if let Some(common_dir) = entry::common_dir_of_entry(&entry) {
            return Ok(Some(common_dir));
        }
        // The worktree's repository is missing. Git could find another repository in a parent directory, in which
        // the work must not be kept.
        if !entry.ancestors().nth(2).is_some_and(Path::exists) {
            return Ok(None);
        }
    }
    match ask_git(repo, watch) {
        Ok(place) => Ok(Some(place.common_dir)),
        Err(GitError::Failed { stderr, .. }) if stderr.contains("not a git repository") => Ok(None),
        Err(_) if fs::symlink_metadata(repo).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
