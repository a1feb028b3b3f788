//! The record of the files that boi copied into a worktree, and of the folders that boi keeps for the next spec: the
//! file `copied` in the worktree's scratch directory. boi commits none of these paths.
//!
//! Invariant: the record names a file before the file is copied, so no crash leaves a copied file that could be
//! committed. If the record is damaged, every operation that would commit files fails.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::git_error::GitError;
use super::worktree::LockedWorktree;
use crate::domain::copied::{CopiedFiles, SkippedFile, WithheldWork};
use crate::system::attempt_folder;
use crate::system::files::Durability;
use crate::system::untrusted::is_damaged;

/// The name of the record.
const RECORD: &str = "copied";
/// The maximum size of a record, in bytes.
const MAX_RECORD: usize = 64 << 20;
/// How many copied files, and how many skipped ones, the status names.
const NAMED: usize = 20;
/// How many commits with withheld paths are recorded.
const MAX_WITHHELD: usize = 50;

/// What boi copied into a worktree. Versions of boi that know further fields may have written the record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CopyRecord {
    /// Whether every file was copied. If not, the copying is repeated.
    pub(super) complete: bool,
    /// The commit that the worktree was created at. It contains none of the paths.
    pub(super) base: Option<String>,
    /// The paths of all files that were copied into the worktree at any time, relative to it.
    pub(super) paths: Vec<RecordedPath>,
    /// The folders that are kept for the next spec, relative to the worktree.
    pub(super) keep: Vec<RecordedPath>,
    /// The files of the last copying.
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) names: Vec<String>,
    pub(super) skipped: Vec<SkippedFile>,
    pub(super) more_skipped: u64,
    /// Commits of others that contain a withheld path, with the label of the kept ref or of the try.
    pub(super) withheld: Vec<(String, WithheldWork)>,
}

/// A path, which need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum RecordedPath {
    Text(String),
    Bytes(Vec<u8>),
}

impl RecordedPath {
    pub(super) fn of(path: &Path) -> RecordedPath {
        match path.to_str() {
            Some(text) => RecordedPath::Text(text.to_owned()),
            None => RecordedPath::Bytes(path.as_os_str().as_bytes().to_vec()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            RecordedPath::Text(text) => text.as_bytes(),
            RecordedPath::Bytes(bytes) => bytes,
        }
    }
}

/// The paths of a worktree that boi does not commit, whatever git ignores.
#[derive(Debug, Default)]
pub(super) struct Withheld(HashSet<Vec<u8>>);

impl Withheld {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a path is withheld, or is below a withheld one. Git writes a slash after the path of a repository.
    pub(super) fn covers(&self, path: &[u8]) -> bool {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.chain([path.len()]).any(|end| self.0.contains(&path[..end]))
    }

    /// Returns the covered ones of the paths that git printed with the option `-z`.
    pub(super) fn among(&self, listed: &[u8]) -> Vec<PathBuf> {
        let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty() && self.covers(path));
        paths.map(|path| PathBuf::from(OsString::from_vec(path.to_vec()))).collect()
    }

    /// Commits also the paths that git printed with the option `-z`.
    pub(super) fn release(&mut self, listed: &[u8]) {
        for path in listed.split(|byte| *byte == 0) {
            self.0.remove(path);
        }
    }
}

impl CopyRecord {
    /// Returns the paths that boi does not commit.
    pub(super) fn paths_to_withhold(&self) -> Withheld {
        let trimmed = |path: &RecordedPath| {
            let bytes = path.bytes();
            bytes.strip_suffix(b"/").unwrap_or(bytes).to_vec()
        };
        let paths = self.paths.iter().chain(&self.keep).map(trimmed);
        Withheld(paths.filter(|path| !path.is_empty()).collect())
    }

    /// Adds a file that was not copied.
    pub(super) fn skip(&mut self, path: &Path, reason: impl Into<String>) {
        if self.skipped.len() < NAMED {
            let path = path.display().to_string();
            self.skipped.push(SkippedFile { path, reason: reason.into() });
        } else {
            self.more_skipped += 1;
        }
    }

    /// Adds a file that was copied.
    pub(super) fn copied(&mut self, path: &Path, bytes: u64) {
        if self.names.len() < NAMED {
            self.names.push(path.display().to_string());
        }
        self.files += 1;
        self.bytes += bytes;
    }

