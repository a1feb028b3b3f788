//! Operating a daemon: from other PID namespaces, with output that nobody reads, without a pid file, in a container, within
//! limits, and from inside a task.

use std::fs;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use super::support::{Sandbox, lives, pid_in, skip, wait_for};

/// A spec that writes its pid, counts its starts, and waits until the file `go` exists.
fn waiting(sandbox: &Sandbox) -> String {
    format!("title = 'Waiting'\n[[tasks]]\nrun = '''{}'''", sandbox.barrier())
}

fn wait_until_listening(sandbox: &Sandbox) {
    wait_for("the daemon answers", || {
        let said = sandbox.boi(&["status", "--json"]);
        (said.code == Some(0) && !said.json()["daemon"].is_null()).then_some(())
    });
}

/// Starts `boi` by a shell script in which `$0` is the program, and waits for its end.
fn shell(sandbox: &Sandbox, script: &str) -> Option<i32> {
    let mut child = sandbox.begin_wrapped(&["bash", "-c", script]).expect("bash starts");
    wait_for("the script ends", || child.try_wait().expect("a child")).code()
}

/// Starts a daemon by `script` as process 1 of a PID namespace of its own; `None` where that is not allowed.
fn in_container(sandbox: &Sandbox, script: &str) -> Option<Child> {
    let isolate = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    if !Command::new("unshare").args(isolate).arg("true").status().is_ok_and(|status| status.success()) {
        skip("no PID namespace can be made");
        return None;
    }
    sandbox.begin_wrapped(&[&["unshare"][..], &isolate, &["sh", "-c", script]].concat())
}

/// The process that is process 1 of the namespace that `unshare` made.
fn first_process(unshare: &Child) -> Pid {
    let children = format!("/proc/{0}/task/{0}/children", unshare.id());
    let pid = wait_for("process 1", || fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok());
    Pid::from_raw(pid).expect("a pid")
}

fn end(mut child: Child) {
    wait_for("the container ends", || child.try_wait().expect("a child"));
}

#[test]
fn a_daemon_of_another_pid_namespace_is_asked_over_its_socket() {
    let sandbox = Sandbox::new("stop_grace_seconds = 1");
    // The daemon's pid file names process 2 of its namespace, which is another process here.
    let script = "\"$0\" daemon run --foreground & wait";
    let Some(container) = in_container(&sandbox, script) else { return };
    wait_until_listening(&sandbox);
    let id = sandbox.dispatch(&waiting(&sandbox));
    sandbox.wait_for_status(&id, "running");
    let daemon = sandbox.good(&["status", "--json"]).json()["daemon"].clone();
    assert_eq!(daemon["other_pid_namespace"], true, "{daemon}");
    let pid = i32::try_from(daemon["pid"].as_i64().unwrap()).unwrap();
    assert!(lives(pid) && pid_in(&sandbox.path("boi/pids/daemon.pid")) != pid, "{daemon}");
    let said = sandbox.good(&["daemon", "reload"]);
    assert!(said.err.contains("nothing was signalled"), "{said:?}");
    let said = sandbox.boi(&["daemon", "restart"]);
    assert!(said.code == Some(1) && said.err.contains("another PID namespace"), "{said:?}");
    sandbox.good(&["daemon", "stop"]);
    assert!(!lives(pid), "the daemon has ended");
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    end(container);
}

#[test]
fn a_daemon_whose_end_ends_its_container_is_not_replaced() {
    let sandbox = Sandbox::new("");
    let daemon = "\"$0\" daemon run --foreground";
    // The first daemon is the child of an init, the second is process 1.
    for script in [format!("{daemon} & wait"), format!("exec {daemon}")] {
        let restart = "until \"$0\" daemon status; do sleep 0.1; done; \"$0\" daemon restart 2> said; echo $? > code";
        let Some(container) = in_container(&sandbox, &format!("({restart}) & {script}")) else { return };
        let code = wait_for("the restart ends", || {
            fs::read_to_string(sandbox.path("code")).ok().filter(|code| code.ends_with('\n'))
        });
        assert!(code == "1\n" && sandbox.read("said").contains("main process of this container"), "{code}");
        fs::remove_file(sandbox.path("code")).unwrap();
        sandbox.good(&["daemon", "stop"]);
        end(container);
    }
}

