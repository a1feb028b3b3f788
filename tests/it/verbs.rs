//! `boi wait`, `stop`, `priority`, `queue backup`, the ways to dispatch a spec, and the pause between tries.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::support::{Sandbox, lives, pid_in, wait_for};

/// The time zone of the eastern United States, without a need for a zone database.
const EASTERN: &str = "EST5EDT,M3.2.0,M11.1.0";

fn reason(sandbox: &Sandbox, id: &str) -> String {
    sandbox.spec(id)["reason"].as_str().unwrap_or_default().to_owned()
}

/// Waits until the reason of a spec contains `part`, and returns the reason.
#[track_caller]
fn wait_for_reason(sandbox: &Sandbox, id: &str, part: &str) -> String {
    wait_for(part, || Some(reason(sandbox, id)).filter(|reason| reason.contains(part)))
}

#[test]
fn a_wait_ends_with_the_specs_and_its_exit_code_says_how_they_ended() {
    let mut sandbox = Sandbox::new("retry_count = 0\nspawn_jitter_ms = [0, 0]");
    let good = sandbox.dispatch("title = 'Good'\n[[tasks]]\nrun = 'true'");
    let waiting = sandbox.begin(&["wait", &good]);
    wait_for("the note", || waiting.err().contains("no daemon runs").then_some(()));
    sandbox.start_daemon();
    let said = waiting.end();
    assert!(said.code == Some(0) && said.out.contains(&format!("{good} completed")), "{said:?}");
    let bad = sandbox.dispatch("title = 'Bad'\n[[tasks]]\nrun = 'false'");
    let long = sandbox.dispatch(&format!("title = 'Long'\n[[tasks]]\nrun = '''{}'''", sandbox.barrier()));
    let said = sandbox.boi(&["wait", &good, &bad, "--json"]);
    assert_eq!((said.code, said.json()["specs"].as_array().map(Vec::len)), (Some(1), Some(2)), "{said:?}");
    sandbox.good(&["wait", "--any", &long, &good]);
    let said = sandbox.boi(&["wait", &long, "--timeout", "100ms"]);
    assert!(said.code == Some(4) && said.err.contains(&long), "{said:?}");
    assert_eq!(sandbox.boi(&["wait", "SFFFFF"]).code, Some(2));
    assert_eq!(sandbox.boi(&["wait", &long, "--timeout", "soon"]).code, Some(2));
    assert_eq!([&good, &bad].map(|id| sandbox.boi(&["log", "-f", id]).code), [Some(0), Some(1)]);
    sandbox.good(&["cancel", &long]);
}

#[test]
fn a_wait_whose_reader_has_gone_goes_on_and_does_not_succeed_early() {
    let mut sandbox = Sandbox::new("retry_count = 0\nspawn_jitter_ms = [0, 0]");
    let bad =
        sandbox.dispatch(&format!("title = 'Bad'\n[[tasks]]\nrun = '''{}'''\nverify = ['false']", sandbox.barrier()));
    sandbox.start_daemon();
    let script = format!("\"$0\" wait {bad} | true; exit ${{PIPESTATUS[0]}}");
    let mut waiting = sandbox.begin_wrapped(&["bash", "-c", &script]).unwrap();
    // Longer than the interval at which commands that only print look for their reader.
    std::thread::sleep(Duration::from_millis(500));
    assert!(waiting.try_wait().unwrap().is_none(), "the wait goes on");
    sandbox.write("go", "");
    assert_eq!(waiting.wait().unwrap().code(), Some(1));
}

