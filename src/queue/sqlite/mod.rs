//! The queue on SQLite: one writer thread with group commit, and connections for reading.
//!
//! There is one owner. Its lease is the writer's lock: a lock on a file beside the database, which the owner
//! holds while it has the queue open for writing. The daemon's loop has its own connection for reading, so
//! that no long listing delays the loop.

mod attention;
mod backup;
mod end;
mod error;
mod events;
mod file;
mod hooks;
mod landed;
mod landers;
mod landings;
mod lanes;
mod maintenance;
mod read;
mod recent;
mod repositories;
mod repository_changes;
mod retention;
mod review;
mod rows;
mod runs;
mod schema;
mod survey;
#[cfg(test)]
mod test_access;
#[cfg(test)]
mod tests;
mod views;
mod wal;
mod write;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;

use self::backup::open_error;
pub(crate) use self::error::OpenError;
use self::file::{Anchor, connect, lock};
#[cfg(test)]
pub(crate) use self::test_access::{Occupied, damage_position};
use self::writer::{Flush, Writer};
use super::events::{EventPage, RemovedEvents};
use super::landings::Group;
use super::recent::Recent;
use super::retention::{Age, ExpiredPage, Place};
use super::survey::Survey;
use super::unlanded::{Look, Unlanded};
use super::{
    BlockingChange, Canceled, ChangesFoundBy, Claimed, Cleaned, CommandRow, Fence, Filter, GiveBack, Lease, Listing,
    Owner, Quarantined, Queue, QueueError, RunningSpecs, Stopped, WorktreePlace,
};
use crate::config::WorkerConfig;
use crate::decide::hook::HookState;
use crate::decide::step::RecordChange;
use crate::domain::event::{Cursor, EventFilter, EventKind, Happening};
use crate::domain::hold::Hold;
use crate::domain::id::SpecId;
use crate::domain::landing::Waiting;
use crate::domain::lane::{Eligible, LaneLimit};
use crate::domain::life::SpecStatus;
use crate::domain::money::Usd;
use crate::domain::outcome::Usage;
use crate::domain::position::{Ending, Position};
use crate::domain::repository_change::RepositoryChange;
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::view::Counts;
use crate::system::failpoint;

/// How long a verb waits for another process that has locked the database.
const BUSY: Duration = Duration::from_secs(5);
/// The name of the owner. An SQLite queue has only one.
const OWNER: &str = "local";

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// For reading; a missing database is not created.
    Read,
    /// For reading and writing, under the writer's lock. The duration is the longest wait for the lock.
    Write(Duration),
}

/// The queue in an SQLite database.
pub(crate) struct SqliteQueue {
    path: PathBuf,
    owner: Owner,
    anchor: Arc<Anchor>,
    /// The connection for listings, which may take long.
    reader: Arc<Mutex<Connection>>,
    /// The connection for the daemon's loop.
    scheduler: Arc<Mutex<Connection>>,
    /// The writer; `Err`: why this queue cannot be written, as a clause for an error message.
    writer: Result<Writer, String>,
    /// The cursor of the last event that this process has committed.
    committed: watch::Sender<Cursor>,
    /// The writer's lock if the queue was opened with `open_stuck`. Otherwise `writer` holds the lock, if it
    /// is `Ok`.
    _stuck: Option<File>,
}

impl SqliteQueue {
    /// Opens the database at `path`.
    pub(crate) fn open(path: &Path, access: Access) -> Result<SqliteQueue, OpenError> {
        SqliteQueue::open_unless(path, access, &[])
    }

    /// Like `open`, but fails if the database is missing and one of `signs` (files or folders) shows that it
    /// existed before.
    pub(super) fn open_unless(path: &Path, access: Access, signs: &[PathBuf]) -> Result<SqliteQueue, OpenError> {
        if !path.exists() {
            file::check_absence(path, signs)?;
        }
        SqliteQueue::open_within(path, access, BUSY)
    }

