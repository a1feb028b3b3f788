//! The database of the queue, the home, and the files of a command vanish, are damaged or become inaccessible. Running
//! commands go on and are not started twice, no new spec is started, `boi status` shows the reason, and the daemon
//! recovers by itself where it can.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::{Sandbox, fake_agent, lives, pid_in, skip, wait_for};

/// A spec whose one command waits until `go` exists ([`Sandbox::barrier`]).
fn barrier(sandbox: &Sandbox) -> String {
    format!("title = 'Barrier'\nrepo = 'repo'\n[[tasks]]\nrun = '''{}; echo 1 > one'''", sandbox.barrier())
}

const QUICK: &str = "title = 'Quick'\n[[tasks]]\nrun = 'true'";
const HELD: &str = "nothing new is started until this is fixed";

/// Waits until `boi status` says that the queue works, or does not, and returns that part of its answer.
fn wait_for_store(sandbox: &Sandbox, ok: bool) -> Value {
    wait_for(&format!("`ok` of the store is {ok}"), || {
        let said = sandbox.boi(&["status", "--json"]);
        let store = (said.code == Some(0)).then(|| said.json()["store"].clone())?;
        (store["ok"] == ok).then_some(store)
    })
}

#[test]
fn a_database_that_vanishes_holds_new_starts_and_comes_back() {
    let mut sandbox = Sandbox::new("tick_interval_ms = 50");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    let (db, aside) = (sandbox.path("boi/state/boi.db"), sandbox.path("aside.db"));
    fs::rename(&db, &aside).unwrap();
    let reason = wait_for_store(&sandbox, false)["reason"].to_string();
    assert!(reason.contains("boi.db is missing"), "{reason}");
    let said = sandbox.boi(&["doctor", "--json"]);
    let findings = said.json()["findings"].as_array().unwrap().clone();
    let reported =
        findings.iter().find(|finding| finding["kind"] == "daemon").map(|finding| finding["what"].to_string());
    assert!(said.code == Some(1) && reported.is_some_and(|what| what.contains("boi.db is missing")), "{findings:#?}");
    let shown = sandbox.good(&["status"]).out;
    assert!(shown.contains("is missing: move the file back to this path; nothing new is started"), "{shown}");
    sandbox.write("quick.toml", QUICK);
    let said = sandbox.boi(&["dispatch", "quick.toml"]);
    assert!(said.code == Some(1) && said.err.contains("is missing"), "{said:?}");
    assert!(lives(pid));
    fs::rename(&aside, &db).unwrap();
    wait_for_store(&sandbox, true);
    let quick = sandbox.dispatch(QUICK);
    sandbox.wait_for_status(&quick, "completed");
    sandbox.write("go", "");
    sandbox.wait_for_status(&id, "completed");
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
    assert_eq!(sandbox.read("daemon.err").matches(HELD).count(), 1, "{}", sandbox.read("daemon.err"));
}

