//! Reads the files of a worktree into a git tree, and checks out a commit, both through an index of boi's own.
//!
//! Invariants:
//! - Boi's own index is in the scratch directory. Agents do not write it, so no flag that an agent sets in
//!   the worktree's index can hide a change. The index also caches the files that were read, so that reading
//!   unchanged files again is cheap.
//! - Files that git ignores are not read. Nested repositories (git repositories inside the worktree that are
//!   not part of its commit) are not read, either.
//! - Paths that boi copied into the worktree, and folders that it keeps for the next spec, are not read even if git does
//!   not ignore them: see `copy_record`.
//! - The worktree's own index exists only once the checkout is complete.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::copy_record::{self, Withheld};
use super::git_error::{self, GitError, Severity};
use super::index_summary::IndexSummary;
use super::place::Place;
use super::program::{self, Git, GitOutput};
use super::worktree::LockedWorktree;
use super::{entry, index_summary, lfs, loose_object, refs, revision, small_file};
use crate::system::attempt_folder;
use crate::system::files::{self, Durability};

/// The file in the scratch directory that records which tree entries of an index form: the digest of the entries, and the
/// tree. Git removes the tree from the index when it writes an entry again.
const LAST_TREE: &str = "last-tree";
/// The file in the scratch directory that records the tree of the commit that was checked out last.
const LAST_CHECKOUT: &str = "last-checkout";

/// What boi's own index contains after [`load`].
pub(super) struct Loaded {
    commit: String,
    /// The tree of the commit.
    pub(super) tree: String,
    /// The digest of the entries; `None`: only git can read the index.
    entries: Option<String>,
    /// A commit that was merged into the files: submodules may be at the commits that it records.
    merged: Option<String>,
}

impl Loaded {
    /// Returns what was loaded, for files into which `merged` was merged.
    pub(super) fn with_merged(self, merged: Option<&str>) -> Loaded {
        Loaded { merged: merged.map(str::to_owned), ..self }
    }
}

/// Sets boi's own index to a commit without changing the worktree. The cached information about unchanged files stays
/// valid.
pub(super) fn load(worktree: &LockedWorktree, at: &Place, commit: &str) -> Result<Loaded, GitError> {
    let found = || {
        let tree = loose_object::tree_of(at, commit).or_else(|| recorded(worktree, LAST_CHECKOUT, commit));
        let index = summary(worktree, commit.len());
        (tree, index.map_or((None, None), |index| (index.tree, Some(index.entries))))
    };
    let (tree, loaded) = match found() {
        (Some(tree), (Some(loaded), entries)) if tree == loaded => (Some(tree), (Some(loaded), entries)),
        _ => {
            read_tree(worktree, at, &["--reset", commit])?;
            found()
        }
    };
    let tree = match loaded.0.or(tree) {
        Some(tree) => tree,
        None => revision::tree_of(at, commit)?,
    };
    Ok(Loaded { commit: commit.to_owned(), tree, entries: loaded.1, merged: None })
}

/// Reads boi's own index. Knows the tree also if only the record of the last tree contains it.
fn summary(worktree: &LockedWorktree, digits: usize) -> Option<IndexSummary> {
    let mut index = index_summary::read(&worktree.own_index(), digits)?;
    if index.tree.is_none() {
        index.tree = recorded(worktree, LAST_TREE, &index.entries).filter(|tree| tree.len() == digits);
    }
    Some(index)
}

/// Returns the tree that a record in the scratch directory names for `key`.
fn recorded(worktree: &LockedWorktree, name: &str, key: &str) -> Option<String> {
    let text = small_file::read_text(&worktree.scratch().join(name))?;
    entry::parse_hash(text.strip_prefix(key)?.strip_prefix(' ')?)
}

fn record(worktree: &LockedWorktree, name: &str, key: &str, tree: &str) -> Result<(), GitError> {
    let path = worktree.scratch().join(name);
    attempt_folder::open(worktree.scratch())
        .and_then(|folder| folder.replace(name, format!("{key} {tree}").as_bytes(), Durability::Process))
        .map_err(GitError::io("cannot write", &path))
}

/// Sets boi's own index to an empty tree without changing the worktree.
pub(super) fn load_nothing(worktree: &LockedWorktree, at: &Place) -> Result<(), GitError> {
    read_tree(worktree, at, &["--empty"])
}

fn read_tree(worktree: &LockedWorktree, at: &Place, args: &[&str]) -> Result<(), GitError> {
    let read = || own_index_git(worktree, at)?.arg("read-tree").args(args).run();
    if read().is_err() {
        // The index is damaged or belongs to another repository. It can be deleted, because it is only a cache.
        let _ = fs::remove_file(worktree.own_index());
        read()?;
    }
    Ok(())
}

/// Reads all files of the worktree, of which no commit is known, and returns their tree. [`load_nothing`] must be called
/// first.
pub(super) fn read_all_files(worktree: &LockedWorktree, at: &Place) -> Result<String, GitError> {
    add(worktree, at, &withheld_files(worktree, at, &copy_record::withheld(worktree)?)?)?;
    write_tree(worktree, at)
}

