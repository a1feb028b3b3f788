//! Specs without a repository: dispatch, start and throughput, beside the peers.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::Bench;
use super::support::{Sandbox, wait_for};
use super::table::{at_least, at_most, heading, median, row};

pub const UNPACED: &str = "max_workers = 8\nspawns_per_tick = 1024\nspawn_jitter_ms = [0, 0]\nstop_grace_seconds = 1\n";
/// 64 slots, which one tick fills.
pub const UNPACED_64: &str =
    "max_workers = 64\nspawns_per_tick = 1024\nspawn_jitter_ms = [0, 0]\nstop_grace_seconds = 1\n";

/// Receives a moment for each line that a command writes to a FIFO.
pub struct Signals(mpsc::Receiver<Instant>);

impl Signals {
    pub fn at(path: &Path) -> Signals {
        rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600)).expect("a FIFO");
        // Opened for writing too, so that reading never ends and opening does not wait.
        let mut fifo = File::options().read(true).write(true).open(path).expect("the FIFO opens");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = fifo.read(&mut bytes) {
                let now = Instant::now();
                if (0..count).any(|_| sender.send(now).is_err()) {
                    return;
                }
            }
        });
        Signals(receiver)
    }

    /// Waits for `count` signals and returns the moment of the last one.
    pub fn wait(&self, count: usize) -> Instant {
        let next = || self.0.recv_timeout(Duration::from_secs(120)).expect("the commands run");
        (1..count).fold(next(), |_, _| next())
    }
}

/// Starts a daemon of `program` with `config`, and waits until it has nothing to do.
pub fn daemon(program: &Path, config: &str) -> Sandbox {
    let mut sandbox = Sandbox::new(config).with_variables([("CLAUDE_BIN", "/bin/false".to_owned())]);
    program.clone_into(&mut sandbox.program);
    sandbox.start_daemon();
    sandbox
}

/// Runs `boi` to its end, which must be good. Returns how long it took.
pub fn timed(sandbox: &Sandbox, arguments: &[&str]) -> Duration {
    let mut command = sandbox.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().expect("boi runs");
    let took = began.elapsed();
    assert!(status.success(), "boi {arguments:?}: {status}");
    took
}

/// Writes a spec with one `run` task.
pub fn spec(sandbox: &Sandbox, name: &str, run: &str) {
    sandbox.write(name, format!("title = 'Bench'\n[[tasks]]\nrun = '''{run}'''\n"));
}

/// Waits until no spec is queued or running.
pub fn wait_until_idle(sandbox: &Sandbox) {
    wait_for("all specs end", || {
        let counts = sandbox.good(&["status", "--json"]).json()["counts"].clone();
        (counts["queued"] == 0 && counts["running"] == 0).then_some(())
    });
}

/// The times of one system in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    add: f64,
    running: f64,
    slots: f64,
}

