//! Checks whether boi can work in a user's repository. This module only reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::git_error::GitError;
use super::index_summary::{self, IndexSummary};
use super::place::Place;
use super::program::{self, Git};
use super::{checkout, loose_object, ref_files, repository, revision};

/// A repository that boi can work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InspectedRepository {
    /// The root of the working tree.
    pub(crate) toplevel: PathBuf,
    /// The branch that the working tree is on, or its commit if HEAD is detached.
    pub(crate) default_base: String,
}

/// Why boi cannot work in a directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepositoryRefusal {
    #[error("the directory {0:?} does not exist; correct `repo` in the spec, or create the repository")]
    Missing(PathBuf),
    #[error("{0:?} is not a directory; set `repo` in the spec to the directory of a git repository")]
    NotADirectory(PathBuf),
    #[error(
        "the directory {0:?} is not in a git repository; run `git init` and commit there, or omit `repo` in the spec"
    )]
    NotARepository(PathBuf),
    #[error("{0:?} is a bare repository; set `repo` in the spec to a clone or a worktree of this repository")]
    Bare(PathBuf),
    /// The directory is a repository's git directory, or is inside one.
    #[error("{0:?} is inside a .git directory; set `repo` in the spec to the working tree instead")]
    InsideGitDir(PathBuf),
    /// The current branch has no commit from which a spec's branch could start.
    #[error("the repository {0:?} has no commit on its current branch; make a first commit")]
    Unborn(PathBuf),
    /// Git cannot create branches `boi/...` beside a branch `boi`.
    #[error(
        "the repository {0:?} has a branch `boi`, so git cannot create branches `boi/...` there; rename the branch: git branch -m boi boi-old"
    )]
    BranchNamedBoi(PathBuf),
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Checks whether boi can work in the directory that a spec names as its repository. The directory may be
/// anywhere inside a working tree.
pub(crate) fn inspect_repository(path: &Path) -> Result<InspectedRepository, RepositoryRefusal> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(RepositoryRefusal::NotADirectory(path.to_owned())),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(RepositoryRefusal::Missing(path.to_owned()));
        }
        Err(e) => return Err(GitError::io("cannot access", path)(e).into()),
    }
    let toplevel = find_toplevel(path)?;
    let at = &repository::find(&toplevel)?;
    if revision::commit_of(at, "refs/heads/boi")?.is_some() {
        return Err(RepositoryRefusal::BranchNamedBoi(toplevel));
    }
    let Some(head) = revision::commit_of(at, "HEAD")? else {
        return Err(RepositoryRefusal::Unborn(toplevel));
    };
    let name = checkout::head_ref(at)?;
    let branch = name.as_deref().and_then(|name| name.strip_prefix("refs/heads/")).map(str::to_owned);
    Ok(InspectedRepository { toplevel, default_base: branch.unwrap_or(head) })
}

/// Returns whether tracked files of a working tree, or its index, may differ from HEAD. Files are compared by size and times
/// only, so that git runs no filter of the repository: a file that was only touched counts too.
pub(crate) fn has_uncommitted_changes(toplevel: &Path) -> Result<bool, GitError> {
    let at = &repository::find(toplevel)?;
    let is_clean = |args: &[&str]| Git::reading(at).args(args).output()?.yes_or_no();
    let head = ref_files::resolve(at, "HEAD").and_then(|head| head.hash);
    let has_staged = || match head.and_then(|head| index_of_commit(at, &head)) {
        Some(_) => Ok(false),
        None => is_clean(&["diff-index", "--quiet", "--cached", "HEAD"]).map(|is_clean| !is_clean),
    };
    Ok(!is_clean(&["diff-files", "--quiet"])? || has_staged()?)
}

/// Whether two working trees belong to the same repository.
pub(crate) fn same_repository(one: &Path, other: &Path) -> Result<bool, GitError> {
    Ok(one == other || repository::find(one)?.common_dir == repository::find(other)?.common_dir)
}

fn find_toplevel(path: &Path) -> Result<PathBuf, RepositoryRefusal> {
    // The path of the working tree is printed last, because it may contain newlines.
    let args = ["rev-parse", "--is-bare-repository", "--is-inside-work-tree", "--show-toplevel"];
    let output = Git::locating(path, &Arc::default()).args(args).output()?;
    let mut lines = output.stdout.splitn(3, |byte| *byte == b'\n');
    let mut next_is_true = || lines.next() == Some(b"true");
    let (is_bare, is_inside_working_tree) = (next_is_true(), next_is_true());
    match (is_bare, is_inside_working_tree, output.code) {
        (_, true, Some(0)) => Ok(program::path(lines.next().unwrap_or_default())),
        (true, _, _) => Err(RepositoryRefusal::Bare(path.to_owned())),
        _ if output.stderr.contains("not a git repository") => Err(RepositoryRefusal::NotARepository(path.to_owned())),
        _ if output.stderr.contains("must be run in a work tree") => {
            Err(RepositoryRefusal::InsideGitDir(path.to_owned()))
        }
        _ => Err(output.into_error().into()),
    }
}

/// Reads the index of a working tree if it contains exactly the files of `commit`; `None`: it does not, or only git can
/// tell.
fn index_of_commit(at: &Place, commit: &str) -> Option<IndexSummary> {
    let tree = loose_object::tree_of(at, commit)?;
    index_summary::read(&at.git_dir.join("index"), commit.len()).filter(|index| index.tree == Some(tree))
}
