//! What the queue refuses, and with which exit code: the same with and without a daemon.

use super::support::{Sandbox, locked, pid_in, wait_for, wait_until_open};

#[test]
fn an_unknown_id_is_a_bad_argument_with_a_daemon_and_without() {
    let mut sandbox = Sandbox::new("");
    sandbox.dispatch("title = 'A'\n[[tasks]]\nrun = 'true'");
    for daemon in [false, true] {
        if daemon {
            sandbox.start_daemon();
        }
        for command in ["cancel", "retry", "status", "log", "clean"] {
            let said = sandbox.boi(&[command, "SDEAD"]);
            assert_eq!(said.code, Some(2), "boi {command}, daemon: {daemon}: {said:?}");
        }
    }
}

#[test]
fn an_error_at_one_id_does_not_stop_the_others() {
    let mut sandbox = Sandbox::new("");
    sandbox.good(&["pause"]);
    for daemon in [false, true] {
        if daemon {
            sandbox.start_daemon();
        }
        let id = sandbox.dispatch("title = 'A'\n[[tasks]]\nrun = 'true'");
        for (command, done) in [("cancel", "canceled"), ("retry", "queued again")] {
            let said = sandbox.boi(&[command, "SDEAD", &id]);
            assert_eq!(said.code, Some(2), "{said:?}");
            assert!(said.out.contains(&format!("{id} {done}")), "{said:?}");
            assert!(said.err.contains("SDEAD"), "{said:?}");
        }
    }
}

#[test]
fn a_spec_that_waits_for_a_failed_one_is_refused_at_its_place() {
    let mut sandbox = Sandbox::new("retry_count = 0");
    let (_, spec) = sandbox.run("title = 'F'\nrepo = 'repo'\n[[tasks]]\nrun = 'exit 1'");
    let id = spec["id"].as_str().unwrap();
    sandbox.write("after.toml", format!("title = 'After'\nafter = ['{id}']\n[[tasks]]\nrun = 'true'"));
    sandbox.write("plain.toml", "title = 'Plain'\n[[tasks]]\nrun = 'true'");
    for daemon in [false, true] {
        if daemon {
            sandbox.start_daemon();
        }
        let commands =
            [&["dispatch", "after.toml"][..], &["dispatch", "--dry-run", "after.toml"], &["run", "after.toml"]];
        for arguments in commands {
            let said = sandbox.boi(arguments);
            assert_eq!(said.code, Some(2), "{arguments:?}: {said:?}");
            for part in ["after.toml:2:10", &format!("boi retry {id}"), "nothing was queued"] {
                assert!(said.err.contains(part), "{arguments:?}: no `{part}` in {said:?}");
            }
        }
        for extra in [&["--dry-run"][..], &[]] {
            for wrong in [id, "SDEAD"] {
                let said = sandbox.boi(&[&["dispatch", "plain.toml", "--after", wrong], extra].concat());
                assert_eq!((said.code, said.err.contains(wrong)), (Some(2), true), "{extra:?}: {said:?}");
            }
        }
    }
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["queued"], 0);
}

#[test]
fn the_branch_of_a_spec_in_another_repository_is_refused_as_base() {
    let sandbox = Sandbox::new("");
    sandbox.git("repo", &["clone", "-q", ".", "../other"]);
    sandbox.git("repo", &["worktree", "add", "-q", "../beside"]);
    let first = sandbox.dispatch("title = 'First'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    let spec = |repo: &str| format!("title = 'Next'\nrepo = '{repo}'\nbase = '{first}'\n[[tasks]]\nrun = 'true'");
    sandbox.write("next.toml", spec("other"));
    for arguments in [&["dispatch", "next.toml"][..], &["dispatch", "--dry-run", "next.toml"], &["run", "next.toml"]] {
        let said = sandbox.boi(arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("next.toml:3:8") && said.err.contains("another repository"), "{said:?}");
    }
    sandbox.write("next.toml", spec("beside"));
    sandbox.good(&["dispatch", "next.toml"]);
}

#[test]
fn a_cancel_that_comes_too_late_reports_how_the_spec_ended() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let at = |name: &str| sandbox.path(name).display().to_string();
    let id = sandbox.dispatch(&format!(
        "title = 'Late'\nrepo = 'repo'\nverify = ['''echo $$ > {}; while ! test -e {}; do sleep 0.02; done''']\n\
         [[tasks]]\nrun = 'echo 1 > one'",
        at("pid"),
        at("go")
    ));
    pid_in(&sandbox.path("pid"));
    let lock = locked(&sandbox.path(&format!("boi/attempts/{id}/git/git.lock")));
    sandbox.write("go", "");
    // Everything is done except for the removal of the worktree, which waits for the lock.
    let daemon = sandbox.good(&["status", "--json"]).json()["daemon"]["pid"].as_u64().unwrap();
    wait_until_open(daemon, "git.lock");
    let cancel = sandbox.begin(&["cancel", &id]);
    wait_for("the cancel is recorded", || (sandbox.spec(&id)["cause"]["kind"] == "ending").then_some(()));
    drop(lock);
    let said = cancel.end();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(&format!("{id} has already completed")) && said.out.is_empty(), "{said:?}");
    assert_eq!(sandbox.spec(&id)["status"], "completed");
}
