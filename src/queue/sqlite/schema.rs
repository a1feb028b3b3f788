//! The tables, and how an older database becomes a current one.
//!
//! `specs.open_deps` counts what a spec still waits for; the claim's index holds only specs that could run now, so that
//! neither a long queue nor a long history slows a claim. `counts` is kept by triggers for the same reason.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use tracing::info;

use super::file;
use crate::queue::StoreError;

/// The schema that this program writes.
const VERSION: i64 = 2;

const TABLES: &str = "
CREATE TABLE specs (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    title        TEXT NOT NULL,
    body         TEXT NOT NULL,
    repo         TEXT,
    merges       INTEGER NOT NULL,
    priority     INTEGER NOT NULL,
    status       TEXT NOT NULL,
    reason       TEXT,
    open_deps    INTEGER NOT NULL,
    not_before   INTEGER,
    setbacks     INTEGER NOT NULL DEFAULT 0,
    attempt      INTEGER NOT NULL DEFAULT 0,
    resumes      INTEGER NOT NULL DEFAULT 0,
    failed_by    TEXT,
    origin       TEXT,
    head         TEXT,
    worktree     TEXT,
    has_branch   INTEGER NOT NULL DEFAULT 0,
    delivery     TEXT,
    queued_at    INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    turns        INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_usd     REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX specs_ready ON specs (priority, seq)
    WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL;
CREATE INDEX specs_due ON specs (not_before) WHERE status = 'queued' AND not_before IS NOT NULL;
CREATE INDEX specs_running ON specs (seq) WHERE status = 'running';
CREATE INDEX specs_queued ON specs (priority, seq) WHERE status = 'queued';
CREATE INDEX specs_ended ON specs (finished_at DESC, seq DESC)
    WHERE status IN ('completed', 'failed', 'canceled');
CREATE INDEX specs_failed_by ON specs (failed_by) WHERE failed_by IS NOT NULL;

CREATE TABLE deps (
    spec  TEXT NOT NULL,
    needs TEXT NOT NULL,
    PRIMARY KEY (spec, needs)
) STRICT, WITHOUT ROWID;
CREATE INDEX deps_needs ON deps (needs);

CREATE TABLE tasks (
    spec     TEXT NOT NULL,
    idx      INTEGER NOT NULL,
    id       TEXT NOT NULL,
    title    TEXT NOT NULL,
    status   TEXT NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0,
    commit_id TEXT,
    PRIMARY KEY (spec, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    spec       TEXT NOT NULL,
    number     INTEGER NOT NULL,
    config     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    position   TEXT NOT NULL,
    intent     TEXT,
    claimed_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER,
    PRIMARY KEY (spec, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE tries (
    spec          TEXT NOT NULL,
    idx           INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    outcome       TEXT,
    rejected      TEXT,
    session_id    TEXT,
    turns         INTEGER NOT NULL DEFAULT 0,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_usd      REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (spec, idx, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE commands (
    spec     TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    step     TEXT NOT NULL,
    PRIMARY KEY (spec, attempt, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE kept (
    spec TEXT NOT NULL,
    ref  TEXT NOT NULL,
    PRIMARY KEY (spec, ref)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counts (
    status TEXT PRIMARY KEY,
    n      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counts VALUES ('queued', 0), ('running', 0), ('completed', 0), ('failed', 0), ('canceled', 0);
CREATE TRIGGER specs_counted AFTER INSERT ON specs BEGIN
    UPDATE counts SET n = n + 1 WHERE status = NEW.status;
END;
CREATE TRIGGER specs_recounted AFTER UPDATE OF status ON specs WHEN OLD.status <> NEW.status BEGIN
    UPDATE counts SET n = n - 1 WHERE status = OLD.status;
    UPDATE counts SET n = n + 1 WHERE status = NEW.status;
END;
";

/// What version 2 has and version 1 has not.
const SECOND: &str = "
CREATE INDEX specs_ended_as ON specs (status, finished_at DESC, seq DESC)
    WHERE status IN ('completed', 'failed', 'canceled');
CREATE INDEX attempts_started ON attempts (started_at) WHERE started_at IS NOT NULL;
DROP INDEX IF EXISTS attempts_claimed;
";

/// Gives a new database all of the current schema.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(SECOND)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Brings a database to the current schema; as it was it is kept in a file beside it.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    match version(connection)? {
        VERSION => Ok(()),
        0 => Err(file::broken(path, "it has none of the tables")),
        from @ 1 => {
            let backup = file::back_up(connection, path, from)?;
            info!(backup = %backup.display(), "the queue goes from schema version {from} to {VERSION}; as it was it is kept");
            Ok(second(connection)?)
        }
        found => Err(StoreError::TooNew { path: path.to_owned(), found, known: VERSION }),
    }
}

/// From the first version to the second.
fn second(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SECOND)?;
    transaction.pragma_update(None, "user_version", 2)?;
    transaction.commit()
}

/// Refuses a database that this program cannot read.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    match version(connection)? {
        VERSION => Ok(()),
        0 => Err(file::broken(path, "it has none of the tables")),
        found if found < VERSION => Err(StoreError::TooOld { path: path.to_owned(), found, known: VERSION }),
        found => Err(StoreError::TooNew { path: path.to_owned(), found, known: VERSION }),
    }
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::super::{end, read, write};
    use super::*;

    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        for parameter in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(parameter, 1).unwrap();
        }
        let mut rows = statement.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push_str(&row.get::<_, String>(3).unwrap());
            plan.push('\n');
        }
        plan
    }

    #[test]
    fn nothing_walks_the_whole_queue_or_its_history() {
        let mut connection = Connection::open_in_memory().unwrap();
        create(&mut connection).unwrap();
        for (sql, index) in [
            (read::READY, "specs_ready"),
            (read::READY_IN_SCOPE, "specs_1"),
            (read::DUE, "specs_due"),
            (read::STARTS, "attempts_started"),
            (read::RUNNING, "specs_running"),
            (read::QUEUED, "specs_queued"),
            (read::LAST_ENDED, "specs_ended"),
            (read::ENDED_AS, "specs_ended_as"),
            (write::PROMOTE, "specs_due"),
            (end::RELEASE_DEPENDANTS, "specs_1"),
            (end::FAIL_DEPENDANTS, "specs_1"),
        ] {
            let plan = plan(&connection, sql);
            assert!(
                plan.contains(&format!("INDEX {index}")) || plan.contains(&format!("autoindex_{index}")),
                "{sql}\n{plan}"
            );
            assert!(!plan.contains("SCAN specs\n") && !plan.contains("SCAN attempts\n"), "{sql}\n{plan}");
            let sorts = plan.contains("TEMP B-TREE FOR ORDER BY");
            assert!(!sorts || sql == read::READY_IN_SCOPE, "sorts what an index has in order: {sql}\n{plan}");
        }
    }

    #[test]
    fn a_database_of_the_first_version_is_kept_and_gets_what_it_lacks() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.execute_batch(TABLES).unwrap();
        connection.execute_batch("CREATE INDEX attempts_claimed ON attempts (claimed_at)").unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        assert!(matches!(check(&connection, &path), Err(StoreError::TooOld { found: 1, .. })));
        migrate(&mut connection, &path).unwrap();
        check(&connection, &path).unwrap();
        assert!(plan(&connection, read::ENDED_AS).contains("specs_ended_as"));
        let backup = Connection::open(dir.path().join("boi.db.v1.bak")).unwrap();
        assert!(matches!(check(&backup, &path), Err(StoreError::TooOld { found: 1, .. })));
    }
}
