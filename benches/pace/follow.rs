//! The throughput while several commands follow the daemon, against the throughput without them.

use std::path::Path;
use std::time::Instant;

use super::Bench;
use super::jobs::{UNPACED, daemon, spec, timed, wait_until_idle};
use super::support::{Begun, Sandbox, wait_for};
use super::table::{at_most, heading, row};

/// The most that the followers may cost, in percent.
const MOST: f64 = 10.0;

/// Starts `events -f`, `status --watch`, `log -f` and a `run` on a spec that waits until `go` exists.
fn followers(sandbox: &Sandbox) -> [Begun; 4] {
    let waits = format!("echo begun; until test -e {}; do sleep 0.2; done", sandbox.at("go"));
    spec(sandbox, "waits.toml", &waits);
    let run = sandbox.begin(&["run", "waits.toml"]);
    let id = wait_for("the spec of `run` runs", || {
        let specs = sandbox.good(&["status", "--status", "running", "--json"]).json();
        specs["specs"][0]["id"].as_str().map(str::to_owned)
    });
    let log = sandbox.begin(&["log", "-f", &id]);
    wait_for("the log follows", || log.out().contains("begun").then_some(()));
    let events = sandbox.begin(&["events", "-f"]);
    wait_for("the events follow", || events.out().contains("daemon.started").then_some(()));
    [run, log, events, sandbox.begin(&["status", "--watch"])]
}

/// Specs per second.
fn rate(program: &Path, count: usize, is_followed: bool) -> f64 {
    // The spec of `run` takes one of these slots.
    let config = UNPACED.replace("max_workers = 8", if is_followed { "max_workers = 9" } else { "max_workers = 8" });
    let sandbox = daemon(program, &config);
    spec(&sandbox, "one.toml", "exit 0");
    let following = is_followed.then(|| followers(&sandbox));
    let mut arguments = vec!["dispatch"];
    arguments.extend(std::iter::repeat_n("one.toml", count));
    let began = Instant::now();
    timed(&sandbox, &arguments);
    wait_for("all specs end", || {
        let counts = sandbox.good(&["status", "--limit", "1", "--json"]).json()["counts"].clone();
        (counts["completed"].as_u64() >= Some(count as u64)).then_some(())
    });
    let took = began.elapsed();
    sandbox.write("go", "");
    wait_until_idle(&sandbox);
    drop(following);
    count as f64 / took.as_secs_f64()
}

pub fn measure(bench: &Bench) {
    let count = bench.size(1000);
    heading(&format!("{count} trivial specs, 8 slots: with `events -f`, `status --watch`, `run`, `log -f` at once"));
    let (name, program) = &bench.programs[0];
    let (mut alone, mut followed) = (vec![], vec![]);
    for _ in 0..bench.times(5) {
        alone.push(rate(program, count, false));
        followed.push(rate(program, count, true));
    }
    for rates in [&mut alone, &mut followed] {
        rates.sort_by(f64::total_cmp);
    }
    let (alone, followed) = (alone[alone.len() / 2], followed[followed.len() / 2]);
    row(&format!("{name}: nobody follows"), alone, "/s", "");
    row(&format!("{name}: the four follow"), followed, "/s", "");
    let cost = 100.0 * (1.0 - followed / alone);
    at_most(&format!("{name}: cost"), cost, "%", MOST);
}
