//! Hooks: commands that the daemon runs for events.

use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;
use serde_json::Value;

use super::events::rounds::{cursor, parse};
use super::support::{Sandbox, lives, pid_in, wait_for};

const GOOD: &str = "title = 'Good'\n[[tasks]]\nrun = 'true'\n";
const BAD: &str = "title = 'Bad'\n[[tasks]]\nrun = 'exit 3'\n";
const FAST: &str = "tick_interval_ms = 100\nspawn_jitter_ms = [0, 0]\nspawns_per_tick = 64\nretry_count = 0\n";

fn hook(name: &str, on: &str, command: &str, timeout: u32) -> String {
    format!("[[hooks]]\nname = '{name}'\non = {on}\ncommand = '''{command}'''\ntimeout_seconds = {timeout}\n")
}

/// The events that a hook with the command `cat >> FILE` got.
fn got(sandbox: &Sandbox, file: &str) -> Vec<Value> {
    if sandbox.exists(file) { parse(&sandbox.read(file)) } else { Vec::new() }
}

fn cursors(events: &[Value]) -> Vec<u64> {
    events.iter().map(cursor).collect()
}

/// The cursors of the events of these kinds in the queue.
fn recorded(sandbox: &Sandbox, kinds: &[&str]) -> Vec<u64> {
    let filter = kinds.iter().flat_map(|kind| ["--kind", kind]);
    let arguments: Vec<&str> = ["events", "--since", "0", "--json"].into_iter().chain(filter).collect();
    cursors(&parse(&sandbox.good(&arguments).out))
}

#[test]
fn a_hook_gets_each_event_in_order_over_restarts_and_kills() {
    let mut sandbox = Sandbox::new("");
    let command = format!("cat >> {}", sandbox.at("got"));
    let kinds = ["spec.completed", "spec.failed", "queue.idle", "daemon.stopped"];
    let config = format!("{FAST}{}", hook("all", &format!("{kinds:?}"), &command, 30));
    sandbox.write("boi/config.toml", config);
    let before = sandbox.dispatch(GOOD);
    sandbox.good(&["cancel", &before]);
    sandbox.start_daemon();
    sandbox.write("good.toml", GOOD);
    sandbox.write("bad.toml", BAD);
    for round in 0..4 {
        sandbox.good(&["dispatch", "good.toml", "bad.toml", "good.toml"]);
        wait_for("some specs end", || (got(&sandbox, "got").len() > round * 2).then_some(()));
        if round % 2 == 0 {
            sandbox.kill_daemon();
        } else {
            sandbox.stop_daemon(Signal::TERM);
        }
        sandbox.start_daemon();
    }
    wait_for("all specs end", || {
        (sandbox.good(&["status", "--json"]).json()["counts"]["completed"] == 8).then_some(())
    });
    sandbox.stop_daemon(Signal::INT);
    let mut delivered = cursors(&got(&sandbox, "got"));
    assert!(delivered.is_sorted(), "an event was delivered after a later one: {delivered:?}");
    delivered.dedup();
    assert_eq!(delivered, recorded(&sandbox, &kinds));
}

#[test]
fn an_event_is_delivered_again_when_the_daemon_dies_before_it_has_recorded_the_delivery() {
    let sandbox = Sandbox::new("");
    let command = format!("cat >> {}; echo $BOI_HOOK $BOI_EVENT >> {}", sandbox.at("got"), sandbox.at("names"));
    sandbox.write("boi/config.toml", format!("{FAST}{}", hook("h", "['spec.completed']", &command, 30)));
    let fired = sandbox.at("fired");
    let mut sandbox = sandbox.with_variables([("BOI_FAILPOINT", format!("hook.delivered={fired}"))]);
    sandbox.start_daemon();
    sandbox.dispatch(GOOD);
    assert_eq!(sandbox.wait_for_daemon().signal(), Some(9));
    sandbox.start_daemon();
    wait_for("the event comes again", || (got(&sandbox, "got").len() == 2).then_some(()));
    let id = sandbox.dispatch(GOOD);
    wait_for("the next event comes", || (got(&sandbox, "got").len() == 3).then_some(()));
    let events = got(&sandbox, "got");
    assert_eq!((&events[0], &events[2]["spec"]), (&events[1], &Value::from(id)));
    assert!(sandbox.read("names").lines().all(|line| line == "h spec.completed"));
}