    /// Like `open`, but waits at most `busy` for a database that another process has locked.
    pub(crate) fn open_within(path: &Path, access: Access, busy: Duration) -> Result<SqliteQueue, OpenError> {
        let connect = |read_only| connect(path, read_only, busy).map_err(|error| open_error(path, error));
        let lock = match access {
            Access::Read if !path.exists() => return Err(OpenError::Missing { path: path.to_owned() }),
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
        let anchor = Arc::new(anchor(path)?);
        let committed = watch::Sender::default();
        let writer = match lock {
            None => Err("this process opened the database for reading only".to_owned()),
            Some(lock) => {
                let mut connection = connect(false)?;
                schema::migrate(&mut connection, path)?;
                // This version may be able to read records that another version could not read.
                write::release_quarantined(&connection).map_err(|error| open_error(path, error))?;
                events::begin_boot(&connection).map_err(|error| open_error(path, error))?;
                Ok(Writer::spawn(connection, lock, Arc::clone(&anchor), committed.clone()))
            }
        };
        let (reader, scheduler) = (connect(true)?, connect(true)?);
        match schema::check(&reader, path) {
            Err(too_old @ OpenError::TooOld { .. }) => {
                // Only a writer upgrades the schema, so this process becomes the writer for a moment.
                drop((reader, scheduler));
                match SqliteQueue::open_within(path, Access::Write(Duration::ZERO), busy) {
                    Ok(upgraded) => drop(upgraded),
                    Err(OpenError::InUse { .. }) => return Err(too_old),
                    Err(error) => return Err(error),
                }
                return SqliteQueue::open_within(path, access, busy);
            }
            checked => checked?,
        }
        let [reader, scheduler] = [reader, scheduler].map(|connection| Arc::new(Mutex::new(connection)));
        let (path, owner) = (path.to_owned(), Owner(OWNER.to_owned()));
        Ok(SqliteQueue { path, owner, anchor, reader, scheduler, writer, committed, _stuck: None })
    }

    /// Opens a database for reading when it cannot be written. All verbs that write fail with `reason`. This
    /// holds the writer's lock: without other writers, SQLite can read without creating files beside the
    /// database.
    pub(crate) fn open_stuck(path: &Path, patience: Duration, reason: &str) -> Result<SqliteQueue, OpenError> {
        let failed = |error| open_error(path, error);
        let lock = lock(path, patience)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        // This mode is set before the first read, so that SQLite keeps the index of the write-ahead log in memory.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
        connection.pragma_update(None, "query_only", true).map_err(failed)?;
        schema::check(&connection, path)?;
        let (anchor, reader) = (Arc::new(anchor(path)?), Arc::new(Mutex::new(connection)));
        Ok(SqliteQueue {
            path: path.to_owned(),
            owner: Owner(OWNER.to_owned()),
            anchor,
            scheduler: Arc::clone(&reader),
            reader,
            writer: Err(format!("the database cannot be written: {reason}")),
            committed: watch::Sender::default(),
            _stuck: Some(lock),
        })
    }

    fn read<T>(&self, verb: impl FnOnce(&Connection) -> Result<T, QueueError>) -> Result<T, QueueError> {
        in_snapshot(&self.reader, |connection| {
            failpoint::hold("store.read");
            verb(connection)
        })
    }

    fn schedule<T>(&self, verb: impl FnOnce(&Connection) -> Result<T, QueueError>) -> Result<T, QueueError> {
        in_snapshot(&self.scheduler, verb)
    }

    fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.write_and(Flush::Now, verb)
    }

    fn write_and<T: Send + 'static>(
        &self,
        flush: Flush,
        verb: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        match &self.writer {
            Ok(writer) => writer.carry_out(flush, verb),
            Err(why) => Err(QueueError::unavailable(why.clone())),
        }
    }
}

/// Returns the size of the write-ahead log of the database at `path`, in bytes.
pub(crate) fn log_size(path: &Path) -> u64 {
    std::fs::metadata(wal::file_of(path)).map_or(0, |metadata| metadata.len())
}

fn anchor(path: &Path) -> Result<Anchor, OpenError> {
    Anchor::at(path).map_err(|error| OpenError::Failed { path: path.to_owned(), source: error.into() })
}

fn in_snapshot<T>(
    connection: &Mutex<Connection>,
    verb: impl FnOnce(&Connection) -> Result<T, QueueError>,
) -> Result<T, QueueError> {
    let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
    let snapshot = connection.unchecked_transaction()?;
    verb(&snapshot)
}

impl Queue for SqliteQueue {
    fn renew_lease(&self) -> Result<Lease, QueueError> {
        self.anchor.check()?;
        Ok(Lease { owner: self.owner.clone(), expires_in: None })
    }

