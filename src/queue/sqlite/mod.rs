//! The queue on SQLite: one writer thread with group commit, and connections for reading.
//!
//! What the daemon's loop asks has a connection of its own, so that no long listing makes the loop wait.

mod end;
mod file;
mod read;
mod schema;
mod usable;
mod write;
mod writer;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use self::file::{Anchor, connect, lock};
use self::writer::Writer;
use super::pending::Pending;
use super::{Canceled, Claimed, CommandRow, Fence, Filter, GiveBack, Listing, Place, Store, StoreError};
use crate::config::WorkerConfig;
use crate::decide::step::Change;
use crate::domain::attempt::{Ending, Position};
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::view::Counts;
use crate::git;
use crate::system::paths::Home;
use crate::system::{failpoint, files};

/// How long another process may hold the database's own lock.
const BUSY: Duration = Duration::from_secs(5);

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading; a database that is not there is not made.
    Read,
    /// For writing too, under the writer's lock, which is waited for this long.
    Write(Duration),
}

/// The queue in an SQLite database.
pub struct SqliteStore {
    path: PathBuf,
    anchor: Arc<Anchor>,
    /// For listings, which may be long.
    reader: Arc<Mutex<Connection>>,
    /// For the daemon's loop.
    scheduler: Arc<Mutex<Connection>>,
    /// `Err`: why there is none.
    writer: Result<Writer, String>,
    pending: Pending,
    /// The writer's lock of a store that cannot write.
    _stuck: Option<File>,
}

impl SqliteStore {
    /// Opens the queue of `home`. One that is gone is not begun anew where the home shows that there was one; but the
    /// configuration may name another place, and then there was none there.
    pub fn open_home(home: &Home, access: Access) -> Result<SqliteStore, StoreError> {
        let (record, path) = (home.queue_record(), home.db().as_os_str().as_bytes());
        let recorded = std::fs::read(&record).is_ok_and(|bytes| bytes == path);
        let mut signs = if recorded { vec![record.clone()] } else { Vec::new() };
        if home.has_usual_db() {
            signs.extend([home.attempts(), home.worktrees().to_owned()]);
        }
        let store = SqliteStore::open_unless(home.db(), access, &signs)?;
        let open_elsewhere = || SqliteStore::left_behind(home).is_some_and(|(_, counts)| counts.open() > 0);
        // Who looks for specs that nobody goes on with finds the queue that holds them.
        if !recorded && access != Access::Read && !open_elsewhere() {
            // Without room for it there is one sign less.
            drop(files::replace(&record, path, files::Durability::Power));
        }
        Ok(store)
    }

    /// Opens the database at `path`.
    pub fn open(path: &Path, access: Access) -> Result<SqliteStore, StoreError> {
        SqliteStore::open_unless(path, access, &[])
    }

    /// As `open`; one that is not there is not made where one of the folders `signs` holds anything.
    pub(super) fn open_unless(path: &Path, access: Access, signs: &[PathBuf]) -> Result<SqliteStore, StoreError> {
        if !path.exists() {
            file::check_absence(path, signs)?;
        }
        SqliteStore::open_within(path, access, BUSY)
    }

    /// As `open`, waiting so long for a database that another process has locked.
    pub(crate) fn open_within(path: &Path, access: Access, busy: Duration) -> Result<SqliteStore, StoreError> {
        SqliteStore::open_whole(path, access, busy).map_err(|error| file::judge(path, error))
    }

    fn open_whole(path: &Path, access: Access, busy: Duration) -> Result<SqliteStore, StoreError> {
        let open_error =
            |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Open { path: path.to_owned(), source };
        let connect = |read_only| connect(path, read_only, busy).map_err(|error| open_error(error.into()));
        let lock = match access {
            Access::Read if !path.exists() => return Err(StoreError::Missing { path: path.to_owned() }),
            Access::Read => None,
            Access::Write(patience) => {
                let lock = lock(path, patience)?;
                if !path.exists() {
                    file::create(path)?;
                }
                Some(lock)
            }
        };
        file::examine(path)?;
        let anchor = Arc::new(Anchor::at(path).map_err(|error| open_error(error.into()))?);
        let writer = match lock {
            None => Err("it was opened for reading only".to_owned()),
            Some(lock) => {
                let mut connection = connect(false)?;
                schema::migrate(&mut connection, path)?;
                Ok(Writer::spawn(connection, lock, Arc::clone(&anchor)))
            }
        };
        let (reader, scheduler) = (connect(true)?, connect(true)?);
        match schema::check(&reader, path) {
            Err(StoreError::TooOld { .. }) => {
                // Only whoever writes brings it up to date: for a moment, that is this one.
                drop((reader, scheduler));
                drop(SqliteStore::open_within(path, Access::Write(Duration::ZERO), busy)?);
                return SqliteStore::open_within(path, access, busy);
            }
            checked => checked?,
        }
        let [reader, scheduler] = [reader, scheduler].map(|connection| Arc::new(Mutex::new(connection)));
        let pending = Pending::new(path);
        Ok(SqliteStore { path: path.to_owned(), anchor, reader, scheduler, writer, pending, _stuck: None })
    }

