//! The process that forks supervisors (`src/process/forker`) is killed and stopped at each point of a request, alone and
//! with the daemon, and no command is lost or started twice.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::crash::rounds::{Victims, check, traced};
use super::support::{Sandbox, lives, pid_in, wait_for};

const CONFIG: &str =
    "max_workers = 8\nspawns_per_tick = 8\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100\nstop_grace_seconds = 1\n";

/// A spec whose only task records its start and ends when the file `go` exists.
const SPEC: &str = "
title = 'Forked'
repo = 'repo'
[[tasks]]
id = 't0'
run = 'echo \"$BOI_SPEC $BOI_TASK $BOI_TRY\" >> \"$CRASH_TRACE\"; while ! test -e \"$GO\"; do sleep 0.02; done; echo t0 > t0.txt'
";

fn sandbox(variables: &[(&str, String)]) -> Sandbox {
    let sandbox = traced(Sandbox::new(CONFIG));
    let go = sandbox.at("go");
    sandbox.with_variables([("GO".to_owned(), go)]).with_variables(variables.iter().cloned())
}

/// A sandbox in which the first process that reaches the failpoint `point` dies.
fn armed(point: &str) -> Sandbox {
    let sandbox = sandbox(&[]);
    let fired = sandbox.at("fired");
    sandbox.write("go", "");
    sandbox.with_variables([("BOI_FAILPOINT", format!("{point}={fired}"))])
}

/// The living forker of the daemon of this sandbox.
fn forker(sandbox: &Sandbox) -> Option<i32> {
    let daemon = pid_in(&sandbox.path("boi/pids/daemon.pid"));
    let children = fs::read_dir(format!("/proc/{daemon}/task")).ok()?.flatten().flat_map(|thread| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    });
    let argument = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).nth(1) == Some(b"__forker")
    };
    children.into_iter().find(|pid| argument(pid) && lives(*pid))
}

fn wait_for_forker(sandbox: &Sandbox) -> i32 {
    wait_for("the forker runs", || forker(sandbox))
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("the process lives");
}

fn wait_for_start(sandbox: &Sandbox, id: &str) {
    wait_for("the command starts", || sandbox.read("starts").contains(id).then_some(()));
}

/// The spec completes, in its first try.
#[track_caller]
fn completes(sandbox: &Sandbox, id: &str, what: &str) -> Value {
    let spec = sandbox.wait_for_status(id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()), "{what}: {spec:#}");
    assert_eq!(check(sandbox, &[id.to_owned()], Victims::Daemon, what), 1);
    spec
}

#[test]
fn a_forker_that_dies_amid_a_request_costs_no_try() {
    for point in ["fork.received", "fork.forked", "fork.answered"] {
        let mut sandbox = armed(point);
        let id = sandbox.dispatch(SPEC);
        sandbox.start_daemon();
        completes(&sandbox, &id, point);
        assert!(sandbox.exists("fired"), "the failpoint {point} was not reached");
        // The daemon has another forker.
        let next = sandbox.dispatch(SPEC);
        sandbox.wait_for_status(&next, "completed");
        wait_for_forker(&sandbox);
    }
}

#[test]
fn a_daemon_that_dies_after_its_request_costs_no_try() {
    let mut sandbox = armed("fork.requested");
    let id = sandbox.dispatch(SPEC);
    sandbox.begin_daemon();
    assert_eq!(sandbox.wait_for_daemon().code(), None);
    sandbox.start_daemon();
    completes(&sandbox, &id, "fork.requested");
}

/// A daemon that waits `millis` for its forker, which is stopped, and a spec that was dispatched then.
fn with_stopped_forker(millis: u32) -> (Sandbox, i32, String) {
    let mut sandbox = sandbox(&[("BOI_FORK_MILLIS", millis.to_string())]);
    sandbox.write("go", "");
    sandbox.start_daemon();
    let stopped = wait_for_forker(&sandbox);
    signal(stopped, Signal::STOP);
    let id = sandbox.dispatch(SPEC);
    (sandbox, stopped, id)
}

#[test]
fn a_stopped_forker_is_replaced() {
    let (sandbox, stopped, id) = with_stopped_forker(300);
    completes(&sandbox, &id, "stopped");
    assert!(!lives(stopped));
    assert_ne!(wait_for_forker(&sandbox), stopped);
}

#[test]
fn a_stopped_forker_ends_with_its_killed_daemon_and_releases_the_lock() {
    let (mut sandbox, stopped, id) = with_stopped_forker(60_000);
    let request = sandbox.path(&format!("boi/attempts/{id}/1/command-1/supervisor"));
    wait_for("the daemon waits for the forker", || request.exists().then_some(()));
    sandbox.kill_daemon();
    wait_for("the stopped forker ends", || (!lives(stopped)).then_some(()));
    sandbox.start_daemon();
    completes(&sandbox, &id, "stopped, and the daemon killed");
}

