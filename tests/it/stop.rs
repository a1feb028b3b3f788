//! The daemon ends in each of its ways, and the next one continues.

use rustix::process::Signal;

use super::support::{Sandbox, lives, pid_in, wait_for};

/// A spec whose first command records each of its starts and waits at a barrier.
fn barrier(sandbox: &Sandbox) -> String {
    let at = |name: &str| sandbox.path(name).display().to_string();
    format!(
        "title = 'Barrier'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo x >> {}; echo $$ > {}; \
         while ! test -e {}; do sleep 0.02; done; echo 1 > one'''\n[[tasks]]\nrun = 'echo 2 > two'",
        at("starts"),
        at("pid"),
        at("go")
    )
}

#[test]
fn sigterm_leaves_the_command_to_the_next_daemon() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    assert!(lives(pid), "the command outlives the daemon");
    assert!(sandbox.good(&["status", "--json"]).json()["daemon"].is_null());
    sandbox.start_daemon();
    assert_eq!(sandbox.wait_for_status(&id, "running")["attempt"], 1);
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
    assert_eq!(sandbox.git("repo", &["rev-list", "--count", &format!("main..boi/{id}")]), "2");
}

#[test]
fn a_killed_daemon_loses_nothing() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    sandbox.stop_daemon(Signal::KILL);
    assert!(lives(pid), "the command outlives the daemon");
    // The command ends while no daemon runs: the next one finds out how.
    sandbox.write("go", "");
    wait_for("the command ends", || (!lives(pid)).then_some(()));
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

#[test]
fn sigint_stops_the_command_and_the_next_daemon_runs_it_again() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    assert!(sandbox.stop_daemon(Signal::INT).success());
    assert!(!lives(pid), "the command is stopped");
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    sandbox.write("go", "");
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["status"]), (&1.into(), &"completed".into()));
    assert_eq!(sandbox.git("repo", &["rev-list", "--count", &format!("main..boi/{id}")]), "2");
}

#[test]
fn cancel_works_while_no_daemon_runs() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    sandbox.good(&["cancel", &id]);
    assert!(!lives(pid), "the command is ended");
    assert_eq!(sandbox.spec(&id)["status"], "canceled");
}

#[test]
fn each_command_runs_once_although_the_daemon_is_killed_during_each() {
    let mut sandbox = Sandbox::new("");
    let starts = sandbox.path("starts").display().to_string();
    let folder = sandbox.path("").display().to_string();
    let go = |n: usize| format!("{folder}/go{n}");
    let task = |n: usize| {
        let waits = format!("until test -e {}; do sleep 0.02; done", go(n));
        format!("[[tasks]]\nrun = 'echo {n} >> {starts}; {waits}; echo {n} > f{n}'\n")
    };
    let spec = format!("title = 'Killed'\nrepo = 'repo'\n{}", (1..=8).map(task).collect::<String>());
    sandbox.start_daemon();
    let id = sandbox.dispatch(&spec);
    for begun in 1..=6 {
        let reached = |text: String| (text.lines().count() >= begun).then_some(());
        wait_for("the next task", || std::fs::read_to_string(&starts).ok().and_then(reached));
        sandbox.stop_daemon(Signal::KILL);
        sandbox.start_daemon();
        sandbox.write(&format!("go{begun}"), "");
    }
    for last in [7, 8] {
        sandbox.write(&format!("go{last}"), "");
    }
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(spec["attempt"], 1);
    assert_eq!(sandbox.read("starts"), (1..=8).map(|n| format!("{n}\n")).collect::<String>());
    assert_eq!(sandbox.git("repo", &["rev-list", "--count", &format!("main..boi/{id}")]), "8");
}

#[test]
fn ctrl_c_on_a_run_queues_its_spec_again() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.write("spec.toml", barrier(&sandbox));
    let mut pid = 0;
    let code = sandbox.interrupt(&["run", "spec.toml"], Signal::INT, || pid = pid_in(&sandbox.path("pid")));
    assert_eq!(code, Some(130));
    assert!(!lives(pid), "the command is stopped");
    let status = sandbox.good(&["status", "--json"]).json();
    assert_eq!(status["specs"][0]["status"], "queued");
    let id = status["specs"][0]["id"].as_str().unwrap().to_owned();
    sandbox.write("go", "");
    sandbox.start_daemon();
    assert_eq!(sandbox.wait_for_status(&id, "completed")["attempt"], 1);
}

