//! Creates the database file as a whole, checks it before it is opened, and detects its removal.
//!
//! Invariants:
//! - A file without tables is never treated as an empty queue, because a new database is renamed into place
//!   only when it is complete.
//! - If anything shows that a queue existed, no empty queue is created in its place.
//! - A database that boi rejects, such as a damaged one, is not changed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};

use super::backup::{absent, beside, damaged, last_backup, open_error, private_file, restore, sync_folder};
use super::error::OpenError;
use super::writer::file_size_limit;
use super::{schema, wal};
use crate::queue::QueueError;
use crate::system::files;

/// The identity of a database file. It shows whether the file was removed or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Anchor {
    /// Reads the identity of the file that is at `path` now.
    pub(super) fn at(path: &Path) -> io::Result<Anchor> {
        let metadata = fs::metadata(path)?;
        Ok(Anchor { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Fails when the database file is no longer at its path. Does not fail when the path cannot be inspected.
    pub(super) fn check(&self) -> Result<(), QueueError> {
        let path = self.path.display();
        let gone = match Anchor::at(&self.path) {
            Ok(now) if now == *self => return Ok(()),
            Ok(_) => format!(
                "the database {path} was replaced by another file: stop the daemon, move the original file back to this path, and start the daemon again"
            ),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                format!("the database {path} is missing: move the file back to this path")
            }
            Err(_) => return Ok(()),
        };
        Err(QueueError::unavailable(gone))
    }
}

/// Fails if something shows that the missing database existed before: its write-ahead log, a backup, or one
/// of `signs`. A sign counts if it is a file, or a folder that is not empty.
pub(super) fn check_absence(path: &Path, signs: &[PathBuf]) -> Result<(), OpenError> {
    let is_sign = |sign: &PathBuf| match fs::read_dir(sign) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() == io::ErrorKind::NotADirectory,
    };
    let log = beside(path, "-wal");
    let left = fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0).then_some(log);
    let backup = last_backup(path);
    let signs = left.into_iter().chain(backup.clone()).chain(signs.iter().filter(|sign| is_sign(sign)).cloned());
    let signs: Vec<String> = signs.map(|sign| sign.display().to_string()).collect();
    // The path is checked again, since another process may have created the database, and the signs, meanwhile.
    if signs.is_empty() || path.exists() {
        return Ok(());
    }
    let back = match backup {
        Some(_) => restore(path, backup),
        None => "move the file back to this path".to_owned(),
    };
    let advice = format!("{back}; to start with an empty queue instead, move these files and folders away");
    Err(OpenError::Lost { path: path.to_owned(), signs: signs.join(" and "), advice })
}

/// The size of a page of a new database, in bytes. Each empty table and index takes one page, so small pages
/// keep a new queue small. Most changes touch a few short rows, and a page of this size holds many of them.
const PAGE_BYTES: u32 = 2048;

/// Creates a new database, which is renamed into place when it is complete.
pub(super) fn create(path: &Path) -> Result<(), OpenError> {
    let staged = beside(path, ".new");
    let io_error = |source: io::Error| OpenError::Failed { path: path.to_owned(), source: source.into() };
    for left in [staged.clone(), beside(&staged, "-journal"), beside(&staged, "-wal"), beside(&staged, "-shm")] {
        absent(fs::remove_file(left)).map_err(io_error)?;
    }
    private_file(&staged).map_err(io_error)?;
    let made = (|| {
        let mut connection = Connection::open_with_flags(&staged, FLAGS)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::create(&mut connection)?;
        connection.close().map_err(|(_, error)| error)
    })();
    made.map_err(|error| OpenError::Failed {
        path: path.to_owned(),
        source: file_size_limit(&error).map_or_else(|| error.into(), Into::into),
    })?;
    fs::rename(&staged, path).and_then(|()| sync_folder(path)).map_err(io_error)
}

/// Fails if the file cannot be a complete database. This check runs before SQLite opens the file, because
/// SQLite may change a file that it opens.
pub(super) fn examine(path: &Path) -> Result<(), OpenError> {
    let io_error = |source: io::Error| OpenError::Failed { path: path.to_owned(), source: source.into() };
    let mut head = [0; 100];
    let file = files::open_file(path).map_err(io_error)?;
    let length = file.metadata().map_err(io_error)?.len();
    if length == 0 {
        return Err(damaged(path, "the file is empty"));
    }
    match io::Read::read_exact(&mut io::BufReader::new(file), &mut head) {
        Ok(()) if head.starts_with(b"SQLite format 3\0") => {}
        Ok(()) => return Err(damaged(path, "the file is not an SQLite database")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(damaged(path, &format!("the file is cut off after {length} bytes")));
        }
        Err(error) => return Err(io_error(error)),
    }
    let number = |at: usize| u64::from(u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let whole = number(28) * page;
    // Pages in the write-ahead log may not be in the database file yet.
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|metadata| metadata.len() > 0);
    if length < whole && number(24) == number(92) && !has_log {
        return Err(damaged(path, &format!("the file is cut off: it has {length} of {whole} bytes")));
    }
    Ok(())
}

