//! Creates the tables, and upgrades older databases.
//!
//! The column `specs.open_deps` counts the specs that a spec still waits for. The index for claims contains
//! only eligible specs, so that neither a long queue nor a long history slows a claim. Triggers update the
//! table `counts`, so that no query has to count specs.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use tracing::info;

use super::backup;
use super::error::OpenError;

/// The version of the schema that this program writes.
const VERSION: i64 = 7;

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

/// The upgrade from version 1 to 2: adds indexes of ended specs by status, and of starts.
const SECOND: &str = "
CREATE INDEX specs_ended_as ON specs (status, finished_at DESC, seq DESC)
    WHERE status IN ('completed', 'failed', 'canceled');
CREATE INDEX attempts_started ON attempts (started_at) WHERE started_at IS NOT NULL;
DROP INDEX IF EXISTS attempts_claimed;
";

/// The upgrade from version 2 to 3: stores causes as data instead of reasons in words, and adds quarantine.
const THIRD: &str = "
ALTER TABLE specs RENAME COLUMN reason TO cause;
UPDATE specs SET cause = json_object('kind', 'recorded', 'words', cause) WHERE cause IS NOT NULL;
ALTER TABLE specs ADD COLUMN quarantine TEXT;
DROP INDEX specs_ready;
CREATE INDEX specs_eligible ON specs (priority, seq)
    WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL;
CREATE INDEX specs_quarantined ON specs (seq) WHERE quarantine IS NOT NULL;
";

/// The upgrade from version 3 to 4: adds columns for who merged a branch, for the commits that the last look
/// at an unmerged branch compared, for blocked specs and for the number of runs that reported no cost, and
/// adds the table of changes of repositories.
const FOURTH: &str = "
ALTER TABLE specs ADD COLUMN merged_by TEXT;
ALTER TABLE specs ADD COLUMN compared TEXT;
CREATE INDEX specs_unlanded ON specs (seq)
    WHERE status = 'completed' AND has_branch = 1 AND delivery IN ('branch', 'unmerged');
ALTER TABLE specs ADD COLUMN blocked TEXT;
DROP INDEX specs_eligible;
CREATE INDEX specs_eligible ON specs (priority, seq)
    WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL AND blocked IS NULL;
ALTER TABLE specs ADD COLUMN unpriced_runs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tries ADD COLUMN unpriced_runs INTEGER NOT NULL DEFAULT 0;
CREATE TABLE repository_changes (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    spec       TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    command    INTEGER NOT NULL,
    part       INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    repository TEXT NOT NULL,
    body       TEXT NOT NULL,
    blocks     INTEGER NOT NULL,
    UNIQUE (spec, attempt, command, part, n)
) STRICT;
CREATE INDEX repository_changes_blocking ON repository_changes (number) WHERE blocks = 1;
";

/// The upgrade from version 4 to 5: adds lanes, holds, the runs of agents with their cost, and the evidence
/// for the outcome of a try. The lane of a queued spec is the agent of its first task that is not done; a
/// spec that is running gets its lane when it returns to the queue.
const FIFTH: &str = "
ALTER TABLE specs ADD COLUMN lane TEXT NOT NULL DEFAULT '';
UPDATE specs SET lane = coalesce((
    SELECT coalesce(json_extract(body, '$.tasks[' || t.idx || '].agent'), json_extract(body, '$.agent'), 'claude')
      FROM (SELECT min(idx) AS idx FROM tasks WHERE spec = specs.id AND status <> 'done') t
     WHERE json_type(body, '$.tasks[' || t.idx || '].action.prompt') IS NOT NULL), '')
 WHERE status = 'queued' AND json_valid(body);
DROP INDEX specs_eligible;
CREATE INDEX specs_eligible ON specs (lane, priority, seq)
    WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL AND blocked IS NULL;
