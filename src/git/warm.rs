//! Kept folders: ignored folders, such as build caches, that the next spec's worktree inherits.
//!
//! The worktrees of a repository that keeps folders lie at a few fixed paths, so that a build tool finds each file where it
//! was. When a worktree is removed, its kept folders move into the folder `<path>.warm`. The next worktree at the path is
//! created like any other, so nothing else of the former one can be in it. Then the kept folders move into it, and each file
//! that is the same as before gets its former time of change, so that a build tool does not build it again.
//!
//! Invariants:
//! - A file gets its former time only if its content is proven to be the content that had this time.
//! - No link is followed to a kept folder, and none is a kept folder.
//! - Kept folders can be lost, for example when boi is killed; nothing else depends on them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Timespec, Timestamps};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use super::git_error::GitError;
use super::index;
use super::place::Place;
use super::worktree::LockedWorktree;
use crate::system::files::{self, Durability};
use crate::system::untrusted;

/// The ending of the name of the folder beside a worktree's path that contains its kept folders.
pub(crate) const WARM: &str = ".warm";
/// The record in that folder: which kept folders it contains, and the times of the files.
const RECORD: &str = "record";
/// The version of the record.
const VERSION: u32 = 1;

/// The record of kept folders.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// The paths of the kept folders in the worktree. The folder `<index>` has the content of each.
    folders: Vec<String>,
    /// The times of the tracked files.
    files: Vec<FileTime>,
}

/// When a tracked file was changed last, and which content it has.
#[derive(Debug, Serialize, Deserialize)]
struct FileTime {
    path: String,
    object: String,
    seconds: i64,
    nanoseconds: i64,
}

/// The worktree's files and their times, as they were when its removal began.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<FileTime>);

/// Returns the folder in which the kept folders of the worktree at `path` wait for the next worktree there.
pub(crate) fn warm_folder(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    name.push(WARM);
    path.with_file_name(name)
}

/// Returns the times of the worktree's tracked files. boi's own index must have been compared with the files.
pub(super) fn read_times(worktree: &LockedWorktree, at: &Place) -> Result<Times, GitError> {
    let mut times = Vec::new();
    for (path, object) in tracked_files(worktree, at)? {
        let Ok(metadata) = fs::symlink_metadata(worktree.path().join(&path)) else { continue };
        if metadata.is_file() {
            times.push(FileTime { path, object, seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() });
        }
    }
    Ok(Times(times))
}

/// Returns the path and the content of each tracked file in boi's own index, with the mode as a part of the content. Leaves
/// out paths that are not UTF-8.
fn tracked_files(worktree: &LockedWorktree, at: &Place) -> Result<Vec<(String, String)>, GitError> {
    let listed = index::list(worktree, at)?;
    let entries = listed.split(|byte| *byte == 0).filter_map(|entry| {
        let tab = entry.iter().position(|byte| *byte == b'\t')?;
        let path = String::from_utf8(entry[tab + 1..].to_vec()).ok()?;
        Some((path, String::from_utf8_lossy(&entry[..tab]).into_owned()))
    });
    Ok(entries.collect())
}

/// Moves the kept folders of a removed worktree, which is at `from` now, to the warm folder of `path`.
pub(super) fn take(from: &Path, path: &Path, keep: &[String], times: Times) {
    let warm = warm_folder(path);
    if let Err(error) = take_folders(from, &warm, keep, times) {
        warn!(path = %warm.display(), %error, "boi cannot keep the folders of a removed worktree; the next worktree begins without them");
        drop(untrusted::remove(&warm));
    }
}

fn take_folders(from: &Path, warm: &Path, keep: &[String], Times(files): Times) -> io::Result<()> {
    untrusted::remove(warm)?;
    files::private_dir(warm)?;
    let mut record = Record { version: VERSION, folders: Vec::new(), files: Vec::new() };
    for folder in keep {
        let Some(path) = real_folder(from, Path::new(folder)) else { continue };
        let below = format!("{folder}/");
        if files.iter().any(|file| file.path.starts_with(&below)) {
            continue;
        }
        fs::rename(path, warm.join(record.folders.len().to_string()))?;
        record.folders.push(folder.clone());
    }
    if record.folders.is_empty() {
        return untrusted::remove(warm);
    }
    record.files = files;
    // The record is written last. Without it, the folders are not used.
    files::write_record(&warm.join(RECORD), &record, Durability::Process)
}

