//! `boi doctor`: each problem is found, explained, and fixed where that loses nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Said, Sandbox, lives, pid_in, skip, wait_for};

const FAILS: &str = "title = 'Fails'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo precious > work; exit 4'";

/// A sandbox whose home has the mode that boi gives it.
fn sandbox(config: &str) -> Sandbox {
    let sandbox = Sandbox::new(config);
    fs::set_permissions(sandbox.path("boi"), Permissions::from_mode(0o700)).unwrap();
    sandbox
}

fn findings(said: &Said) -> Vec<Value> {
    said.json()["findings"].as_array().expect("findings").clone()
}

/// The findings of one kind.
fn of<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|finding| finding["kind"] == kind).collect()
}

#[test]
fn no_problem_is_found_with_and_without_a_daemon_and_before_the_home_exists() {
    let mut sandbox = sandbox("");
    sandbox.good(&["doctor"]);
    sandbox.run("title = 'T'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    sandbox.run(FAILS);
    let said = sandbox.good(&["doctor"]);
    assert!(said.out.ends_with("no problems found\n"), "{said:?}");
    sandbox.start_daemon();
    let said = sandbox.good(&["doctor", "--fix", "--json"]).json();
    assert_eq!((&said["ok"], &said["daemon"]), (&true.into(), &true.into()), "{said:#}");
    sandbox.stop_daemon(Signal::TERM);
    // A daemon in the background is no foreign reader of the queue.
    sandbox.background(&["daemon", "start"]);
    let found = findings(&sandbox.good(&["doctor", "--json"]));
    assert_eq!(of(&found, "queue-log"), Vec::<&Value>::new());
    sandbox.good(&["daemon", "stop"]);
    fs::remove_dir_all(sandbox.path("boi")).unwrap();
    sandbox.good(&["doctor"]);
    assert!(!sandbox.exists("boi"), "a check creates nothing");
}

#[test]
fn problems_are_found_and_fixed_where_that_loses_nothing() {
    let sandbox = sandbox("");
    let (_, failed) = sandbox.run(FAILS);
    let failed = failed["id"].as_str().unwrap().to_owned();
    let (_, merged) = sandbox.run("title = 'M'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    sandbox.git("repo", &["merge", "-q", "--ff-only", merged["branch"].as_str().unwrap()]);
    let chmod = |name: &str, mode| fs::set_permissions(sandbox.path(name), Permissions::from_mode(mode)).unwrap();
    chmod("boi/state/boi.db", 0o644);
    chmod("boi/attempts", 0o755);
    sandbox.write("boi/pids/daemon.pid", format!("{}\n", std::process::id()));
    for empty in ["boi/worktrees/SFFFE", "boi/attempts/SFFFF", "boi/worktrees/SFFFD"] {
        fs::create_dir(sandbox.path(empty)).unwrap();
        chmod(empty, 0o700);
    }
    sandbox.write("boi/worktrees/SFFFD/unique", "work");
    fs::remove_dir_all(sandbox.path(&format!("boi/worktrees/{failed}"))).unwrap();
    let said = sandbox.boi(&["doctor", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let all = findings(&said);
    for (kind, count) in [
        ("mode", 2),
        ("pid-file", 1),
        ("stale-worktree", 2),
        ("stale-attempts", 1),
        ("worktree-entry", 1),
        ("merged-branch", 1),
    ] {
        assert_eq!(of(&all, kind).len(), count, "{kind} in {all:#?}");
    }
    for finding in &all {
        for field in ["what", "where", "why", "mend"] {
            assert!(finding[field].as_str().is_some_and(|text| !text.is_empty()), "{finding:#}");
        }
        assert!(finding["mended"].is_null());
    }
    let said = sandbox.boi(&["doctor", "--fix", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let left: Vec<Value> =
        findings(&said).into_iter().filter(|one| one["level"] == "problem" && one["mended"].is_null()).collect();
    assert_eq!(left.len(), 1, "only what may be unique is left: {left:#?}");
    assert!(left[0]["where"].as_str().unwrap().ends_with("worktrees/SFFFD"));
    assert_eq!(sandbox.read("boi/worktrees/SFFFD/unique"), "work");
    assert!(!sandbox.git("repo", &["worktree", "list"]).contains(&failed));
    fs::remove_dir_all(sandbox.path("boi/worktrees/SFFFD")).unwrap();
    sandbox.good(&["doctor"]);
    assert_eq!(sandbox.read("boi/pids/daemon.pid"), "");
}

#[test]
fn commits_that_only_a_stale_worktree_entry_holds_are_kept() {
    let sandbox = sandbox("");
    let (_, spec) = sandbox.run(
        "title = 'Detached'\nrepo = 'repo'\n[[tasks]]\nrun = 'git checkout -q --detach && echo 1 > one && git add one && \
         git -c user.name=a -c user.email=a@example.invalid commit -q -m own; exit 1'",
    );
    let id = spec["id"].as_str().unwrap();
    let own = sandbox.git(&format!("boi/worktrees/{id}"), &["rev-parse", "HEAD"]);
    fs::remove_dir_all(sandbox.path(&format!("boi/worktrees/{id}"))).unwrap();
    sandbox.good(&["doctor", "--fix"]);
    let kept = sandbox.git("repo", &["for-each-ref", "--format=%(objectname)", "refs/boi/kept/"]);
    assert!(kept.contains(&own), "{kept}");
}

#[test]
fn processes_of_an_ended_spec_are_ended_and_no_others() {
    let mut sandbox = sandbox("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let at = |name: &str| sandbox.path(name).display().to_string();
    let run = |name: &str| format!("title = 'L'\n[[tasks]]\nrun = 'echo $$ > {}; exec sleep 1000'", at(name));
    let (ended, alive) = (run("ended"), run("alive"));
    let id = sandbox.dispatch(&ended);
    let orphan = pid_in(&sandbox.path("ended"));
    // The queue is edited so that the spec has ended while its command still runs.
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    let running = sandbox.good(&["doctor", "--json"]);
    assert_eq!(of(&findings(&running), "running-without-daemon").len(), 1, "{running:?}");
    let supervisor: Value =
        serde_json::from_str(&sandbox.read(&format!("boi/attempts/{id}/1/command-1/started"))).unwrap();
    let supervisor = i32::try_from(supervisor["supervisor"]["pid"].as_i64().unwrap()).unwrap();
    let queue = rusqlite::Connection::open(sandbox.path("boi/state/boi.db")).unwrap();
    queue.execute("UPDATE specs SET status = 'canceled', finished_at = 1 WHERE id = ?", [&id]).unwrap();
    drop(queue);
    sandbox.start_daemon();
    sandbox.dispatch(&alive);
    let other = pid_in(&sandbox.path("alive"));
    let said = sandbox.boi(&["doctor", "--json"]);
    let all = findings(&said);
    assert_eq!((said.code, of(&all, "orphans").len()), (Some(1), 1), "{all:#?}");
    assert!(lives(orphan));
    sandbox.good(&["doctor", "--fix"]);
    wait_for("the orphan and its supervisor end", || (!lives(orphan) && !lives(supervisor)).then_some(()));
    assert!(lives(other));
    assert!(of(&findings(&sandbox.good(&["doctor", "--json"])), "orphans").is_empty());
}

#[test]
fn an_invalid_configuration_a_missing_agent_and_a_damaged_queue_are_found_with_their_fix() {
    let sandbox = sandbox("");
    sandbox.run("title = 'T'\n[[tasks]]\nrun = 'true'");
    sandbox.write("boi/config.toml", "claude_bin = '/nowhere/claude'\n");
    let said = sandbox.boi(&["doctor"]);
    assert!(said.code == Some(1) && said.out.contains("`/nowhere/claude` does not exist"), "{said:?}");
    sandbox.write("boi/config.toml", "max_workers = 'many'\n");
    let said = sandbox.boi(&["doctor"]);
    assert!(said.code == Some(1) && said.out.contains("the configuration is invalid"), "{said:?}");
    assert!(said.out.contains("boi config check"), "{said:?}");
    sandbox.write("boi/config.toml", "");
    sandbox.write("boi/state/boi.db", "");
    let said = sandbox.boi(&["doctor", "--fix"]);
    assert!(said.code == Some(1) && said.out.contains("is damaged (the file is empty)"), "{said:?}");
    assert!(said.out.contains(".recover"), "{said:?}");
    assert_eq!(sandbox.read("boi/state/boi.db"), "", "left as it is");
    let others = sandbox.path("boi");
    sandbox.write("boi/state/boi.db", "");
    fs::set_permissions(&others, Permissions::from_mode(0o777)).unwrap();
    let said = sandbox.boi(&["doctor", "--fix", "--json"]);
    assert_eq!(of(&findings(&said), "mode").len(), 1, "{said:?}");
    assert_eq!(fs::metadata(&others).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_full_disk_is_found() {
    let sandbox = sandbox("");
    sandbox.good(&["daemon", "stop"]);
    let home = sandbox.path("boi");
    let script = format!(
        "mount -t tmpfs -o size=600k,mode=700 x '{0}' && exec \"$0\" doctor --json > '{0}.said'",
        home.display()
    );
    let doctor = sandbox.begin_wrapped(&["unshare", "-rm", "sh", "-c", &script]);
    let code = doctor.and_then(|mut doctor| doctor.wait().unwrap().code());
    if !sandbox.exists("boi.said") {
        return skip("`unshare -rm` cannot mount a file system here");
    }
    let said = Said { code, out: sandbox.read("boi.said"), err: String::new() };
    let all = findings(&said);
    let disk = of(&all, "disk");
    assert_eq!((code, disk.len()), (Some(1), 1), "{said:?}");
    assert_eq!(disk[0]["where"], home.display().to_string(), "{said:?}");
}
