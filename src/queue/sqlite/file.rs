//! The database as a file: made complete or not at all, found whole or refused, and noticed when it goes.
//!
//! Invariants:
//! - A file without the tables is never taken for an empty queue: a new database gets its name when it is complete.
//! - Where anything shows that there was a queue, none is begun in its place.
//! - Nothing here changes a database that is refused.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{FlockOperation, flock};

use super::schema;
use crate::queue::StoreError;

/// Which file a database is, whatever is at its path later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Anchor {
    /// The file that is at `path` now.
    pub(super) fn at(path: &Path) -> io::Result<Anchor> {
        let metadata = fs::metadata(path)?;
        Ok(Anchor { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }

    /// Whether it is still that file. What cannot be looked at is not known to be gone.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let away = |how: &'static str| StoreError::Away { path: self.path.clone(), how };
        match Anchor::at(&self.path) {
            Ok(now) if now == *self => Ok(()),
            Ok(_) => {
                Err(away("was replaced by another file: end the daemon, and start one on the queue that is to count"))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(away("is gone: put it back where it was"))
            }
            Err(_) => Ok(()),
        }
    }
}

/// A file beside the database, whose name is the database's and more.
pub(super) fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// Refuses a database that is gone, where something shows that there was one: its write-ahead log, a backup, or one of
/// `signs`, each a file or a folder that holds something.
pub(super) fn check_absence(path: &Path, signs: &[PathBuf]) -> Result<(), StoreError> {
    let is_sign = |sign: &PathBuf| match fs::read_dir(sign) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() == io::ErrorKind::NotADirectory,
    };
    let log = beside(path, "-wal");
    let left = fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0).then_some(log);
    let backup = last_backup(path);
    let signs = left.into_iter().chain(backup.clone()).chain(signs.iter().filter(|sign| is_sign(sign)).cloned());
    let signs: Vec<String> = signs.map(|sign| sign.display().to_string()).collect();
    // Looked for again: whoever made it meanwhile leaves signs too.
    if signs.is_empty() || path.exists() {
        return Ok(());
    }
    let back = match backup {
        Some(_) => restore(path, backup),
        None => "put it back where it was".to_owned(),
    };
    let advice = format!("{back}; to begin with an empty queue, move away what shows it");
    Err(StoreError::Lost { path: path.to_owned(), signs: signs.join(" and "), advice })
}

/// Makes a new database. Its name is its own only when it is complete.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let staged = beside(path, ".new");
    let io_error = |source: io::Error| StoreError::Open { path: path.to_owned(), source: source.into() };
    for left in [staged.clone(), beside(&staged, "-journal"), beside(&staged, "-wal"), beside(&staged, "-shm")] {
        absent(fs::remove_file(left)).map_err(io_error)?;
    }
    private_file(&staged).map_err(io_error)?;
    let made = (|| {
        let mut connection = Connection::open_with_flags(&staged, FLAGS)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::create(&mut connection)?;
        connection.close().map_err(|(_, error)| error)
    })();
    made.map_err(|source| StoreError::Open { path: path.to_owned(), source: source.into() })?;
    fs::rename(&staged, path).and_then(|()| sync_folder(path)).map_err(io_error)
}

/// Refuses what cannot be a whole database, before SQLite gets to open, and perhaps to change it.
pub(super) fn examine(path: &Path) -> Result<(), StoreError> {
    let io_error = |source: io::Error| StoreError::Open { path: path.to_owned(), source: source.into() };
    let mut head = [0; 100];
    let file = File::open(path).map_err(io_error)?;
    let length = file.metadata().map_err(io_error)?.len();
    if length == 0 {
        return Err(broken(path, "the file is empty"));
    }
    match io::Read::read_exact(&mut io::BufReader::new(file), &mut head) {
        Ok(()) if head.starts_with(b"SQLite format 3\0") => {}
        Ok(()) => return Err(broken(path, "the file is no SQLite database")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(broken(path, &format!("the file is cut off after {length} bytes")));
        }
        Err(error) => return Err(io_error(error)),
    }
    let number = |at: usize| u64::from(u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let whole = number(28) * page;
    // What a write-ahead log holds need not be in the file yet.
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|metadata| metadata.len() > 0);
    if length < whole && number(24) == number(92) && !has_log {
        return Err(broken(path, &format!("the file is cut off: it has {length} of {whole} bytes")));
    }
    Ok(())
}

