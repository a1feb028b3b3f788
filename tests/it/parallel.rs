//! Many workers at once on one repository.

use std::fs;

use super::support::{Sandbox, wait_for};

#[test]
fn eight_specs_run_at_once_on_one_repository() {
    let mut sandbox = Sandbox::new("max_workers = 8\nspawns_per_tick = 8\nspawn_jitter_ms = [0, 0]");
    sandbox.write("repo/a.txt", "dirty\n");
    let before = sandbox.checkout();
    fs::create_dir(sandbox.path("here")).unwrap();
    let (here, go) = (sandbox.path("here").display().to_string(), sandbox.path("go").display().to_string());
    let mut files = Vec::new();
    for number in 1..=8 {
        let name = format!("s{number}.toml");
        let prompt = format!("@@write f{number} {number}@@ @@touch {here}/{number}@@ @@wait {go}@@");
        let task = format!("[[tasks]]\nprompt = '{prompt}'\n[[tasks]]\nrun = 'echo x >> all'");
        sandbox.write(&name, format!("title = 'Spec {number}'\nrepo = 'repo'\n{task}"));
        files.push(name);
    }
    sandbox.start_daemon();
    let mut arguments = vec!["dispatch", "--json"];
    arguments.extend(files.iter().map(String::as_str));
    let said = sandbox.good(&arguments).json();
    let ids: Vec<String> =
        said["specs"].as_array().unwrap().iter().map(|spec| spec["id"].as_str().unwrap().to_owned()).collect();
    // No agent continues before all have arrived, so all eight run at the same time.
    wait_for("all eight at the barrier", || (fs::read_dir(&here).unwrap().count() == 8).then_some(()));
    assert_eq!(sandbox.good(&["status", "--json"]).json()["slots"]["running"], 8);
    sandbox.write("go", "");
    for (index, id) in ids.iter().enumerate() {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!(spec["tasks"][0]["tries"], 1);
        let names = sandbox.git("repo", &["diff", "--name-only", &format!("main...boi/{id}")]);
        assert_eq!(names, format!("all\nf{}", index + 1));
    }
    let branches = sandbox.git("repo", &["for-each-ref", "--format=%(refname)", "refs/heads/boi/"]);
    assert_eq!(branches.lines().count(), 8);
    assert_eq!(sandbox.checkout(), before);
    assert_eq!(sandbox.git("repo", &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
}

#[test]
fn no_more_specs_run_than_there_are_slots() {
    let mut sandbox = Sandbox::new("max_workers = 2\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 100");
    let log = sandbox.path("log").display().to_string();
    // Each command records its start and its end, and ends only after a second one has started.
    let run =
        format!("echo start >> {log}; until test $(grep -c start {log}) -ge 2; do sleep 0.02; done; echo end >> {log}");
    let spec = format!("title = 'Slot'\n[[tasks]]\nrun = '{run}'");
    sandbox.start_daemon();
    let ids: Vec<String> = (0..6).map(|_| sandbox.dispatch(&spec)).collect();
    for id in &ids {
        sandbox.wait_for_status(id, "completed");
    }
    let mut running = 0;
    let at_once: Vec<i32> = sandbox
        .read("log")
        .lines()
        .map(|line| {
            running += if line == "start" { 1 } else { -1 };
            running
        })
        .collect();
    assert_eq!((at_once.len(), at_once.iter().max()), (12, Some(&2)), "{at_once:?}");
}
