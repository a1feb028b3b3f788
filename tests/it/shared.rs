//! What happens to the shared part of a repository while a command runs is named and never put back.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Sandbox, wait_for};

fn change<'a>(spec: &'a Value, kind: &str, name: &str) -> &'a Value {
    let changes = spec["repository_changes"].as_array().expect("changes");
    let found = changes.iter().find(|change| change["kind"] == kind && change["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} of {name}: {spec:#}"))
}

fn shell(folder: &Path, command: &str) {
    assert!(Command::new("sh").arg("-c").arg(command).current_dir(folder).status().unwrap().success(), "{command}");
}

#[test]
fn a_user_who_changes_the_repository_during_a_try_keeps_the_changes() {
    let mut sandbox = Sandbox::new("");
    sandbox.git("repo", &["branch", "feature"]);
    sandbox.write("repo/a.txt", "stashed\n");
    sandbox.git("repo", &["stash", "-q"]);
    sandbox.start_daemon();
    let id = sandbox.dispatch(&format!(
        "title = 'T'\nrepo = 'repo'\n[[tasks]]\nid = 'only'\nrun = '''{}; echo 1 > one'''",
        sandbox.barrier()
    ));
    wait_for("the command runs", || sandbox.exists("starts").then_some(()));
    // A daemon that dies meanwhile takes nothing with it.
    sandbox.stop_daemon(Signal::KILL);
    sandbox.git("repo", &["branch", "-q", "-D", "feature"]);
    sandbox.git("repo", &["stash", "pop", "-q"]);
    sandbox.git("repo", &["config", "core.hooksPath", "mine"]);
    let (checkout, config) = (sandbox.checkout(), sandbox.read("repo/.git/config"));
    sandbox.start_daemon();
    sandbox.write("go", "");
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((sandbox.checkout(), sandbox.read("repo/.git/config")), (checkout, config));
    assert_eq!(sandbox.git("repo", &["branch", "--list", "feature"]), "");
    let deleted = change(&spec, "deleted", "refs/heads/feature");
    assert_eq!((&deleted["task"], &deleted["try"]), (&"only".into(), &1.into()));
    change(&spec, "stash-dropped", "stash@{0}");
    change(&spec, "config-changed", "core.hookspath");
    shell(&sandbox.path(""), deleted["restore"].as_str().expect("a command"));
    sandbox.git("repo", &["rev-parse", "--verify", "feature"]);
    let shown = sandbox.good(&["status", &id]).out;
    assert!(shown.contains("deleted: refs/heads/feature") && shown.contains("to put it back: git -C "), "{shown}");
}

#[test]
fn a_delivery_waits_until_a_changed_configuration_is_settled() {
    let mut sandbox = Sandbox::new("");
    let before = sandbox.git("repo", &["rev-parse", "main"]);
    let (_, spec) = sandbox.run(
        "title = 'T'\nrepo = 'repo'\nbase = 'main'\ndeliver = 'merge'\n[[tasks]]\n\
         run = 'git config core.bare true; git config filter.x.clean cat; echo two > a.txt'",
    );
    let id = spec["id"].as_str().unwrap();
    let retried = |sandbox: &mut Sandbox| {
        sandbox.good(&["retry", id]);
        sandbox.start_daemon();
        let spec = sandbox.wait_for_status(id, "completed");
        sandbox.stop_daemon(Signal::TERM);
        spec
    };
    let blocked = |sandbox: &Sandbox, spec: &Value| {
        assert_eq!(spec["cause"]["why"]["kind"], "repository-changed", "{spec:#}");
        assert!(spec["reason"].as_str().unwrap().contains("boi doctor --fix"), "{spec:#}");
        assert_eq!(sandbox.git("repo/.git", &["rev-parse", "main"]), before);
    };
    blocked(&sandbox, &spec);
    // The user puts one value back.
    sandbox.git("repo", &["config", "core.bare", "false"]);
    let spec = retried(&mut sandbox);
    blocked(&sandbox, &spec);
    let found = sandbox.boi(&["doctor", "--json"]).json()["findings"].clone();
    let found: Vec<_> = found.as_array().unwrap().iter().filter(|one| one["kind"] == "repository-changed").collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0]["what"].as_str().unwrap().contains("filter.x.clean: none -> cat"), "{found:#?}");
    let fixed = sandbox.good(&["doctor", "--fix"]).out;
    assert!(fixed.contains("accepted: configuration changed: filter.x.clean: none -> cat"), "{fixed}");
    assert_eq!(retried(&mut sandbox)["delivery"], "merged");
    assert_eq!(
        (sandbox.read("repo/a.txt"), sandbox.git("repo", &["status", "--porcelain"])),
        ("two\n".into(), "".into())
    );
}

#[test]
fn a_later_task_that_undoes_an_earlier_one_is_named_or_refused() {
    let sandbox = Sandbox::new("retry_count = 0");
    let tasks = "[[tasks]]\nrun = 'echo 1 > one'\nverify = ['test -e one']\n\
                 [[tasks]]\nrun = 'git reset -q --hard HEAD~1; git clean -qfd; echo 2 > two'";
    let (_, spec) = sandbox.run(&format!("title = 'T'\nrepo = 'repo'\n{tasks}"));
    assert_eq!(spec["status"], "completed", "{spec:#}");
    assert_eq!(change(&spec, "undone", "one")["task"], "t-2");
    let (_, spec) = sandbox.run(&format!("title = 'T'\nrepo = 'repo'\nverify_all = true\n{tasks}"));
    assert_eq!(spec["status"], "failed", "{spec:#}");
    assert!(spec["reason"].as_str().unwrap().contains("`test -e one`"), "{spec:#}");
}

#[test]
fn a_spec_cannot_start_from_a_branch_that_was_cleaned() {
    let sandbox = Sandbox::new("");
    let (_, first) = sandbox.run("title = 'First'\nrepo = 'repo'\nbase = 'main'\n[[tasks]]\nrun = 'echo 1 > one'");
    let (id, branch) = (first["id"].as_str().unwrap(), first["branch"].as_str().unwrap());
    sandbox.write("second.toml", format!("title = 'Second'\nrepo = 'repo'\nbase = '{id}'\n[[tasks]]\nrun = 'true'"));
    sandbox.good(&["dispatch", "--dry-run", "second.toml"]);
    sandbox.git("repo", &["merge", "-q", branch]);
    sandbox.good(&["clean", id]);
    for arguments in [["dispatch", "--dry-run", "second.toml"].as_slice(), &["dispatch", "second.toml"]] {
        let said = sandbox.boi(arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(&format!("the branch {branch} of {id} no longer exists")), "{said:?}");
    }
}
