//! The record of a worktree's submodules, and the repositories that boi makes for each of them.
//!
//! A submodule has two small repositories without objects of their own: one in the worktree, which commands use, and one in
//! the scratch directory, with which boi compares the files. Both read the objects of the user's clone.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::entry;
use super::git_error::GitError;
use super::place::Place;
use super::small_file;
use super::submodule_source::Source;
use super::worktree::LockedWorktree;
use crate::system::attempt_folder;
use crate::system::files::{self, Durability};

/// The file in the scratch directory that records the submodules of the worktree.
const RECORD: &str = "submodules";
const MAX_RECORD: usize = 16 << 20;

/// A submodule of the worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submodule {
    /// The path in the worktree.
    pub(crate) path: PathBuf,
    /// The commit that the repository around it records.
    pub(super) commit: String,
    /// The user's clone from which the files come; `Err`: why the folder was left empty.
    pub(crate) source: Result<PathBuf, String>,
}

impl Submodule {
    /// Returns the folder in the worktree.
    pub(super) fn folder(&self, worktree: &LockedWorktree) -> PathBuf {
        worktree.path().join(&self.path)
    }

    /// Returns boi's own repository of the submodule.
    pub(super) fn own_repository(&self, worktree: &LockedWorktree) -> PathBuf {
        let key = blake3::hash(self.path.as_os_str().as_bytes()).to_hex();
        worktree.scratch().join(format!("submodule-{}", &key[..16]))
    }

    /// Returns the place in which boi works with the submodule's files: commands cannot change its git directory.
    pub(super) fn place(&self, worktree: &LockedWorktree) -> Place {
        Place {
            work_tree: self.folder(worktree),
            ..Place::of_repository(&self.own_repository(worktree), worktree.watch())
        }
    }

    /// Whether the submodule is inside of another one.
    pub(super) fn is_below(&self, other: &Path) -> bool {
        self.path != other && self.path.starts_with(other)
    }
}

/// Reads the submodules of a worktree. A record that cannot be read counts as none.
pub(super) fn read(scratch: &Path) -> Vec<Submodule> {
    if fs::symlink_metadata(scratch.join(RECORD)).is_err() {
        return Vec::new();
    }
    let read = attempt_folder::open(scratch).and_then(|folder| folder.read(RECORD, MAX_RECORD));
    let bytes = read.ok().flatten().unwrap_or_default();
    let mut fields = bytes.split(|byte| *byte == 0);
    let mut found = Vec::new();
    while let (Some(path), Some(commit), Some(source), Some(why)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let source = if source.is_empty() { Err(text(why)) } else { Ok(as_path(source)) };
        found.push(Submodule { path: as_path(path), commit: text(commit), source });
    }
    found
}

fn as_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Records the submodules of a worktree.
pub(super) fn write(scratch: &Path, submodules: &[Submodule]) -> Result<(), GitError> {
    let path = scratch.join(RECORD);
    let mut content = Vec::new();
    for Submodule { path, commit, source } in submodules {
        let (source, why) = match source {
            Ok(source) => (source.as_os_str().as_bytes(), &b""[..]),
            Err(why) => (&b""[..], why.as_bytes()),
        };
        for field in [path.as_os_str().as_bytes(), commit.as_bytes(), source, why] {
            content.extend(field);
            content.push(0);
        }
    }
    attempt_folder::open(scratch)
        .and_then(|folder| match submodules {
            [] => folder.remove(RECORD.as_ref()),
            _ => folder.replace(RECORD, &content, Durability::Power),
        })
        .map_err(GitError::io("cannot write", &path))
}

