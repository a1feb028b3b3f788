//! The processes of a command end with it: by `boi cancel`, after its own end, and after the death of its supervisor.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::crash::rounds;
use super::support::{Bystander, Sandbox, lives, pid_in, skip, wait_for};

#[test]
fn a_process_that_a_command_leaves_behind_is_ended() {
    let sandbox = Sandbox::new("stop_grace_seconds = 1");
    let pid = sandbox.at("pid");
    let (code, spec) = sandbox.run(&format!(
        "title = 'Left'\nrepo = 'repo'\n[[tasks]]\nrun = '''setsid sh -c 'echo $$ > {pid}; exec sleep 1000' & \
         while ! test -s {pid}; do sleep 0.01; done; echo 1 > one'''"
    ));
    assert_eq!((code, spec["tasks"][0]["status"].as_str()), (Some(0), Some("done")), "{spec:#}");
    assert!(!lives(pid_in(&sandbox.path("pid"))));
}

#[test]
fn cancel_ends_a_tree_that_ignores_sigterm() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Stubborn'\nrepo = 'repo'\n[[tasks]]\nrun = '''trap \"\" TERM; echo $$ > {}; \
         setsid sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' & while :; do sleep 1; done'''",
        sandbox.at("shell"),
        sandbox.at("child")
    ));
    let pids = [pid_in(&sandbox.path("shell")), pid_in(&sandbox.path("child"))];
    assert!(pids.iter().all(|pid| lives(*pid)));
    sandbox.good(&["cancel", &id]);
    assert!(!pids.iter().any(|pid| lives(*pid)), "a process outlived `boi cancel`");
    assert_eq!(sandbox.spec(&id)["status"], "canceled");
    assert!(sandbox.exists(&format!("boi/worktrees/{id}")), "the worktree of a canceled spec stays");
}

#[test]
fn cancel_ends_an_agent_and_its_processes() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Agent'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@ignore-term@@ @@grandchild setsid {}@@ \
         @@grandchild plain {}@@ @@touch {}@@ @@hang@@'",
        sandbox.at("g1"),
        sandbox.at("g2"),
        sandbox.at("ready")
    ));
    wait_for("the agent hangs", || sandbox.exists("ready").then_some(()));
    let pids = [pid_in(&sandbox.path("g1")), pid_in(&sandbox.path("g2"))];
    assert!(pids.iter().all(|pid| lives(*pid)));
    sandbox.good(&["cancel", &id]);
    assert!(!pids.iter().any(|pid| lives(*pid)), "a process outlived `boi cancel`");
}

#[test]
fn a_command_that_cannot_be_executed_is_reported_with_a_remedy() {
    // A relative path would name a file in the worktree, which an agent can write.
    let sandbox = Sandbox::new("claude_bin = './agent.sh'\nretry_backoff_seconds = [0, 0]\n");
    sandbox.write("agent.sh", "#!/bin/sh\nexit 0\n");
    sandbox.write("repo/agent.sh", format!("#!/bin/sh\ntouch '{}'\n", sandbox.at("executed")));
    for name in ["agent.sh", "repo/agent.sh"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(sandbox.path(name), mode).unwrap();
    }
    sandbox.git("repo", &["add", "-A"]);
    sandbox.git("repo", &["commit", "-q", "-m", "agent"]);
    sandbox.write("spec.toml", "title = 'Relative'\nrepo = 'repo'\n[[tasks]]\nprompt = 'x'");
    let held = sandbox.boi(&["run", "--no-wait", "spec.toml"]);
    assert_eq!(held.code, Some(4), "{held:?}");
    let reason = &held.err;
    assert!(
        reason.contains("`./agent.sh`: it is a relative path") && reason.contains("`boi config set claude_bin /path"),
        "{reason}"
    );
    // The held spec would run with the next one.
    let id = sandbox.good(&["status", "--json"]).json()["specs"][0]["id"].as_str().unwrap().to_owned();
    sandbox.good(&["cancel", &id]);
    assert!(!sandbox.exists("executed"));
    // The working directory is removed before the next command.
    let (code, spec) = sandbox.run("title = 'Gone'\n[[tasks]]\nrun = 'rmdir \"$PWD\"'\nverify = ['true']");
    let reason = spec["reason"].as_str().unwrap();
    assert_eq!(code, Some(1), "{reason}");
    assert!(reason.contains("does not exist. Fix the problem that the reason names."), "{reason}");
}

#[test]
fn cancel_ends_a_tree_whose_supervisor_and_command_are_stopped() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let pid = sandbox.at("pid");
    let id = sandbox.dispatch(&format!("title = 'Stopped'\n[[tasks]]\nrun = 'echo $$ > {pid}; sleep 1000'"));
    pid_in(&sandbox.path("pid"));
    let started = started(&sandbox);
    let pids = ["supervisor", "command"].map(|who| pid_of(&started, who));
    for pid in pids {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    }
    sandbox.good(&["cancel", &id]);
    assert!(!pids.iter().any(|pid| lives(*pid)), "a process outlived `boi cancel`");
    assert_eq!(sandbox.spec(&id)["status"], "canceled");
}

