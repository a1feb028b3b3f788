//! `boi clean`: what ended specs leave is removed, and nothing unique is lost.

use std::fs;

use super::support::{Sandbox, locked, wait_until_open};

const FAILS: &str = "title = 'Fails'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo precious > work; echo told you; exit 4'";

#[test]
fn clean_removes_a_failed_worktree_and_keeps_its_work_under_a_ref() {
    let sandbox = Sandbox::new("retry_count = 0");
    let (code, spec) = sandbox.run(FAILS);
    assert_eq!(code, Some(1), "{spec:#}");
    let id = spec["id"].as_str().unwrap();
    let worktree = format!("boi/worktrees/{id}");
    assert!(sandbox.good(&["log", id]).out.contains("told you"));
    sandbox.good(&["clean", "--dry-run"]);
    assert!(sandbox.exists(&format!("{worktree}/work")), "a dry run removes nothing");
    sandbox.good(&["clean", id]);
    assert!(!sandbox.exists(&worktree));
    assert!(!sandbox.exists(&format!("boi/attempts/{id}")));
    assert_eq!(sandbox.git("repo", &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
    let kept = sandbox.spec(id)["kept"].clone();
    let holds = |name: &str| sandbox.git("repo", &["ls-tree", "--name-only", name]).contains("work");
    assert!(kept.as_array().unwrap().iter().any(|name| holds(name.as_str().unwrap())), "{kept}");
}

#[test]
fn clean_deletes_a_branch_only_when_it_is_merged() {
    let sandbox = Sandbox::new("");
    let (_, spec) = sandbox.run("title = 'Done'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    let (id, branch) = (spec["id"].as_str().unwrap(), spec["branch"].as_str().unwrap());
    sandbox.good(&["clean"]);
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:one")]), "1");
    sandbox.git("repo", &["merge", "-q", "--ff-only", branch]);
    sandbox.good(&["clean", id]);
    assert_eq!(sandbox.git("repo", &["for-each-ref", "--format=%(refname)", "refs/heads/boi/"]), "");
    assert_eq!(sandbox.read("repo/one"), "1\n");
}

#[test]
fn clean_keeps_the_worktree_of_a_repository_that_cannot_be_reached() {
    let sandbox = Sandbox::new("retry_count = 0");
    let (_, spec) = sandbox.run(FAILS);
    let id = spec["id"].as_str().unwrap();
    let (repo, work) = (sandbox.path("repo"), format!("boi/worktrees/{id}/work"));
    fs::rename(&repo, sandbox.path("moved")).unwrap();
    fs::create_dir(&repo).unwrap();
    for arguments in [&["clean", id][..], &["clean", "--all"], &["clean", "--all", "--dry-run"]] {
        let said = sandbox.boi(arguments);
        assert_eq!(said.code, Some(1), "{said:?}");
        let expected = format!("not cleaned: the repository {} cannot be reached", repo.display());
        assert!(said.err.contains(&expected) && said.err.contains("--unreachable"), "{said:?}");
        assert_eq!(sandbox.read(&work), "precious\n");
        assert!(sandbox.exists(&format!("boi/attempts/{id}/1")));
    }
    sandbox.good(&["clean", "--unreachable", id]);
    assert!(!sandbox.exists(&format!("boi/worktrees/{id}")) && !sandbox.exists(&format!("boi/attempts/{id}")));
}

#[test]
fn cleanup_on_failure_keeps_the_worktree_of_a_repository_that_cannot_be_reached() {
    let sandbox = Sandbox::new("retry_count = 0\ncleanup_on_failure = true");
    let user = sandbox.path("repo").display().to_string();
    let (_, spec) = sandbox.run(&format!(
        "title = 'Moves'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo precious > work; mv {user} {user}.moved; exit 4'"
    ));
    assert_eq!(sandbox.read(&format!("boi/worktrees/{}/work", spec["id"].as_str().unwrap())), "precious\n");
}

#[test]
fn clean_skips_a_spec_that_is_retried_meanwhile() {
    let sandbox = Sandbox::new("retry_count = 0");
    let (_, spec) = sandbox.run(FAILS);
    let id = spec["id"].as_str().unwrap();
    let lock = locked(&sandbox.path(&format!("boi/attempts/{id}/git/git.lock")));
    let clean = sandbox.begin(&["clean", id]);
    // `clean` has chosen the spec and waits for the lock of its worktree.
    wait_until_open(clean.pid(), "git.lock");
    sandbox.good(&["retry", id]);
    drop(lock);
    let said = clean.end();
    assert!(said.err.contains(&format!("{id}: skipped: the spec was retried and is queued again")), "{said:?}");
    assert_eq!(sandbox.read(&format!("boi/worktrees/{id}/work")), "precious\n");
    assert!(sandbox.exists(&format!("boi/attempts/{id}/1/command-1/output")));
}

#[test]
fn clean_refuses_a_spec_while_one_of_its_commands_runs() {
    let sandbox = Sandbox::new("retry_count = 0");
    let (_, spec) = sandbox.run(FAILS);
    let id = spec["id"].as_str().unwrap();
    let lock = locked(&sandbox.path(&format!("boi/attempts/{id}/1/command-1/lock")));
    let said = sandbox.boi(&["clean", id]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("a command of the spec still runs"), "{said:?}");
    assert!(sandbox.exists(&format!("boi/worktrees/{id}/work")));
    drop(lock);
    sandbox.good(&["clean", id]);
    assert!(!sandbox.exists(&format!("boi/attempts/{id}")));
}

#[test]
fn clean_keeps_a_branch_that_a_waiting_spec_starts_from() {
    let mut sandbox = Sandbox::new("");
    let (_, spec) = sandbox.run("title = 'Done'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    let (id, branch) = (spec["id"].as_str().unwrap(), spec["branch"].as_str().unwrap());
    sandbox.git("repo", &["merge", "-q", "--ff-only", branch]);
    let second = sandbox.dispatch(&format!("title = 'Next'\nrepo = 'repo'\nbase = '{id}'\n[[tasks]]\nrun = 'cat one'"));
    for arguments in [&["clean", "--dry-run"][..], &["clean"]] {
        let said = sandbox.good(arguments);
        assert!(said.out.contains(&format!("kept branch {branch}: {second} starts from it")), "{said:?}");
    }
    assert!(!sandbox.exists(&format!("boi/attempts/{id}")));
    sandbox.start_daemon();
    sandbox.wait_for_status(&second, "completed");
    sandbox.good(&["clean", id]);
    assert!(!sandbox.git("repo", &["branch", "--list", "boi/*"]).contains(id));
}

#[test]
fn a_dry_run_refuses_what_clean_refuses() {
    let sandbox = Sandbox::new("retry_count = 0");
    let assert_same_refusal = |id: &str, part: &str| {
        let said = [sandbox.boi(&["clean", "--dry-run", id]), sandbox.boi(&["clean", id])];
        assert_eq!((said[0].code, &said[0].err), (said[1].code, &said[1].err));
        assert!(said[0].code == Some(1) && said[0].err.contains(part), "no `{part}` in {said:?}");
    };
    let id = |spec: &serde_json::Value| spec["id"].as_str().unwrap().to_owned();
    let (_, scratch) = sandbox.run("title = 'Scratch'\n[[tasks]]\nrun = 'echo 1 > one'");
    assert_same_refusal(&id(&scratch), "--scratch");
    let (_, nested) = sandbox.run(
        "title = 'Nested'\nrepo = 'repo'\n[[tasks]]\nrun = 'git init -q sub && echo 1 > sub/one; echo left; exit 1'",
    );
    assert_same_refusal(&id(&nested), "git repositories inside the worktree");
    let (_, cut) = sandbox.run(FAILS);
    fs::remove_file(sandbox.path(&format!("boi/worktrees/{}/.git", id(&cut)))).unwrap();
    assert_same_refusal(&id(&cut), &format!("boi retry {}", id(&cut)));
    sandbox.good(&["retry", &id(&cut)]);
    let mut sandbox = sandbox;
    sandbox.start_daemon();
    sandbox.wait_for_status(&id(&cut), "failed");
    sandbox.good(&["clean", &id(&cut)]);
}