/// What SQLite has to say of the whole file, if that is not good. Reads all of it.
pub(super) fn quick_check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let said: Result<String, _> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match said {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(broken(path, &said)),
        Err(error) => Err(judge(path, error.into())),
    }
}

/// The same error; one by which SQLite says that the file is damaged says what to do.
pub(super) fn judge(path: &Path, error: StoreError) -> StoreError {
    let source = match &error {
        StoreError::Sql(source) => Some(source),
        StoreError::Open { source, .. } => source.downcast_ref::<rusqlite::Error>(),
        _ => None,
    };
    match source.and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            broken(path, &source.map(ToString::to_string).unwrap_or_default())
        }
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path: path.to_owned() },
        _ => error,
    }
}

pub(super) fn broken(path: &Path, reason: &str) -> StoreError {
    let reason = reason.to_owned();
    StoreError::Broken { path: path.to_owned(), reason, advice: restore(path, last_backup(path)) }
}

/// How a queue is had again.
fn restore(path: &Path, backup: Option<PathBuf>) -> String {
    let (aside, path) = (beside(path, ".damaged"), path.display());
    let aside = aside.display();
    let put_aside = format!("mkdir -p '{aside}'; mv '{path}' '{path}-wal' '{path}-shm' '{aside}'");
    match backup {
        Some(backup) => format!(
            "the last backup is {}; to go back to it: `{put_aside}; cp -p '{}' '{path}'`",
            backup.display(),
            backup.display()
        ),
        None => {
            format!("there is no backup; to save what can be read: `sqlite3 '{path}' .recover | sqlite3 recovered.db`")
        }
    }
}

/// Keeps the database as it is in a file beside it, before it is brought to another version; returns that.
pub(super) fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<PathBuf, StoreError> {
    let io_error = |path: &Path, source: io::Error| StoreError::Open { path: path.to_owned(), source: source.into() };
    let first = beside(path, &format!(".v{version}.bak"));
    let later = (2..).map(|n| beside(path, &format!(".v{version}.bak{n}")));
    let target =
        std::iter::once(first).chain(later).find(|path| !path.exists()).unwrap_or_else(|| beside(path, ".bak"));
    let staged = beside(path, ".bak.new");
    absent(fs::remove_file(&staged)).map_err(|error| io_error(&staged, error))?;
    let file = private_file(&staged).map_err(|error| io_error(&staged, error))?;
    connection
        .execute("VACUUM INTO ?", [staged.to_string_lossy()])
        .map_err(|source| StoreError::Open { path: staged.clone(), source: source.into() })?;
    file.sync_all()
        .and_then(|()| fs::rename(&staged, &target))
        .and_then(|()| sync_folder(path))
        .map_err(|error| io_error(&target, error))?;
    Ok(target)
}

/// The backup that was made last.
fn last_backup(path: &Path) -> Option<PathBuf> {
    let prefix = format!("{}.", path.file_name()?.to_str()?);
    let is_backup = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix(&prefix).is_some_and(|rest| rest.contains("bak") && !rest.ends_with(".new"))
    };
    let files = fs::read_dir(path.parent()?).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let changed = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    files.filter(is_backup).max_by_key(changed)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opens a connection to a database that is there.
pub(super) fn connect(path: &Path, read_only: bool, busy: Duration) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, FLAGS)?;
    connection.busy_timeout(busy)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "query_only", read_only)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The writer's lock stands beside the database, so that two homes on one database exclude each other.