    /// Reads the whole database, and refuses a damaged one.
    pub fn verify(&self) -> Result<(), StoreError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        file::quick_check(&reader, &self.path)
    }

    /// Opens the database at `path` for a writer that cannot write, for `reason`: all verbs that write fail with that.
    /// Reading needs no room beside the database then, since the writer's lock keeps others away.
    pub fn open_stuck(path: &Path, patience: Duration, reason: &str) -> Result<SqliteStore, StoreError> {
        let open_error = |source: rusqlite::Error| StoreError::Open { path: path.to_owned(), source: source.into() };
        let lock = lock(path, patience)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(open_error)?;
        connection.busy_timeout(BUSY).map_err(open_error)?;
        // Before anything is read: then the index of the write-ahead log is in memory and no file.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(open_error)?;
        connection.pragma_update(None, "query_only", true).map_err(open_error)?;
        schema::check(&connection, path)?;
        let anchor =
            Anchor::at(path).map_err(|error| StoreError::Open { path: path.to_owned(), source: error.into() })?;
        let reader = Arc::new(Mutex::new(connection));
        let writer = Err(format!("it cannot be written: {reason}"));
        let (anchor, scheduler, pending) = (Arc::new(anchor), Arc::clone(&reader), Pending::new(path));
        Ok(SqliteStore { path: path.to_owned(), anchor, scheduler, reader, writer, pending, _stuck: Some(lock) })
    }

    fn read<T>(&self, verb: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        look(&self.reader, |connection| {
            failpoint::hold("store.read");
            verb(connection)
        })
    }

    fn schedule<T>(&self, verb: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        look(&self.scheduler, verb)
    }

    fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writer = self.writer.as_ref();
        let writer = writer.map_err(|why| StoreError::Open { path: self.path.clone(), source: why.clone().into() })?;
        writer.carry_out(verb)
    }
}

fn look<T>(
    connection: &Mutex<Connection>,
    verb: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
    let snapshot = connection.unchecked_transaction()?;
    verb(&snapshot)
}

impl Store for SqliteStore {
    fn enqueue(&self, specs: Vec<Spec>, now: Timestamp) -> Result<Vec<SpecId>, StoreError> {
        let repos: BTreeSet<&Path> = specs.iter().filter_map(|spec| Some(spec.repo.as_ref()?.path.as_path())).collect();
        // Of another home, or of a queue that is gone. What cannot be read now is looked at again before the first try.
        let taken = repos.into_iter().flat_map(|repo| git::ids_in(repo).unwrap_or_default()).collect();
        self.write(move |connection| write::enqueue(connection, &specs, &taken, now))
    }

    fn eligible(&self, limit: u32, scope: Option<&[SpecId]>) -> Result<u32, StoreError> {
        self.schedule(|connection| read::eligible(connection, limit, scope))
    }

    fn claim(
        &self,
        count: u32,
        scope: Option<&[SpecId]>,
        config: &WorkerConfig,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        let (scope, config) = (scope.map(<[SpecId]>::to_vec), config.clone());
        self.write(move |connection| write::claim(connection, count, scope.as_deref(), &config, now))
    }

