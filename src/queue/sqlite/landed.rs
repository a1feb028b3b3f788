//! The verbs about specs whose branch the user may merge by hand.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{end, events, read};
use crate::domain::event::{Happening, Merged};
use crate::domain::id::SpecId;
use crate::domain::outcome::{Delivery, MergedBy};
use crate::domain::time::Timestamp;
use crate::queue::QueueError;
use crate::queue::unlanded::{Look, Unlanded};

pub(super) const UNLANDED: &str = "SELECT id, repo, origin, head, compared FROM specs INDEXED BY specs_unlanded
     WHERE status = 'completed' AND has_branch = 1 AND delivery IN ('branch', 'unmerged')
       AND repo IS NOT NULL AND origin IS NOT NULL AND head IS NOT NULL ORDER BY seq";
const UNLANDED_ONE: &str = "SELECT id, repo, origin, head, compared FROM specs
     WHERE id = ? AND status = 'completed' AND has_branch = 1 AND delivery IN ('branch', 'unmerged')
       AND repo IS NOT NULL AND origin IS NOT NULL AND head IS NOT NULL";

/// The columns of an unlanded spec. Its stored id may be malformed.
type Columns = (String, String, String, String, Option<String>);

pub(super) fn unlanded(c: &Connection, specs: Option<&[SpecId]>) -> Result<Vec<Unlanded>, QueueError> {
    let rows: Vec<Columns> = match specs {
        None => c.prepare_cached(UNLANDED)?.query_map([], columns)?.collect::<Result<_, _>>()?,
        Some(ids) => {
            let mut statement = c.prepare_cached(UNLANDED_ONE)?;
            let mut one = |id: &SpecId| statement.query_row([id.as_str()], columns).optional().transpose();
            ids.iter().filter_map(&mut one).collect::<Result<_, _>>()?
        }
    };
    let spec = |(name, repo, origin, head, compared): Columns| {
        Some(Unlanded { id: read::id(&name).ok()?, repo, origin, head, compared })
    };
    Ok(rows.into_iter().filter_map(spec).collect())
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

pub(super) fn record_looks(c: &Connection, looks: &[Look], now: Timestamp) -> Result<(), QueueError> {
    for look in looks {
        if look.is_merged {
            record_merge_by_user(c, &look.id, now)?;
        } else {
            c.prepare_cached("UPDATE specs SET compared = ? WHERE id = ?")?
                .execute(params![look.compared, look.id.as_str()])?;
        }
    }
    Ok(())
}

/// Records that the user merged the branch of a completed spec, unless it is recorded as merged already.
pub(super) fn record_merge_by_user(c: &Connection, id: &SpecId, now: Timestamp) -> Result<(), QueueError> {
    let is_awaited: Option<bool> = c
        .prepare_cached(
            "SELECT merges AND delivery = 'unmerged' FROM specs
              WHERE id = ? AND status = 'completed' AND delivery IN ('branch', 'unmerged')",
        )?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    let Some(is_awaited) = is_awaited else { return Ok(()) };
    c.prepare_cached("UPDATE specs SET delivery = ?, merged_by = ?, cause = NULL, compared = NULL WHERE id = ?")?
        .execute(params![Delivery::Merged.as_str(), MergedBy::User.as_str(), id.as_str()])?;
    events::of_spec(c, id, &Happening::SpecMerged(Merged { by: MergedBy::User }), now)?;
    if is_awaited {
        c.prepare_cached(end::RELEASE_DEPENDENTS)?.execute([id.as_str()])?;
    }
    Ok(())
}
