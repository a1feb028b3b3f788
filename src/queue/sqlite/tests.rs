//! Tests of the queue on SQLite that are not tests of every queue.

use super::*;
use crate::domain::cause::Cause;
use crate::queue::conformance::{self, Factory, Record, conformance_suite};

struct Scratch;

impl Factory for Scratch {
    type Storage = tempfile::TempDir;

    fn queue() -> (tempfile::TempDir, Box<dyn Queue>) {
        let dir = tempfile::TempDir::new().unwrap();
        let queue = SqliteQueue::open(&dir.path().join("boi.db"), Access::Write(Duration::ZERO)).unwrap();
        (dir, Box::new(queue))
    }

    fn damage(storage: &tempfile::TempDir, spec: &SpecId, record: Record) {
        let sql = match record {
            Record::Spec => "UPDATE specs SET body = 'garbage' WHERE id = ?",
            Record::Config => "UPDATE attempts SET config = json_set(config, '$.later', 1) WHERE spec = ?",
            Record::Position => "UPDATE attempts SET position = json_remove(position, '$.step') WHERE spec = ?",
            Record::Task => "DELETE FROM tasks WHERE idx = 1 AND spec = ?",
            Record::Intent => "UPDATE attempts SET intent = 'later' WHERE spec = ?",
            Record::Status => "UPDATE specs SET status = 'later' WHERE id = ?",
            Record::Attempt => "DELETE FROM attempts WHERE spec = ?",
            Record::AttemptNumber => "UPDATE specs SET attempt = 99999999999 WHERE id = ?",
        };
        let connection = Connection::open(storage.path().join("boi.db")).unwrap();
        assert_eq!(connection.execute(sql, [spec.as_str()]).unwrap(), 1);
    }
}

conformance_suite!(Scratch);

#[test]
fn one_process_writes_at_a_time_and_readers_see_committed_changes() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("boi.db");
    let writer = SqliteQueue::open(&path, Access::Write(Duration::ZERO)).unwrap();
    let second = SqliteQueue::open(&path, Access::Write(Duration::ZERO));
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    let reader = SqliteQueue::open(&path, Access::Read).unwrap();
    writer.set_paused(true).unwrap();
    assert!(reader.is_paused().unwrap());
    assert!(matches!(reader.set_paused(false), Err(QueueError::Unavailable(_))));
    let missing = SqliteQueue::open(&dir.path().join("none.db"), Access::Read);
    assert!(matches!(missing, Err(OpenError::Missing { .. })));
}

#[test]
fn opening_a_queue_for_writing_makes_quarantined_specs_eligible_again() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("boi.db");
    drop(SqliteQueue::open(&path, Access::Write(Duration::ZERO)).unwrap());
    let row = "INSERT INTO specs (id, title, body, merges, priority, status, quarantine, open_deps, queued_at)
               VALUES ('S0001', 't', '{}', 0, 1, 'queued', 'why', 0, 1)";
    Connection::open(&path).unwrap().execute_batch(row).unwrap();
    let queue = SqliteQueue::open(&path, Access::Write(Duration::from_secs(10))).unwrap();
    assert_eq!(queue.eligible_first(9, None).unwrap().len(), 1);
}

#[test]
fn rows_that_boi_never_writes_keep_no_other_spec_from_being_read_or_claimed() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("boi.db");
    let queue = SqliteQueue::open(&path, Access::Write(Duration::ZERO)).unwrap();
    let row = |id: &str, status: &str, attempt: i64| {
        format!(
            "INSERT INTO specs (id, title, body, merges, priority, status, attempt, open_deps, queued_at)
             VALUES ('{id}', 't', '{{}}', 0, -1, '{status}', {attempt}, 0, 1);"
        )
    };
    let rows = [
        row("garbage", "queued", 0),
        row("more garbage", "running", 1),
        row("S0001", "queued", -7),
        row("S0002", "running", i64::MAX),
    ];
    Connection::open(&path).unwrap().execute_batch(&rows.concat()).unwrap();
    let good = queue.enqueue(vec![conformance::spec("good")], Default::default(), Timestamp(1)).unwrap().remove(0);
    let config = conformance::config();
    // Each claim call before the last one quarantines one of the damaged rows.
    let mut claimed = (0..3).flat_map(|_| queue.claim_first(1, None, &config, Timestamp(1)).unwrap());
    assert_eq!(claimed.next().map(|claimed| claimed.fence.spec), Some(good.clone()));
    assert_eq!(claimed.count(), 0);
    let running = queue.running().unwrap();
    assert_eq!((running.claimed.len(), running.quarantined.len()), (1, 1));
    let listed = queue.list(&Filter::default()).unwrap().specs;
    let shown: Vec<_> =
        listed.iter().map(|spec| (spec.id.as_str(), matches!(spec.cause, Some(Cause::Quarantined { .. })))).collect();
    assert_eq!(shown, [("S0002", true), (good.as_str(), false), ("S0001", true)]);
    assert_eq!(queue.malformed_ids().unwrap(), ["garbage", "more garbage"]);
}

fn paused(store: &SqliteQueue) -> bool {
    store.is_paused().unwrap()
}

#[test]
fn a_verb_fails_and_changes_nothing_while_another_process_locks_the_database() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("boi.db");
    let store = SqliteQueue::open_within(&path, Access::Write(Duration::ZERO), Duration::from_millis(10)).unwrap();
    let occupied = Occupied::new(&path);
    assert!(matches!(store.set_paused(true), Err(QueueError::Unavailable(_))));
    drop(occupied);
    assert!(!paused(&store), "a verb that failed has changed nothing");
    store.set_paused(true).unwrap();
    assert!(paused(&store));
}

#[test]
fn a_queue_that_cannot_be_written_is_read_without_files_beside_it() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("boi.db");
    SqliteQueue::open(&path, Access::Write(Duration::ZERO)).unwrap().set_paused(true).unwrap();
    // A folder at this path prevents SQLite from creating the file, as a full disk does.
    std::fs::create_dir(dir.path().join("boi.db-shm")).unwrap();
    // Another test may fork a process, which holds the inherited lock until it executes its program.
    let store = SqliteQueue::open_stuck(&path, Duration::from_secs(10), "no room").unwrap();
    assert!(paused(&store));
    assert!(store.running().unwrap().claimed.is_empty());
    assert!(store.set_paused(false).unwrap_err().to_string().ends_with("the database cannot be written: no room"));
    let second = SqliteQueue::open_stuck(&path, Duration::ZERO, "no room");
    assert!(matches!(second, Err(OpenError::InUse { .. })));
}

#[test]
fn cursors_of_another_boot_begin_after_a_gap_that_no_reader_sees() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("boi.db");
    let open = || SqliteQueue::open(&path, Access::Write(Duration::from_secs(10))).unwrap();
    let enqueue = |queue: &SqliteQueue| {
        let queued = queue.enqueue(vec![Spec::for_tests("t", &["a"])], HashSet::new(), Timestamp(1));
        queued.unwrap();
        queue.last_cursor().unwrap()
    };
    let first = enqueue(&open());
    assert_eq!(enqueue(&open()).0, first.0 + 1, "under the same boot, the cursors continue");
    let other = "UPDATE settings SET value = 'another' WHERE name = 'events_boot'";
    assert_eq!(Connection::open(&path).unwrap().execute(other, []).unwrap(), 1);
    let queue = open();
    assert!(enqueue(&queue).0 > first.0 + 1_000_000);
    let page = queue.events(Cursor::START, &EventFilter::default(), 10).unwrap();
    assert_eq!((page.events.len(), page.is_last), (3, true));
}
