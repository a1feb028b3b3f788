//! The daemon in the background: start, status, restart under running workers, stop, service.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use super::support::{Sandbox, lives, pid_in, wait_for, wait_until_open};

const SLOW: &str = "run = 'echo $PPID > pid-$BOI_SPEC; echo $$ > self-$BOI_SPEC; until test -e ../../../go; do sleep 0.02; done; echo once >> ran'";

/// Dispatches a spec that runs until `go` exists; its id and the pid of its command.
fn slow(sandbox: &Sandbox) -> (String, i32) {
    let id = sandbox.dispatch(&format!("title = 'Slow'\n[[tasks]]\n{SLOW}"));
    let pid = pid_in(&sandbox.path(&format!("boi/worktrees/{id}/self-{id}")));
    (id, pid)
}

#[test]
fn it_starts_once_reports_its_status_and_stops() {
    let sandbox = Sandbox::new("max_workers = 2");
    assert_eq!(sandbox.boi(&["daemon", "status"]).code, Some(3));
    let started = sandbox.background(&["daemon", "start", "--json"]).json();
    let pid = started["daemon"]["pid"].as_u64().expect("a pid");
    let again = sandbox.good(&["daemon", "start", "--json"]).json();
    assert_eq!(again["daemon"]["pid"].as_u64(), Some(pid), "one daemon");
    let said = sandbox.good(&["daemon", "status"]).out;
    assert!(
        said.contains(&format!("pid {pid}")) && said.contains("workers: 0/2") && said.contains("daemon.log"),
        "{said}"
    );
    assert_eq!(sandbox.boi(&["daemon", "run", "--foreground"]).code, Some(1), "a second one is refused");
    let stopped = sandbox.good(&["daemon", "stop"]).out;
    assert!(stopped.contains(&format!("daemon (pid {pid}) ended")), "{stopped}");
    assert!(!lives(i32::try_from(pid).unwrap()));
    assert_eq!(sandbox.read("boi/pids/daemon.pid"), "", "emptied");
    assert!(sandbox.good(&["daemon", "stop"]).out.contains("no daemon runs"));
}

#[test]
fn a_restart_harms_no_worker() {
    let sandbox = Sandbox::new("");
    sandbox.background(&["daemon", "start", "-c", "max_workers=2", "-c", "claude_args=[\"a b\"]"]);
    let (id, pid) = slow(&sandbox);
    let before = sandbox.good(&["daemon", "status", "--json"]).json()["daemon"]["pid"].as_u64();
    let after = sandbox.good(&["daemon", "restart", "--json"]).json()["daemon"]["pid"].as_u64();
    assert_ne!(before, after);
    let status = sandbox.good(&["daemon", "status", "--json"]).json();
    assert_eq!(status["slots"]["max_workers"], 2, "keys set by `-c` stay set");
    assert_eq!(status["config"]["flags"].as_array().map(Vec::len), Some(2), "{status}");
    assert!(lives(pid), "the command lives on");
    let spec = sandbox.spec(&id);
    assert_eq!((spec["status"].as_str(), spec["attempt"].as_u64()), (Some("running"), Some(1)));
    sandbox.write("go", "");
    let ended = sandbox.wait_for_status(&id, "completed");
    assert_eq!(ended["tasks"][0]["tries"], 1);
    assert_eq!(sandbox.read(&format!("boi/worktrees/{id}/ran")), "once\n");
}

#[test]
fn a_restart_by_another_path_of_the_home_takes_over_what_runs() {
    let sandbox = Sandbox::new("").by_the_other_name();
    let before = sandbox.background(&["daemon", "start", "--json"]).json()["daemon"]["pid"].as_u64();
    let (id, pid) = slow(&sandbox);
    let sandbox = sandbox.by_the_other_name();
    let after = sandbox.background(&["daemon", "restart", "--json"]).json()["daemon"]["pid"].as_u64();
    assert_ne!(before, after);
    assert!(lives(pid), "the command lives on");
    sandbox.write("go", "");
    sandbox.wait_for_status(&id, "completed");
    assert_eq!(sandbox.read(&format!("boi/worktrees/{id}/ran")), "once\n");
}

