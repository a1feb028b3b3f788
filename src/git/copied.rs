//! Copies files that git ignores from the user's checkout into a new worktree, such as `.env`.
//!
//! ```text
//! record (incomplete) ─▶ worktree ─▶ find the files ─▶ record with their paths ─▶ copy ─▶ record (complete)
//! ```
//!
//! A file is copied if a pattern matches it and git ignores it, both in the user's checkout and in the new worktree.
//! After a kill at any point, the next call repeats the copying. Files are never copied into a worktree that is used as
//! it is.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::copy_record::{self, CopyRecord, RecordedPath};
use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::worktree::LockedWorktree;
use super::{entry, repository, sync};
use crate::domain::position::Checkout;
use crate::system::attempt_folder;
use crate::system::failpoint;
use crate::system::files::Durability;
use crate::system::untrusted::{CopyError, Folder, is_damaged};

/// The file at the root of the user's checkout that has patterns of files to copy, as other tools read it.
pub(crate) const INCLUDE_FILE: &str = ".worktreeinclude";
/// The maximum size of that file, in bytes.
const MAX_INCLUDE: usize = 64 * 1024;
/// How many files are copied at most.
const MAX_FILES: usize = 20_000;
/// The files in the scratch directory from which git reads patterns and paths.
const PATTERNS: &str = "copy-patterns";
const PATHS: &str = "copy-paths";

/// The copying of files into a worktree that is about to be created.
#[derive(Debug)]
pub(crate) struct Copying {
    /// The patterns of the spec.
    patterns: Vec<String>,
    /// Whether an earlier call did not complete the copying.
    is_unfinished: bool,
    /// Whether there may be something to copy.
    is_wanted: bool,
}

/// Prepares the copying of the files that match `patterns` into the worktree, before the worktree is created at `base` or
/// made ready. Records the folders `keep` of the worktree, which boi does not commit.
pub(crate) fn prepare_copying(
    worktree: &LockedWorktree,
    base: &str,
    checkout: Checkout,
    patterns: &[String],
    keep: &[String],
) -> Result<Copying, GitError> {
    let before = copy_record::read(worktree)?;
    let is_recorded = before != CopyRecord::default();
    let has_files = fs::symlink_metadata(worktree.path().join(".git")).is_ok();
    let begins = checkout == Checkout::Clean || !has_files;
    let include = worktree.users_repo().join(INCLUDE_FILE);
    let is_wanted = !patterns.is_empty() || fs::symlink_metadata(include).is_ok();
    let is_unfinished = is_recorded && !before.complete;
    let copying = Copying { patterns: patterns.to_vec(), is_unfinished, is_wanted };
    let keep: Vec<RecordedPath> = keep.iter().map(|folder| RecordedPath::of(Path::new(folder))).collect();
    if !begins && before.keep == keep || !is_wanted && keep.is_empty() && !is_recorded {
        return Ok(copying);
    }
    let base = if begins { Some(base.to_owned()) } else { before.base.clone() };
    let complete = if begins { !is_wanted } else { before.complete };
    let record = CopyRecord { complete, base, keep, ..before.clone() };
    if record != before {
        copy_record::write(worktree, &record)?;
        failpoint::hit("copy.prepared");
    }
    Ok(Copying { is_unfinished: is_recorded && !record.complete, ..copying })
}

/// Copies the files. `is_new`: the worktree's files were created, or made equal to a commit.
pub(crate) fn copy_files(worktree: &LockedWorktree, copying: &Copying, is_new: bool) -> Result<(), GitError> {
    if !copying.is_wanted || !(is_new || copying.is_unfinished) {
        return Ok(());
    }
    let before = copy_record::read(worktree)?;
    let mut record = CopyRecord {
        complete: false,
        base: before.base,
        paths: before.paths,
        keep: before.keep,
        withheld: before.withheld,
        ..CopyRecord::default()
    };
    let files = match users_checkout(worktree)? {
        Some(users) => {
            let found = find(worktree, &users, &copying.patterns, &mut record)?;
            ignored_in_worktree(worktree, found, &mut record)?
        }
        None => {
            record.skip(worktree.users_repo(), "the repository's working tree cannot be found");
            Vec::new()
        }
    };
    let known: HashSet<RecordedPath> = record.paths.iter().cloned().collect();
    record.paths.extend(files.iter().map(|path| RecordedPath::of(path)).filter(|path| !known.contains(path)));
    if !files.is_empty() {
        copy_record::write(worktree, &record)?;
        failpoint::hit("copy.recorded");
        copy(worktree, &files, &mut record)?;
        sync::sync_worktree(worktree)?;
        failpoint::hit("copy.copied");
    }
    record.complete = true;
    copy_record::write(worktree, &record)
}

