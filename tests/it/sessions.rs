//! A run of an agent that was cut, stopped or refused goes on in its own session, and uses up no try.

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Sandbox, wait_for};

/// Returns the runs of the agent so far: what the fake agent recorded of its starts.
fn runs(sandbox: &Sandbox) -> Vec<Value> {
    let trace = sandbox.read("trace");
    trace.lines().map(|line| serde_json::from_str(line).expect("a line of the trace")).collect()
}

/// Returns the argument after `flag` on the command line of a run.
fn argument<'a>(run: &'a Value, flag: &str) -> Option<&'a str> {
    let argv = run["argv"].as_array().expect("a command line");
    let at = argv.iter().position(|argument| argument == flag)?;
    argv[at + 1].as_str()
}

#[test]
fn a_try_that_is_cut_stopped_and_refused_goes_on_in_its_session() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let prompt = format!(
        "@@write a.txt 1@@ @@cut@@ @@write b.txt 2@@ @@touch {}@@ @@hang@@ @@write c.txt 3@@ @@throttled@@ @@write d.txt 4@@",
        sandbox.at("hangs")
    );
    let id = sandbox.dispatch(&format!("title = 'Session'\nrepo = 'repo'\n[[tasks]]\nprompt = '''{prompt}'''"));
    wait_for("the agent hangs", || sandbox.exists("hangs").then_some(()));
    assert!(sandbox.stop_daemon(Signal::INT).success());
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&id, "completed");
    assert_eq!((&spec["attempt"], &spec["tasks"][0]["tries"]), (&1.into(), &1.into()));
    let branch = format!("boi/{id}");
    assert_eq!(sandbox.git("repo", &["diff", "--name-only", "main", &branch]), "a.txt\nb.txt\nc.txt\nd.txt");
    let runs = runs(&sandbox);
    let session = argument(&runs[0], "--session-id").expect("the first run begins a session");
    let resumed: Vec<_> = runs[1..].iter().map(|run| argument(run, "--resume")).collect();
    assert_eq!(resumed, [Some(session); 3]);
    for run in &runs[1..] {
        let prompt = run["prompt"].as_str().expect("a prompt");
        assert!(prompt.starts_with("Your last run in this session ended") && !prompt.contains("@@"), "{prompt}");
    }
    // Nobody can answer a question of git, and the agent knows where it works.
    let names = runs[0]["env"].as_array().expect("the names of variables");
    for name in ["GIT_EDITOR", "GIT_TERMINAL_PROMPT", "BOI_REPO", "BOI_WORKTREE"] {
        assert!(names.contains(&name.into()), "{name}");
    }
}