#[test]
fn stop_ends_the_workers_and_their_specs_continue_later() {
    let sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.background(&["daemon", "start"]);
    let (id, pid) = slow(&sandbox);
    let said = sandbox.good(&["daemon", "stop", "--json"]).json();
    assert_eq!(said["stopped"][0].as_str(), Some(id.as_str()), "{said}");
    wait_for("the command ends", || (!lives(pid)).then_some(()));
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    sandbox.write("go", "");
    sandbox.background(&["daemon", "start"]);
    let ended = sandbox.wait_for_status(&id, "completed");
    assert_eq!((ended["attempt"].as_u64(), ended["tasks"][0]["tries"].as_u64()), (Some(1), Some(1)), "{ended:#}");
}

#[test]
fn stop_ends_what_a_dead_daemon_left() {
    let sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.background(&["daemon", "start"]);
    let (id, pid) = slow(&sandbox);
    let daemon = pid_in(&sandbox.path("boi/pids/daemon.pid"));
    kill_process(Pid::from_raw(daemon).unwrap(), Signal::KILL).unwrap();
    wait_for("the daemon ends", || (!lives(daemon)).then_some(()));
    assert!(lives(pid));
    let said = sandbox.good(&["daemon", "stop", "--json"]).json();
    assert_eq!(said["stopped"][0].as_str(), Some(id.as_str()), "{said}");
    assert!(!lives(pid));
}

#[test]
fn drain_lets_what_runs_finish_and_starts_nothing_new() {
    let sandbox = Sandbox::new("max_workers = 1");
    sandbox.background(&["daemon", "start"]);
    let (first, pid) = slow(&sandbox);
    let second = sandbox.dispatch("title = 'Waits'\n[[tasks]]\nrun = 'true'");
    let drain = sandbox.begin(&["daemon", "stop", "--drain"]);
    wait_for("it drains", || sandbox.read("boi/logs/daemon.log").contains("the daemon drains").then_some(()));
    drain.signal(Signal::TERM);
    assert_ne!(drain.end().code, Some(0));
    assert!(lives(pid));
    assert_eq!(sandbox.good(&["status", "--json"]).json()["daemon"]["draining"], true);
    for asked in [&["status"][..], &["daemon", "status"]] {
        let said = sandbox.good(asked).out;
        assert!(said.contains("draining: it starts no specs"), "{said}");
    }
    sandbox.write("late.toml", "title = 'Late'\n[[tasks]]\nrun = 'true'");
    let said = sandbox.good(&["dispatch", "late.toml"]).err;
    assert!(said.contains("is draining and ends"), "{said}");
    let drain = sandbox.begin(&["daemon", "stop", "--drain"]);
    wait_for("it waits", || drain.err().contains("waiting for").then_some(()));
    sandbox.write("go", "");
    assert_eq!(drain.end().code, Some(0));
    assert_eq!(sandbox.spec(&first)["status"], "completed");
    assert_eq!(sandbox.spec(&second)["status"], "queued");
}

#[test]
fn a_drain_that_a_restart_ends_names_the_next_daemon() {
    let sandbox = Sandbox::new("");
    sandbox.background(&["daemon", "start"]);
    let (id, command) = slow(&sandbox);
    let drain = sandbox.begin(&["daemon", "stop", "--drain"]);
    wait_for("it drains", || drain.err().contains("waiting for 1 worker").then_some(()));
    let next = sandbox.good(&["daemon", "restart", "--json"]).json()["daemon"]["pid"].as_u64().unwrap();
    let said = drain.end();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("some workers still run") && said.out.contains(&format!("still running: {id}")),
        "{said:?}"
    );
    assert!(said.err.contains(&format!("another daemon (pid {next}) took the running specs over")), "{said:?}");
    assert!(lives(command));
    sandbox.write("go", "");
    sandbox.wait_for_status(&id, "completed");
}

