//! A result reaches its base: merged in the worktree, verified there by the caller, and landed by fast-forward.
//!
//! ```text
//! plan ─▶ NeedsMerge ─▶ merge_base (in the worktree, on the branch) ─▶ plan ─▶ FastForward ─▶ fast_forward
//! ```
//!
//! Invariant: the base only ever moves forward, from the commit that the plan saw; a checkout of the user's that has it
//! moves along only when it is clean and nothing is under way there.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::git::{self, Git};
use super::{Error, WorktreeLock, entry, power, refs, tree};

/// What it takes to bring the branch into its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: the base has all of it.
    AlreadyMerged,
    /// The base can be moved from `from` to the branch's `head`.
    FastForward {
        /// Where the base stands.
        from: String,
        /// Where the branch stands.
        head: String,
    },
    /// The base has moved on: it must be merged into the branch first.
    NeedsMerge {
        /// Where the base stands.
        from: String,
    },
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The base is no local branch.
    #[error("`{0}` is not a local branch, and only a local branch can be merged into")]
    NotABranch(String),
    /// The spec's branch is gone.
    #[error("there is no branch {0}")]
    NoResult(String),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] Error),
}

/// Why a base was not merged into the branch.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Both sides changed the same places. Branch and files are as before.
    #[error("merge conflicts in {}", list(.paths))]
    Conflicts {
        /// The files, relative to the worktree.
        paths: Vec<PathBuf>,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] Error),
}

/// Why a base was not moved. It is where it was.
#[derive(Debug, thiserror::Error)]
pub enum LandError {
    /// It is no longer where the plan saw it.
    #[error("the base has moved meanwhile")]
    BaseMoved,
    /// A checkout of the user's is in the way.
    #[error("{0}")]
    Refused(String),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] Error),
}

/// Compares the branch with the base that it is to be merged into.
pub fn plan(at: &WorktreeLock, base_branch: &str) -> Result<Plan, PlanError> {
    let repo = at.repo();
    let Some(from) = refs::commit_of(repo, &base_ref(base_branch))? else {
        return Err(PlanError::NotABranch(base_branch.to_owned()));
    };
    let head = refs::branch_head(repo, at.spec())?.ok_or_else(|| PlanError::NoResult(at.spec().branch()))?;
    if refs::is_ancestor(repo, &head, &from)? {
        Ok(Plan::AlreadyMerged)
    } else if refs::is_ancestor(repo, &from, &head)? {
        Ok(Plan::FastForward { from, head })
    } else {
        Ok(Plan::NeedsMerge { from })
    }
}

/// Merges `from`, where the base stands, into the branch, and returns the branch's new head. The worktree is settled
/// before (what is in it is kept, see [`tree::settle`]) and equal to the branch afterwards, merged or not.
pub fn merge_base(at: &WorktreeLock, from: &str, message: &str) -> Result<String, MergeError> {
    let head = refs::branch_head(at.repo(), at.spec())?;
    let head =
        head.ok_or_else(|| Error::Diverged { branch: at.spec().branch(), expected: from.to_owned(), found: None })?;
    tree::settle(at, &head, "merge")?;
    if refs::is_ancestor(at.path(), from, &head)? {
        return Ok(head);
    }
    let args = ["merge", "--no-ff", "--no-commit", "--no-stat", "--quiet", from];
    let outcome = at.git()?.identity()?.args(args).output()?;
    if outcome.code == Some(0) {
        let tree = at.git()?.arg("write-tree").line()?;
        let merge = refs::commit_tree(at, &tree, &[&head, from], message)?;
        refs::move_branch(at, &merge, Some(&head))?;
        clear(at)?;
        power::keep(at)?;
        return Ok(merge);
    }
    let unmerged = at.git()?.args(["diff", "--name-only", "--diff-filter=U", "-z"]).run()?;
    clear(at)?;
    at.git()?.args(["read-tree", "--reset", "-u", &head]).run()?;
    at.git()?.args(["clean", "-f", "-d", "-q"]).run()?;
    let paths = git::paths(&unmerged);
    if paths.is_empty() { Err(outcome.into_error().into()) } else { Err(MergeError::Conflicts { paths }) }
}

fn clear(at: &WorktreeLock) -> Result<(), Error> {
    entry::of_worktree(at.path()).map_or(Ok(()), |entry| entry::clear_operation(&entry))
}

/// Moves the base from `from` forward to `to`, together with the checkout that has it, if there is one and it is clean.
/// A base that is at `to` already is fine.
pub fn fast_forward(at: &WorktreeLock, base_branch: &str, from: &str, to: &str) -> Result<(), LandError> {
    let (repo, base) = (at.repo(), base_ref(base_branch));
    let short = base.strip_prefix("refs/heads/").unwrap_or(&base);
    // One at a time: a checkout that another delivery is moving looks like one with changes.
    let _one_at_a_time = entry::lock_repository(&entry::common_dir(repo)?)?;
    let stands = refs::commit_of(repo, &base)?;
    if stands.as_deref() == Some(to) {
        return Ok(());
    }
    if stands.as_deref() != Some(from) || !refs::is_ancestor(repo, from, to)? {
        return Err(LandError::BaseMoved);
    }
    let outcome = match checkout(repo, short)? {
        Some(checkout) => {
            refuse_busy(&checkout, short)?;
            let before = OrigHead::of(&checkout)?;
            let args = ["merge", "--ff-only", "--no-overwrite-ignore", "--no-stat", "--quiet", to];
            let git = Git::writing(&checkout.path, &at.file)?.env("GIT_REFLOG_ACTION", "boi deliver");
            let outcome = git.args(args).output()?;
            if outcome.code != Some(0) {
                before.restore()?;
            }
            outcome
        }
        None => at.repo_git()?.args(["update-ref", "-m", "boi deliver", &base, to, from]).output()?,
    };
    match refs::commit_of(repo, &base)? {
        Some(stands) if stands == to => Ok(()),
        Some(stands) if stands == from && outcome.code != Some(0) => {
            let words: Vec<&str> = outcome.stderr.split_whitespace().collect();
            Err(LandError::Refused(words.join(" ")))
        }
        _ => Err(LandError::BaseMoved),
    }
}

