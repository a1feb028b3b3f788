//! Folders whose content a command may have replaced: those of attempts, and scratch directories.
//!
//! A command runs as the user, so it can replace a file or folder of boi by anything: a link, a FIFO, a
//! device, a file of any size, a second hard link to another file, a mount.
//!
//! Invariants:
//! - Below the folder that [`Folder::trusted`] opened, no link is followed and no mount point is entered.
//! - Only regular files are opened, and opening never blocks. Each read has a size limit.
//! - Bytes are written only to a file that has no second hard link.
//! - If something else is in the place of a file, a read fails with [`Damaged`], and a write removes it
//!   first. Of a link, only the link is removed.

mod beneath;
mod copying;
mod removal;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use self::beneath::open_beneath;
pub(crate) use self::copying::CopyError;
pub(crate) use self::removal::remove;
use super::files::{Durability, RESERVED_BYTES};

/// Maximum number of tries to open a file for writing while a command keeps putting something else in its
/// place.
const WRITE_TRIES: usize = 8;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// Opens a file only to inspect it, which needs no permission on it.
#[cfg(target_os = "linux")]
const INSPECT: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const INSPECT: OFlags = OFlags::RDONLY;

/// The error for a file or folder of boi that something else replaced. As an [`io::Error`], its kind is
/// [`io::ErrorKind::InvalidData`].
#[derive(Debug, thiserror::Error)]
#[error("{} {what}; something other than boi made this change", path.display())]
pub(crate) struct Damaged {
    path: PathBuf,
    what: &'static str,
}

/// Whether an error means that something else replaced a file or folder, or that a record has no valid
/// content.
pub(crate) fn is_damaged(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    /// The path of the folder, only for messages.
    path: PathBuf,
}

/// Whether a folder below another may be a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mounts {
    Allowed,
    Refused,
}

impl Folder {
    /// Opens a folder whose path the user chose: links in it are followed.
    pub(crate) fn trusted(path: &Path) -> io::Result<Folder> {
        let fd = fs::open(path, FOLDER | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Folder { fd, path: path.to_owned() })
    }

    /// Opens the folder at the relative path `below`.
    pub(crate) fn open(&self, below: &Path) -> io::Result<Folder> {
        let fd = self.open_at(below.as_os_str(), FOLDER, Mounts::Refused)?;
        Ok(Folder { fd, path: self.path.join(below) })
    }

    /// Opens a folder in this one, on which the user may have mounted a file system.
    pub(crate) fn open_mounted(&self, name: &str) -> io::Result<Folder> {
        let fd = self.open_at(OsStr::new(name), FOLDER, Mounts::Allowed)?;
        Ok(Folder { fd, path: self.path.join(name) })
    }

