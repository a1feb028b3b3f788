//! Removes the entries of a folder, without following links.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{FOLDER, Folder, with_path};

/// Removes the entry at `path` as [`Folder::remove`] does. A command may have replaced the last component.
/// Keeps the files of a file system that is mounted there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match Folder::trusted(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        parent => parent?.remove(name),
    }
}

impl Folder {
    /// Removes the entry with this name: a file, a folder with its content, or a link (not its target). Does
    /// nothing if there is no such entry.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // For a folder, `unlink` fails with ISDIR on Linux, and with PERM on other systems.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(with_path(&self.path.join(name), error.into())),
        }
        self.remove_tree(name).map_err(|error| with_path(&self.path.join(name), error))
    }

    /// Removes links, devices, sockets, FIFOs, and files with a second hard link, so that a program that
    /// opens a path in this folder never reaches a file outside it. Keeps the lock file `kept` even if it has
    /// several names: a process that creates the lock file anew would not notice that it is locked.
    pub(crate) fn remove_impostors(&self, kept: &str) -> io::Result<()> {
        for name in self.names()?.into_iter().filter(|name| name != kept) {
            let is_own = self.inspect(&name)?.is_some_and(|(stat, _)| match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => true,
                FileType::RegularFile => stat.st_nlink == 1,
                _ => false,
            });
            if !is_own {
                self.remove_file(&name)?;
            }
        }
        Ok(())
    }

    /// Removes the entry with this name unless it is a folder that is not empty.
    pub(super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        let removed = match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR),
            removed => removed,
        };
        removed.map_err(|error| with_path(&self.path.join(name), error.into()))
    }

    /// Removes a folder tree of any depth with two open descriptors.
    fn remove_tree(&self, name: &OsStr) -> io::Result<()> {
        /// A folder that is being emptied.
        struct Level {
            name: OsString,
            stat: Stat,
            /// Folders in it that are not empty yet.
            inner: Vec<OsString>,
        }
        let level = |name: OsString, folder: &Folder| -> io::Result<Level> {
            Ok(Level { name, stat: fs::fstat(&folder.fd)?, inner: folder.remove_files()? })
        };
        let mut current = self.enter(name)?;
        let mut levels = vec![level(name.to_owned(), &current)?];
        while let Some(last) = levels.last_mut() {
            if let Some(inner) = last.inner.pop() {
                current = current.enter(&inner)?;
                levels.push(level(inner, &current)?);
                continue;
            }
            let Some(Level { name, .. }) = levels.pop() else { return Ok(()) };
            current = match levels.last() {
                None => self.duplicate()?,
                Some(Level { stat, .. }) => {
                    let fd = fs::openat(&current.fd, "..", FOLDER | OFlags::CLOEXEC, Mode::empty())?;
                    let found = fs::fstat(&fd)?;
                    if (found.st_dev, found.st_ino) != (stat.st_dev, stat.st_ino) {
                        return Err(io::Error::other("a folder was moved while it was being removed"));
                    }
                    let path = current.path.parent().unwrap_or(&self.path).to_owned();
                    Folder { fd, path }
                }
            };
            match fs::unlinkat(&current.fd, &name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes everything in the folder except folders that are not empty, and returns the names of those.
    fn remove_files(&self) -> io::Result<Vec<OsString>> {
        let mut inner = Vec::new();
        for name in self.names()? {
            let removed = match fs::unlinkat(&self.fd, &name, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => fs::unlinkat(&self.fd, &name, AtFlags::REMOVEDIR),
                removed => removed,
            };
            match removed {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::EXIST) => inner.push(name),
                Err(error) => return Err(with_path(&self.path.join(&name), error.into())),
            }
        }
        Ok(inner)
    }

    /// Opens a folder that is to be emptied, with this user's access restored.
    fn enter(&self, name: &OsStr) -> io::Result<Folder> {
        self.restore_access(name)?;
        self.open(Path::new(name))
    }
}
