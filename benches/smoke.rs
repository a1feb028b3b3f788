//! Fleets of the real Claude Code against the loopback API: `cargo bench --bench smoke [-- pace|limit|login]`.
//!
//! - `pace`: 8 specs of 2 requests each, and an API that allows 2 requests a second and 4 at once. Prints the refused
//!   requests and the seconds until all specs are completed.
//! - `limit`: 12 specs, and an API whose usage limit is used up for 45 s. Prints who was started when.
//! - `login`: 8 specs, and an API that refuses the login until the credentials file changes.
//!
//! `BOI_TEST_CLAUDE` names the program of Claude Code; without it, the run says that it is skipped.
//! `BOI_BENCH_BASE` names another `boi`, with which everything is measured too. `BOI_BENCH_RUNS`: how often `pace`
//! repeats each configuration (default: 5).

#![expect(clippy::disallowed_methods, reason = "benches start programs and read the environment")]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use serde_json::Value;

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../tests/helpers/model_api/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod model_api;

use model_api::ModelApi;
use support::Sandbox;

/// How long a scenario may take.
const DEADLINE: Duration = Duration::from_secs(900);
/// How long a fleet whose login is refused may go on before the login is repaired.
const RESTLESS: Duration = Duration::from_secs(180);
/// How often the daemon is asked for the state of the specs.
const POLL: Duration = Duration::from_millis(250);
/// How long the usage limit lasts.
const LIMIT: Duration = Duration::from_secs(45);
/// No spec runs for this long: what was refused waits.
const QUIET: Duration = Duration::from_secs(3);

/// The configurations whose pace is measured.
const CONFIGURATIONS: [(&str, &str); 3] = [
    ("spawns_per_tick = 8, no jitter, 8 workers", "max_workers = 8\nspawns_per_tick = 8\nspawn_jitter_ms = [0, 0]\n"),
    ("the defaults, 8 workers", "max_workers = 8\n"),
    ("the defaults", ""),
];

fn main() {
    let Some(claude) = std::env::var("BOI_TEST_CLAUDE").ok().filter(|path| !path.is_empty()) else {
        println!("skipped: BOI_TEST_CLAUDE does not name the program of Claude Code");
        return;
    };
    let wanted = std::env::args().skip(1).find(|argument| argument != "--bench");
    let runs = std::env::var("BOI_BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5);
    let mut programs = vec![("this build", PathBuf::from(env!("CARGO_BIN_EXE_boi")))];
    programs.extend(std::env::var("BOI_BENCH_BASE").ok().map(|base| ("the base", PathBuf::from(base))));
    for (name, program) in &programs {
        println!("\n# {name}: {}", program.display());
        let fleet = Fleet { program, claude: &claude };
        let chosen = |scenario: &str| wanted.as_deref().is_none_or(|wanted| wanted == scenario);
        if chosen("pace") {
            pace(&fleet, runs);
        }
        if chosen("limit") {
            limit(&fleet);
        }
        if chosen("login") {
            login(&fleet);
        }
    }
}

/// What the scenarios run.
struct Fleet<'a> {
    program: &'a Path,
    claude: &'a str,
}

