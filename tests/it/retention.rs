//! Specs that ended long ago are removed from the queue, with their attempt folders.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use rusqlite::Connection;

use super::support::{Sandbox, wait_for};

const PLAIN: &str = "title = 'Plain'\n[[tasks]]\nrun = 'echo done'\n";
const ON_A_BRANCH: &str = "title = 'Branch'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo $BOI_SPEC > file'\n";
const MERGED: &str = "title = 'Merged'\nrepo = 'repo'\ndeliver = 'merge'\n[[tasks]]\nrun = 'echo $BOI_SPEC > file'\n";
const FAILS: &str = "title = 'Fails'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo $BOI_SPEC > file; exit 1'\n";

/// A sandbox whose daemon looks for expired specs as soon as it has started.
fn sandbox(config: &str) -> Sandbox {
    let common = "tick_interval_ms = 100\nspawn_jitter_ms = [0, 0]\nretry_count = 0\n";
    Sandbox::new(&format!("{common}{config}")).with_variables([("BOI_RETENTION_MILLIS", "0".to_owned())])
}

/// Dates the end of these specs `days` days back, while no daemon runs.
fn date_back(sandbox: &Sandbox, ids: &[&String], days: i64) {
    let queue = Connection::open(sandbox.path("boi/state/boi.db")).unwrap();
    for id in ids {
        let sql = "UPDATE specs SET finished_at = finished_at - ?1 * 86400000 WHERE id = ?2";
        assert_eq!(queue.execute(sql, (days, id)).unwrap(), 1);
    }
}

/// The ids of all specs in the queue, sorted.
fn ids(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.good(&["status", "--all", "--json"]).json();
    let mut ids: Vec<String> =
        status["specs"].as_array().unwrap().iter().map(|spec| spec["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// How many rows of any table name the spec.
fn rows(sandbox: &Sandbox, id: &str) -> i64 {
    let queue = Connection::open(sandbox.path("boi/state/boi.db")).unwrap();
    let count = |(table, column): (&str, &str)| -> i64 {
        queue.query_row(&format!("SELECT count(*) FROM {table} WHERE {column} = ?"), [id], |row| row.get(0)).unwrap()
    };
    let tables = ["attempts", "commands", "deps", "kept", "repository_changes", "runs", "tasks", "tries"];
    count(("specs", "id")) + count(("deps", "needs")) + tables.map(|table| count((table, "spec"))).iter().sum::<i64>()
}

/// Dispatches a spec and waits until it has this status.
fn ended(sandbox: &Sandbox, spec: &str, status: &str) -> String {
    let id = sandbox.dispatch(spec);
    sandbox.wait_for_status(&id, status);
    id
}

#[test]
fn only_specs_that_ended_long_ago_and_that_nothing_needs_are_removed() {
    let mut sandbox = sandbox("max_workers = 1\n");
    sandbox.start_daemon();
    let [old, young] = ["completed"; 2].map(|status| ended(&sandbox, PLAIN, status));
    let (branch, merged) = (ended(&sandbox, ON_A_BRANCH, "completed"), ended(&sandbox, MERGED, "completed"));
    let (failed, needed) = (ended(&sandbox, FAILS, "failed"), ended(&sandbox, PLAIN, "completed"));
    sandbox.good(&["pause"]);
    let waits = sandbox.dispatch(&format!("title = 'Waits'\nafter = ['{needed}']\n[[tasks]]\nrun = 'true'\n"));
    sandbox.kill_daemon();
    date_back(&sandbox, &[&old, &branch, &merged, &failed, &needed], 91);
    date_back(&sandbox, &[&young], 89);
    assert!(rows(&sandbox, &old) > 3 && sandbox.exists(&format!("boi/attempts/{old}")));

    sandbox.start_daemon();
    let mut left = vec![young, branch, failed.clone(), needed, waits.clone()];
    left.sort();
    wait_for("the expired specs are removed", || (ids(&sandbox) == left).then_some(()));
    for id in [&old, &merged] {
        assert_eq!(rows(&sandbox, id), 0, "{id}");
        assert!(!sandbox.exists(&format!("boi/attempts/{id}")), "{id}");
    }
    for id in left.iter().filter(|id| **id != waits) {
        assert!(sandbox.exists(&format!("boi/attempts/{id}")), "{id}");
    }
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["completed"], 3);
    wait_for("the log says how many", || {
        sandbox.read("daemon.err").contains("removed=2 retention_days=90").then_some(())
    });
    let gone = sandbox.boi(&["status", &old]);
    assert!(gone.code != Some(0) && gone.err.contains(&old), "{gone:?}");

    // Without a worktree, a branch and kept refs, nothing needs the failed spec any more.
    sandbox.good(&["clean", &failed]);
    for refs in ["refs/heads/boi/", "refs/boi/kept/"] {
        let named = sandbox.git("repo", &["for-each-ref", "--format=%(refname)", refs]);
        for name in named.lines().filter(|name| name.contains(&failed)) {
            sandbox.git("repo", &["update-ref", "-d", name]);
        }
    }
    left.retain(|id| *id != failed);
    sandbox.good(&["config", "set", "retention_days", "30"]);
    wait_for("the failed spec is removed", || (!ids(&sandbox).contains(&failed)).then_some(()));
}

#[test]
fn with_zero_no_spec_is_removed_and_a_reload_begins_the_removal() {
    let mut sandbox = sandbox("retention_days = 0\n");
    sandbox.start_daemon();
    let old = ended(&sandbox, PLAIN, "completed");
    sandbox.kill_daemon();
    date_back(&sandbox, &[&old], 40_000);
    sandbox.start_daemon();
    let new = ended(&sandbox, PLAIN, "completed");
    assert!(ids(&sandbox).contains(&old));
    sandbox.good(&["config", "set", "retention_days", "36500"]);
    wait_for("the old spec is removed", || (ids(&sandbox) == [new.clone()]).then_some(()));
}

#[test]
fn a_daemon_that_dies_between_the_folder_and_the_records_leaves_nothing_behind() {
    let mut sandbox = sandbox("");
    let fired = sandbox.at("fired");
    sandbox = sandbox.with_variables([("BOI_FAILPOINT", format!("retention.folders_removed={fired}"))]);
    sandbox.start_daemon();
    let old = ended(&sandbox, PLAIN, "completed");
    sandbox.kill_daemon();
    fs::remove_file(sandbox.path("fired")).ok();
    date_back(&sandbox, &[&old], 91);
    sandbox.begin_daemon();
    assert_eq!(sandbox.wait_for_daemon().signal(), Some(9));
    assert!(!sandbox.exists(&format!("boi/attempts/{old}")) && rows(&sandbox, &old) > 3);
    sandbox.start_daemon();
    wait_for("the records are removed", || (rows(&sandbox, &old) == 0).then_some(()));
    assert!(!sandbox.boi(&["doctor"]).out.contains("attempts"), "doctor finds nothing of the spec");
}
