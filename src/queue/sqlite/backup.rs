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

/// Turns the error of removing a file that does not exist into success.
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
