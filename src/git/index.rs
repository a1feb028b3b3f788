//! Reads the files of a worktree into a git tree, and checks out a commit, both through an index of boi's own.
//!
//! Invariants:
//! - Boi's own index is in the scratch directory. Agents do not write it, so no flag that an agent sets in
//!   the worktree's index can hide a change. The index also caches the files that were read, so that reading
//!   unchanged files again is cheap.
//! - Files that git ignores are not read. Nested repositories (git repositories inside the worktree that are
//!   not part of its commit) are not read, either.
//! - The worktree's own index exists only once the checkout is complete.

use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::git_error::{self, GitError, Severity};
use super::place::Place;
use super::program::{self, Git, GitOutput};
use super::worktree::LockedWorktree;
use super::{entry, refs, small_file};
use crate::system::files;

/// Sets boi's own index to a commit (`None`: to an empty tree) without changing the worktree. The cached
/// information about unchanged files stays valid.
pub(super) fn load(worktree: &LockedWorktree, at: &Place, commit: Option<&str>) -> Result<(), GitError> {
    let read = || {
        let git = own_index_git(worktree, at)?.arg("read-tree");
        match commit {
            Some(commit) => git.args(["--reset", commit]).run(),
            None => git.arg("--empty").run(),
        }
    };
    if read().is_err() {
        // The index is damaged or belongs to another repository. It can be deleted, because it is only a cache.
        let _ = fs::remove_file(worktree.own_index());
        read()?;
    }
    Ok(())
}

/// Returns the paths of nested repositories, relative to the worktree, without those that git ignores and
/// those that are part of the loaded commit. [`load`] must be called first.
pub(super) fn nested_repositories(worktree: &LockedWorktree, at: &Place) -> Result<Vec<PathBuf>, GitError> {
    let args = ["ls-files", "--others", "--exclude-standard", "-z"];
    let others = run_readable(worktree, || Ok(own_index_git(worktree, at)?.running_filters().args(args)))?;
    if others.code != Some(0) {
        return Err(others.into_error());
    }
    // Git lists a repository as a folder, everything else as single files.
    let repositories = others.stdout.split(|byte| *byte == 0).filter_map(|path| path.strip_suffix(b"/"));
    Ok(repositories.map(program::path).collect())
}

/// Reads all files except the nested repositories `excluded` into boi's own index and returns the files'
/// tree. [`load`] must be called first with the same `commit`. Fails if a nested repository is in the place
/// of a file of `commit`: the tree would contain only a link to the repository.
pub(super) fn write_tree(
    worktree: &LockedWorktree,
    at: &Place,
    excluded: &[PathBuf],
    commit: Option<&str>,
) -> Result<String, GitError> {
    let list = worktree.scratch().join("pathspec");
    if !excluded.is_empty() {
        let mut specs = b":(top)\0".to_vec();
        for path in excluded {
            specs.extend([b":(top,exclude,literal)", path.as_os_str().as_bytes(), b"\0"].concat());
        }
        small_file::replace(&list, &specs)?;
    }
    let added = run_readable(worktree, || {
        let add = own_index_git(worktree, at)?.running_filters().args(["add", "--all"]);
        if excluded.is_empty() {
            return Ok(add);
        }
        let mut from = OsString::from("--pathspec-from-file=");
        from.push(&list);
        Ok(add.arg(from).arg("--pathspec-file-nul"))
    })?;
    if added.code != Some(0) {
        let paths = repositories_without_commit(&added.stderr);
        return Err(if paths.is_empty() { cannot_add(added) } else { GitError::NestedRepositories { paths } });
    }
    let tree = own_index_git(worktree, at)?.arg("write-tree").line()?;
    let Some(commit) = commit else { return Ok(tree) };
    let paths = changed_gitlinks(at, commit, &tree)?;
    if paths.is_empty() { Ok(tree) } else { Err(GitError::NestedRepositories { paths }) }
}

/// Writes the files of `commit` into the worktree, overwriting files that differ, and sets boi's own index to
/// `commit`. Does not delete untracked files.
pub(super) fn check_out(worktree: &LockedWorktree, at: &Place, commit: &str) -> Result<(), GitError> {
    let git = own_index_git(worktree, at)?.running_filters().fetching();
    git.args(["read-tree", "--reset", "-u", commit]).run()?;
    Ok(())
}