/// Returns the files that boi would copy from the checkout at `repo` if git ignores them in the new worktree too.
pub(crate) fn files_to_copy(repo: &Path, patterns: &[String]) -> Result<Vec<PathBuf>, GitError> {
    if patterns.is_empty() && fs::symlink_metadata(repo.join(INCLUDE_FILE)).is_err() {
        return Ok(Vec::new());
    }
    let users = repository::find(repo)?;
    let patterns = read_patterns(repo, patterns, &mut CopyRecord::default())?;
    let written = |content: &[u8]| {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(content)?;
        file.rewind()?;
        Ok(file)
    };
    let error = || GitError::io("cannot write a temporary file for", repo);
    let file = written(&patterns).map_err(error())?;
    let mut listed = matching(&users, file.path())?;
    let root = entry::real_path(repo);
    listed.retain(|path| refusal(&root, path, &[]).is_none());
    if listed.is_empty() {
        return Ok(listed);
    }
    let ignored = check_ignored(&users, written(&joined(&listed)).map_err(error())?.into_file())?;
    listed.retain(|path| {
        ignored.contains(path) && fs::symlink_metadata(repo.join(path)).is_ok_and(|file| file.is_file())
    });
    listed.truncate(MAX_FILES);
    Ok(listed)
}

/// Returns the place of the working tree that the spec names; `None`: it is gone, or belongs to another repository.
fn users_checkout(worktree: &LockedWorktree) -> Result<Option<Place>, GitError> {
    let users = repository::of_working_tree(worktree.users_repo(), worktree.watch())?;
    let common_dir = worktree.common_dir()?;
    Ok(users.filter(|users| users.common_dir == common_dir))
}

/// Returns the files of the user's checkout that match a pattern and that git ignores there. Adds those that match and
/// are not ignored to what the record skips.
fn find(
    worktree: &LockedWorktree,
    users: &Place,
    patterns: &[String],
    record: &mut CopyRecord,
) -> Result<Vec<PathBuf>, GitError> {
    let patterns = read_patterns(&users.work_tree, patterns, record)?;
    if patterns.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    scratch_file(worktree, PATTERNS, &patterns)?;
    let mut found = Vec::new();
    let (root, own) = (entry::real_path(&users.work_tree), own_folders(worktree));
    for path in matching(users, &worktree.scratch().join(PATTERNS))? {
        match refusal(&root, &path, &own) {
            Some(reason) => record.skip(&path, reason),
            None if found.len() >= MAX_FILES => record.skip(&path, format!("boi copies at most {MAX_FILES} files")),
            None => found.push(path),
        }
    }
    if found.is_empty() {
        return Ok(found);
    }
    let ignored = check_ignored(users, scratch_file(worktree, PATHS, &joined(&found))?)?;
    let (ignored, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| ignored.contains(path));
    for path in others {
        record.skip(&path, "git does not ignore it in the checkout");
    }
    Ok(ignored)
}

/// Returns the patterns of `.worktreeinclude` in the checkout at `root`, followed by those of the spec.
fn read_patterns(root: &Path, patterns: &[String], record: &mut CopyRecord) -> Result<Vec<u8>, GitError> {
    let include = Folder::trusted(root).and_then(|folder| folder.read(INCLUDE_FILE, MAX_INCLUDE));
    let mut all = match include {
        Ok(include) => include.unwrap_or_default(),
        Err(error) if is_damaged(&error) => {
            record.skip(Path::new(INCLUDE_FILE), "it is not a regular file of at most 64 KiB, so boi does not read it");
            Vec::new()
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            record.skip(Path::new(INCLUDE_FILE), format!("boi cannot read it: {error}"));
            Vec::new()
        }
        Err(error) => return Err(GitError::io("cannot read", &root.join(INCLUDE_FILE))(error)),
    };
    if all.contains(&0) {
        record.skip(Path::new(INCLUDE_FILE), "it contains a NUL byte, so boi does not read it");
        all.clear();
    }
    all.push(b'\n');
    for pattern in patterns {
        all.extend_from_slice(pattern.as_bytes());
        all.push(b'\n');
    }
    Ok(all)
}

/// Returns the untracked files of a working tree that match a pattern in the file `patterns`, in the syntax of
/// `.gitignore`. A nested repository is listed with a slash at the end of its path.
fn matching(at: &Place, patterns: &Path) -> Result<Vec<PathBuf>, GitError> {
    let mut option = OsString::from("--exclude-from=");
    option.push(patterns);
    let args = ["ls-files", "-z", "--others", "--ignored"];
    Ok(program::paths(&Git::reading(at).args(args).arg(option).run()?))
}