#[test]
fn a_wait_says_that_the_daemon_drains() {
    let mut sandbox = Sandbox::new("max_workers = 1\nstop_grace_seconds = 1\nspawn_jitter_ms = [0, 0]");
    sandbox.start_daemon();
    let long = sandbox.dispatch(&format!("title = 'Long'\n[[tasks]]\nrun = '''{}'''", sandbox.barrier()));
    sandbox.wait_for_status(&long, "running");
    let later = sandbox.dispatch("title = 'Later'\n[[tasks]]\nrun = 'true'");
    let said = sandbox.boi(&["daemon", "stop", "--drain", "--timeout", "100ms"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    let waiting = sandbox.begin(&["wait", &later]);
    wait_for("the note", || waiting.err().contains("is draining").then_some(()));
    sandbox.good(&["cancel", &later]);
    assert_eq!(waiting.end().code, Some(1));
    sandbox.good(&["cancel", &long]);
}

#[test]
fn a_drain_without_a_daemon_is_bounded_and_leaves_the_command_running() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1\nspawn_jitter_ms = [0, 0]");
    sandbox.start_daemon();
    let long = sandbox.dispatch(&format!("title = 'Long'\n[[tasks]]\nrun = '''{}'''", sandbox.barrier()));
    let pid = pid_in(&sandbox.path("pid"));
    sandbox.kill_daemon();
    let said = sandbox.boi(&["daemon", "stop", "--drain", "--timeout", "100ms"]);
    assert!(said.code == Some(4) && said.err.contains("gave up"), "{said:?}");
    assert!(lives(pid) && sandbox.spec(&long)["status"] == "running");
    sandbox.good(&["daemon", "stop"]);
    assert!(!lives(pid));
}

#[test]
fn a_stopped_spec_stays_blocked_over_a_restart_until_a_retry_continues_its_try() {
    let mut sandbox = Sandbox::new("max_workers = 1\nspawn_jitter_ms = [0, 0]");
    sandbox.start_daemon();
    let run = format!("echo x >> {}; while :; do sleep 0.02; done", sandbox.at("runs"));
    let id = sandbox.dispatch(&format!("title = 'Long'\n[[tasks]]\nrun = '''{run}'''"));
    let runs = |count: usize| sandbox.exists("runs") && sandbox.read("runs").lines().count() == count;
    wait_for("the command", || runs(1).then_some(()));
    let said = sandbox.good(&["stop", &id]);
    assert!(said.out.contains(&format!("boi retry {id}")), "{said:?}");
    let blocked = sandbox.spec(&id);
    assert_eq!((&blocked["status"], &blocked["cause"]["kind"]), (&"queued".into(), &"blocked".into()), "{blocked:#}");
    assert!(reason(&sandbox, &id).contains("stopped by the user"), "{blocked:#}");
    // Its slot is free, and a later daemon leaves it alone too.
    let next = sandbox.dispatch("title = 'Next'\n[[tasks]]\nrun = 'true'");
    sandbox.good(&["wait", &next]);
    sandbox.kill_daemon();
    sandbox.start_daemon();
    let after = sandbox.dispatch("title = 'After'\n[[tasks]]\nrun = 'true'");
    sandbox.good(&["wait", &after]);
    assert!(sandbox.read("runs").lines().count() == 1 && sandbox.good(&["stop", &id]).out.contains("before"));
    let waiting = sandbox.begin(&["wait", &id]);
    wait_for("the reason", || waiting.err().contains("does not run: blocked").then_some(()));
    sandbox.good(&["retry", &id]);
    wait_for("the same command", || (sandbox.read("runs").lines().count() == 2).then_some(()));
    let again = sandbox.spec(&id);
    assert_eq!((&again["attempt"], &again["tasks"][0]["tries"]), (&1.into(), &1.into()), "{again:#}");
    sandbox.good(&["cancel", &id]);
    assert_eq!(waiting.end().code, Some(1));
    let said = sandbox.boi(&["stop", &id, &next, "--json"]);
    assert_eq!((said.code, &said.json()["specs"][0]["stopped"]), (Some(1), &false.into()), "{said:?}");
}

#[test]
fn without_a_daemon_a_queued_spec_is_stopped_and_a_running_one_is_ended_and_blocked() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let run = format!("echo x >> {}; while :; do sleep 0.02; done", sandbox.at("runs"));
    let runs = sandbox.dispatch(&format!("title = 'Long'\n[[tasks]]\nrun = '''{run}'''"));
    wait_for("the command", || sandbox.exists("runs").then_some(()));
    sandbox.kill_daemon();
    let queued = sandbox.dispatch("title = 'Queued'\n[[tasks]]\nrun = 'true'");
    sandbox.good(&["stop", &runs, &queued]);
    for id in [&runs, &queued] {
        let spec = sandbox.spec(id);
        assert_eq!((&spec["status"], &spec["cause"]["kind"]), (&"queued".into(), &"blocked".into()), "{spec:#}");
    }
    sandbox.good(&["cancel", &runs]);
    sandbox.good(&["retry", &queued]);
    sandbox.start_daemon();
    sandbox.good(&["wait", &queued]);
}

