//! Tries, failures and new attempts.

use serde_json::Value;

use super::support::{Sandbox, wait_for};

fn prompts(sandbox: &Sandbox) -> Vec<String> {
    let lines = sandbox.read("trace");
    let traces = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a trace"));
    traces.map(|trace| trace["prompt"].as_str().expect("a prompt").to_owned()).collect()
}

#[test]
fn the_prompt_of_the_next_try_contains_the_failure() {
    let sandbox = Sandbox::new("retry_count = 2\nretry_backoff_seconds = [0, 0]");
    let (code, spec) = sandbox.run(
        "title = 'Again'\nrepo = 'repo'\n[[tasks]]\nprompt = 'Do @@try 2:write good yes@@'\n\
         verify = ['test -e good || { echo no such thing as $((40 + 2)); exit 7; }']",
    );
    assert_eq!((code, spec["status"].as_str()), (Some(0), Some("completed")), "{spec:#}");
    assert_eq!(spec["tasks"][0]["tries"], 2);
    let prompts = prompts(&sandbox);
    assert_eq!(prompts.len(), 2);
    assert!(!prompts[0].contains("test -e good"));
    for part in ["test -e good ||", "no such thing as 42", "7"] {
        assert!(prompts[1].contains(part), "{part}: {}", prompts[1]);
    }
    let branch = spec["branch"].as_str().unwrap();
    assert!(sandbox.git("repo", &["log", "-1", "--format=%B", branch]).contains("Boi-Try: 2"));
}

#[test]
fn a_spec_fails_after_its_last_try_and_retry_continues_after_the_last_finished_task() {
    let sandbox = Sandbox::new("retry_count = 1\nretry_backoff_seconds = [0, 0]");
    let go = sandbox.path("go").display().to_string();
    let count = sandbox.path("count").display().to_string();
    let (code, spec) = sandbox.run(&format!(
        "title = 'Out'\nrepo = 'repo'\n[[tasks]]\nid = 'first'\nrun = 'echo x >> {count}; echo 1 > one'\n\
         [[tasks]]\nid = 'gate'\nrun = 'echo left >> left'\nverify = ['test -e {go}']\n\
         [[tasks]]\nid = 'last'\nrun = 'echo 3 > three'"
    ));
    assert_eq!((code, spec["status"].as_str()), (Some(1), Some("failed")), "{spec:#}");
    let reason = spec["reason"].as_str().unwrap();
    assert!(reason.contains("gate") && reason.contains("test -e "), "{reason}");
    assert_eq!((&spec["tasks"][1]["status"], &spec["tasks"][1]["tries"]), (&"failed".into(), &2.into()));
    assert_ne!(spec["tasks"][2]["status"], "done");
    let id = spec["id"].as_str().unwrap();
    assert!(sandbox.exists(&format!("boi/worktrees/{id}")), "the worktree of a failed spec stays");

    sandbox.write("go", "");
    let mut sandbox = sandbox;
    sandbox.good(&["retry", id]);
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(id, "completed");
    assert_eq!(spec["attempt"], 2);
    assert_eq!(sandbox.read("count"), "x\n", "the finished task is not repeated");
    let branch = format!("boi/{id}");
    assert_eq!(sandbox.git("repo", &["show", &format!("{branch}:left")]), "left", "the tree was clean");
    assert_eq!(sandbox.git("repo", &["rev-list", "--count", &format!("main..{branch}")]), "3");
    let kept = spec["kept"].as_array().expect("what the failed attempt left is kept");
    let reference = kept[0].as_str().unwrap();
    assert_eq!(sandbox.git("repo", &["show", &format!("{reference}:left")]), "left\nleft");
}

#[test]
fn a_new_worktrees_folder_is_used_only_by_specs_without_a_worktree() {
    let sandbox = Sandbox::new("retry_count = 0\nstop_grace_seconds = 1");
    let (go, good) = (sandbox.path("go").display().to_string(), sandbox.path("good").display().to_string());
    let waits = format!("[[tasks]]\nrun = 'echo x >> ran; until test -e {go}; do sleep 0.02; done; test -e {good}'");
    sandbox.background(&["daemon", "start"]);
    let git = sandbox.dispatch(&format!("title = 'Git'\nrepo = 'repo'\n{waits}"));
    let scratch = sandbox.dispatch(&format!("title = 'Scratch'\n{waits}"));
    let ran = |id: &str| format!("boi/worktrees/{id}/ran");
    wait_for("both run", || (sandbox.exists(&ran(&git)) && sandbox.exists(&ran(&scratch))).then_some(()));
    sandbox.write("boi/config.toml", "retry_count = 0\npaths.worktrees = 'elsewhere'");
    sandbox.good(&["daemon", "restart"]);
    for id in [&git, &scratch] {
        assert_eq!(sandbox.spec(id)["status"], "running");
    }
    sandbox.good(&["daemon", "stop"]);
    sandbox.background(&["daemon", "start"]);
    wait_for("both run again in their trees", || {
        [&git, &scratch].iter().all(|id| sandbox.read(&ran(id)).lines().count() == 2).then_some(())
    });
    sandbox.write("go", "");
    for id in [&git, &scratch] {
        sandbox.wait_for_status(id, "failed");
    }
    sandbox.write("good", "");
    sandbox.good(&["retry", &git, &scratch]);
    for id in [&git, &scratch] {
        sandbox.wait_for_status(id, "completed");
    }
    assert_eq!(sandbox.read(&ran(&scratch)).lines().count(), 3);
    let fresh = sandbox.dispatch("title = 'New'\n[[tasks]]\nrun = 'echo x > ran'");
    sandbox.wait_for_status(&fresh, "completed");
    assert!(sandbox.exists(&format!("boi/elsewhere/{fresh}/ran")));
    let found = sandbox.boi(&["doctor", "--json"]).json()["findings"].to_string();
    assert!(found.contains(&format!("worktrees/{scratch}")), "{found}");
    sandbox.good(&["clean", "--all", "--scratch"]);
    assert!(!sandbox.exists(&format!("boi/worktrees/{scratch}")) && !sandbox.exists(&format!("boi/worktrees/{git}")));
}

