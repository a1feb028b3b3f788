//! Supervisors and daemon restarts, with commands that sleep: how fast the next daemon adopts running commands, what a
//! waiting supervisor costs, and how long a restart leaves the socket closed. `cargo bench --bench survive`.
//!
//! Prints each figure beside its documented limit, and exits with 1 if a figure is above its limit.

#![expect(clippy::disallowed_methods, reason = "benches start programs and read the environment")]

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../tests/helpers/crash.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod rounds;

#[path = "pace/usage.rs"]
mod usage;

use support::{Sandbox, wait_for};
use usage::Used;

/// For how long the CPU time and the wake-ups of waiting supervisors are measured.
const WATCHED: Duration = Duration::from_secs(5);
/// A supervisor that has started its command frees memory; this is how long that may take.
const SETTLE: Duration = Duration::from_millis(200);
/// How often a measurement is repeated; the worst time counts.
const ROUNDS: usize = 5;

/// A sandbox with a daemon in the background. Dropping it stops the daemon.
struct Background(Sandbox);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.boi(&["daemon", "stop"]);
    }
}

#[derive(Default)]
struct Table {
    worse: bool,
}

impl Table {
    fn row(&mut self, what: &str, limit: f64, measured: f64, unit: &str) {
        let mark = if measured <= limit { "" } else { "  WORSE" };
        println!("{what:<58} {limit:>9.2} {measured:>9.2} {unit:<4}{mark}");
        self.worse |= measured > limit;
    }
}

fn main() -> ExitCode {
    let mut table = Table::default();
    println!("{:<58} {:>9} {:>9}", "", "limit", "measured");
    if !cfg!(debug_assertions) {
        failpoints(&mut table);
    }
    adoption(&mut table);
    restart(&mut table);
    if table.worse { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Checks that a release build contains no failpoints.
fn failpoints(table: &mut Table) {
    let program = fs::read(env!("CARGO_BIN_EXE_boi")).expect("the program");
    let left = ["BOI_FAILPOINT", "BOI_BOOT_ID", "claim.committed"];
    let left = left.iter().filter(|name| program.windows(name.len()).any(|bytes| bytes == name.as_bytes())).count();
    table.row("names of failpoints left in the program", 0.0, left as f64, "");
}

fn sandbox_with(workers: usize) -> Sandbox {
    let sandbox = Sandbox::new(&format!(
        "max_workers = {workers}\nspawns_per_tick = {workers}\nspawn_jitter_ms = [0, 0]\nstop_grace_seconds = 1\n"
    ));
    // No agent runs: the fake one need not be built.
    let sandbox = sandbox.with_variables([("CLAUDE_BIN", "/bin/false".to_owned())]);
    sandbox.write("sleep.toml", "title = 'Sleep'\n[[tasks]]\nrun = 'exec sleep 1000'\n");
    let mut arguments = vec!["dispatch"];
    arguments.extend(std::iter::repeat_n("sleep.toml", workers));
    sandbox.good(&arguments);
    sandbox
}

/// Waits until `count` commands have started, and returns the pids of their supervisors.
fn supervisors(sandbox: &Sandbox, count: usize) -> Vec<i32> {
    wait_for("all commands run", || {
        let folders = sandbox.commands();
        let records: Vec<_> = folders.iter().filter_map(|folder| rounds::record(&folder.join("started"))).collect();
        (records.len() == count).then_some(records)
    })
    .iter()
    .map(|record| i32::try_from(record["supervisor"]["pid"].as_i64().expect("a pid")).expect("a pid"))
    .collect()
}

fn adoption(table: &mut Table) {
    const WORKERS: usize = 64;
    let mut sandbox = sandbox_with(WORKERS);
    sandbox.start_daemon();
    let pids = supervisors(&sandbox, WORKERS);
    let mut adopted_in = Vec::new();
    for _ in 0..ROUNDS {
        sandbox.kill_daemon();
        let began = Instant::now();
        sandbox.begin_daemon();
        // The daemon holds a pidfd for each supervisor that it has adopted.
        wait_for("all are adopted", || {
            let pid = fs::read_to_string(sandbox.path("boi/pids/daemon.pid")).ok()?;
            (pidfds(pid.trim()) == WORKERS).then_some(())
        });
        adopted_in.push(began.elapsed());
    }
    table.row(&format!("{WORKERS} workers adopted after the daemon's start"), 1000.0, millis(worst(&adopted_in)), "ms");
    memory(table, &pids);
    let before = Used::by(&pids);
    sleep(WATCHED);
    let after = Used::by(&pids);
    let seconds = WATCHED.as_secs_f64();
    let share = (after.nanos - before.nanos) as f64 / 1e9 / seconds * 100.0;
    table.row(&format!("CPU of {WORKERS} waiting supervisors, of one core"), 0.02, share, "%");
    let wakes = (after.wakes - before.wakes) as f64 / seconds;
    table.row(&format!("wake-ups of {WORKERS} waiting supervisors, per second"), 0.0, wakes, "");

    let log = sandbox.path("daemon.err");
    let noticed = || fs::read_to_string(&log).unwrap_or_default().matches("the supervisor died").count();
    let noticed_in: Vec<Duration> = pids[..ROUNDS]
        .iter()
        .map(|pid| {
            let (before, began) = (noticed(), Instant::now());
            kill_process(Pid::from_raw(*pid).expect("a pid"), Signal::KILL).expect("the process exists");
            wait_for("the death of the supervisor is noticed", || (noticed() > before).then_some(()));
            began.elapsed()
        })
        .collect();
    table.row("time until the death of a supervisor is noticed", 50.0, millis(worst(&noticed_in)), "ms");
}

fn restart(table: &mut Table) {
    const WORKERS: usize = 8;
    let background = Background(sandbox_with(WORKERS));
    background.0.good(&["daemon", "start"]);
    let pids = supervisors(&background.0, WORKERS);
    memory(table, &pids);
    let gaps: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let watch = scope.spawn(|| longest_gap(&background.0.path("boi/boi.sock"), &over));
                background.0.good(&["daemon", "restart"]);
                over.store(true, Ordering::Relaxed);
                watch.join().expect("the watch ends")
            })
        })
        .collect();
    table.row(
        &format!("no listening socket during a restart with {WORKERS} workers"),
        150.0,
        millis(worst(&gaps)),
        "ms",
    );
    assert_eq!(supervisors(&background.0, WORKERS), pids, "the running commands are adopted");
}

/// The longest time without a successful connection, until `over` is set.
fn longest_gap(socket: &Path, over: &AtomicBool) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        if UnixStream::connect(socket).is_ok() {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        sleep(Duration::from_micros(500));
    }
    longest
}

fn memory(table: &mut Table, pids: &[i32]) {
    sleep(SETTLE);
    for (field, limit) in [("Rss", 4.0), ("Pss", 0.5)] {
        let most = pids.iter().map(|pid| usage::memory(*pid, field)).fold(0.0, f64::max);
        table.row(&format!("{field} of a supervisor, maximum of {}", pids.len()), limit, most, "MiB");
    }
}

/// The number of pidfds that a process has open.
fn pidfds(pid: &str) -> usize {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links
        .filter_map(|link| fs::read_link(link.path()).ok())
        .filter(|target| target.to_string_lossy().contains("pidfd"))
        .count()
}

fn worst(times: &[Duration]) -> Duration {
    times.iter().copied().max().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