#[test]
fn a_queued_spec_gets_another_priority() {
    let mut sandbox = Sandbox::new("max_workers = 1\nspawn_jitter_ms = [0, 0]");
    let run = |name: &str| format!("title = '{name}'\n[[tasks]]\nrun = 'echo {name} >> {}'", sandbox.at("order"));
    let first = sandbox.dispatch(&run("first"));
    let second = sandbox.dispatch(&run("second"));
    assert_eq!(sandbox.good(&["priority", &second, "-3", "--json"]).json()["priority"], -3);
    assert_eq!(sandbox.boi(&["priority", &second, "99999999999"]).code, Some(2));
    sandbox.start_daemon();
    sandbox.good(&["wait", &first, &second]);
    assert_eq!(sandbox.read("order"), "second\nfirst\n");
    let said = sandbox.boi(&["priority", &first, "1"]);
    assert!(said.code == Some(1) && said.err.contains("is completed"), "{said:?}");
}

#[test]
fn a_spec_comes_from_standard_input_or_from_a_prompt() {
    let sandbox = Sandbox::new("");
    let said = sandbox
        .with_stdin(&["dispatch", "-", "--dry-run", "--json"], "title = 'In'\nrepo = 'repo'\n[[tasks]]\nrun = 'true'");
    let spec = &said.json()["specs"][0];
    assert_eq!((spec["title"].as_str(), &spec["repo"]["base"]["revision"]), (Some("In"), &"main".into()), "{said:?}");
    let said = sandbox.with_stdin(&["dispatch", "-"], "titel = 'In'");
    assert!(said.code == Some(2) && said.err.contains("<stdin>:1:1"), "{said:?}");
    assert_eq!(sandbox.boi(&["dispatch", "-", "-"]).code, Some(2));
    let prompt =
        ["dispatch", "--prompt", "Fix \"it\"\nnow", "--verify", "a 'b'", "--verify", "c", "--dry-run", "--json"];
    let said = sandbox.good(&prompt);
    let spec = &said.json()["specs"][0];
    assert_eq!(
        (&spec["title"], &spec["tasks"][0]["action"]["prompt"]),
        (&"Fix \"it\"".into(), &"Fix \"it\"\nnow".into())
    );
    assert_eq!(spec["tasks"][0]["verify"], serde_json::json!(["a 'b'", "c"]), "{said:?}");
    assert!(spec["repo"].is_null() && said.err.contains("scratch directory"), "{said:?}");
    assert_eq!(sandbox.boi(&["dispatch", "--prompt", " "]).code, Some(2));
    assert_eq!(sandbox.boi(&["dispatch", "x.toml", "--verify", "c"]).code, Some(2));
}