#[test]
fn a_full_disk_holds_new_starts_until_there_is_room() {
    let sandbox = Sandbox::new("tick_interval_ms = 50\nmax_workers = 1");
    let state = sandbox.path("boi/state");
    fs::create_dir_all(&state).unwrap();
    let (mount, run) =
        (format!("mount -t tmpfs -o size=600k,mode=700 x '{}'", state.display()), sandbox.path("starts"));
    let script = format!("{mount} && echo > '{}.mounted' && exec \"$0\" daemon run --foreground", run.display());
    let Some(mut daemon) = sandbox.begin_wrapped(&["unshare", "-rm", "sh", "-c", &script]) else {
        return skip("there is no `unshare`");
    };
    let listens = wait_for("the daemon answers or has ended", || {
        let ended = daemon.try_wait().unwrap().is_some();
        let said = sandbox.boi(&["status", "--json"]);
        (ended || said.code == Some(0) && !said.json()["daemon"].is_null()).then_some(!ended)
    });
    if !listens {
        assert!(!sandbox.exists("starts.mounted"), "{}", sandbox.read("daemon.err"));
        return skip("`unshare -rm` cannot mount a file system here");
    }
    // Both in one call: the command line opens the queue itself, and only the daemon sees the mounted one.
    sandbox.write("barrier.toml", barrier(&sandbox));
    sandbox.write("quick.toml", QUICK);
    let said = sandbox.good(&["dispatch", "--json", "barrier.toml", "quick.toml"]).json();
    let ids = [0, 1].map(|index| said["specs"][index]["id"].as_str().unwrap().to_owned());
    let pid = pid_in(&sandbox.path("pid"));
    let filler = format!("/proc/{}/root{}/filler", daemon.id(), state.display());
    let mut file = fs::File::create(&filler).unwrap();
    for size in (12..=20).rev() {
        while file.write_all(&vec![7; 1 << size]).is_ok() {}
    }
    assert!(lives(pid));
    // The command ends, and its end cannot be recorded.
    sandbox.write("go", "");
    let reason = wait_for_store(&sandbox, false)["reason"].to_string();
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(sandbox.spec(&ids[1])["status"], "queued");
    drop(file);
    fs::remove_file(&filler).unwrap();
    wait_for_store(&sandbox, true);
    for id in &ids {
        sandbox.wait_for_status(id, "completed");
    }
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
    assert_eq!(sandbox.read("daemon.err").matches(HELD).count(), 1, "{}", sandbox.read("daemon.err"));
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    daemon.wait().unwrap();
    // Its database vanished with the mount.
    fs::remove_dir_all(sandbox.path("boi")).unwrap();
}

#[test]
fn a_daemon_with_a_read_only_queue_does_not_start_and_says_why() {
    let sandbox = Sandbox::new("");
    sandbox.run("title = 'T'\n[[tasks]]\nrun = 'true'");
    let state = sandbox.at("boi/state");
    let script = format!(
        "mount --bind '{state}' '{state}' && mount -o remount,bind,ro '{state}' && touch '{}' && \
         exec \"$0\" daemon run --foreground",
        sandbox.at("mounted")
    );
    let Some(mut daemon) = sandbox.begin_wrapped(&["unshare", "-rm", "sh", "-c", &script]) else {
        return skip("there is no `unshare`");
    };
    let code = daemon.wait().unwrap().code();
    if sandbox.exists("mounted") {
        let said = sandbox.read("daemon.err");
        assert!(code == Some(1) && said.contains("Read-only") && said.contains("/state/boi."), "{said}");
    } else {
        skip("`unshare -rm` cannot mount a file system here");
    }
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["completed"], 1);
}

