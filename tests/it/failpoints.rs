//! The daemon, or a supervisor, dies at each place of the crash protocol, and the spec is carried out as if nothing had
//! happened: `src/host/failpoint.rs`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::crash::rounds::{Victims, check, traced};
use super::support::{Sandbox, lives, pid_in, wait_for};

/// An agent's task, verified, and a command's.
const TASKS: &str = "
[[tasks]]
id = 't0'
prompt = 'pause 0.05'
verify = ['test -s t0.txt']
[[tasks]]
id = 't1'
run = 'echo \"$BOI_SPEC $BOI_TASK $BOI_TRY\" >> \"$CRASH_TRACE\"; echo \"$BOI_TASK\" >> \"$BOI_TASK.txt\"'
";

fn armed(point: &str) -> Sandbox {
    let sandbox = traced(Sandbox::new("stop_grace_seconds = 1\ntick_interval_ms = 100\nspawn_jitter_ms = [0, 0]\n"));
    let fired = sandbox.path("fired").display().to_string();
    sandbox.with_variables([("BOI_FAILPOINT", format!("{point}={fired}"))])
}

/// The spec, once it is completed.
fn completed(sandbox: &Sandbox, id: &str) -> Value {
    let spec = sandbox.wait_for_status(id, "completed");
    assert_eq!(spec["attempt"], 1);
    spec
}

/// The tries that were recorded for the first task, and those that were begun.
fn tries(sandbox: &Sandbox, spec: &Value) -> (u64, Vec<u64>) {
    let recorded = spec["tasks"][0]["tries"].as_u64().expect("a number");
    let trace = sandbox.read("starts");
    let begun = trace.lines().filter_map(|line| line.split_once(" t0 ")).map(|(_, number)| number.parse().unwrap());
    (recorded, begun.collect())
}

/// The daemon dies at `point`, once; the next one goes on. No try is lost and none is made twice.
#[track_caller]
fn daemon_dies_at(point: &str) {
    let mut sandbox = armed(point);
    let before = sandbox.checkout();
    let id = sandbox.dispatch(&format!("title = 'Dies'\nrepo = 'repo'\nverify = ['test -s t1.txt']\n{TASKS}"));
    sandbox.begin_daemon();
    assert_eq!(sandbox.wait_for_daemon().signal(), Some(9), "{point}");
    assert!(sandbox.exists("fired"), "{point} was not reached");
    sandbox.start_daemon();
    let spec = completed(&sandbox, &id);
    assert_eq!(check(&sandbox, &[id], Victims::Daemon, point), 2);
    assert_eq!(tries(&sandbox, &spec), (1, vec![1]), "{point}");
    assert_eq!(sandbox.checkout(), before);
}

/// The first command's supervisor dies at `point`, and the daemon goes on with it.
#[track_caller]
fn supervisor_dies_at(point: &str) -> (u64, Vec<u64>) {
    let mut sandbox = armed(point);
    let id = sandbox.dispatch(&format!("title = 'Dies'\nrepo = 'repo'\nverify = ['test -s t1.txt']\n{TASKS}"));
    sandbox.start_daemon();
    let spec = completed(&sandbox, &id);
    assert!(sandbox.exists("fired"), "{point} was not reached");
    check(&sandbox, &[id], Victims::Supervisors, point);
    tries(&sandbox, &spec)
}

#[test]
fn daemon_after_the_claim() {
    daemon_dies_at("claim.committed");
}

#[test]
fn daemon_between_the_branch_and_its_worktree() {
    daemon_dies_at("branch.made");
}

#[test]
fn daemon_between_a_worktree_and_its_files() {
    daemon_dies_at("worktree.added");
}

#[test]
fn daemon_after_the_worktree_was_laid() {
    daemon_dies_at("worktree.laid");
}

#[test]
fn daemon_after_the_worktree_was_laid_and_the_next_has_another_folder_for_them() {
    for point in ["branch.made", "worktree.added", "worktree.laid"] {
        let mut sandbox = armed(point);
        let id = sandbox.dispatch(&format!("title = 'Dies'\nrepo = 'repo'\n{TASKS}"));
        sandbox.begin_daemon();
        assert_eq!(sandbox.wait_for_daemon().signal(), Some(9), "{point}");
        sandbox.write("boi/config.toml", "paths.worktrees = 'elsewhere'");
        sandbox.start_daemon();
        completed(&sandbox, &id);
        assert_eq!(check(&sandbox, &[id], Victims::Daemon, point), 2);
        let elsewhere = fs::read_dir(sandbox.path("boi/elsewhere")).into_iter().flatten().count();
        assert_eq!(elsewhere, 0, "{point}");
    }
}

