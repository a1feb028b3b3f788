//! `boi events` and the stream of events over the control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{self, DEADLINE, Sandbox, wait_for};

#[path = "../helpers/event_rounds.rs"]
pub mod rounds;

use rounds::{cursor, parse};

const GOOD: &str = "title = 'Good'\n[[tasks]]\nrun = 'true'\n";
const BAD: &str = "title = 'Bad'\n[[tasks]]\nrun = 'exit 3'\n";
const FAST: &str = "tick_interval_ms = 100\nspawn_jitter_ms = [0, 0]\nspawns_per_tick = 64\nretry_count = 0\n";

fn events(sandbox: &Sandbox, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["events", "--json"], arguments].concat();
    parse(&sandbox.good(&arguments).out)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

/// A request for the stream over the control socket.
fn stream(sandbox: &Sandbox, query: &str, headers: &str) -> BufReader<UnixStream> {
    let mut socket = UnixStream::connect(sandbox.path("boi/boi.sock")).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(socket, "GET /v1/events{query} HTTP/1.1\r\nhost: boi\r\n{headers}\r\n").unwrap();
    BufReader::new(socket)
}

/// Reads lines until one begins with `prefix`, and returns the rest of that line.
#[track_caller]
fn line_with(stream: &mut BufReader<UnixStream>, prefix: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream ended before `{prefix}`");
        if let Some(rest) = line.strip_prefix(prefix) {
            return rest.trim_end().to_owned();
        }
    }
}

#[test]
fn events_are_shown_without_a_daemon_and_filtered() {
    let sandbox = Sandbox::new(FAST);
    assert_eq!(sandbox.good(&["events"]).out, "");
    let ids = [GOOD, BAD].map(|spec| sandbox.dispatch(spec));
    sandbox.good(&["cancel", &ids[0]]);
    assert_eq!(kinds(&events(&sandbox, &[])), ["spec.queued", "spec.queued", "spec.canceled"]);
    let first = events(&sandbox, &["--since", "0", "--spec", &ids[0]]);
    assert_eq!(kinds(&first), ["spec.queued", "spec.canceled"]);
    assert_eq!((&first[0]["spec"], &first[0]["title"]), (&Value::from(ids[0].clone()), &Value::from("Good")));
    assert_eq!(first[0]["body"]["by"], "dispatch");
    let after = cursor(&first[0]).to_string();
    assert_eq!(kinds(&events(&sandbox, &["--since", &after])), ["spec.queued", "spec.canceled"]);
    assert_eq!(kinds(&events(&sandbox, &["--since", "1h", "--kind", "spec.canceled"])), ["spec.canceled"]);
    assert_eq!(kinds(&events(&sandbox, &["--since", "2999-01-01T00:00:00Z"])), Vec::<&str>::new());
    let text = sandbox.good(&["events"]).out;
    assert!(text.lines().count() == 3 && text.contains(&format!("spec.canceled  {}  Good", ids[0])), "{text}");
    for (arguments, words) in
        [(["--since", "soon"], "neither a cursor, a time nor a length"), (["--kind", "spec.faild"], "spec.failed")]
    {
        let refused = sandbox.boi(&[&["events"], &arguments[..]].concat());
        assert_eq!(refused.code, Some(2));
        assert!(refused.err.contains(words), "{refused:?}");
    }
}

#[test]
fn a_follower_goes_on_when_daemons_start_and_end() {
    let mut sandbox = Sandbox::new(FAST);
    let follower = sandbox.begin(&["events", "--since", "0", "-f", "--json"]);
    let prints = |kind: &str, count: usize| {
        wait_for(&format!("{count} events {kind}"), || {
            let events = parse(&follower.out());
            (kinds(&events).iter().filter(|found| **found == kind).count() == count).then_some(())
        });
    };
    sandbox.dispatch(GOOD);
    prints("spec.queued", 1);
    sandbox.start_daemon();
    prints("spec.completed", 1);
    prints("queue.idle", 1);
    sandbox.write("boi/config.toml", format!("{FAST}max_workers = 2\n"));
    prints("config.applied", 1);
    sandbox.write("boi/config.toml", "max_workers = -1\n");
    prints("config.rejected", 1);
    sandbox.write("boi/config.toml", FAST);
    prints("config.applied", 2);
    sandbox.good(&["hold", "claude"]);
    sandbox.good(&["resume", "claude"]);
    prints("hold.ended", 1);
    sandbox.good(&["hold", "claude", "--until", "1s"]);
    prints("hold.ended", 2);
    sandbox.stop_daemon(Signal::TERM);
    prints("daemon.stopped", 1);
    sandbox.start_daemon();
    let id = sandbox.dispatch(BAD);
    prints("spec.failed", 1);
    prints("queue.idle", 2);
    sandbox.kill_daemon();
    sandbox.good(&["retry", &id]);
    prints("spec.queued", 3);
    sandbox.start_daemon();
    prints("queue.idle", 3);
    prints("daemon.started", 3);
    assert_eq!(parse(&follower.out()), events(&sandbox, &["--since", "0"]));
}

