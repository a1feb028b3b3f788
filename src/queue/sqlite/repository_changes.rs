//! The recorded changes of repositories.

use rusqlite::{Connection, params};

use super::read;
use super::rows::{check_fence, encode};
use crate::domain::id::SpecId;
use crate::domain::repository_change::RepositoryChange;
use crate::queue::{BlockingChange, ChangesFoundBy, Fence, QueueError};

/// The maximum number of changes that the view of a spec shows.
const SHOWN: u32 = 200;

pub(super) const OF_SPEC: &str =
    "SELECT body FROM repository_changes WHERE spec = ? ORDER BY attempt, command, part, n LIMIT ?";
pub(super) const BLOCKING: &str = "SELECT number, spec, repository, body
      FROM repository_changes INDEXED BY repository_changes_blocking WHERE blocks = 1 ORDER BY number";

pub(super) fn record(
    c: &Connection,
    fence: &Fence,
    found_by: ChangesFoundBy,
    repository: &str,
    changes: &[RepositoryChange],
) -> Result<(), QueueError> {
    check_fence(c, fence)?;
    let (command, part) = match found_by {
        ChangesFoundBy::Command(command) => (command, 0),
        ChangesFoundBy::Candidate(command) => (command, 1),
        ChangesFoundBy::Checkout(command) => (command, 2),
    };
    for (n, change) in changes.iter().enumerate() {
        // After a crash, the same comparison may be recorded again.
        c.prepare_cached(
            "INSERT OR IGNORE INTO repository_changes (spec, attempt, command, part, n, repository, body, blocks)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            fence.spec.as_str(),
            fence.attempt,
            command,
            part,
            n,
            repository,
            encode(change)?,
            change.blocks
        ])?;
    }
    Ok(())
}

/// Returns the changes of a spec, oldest first. Omits a record that this version cannot read.
pub(super) fn of_spec(c: &Connection, spec: &SpecId) -> Result<Vec<RepositoryChange>, QueueError> {
    let bodies: Vec<String> = c
        .prepare_cached(OF_SPEC)?
        .query_map(params![spec.as_str(), SHOWN], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect())
}

pub(super) fn blocking(c: &Connection) -> Result<Vec<BlockingChange>, QueueError> {
    let mut statement = c.prepare_cached(BLOCKING)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let spec = read::id(&row.get::<_, String>(1)?)?;
        let Ok(change) = serde_json::from_str(&row.get::<_, String>(3)?) else { continue };
        found.push(BlockingChange { number: row.get(0)?, spec, repository: row.get(2)?, change });
    }
    Ok(found)
}

pub(super) fn settle(c: &Connection, numbers: &[i64]) -> Result<(), QueueError> {
    for number in numbers {
        c.prepare_cached("UPDATE repository_changes SET blocks = 0 WHERE number = ?")?.execute([number])?;
    }
    Ok(())
}