#[test]
fn a_daemon_with_a_damaged_queue_does_not_start_and_names_the_backup() {
    let sandbox = Sandbox::new("");
    let (code, spec) = sandbox.run("title = 'T'\nrepo = 'repo'\n[[tasks]]\nrun = 'exit 1'");
    assert_eq!((code, spec["status"].as_str()), (Some(1), Some("failed")));
    let db = sandbox.path("boi/state/boi.db");
    // A program that has ended leaves its last writes in the write-ahead log: move them into the database.
    let queue = rusqlite::Connection::open(&db).unwrap();
    queue.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(queue);
    let whole = fs::read(&db).unwrap();
    let backup = sandbox.write("boi/state/boi.db.v1.bak", &whole);
    let mut garbled = whole.clone();
    garbled[8192..].fill(0x5a);
    let damaged: [(Option<&[u8]>, &str); 5] = [
        (Some(b""), "is empty"),
        (Some(&whole[..whole.len() / 2]), "is cut off"),
        (Some(&[1; 9000]), "is not an SQLite database"),
        (Some(&garbled), "is damaged"),
        (None, "is missing, but it existed before"),
    ];
    for (bytes, part) in damaged {
        match bytes {
            Some(bytes) => fs::write(&db, bytes).unwrap(),
            None => fs::remove_file(&db).unwrap(),
        }
        let said = sandbox.boi(&["daemon", "run", "--foreground"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        let command = format!("cp -p '{}' '{}'", backup.display(), db.display());
        assert!(said.err.contains(part) && said.err.contains(&command), "no `{part}` in {said:?}");
        assert_eq!(fs::read(&db).ok().as_deref(), bytes, "the file is left as it is");
    }
    // What the named command does.
    fs::copy(&backup, &db).unwrap();
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["failed"], 1);
    // Without a backup, the folders of specs show that there was a queue.
    fs::remove_file(&backup).unwrap();
    fs::remove_file(&db).unwrap();
    for arguments in [&["status"][..], &["daemon", "run", "--foreground"]] {
        let said = sandbox.boi(arguments);
        assert!(said.code == Some(1) && said.err.contains("it existed before"), "{said:?}");
    }
}

#[test]
fn a_daemon_whose_home_is_moved_ends_and_its_command_lives_on() {
    let mut sandbox = Sandbox::new("tick_interval_ms = 50");
    let first = sandbox.begin(&["daemon", "run", "--foreground"]);
    wait_for("the daemon listens", || sandbox.exists("boi/boi.sock").then_some(()));
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    let (home, moved) = (sandbox.path("boi"), sandbox.path("moved"));
    fs::rename(&home, &moved).unwrap();
    // The daemon still answers at its socket, and says what is wrong.
    let answer = wait_for("the answer at the moved socket", || {
        let mut stream = UnixStream::connect(moved.join("boi.sock")).ok()?;
        let body = r#"{"filter":{},"newer_than":null}"#;
        write!(
            stream,
            "POST /v1/status HTTP/1.1\r\nhost: boi\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.contains("\"ok\":false").then_some(text)
    });
    assert!(answer.contains("is no longer this daemon's home"), "{answer}");
    // It leaves alone the daemon of a new home at the same place.
    fs::create_dir(&home).unwrap();
    sandbox.start_daemon();
    let said = first.end();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("was removed or replaced") && said.err.contains("continue"), "{said:?}");
    assert_eq!(said.err.matches(HELD).count(), 1, "{said:?}");
    assert!(lives(pid), "the command outlives the daemon");
    assert!(sandbox.exists("boi/boi.sock"));
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["running"], 0);
    sandbox.stop_daemon(Signal::TERM);
    // Put back, the next daemon adopts the command.
    fs::remove_dir_all(&home).unwrap();
    fs::rename(&moved, &home).unwrap();
    sandbox.start_daemon();
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

#[test]
fn nothing_is_created_where_a_home_was_moved_away() {
    let mut sandbox = Sandbox::new("tick_interval_ms = 50");
    let daemon = sandbox.begin(&["daemon", "run", "--foreground"]);
    wait_for("the daemon listens", || sandbox.exists("boi/boi.sock").then_some(()));
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    let (home, moved) = (sandbox.path("boi"), sandbox.path("moved"));
    fs::rename(&home, &moved).unwrap();
    sandbox.write("go", "");
    wait_for("the command ends", || (!lives(pid)).then_some(()));
    let said = daemon.end();
    assert!(said.code == Some(1) && said.err.contains("was removed or replaced"), "{said:?}");
    assert!(!home.exists(), "neither by the daemon nor by the supervisor: {said:?}");
    // Nor by the next daemon of a service, nor by a command that reads.
    let again = sandbox.boi(&["daemon", "run", "--background"]);
    assert!(again.code == Some(1) && again.err.contains("there is no home at"), "{again:?}");
    sandbox.good(&["status"]);
    assert_eq!(sandbox.boi(&["daemon", "status"]).code, Some(3));
    assert!(!home.exists());
    fs::rename(&moved, &home).unwrap();
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&id, "completed");
    let starts = sandbox.read("starts").lines().count();
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &starts.into()), "{spec:#}");
}

