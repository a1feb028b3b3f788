//! A simulated power cut while a command runs: a copy of the disk as it was at one moment, under another boot id. The next
//! daemon repairs what was torn and runs the command again, in the next try.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::crash::rounds::{record, start_time};
use super::support::{Bystander, Sandbox, pid_in, skip, wait_for};

/// What a record of the boot `boot` holds about a process that had this pid then.
fn as_of_boot(boot: &str, process: &Bystander) -> Value {
    let pid = process.pid();
    json!({"pid": pid, "start_time": start_time(pid).expect("the process lives"), "boot_id": boot})
}

fn kill(pid: i64) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::KILL).expect("the process exists");
}

/// What becomes of writes that were not synced before the power cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    /// They are on the disk.
    Kept,
    /// The record that the command was started is missing.
    StartedIsLost,
    /// Files exist without their content: records of the command, git's files about the worktree, objects of the agent's
    /// commits.
    Torn,
}

/// Replaces the content of the files by what a power cut leaves: nothing, or zeros.
fn tear(sandbox: &Sandbox, id: &str) {
    let command = &sandbox.commands()[0];
    let entry = sandbox.path(&format!("repo/.git/worktrees/{id}"));
    let mut torn: Vec<PathBuf> = vec![
        command.join("started"),
        command.join("marker"),
        sandbox.path(&format!("boi/worktrees/{id}/.git")),
        sandbox.path(&format!("boi/attempts/{id}/git/index")),
    ];
    torn.extend(["HEAD", "commondir", "gitdir", "index", "logs/HEAD"].map(|name| entry.join(name)));
    // The agent's last commit, and a file that boi will commit again.
    let objects = [format!("boi/{id}"), format!("boi/{id}:one")];
    for object in objects.map(|name| sandbox.git("repo", &["rev-parse", &name])) {
        let file = sandbox.path(&format!("repo/.git/objects/{}/{}", &object[..2], &object[2..]));
        fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("a loose object");
        torn.push(file);
    }
    for (index, file) in torn.iter().enumerate() {
        let size = fs::metadata(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).len();
        // An object is never longer than what was written of it.
        let zeros =
            if index.is_multiple_of(2) && !file.starts_with(sandbox.path("repo/.git/objects")) { size } else { 0 };
        fs::write(file, vec![0; usize::try_from(zeros).unwrap()]).unwrap();
    }
}

/// Simulates a power cut while the first of two commands runs, and checks that the next daemon completes the spec.
fn survives_power_cut(unsynced: Unsynced) {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1\n").with_variables([("BOI_BOOT_ID", "before".to_owned())]);
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Cut'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo part > part; echo 1 > one; \
         export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@localhost GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@localhost; \
         git add part && git commit -qm first; git add one && git commit -qm second; rm one; {}; echo 1 > one'''\n[[tasks]]\nrun = 'echo 2 > two'",
        sandbox.barrier()
    ));
    pid_in(&sandbox.path("pid"));
    let started = sandbox.commands();
    let started = record(&started[0].join("started")).expect("it has started");

    // A stopped daemon writes nothing while the disk is copied.
    let daemon = sandbox.good(&["status", "--json"]).json()["daemon"]["pid"].as_i64().expect("a pid");
    kill_process(Pid::from_raw(i32::try_from(daemon).unwrap()).unwrap(), Signal::STOP).expect("the daemon runs");
    wait_for("the daemon is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{daemon}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.starts_with('T').then_some(())
    });
    fs::create_dir(sandbox.path("disk")).unwrap();
    let whole = [sandbox.path("boi"), sandbox.path("repo"), sandbox.path("disk")];
    assert!(Command::new("cp").arg("-a").args(whole).status().expect("cp runs").success());
    sandbox.kill_daemon();
    kill(started["supervisor"]["pid"].as_i64().unwrap());
    kill(started["command"]["pid"].as_i64().unwrap());
    // No cgroup outlives the machine.
    if let Some(cgroup) = started["cgroup"].as_str() {
        wait_for("its cgroup is empty", || fs::remove_dir(cgroup).ok());
    }
    for name in ["boi", "repo"] {
        fs::rename(sandbox.path(name), sandbox.path(&format!("{name}.gone"))).unwrap();
        fs::rename(sandbox.path(&format!("disk/{name}")), sandbox.path(name)).unwrap();
    }

    // The folder of a home is the same one after a power cut, and here it is a copy.
    fs::remove_file(sandbox.path("boi/state/home.json")).unwrap();

    // Under the new boot the recorded pids are those of unrelated processes.
    let bystanders = [(); 2].map(|()| Bystander::start("sleep", &["1000"]));
    let file = sandbox.commands()[0].join("started");
    if unsynced == Unsynced::StartedIsLost {
        fs::remove_file(file).unwrap();
    } else if unsynced == Unsynced::Torn {
        tear(&sandbox, &id);
    } else {
        let [supervisor, command] = bystanders.each_ref().map(|bystander| as_of_boot("before", bystander));
        let mut started = started;
        started["supervisor"] = supervisor;
        started["command"] = command;
        fs::write(file, started.to_string()).unwrap();
    }
    let mut sandbox = sandbox.with_variables([("BOI_BOOT_ID", "after".to_owned())]);
    sandbox.start_daemon();
    wait_for("the command runs again", || (sandbox.read("starts").lines().count() == 2).then_some(()));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &2.into()), "{spec:#}");
    assert_eq!(sandbox.read("starts"), "x\nx\n");
    assert_eq!(sandbox.git("repo", &["rev-list", "--count", &format!("main..boi/{id}")]), "2");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{id}:part")]), "part", "its work is kept");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{id}:one")]), "1");
    let kept = sandbox.git("repo", &["log", "--format=%s", &format!("--glob=refs/boi/kept/{id}")]);
    assert!(["first", "second"].iter().all(|subject| kept.contains(subject)), "the agent's commits are kept: {kept}");
    sandbox.git("repo", &["fsck", "--no-progress"]);
    bystanders.into_iter().for_each(Bystander::must_live);
}

#[test]
fn a_command_that_ended_with_the_machine_runs_again() {
    survives_power_cut(Unsynced::Kept);
}

#[test]
fn a_command_whose_record_was_lost_with_the_power_runs_again() {
    survives_power_cut(Unsynced::StartedIsLost);
}

#[test]
fn torn_files_are_repaired_and_the_command_runs_again() {
    survives_power_cut(Unsynced::Torn);
}

#[test]
fn each_commit_is_synced_by_the_git_that_creates_it() {
    let sandbox = Sandbox::new("");
    let trace = sandbox.path("git.trace").display().to_string();
    let sandbox = sandbox.with_variables([("GIT_TRACE2_EVENT", trace)]);
    let (code, _) = sandbox.run("title = 'Synced'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    assert_eq!(code, Some(0));
    let trace = sandbox.read("git.trace");
    let events: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let synced: Vec<&Value> =
        events.iter().filter(|event| event["name"] == "hardware-flush").map(|event| &event["sid"]).collect();
    if synced.is_empty() {
        return skip("this git does not trace what it syncs");
    }
    let makes_commits = |event: &&Value| {
        event["event"] == "start" && event["argv"].as_array().is_some_and(|argv| argv.contains(&"commit-tree".into()))
    };
    let makers: Vec<&Value> = events.iter().filter(makes_commits).collect();
    assert!(!makers.is_empty());
    for maker in makers {
        assert!(synced.contains(&&maker["sid"]), "{maker}");
    }
}
