//! Files that only their user can read, and records that are complete or absent.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Makes a directory and those above it, each 0700.
pub fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file for reading and writing, made with mode 0600 when it is not there.
pub fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Opens a file for appending, made with mode 0600 when it is not there.
pub fn private_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The mode of a file or folder of boi's that others can get at, and the mode that it should have. Links are passed over.
pub fn wrong_mode(path: &Path) -> Option<(u32, u32)> {
    let metadata = std::fs::symlink_metadata(path).ok().filter(|metadata| !metadata.is_symlink())?;
    let mode = metadata.permissions().mode() & 0o777;
    let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
    (mode & 0o077 != 0).then_some((mode, wanted))
}

/// Gives a file or folder of boi's the mode that it should have.
pub fn make_private(path: &Path) -> io::Result<()> {
    match wrong_mode(path) {
        Some((_, wanted)) => std::fs::set_permissions(path, Permissions::from_mode(wanted)),
        None => Ok(()),
    }
}

/// Gives this user the rights back that were taken away from folders of boi's, the outer ones first, and from what the
/// innermost holds; returns the first that lacked them. Links, and what is not there, are passed over.
pub fn regain(folders: &[&Path]) -> io::Result<Option<PathBuf>> {
    let mut first = None;
    for folder in folders {
        if give(folder, 0o700, 0o600)? {
            first.get_or_insert_with(|| folder.to_path_buf());
        }
    }
    for path in folders.last().map_or(Ok(Vec::new()), |folder| listed(folder))? {
        if give(&path, 0o700, 0o600)? {
            first.get_or_insert(path);
        }
    }
    Ok(first)
}

/// Gives this user the rights to read all that is in a folder and to remove it, as far as it is his.
pub fn open_up(folder: &Path) {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        // What is somebody else's stays as it is: whoever reads or removes it meets the error again.
        drop(give(&path, 0o700, 0o400));
        if std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            waiting.extend(listed(&path).unwrap_or_default());
        }
    }
}

/// Gives this user at least these rights to a folder or a file; returns whether he lacked any. A link, and what is not
/// there, is passed over.
pub fn give(path: &Path, of_folder: u32, of_file: u32) -> io::Result<bool> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => return Ok(false),
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(at(path, &error)),
    };
    let (mode, needed) = (metadata.permissions().mode(), if metadata.is_dir() { of_folder } else { of_file });
    if mode & needed == needed {
        return Ok(false);
    }
    std::fs::set_permissions(path, Permissions::from_mode((mode | needed) & 0o7777))
        .map_err(|error| at(path, &error))?;
    Ok(true)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Whether others can change a file.
pub fn is_open_to_writers(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o022 != 0)
}

/// Takes away that others can change a file.
pub fn close_to_others(path: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    std::fs::set_permissions(path, Permissions::from_mode(mode & !0o022))
}

/// What a folder holds. One that is not there holds nothing, and neither does a file.
pub fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether another open file has the lock of the file at `path`. One that is not there is not locked.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Writes a file of mode 0600 in one go.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// How much of a record outlives what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of processes.
    Process,
    /// The loss of power too.
    Power,
}

/// Writes a record as JSON: whoever looks finds all of it or nothing.
pub fn write_record<T: Serialize>(path: &Path, record: &T, durability: Durability) -> io::Result<()> {
    replace(path, &serde_json::to_vec(record)?, durability)
}

/// How much room a record may need.
const RECORD: usize = 4096;

/// Takes room for a record now, so that it can be written when the disk is full by then.
pub fn reserve_record(path: &Path) -> io::Result<()> {
    write_private(&staged(path), &[b' '; RECORD])
}

/// Writes a file of mode 0600 so that whoever looks finds all of it or what was there before.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let staged = staged(path);
    // Cut to its length at last: the room that is there may be all that there is.
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&staged)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    if durability == Durability::Power {
        file.sync_all()?;
    }
    drop(file);
    std::fs::rename(&staged, path)?;
    if let (Durability::Power, Some(dir)) = (durability, path.parent()) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

fn staged(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Reads a record; `None` when there is none. One that is damaged is [`io::ErrorKind::InvalidData`].
pub fn read_record<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {error}", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a file is what a loss of power leaves of one whose name was on the disk and whose content was not: empty, or all
/// zeros. One that is not there, or cannot be read, is not.
pub fn is_torn(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

/// Returns when all that was written to the file system of `path` is on the disk, whoever wrote it.
pub fn sync_around(path: &Path) -> io::Result<()> {
    let at = File::open(path)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&at)?;
    #[cfg(not(target_os = "linux"))]
    {
        rustix::fs::sync();
        at.sync_all()?;
    }
    Ok(())
}

/// The last `most` bytes of a file; none when it is not there.
pub fn tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Hands what a file holds from `offset` on to `take`, in chunks; returns the offset of its end. A file that is not
/// there is empty.
pub fn read_from(path: &Path, offset: u64, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(offset),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let (mut at, mut chunk) = (offset, vec![0; 1 << 16]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(at),
            read => {
                take(&chunk[..read]);
                at += read as u64;
            }
        }
    }
}

/// How many bytes a file has.
pub fn size(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

/// Reads a file that a user wrote: a regular one, at most one byte more than `limit` of it, so that the reader can tell
/// that it is too large. `None` when it is not there.
pub fn read_users(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    // Opened without blocking: a FIFO in its place must not hang the reader.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_takes_the_room_that_was_reserved_for_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("exit");
        reserve_record(&path).unwrap();
        assert_eq!(read_record::<String>(&path).unwrap(), None, "room is no record");
        let staged = File::open(staged(&path)).unwrap();
        write_record(&path, &"ended", Durability::Power).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"\"ended\"");
        let same = |a: std::fs::Metadata, b: std::fs::Metadata| {
            std::os::unix::fs::MetadataExt::ino(&a) == std::os::unix::fs::MetadataExt::ino(&b)
        };
        assert!(same(staged.metadata().unwrap(), path.metadata().unwrap()), "the same file");
    }
}