#[test]
fn a_spec_waits_until_its_worktree_can_be_reached_again() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Away'\nrepo = 'repo'\n[[tasks]]\n\
         run = 'test -e begun && exit; echo x > begun; touch {0}; until test -e {1}; do sleep 0.02; done'",
        sandbox.at("runs"),
        sandbox.at("go"),
    ));
    wait_for("the command runs", || sandbox.exists("runs").then_some(()));
    assert!(sandbox.stop_daemon(Signal::INT).success());
    let (folder, away) = (sandbox.path("boi/worktrees"), sandbox.path("boi/away"));
    fs::rename(&folder, &away).unwrap();
    // As below a mount point whose disk is not mounted.
    fs::write(&folder, "").unwrap();
    sandbox.write("boi/config.toml", "paths.worktrees = 'elsewhere'");
    sandbox.start_daemon();
    wait_for("the reason names the folder", || {
        sandbox.spec(&id)["reason"].as_str().is_some_and(|reason| reason.contains("worktrees")).then_some(())
    });
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{id}:begun")]), "x", "{spec:#}");
    assert_eq!(fs::read_dir(sandbox.path("boi/elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_command_whose_folder_was_deleted_is_adopted() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    let folder = format!("boi/attempts/{id}");
    fs::remove_dir_all(sandbox.path(&folder)).unwrap();
    sandbox.start_daemon();
    wait_for("the log says that the command is adopted", || {
        sandbox.read("daemon.err").contains("the folder of a running command was deleted").then_some(())
    });
    assert!(lives(pid));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

/// Deletes these files of a running command, or all, while no daemon runs. The next daemon starts under another name of
/// the home: it adopts the command and does not start it again.
#[track_caller]
fn adopted_without_files(names: &[&str]) {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1").by_the_other_name();
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    sandbox.kill_daemon();
    let folder = sandbox.path(&format!("boi/attempts/{id}"));
    match names {
        [] => fs::remove_dir_all(&folder).unwrap(),
        names => names.iter().for_each(|name| fs::remove_file(folder.join("1/command-1").join(name)).unwrap()),
    }
    let mut sandbox = sandbox.by_the_other_name();
    sandbox.start_daemon();
    wait_for("the log says that the command is adopted", || {
        let log = sandbox.read("daemon.err");
        log.contains("files of a running command were deleted: the command continues").then_some(())
    });
    assert!(lives(pid));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

#[test]
fn a_command_whose_lock_was_deleted_is_adopted() {
    adopted_without_files(&["lock"]);
}

#[test]
fn a_command_whose_lock_and_record_were_deleted_is_adopted() {
    adopted_without_files(&["lock", "started"]);
}

#[test]
fn a_command_whose_record_was_deleted_is_adopted() {
    adopted_without_files(&["started"]);
}

#[test]
fn a_command_whose_folder_was_deleted_is_adopted_under_another_name_of_its_home() {
    adopted_without_files(&[]);
}

#[test]
fn a_command_whose_folder_is_deleted_under_its_daemon_runs_once_and_its_end_counts() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    let folder = format!("boi/attempts/{id}/1");
    fs::remove_dir_all(sandbox.path(&folder)).unwrap();
    assert!(lives(pid));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
    let log = sandbox.read("daemon.err");
    assert!(log.contains("the output of the command is lost, but the end of the command is recorded"), "{log}");
    let mode = fs::metadata(sandbox.path(&folder)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn an_agent_whose_folder_is_deleted_runs_once_for_each_try() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Agent'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@touch {}@@ @@wait {}@@ @@write one 1@@'",
        sandbox.at("begun"),
        sandbox.at("go")
    ));
    wait_for("the agent has begun", || sandbox.exists("begun").then_some(()));
    fs::remove_dir_all(sandbox.path(&format!("boi/attempts/{id}"))).unwrap();
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    let trace = sandbox.read("trace");
    let begun: Vec<Value> =
        trace.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["try"].clone()).collect();
    let tries: Vec<Value> = (1..=spec["tasks"][0]["tries"].as_u64().unwrap()).map(|n| n.to_string().into()).collect();
    assert_eq!(begun, tries, "{spec:#}");
}

#[test]
fn an_agent_whose_program_is_being_written_is_started_later_in_the_same_try() {
    let sandbox = Sandbox::new("retry_count = 0");
    let program = sandbox.path("agent");
    fs::copy(fake_agent(), &program).unwrap();
    let writer = File::options().write(true).open(&program).unwrap();
    if std::process::Command::new(&program).arg("--version").status().is_ok() {
        return skip("this kernel executes a program that is open for writing");
    }
    let mut sandbox = sandbox.with_variables([("CLAUDE_BIN", program.display().to_string())]);
    sandbox.start_daemon();
    let id = sandbox.dispatch("title = 'Agent'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@write one 1@@'");
    wait_for("the reason says why it waits", || {
        let spec = sandbox.spec(&id);
        let reason = spec["reason"].as_str()?;
        (spec["status"] == "queued" && reason.contains("Text file busy")).then_some(())
    });
    drop(writer);
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()), "{spec:#}");
}

