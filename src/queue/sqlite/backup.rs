//! Backups of the database file, and recovery instructions for a damaged one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::error::OpenError;

/// Returns the path of a file beside the database: the path of the database with `more` appended.
pub(super) fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// Maps an SQLite error to the error of opening the database at `path`.
pub(super) fn open_error(path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, &error.to_string()),
        Some(ErrorCode::ReadOnly) => OpenError::ReadOnly { path: path.to_owned() },
        _ => OpenError::Failed { path: path.to_owned(), source: error.into() },
    }
}

pub(super) fn damaged(path: &Path, reason: &str) -> OpenError {
    let reason = reason.to_owned();
    OpenError::Damaged { path: path.to_owned(), reason, advice: restore(path, last_backup(path)) }
}

/// Returns recovery instructions for the user: how to restore `backup` or, without a backup, how to save what
/// can be read.
pub(super) fn restore(path: &Path, backup: Option<PathBuf>) -> String {
    let (aside, path) = (beside(path, ".damaged"), path.display());
    let aside = aside.display();
    let put_aside = format!("mkdir -p '{aside}'; mv '{path}' '{path}-wal' '{path}-shm' '{aside}'");
    match backup {
        Some(backup) => format!(
            "the last backup is {}; to restore it: `{put_aside}; cp -p '{}' '{path}'`",
            backup.display(),
            backup.display()
        ),
        None => {
            format!("there is no backup; to save what can be read: `sqlite3 '{path}' .recover | sqlite3 recovered.db`")
        }
    }
}

/// Copies the database into a file beside it, before its schema is upgraded; returns the copy's path.
pub(super) fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<PathBuf, OpenError> {
    let io_error = |path: &Path, source: io::Error| OpenError::Failed { path: path.to_owned(), source: source.into() };
    let first = beside(path, &format!(".v{version}.bak"));
    let later = (2..).map(|n| beside(path, &format!(".v{version}.bak{n}")));
    let target =
        std::iter::once(first).chain(later).find(|path| !path.exists()).unwrap_or_else(|| beside(path, ".bak"));
    let staged = beside(path, ".bak.new");
    absent(fs::remove_file(&staged)).map_err(|error| io_error(&staged, error))?;
    let file = private_file(&staged).map_err(|error| io_error(&staged, error))?;
    connection
        .execute("VACUUM INTO ?", [staged.to_string_lossy()])
        .map_err(|source| OpenError::Failed { path: staged.clone(), source: source.into() })?;
    file.sync_all()
        .and_then(|()| fs::rename(&staged, &target))
        .and_then(|()| sync_folder(path))
        .map_err(|error| io_error(&target, error))?;
    Ok(target)
}

/// Copies the database into the new file `target`, which only this user can read. The copy appears under its name
/// when it is complete and checked; a file that exists there is never overwritten.
pub(super) fn copy_to(connection: &Connection, target: &Path) -> Result<(), OpenError> {
    let failed = |source: io::Error| OpenError::NotCopied { target: target.to_owned(), source: source.into() };
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if fs::symlink_metadata(target).is_ok() {
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists; name a new one")));
    }
    // The copy is written in a private folder, so that no other user can replace it meanwhile.
    let staging = tempfile::Builder::new().prefix(".boi-backup-").tempdir_in(folder).map_err(failed)?;
    let staged = staging.path().join("copy.db");
    let file = private_file(&staged).map_err(failed)?;
    let made = connection.execute("VACUUM INTO ?", [staged.to_string_lossy()]);
    made.map_err(|source| OpenError::NotCopied { target: target.to_owned(), source: source.into() })?;
    let copy = Connection::open_with_flags(&staged, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let copy = copy.map_err(|error| open_error(&staged, error))?;
    super::file::quick_check(&copy, &staged)?;
    drop(copy);
    file.sync_all().and_then(|()| move_to_free_name(&staged, target)).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Moves a file to a name that must be free.
fn move_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        // Some file systems have no hard links.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, rustix::fs::RenameFlags::NOREPLACE)?;
            Ok(())
        }
        linked => linked,
    }
}

/// Returns the newest backup of the database at `path`.
pub(super) fn last_backup(path: &Path) -> Option<PathBuf> {
    let prefix = format!("{}.", path.file_name()?.to_str()?);
    let is_backup = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix(&prefix).is_some_and(|rest| rest.contains("bak") && !rest.ends_with(".new"))
    };
    let files = fs::read_dir(path.parent()?).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let changed = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    files.filter(is_backup).max_by_key(changed)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Returns `Ok` if the removal of a file failed because the file does not exist.
pub(super) fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens a file for reading and writing. Creates a missing file, with access for this user only.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    use super::super::{Access, SqliteQueue};
    use super::*;
    use crate::queue::Queue;

    #[test]
    fn a_copy_is_made_of_a_queue_in_use_and_replaces_no_file() {
        let dir = tempfile::TempDir::new().unwrap();
        let (path, target) = (dir.path().join("boi.db"), dir.path().join("copy.db"));
        let queue = SqliteQueue::open(&path, Access::Write(Duration::ZERO)).unwrap();
        queue.set_paused(true).unwrap();
        queue.back_up(&target).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o600);
        queue.set_paused(false).unwrap();
        let refused = queue.back_up(&target).unwrap_err().to_string();
        assert!(refused.contains("copy.db") && refused.contains("exists"), "{refused}");
        assert!(SqliteQueue::open(&target, Access::Read).unwrap().is_paused().unwrap());
        let left = fs::read_dir(dir.path()).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        assert!(!left.into_iter().any(|name| name.starts_with(".boi-backup")), "nothing is left beside the copy");
    }

    #[test]
    fn a_backup_is_private_whole_and_never_written_over() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        SqliteQueue::open(&path, Access::Write(Duration::ZERO)).unwrap().set_paused(true).unwrap();
        let connection = Connection::open(&path).unwrap();
        let backups: Vec<PathBuf> = (0..2).map(|_| back_up(&connection, &path, 1).unwrap()).collect();
        assert_eq!(backups, [beside(&path, ".v1.bak"), beside(&path, ".v1.bak2")]);
        for backup in &backups {
            assert_eq!(fs::metadata(backup).unwrap().mode() & 0o777, 0o600);
            // Another test may fork a process, which holds an inherited lock of the queue until it executes its
            // program.
            let queue = SqliteQueue::open(backup, Access::Write(Duration::from_secs(10))).unwrap();
            assert!(queue.is_paused().unwrap());
        }
    }
}
