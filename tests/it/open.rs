//! `boi open`: a shell, a command or the agent's session in the worktree of a spec.

use std::os::unix::fs::PermissionsExt;

use super::support::{Sandbox, wait_for};

const ONE: &str = "title = 'One'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'";
const FAILS: &str = "title = 'Fails'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo work > work; exit 4'";

fn run(sandbox: &Sandbox, spec: &str) -> String {
    sandbox.run(spec).1["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_worktree_is_made_again_and_commits_in_it_are_a_part_of_the_result() {
    let sandbox = Sandbox::new("retry_count = 0");
    let before = sandbox.checkout();
    let id = run(&sandbox, ONE);
    let worktree = format!("boi/worktrees/{id}");
    assert!(!sandbox.exists(&worktree));
    let said = sandbox.boi(&["open", &id, "--", "sh", "-c", "cat one; pwd; git branch --show-current; exit 7"]);
    assert_eq!((said.code, said.out), (Some(7), format!("1\n{}\nboi/{id}\n", sandbox.at(&worktree))), "{}", said.err);
    assert_eq!(sandbox.spec(&id)["worktree"], sandbox.at(&worktree).as_str());
    let edit = "echo 2 > two && git add two && git -c user.name=U -c user.email=u@x commit -qm two; echo 3 > three";
    sandbox.good(&["open", &id, "--", "sh", "-c", edit]);
    let json = sandbox.good(&["diff", &id, "--json"]).json();
    assert_eq!(json["files"].as_array().unwrap().len(), 2, "{json:#}");
    sandbox.good(&["drop", &id]);
    let kept = sandbox.spec(&id)["kept"].clone();
    let holds = |name: &str| sandbox.git("repo", &["ls-tree", "--name-only", name]).contains("three");
    assert!(kept.as_array().unwrap().iter().any(|name| holds(name.as_str().unwrap())), "{kept}");
    let said = sandbox.boi(&["open", &id]);
    assert!(said.code == Some(1) && said.err.contains("boi drop --undo"), "{said:?}");
    assert_eq!(sandbox.checkout(), before);
    let scratch = run(&sandbox, "title = 'Scratch'\n[[tasks]]\nrun = 'echo 1 > one'");
    assert_eq!(sandbox.good(&["open", &scratch, "--", "cat", "one"]).out, "1\n");
    let queued = sandbox.dispatch(ONE);
    assert!(sandbox.boi(&["open", &queued]).err.contains("it has not begun"));
}

#[test]
fn a_retry_starts_from_the_commits_that_the_user_made() {
    let mut sandbox = Sandbox::new("retry_count = 0\nspawn_jitter_ms = [0, 0]");
    let id = run(&sandbox, "title = 'Gate'\nrepo = 'repo'\n[[tasks]]\nrun = 'test -e fix'");
    let fix = "touch fix && git add fix && git -c user.name=U -c user.email=u@x commit -qm fix";
    sandbox.good(&["open", &id, "--", "sh", "-c", fix]);
    sandbox.good(&["retry", &id]);
    sandbox.start_daemon();
    sandbox.good(&["wait", &id]);
}

#[test]
fn while_a_worktree_is_open_it_is_neither_cleaned_nor_retried_nor_dropped() {
    let sandbox = Sandbox::new("retry_count = 0");
    let id = run(&sandbox, FAILS);
    let go = sandbox.at("go");
    let shell = sandbox
        .write("shell", format!("#!/bin/sh\ntouch {}; until test -e {go}; do sleep 0.02; done\n", sandbox.at("in")));
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o700)).unwrap();
    let sandbox = sandbox.with_variables([("SHELL", shell.display().to_string())]);
    let open = sandbox.begin(&["open", &id]);
    wait_for("the shell", || sandbox.exists("in").then_some(()));
    for arguments in [&["retry", &id][..], &["drop", &id], &["clean", &id], &["open", &id]] {
        let said = sandbox.boi(arguments);
        assert!(said.code == Some(1) && said.err.contains("open in a `boi open`"), "{arguments:?}: {said:?}");
    }
    let said = sandbox.good(&["clean", "--all"]);
    assert!(said.err.contains(&format!("{id}: skipped")), "{said:?}");
    assert_eq!(sandbox.read(&format!("boi/worktrees/{id}/work")), "work\n");
    sandbox.write("go", "");
    assert_eq!(open.end().code, Some(0));
    sandbox.good(&["clean", &id]);
    assert!(!sandbox.exists(&format!("boi/worktrees/{id}")));
}

#[test]
fn the_agents_session_is_resumed_in_its_worktree_but_not_while_the_spec_runs() {
    let mut sandbox = Sandbox::new("retry_count = 0\nspawn_jitter_ms = [0, 0]");
    let id = run(&sandbox, "title = 'Agent'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@write one 1@@'");
    let session = sandbox.spec(&id)["tasks"][0]["history"][0]["session_id"].as_str().unwrap().to_owned();
    let claude = sandbox.write("claude", "#!/bin/sh\necho \"$@\"; echo \"$WHO\"; pwd\n");
    std::fs::set_permissions(&claude, std::fs::Permissions::from_mode(0o700)).unwrap();
    let config = format!("[agents.claude]\ncommand = ['{}']\nenv = {{ WHO = 'me' }}\n", claude.display());
    sandbox.write("boi/config.toml", config);
    let said = sandbox.good(&["open", &id, "--agent"]);
    assert_eq!(
        said.out,
        format!("--resume {session}\nme\n{}\n", sandbox.at(&format!("boi/worktrees/{id}"))),
        "{said:?}"
    );
    let none = run(&sandbox, ONE);
    assert!(sandbox.boi(&["open", &none, "--agent"]).err.contains("has no session"));
    sandbox.start_daemon();
    let running =
        sandbox.dispatch(&format!("title = 'Runs'\nrepo = 'repo'\n[[tasks]]\nrun = '''{}'''", sandbox.barrier()));
    wait_for("the command", || sandbox.exists("pid").then_some(()));
    let said = sandbox.boi(&["open", &running, "--agent"]);
    assert!(said.code == Some(1) && said.err.contains(&format!("boi stop {running}")), "{said:?}");
    let said = sandbox.good(&["open", &running, "--", "git", "branch", "--show-current"]);
    assert!(said.out == format!("boi/{running}\n") && said.err.contains("is running"), "{said:?}");
    sandbox.good(&["cancel", &running]);
}
