//! `boi run` follows its specs: what it reports while they wait, when it is interrupted, and at the end.

use rustix::process::Signal;

use super::support::{Begun, Sandbox, pid_in, wait_for};

#[track_caller]
fn wait_for_stderr(run: &Begun, words: &str) {
    wait_for(&format!("`{words}`"), || run.err().contains(words).then_some(()));
}

/// A spec whose command ignores TERM and waits for a file.
fn stubborn(sandbox: &Sandbox) -> String {
    let at = |name: &str| sandbox.path(name).display().to_string();
    format!(
        "title = 'Stubborn'\nrepo = 'repo'\n[[tasks]]\nrun = '''trap \"\" TERM; echo $$ > {}; \
         while ! test -e {}; do sleep 0.02; done'''",
        at("pid"),
        at("go")
    )
}

#[test]
fn the_second_ctrl_c_reports_that_the_commands_got_sigterm() {
    let sandbox = Sandbox::new("stop_grace_seconds = 60");
    sandbox.write("spec.toml", stubborn(&sandbox));
    let run = sandbox.begin(&["run", "spec.toml"]);
    pid_in(&sandbox.path("pid"));
    run.signal(Signal::INT);
    wait_for_stderr(&run, "again to exit without waiting");
    assert!(run.err().contains("stopping S"), "{}", run.err());
    run.signal(Signal::INT);
    let said = run.end();
    assert_eq!(said.code, Some(130), "{said:?}");
    assert!(
        said.err.contains("stopping: S") && said.err.contains("got SIGTERM") && !said.err.contains("left running"),
        "{said:?}"
    );
    sandbox.write("go", "");
}

#[test]
fn specs_that_never_started_are_not_reported_as_stopped() {
    let sandbox = Sandbox::new("max_workers = 1\nstop_grace_seconds = 1");
    let at = |name: &str| sandbox.path(name).display().to_string();
    let waits = format!("echo $$ > {}; while ! test -e {}; do sleep 0.02; done", at("pid"), at("go"));
    for name in ["a", "b"] {
        sandbox.write(&format!("{name}.toml"), format!("title = '{name}'\n[[tasks]]\nrun = '''{waits}'''"));
    }
    let run = sandbox.begin(&["run", "a.toml", "b.toml"]);
    pid_in(&sandbox.path("pid"));
    run.signal(Signal::INT);
    let said = run.end();
    assert_eq!(said.code, Some(130), "{said:?}");
    for words in ["stopped and queued again: S", "not started, still queued: S", "runs the whole queue"] {
        assert!(said.err.contains(words), "no `{words}` in {said:?}");
    }
}

#[test]
fn a_waiting_run_reports_the_obstacle() {
    let mut sandbox = Sandbox::new("");
    sandbox.write("spec.toml", "title = 'Waits'\nrepo = 'repo'\n[[tasks]]\nrun = 'true'");
    sandbox.good(&["pause"]);
    let run = sandbox.begin(&["run", "spec.toml"]);
    wait_for_stderr(&run, "`boi resume`");
    sandbox.good(&["resume"]);
    assert_eq!(run.end().code, Some(0));

    sandbox.start_daemon();
    sandbox.write("repo/a.txt", "mine\n");
    let merges = sandbox
        .dispatch("title = 'M'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n[[tasks]]\nrun = 'echo 2 > a.txt'");
    sandbox.wait_for_status(&merges, "completed");
    sandbox.write("after.toml", format!("title = 'After'\nafter = ['{merges}']\n[[tasks]]\nrun = 'true'"));
    let run = sandbox.begin(&["run", "after.toml"]);
    wait_for_stderr(&run, &format!("`boi retry {merges}`"));
    sandbox.git("repo", &["checkout", "-q", "a.txt"]);
    sandbox.good(&["retry", &merges]);
    assert_eq!(run.end().code, Some(0));
}

#[test]
fn zero_workers_are_reported_as_the_obstacle() {
    let sandbox = Sandbox::new("max_workers = 0\nstop_grace_seconds = 1");
    sandbox.write("spec.toml", "title = 'Waits'\n[[tasks]]\nrun = 'true'");
    let run = sandbox.begin(&["run", "spec.toml"]);
    wait_for_stderr(&run, "`max_workers` is 0");
    assert!(sandbox.good(&["status"]).out.contains("workers: 0/0, no specs are started: `max_workers` is 0"));
    run.signal(Signal::INT);
    assert_eq!(run.end().code, Some(130));
}

#[test]
fn a_run_continues_with_the_next_daemon() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    sandbox.write("spec.toml", stubborn(&sandbox));
    let run = sandbox.begin(&["run", "spec.toml"]);
    pid_in(&sandbox.path("pid"));
    let status = sandbox.good(&["status"]).out;
    let row = status.lines().find(|line| line.contains("Stubborn")).unwrap();
    assert!(row.contains(" for ") && !row.contains("ago"), "{row}");
    sandbox.stop_daemon(Signal::KILL);
    wait_for_stderr(&run, "waiting up to 60 s for a daemon");
    sandbox.start_daemon();
    sandbox.write("go", "");
    assert_eq!(run.end().code, Some(0));
}

#[test]
fn an_unmerged_spec_is_reported_with_the_next_step() {
    let sandbox = Sandbox::new("");
    sandbox.write("repo/n.txt", "mine\n");
    sandbox.write(
        "spec.toml",
        "title = 'M'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n[[tasks]]\nrun = 'echo 2 > n.txt'",
    );
    let said = sandbox.boi(&["run", "spec.toml"]);
    let id = sandbox.good(&["status", "--json"]).json()["specs"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(said.code, Some(1), "{said:?}");
    let words = ["completed, unmerged", &format!("boi retry {id}"), "n.txt"];
    assert!(words.iter().all(|word| said.out.contains(word)), "{said:?}");
    let lines: Vec<&str> = said.out.lines().skip(1).collect();
    assert!(lines.iter().all(|line| line.starts_with("  ")), "the output of git is on one line: {said:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("n.txt")).count(), 1, "{said:?}");
}

#[test]
fn a_merge_without_commits_is_reported() {
    let sandbox = Sandbox::new("");
    sandbox.write("spec.toml", "title = 'M'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n[[tasks]]\nrun = 'true'");
    assert!(sandbox.good(&["run", "spec.toml"]).out.contains("there was nothing to merge"));
}

#[test]
fn a_reason_names_the_spec_to_retry() {
    let sandbox = Sandbox::new("retry_count = 0");
    let (_, spec) = sandbox.run("title = 'Exit'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@exit 3@@'");
    let id = spec["id"].as_str().unwrap();
    let reason = spec["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("boi retry {id}")) && !reason.contains("retry ID"), "{reason}");
    assert!(!sandbox.good(&["status", id]).out.contains("retry ID"));
}
