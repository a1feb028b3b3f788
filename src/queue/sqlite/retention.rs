//! The verbs that remove specs which ended long ago.
//!
//! A spec stays while something in the queue needs it:
//! - It completed with a branch that is not known to be merged: only its row says what the branch is.
//! - A change of a repository that it made blocks deliveries.
//! - A spec waits for it or starts from its branch (the table `deps` has both) and has not ended, can be
//!   retried, or has a branch that is not known to be merged: the search for its bases reads this spec.
//!
//! Listings of pages, and not of all specs, bound the time of each verb.

use rusqlite::{Connection, Row, named_params, params};

use crate::domain::id::SpecId;
use crate::domain::time::Timestamp;
use crate::queue::QueueError;
use crate::queue::retention::{Age, Expired, ExpiredPage, Place};

/// The number of specs that one page looks at, and the largest number of specs that one call removes.
pub(super) const PAGE: u32 = 200;

/// The columns of an expired spec, and the conditions under which nothing in the queue needs a spec `s`.
macro_rules! expired {
    ($from:literal) => {
        concat!(
            "SELECT s.id, s.repo, s.worktree, coalesce(s.delivery, '') = 'merged',
                    (s.has_branch = 1 AND coalesce(s.delivery, '') <> 'merged')
                    OR s.status <> 'dropped' AND EXISTS (SELECT 1 FROM kept WHERE kept.spec = s.id),
                    s.status = 'dropped'
               FROM ",
            $from,
            " AND s.quarantine IS NULL
               AND NOT (s.status = 'completed' AND s.has_branch = 1 AND coalesce(s.delivery, '') IN ('branch', 'waiting', 'landing', 'unmerged'))
               AND NOT EXISTS (SELECT 1 FROM repository_changes r WHERE r.spec = s.id AND +r.blocks = 1)
               AND NOT EXISTS (SELECT 1 FROM deps d CROSS JOIN specs w ON w.id = d.spec WHERE d.needs = s.id
                    AND NOT (w.status = 'completed'
                             AND NOT (w.has_branch = 1 AND coalesce(w.delivery, '') IN ('branch', 'waiting', 'landing', 'unmerged'))))"
        )
    };
}

/// Selects the places of the ended specs after a place, the latest end first.
pub(super) const PLACES: &str = "SELECT finished_at, seq FROM specs INDEXED BY specs_ended
     WHERE status IN ('completed', 'failed', 'canceled') AND (finished_at, seq) < (?1, ?2)
     ORDER BY finished_at DESC, seq DESC LIMIT ?3";
/// Selects the places of the dropped specs after a place, the latest first.
pub(super) const DROPPED_PLACES: &str = "SELECT finished_at, seq FROM specs INDEXED BY specs_dropped
     WHERE status = 'dropped' AND (finished_at, seq) < (?1, ?2) ORDER BY finished_at DESC, seq DESC LIMIT ?3";
pub(super) const EXPIRED_AT: &str = expired!("specs s WHERE s.seq = ?1");
pub(super) const IS_EXPIRED: &str = expired!(
    "specs s WHERE s.id = ?1 AND +s.status IN ('completed', 'failed', 'canceled', 'dropped')
               AND +s.finished_at <= ?2"
);

pub(super) fn page(c: &Connection, age: Age, after: Option<Place>) -> Result<ExpiredPage, QueueError> {
    // The first page begins with the latest end that is old enough.
    let first = Place { finished_at: Timestamp(age.ended_by.0), seq: i64::MAX };
    let Place { finished_at, seq } = after.unwrap_or(first);
    let mut places: Vec<Place> = Vec::new();
    for sql in [PLACES, DROPPED_PLACES] {
        let mut statement = c.prepare_cached(sql)?;
        let found = statement.query_map(params![finished_at.0, seq, PAGE], |row| {
            Ok(Place { finished_at: Timestamp(row.get(0)?), seq: row.get(1)? })
        })?;
        places.extend(found.collect::<Result<Vec<_>, _>>()?);
    }
    places.sort_by_key(|place| std::cmp::Reverse((place.finished_at, place.seq)));
    places.truncate(PAGE as usize);
    let mut statement = c.prepare_cached(EXPIRED_AT)?;
    let mut specs = Vec::new();
    for place in &places {
        for found in statement.query_map([place.seq], columns)? {
            specs.extend(found?);
        }
    }
    let next = places.last().copied().filter(|_| places.len() == PAGE as usize);
    Ok(ExpiredPage { specs, next })
}

