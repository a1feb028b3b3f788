//! The trusted commands of repositories, and the specs that a repository's own configuration blocks.

use rusqlite::types::ToSql;
use rusqlite::{Connection, Row, named_params, params};

use super::SqliteQueue;
use super::read::id;
use super::rows::encode;
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::life::Block;
use crate::domain::repository_block::{ConfigPlace, RepositoryBlock};
use crate::domain::repository_config::RepositoryConfig;
use crate::domain::spec::{Base, Spec};
use crate::domain::time::Timestamp;
use crate::queue::QueueError;
use crate::queue::repositories::{EndBlocks, Repositories, Trusted};

/// How many of the first queued specs are searched for those that a block concerns as well.
const SEARCHED: u32 = 10_000;
/// How many hashes of a repository the user can trust at a time; the oldest ones are forgotten.
const KEPT: u32 = 100;

pub(super) const BLOCK_OTHERS: &str = "UPDATE specs SET blocked = :blocked, cause = :cause WHERE id IN (
    SELECT id FROM (
        SELECT id, repo, body FROM specs INDEXED BY specs_queued
         WHERE status = 'queued' AND blocked IS NULL AND quarantine IS NULL AND open_deps = 0 AND not_before IS NULL
           AND attempt = 0 ORDER BY priority, seq LIMIT :searched)
     WHERE repo = :path AND json_extract(body, '$.repo.base') = json(:base))";
pub(super) const END_TRUST_BLOCKS: &str = "UPDATE specs SET blocked = NULL, cause = NULL
      WHERE blocked = 'trust' AND +status = 'queued'
        AND json_extract(cause, '$.by.repository.place.repository') = :repository
        AND json_extract(cause, '$.by.repository.why.hash') = :hash RETURNING id";
pub(super) const HAS_WORKTREE: &str =
    "SELECT 1 FROM specs INDEXED BY specs_pooled WHERE worktree = ? AND instr(worktree, '/.pool/') > 0";
pub(super) const BLOCKING: &str =
    "SELECT DISTINCT json_extract(cause, '$.by.repository.place') FROM specs INDEXED BY specs_blocked
      WHERE blocked IN ('trust', 'repository_config', 'repository_full') AND +status = 'queued'";
pub(super) const END_BLOCKS_READ_AT: &str = "UPDATE specs SET blocked = NULL, cause = NULL
      WHERE blocked IN ('trust', 'repository_config', 'repository_full') AND +status = 'queued'
        AND json_extract(cause, '$.by.repository.place') = json(:place) RETURNING id";
pub(super) const END_FIRST_WAITING: &str = "UPDATE specs SET blocked = NULL, cause = NULL WHERE id = (
        SELECT id FROM (
            SELECT id, min(priority) FROM specs INDEXED BY specs_blocked
             WHERE blocked = 'repository_full' AND +status = 'queued'
               AND json_extract(cause, '$.by.repository.place.repository') = :repository)) RETURNING id";
pub(super) const END_ALL_WAITING: &str = "UPDATE specs SET blocked = NULL, cause = NULL
      WHERE blocked = 'repository_full' AND +status = 'queued' RETURNING id";

impl Repositories for SqliteQueue {
    fn trust(&self, trusted: &Trusted) -> Result<Vec<SpecId>, QueueError> {
        let trusted = trusted.clone();
        self.write(move |connection| trust(connection, &trusted))
    }

