//! A repository's own configuration, `.boi.toml`: trust, setup, kept folders, protected files.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::support::{Sandbox, wait_for};

/// A sandbox with a repository `repo` that ignores `cache` and has this `.boi.toml`.
fn with_config(text: &str) -> Sandbox {
    let sandbox = Sandbox::new("spawn_jitter_ms = [0, 0]\nretry_backoff_seconds = [0, 0]");
    sandbox.write("repo/.gitignore", "cache\n");
    configure(&sandbox, text);
    sandbox
}

fn configure(sandbox: &Sandbox, text: &str) {
    sandbox.write("repo/.boi.toml", text);
    commit(sandbox);
}

fn commit(sandbox: &Sandbox) {
    sandbox.git("repo", &["add", "--all"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=configuration"]);
}

fn trust(sandbox: &Sandbox) -> Value {
    sandbox.good(&["trust", &sandbox.at("repo"), "--json"]).json()
}

fn spec(sandbox: &Sandbox, title: &str, rest: &str) -> String {
    format!("title = '{title}'\nrepo = '{}'\n{rest}", sandbox.at("repo"))
}

fn dispatch(sandbox: &Sandbox, title: &str, run: &str) -> String {
    sandbox.dispatch(&spec(sandbox, title, &format!("[[tasks]]\nrun = '''{run}'''")))
}

/// Waits until the spec is blocked for a reason that contains `words`, and has begun nothing.
fn wait_until_blocked(sandbox: &Sandbox, id: &str, words: &str) -> Value {
    let blocked = wait_for("the spec is blocked", || {
        let spec = sandbox.spec(id);
        spec["reason"].as_str().is_some_and(|reason| reason.contains(words)).then_some(spec)
    });
    assert_eq!((&blocked["status"], &blocked["tasks"][0]["tries"]), (&"queued".into(), &0.into()), "{blocked}");
    blocked
}

#[test]
fn nothing_of_an_untrusted_configuration_runs_until_the_user_trusts_it() {
    let mut sandbox = with_config("setup = ['touch ../../setup-ran']\nverify = ['test -e setup-done']");
    sandbox.start_daemon();
    let ids: Vec<String> = (0..3).map(|n| dispatch(&sandbox, &format!("Spec {n}"), "touch setup-done")).collect();
    for id in &ids {
        let blocked = wait_until_blocked(&sandbox, id, "that you have not trusted");
        assert!(blocked["reason"].as_str().unwrap().contains("boi trust "), "{blocked}");
    }
    let shown = sandbox.good(&["trust", &sandbox.at("repo"), "--dry-run"]).out;
    assert!(shown.contains("touch ../../setup-ran") && shown.contains("Nothing was changed"), "{shown}");
    assert!(!sandbox.exists("home/setup-ran"));
    let released = trust(&sandbox);
    assert_eq!(released["released"].as_array().unwrap().len(), 3, "{released}");
    for id in &ids {
        let done = sandbox.wait_for_status(id, "completed");
        assert_eq!(done["attempt"], 1, "{done}");
    }
    let again = trust(&sandbox);
    assert_eq!((&again["trusted"], &again["changed"]), (&true.into(), &false.into()), "{again}");

    // A change of the commands needs trust again; a former state does not.
    configure(&sandbox, "setup = ['true']\nverify = ['test -e setup-done']");
    let changed = dispatch(&sandbox, "Changed", "touch setup-done");
    wait_until_blocked(&sandbox, &changed, "differ from those that you trusted");
    let differences = sandbox.good(&["trust", &sandbox.at("repo"), "--dry-run"]).out;
    assert!(differences.contains("- setup = \"touch") && differences.contains("+ setup = \"true\""), "{differences}");
    sandbox.git("repo", &["revert", "--no-edit", "HEAD"]);
    sandbox.wait_for_status(&changed, "completed");

    // Without the trust, the next spec is blocked again.
    sandbox.good(&["trust", "--revoke", &sandbox.at("repo")]);
    let revoked = dispatch(&sandbox, "Revoked", "touch setup-done");
    wait_until_blocked(&sandbox, &revoked, "that you have not trusted");
    sandbox.good(&["cancel", &revoked]);
}

#[test]
fn an_unusable_configuration_blocks_with_its_reason_and_a_commit_ends_the_block() {
    let mut sandbox = with_config("keep = ['../outside']");
    sandbox.start_daemon();
    let id = dispatch(&sandbox, "Spec", "true");
    wait_until_blocked(&sandbox, &id, "not the path of a folder below the root");
    let file = sandbox.path("repo/.boi.toml");
    for (make, words) in [
        (&(|| symlink("/etc/passwd", &file).unwrap()) as &dyn Fn(), "it is a symbolic link"),
        (&|| fs::create_dir(&file).and_then(|()| fs::write(file.join("x"), "x")).unwrap(), "it is a folder"),
        (&|| fs::write(&file, "#".repeat(70_000)).unwrap(), "70000 bytes"),
        (&|| fs::write(&file, "verify = [").unwrap(), ".boi.toml:1"),
        (&|| fs::write(&file, "agent = 'nobody'").unwrap(), "defines no agent `nobody`"),
    ] {
        if file.is_dir() { fs::remove_dir_all(&file) } else { fs::remove_file(&file) }.unwrap();
        make();
        commit(&sandbox);
        if words.contains("nobody") {
            // The spec of the other test has no prompt, so it needs no agent.
            let prompt = sandbox.dispatch(&spec(&sandbox, "Prompt", "[[tasks]]\nprompt = 'Hello'"));
            wait_until_blocked(&sandbox, &prompt, words);
            sandbox.good(&["cancel", &prompt]);
        } else {
            wait_until_blocked(&sandbox, &id, words);
        }
    }
    configure(&sandbox, "");
    sandbox.wait_for_status(&id, "completed");
}

#[test]
fn the_next_spec_has_what_a_commit_changed_and_a_specs_own_branch_changes_nothing() {
    let mut sandbox = with_config("verify = ['grep -q first file']");
    trust(&sandbox);
    sandbox.start_daemon();
    let first = dispatch(&sandbox, "First", "echo first > file; echo 'verify = [\"false\"]' > .boi.toml");
    sandbox.wait_for_status(&first, "completed");
    configure(&sandbox, "verify = ['grep -q second file']\ntimeout_minutes = 7");
    trust(&sandbox);
    let second = dispatch(&sandbox, "Second", "echo second > file");
    sandbox.wait_for_status(&second, "completed");
    let own =
        sandbox.dispatch(&spec(&sandbox, "Own", "verify = ['grep -q mine file']\n[[tasks]]\nrun = 'echo mine > file'"));
    sandbox.wait_for_status(&own, "completed");
    let shown = sandbox.good(&["config", "show", "--repo", &sandbox.at("repo"), "--json"]).json();
    assert_eq!((&shown["config"]["timeout_minutes"], &shown["trusted"]), (&7.into(), &true.into()), "{shown}");
    let listed = sandbox.good(&["trust", "--list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
}

#[test]
fn a_setup_command_that_fails_fails_the_spec_without_a_try_and_a_retry_runs_it_again() {
    let mut sandbox = with_config("");
    sandbox.start_daemon();
    let text = format!("setup = ['echo one', 'echo broken; test -e {}']\n[[tasks]]\nrun = 'true'", sandbox.at("ready"));
    let id = sandbox.dispatch(&spec(&sandbox, "Spec", &text));
    let failed = sandbox.wait_for_status(&id, "failed");
    assert!(failed["reason"].as_str().unwrap().contains("setup command 2 of 2 failed (`echo broken"), "{failed}");
    assert_eq!(failed["tasks"][0]["tries"], 0, "{failed}");
    let log = sandbox.good(&["log", &id]).out;
    assert!(log.contains("== setup: echo one") && log.contains("broken"), "{log}");
    sandbox.write("ready", "");
    sandbox.good(&["retry", &id]);
    sandbox.wait_for_status(&id, "completed");
}

#[test]
fn a_repository_runs_as_many_specs_as_it_allows() {
    let mut sandbox = with_config("max_workers = 1");
    sandbox.start_daemon();
    // A second spec at the same time would find the folder.
    let run = format!("mkdir '{0}' && sleep 0.05 && rmdir '{0}'", sandbox.at("busy"));
    let ids: Vec<String> = (0..6).map(|n| dispatch(&sandbox, &format!("Spec {n}"), &run)).collect();
    for id in &ids {
        let done = sandbox.wait_for_status(id, "completed");
        assert_eq!((&done["tasks"][0]["tries"], &done["attempt"]), (&1.into(), &1.into()), "{done}");
    }
}

#[test]
fn kept_folders_pass_to_the_next_worktree_with_the_times_of_unchanged_files_and_nothing_else_does() {
    let mut sandbox = with_config("keep = ['cache']");
    sandbox.write("repo/same", "same");
    commit(&sandbox);
    trust(&sandbox);
    sandbox.start_daemon();
    let look = format!("pwd >> '{0}'; stat -c %Y.%y same .gitignore >> '{0}'; ls -A >> '{0}'", sandbox.at("seen"));
    let leave = "mkdir -p cache; echo 1 >> cache/n; echo x > .env.ignored; touch -d 2001-01-01 same; git config x.y z";
    for number in 1..=2 {
        let id = dispatch(&sandbox, &format!("Spec {number}"), &format!("{look}\n{leave}"));
        sandbox.wait_for_status(&id, "completed");
        if number == 1 {
            sandbox.write("repo/.gitignore", "cache\n*.ignored\n");
            commit(&sandbox);
        }
    }
    let seen = sandbox.read("seen");
    let lines: Vec<&str> = seen.lines().collect();
    let (first, second) = lines.split_at(lines.iter().rposition(|line| line.starts_with('/')).unwrap());
    assert_eq!(first[0], second[0], "the worktree has the same path");
    assert!(second[1].contains("2001-01-01"), "an unchanged file has its former time: {seen}");
    assert!(!second[2].contains("2001"), "a changed file has a new time: {seen}");
    assert!(second.contains(&"cache") && !second.contains(&".env.ignored"), "{seen}");
    let third = dispatch(&sandbox, "Third", "test $(wc -l < cache/n) = 2 || exit 1; rm -r cache; ln -s / cache");
    sandbox.wait_for_status(&third, "completed");
    let fourth = dispatch(&sandbox, "Fourth", "test ! -e cache");
    sandbox.wait_for_status(&fourth, "completed");
}

#[test]
fn a_try_that_changes_a_protected_file_fails_and_the_next_one_is_told() {
    let mut sandbox = with_config("protected = ['tests/**']");
    fs::create_dir(sandbox.path("repo/tests")).unwrap();
    sandbox.write("repo/tests/a", "a");
    commit(&sandbox);
    sandbox.start_daemon();
    let id = dispatch(
        &sandbox,
        "Spec",
        "echo x > new; if [ $BOI_TRY = 1 ]; then echo b > tests/a; else printf a > tests/a; fi",
    );
    let done = sandbox.wait_for_status(&id, "completed");
    assert_eq!(done["tasks"][0]["tries"], 2, "{done}");
    let history = done["tasks"][0]["history"].to_string();
    assert!(history.contains("changed protected files: tests/a"), "{history}");
}
