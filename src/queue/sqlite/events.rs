//! The stream of events. A verb that changes the queue appends its events in its own transaction, so that
//! the change and its events are both there or neither.
//!
//! The only writer assigns the cursors, and readers see whole transactions, so a reader that continues after
//! the last cursor that it read misses nothing. A power cut may undo claims together with their events, which
//! a reader may have read already. No later event gets one of their cursors: under each new boot, the cursors
//! continue after a gap.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::read;
use super::rows::encode;
use crate::domain::event::{Cursor, Empty, Event, EventFilter, EventKind, Happening, Queued, QueuedBy};
use crate::domain::id::SpecId;
use crate::domain::time::Timestamp;
use crate::queue::QueueError;
use crate::queue::events::{EventPage, RemovedEvents};
use crate::system::clock;

/// The kind of the rows that make a gap between cursors. They are no events.
const GAP_KIND: &str = "";
/// How many cursors a gap skips. No daemon makes so many claims without a write that reaches the disk.
const GAP: i64 = 1_000_000;
/// The most rows that one page looks at.
const SCANNED: u32 = 1_000;
/// How many rows from the end a search for the last events looks at.
const SEARCHED: u32 = 100_000;
/// The most events that one call removes.
const REMOVED: u32 = 500;

const APPEND: &str = "INSERT INTO events (at, kind, spec, attempt, body) VALUES (?, ?, ?, ?, ?)";
/// Appends the events of a dispatch with one statement, which is faster than one for each spec.
const DISPATCHED: &str =
    "INSERT INTO events (at, kind, spec, body) SELECT ?1, ?2, id, ?3 FROM specs WHERE seq > ?4 ORDER BY seq";
pub(super) const AFTER: &str =
    "SELECT cursor, at, kind, spec, attempt, body FROM events WHERE cursor > ?1 ORDER BY cursor LIMIT ?2";
pub(super) const LAST: &str = "SELECT cursor, at, kind, spec, attempt, body FROM events ORDER BY cursor DESC LIMIT ?1";
pub(super) const LAST_CURSOR: &str = "SELECT max(cursor) FROM events";
const FIRST_AFTER: &str = "SELECT cursor, at FROM events WHERE cursor > ?1 ORDER BY cursor LIMIT 1";
pub(super) const OLDEST: &str = "SELECT cursor, at FROM events WHERE cursor < ?1 ORDER BY cursor LIMIT ?2";
const REMOVE: &str = "DELETE FROM events WHERE cursor <= ?";
const OVERTAKEN: &str = "SELECT count(*) FROM events
     WHERE cursor > ?1 AND cursor <= ?2 AND kind IN (SELECT value FROM json_each(?3))";
/// Selects the last event that is about a spec or says that the queue is idle.
pub(super) const LAST_ABOUT_SPECS: &str =
    "SELECT kind FROM events WHERE spec IS NOT NULL OR kind = 'queue.idle' ORDER BY cursor DESC LIMIT 1";
/// Selects 1 if a spec runs, is eligible, waits for a time, or waits to land.
const IS_BUSY: &str = "SELECT 1 WHERE EXISTS (SELECT 1 FROM counts WHERE status = 'running' AND n > 0)
     OR EXISTS (SELECT 1 FROM specs INDEXED BY specs_eligible WHERE status = 'queued' AND open_deps = 0
                AND not_before IS NULL AND quarantine IS NULL AND blocked IS NULL)
     OR EXISTS (SELECT 1 FROM specs INDEXED BY specs_due WHERE status = 'queued' AND not_before IS NOT NULL)
     OR EXISTS (SELECT 1 FROM specs INDEXED BY specs_landing WHERE delivery IN ('waiting', 'landing'))";

/// Appends an event about an attempt of a spec.
pub(super) fn of_attempt(
    c: &Connection,
    spec: &SpecId,
    attempt: u32,
    what: &Happening,
    now: Timestamp,
) -> Result<(), QueueError> {
    append(c, Some((spec.as_str(), Some(attempt).filter(|attempt| *attempt > 0))), what, now)
}