/// Writes a repository that has no objects of its own, in the place of whatever is at `dir`. Its HEAD is at `commit`.
pub(super) fn write_repository(dir: &Path, source: &Source, commit: &str, packed_refs: &[u8]) -> Result<(), GitError> {
    entry::remove_any(dir)?;
    let make = || {
        for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        files::make_private(dir)
    };
    make().map_err(GitError::io("cannot create", dir))?;
    let (version, format) = match commit.len() {
        64 => (1, "[extensions]\n\tobjectformat = sha256\n"),
        _ => (0, ""),
    };
    let config = format!(
        "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\
         {format}"
    );
    let objects = quote(source.common_dir.join("objects").as_os_str().as_bytes());
    small_file::replace(&dir.join("objects/info/alternates"), &objects)?;
    small_file::replace(&dir.join("config"), config.as_bytes())?;
    if !packed_refs.is_empty() {
        small_file::replace(&dir.join("packed-refs"), packed_refs)?;
    }
    if let Some(shallow) = source.shallow() {
        small_file::replace(&dir.join("shallow"), &shallow)?;
    }
    // Git finds a repository only once it has a HEAD.
    small_file::replace(&dir.join("HEAD"), format!("{commit}\n").as_bytes())
}

/// Tells git that the submodules with these names in a repository are initialised.
pub(super) fn activate<'a>(git_dir: &Path, names: impl Iterator<Item = &'a String>) -> Result<(), GitError> {
    let file = git_dir.join("config");
    let mut config = small_file::read(&file).unwrap_or_default();
    for name in names.filter(|name| !name.contains('\n')) {
        let name = name.replace('\\', r"\\").replace('"', "\\\"");
        config.extend(format!("[submodule \"{name}\"]\n\tactive = true\n").bytes());
    }
    small_file::replace(&file, &config)
}

/// Copies the index of boi's own repository of a submodule into the one that commands use.
pub(super) fn copy_index(from: &Path, to: &Path) -> Result<(), GitError> {
    let copy = || {
        let mut copy = File::options().write(true).create_new(true).open(to)?;
        io::copy(&mut File::open(from)?, &mut copy)?;
        copy.flush()?;
        // Git trusts a cached file only if it is older than the index, so the copy must not look newer.
        copy.set_times(FileTimes::new().set_modified(fs::metadata(from)?.modified()?))
    };
    copy().map_err(GitError::io("cannot write", to))
}

/// Whether a repository has objects of its own: then somebody committed, staged or fetched in it. An object that cannot be
/// listed counts.
pub(super) fn has_own_objects(git_dir: &Path) -> bool {
    let is_object = |folder: &Path| {
        let name = folder.file_name().unwrap_or_default();
        name != "info" && files::list_folder(folder).map_or(folder.exists(), |names| !names.is_empty())
    };
    files::list_folder(&git_dir.join("objects")).is_ok_and(|folders| folders.iter().any(|folder| is_object(folder)))
}

/// Returns a path as a line of git's file `objects/info/alternates`. It is quoted only if it must be: some programs that
/// read the file, such as Git LFS, do not know quotes.
fn quote(path: &[u8]) -> Vec<u8> {
    if !path.contains(&b'\n') && !path.starts_with(b"\"") && !path.starts_with(b"#") {
        return [path, b"\n"].concat();
    }
    let mut quoted = b"\"".to_vec();
    for byte in path {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            b'\n' => quoted.extend(b"\\n"),
            _ => quoted.push(*byte),
        }
    }
    quoted.extend(b"\"\n");
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_that_needs_it_is_quoted() {
        assert_eq!(quote(b"/a b/\"c\""), b"/a b/\"c\"\n");
        assert_eq!(quote(b"/a\n\\b"), b"\"/a\\n\\\\b\"\n");
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), []);
        let submodules = [
            Submodule { path: "lib ü\nx".into(), commit: "a".repeat(40), source: Ok("/r/.git/modules/lib".into()) },
            Submodule { path: "lib/inner".into(), commit: "b".repeat(64), source: Err("not initialised".into()) },
        ];
        write(dir.path(), &submodules).unwrap();
        assert_eq!(read(dir.path()), submodules);
        write(dir.path(), &[]).unwrap();
        assert_eq!((read(dir.path()), fs::read_dir(dir.path()).unwrap().count()), (vec![], 0));
    }
}
