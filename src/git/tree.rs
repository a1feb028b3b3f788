//! The files of a worktree: read as a git tree, and made equal to a commit.
//!
//! Invariants:
//! - Files are read through boi's own index in the scratch directory. An agent does not write that one, so no flag that
//!   an agent sets in the worktree's index hides a change; and it remembers what was read, so that reading again is cheap.
//! - What git ignores is neither read nor removed. Nested repositories are left in place.
//! - The worktree's own index appears only when a checkout is complete: without it, a checkout was cut off.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::git::{self, Git, Outcome};
use super::{Error, WorktreeLock, capture, entry, power, refs};
use crate::system::files;

/// What was done to make a worktree equal to a commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Refs that hold what was taken away.
    pub kept: Vec<String>,
    /// Nested repositories that were left in place, relative to the worktree.
    pub nested: Vec<PathBuf>,
}

/// Makes the worktree's files equal to `commit`, at which the branch must stand, with HEAD on the branch and no
/// operation under way. What differs, and commits of HEAD's, are kept first. What git ignores stays.
pub fn settle(at: &WorktreeLock, commit: &str, label: &str) -> Result<Settled, Error> {
    let entry = entry::of_worktree(at.path()).ok_or_else(|| Error::NoWorktree { path: at.path().to_owned() })?;
    entry::break_locks(at)?;
    entry::drop_torn_index(&entry)?;
    let found = refs::branch_head(at.path(), at.spec())?;
    if found.as_deref() != Some(commit) {
        return Err(Error::Diverged { branch: at.spec().branch(), expected: commit.to_owned(), found });
    }
    capture::bring_home(at, &entry, commit, label)?;
    let unfinished = !entry.join("index").exists();
    begin(at, Some(commit))?;
    let nested = nested(at)?;
    refuse_in_the_way(at, commit, &nested)?;
    let tree = stage(at, &nested, Some(commit))?;
    if tree == tree_of(at.path(), commit)? {
        install_index(at, &entry)?;
    } else {
        if !(unfinished && only_lacks(at.path(), commit, &tree)?) {
            refs::keep_tree(at, &tree, Some(commit), label)?;
        }
        at.git()?.index(&at.index()).args(["read-tree", "--reset", "-u", commit]).run()?;
        install_index(at, &entry)?;
        at.git()?.args(["clean", "-f", "-d", "-q"]).run()?;
    }
    // Also where nothing differs: what wrote the same again did not sync it.
    power::keep(at)?;
    Ok(Settled { kept: refs::kept_with(at.repo(), at.spec(), label)?, nested })
}

/// Lays the files of `commit` in a worktree that has none yet.
pub(super) fn fill(at: &WorktreeLock, entry: &Path, commit: &str) -> Result<(), Error> {
    let _ = fs::remove_file(at.index());
    entry::break_locks(at)?;
    at.git()?.index(&at.index()).args(["read-tree", "--reset", "-u", commit]).run()?;
    install_index(at, entry)
}

/// Sets boi's index to a commit (`None`: to nothing), without touching files. What it knew of unchanged files it keeps.
pub(super) fn begin(at: &WorktreeLock, commit: Option<&str>) -> Result<(), Error> {
    let read = |at: &WorktreeLock| {
        let git = at.git()?.index(&at.index()).arg("read-tree");
        match commit {
            Some(commit) => git.args(["--reset", commit]).run(),
            None => git.arg("--empty").run(),
        }
    };
    if read(at).is_err() {
        // Cut off while it was copied, or of another repository: it only saves time.
        let _ = fs::remove_file(at.index());
        read(at)?;
    }
    Ok(())
}

/// The nested repositories that git neither ignores nor has in the commit that [`begin`] read.
pub(super) fn nested(at: &WorktreeLock) -> Result<Vec<PathBuf>, Error> {
    let args = ["ls-files", "--others", "--exclude-standard", "-z"];
    let others = read_whole(at, || Ok(at.git()?.index(&at.index()).args(args)))?;
    if others.code != Some(0) {
        return Err(others.into_error());
    }
    let repositories = others.stdout.split(|b| *b == 0).filter_map(|path| path.strip_suffix(b"/"));
    Ok(repositories.map(git::path).collect())
}

/// Runs a git that reads the whole tree. It passes over a folder that it may not read, and what is in that would be in no
/// commit and be lost with the worktree: where it is this user's, it is opened up, and git is run again.
fn read_whole(at: &WorktreeLock, git: impl Fn() -> Result<Git, Error>) -> Result<Outcome, Error> {
    let read = git()?.output()?;
    if !read.denied {
        return Ok(read);
    }
    files::open_up(at.path());
    git()?.output()
}