/// Checks the database for damage. Reads the whole file.
pub(super) fn quick_check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let said: Result<String, _> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match said {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(damaged(path, &said)),
        Err(error) => Err(open_error(path, error)),
    }
}

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opens a connection to an existing database.
pub(super) fn connect(path: &Path, read_only: bool, busy: Duration) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, FLAGS)?;
    connection.busy_timeout(busy)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", wal::KEPT)?;
    // Otherwise SQLite compiles a cached statement again when a parameter that its statistics cover changes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "query_only", read_only)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Acquires the writer's lock, and waits up to `patience` for it. The lock is on a file beside the database,
/// so that two homes that share a database exclude each other.
pub(super) fn lock(path: &Path, patience: Duration) -> Result<File, OpenError> {
    let lock_path = path.with_extension("lock");
    let file = private_file(&lock_path)
        .map_err(|error| OpenError::Failed { path: lock_path.clone(), source: error.into() })?;
    let deadline = Instant::now() + patience;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(error) => return Err(OpenError::Failed { path: lock_path, source: error.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, SqliteQueue};
    use super::*;
    use crate::queue::Queue;

    /// Another test may fork a process, which holds an inherited lock of a queue until it executes its program.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn open(path: &Path) -> Result<SqliteQueue, OpenError> {
        SqliteQueue::open(path, Access::Write(PATIENCE))
    }

    fn made() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        open(&path).unwrap().set_paused(true).unwrap();
        (dir, path)
    }

    #[test]
    fn a_damaged_database_is_refused_and_not_changed() {
        let (_dir, path) = made();
        let whole = fs::read(&path).unwrap();
        let mut garbled = whole.clone();
        garbled[4096..].fill(0xa5);
        let cut = &whole[..whole.len() - 4096];
        for (bytes, part) in [
            (&b""[..], "is empty"),
            (&whole[..50], "cut off"),
            (cut, "cut off"),
            (&[7; 8192], "not an SQLite"),
            (&garbled, "malformed"),
        ] {
            fs::write(&path, bytes).unwrap();
            let refused = open(&path).and_then(|queue| queue.check_integrity()).unwrap_err();
            assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
            let said = refused.to_string();
            assert!(said.contains(part) && said.contains(".recover"), "{said}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "the file is not changed");
            fs::write(beside(&path, ".v1.bak"), "").unwrap();
            let said = open(&path).and_then(|queue| queue.check_integrity()).unwrap_err().to_string();
            assert!(said.contains("boi.db.v1.bak'"), "{said}");
            fs::remove_file(beside(&path, ".v1.bak")).unwrap();
        }
    }

    #[test]
    fn no_queue_is_created_if_signs_show_that_there_was_one() {
        let (dir, path) = made();
        fs::remove_file(&path).unwrap();
        let backup = beside(&path, ".v1.bak");
        fs::write(&backup, "").unwrap();
        for access in [Access::Read, Access::Write(PATIENCE)] {
            let refused = SqliteQueue::open(&path, access).map(drop).unwrap_err();
            assert!(matches!(&refused, OpenError::Lost { signs, .. } if signs.ends_with(".v1.bak")), "{refused}");
        }
        fs::remove_file(&backup).unwrap();
        let attempts = dir.path().join("attempts");
        fs::create_dir_all(attempts.join("SD979")).unwrap();
        let signs = [attempts];
        let refused = SqliteQueue::open_unless(&path, Access::Write(PATIENCE), &signs).map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::Lost { .. }));
        assert!(!path.exists());
        open(&path).unwrap();
    }

    #[test]
    fn a_removed_database_is_noticed_and_works_again_when_it_is_back() {
        let (_dir, path) = made();
        let queue = open(&path).unwrap();
        let aside = beside(&path, ".aside");
        fs::rename(&path, &aside).unwrap();
        assert!(matches!(queue.renew_lease(), Err(QueueError::Unavailable(_))));
        let refused = queue.set_paused(false).unwrap_err();
        assert!(refused.is_outage() && refused.to_string().contains("is missing"), "{refused}");
        assert!(queue.is_paused().unwrap(), "nothing was written to the moved file");
        fs::write(&path, "another").unwrap();
        assert!(queue.set_paused(false).unwrap_err().to_string().contains("replaced"));
        fs::rename(&aside, &path).unwrap();
        queue.set_paused(false).unwrap();
        queue.renew_lease().unwrap();
    }
}
