//! Folders whose content a command may have replaced: those of attempts, and scratch directories.
//!
//! A command runs as the user, so it can put anything in the place of a file or folder of boi's: a link, a FIFO, a device,
//! a file of any size, a second name of another file, a mount.
//!
//! Invariants:
//! - Below the folder that [`Folder::trusted`] opened, no link is followed and no mount point is entered.
//! - Only regular files are opened, and opening never blocks. The reader bounds how much is read.
//! - Bytes are written only to a file to which no second name leads.
//! - Something else in the place of a file is the error [`Damaged`] for a reader. A writer removes it: a link as a link.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::files::{Durability, RESERVED_BYTES};

/// How often a file is tried to be written in the place of something else that a command put there.
const WRITE_TRIES: usize = 8;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// Opens a file only to inspect it, which needs no permission on it.
#[cfg(target_os = "linux")]
const INSPECT: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const INSPECT: OFlags = OFlags::RDONLY;

/// Something that boi did not make is in the place of a file or folder of boi's. As an [`io::Error`], its kind is
/// [`io::ErrorKind::InvalidData`].
#[derive(Debug, thiserror::Error)]
#[error("{} {what}, which boi did not make", path.display())]
pub(crate) struct Damaged {
    path: PathBuf,
    what: &'static str,
}

/// Whether an error says that something else is in the place of a file or folder, or that a record has no valid content.
pub(crate) fn is_damaged(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    /// For messages.
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

    /// Restores this user's access to the folders on the relative path `below`. Returns the first to which this user had
    /// no access. Ends at what is missing or no folder.
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
            return Err(self.damaged(OsStr::new(name), "is larger than any record"));
        }
        Ok(Some(bytes))
    }

    /// Whether anything has this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        let found = self.open_at(OsStr::new(name), INSPECT, Mounts::Refused);
        !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Opens a file for reading, writing and locking. Creates it with mode 0600. Removes what else is in its place.
    pub(crate) fn lockable(&self, name: &str) -> io::Result<File> {
        self.writable_file(name, OFlags::RDWR, |_| true)
    }

    /// Opens a file for appending. Creates it with mode 0600. Removes what else is in its place.
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
        // Not truncated before writing: the reserved space may be the last that the disk has.
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

    /// The names of the folders in this folder, sorted. Links are no folders.
    pub(crate) fn folder_names(&self) -> io::Result<Vec<OsString>> {
        let mut names = self.names()?;
        names.retain(|name| self.inspect(name).is_ok_and(|found| found.is_some_and(|(stat, _)| is_folder(&stat))));
        Ok(names)
    }

    /// Gives this user access again to the folder's files. Returns the first to which this user had no access.
    pub(crate) fn restore_files(&self) -> io::Result<Option<PathBuf>> {
        let mut first = None;
        for name in self.names()? {
            if self.restore_access(&name)? {
                first.get_or_insert_with(|| self.path.join(&name));
            }
        }
        Ok(first)
    }

    /// Removes what has this name: a folder with everything in it, a link as a link. Nothing happens if it does not exist.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Linux says ISDIR, POSIX says PERM.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(with_path(&self.path.join(name), error.into())),
        }
        self.remove_tree(name).map_err(|error| with_path(&self.path.join(name), error))
    }

    /// Removes links, devices, sockets, FIFOs, and files that have a second name, so that programs which open the files
    /// of this folder by their paths find only files of this folder.
    pub(crate) fn remove_impostors(&self) -> io::Result<()> {
        for name in self.names()? {
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

    /// Removes what has this name unless it is a folder with files.
    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
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

    /// Removes everything in the folder but folders that are not empty, and returns the names of these.
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
            // The descriptor names exactly the inspected file, whatever has its name by now.
            let through = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&_opened));
            fs::chmod(through, mode | needed).map_err(error)?;
        }
        #[cfg(not(target_os = "linux"))]
        fs::chmodat(&self.fd, name, mode | needed, AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
        Ok(true)
    }

    /// What has this name, without following it; `None`: nothing, a link, or a mount point.
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
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some((stat, ()))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(with_path(&self.path.join(name), error.into())),
        }
    }

    /// Opens a regular file that `accepts`, for writing. Creates it with mode 0600; removes what else is in its place.
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
        Err(self.damaged(OsStr::new(name), "is replaced again and again by something"))
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

