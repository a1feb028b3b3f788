//! The journal of a delivery: the list of changes that boi makes in a user's checkout. It is on the disk before the
//! first change, so that an interrupted delivery can be completed or undone.
//!
//! ```text
//! <git directory of the checkout>/boi/delivery-<SPEC>/
//!   journal      complete or absent; named `journal.done` while there is nothing to undo
//!   index-old    the checkout's index as it was
//!   index-new    the index with the delivered commit, until it is moved to `index.lock`
//!   new/<path>   new content of files, until it is moved into the checkout
//!   old/<n>      files that were moved out of the checkout
//! ```
//!
//! A file is never copied into the checkout, only moved. So `new` and `old` are on the same file system as the file: if
//! a file is on another one than the git directory, they are in a folder `.boi-delivery-<SPEC>` of the checkout.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::id::SpecId;
use crate::git::GitError;
use crate::system::files::{self, Durability};
use crate::system::untrusted::{self, Folder};

/// The largest journal that is read, in bytes. A journal has a few hundred bytes for each changed file.
const MAX_BYTES: usize = 1 << 30;

/// The version of the journals that this program writes.
const VERSION: u32 = 1;
const FILE: &str = "journal";
/// The journal's name before the delivery changes anything, and once it is done or undone.
const RETIRED: &str = "journal.done";

/// One delivery into a checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    /// The spec whose branch is delivered.
    pub(super) spec: SpecId,
    /// The full name of the branch that moves.
    pub(super) base_ref: String,
    /// The commit that the branch moves from.
    pub(super) from: String,
    /// The commit that the branch moves to.
    pub(super) to: String,
    /// The top folder of the checkout.
    pub(super) checkout: StoredPath,
    /// The folders with `new` and `old` that are in the checkout, relative to it.
    pub(super) folders: Vec<StoredPath>,
    /// The inode of the prepared index, which becomes `index.lock` and then the index.
    pub(super) index_inode: u64,
    /// The changes of the checkout's files, in the order in which they are made.
    pub(super) moves: Vec<Move>,
}

/// One change of a checkout's files. Paths are relative to the checkout. `folder` 0 is the journal's folder, and each
/// higher number one of [`Journal::folders`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(super) enum Move {
    /// A file is moved out of the checkout, to `old/<number>`.
    Aside { path: StoredPath, folder: usize, number: usize, original: Identity },
    /// An empty folder is removed.
    RemoveFolder { path: StoredPath, mode: u32 },
    /// A folder is made.
    MakeFolder { path: StoredPath },
    /// A file is moved into the checkout, from `new/<path>`.
    Place { path: StoredPath, folder: usize, fresh: Identity },
}

/// The properties that show whether a file is the same and unchanged. The change time (ctime) is not one of them, since
/// a move changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Identity {
    inode: u64,
    size: u64,
    modified: i64,
    modified_nanos: i64,
    mode: u32,
}

