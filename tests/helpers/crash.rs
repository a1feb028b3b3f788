//! Rounds of `kill -9`: a daemon works on eight specs at once in a real repository. At random moments the daemon, the
//! supervisors, the commands, or all of them are killed, and the daemon is started again, until every spec has ended.
//! Then [`check`] examines the result.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::{Sandbox, lives};

/// Specs in a round.
const SPECS: usize = 8;
/// Tasks in a spec.
const TASKS: usize = 3;
/// A round that takes longer counts as a hang.
const HANG: Duration = Duration::from_secs(120);

/// What a round kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victims {
    /// The daemon; its commands continue.
    Daemon,
    /// The supervisors; the daemon lives on.
    Supervisors,
    /// The agents and other commands; the rest lives on.
    Commands,
    /// The processes that fork supervisors; the daemon starts others.
    Forkers,
    /// The daemon, the supervisors and the commands, all at once.
    Everything,
}

impl Victims {
    pub const ALL: [Victims; 5] =
        [Victims::Daemon, Victims::Supervisors, Victims::Commands, Victims::Forkers, Victims::Everything];
}

/// What happened in a round.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub kills: u32,
    pub specs: u32,
    pub tries: u32,
}

/// An agent that records its start in the trace, works for the pause in its prompt, and reports success.
const AGENT: &str = r#"#!/bin/sh
prompt=$(cat)
echo "$BOI_SPEC $BOI_TASK $BOI_TRY" >> "$CRASH_TRACE"
sleep "$(printf '%s' "$prompt" | sed -n 's/^pause //p' | head -n 1)"
echo "$BOI_TASK" >> "$BOI_TASK.txt"
echo '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"total_cost_usd":0.001,"usage":{"input_tokens":1,"output_tokens":1}}'
"#;

/// Runs one round. Panics, with the seed, if the result is wrong.
pub fn round(seed: u64, victims: Victims) -> Figures {
    let label = format!("seed {seed}, {victims:?}");
    let mut random = SmallRng::seed_from_u64(seed);
    let sandbox = Sandbox::new(
        "max_workers = 8\nspawns_per_tick = 8\nspawn_jitter_ms = [0, 5]\ntick_interval_ms = 100\nretry_count = 50\nretry_backoff_seconds = [0, 0]\nstop_grace_seconds = 1\n",
    );
    let mut sandbox = traced(sandbox);
    // Debug builds then run as on a machine without cgroups, and find processes by their marker.
    if random.random_bool(0.5) {
        sandbox = sandbox.with_variables([("BOI_NO_CGROUP", "1".to_owned())]);
    }
    let before = sandbox.checkout();
    let ids: Vec<String> = (0..SPECS).map(|number| sandbox.dispatch(&spec(&mut random, number))).collect();

    let mut figures = Figures { specs: SPECS as u32, ..Figures::default() };
    let until = Instant::now() + HANG;
    let kills = random.random_range(2..7);
    sandbox.begin_daemon();
    while figures.kills < kills && !all_ended(&sandbox, &ids) {
        sleep(Duration::from_millis(random.random_range(1..400)));
        if matches!(victims, Victims::Daemon | Victims::Everything) {
            sandbox.kill_daemon();
        }
        match victims {
            Victims::Daemon => {}
            Victims::Forkers => kill_forkers(&sandbox),
            _ => kill_commands(&sandbox, victims),
        }
        figures.kills += 1;
        if matches!(victims, Victims::Daemon | Victims::Everything) {
            sleep(Duration::from_millis(random.random_range(0..60)));
            sandbox.begin_daemon();
        }
    }
    while !all_ended(&sandbox, &ids) {
        assert!(Instant::now() < until, "{label}: specs have not ended in time: {}", sandbox.boi(&["status"]).out);
        sleep(Duration::from_millis(20));
    }
    figures.tries = check(&sandbox, &ids, victims, &label);
    assert_eq!(sandbox.checkout(), before, "{label}: the checkout has changed");
    figures
}

