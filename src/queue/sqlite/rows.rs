//! Checks and conversions that several verbs share.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::{landings, read};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::queue::{Fence, QueueError};

/// The SQL expression for the number of the current attempt of a row of `specs`. If the number in the row is
/// out of range: the number of the latest recorded attempt, or 0 if none is recorded.
pub(super) const CURRENT_ATTEMPT: &str = "CASE WHEN specs.attempt BETWEEN 0 AND 4294967295 THEN specs.attempt
         ELSE (SELECT coalesce(max(a.number), 0) FROM attempts a
                WHERE a.spec = specs.id AND a.number BETWEEN 0 AND 4294967295) END";

/// Fails unless `fence` is the running attempt of its spec.
pub(super) fn check_fence(c: &Connection, fence: &Fence) -> Result<(), QueueError> {
    if fence.spec.is_lander() {
        return landings::check_fence(c, fence);
    }
    let holds = c
        .prepare_cached("SELECT 1 FROM specs WHERE id = ? AND attempt = ? AND status = 'running'")?
        .exists(params![fence.spec.as_str(), fence.attempt])?;
    if holds { Ok(()) } else { Err(QueueError::Superseded(fence.clone())) }
}

/// Returns the status of a spec, and whether specs that wait for it may start: the spec completed and, if it
/// asks for a merge, was merged.
pub(super) fn dependency_state(c: &Connection, id: &SpecId) -> Result<(SpecStatus, bool), QueueError> {
    let row = c
        .prepare_cached("SELECT status, merges, delivery FROM specs WHERE id = ?")?
        .query_row([id.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?, row.get::<_, Option<String>>(2)?))
        })
        .optional()?;
    let (status, merges, delivery) = row.ok_or_else(|| QueueError::NotFound(id.clone()))?;
    let status = read::status(id, &status)?;
    let satisfied = status == SpecStatus::Completed && (!merges || delivery.as_deref() == Some("merged"));
    Ok((status, satisfied))
}

/// Runs a statement that begins or ends a transaction or a savepoint.
pub(super) fn control(c: &Connection, statement: &str) -> Result<(), rusqlite::Error> {
    c.prepare_cached(statement)?.execute([]).map(drop)
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<String, QueueError> {
    serde_json::to_string(value).map_err(QueueError::internal)
}