/// Returns the files of the worktree that are withheld, that git does not ignore, and that are not part of the loaded
/// commit. [`load`] must be called first. Runs no git process if nothing is withheld.
pub(super) fn withheld_files(
    worktree: &LockedWorktree,
    at: &Place,
    withheld: &Withheld,
) -> Result<Vec<PathBuf>, GitError> {
    if withheld.is_empty() { Ok(Vec::new()) } else { Ok(withheld.among(&others(worktree, at)?)) }
}

/// Returns the withheld paths that the index of the worktree, which an agent may have written, contains in addition to
/// `commit`. An index that git cannot read contains none: boi replaces it.
pub(super) fn withheld_in_index(at: &Place, commit: &str, withheld: &Withheld) -> Result<Vec<PathBuf>, GitError> {
    if withheld.is_empty() {
        return Ok(Vec::new());
    }
    let args = ["diff-index", "--cached", "-z", "--name-only", "--no-renames", "--diff-filter=A", commit];
    let added = Git::reading(at).args(args).output()?;
    Ok(if added.code == Some(0) { withheld.among(&added.stdout) } else { Vec::new() })
}

/// Returns the withheld paths that `tree` contains in addition to `commit`.
pub(super) fn withheld_in_tree(
    at: &Place,
    commit: &str,
    tree: &str,
    withheld: &Withheld,
) -> Result<Vec<PathBuf>, GitError> {
    if withheld.is_empty() {
        return Ok(Vec::new());
    }
    let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", commit, tree];
    Ok(withheld.among(&Git::reading(at).args(args).run()?))
}

/// Returns the paths of nested repositories, relative to the worktree, without those that git ignores and
/// those that are part of the loaded commit. [`load`] must be called first.
pub(super) fn nested_repositories(worktree: &LockedWorktree, at: &Place) -> Result<Vec<PathBuf>, GitError> {
    let (others, withheld) = (others(worktree, at)?, copy_record::withheld(worktree)?);
    // Git lists a repository as a folder, everything else as single files.
    let repositories = others.split(|byte| *byte == 0).filter_map(|path| path.strip_suffix(b"/"));
    Ok(repositories.filter(|path| !withheld.covers(path)).map(program::path).collect())
}

/// Returns the paths of files, and of nested repositories, that git does not ignore and that are not part of the loaded
/// commit.
fn others(worktree: &LockedWorktree, at: &Place) -> Result<Vec<u8>, GitError> {
    let args = ["ls-files", "--others", "--exclude-standard", "-z"];
    let others = run_readable(worktree, || Ok(own_index_git(worktree, at)?.running_filters().args(args)))?;
    if others.code == Some(0) { Ok(others.stdout) } else { Err(others.into_error()) }
}

/// Reads all files of the worktree into boi's own index, which [`load`] has set to a commit, and returns their tree.
/// Leaves out the files `withheld`, which [`withheld_files`] returned. If
/// there are nested repositories, `on_nested` gets their paths and returns those to leave out; it is not called otherwise.
/// Fails if a nested repository is in the place of a file of the commit: the tree would contain only a link to it.
pub(super) fn read_files(
    worktree: &LockedWorktree,
    at: &Place,
    loaded: &Loaded,
    withheld: &[PathBuf],
    on_nested: impl FnOnce(Vec<PathBuf>) -> Result<Vec<PathBuf>, GitError>,
) -> Result<String, GitError> {
    match add_and_write_tree(worktree, at, withheld, loaded) {
        // Git finds a nested repository while it reads the files, but may not name all of them.
        Err(GitError::NestedRepositories { .. } | GitError::CannotAdd { .. }) => {}
        written => return written,
    }
    let loaded = load(worktree, at, &loaded.commit)?.with_merged(loaded.merged.as_deref());
    let mut excluded = on_nested(nested_repositories(worktree, at)?)?;
    excluded.extend_from_slice(withheld);
    add_and_write_tree(worktree, at, &excluded, &loaded)
}

fn add_and_write_tree(
    worktree: &LockedWorktree,
    at: &Place,
    excluded: &[PathBuf],
    loaded: &Loaded,
) -> Result<String, GitError> {
    add(worktree, at, excluded)?;
    let index = index_summary::read(&worktree.own_index(), loaded.commit.len());
    let tree = match &index {
        Some(IndexSummary { tree: Some(tree), .. }) => tree.clone(),
        Some(IndexSummary { entries, .. }) if loaded.entries.as_ref() == Some(entries) => {
            record(worktree, LAST_TREE, entries, &loaded.tree)?;
            loaded.tree.clone()
        }
        _ => write_tree(worktree, at)?,
    };
    if index.is_some_and(|index| !index.has_gitlinks) {
        return Ok(tree);
    }
    let mut paths = changed_gitlinks(at, &loaded.commit, &tree)?;
    if let (Some(merged), false) = (&loaded.merged, paths.is_empty()) {
        let differ = changed_gitlinks(at, merged, &tree)?;
        paths.retain(|path| differ.contains(path));
    }
    if paths.is_empty() { Ok(tree) } else { Err(GitError::NestedRepositories { paths }) }
}

