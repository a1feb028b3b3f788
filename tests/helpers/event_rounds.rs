//! Rounds of `kill -9` under readers of the stream of events: a daemon works through many trivial specs, is killed at
//! random moments and started again. Afterwards, what a follower printed is compared with the whole stream, and the
//! stream with the state of the queue: no transition may be missing, and none may be there twice. Three hooks get events
//! meanwhile, of which one fails at first and one hangs at first: each must get each of its events, in order.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::Value;

use super::support::{Sandbox, wait_for};

/// A round that takes longer counts as a hang.
const HANG: Duration = Duration::from_secs(300);

/// What happened in a round.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub kills: u32,
    pub events: usize,
}

/// Runs one round with this many specs. The daemon is killed `kills` times, each time after a random pause of at most
/// `pause`. Panics, with the seed, if an event is missing, twice, or in the wrong place.
pub fn round(seed: u64, specs: usize, kills: u32, pause: Duration) -> Figures {
    let label = format!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut sandbox = Sandbox::new("");
    sandbox.write("boi/config.toml", config(&sandbox));
    sandbox.write("good.toml", "title = 'Good'\nverify = ['true']\n[[tasks]]\nrun = 'true'\n[[tasks]]\nrun = 'true'\n");
    sandbox.write("bad.toml", "title = 'Bad'\n[[tasks]]\nrun = 'exit 3'\n");
    let mut arguments = vec!["dispatch"];
    arguments.extend((0..specs).map(|number| if is_bad(number) { "bad.toml" } else { "good.toml" }));
    let follower = sandbox.begin(&["events", "--since", "0", "--follow", "--json"]);
    // A hook gets events from the moment on at which a daemon has stored its place.
    sandbox.start_daemon();
    wait_for("the hooks are known", || (hooks(&sandbox).len() == HOOKS.len()).then_some(()));
    sandbox.good(&arguments);
    let until = Instant::now() + HANG;
    let mut figures = Figures::default();
    while figures.kills < kills && !all_ended(&sandbox, specs) {
        sleep(Duration::from_millis(random.random_range(1..pause.as_millis() as u64)));
        sandbox.kill_daemon();
        figures.kills += 1;
        sandbox.begin_daemon();
    }
    while !all_ended(&sandbox, specs) {
        assert!(Instant::now() < until, "{label}: specs have not ended in time: {}", sandbox.boi(&["status"]).out);
        sleep(Duration::from_millis(20));
    }
    wait_for("a daemon answers", || {
        let said = sandbox.boi(&["status", "--json"]);
        (said.code == Some(0) && !said.json()["daemon"].is_null()).then_some(())
    });
    wait_for("the hooks get all events of specs", || {
        let hooks = hooks(&sandbox);
        assert!(hooks.iter().all(|hook| hook["skipped"] == 0 && hook["overtaken"] == 0), "{label}: {hooks:?}");
        let bad = (0..specs).filter(|number| is_bad(*number)).count();
        let has_all = |(name, count): (&str, usize)| got_by(&sandbox, name).len() == count;
        let is_done = hooks.iter().all(|hook| hook["failing"].is_null());
        (is_done && [("all", specs), ("fails", bad), ("hangs", bad)].into_iter().all(has_all)).then_some(())
    });
    sandbox.stop_daemon(Signal::INT);
    let stream = parse(&sandbox.good(&["events", "--since", "0", "--json"]).out);
    wait_for("the follower prints the last event", || {
        let lines = parse(&follower.out());
        (lines.last().map(|event| &event["cursor"]) == stream.last().map(|event| &event["cursor"])).then_some(())
    });
    assert_eq!(parse(&follower.out()), stream, "{label}: the follower and the stream differ");
    check(&sandbox, &stream, &label);
    check_hooks(&sandbox, &stream, &label);
    figures.events = stream.len();
    figures
}

/// Whether the spec with this number fails.
fn is_bad(number: usize) -> bool {
    number % 7 == 3
}

/// The kinds of the events that each hook gets. It writes them to a file of its own name.
const HOOKS: [(&str, &[&str]); 3] =
    [("all", &["spec.completed", "spec.failed"]), ("fails", &["spec.failed"]), ("hangs", &["spec.failed"])];