#[test]
fn a_run_leaves_the_commands_of_other_specs_alone() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    let (code, own) = sandbox.run("title = 'Own'\n[[tasks]]\nrun = 'true'");
    assert_eq!((code, own["status"].as_str()), (Some(0), Some("completed")), "{own:#}");
    assert!(lives(pid), "the other spec's command still runs");
    assert_eq!(sandbox.spec(&id)["status"], "running");
    sandbox.write("go", "");
    sandbox.start_daemon();
    assert_eq!(sandbox.wait_for_status(&id, "completed")["attempt"], 1);
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

#[test]
fn a_supervisor_that_is_killed_from_outside_costs_no_try() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1\nretry_count = 0");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    pid_in(&sandbox.path("pid"));
    let started: serde_json::Value =
        serde_json::from_str(&sandbox.read(&format!("boi/attempts/{id}/1/command-1/started"))).unwrap();
    let supervisor = i32::try_from(started["supervisor"]["pid"].as_i64().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(supervisor).unwrap(), Signal::TERM).unwrap();
    wait_for("the command runs again", || (sandbox.read("starts") == "x\nx\n").then_some(()));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
}

#[test]
fn cancel_ends_the_command_even_when_nothing_can_be_recorded() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    // As on a full disk, SQLite cannot create a file that it needs, so nothing can be recorded. A daemon that ended while
    // it answered a request may have left that file.
    std::fs::remove_file(sandbox.path("boi/state/boi.db-shm")).ok();
    std::fs::create_dir(sandbox.path("boi/state/boi.db-shm")).unwrap();
    let said = sandbox.boi(&["cancel", &id]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains(&format!("the processes of {id} have ended, but the queue could not record")),
        "{said:?}"
    );
    assert!(!lives(pid), "the command is ended");
    std::fs::remove_dir(sandbox.path("boi/state/boi.db-shm")).unwrap();
    sandbox.good(&["cancel", &id]);
    assert_eq!(sandbox.spec(&id)["status"], "canceled");
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

/// Whether a command continues is a matter of timing: each of the 16 has its chance.
#[test]
fn a_command_that_is_ended_does_nothing_more() {
    let mut sandbox = Sandbox::new("max_workers = 16\nspawn_jitter_ms = [0, 0]\nstop_grace_seconds = 1\n");
    sandbox.start_daemon();
    let at = |name: &str| sandbox.path(name).display().to_string();
    let spec =
        format!("title = 'Go on'\n[[tasks]]\nrun = 'echo x >> {}; sleep 1000; echo x >> {}'", at("starts"), at("ends"));
    let ids: Vec<String> = (0..16).map(|_| sandbox.dispatch(&spec)).collect();
    let started = |count| {
        let lines = || std::fs::read_to_string(sandbox.path("starts")).unwrap_or_default().lines().count();
        wait_for("all have started", || (lines() == count).then_some(()));
    };
    started(16);
    for id in &ids[..8] {
        sandbox.good(&["cancel", id]);
    }
    for id in &ids[..8] {
        sandbox.wait_for_status(id, "canceled");
    }
    assert!(sandbox.stop_daemon(Signal::INT).success());
    assert!(!sandbox.exists("ends"), "{}", sandbox.read("ends"));
}

#[test]
fn a_sigterm_handler_gets_the_grace_and_processes_outside_the_session_end_after_it() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 2\n");
    let at = |name: &str| sandbox.path(name).display().to_string();
    let deaf =
        format!("setsid sh -c \"trap '' TERM; echo \\$\\$ >> {}; sleep 1000; echo x >> {}\"", at("pids"), at("ends"));
    let id = sandbox.dispatch(&format!(
        "title = 'Grace'\n[[tasks]]\nrun = '''trap \"echo asked >> {0}; sleep 0.3; echo cleaned >> {0}; exit\" TERM\n\
         ({deaf} &)\n{deaf} &\nsleep 1000 & wait'''",
        at("noted"),
    ));
    sandbox.start_daemon();
    let pids = wait_for("both processes run", || {
        let text = std::fs::read_to_string(sandbox.path("pids")).ok()?;
        let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() == 2).then_some(pids)
    });
    sandbox.good(&["cancel", &id]);
    sandbox.wait_for_status(&id, "canceled");
    assert_eq!(sandbox.read("noted"), "asked\ncleaned\n");
    assert!(!pids.into_iter().any(lives), "a process is left");
    assert!(!sandbox.exists("ends"));
}