impl Fleet<'_> {
    /// A sandbox in which Claude Code talks to `api`. The CLI repeats refused requests as often as it does by default.
    /// `login`: it has a login instead of an API key.
    fn sandbox(&self, api: &ModelApi, config: &str, login: bool) -> Sandbox {
        let mut sandbox = Sandbox::new(config);
        self.program.clone_into(&mut sandbox.program);
        let mut variables = api.claude_env(&sandbox.path("home"));
        let unwanted = if login { "ANTHROPIC_API_KEY" } else { "" };
        variables.retain(|(name, _)| *name != "CLAUDE_CODE_MAX_RETRIES" && *name != unwanted);
        variables.extend(login.then(|| ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-fake".to_owned())));
        sandbox.with_variables(variables).with_variables([("CLAUDE_BIN", self.claude.to_owned())])
    }
}

/// Queues `count` specs of 2 requests each, and starts a daemon. Returns the time before its start.
fn begin(sandbox: &mut Sandbox, count: usize) -> SystemTime {
    let spec = "title = 'Smoke'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@bash echo hi > hi.txt@@ @@say all done@@'\n";
    sandbox.write("smoke.toml", spec);
    let mut arguments = vec!["dispatch"];
    arguments.extend(std::iter::repeat_n("smoke.toml", count));
    sandbox.good(&arguments);
    let began = SystemTime::now();
    sandbox.start_daemon();
    began
}

/// The specs, as `boi status` shows them.
fn specs(sandbox: &Sandbox) -> Vec<Value> {
    let status = sandbox.good(&["status", "--all", "--json"]).json();
    status["specs"].as_array().cloned().unwrap_or_default()
}

fn count_status(specs: &[Value], status: &str) -> usize {
    specs.iter().filter(|spec| spec["status"] == status).count()
}

/// Waits until `done` accepts the specs, at most `longest`. Returns the last specs.
fn wait_until(sandbox: &Sandbox, longest: Duration, mut done: impl FnMut(&[Value]) -> bool) -> Vec<Value> {
    let began = SystemTime::now();
    loop {
        let specs = specs(sandbox);
        if done(&specs) {
            return specs;
        }
        if seconds(began, SystemTime::now()) > longest.as_secs_f64() {
            println!("  NOT DONE after {} s", longest.as_secs());
            return specs;
        }
        sleep(POLL);
    }
}

fn have_ended(specs: &[Value]) -> bool {
    specs.iter().all(|spec| !spec["finished_at"].is_null())
}

/// Waits until no spec runs for [`QUIET`], at most [`RESTLESS`].
fn wait_until_quiet(sandbox: &Sandbox, api: &ModelApi) {
    let mut quiet_since = None;
    wait_until(sandbox, RESTLESS, |specs| {
        let busy = count_status(specs, "running") > 0 || api.requests().is_empty();
        let since = *quiet_since.get_or_insert(SystemTime::now());
        if busy {
            quiet_since = None;
        }
        !busy && (have_ended(specs) || seconds(since, SystemTime::now()) > QUIET.as_secs_f64())
    });
}

/// When each run of the agent started, in order.
fn starts(sandbox: &Sandbox) -> Vec<SystemTime> {
    let records = sandbox.commands().into_iter().map(|command| command.join("started"));
    let mut starts: Vec<SystemTime> = records.filter_map(|record| fs::metadata(record).ok()?.modified().ok()).collect();
    starts.sort();
    starts
}

fn seconds(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

fn pace(fleet: &Fleet<'_>, runs: usize) {
    const SPECS: usize = 8;
    println!("\n{SPECS} specs of 2 requests each, the API allows 2 requests a second and 4 at once, {runs} runs:");
    println!("{:<44} {:>16} {:>20} {:>8}", "", "refused requests", "seconds", "starts");
    println!("{:<44} {:>16} {:>20} {:>8}", "", "median (min-max)", "median (min-max)", "median");
    for (name, config) in CONFIGURATIONS {
        let (mut refused, mut times, mut started) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            let api = ModelApi::start();
            api.allow(2.0, 4.0);
            let mut sandbox = fleet.sandbox(&api, config, false);
            let began = begin(&mut sandbox, SPECS);
            let specs = wait_until(&sandbox, DEADLINE, have_ended);
            let completed = count_status(&specs, "completed");
            if completed != SPECS {
                println!("  WORSE: only {completed} of {SPECS} specs were completed");
            }
            refused.push(api.count(429) as f64);
            started.push(starts(&sandbox).len() as f64);
            times.push(specs.iter().filter_map(finished_at).map(|at| seconds(began, at)).fold(0.0, f64::max));
        }
        let [refused, times, started] = [refused, times, started].map(sorted);
        println!(
            "{name:<44} {:>5.0} ({:.0}-{:.0}){:>4} {:>8.1} ({:.1}-{:.1}) {:>6.0}",
            median(&refused),
            refused[0],
            refused[refused.len() - 1],
            "",
            median(&times),
            times[0],
            times[times.len() - 1],
            median(&started),
        );
    }
}

fn finished_at(spec: &Value) -> Option<SystemTime> {
    let at: jiff::Timestamp = spec["finished_at"].as_str()?.parse().ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millisecond()).ok()?))
}