#[test]
fn a_command_has_the_limit_of_open_files_of_its_daemons_start() {
    let sandbox = Sandbox::new("");
    let narrow = ["sh", "-c", "ulimit -Sn 4; exec \"$0\" daemon run --foreground"];
    let mut child = sandbox.begin_wrapped(&narrow).expect("sh");
    wait_for("the daemon listens", || sandbox.exists("boi/boi.sock").then_some(()));
    let id = sandbox.dispatch("title = 'Limits'\n[[tasks]]\nrun = 'ulimit -Sn'");
    sandbox.wait_for_status(&id, "completed");
    assert!(sandbox.good(&["log", &id]).out.lines().any(|line| line.trim() == "4"));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Starts a daemon without root's right to read and write every file; `None`, with the reason printed, if that cannot be
/// done here.
fn begin_daemon_without_rights(sandbox: &Sandbox) -> Option<Child> {
    let bounds = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    let bounds = if rustix::process::geteuid().is_root() { &bounds[..] } else { &["env"] };
    let daemon = ["sh", "-c", "exec \"$0\" daemon run --foreground"];
    let Some(child) = sandbox.begin_wrapped(&[bounds, &daemon].concat()) else {
        skip("there is no `setpriv`");
        return None;
    };
    wait_for("the daemon listens", || sandbox.exists("boi/boi.sock").then_some(()));
    Some(child)
}

/// A task that runs `command`, which takes away its user's rights to files of boi, fails with its own exit code, can be
/// retried, and the rights are restored.
#[track_caller]
fn ends_without_rights(command: &str) {
    let sandbox = Sandbox::new("retry_count = 0");
    let Some(mut child) = begin_daemon_without_rights(&sandbox) else { return };
    let id = sandbox.dispatch(&format!(
        "title = 'Rights'\n[[tasks]]\nrun = '''echo said; echo x >> {0}; test $(wc -l < {0}) = 2 && exit; \
         cd $BOI_HOME/attempts; {command}; exit 7'''\n[[tasks]]\nrun = 'true'",
        sandbox.at("starts"),
    ));
    let reason = sandbox.wait_for_status(&id, "failed")["reason"].to_string();
    assert!(reason.contains("exit code 7"), "{reason}");
    assert!(sandbox.good(&["log", &id]).out.contains("said"));
    sandbox.good(&["retry", &id]);
    sandbox.wait_for_status(&id, "completed");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(sandbox.read("starts"), "x\nx\n");
    let log = sandbox.read("daemon.err");
    assert!(!log.contains("deleted"), "{log}");
    for folder in [String::new(), format!("/{id}"), format!("/{id}/1"), format!("/{id}/1/command-1")] {
        let mode = fs::metadata(sandbox.path(&format!("boi/attempts{folder}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn the_exit_code_of_a_command_that_closes_its_own_folder_counts() {
    ends_without_rights("chmod 000 $BOI_SPEC/1/command-1");
}

#[test]
fn the_exit_code_of_a_command_that_closes_the_folder_of_all_attempts_counts() {
    ends_without_rights("chmod 000 $BOI_SPEC/1 $BOI_SPEC .");
}

#[test]
fn the_exit_code_of_a_command_that_makes_its_records_read_only_counts() {
    ends_without_rights("chmod -R a-w $BOI_SPEC");
}

#[test]
fn files_without_rights_in_a_worktree_are_committed() {
    let sandbox = Sandbox::new("retry_count = 0");
    let Some(mut child) = begin_daemon_without_rights(&sandbox) else { return };
    let id = sandbox.dispatch(
        "title = 'Closed'\nrepo = 'repo'\n[[tasks]]\nrun = 'mkdir -p b/c; echo 1 > b/c/one; echo 2 > two; \
         chmod 000 two b/c b .'\n[[tasks]]\nrun = 'cat b/c/one two > three; chmod 000 b'",
    );
    let spec = sandbox.wait_for_status(&id, "completed");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(spec["worktree"], Value::Null, "the worktree is removed: {spec:#}");
    let branch = spec["branch"].as_str().unwrap();
    for (file, text) in [("b/c/one", "1"), ("two", "2"), ("three", "1\n2")] {
        assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:{file}")]), text);
    }
}

/// The folder of a command is deleted, then its supervisor is killed, while a daemon runs or while none does. The command,
/// which is left, is ended before the next try.
#[track_caller]
fn ended_without_folder_and_supervisor(with_daemon: bool) {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Both go'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo x >> {}; test -e {} && exit 0; echo $PPID > {}; \
         echo $$ > {}; sleep 1000'''",
        sandbox.at("starts"),
        sandbox.at("go"),
        sandbox.at("supervisor"),
        sandbox.at("pid")
    ));
    let pid = pid_in(&sandbox.path("pid"));
    if !with_daemon {
        sandbox.stop_daemon(Signal::KILL);
    }
    fs::remove_dir_all(sandbox.path(&format!("boi/attempts/{id}"))).unwrap();
    sandbox.write("go", "");
    let supervisor = Pid::from_raw(pid_in(&sandbox.path("supervisor"))).unwrap();
    kill_process(supervisor, Signal::KILL).unwrap();
    if !with_daemon {
        wait_for("the supervisor ends", || (!lives(supervisor.as_raw_nonzero().get())).then_some(()));
        assert!(lives(pid));
        sandbox.start_daemon();
    }
    let spec = sandbox.wait_for_status(&id, "completed");
    assert!(!lives(pid), "ended before the next try");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &2.into()), "{spec:#}");
    assert_eq!(sandbox.read("starts"), "x\nx\n");
}

#[test]
fn a_command_without_folder_and_supervisor_is_ended_by_its_daemon() {
    ended_without_folder_and_supervisor(true);
}

#[test]
fn a_command_without_folder_and_supervisor_is_ended_by_the_next_daemon() {
    ended_without_folder_and_supervisor(false);
}

#[test]
fn a_command_whose_folder_was_deleted_can_be_canceled() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    fs::remove_dir_all(sandbox.path("boi/attempts")).unwrap();
    sandbox.good(&["cancel", &id]);
    assert_eq!(sandbox.spec(&id)["status"], "canceled");
    assert!(!lives(pid));
    assert_eq!(sandbox.read("starts"), "x\n");
}