    fn trusted(&self, repository: Option<&str>) -> Result<Vec<Trusted>, QueueError> {
        let read = |row: &Row<'_>| {
            let at = Timestamp(row.get(3)?);
            Ok(Trusted { repository: row.get(0)?, hash: row.get(1)?, commands: row.get(2)?, at })
        };
        self.read(|connection| {
            let order = "ORDER BY at DESC, repository, hash";
            let records = "SELECT repository, hash, commands, at FROM trusted_commands";
            Ok(match repository {
                Some(repository) => connection
                    .prepare_cached(&format!("{records} WHERE repository = ? {order}"))?
                    .query_map([repository], read)?
                    .collect::<Result<_, _>>()?,
                None => connection
                    .prepare_cached(&format!("{records} {order}"))?
                    .query_map([], read)?
                    .collect::<Result<_, _>>()?,
            })
        })
    }

    fn revoke_trust(&self, repository: &str) -> Result<usize, QueueError> {
        let repository = repository.to_owned();
        self.write(move |connection| {
            Ok(connection
                .prepare_cached("DELETE FROM trusted_commands WHERE repository = ?")?
                .execute([&repository])?)
        })
    }

    fn blocking_configs(&self) -> Result<Vec<ConfigPlace>, QueueError> {
        self.read(|connection| {
            let places: Vec<Option<String>> =
                connection.prepare_cached(BLOCKING)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(places.iter().flatten().filter_map(|place| serde_json::from_str(place).ok()).collect())
        })
    }

    fn has_worktree(&self, path: &str) -> Result<bool, QueueError> {
        self.read(|connection| Ok(connection.prepare_cached(HAS_WORKTREE)?.exists([path])?))
    }

    fn end_repository_blocks(&self, which: &EndBlocks) -> Result<Vec<SpecId>, QueueError> {
        let which = which.clone();
        self.write(move |connection| match &which {
            EndBlocks::ReadAt(place) => ended(connection, END_BLOCKS_READ_AT, named_params! {":place": encode(place)?}),
            EndBlocks::FirstWaitingIn(repository) => {
                ended(connection, END_FIRST_WAITING, named_params! {":repository": repository})
            }
            EndBlocks::AllWaiting => ended(connection, END_ALL_WAITING, &[]),
        })
    }
}

fn trust(c: &Connection, trusted: &Trusted) -> Result<Vec<SpecId>, QueueError> {
    let Trusted { repository, hash, commands, at } = trusted;
    c.prepare_cached("INSERT OR REPLACE INTO trusted_commands (repository, hash, commands, at) VALUES (?, ?, ?, ?)")?
        .execute(params![repository, hash, commands, at.0])?;
    c.prepare_cached(
        "DELETE FROM trusted_commands WHERE repository = :repository AND hash NOT IN (
            SELECT hash FROM trusted_commands WHERE repository = :repository ORDER BY at DESC, hash LIMIT :kept)",
    )?
    .execute(named_params! {":repository": repository, ":kept": KEPT})?;
    ended(c, END_TRUST_BLOCKS, named_params! {":repository": repository, ":hash": hash})
}

fn ended(c: &Connection, sql: &str, parameters: &[(&str, &dyn ToSql)]) -> Result<Vec<SpecId>, QueueError> {
    let names: Vec<String> =
        c.prepare_cached(sql)?.query_map(parameters, |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.iter().map(|name| id(name)).collect()
}

/// Blocks the first queued specs that have not begun and start from the same base of the same repository: each of them would
/// be claimed, and blocked for the same reason.
pub(super) fn block_others(c: &Connection, spec: &Spec, block: &RepositoryBlock) -> Result<(), QueueError> {
    let Some(repo) = &spec.repo else { return Ok(()) };
    let base = match &repo.base {
        Base::Revision(_) => encode(&repo.base)?,
        Base::Spec(_) => return Ok(()),
    };
    let by = Block::Repository(Box::new(block.clone()));
    c.prepare_cached(BLOCK_OTHERS)?.execute(named_params! {
        ":blocked": by.as_str(), ":cause": encode(&Cause::Blocked { by })?, ":searched": SEARCHED,
        ":path": repo.path.to_string_lossy(), ":base": base,
    })?;
    Ok(())
}

/// Stores the configuration of the repository with which a spec was completed.
pub(super) fn set_config(c: &Connection, spec: &SpecId, config: &RepositoryConfig) -> Result<(), QueueError> {
    c.prepare_cached("UPDATE specs SET repository_config = ? WHERE id = ?")?
        .execute(params![encode(config)?, spec.as_str()])?;
    Ok(())
}
