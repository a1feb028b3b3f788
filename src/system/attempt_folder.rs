//! Folders below a home's folder `attempts`. A command may have replaced any of them, so they are opened as
//! [`super::untrusted`] describes.
//!
//! The folder `attempts` itself may be a mount point, but not a link. boi creates it if it is missing, but
//! never replaces it.

use std::io;
use std::path::{Path, PathBuf};

use super::files;
use super::untrusted::{Folder, is_damaged};

const ATTEMPTS: &str = "attempts";

/// Opens a folder below `attempts`, or `attempts` itself.
pub(crate) fn open(path: &Path) -> io::Result<Folder> {
    let Some((home, below)) = split(path) else { return Folder::trusted(path) };
    let attempts = Folder::trusted(home)?.open_mounted(ATTEMPTS)?;
    if below.as_os_str().is_empty() { Ok(attempts) } else { attempts.open(below) }
}

/// Opens a folder below `attempts`, after creating the missing folders with mode 0700, restoring this user's
/// access to the existing ones, and removing any file or link in the place of a folder. Also returns the
/// first path that was repaired.
pub(crate) fn make(path: &Path) -> io::Result<(Folder, Option<PathBuf>)> {
    let Some((home, below)) = split(path) else {
        files::private_dir(path)?;
        return Ok((Folder::trusted(path)?, None));
    };
    let home = Folder::trusted(home)?;
    home.restore(Path::new(ATTEMPTS))?;
    let attempts = home.open_or_make_mounted(ATTEMPTS)?;
    attempts.make(below)
}

/// Restores this user's access to a folder below `attempts`, to the folders around it and to its files.
/// Returns the first path to which this user had no access. Ignores missing paths, and files and links in the
/// place of a folder.
pub(crate) fn restore_access(path: &Path) -> io::Result<Option<PathBuf>> {
    let Some((home, below)) = split(path) else { return restore_files(Folder::trusted(path), None) };
    let restored = match Folder::trusted(home) {
        Ok(home) => home.restore(&Path::new(ATTEMPTS).join(below))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    restore_files(open(path), restored)
}

fn restore_files(folder: io::Result<Folder>, restored: Option<PathBuf>) -> io::Result<Option<PathBuf>> {
    match folder {
        Ok(folder) => Ok(restored.or(folder.restore_files()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_damaged(&error) => Ok(restored),
        Err(error) => Err(error),
    }
}

/// Returns the sorted paths of the folders in a folder below `attempts`, after restoring this user's access.
/// Empty if there is no folder at `path`. A link to a folder does not count as a folder.
pub(crate) fn subfolders(path: &Path) -> io::Result<Vec<PathBuf>> {
    // If access cannot be restored, opening the folder fails.
    restore_access(path).ok();
    match open(path) {
        Ok(folder) => Ok(folder.folder_names()?.into_iter().map(|name| path.join(name)).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_damaged(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The folders of all commands below `path`, which is the folder of a spec's attempts.
pub(crate) fn commands(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut commands = Vec::new();
    for attempt in subfolders(path)? {
        commands.extend(subfolders(&attempt)?);
    }
    Ok(commands)
}

/// Removes the entry at a path below `attempts`: a file, a folder with its content, or a link (not its
/// target). Does nothing if the path does not exist.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match open(parent) {
        Ok(parent) => parent.remove(name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Splits `path` into the home and the path below its folder `attempts`. `None`: `path` is not below such a
/// folder.
fn split(path: &Path) -> Option<(&Path, &Path)> {
    let attempts = path.ancestors().take(4).find(|folder| folder.ends_with(ATTEMPTS))?;
    Some((attempts.parent()?, path.strip_prefix(attempts).ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_folder_is_replaced_and_one_in_the_place_of_attempts_is_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let (home, precious) = (dir.path().join("boi"), dir.path().join("precious"));
        std::fs::create_dir_all(precious.join("1/command-1")).unwrap();
        std::fs::create_dir(&home).unwrap();
        let command = home.join("attempts/SD979/1/command-1");
        assert!(subfolders(&home.join("attempts")).unwrap().is_empty());
        assert_eq!(make(&command).unwrap().1, None);
        assert_eq!(commands(&home.join("attempts/SD979")).unwrap(), std::slice::from_ref(&command));
        std::fs::rename(home.join("attempts/SD979"), dir.path().join("aside")).unwrap();
        symlink(&precious, home.join("attempts/SD979")).unwrap();
        assert!(is_damaged(&open(&command).unwrap_err()));
        assert!(commands(&home.join("attempts/SD979")).unwrap().is_empty());
        assert_eq!(restore_access(&command).unwrap(), None);
        assert_eq!(make(&command).unwrap().1, Some(home.join("attempts/SD979")));
        assert!(command.is_dir() && !home.join("attempts/SD979").is_symlink());
        symlink(&precious, home.join("attempts/SD97A")).unwrap();
        remove(&home.join("attempts/SD97A")).unwrap();
        remove(&home.join("attempts/SD979")).unwrap();
        assert_eq!(std::fs::read_dir(home.join("attempts")).unwrap().count(), 0);
        std::fs::remove_dir(home.join("attempts")).unwrap();
        symlink(&precious, home.join("attempts")).unwrap();
        assert!(is_damaged(&make(&command).unwrap_err()) && is_damaged(&remove(&command).unwrap_err()));
        assert!(precious.join("1/command-1").is_dir() && home.join("attempts").is_symlink());
    }
}
