//! Reads and writes private files, which no other user can access, and records, which are complete or absent.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Creates a folder and the missing folders above it. Each new folder has mode 0700.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file for reading and writing. Creates it with mode 0600 if it does not exist.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)?;
    expect_file(&file)?;
    Ok(file)
}

fn expect_file(file: &File) -> io::Result<()> {
    match file.metadata()?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Opens a file for appending. Creates it with mode 0600 if it does not exist.
pub(crate) fn private_log(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    expect_file(&file)?;
    Ok(file)
}

/// Returns the mode of a file or folder that other users can access, and the mode that it should have. `None`
/// if other users cannot access it, or if it is a link or missing.
pub(crate) fn wrong_mode(path: &Path) -> Option<(u32, u32)> {
    let metadata = std::fs::symlink_metadata(path).ok().filter(|metadata| !metadata.is_symlink())?;
    let mode = metadata.permissions().mode() & 0o777;
    let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
    (mode & 0o077 != 0).then_some((mode, wanted))
}

/// Removes the permissions of other users for a file or folder.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    match wrong_mode(path) {
        Some((_, wanted)) => std::fs::set_permissions(path, Permissions::from_mode(wanted)),
        None => Ok(()),
    }
}

/// Gives this user permission to read and remove everything in a folder, except files of other users.
pub(crate) fn make_tree_readable(folder: &Path) {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        // This call fails for another user's files. Reading or removing them then fails too, with the same error.
        grant_owner(&path, 0o700, 0o400).ok();
        if std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            waiting.extend(list_folder(&path).unwrap_or_default());
        }
    }
}

/// Adds permissions for the owner: `folder_bits` to a folder, `file_bits` to a file. Returns whether any was missing.
/// Ignores links and missing files.
pub(crate) fn grant_owner(path: &Path, folder_bits: u32, file_bits: u32) -> io::Result<bool> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => return Ok(false),
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(with_path(path, &error)),
    };
    let (mode, needed) = (metadata.permissions().mode(), if metadata.is_dir() { folder_bits } else { file_bits });
    if mode & needed == needed {
        return Ok(false);
    }
    std::fs::set_permissions(path, Permissions::from_mode((mode | needed) & 0o7777))
        .map_err(|error| with_path(path, &error))?;
    Ok(true)
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Whether other users can write to a file.
pub(crate) fn is_writable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o022 != 0)
}

/// Removes the write permission of other users for a file.
pub(crate) fn revoke_write_by_others(path: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    std::fs::set_permissions(path, Permissions::from_mode(mode & !0o022))
}

/// Returns the paths of a folder's entries, in no particular order. Empty if the folder is missing or is a
/// file.
pub(crate) fn list_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether another open file description holds an exclusive `flock` of the file at `path`. A missing file is
/// not locked.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    let file = match open_file(path) {
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

/// The events that the content of a written file must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of any process, also by SIGKILL.
    Process,
    /// A power loss as well as the end of any process.
    Power,
}

/// Writes a record as JSON. A reader sees all of it or none.
pub(crate) fn write_record<T: Serialize>(path: &Path, record: &T, durability: Durability) -> io::Result<()> {
    write_atomically(path, &serde_json::to_vec(record)?, durability)
}

/// The largest size of a record for which `untrusted::Folder::reserve` makes room, in bytes.
pub(super) const RESERVED_BYTES: usize = 4096;

/// Replaces a file with mode 0600. A reader sees all of the old content or all of the new content.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let staged = staged(path);
    // Truncating the file first would release the reserved space, and the disk may have no other space left.
    let mut file = open_staged(&staged)?;
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

/// Opens a staged file for writing, without truncating it. Removes anything else in its place, such as a link
/// or a file with a second hard link.
fn open_staged(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let opened = options.open(path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, file)) if metadata.is_file() && metadata.nlink() == 1 => return Ok(file),
        Err(error) if !matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO | libc::EISDIR)) => {
            return Err(error);
        }
        _ => {}
    }
    match std::fs::symlink_metadata(path)?.is_dir() {
        true => std::fs::remove_dir_all(path)?,
        false => std::fs::remove_file(path)?,
    }
    options.create_new(true).open(path)
}

/// Opens a regular file for reading, without waiting for a FIFO's writer. Links are followed.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    expect_file(&file)?;
    Ok(file)
}

fn staged(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Flushes everything that any process wrote to the file system of `path` to the disk.
pub(crate) fn sync_file_system(path: &Path) -> io::Result<()> {
    // A command may have put a FIFO or a link in the place of the folder.
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let at = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&at)?;
    #[cfg(not(target_os = "linux"))]
    {
        rustix::fs::sync();
        at.sync_all()?;
    }
    Ok(())
}

/// Moves a file within a file system. Fails if something exists at `to`, which is never replaced.
pub(crate) fn move_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some file systems, such as NFS, do not support this flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            moved => return Ok(moved?),
        }
    }
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // The file system has no hard links either.
        Err(_) if std::fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(from, to),
    }
}

/// Reads the last `max_bytes` bytes of a file.
pub(crate) fn tail(mut file: File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(max_bytes)))?;
    let mut bytes = Vec::new();
    file.take(max_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file from `offset` to its end, at most up to the offset `limit`, and passes the content to `take` in
/// chunks. Returns the offset of the end of what was read.
pub(crate) fn read_from(mut file: File, offset: u64, limit: u64, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    file.seek(SeekFrom::Start(offset))?;
    let mut file = file.take(limit.saturating_sub(offset));
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

/// Returns the size of a file in bytes.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

/// Returns the free space for this user on the file system of `path`: the bytes, and the number of files if
/// the file system limits it.
pub(crate) fn free_space(path: &Path) -> rustix::io::Result<(u64, Option<u64>)> {
    let found = rustix::fs::statvfs(path)?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), (found.f_files > 0).then_some(found.f_favail)))
}

/// Reads a regular file that a user or a command may have written. `None`: the file does not exist. Reads at
/// most `limit` + 1 bytes, so a result longer than `limit` means that the file is too large.
pub(crate) fn read_user_file(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match open_file(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_not_written_through_what_is_in_the_place_of_its_staged_file() {
        let dir = tempfile::TempDir::new().unwrap();
        let (record, staged, gold) = (dir.path().join("r.json"), dir.path().join("r.new"), dir.path().join("gold"));
        std::fs::write(&gold, "gold").unwrap();
        let make: [&dyn Fn(); 4] = [
            &|| std::os::unix::fs::symlink(&gold, &staged).unwrap(),
            &|| std::fs::hard_link(&gold, &staged).unwrap(),
            &|| std::fs::create_dir_all(staged.join("x")).unwrap(),
            &|| {
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, &staged, kind, rustix::fs::Mode::RWXU, 0).unwrap();
            },
        ];
        for make in make {
            make();
            write_atomically(&record, b"new", Durability::Power).unwrap();
            assert_eq!(std::fs::read(&record).unwrap(), b"new");
            assert_eq!(std::fs::read(&gold).unwrap(), b"gold");
        }
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("fifo");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, rustix::fs::Mode::RWXU, 0).unwrap();
        assert!(open_file(&path).is_err() && read_user_file(&path, 9).is_err());
        assert!(is_locked(&path).is_err() && private_file(&path).is_err() && sync_file_system(&path).is_err());
        sync_file_system(dir.path()).unwrap();
    }
}