#[cfg(target_os = "linux")]
fn open_beneath(at: &OwnedFd, below: &Path, flags: OFlags, mounts: Mounts) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
    // With `PATH`, the kernel accepts only these flags.
    let flags = match flags.contains(OFlags::PATH) {
        true => flags & (OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY),
        false => flags,
    };
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    if mounts == Mounts::Refused {
        resolve |= ResolveFlags::NO_XDEV;
    }
    match fs::openat2(at, below, flags, mode, resolve) {
        // Kernels before 5.6 do not know the call, and some containers forbid it.
        Err(Errno::NOSYS | Errno::PERM) => open_step_by_step(at, below, flags),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(at: &OwnedFd, below: &Path, flags: OFlags, _mounts: Mounts) -> rustix::io::Result<OwnedFd> {
    open_step_by_step(at, below, flags)
}

/// Opens one component after another; mount points are not noticed.
fn open_step_by_step(at: &OwnedFd, below: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
    let mut components = below.components().peekable();
    let mut current = None;
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else { return Err(Errno::INVAL) };
        let from = current.as_ref().map_or(at.as_fd(), AsFd::as_fd);
        let opened = match components.peek() {
            Some(_) => fs::openat(from, name, FOLDER | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?,
            None => fs::openat(from, name, flags, mode)?,
        };
        current = Some(opened);
    }
    // `PATH` opens a link itself.
    let opened = current.ok_or(Errno::INVAL)?;
    match FileType::from_raw_mode(fs::fstat(&opened)?.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(opened),
    }
}

/// The open file without the flag that kept its opening from blocking, which a command would inherit.
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
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A home with a folder `precious` beside the folder `own`, which a command can change.
    struct Scene {
        dir: tempfile::TempDir,
        own: Folder,
    }

    impl Scene {
        fn new() -> Scene {
            let dir = tempfile::TempDir::new().unwrap();
            for folder in ["own", "precious"] {
                std::fs::create_dir(dir.path().join(folder)).unwrap();
            }
            std::fs::write(dir.path().join("precious/gold"), "gold").unwrap();
            let own = Folder::trusted(dir.path()).unwrap().open(Path::new("own")).unwrap();
            Scene { dir, own }
        }

        fn own(&self, name: &str) -> PathBuf {
            self.dir.path().join("own").join(name)
        }

        fn precious(&self) -> PathBuf {
            self.dir.path().join("precious")
        }

        fn is_precious_untouched(&self) -> bool {
            std::fs::read_dir(self.precious()).unwrap().count() == 1
                && std::fs::read_to_string(self.precious().join("gold")).unwrap() == "gold"
        }

        /// Puts everything that is not a regular file in the place of `file`, one after another.
        fn each_impostor(&self, mut check: impl FnMut(&str)) {
            let path = self.own("file");
            let gold = self.precious().join("gold");
            let fifo = |path: &Path| {
                fs::mknodat(fs::CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
            };
            let make: [(&str, &dyn Fn()); 6] = [
                ("link", &|| symlink(&gold, &path).unwrap()),
                ("dangling link", &|| symlink(self.precious().join("new"), &path).unwrap()),
                ("device", &|| symlink("/dev/zero", &path).unwrap()),
                ("fifo", &|| fifo(&path)),
                ("socket", &|| drop(std::os::unix::net::UnixListener::bind(&path).unwrap())),
                ("folder", &|| std::fs::create_dir_all(path.join("deep/er")).unwrap()),
            ];
            for (name, make) in make {
                make();
                check(name);
                self.own.remove(OsStr::new("file")).unwrap();
                assert!(path.symlink_metadata().is_err(), "{name} was not removed");
                assert!(self.is_precious_untouched(), "{name}");
            }
        }
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let scene = Scene::new();
        assert!(scene.own.read("file", 10).unwrap().is_none() && !scene.own.contains("file"));
        scene.each_impostor(|name| {
            let error = scene.own.read("file", 10).unwrap_err();
            assert!(is_damaged(&error) && error.to_string().contains("/own/file is "), "{name}: {error}");
            assert!(scene.own.contains("file"), "{name}");
        });
        std::fs::write(scene.own("file"), "0123456789").unwrap();
        assert_eq!(scene.own.read("file", 10).unwrap().unwrap(), b"0123456789");
        assert!(is_damaged(&scene.own.read("file", 9).unwrap_err()));
    }

    #[test]
    fn a_writer_replaces_what_is_in_the_place_of_its_file() {
        let scene = Scene::new();
        let written = |name: &str| {
            assert_eq!(std::fs::symlink_metadata(scene.own("file")).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::read(scene.own("file")).unwrap(), b"new", "{name}");
        };
        scene.each_impostor(|name| {
            scene.own.write("file", b"new").unwrap();
            written(name);
        });
        scene.each_impostor(|name| {
            scene.own.replace("file", b"new", Durability::Power).unwrap();
            written(name);
        });
        scene.each_impostor(|name| {
            scene.own.appendable("file").unwrap().write_all(b"new").unwrap();
            written(name);
        });
        scene.each_impostor(|_| drop(scene.own.lockable("file").unwrap()));
        std::fs::hard_link(scene.precious().join("gold"), scene.own("file")).unwrap();
        scene.own.write("file", b"new").unwrap();
        assert!(scene.is_precious_untouched(), "the file has a second name");
        std::fs::hard_link(scene.precious().join("gold"), scene.own("other.new")).unwrap();
        scene.own.replace("other", b"new", Durability::Process).unwrap();
        assert!(scene.is_precious_untouched(), "the staged file has a second name");
    }

    #[test]
    fn a_record_is_written_into_the_reserved_file() {
        let scene = Scene::new();
        scene.own.reserve("exit").unwrap();
        assert!(!scene.own.contains("exit"), "reserved space is no record");
        let reserved = std::fs::metadata(scene.own("exit.new")).unwrap();
        scene.own.replace("exit", b"ended", Durability::Power).unwrap();
        let record = std::fs::metadata(scene.own("exit")).unwrap();
        assert_eq!(record.len(), 5);
        let inode = |file: &std::fs::Metadata| std::os::unix::fs::MetadataExt::ino(file);
        assert_eq!(inode(&reserved), inode(&record), "another file was written");
    }

    #[test]
    fn no_link_on_the_way_is_followed() {
        let scene = Scene::new();
        std::fs::create_dir(scene.precious().join("inner")).unwrap();
        symlink(scene.precious(), scene.own("way")).unwrap();
        let root = Folder::trusted(scene.dir.path()).unwrap();
        for below in ["own/way", "own/way/inner"] {
            assert!(is_damaged(&root.open(Path::new(below)).unwrap_err()), "{below}");
        }
        assert!(scene.own.open(Path::new("../precious")).is_err());
        let (made, repaired) = root.make(Path::new("own/way/inner")).unwrap();
        assert_eq!(repaired, Some(scene.own("way")));
        made.write("file", b"x").unwrap();
        assert!(!scene.precious().join("inner/file").exists() && scene.own("way/inner/file").exists());
    }

    #[test]
    fn a_tree_is_removed_without_following_links_and_whatever_its_modes_and_depth() {
        let scene = Scene::new();
        let tree = scene.own("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        symlink(scene.precious(), tree.join("a/b/link")).unwrap();
        symlink(scene.precious(), tree.join("link")).unwrap();
        std::fs::write(tree.join("a/file"), "").unwrap();
        std::fs::set_permissions(tree.join("a/b"), std::fs::Permissions::from_mode(0)).unwrap();
        std::fs::set_permissions(tree.join("a"), std::fs::Permissions::from_mode(0o100)).unwrap();
        // Deeper than the number of descriptors that a process may have, and longer than any path.
        let mut deep = scene.own.make(Path::new("tree")).unwrap().0;
        for _ in 0..3000 {
            deep = deep.make(Path::new("d")).unwrap().0;
            deep.path = PathBuf::from("deep");
        }
        scene.own.remove(OsStr::new("tree")).unwrap();
        assert!(!tree.exists() && scene.is_precious_untouched());
        scene.own.remove(OsStr::new("tree")).unwrap();
    }

    #[test]
    fn access_that_a_command_removed_is_restored() {
        let scene = Scene::new();
        let (inner, _) = scene.own.make(Path::new("a/b")).unwrap();
        inner.write("file", b"x").unwrap();
        for path in ["a/b/file", "a/b", "a"] {
            std::fs::set_permissions(scene.own(path), std::fs::Permissions::from_mode(0)).unwrap();
        }
        let (again, repaired) = scene.own.make(Path::new("a/b")).unwrap();
        assert_eq!(repaired, Some(scene.own("a")));
        assert_eq!(again.restore_files().unwrap(), Some(scene.own("a/b/file")));
        assert_eq!(again.read("file", 1).unwrap().unwrap(), b"x");
        assert_eq!(again.restore_files().unwrap(), None);
    }
}
