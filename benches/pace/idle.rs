//! What a daemon costs while it has nothing to do, before and after much work.

use std::fs;
use std::time::Duration;

use super::Bench;
use super::jobs::{daemon, spec, wait_until_idle};
use super::support::Sandbox;
use super::table::{at_most, heading};

/// CPU time and context switches of a process, with all of its threads.
struct Used {
    nanoseconds: u64,
    switches: u64,
}

fn used(pid: &str) -> Used {
    let threads: Vec<_> = fs::read_dir(format!("/proc/{pid}/task")).expect("threads").flatten().collect();
    // The times in `stat` have a resolution of 10 ms, which is more than the target allows in 20 s.
    let nanoseconds = threads
        .iter()
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .map(|times| times.split(' ').next().and_then(|first| first.parse::<u64>().ok()).expect("a number"))
        .sum();
    let switches = threads
        .iter()
        .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
        .flat_map(|status| status.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok())
        .sum();
    Used { nanoseconds, switches }
}

fn of_status(pid: &str, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon lives");
    let line = status.lines().find(|line| line.starts_with(key)).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

fn pid(sandbox: &Sandbox) -> String {
    sandbox.read("boi/pids/daemon.pid").trim().to_owned()
}

pub fn measure(bench: &Bench) {
    for (name, program) in &bench.programs {
        heading(&format!("{name}: an idle daemon"));
        let sandbox = daemon(program, "max_workers = 64\nspawns_per_tick = 1024\nspawn_jitter_ms = [0, 0]\n");
        let pid = pid(&sandbox);
        // After 10 s without work, the daemon has returned its memory.
        std::thread::sleep(Duration::from_secs(12));
        let seconds = bench.times(20) as u64;
        let before = used(&pid);
        std::thread::sleep(Duration::from_secs(seconds));
        let after = used(&pid);
        let cpu = 100.0 * (after.nanoseconds - before.nanoseconds) as f64 / (seconds as f64 * 1e9);
        at_most("CPU, % of a core", cpu, "%", 0.02);
        at_most("wake-ups a second", (after.switches - before.switches) as f64 / seconds as f64, "", 2.0);
        at_most("resident memory", of_status(&pid, "VmRSS") / 1024.0, "MiB", 9.0);
        let (rounds, each) = (bench.size(50), bench.size(1000));
        heading(&format!("{name}: after {} dispatches", rounds * each));
        spec(&sandbox, "one.toml", "exit 0");
        let mut arguments = vec!["dispatch"];
        arguments.extend(std::iter::repeat_n("one.toml", each));
        for round in 0..rounds {
            if round == rounds / 5 {
                // The first fifth runs, the rest stays queued.
                wait_until_idle(&sandbox);
                sandbox.good(&["pause"]);
            }
            sandbox.good(&arguments);
        }
        std::thread::sleep(Duration::from_secs(1));
        at_most("resident memory after 1 s", of_status(&pid, "VmRSS") / 1024.0, "MiB", 14.0);
        // The daemon returns memory when it has been idle for 10 s.
        std::thread::sleep(Duration::from_secs(11));
        at_most("resident memory after 12 s", of_status(&pid, "VmRSS") / 1024.0, "MiB", 14.0);
        at_most("threads", of_status(&pid, "Threads"), "", 24.0);
    }
}
