//! Specs that wait for other specs.

use super::support::Sandbox;

#[test]
fn a_waiting_spec_starts_from_the_branch_of_the_other() {
    let mut sandbox = Sandbox::new("");
    let first = sandbox.dispatch("title = 'First'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > one'");
    let second = sandbox
        .dispatch(&format!("title = 'Second'\nrepo = 'repo'\nbase = '{first}'\n[[tasks]]\nrun = 'cat one > two'"));
    let reason = sandbox.spec(&second)["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains(&first), "it waits for {first}: `{reason}`");
    sandbox.start_daemon();
    sandbox.wait_for_status(&second, "completed");
    assert_eq!(sandbox.git("repo", &["show", &format!("boi/{second}:two")]), "1");
    assert_eq!(sandbox.git("repo", &["rev-parse", &format!("boi/{second}~1")]), {
        sandbox.git("repo", &["rev-parse", &format!("boi/{first}")])
    });
}

#[test]
fn a_spec_that_waits_for_a_failed_one_fails_and_is_queued_again_with_it() {
    let mut sandbox = Sandbox::new("retry_count = 0");
    let go = sandbox.path("go").display().to_string();
    let first = sandbox.dispatch(&format!("title = 'First'\nrepo = 'repo'\n[[tasks]]\nrun = 'test -e {go}'"));
    let second = sandbox
        .dispatch(&format!("title = 'Second'\nrepo = 'repo'\nafter = ['{first}']\n[[tasks]]\nrun = 'echo 2 > two'"));
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&second, "failed");
    assert!(spec["reason"].as_str().unwrap().contains(&first), "{spec:#}");
    assert_eq!(sandbox.spec(&first)["status"], "failed");
    sandbox.write("go", "");
    sandbox.good(&["retry", &first]);
    sandbox.wait_for_status(&first, "completed");
    sandbox.wait_for_status(&second, "completed");
}
