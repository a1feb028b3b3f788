//! What becomes of a spec whose git takes its time, or whose repository has been used before.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::support::{Sandbox, wait_for};

/// With a git whose next `worktree add` says `reached`, waits for `go`, and fails.
fn with_slow_git() -> Sandbox {
    let sandbox = Sandbox::new("");
    std::fs::create_dir(sandbox.path("bin")).unwrap();
    let at = |name: &str| sandbox.path(name).display().to_string();
    let git = sandbox.write(
        "bin/git",
        format!(
            "#!/bin/sh\ncase \" $* \" in *\" worktree add \"*)\n  if rm {} 2>/dev/null; then\n    : > {}\n    \
             while test -e {} && ! test -e {}; do sleep 0.02; done\n    exit 1\n  fi;;\nesac\nPATH=${{PATH#*:}} exec git \"$@\"\n",
            at("armed"),
            at("reached"),
            at("bin"),
            at("go")
        ),
    );
    std::fs::set_permissions(git, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.write("armed", "");
    let path = format!("{}:{}", at("bin"), std::env::var("PATH").unwrap());
    sandbox.with_variables([("PATH", path)])
}

const SPEC: &str = "title = 'Git'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'";

#[test]
fn a_daemon_killed_while_it_laid_a_tree_goes_on_though_the_base_has_moved() {
    let mut sandbox = with_slow_git();
    sandbox.start_daemon();
    let id = sandbox.dispatch(SPEC);
    wait_for("git at work", || sandbox.exists("reached").then_some(()));
    let base = sandbox.git("repo", &["rev-parse", "main"]);
    assert_eq!(sandbox.git("repo", &["rev-parse", &format!("boi/{id}")]), base, "the branch is made");
    sandbox.stop_daemon(Signal::KILL);
    sandbox.git("repo", &["commit", "-q", "--allow-empty", "-m", "second"]);
    sandbox.write("go", "");
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(spec["attempt"], 1);
    assert_eq!(sandbox.git("repo", &["rev-parse", &format!("boi/{id}~1")]), base);
}

#[test]
fn a_daemon_leaves_without_waiting_for_git() {
    let mut sandbox = with_slow_git();
    sandbox.start_daemon();
    let id = sandbox.dispatch(SPEC);
    wait_for("git at work", || sandbox.exists("reached").then_some(()));
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    assert!(!sandbox.exists("go"), "git is still at work");
    assert_eq!(sandbox.spec(&id)["status"], "running");
    sandbox.write("go", "");
    sandbox.start_daemon();
    assert_eq!(sandbox.wait_for_status(&id, "completed")["attempt"], 1);
}

#[test]
fn no_try_is_made_behind_a_link_in_the_place_of_the_worktree() {
    let sandbox = Sandbox::new("");
    std::fs::create_dir(sandbox.path("mine")).unwrap();
    let (code, spec) = sandbox.run(&format!(
        "title = 'Linked'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo x >> {}; pwd -P > here; \
         mv ../$BOI_SPEC ../moved; ln -s {} ../$BOI_SPEC; exit 1'''",
        sandbox.path("starts").display(),
        sandbox.path("mine").display(),
    ));
    assert_eq!((code, &spec["status"]), (Some(1), &"failed".into()));
    let reason = spec["reason"].as_str().unwrap();
    assert!(reason.contains("is a link; mend that, then `boi retry S"), "{reason}");
    assert_eq!(sandbox.read("starts"), "x\n");
    assert_eq!(std::fs::read_dir(sandbox.path("mine")).unwrap().count(), 0);
    assert!(sandbox.exists("boi/worktrees/moved/here"));
}

#[test]
fn no_spec_gets_the_name_of_a_branch_that_is_there() {
    let sandbox = Sandbox::new("");
    let head = sandbox.git("repo", &["rev-parse", "HEAD"]);
    // Every id of four digits, as by another home.
    let mut refs = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    for number in 0..=0xFFFF {
        writeln!(refs, "{head} refs/heads/boi/S{number:04X}").unwrap();
    }
    sandbox.write("repo/.git/packed-refs", refs);
    let (code, spec) = sandbox.run("title = 'New'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    assert_eq!((code, &spec["status"]), (Some(0), &"completed".into()), "{spec:#}");
    assert_eq!(spec["id"].as_str().map(str::len), Some(6));
}
