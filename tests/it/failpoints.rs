//! The daemon, or a supervisor, is killed at each failpoint (`src/system/failpoint.rs`), and the next daemon completes the
//! spec without a lost or repeated try. At two failpoints the queue hangs instead.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::crash::rounds::{Victims, check, traced};
use super::support::{Sandbox, lives, pid_in, wait_for};

/// A task for an agent, with a verify command, and a task that runs a command.
const TASKS: &str = "
[[tasks]]
id = 't0'
prompt = 'pause 0.05'
verify = ['test -s t0.txt']
[[tasks]]
id = 't1'
run = 'echo \"$BOI_SPEC $BOI_TASK $BOI_TRY\" >> \"$CRASH_TRACE\"; echo \"$BOI_TASK\" >> \"$BOI_TASK.txt\"'
";

/// A sandbox in which the first process that reaches the failpoint `point` dies, or hangs, and creates the file `fired`.
fn armed(point: &str) -> Sandbox {
    let sandbox = traced(Sandbox::new("stop_grace_seconds = 1\ntick_interval_ms = 100\nspawn_jitter_ms = [0, 0]\n"));
    let fired = sandbox.at("fired");
    sandbox.with_variables([("BOI_FAILPOINT", format!("{point}={fired}"))])
}

/// Waits until the spec has completed in its first attempt, and returns it.
fn wait_until_completed(sandbox: &Sandbox, id: &str) -> Value {
    let spec = sandbox.wait_for_status(id, "completed");
    assert_eq!(spec["attempt"], 1);
    spec
}

/// How many tries of the first task are recorded, and the numbers of those that were begun.
fn tries(sandbox: &Sandbox, spec: &Value) -> (u64, Vec<u64>) {
    let recorded = spec["tasks"][0]["tries"].as_u64().expect("a number");
    let trace = sandbox.read("starts");
    let begun = trace.lines().filter_map(|line| line.split_once(" t0 ")).map(|(_, number)| number.parse().unwrap());
    (recorded, begun.collect())
}

/// The daemon dies at `point`, once, and the next one completes the spec: no try is lost, and none is made twice.
#[track_caller]
fn daemon_dies_at(point: &str) {
    let mut sandbox = armed(point);
    let before = sandbox.checkout();
    let id = sandbox.dispatch(&format!("title = 'Dies'\nrepo = 'repo'\nverify = ['test -s t1.txt']\n{TASKS}"));
    sandbox.begin_daemon();
    assert_eq!(sandbox.wait_for_daemon().signal(), Some(9), "{point}");
    assert!(sandbox.exists("fired"), "the failpoint {point} was not reached");
    sandbox.start_daemon();
    let spec = wait_until_completed(&sandbox, &id);
    assert_eq!(check(&sandbox, &[id], Victims::Daemon, point), 2);
    assert_eq!(tries(&sandbox, &spec), (1, vec![1]), "{point}");
    assert_eq!(sandbox.checkout(), before);
}