#[test]
fn the_socket_streams_events_and_continues_after_the_last_one() {
    let mut sandbox = Sandbox::new(FAST);
    let id = sandbox.dispatch(GOOD);
    sandbox.start_daemon();
    sandbox.wait_for_status(&id, "completed");
    let mut all = stream(&sandbox, "?since=0&kind=spec.queued,spec.completed", "");
    assert_eq!(line_with(&mut all, "event: "), "spec.queued");
    let queued: Value = serde_json::from_str(&line_with(&mut all, "data: ")).unwrap();
    assert_eq!((&queued["kind"], &queued["spec"]), (&Value::from("spec.queued"), &Value::from(id.clone())));
    let completed = line_with(&mut all, "id: ");
    let header = format!("Last-Event-ID: {}\r\n", cursor(&queued));
    let mut rest = stream(&sandbox, "?since=999999&kind=spec.queued,spec.completed", &header);
    assert_eq!(line_with(&mut rest, "event: "), "spec.completed");
    let mut live = stream(&sandbox, "?kind=spec.queued", "");
    line_with(&mut live, "id: ");
    sandbox.dispatch(GOOD);
    assert_eq!(line_with(&mut live, "event: "), "spec.queued");
    assert_eq!(line_with(&mut rest, "event: "), "spec.queued");
    assert!(completed.parse::<u64>().unwrap() > cursor(&queued));
    let mut bad = stream(&sandbox, "?kind=spec.faild", "");
    assert_eq!(line_with(&mut bad, "HTTP/1.1 "), "400 Bad Request");
}

#[test]
fn a_client_that_reads_nothing_holds_up_nothing() {
    let mut sandbox = Sandbox::new(FAST);
    sandbox.start_daemon();
    let stuck: Vec<_> = (0..3).map(|_| stream(&sandbox, "?since=0&state=1", "")).collect();
    let mut reader = stream(&sandbox, "?kind=spec.completed", "");
    line_with(&mut reader, "id: ");
    sandbox.write("good.toml", GOOD);
    sandbox.good(&[&["dispatch"], &["good.toml"; 40][..]].concat());
    for _ in 0..40 {
        assert_eq!(line_with(&mut reader, "event: "), "spec.completed");
    }
    sandbox.stop_daemon(Signal::INT);
    drop(stuck);
}

#[test]
fn commands_that_follow_a_spec_end_with_it_across_a_restart() {
    let mut sandbox = Sandbox::new(FAST);
    let go = sandbox.at("go");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Waits'\n[[tasks]]\nrun = 'echo begun; until test -e {go}; do sleep 0.02; done; echo over'\n"
    ));
    let log = sandbox.begin(&["log", "-f", &id]);
    let wait = sandbox.begin(&["wait", &id]);
    let watch = sandbox.begin(&["status", "--watch"]);
    wait_for("the log shows the output", || log.out().contains("begun").then_some(()));
    sandbox.stop_daemon(Signal::TERM);
    sandbox.start_daemon();
    wait_for("the watch goes on", || watch.err().contains("waiting up to").then_some(()));
    sandbox.write("go", "");
    let (log, wait) = (log.end(), wait.end());
    assert_eq!((log.code, wait.code), (Some(0), Some(0)), "{log:?} {wait:?}");
    assert!(log.out.ends_with("over\n") && wait.out == format!("{id} completed\n"), "{log:?} {wait:?}");
    wait_for("the watch shows the end", || watch.out().contains("1 completed").then_some(()));
}

/// `BOI_CRASH_SEED=SEED` repeats one round; `benches/crash.rs` runs many.
#[test]
fn no_event_is_lost_or_twice_under_kill_9() {
    let seed = std::env::var("BOI_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::random::<u64>() >> 8);
    let figures = rounds::round(seed, 30, 6, Duration::from_millis(250));
    assert!(figures.events > 150, "{figures:?}");
}