/// A path as text, or as bytes if it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredPath(pub(super) PathBuf);

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("cannot read {0:?}: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error("{0:?} is damaged: {1}")]
    Damaged(PathBuf, #[source] serde_json::Error),
    #[error("{0:?} was written by a later version of boi")]
    Newer(PathBuf),
}

impl Journal {
    /// A journal without changes.
    pub(super) fn new(spec: &SpecId, base_ref: &str, from: &str, to: &str, checkout: &Path) -> Journal {
        Journal {
            version: VERSION,
            spec: spec.clone(),
            base_ref: base_ref.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            checkout: StoredPath(checkout.to_owned()),
            folders: Vec::new(),
            index_inode: 0,
            moves: Vec::new(),
        }
    }

    /// Writes the journal into its folder. It is complete or absent, also after a power loss.
    pub(super) fn write(&self, folder: &Path) -> Result<(), GitError> {
        let path = folder.join(FILE);
        files::write_record(&path, self, Durability::Power).map_err(GitError::io("cannot write", &path))
    }

    /// Writes the journal as `journal.done`, the name for a delivery that has changed nothing.
    pub(super) fn write_retired(&self, folder: &Path) -> Result<(), GitError> {
        let path = folder.join(RETIRED);
        files::write_record(&path, self, Durability::Process).map_err(GitError::io("cannot write", &path))
    }

    /// Reads the journal of a delivery's folder. `None`: the delivery was interrupted before it changed anything.
    pub(super) fn read(folder: &Path) -> Result<Option<Journal>, JournalError> {
        let path = folder.join(FILE);
        match read_file(folder, FILE).map_err(|error| JournalError::Io(path.clone(), error))? {
            Some(bytes) => Journal::parse(&bytes, path).map(Some),
            None => Ok(None),
        }
    }

    /// Parses a journal. Anybody who can write in the repository can write a journal, so a journal that names a path
    /// outside the checkout, or a folder that boi does not make, counts as damaged.
    fn parse(bytes: &[u8], path: PathBuf) -> Result<Journal, JournalError> {
        let parsed: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| JournalError::Damaged(path.clone(), error))?;
        if parsed["version"].as_u64().is_some_and(|version| version > u64::from(VERSION)) {
            return Err(JournalError::Newer(path));
        }
        let journal: Journal =
            serde_json::from_value(parsed).map_err(|error| JournalError::Damaged(path.clone(), error))?;
        match journal.foreign_path() {
            None => Ok(journal),
            Some(foreign) => {
                let error = format!("it names {foreign:?}, a path that a delivery never changes");
                Err(JournalError::Damaged(path, serde::de::Error::custom(error)))
            }
        }
    }

    /// Renames the journal to `journal.done`, because the delivery is done or undone. Returns the journal if readable.
    pub(super) fn retire(folder: &Path) -> Result<Option<Journal>, GitError> {
        let (current, retired) = (folder.join(FILE), folder.join(RETIRED));
        match fs::rename(&current, &retired) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(GitError::io("cannot rename", &current)(error));
            }
            _ => {}
        }
        match read_file(folder, RETIRED) {
            Ok(bytes) => Ok(bytes.and_then(|bytes| Journal::parse(&bytes, retired).ok())),
            Err(error) if untrusted::is_damaged(&error) => Ok(None),
            Err(error) => Err(GitError::io("cannot read", &retired)(error)),
        }
    }

    /// Returns a path in the journal that a delivery never changes: outside the checkout, or not a delivery's folder.
    fn foreign_path(&self) -> Option<&Path> {
        let name = folder_in_checkout(&self.spec);
        let is_foreign_folder = |folder: &&Path| !is_inside(folder) || folder.file_name() != Some(name.as_ref());
        let mut folders = self.folders.iter().map(|folder| folder.0.as_path());
        folders.find(is_foreign_folder).or_else(|| self.moves.iter().map(Move::path).find(|path| !is_inside(path)))
    }

    /// The files that the delivery changes, relative to the checkout; each once.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.moves.iter().map(|change| change.path().to_owned()).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

impl Move {
    /// The path of the changed file or folder, relative to the checkout.
    pub(super) fn path(&self) -> &Path {
        match self {
            Move::Aside { path, .. }
            | Move::RemoveFolder { path, .. }
            | Move::MakeFolder { path }
            | Move::Place { path, .. } => &path.0,
        }
    }
}

impl Identity {
    /// The identity of a file with this metadata.
    pub(super) fn of(file: &Metadata) -> Identity {
        Identity {
            inode: file.ino(),
            size: file.len(),
            modified: file.mtime(),
            modified_nanos: file.mtime_nsec(),
            mode: file.mode(),
        }
    }

    /// Whether the file has this inode.
    pub(super) fn is_inode(&self, inode: u64) -> bool {
        self.inode == inode
    }