fn write_tree(worktree: &LockedWorktree, at: &Place) -> Result<String, GitError> {
    own_index_git(worktree, at)?.arg("write-tree").line()
}

/// Marks the missing files that the present patterns of the sparse checkout leave out, so that they do not count as deleted.
/// A command may have left out more, and a new index does not know what is left out.
fn leave_out(worktree: &LockedWorktree, at: &Place) -> Result<(), GitError> {
    let missing = own_index_git(worktree, at)?.args(["ls-files", "--deleted", "-z"]).run()?;
    if missing.is_empty() {
        return Ok(());
    }
    let from = |input: &[u8]| -> Result<Git, GitError> {
        let git = Git::writing_from(at, worktree.lock_file(), input)?.own_tree(worktree.sparse().as_ref());
        Ok(git.index(&worktree.own_index()))
    };
    let wanted = from(&missing)?.args(["sparse-checkout", "check-rules", "-z"]).run()?;
    let wanted: BTreeSet<&[u8]> = wanted.split(|byte| *byte == 0).collect();
    let left_out: Vec<&[u8]> = missing.split(|byte| *byte == 0).filter(|path| !wanted.contains(path)).collect();
    if left_out.iter().all(|path| path.is_empty()) {
        return Ok(());
    }
    from(&left_out.join(&0))?.args(["update-index", "--skip-worktree", "-z", "--stdin"]).run().map(drop)
}

/// Reads all files except the files and nested repositories `excluded` into boi's own index.
fn add(worktree: &LockedWorktree, at: &Place, excluded: &[PathBuf]) -> Result<(), GitError> {
    if worktree.sparse().is_some() {
        leave_out(worktree, at)?;
    }
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
        // Also files that the sparse checkout leaves out, if a command created them.
        let add = if worktree.sparse().is_some() { add.arg("--sparse") } else { add };
        if excluded.is_empty() {
            return Ok(add);
        }
        let mut from = OsString::from("--pathspec-from-file=");
        from.push(&list);
        Ok(add.arg(from).arg("--pathspec-file-nul"))
    })?;
    if added.code == Some(0) {
        return Ok(());
    }
    let paths = repositories_without_commit(&added.stderr);
    Err(if paths.is_empty() { cannot_add(added) } else { GitError::NestedRepositories { paths } })
}

/// Writes the files of `commit` into the worktree, overwriting files that differ, and sets boi's own index to
/// `commit`. Does not delete untracked files.
pub(super) fn check_out(worktree: &LockedWorktree, at: &Place, commit: &str) -> Result<(), GitError> {
    let git = own_index_git(worktree, at)?.running_filters();
    let written = git.args(["read-tree", "--reset", "-u", commit]).output()?;
    if written.code != Some(0) {
        return Err(written.into_error());
    }
    lfs::record_missing(worktree, &written, own_index_git(worktree, at)?)?;
    match index_summary::read(&worktree.own_index(), commit.len()).and_then(|index| index.tree) {
        Some(tree) => record(worktree, LAST_CHECKOUT, commit, &tree),
        None => Ok(()),
    }
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

/// Lists the entries of boi's own index, in the format of `git ls-files --stage -z`.
pub(super) fn list(worktree: &LockedWorktree, at: &Place) -> Result<Vec<u8>, GitError> {
    own_index_git(worktree, at)?.args(["ls-files", "--stage", "-z"]).run()
}

/// Compares boi's own index with files whose times were changed, and replaces the worktree's index with it. So git does not
/// read the files again.
pub(super) fn refresh(worktree: &LockedWorktree, at: &Place) -> Result<(), GitError> {
    own_index_git(worktree, at)?.args(["update-index", "-q", "--refresh"]).output()?;
    install(worktree, &at.git_dir)
}

/// Returns those of `folders`, which need not exist, that git ignores.
pub(super) fn ignored_folders(
    worktree: &LockedWorktree,
    at: &Place,
    folders: &[String],
) -> Result<HashSet<String>, GitError> {
    let named = folders.iter().map(|folder| format!("{folder}/"));
    let output = own_index_git(worktree, at)?
        .settings(&["core.quotePath=false"])
        .args(["check-ignore", "--"])
        .args(named)
        .output()?;
    match output.code {
        Some(0 | 1) => {}
        _ => return Err(output.into_error()),
    }
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(listed.lines().map(|folder| folder.trim_end_matches('/').to_owned()).collect())
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
    match head {
        Some(head) => drop(load(worktree, &at, &head)?),
        None => load_nothing(worktree, &at)?,
    }
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
pub(super) fn cannot_add(added: GitOutput) -> GitError {
    if git_error::lacks_object(&added.stderr) {
        return added.into_error();
    }
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
