//! Carries out and undoes the changes of a journal in a checkout, file by file.
//!
//! Invariants:
//! - A file of the user is never overwritten or removed: files are only moved, and never onto another file. A file that
//!   differs from the one that boi put or found at its path belongs to the user, and is kept.
//! - Undoing works after a kill at any point, and when it is repeated.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::journal::{Identity, Journal, Move};
use crate::system::{failpoint, files};

/// The folders of a delivery: the checkout, and the folders with its new and old files.
#[derive(Debug)]
pub(super) struct Layout {
    checkout: PathBuf,
    /// The folders with `new` and `old`; the first one is the journal's.
    folders: Vec<PathBuf>,
}

/// Why a change of the checkout failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum MoveError {
    /// The file is not as it was when the delivery was prepared.
    #[error("the file was changed during the delivery")]
    Changed,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The result of undoing the changes of a journal.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// Paths at which a file of the user was kept instead of the change being undone.
    pub(super) left: Vec<PathBuf>,
    /// Files that could not be put back.
    pub(super) stuck: Vec<(PathBuf, io::Error)>,
    /// Files that were put back.
    pub(super) restored: Vec<PathBuf>,
}

/// The result of undoing one change.
enum Undo {
    Nothing,
    Restored,
    Left,
}

impl Layout {
    /// The layout of `journal`, which is in `folder`, for the checkout at `checkout`.
    pub(super) fn new(journal: &Journal, folder: &Path, checkout: &Path) -> Layout {
        let in_checkout = journal.folders.iter().map(|folder| checkout.join(&folder.0));
        Layout { checkout: checkout.to_owned(), folders: [folder.to_owned()].into_iter().chain(in_checkout).collect() }
    }

    /// The path of a file of the checkout.
    pub(super) fn in_checkout(&self, relative: &Path) -> PathBuf {
        self.checkout.join(relative)
    }

    /// Returns all folders of the delivery; the journal's folder is the last one.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().rev().map(PathBuf::as_path)
    }

    /// Makes all changes, in order, and fails at the first one that cannot be made.
    pub(super) fn carry_out(&self, journal: &Journal) -> Result<(), (PathBuf, MoveError)> {
        for change in &journal.moves {
            self.carry_out_one(change).map_err(|error| (change.path().to_owned(), error))?;
            failpoint::hit(match change {
                Move::Aside { .. } => "delivery.aside",
                Move::RemoveFolder { .. } => "delivery.folder-removed",
                Move::MakeFolder { .. } => "delivery.folder-made",
                Move::Place { .. } => "delivery.placed",
            });
        }
        failpoint::hit("delivery.all-placed");
        Ok(())
    }

    fn carry_out_one(&self, change: &Move) -> Result<(), MoveError> {
        let path = self.checkout.join(change.path());
        match change {
            Move::Aside { folder, number, original, .. } => {
                let aside = self.aside(*folder, *number);
                files::move_without_replacing(&path, &aside)?;
                if Identity::at(&aside)? != Some(*original) {
                    // The journal does not describe this file, so an undo would not put it back.
                    files::move_without_replacing(&aside, &path)?;
                    return Err(MoveError::Changed);
                }
            }
            Move::RemoveFolder { .. } => match fs::remove_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Err(MoveError::Changed),
                removed => removed?,
            },
            Move::MakeFolder { .. } => fs::create_dir(&path)?,
            Move::Place { path: relative, folder, .. } => {
                files::move_without_replacing(&self.staged(*folder, &relative.0), &path).map_err(|error| {
                    if error.kind() == io::ErrorKind::AlreadyExists { MoveError::Changed } else { error.into() }
                })?;
            }
        }
        Ok(())
    }

    /// Undoes the changes that were made, the last one first. A change that cannot be undone does not stop the others.
    pub(super) fn undo(&self, journal: &Journal) -> Undone {
        let mut undone = Undone::default();
        for change in journal.moves.iter().rev() {
            let path = change.path().to_owned();
            match self.undo_one(change) {
                Ok(Undo::Nothing) => {}
                Ok(Undo::Restored) => undone.restored.push(path),
                Ok(Undo::Left) => undone.left.push(path),
                Err(error) => undone.stuck.push((path, error)),
            }
            failpoint::hit("delivery.undone");
        }
        undone.left.dedup();
        undone
    }

    fn undo_one(&self, change: &Move) -> io::Result<Undo> {
        let path = self.checkout.join(change.path());
        match change {
            Move::Place { path: relative, folder, fresh } => {
                let staged = self.staged(*folder, &relative.0);
                if Identity::at(&staged)?.is_some() {
                    return Ok(Undo::Nothing);
                }
                match Identity::at(&path)? {
                    Some(found) if found == *fresh => {
                        files::move_without_replacing(&path, &staged)?;
                        Ok(Undo::Restored)
                    }
                    Some(_) => Ok(Undo::Left),
                    None => Ok(Undo::Nothing),
                }
            }
            Move::Aside { folder, number, .. } => {
                let aside = self.aside(*folder, *number);
                if Identity::at(&aside)?.is_none() {
                    return Ok(Undo::Nothing);
                }
                if let Some(parent) = path.parent() {
                    match fs::create_dir_all(parent) {
                        // A file of the user is now at the path of the folder.
                        Err(error)
                            if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory) =>
                        {
                            return Ok(Undo::Left);
                        }
                        made => made?,
                    }
                }
                match files::move_without_replacing(&aside, &path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Undo::Left),
                    moved => moved.map(|()| Undo::Restored),
                }
            }
            Move::MakeFolder { .. } => {
                if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
                    return Ok(Undo::Nothing);
                }
                match fs::remove_dir(&path) {
                    // The folder contains files of the user.
                    Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(Undo::Nothing),
                    removed => removed.map(|()| Undo::Restored),
                }
            }
            Move::RemoveFolder { mode, .. } => {
                if fs::symlink_metadata(&path).is_ok() {
                    return Ok(Undo::Nothing);
                }
                fs::create_dir(&path)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777))?;
                Ok(Undo::Restored)
            }
        }
    }

    fn aside(&self, folder: usize, number: usize) -> PathBuf {
        self.folder(folder).join("old").join(number.to_string())
    }

    fn staged(&self, folder: usize, relative: &Path) -> PathBuf {
        self.folder(folder).join("new").join(relative)
    }

    fn folder(&self, number: usize) -> &Path {
        // A number without a folder gives a path that does not exist, so that no file is found or moved.
        self.folders.get(number).map_or(Path::new("/nonexistent"), PathBuf::as_path)
    }
}