/// Moves the kept folders that wait for the worktree into it. It must have been created just now. Returns the folders.
pub(crate) fn restore_kept_folders(worktree: &LockedWorktree, keep: &[String]) -> Result<Vec<String>, GitError> {
    let warm = warm_folder(worktree.path());
    let restored = match restore(worktree, &warm, keep) {
        Ok(restored) => restored,
        Err(error) => {
            warn!(path = %warm.display(), %error, "boi cannot use the folders that an earlier worktree left; the worktree begins without them");
            Vec::new()
        }
    };
    untrusted::remove(&warm).map_err(GitError::io("cannot remove", &warm))?;
    Ok(restored)
}

fn restore(worktree: &LockedWorktree, warm: &Path, keep: &[String]) -> Result<Vec<String>, GitError> {
    let path = warm.join(RECORD);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(GitError::io("cannot read", &path)(error)),
    };
    let Some(record) = serde_json::from_slice::<Record>(&text).ok().filter(|record| record.version == VERSION) else {
        debug!(path = %path.display(), "another version of boi wrote the record of kept folders");
        return Ok(Vec::new());
    };
    let ignored = index::ignored_folders(worktree, &worktree.place()?, keep)?;
    let mut restored = Vec::new();
    for (number, folder) in record.folders.iter().enumerate() {
        if !ignored.contains(folder) {
            continue;
        }
        let to = worktree.path().join(folder);
        // A tracked folder or file of this name has precedence.
        if fs::symlink_metadata(&to).is_ok() || !make_parents(worktree.path(), Path::new(folder)) {
            continue;
        }
        fs::rename(warm.join(number.to_string()), &to).map_err(GitError::io("cannot rename", &to))?;
        restored.push(folder.clone());
    }
    if !restored.is_empty() {
        restore_times(worktree, record.files)?;
    }
    Ok(restored)
}

/// Gives each tracked file that has the same content as before its former time.
fn restore_times(worktree: &LockedWorktree, times: Vec<FileTime>) -> Result<(), GitError> {
    let at = worktree.place()?;
    let former: HashMap<String, FileTime> = times.into_iter().map(|file| (file.path.clone(), file)).collect();
    for (path, object) in tracked_files(worktree, &at)? {
        let Some(file) = former.get(&path).filter(|file| file.object == object) else { continue };
        let to = worktree.path().join(path);
        let time = Timespec { tv_sec: file.seconds, tv_nsec: file.nanoseconds };
        let times = Timestamps { last_access: time, last_modification: time };
        if let Err(error) = rustix::fs::utimensat(rustix::fs::CWD, &to, &times, AtFlags::SYMLINK_NOFOLLOW) {
            debug!(path = %to.display(), %error, "boi cannot set the time of a file");
        }
    }
    index::refresh(worktree, &at)
}

/// Returns the folder at `below` in `root`; `None`: there is none, or a link leads to it.
fn real_folder(root: &Path, below: &Path) -> Option<PathBuf> {
    let mut path = root.to_owned();
    for part in below.components() {
        let Component::Normal(part) = part else { return None };
        path.push(part);
        if !fs::symlink_metadata(&path).ok()?.is_dir() {
            return None;
        }
    }
    Some(path)
}

/// Creates the parents of `below` in `root`. Returns whether each of them is a real folder.
fn make_parents(root: &Path, below: &Path) -> bool {
    let mut path = root.to_owned();
    for part in below.parent().into_iter().flat_map(Path::components) {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return false,
            Err(_) if fs::DirBuilder::new().mode(0o700).create(&path).is_ok() => {}
            Err(_) => return false,
        }
    }
    true
}