#[test]
fn every_error_of_a_dispatch_is_reported_at_once() {
    let sandbox = Sandbox::new("");
    sandbox.write("one.toml", "titel = 'x'\nrepo = 'nowhere'\nafter = ['SFFF1']\n[[tasks]]\nrum = 'x'");
    sandbox.write("two.toml", "title = 'x'\nrepo = 'repo'\nbase = 'nobranch'\nafter = ['SFFF2']\n[[tasks]]\nrun = 'x'");
    let said = sandbox.boi(&["dispatch", "one.toml", "two.toml", "three.toml", "--after", "SFFF3"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    for part in ["titel", "nowhere", "SFFF1", "rum", "nobranch", "SFFF2", "three.toml", "SFFF3", "nothing was queued"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
}

#[test]
fn a_second_dispatch_and_a_dirty_repository_are_noted() {
    let sandbox = Sandbox::new("");
    let spec = "title = 'Twice'\nrepo = 'repo'\n[[tasks]]\nrun = 'true'";
    sandbox.write("a.toml", spec);
    let said = sandbox.good(&["dispatch", "a.toml"]);
    assert!(!said.err.contains("note"), "{said:?}");
    let id = said.out.split_whitespace().next().unwrap().to_owned();
    std::fs::write(sandbox.path("repo").join(tracked(&sandbox)), "changed").unwrap();
    let said = sandbox.good(&["dispatch", "a.toml", "--json"]);
    let notes = said.json()["notes"].to_string();
    assert!(notes.contains(&format!("the same spec as {id}")) && notes.contains("uncommitted changes"), "{notes}");
    sandbox.good(&["cancel", &id, said.json()["specs"][0]["id"].as_str().unwrap()]);
    let said = sandbox.good(&["dispatch", "a.toml", "a.toml", "--dry-run"]);
    assert!(said.err.contains("queued 2 times") && !said.err.contains("the same spec as"), "{said:?}");
}

/// A tracked file of the sandbox's repository.
fn tracked(sandbox: &Sandbox) -> String {
    sandbox.git("repo", &["ls-files"]).lines().next().expect("a tracked file").to_owned()
}

#[test]
fn a_backup_of_a_queue_in_use_is_private_and_can_be_opened() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch("title = 'Kept'\n[[tasks]]\nrun = 'true'");
    sandbox.good(&["wait", &id]);
    let made = sandbox.good(&["queue", "backup", "copy.db", "--json"]).json();
    assert!(made["bytes"].as_u64() > Some(0) && made["file"].as_str().unwrap().ends_with("/copy.db"), "{made}");
    assert_eq!(std::fs::metadata(sandbox.path("copy.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let said = sandbox.boi(&["queue", "backup", "copy.db"]);
    assert!(said.code == Some(1) && said.err.contains("exists"), "{said:?}");
    assert_eq!(sandbox.boi(&["queue", "backup", "nowhere/copy.db"]).code, Some(1));
    sandbox.stop_daemon(rustix::process::Signal::TERM);
    std::fs::rename(sandbox.path("boi/state"), sandbox.path("old")).unwrap();
    std::fs::create_dir(sandbox.path("boi/state")).unwrap();
    std::fs::copy(sandbox.path("copy.db"), sandbox.path("boi/state/boi.db")).unwrap();
    assert_eq!(sandbox.spec(&id)["status"], "completed");
}

#[test]
fn raw_output_is_printed_byte_for_byte() {
    let sandbox = Sandbox::new("");
    let (_, spec) = sandbox.run(
        r#"title = 'Raw'
[[tasks]]
run = '''printf 'a\033[31m\001\r\nno end' '''
"#,
    );
    let id = spec["id"].as_str().unwrap();
    assert_eq!(sandbox.good(&["log", "--raw", id]).out, "a\u{1b}[31m\u{1}\r\nno end");
    let shown = sandbox.good(&["log", id]).out;
    assert!(shown.starts_with("== ") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn the_pause_before_a_try_is_said_in_local_time_survives_a_restart_and_ends_with_an_order() {
    let mut sandbox = Sandbox::new("retry_backoff_seconds = [3000, 3600]\nretry_count = 1")
        .with_variables([("TZ", EASTERN.to_owned())]);
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!("title = 'Pause'\n[[tasks]]\nrun = 'echo x >> {}; false'", sandbox.at("tries")));
    let said = wait_for_reason(&sandbox, &id, "on try 1 of 2; the next try starts at ");
    assert!(said.ends_with('Z') && sandbox.spec(&id)["status"] == "running", "JSON stays in UTC: {said}");
    for shown in [sandbox.good(&["status"]).out, sandbox.good(&["status", &id]).out] {
        let (_, time) = shown.split_once("the next try starts in ").unwrap_or_else(|| panic!("{shown}"));
        let time = time.lines().next().unwrap();
        assert!(time.contains(" min ") && time.contains(" (") && !time.contains(['T', 'Z']), "{shown}");
        assert!(!shown.contains("UTC"), "{shown}");
    }
    sandbox.kill_daemon();
    sandbox.start_daemon();
    assert_eq!(wait_for_reason(&sandbox, &id, "on try 1 of 2"), said, "the same end of the pause");
    assert_eq!(sandbox.read("tries"), "x\n");
    sandbox.good(&["cancel", &id]);
    assert_eq!(sandbox.spec(&id)["status"], "canceled");
}

#[test]
fn a_listing_has_as_many_specs_as_its_limit() {
    let sandbox = Sandbox::new("");
    for number in 1..=4 {
        sandbox.dispatch(&format!("title = 'T{number}'\n[[tasks]]\nrun = 'true'"));
    }
    let titles = |arguments: &[&str]| {
        let status = sandbox.good(&[&["status", "--json"], arguments].concat()).json();
        status["specs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|spec| spec["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles(&["--limit", "2"]), ["T1", "T2"]);
    assert_eq!(titles(&["--limit", "2", "--offset", "3"]), ["T4"]);
    assert_eq!(titles(&[]).len(), 4);
}