#[test]
fn running_supervisors_outlive_the_forker() {
    let mut sandbox = sandbox(&[]);
    sandbox.start_daemon();
    let ids: Vec<String> = (0..8).map(|_| sandbox.dispatch(SPEC)).collect();
    ids.iter().for_each(|id| wait_for_start(&sandbox, id));
    signal(wait_for_forker(&sandbox), Signal::KILL);
    sandbox.write("go", "");
    for id in &ids {
        sandbox.wait_for_status(id, "completed");
    }
    assert_eq!(check(&sandbox, &ids, Victims::Daemon, "forker killed"), 8);
    let next = sandbox.dispatch(SPEC);
    sandbox.wait_for_status(&next, "completed");
}

#[test]
fn a_supervisor_shows_its_marker_and_no_variable_of_its_command_and_keeps_only_its_own_files() {
    let mut sandbox = sandbox(&[("FROM_DAEMON", "secret of the daemon".to_owned())]);
    sandbox.write(
        "boi/config.toml",
        format!("{CONFIG}[agents.claude.env]\nTOKEN = {{ from_env = 'FROM_DAEMON' }}\nSEEN = 'by the agent'\n"),
    );
    sandbox.start_daemon();
    let other = sandbox.dispatch(SPEC);
    wait_for_start(&sandbox, &other);
    let agent = sandbox.write(
        "agent.sh",
        "#!/bin/sh\nenv > env.txt\nls -l /proc/self/fd > fds.txt\nwhile ! test -e \"$GO\"; do sleep 0.02; done\n",
    );
    drop(agent);
    let id = sandbox.dispatch("title = 'Agent'\nrepo = 'repo'\n[[tasks]]\nid = 't0'\nprompt = 'pause 0'\n");
    let folder = sandbox.path(&format!("boi/attempts/{id}/1/command-1"));
    let started: Value =
        wait_for("the agent runs", || serde_json::from_slice(&fs::read(folder.join("started")).ok()?).ok());
    let tree = sandbox.path(&format!("boi/worktrees/{id}"));
    wait_for("the agent looked", || fs::read_to_string(tree.join("fds.txt")).ok().filter(|text| text.contains("-> ")));
    let supervisor = &started["supervisor"]["pid"];
    let shown = String::from_utf8(fs::read(format!("/proc/{supervisor}/environ")).unwrap()).unwrap();
    let marker = format!("BOI_MARKER={}", fs::read_to_string(folder.join("marker")).unwrap());
    assert!(shown.split('\0').any(|variable| variable == marker), "{shown:?}");
    assert!(!shown.contains("TOKEN") && !shown.contains("by the agent"), "{shown:?}");
    let seen = fs::read_to_string(tree.join("env.txt")).unwrap();
    for line in ["TOKEN=secret of the daemon", "SEEN=by the agent", &marker] {
        assert!(seen.lines().any(|seen| seen == line), "{line}: {seen}");
    }
    let line = String::from_utf8(fs::read(format!("/proc/{supervisor}/cmdline")).unwrap()).unwrap();
    let words: Vec<&str> = line.trim_end_matches('\0').split('\0').skip(1).collect();
    assert_eq!(words, ["__supervise", folder.to_str().unwrap()]);
    let open = |pid: &str| -> Vec<String> {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        files.filter_map(|file| Some(fs::read_link(file.path()).ok()?.to_string_lossy().into_owned())).collect()
    };
    let of_supervisor = open(&supervisor.to_string());
    let locks: Vec<&String> = of_supervisor.iter().filter(|path| path.ends_with("/lock")).collect();
    assert_eq!(locks, [folder.join("lock").to_str().unwrap()], "{of_supervisor:?}");
    assert!(!of_supervisor.iter().any(|path| path.contains(&other)), "{of_supervisor:?}");
    let of_agent = fs::read_to_string(tree.join("fds.txt")).unwrap();
    assert!(!of_agent.contains("socket:") && !of_agent.contains("/lock"), "{of_agent}");
    sandbox.write("go", "");
    sandbox.wait_for_status(&other, "completed");
}

#[test]
fn the_forker_ends_with_the_daemon() {
    let mut sandbox = sandbox(&[]);
    sandbox.start_daemon();
    let first = wait_for_forker(&sandbox);
    sandbox.stop_daemon(Signal::TERM);
    wait_for("the forker ends", || (!lives(first)).then_some(()));
    sandbox.start_daemon();
    let second = wait_for_forker(&sandbox);
    sandbox.kill_daemon();
    wait_for("the forker ends", || (!lives(second)).then_some(()));
}