#[test]
fn a_prompt_that_is_too_long_ends_the_spec_at_once() {
    let sandbox = Sandbox::new("retry_count = 3\nretry_backoff_seconds = [0, 0]");
    let (code, spec) = sandbox.run("title = 'Long'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@context@@'");
    assert_eq!((code, spec["status"].as_str()), (Some(1), Some("failed")), "{spec:#}");
    assert_eq!(spec["tasks"][0]["tries"], 1);
    let reason = spec["reason"].as_str().unwrap().to_lowercase();
    assert!(reason.contains("too long") && reason.contains("boi dispatch"), "{reason}");
    assert_eq!(prompts(&sandbox).len(), 1);
}

#[test]
fn an_agent_that_crashes_is_tried_again() {
    let sandbox = Sandbox::new("retry_count = 1\nretry_backoff_seconds = [0, 0]");
    let (code, spec) = sandbox
        .run("title = 'Crash'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@try 1:exit 3@@ @@garbage@@ @@write b yes@@'");
    assert_eq!((code, &spec["tasks"][0]["tries"]), (Some(0), &2.into()), "{spec:#}");
}

#[test]
fn a_command_that_prints_too_much_is_ended_with_that_reason() {
    let sandbox = Sandbox::new("retry_count = 0\nmax_output_mb = 1");
    let flood = "yes";
    // Each burst is below the limit, and the pause after it is longer than the interval at which the size is checked.
    let bursts = "for i in 1 2 3 4 5 6; do head -c 400000 /dev/zero; sleep 0.5; done";
    let unlinked =
        "rm -rf ../../attempts/$BOI_SPEC; for i in 1 2 3 4 5 6; do head -c 400000 /dev/zero; sleep 0.5; done";
    for run in [flood, bursts, unlinked] {
        let (code, spec) = sandbox.run(&format!("title = 'Flood'\nrepo = 'repo'\n[[tasks]]\nrun = '{run}'"));
        assert_eq!((code, spec["status"].as_str()), (Some(1), Some("failed")), "{run}: {spec:#}");
        let reason = spec["reason"].as_str().unwrap();
        assert!(reason.contains("printed more than max_output_mb"), "{run}: {reason}");
    }
}

#[test]
fn a_task_that_removes_its_git_link_is_tried_again_with_its_files() {
    let sandbox = Sandbox::new("retry_count = 1\nretry_backoff_seconds = [0, 0]");
    let (code, spec) = sandbox.run(
        "title = 'Link'\nrepo = 'repo'\n[[tasks]]\nid = 'cuts'\n\
         run = 'test -e one || { echo 1 > one; rm -rf .git; }'",
    );
    assert_eq!((code, &spec["tasks"][0]["tries"]), (Some(0), &2.into()), "{spec:#}");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{}:one", spec["id"].as_str().unwrap())]), "1");

    for cut in ["rm -rf .git", "rm -rf .git; git init -q"] {
        let (code, spec) =
            sandbox.run(&format!("title = 'Link'\nrepo = 'repo'\n[[tasks]]\nid = 'cuts'\nrun = 'echo 1 > one; {cut}'"));
        let reason = spec["reason"].as_str().unwrap();
        assert_eq!((code, spec["tasks"][0]["status"].as_str()), (Some(1), Some("failed")), "{spec:#}");
        assert!(reason.starts_with("task cuts: ") && reason.contains(".git"), "{reason}");
        assert!(sandbox.exists(&format!("boi/worktrees/{}/one", spec["id"].as_str().unwrap())));
    }
}

#[test]
fn a_verify_command_that_removes_the_git_link_loses_nothing() {
    let sandbox = Sandbox::new("retry_count = 0");
    let (code, spec) = sandbox
        .run("title = 'Link'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'\nverify = ['rm -rf .git']\n[[tasks]]\nrun = 'echo 2 > two'");
    assert_eq!(code, Some(0), "{spec:#}");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{}:two", spec["id"].as_str().unwrap())]), "2");
}