    /// The file's inode.
    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    /// Returns the identity of the file at `path`, without following links; `None`: the file does not exist.
    pub(super) fn at(path: &Path) -> io::Result<Option<Identity>> {
        match fs::symlink_metadata(path) {
            Ok(file) => Ok(Some(Identity::of(&file))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Returns the folders of deliveries into the checkout with this git directory, each with the spec.
pub(super) fn folders_in(git_dir: &Path) -> Vec<(SpecId, PathBuf)> {
    let listed = files::list_folder(&git_dir.join("boi")).unwrap_or_default();
    let mut found: Vec<(SpecId, PathBuf)> = listed
        .into_iter()
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_prefix("delivery-")?.parse().ok()?, path)))
        .collect();
    found.sort();
    found
}

/// Returns the name of the folders that a spec's delivery makes in the checkout.
pub(super) fn folder_in_checkout(spec: &SpecId) -> String {
    format!(".boi-delivery-{spec}")
}

/// Whether a relative path leads to something inside the folder from which it starts.
fn is_inside(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Reads a file of a delivery's folder without following links; `None`: the file does not exist.
fn read_file(folder: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    match Folder::trusted(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened?.read(name, MAX_BYTES),
    }
}

/// The folder of a spec's delivery into the checkout with this git directory.
pub(super) fn folder_of(git_dir: &Path, spec: &SpecId) -> PathBuf {
    git_dir.join("boi").join(format!("delivery-{spec}"))
}

impl Serialize for StoredPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_os_str().as_bytes().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for StoredPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredPath, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(StoredPath(match Stored::deserialize(deserializer)? {
            Stored::Text(text) => text.into(),
            Stored::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8]) -> StoredPath {
        StoredPath(OsString::from_vec(bytes.to_vec()).into())
    }

    #[test]
    fn a_journal_is_read_back_with_paths_of_any_bytes() {
        let dir = tempfile::TempDir::new().unwrap();
        assert_eq!(Journal::read(dir.path()).unwrap(), None);
        let identity = Identity { inode: 1, size: 2, modified: -3, modified_nanos: 4, mode: 0o100_755 };
        let mut journal = Journal::new(&"SD979".parse().unwrap(), "refs/heads/main", "a", "b", Path::new("/r\n"));
        journal.folders.push(path(b"mount/.boi-delivery-SD979"));
        journal.moves = vec![
            Move::Aside { path: path(b"\xff\n\"x"), folder: 0, number: 7, original: identity },
            Move::RemoveFolder { path: path(b"d"), mode: 0o755 },
            Move::MakeFolder { path: path("ä".as_bytes()) },
            Move::Place { path: path(b"\xff\n\"x"), folder: 1, fresh: identity },
        ];
        journal.write(dir.path()).unwrap();
        assert_eq!(Journal::read(dir.path()).unwrap().as_ref(), Some(&journal));
        assert_eq!(journal.files().len(), 3, "a replaced file is named once");
    }

    #[test]
    fn a_journal_that_names_something_else_than_a_delivery_changes_is_damaged_and_a_link_is_not_read() {
        let dir = tempfile::TempDir::new().unwrap();
        let with = |folder: &str, moved: &str| {
            let mut journal = Journal::new(&"SD979".parse().unwrap(), "refs/heads/main", "a", "b", Path::new("/r"));
            journal.folders.push(path(folder.as_bytes()));
            journal.moves.push(Move::MakeFolder { path: path(moved.as_bytes()) });
            journal
        };
        let own = "mount/.boi-delivery-SD979";
        with(own, "a/b").write(dir.path()).unwrap();
        assert!(Journal::read(dir.path()).unwrap().is_some());
        for (folder, moved) in [
            ("/home/u/precious", "a"),
            ("/.boi-delivery-SD979", "a"),
            ("../.boi-delivery-SD979", "a"),
            ("../..", "a"),
            ("src", "a"),
            ("", "a"),
            (own, "/etc/passwd"),
            (own, "a/../../b"),
            (own, ""),
        ] {
            with(folder, moved).write(dir.path()).unwrap();
            let error = Journal::read(dir.path()).unwrap_err();
            assert!(error.to_string().contains("is damaged"), "{folder} {moved}: {error}");
            assert_eq!(Journal::retire(dir.path()).unwrap(), None, "{folder} {moved}");
        }
        let other = tempfile::TempDir::new().unwrap();
        with(own, "a").write(other.path()).unwrap();
        std::os::unix::fs::symlink(other.path().join(FILE), dir.path().join(FILE)).unwrap();
        assert!(matches!(Journal::read(dir.path()), Err(JournalError::Io(..))));
        assert_eq!(Journal::retire(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_damaged_journal_and_one_of_a_later_version_are_errors() {
        let dir = tempfile::TempDir::new().unwrap();
        for (content, words) in
            [("{\"version\":1}", "is damaged"), ("", "is damaged"), ("{\"version\":2}", "later version")]
        {
            fs::write(dir.path().join(FILE), content).unwrap();
            let error = Journal::read(dir.path()).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
