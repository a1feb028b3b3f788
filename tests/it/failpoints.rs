//! The daemon, or a supervisor, dies at each place of the crash protocol, and the spec is carried out as if nothing had
//! happened: `src/host/failpoint.rs`.

use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use super::crash::rounds::{Victims, check, traced};
use super::support::Sandbox;

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
fn daemon_after_the_worktree_was_laid() {
    daemon_dies_at("worktree.laid");
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
