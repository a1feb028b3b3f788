//! Selects the specs that need the user, for the dashboard. Each query reads a bounded part of an index.

use rusqlite::{Connection, params};

use super::read::ENDED_AS;
use crate::domain::life::SpecStatus;
use crate::queue::QueueError;

pub(super) const UNMERGED: &str = "SELECT id FROM specs INDEXED BY specs_unmerged
     WHERE status = 'completed' AND delivery = 'unmerged' ORDER BY finished_at DESC, seq DESC LIMIT ?";
pub(super) const BLOCKED: &str = "SELECT id FROM specs INDEXED BY specs_blocked
     WHERE blocked IS NOT NULL AND status = 'queued' ORDER BY blocked, seq LIMIT ?";
pub(super) const QUARANTINED_FIRST: &str =
    "SELECT id FROM specs WHERE quarantine IS NOT NULL AND status = 'queued' ORDER BY seq LIMIT ?";
/// Among the first `?1` specs that completed last on the commit they started from: those whose agents changed no file.
pub(super) const UNCHANGED: &str = "SELECT e.id FROM
     (SELECT id FROM specs INDEXED BY specs_unchanged
       WHERE status = 'completed' AND head = origin ORDER BY finished_at DESC, seq DESC LIMIT ?) e
     WHERE EXISTS (SELECT 1 FROM tasks WHERE spec = e.id AND unchanged = 1) LIMIT ?";
/// Among the first `?1` specs with an unmerged branch that were dispatched last: those whose branch waits for a review.
pub(super) const TO_REVIEW: &str = "SELECT id FROM
     (SELECT id, delivery, head, origin FROM specs INDEXED BY specs_unlanded
       WHERE status = 'completed' AND has_branch = 1 AND delivery IN ('branch', 'unmerged') ORDER BY seq DESC LIMIT ?)
     WHERE delivery = 'branch' AND head <> origin LIMIT ?";
/// How many specs without a commit are looked at: their tasks may be commands that are not meant to change files.
const WITHOUT_COMMIT: u32 = 1_000;
/// How many specs with an unmerged branch are looked at.
const UNLANDED: u32 = 1_000;
/// Among the first `?1` queued specs: those whose id or title contains `?2`, without regard to the case of ASCII
/// letters.
pub(super) const MATCHING: &str = "SELECT id FROM
     (SELECT id, title FROM specs WHERE status = 'queued' ORDER BY priority, seq LIMIT ?1)
     WHERE instr(lower(id || ' ' || title), lower(?2)) > 0 LIMIT ?3 OFFSET ?4";

/// Returns the ids of the specs that need the user, at most `limit` of each kind: unmerged, blocked, quarantined,
/// failed, completed without changes, and completed with a branch to review. Also returns whether there may be more.
pub(super) fn select(c: &Connection, limit: u32) -> Result<(Vec<String>, bool), QueueError> {
    let (mut names, mut more) = (Vec::new(), false);
    let kinds: [(&str, &[&dyn rusqlite::ToSql]); 6] = [
        (UNMERGED, &[&limit]),
        (BLOCKED, &[&limit]),
        (QUARANTINED_FIRST, &[&limit]),
        (ENDED_AS, &[&SpecStatus::Failed.as_str(), &limit, &0]),
        (UNCHANGED, &[&WITHOUT_COMMIT, &limit]),
        (TO_REVIEW, &[&UNLANDED, &limit]),
    ];
    for (sql, parameters) in kinds {
        let mut statement = c.prepare_cached(sql)?;
        let found: Vec<String> = statement.query_map(parameters, |row| row.get(0))?.collect::<Result<_, _>>()?;
        more |= found.len() >= limit as usize;
        // A quarantined spec may be blocked too.
        names.extend(found.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    Ok((names, more))
}

/// Returns the ids of a page of the queued specs that match a text, in queue order, and of one spec more than the
/// page has if there are more. Looks only at the first [`SEARCHED`](crate::queue::SEARCHED) queued specs.
pub(super) fn matching(c: &Connection, text: &str, limit: u32, offset: u32) -> Result<Vec<String>, QueueError> {
    let mut statement = c.prepare_cached(MATCHING)?;
    let values = params![crate::queue::SEARCHED, text, i64::from(limit) + 1, offset];
    Ok(statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?)
}
