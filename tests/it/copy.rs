//! Files that boi copies into a worktree are there for the tasks, and are in no branch, kept ref, log or status.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Sandbox, wait_for};

const SECRET: &str = "TOKEN=hunter2hunter2";

/// A sandbox whose repository ignores `.env` and `*.local`, and has both. `.env` contains a secret.
fn with_secret(config: &str) -> Sandbox {
    let sandbox = Sandbox::new(config);
    sandbox.write("repo/.gitignore", ".env\n*.local\n");
    sandbox.git("repo", &["add", "-A"]);
    sandbox.git("repo", &["commit", "-q", "-m", "ignore"]);
    sandbox.write("repo/.env", SECRET);
    fs::create_dir(sandbox.path("repo/config")).unwrap();
    sandbox.write("repo/config/a.local", "a");
    sandbox.write("repo/.worktreeinclude", "config/*.local\na.txt\n");
    sandbox
}

/// A spec of one task that copies `.env`.
fn spec(run: &str) -> String {
    format!("title = 'T'\nrepo = 'repo'\ncopy = ['.env']\n[[tasks]]\nid = 'only'\nrun = '''{run}'''")
}

/// Fails if a commit that a ref of boi or a branch contains has a copied file, or if boi's logs have the secret.
#[track_caller]
fn must_not_leak(sandbox: &Sandbox) {
    let refs = ["rev-list", "--branches", "--tags", "--remotes", "--glob=refs/boi"];
    for commit in sandbox.git("repo", &refs).lines() {
        let tree = sandbox.git("repo", &["ls-tree", "-r", "--name-only", commit]);
        assert!(!tree.lines().any(|path| path == ".env" || path.ends_with(".local")), "{commit}: {tree}");
    }
    for folder in ["boi/logs", "boi/attempts"] {
        must_not_contain(&sandbox.path(folder));
    }
    assert!(!sandbox.good(&["status", "--all", "--json"]).out.contains(SECRET));
}

#[track_caller]
fn must_not_contain(folder: &Path) {
    for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            must_not_contain(&path);
        } else if let Ok(bytes) = fs::read(&path) {
            let leaks = bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
            assert!(!leaks, "{} contains the secret", path.display());
        }
    }
}

#[track_caller]
fn reason(spec: &Value) -> &str {
    assert_eq!(spec["status"], "failed", "{spec:#}");
    spec["reason"].as_str().expect("a reason")
}

#[test]
fn copied_files_are_there_for_the_tasks_and_in_the_status() {
    let sandbox = with_secret("");
    let before = sandbox.checkout();
    let run = format!(
        "cmp .env {} && test $(cat config/a.local) = a && echo 1 > one; echo x > .env",
        sandbox.at("repo/.env")
    );
    let text = spec(&run);
    sandbox.write("spec.toml", &text);
    let dry = sandbox.good(&["dispatch", "--dry-run", "spec.toml"]);
    assert!(dry.err.contains("boi would copy 2 files") && dry.err.contains("\".env\""), "{dry:?}");
    let (code, ended) = sandbox.run(&text);
    assert_eq!((code, &ended["status"]), (Some(0), &"completed".into()), "{ended:#}");
    let id = ended["id"].as_str().unwrap();
    let shown = sandbox.good(&["status", id]).out;
    assert!(shown.contains("copied    2 files (.env, config/a.local)"), "{shown}");
    let copied = sandbox.good(&["status", id, "--json"]).json()["copied"].clone();
    assert_eq!((&copied["files"], &copied["bytes"]), (&2.into(), &21.into()), "{copied:#}");
    assert_eq!((&copied["names"][0], &copied["withheld"]), (&".env".into(), &Value::Array(vec![])), "{copied:#}");
    assert_eq!(sandbox.git("repo", &["diff", "--name-only", "main", &format!("boi/{id}")]), "one");
    assert_eq!((sandbox.checkout(), sandbox.read("repo/.env")), (before, SECRET.to_owned()));
    must_not_leak(&sandbox);
}

#[test]
fn a_try_that_would_commit_a_copied_file_fails_and_leaks_nothing() {
    let sandbox = with_secret("retry_count = 0");
    for (run, words) in [
        ("echo > .gitignore; echo 1 > one", "git no longer ignores \".env\""),
        ("echo 1 > one; mkdir -p config; echo '!*.local' > config/.gitignore", "\"config/a.local\""),
        ("git add -f .env; echo 1 > one", "the try added to git's index \".env\""),
        ("git add -f .env && git commit -q -m x", "commits of the try contain \".env\""),
        (
            "git checkout -q --detach; git add -f . ; git commit -q -m x; git rm -q --cached .env; git commit -q -m y",
            "commits",
        ),
        ("rm .env; mkdir .env; echo 1 > .env/inner; git add -f .env", "\".env/inner\""),
        ("echo > .gitignore; rm .env; ln -s /etc .env", "git no longer ignores \".env\""),
    ] {
        let (_, ended) = sandbox.run(&spec(run));
        assert!(reason(&ended).contains(words), "{run}: {ended:#}");
        let id = ended["id"].as_str().unwrap();
        must_not_leak(&sandbox);
        if run.contains("commit") {
            let shown = sandbox.good(&["status", id]).out;
            assert!(shown.contains("which boi never commits: do not push it"), "{run}: {shown}");
            assert!(shown.contains("its other files are under refs/boi/kept/"), "{run}: {shown}");
        }
        sandbox.good(&["retry", id]);
        sandbox.good(&["cancel", id]);
        sandbox.good(&["drop", id]);
        must_not_leak(&sandbox);
    }
}

