//! Resolves names to commits, and compares commits. This module only reads.

use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::{entry, loose_object, ref_files, ref_names, repository};

/// How similar the name of a branch must be to a name that does not exist, so that the branch is suggested.
/// 1000 means equal.
const LEAST_SIMILARITY: u32 = 800;

/// Why a name cannot be used as a base.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaseError {
    /// The name is an option, a range or another expression that does not name one commit.
    #[error("`{0}` is not the name of a branch, tag or commit")]
    Malformed(String),
    #[error("{repo:?} has no branch, tag or commit `{name}`{}", did_you_mean(.suggestion.as_deref()))]
    NotFound {
        name: String,
        repo: PathBuf,
        /// A branch with a similar name.
        suggestion: Option<String>,
    },
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Resolves the name of a base to a commit. A branch takes precedence over a tag of the same name, and both over
/// anything else that git resolves to a commit.
pub(crate) fn resolve_base(repo: &Path, name: &str) -> Result<String, BaseError> {
    let at = &repository::find(repo)?;
    let is_special = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | '?' | '*' | '[' | '\\');
    if name.is_empty() || name.starts_with(['-', '^']) || name.contains("..") || name.contains(is_special) {
        return Err(BaseError::Malformed(name.to_owned()));
    }
    for revision in [format!("refs/heads/{name}"), format!("refs/tags/{name}"), name.to_owned()] {
        match commit_of(at, &revision) {
            Ok(Some(commit)) => return Ok(commit),
            // Git also fails if the hash is ambiguous, or names an object that is not a commit. If git cannot
            // read the repository at all, the listing of branches below fails, too.
            Ok(None) | Err(GitError::Failed { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let branches = Git::reading(at).args(["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"]).run()?;
    let branches = String::from_utf8_lossy(&branches).into_owned();
    let similarity = |branch: &&str| (strsim::jaro_winkler(name, branch) * 1000.0) as u32;
    let suggestion = branches.lines().max_by_key(similarity).filter(|branch| similarity(branch) >= LEAST_SIMILARITY);
    Err(BaseError::NotFound { name: name.to_owned(), repo: repo.to_owned(), suggestion: suggestion.map(str::to_owned) })
}

/// Whether `name` is a local branch.
pub(crate) fn is_local_branch(repo: &Path, name: &str) -> bool {
    let commit = repository::find(repo).and_then(|at| commit_of(&at, &ref_names::full_branch_name(name)));
    commit.is_ok_and(|commit| commit.is_some())
}

/// Returns the commit that a ref or hash names; `None`: it names no existing commit.
pub(crate) fn commit_of(at: &Place, revision: &str) -> Result<Option<String>, GitError> {
    if let Some(found) = commit_without_git(at, revision) {
        return Ok(found);
    }
    let revision = format!("{revision}^{{commit}}");
    let output = Git::reading(at).args(["rev-parse", "--quiet", "--verify", &revision]).output()?;
    match output.code {
        Some(0) => Ok(Some(program::line(&output.stdout))),
        Some(1) => Ok(None),
        _ => Err(output.into_error()),
    }
}

/// Returns what [`commit_of`] returns; `None`: only git can tell.
fn commit_without_git(at: &Place, revision: &str) -> Option<Option<String>> {
    let hash = match entry::parse_hash(revision) {
        Some(hash) => hash,
        None if revision == "HEAD" || revision.starts_with("refs/") => match ref_files::resolve(at, revision)?.hash {
            Some(hash) => hash,
            None => return Some(None),
        },
        None => return None,
    };
    loose_object::is_commit(at, &hash).then_some(Some(hash))
}

/// Returns the tree of a commit.
pub(crate) fn tree_of(at: &Place, commit: &str) -> Result<String, GitError> {
    if let Some(tree) = loose_object::tree_of(at, commit) {
        return Ok(tree);
    }
    Git::reading(at).args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).line()
}

/// Whether `commit` is `other` or one of its ancestors.
pub(crate) fn is_ancestor(at: &Place, commit: &str, other: &str) -> Result<bool, GitError> {
    let args = ["merge-base", "--is-ancestor", commit, other];
    Ok(commit == other || Git::reading(at).args(args).output()?.yes_or_no()?)
}

/// Whether `commit` contains every file of `tree` unchanged, as after a checkout of `commit` that did not complete.
pub(super) fn is_part_of_commit(at: &Place, tree: &str, commit: &str) -> Result<bool, GitError> {
    let args = ["diff-tree", "-r", "--no-renames", "--name-only", "--diff-filter=d", commit, tree];
    Ok(Git::reading(at).args(args).run()?.is_empty())
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}