    fn started(&self, fence: &Fence, now: Timestamp) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |connection| write::started(connection, &fence, now))
    }

    fn record(
        &self,
        fence: &Fence,
        position: &Position,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (fence, position) = (fence.clone(), position.clone());
        self.write(move |connection| write::record(connection, &fence, &position, &changes, now))
    }

    fn give_back(&self, fence: &Fence, back: GiveBack, now: Timestamp) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |connection| write::give_back(connection, &fence, &back, now))
    }

    fn finish(&self, fence: &Fence, ending: &Ending, now: Timestamp) -> Result<Vec<SpecId>, StoreError> {
        let (fence, ending) = (fence.clone(), ending.clone());
        self.write(move |connection| end::finish(connection, &fence, &ending, now))
    }

    fn cancel(&self, spec: &SpecId, now: Timestamp) -> Result<Canceled, StoreError> {
        let spec = spec.clone();
        self.write(move |connection| end::cancel(connection, &spec, now))
    }

    fn stop(&self, fence: &Fence) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |connection| end::stop(connection, &fence))
    }

    fn retry(&self, spec: &SpecId, now: Timestamp) -> Result<Vec<SpecId>, StoreError> {
        let spec = spec.clone();
        self.write(move |connection| end::retry(connection, &spec, now))
    }

    fn promote(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        match self.schedule(read::next_due)? {
            Some(due) if due <= now => self.write(move |connection| write::promote(connection, now)),
            next => Ok(next),
        }
    }

    fn running(&self) -> Result<Vec<Claimed>, StoreError> {
        self.schedule(read::running)
    }

    fn scope(&self, ids: &[SpecId]) -> Result<Vec<SpecId>, StoreError> {
        self.schedule(|connection| read::scope(connection, ids))
    }

    fn starts_since(&self, since: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        self.schedule(|connection| read::starts_since(connection, since))
    }

    fn paused(&self) -> Result<bool, StoreError> {
        self.schedule(read::paused)
    }

    fn set_paused(&self, paused: bool) -> Result<(), StoreError> {
        self.write(move |connection| write::set_paused(connection, paused))
    }

    fn note(&self, fence: &Fence, kept: Vec<String>, worktree: Option<Place>) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |connection| write::note(connection, &fence, &kept, worktree.as_ref()))
    }

    fn keep(&self, spec: &SpecId, refs: Vec<String>) -> Result<(), StoreError> {
        let spec = spec.clone();
        self.write(move |connection| write::keep(connection, &spec, &refs))
    }

    fn set_worktree(&self, spec: &SpecId, path: Option<String>) -> Result<(), StoreError> {
        let spec = spec.clone();
        self.write(move |connection| write::set_worktree(connection, &spec, path.as_deref()))
    }

    fn forget_branch(&self, spec: &SpecId) -> Result<(), StoreError> {
        let spec = spec.clone();
        self.write(move |connection| write::forget_branch(connection, &spec))
    }

    fn spec(&self, spec: &SpecId) -> Result<Spec, StoreError> {
        self.read(|connection| read::spec(connection, spec))
    }

    fn commands(&self, spec: &SpecId) -> Result<Vec<CommandRow>, StoreError> {
        self.read(|connection| read::commands(connection, spec))
    }

    fn specs(&self, filter: &Filter) -> Result<Listing, StoreError> {
        self.read(|connection| read::specs(connection, filter))
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        self.read(read::counts)
    }

    fn look(&self) -> Result<(), StoreError> {
        self.anchor.check()
    }

    fn pending(&self) -> &Pending {
        &self.pending
    }

    fn probe(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |connection| write::probe(connection, now))
    }
}

/// Keeps every other connection from writing to the database at `path` until it is dropped.
#[cfg(test)]
pub(crate) struct Occupied(Connection);

#[cfg(test)]
impl Occupied {
    pub(crate) fn new(path: &Path) -> Occupied {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Occupied(connection)
    }
}

#[cfg(test)]
impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused(store: &SqliteStore) -> bool {
        store.paused().unwrap()
    }

    #[test]
    fn nothing_is_done_while_another_process_holds_the_database() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        let store = SqliteStore::open_within(&path, Access::Write(Duration::ZERO), Duration::from_millis(10)).unwrap();
        let occupied = Occupied::new(&path);
        assert!(matches!(store.set_paused(true), Err(StoreError::Sql(_))));
        drop(occupied);
        assert!(!paused(&store), "a verb that failed has changed nothing");
        store.set_paused(true).unwrap();
        assert!(paused(&store));
    }

    #[test]
    fn a_stuck_store_reads_what_is_committed_without_files_beside_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        SqliteStore::open(&path, Access::Write(Duration::ZERO)).unwrap().set_paused(true).unwrap();
        // In the place of a file for which there is no room.
        std::fs::create_dir(dir.path().join("boi.db-shm")).unwrap();
        // A process that another test forks holds the lock until it executes something else.
        let store = SqliteStore::open_stuck(&path, Duration::from_secs(10), "no room").unwrap();
        assert!(paused(&store));
        assert!(store.running().unwrap().is_empty());
        assert!(store.set_paused(false).unwrap_err().to_string().ends_with("it cannot be written: no room"));
        let second = SqliteStore::open_stuck(&path, Duration::ZERO, "no room");
        assert!(matches!(second, Err(StoreError::InUse { .. })));
    }
}
