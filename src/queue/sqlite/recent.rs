//! The verbs about specs that ended in a time. Each query is bounded, whatever the queue holds.

use rusqlite::{Connection, OptionalExtension, params};

use super::read::well_formed;
use crate::domain::time::Timestamp;
use crate::queue::QueueError;
use crate::queue::recent::{MOST_COUNTED, Recent};

/// The largest number of blocked and of quarantined specs that are returned.
const MOST_BLOCKED: u32 = 50;

pub(super) const ENDED_SINCE: &str = "SELECT id FROM specs INDEXED BY specs_ended
     WHERE status IN ('completed', 'failed', 'canceled') AND finished_at >= ?
     ORDER BY finished_at DESC, seq DESC LIMIT ?";
pub(super) const DROPPED_SINCE: &str = "SELECT id FROM specs INDEXED BY specs_dropped
     WHERE status = 'dropped' AND finished_at >= ? ORDER BY finished_at DESC, seq DESC LIMIT ?";
pub(super) const LAST_END: &str = "SELECT finished_at FROM specs INDEXED BY specs_ended
     WHERE status IN ('completed', 'failed', 'canceled') AND finished_at IS NOT NULL
     ORDER BY finished_at DESC, seq DESC LIMIT 1";
pub(super) const BLOCKED: &str =
    "SELECT id FROM specs INDEXED BY specs_blocked WHERE blocked IS NOT NULL AND +status = 'queued' LIMIT ?";
pub(super) const QUARANTINED: &str =
    "SELECT id FROM specs INDEXED BY specs_quarantined WHERE quarantine IS NOT NULL AND +status = 'queued' LIMIT ?";
pub(super) const UNLANDED_COUNT: &str = "SELECT count(*) FROM (SELECT origin, head FROM specs INDEXED BY specs_unlanded
     WHERE status = 'completed' AND has_branch = 1 AND delivery IN ('branch', 'unmerged') LIMIT ?)
     WHERE origin <> head";

pub(super) fn recent(c: &Connection, since: Timestamp, limit: u32) -> Result<Recent, QueueError> {
    let names = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<Vec<String>, QueueError> {
        Ok(c.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    let mut ended = names(ENDED_SINCE, &[&since.0, &(i64::from(limit) + 1)])?;
    let more = ended.len() > limit as usize;
    ended.truncate(limit as usize);
    ended.extend(names(DROPPED_SINCE, &[&since.0, &i64::from(limit)])?);
    let mut blocked = names(BLOCKED, &[&MOST_BLOCKED])?;
    blocked.extend(names(QUARANTINED, &[&MOST_BLOCKED])?);
    let unlanded: u64 = c
        .prepare_cached(UNLANDED_COUNT)?
        .query_row(params![i64::try_from(MOST_COUNTED).unwrap_or(i64::MAX)], |row| row.get(0))?;
    let blocked = well_formed(&blocked).collect();
    Ok(Recent { ended: well_formed(&ended).collect(), more, blocked, unlanded })
}

pub(super) fn last_end(c: &Connection) -> Result<Option<Timestamp>, QueueError> {
    Ok(c.prepare_cached(LAST_END)?.query_row([], |row| Ok(Timestamp(row.get(0)?))).optional()?)
}