/// What the user would go back to with `git reset ORIG_HEAD`. Git overwrites it before it knows whether it can merge.
struct OrigHead {
    path: PathBuf,
    content: Option<Vec<u8>>,
}

impl OrigHead {
    fn of(checkout: &Checkout) -> Result<OrigHead, Error> {
        let path = checkout.git_dir.join("ORIG_HEAD");
        let content = Self::read(&path)?;
        Ok(OrigHead { path, content })
    }

    fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
        match fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("cannot read", path)(e)),
        }
    }

    fn restore(self) -> Result<(), Error> {
        if Self::read(&self.path)? == self.content {
            return Ok(());
        }
        let put_back = match &self.content {
            Some(content) => fs::write(&self.path, content),
            None => fs::remove_file(&self.path),
        };
        put_back.map_err(Error::io("cannot put back", &self.path))
    }
}

fn refuse_busy(checkout: &Checkout, branch: &str) -> Result<(), LandError> {
    let path = &checkout.path;
    let refused = |what: &str| LandError::Refused(format!("{branch} is checked out in {path:?}, {what}"));
    if checkout.git_dir.join("index.lock").exists() {
        return Err(refused("where another git is at work; if none is, remove index.lock"));
    }
    if let Some(operation) = entry::operation(&checkout.git_dir) {
        return Err(refused(&format!("where {operation} is under way; finish or abort it")));
    }
    let status = Git::reading(path).args(["status", "--porcelain=v2", "--untracked-files=no", "-z"]).output()?;
    if status.code != Some(0) {
        return Err(refused(&format!("which git cannot read: {}", status.stderr)));
    }
    if !status.stdout.is_empty() {
        return Err(refused("where tracked files have changes; commit or stash them"));
    }
    Ok(())
}

/// Where a branch is checked out, if anywhere.
pub(super) fn checkout_of(repo: &Path, branch: &str) -> Result<Option<PathBuf>, Error> {
    Ok(checkout(repo, branch)?.map(|checkout| checkout.path))
}

/// A working tree with a branch, or one that an operation under way will put back on it.
struct Checkout {
    path: PathBuf,
    git_dir: PathBuf,
}

fn checkout(repo: &Path, branch: &str) -> Result<Option<Checkout>, Error> {
    let common = entry::common_dir(repo)?;
    let listed = Git::reading(repo).args(["worktree", "list", "--porcelain"]).run()?;
    let mut git_dirs = vec![common.clone()];
    git_dirs.extend(std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten().map(|e| e.path()));
    for (index, (path, on)) in worktrees(&listed).into_iter().enumerate() {
        let link = entry::real(&path).join(".git");
        let is_here = |dir: &&PathBuf| entry::points_to(dir, &link);
        let Some(git_dir) = (if index == 0 { Some(&common) } else { git_dirs[1..].iter().find(is_here) }) else {
            continue;
        };
        if on.as_deref() != Some(branch.as_bytes()) && !entry::returns_to(git_dir, branch) {
            continue;
        }
        if path.exists() {
            return Ok(Some(Checkout { path: main_path(repo, index, path)?, git_dir: git_dir.clone() }));
        }
        if git_dir.join("locked").exists() {
            return Ok(Some(Checkout { path, git_dir: git_dir.clone() }));
        }
    }
    Ok(None)
}

/// The main working tree. Git lists the git directory in its place when that is kept somewhere else.
fn main_path(repo: &Path, index: usize, listed: PathBuf) -> Result<PathBuf, Error> {
    if index > 0 || listed.join(".git").exists() {
        return Ok(listed);
    }
    Ok(git::path(&Git::reading(repo).args(["rev-parse", "--show-toplevel"]).run()?))
}

/// Each worktree of `git worktree list --porcelain` and the branch it is on. A path may contain newlines.
fn worktrees(listed: &[u8]) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
    let mut in_path = false;
    for line in listed.split(|b| *b == b'\n') {
        if !in_path && let Some(path) = line.strip_prefix(b"worktree ") {
            found.push((path.to_vec(), None));
            in_path = true;
        } else if let Some((path, branch)) = found.last_mut() {
            if line == b"bare" || line.starts_with(b"HEAD ") {
                in_path = false;
            } else if in_path {
                path.push(b'\n');
                path.extend(line);
            } else if let Some(name) = line.strip_prefix(b"branch refs/heads/") {
                *branch = Some(name.to_vec());
            }
        }
    }
    found.into_iter().map(|(path, branch)| (git::path(&path), branch)).collect()
}

fn base_ref(branch: &str) -> String {
    format!("refs/heads/{}", branch.strip_prefix("refs/heads/").unwrap_or(branch))
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