#[test]
fn the_next_try_can_repair_what_the_last_one_did() {
    let sandbox = with_secret("retry_backoff_seconds = [0, 0]");
    let marker = sandbox.at("tried");
    let run = format!(
        "echo 1 > one; if test -e {marker}; then git checkout -q .gitignore; else echo > .gitignore; fi; touch {marker}"
    );
    let (_, ended) = sandbox.run(&spec(&run));
    assert_eq!((&ended["status"], &ended["tasks"][0]["tries"]), (&"completed".into(), &2.into()), "{ended:#}");
    must_not_leak(&sandbox);
}

#[test]
fn a_failed_or_canceled_spec_leaves_no_copied_file_on_its_branch() {
    let mut sandbox = with_secret("retry_count = 0");
    let commit = "git add -f .env; git commit -q -m x";
    let (_, ended) = sandbox.run(&spec(&format!("{commit}; exit 1")));
    assert!(reason(&ended).contains('1'), "{ended:#}");
    must_not_leak(&sandbox);
    sandbox.start_daemon();
    let id = sandbox.dispatch(&spec(&format!("{commit}; {}", sandbox.barrier())));
    wait_for("the command runs", || sandbox.exists("starts").then_some(()));
    sandbox.good(&["cancel", &id]);
    sandbox.wait_for_status(&id, "canceled");
    must_not_leak(&sandbox);
    let shown = sandbox.good(&["status", &id]).out;
    assert!(shown.contains("which boi never commits"), "{shown}");
}

#[test]
fn a_stash_entry_or_branch_with_a_copied_file_is_named() {
    let sandbox = with_secret("retry_count = 0");
    let run = "echo > .gitignore; git stash -u -q; git branch side stash@{0}";
    let (_, ended) = sandbox.run(&spec(run));
    let shown = sandbox.good(&["status", ended["id"].as_str().unwrap()]).out;
    for name in ["stash@{0}", "refs/heads/side"] {
        let line = shown.lines().find(|line| line.contains("warning") && line.contains(name));
        assert!(line.is_some_and(|line| line.contains(".env")), "{name}: {shown}");
    }
}

#[test]
fn a_daemon_that_dies_while_it_copies_completes_the_copies() {
    for point in ["copy.prepared", "worktree.added", "copy.recorded", "copy.copied"] {
        let sandbox = with_secret("");
        let fired = sandbox.at("fired");
        let mut sandbox = sandbox.with_variables([("BOI_FAILPOINT", format!("{point}={fired}"))]);
        let id = sandbox.dispatch(&spec("cp .env ../../copy; rm .env; echo 1 > one"));
        sandbox.begin_daemon();
        assert_eq!(sandbox.wait_for_daemon().signal(), Some(9), "{point}");
        sandbox.start_daemon();
        let ended = sandbox.wait_for_status(&id, "completed");
        assert_eq!(ended["tasks"][0]["tries"], 1, "{point}: {ended:#}");
        assert_eq!(sandbox.read("boi/copy"), SECRET, "{point}");
        assert_eq!(sandbox.good(&["status", &id, "--json"]).json()["copied"]["files"], 2, "{point}");
        sandbox.stop_daemon(Signal::TERM);
        must_not_leak(&sandbox);
    }
}

#[test]
fn the_repositorys_own_copied_files_and_kept_folders_are_not_committed() {
    let sandbox = with_secret("retry_count = 0");
    sandbox.write("repo/.boi.toml", "copy = ['.env']\nkeep = ['target']\n");
    sandbox.write("repo/.gitignore", ".env\n*.local\ntarget\n");
    sandbox.git("repo", &["add", "-A"]);
    sandbox.git("repo", &["commit", "-q", "-m", "configuration"]);
    sandbox.good(&["trust", "repo"]);
    let text = |run: &str| {
        let build = "test -e .env && mkdir -p target/x && echo built > target/x/out && echo 1 > one";
        format!("title = 'T'\nrepo = 'repo'\n[[tasks]]\nrun = '{build} && {run}'")
    };
    let (_, ended) = sandbox.run(&text("true"));
    assert_eq!(ended["status"], "completed", "{ended:#}");
    for run in
        ["git add -f target && git commit -q -m x", "echo > .gitignore", "git init -q target/n && git add -f target/x"]
    {
        let (_, ended) = sandbox.run(&text(run));
        assert!(reason(&ended).contains("target/x/out"), "{run}: {ended:#}");
    }
    must_not_leak(&sandbox);
    let refs = ["rev-list", "--branches", "--glob=refs/boi"];
    for commit in sandbox.git("repo", &refs).lines() {
        assert_eq!(sandbox.git("repo", &["ls-tree", "-r", commit, "--", "target"]), "", "{commit}");
    }
}