    /// Opens a folder in this one as [`Folder::open_mounted`] does, after creating it with mode 0700 if it is missing.
    pub(crate) fn open_or_make_mounted(&self, name: &str) -> io::Result<Folder> {
        match fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.open_mounted(name),
            Err(error) => Err(with_path(&self.path.join(name), error.into())),
        }
    }

    /// Restores this user's access to the folders on the relative path `below`. Returns the first to which
    /// this user had no access. Stops at the first component that is missing or is not a folder.
    pub(crate) fn restore(&self, below: &Path) -> io::Result<Option<PathBuf>> {
        let mut first = None;
        let mut folder = self.duplicate()?;
        for part in below {
            if folder.restore_access(part)? {
                first.get_or_insert_with(|| folder.path.join(part));
            }
            match folder.open_at(part, FOLDER, Mounts::Allowed) {
                Ok(fd) => folder = Folder { fd, path: folder.path.join(part) },
                Err(error) if error.kind() == io::ErrorKind::NotFound || is_damaged(&error) => break,
                Err(error) => return Err(with_path(&folder.path.join(part), error)),
            }
        }
        Ok(first)
    }

    /// Opens the folder at the relative path `below`, after creating what is missing with mode 0700 and restoring this
    /// user's access. Removes a file or link in the place of a folder. Returns also the first path that was repaired.
    pub(crate) fn make(&self, below: &Path) -> io::Result<(Folder, Option<PathBuf>)> {
        let mut folder = self.duplicate()?;
        let mut repaired = None;
        for part in below.components() {
            let Component::Normal(name) = part else { return Err(io::ErrorKind::InvalidInput.into()) };
            let path = folder.path.join(name);
            let restored = folder.restore_access(name)?;
            let inner = match fs::mkdirat(&folder.fd, name, Mode::RWXU) {
                Ok(()) => folder.open(Path::new(name))?,
                Err(Errno::EXIST) => match folder.open(Path::new(name)) {
                    Err(error) if is_damaged(&error) => {
                        // Fails for a mount point.
                        folder.remove_file(name)?;
                        fs::mkdirat(&folder.fd, name, Mode::RWXU)?;
                        repaired.get_or_insert_with(|| path.clone());
                        folder.open(Path::new(name))?
                    }
                    opened => opened?,
                },
                Err(error) => return Err(with_path(&path, error.into())),
            };
            if restored {
                repaired.get_or_insert(path);
            }
            folder = inner;
        }
        Ok((folder, repaired))
    }

    /// The folder's path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file for reading; `None`: it does not exist.
    pub(crate) fn file(&self, name: &str) -> io::Result<Option<File>> {
        let opened = self.open_at(OsStr::new(name), OFlags::RDONLY, Mounts::Refused);
        let fd = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        self.expect_file(name, &fs::fstat(&fd)?)?;
        Ok(Some(blocking(fd)?))
    }

    /// Reads a file; `None`: it does not exist. A file larger than `limit` bytes is damaged.
    pub(crate) fn read(&self, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(self.damaged(OsStr::new(name), "is larger than any record that boi writes"));
        }
        Ok(Some(bytes))
    }

    /// Whether the folder contains an entry with this name, of any type.
    pub(crate) fn contains(&self, name: &str) -> bool {
        let found = self.open_at(OsStr::new(name), INSPECT, Mounts::Refused);
        !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Opens a file for reading, writing and locking. Creates it with mode 0600. Removes anything else in its
    /// place.
    pub(crate) fn lockable(&self, name: &str) -> io::Result<File> {
        self.writable_file(name, OFlags::RDWR, |_| true)
    }

    /// Opens a file for appending. Creates it with mode 0600. Removes anything else in its place.
    pub(crate) fn appendable(&self, name: &str) -> io::Result<File> {
        self.writable_file(name, OFlags::WRONLY | OFlags::APPEND, |file| file.st_nlink == 1)
    }

    /// Writes a file with mode 0600. A reader may see it half written.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.writable_file(name, OFlags::WRONLY, |file| file.st_nlink == 1)?;
        file.set_len(0)?;
        file.write_all(bytes)
    }

    /// Reserves disk space for a record, so that [`Folder::replace`] succeeds later on a full disk.
    pub(crate) fn reserve(&self, name: &str) -> io::Result<()> {
        self.write(&staged(name), &[b' '; RESERVED_BYTES])
    }

    /// Writes a file with mode 0600. A reader sees the old content or all of the new one.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8], durability: Durability) -> io::Result<()> {
        let staged = staged(name);
        // The file is not truncated before writing: the reserved space may be the last free space of the
        // disk.
        let mut file = self.writable_file(&staged, OFlags::WRONLY, |file| file.st_nlink == 1)?;
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)?;
        if durability == Durability::Power {
            file.sync_all()?;
        }
        drop(file);
        match fs::renameat(&self.fd, &staged, &self.fd, name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {
                self.remove(OsStr::new(name))?;
                fs::renameat(&self.fd, &staged, &self.fd, name)?;
            }
            renamed => renamed?,
        }
        if durability == Durability::Power {
            fs::fsync(&self.fd)?;
        }
        Ok(())
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the sorted names of the folders in this folder. A link to a folder does not count as a folder.
    pub(crate) fn folder_names(&self) -> io::Result<Vec<OsString>> {
        let mut names = self.names()?;
        names.retain(|name| self.inspect(name).is_ok_and(|found| found.is_some_and(|(stat, _)| is_folder(&stat))));
        Ok(names)
    }

    /// Restores this user's access to the folder's files. Returns the first file to which this user had no
    /// access.
    pub(crate) fn restore_files(&self) -> io::Result<Option<PathBuf>> {
        let mut first = None;
        for name in self.names()? {
            if self.restore_access(&name)? {
                first.get_or_insert_with(|| self.path.join(&name));
            }
        }
        Ok(first)
    }

    fn duplicate(&self) -> io::Result<Folder> {
        Ok(Folder { fd: self.fd.try_clone()?, path: self.path.clone() })
    }

    /// Adds the owner's permissions to a file or folder; returns whether any was missing. Ignores links.
    fn restore_access(&self, name: &OsStr) -> io::Result<bool> {
        let Some((stat, _opened)) = self.inspect(name)? else { return Ok(false) };
        let needed = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Mode::RWXU,
            FileType::RegularFile => Mode::RUSR | Mode::WUSR,
            _ => return Ok(false),
        };
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.contains(needed) {
            return Ok(false);
        }
        let error = |error: Errno| with_path(&self.path.join(name), error.into());
        #[cfg(target_os = "linux")]
        {
            // The descriptor refers to the inspected file, even if another file has its name by now.
            let through = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&_opened));
            fs::chmod(through, mode | needed).map_err(error)?;
        }
        #[cfg(not(target_os = "linux"))]
        fs::chmodat(&self.fd, name, mode | needed, fs::AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
        Ok(true)
    }

    /// Opens the entry with this name, only to inspect it. `None`: the entry is missing, a link or a mount
    /// point.
    #[cfg(target_os = "linux")]
    fn inspect(&self, name: &OsStr) -> io::Result<Option<(Stat, OwnedFd)>> {
        match self.open_at(name, INSPECT, Mounts::Refused) {
            Ok(fd) => Ok(Some((fs::fstat(&fd)?, fd))),
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_damaged(&error) => Ok(None),
            Err(error) => Err(with_path(&self.path.join(name), error)),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn inspect(&self, name: &OsStr) -> io::Result<Option<(Stat, ())>> {
        match fs::statat(&self.fd, name, fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some((stat, ()))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(with_path(&self.path.join(name), error.into())),
        }
    }

    /// Opens for writing a regular file for which `accepts` returns true. Creates a missing file with mode
    /// 0600, and removes anything else in its place.
    fn writable_file(&self, name: &str, access: OFlags, accepts: impl Fn(&Stat) -> bool) -> io::Result<File> {
        for _ in 0..WRITE_TRIES {
            match self.open_at(OsStr::new(name), access | OFlags::CREATE, Mounts::Refused) {
                Ok(fd) => {
                    let stat = fs::fstat(&fd)?;
                    if self.expect_file(name, &stat).is_ok() && accepts(&stat) {
                        return blocking(fd);
                    }
                }
                Err(error) if is_damaged(&error) || error.kind() == io::ErrorKind::IsADirectory => {}
                Err(error) => return Err(error),
            }
            self.remove(OsStr::new(name))?;
        }
        Err(self.damaged(OsStr::new(name), "is replaced again and again"))
    }

    fn expect_file(&self, name: &str, stat: &Stat) -> io::Result<()> {
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return Ok(()),
            FileType::Directory => "is a folder",
            FileType::Fifo => "is a FIFO",
            _ => "is not a regular file",
        };
        Err(self.damaged(OsStr::new(name), what))
    }

    fn damaged(&self, name: &OsStr, what: &'static str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, Damaged { path: self.path.join(name), what })
    }

    /// Opens what is at the relative path `below`, without blocking and without following links.
    fn open_at(&self, below: &OsStr, flags: OFlags, mounts: Mounts) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = open_beneath(&self.fd, Path::new(below), flags, mounts);
        opened.map_err(|error| match error {
            Errno::LOOP => self.damaged(below, "is a link"),
            Errno::NOTDIR => self.damaged(below, "is not a folder"),
            Errno::XDEV => self.damaged(below, "is a mount point"),
            Errno::NXIO => self.damaged(below, "is a socket or FIFO"),
            error => error.into(),
        })
    }
}

/// Clears the flag `O_NONBLOCK`, with which the file was opened: a command would inherit it with the open
/// file.
fn blocking(fd: OwnedFd) -> io::Result<File> {
    let flags = fs::fcntl_getfl(&fd)?;
    fs::fcntl_setfl(&fd, flags - OFlags::NONBLOCK)?;
    Ok(File::from(fd))
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn staged(name: &str) -> String {
    format!("{name}.new")
}

fn with_path(path: &Path, error: io::Error) -> io::Error {
    if is_damaged(&error) {
        return error;
    }
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
