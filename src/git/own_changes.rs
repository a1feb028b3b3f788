//! Finds the changes of a spec's branch alone, without those that came with its base, and shows them to the
//! user.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::{repository, revision};
use crate::process::{dispositions, inherited};
use crate::system::paths;

/// How many merges of a branch are examined, the newest first.
const MERGES: &str = "--max-count=200";

/// A file that a branch changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangedFile {
    /// The path, with bytes that are not UTF-8 replaced. A file that was renamed has its new path.
    pub(crate) path: String,
    /// How many lines were added and removed; `None`: the file is binary.
    pub(crate) lines: Option<(u64, u64)>,
}

/// Returns the commit with which `head` is to be compared to see only what the branch changed that started at
/// `origin` and that may be merged into one of `bases`. This is `origin`, or the commit of a base that was
/// merged into the branch last, also if the branch has landed since.
pub(crate) fn start_of_own_changes(
    repo: &Path,
    origin: &str,
    head: &str,
    bases: &[String],
) -> Result<String, GitError> {
    let at = &repository::find(repo)?;
    let bases: Vec<String> = bases.iter().filter_map(|base| revision::resolve_base(repo, base).ok()).collect();
    for base in &bases {
        let found = Git::reading(at).args(["merge-base", base, head]).output()?;
        let common = program::line(&found.stdout);
        if found.code == Some(0) && common != head && revision::is_ancestor(at, origin, &common)? {
            return Ok(common);
        }
    }
    // The branch has landed, or there is no base any more: its merges show which commits of the base it
    // contains.
    let range = format!("{origin}..{head}");
    let merges = Git::reading(at).args(["rev-list", "--first-parent", "--merges", "--parents", MERGES, &range, "--"]);
    for line in String::from_utf8_lossy(&merges.run()?).lines() {
        for merged in line.split(' ').skip(2) {
            if revision::is_ancestor(at, origin, merged)? && is_of_a_base(at, merged, &bases)? {
                return Ok(merged.to_owned());
            }
        }
    }
    Ok(origin.to_owned())
}

/// Whether a base contains `commit`. If no base exists any more, the commit is assumed to come from one.
fn is_of_a_base(at: &Place, commit: &str, bases: &[String]) -> Result<bool, GitError> {
    for base in bases {
        if revision::is_ancestor(at, commit, base)? {
            return Ok(true);
        }
    }
    Ok(bases.is_empty())
}

/// Returns the files that differ between two commits.
pub(crate) fn changed_files(repo: &Path, from: &str, to: &str) -> Result<Vec<ChangedFile>, GitError> {
    let at = &repository::find(repo)?;
    let args = ["diff-tree", "-r", "-z", "--numstat", "--no-renames", from, to];
    let listed = Git::reading(at).args(args).run()?;
    let file = |entry: &[u8]| {
        let text = String::from_utf8_lossy(entry);
        let mut parts = text.splitn(3, '\t');
        let [added, removed] = [parts.next()?.parse().ok(), parts.next()?.parse().ok()];
        Some(ChangedFile { path: parts.next()?.to_owned(), lines: added.zip(removed) })
    };
    Ok(listed.split(|byte| *byte == 0).filter_map(file).collect())
}

/// Returns the commit that a hash or ref names in the repository of a directory of the user; `None`: there is
/// none.
pub(crate) fn find_commit(repo: &Path, revision: &str) -> Result<Option<String>, GitError> {
    revision::commit_of(&repository::find(repo)?, revision)
}

/// Whether `head` is `commit` or contains it.
pub(crate) fn contains(repo: &Path, commit: &str, head: &str) -> Result<bool, GitError> {
    revision::is_ancestor(&repository::find(repo)?, commit, head)
}

/// Replaces this process by `git diff` between two commits, with the user's configuration and pager. Returns
/// only if git cannot be executed.
#[expect(clippy::disallowed_methods, reason = "`git` starts git")]
pub(crate) fn become_diff(repo: &Path, from: &str, to: &str, options: &[String], files: &[String]) -> io::Error {
    let mut command = Command::new(paths::find_program("git").unwrap_or_else(|_| "git".into()));
    for name in inherited::GIT_LOCAL {
        command.env_remove(name);
    }
    command.arg("-C").arg(repo).arg("diff").args(options).args([from, to, "--"]).args(files);
    dispositions::restore_for_user();
    command.exec()
}