#[test]
fn a_hook_that_hangs_or_fails_holds_up_nothing_else_and_goes_on_when_it_is_corrected() {
    let mut sandbox = Sandbox::new("");
    let (pid, file) = (sandbox.at("pid"), sandbox.at("got"));
    let hangs = hook("hangs", "['spec.completed']", &format!("echo $$ > {pid}; sleep 1000; true"), 1);
    let fails = hook("fails", "['spec.completed']", "echo broken >&2; exit 7", 30);
    let works = hook("works", "['spec.completed']", &format!("cat >> {file}"), 30);
    sandbox.write("boi/config.toml", format!("{FAST}{hangs}{fails}{works}"));
    sandbox.start_daemon();
    let hanging = pid_in_after(&sandbox, || drop(sandbox.dispatch(GOOD)));
    sandbox.dispatch(GOOD);
    wait_for("the other hook gets both events", || (got(&sandbox, "got").len() == 2).then_some(()));
    let views = wait_for("both hooks fail", || {
        let status = sandbox.good(&["status", "--json"]).json();
        let hooks = status["hooks"].as_array().unwrap().clone();
        (hooks.iter().filter(|hook| hook["failing"].is_object()).count() == 2).then_some(hooks)
    });
    let of = |name: &str| views.iter().find(|view| view["name"] == name).unwrap();
    assert_eq!(of("fails")["failing"]["error"], "exit code 7: broken");
    assert_eq!(of("hangs")["failing"]["error"], "it did not end within 1 s");
    assert_eq!(of("works")["failing"], Value::Null);
    wait_for("the hanging command ends", || (!lives(hanging)).then_some(()));
    let status = sandbox.good(&["status"]).out;
    assert!(status.contains("hook: fails fails on spec.completed") && !status.contains("hook: works"), "{status}");
    let doctor = sandbox.boi(&["doctor"]).out;
    assert!(doctor.contains("the hook hangs fails on the event spec.completed"), "{doctor}");
    let fixed = hook("fails", "['spec.completed']", &format!("cat >> {}", sandbox.at("fixed")), 30);
    sandbox.write("boi/config.toml", format!("{FAST}{fixed}{works}"));
    wait_for("the corrected hook gets what it missed", || (got(&sandbox, "fixed").len() == 2).then_some(()));
    assert_eq!(got(&sandbox, "fixed"), got(&sandbox, "got"));
    wait_for("no hook fails", || {
        let hooks = sandbox.good(&["status", "--json"]).json()["hooks"].as_array().unwrap().clone();
        (hooks.len() == 2 && hooks.iter().all(|hook| hook["failing"].is_null())).then_some(())
    });
}

/// Calls `act`, and returns the pid that is then in the file `pid`.
fn pid_in_after(sandbox: &Sandbox, act: impl FnOnce()) -> i32 {
    act();
    pid_in(&sandbox.path("pid"))
}

#[test]
fn a_new_hook_starts_at_now_and_a_removed_one_is_forgotten() {
    let mut sandbox = Sandbox::new(FAST);
    sandbox.start_daemon();
    let completed = |sandbox: &Sandbox| {
        let id = sandbox.dispatch(GOOD);
        sandbox.wait_for_status(&id, "completed");
        id
    };
    let set = |sandbox: &Sandbox, text: &str| {
        sandbox.write("boi/config.toml", format!("{FAST}{text}"));
        sandbox.good(&["daemon", "reload"]);
        let count = text.matches("[[hooks]]").count();
        wait_for("the hooks are known", || {
            let status = sandbox.good(&["status", "--json"]).json();
            (status["hooks"].as_array()?.len() == count).then_some(())
        });
    };
    completed(&sandbox);
    let text = hook("h", "['spec.completed']", &format!("cat >> {}", sandbox.at("got")), 30);
    set(&sandbox, &text);
    let second = completed(&sandbox);
    wait_for("one event", || (got(&sandbox, "got").len() == 1).then_some(()));
    set(&sandbox, "");
    completed(&sandbox);
    set(&sandbox, &text);
    let last = completed(&sandbox);
    wait_for("two events", || (got(&sandbox, "got").len() == 2).then_some(()));
    let specs: Vec<Value> = got(&sandbox, "got").iter().map(|event| event["spec"].clone()).collect();
    assert_eq!(specs, [second, last]);
}

#[test]
fn the_command_of_a_hook_ends_with_its_daemon() {
    let mut sandbox = Sandbox::new("");
    let (pid, child) = (sandbox.at("pid"), sandbox.at("child"));
    let command = format!("sleep 1000 & echo $! > {child}; echo $$ > {pid}; wait");
    sandbox.write("boi/config.toml", format!("{FAST}{}", hook("h", "['spec.completed']", &command, 600)));
    sandbox.start_daemon();
    let shell = pid_in_after(&sandbox, || drop(sandbox.dispatch(GOOD)));
    let sleeper = pid_in(&sandbox.path("child"));
    sandbox.kill_daemon();
    wait_for("the shell ends with the daemon", || (!lives(shell)).then_some(()));
    std::fs::remove_file(sandbox.path("pid")).unwrap();
    sandbox.start_daemon();
    let again = pid_in(&sandbox.path("pid"));
    assert!(!lives(sleeper), "the next daemon ends what the killed one left");
    let sleeper = pid_in(&sandbox.path("child"));
    sandbox.stop_daemon(Signal::INT);
    assert!(!lives(again) && !lives(sleeper));
}
