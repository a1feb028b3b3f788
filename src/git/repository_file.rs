//! Reads a small file of a commit, such as the repository's own configuration of boi. Nothing of the repository is
//! executed, and no link is followed.

use std::path::Path;
use std::sync::Arc;

use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::repository;

/// A file at the root of a commit's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RepositoryFile {
    /// The commit has no such file.
    Missing,
    /// The content of the file.
    Content(Vec<u8>),
    /// The file cannot be used, for this reason.
    Unusable(String),
}

/// Reads the file `name` at the root of `commit`, if it has at most `limit` bytes. `repo` is a working tree of the
/// repository.
pub(crate) fn read_repository_file(
    repo: &Path,
    commit: &str,
    name: &str,
    limit: u64,
) -> Result<RepositoryFile, GitError> {
    read_file_at(&repository::find(repo)?, commit, name, limit)
}

/// Returns the identity of the repository of a working tree: the git directory that all its working trees share.
pub(crate) fn identity_of(repo: &Path) -> Result<String, GitError> {
    let identity = repository::identify(repo, &Arc::default())?;
    identity.map(|identity| identity.common_dir).ok_or_else(|| GitError::NoRepository { path: repo.to_owned() })
}

fn read_file_at(at: &Place, commit: &str, name: &str, limit: u64) -> Result<RepositoryFile, GitError> {
    let listed = Git::reading(at).args(["ls-tree", "-l", "-z", "--full-tree", commit, "--", name]).run()?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let Some((entry, _)) = listed.split_once('\t') else { return Ok(RepositoryFile::Missing) };
    let words: Vec<&str> = entry.split_whitespace().collect();
    let unusable = |why: String| Ok(RepositoryFile::Unusable(why));
    let &[mode, kind, object, size] = words.as_slice() else {
        return unusable("git lists the file in a form that boi does not know".to_owned());
    };
    match (mode, kind) {
        ("120000", _) => return unusable("it is a symbolic link, but must be a regular file".to_owned()),
        (_, "tree") => return unusable("it is a folder, but must be a regular file".to_owned()),
        (_, "blob") => {}
        _ => return unusable(format!("it is a {kind}, but must be a regular file")),
    }
    match size.parse::<u64>() {
        Ok(size) if size <= limit => {}
        _ => return unusable(format!("it has {size} bytes, but may have at most {limit}")),
    }
    Git::reading(at).args(["cat-file", "blob", object]).run().map(RepositoryFile::Content)
}