/// Reads an expired spec; `None`: boi did not write its id.
fn columns(row: &Row<'_>) -> rusqlite::Result<Option<Expired>> {
    let Ok(id) = row.get::<_, String>(0)?.parse() else { return Ok(None) };
    Ok(Some(Expired {
        id,
        repo: row.get(1)?,
        worktree: row.get(2)?,
        is_merged: row.get(3)?,
        has_own_work: row.get(4)?,
        is_dropped: row.get(5)?,
    }))
}

pub(super) fn still_expired(c: &Connection, specs: &[SpecId], age: Age) -> Result<Vec<SpecId>, QueueError> {
    let mut expired = Vec::new();
    for spec in specs {
        if is_expired(c, spec, age)? {
            expired.push(spec.clone());
        }
    }
    Ok(expired)
}

fn is_expired(c: &Connection, spec: &SpecId, age: Age) -> Result<bool, QueueError> {
    Ok(c.prepare_cached(IS_EXPIRED)?.exists(params![spec.as_str(), age.ended_by.0])?)
}

/// The tables with rows that belong to one spec, apart from `specs` and `runs`.
const TABLES: [&str; 9] = [
    "DELETE FROM tasks WHERE spec = ?",
    "DELETE FROM tries WHERE spec = ?",
    "DELETE FROM commands WHERE spec = ?",
    "DELETE FROM attempts WHERE spec = ?",
    "DELETE FROM kept WHERE spec = ?",
    "DELETE FROM notes WHERE spec = ?",
    "DELETE FROM drops WHERE spec = ?",
    "DELETE FROM repository_changes WHERE spec = ?",
    "DELETE FROM deps WHERE spec = ?1 OR needs = ?1",
];
/// Begins the name of the removed spec in a run that still counts. No id of a spec begins like this, so the
/// runs do not become those of a later spec with the same id.
const REMOVED: &str = "removed ";
const END_COUNTED: &str = "DELETE FROM runs WHERE spec >= 'removed ' AND spec < 'removed!' AND ended_at <= ?";

pub(super) fn remove(c: &Connection, specs: &[SpecId], age: Age) -> Result<Vec<SpecId>, QueueError> {
    c.prepare_cached(END_COUNTED)?.execute([age.runs_since.0])?;
    let mut removed = Vec::new();
    for spec in specs {
        // A removal can make the next spec one that nothing needs, and never the other way round.
        if is_expired(c, spec, age)? {
            remove_one(c, spec, age)?;
            removed.push(spec.clone());
        }
    }
    Ok(removed)
}

fn remove_one(c: &Connection, spec: &SpecId, age: Age) -> Result<(), QueueError> {
    let id = spec.as_str();
    c.prepare_cached("DELETE FROM runs WHERE spec = ? AND ended_at <= ?")?.execute(params![id, age.runs_since.0])?;
    c.prepare_cached("UPDATE OR IGNORE runs SET spec = :removed || spec WHERE spec = :id")?
        .execute(named_params! {":removed": REMOVED, ":id": id})?;
    for sql in TABLES {
        c.prepare_cached(sql)?.execute([id])?;
    }
    let status: String =
        c.prepare_cached("DELETE FROM specs WHERE id = ? RETURNING status")?.query_row([id], |row| row.get(0))?;
    c.prepare_cached("UPDATE counts SET n = n - 1 WHERE status = ?")?.execute([status])?;
    Ok(())
}
