//! Copies files from one folder to the same path in another one, without following a link in either.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Component, Path};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{FOLDER, Folder, Mounts, blocking, is_damaged};

/// The permission bits of a file that a copy gets too: the copy is neither setuid nor setgid.
const PERMISSIONS: u32 = 0o777;

/// Why a file was not copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// The file cannot be copied from or to these paths.
    #[error("{0}")]
    Refused(String),
    /// The copy could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Folder {
    /// Copies the regular file at the relative path `below` to the same path in `to`, and returns its size. Creates the
    /// missing folders around the copy with mode 0700. A file or link in the place of the copy is replaced, a folder is
    /// not. The copy shares its data with the original where the file system can do that. A copy that was interrupted can
    /// be repeated.
    pub(crate) fn copy_file(&self, to: &Folder, below: &Path) -> Result<u64, CopyError> {
        let (Some(name), parent) = (below.file_name(), below.parent().unwrap_or(Path::new(""))) else {
            return Err(CopyError::Refused("it is not the path of a file".to_owned()));
        };
        let original = self.original(below)?;
        let mode = Mode::from_raw_mode(fs::fstat(&original).map_err(io::Error::from)?.st_mode & PERMISSIONS);
        let folder = to.make_parent(parent)?;
        match fs::unlinkat(&folder.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => {
                return Err(CopyError::Refused("a folder is in its place in the worktree".to_owned()));
            }
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let copy = fs::openat(&folder.fd, name, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
        let mut copy = File::from(copy);
        let bytes = copy_content(&original, &mut copy)?;
        fs::fchmod(&copy, mode).map_err(io::Error::from)?;
        Ok(bytes)
    }

    /// Opens the file that is copied.
    fn original(&self, below: &Path) -> Result<File, CopyError> {
        let fd = self.open_at(below.as_os_str(), OFlags::RDONLY, Mounts::Refused).map_err(|error| refused(&error))?;
        match FileType::from_raw_mode(fs::fstat(&fd).map_err(io::Error::from)?.st_mode) {
            FileType::RegularFile => Ok(blocking(fd)?),
            _ => Err(CopyError::Refused("it is not a regular file".to_owned())),
        }
    }

    /// Opens the folder at the relative path `below`, after creating what is missing. Replaces nothing.
    fn make_parent(&self, below: &Path) -> Result<Folder, CopyError> {
        let mut folder = self.duplicate()?;
        for part in below.components() {
            let Component::Normal(name) = part else {
                return Err(CopyError::Refused("its path is not relative".to_owned()));
            };
            match fs::mkdirat(&folder.fd, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
            folder = folder.open_part(name)?;
        }
        Ok(folder)
    }

    fn open_part(&self, name: &OsStr) -> Result<Folder, CopyError> {
        match self.open_at(name, FOLDER, Mounts::Refused) {
            Ok(fd) => Ok(Folder { fd, path: self.path.join(name) }),
            Err(error) if is_damaged(&error) => {
                Err(CopyError::Refused(format!("in the worktree, {name:?} on its path is not a folder")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The error for a file that cannot be read: the path in it is left out, because the caller names the file.
fn refused(error: &io::Error) -> CopyError {
    CopyError::Refused(match error {
        error if is_damaged(error) => {
            "the file, or a folder on its path, is a link, a mount point or no file".to_owned()
        }
        error => format!("it cannot be read: {error}"),
    })
}

fn copy_content(mut original: &File, copy: &mut File) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    if fs::ioctl_ficlone(&*copy, original).is_ok() {
        return Ok(copy.metadata()?.len());
    }
    let bytes = io::copy(&mut original, copy)?;
    copy.flush()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs as files;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folders() -> (tempfile::TempDir, Folder, Folder) {
        let dir = tempfile::TempDir::new().unwrap();
        let made = ["from", "to"].map(|name| {
            files::create_dir(dir.path().join(name)).unwrap();
            Folder::trusted(&dir.path().join(name)).unwrap()
        });
        let [from, to] = made;
        (dir, from, to)
    }

    #[test]
    fn a_copy_has_the_content_and_the_permissions_but_not_the_setuid_bit() {
        let (dir, from, to) = folders();
        let at = |name: &str| dir.path().join(name);
        files::create_dir_all(at("from/a/b")).unwrap();
        for (name, mode, copied) in [("a/b/private", 0o600, 0o600), ("tool", 0o4755, 0o755), ("read", 0o444, 0o444)] {
            files::write(at("from").join(name), name).unwrap();
            files::set_permissions(at("from").join(name), files::Permissions::from_mode(mode)).unwrap();
            // A repeated copy replaces the first.
            for _ in 0..2 {
                assert_eq!(from.copy_file(&to, Path::new(name)).unwrap(), name.len() as u64);
            }
            let found = files::metadata(at("to").join(name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o7777, copied, "{name}");
            assert_eq!(files::read_to_string(at("to").join(name)).unwrap(), name);
        }
        assert_eq!(files::metadata(at("to/a")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn no_link_is_followed_in_either_folder_and_no_folder_is_replaced() {
        let (dir, from, to) = folders();
        let at = |name: &str| dir.path().join(name);
        files::create_dir(at("outside")).unwrap();
        files::write(at("outside/secret"), "secret").unwrap();
        files::create_dir(at("from/real")).unwrap();
        for name in ["from/plain", "from/real/file"] {
            files::write(at(name), "new").unwrap();
        }
        symlink(at("outside/secret"), at("from/link")).unwrap();
        symlink(at("outside"), at("from/folder")).unwrap();
        let refuses = |name: &str| {
            let error = from.copy_file(&to, Path::new(name)).unwrap_err();
            assert!(matches!(error, CopyError::Refused(_)), "{name}: {error}");
        };
        for name in ["link", "folder/secret", "../outside/secret", "real", "missing", ""] {
            refuses(name);
        }
        // In the worktree, a link in the place of the file is replaced, and one in the place of a folder is not.
        symlink(at("outside/secret"), at("to/plain")).unwrap();
        from.copy_file(&to, Path::new("plain")).unwrap();
        assert!(!at("to/plain").is_symlink());
        symlink(at("outside"), at("to/real")).unwrap();
        refuses("real/file");
        files::remove_file(at("to/real")).unwrap();
        files::create_dir_all(at("to/real/file/deep")).unwrap();
        refuses("real/file");
        assert_eq!(files::read_to_string(at("outside/secret")).unwrap(), "secret");
        assert_eq!(files::read_dir(at("outside")).unwrap().count(), 1);
        assert!(at("to/real/file/deep").is_dir());
    }
}