/// Appends an event about a spec.
pub(super) fn of_spec(c: &Connection, spec: &SpecId, what: &Happening, now: Timestamp) -> Result<(), QueueError> {
    append(c, Some((spec.as_str(), None)), what, now)
}

/// Appends an event that is not about a spec.
pub(super) fn general(c: &Connection, what: &Happening, now: Timestamp) -> Result<(), QueueError> {
    append(c, None, what, now)
}

fn append(
    c: &Connection,
    about: Option<(&str, Option<u32>)>,
    what: &Happening,
    now: Timestamp,
) -> Result<(), QueueError> {
    let (spec, attempt) = about.unzip();
    let body = what.to_stored().map_err(QueueError::internal)?;
    c.prepare_cached(APPEND)?.execute(params![now.0, what.kind_name(), spec, attempt.flatten(), body])?;
    Ok(())
}

/// Appends an event for each spec that was queued after the one with the number `after`.
pub(super) fn dispatched(c: &Connection, after: i64, now: Timestamp) -> Result<(), QueueError> {
    let what = Happening::SpecQueued(Queued { by: QueuedBy::Dispatch, cause: None, not_before: None });
    let body = what.to_stored().map_err(QueueError::internal)?;
    c.prepare_cached(DISPATCHED)?.execute(params![now.0, what.kind_name(), body, after])?;
    Ok(())
}

/// Makes a gap between the cursors of an earlier boot and those of this one.
pub(super) fn begin_boot(c: &Connection) -> rusqlite::Result<()> {
    let boot = clock::boot_id();
    let known: Option<String> =
        c.query_row("SELECT value FROM settings WHERE name = 'events_boot'", [], |row| row.get(0)).optional()?;
    if known.as_deref() == Some(boot) {
        return Ok(());
    }
    let transaction = c.unchecked_transaction()?;
    if let Cursor(last @ 1..) = last_cursor(&transaction)? {
        let sql = "INSERT INTO events (cursor, at, kind, body) VALUES (?, ?, ?, '{}')";
        transaction.execute(sql, params![last.saturating_add(GAP), clock::now().0, GAP_KIND])?;
    }
    transaction.execute("INSERT OR REPLACE INTO settings VALUES ('events_boot', ?)", [boot])?;
    transaction.commit()
}

/// Returns the cursor of the last event.
pub(super) fn last_cursor(c: &Connection) -> rusqlite::Result<Cursor> {
    let last: Option<i64> = c.prepare_cached(LAST_CURSOR)?.query_row([], |row| row.get(0))?;
    Ok(last.map_or(Cursor::START, Cursor))
}

/// Returns up to `limit` events after `after` that `filter` wants.
pub(super) fn page(c: &Connection, after: Cursor, filter: &EventFilter, limit: u32) -> Result<EventPage, QueueError> {
    let mut statement = c.prepare_cached(AFTER)?;
    let mut rows = statement.query(params![after.0, SCANNED])?;
    let (mut events, mut next, mut scanned) = (Vec::new(), after, 0);
    while let Some(row) = rows.next()? {
        next = Cursor(row.get(0)?);
        scanned += 1;
        events.extend(wanted(c, row, filter)?);
        if events.len() >= limit as usize {
            return Ok(EventPage { events, next, is_last: false });
        }
    }
    Ok(EventPage { events, next, is_last: scanned < SCANNED })
}

/// Returns the last `count` events that `filter` wants, in the order of the stream, and the end of the stream.
/// Does not look further back than [`SEARCHED`] rows.
pub(super) fn last(c: &Connection, filter: &EventFilter, count: u32) -> Result<EventPage, QueueError> {
    let next = last_cursor(c)?;
    let mut statement = c.prepare_cached(LAST)?;
    let mut rows = statement.query([SEARCHED])?;
    let mut events = Vec::new();
    while events.len() < count as usize
        && let Some(row) = rows.next()?
    {
        events.extend(wanted(c, row, filter)?);
    }
    events.reverse();
    Ok(EventPage { events, next, is_last: true })
}