fn config(sandbox: &Sandbox) -> String {
    let mut text = "max_workers = 8\nspawns_per_tick = 1024\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100\n\
                    retry_count = 0\nstop_grace_seconds = 1\n"
        .to_owned();
    for (name, kinds) in HOOKS {
        let (file, begun) = (sandbox.at(name), sandbox.at(&format!("{name}.begun")));
        let trouble = match name {
            "fails" => format!("if [ \"$(cat {begun} | wc -l)\" -lt 2 ]; then echo x >> {begun}; exit 7; fi; "),
            "hangs" => format!("if [ \"$(cat {begun} | wc -l)\" -lt 2 ]; then echo x >> {begun}; sleep 1000; fi; "),
            _ => String::new(),
        };
        let command = format!("{trouble}cat >> {file}");
        sandbox.write(&format!("{name}.begun"), "");
        text +=
            &format!("[[hooks]]\nname = '{name}'\non = {kinds:?}\ncommand = '''{command}'''\ntimeout_seconds = 1\n");
    }
    text
}

/// What `boi status` shows of the hooks.
fn hooks(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.good(&["status", "--json"]).json()["hooks"].as_array().cloned().unwrap_or_default()
}

/// The cursors of the events that a hook wrote to its file, in this order. An event that it got several times in a row
/// is there once.
fn got_by(sandbox: &Sandbox, name: &str) -> Vec<u64> {
    let events = if sandbox.exists(name) { parse(&sandbox.read(name)) } else { Vec::new() };
    let mut cursors: Vec<u64> = events.iter().map(cursor).collect();
    cursors.dedup();
    cursors
}

/// Checks that each hook got each of its events at least once, and none after a later one.
fn check_hooks(sandbox: &Sandbox, stream: &[Value], label: &str) {
    for (name, kinds) in HOOKS {
        let got = got_by(sandbox, name);
        let wanted = stream.iter().filter(|event| kinds.iter().any(|kind| event["kind"] == *kind));
        let wanted: Vec<u64> = wanted.map(cursor).collect();
        assert_eq!(got, wanted, "{label}: the hook `{name}` missed events");
        let is_troubled = name != "all";
        let begun = sandbox.read(&format!("{name}.begun"));
        assert_eq!(!begun.is_empty(), is_troubled, "{label}: the hook `{name}` has not failed");
    }
}

/// The events that were printed so far. The last line may be incomplete.
pub fn parse(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

pub fn cursor(event: &Value) -> u64 {
    event["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).expect("a cursor")
}

fn all_ended(sandbox: &Sandbox, specs: usize) -> bool {
    // The daemon may be killed while it answers.
    let output = sandbox.boi(&["status", "--json", "--limit", "1"]);
    let Ok(status) = serde_json::from_str::<Value>(&output.out) else { return false };
    let counts = &status["counts"];
    counts["completed"].as_u64().zip(counts["failed"].as_u64()).is_some_and(|(one, two)| one + two == specs as u64)
}

/// Checks that the cursors ascend, that the events of each spec follow each other as its life allows, and that they agree
/// with what the queue has recorded.
fn check(sandbox: &Sandbox, stream: &[Value], label: &str) {
    assert!(stream.is_sorted_by(|one, next| cursor(one) < cursor(next)), "{label}: the cursors do not ascend");
    let mut lives: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in stream.iter().filter(|event| event["spec"].is_string()) {
        lives.entry(event["spec"].as_str().expect("an id")).or_default().push(event);
    }
    let status = sandbox.good(&["status", "--all", "--limit", "10000", "--json"]).json();
    let specs = status["specs"].as_array().expect("specs");
    assert_eq!(specs.len(), lives.len(), "{label}: specs without events");
    for spec in specs {
        let events = &lives[spec["id"].as_str().expect("an id")];
        let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().expect("a kind")).collect();
        let label = format!("{label}: {}: {}", spec["id"], kinds.join(" "));
        let mut state = "new";
        for kind in &kinds {
            state = match (state, *kind) {
                ("new" | "running", "spec.queued") => "queued",
                ("queued", "spec.started") => "running",
                ("running", "spec.completed") => "completed",
                ("running", "spec.failed") => "failed",
                ("running", "task.started" | "try.ended" | "task.done") => "running",
                _ => panic!("{label}: {kind} follows while the spec is {state}"),
            };
        }
        assert_eq!(spec["status"], state, "{label}");
        let count = |wanted: &str| kinds.iter().filter(|kind| **kind == wanted).count();
        let tasks = spec["tasks"].as_array().expect("tasks");
        let of = |status: &str| tasks.iter().filter(|task| task["status"] == status).count();
        assert_eq!(count("task.done"), of("done"), "{label}");
        assert_eq!(count("task.started"), of("done") + of("failed"), "{label}");
        // A run command is never refused, so each try ended once.
        let tries: u64 = tasks.iter().map(|task| task["tries"].as_u64().expect("a number")).sum();
        assert_eq!(count("try.ended") as u64, tries, "{label}");
    }
}