#[test]
fn a_process_whose_first_thread_has_ended_is_ended_too() {
    for pretended in ["BOI_NO_CGROUP", "NOTHING"] {
        for (supervisor_dies, alone) in [(false, true), (true, true), (false, false), (true, false)] {
            let sandbox = Sandbox::new("stop_grace_seconds = 1\nretry_count = 0");
            let mut sandbox = sandbox.with_variables([(pretended, "1".to_owned())]);
            sandbox.start_daemon();
            let file = sandbox.at("headless");
            let work = match alone {
                true => format!("prompt = '@@headless {file}@@'"),
                false => format!(
                    "run = '''printf '@@headless {file}@@' | setsid {} & while ! test -e {file}; do sleep 0.01; done; \
                     sleep {}'''",
                    super::support::fake_agent().display(),
                    if supervisor_dies { 1000 } else { 0 },
                ),
            };
            let id = sandbox.dispatch(&format!("title = 'Headless'\nrepo = 'repo'\n[[tasks]]\n{work}"));
            let headless = pid_in(&sandbox.path("headless"));
            match (supervisor_dies, alone) {
                (true, _) => {
                    let started = started(&sandbox);
                    kill_process(Pid::from_raw(pid_of(&started, "supervisor")).unwrap(), Signal::KILL).unwrap();
                    sandbox.wait_for_status(&id, "failed");
                }
                (false, true) => drop(sandbox.good(&["cancel", &id])),
                (false, false) => drop(sandbox.wait_for_status(&id, "completed")),
            }
            assert!(!lives(headless), "{pretended} {supervisor_dies} {alone}");
        }
    }
}

/// Starts a spec whose command starts a process that only its cgroup connects with it: that process is in another session,
/// has another parent, lacks the command's environment and ignores SIGTERM. The command ends when it is started while
/// `go` exists. Returns the spec's id, the command's record and the pid of the process; `None`, with the spec canceled and
/// the reason printed, if boi cannot create cgroups here.
fn with_hidden_process(sandbox: &mut Sandbox) -> Option<(String, Value, i32)> {
    let (go, pid) = (sandbox.at("go"), sandbox.at("hidden"));
    let deaf = format!("trap '' TERM; echo $$ > {pid}.new; mv {pid}.new {pid}; while :; do sleep 1; done");
    sandbox.write("deaf.sh", deaf);
    let id = sandbox.dispatch(&format!(
        "title = 'Hidden'\nrepo = 'repo'\n[[tasks]]\nrun = \"\"\"test -e {go} && exit 0
        env -i PATH=/usr/bin:/bin setsid sh -c 'sh {} &'
        sleep 1000\"\"\"",
        sandbox.at("deaf.sh")
    ));
    sandbox.start_daemon();
    let hidden = pid_in(&sandbox.path("hidden"));
    let started = started(sandbox);
    if started["cgroup"].is_null() {
        sandbox.good(&["cancel", &id]);
        skip("boi cannot create cgroups here");
        return None;
    }
    Some((id, started, hidden))
}

/// The `started` record of the one command of the sandbox.
fn started(sandbox: &Sandbox) -> Value {
    let folder = sandbox.commands().pop().expect("a command");
    rounds::record(&folder.join("started")).expect("it has started")
}

fn pid_of(started: &Value, who: &str) -> i32 {
    started[who]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid")
}

#[test]
fn a_command_is_in_a_cgroup_of_its_own_that_is_removed_with_it() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    let Some((id, started, hidden)) = with_hidden_process(&mut sandbox) else { return };
    let cgroup = std::path::Path::new(started["cgroup"].as_str().unwrap());
    let of = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let name = cgroup.file_name().unwrap().to_str().unwrap();
    assert!(of(hidden).contains(name) && of(pid_of(&started, "command")).contains(name));
    assert!(!of(pid_of(&started, "supervisor")).contains(name), "the supervisor is outside of it");
    // A cgroup that a command creates below is removed too.
    let below = cgroup.join("below");
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("cgroup.procs"), hidden.to_string()).unwrap();
    sandbox.good(&["cancel", &id]);
    assert!(!lives(hidden) && !cgroup.exists());
}

#[test]
fn a_process_that_only_its_cgroup_shows_is_ended_after_its_supervisor_died() {
    // It differs from the hidden process in its cgroup only.
    let bystander = Bystander::start("sh", &["-c", "while :; do sleep 1; done"]);
    for with_daemon in [true, false] {
        let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
        let Some((id, started, hidden)) = with_hidden_process(&mut sandbox) else { break };
        let environment = std::fs::read(format!("/proc/{hidden}/environ")).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains("BOI_MARKER"));
        sandbox.write("go", "");
        if !with_daemon {
            sandbox.kill_daemon();
        }
        let supervisor = Pid::from_raw(pid_of(&started, "supervisor")).unwrap();
        kill_process(supervisor, Signal::KILL).unwrap();
        if !with_daemon {
            // The command too: no process that descends from it is left.
            kill_process(Pid::from_raw(pid_of(&started, "command")).unwrap(), Signal::KILL).unwrap();
            sandbox.start_daemon();
        }
        let spec = sandbox.wait_for_status(&id, "completed");
        assert!(!lives(hidden), "the hidden process is left: {spec:#}");
        assert!(!std::path::Path::new(started["cgroup"].as_str().unwrap()).exists());
    }
    bystander.must_live();
}