/// Replaces the worktree's own index with a copy of boi's index.
pub(super) fn install(worktree: &LockedWorktree, entry: &Path) -> Result<(), GitError> {
    let (from, to) = (worktree.own_index(), entry.join("index"));
    let temporary = entry.join("index.boi");
    entry::remove_any(&temporary)?;
    let copy = || {
        // An agent may have put a link or a pipe there.
        let mut copy = File::options().write(true).create_new(true).open(&temporary)?;
        io::copy(&mut File::open(&from)?, &mut copy)?;
        // Git trusts a cached file only if it is older than the index, so the copy must not look newer than the
        // original.
        let times = FileTimes::new().set_modified(fs::metadata(&from)?.modified()?);
        copy.set_times(times)?;
        fs::rename(&temporary, &to)
    };
    copy().map_err(GitError::io("cannot write", &to))
}

/// Whether boi's own index contains no file.
pub(super) fn is_empty(worktree: &LockedWorktree, at: &Place) -> Result<bool, GitError> {
    Ok(own_index_git(worktree, at)?.arg("ls-files").run()?.is_empty())
}

/// Rebuilds the worktree's own index from the branch if git cannot read the index, and returns whether that was
/// necessary. The rebuilt index has no staged changes. No file of the worktree changes.
pub(super) fn repair(worktree: &LockedWorktree) -> Result<bool, GitError> {
    let Ok(at) = worktree.place() else { return Ok(false) };
    // Git would wait for the writer of a pipe.
    let Ok(metadata) = fs::symlink_metadata(at.git_dir.join("index")) else { return Ok(false) };
    if metadata.is_file() && Git::reading(&at).args(["ls-files", "--", ".git"]).output()?.code == Some(0) {
        return Ok(false);
    }
    let head = refs::branch_head_at(&at, worktree.spec())?;
    load(worktree, &at, head.as_deref())?;
    install(worktree, &at.git_dir)?;
    Ok(true)
}

fn own_index_git(worktree: &LockedWorktree, at: &Place) -> Result<Git, GitError> {
    Ok(worktree.git_at(at)?.index(&worktree.own_index()))
}

/// Runs a git command that reads the whole worktree. Git skips folders that it may not read, and their files would be
/// missing from the commit and be deleted with the worktree. Therefore, if git was denied access, the access
/// rights of this user's files are restored and git runs again.
fn run_readable(worktree: &LockedWorktree, git: impl Fn() -> Result<Git, GitError>) -> Result<GitOutput, GitError> {
    let output = git()?.output()?;
    if !output.permission_denied {
        return Ok(output);
    }
    files::make_tree_readable(worktree.path());
    git()?.output()
}

/// Returns the paths at which `tree` has a link to a repository and `commit` does not have the same link.
fn changed_gitlinks(at: &Place, commit: &str, tree: &str) -> Result<Vec<PathBuf>, GitError> {
    let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", commit, tree];
    let changes = Git::reading(at).args(args).run()?;
    let mut fields = changes.split(|byte| *byte == 0);
    let mut paths = Vec::new();
    // Each change is `:OLD_MODE NEW_MODE ...`, then its path.
    while let (Some(change), Some(path)) = (fields.next(), fields.next()) {
        if change.split(|byte| *byte == b' ').nth(1) == Some(b"160000") {
            paths.push(program::path(path));
        }
    }
    Ok(paths)
}

/// The error of a `git add` that failed. Unless a resource of the machine is missing, or git cannot write to the
/// repository, git refuses the files.
fn cannot_add(added: GitOutput) -> GitError {
    let is_about_repository = ["insufficient permission for adding an object", "unable to create temporary file"]
        .iter()
        .any(|text| added.stderr.contains(text));
    if is_about_repository || git_error::severity_of(&added.stderr) == Severity::Transient || added.code.is_none() {
        return added.into_error();
    }
    GitError::CannotAdd { dir: added.dir, stderr: added.stderr }
}

/// Returns the paths of the repositories that `git add` rejects, parsed from its messages `error: 'path/'
/// does not have a commit checked out`.
fn repositories_without_commit(stderr: &str) -> Vec<PathBuf> {
    let path =
        |line: &str| Some(line.split_once('\'')?.1.split_once("/' does not have a commit checked out")?.0.into());
    stderr.lines().filter_map(path).collect()
}