/// Reads a row of the stream; `None`: the filter does not want it.
fn wanted(c: &Connection, row: &Row<'_>, filter: &EventFilter) -> Result<Option<Event>, QueueError> {
    let (kind, spec): (String, Option<String>) = (row.get(2)?, row.get(3)?);
    if kind == GAP_KIND || !filter.wants(&kind, spec.as_deref()) {
        return Ok(None);
    }
    let title = match &spec {
        Some(spec) => {
            c.prepare_cached("SELECT title FROM specs WHERE id = ?")?.query_row([spec], |row| row.get(0)).optional()?
        }
        None => None,
    };
    // A body that cannot be read does not stop the stream.
    let body = serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default();
    Ok(Some(Event {
        cursor: Cursor(row.get(0)?),
        at: Timestamp(row.get(1)?),
        spec: spec.and_then(|spec| read::id(&spec).ok()),
        title,
        attempt: row.get(4)?,
        what: Happening::read(&kind, body),
    }))
}

/// Returns the place before the first event at `time` or later. Times ascend with the cursors, unless the
/// clock was set back.
pub(super) fn at(c: &Connection, time: Timestamp) -> Result<Cursor, QueueError> {
    let mut statement = c.prepare_cached(FIRST_AFTER)?;
    let (mut low, mut high) = (0, last_cursor(c)?.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let row: Option<(i64, i64)> = statement.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match row {
            Some((cursor, at)) if at < time.0 => low = cursor,
            _ => high = middle,
        }
    }
    Ok(Cursor(low))
}

/// Returns whether the queue has become idle since the last event about a spec.
pub(super) fn is_newly_idle(c: &Connection) -> Result<bool, QueueError> {
    if c.prepare_cached(IS_BUSY)?.exists([])? {
        return Ok(false);
    }
    let last: Option<String> = c.prepare_cached(LAST_ABOUT_SPECS)?.query_row([], |row| row.get(0)).optional()?;
    Ok(last.is_some_and(|kind| kind != EventKind::QueueIdle.as_str()))
}

/// Appends the event `queue.idle` if the queue has become idle since the last event about a spec.
pub(super) fn record_idle(c: &Connection, now: Timestamp) -> Result<bool, QueueError> {
    let is_idle = is_newly_idle(c)?;
    if is_idle {
        general(c, &Happening::QueueIdle(Empty {}), now)?;
    }
    Ok(is_idle)
}

/// Removes the oldest events that happened at `by` or earlier, and counts for each hook those that it has not
/// got. The last row stays, because the next cursor follows it.
pub(super) fn remove(c: &Connection, by: Timestamp) -> Result<RemovedEvents, QueueError> {
    let last = last_cursor(c)?;
    let oldest: Vec<(i64, i64)> = c
        .prepare_cached(OLDEST)?
        .query_map(params![last.0, REMOVED], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let count = oldest.iter().take_while(|(_, at)| *at <= by.0).count();
    let Some((up_to, _)) = oldest[..count].last() else { return Ok(RemovedEvents::default()) };
    for mut hook in super::hooks::read(c)?.into_iter().filter(|hook| hook.cursor.0 < *up_to) {
        let overtaken: u64 = c
            .prepare_cached(OVERTAKEN)?
            .query_row(params![hook.cursor.0, up_to, encode(&hook.on)?], |row| row.get(0))?;
        hook.overtaken += overtaken;
        hook.failing = hook.failing.filter(|failing| failing.event.0 > *up_to);
        hook.pass(Cursor(*up_to));
        super::hooks::store(c, &hook)?;
    }
    c.prepare_cached(REMOVE)?.execute([up_to])?;
    Ok(RemovedEvents { removed: count as u64, more: count == REMOVED as usize })
}