fn sorted(mut figures: Vec<f64>) -> Vec<f64> {
    figures.sort_by(f64::total_cmp);
    figures
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

fn limit(fleet: &Fleet<'_>) {
    const SPECS: usize = 12;
    println!("\n{SPECS} specs and a usage limit of {} s:", LIMIT.as_secs());
    let api = ModelApi::start();
    let mut sandbox = fleet.sandbox(&api, "", true);
    // The service names whole seconds.
    let end = SystemTime::now() + LIMIT;
    let epoch = end.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
    api.limit_until(i64::try_from(epoch).expect("a time"));
    let began = begin(&mut sandbox, SPECS);
    let specs = wait_until(&sandbox, DEADLINE, have_ended);
    row("completed", count_status(&specs, "completed") as f64, "");
    row("failed", count_status(&specs, "failed") as f64, "");
    row("until all had ended", seconds(began, SystemTime::now()), "s");
    let starts = starts(&sandbox);
    let during: Vec<f64> = starts.iter().filter(|at| **at < end).map(|at| seconds(began, *at)).collect();
    row("started before the end of the limit", during.len() as f64, "");
    row("  the last of them after the begin", during.last().copied().unwrap_or(0.0), "s");
    if let Some(probe) = starts.iter().find(|at| **at >= end) {
        row("the probe started after the end of the limit", seconds(end, *probe), "s");
    }
    let requests = api.requests();
    if let Some(answer) = requests.iter().find(|request| request.status == 200).map(|request| request.at) {
        row("the API answered the probe after that end", seconds(end, answer), "s");
        let others: Vec<f64> = starts.iter().map(|at| seconds(answer, *at)).filter(|after| *after > 0.0).collect();
        row("the next run started after that answer", others.first().copied().unwrap_or(f64::NAN), "s");
        row("the last run started after that answer", others.last().copied().unwrap_or(f64::NAN), "s");
    }
    sessions(&api, 429);
    tries(&sandbox, &specs);
}

/// Prints how many sessions were refused with `status`, and how many of them were answered later.
fn sessions(api: &ModelApi, status: u16) {
    let requests = api.requests();
    let of = |status: u16| {
        let mut found: Vec<&str> =
            requests.iter().filter(|one| one.status == status).filter_map(|one| one.session.as_deref()).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let (refused, answered) = (of(status), of(200));
    row("refused requests", api.count(status) as f64, "");
    row("refused sessions", refused.len() as f64, "");
    let same = refused.iter().filter(|session| answered.contains(session)).count();
    row("  of these, answered later in the same session", same as f64, "");
    row("answered sessions", answered.len() as f64, "");
}

fn tries(sandbox: &Sandbox, specs: &[Value]) {
    let tries = specs.iter().filter_map(|spec| spec["tasks"][0]["tries"].as_u64());
    row("tries of the spec with the most", tries.max().unwrap_or(0) as f64, "");
    row("starts of the agent", starts(sandbox).len() as f64, "");
}

fn login(fleet: &Fleet<'_>) {
    const SPECS: usize = 8;
    println!("\n{SPECS} specs and a login that is refused until the credentials file changes:");
    let api = ModelApi::start();
    api.fail(401, "OAuth token has expired", usize::MAX);
    let mut sandbox = fleet.sandbox(&api, "", true);
    fs::create_dir_all(sandbox.path("home/.claude")).expect("a home of Claude Code");
    let began = begin(&mut sandbox, SPECS);
    wait_until_quiet(&sandbox, &api);
    row("until nothing ran any more", seconds(began, SystemTime::now()), "s");
    let before = starts(&sandbox).len();
    row("starts of the agent until then", before as f64, "");
    row("failed", count_status(&specs(&sandbox), "failed") as f64, "");
    api.recover();
    let touched = SystemTime::now();
    sandbox.write("home/.claude/.credentials.json", "{}");
    let specs = wait_until(&sandbox, DEADLINE, have_ended);
    row("completed", count_status(&specs, "completed") as f64, "");
    if let Some(probe) = starts(&sandbox).iter().find(|at| **at >= touched) {
        row("the probe started after the change of the file", seconds(touched, *probe), "s");
    }
    row("until all had ended after the change", seconds(touched, SystemTime::now()), "s");
    sessions(&api, 401);
    tries(&sandbox, &specs);
}

fn row(what: &str, figure: f64, unit: &str) {
    let places = if unit.is_empty() { 0 } else { 2 };
    println!("  {what:<50} {figure:>8.places$} {unit}");
}