/// The supervisor of the first command dies at `point`, and the daemon completes the spec. Returns [`tries`].
#[track_caller]
fn supervisor_dies_at(point: &str) -> (u64, Vec<u64>) {
    let mut sandbox = armed(point);
    let id = sandbox.dispatch(&format!("title = 'Dies'\nrepo = 'repo'\nverify = ['test -s t1.txt']\n{TASKS}"));
    sandbox.start_daemon();
    let spec = wait_until_completed(&sandbox, &id);
    assert!(sandbox.exists("fired"), "the failpoint {point} was not reached");
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
fn daemon_after_the_worktree_was_filled() {
    daemon_dies_at("worktree.laid");
}

#[test]
fn daemon_between_branch_and_filled_worktree_and_the_next_has_another_worktree_folder() {
    for point in ["branch.made", "worktree.added", "worktree.laid"] {
        let mut sandbox = armed(point);
        let id = sandbox.dispatch(&format!("title = 'Dies'\nrepo = 'repo'\n{TASKS}"));
        sandbox.begin_daemon();
        assert_eq!(sandbox.wait_for_daemon().signal(), Some(9), "{point}");
        sandbox.write("boi/config.toml", "paths.worktrees = 'elsewhere'");
        sandbox.start_daemon();
        wait_until_completed(&sandbox, &id);
        assert_eq!(check(&sandbox, &[id], Victims::Daemon, point), 2);
        let elsewhere = fs::read_dir(sandbox.path("boi/elsewhere")).into_iter().flatten().count();
        assert_eq!(elsewhere, 0, "{point}");
    }
}

#[test]
fn the_worktree_of_a_canceled_spec_whose_daemon_died_is_shown_and_cleaned() {
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
        sandbox.good(&["clean", "--all"]);
        assert!(!folder.exists() && !sandbox.exists(&format!("boi/attempts/{id}")), "{point}");
        assert_eq!(sandbox.git("repo", &["for-each-ref", "--format=%(refname)"]), "refs/heads/main", "{point}");
        assert!(sandbox.spec(&id)["worktree"].is_null(), "{point}");
        assert_eq!(sandbox.git("repo", &["worktree", "list"]).lines().count(), 1, "{point}");
        assert_eq!(sandbox.read("starts"), "", "{point}: nothing was executed");
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
fn daemon_between_reading_an_exit_record_and_recording_the_end() {
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
fn daemon_after_the_spec_has_finished() {
    daemon_dies_at("spec.finished");
}

/// The daemon dies at `point` of a merge into a base that got another commit since the spec started.
#[track_caller]
fn daemon_dies_delivering_at(point: &str) {
    let mut sandbox = armed(point);
    let repo = sandbox.at("repo");
    let id = sandbox.dispatch(&format!(
        "title = 'Lands'\nrepo = 'repo'\ndeliver = 'merge'\nverify = ['echo x >> {}']\n{TASKS}[[tasks]]\n\
         run = 'git -C {repo} commit -q --allow-empty -m other'",
        sandbox.at("verified")
    ));
    sandbox.begin_daemon();
    assert_eq!(sandbox.wait_for_daemon().signal(), Some(9));
    sandbox.start_daemon();
    let spec = wait_until_completed(&sandbox, &id);
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
fn daemon_after_a_lander_was_started() {
    daemon_dies_delivering_at("landers.started");
}

#[test]
fn daemon_after_a_batch_was_built() {
    daemon_dies_delivering_at("batch.built");
}

#[test]
fn daemon_after_a_lander_was_removed() {
    daemon_dies_delivering_at("lander.removed");
}

#[test]
fn daemon_after_the_base_moved() {
    daemon_dies_delivering_at("base.moved");
}

/// A spec that changes a file, removes one, and adds others, and is merged into the checked-out `main`.
fn merging_spec() -> String {
    "title = 'Merges'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n[[tasks]]\n\
     run = 'echo two > a.txt; rm -r old; mkdir -p new/deep; echo n > new/deep/n.txt; ln -s n.txt new/deep/link'"
        .to_owned()
}

/// A sandbox whose `main` has a folder that [`merging_spec`] removes, and an untracked file.
fn merging_sandbox(point: &str) -> Sandbox {
    let sandbox = armed(point);
    fs::create_dir(sandbox.path("repo/old")).unwrap();
    sandbox.write("repo/old/gone.txt", "gone\n");
    sandbox.git("repo", &["add", "-A"]);
    sandbox.git("repo", &["commit", "-q", "-m", "more"]);
    sandbox.write("repo/untracked", "mine\n");
    sandbox
}

/// The daemon dies at each point of a delivery into a checkout, and the next one delivers all of it.
#[track_caller]
fn daemon_dies_changing_a_checkout_at(points: &[&str]) {
    for point in points {
        let mut sandbox = merging_sandbox(point);
        let id = sandbox.dispatch(&merging_spec());
        sandbox.begin_daemon();
        assert_eq!(sandbox.wait_for_daemon().signal(), Some(9), "{point}");
        sandbox.start_daemon();
        let spec = wait_until_completed(&sandbox, &id);
        assert_eq!(spec["delivery"], "merged", "{point}: {spec:#}");
        assert_eq!(sandbox.git("repo", &["status", "--porcelain"]), "?? untracked", "{point}");
        assert_eq!(sandbox.git("repo", &["diff-files", "--name-only"]), "", "{point}");
        assert_eq!(sandbox.git("repo", &["rev-parse", "main"]), spec["tasks"][0]["commit"].as_str().unwrap());
        assert_eq!((sandbox.read("repo/a.txt"), sandbox.read("repo/new/deep/link")), ("two\n".into(), "n\n".into()));
        assert!(!sandbox.exists("repo/old"), "{point}");
        assert!(!sandbox.exists("repo/.git/boi") && !sandbox.exists("repo/.git/index.lock"), "{point}");
    }
}

#[test]
fn daemon_before_a_checkout_is_changed() {
    daemon_dies_changing_a_checkout_at(&["delivery.prepared", "delivery.journaled", "delivery.locked"]);
}

#[test]
fn daemon_while_files_of_a_checkout_are_moved() {
    let moves = ["delivery.aside", "delivery.folder-removed", "delivery.folder-made", "delivery.placed"];
    daemon_dies_changing_a_checkout_at(&moves);
}

#[test]
fn daemon_after_the_files_of_a_checkout_were_moved() {
    let points = ["delivery.all-placed", "delivery.index-written", "delivery.indexed", "delivery.moved"];
    daemon_dies_changing_a_checkout_at(&points);
}

#[test]
fn an_interrupted_delivery_is_undone_by_the_doctor() {
    let mut sandbox = merging_sandbox("delivery.all-placed");
    let before = (sandbox.git("repo", &["ls-files", "--stage"]), sandbox.git("repo", &["rev-parse", "main"]));
    let id = sandbox.dispatch(&merging_spec());
    sandbox.begin_daemon();
    assert_eq!(sandbox.wait_for_daemon().signal(), Some(9));
    assert_eq!(sandbox.read("repo/a.txt"), "two\n", "the checkout is half changed");
    let found = sandbox.boi(&["doctor"]);
    for part in [id.as_str(), "a.txt", "new/deep/n.txt", "old/gone.txt"] {
        assert!(found.out.contains(part), "{part}: {found:?}");
    }
    let fixed = sandbox.boi(&["doctor", "--fix"]);
    assert!(fixed.out.contains(&format!("undid the merge of {id}")), "{fixed:?}");
    assert_eq!(sandbox.git("repo", &["status", "--porcelain"]), "?? untracked");
    assert_eq!(sandbox.git("repo", &["diff-files", "--name-only"]), "");
    assert_eq!(before.0, sandbox.git("repo", &["ls-files", "--stage"]));
    assert_eq!(before.1, sandbox.git("repo", &["rev-parse", "main"]));
    assert_eq!((sandbox.read("repo/old/gone.txt").as_str(), sandbox.exists("repo/new")), ("gone\n", false));
    assert!(!sandbox.exists("repo/.git/boi") && !sandbox.exists("repo/.git/index.lock"));
    sandbox.start_daemon();
    assert_eq!(wait_until_completed(&sandbox, &id)["delivery"], "merged");
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
    let spec = wait_until_completed(&sandbox, &id);
    check(&sandbox, &[id], Victims::Supervisors, "loss.seen");
    assert_eq!(tries(&sandbox, &spec), (2, vec![1, 2]), "one death is one try");
}

/// The queue hangs at `point` in a call of `first`. `status` and `doctor` report it, the command `gives_up`, which needs
/// the queue, exits with 4, and the daemon goes on once the queue answers.
#[track_caller]
fn the_queue_hangs_at(point: &str, first: &[&str], gives_up: &[&str]) -> Sandbox {
    let mut sandbox = armed(point);
    fs::set_permissions(sandbox.path("boi"), Permissions::from_mode(0o700)).unwrap();
    sandbox.write("late.toml", "title = 'Late'\n[[tasks]]\nrun = 'true'");
    sandbox.begin_daemon();
    wait_for("the daemon listens", || sandbox.exists("boi/boi.sock").then_some(()));
    let waits = sandbox.begin(first);
    wait_for("the queue hangs", || sandbox.exists("fired").then_some(()));
    let said = wait_for("status reports it", || {
        let said = sandbox.good(&["status", "--json"]).json();
        (said["store"]["ok"] == false).then_some(said)
    });
    assert!(said["store"]["unanswered_seconds"].as_u64().is_some_and(|seconds| seconds >= 3), "{said:#}");
    assert!(!said["daemon"].is_null());
    let db = sandbox.at("boi/state/boi.db");
    let must_report = |text: &str| {
        for part in ["the daemon answers, but its queue has not answered for", &db] {
            assert!(text.contains(part), "{part}: {text}");
        }
    };
    must_report(&sandbox.good(&["status"]).out);
    must_report(&sandbox.good(&["daemon", "status"]).out);
    let said = sandbox.boi(&["doctor"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    must_report(&said.out);
    let said = sandbox.boi(gives_up);
    assert_eq!(said.code, Some(4), "{said:?}");
    must_report(&said.err);
    sandbox.write("fired", "");
    waits.end();
    wait_for("the queue answers", || (sandbox.good(&["status", "--json"]).json()["store"]["ok"] == true).then_some(()));
    sandbox.good(&["doctor"]);
    sandbox
}

#[test]
fn a_daemon_whose_queue_hangs_in_a_write_ends_on_sigterm() {
    let mut sandbox = armed("store.commit");
    fs::set_permissions(sandbox.path("boi"), Permissions::from_mode(0o700)).unwrap();
    sandbox.write("late.toml", "title = 'Late'\n[[tasks]]\nrun = 'true'");
    // The failpoint does nothing while this file exists.
    sandbox.write("fired", "");
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!("title = 'Runs'\n[[tasks]]\nrun = '{}'", sandbox.barrier()));
    let pid = pid_in(&sandbox.path("pid"));
    fs::remove_file(sandbox.path("fired")).unwrap();
    let waits = sandbox.begin(&["dispatch", "late.toml"]);
    wait_for("the queue hangs", || sandbox.exists("fired").then_some(()));
    let said = sandbox.boi(&["daemon", "stop"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    for part in ["its queue has not answered for", "`kill -TERM "] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    assert_eq!(sandbox.stop_daemon(Signal::TERM).code(), Some(1));
    let log = sandbox.read("daemon.err");
    assert!(log.contains("the daemon ended without waiting for the queue; running commands continue"), "{log}");
    assert!(!sandbox.exists("boi/boi.sock") && lives(pid));
    waits.end();
    sandbox.start_daemon();
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((sandbox.read("starts").as_str(), &spec["attempt"]), ("x\n", &1.into()), "{spec:#}");
}

#[test]
fn a_queue_that_hangs_in_a_write_is_reported() {
    let sandbox = the_queue_hangs_at("store.commit", &["dispatch", "late.toml"], &["pause"]);
    // The call that was given up takes effect later, and the loop acts on it.
    wait_for("the queue is paused", || (sandbox.good(&["status", "--json"]).json()["paused"] == true).then_some(()));
    let id = sandbox.dispatch("title = 'Waits'\n[[tasks]]\nrun = 'true'");
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    sandbox.good(&["resume"]);
    sandbox.wait_for_status(&id, "completed");
}

#[test]
fn a_queue_that_hangs_in_a_read_is_reported() {
    the_queue_hangs_at("store.read", &["status"], &["status", "SFFFF"]);
}

#[test]
fn supervisor_after_it_took_the_lock() {
    assert_eq!(supervisor_dies_at("supervisor.locked"), (1, vec![1]), "nothing was executed: the same try again");
}

#[test]
fn supervisor_and_its_child_before_started() {
    assert_eq!(supervisor_dies_at("supervisor.forked"), (1, vec![1]), "nothing was executed: the same try again");
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
    assert_eq!(supervisor_dies_at("supervisor.ended"), (2, vec![1, 2]), "its end is unknown: the next try");
}

#[test]
fn supervisor_after_the_exit_record() {
    assert_eq!(supervisor_dies_at("supervisor.recorded"), (1, vec![1]));
}
