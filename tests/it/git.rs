//! A slow git, a worktree that was replaced, and branch names that are taken.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::support::{Sandbox, lives, pid_in, wait_for};

/// A sandbox in which the first `git worktree add` writes its pid to the file `reached`, waits until `go` exists, and fails.
fn sandbox_with_slow_git() -> Sandbox {
    let sandbox = Sandbox::new("");
    std::fs::create_dir(sandbox.path("bin")).unwrap();
    let git = sandbox.write(
        "bin/git",
        format!(
            "#!/bin/sh\ncase \" $* \" in *\" worktree add \"*)\n  if rm {} 2>/dev/null; then\n    echo $$ > {}\n    \
             while test -e {} && ! test -e {}; do sleep 0.02; done\n    exit 1\n  fi;;\nesac\nPATH=${{PATH#*:}} exec git \"$@\"\n",
            sandbox.at("armed"),
            sandbox.at("reached"),
            sandbox.at("bin"),
            sandbox.at("go")
        ),
    );
    std::fs::set_permissions(git, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.write("armed", "");
    let path = format!("{}:{}", sandbox.at("bin"), std::env::var("PATH").unwrap());
    sandbox.with_variables([("PATH", path)])
}

const SPEC: &str = "title = 'Git'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'";

#[test]
fn a_spec_whose_daemon_was_killed_in_git_keeps_its_base_though_main_has_moved() {
    let mut sandbox = sandbox_with_slow_git();
    sandbox.start_daemon();
    let id = sandbox.dispatch(SPEC);
    wait_for("git worktree add runs", || sandbox.exists("reached").then_some(()));
    let base = sandbox.git("repo", &["rev-parse", "main"]);
    assert_eq!(sandbox.git("repo", &["rev-parse", &format!("boi/{id}")]), base, "the branch exists");
    sandbox.stop_daemon(Signal::KILL);
    sandbox.git("repo", &["commit", "-q", "--allow-empty", "-m", "second"]);
    sandbox.write("go", "");
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!(spec["attempt"], 1);
    assert_eq!(sandbox.git("repo", &["rev-parse", &format!("boi/{id}~1")]), base);
}

#[test]
fn a_daemon_that_ends_ends_git_and_the_next_one_repeats_the_step() {
    let mut sandbox = sandbox_with_slow_git();
    sandbox.start_daemon();
    let id = sandbox.dispatch(SPEC);
    let git = pid_in(&sandbox.path("reached"));
    assert!(sandbox.stop_daemon(Signal::TERM).success());
    assert!(!lives(git), "git lives on without the daemon");
    assert_eq!(sandbox.spec(&id)["status"], "running");
    sandbox.start_daemon();
    assert_eq!(sandbox.wait_for_status(&id, "completed")["attempt"], 1);
}

#[test]
fn a_filter_that_hangs_is_shown_and_ends_with_a_cancel_and_with_a_stop() {
    let mut sandbox = Sandbox::new("").with_variables([("OTHER_API_KEY", "secret".to_owned())]);
    let pid = sandbox.path("filter");
    let environment = sandbox.at("environment");
    let filter = format!("env > {environment}; echo $$ > {}; exec sleep 1000", sandbox.at("filter"));
    sandbox.git("repo", &["config", "filter.hangs.clean", &filter]);
    let spec =
        "title = 'Hangs'\nrepo = 'repo'\n[[tasks]]\nrun = \"echo '*.x filter=hangs' > .gitattributes; echo 1 > f.x\"";
    let filter = |sandbox: &Sandbox, id: &str| {
        let git = pid_in(&pid);
        wait_for("status names git", || (sandbox.spec(id)["git"]["command"] == "git add").then_some(()));
        std::fs::remove_file(&pid).unwrap();
        git
    };
    sandbox.start_daemon();
    let id = sandbox.dispatch(spec);
    let git = filter(&sandbox, &id);
    let shown = sandbox.good(&["status", &id]).out;
    assert!(shown.contains("git add: running for "), "{shown}");
    sandbox.good(&["cancel", &id]);
    sandbox.wait_for_status(&id, "canceled");
    assert!(!lives(git));
    let id = sandbox.dispatch(spec);
    let git = filter(&sandbox, &id);
    sandbox.good(&["daemon", "stop"]);
    assert!(!lives(git));
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    let environment = sandbox.read("environment");
    assert!(environment.contains(&format!("BOI_SPEC={id}")) && !environment.contains("secret"), "{environment}");
}

#[test]
fn files_that_git_refuses_fail_the_try_with_gits_words_and_clean_keeps_their_folder() {
    let sandbox = Sandbox::new("retry_count = 1\nretry_backoff_seconds = [0, 0]");
    let (code, spec) =
        sandbox.run("title = 'Refused'\nrepo = 'repo'\n[[tasks]]\nrun = 'ln -sf /dev/null .gitmodules; echo 1 > y'");
    assert_eq!((code, &spec["tasks"][0]["tries"]), (Some(1), &2.into()), "{spec:#}");
    let reason = spec["reason"].as_str().unwrap();
    assert!(reason.contains(".gitmodules") && reason.contains("try 2 of 2"), "{reason}");
    let id = spec["id"].as_str().unwrap();
    let folder = sandbox.at(&format!("boi/worktrees/{id}.kept"));
    assert!(sandbox.good(&["clean", id]).out.contains(&folder));
    assert_eq!(sandbox.read(&format!("boi/worktrees/{id}.kept/y")), "1\n");
    assert_eq!(sandbox.spec(id)["kept"], serde_json::json!([folder]));
    assert!(sandbox.boi(&["doctor"]).out.contains("git cannot store"));
}

#[test]
fn nothing_is_executed_in_a_worktree_that_was_replaced_by_a_link() {
    let sandbox = Sandbox::new("retry_backoff_seconds = [0, 0]");
    std::fs::create_dir(sandbox.path("mine")).unwrap();
    let (code, spec) = sandbox.run(&format!(
        "title = 'Linked'\nrepo = 'repo'\n[[tasks]]\nrun = '''echo x >> {}; pwd -P > here; \
         mv ../$BOI_SPEC ../moved; ln -s {} ../$BOI_SPEC; exit 1'''",
        sandbox.at("starts"),
        sandbox.at("mine"),
    ));
    assert_eq!((code, &spec["status"]), (Some(1), &"failed".into()));
    let reason = spec["reason"].as_str().unwrap();
    for part in [" is a link. Fix the problem", "Then run `boi retry S"] {
        assert!(reason.contains(part), "no `{part}` in {reason}");
    }
    assert_eq!(sandbox.read("starts"), "x\n");
    assert_eq!(std::fs::read_dir(sandbox.path("mine")).unwrap().count(), 0);
    assert!(sandbox.exists("boi/worktrees/moved/here"));
}

#[test]
fn a_spec_gets_an_id_whose_branch_does_not_exist() {
    let sandbox = Sandbox::new("");
    let head = sandbox.git("repo", &["rev-parse", "HEAD"]);
    // Another home with the same repository has used every id of four digits.
    let mut refs = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    for number in 0..=0xFFFF {
        writeln!(refs, "{head} refs/heads/boi/S{number:04X}").unwrap();
    }
    sandbox.write("repo/.git/packed-refs", refs);
    let (code, spec) = sandbox.run("title = 'New'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    assert_eq!((code, &spec["status"]), (Some(0), &"completed".into()), "{spec:#}");
    assert_eq!(spec["id"].as_str().map(str::len), Some(6));
}