#[test]
fn the_end_of_a_container_stops_its_workers_and_costs_no_try() {
    let sandbox = Sandbox::new("retry_count = 0\nstop_grace_seconds = 5");
    let ended = sandbox.at("ended");
    let id = sandbox.dispatch(&format!(
        "title = 'T'\n[[tasks]]\nrun = '''trap 'echo x >> {ended}; exit 1' TERM; {}'''",
        sandbox.barrier()
    ));
    let starts = |count: usize| {
        wait_for("the command starts", || {
            let starts = fs::read_to_string(sandbox.path("starts")).unwrap_or_default();
            (starts.lines().count() == count).then_some(())
        });
    };
    let Some(container) = in_container(&sandbox, "exec \"$0\" daemon run --foreground") else { return };
    starts(1);
    kill_process(first_process(&container), Signal::TERM).unwrap();
    end(container);
    assert_eq!(sandbox.read("ended"), "x\n", "the command got SIGTERM");
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    // Under a script the daemon cannot know that the container ends, too: it leaves the command running, which is killed.
    let script = "\"$0\" daemon run --foreground & trap \"kill -TERM $!; wait; exit\" TERM; wait";
    for round in 2..4 {
        let container = in_container(&sandbox, script).expect("it worked before");
        starts(round);
        kill_process(first_process(&container), Signal::TERM).unwrap();
        end(container);
    }
    sandbox.write("go", "");
    assert_eq!(shell(&sandbox, "\"$0\" daemon start"), Some(0));
    sandbox.background(&["daemon", "start"]);
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()), "{spec}");
}

#[test]
fn output_that_cannot_be_written_does_not_end_the_work() {
    let sandbox = Sandbox::new("");
    for (number, output) in ["2>&1 | head -1 > /dev/null", "2> /dev/full > /dev/null", "2>&- >&-"].iter().enumerate() {
        let done = sandbox.at(&format!("done-{number}"));
        sandbox.write("spec.toml", format!("title = 'T'\n[[tasks]]\nrun = 'sleep 0.2; touch {done}'"));
        let code = shell(&sandbox, &format!("\"$0\" run spec.toml {output}; exit ${{PIPESTATUS[0]}}"));
        assert_eq!(code, Some(0), "{output}");
        assert!(sandbox.exists(&format!("done-{number}")), "{output}");
    }
    for arguments in ["status SFFFF", "cancel SFFFF", "config check nowhere", "dispatch nowhere", "daemon reload"] {
        let code = shell(&sandbox, &format!("\"$0\" {arguments} > /dev/full 2> /dev/full"));
        assert!(matches!(code, Some(1..=4)), "{arguments}: {code:?}");
    }
}

#[test]
fn a_command_that_only_prints_ends_when_its_reader_has_gone() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!("title = 'T'\n[[tasks]]\nrun = '''echo begun; {}'''", sandbox.barrier()));
    pid_in(&sandbox.path("pid"));
    // After the first line nothing more is printed.
    for arguments in [format!("log -f {id}"), "status --watch".to_owned(), format!("status {id} --watch")] {
        let code = shell(&sandbox, &format!("\"$0\" {arguments} | head -1 > /dev/null; exit ${{PIPESTATUS[0]}}"));
        assert_eq!(code, Some(0), "{arguments}");
    }
    assert_eq!(sandbox.spec(&id)["status"], "running");
    sandbox.write("go", "");
    sandbox.wait_for_status(&id, "completed");
}

#[test]
fn a_command_gets_the_default_actions_of_signals_whatever_the_caller_ignores() {
    let sandbox = Sandbox::new("");
    let script = "trap '' HUP INT QUIT PIPE CHLD XFSZ TERM USR1; exec \"$0\" daemon run --foreground";
    let mut daemon = sandbox.begin_wrapped(&["bash", "-c", script]).unwrap();
    wait_until_listening(&sandbox);
    let signals = sandbox.at("signals");
    let id = sandbox.dispatch(&format!("title = 'T'\n[[tasks]]\nrun = 'grep ^Sig /proc/self/status > {signals}'"));
    // With SIGCHLD ignored, the daemon could not wait for git and the supervisor.
    sandbox.wait_for_status(&id, "completed");
    let set = |name: &str| {
        let text = sandbox.read("signals");
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        u64::from_str_radix(&value, 16).unwrap()
    };
    // 32 and 33 belong to the C library.
    let own = !(0b11 << 31);
    assert_eq!((set("SigIgn:") & own, set("SigBlk:") & own), (1, 0), "only SIGHUP is ignored, and nothing is blocked");
    // As under `nohup`, SIGHUP reloads.
    kill_process(Pid::from_child(&daemon), Signal::HUP).unwrap();
    wait_for("the verdict", || {
        let verdict = sandbox.good(&["status", "--json"]).json()["config"]["verdict"].clone();
        (verdict["trigger"] == "signal").then_some(())
    });
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    wait_for("the daemon ends", || daemon.try_wait().unwrap());
}

#[test]
fn a_removed_pid_file_comes_back_and_the_daemon_can_be_stopped_without_it() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&waiting(&sandbox));
    pid_in(&sandbox.path("pid"));
    let own = sandbox.read("boi/pids/daemon.pid");
    fs::remove_file(sandbox.path("boi/pids/daemon.pid")).unwrap();
    wait_for("the pid file", || (fs::read_to_string(sandbox.path("boi/pids/daemon.pid")).ok()? == own).then_some(()));
    sandbox.good(&["daemon", "reload"]);
    fs::remove_file(sandbox.path("boi/pids/daemon.pid")).unwrap();
    sandbox.good(&["daemon", "stop"]);
    assert!(sandbox.wait_for_daemon().success());
    assert_eq!(sandbox.spec(&id)["status"], "queued");
}