#[test]
fn a_worktree_that_was_laid_by_a_daemon_that_died_is_named_and_put_away() {
    for point in ["branch.made", "worktree.added", "worktree.laid"] {
        let mut sandbox = armed(point);
        let id = sandbox.dispatch(&format!("title = 'Dies'\nrepo = 'repo'\n{TASKS}"));
        sandbox.begin_daemon();
        assert_eq!(sandbox.wait_for_daemon().signal(), Some(9), "{point}");
        sandbox.write("boi/config.toml", "paths.worktrees = 'elsewhere'");
        sandbox.good(&["cancel", &id]);
        let spec = sandbox.spec(&id);
        let folder = sandbox.path(&format!("boi/worktrees/{id}"));
        assert_eq!(spec["status"], "canceled", "{point}: {spec:#}");
        assert_eq!(spec["worktree"].as_str().map(Path::new), Some(folder.as_path()), "{point}: {spec:#}");
        sandbox.good(&["clean"]);
        assert!(!folder.exists() && !sandbox.exists(&format!("boi/attempts/{id}")), "{point}");
        assert_eq!(sandbox.git("repo", &["for-each-ref", "--format=%(refname)"]), "refs/heads/main", "{point}");
        assert!(sandbox.spec(&id)["worktree"].is_null(), "{point}");
        assert_eq!(sandbox.git("repo", &["worktree", "list"]).lines().count(), 1, "{point}");
        assert_eq!(sandbox.read("starts"), "", "{point}: nothing was run");
    }
}

#[test]
fn daemon_between_a_commands_record_and_its_spawn() {
    daemon_dies_at("command.recorded");
}

#[test]
fn daemon_after_the_spawn() {
    daemon_dies_at("command.spawned");
}

#[test]
fn daemon_between_an_exit_record_and_its_own() {
    daemon_dies_at("exit.seen");
}

#[test]
fn daemon_after_the_files_were_captured() {
    daemon_dies_at("try.captured");
}

#[test]
fn daemon_after_the_branch_moved() {
    daemon_dies_at("branch.moved");
}

#[test]
fn daemon_before_the_moved_branch_is_recorded() {
    daemon_dies_at("task.advanced");
}

#[test]
fn daemon_after_the_worktree_was_removed() {
    daemon_dies_at("worktree.removed");
}

#[test]
fn daemon_after_the_finish() {
    daemon_dies_at("spec.finished");
}

/// The daemon dies at `point` of a delivery into a base that somebody else has moved on meanwhile.
#[track_caller]
fn daemon_dies_delivering_at(point: &str) {
    let mut sandbox = armed(point);
    let repo = sandbox.path("repo").display().to_string();
    let id = sandbox.dispatch(&format!(
        "title = 'Lands'\nrepo = 'repo'\ndeliver = 'merge'\nverify = ['echo x >> {}']\n{TASKS}[[tasks]]\n\
         run = 'git -C {repo} commit -q --allow-empty -m other'",
        sandbox.path("verified").display()
    ));
    sandbox.begin_daemon();
    assert_eq!(sandbox.wait_for_daemon().signal(), Some(9));
    sandbox.start_daemon();
    let spec = completed(&sandbox, &id);
    assert_eq!(spec["delivery"], "merged", "{spec:#}");
    let mut subjects: Vec<String> =
        sandbox.git("repo", &["log", "--format=%s", "main"]).lines().map(str::to_owned).collect();
    subjects.retain(|subject| subject != "first" && subject != "other");
    assert_eq!(subjects.len(), 3, "two tasks and one merge: {subjects:?}");
    assert_eq!(sandbox.read("verified"), "x\nx\n", "once before the merge and once after it");
    assert_eq!(sandbox.git("repo", &["status", "--porcelain"]), "");
    assert_eq!(tries(&sandbox, &spec), (1, vec![1]));
}

#[test]
fn daemon_after_the_base_was_merged_into_the_branch() {
    daemon_dies_delivering_at("base.merged");
}

#[test]
fn daemon_after_the_base_moved() {
    daemon_dies_delivering_at("base.moved");
}

#[test]
fn daemon_between_a_supervisors_death_and_its_record() {
    let mut sandbox = armed("loss.seen");
    let poison = "echo \"$BOI_SPEC $BOI_TASK $BOI_TRY\" >> \"$CRASH_TRACE\"; echo \"$BOI_TASK\" >> t0.txt; \
                  test $BOI_TRY = 1 && kill -9 $PPID; true";
    let id = sandbox.dispatch(&format!(
        "title = 'Both die'\nrepo = 'repo'\n[[tasks]]\nid = 't0'\nrun = '{poison}'\nverify = ['test -s t0.txt']"
    ));
    sandbox.begin_daemon();
    assert_eq!(sandbox.wait_for_daemon().signal(), Some(9));
    sandbox.start_daemon();
    let spec = completed(&sandbox, &id);
    check(&sandbox, &[id], Victims::Supervisors, "loss.seen");
    assert_eq!(tries(&sandbox, &spec), (2, vec![1, 2]), "one death is one try");
}

