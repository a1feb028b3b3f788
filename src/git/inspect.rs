//! What is looked at before anything is written: is this a repository that boi can work in, and which commit does a
//! name mean?
//!
//! Invariant: nothing here writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::git::{self, Git};
use super::refs::commit_of;
use super::{Error, entry};

/// A repository that boi can work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The root of the working tree.
    pub toplevel: PathBuf,
    /// The branch that it is on; a commit when HEAD is detached.
    pub default_base: String,
}

/// Why boi cannot work in a directory.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It does not exist.
    #[error("{0:?} does not exist; correct `repo`, or create the repository")]
    Missing(PathBuf),
    /// It is no directory.
    #[error("{0:?} is not a directory; `repo` names the directory of a git repository")]
    NotADirectory(PathBuf),
    /// It is in no git repository.
    #[error("{0:?} is not in a git repository; run `git init` and commit there, or leave `repo` out")]
    NotARepository(PathBuf),
    /// It is a bare repository.
    #[error("{0:?} is a bare repository; name a clone or a worktree of it")]
    Bare(PathBuf),
    /// It is a repository's own directory, not its working tree.
    #[error("{0:?} is inside a .git directory; name the working tree instead")]
    InsideGitDir(PathBuf),
    /// The repository has submodules, whose files a worktree would lack.
    #[error("{repo:?} has submodules ({}), whose files a worktree would lack; boi cannot work in it", list(.paths))]
    Submodules {
        /// The repository.
        repo: PathBuf,
        /// The submodules.
        paths: Vec<PathBuf>,
    },
    /// There is no commit to start from.
    #[error("{0:?} has no commit on its current branch; make a first commit")]
    Unborn(PathBuf),
    /// `boi/...` cannot be created beside a branch `boi`.
    #[error(
        "{0:?} has a branch named `boi`, so git cannot create `boi/...` there; rename it: git branch -m boi boi-old"
    )]
    BranchNamedBoi(PathBuf),
    /// Somebody else owns it, or git failed.
    #[error(transparent)]
    Git(#[from] Error),
}

/// Why a name is no base.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// It is an option, a range or something else that is not one commit's name.
    #[error("`{0}` is not the name of a branch, tag or commit")]
    Malformed(String),
    /// There is no such thing.
    #[error("{repo:?} has no branch, tag or commit `{name}`{}", did_you_mean(.suggestion.as_deref()))]
    NotFound {
        /// The name.
        name: String,
        /// The repository.
        repo: PathBuf,
        /// A branch with a name like it.
        suggestion: Option<String>,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] Error),
}

/// Looks at the directory that a spec names as its repository; it may lie anywhere inside a working tree.
pub fn inspect(path: &Path) -> Result<Inspected, Refusal> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(Refusal::NotADirectory(path.to_owned())),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(Refusal::Missing(path.to_owned()));
        }
        Err(e) => return Err(Error::io("cannot look at", path)(e).into()),
    }
    let toplevel = toplevel(path)?;
    if commit_of(&toplevel, "refs/heads/boi")?.is_some() {
        return Err(Refusal::BranchNamedBoi(toplevel));
    }
    let Some(head) = commit_of(&toplevel, "HEAD")? else { return Err(Refusal::Unborn(toplevel)) };
    let paths = gitlinks(&toplevel, &head)?;
    if !paths.is_empty() {
        return Err(Refusal::Submodules { repo: toplevel, paths });
    }
    let symbolic = Git::reading(&toplevel).args(["symbolic-ref", "--quiet", "HEAD"]).output()?;
    let name = git::line(&symbolic.stdout);
    let on_branch = symbolic.yes()?;
    let branch = name.strip_prefix("refs/heads/").filter(|_| on_branch).map(str::to_owned);
    Ok(Inspected { toplevel, default_base: branch.unwrap_or(head) })
}

/// Whether two working trees are of the same repository.
pub fn same_repository(one: &Path, other: &Path) -> Result<bool, Error> {
    Ok(one == other || entry::common_dir(one)? == entry::common_dir(other)?)
}

fn toplevel(path: &Path) -> Result<PathBuf, Refusal> {
    // The toplevel comes last: it may contain newlines.
    let asked = ["rev-parse", "--is-bare-repository", "--is-inside-work-tree", "--show-toplevel"];
    let outcome = Git::reading(path).args(asked).output()?;
    let mut lines = outcome.stdout.splitn(3, |b| *b == b'\n');
    let mut is = || lines.next() == Some(b"true");
    match (is(), is(), outcome.code) {
        (_, true, Some(0)) => Ok(git::path(lines.next().unwrap_or_default())),
        (true, _, _) => Err(Refusal::Bare(path.to_owned())),
        _ if outcome.stderr.contains("not a git repository") => Err(Refusal::NotARepository(path.to_owned())),
        _ if outcome.stderr.contains("must be run in a work tree") => Err(Refusal::InsideGitDir(path.to_owned())),
        _ => Err(outcome.into_error().into()),
    }
}

fn gitlinks(dir: &Path, commit: &str) -> Result<Vec<PathBuf>, Error> {
    let listed = Git::reading(dir).args(["ls-tree", "-r", "-z", commit]).run()?;
    let links = listed.split(|b| *b == 0).filter(|entry| entry.starts_with(b"160000 "));
    Ok(links.filter_map(|entry| entry.splitn(2, |b| *b == b'\t').nth(1)).map(git::path).collect())
}

/// The commit that a base means: a branch before a tag of the same name, then whatever else git takes for one commit.
pub fn resolve_base(repo: &Path, name: &str) -> Result<String, BaseError> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | '?' | '*' | '[' | '\\');
    if name.is_empty() || name.starts_with(['-', '^']) || name.contains("..") || name.contains(odd) {
        return Err(BaseError::Malformed(name.to_owned()));
    }
    for revision in [format!("refs/heads/{name}"), format!("refs/tags/{name}"), name.to_owned()] {
        match commit_of(repo, &revision) {
            Ok(Some(commit)) => return Ok(commit),
            // What is ambiguous or names no commit at all is not found, provided that git can read the repository.
            Ok(None) | Err(Error::Git { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let branches = Git::reading(repo).args(["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"]).run()?;
    let branches = String::from_utf8_lossy(&branches).into_owned();
    let likeness = |branch: &&str| (strsim::jaro_winkler(name, branch) * 1000.0) as u32;
    let suggestion = branches.lines().max_by_key(likeness).filter(|branch| likeness(branch) >= 800);
    Err(BaseError::NotFound { name: name.to_owned(), repo: repo.to_owned(), suggestion: suggestion.map(str::to_owned) })
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
