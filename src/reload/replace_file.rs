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
    /// The operating system reported an error.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Replaces the content of the file that `path` leads to with `bytes`. Keeps symbolic links, mode and owner.
/// A missing file is created with mode 0600. `read`: the state of the file when the caller read it; if the
/// state is different now, nothing is written.
pub(crate) fn replace(path: &Path, read: &FileState, bytes: &[u8]) -> Result<(), ReplaceError> {
    let file = read.chain().place().map_or_else(|| path.to_owned(), Path::to_owned);
    let failed = |source| ReplaceError::Io { path: file.clone(), source };
    let before = match fs::metadata(&file) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    if before.as_ref().is_some_and(|metadata| metadata.nlink() > 1) {
        return Err(ReplaceError::Linked { path: file });
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let staged = file.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let result = stage(&staged, before.as_ref(), bytes).map_err(failed).and_then(|()| {
        if FileState::of(path) != *read {
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

fn stage(staged: &Path, before: Option<&fs::Metadata>, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(staged)?;
    file.write_all(bytes)?;
    if let Some(before) = before {
        file.set_permissions(before.permissions())?;
        if before.uid() != rustix::process::getuid().as_raw() || before.gid() != rustix::process::getgid().as_raw() {
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
    }
    file.sync_all()
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
}