#[test]
fn a_start_during_a_stop_waits_for_its_end_and_starts() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 60");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!("title = 'T'\n[[tasks]]\nrun = '''trap '' TERM; {}'''", sandbox.barrier()));
    pid_in(&sandbox.path("pid"));
    let stop = sandbox.begin(&["daemon", "stop"]);
    wait_for("the daemon says that it is stopping", || {
        (sandbox.good(&["status", "--json"]).json()["daemon"]["stopping"] == true).then_some(())
    });
    assert!(sandbox.good(&["status"]).out.contains("stopping"));
    let start = sandbox.begin(&["daemon", "start"]);
    wait_for("the start says what it waits for", || start.err().contains("is stopping").then_some(()));
    sandbox.write("go", "");
    let (stopped, started) = (stop.end(), start.end());
    assert_eq!((stopped.code, started.code), (Some(0), Some(0)), "{stopped:?} {started:?}");
    assert!(started.out.starts_with("daemon started"), "{started:?}");
    assert!(sandbox.wait_for_daemon().success());
    // The command ended although its spec was to be stopped, so either of them counts.
    sandbox.background(&["daemon", "start"]);
    sandbox.wait_for_status(&id, "completed");
}

#[test]
fn a_command_killed_after_its_daemon_ended_in_order_costs_no_try() {
    let mut sandbox = Sandbox::new("retry_count = 0");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&waiting(&sandbox));
    for round in 1..3 {
        let command = pid_in(&sandbox.path("pid"));
        assert!(sandbox.stop_daemon(Signal::TERM).success());
        let text = sandbox.read(&format!("boi/attempts/{id}/1/command-{round}/started"));
        let started: serde_json::Value = serde_json::from_str(&text).unwrap();
        let supervisor = i32::try_from(started["supervisor"]["pid"].as_i64().unwrap()).unwrap();
        for pid in [supervisor, command] {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
            wait_for("it is gone", || (!lives(pid)).then_some(()));
        }
        fs::remove_file(sandbox.path("pid")).unwrap();
        // A daemon that has only other specs does not look at the command.
        assert_eq!(sandbox.run("title = 'Other'\n[[tasks]]\nrun = 'true'").0, Some(0));
        sandbox.start_daemon();
    }
    pid_in(&sandbox.path("pid"));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()), "{spec}");
    assert!(!sandbox.exists("boi/state/left-running.json"));
}

#[test]
fn a_file_size_limit_is_reported_as_a_failure_of_the_disk() {
    let sandbox = Sandbox::new("");
    let script = "ulimit -f 100; exec \"$0\" daemon run --foreground";
    let mut daemon = sandbox.begin_wrapped(&["bash", "-c", script]).unwrap();
    wait_until_listening(&sandbox);
    let filler = "x".repeat(20_000);
    sandbox.write("spec.toml", format!("title = 'T'\nafter = []\n[[tasks]]\nrun = 'true # {filler}'"));
    let failed = wait_for("the queue reaches the limit", || {
        let said = sandbox.boi(&["dispatch", "spec.toml"]);
        (said.code != Some(0)).then_some(said)
    });
    assert!(failed.err.contains("`ulimit -f`") && failed.err.contains("full disk"), "{failed:?}");
    assert!(sandbox.good(&["status", "--json"]).json()["daemon"].is_object(), "the daemon lives");
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    wait_for("the daemon ends", || daemon.try_wait().unwrap());
    // A new queue is larger than this limit.
    let home = sandbox.at("small");
    let script = format!("ulimit -f 20; BOI_HOME={home} \"$0\" daemon run --foreground 2> {home}.err");
    assert_eq!(shell(&sandbox, &script), Some(1));
    assert!(sandbox.read("small.err").contains("`ulimit -f`"), "{}", sandbox.read("small.err"));
}

#[test]
fn a_command_that_would_wait_for_its_own_task_is_refused() {
    let mut sandbox = Sandbox::new("max_workers = 1");
    sandbox.start_daemon();
    sandbox.write("inner.toml", "title = 'Inner'\n[[tasks]]\nrun = 'true'");
    let boi = env!("CARGO_BIN_EXE_boi");
    let [inner, run, drain, log] = ["inner.toml", "run", "drain", "log"].map(|name| sandbox.at(name));
    let id = sandbox.dispatch(&format!(
        "title = 'Outer'\n[[tasks]]\nrun = '''{boi} run {inner} 2> {run}; {boi} daemon stop --drain 2> {drain}; \
         {boi} log -f $BOI_SPEC 2> {log}; true'''"
    ));
    sandbox.wait_for_status(&id, "completed");
    for (name, reason) in [("run", "none of the 1 slots is free"), ("drain", "--drain"), ("log", "its own end")] {
        let said = sandbox.read(name);
        assert!(said.contains("runs inside a task") && said.contains(reason), "{name}: {said}");
    }
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["queued"], 0, "nothing was queued");
}
