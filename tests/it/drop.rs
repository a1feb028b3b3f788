//! `boi drop` and `boi drop --undo`: no branch, no work and no status is lost, whatever is killed when.

use std::os::unix::process::ExitStatusExt;

use rusqlite::Connection;
use serde_json::Value;

use super::support::{Sandbox, wait_for};

const DONE: &str = "title = 'Done'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'";

fn refs(sandbox: &Sandbox) -> String {
    sandbox.git("repo", &["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/boi", "refs/boi/kept"])
}

fn id_of(spec: &Value) -> String {
    spec["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_dropped_spec_leaves_only_a_kept_ref_and_comes_back_with_its_status() {
    let sandbox = Sandbox::new("retry_count = 0");
    let id = id_of(&sandbox.run(DONE).1);
    let before = (refs(&sandbox), sandbox.spec(&id));
    let said = sandbox.good(&["drop", &id]);
    assert!(said.out.contains(&format!("{id} dropped")) && said.out.contains("refs/boi/kept/"), "{said:?}");
    let dropped = sandbox.spec(&id);
    assert_eq!(
        (&dropped["status"], &dropped["branch"], &dropped["delivery"]),
        (&"dropped".into(), &Value::Null, &Value::Null)
    );
    assert_eq!(dropped["cause"]["kind"], "dropped");
    assert!(dropped["reason"].as_str().unwrap().contains(&format!("boi drop --undo {id}")), "{dropped:#}");
    assert!(
        !refs(&sandbox).contains("refs/heads/") && refs(&sandbox).contains(&format!("refs/boi/kept/{id}/dropped-"))
    );
    let status = sandbox.good(&["status", "--json"]).json();
    assert_eq!((&status["counts"]["dropped"], &status["counts"]["completed"]), (&1.into(), &0.into()));
    assert_eq!(status["specs"], serde_json::json!([]), "a dropped spec is listed with --all only");
    for arguments in [&["status", "--all", "--json"][..], &["status", "--status", "dropped", "--json"]] {
        assert_eq!(sandbox.good(arguments).json()["specs"][0]["id"], id.as_str());
    }
    for arguments in [&["retry", &id][..], &["retry", &id, "--note", "n"]] {
        let said = sandbox.boi(arguments);
        assert!(said.code == Some(1) && said.err.contains(&format!("boi drop --undo {id}")), "{said:?}");
    }
    assert!(sandbox.good(&["drop", &id]).out.contains("was dropped before"));
    let said = sandbox.good(&["drop", "--undo", &id]);
    assert!(said.out.contains(&format!("{id} restored: completed, branch boi/{id}")), "{said:?}");
    assert_eq!((refs(&sandbox), sandbox.spec(&id)), before);
    let said = sandbox.boi(&["drop", "--undo", &id]);
    assert!(said.code == Some(1) && said.err.contains("not dropped"), "{said:?}");
}

#[test]
fn work_in_the_worktree_of_a_dropped_spec_is_kept_and_a_failed_spec_fails_again() {
    let sandbox = Sandbox::new("retry_count = 0");
    let failed =
        id_of(&sandbox.run("title = 'Fails'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo precious > work; exit 4'").1);
    let said = sandbox.good(&["drop", &failed, "--json"]).json();
    let kept = said["specs"][0]["kept"].as_array().unwrap().clone();
    let holds =
        |name: &Value| sandbox.git("repo", &["ls-tree", "--name-only", name.as_str().unwrap()]).contains("work");
    assert!(kept.iter().any(holds), "{said:#}");
    assert!(!sandbox.exists(&format!("boi/worktrees/{failed}")));
    sandbox.good(&["drop", "--undo", &failed]);
    let spec = sandbox.spec(&failed);
    assert_eq!((&spec["status"], &spec["cause"]["kind"]), (&"failed".into(), &"out_of_tries".into()), "{spec:#}");
    sandbox.good(&["retry", &failed]);
}

#[test]
fn a_queued_spec_that_is_dropped_never_starts_and_comes_back_canceled() {
    let mut sandbox = Sandbox::new("spawn_jitter_ms = [0, 0]");
    let first = sandbox.dispatch(DONE);
    let second =
        sandbox.dispatch(&format!("title = 'Next'\nrepo = 'repo'\nafter = ['{first}']\n[[tasks]]\nrun = 'true'"));
    sandbox.start_daemon();
    let other = sandbox.dispatch(&format!("title = 'Runs'\n[[tasks]]\nrun = '''{}'''", sandbox.barrier()));
    sandbox.wait_for_status(&other, "running");
    let said = sandbox.boi(&["drop", &other]);
    assert!(said.code == Some(1) && said.err.contains(&format!("boi cancel {other}")), "{said:?}");
    sandbox.wait_for_status(&second, "completed");
    let blocked = sandbox.dispatch(&format!("title = 'Waits'\nafter = ['{other}']\n[[tasks]]\nrun = 'true'"));
    let last = sandbox.dispatch(&format!("title = 'Last'\nafter = ['{blocked}']\n[[tasks]]\nrun = 'true'"));
    let said = sandbox.good(&["drop", &blocked]);
    assert!(said.out.contains(&format!("{last} failed, because it needs {blocked}")), "{said:?}");
    let failed = sandbox.spec(&last);
    assert_eq!((&failed["cause"]["kind"], &failed["cause"]["status"]), (&"dependency_ended".into(), &"dropped".into()));
    assert!(failed["reason"].as_str().unwrap().contains(&format!("waits for {blocked}, which was dropped")));
    let said = sandbox.boi(&["retry", &last]);
    assert!(said.code == Some(1) && said.err.contains(&format!("boi drop --undo {blocked}")), "{said:?}");
    sandbox.good(&["drop", "--undo", &blocked]);
    assert_eq!(sandbox.spec(&blocked)["status"], "canceled");
    assert!(!sandbox.exists(&format!("boi/attempts/{blocked}")), "a spec that never began leaves no folder");
    sandbox.good(&["cancel", &other]);
}

#[test]
fn specs_that_will_start_from_a_dropped_branch_fail_and_others_do_not() {
    let sandbox = Sandbox::new("retry_count = 0");
    let id = id_of(&sandbox.run(DONE).1);
    let on = sandbox.dispatch(&format!("title = 'On'\nrepo = 'repo'\nbase = '{id}'\n[[tasks]]\nrun = 'true'"));
    let after = sandbox.dispatch(&format!("title = 'After'\nafter = ['{id}']\n[[tasks]]\nrun = 'true'"));
    let said = sandbox.good(&["drop", &id, "--json"]).json();
    assert_eq!(said["specs"][0]["failed"], serde_json::json!([on]), "{said:#}");
    assert_eq!([&on, &after].map(|id| sandbox.spec(id)["status"].clone()), ["failed", "queued"].map(Value::from));
    let said = sandbox.boi(&["dispatch", "--after", &id, "--prompt", "p"]);
    assert!(said.code == Some(2) && said.err.contains("was dropped"), "{said:?}");
    sandbox.good(&["drop", "--undo", &id]);
    sandbox.good(&["retry", &on]);
    let mut sandbox = sandbox;
    sandbox.start_daemon();
    sandbox.good(&["wait", &on, &after]);
}

#[test]
fn a_landed_spec_and_one_whose_branch_the_user_has_checked_out_are_not_dropped() {
    let sandbox = Sandbox::new("");
    let landed = id_of(&sandbox.run(&DONE.replace("repo = 'repo'", "repo = 'repo'\ndeliver = 'merge'")).1);
    let said = sandbox.boi(&["drop", &landed]);
    assert!(said.code == Some(1) && said.err.contains("is merged into its base"), "{said:?}");
    let id = id_of(&sandbox.run(&DONE.replace("one", "two")).1);
    sandbox.git("repo", &["checkout", "-q", &format!("boi/{id}")]);
    let said = sandbox.boi(&["drop", &id]);
    assert_eq!((said.code, &sandbox.spec(&id)["status"]), (Some(1), &"completed".into()), "{said:?}");
    sandbox.git("repo", &["checkout", "-q", "main"]);
    sandbox.good(&["drop", &id]);
    // The kept ref is what `--undo` restores the branch from.
    let kept = sandbox.git("repo", &["for-each-ref", "--format=%(refname)", "refs/boi/kept"]);
    let head = sandbox.git("repo", &["rev-parse", &kept]);
    sandbox.git("repo", &["update-ref", "-d", &kept]);
    let said = sandbox.boi(&["drop", "--undo", &id]);
    assert!(said.code == Some(1) && said.err.contains(&kept) && said.err.contains(&head), "{said:?}");
    assert_eq!(sandbox.spec(&id)["status"], "dropped");
}

#[test]
fn a_drop_that_is_killed_between_any_two_steps_loses_nothing_and_can_be_repeated_or_undone() {
    const DROP: [&str; 4] = ["drop.recorded", "drop.worktree_removed", "drop.kept", "drop.branch_deleted"];
    const UNDO: [&str; 2] = ["undo.branch_restored", "undo.recorded"];
    let mut sandbox = Sandbox::new("");
    let id = id_of(&sandbox.run(DONE).1);
    let head = sandbox.git("repo", &["rev-parse", &format!("boi/{id}")]);
    let holds_head = |sandbox: &Sandbox| assert!(refs(sandbox).contains(&head), "{}", refs(sandbox));
    let mut killed = 0;
    let mut kill = |sandbox: Sandbox, point: &str, arguments: &[&str]| {
        killed += 1;
        let fired = sandbox.at(&format!("fired-{killed}"));
        let armed = sandbox.with_variables([("BOI_FAILPOINT", format!("{point}={fired}"))]);
        let mut child = armed.command(arguments).spawn().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "{point}");
        // The failpoint does not fire again.
        assert!(std::path::Path::new(&fired).exists(), "{point}");
        armed
    };
    for point in DROP {
        for finish in ["drop", "undo", "clean"] {
            sandbox = kill(sandbox, point, &["drop", &id]);
            holds_head(&sandbox);
            assert_eq!(sandbox.spec(&id)["status"], "dropped", "{point}");
            match finish {
                "drop" => drop(sandbox.good(&["drop", &id])),
                "clean" => drop(sandbox.good(&["clean"])),
                _ => {}
            }
            if finish != "undo" {
                assert!(!refs(&sandbox).contains("refs/heads/boi"), "{point} {finish}: {}", refs(&sandbox));
            }
            holds_head(&sandbox);
            sandbox.good(&["drop", "--undo", &id]);
            let spec = sandbox.spec(&id);
            assert_eq!(
                (&spec["status"], &spec["branch"]),
                (&"completed".into(), &format!("boi/{id}").into()),
                "{spec:#}"
            );
            assert_eq!(refs(&sandbox), format!("refs/heads/boi/{id} {head}"), "{point} {finish}");
        }
    }
    for point in UNDO {
        for again in ["undo", "drop"] {
            sandbox.good(&["drop", &id]);
            sandbox = kill(sandbox, point, &["drop", "--undo", &id]);
            holds_head(&sandbox);
            if again == "drop" {
                sandbox.good(&["drop", &id]);
                assert!(!refs(&sandbox).contains("refs/heads/boi"), "{point}");
            }
            if sandbox.spec(&id)["status"] == "dropped" {
                sandbox.good(&["drop", "--undo", &id]);
            }
            assert_eq!(sandbox.git("repo", &["rev-parse", &format!("boi/{id}")]), head, "{point} {again}");
            assert_eq!(sandbox.spec(&id)["status"], "completed", "{point} {again}");
        }
    }
}

#[test]
fn a_dropped_spec_is_removed_when_it_is_old_and_its_kept_ref_stays() {
    let mut sandbox = Sandbox::new("retention_days = 1");
    let id = id_of(&sandbox.run(DONE).1);
    sandbox.good(&["drop", &id]);
    let queue = Connection::open(sandbox.path("boi/state/boi.db")).unwrap();
    let sql = "UPDATE specs SET finished_at = finished_at - 2 * 86400000 WHERE id = ?1";
    assert_eq!(queue.execute(sql, [&id]).unwrap(), 1);
    drop(queue);
    sandbox = sandbox.with_variables([("BOI_RETENTION_MILLIS", "1".to_owned())]);
    sandbox.start_daemon();
    wait_for("the removal", || (sandbox.boi(&["status", &id]).code == Some(2)).then_some(()));
    assert_eq!(sandbox.good(&["status", "--json"]).json()["counts"]["dropped"], 0);
    assert!(refs(&sandbox).contains(&format!("refs/boi/kept/{id}/dropped-")));
}