#[test]
fn neither_a_daemon_nor_a_command_inherits_open_files_of_the_caller() {
    let sandbox = Sandbox::new("");
    let caller = format!("exec 7>{}; exec \"$0\" daemon start", sandbox.path("lock").display());
    let mut starts = sandbox.begin_wrapped(&["sh", "-c", &caller]).unwrap();
    assert!(starts.wait().unwrap().success());
    // It runs already; from now on the sandbox ends it.
    sandbox.background(&["daemon", "start"]);
    let (_, command) = slow(&sandbox);
    let daemon = sandbox.read("boi/pids/daemon.pid").trim().to_owned();
    for pid in [daemon, command.to_string()] {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        // A file that was closed in between is not the caller's.
        let open: Vec<PathBuf> = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
        assert!(!open.is_empty() && !open.contains(&sandbox.path("lock")), "{open:?}");
    }
}

#[test]
fn no_daemon_starts_inside_a_task_of_its_own_home() {
    let sandbox = Sandbox::new("max_workers = 1");
    sandbox.background(&["daemon", "start"]);
    let daemon = pid_in(&sandbox.path("boi/pids/daemon.pid"));
    let boi = env!("CARGO_BIN_EXE_boi");
    let at = |name: &str| sandbox.path(name).display().to_string();
    let id = sandbox.dispatch(&format!(
        "title = 'Within'\n[[tasks]]\nrun = '''{boi} daemon restart 2> {}; {boi} daemon run --foreground 2> {}; \
         BOI_HOME={} {boi} daemon status > {}; true'''",
        at("restart"),
        at("run"),
        at("other"),
        at("status"),
    ));
    sandbox.wait_for_status(&id, "completed");
    for said in ["restart", "run"] {
        assert!(sandbox.read(said).contains("would end with the task"), "{said}: {}", sandbox.read(said));
    }
    assert_eq!(pid_in(&sandbox.path("boi/pids/daemon.pid")), daemon);
    assert!(lives(daemon));
}

#[test]
fn a_relative_home_is_refused_and_its_absolute_path_is_named() {
    let sandbox = Sandbox::new("");
    let absolute = sandbox.path("relative").canonicalize().unwrap_or(sandbox.path("relative")).display().to_string();
    let sandbox = sandbox.with_variables([("BOI_HOME", "relative".to_owned())]);
    for arguments in [&["status"][..], &["daemon", "start"], &["doctor"]] {
        let said = sandbox.boi(arguments);
        assert!(said.code == Some(1) && said.err.contains("relative path") && said.err.contains(&absolute), "{said:?}");
    }
    assert!(!sandbox.exists("relative"), "nothing is created");
}

#[test]
fn of_many_daemons_started_at_once_one_runs_and_every_start_reports_it() {
    let sandbox = Sandbox::new("");
    sandbox.background(&["daemon", "start"]);
    sandbox.good(&["daemon", "stop"]);
    let begun: Vec<_> = (0..16).map(|_| sandbox.begin(&["daemon", "start"])).collect();
    let said: Vec<_> = begun.into_iter().map(super::support::Begun::end).collect();
    let daemon = pid_in(&sandbox.path("boi/pids/daemon.pid"));
    for said in &said {
        assert!(said.code == Some(0) && said.out.contains(&format!("pid {daemon}")), "{said:?}");
    }
    assert_eq!(said.iter().filter(|said| said.out.contains("daemon started")).count(), 1, "{said:?}");
}

#[test]
fn many_restarts_at_once_all_succeed_and_leave_one_daemon() {
    let sandbox = Sandbox::new("");
    sandbox.background(&["daemon", "start"]);
    let (id, command) = slow(&sandbox);
    let restarts: Vec<_> = (0..8).map(|_| sandbox.begin(&["daemon", "restart"])).collect();
    for restart in restarts {
        let said = restart.end();
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    assert!(lives(command));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read(&format!("boi/worktrees/{id}/ran")), "once\n");
}