    fn view(self) -> Option<CopiedFiles> {
        let CopyRecord { files, bytes, names, skipped, more_skipped, withheld, .. } = self;
        let withheld = withheld.into_iter().map(|(_, work)| work).collect();
        let view = CopiedFiles { files, bytes, names, skipped, more_skipped, withheld };
        (view != CopiedFiles::default()).then_some(view)
    }
}

/// Reads the record. A missing record is the same as an empty one.
pub(super) fn read(worktree: &LockedWorktree) -> Result<CopyRecord, GitError> {
    Ok(read_from(worktree.scratch())?.unwrap_or_default())
}

/// Reads the paths that boi does not commit.
pub(super) fn withheld(worktree: &LockedWorktree) -> Result<Withheld, GitError> {
    read(worktree).map(|record| record.paths_to_withhold())
}

fn read_from(scratch: &Path) -> Result<Option<CopyRecord>, GitError> {
    let path = scratch.join(RECORD);
    let damaged = |why: String| GitError::CopyRecordDamaged { path: path.clone(), why };
    let bytes = match attempt_folder::open(scratch).and_then(|folder| folder.read(RECORD, MAX_RECORD)) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if is_damaged(&error) => return Err(damaged(error.to_string())),
        Err(error) => return Err(GitError::io("cannot read", &path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(error.to_string()))
}

/// Writes the record. Once this has returned, no crash and no power loss undoes it.
pub(super) fn write(worktree: &LockedWorktree, record: &CopyRecord) -> Result<(), GitError> {
    let path = worktree.scratch().join(RECORD);
    let bytes = serde_json::to_vec(record).map_err(|error| GitError::io("cannot write", &path)(error.into()))?;
    attempt_folder::open(worktree.scratch())
        .and_then(|folder| folder.replace(RECORD, &bytes, Durability::Power))
        .map_err(GitError::io("cannot write", &path))
}

/// Records a commit of others that contains withheld paths.
pub(super) fn add_withheld(worktree: &LockedWorktree, label: &str, work: WithheldWork) -> Result<(), GitError> {
    let mut record = read(worktree)?;
    let is_same = |(of, known): &(String, WithheldWork)| {
        of == label && known.commit == work.commit && known.held_by == work.held_by
    };
    match record.withheld.iter().position(is_same) {
        Some(at) if record.withheld[at].1 == work => return Ok(()),
        Some(at) => record.withheld[at].1 = work,
        None if record.withheld.len() < MAX_WITHHELD => record.withheld.push((label.to_owned(), work)),
        None => return Ok(()),
    }
    write(worktree, &record)
}

/// Whether the worktree whose scratch directory is `scratch` may have paths that boi does not commit.
pub(crate) fn has_copy_record(scratch: &Path) -> bool {
    !matches!(read_from(scratch), Ok(None))
}

/// Returns what boi copied into the worktree whose scratch directory is `scratch`, for the status; `None`: nothing, or the
/// record cannot be read.
pub(crate) fn read_copied(scratch: &Path) -> Option<CopiedFiles> {
    read_from(scratch).ok()??.view()
}

/// Returns the first of these paths as text.
pub(super) fn named(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().take(NAMED).map(|path| path.display().to_string()).collect()
}

/// Returns a path that git printed.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_a_withheld_one_is_withheld_and_one_beside_it_is_not() {
        let record = CopyRecord {
            paths: vec![RecordedPath::of(Path::new(".env")), RecordedPath::of(&path_of(b"a/\xff\n"))],
            keep: vec![RecordedPath::of(Path::new("target/"))],
            ..CopyRecord::default()
        };
        let bytes = serde_json::to_vec(&record).unwrap();
        let withheld = serde_json::from_slice::<CopyRecord>(&bytes).unwrap().paths_to_withhold();
        for path in [b".env".as_slice(), b".env/deep/file", b"a/\xff\n", b"target", b"target/", b"target/debug/x/"] {
            assert!(withheld.covers(path), "{path:?}");
        }
        for path in [b"env".as_slice(), b".env2", b"x/.env", b"a", b"targets/x", b""] {
            assert!(!withheld.covers(path), "{path:?}");
        }
        assert_eq!(withheld.among(b"b\0.env\0target/x\0"), [Path::new(".env"), Path::new("target/x")]);
        assert!(CopyRecord::default().paths_to_withhold().is_empty());
    }
}