/// Returns those of the paths, separated by NUL bytes in the file `paths`, that git ignores in a working tree and does not
/// track.
fn check_ignored(at: &Place, paths: File) -> Result<HashSet<PathBuf>, GitError> {
    let checked = Git::reading(at).input(paths).args(["check-ignore", "-z", "--stdin"]).output()?;
    match checked.code {
        Some(0 | 1) => Ok(program::paths(&checked.stdout).into_iter().collect()),
        _ => Err(checked.into_error()),
    }
}

/// Returns the folders of boi that may be in the user's checkout: that of the worktrees, and its home.
fn own_folders(worktree: &LockedWorktree) -> Vec<PathBuf> {
    let attempts = worktree.scratch().ancestors().find(|folder| folder.ends_with("attempts"));
    let own = [worktree.path().parent(), attempts.and_then(Path::parent)];
    own.into_iter().flatten().map(entry::real_path).collect()
}

/// Returns why a matching path of the user's checkout is not copied; `None`: it may be copied.
fn refusal(root: &Path, path: &Path, own: &[PathBuf]) -> Option<&'static str> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Some("it is a git repository inside the checkout");
    }
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
    if !path.components().all(is_plain) {
        return Some("it is a part of a git directory");
    }
    if own.iter().any(|folder| root.join(path).starts_with(folder)) {
        return Some("it is a file of boi");
    }
    None
}

/// Returns those of the files that git ignores in the worktree, and adds the others to what the record skips.
fn ignored_in_worktree(
    worktree: &LockedWorktree,
    files: Vec<PathBuf>,
    record: &mut CopyRecord,
) -> Result<Vec<PathBuf>, GitError> {
    if files.is_empty() {
        return Ok(files);
    }
    let at = &worktree.place()?;
    let listed = Git::reading(at).args(["ls-files", "-z"]).run()?;
    let tracked: HashSet<&[u8]> = listed.split(|byte| *byte == 0).collect();
    // A tracked path is a file, a link or a submodule. Git fails for a path below a link or a submodule, and then checks
    // none of the others.
    let is_below_other = |path: &Path| {
        let mut parents = path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        parents.any(|parent| {
            tracked.contains(parent.as_os_str().as_bytes())
                || fs::symlink_metadata(worktree.path().join(parent)).is_ok_and(|found| !found.is_dir())
        })
    };
    let mut left = Vec::new();
    for path in files {
        if tracked.contains(path.as_os_str().as_bytes()) {
            record.skip(&path, "the base contains a file at this path");
        } else if is_below_other(&path) {
            record.skip(&path, "in the worktree, something on its path is not a folder");
        } else {
            left.push(path);
        }
    }
    if left.is_empty() {
        return Ok(left);
    }
    let ignored = check_ignored(at, scratch_file(worktree, PATHS, &joined(&left))?)?;
    let (ignored, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|path| ignored.contains(path));
    for path in others {
        record.skip(&path, "git does not ignore it at the base");
    }
    Ok(ignored)
}

/// Copies files from the user's checkout to the same paths in the worktree.
fn copy(worktree: &LockedWorktree, files: &[PathBuf], record: &mut CopyRecord) -> Result<(), GitError> {
    let open = |path: &Path| Folder::trusted(path).map_err(GitError::io("cannot open", path));
    let (from, to) = (open(worktree.users_repo())?, open(worktree.path())?);
    for path in files {
        if worktree.watch().is_ended() {
            worktree.watch().interrupt();
            return Err(GitError::Ended { subcommand: "copy".to_owned(), dir: worktree.path().to_owned() });
        }
        match from.copy_file(&to, path) {
            Ok(bytes) => record.copied(path, bytes),
            Err(CopyError::Refused(reason)) => record.skip(path, reason),
            Err(CopyError::Write(error)) => {
                return Err(GitError::io("cannot copy a file to", &worktree.path().join(path))(error));
            }
        }
    }
    Ok(())
}

fn joined(paths: &[PathBuf]) -> Vec<u8> {
    let mut all = Vec::new();
    for path in paths {
        all.extend_from_slice(path.as_os_str().as_bytes());
        all.push(0);
    }
    all
}

/// Writes a file in the scratch directory, and opens it as the input of a git process.
fn scratch_file(worktree: &LockedWorktree, name: &str, content: &[u8]) -> Result<File, GitError> {
    let path = worktree.scratch().join(name);
    let written = || {
        let folder = attempt_folder::open(worktree.scratch())?;
        folder.replace(name, content, Durability::Process)?;
        folder.file(name)?.ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    };
    written().map_err(GitError::io("cannot write", &path))
}