/// Adds an agent that records its starts in the file `starts`, whose path is in `CRASH_TRACE` for other commands.
pub fn traced(sandbox: Sandbox) -> Sandbox {
    let trace = sandbox.write("starts", "");
    let agent = sandbox.write("agent.sh", AGENT);
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).expect("a mode");
    sandbox.with_variables([("CRASH_TRACE", trace.display().to_string()), ("CLAUDE_BIN", agent.display().to_string())])
}

fn spec(random: &mut SmallRng, number: usize) -> String {
    let mut text = format!("title = 'Crash {number}'\nrepo = 'repo'\nverify = ['test -f t1.txt']\n");
    for task in 0..TASKS {
        let pause = f64::from(random.random_range(0..250u32)) / 1000.0;
        write!(text, "[[tasks]]\nid = 't{task}'\n").expect("writing to a string succeeds");
        if random.random_bool(0.6) {
            write!(text, "prompt = '''\npause {pause}\n'''\n").expect("writing to a string succeeds");
        } else {
            let run = format!(
                "echo \"$BOI_SPEC $BOI_TASK $BOI_TRY\" >> \"$CRASH_TRACE\"; sleep {pause}; echo \"$BOI_TASK\" >> \"$BOI_TASK.txt\""
            );
            writeln!(text, "run = '''{run}'''").expect("writing to a string succeeds");
        }
        if random.random_bool(0.5) {
            writeln!(text, "verify = ['sleep 0.0{} && test -s t{task}.txt']", random.random_range(0..9))
                .expect("writing to a string succeeds");
        }
    }
    text
}

fn all_ended(sandbox: &Sandbox, ids: &[String]) -> bool {
    // The daemon may be killed while it answers.
    let output = sandbox.boi(&["status", "--json", "--all"]);
    let Ok(status) = serde_json::from_str::<Value>(&output.out) else { return false };
    let specs = status["specs"].as_array().cloned().unwrap_or_default();
    ids.iter().all(|id| specs.iter().any(|spec| spec["id"] == id.as_str() && !spec["finished_at"].is_null()))
}