pub fn dispatch(bench: &Bench) {
    heading("One spec, and 8 slots; `run` commands, no repository");
    let rounds = bench.times(21);
    let mut peers = Vec::new();
    for peer in bench.peers.start(8) {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        let signals = Signals::at(&fifo);
        let echo = format!("echo > {}", fifo.display());
        let (mut add, mut running, mut slots) = (vec![], vec![], vec![]);
        for _ in 0..rounds {
            let began = Instant::now();
            peer.add(&echo);
            add.push(began.elapsed());
            running.push(signals.wait(1) - began);
        }
        for _ in 0..bench.times(7) {
            let began = Instant::now();
            (0..8).for_each(|_| peer.add(&format!("{echo}; sleep 0.7")));
            slots.push(signals.wait(8) - began);
            std::thread::sleep(Duration::from_millis(1_500));
        }
        let times = Times { add: median(add), running: median(running), slots: median(slots) };
        peers.push((peer.name, times));
    }
    for (name, times) in &peers {
        row(&format!("{name}: add, start to exit"), times.add, "ms", "");
        row(&format!("{name}: add started -> process runs"), times.running, "ms", "");
        row(&format!("{name}: 8 adds started -> 8 processes run"), times.slots, "ms", "");
    }
    let of = |wanted: &str| peers.iter().find(|(name, _)| *name == wanted).map(|(_, times)| *times);
    let beside = |what: &str, measured: f64, times: f64, peer: Option<f64>| match peer {
        Some(peer) => at_most(what, measured, "ms", times * peer),
        None => row(what, measured, "ms", ""),
    };
    let tsp = of("task-spooler");
    for (name, program) in &bench.programs {
        let sandbox = daemon(program, UNPACED);
        let fifo = sandbox.path("fifo");
        let signals = Signals::at(&fifo);
        let echo = format!("echo > {}", fifo.display());
        spec(&sandbox, "one.toml", &echo);
        spec(&sandbox, "slow.toml", &format!("{echo}; sleep 0.7"));
        let (mut add, mut running, mut slots) = (vec![], vec![], vec![]);
        for _ in 0..rounds {
            let began = Instant::now();
            add.push(timed(&sandbox, &["dispatch", "one.toml"]));
            running.push(signals.wait(1) - began);
            wait_until_idle(&sandbox);
        }
        let mut eight = vec!["dispatch"];
        eight.extend(["slow.toml"; 8]);
        for _ in 0..bench.times(7) {
            let began = Instant::now();
            timed(&sandbox, &eight);
            slots.push(signals.wait(8) - began);
            wait_until_idle(&sandbox);
        }
        beside(&format!("{name}: dispatch, start to exit"), median(add), 2.5, tsp.map(|tsp| tsp.add));
        let what = format!("{name}: dispatch started -> process runs");
        beside(&what, median(running), 2.5, tsp.map(|tsp| tsp.running));
        let what = format!("{name}: dispatch of 8 -> 8 processes run");
        beside(&what, median(slots), 1.0, tsp.map(|tsp| tsp.slots));
        drop(sandbox);
        let sandbox = daemon(program, "max_workers = 8\nstop_grace_seconds = 1\n");
        let signals = Signals::at(&sandbox.path("fifo"));
        spec(&sandbox, "slow.toml", &format!("echo > {}; sleep 1.5", sandbox.at("fifo")));
        let mut paced = vec![];
        for _ in 0..bench.times(5) {
            let began = Instant::now();
            timed(&sandbox, &eight);
            paced.push(signals.wait(8) - began);
            wait_until_idle(&sandbox);
        }
        at_most(&format!("{name}: the same with the defaults"), median(paced), "ms", 1_400.0);
    }
}

pub fn throughput(bench: &Bench) {
    let count = bench.size(1000);
    heading(&format!("{count} trivial specs, 8 slots, unpaced"));
    let mut tsp = None;
    for peer in bench.peers.start(8) {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        let signals = Signals::at(&fifo);
        let few = if peer.name == "pueue" { count.min(100) } else { count };
        let began = Instant::now();
        for _ in 0..few {
            peer.add(&format!("echo > {}", fifo.display()));
        }
        let rate = few as f64 / (signals.wait(few) - began).as_secs_f64();
        row(peer.name, rate, "/s", "");
        if peer.name == "task-spooler" {
            tsp = Some(rate);
        }
    }
    for (name, program) in &bench.programs {
        let mut rates = Vec::new();
        for _ in 0..bench.times(3) {
            let sandbox = daemon(program, UNPACED);
            spec(&sandbox, "one.toml", "exit 0");
            let mut arguments = vec!["dispatch"];
            arguments.extend(std::iter::repeat_n("one.toml", count));
            let began = Instant::now();
            timed(&sandbox, &arguments);
            wait_until_idle(&sandbox);
            rates.push(count as f64 / began.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        match tsp.map(|tsp| 0.6 * tsp) {
            Some(least) => at_least(name, rate, "/s", least),
            None => row(name, rate, "/s", ""),
        }
    }
}
