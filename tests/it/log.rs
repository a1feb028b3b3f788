//! `boi log` and `boi status --watch`: the output of commands, also while it is followed.

use rustix::process::Signal;

use super::support::{Sandbox, pid_in, wait_for};

#[test]
fn an_unknown_task_or_try_is_reported_with_the_known_ones() {
    let sandbox = Sandbox::new("retry_count = 1\nretry_backoff_seconds = [0, 0]");
    let (_, spec) = sandbox.run(
        "title = 'Two'\nrepo = 'repo'\n[[tasks]]\nid = 'x'\nrun = 'echo tried; exit 1'\n[[tasks]]\nid = 'y'\nrun = 'true'",
    );
    let id = spec["id"].as_str().unwrap();
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--try", "7"], &["there is no try 7", "x (try 1, 2)"]),
        (&["--task", "x", "--try", "3"], &["there is no try 3 of task `x`", "x (try 1, 2)"]),
        (&["--task", "y"], &["no try of task `y`", "skipped", "x (try 1, 2)"]),
        (&["--task", "z"], &["has no task `z`", "x, y"]),
    ];
    for (arguments, parts) in cases {
        let said = sandbox.boi(&[&["log", id], arguments].concat());
        assert_eq!(said.code, Some(2), "{arguments:?}: {said:?}");
        assert!(parts.iter().all(|part| said.err.contains(part)), "{arguments:?}: {said:?}");
    }
    assert_eq!(sandbox.good(&["log", id, "--try", "2"]).out.lines().filter(|line| *line == "tried").count(), 1);
    sandbox.good(&["clean", id]);
    let said = sandbox.boi(&["log", id]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("was removed by `boi clean`"), "{said:?}");
}

#[test]
fn a_command_that_never_started_is_not_said_to_be_cleaned() {
    let sandbox = Sandbox::new("");
    let (_, spec) = sandbox.run("title = 'Early'\nrepo = 'repo'\n[[tasks]]\nrun = 'true'");
    let id = spec["id"].as_str().unwrap();
    // A spec that is canceled while its command is being started has the folder of the attempt only.
    std::fs::remove_dir_all(sandbox.path(&format!("boi/attempts/{id}/1/command-1"))).unwrap();
    let said = sandbox.good(&["log", id]);
    assert!(said.out.ends_with("\n(ended before it started)\n"), "{said:?}");
}

#[test]
fn a_command_without_output_is_shown_as_such() {
    let sandbox = Sandbox::new("");
    let (_, spec) = sandbox.run("title = 'Quiet'\nrepo = 'repo'\n[[tasks]]\nrun = 'true'");
    assert!(sandbox.good(&["log", spec["id"].as_str().unwrap()]).out.contains("(no output)"));
}

#[test]
fn a_line_of_megabytes_is_shown_whole() {
    let sandbox = Sandbox::new("");
    let run = r"yes €ä | head -n 700000 | tr -d '\n'";
    let (code, spec) = sandbox
        .run(&format!("title = 'Long'\nrepo = 'repo'\n[[tasks]]\nrun = \"\"\"{}\"\"\"", run.replace('\\', "\\\\")));
    assert_eq!(code, Some(0), "{spec:#}");
    let out = sandbox.good(&["log", spec["id"].as_str().unwrap()]).out;
    assert_eq!(out.lines().nth(1).unwrap().matches("€ä").count(), 700_000);
    assert!(out.ends_with("€ä\n") && out.lines().count() == 2 && !out.contains('\u{fffd}'));
}

#[test]
fn following_continues_after_the_daemon_ends_and_loses_no_line() {
    let sandbox = Sandbox::new("");
    let at = |name: &str| sandbox.path(name).display().to_string();
    sandbox.write(
        "spec.toml",
        format!(
            "title = 'Followed'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo first; echo $$ > {}; \
             while ! test -e {}; do sleep 0.02; done; echo last'''",
            at("pid"),
            at("go")
        ),
    );
    let run = sandbox.begin(&["run", "--json", "spec.toml"]);
    pid_in(&sandbox.path("pid"));
    let id = sandbox.good(&["status", "--json"]).json()["specs"][0]["id"].as_str().unwrap().to_owned();
    let log = sandbox.begin(&["log", "-f", &id]);
    wait_for("the first line", || log.out().contains("first").then_some(()));
    sandbox.write("go", "");
    assert_eq!(run.end().code, Some(0));
    let said = log.end();
    let printed: Vec<&str> = said.out.lines().filter(|line| !line.starts_with("==")).collect();
    assert_eq!((said.code, printed), (Some(0), vec!["first", "last"]), "{said:?}");
}

#[test]
fn watching_reports_that_the_daemon_went_away_and_continues_with_the_next() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let watch = sandbox.begin(&["status", "--watch"]);
    wait_for("the first status", || watch.out().contains("daemon: pid").then_some(()));
    let first = watch.out().lines().next().unwrap_or_default().to_owned();
    assert!(first.contains(", up for ") && first.ends_with(" s"), "{first}");
    sandbox.stop_daemon(Signal::TERM);
    wait_for("the report of its end", || watch.err().contains("the daemon has ended").then_some(()));
    sandbox.start_daemon();
    wait_for("the next daemon", || (watch.out().matches("daemon: pid").count() > 1).then_some(()));
    sandbox.stop_daemon(Signal::KILL);
    let said = watch.end();
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("no daemon runs any more") && !said.err.contains("connection"), "{said:?}");
}