/// The queue hangs at `point` while `first` waits for it: whoever asks is told, what cannot do without it gives up, as
/// `gives_up` does, and the daemon goes on.
#[track_caller]
fn the_queue_hangs_at(point: &str, first: &[&str], gives_up: &[&str]) -> Sandbox {
    let mut sandbox = armed(point);
    fs::set_permissions(sandbox.path("boi"), Permissions::from_mode(0o700)).unwrap();
    sandbox.write("late.toml", "title = 'Late'\n[[tasks]]\nrun = 'true'");
    sandbox.begin_daemon();
    wait_for("it listens", || sandbox.exists("boi/boi.sock").then_some(()));
    let waits = sandbox.begin(first);
    wait_for("it hangs", || sandbox.exists("fired").then_some(()));
    let said = wait_for("it is said", || {
        let said = sandbox.good(&["status", "--json"]).json();
        (said["store"]["ok"] == false).then_some(said)
    });
    assert!(said["store"]["unanswered_seconds"].as_u64().is_some_and(|seconds| seconds >= 3), "{said:#}");
    assert!(!said["daemon"].is_null());
    let db = sandbox.path("boi/state/boi.db").display().to_string();
    let told = |text: &str| {
        for part in ["the daemon answers, but its queue has not answered for", &db] {
            assert!(text.contains(part), "{part}: {text}");
        }
    };
    told(&sandbox.good(&["status"]).out);
    told(&sandbox.good(&["daemon", "status"]).out);
    let said = sandbox.boi(&["doctor"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    told(&said.out);
    let said = sandbox.boi(gives_up);
    assert_eq!(said.code, Some(4), "{said:?}");
    told(&said.err);
    sandbox.write("fired", "");
    waits.end();
    wait_for("it answers", || (sandbox.good(&["status", "--json"]).json()["store"]["ok"] == true).then_some(()));
    sandbox.good(&["doctor"]);
    sandbox
}

#[test]
fn a_queue_that_does_not_write_keeps_nobody_from_leaving() {
    let mut sandbox = armed("store.commit");
    fs::set_permissions(sandbox.path("boi"), Permissions::from_mode(0o700)).unwrap();
    sandbox.write("late.toml", "title = 'Late'\n[[tasks]]\nrun = 'true'");
    // Not yet.
    sandbox.write("fired", "");
    sandbox.start_daemon();
    let at = |name: &str| sandbox.path(name).display().to_string();
    let run =
        format!("echo x >> {}; echo $$ > {}; until test -e {}; do sleep 0.02; done", at("starts"), at("pid"), at("go"));
    let id = sandbox.dispatch(&format!("title = 'Runs'\n[[tasks]]\nrun = '{run}'"));
    let pid = pid_in(&sandbox.path("pid"));
    fs::remove_file(sandbox.path("fired")).unwrap();
    let waits = sandbox.begin(&["dispatch", "late.toml"]);
    wait_for("it hangs", || sandbox.exists("fired").then_some(()));
    let said = sandbox.boi(&["daemon", "stop"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    for part in ["its queue has not answered for", "`kill -TERM "] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    assert_eq!(sandbox.stop_daemon(Signal::TERM).code(), Some(1));
    let log = sandbox.read("daemon.err");
    assert!(log.contains("the daemon ended without it; what runs lives on"), "{log}");
    assert!(!sandbox.exists("boi/boi.sock") && lives(pid));
    waits.end();
    sandbox.start_daemon();
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((sandbox.read("starts").as_str(), &spec["attempt"]), ("x\n", &1.into()), "{spec:#}");
}

#[test]
fn a_queue_that_does_not_write_is_named() {
    let sandbox = the_queue_hangs_at("store.commit", &["dispatch", "late.toml"], &["pause"]);
    // What was given up is done all the same, and the loop knows it.
    wait_for("it is paused", || (sandbox.good(&["status", "--json"]).json()["paused"] == true).then_some(()));
    let id = sandbox.dispatch("title = 'Waits'\n[[tasks]]\nrun = 'true'");
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    sandbox.good(&["resume"]);
    sandbox.wait_for_status(&id, "completed");
}

#[test]
fn a_queue_that_cannot_be_read_is_named() {
    the_queue_hangs_at("store.read", &["status"], &["status", "SFFFF"]);
}

#[test]
fn supervisor_after_it_took_the_lock() {
    assert_eq!(supervisor_dies_at("supervisor.locked"), (1, vec![1]), "nothing was executed: the same try");
}

#[test]
fn supervisor_and_its_child_before_started() {
    assert_eq!(supervisor_dies_at("supervisor.forked"), (1, vec![1]), "nothing was executed: the same try");
}

#[test]
fn supervisor_and_its_child_between_started_and_exec() {
    assert_eq!(supervisor_dies_at("supervisor.started"), (2, vec![2]), "it may have been executed: the next try");
}

#[test]
fn supervisor_alone_while_its_child_has_not_started() {
    let (recorded, begun) = supervisor_dies_at("supervisor.orphaned");
    assert_eq!((recorded, begun.last()), (2, Some(&2)), "{begun:?}");
}

#[test]
fn supervisor_before_the_exit_record() {
    assert_eq!(supervisor_dies_at("supervisor.ended"), (2, vec![1, 2]), "how it ended is not known: the next try");
}

#[test]
fn supervisor_after_the_exit_record() {
    assert_eq!(supervisor_dies_at("supervisor.recorded"), (1, vec![1]));
}
