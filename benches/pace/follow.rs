//! The throughput while several commands follow the daemon, against the throughput without them.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::Bench;
use super::jobs::{Signals, UNPACED, daemon, spec, timed, wait_until_idle};
use super::support::{Begun, Sandbox, wait_for};
use super::table::{at_most, heading, row};
use super::terminal::Terminal;

/// The most that the followers may cost, in percent.
const MOST: f64 = 10.0;

/// The commands that follow. `top` and `status --watch` are on terminals of their own.
struct Followers {
    begun: [(&'static str, Begun); 3],
    on_terminals: [(&'static str, Terminal); 2],
}

impl Followers {
    /// Starts them; `run` runs the spec `waits.toml`, and `log -f` shows it.
    fn start(sandbox: &Sandbox) -> Followers {
        let run = sandbox.begin(&["run", "waits.toml"]);
        let id = running(sandbox);
        let log = sandbox.begin(&["log", "-f", &id]);
        wait_for("the log follows", || log.out().contains("begun").then_some(()));
        let events = sandbox.begin(&["events", "-f"]);
        wait_for("the events follow", || events.out().contains("daemon.started").then_some(()));
        let program = sandbox.program.display().to_string();
        let top = Terminal::start(sandbox, &[&program, "top"]);
        top.wait_for(&id);
        let status = Terminal::start(sandbox, &[&program, "status", "--watch"]);
        status.wait_for(&id);
        Followers {
            begun: [("events -f", events), ("run", run), ("log -f", log)],
            on_terminals: [("top", top), ("status --watch", status)],
        }
    }

    /// The CPU time of each.
    fn cpu(&self) -> Vec<(&'static str, Duration)> {
        let begun = self.begun.iter().map(|(name, begun)| (*name, begun.pid() as i32));
        let terminal = |terminal: &Terminal| Pid::from_child(&terminal.child).as_raw_nonzero().get();
        let on_terminals = self.on_terminals.iter().map(|(name, on_it)| (*name, terminal(on_it)));
        begun.chain(on_terminals).map(|(name, pid)| (name, cpu(pid))).collect()
    }
}

/// Waits until a spec runs, and returns its id.
fn running(sandbox: &Sandbox) -> String {
    wait_for("a spec runs", || {
        let specs = sandbox.good(&["status", "--status", "running", "--json"]).json();
        specs["specs"][0]["id"].as_str().map(str::to_owned)
    })
}

/// What was measured with or without followers.
struct Measured {
    /// Specs per second.
    rate: f64,
    /// The CPU time of the daemon and of each follower, in milliseconds per spec.
    cpu: Vec<(&'static str, f64)>,
}

fn measure_once(program: &Path, count: usize, is_followed: bool) -> Measured {
    // The spec that waits takes one of these slots, also if nobody follows it.
    let sandbox = daemon(program, &UNPACED.replace("max_workers = 8", "max_workers = 9"));
    let pid = sandbox.good(&["status", "--json"]).json()["daemon"]["pid"].as_i64().expect("a pid") as i32;
    // The commands themselves say when they run, so that no other command asks the daemon meanwhile.
    let ran = Signals::at(&sandbox.path("fifo"));
    spec(&sandbox, "one.toml", &format!("echo > {}", sandbox.at("fifo")));
    let go = sandbox.path("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::from_raw_mode(0o600)).expect("a FIFO");
    spec(&sandbox, "waits.toml", &format!("echo begun; cat {}", go.display()));
    let followers = match is_followed {
        true => Some(Followers::start(&sandbox)),
        false => {
            timed(&sandbox, &["dispatch", "waits.toml"]);
            running(&sandbox);
            None
        }
    };
    let used = || {
        let followers = followers.iter().flat_map(Followers::cpu);
        [("daemon", cpu(pid))].into_iter().chain(followers).collect::<Vec<_>>()
    };
    let mut arguments = vec!["dispatch"];
    arguments.extend(std::iter::repeat_n("one.toml", count));
    let before = used();
    let began = Instant::now();
    timed(&sandbox, &arguments);
    let took = ran.wait(count) - began;
    let of_each = used().into_iter().zip(before).map(|((name, now), (_, before))| {
        let millis = (now - before).as_secs_f64() * 1e3 / count as f64;
        (name, millis)
    });
    let cpu = of_each.collect();
    // The spec that waits gets the end of the file.
    sandbox.write("go", "");
    wait_until_idle(&sandbox);
    Measured { rate: count as f64 / took.as_secs_f64(), cpu }
}

pub fn measure(bench: &Bench) {
    let count = bench.size(1000);
    let all = "`events -f`, `top`, `status --watch`, `run`, `log -f`";
    heading(&format!("{count} trivial specs, 8 slots: with {all} at once"));
    for (name, program) in &bench.programs {
        let (mut alone, mut followed): (Vec<Measured>, Vec<Measured>) = (vec![], vec![]);
        for _ in 0..bench.times(5) {
            alone.push(measure_once(program, count, false));
            followed.push(measure_once(program, count, true));
        }
        // Each pair runs at nearly the same time, so a machine that is busy with other work changes both.
        let costs = alone.iter().zip(&followed).map(|(alone, followed)| 100.0 * (1.0 - followed.rate / alone.rate));
        let (cost, costs) = spread(costs);
        for (who, measured) in [("nobody follows", &alone), ("the five follow", &followed)] {
            let (rate, rates) = spread(measured.iter().map(|one| one.rate));
            row(&format!("{name}: {who}"), rate, "/s", &rates);
            for (index, (of, _)) in measured[0].cpu.iter().enumerate() {
                let (millis, all) = spread(measured.iter().map(|one| one.cpu[index].1));
                row(&format!("  CPU for each spec: {of}"), millis, "ms", &all);
            }
        }
        at_most(&format!("{name}: cost, median of the pairs ({costs})"), cost, "%", MOST);
    }
}

/// Returns the median, and the least and the most as text.
fn spread(values: impl Iterator<Item = f64>) -> (f64, String) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], format!("{:.2} to {:.2}", values[0], values[values.len() - 1]))
}

/// The CPU time of a process and its threads since its start. Resolution: a clock tick, 10 ms.
fn cpu(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is alive");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    // The fields `utime` and `stime`; the first field here is `state`, the third of the file.
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(1000 * ticks / rustix::param::clock_ticks_per_second())
}