/// Kills the running processes of every command that `victims` names.
fn kill_commands(sandbox: &Sandbox, victims: Victims) {
    for started in sandbox.commands().iter().filter_map(|folder| record(&folder.join("started"))) {
        let roles: &[&str] = match victims {
            Victims::Daemon | Victims::Forkers => &[],
            Victims::Supervisors => &["supervisor"],
            Victims::Commands => &["command"],
            Victims::Everything => &["supervisor", "command"],
        };
        for process in roles.iter().map(|role| &started[role]) {
            let pid = process["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
            if start_time(pid) == process["start_time"].as_u64()
                && let Some(pid) = Pid::from_raw(pid)
            {
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}

/// Kills the processes that fork supervisors for the daemon of this home.
fn kill_forkers(sandbox: &Sandbox) {
    for pid in of_home(&sandbox.path("boi")) {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.split(|&byte| byte == 0).nth(1) == Some(b"__forker")
            && let Some(pid) = Pid::from_raw(pid)
        {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

/// When a process started, in clock ticks since the boot; `None` if it does not exist.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The content of a JSON record, if it exists and is complete.
pub fn record(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Checks the result once all specs have ended, and returns the number of tries: each try started once, each task was
/// committed once, and no process, worktree, lock or cgroup is left.
pub fn check(sandbox: &Sandbox, ids: &[String], victims: Victims, label: &str) -> u32 {
    let mut starts: BTreeMap<(String, String, u32), u32> = BTreeMap::new();
    for line in sandbox.read("starts").lines() {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("{label}: a torn line in the trace: {line}"));
        let (spec, task) = (word().to_owned(), word().to_owned());
        *starts.entry((spec, task, word().parse().expect("a number"))).or_default() += 1;
    }
    for (what, count) in &starts {
        assert_eq!(*count, 1, "{label}: {what:?} was started {count} times");
    }
    let mut tries = 0;
    for id in ids {
        let spec = sandbox.spec(id);
        assert_eq!(spec["status"], "completed", "{label}: {spec:#}");
        let branch = spec["branch"].as_str().expect("a branch");
        let log = sandbox.git(
            "repo",
            &["log", "--format=%(trailers:key=Boi-Task,valueonly,separator=%x2C)", &format!("main..{branch}")],
        );
        let mut committed: Vec<&str> = log.lines().collect();
        committed.sort_unstable();
        let tasks: Vec<&str> =
            spec["tasks"].as_array().expect("tasks").iter().filter_map(|task| task["id"].as_str()).collect();
        assert_eq!(committed, tasks, "{label}: {id}");
        for task in spec["tasks"].as_array().expect("tasks") {
            let (name, recorded) = (task["id"].as_str().expect("an id"), task["tries"].as_u64().expect("a number"));
            let recorded = u32::try_from(recorded).expect("a small number");
            let run: Vec<u32> =
                starts.keys().filter(|(spec, of, _)| spec == id && of == name).map(|(_, _, number)| *number).collect();
            if matches!(victims, Victims::Daemon | Victims::Forkers) {
                assert_eq!((recorded, run.as_slice()), (1, [1].as_slice()), "{label}: {id} {name}");
            }
            // A try that was killed after it was recorded and before its command started left no trace.
            assert!(
                run.iter().all(|number| *number <= recorded) && run.contains(&recorded),
                "{label}: {id} {name}: {recorded} tries are recorded, {run:?} were started"
            );
            let content = sandbox.git("repo", &["show", &format!("{branch}:{name}.txt")]);
            assert!(
                !content.is_empty() && content.lines().all(|line| line == name),
                "{label}: {id} {name}: {content:?}"
            );
            tries += recorded;
        }
    }
    let trees = sandbox.git("repo", &["worktree", "list"]);
    assert_eq!(trees.lines().count(), 1, "{label}: a worktree is left:\n{trees}");
    assert!(
        fs::read_dir(sandbox.path("boi/worktrees")).expect("a folder").next().is_none(),
        "{label}: a folder is left"
    );
    let locks = lock_files(&sandbox.path("repo/.git"));
    assert!(locks.is_empty(), "{label}: lock files of git are left: {locks:?}");
    sandbox.git("repo", &["fsck", "--no-progress"]);
    for folder in sandbox.commands() {
        let lock = fs::File::open(folder.join("lock")).expect("a lock");
        // The supervisor holds its lock for a moment after it has written the exit record.
        let until = Instant::now() + Duration::from_secs(10);
        while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            assert!(Instant::now() < until, "{label}: the lock of {} is held", folder.display());
            sleep(Duration::from_millis(5));
        }
        let started = record(&folder.join("started")).unwrap_or_default();
        let cgroup = started["cgroup"].as_str().map(Path::new);
        assert!(cgroup.is_none_or(|cgroup| !cgroup.exists()), "{label}: {cgroup:?} is left");
    }
    let left = left_running(&sandbox.path("boi"));
    assert!(left.is_empty(), "{label}: processes {left:?} are left");
    tries
}

/// Lock files of git below `folder`.
fn lock_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(lock_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            found.push(path);
        }
    }
    found
}

/// Living processes of commands of this home, found by their environment.
fn left_running(home: &Path) -> Vec<i32> {
    let marked = |pid: &i32| variables(*pid).any(|variable| variable.starts_with(b"BOI_MARKER="));
    of_home(home).filter(marked).filter(|pid| lives(*pid)).collect()
}

/// The processes that have this home in their environment.
fn of_home(home: &Path) -> impl Iterator<Item = i32> {
    let of_home = format!("BOI_HOME={}", home.display());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(move |pid| variables(*pid).any(|variable| variable == of_home.as_bytes()))
}

fn variables(pid: i32) -> impl Iterator<Item = Vec<u8>> {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter()
}