pub(super) fn lock(path: &Path, patience: Duration) -> Result<File, StoreError> {
    let lock_path = path.with_extension("lock");
    let file =
        private_file(&lock_path).map_err(|error| StoreError::Open { path: lock_path.clone(), source: error.into() })?;
    let deadline = Instant::now() + patience;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::InUse { path: path.to_owned() }),
            Err(error) => return Err(StoreError::Open { path: lock_path, source: error.into() }),
        }
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::super::{Access, SqliteStore};
    use super::*;
    use crate::queue::Store;

    /// A process that another test forks holds the lock of a store until it executes something else.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(path, Access::Write(PATIENCE))
    }

    fn made() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        open(&path).unwrap().set_paused(true).unwrap();
        (dir, path)
    }

    #[test]
    fn a_damaged_database_is_refused_and_left_as_it_is() {
        let (_dir, path) = made();
        let whole = fs::read(&path).unwrap();
        let mut garbled = whole.clone();
        garbled[4096..].fill(0xa5);
        let cut = &whole[..whole.len() - 4096];
        for (bytes, part) in [
            (&b""[..], "is empty"),
            (&whole[..50], "cut off"),
            (cut, "cut off"),
            (&[7; 8192], "no SQLite"),
            (&garbled, "malformed"),
        ] {
            fs::write(&path, bytes).unwrap();
            let refused = open(&path).and_then(|store| store.verify()).unwrap_err();
            assert!(matches!(refused, StoreError::Broken { .. }), "{refused}");
            let said = refused.to_string();
            assert!(said.contains(part) && said.contains(".recover"), "{said}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "untouched");
            fs::write(beside(&path, ".v1.bak"), "").unwrap();
            let said = open(&path).and_then(|store| store.verify()).unwrap_err().to_string();
            assert!(said.contains("boi.db.v1.bak'"), "{said}");
            fs::remove_file(beside(&path, ".v1.bak")).unwrap();
        }
    }

    #[test]
    fn no_queue_is_begun_where_one_was() {
        let (dir, path) = made();
        fs::remove_file(&path).unwrap();
        let backup = beside(&path, ".v1.bak");
        fs::write(&backup, "").unwrap();
        for access in [Access::Read, Access::Write(PATIENCE)] {
            let refused = SqliteStore::open(&path, access).map(drop).unwrap_err();
            assert!(matches!(&refused, StoreError::Lost { signs, .. } if signs.ends_with(".v1.bak")), "{refused}");
        }
        fs::remove_file(&backup).unwrap();
        let attempts = dir.path().join("attempts");
        fs::create_dir_all(attempts.join("SD979")).unwrap();
        let signs = [attempts];
        let refused = SqliteStore::open_unless(&path, Access::Write(PATIENCE), &signs).map(drop).unwrap_err();
        assert!(matches!(refused, StoreError::Lost { .. }));
        assert!(!path.exists());
        open(&path).unwrap();
    }

    #[test]
    fn a_database_that_goes_is_noticed_and_comes_back() {
        let (_dir, path) = made();
        let store = open(&path).unwrap();
        let aside = beside(&path, ".aside");
        fs::rename(&path, &aside).unwrap();
        assert!(matches!(store.look(), Err(StoreError::Away { .. })));
        let refused = store.set_paused(false).unwrap_err();
        assert!(refused.is_of_database() && refused.to_string().contains("is gone"), "{refused}");
        assert!(store.paused().unwrap(), "nothing was written to what is left of it");
        fs::write(&path, "another").unwrap();
        assert!(store.set_paused(false).unwrap_err().to_string().contains("replaced"));
        fs::rename(&aside, &path).unwrap();
        store.set_paused(false).unwrap();
        store.look().unwrap();
    }

    #[test]
    fn a_backup_is_private_whole_and_never_written_over() {
        let (_dir, path) = made();
        let connection = connect(&path, false, Duration::ZERO).unwrap();
        let backups: Vec<PathBuf> = (0..2).map(|_| back_up(&connection, &path, 1).unwrap()).collect();
        assert_eq!(backups, [beside(&path, ".v1.bak"), beside(&path, ".v1.bak2")]);
        for backup in &backups {
            assert_eq!(fs::metadata(backup).unwrap().mode() & 0o777, 0o600);
            assert!(open(backup).unwrap().paused().unwrap());
        }
    }
}
