//! Supervisors and commands are killed while the daemon lives. The daemon notices it, ends the processes that are left,
//! keeps the work, and runs the command again after a pause, until the tries are used up.

use super::support::{Sandbox, lives, pid_in, wait_for};

fn lines(sandbox: &Sandbox, name: &str) -> usize {
    std::fs::read_to_string(sandbox.path(name)).unwrap_or_default().lines().count()
}

/// A spec whose command kills its supervisor in each try, and leaves a process in a session of its own.
fn poison(sandbox: &Sandbox) -> String {
    format!(
        "title = 'Poison'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo part >> part; setsid sleep 1000 & \
         echo $! >> {}; echo $$ >> {}; echo x >> {}; kill -9 $PPID; sleep 1000'''",
        sandbox.at("pids"),
        sandbox.at("pids"),
        sandbox.at("starts")
    )
}

#[track_caller]
fn assert_failed(sandbox: &Sandbox, spec: &serde_json::Value, tries: u64) {
    assert_eq!((&spec["status"], &spec["tasks"][0]["tries"]), (&"failed".into(), &tries.into()), "{spec:#}");
    let reason = spec["reason"].as_str().unwrap();
    let id = spec["id"].as_str().unwrap();
    for part in
        ["killed together with its supervisor", &format!("on try {tries} of {tries}."), &format!("`boi retry {id}`")]
    {
        assert!(reason.contains(part), "no `{part}` in {reason}");
    }
    assert_eq!(lines(sandbox, "starts") as u64, tries);
    for pid in sandbox.read("pids").lines() {
        assert!(!lives(pid.parse().unwrap()), "process {pid} is left");
    }
    let part = format!("boi/worktrees/{}/part", spec["id"].as_str().unwrap());
    assert_eq!(lines(sandbox, &part) as u64, tries, "each try continues the work of the one before");
}

#[test]
fn a_command_that_always_kills_its_supervisor_fails_its_spec_after_the_last_try() {
    let sandbox = Sandbox::new("retry_count = 2\nstop_grace_seconds = 1\n");
    let (code, spec) = sandbox.run(&poison(&sandbox));
    assert_eq!(code, Some(1));
    assert_failed(&sandbox, &spec, 3);
}

#[test]
fn a_command_that_always_kills_its_supervisor_fails_its_spec_though_the_daemon_dies_too() {
    let mut sandbox = Sandbox::new("retry_count = 2\nstop_grace_seconds = 1\n");
    let id = sandbox.dispatch(&poison(&sandbox));
    sandbox.begin_daemon();
    for starts in 1..=3 {
        wait_for("the next try", || (lines(&sandbox, "starts") >= starts).then_some(()));
        sandbox.kill_daemon();
        sandbox.start_daemon();
    }
    let spec = sandbox.wait_for_status(&id, "failed");
    assert_failed(&sandbox, &spec, 3);
}

#[test]
fn an_adopted_command_whose_supervisor_dies_costs_one_try_and_keeps_its_work() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1\n");
    let id = sandbox.dispatch(&format!(
        "title = 'Orphan'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo x >> part; test -e {} && exit 0; echo $PPID > {}; \
         echo $$ > {}; sleep 1000'''",
        sandbox.at("go"),
        sandbox.at("supervisor"),
        sandbox.at("pid")
    ));
    sandbox.start_daemon();
    let pid = pid_in(&sandbox.path("pid"));
    sandbox.kill_daemon();
    sandbox.start_daemon();
    wait_for("the command is adopted", || sandbox.read("daemon.err").contains("adopted").then_some(()));
    sandbox.write("go", "");
    let supervisor = pid_in(&sandbox.path("supervisor"));
    let supervisor = rustix::process::Pid::from_raw(supervisor).unwrap();
    rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
    let spec = sandbox.wait_for_status(&id, "completed");
    assert!(!lives(pid), "the process that was left is ended");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &2.into()), "{spec:#}");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{id}:part")]), "x\nx", "the work of the first try is kept");
}

#[test]
fn a_verify_command_whose_supervisor_dies_runs_again_without_its_task() {
    let sandbox = Sandbox::new("stop_grace_seconds = 1\n");
    let verify = |name: &str| {
        format!(
            "echo x >> {0}; test -e {0}.died && exit 0; touch {0}.died; kill -9 $PPID; sleep 1000",
            sandbox.at(name)
        )
    };
    let (code, spec) = sandbox.run(&format!(
        "title = 'Verify'\nrepo = 'repo'\nverify = ['{}']\n[[tasks]]\nrun = 'echo x >> {}; echo 1 > one'\nverify = ['{}']",
        verify("last"),
        sandbox.at("acts"),
        verify("checks")
    ));
    assert_eq!(
        (code, &spec["status"], &spec["tasks"][0]["tries"]),
        (Some(0), &"completed".into(), &1.into()),
        "{spec:#}"
    );
    assert_eq!(["acts", "checks", "last"].map(|name| lines(&sandbox, name)), [1, 2, 2]);
}

#[test]
fn a_verify_command_that_always_kills_its_supervisor_fails_its_spec() {
    let sandbox = Sandbox::new("retry_count = 1\nstop_grace_seconds = 1\n");
    let checks = sandbox.at("checks");
    let verify = format!("verify = ['echo x >> {checks}; kill -9 $PPID; sleep 1000']");
    for (spec, begins) in [
        (format!("title = 'V'\n[[tasks]]\nrun = 'true'\n{verify}"), "task t-1: the verify command failed"),
        (
            format!("title = 'V'\n{verify}\n[[tasks]]\nrun = 'true'"),
            "verification of the whole spec: the verify command failed",
        ),
    ] {
        let (code, spec) = sandbox.run(&spec);
        let reason = spec["reason"].as_str().unwrap();
        assert_eq!((code, &spec["tasks"][0]["tries"]), (Some(1), &1.into()), "{spec:#}");
        assert!(reason.starts_with(begins) && reason.contains("killed together with its supervisor"), "{reason}");
    }
    assert_eq!(lines(&sandbox, "checks"), 4);
}

#[test]
fn a_command_that_dies_of_a_signal_is_tried_again_with_its_work() {
    let sandbox = Sandbox::new("stop_grace_seconds = 1\n");
    let died = sandbox.at("died");
    let (code, spec) = sandbox.run(&format!(
        "title = 'Killed'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo x >> part; test -e {died} && exit 0; touch {died}; kill -9 $$'"
    ));
    let id = spec["id"].as_str().unwrap();
    assert_eq!((code, &spec["tasks"][0]["tries"]), (Some(0), &2.into()), "{spec:#}");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{id}:part")]), "x\nx");
}
