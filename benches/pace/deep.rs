//! Deep queues: many specs that wait, and many that have ended.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Bench;
use super::jobs::{UNPACED_64, daemon, spec, timed, wait_until_idle};
use super::support::{Sandbox, wait_for};
use super::table::{at_most, heading, median, row};

/// Multiplies the one spec of the queue, with its task, to `count` specs. No daemon runs.
fn multiply(sandbox: &Sandbox, count: usize) {
    let queue = Connection::open(sandbox.path("boi/state/boi.db")).expect("the queue opens");
    let columns = |table: &str| -> Vec<String> {
        let mut statement = queue.prepare("SELECT name FROM pragma_table_info(?)").expect("a statement");
        let names = statement.query_map([table], |row| row.get(0)).expect("columns");
        names.collect::<Result<_, _>>().expect("names")
    };
    let numbers = format!("WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < {})", count - 1);
    let select = |table: &str, replaced: &[(&str, &str)]| {
        let columns = columns(table);
        let value = |column: &String| replaced.iter().find(|(name, _)| name == column).map(|(_, value)| *value);
        let values: Vec<&str> = columns.iter().map(|column| value(column).unwrap_or(column)).collect();
        format!("INSERT INTO {table} ({}) {numbers} SELECT {} FROM {table}, n;", columns.join(","), values.join(","))
    };
    let id = "printf('S%05X%d', k % 1048576, 1 + k / 1048576)";
    let specs = select("specs", &[("id", id), ("seq", "seq + k")]);
    let tasks = select("tasks", &[("spec", id)]);
    let fill = format!("PRAGMA synchronous=OFF; BEGIN; {specs} {tasks} COMMIT; PRAGMA wal_checkpoint(TRUNCATE);");
    queue.execute_batch(&fill).expect("the queue is filled");
}

pub fn queued(bench: &Bench) {
    for (name, program) in &bench.programs {
        let mut first = None;
        for full in [100, 10_000, 1_000_000] {
            let count = bench.size(full).max(2);
            heading(&format!("{count} queued specs"));
            let mut sandbox = daemon(program, UNPACED_64);
            sandbox.good(&["pause"]);
            spec(&sandbox, "one.toml", "exit 0");
            sandbox.good(&["dispatch", "one.toml"]);
            sandbox.kill_daemon();
            multiply(&sandbox, count);
            sandbox.start_daemon();
            sandbox.good(&["pause"]);
            let times = |arguments: &[&str]| {
                let mut times = vec![];
                times.extend((0..bench.times(15)).map(|_| timed(&sandbox, arguments)));
                median(times)
            };
            let dispatch = times(&["dispatch", "one.toml"]);
            let first = *first.get_or_insert(dispatch);
            at_most(&format!("{name}: dispatch"), dispatch, "ms", 1.5 * first);
            at_most(&format!("{name}: status"), times(&["status"]), "ms", 15.0);
            at_most(&format!("{name}: status --json"), times(&["status", "--json"]), "ms", 15.0);
            if full == 1_000_000 {
                tick(bench, &sandbox, name);
            }
        }
    }
}

/// Prints how long ticks with 64 free slots took to decide and to claim, as the paused daemon of the sandbox logs it.
fn tick(bench: &Bench, sandbox: &Sandbox, name: &str) {
    sandbox.write("boi/config.toml", format!("log = 'info,boi::daemon=debug'\n{UNPACED_64}"));
    sandbox.good(&["daemon", "reload"]);
    let log = || sandbox.read("daemon.err");
    let fills = || log().matches("batch slot 1/64").count();
    let rounds = bench.times(15);
    for _ in 0..rounds {
        let before = fills();
        sandbox.good(&["resume"]);
        wait_for("a tick fills 64 slots", || (fills() > before).then_some(()));
        sandbox.good(&["pause"]);
        wait_for("the specs end", || {
            (sandbox.good(&["status", "--json"]).json()["counts"]["running"] == 0).then_some(())
        });
    }
    let millis = |line: &str| {
        let line = line.split_once("the tick has claimed specs claimed=64 decide_and_claim_ms=")?.1;
        Some(Duration::from_secs_f64(line.trim().parse::<f64>().expect("a number") / 1e3))
    };
    let times: Vec<Duration> = log().lines().filter_map(millis).collect();
    if times.is_empty() {
        println!("{name} does not log how long a tick decides and claims");
        return;
    }
    assert!(times.len() >= rounds, "{} ticks claimed 64 specs in {rounds} rounds", times.len());
    let most = times.iter().copied().max().unwrap_or_default();
    at_most(&format!("{name}: a tick decides and claims 64"), median(times), "ms", 3.0);
    row(&format!("{name}: the slowest of these"), most.as_secs_f64() * 1e3, "ms", "");
}

pub fn ended(bench: &Bench) {
    for (name, program) in &bench.programs {
        let count = bench.size(100_000).max(2);
        heading(&format!("{count} ended specs"));
        let mut sandbox = daemon(program, "");
        spec(&sandbox, "one.toml", "exit 0");
        sandbox.good(&["dispatch", "one.toml"]);
        wait_until_idle(&sandbox);
        sandbox.kill_daemon();
        multiply(&sandbox, count);
        sandbox.start_daemon();
        for arguments in [&["doctor"][..], &["clean"], &["status"]] {
            let began = Instant::now();
            sandbox.boi(arguments);
            let took = began.elapsed().as_secs_f64() * 1e3;
            at_most(&format!("{name}: {}", arguments.join(" ")), took, "ms", 500.0);
        }
        row(&format!("{name}: size of the queue"), size(&sandbox), "MiB", "");
    }
}

fn size(sandbox: &Sandbox) -> f64 {
    std::fs::metadata(sandbox.path("boi/state/boi.db")).map_or(0.0, |metadata| metadata.len() as f64 / 1048576.0)
}