#[test]
fn a_home_and_a_queue_have_one_daemon_and_a_stale_pid_file_counts_for_none() {
    let mut sandbox = Sandbox::new("");
    fs::create_dir_all(sandbox.path("boi/pids")).unwrap();
    // The pid of a process that is no daemon: this test.
    sandbox.write("boi/pids/daemon.pid", format!("{}\n", std::process::id()));
    let said = sandbox.boi(&["daemon", "stop"]);
    assert!(said.code == Some(0) && said.out.contains("no daemon runs"), "{said:?}");
    let said = sandbox.boi(&["daemon", "reload"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    sandbox.start_daemon();
    let pid = sandbox.read("boi/pids/daemon.pid");
    let said = sandbox.boi(&["daemon", "run", "--foreground"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(&format!("a daemon is already running (pid {})", pid.trim())), "{said:?}");
    assert_eq!(sandbox.read("boi/pids/daemon.pid"), pid, "the second one left no trace");
    // Another home on the same queue.
    let db = sandbox.path("boi/state/boi.db");
    let other = Sandbox::new(&format!("paths.db = '{}'", db.display()));
    let said = other.boi(&["daemon", "run", "--foreground"]);
    assert!(said.code == Some(1) && said.err.contains("is in use by another boi process"), "{said:?}");
    assert_eq!(other.read("boi/pids/daemon.pid"), "", "it ended cleanly");
    assert!(sandbox.stop_daemon(Signal::TERM).success());
}
