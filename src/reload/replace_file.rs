//! Replaces a user's file atomically, unless another program changed it after boi read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::path_chain::FileState;

/// Why a file was not replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplaceError {
    /// Another program changed the file after it was read.
    #[error("boi did not write {}: another program changed the file after boi read it", path.display())]
    Changed {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file has other hard links, which would keep the old version.
    #[error(
        "boi does not write {}: the file has other hard links, which would keep the old version; edit the file by \
         hand",
        path.display()
    )]
    Linked {
        /// Path of the file.
        path: PathBuf,
    },
    /// The path leads over a link to a folder that does not exist.
    #[error("{} is a link that leads to {}, which does not exist: create that folder, or correct the link", link.display(), folder.display())]
    NoFolder {
        /// The link.
        link: PathBuf,
        /// The missing folder.
        folder: PathBuf,
    },
    /// The file's owner may not write to it.
    #[error("{} is read-only (mode {mode:03o}): run `chmod u+w '{}'` to change it", path.display(), path.display())]
    ReadOnly {
        /// Path of the file.
        path: PathBuf,
        /// The mode of the file.
        mode: u32,
    },
    /// An attribute of the file, such as its access control list, cannot be kept.
    #[error("boi did not write {}: it cannot keep the attribute {name} of the file ({source}); edit the file by hand", path.display())]
    Attribute {
        /// Path of the file.
        path: PathBuf,
        /// Name of the attribute.
        name: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The operating system reported an error.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Replaces the content of the file that `path` leads to with `bytes`. Keeps symbolic links, mode, owner and extended
/// attributes, such as an access control list. A missing file is created with mode 0600. `read`: the state of the file
/// when the caller read it; if the state is different now, nothing is written.
pub(crate) fn replace(path: &Path, read: &FileState, bytes: &[u8]) -> Result<(), ReplaceError> {
    let Some(file) = read.chain().place().map(Path::to_owned) else { return Err(no_place(path, read)) };
    let failed = |source| ReplaceError::Io { path: file.clone(), source };
    let before = match File::open(&file).and_then(|open| Ok((open.metadata()?, open))) {
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    if let Some((metadata, _)) = &before {
        let mode = metadata.mode() & 0o777;
        if metadata.nlink() > 1 {
            return Err(ReplaceError::Linked { path: file });
        }
        // A mode without write permission counts even for a process that could write anyway, such as one of
        // root.
        if mode & 0o200 == 0 {
            return Err(ReplaceError::ReadOnly { path: file, mode });
        }
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let staged = file.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let result = stage(&staged, &file, before.as_ref(), bytes).and_then(|()| {
        if FileState::anywhere(path) != *read {
            return Err(ReplaceError::Changed { path: path.to_owned() });
        }
        fs::rename(&staged, &file).map_err(failed)?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    });
    if result.is_err() {
        // If the rename succeeded, the staged file no longer exists and this call does nothing.
        drop(fs::remove_file(&staged));
    }
    result
}

/// Returns the error for a path at which no file can be created.
fn no_place(path: &Path, read: &FileState) -> ReplaceError {
    match read.chain().dangling() {
        Some((link, folder)) => ReplaceError::NoFolder { link: link.to_owned(), folder: folder.to_owned() },
        None => {
            let source = fs::metadata(path).err().unwrap_or_else(|| io::ErrorKind::IsADirectory.into());
            ReplaceError::Io { path: path.to_owned(), source }
        }
    }
}

fn stage(
    staged: &Path,
    target: &Path,
    before: Option<&(fs::Metadata, File)>,
    bytes: &[u8],
) -> Result<(), ReplaceError> {
    let failed = |source| ReplaceError::Io { path: target.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(staged).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if let Some((before, old)) = before {
        file.set_permissions(before.permissions()).map_err(failed)?;
        if before.uid() != rustix::process::getuid().as_raw() || before.gid() != rustix::process::getgid().as_raw() {
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid())).map_err(failed)?;
        }
        copy_attributes(old, &file).map_err(|(name, source)| ReplaceError::Attribute {
            path: target.to_owned(),
            name,
            source,
        })?;
    }
    file.sync_all().map_err(failed)
}

/// Copies the extended attributes of `old` to `new`. An attribute that `new` has already is left as it is.
fn copy_attributes(old: &File, new: &File) -> Result<(), (String, io::Error)> {
    let names = match read_all(|buffer| rustix::fs::flistxattr(old, buffer)) {
        Ok(names) => names,
        // The file system has no attributes.
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(("list".to_owned(), error.into())),
    };
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let get = |file: &File| read_all(|buffer| rustix::fs::fgetxattr(file, name, buffer));
        let copied = get(old).and_then(|value| match get(new) {
            Ok(same) if same == value => Ok(()),
            _ => rustix::fs::fsetxattr(new, name, &value, rustix::fs::XattrFlags::empty()),
        });
        copied.map_err(|error| (String::from_utf8_lossy(name).into_owned(), error.into()))?;
    }
    Ok(())
}

/// The largest size that the kernel accepts for an attribute, and for the list of attribute names, in bytes.
const LARGEST_ATTRIBUTE: usize = 1 << 16;

/// Returns what `read` writes into a buffer that is large enough for any attribute.
fn read_all(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; LARGEST_ATTRIBUTE];
    let length = read(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_and_the_mode_are_kept_and_no_other_file_remains() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.toml"), dir.path().join("config.toml"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real.toml", &link).unwrap();
        replace(&link, &FileState::of(&link), b"new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_another_program_changed_or_linked_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        fs::write(&file, "old").unwrap();
        let read = FileState::of(&file);
        fs::write(&file, "theirs").unwrap();
        assert!(matches!(replace(&file, &read, b"mine"), Err(ReplaceError::Changed { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        fs::hard_link(&file, dir.path().join("other")).unwrap();
        assert!(matches!(replace(&file, &FileState::of(&file), b"mine"), Err(ReplaceError::Linked { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_missing_target_of_a_link_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("config.toml");
        fs::create_dir(dir.path().join("dotfiles")).unwrap();
        symlink("dotfiles/boi.toml", &link).unwrap();
        replace(&link, &FileState::of(&link), b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(dir.path().join("dotfiles/boi.toml")).unwrap(), "new");
    }

    #[test]
    fn a_missing_file_is_created_with_mode_0600() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        replace(&file, &FileState::of(&file), b"new").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_read_only_file_and_a_link_into_a_missing_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        let refused = replace(&file, &FileState::of(&file), b"new").unwrap_err().to_string();
        assert!(refused.contains("mode 444") && refused.contains("chmod u+w"), "{refused}");
        fs::remove_file(&file).unwrap();
        symlink("dots/boi.toml", &file).unwrap();
        let refused = replace(&file, &FileState::of(&file), b"new").unwrap_err();
        assert!(matches!(&refused, ReplaceError::NoFolder { folder, .. } if folder.ends_with("dots")), "{refused}");
        assert!(file.is_symlink() && !dir.path().join("dots").exists());
    }

    #[test]
    fn extended_attributes_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        fs::write(&file, "old").unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&file, "user.origin", b"mine", flags) == Err(rustix::io::Errno::NOTSUP) {
            return;
        }
        replace(&file, &FileState::of(&file), b"new").unwrap();
        let kept = read_all(|buffer| rustix::fs::getxattr(&file, "user.origin", buffer));
        assert_eq!((kept.as_deref(), fs::read(&file).unwrap().as_slice()), (Ok(&b"mine"[..]), &b"new"[..]));
    }
}
