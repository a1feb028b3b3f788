//! The queue's database, and the home it is in, under bad conditions: no running worker is harmed, nothing new is started,
//! the reason is told, and the daemon goes on by itself where it can.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::{Sandbox, fake_agent, lives, pid_in, wait_for};

/// A spec whose one command notes each of its starts and waits at a barrier.
fn barrier(sandbox: &Sandbox) -> String {
    let at = |name: &str| sandbox.path(name).display().to_string();
    format!(
        "title = 'Barrier'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo x >> {}; echo $$ > {}; \
         while ! test -e {}; do sleep 0.02; done; echo 1 > one'''",
        at("starts"),
        at("pid"),
        at("go")
    )
}

const QUICK: &str = "title = 'Quick'\n[[tasks]]\nrun = 'true'";
const HELD: &str = "nothing new is started until this is mended";

/// The daemon's word on its queue, once it is `ok` or not.
fn store(sandbox: &Sandbox, ok: bool) -> Value {
    wait_for(&format!("the queue is ok: {ok}"), || {
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
    let reason = store(&sandbox, false)["reason"].to_string();
    assert!(reason.contains("boi.db is gone"), "{reason}");
    let said = sandbox.boi(&["doctor", "--json"]);
    let findings = said.json()["findings"].as_array().unwrap().clone();
    let told = findings.iter().find(|finding| finding["kind"] == "daemon").map(|finding| finding["what"].to_string());
    assert!(said.code == Some(1) && told.is_some_and(|what| what.contains("boi.db is gone")), "{findings:#?}");
    let shown = sandbox.good(&["status"]).out;
    assert!(shown.contains("is gone: put it back where it was; nothing new is started"), "{shown}");
    sandbox.write("quick.toml", QUICK);
    let said = sandbox.boi(&["dispatch", "quick.toml"]);
    assert!(said.code == Some(1) && said.err.contains("is gone"), "{said:?}");
    assert!(lives(pid));
    fs::rename(&aside, &db).unwrap();
    store(&sandbox, true);
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
    let Some(mut daemon) = sandbox.begin_wrapped(&["unshare", "-rm", "sh", "-c", &script]) else { return };
    let listens = wait_for("a daemon, or none", || {
        let ended = daemon.try_wait().unwrap().is_some();
        let said = sandbox.boi(&["status", "--json"]);
        (ended || said.code == Some(0) && !said.json()["daemon"].is_null()).then_some(!ended)
    });
    if !listens {
        // No file system can be mounted here.
        assert!(!sandbox.exists("starts.mounted"), "{}", sandbox.read("daemon.err"));
        return;
    }
    // Both at once: the command line looks at the queue itself, and only the daemon sees this one.
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
    // The command ends, and that cannot be recorded.
    sandbox.write("go", "");
    let reason = store(&sandbox, false)["reason"].to_string();
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(sandbox.spec(&ids[1])["status"], "queued");
    drop(file);
    fs::remove_file(&filler).unwrap();
    store(&sandbox, true);
    for id in &ids {
        sandbox.wait_for_status(id, "completed");
    }
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
    assert_eq!(sandbox.read("daemon.err").matches(HELD).count(), 1, "{}", sandbox.read("daemon.err"));
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    daemon.wait().unwrap();
    // Its database went with its mount.
    fs::remove_dir_all(sandbox.path("boi")).unwrap();
}

#[test]
fn a_queue_that_can_only_be_read_is_refused_with_the_reason() {
    let sandbox = Sandbox::new("");
    sandbox.run("title = 'T'\n[[tasks]]\nrun = 'true'");
    let state = sandbox.path("boi/state").display().to_string();
    let script = format!(
        "mount --bind '{state}' '{state}' && mount -o remount,bind,ro '{state}' && touch '{}' && \
         exec \"$0\" daemon run --foreground",
        sandbox.path("mounted").display()
    );
    let Some(mut daemon) = sandbox.begin_wrapped(&["unshare", "-rm", "sh", "-c", &script]) else { return };
    let code = daemon.wait().unwrap().code();
    if sandbox.exists("mounted") {
        let said = sandbox.read("daemon.err");
        assert!(code == Some(1) && said.contains("Read-only") && said.contains("/state/boi."), "{said}");
    }
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["completed"], 1);
}

#[test]
fn a_daemon_does_not_start_over_a_damaged_queue() {
    let sandbox = Sandbox::new("");
    let (code, spec) = sandbox.run("title = 'T'\nrepo = 'repo'\n[[tasks]]\nrun = 'exit 1'");
    assert_eq!((code, spec["status"].as_str()), (Some(1), Some("failed")));
    let db = sandbox.path("boi/state/boi.db");
    // A program that ends leaves what it wrote last in the log beside it.
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
        (Some(&[1; 9000]), "is no SQLite database"),
        (Some(&garbled), "is damaged"),
        (None, "is gone, but there was one"),
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
        assert_eq!(fs::read(&db).ok().as_deref(), bytes, "left as it is");
    }
    // The command that was named.
    fs::copy(&backup, &db).unwrap();
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["failed"], 1);
    // Without a backup, what the specs left shows it too.
    fs::remove_file(&backup).unwrap();
    fs::remove_file(&db).unwrap();
    for arguments in [&["status"][..], &["daemon", "run", "--foreground"]] {
        let said = sandbox.boi(arguments);
        assert!(said.code == Some(1) && said.err.contains("there was one"), "{said:?}");
    }
}