CREATE TABLE holds (
    lane   TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE specs ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE specs ADD COLUMN estimated_usd REAL NOT NULL DEFAULT 0;
ALTER TABLE tries ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tries ADD COLUMN estimated_usd REAL NOT NULL DEFAULT 0;
ALTER TABLE tries ADD COLUMN evidence TEXT;
ALTER TABLE tries ADD COLUMN message TEXT;
ALTER TABLE tasks ADD COLUMN unchanged INTEGER NOT NULL DEFAULT 0;
CREATE TABLE runs (
    spec          TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    command       INTEGER NOT NULL,
    idx           INTEGER NOT NULL,
    try           INTEGER NOT NULL,
    agent         TEXT NOT NULL,
    model         TEXT,
    ended_at      INTEGER NOT NULL,
    turns         INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd      REAL NOT NULL,
    estimated_usd REAL NOT NULL,
    unpriced      INTEGER NOT NULL,
    PRIMARY KEY (spec, attempt, command)
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_ended ON runs (ended_at);
ALTER TABLE specs ADD COLUMN max_usd REAL;
CREATE INDEX specs_blocked ON specs (blocked) WHERE blocked IS NOT NULL;
";

/// A part of the upgrade from version 5 to 6: adds landing queues and landers.
const LANDINGS: &str = "
ALTER TABLE specs ADD COLUMN land_repo TEXT;
ALTER TABLE specs ADD COLUMN land_base TEXT;
ALTER TABLE specs ADD COLUMN sent_back TEXT;
CREATE INDEX specs_landing ON specs (land_repo, land_base, priority, seq) WHERE delivery IN ('waiting', 'landing');
CREATE TABLE landers (
    id         TEXT PRIMARY KEY,
    land_repo  TEXT NOT NULL,
    land_base  TEXT NOT NULL,
    repo       TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    active     INTEGER NOT NULL,
    not_before INTEGER,
    setbacks   INTEGER NOT NULL DEFAULT 0,
    worktree   TEXT,
    UNIQUE (land_repo, land_base)
) STRICT;
";

/// The tables of the stream of events and of the progress of hooks.
const EVENTS: &str = "
CREATE TABLE events (
    cursor  INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    spec    TEXT,
    attempt INTEGER,
    body    TEXT NOT NULL
) STRICT;
CREATE TABLE hooks (
    name   TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The indexes of unmerged specs, which `boi status` counts, and of those that completed without a commit. The
/// dashboard lists both.
const ATTENTION: &str = "
CREATE INDEX specs_unmerged ON specs (finished_at DESC, seq DESC) WHERE delivery = 'unmerged';
CREATE INDEX specs_unchanged ON specs (finished_at DESC, seq DESC) WHERE status = 'completed' AND head = origin;
";

/// Adds dropped specs, with the status that each one gets back if the drop is undone, and the notes with
/// which the user sent specs back.
const REVIEW: &str = "
CREATE TABLE drops (
    spec        TEXT PRIMARY KEY,
    status      TEXT NOT NULL,
    cause       TEXT,
    finished_at INTEGER NOT NULL,
    head        TEXT,
    at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX specs_dropped ON specs (finished_at DESC, seq DESC) WHERE status = 'dropped';
INSERT OR IGNORE INTO counts VALUES ('dropped', 0);
CREATE TABLE notes (
    spec    TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    idx     INTEGER NOT NULL,
    note    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (spec, attempt)
) STRICT, WITHOUT ROWID;
";

/// The upgrade from version 5 to 6: adds landings, events, hooks, drops, notes and indexes.
const SIXTH: &[&str] = &[LANDINGS, EVENTS, ATTENTION, REVIEW];

/// The upgrade from version 6 to 7: adds the configurations of repositories that completed a spec, and the commands of such
/// configurations that the user trusts.
const SEVENTH: &str = "
ALTER TABLE specs ADD COLUMN repository_config TEXT;
CREATE INDEX specs_pooled ON specs (worktree) WHERE instr(worktree, '/.pool/') > 0;
CREATE TABLE trusted_commands (
    repository TEXT NOT NULL,
    hash       TEXT NOT NULL,
    commands   TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (repository, hash)
) STRICT, WITHOUT ROWID;
";

/// The upgrade steps from each version to the next. The first step starts from an empty database.
const STEPS: [&[&str]; VERSION as usize] = [&[TABLES], &[SECOND], &[THIRD], &[FOURTH], &[FIFTH], SIXTH, &[SEVENTH]];

/// Creates the current schema in a new database.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    upgrade(connection, 0)
}

/// Upgrades a database to the current schema. Before that, writes a backup beside the database.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let from = version(connection, path)?;
    match usize::try_from(from) {
        Ok(0) => Err(backup::damaged(path, "the file has no tables of boi")),
        Ok(done) if done < STEPS.len() => {
            let backup = backup::back_up(connection, path, from)?;
            info!(backup = %backup.display(), from, to = VERSION, "boi is upgrading the schema of the queue's database; `backup` is a copy of the database before the upgrade");
            upgrade(connection, done).map_err(|error| {
                // The failed upgrade changed nothing, so its backup is removed. Otherwise each retry would
                // add a backup.
                drop(std::fs::remove_file(&backup));
                backup::open_error(path, error)
            })
        }
        Ok(done) if done == STEPS.len() => Ok(()),
        _ => Err(OpenError::TooNew { path: path.to_owned(), found: from, known: VERSION }),
    }
}

/// Carries out the upgrade steps after the first `done` ones, in one transaction.
fn upgrade(connection: &mut Connection, done: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for sql in STEPS[done..].iter().copied().flatten() {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Fails if the database has another schema version.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match version(connection, path)? {
        VERSION => Ok(()),
        0 => Err(backup::damaged(path, "the file has no tables of boi")),
        found if found < VERSION => Err(OpenError::TooOld { path: path.to_owned(), found, known: VERSION }),
        found => Err(OpenError::TooNew { path: path.to_owned(), found, known: VERSION }),
    }
}

fn version(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| backup::open_error(path, error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{
        Access, SqliteQueue, attention, end, events, file, landed, landers, landings, lanes, read, recent,
        repositories, repository_changes, retention, review, runs, survey, write,
    };
    use super::*;
    use crate::domain::cause::Cause;
    use crate::queue::Queue;

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
    fn no_query_scans_the_whole_queue_or_its_history() {
        let mut connection = Connection::open_in_memory().unwrap();
        create(&mut connection).unwrap();
        for (sql, index) in [
            (lanes::ELIGIBLE, "specs_eligible"),
            (lanes::NEXT_LANE, "specs_eligible"),
            (lanes::ELIGIBLE_IN_SCOPE, "specs_1"),
            (lanes::IS_ELIGIBLE, "specs_1"),
            (read::DUE, "specs_due"),
            (read::STARTS, "attempts_started"),
            (read::RUNNING, "specs_running"),
            (read::QUEUED, "specs_queued"),
            (read::QUARANTINED, "specs_quarantined"),
            (read::LAST_ENDED, "specs_ended"),
            (read::UNMERGED_COUNT, "specs_unmerged"),
            (read::ENDED_AS, "specs_ended_as"),
            (attention::UNMERGED, "specs_unmerged"),
            (attention::BLOCKED, "specs_blocked"),
            (attention::QUARANTINED_FIRST, "specs_quarantined"),
            (attention::UNCHANGED, "specs_unchanged"),
            (attention::TO_REVIEW, "specs_unlanded"),
            (attention::MATCHING, "specs_queued"),
            (landed::UNLANDED, "specs_unlanded"),
            (landings::WAITED_FOR, "specs_landing"),
            (landings::WAITED_FOR_IN_SCOPE, "specs_1"),
            (landings::WAITING, "specs_landing"),
            (landers::WAITING_COUNT, "specs_landing"),
            (recent::ENDED_SINCE, "specs_ended"),
            (recent::DROPPED_SINCE, "specs_dropped"),
            (recent::LAST_END, "specs_ended"),
            (recent::BLOCKED, "specs_blocked"),
            (recent::QUARANTINED, "specs_quarantined"),
            (recent::UNLANDED_COUNT, "specs_unlanded"),
            (repository_changes::OF_SPEC, "repository_changes_1"),
            (repository_changes::BLOCKING, "repository_changes_blocking"),
            (write::PROMOTE, "specs_due"),
            (runs::SINCE, "runs_ended"),
            (runs::USAGE_SINCE, "runs_ended"),
            (runs::END_BUDGET_BLOCKS, "specs_blocked"),
            (repositories::BLOCK_OTHERS, "specs_queued"),
            (repositories::END_TRUST_BLOCKS, "specs_blocked"),
            (repositories::HAS_WORKTREE, "specs_pooled"),
            (repositories::BLOCKING, "specs_blocked"),
            (repositories::END_BLOCKS_READ_AT, "specs_blocked"),
            (repositories::END_FIRST_WAITING, "specs_blocked"),
            (repositories::END_ALL_WAITING, "specs_blocked"),
            (end::RELEASE_DEPENDENTS, "specs_1"),
            (end::FAIL_DEPENDENTS, "specs_1"),
            (read::DROPPED, "specs_dropped"),
            (retention::PLACES, "specs_ended"),
            (retention::DROPPED_PLACES, "specs_dropped"),
            (review::WITH_PREFIX, "specs_1"),
            (review::QUEUED_AFTER, "deps_needs"),
            (review::HOLD_BACK_DEPENDENTS, "specs_1"),
            (retention::EXPIRED_AT, "deps_needs"),
            (retention::IS_EXPIRED, "specs_1"),
            (survey::STATUSES, "specs_1"),
            (survey::WAITING_FOR, "deps_needs"),
        ] {
            let plan = plan(&connection, sql);
            assert!(
                plan.contains(&format!("INDEX {index}")) || plan.contains(&format!("autoindex_{index}")),
                "{sql}\n{plan}"
            );
            assert!(!plan.contains("SCAN specs\n") && !plan.contains("SCAN attempts\n"), "{sql}\n{plan}");
            let sorts = plan.contains("TEMP B-TREE FOR ORDER BY");
            // These queries look up the few specs that they are asked for.
            let looks_up = [lanes::ELIGIBLE_IN_SCOPE, survey::STATUSES, survey::WAITING_FOR].contains(&sql);
            assert!(!sorts || looks_up, "the query sorts rows that an index returns in order: {sql}\n{plan}");
        }
    }

    #[test]
    fn no_query_scans_the_whole_stream_of_events() {
        let mut connection = Connection::open_in_memory().unwrap();
        create(&mut connection).unwrap();
        for sql in [events::AFTER, events::OLDEST] {
            let plan = plan(&connection, sql);
            assert!(plan.contains("SEARCH events USING INTEGER PRIMARY KEY"), "{sql}\n{plan}");
        }
        // These end with the first rows that they find.
        for sql in [events::LAST, events::LAST_ABOUT_SPECS, events::LAST_CURSOR] {
            let plan = plan(&connection, sql);
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }

    /// The names of all tables, indexes and triggers.
    fn names(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("SELECT name FROM sqlite_schema ORDER BY name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_older_database_is_upgraded_and_a_backup_keeps_it_as_it_was() {
        for from in 1..VERSION {
            let dir = tempfile::TempDir::new().unwrap();
            let path = dir.path().join("boi.db");
            let mut connection = Connection::open(&path).unwrap();
            for sql in STEPS[..usize::try_from(from).unwrap()].iter().copied().flatten() {
                connection.execute_batch(sql).unwrap();
            }
            let recorded = Cause::Recorded { words: "it \"failed\"".to_owned() };
            let (column, value) = match from {
                1 | 2 => ("reason", recorded.to_string()),
                _ => ("cause", serde_json::to_string(&recorded).unwrap()),
            };
            let row = format!(
                "INSERT INTO specs (id, title, body, merges, priority, status, {column}, open_deps, queued_at)
                     VALUES ('S0001', 't', '{{}}', 0, 1, 'failed', ?, 0, 1)"
            );
            connection.execute(&row, [value]).unwrap();
            connection.pragma_update(None, "user_version", from).unwrap();
            let too_old = check(&connection, &path);
            assert!(matches!(too_old, Err(OpenError::TooOld { found, known: VERSION, .. }) if found == from));
            migrate(&mut connection, &path).unwrap();
            check(&connection, &path).unwrap();
            migrate(&mut connection, &path).unwrap();
            let cause: String = connection.query_row("SELECT cause FROM specs", [], |row| row.get(0)).unwrap();
            assert_eq!(serde_json::from_str::<Cause>(&cause).unwrap(), recorded);
            for added in [
                "SELECT count(*) FROM specs WHERE merged_by IS NOT NULL OR compared IS NOT NULL OR blocked IS NOT NULL",
                "SELECT count(*) FROM repository_changes",
            ] {
                assert_eq!(connection.query_row(added, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{added}");
            }
            let mut fresh = Connection::open_in_memory().unwrap();
            create(&mut fresh).unwrap();
            assert_eq!(names(&connection), names(&fresh));
            let backup = Connection::open(dir.path().join(format!("boi.db.v{from}.bak"))).unwrap();
            assert!(matches!(check(&backup, &path), Err(OpenError::TooOld { found, .. }) if found == from));
        }
    }

    #[test]
    fn a_reader_upgrades_an_older_database_unless_an_earlier_version_is_using_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&[TABLES, SECOND].concat()).unwrap();
        connection.pragma_update(None, "user_version", 2).unwrap();
        drop(connection);
        let in_use = file::lock(&path, Duration::ZERO).unwrap();
        let refused = SqliteQueue::open(&path, Access::Read).map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::TooOld { found: 2, known: VERSION, .. }), "{refused}");
        drop(in_use);
        // Another test may fork a process, which holds the inherited lock until it executes its program.
        drop(file::lock(&path, Duration::from_secs(10)).unwrap());
        assert!(!SqliteQueue::open(&path, Access::Read).unwrap().is_paused().unwrap());
    }

    #[test]
    fn a_database_without_tables_or_of_a_later_version_is_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        let mut connection = Connection::open(&path).unwrap();
        assert!(matches!(migrate(&mut connection, &path), Err(OpenError::Damaged { .. })));
        assert!(matches!(check(&connection, &path), Err(OpenError::Damaged { .. })));
        for later in [VERSION + 1, -1] {
            connection.pragma_update(None, "user_version", later).unwrap();
            assert!(matches!(migrate(&mut connection, &path), Err(OpenError::TooNew { found, .. }) if found == later));
        }
    }
}
