//! Opens the queue of a home, checks whether a daemon could use it, and finds the queue that the home used
//! before.
//!
//! Outside of tests, only this file opens the implementation, `SqliteQueue`.

use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Access as Permission, access};

use super::Queue;
use super::sqlite::{self, Access, OpenError, SqliteQueue};
use crate::domain::view::Counts;
use crate::system::files;
use crate::system::paths::Home;

/// The largest size of the record of the queue's path, in bytes.
const MAX_PATH: usize = 64 << 10;
/// How long a check waits while another process has the queue open for writing. A starting daemon waits equally long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Opens the queue of `home`. With access for writing, creates a missing database, unless something shows
/// that a database existed at its path.
pub(crate) fn open(home: &Home, access: Access) -> Result<Arc<dyn Queue>, OpenError> {
    Ok(Arc::new(open_home(home, access)?))
}

/// Opens the queue of `home` for writing, and waits up to `patience` for another process that has the queue
/// open for writing. Checks the whole database file for damage if it has at most `checked` bytes.
pub(crate) fn open_checked(home: &Home, patience: Duration, checked: u64) -> Result<Arc<dyn Queue>, OpenError> {
    let queue = open_home(home, Access::Write(patience))?;
    if files::size(home.db()).is_ok_and(|size| size <= checked) {
        queue.check_integrity()?;
    }
    Ok(Arc::new(queue))
}

/// Opens the queue of `home` for reading when the database cannot be written. Verbs that write fail with `reason`.
pub(crate) fn open_stuck(home: &Home, patience: Duration, reason: &str) -> Result<Arc<dyn Queue>, OpenError> {
    Ok(Arc::new(SqliteQueue::open_stuck(home.db(), patience, reason)?))
}

/// Opens the queue in the file `path` for reading.
pub(crate) fn open_file(path: &Path) -> Result<Arc<dyn Queue>, OpenError> {
    Ok(Arc::new(SqliteQueue::open(path, Access::Read)?))
}

/// Checks the queue of `home` for damage, by reading the whole file. Returns the stored ids that are not valid spec
/// ids.
pub(crate) fn check_integrity(home: &Home) -> Result<Vec<String>, OpenError> {
    let queue = open_home(home, Access::Read)?;
    queue.check_integrity()?;
    Ok(queue.malformed_ids()?)
}

/// Copies the queue of `home` into the new file `target`, also while a daemon uses the queue. Never overwrites a file.
pub(crate) fn back_up(home: &Home, target: &Path) -> Result<(), OpenError> {
    open_home(home, Access::Read)?.back_up(target)
}

/// The size from which the write-ahead log of a queue is reported as a problem, in bytes.
pub(crate) const LARGE_LOG: u64 = 1 << 30;

/// Returns the size of the write-ahead log of the queue at `path`, in bytes.
pub(crate) fn log_size(path: &Path) -> u64 {
    sqlite::log_size(path)
}

/// Returns the files of the queue at `path`: the database and the files that SQLite keeps beside it.
pub(crate) fn files_of(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|more| {
        let mut name = path.as_os_str().to_owned();
        name.push(more);
        PathBuf::from(name)
    })
}

fn open_home(home: &Home, access: Access) -> Result<SqliteQueue, OpenError> {
    home.check_queue()?;
    let (record, path) = (home.queue_record(), home.db().as_os_str().as_bytes());
    let recorded = read_record(&record).is_some_and(|bytes| bytes == path);
    let mut signs = if recorded { vec![record.clone()] } else { Vec::new() };
    if home.has_default_db() {
        signs.extend([home.attempts(), home.worktrees().to_owned()]);
    }
    let queue = SqliteQueue::open_unless(home.db(), access, &signs)?;
    let open_elsewhere = || left_behind(home).is_some_and(|(_, counts)| counts.open() > 0);
    // While the previously used queue has specs that have not ended, the record keeps the path of that queue.
    if !recorded && access != Access::Read && !open_elsewhere() {
        // An error, such as a full disk, is ignored: the record is only one of several signs that a queue
        // existed.
        drop(files::write_atomically(&record, path, files::Durability::Power));
    }
    Ok(queue)
}

/// Fails if a new daemon could not use the queue. If `own` is true, a process that has the queue open for writing is
/// this home's daemon, which is about to end: the check neither waits for it nor fails because of it.
pub(crate) fn check_usable(home: &Home, own: bool) -> Result<(), OpenError> {
    let path = home.db();
    let error = |source: io::Error| OpenError::Failed { path: path.to_owned(), source: source.into() };
    let exists = path.exists();
    match access(path.parent().unwrap_or(Path::new("/")), Permission::WRITE_OK | Permission::EXEC_OK) {
        Err(_) if exists => return Err(OpenError::ReadOnly { path: path.to_owned() }),
        Err(refused) => return Err(error(refused.into())),
        Ok(()) => {}
    }
    if exists && access(path, Permission::WRITE_OK).is_err() {
        return Err(OpenError::ReadOnly { path: path.to_owned() });
    }
    let until = Instant::now() + PATIENCE;
    while !own && files::is_locked(&path.with_extension("lock")).map_err(error)? {
        if Instant::now() >= until {
            return Err(OpenError::InUse { path: path.to_owned() });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    match open_home(home, Access::Read) {
        Err(OpenError::Missing { .. }) => Ok(()),
        // The schema needs an upgrade. Only the process with the writer's lock can make it: the next daemon.
        Err(OpenError::TooOld { .. }) if own => Ok(()),
        opened => opened.map(drop),
    }
}

/// Reads the record of the queue's path; `None`: it is missing or cannot be read.
fn read_record(path: &Path) -> Option<Vec<u8>> {
    files::read_user_file(path, MAX_PATH).ok()?
}

/// Returns the path of the queue that `home` last opened for writing; `None`: no path is recorded.
pub(crate) fn last_used(home: &Home) -> Option<PathBuf> {
    Some(PathBuf::from(std::ffi::OsString::from_vec(read_record(&home.queue_record())?)))
}

/// Whether the current queue of `home` is the queue that `home` last opened for writing.
pub(crate) fn is_last_used(home: &Home) -> bool {
    last_used(home).is_some_and(|path| is_same_file(&path, home.db()))
}

/// Returns the path of the queue that `home` used before, if it is not the current queue, and how many specs
/// with each status that queue has.
pub(crate) fn left_behind(home: &Home) -> Option<(PathBuf, Counts)> {
    let before = last_used(home).filter(|path| !is_same_file(path, home.db()))?;
    let counts = open_file(&before).ok()?.counts().ok()?;
    Some((before, counts))
}

/// Whether two paths lead to the same file, also through symbolic links.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    file(one) == file(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_queue_is_refused_and_none_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("boi"));
        home.prepare().unwrap();
        check_usable(&home, false).unwrap();
        assert!(!home.db().exists() && last_used(&home).is_none());
        let writer = open(&home, Access::Write(Duration::ZERO)).unwrap();
        check_usable(&home, true).unwrap();
        assert!(matches!(check_usable(&home, false), Err(OpenError::InUse { .. })));
        drop(writer);
        assert_eq!(left_behind(&home), None);
        std::fs::write(home.db(), "no database").unwrap();
        assert!(matches!(check_usable(&home, true), Err(OpenError::Damaged { .. })));
    }
}