#[test]
fn a_daemon_whose_home_goes_starts_nothing_and_leaves_what_runs() {
    let mut sandbox = Sandbox::new("tick_interval_ms = 50");
    let first = sandbox.begin(&["daemon", "run", "--foreground"]);
    wait_for("it listens", || sandbox.exists("boi/boi.sock").then_some(()));
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    let (home, moved) = (sandbox.path("boi"), sandbox.path("moved"));
    fs::rename(&home, &moved).unwrap();
    // Whoever finds the socket is told.
    let told = wait_for("its word", || {
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
    assert!(told.contains("is not this daemon's home any more"), "{told}");
    // Another daemon in a new home at that place is none of its business.
    fs::create_dir(&home).unwrap();
    sandbox.start_daemon();
    let said = first.end();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("was removed or replaced") && said.err.contains("lives on"), "{said:?}");
    assert_eq!(said.err.matches(HELD).count(), 1, "{said:?}");
    assert!(lives(pid), "the command outlives the daemon");
    assert!(sandbox.exists("boi/boi.sock"));
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["running"], 0);
    sandbox.stop_daemon(Signal::TERM);
    // Put back, it goes on.
    fs::remove_dir_all(&home).unwrap();
    fs::rename(&moved, &home).unwrap();
    sandbox.start_daemon();
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

#[test]
fn nothing_is_made_in_the_place_of_a_home_that_went() {
    let mut sandbox = Sandbox::new("tick_interval_ms = 50");
    let daemon = sandbox.begin(&["daemon", "run", "--foreground"]);
    wait_for("it listens", || sandbox.exists("boi/boi.sock").then_some(()));
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    let (home, moved) = (sandbox.path("boi"), sandbox.path("moved"));
    fs::rename(&home, &moved).unwrap();
    sandbox.write("go", "");
    wait_for("the command ends", || (!lives(pid)).then_some(()));
    let said = daemon.end();
    assert!(said.code == Some(1) && said.err.contains("was removed or replaced"), "{said:?}");
    assert!(!home.exists(), "neither by the daemon nor by the supervisor: {said:?}");
    // Nor by a service's next daemon, nor by who looks what is there.
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
fn a_worktree_that_is_out_of_reach_is_waited_for() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'Away'\nrepo = 'repo'\n[[tasks]]\n\
         run = 'test -e begun && exit; echo x > begun; touch {0}; until test -e {1}; do sleep 0.02; done'",
        sandbox.path("runs").display(),
        sandbox.path("go").display(),
    ));
    wait_for("it runs", || sandbox.exists("runs").then_some(()));
    assert!(sandbox.stop_daemon(Signal::INT).success());
    let (folder, away) = (sandbox.path("boi/worktrees"), sandbox.path("boi/away"));
    fs::rename(&folder, &away).unwrap();
    // As under a mount point whose disk is away.
    fs::write(&folder, "").unwrap();
    sandbox.write("boi/config.toml", "paths.worktrees = 'elsewhere'");
    sandbox.start_daemon();
    wait_for("it is missed", || {
        sandbox.spec(&id)["reason"].as_str().is_some_and(|reason| reason.contains("worktrees")).then_some(())
    });
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{id}:begun")]), "x", "{spec:#}");
    assert_eq!(fs::read_dir(sandbox.path("boi/elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_command_whose_folder_was_removed_is_not_started_a_second_time() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&barrier(&sandbox));
    let pid = pid_in(&sandbox.path("pid"));
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    let folder = format!("boi/attempts/{id}");
    fs::remove_dir_all(sandbox.path(&folder)).unwrap();
    sandbox.start_daemon();
    wait_for("it is taken over", || {
        sandbox.read("daemon.err").contains("the folder of a running command was removed").then_some(())
    });
    assert!(lives(pid));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

/// Files of a running command go while no daemon runs; the next one starts under another name of the home.
#[track_caller]
fn files_go(names: &[&str]) {
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
    wait_for("it is taken over", || {
        let log = sandbox.read("daemon.err");
        log.contains("files of a running command were removed: it goes on").then_some(())
    });
    assert!(lives(pid));
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    assert_eq!(sandbox.read("starts"), "x\n", "the command ran once");
}

#[test]
fn a_command_whose_lock_was_removed_is_not_started_a_second_time() {
    files_go(&["lock"]);
}

#[test]
fn a_command_whose_lock_and_record_were_removed_is_not_started_a_second_time() {
    files_go(&["lock", "started"]);
}

#[test]
fn a_command_whose_record_was_removed_is_not_started_a_second_time() {
    files_go(&["started"]);
}

#[test]
fn a_command_is_not_started_a_second_time_from_another_name_of_its_home() {
    files_go(&[]);
}

#[test]
fn a_command_whose_folder_was_removed_under_its_daemon_counts_once() {
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
    assert!(log.contains("what the command had printed is lost, how it ended counts"), "{log}");
    let mode = fs::metadata(sandbox.path(&folder)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn an_agent_whose_folder_was_removed_runs_once_for_each_try() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let at = |name: &str| sandbox.path(name).display().to_string();
    let id = sandbox.dispatch(&format!(
        "title = 'Agent'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@touch {}@@ @@wait {}@@ @@write one 1@@'",
        at("begun"),
        at("go")
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
fn an_agent_whose_program_is_being_written_is_started_later_on_the_same_try() {
    let sandbox = Sandbox::new("retry_count = 0");
    let program = sandbox.path("agent");
    fs::copy(fake_agent(), &program).unwrap();
    let writer = File::options().write(true).open(&program).unwrap();
    // There are kernels that execute it all the same.
    if std::process::Command::new(&program).arg("--version").status().is_ok() {
        return;
    }
    let mut sandbox = sandbox.with_variables([("CLAUDE_BIN", program.display().to_string())]);
    sandbox.start_daemon();
    let id = sandbox.dispatch("title = 'Agent'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@write one 1@@'");
    wait_for("it is said why it waits", || {
        let spec = sandbox.spec(&id);
        let reason = spec["reason"].as_str()?;
        (spec["status"] == "queued" && reason.contains("Text file busy")).then_some(())
    });
    drop(writer);
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()), "{spec:#}");
}

#[test]
fn a_command_has_the_limit_of_open_files_that_its_daemon_was_started_with() {
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

/// A daemon without root's rights to everything; `None` where it cannot be had.
fn begin_daemon_without_rights(sandbox: &Sandbox) -> Option<Child> {
    let bounds = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    let bounds = if rustix::process::geteuid().is_root() { &bounds[..] } else { &["env"] };
    let daemon = ["sh", "-c", "exec \"$0\" daemon run --foreground"];
    let child = sandbox.begin_wrapped(&[bounds, &daemon].concat())?;
    wait_for("the daemon listens", || sandbox.exists("boi/boi.sock").then_some(()));
    Some(child)
}

/// A task takes its user's rights to boi's files away.
#[track_caller]
fn rights_go(command: &str) {
    let sandbox = Sandbox::new("retry_count = 0");
    let Some(mut child) = begin_daemon_without_rights(&sandbox) else { return };
    let id = sandbox.dispatch(&format!(
        "title = 'Rights'\n[[tasks]]\nrun = '''echo said; echo x >> {0}; test $(wc -l < {0}) = 2 && exit; \
         cd $BOI_HOME/attempts; {command}; exit 7'''\n[[tasks]]\nrun = 'true'",
        sandbox.path("starts").display(),
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
    assert!(!log.contains("removed"), "{log}");
    for folder in [String::new(), format!("/{id}"), format!("/{id}/1"), format!("/{id}/1/command-1")] {
        let mode = fs::metadata(sandbox.path(&format!("boi/attempts{folder}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn a_command_that_closes_its_own_folder_ends_as_it_ended() {
    rights_go("chmod 000 $BOI_SPEC/1/command-1");
}

#[test]
fn a_command_that_closes_the_folder_of_all_attempts_ends_as_it_ended() {
    rights_go("chmod 000 $BOI_SPEC/1 $BOI_SPEC .");
}

#[test]
fn a_command_that_makes_its_records_read_only_ends_as_it_ended() {
    rights_go("chmod -R a-w $BOI_SPEC");
}

#[test]
fn what_a_command_closed_in_its_worktree_is_committed() {
    let sandbox = Sandbox::new("retry_count = 0");
    let Some(mut child) = begin_daemon_without_rights(&sandbox) else { return };
    let id = sandbox.dispatch(
        "title = 'Closed'\nrepo = 'repo'\n[[tasks]]\nrun = 'mkdir -p b/c; echo 1 > b/c/one; echo 2 > two; \
         chmod 000 two b/c b .'\n[[tasks]]\nrun = 'cat b/c/one two > three; chmod 000 b'",
    );
    let spec = sandbox.wait_for_status(&id, "completed");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(spec["worktree"], Value::Null, "it is removed: {spec:#}");
    let branch = spec["branch"].as_str().unwrap();
    for (file, text) in [("b/c/one", "1"), ("two", "2"), ("three", "1\n2")] {
        assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:{file}")]), text);
    }
}

/// The folder goes, then the supervisor, with or without a daemon that sees it; what is left lives.
#[track_caller]
fn folder_and_supervisor_go(with_daemon: bool) {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let at = |name: &str| sandbox.path(name).display().to_string();
    let id = sandbox.dispatch(&format!(
        "title = 'Both go'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo x >> {}; test -e {} && exit 0; echo $PPID > {}; \
         echo $$ > {}; sleep 1000'''",
        at("starts"),
        at("go"),
        at("supervisor"),
        at("pid")
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
        wait_for("it is gone", || (!lives(supervisor.as_raw_nonzero().get())).then_some(()));
        assert!(lives(pid));
        sandbox.start_daemon();
    }
    let spec = sandbox.wait_for_status(&id, "completed");
    assert!(!lives(pid), "ended before the next try");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &2.into()), "{spec:#}");
    assert_eq!(sandbox.read("starts"), "x\nx\n");
}

#[test]
fn what_is_left_of_a_command_is_ended_when_its_folder_and_its_supervisor_are_gone() {
    folder_and_supervisor_go(true);
}

#[test]
fn what_is_left_of_a_command_is_ended_also_when_its_daemon_is_gone() {
    folder_and_supervisor_go(false);
}

#[test]
fn a_command_whose_folder_was_removed_can_be_canceled() {
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
fn one_daemon_per_home_and_a_stale_pid_file_is_nobody() {
    let mut sandbox = Sandbox::new("");
    fs::create_dir_all(sandbox.path("boi/pids")).unwrap();
    // This test itself is the stranger.
    sandbox.write("boi/pids/daemon.pid", format!("{}\n", std::process::id()));
    let said = sandbox.boi(&["daemon", "stop"]);
    assert!(said.code == Some(0) && said.out.contains("no daemon runs"), "{said:?}");
    let said = sandbox.boi(&["daemon", "reload"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    sandbox.start_daemon();
    let pid = sandbox.read("boi/pids/daemon.pid");
    let said = sandbox.boi(&["daemon", "run", "--foreground"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(&format!("a daemon runs already (pid {})", pid.trim())), "{said:?}");
    assert_eq!(sandbox.read("boi/pids/daemon.pid"), pid, "the second one left no trace");
    // Another home on the same queue.
    let db = sandbox.path("boi/state/boi.db");
    let other = Sandbox::new(&format!("paths.db = '{}'", db.display()));
    let said = other.boi(&["daemon", "run", "--foreground"]);
    assert!(said.code == Some(1) && said.err.contains("is in use by another boi process"), "{said:?}");
    assert_eq!(other.read("boi/pids/daemon.pid"), "", "it ended in order");
    assert!(sandbox.stop_daemon(Signal::TERM).success());
}