#[test]
fn a_dispatch_during_a_restart_succeeds() {
    let sandbox = Sandbox::new("max_workers = 1");
    sandbox.write("quick.toml", "title = 'Quick'\n[[tasks]]\nrun = 'true'");
    sandbox.background(&["daemon", "start"]);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let restart = sandbox.begin(&["daemon", "restart"]);
        let dispatches: Vec<_> = (0..4).map(|_| sandbox.begin(&["dispatch", "--json", "quick.toml"])).collect();
        for begun in dispatches {
            let said = begun.end();
            assert_eq!(said.code, Some(0), "{said:?}");
            ids.push(said.json()["specs"][0]["id"].as_str().unwrap().to_owned());
        }
        let said = restart.end();
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    for id in ids {
        sandbox.wait_for_status(&id, "completed");
    }
}

#[test]
fn a_daemon_that_cannot_start_reports_why() {
    let sandbox = Sandbox::new("max_wokers = 1");
    let said = sandbox.boi(&["daemon", "start"]);
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(said.err.contains("max_wokers") && said.err.contains("max_workers"), "{said:?}");
    assert_eq!(sandbox.boi(&["daemon", "status"]).code, Some(3));
}

#[test]
fn another_database_is_refused_while_the_old_one_has_specs() {
    let sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.background(&["daemon", "start"]);
    let before = sandbox.good(&["daemon", "status", "--json"]).json()["daemon"]["pid"].clone();
    let (id, pid) = slow(&sandbox);
    sandbox.write("boi/config.toml", "stop_grace_seconds = 1\npaths.db = 'q/other.db'");
    let said = sandbox.boi(&["daemon", "restart"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in
        ["boi/state/boi.db", "boi/q/other.db", "1 running", "0 queued", "set `paths.db` back to its former value"]
    {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    assert_eq!(sandbox.good(&["daemon", "status", "--json"]).json()["daemon"]["pid"], before);
    assert!(lives(pid) && !sandbox.exists("boi/q/other.db"));
    let said = sandbox.good(&["daemon", "stop", "--json"]).json();
    assert_eq!(said["stopped"][0].as_str(), Some(id.as_str()), "{said}");
    // Every way to start a daemon is refused, also after a command has written to the new queue.
    sandbox.write("b.toml", "title = 'B'\n[[tasks]]\nrun = 'true'");
    let recorded = sandbox.read("boi/state/queue-at");
    for arguments in [
        &["daemon", "start"][..],
        &["daemon", "run", "--foreground"],
        &["dispatch", "b.toml"],
        &["daemon", "run", "--foreground"],
        &["run", "b.toml"],
    ] {
        let said = sandbox.boi(arguments);
        assert_eq!(sandbox.read("boi/state/queue-at"), recorded);
        if arguments[0] == "dispatch" {
            assert_eq!(said.code, Some(0), "{said:?}");
            continue;
        }
        assert_eq!(said.code, Some(1), "{said:?}");
        for part in ["the last daemon left 0 running and 1 queued spec in", "set `paths.db` back to its former value"] {
            assert!(said.err.contains(part), "{part}: {said:?}");
        }
        assert_eq!(sandbox.read("boi/pids/daemon.pid"), "", "it ended cleanly");
    }
    sandbox.write("boi/config.toml", "");
    sandbox.good(&["cancel", &id]);
    sandbox.write("boi/config.toml", "paths.db = 'q/other.db'");
    sandbox.background(&["daemon", "start"]);
    assert!(sandbox.exists("boi/q/other.db"));
}

#[test]
fn a_restart_that_cannot_work_leaves_the_daemon_running() {
    let sandbox = Sandbox::new("");
    sandbox.background(&["daemon", "start"]);
    let before = sandbox.good(&["daemon", "status", "--json"]).json()["daemon"]["pid"].clone();
    sandbox.write("file", "");
    let at_file = format!("paths.db = '{}'", sandbox.path("file/boi.db").display());
    let empty = format!("paths.db = '{}'", sandbox.path("file").display());
    for (config, code, part) in
        [("max_wokers = 1", 78, "max_workers"), (&at_file, 1, "file"), (&empty, 1, "the file is empty")]
    {
        sandbox.write("boi/config.toml", config);
        std::fs::remove_file(sandbox.path("boi/state/last-good.toml")).ok();
        let said = sandbox.boi(&["daemon", "restart"]);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.err.contains(part) && said.err.contains("keeps running"), "{said:?}");
        assert!(!said.err.contains("INFO") && !said.err.contains("ended at once"), "{said:?}");
        assert_eq!(sandbox.good(&["daemon", "status", "--json"]).json()["daemon"]["pid"], before);
    }
    sandbox.write("boi/config.toml", "max_workers = 5");
    sandbox.good(&["daemon", "restart"]);
}

#[test]
fn a_run_is_refused_as_the_daemon_to_start_or_restart() {
    let sandbox = Sandbox::new("");
    sandbox.write("spec.toml", "title = 'Run'\n[[tasks]]\nrun = 'until test -e ../../../go; do sleep 0.02; done'");
    let run = sandbox.begin(&["run", "spec.toml"]);
    wait_for("it listens", || (sandbox.boi(&["daemon", "status"]).code == Some(0)).then_some(()));
    for verb in ["start", "restart"] {
        let said = sandbox.boi(&["daemon", verb]);
        assert!(said.code == Some(1) && said.err.contains("`boi run`") && said.err.contains("Ctrl-C"), "{said:?}");
    }
    sandbox.write("go", "");
    assert_eq!(run.end().code, Some(0));
}

#[test]
fn a_removed_socket_comes_back_and_commands_wait_for_it() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let pid = sandbox.read("boi/pids/daemon.pid");
    let (id, command) = slow(&sandbox);
    let verbs = [
        vec!["status", &id, "--json"],
        vec!["daemon", "status"],
        vec!["pause"],
        vec!["daemon", "reload"],
        vec!["cancel", &id],
        vec!["daemon", "start"],
    ];
    for verb in verbs {
        fs::remove_file(sandbox.path("boi/boi.sock")).unwrap();
        sandbox.good(&verb);
        let mode = fs::metadata(sandbox.path("boi/boi.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "after {verb:?}");
    }
    assert!(!lives(command), "canceled by the running daemon");
    assert_eq!(sandbox.read("boi/pids/daemon.pid"), pid, "the same daemon");
    fs::remove_file(sandbox.path("boi/boi.sock")).unwrap();
    assert!(sandbox.good(&["daemon", "stop"]).out.contains(&format!("daemon (pid {}) ended", pid.trim())));
    assert!(sandbox.wait_for_daemon().success());
    assert!(!sandbox.exists("boi/boi.sock"));
}

#[test]
fn a_daemon_whose_socket_cannot_come_back_is_reported_and_can_be_ended() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let (id, command) = slow(&sandbox);
    let pid = sandbox.read("boi/pids/daemon.pid");
    fs::remove_file(sandbox.path("boi/boi.sock")).unwrap();
    fs::create_dir(sandbox.path("boi/boi.sock")).unwrap();
    for verb in [vec!["daemon", "stop"], vec!["status"], vec!["cancel", &id], vec!["daemon", "start"]] {
        let said = sandbox.boi(&verb);
        assert_eq!(said.code, Some(4), "{verb:?}: {said:?}");
        assert!(
            said.err.contains("does not listen at") && said.err.contains(&format!("kill -TERM {}", pid.trim())),
            "{said:?}"
        );
    }
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    assert!(lives(command));
    fs::remove_dir(sandbox.path("boi/boi.sock")).unwrap();
    sandbox.start_daemon();
    sandbox.write("go", "");
    sandbox.wait_for_status(&id, "completed");
    assert_eq!(sandbox.read(&format!("boi/worktrees/{id}/ran")), "once\n");
}

#[test]
fn a_hanging_daemon_is_reported_and_waited_for() {
    let sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.background(&["daemon", "start"]);
    let daemon = pid_in(&sandbox.path("boi/pids/daemon.pid"));
    sandbox.write("spec.toml", "title = 'Late'\n[[tasks]]\nrun = 'true'");
    let signal = |signal| kill_process(Pid::from_raw(daemon).unwrap(), signal).unwrap();
    let told = format!("the daemon (pid {daemon}) does not answer; still waiting");
    let noticed = |commands: &[&[&str]]| {
        signal(Signal::STOP);
        let begun: Vec<_> = commands.iter().map(|command| sandbox.begin(command)).collect();
        for one in &begun {
            wait_for("the report", || one.err().contains(&told).then_some(()));
        }
        signal(Signal::CONT);
        for said in begun.into_iter().map(super::support::Begun::end) {
            assert_eq!((said.code, said.err.matches(&told).count()), (Some(0), 1), "{said:?}");
        }
    };
    noticed(&[&["status"], &["dispatch", "spec.toml"], &["daemon", "status"], &["daemon", "start"]]);
    noticed(&[&["daemon", "stop"]]);
}

#[test]
fn a_stopped_daemon_is_given_up_and_reported() {
    let sandbox = Sandbox::new("");
    fs::set_permissions(sandbox.path("boi"), Permissions::from_mode(0o700)).unwrap();
    sandbox.background(&["daemon", "start"]);
    let daemon = pid_in(&sandbox.path("boi/pids/daemon.pid"));
    let signal = |signal| kill_process(Pid::from_raw(daemon).unwrap(), signal).unwrap();
    signal(Signal::STOP);
    let commands = [(&["status"][..], 4), (&["daemon", "status"], 4), (&["daemon", "restart"], 4), (&["doctor"], 1)];
    let begun: Vec<_> = commands.iter().map(|(command, code)| (sandbox.begin(command), *code)).collect();
    let said: Vec<_> = begun.into_iter().map(|(one, code)| (one.end(), code)).collect();
    signal(Signal::CONT);
    for (said, code) in said {
        assert_eq!(said.code, Some(code), "{said:?}");
        let all = format!("{}{}", said.out, said.err);
        for part in [
            &format!("the daemon (pid {daemon}) is stopped, and has not answered for 30 s"),
            &format!("`kill -CONT {daemon}` resumes a stopped daemon"),
        ] {
            assert!(all.contains(part), "{part}: {said:?}");
        }
    }
    sandbox.good(&["doctor"]);
}

#[test]
fn the_status_names_the_log_that_the_daemon_writes() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let said = sandbox.good(&["daemon", "status"]).out;
    assert!(said.contains("log: the daemon's standard error") && !said.contains("daemon.log"), "{said}");
    assert!(sandbox.good(&["daemon", "status", "--json"]).json()["log"].is_null());
}

#[test]
fn without_a_service_manager_nothing_is_installed_unless_only_the_file_is_wanted() {
    let sandbox = Sandbox::new("").with_variables([("PATH", "/nonexistent".to_owned())]);
    let said = sandbox.boi(&["daemon", "install"]);
    assert!(said.code == Some(1) && said.err.contains("no systemd runs"), "{said:?}");
    assert!(said.err.contains("boi daemon start") && !said.err.contains("systemctl"), "{said:?}");
    assert!(!sandbox.exists("home/.config/systemd/user/boi.service"), "nothing is left");
    let said = sandbox.good(&["daemon", "install", "--no-start", "--json"]).json();
    let unit = std::fs::read_to_string(said["file"].as_str().expect("a file")).unwrap();
    assert!(unit.contains("CLAUDE_BIN") && unit.contains("fake-agent"), "{unit}");
    sandbox.good(&["daemon", "uninstall"]);
}

#[test]
fn a_service_is_installed_and_removed() {
    let sandbox = Sandbox::new("");
    let said = sandbox.good(&["daemon", "install", "--no-start", "--json"]).json();
    let file = said["file"].as_str().expect("a file");
    assert!(std::fs::read_to_string(file).unwrap().contains("daemon"), "{said}");
    sandbox.good(&["daemon", "uninstall"]);
    assert!(!std::path::Path::new(file).exists());
    assert_eq!(sandbox.boi(&["daemon", "uninstall"]).code, Some(1));
}

/// Replaces systemctl: it runs the daemon and knows its pid.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> "$BOI_HOME/asked"
main=$(cat "$BOI_HOME/main" 2>/dev/null || echo 0)
serve() {
    boi daemon run --background </dev/null >/dev/null 2>&1 &
    echo $! > "$BOI_HOME/main"
    until boi daemon status --json 2>/dev/null | grep -q "\"pid\": *$!\b"; do sleep 0.01; done
}
case "$*" in
    "--version") echo "systemd 257 (scripted)" ;;
    "--user show"*) printf 'LoadState=loaded\nMainPID=%s\n' "$main" ;;
    "--user is-system-running") cat "$BOI_HOME/manager"; exit 1 ;;
    "--user daemon-reload" | "--user enable boi.service") ;;
    "--user start"*) [ "$main" != 0 ] && kill -0 "$main" || serve ;;
    "--user restart"*) kill "$main"; while kill -0 "$main" 2>/dev/null; do sleep 0.01; done; serve ;;
    *) exit 1 ;;