/// Reads all files but the nested repositories into boi's index, and returns their tree.
/// A repository that took the place of a file of `commit` is an error: git would make a mere link of it.
pub(super) fn stage(at: &WorktreeLock, nested: &[PathBuf], commit: Option<&str>) -> Result<String, Error> {
    let list = at.worktree().scratch.join("pathspec");
    if !nested.is_empty() {
        let mut specs = b":(top)\0".to_vec();
        for path in nested {
            specs.extend([b":(top,exclude,literal)", path.as_os_str().as_bytes(), b"\0"].concat());
        }
        fs::write(&list, specs).map_err(Error::io("cannot write", &list))?;
    }
    let added = read_whole(at, || {
        let add = at.git()?.index(&at.index()).args(["add", "--all"]);
        if nested.is_empty() {
            return Ok(add);
        }
        let mut from = std::ffi::OsString::from("--pathspec-from-file=");
        from.push(&list);
        Ok(add.arg(from).arg("--pathspec-file-nul"))
    })?;
    if added.code != Some(0) {
        let links = without_commit(&added.stderr);
        return Err(if links.is_empty() { added.into_error() } else { Error::NestedRepository { paths: links } });
    }
    let tree = at.git()?.index(&at.index()).arg("write-tree").line()?;
    let Some(commit) = commit else { return Ok(tree) };
    let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", commit, &tree];
    let changes = Git::reading(at.path()).args(args).run()?;
    let mut fields = changes.split(|byte| *byte == 0);
    let mut links = Vec::new();
    while let (Some(change), Some(path)) = (fields.next(), fields.next()) {
        if change.split(|byte| *byte == b' ').nth(1) == Some(b"160000") {
            links.push(git::path(path));
        }
    }
    if links.is_empty() { Ok(tree) } else { Err(Error::NestedRepository { paths: links }) }
}

/// The repositories without a commit that git could not make links of, as it says: `error: 'path/' does not have ...`.
fn without_commit(stderr: &str) -> Vec<PathBuf> {
    let path =
        |line: &str| Some(line.split_once('\'')?.1.split_once("/' does not have a commit checked out")?.0.into());
    stderr.lines().filter_map(path).collect()
}

/// Makes a copy of boi's index the worktree's own.
pub(super) fn install_index(at: &WorktreeLock, entry: &Path) -> Result<(), Error> {
    let (from, to) = (at.index(), entry.join("index"));
    let temporary = entry.join("index.boi");
    let copy = || {
        fs::copy(&from, &temporary)?;
        // Git takes an entry for unchanged only if its file is older than the index; a copy must not look younger.
        let times = FileTimes::new().set_modified(fs::metadata(&from)?.modified()?);
        File::options().write(true).open(&temporary)?.set_times(times)?;
        fs::rename(&temporary, &to)
    };
    copy().map_err(Error::io("cannot write", &to))
}

/// The tree of a commit.
pub(super) fn tree_of(dir: &Path, commit: &str) -> Result<String, Error> {
    Git::reading(dir).args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).line()
}

/// Whether `tree` has nothing that `commit` has not: it is a checkout that was cut off.
pub(super) fn only_lacks(dir: &Path, commit: &str, tree: &str) -> Result<bool, Error> {
    let args = ["diff-tree", "-r", "--no-renames", "--name-only", "--diff-filter=d", commit, tree];
    Ok(Git::reading(dir).args(args).run()?.is_empty())
}

/// Refuses a nested repository in whose place, or in the place of a folder above it, the commit has a file: laying the
/// file would delete the repository.
fn refuse_in_the_way(at: &WorktreeLock, commit: &str, nested: &[PathBuf]) -> Result<(), Error> {
    if nested.is_empty() {
        return Ok(());
    }
    let places: BTreeSet<&Path> = nested.iter().flat_map(|path| path.ancestors()).collect();
    let places = places.into_iter().filter(|path| !path.as_os_str().is_empty());
    let listed = Git::reading(at.path()).args(["ls-tree", "-z", commit, "--"]).args(places).run()?;
    let is_file = |entry: &[u8]| !entry.is_empty() && !entry.starts_with(b"040000 ");
    if listed.split(|b| *b == 0).any(is_file) {
        return Err(Error::NestedRepository { paths: nested.to_vec() });
    }
    Ok(())
}
