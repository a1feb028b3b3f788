//! `boi clean` and `boi log`: what ended specs leave.

use super::support::Sandbox;

#[test]
fn clean_removes_a_failed_worktree_and_keeps_its_work_under_a_ref() {
    let sandbox = Sandbox::new("retry_count = 0");
    let (code, spec) =
        sandbox.run("title = 'Fails'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo precious > work; echo told you; exit 4'");
    assert_eq!(code, Some(1), "{spec:#}");
    let id = spec["id"].as_str().unwrap();
    let worktree = format!("boi/worktrees/{id}");
    assert!(sandbox.good(&["log", id]).out.contains("told you"));
    sandbox.good(&["clean", "--dry-run"]);
    assert!(sandbox.exists(&format!("{worktree}/work")), "a dry run does nothing");
    sandbox.good(&["clean", id]);
    assert!(!sandbox.exists(&worktree));
    assert!(!sandbox.exists(&format!("boi/attempts/{id}")));
    assert_eq!(sandbox.git("repo", &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
    let kept = sandbox.spec(id)["kept"].clone();
    let holds = |name: &str| sandbox.git("repo", &["ls-tree", "--name-only", name]).contains("work");
    assert!(kept.as_array().unwrap().iter().any(|name| holds(name.as_str().unwrap())), "{kept}");
}

#[test]
fn clean_leaves_a_branch_that_is_not_merged() {
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