    fn enqueue(&self, specs: Vec<Spec>, taken: HashSet<SpecId>, now: Timestamp) -> Result<Vec<SpecId>, QueueError> {
        self.write(move |connection| write::enqueue(connection, &specs, &taken, now))
    }

    fn lanes(&self, scope: Option<&[SpecId]>) -> Result<Vec<Option<String>>, QueueError> {
        self.schedule(|connection| lanes::lanes(connection, scope))
    }

    fn eligible(&self, limits: &[LaneLimit], scope: Option<&[SpecId]>) -> Result<Vec<Eligible>, QueueError> {
        self.schedule(|connection| lanes::eligible(connection, limits, scope))
    }

    fn claim(
        &self,
        specs: &[Eligible],
        config: &WorkerConfig,
        starting: usize,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, QueueError> {
        let (specs, config, owner) = (specs.to_vec(), config.clone(), self.owner.clone());
        // A worker executes no command before it has recorded it, which flushes the claim too. If a power cut
        // undoes the claim, the spec is queued again, and the steps before its first command are repeated.
        self.write_and(Flush::WithNext, move |connection| {
            let claimed = write::claim(connection, &specs, &config, &owner, now)?;
            claimed.iter().take(starting).try_for_each(|one| write::record_start(connection, &one.fence, now))?;
            Ok(claimed)
        })
    }

    fn startable_landers(
        &self,
        per_repository: u32,
        scope: Option<&[SpecId]>,
        now: Timestamp,
    ) -> Result<Vec<Group>, QueueError> {
        self.schedule(|connection| landings::startable(connection, per_repository, scope, now))
    }

    fn start_landers(
        &self,
        groups: &[Group],
        config: &WorkerConfig,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, QueueError> {
        let (groups, config, owner) = (groups.to_vec(), config.clone(), self.owner.clone());
        self.write(move |connection| landings::start(connection, &groups, &config, &owner, now))
    }

    fn waiting_to_land(&self, lander: &Fence) -> Result<Vec<Waiting>, QueueError> {
        self.read(|connection| landings::waiting(connection, lander))
    }

    fn request_landing(&self, spec: &SpecId, force: bool, now: Timestamp) -> Result<(), QueueError> {
        let spec = spec.clone();
        self.write(move |connection| landings::request(connection, &spec, force, now))
    }

    fn landable(&self) -> Result<Vec<SpecId>, QueueError> {
        self.read(landings::landable)
    }

    fn holds(&self) -> Result<Vec<(String, Hold)>, QueueError> {
        self.schedule(lanes::holds)
    }

    fn set_hold(&self, lane: &str, hold: Option<Hold>, now: Timestamp) -> Result<(), QueueError> {
        let lane = lane.to_owned();
        self.write(move |connection| lanes::set_hold(connection, &lane, hold.as_ref(), now))
    }

    fn record_start(&self, fence: &Fence, now: Timestamp) -> Result<(), QueueError> {
        let fence = fence.clone();
        self.write(move |connection| write::record_start(connection, &fence, now))
    }

    fn record(
        &self,
        fence: &Fence,
        position: &Position,
        changes: Vec<RecordChange>,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        let (fence, position) = (fence.clone(), position.clone());
        self.write(move |connection| write::record(connection, &fence, &position, &changes, now))
    }

    fn give_back(&self, fence: &Fence, back: GiveBack, now: Timestamp) -> Result<(), QueueError> {
        let fence = fence.clone();
        self.write(move |connection| write::give_back(connection, &fence, &back, now))
    }

    fn finish_with(
        &self,
        fence: &Fence,
        ending: &Ending,
        kept: Vec<String>,
        place: Option<WorktreePlace>,
        now: Timestamp,
    ) -> Result<Vec<SpecId>, QueueError> {
        let (fence, ending) = (fence.clone(), ending.clone());
        self.write(move |connection| {
            write::record_kept(connection, &fence, &kept, place.as_ref())?;
            end::finish(connection, &fence, &ending, now)
        })
    }

    fn cancel(&self, spec: &SpecId, now: Timestamp) -> Result<Canceled, QueueError> {
        let spec = spec.clone();
        self.write(move |connection| end::cancel(connection, &spec, now))
    }

    fn stop(&self, spec: &SpecId, now: Timestamp) -> Result<Stopped, QueueError> {
        let spec = spec.clone();
        self.write(move |connection| end::stop(connection, &spec, now))
    }

    fn set_priority(&self, spec: &SpecId, priority: i64) -> Result<(), QueueError> {
        let spec = spec.clone();
        self.write(move |connection| write::set_priority(connection, &spec, priority))
    }

    fn twins(&self, spec: &Spec) -> Result<Vec<SpecId>, QueueError> {
        let body = rows::encode(spec)?;
        self.read(|connection| read::twins(connection, &body))
    }

    fn request_stop(&self, fence: &Fence) -> Result<(), QueueError> {
        let fence = fence.clone();
        self.write(move |connection| end::request_stop(connection, &fence))
    }

    fn retry(&self, spec: &SpecId, max_usd: Option<Usd>, now: Timestamp) -> Result<Vec<SpecId>, QueueError> {
        let spec = spec.clone();
        self.write(move |connection| end::retry(connection, &spec, max_usd, now))
    }

    fn runs_since(&self, since: Timestamp) -> Result<Vec<(Timestamp, Usd)>, QueueError> {
        self.schedule(|connection| runs::since(connection, since))
    }

    fn usage_since(&self, since: Timestamp) -> Result<Vec<(String, Usage)>, QueueError> {
        self.read(|connection| runs::usage_since(connection, since))
    }

    fn end_budget_blocks(&self, max_usd_per_spec: Usd, now: Timestamp) -> Result<Vec<SpecId>, QueueError> {
        self.write(move |connection| runs::end_budget_blocks(connection, max_usd_per_spec, now))
    }

    fn promote(&self, now: Timestamp) -> Result<Option<Timestamp>, QueueError> {
        match self.schedule(read::next_due)? {
            Some(due) if due <= now => self.write(move |connection| write::promote(connection, now)),
            next => Ok(next),
        }
    }

    fn running(&self) -> Result<RunningSpecs, QueueError> {
        self.schedule(|connection| read::running(connection, &self.owner))
    }

    fn quarantined(&self) -> Result<Vec<Quarantined>, QueueError> {
        self.read(|connection| read::quarantined(connection, &self.owner))
    }

    fn scope(&self, ids: &[SpecId]) -> Result<Vec<SpecId>, QueueError> {
        self.schedule(|connection| read::scope(connection, ids))
    }

    fn starts_since(&self, since: Timestamp) -> Result<Vec<Timestamp>, QueueError> {
        self.schedule(|connection| read::starts_since(connection, since))
    }

    fn is_paused(&self) -> Result<bool, QueueError> {
        self.schedule(read::is_paused)
    }

    fn set_paused(&self, paused: bool) -> Result<(), QueueError> {
        self.write(move |connection| write::set_paused(connection, paused))
    }

    fn record_kept(&self, fence: &Fence, kept: Vec<String>, place: Option<WorktreePlace>) -> Result<(), QueueError> {
        let fence = fence.clone();
        self.write(move |connection| write::record_kept(connection, &fence, &kept, place.as_ref()))
    }

    fn record_changes(
        &self,
        fence: &Fence,
        found_by: ChangesFoundBy,
        repository: &str,
        changes: Vec<RepositoryChange>,
    ) -> Result<(), QueueError> {
        let (fence, repository) = (fence.clone(), repository.to_owned());
        self.write(move |connection| repository_changes::record(connection, &fence, found_by, &repository, &changes))
    }

    fn blocking_changes(&self) -> Result<Vec<BlockingChange>, QueueError> {
        self.read(repository_changes::blocking)
    }

    fn settle_changes(&self, numbers: Vec<i64>) -> Result<(), QueueError> {
        self.write(move |connection| repository_changes::settle(connection, &numbers))
    }

    fn record_cleaned(&self, cleaned: &Cleaned, now: Timestamp) -> Result<(), QueueError> {
        let cleaned = cleaned.clone();
        self.write(move |connection| write::record_cleaned(connection, &cleaned, now))
    }

    fn unlanded(&self, specs: Option<&[SpecId]>) -> Result<Vec<Unlanded>, QueueError> {
        let specs = specs.map(<[SpecId]>::to_vec);
        self.read(move |connection| landed::unlanded(connection, specs.as_deref()))
    }

    fn record_looks(&self, looks: Vec<Look>, now: Timestamp) -> Result<(), QueueError> {
        self.write(move |connection| landed::record_looks(connection, &looks, now))
    }

    fn expired(&self, age: Age, after: Option<Place>) -> Result<ExpiredPage, QueueError> {
        self.read(|connection| retention::page(connection, age, after))
    }

    fn still_expired(&self, specs: &[SpecId], age: Age) -> Result<Vec<SpecId>, QueueError> {
        self.read(|connection| retention::still_expired(connection, specs, age))
    }

    fn remove_expired(&self, specs: &[SpecId], age: Age) -> Result<Vec<SpecId>, QueueError> {
        let specs = specs.to_vec();
        self.write(move |connection| retention::remove(connection, &specs, age))
    }

    fn recent(&self, since: Timestamp, limit: u32) -> Result<Recent, QueueError> {
        self.read(|connection| recent::recent(connection, since, limit))
    }

    fn last_end(&self) -> Result<Option<Timestamp>, QueueError> {
        self.read(recent::last_end)
    }

    fn survey(&self) -> Result<Survey, QueueError> {
        self.read(survey::survey)
    }

    fn statuses(&self, specs: &[SpecId]) -> Result<Vec<(SpecId, SpecStatus)>, QueueError> {
        self.read(|connection| survey::statuses(connection, specs))
    }

    fn waiting_for(&self, spec: &SpecId) -> Result<Vec<SpecId>, QueueError> {
        self.read(|connection| survey::waiting_for(connection, spec))
    }

    fn spec(&self, spec: &SpecId) -> Result<Spec, QueueError> {
        self.read(|connection| read::spec_with_tasks(connection, spec))
    }

    fn commands(&self, spec: &SpecId) -> Result<Vec<CommandRow>, QueueError> {
        self.read(|connection| read::commands(connection, spec))
    }

    fn list(&self, filter: &Filter) -> Result<Listing, QueueError> {
        self.read(|connection| views::list(connection, filter))
    }

    fn counts(&self) -> Result<Counts, QueueError> {
        self.read(read::counts)
    }

    fn events(&self, after: Cursor, filter: &EventFilter, limit: u32) -> Result<EventPage, QueueError> {
        self.read(|connection| events::page(connection, after, filter, limit))
    }

    fn last_events(&self, filter: &EventFilter, count: u32) -> Result<EventPage, QueueError> {
        self.read(|connection| events::last(connection, filter, count))
    }

    fn last_cursor(&self) -> Result<Cursor, QueueError> {
        self.read(|connection| Ok(events::last_cursor(connection)?))
    }

    fn cursor_at(&self, time: Timestamp) -> Result<Cursor, QueueError> {
        self.read(|connection| events::at(connection, time))
    }

    fn record_event(&self, what: Happening, now: Timestamp) -> Result<(), QueueError> {
        self.write(move |connection| events::general(connection, &what, now))
    }

    fn is_newly_idle(&self) -> Result<bool, QueueError> {
        self.schedule(events::is_newly_idle)
    }

    fn record_idle(&self, now: Timestamp) -> Result<bool, QueueError> {
        self.write(move |connection| events::record_idle(connection, now))
    }

    fn remove_events(&self, by: Timestamp) -> Result<RemovedEvents, QueueError> {
        self.write(move |connection| events::remove(connection, by))
    }

    fn committed(&self) -> watch::Receiver<Cursor> {
        self.committed.subscribe()
    }

    fn version(&self) -> Result<i64, QueueError> {
        let connection = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    fn hooks(&self) -> Result<Vec<HookState>, QueueError> {
        self.read(hooks::read)
    }

    fn set_hooks(&self, hooks: Vec<(String, Vec<EventKind>)>) -> Result<Vec<HookState>, QueueError> {
        self.write(move |connection| hooks::set(connection, &hooks))
    }

    fn record_hook(&self, state: &HookState) -> Result<bool, QueueError> {
        let state = state.clone();
        // After a power cut, the hook gets the event once more.
        self.write_and(Flush::WithNext, move |connection| hooks::record(connection, &state))
    }

    fn release_memory(&self) {
        let shrink = |connection: &Connection| {
            connection.flush_prepared_statement_cache();
            Ok(connection.execute_batch("PRAGMA shrink_memory")?)
        };
        // A connection that is in use, or that fails, keeps its memory until the next time.
        for connection in [&self.reader, &self.scheduler] {
            if let Ok(connection) = connection.try_lock() {
                drop(shrink(&connection));
            }
        }
        drop(self.write(shrink));
    }

    fn probe_write(&self, now: Timestamp) -> Result<(), QueueError> {
        self.write(move |connection| write::probe_write(connection, now))
    }
}