esac
"#;

/// A sandbox whose service manager is [`SYSTEMCTL`].
fn with_manager() -> Sandbox {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new("");
    let programs = sandbox.path("programs");
    std::fs::create_dir(&programs).unwrap();
    let script = sandbox.write("programs/systemctl", SYSTEMCTL);
    std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_boi"), programs.join("boi")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a PATH"));
    sandbox.with_variables([("PATH", path)])
}

#[test]
fn a_daemon_that_waits_for_the_place_of_another_ends_on_sigterm() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let first = pid_in(&sandbox.path("boi/pids/daemon.pid"));
    let second = sandbox.begin(&["daemon", "run", "--background"]);
    wait_until_open(second.pid(), "daemon.pid");
    second.signal(Signal::TERM);
    let said = second.end();
    assert!(said.code == Some(0) && said.err.is_empty(), "{said:?}");
    assert!(lives(first) && sandbox.good(&["daemon", "status"]).out.contains(&format!("pid {first},")));
}

#[test]
fn a_service_replaces_the_running_daemon() {
    let sandbox = with_manager();
    let first = sandbox.background(&["daemon", "start", "-c", "max_workers=3"]).out;
    let first = first.split_whitespace().find_map(|word| word.parse::<u32>().ok()).expect("a pid");
    let (id, pid) = slow(&sandbox);

    sandbox.write("boi/config.toml", "max_workers = ");
    let said = sandbox.boi(&["daemon", "install"]);
    assert!(said.code == Some(78) && said.err.contains(&format!("(pid {first}) keeps running")), "{said:?}");
    sandbox.write("boi/config.toml", "");
    let said = sandbox.background(&["daemon", "install"]).out;
    let second = pid_in(&sandbox.path("boi/main"));
    for part in [
        &format!("replaced the daemon (pid {first})"),
        "`-c max_workers=3` of the replaced daemon is no longer in force; to set it: boi config set max_workers 3",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let status = sandbox.good(&["daemon", "status", "--json"]).json();
    assert!(status["daemon"]["pid"] == second && lives(pid), "{status:#}");

    // Again, as after an upgrade; and while the service is another home's.
    let said = sandbox.background(&["daemon", "install", "--json"]).json();
    let third = pid_in(&sandbox.path("boi/main"));
    assert!(third != second && said["replaced"] == second && said["started"] == true, "{said:#}");
    let file = said["file"].as_str().expect("a file");
    let unit = fs::read_to_string(file).unwrap();
    fs::write(file, unit.replace("/boi\"\n", "/other\"\n")).unwrap();
    for verb in ["install", "uninstall"] {
        let said = sandbox.boi(&["daemon", verb]);
        assert!(said.code == Some(1) && said.err.contains("of another home"), "{verb}: {said:?}");
    }
    fs::write(file, unit).unwrap();
    assert!(lives(pid) && lives(third), "{said:#}");
    sandbox.write("go", "");
    sandbox.wait_for_status(&id, "completed");
    sandbox.good(&["daemon", "stop"]);
}

#[test]
fn a_service_stops_its_workers_when_its_manager_ends() {
    let sandbox = with_manager().with_variables([("NOTIFY_SOCKET", "/nowhere".to_owned())]);
    sandbox.good(&["daemon", "install", "--no-start"]);
    let found = sandbox.boi(&["doctor", "--json"]).json();
    let kinds: Vec<&str> =
        found["findings"].as_array().unwrap().iter().filter_map(|one| one["kind"].as_str()).collect();
    assert!(kinds.contains(&"linger"), "{found:#}");
    for state in ["running", "stopping"] {
        sandbox.write("boi/manager", state);
        sandbox.write("boi/main", "0");
        sandbox.background(&["daemon", "start"]);
        let daemon = pid_in(&sandbox.path("boi/main"));
        let (id, pid) = slow(&sandbox);
        kill_process(Pid::from_raw(daemon).expect("a pid"), Signal::TERM).expect("it is there");
        wait_for("the daemon ends", || (!lives(daemon)).then_some(()));
        let stops = state == "stopping";
        assert_eq!(lives(pid), !stops, "{state}");
        let status = sandbox.good(&["status", &id, "--json"]).json();
        assert_eq!(status["status"], if stops { "queued" } else { "running" }, "{status:#}");
        sandbox.good(&["cancel", &id]);
        sandbox.good(&["daemon", "stop"]);
    }
}

#[test]
fn a_service_is_started_and_restarted_by_its_manager() {
    let sandbox = with_manager();
    sandbox.good(&["daemon", "install", "--no-start"]);
    let asked = |verb: &str| sandbox.read("boi/asked").matches(&format!("--user {verb} boi.service\n")).count();

    let said = sandbox.background(&["daemon", "start"]).out;
    let first = pid_in(&sandbox.path("boi/main"));
    assert!(asked("start") == 1 && said.contains(&format!("as a service: pid {first}")), "{said}");
    let (id, pid) = slow(&sandbox);
    let said = sandbox.boi(&["daemon", "restart", "-c", "max_workers=2"]);
    assert!(said.code == Some(2) && said.err.contains("boi config set") && asked("restart") == 0, "{said:?}");
    let said = sandbox.good(&["daemon", "restart"]).out;
    let second = pid_in(&sandbox.path("boi/main"));
    assert!(asked("restart") == 1 && said.contains("by its service manager"), "{said}");
    assert!(first != second && said.contains(&format!("pid {second}")) && lives(pid), "{said}");
    sandbox.good(&["daemon", "stop"]);

    // A daemon that was started with `-c` is not the service's, and is restarted in the same way.
    sandbox.background(&["daemon", "start", "-c", "max_workers=2"]);
    sandbox.good(&["daemon", "restart"]);
    assert_eq!((asked("start"), asked("restart")), (1, 1));
    assert_eq!(sandbox.good(&["status", "--json"]).json()["slots"]["max_workers"], 2);
    sandbox.write("go", "");
    sandbox.wait_for_status(&id, "completed");
}
