//! Agents that hang: silently, or after their result; also if the daemon dies while it ends them. The tests
//! shorten the minutes of `stall_timeout_minutes` and the time in which an agent has to exit after its
//! result.

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Sandbox, wait_for};

const STALLED: &str = "the agent showed no sign of life for stall_timeout_minutes";

/// A sandbox in which an agent has to show a sign of life within 3 s, and has to exit `exit_millis` after its
/// result.
fn sandbox(exit_millis: u64) -> Sandbox {
    let config = "stop_grace_seconds = 1\ntick_interval_ms = 100\nspawn_jitter_ms = [0, 0]\nspawns_per_tick = 8\n\
                  retry_backoff_seconds = [0, 0]\nmax_workers = 8\n";
    let short = [("BOI_MINUTE_MILLIS", "200".to_owned()), ("BOI_EXIT_AFTER_RESULT_MILLIS", exit_millis.to_string())];
    Sandbox::new(config).with_variables(short)
}

/// Returns a spec with one task, which has these fields.
fn spec(task: &str) -> String {
    format!("title = 'Hangs'\nrepo = 'repo'\n[[tasks]]\n{task}")
}

/// Returns how many agents were started.
fn starts(sandbox: &Sandbox) -> usize {
    sandbox.read("trace").lines().count()
}

/// Returns the outcome of each try of the first task.
#[track_caller]
fn outcomes(spec: &Value) -> Vec<&str> {
    let history = spec["tasks"][0]["history"].as_array().expect("the tries");
    history.iter().map(|one| one["outcome"].as_str().expect("an outcome")).collect()
}

#[test]
fn only_an_agent_without_a_sign_of_life_is_ended_and_its_next_try_has_a_session_of_its_own() {
    let mut sandbox = sandbox(100);
    let wait = |name| format!("touch {}; until test -e {}; do sleep 0.1; done", sandbox.at(name), sandbox.at("go"));
    let others = [
        format!("prompt = '@@touch {}@@ @@busy {}@@'", sandbox.at("busy"), sandbox.at("go")),
        format!("run = '{}'", wait("running")),
        format!("prompt = '@@write a.txt a@@'\nverify = ['{}']", wait("verifying")),
    ];
    let others = others.map(|task| sandbox.dispatch(&spec(&task)));
    sandbox.start_daemon();
    let began = || ["busy", "running", "verifying"].iter().all(|name| sandbox.exists(name)).then_some(());
    wait_for("the other specs run", began);
    let hung = sandbox.dispatch(&spec("prompt = '@@try 1:hang@@ @@write a.txt a@@'"));
    let hung = sandbox.wait_for_status(&hung, "completed");
    assert_eq!(outcomes(&hung), [STALLED, "succeeded"]);
    let history = &hung["tasks"][0]["history"];
    assert!(history[0]["session_id"].is_string() && history[0]["session_id"] != history[1]["session_id"], "{history}");
    // The others were silent for longer than the agent that was ended.
    sandbox.write("go", "");
    for other in others {
        assert_eq!(outcomes(&sandbox.wait_for_status(&other, "completed")), ["succeeded"]);
    }
}

#[test]
fn the_result_decides_the_outcome_of_an_agent_that_does_not_exit_after_it() {
    let sandbox = sandbox(100);
    let note = "(the agent did not exit after its result, so boi ended it)";
    let (_, completed) =
        sandbox.run(&spec("prompt = '@@write a.txt a@@ @@hang-after-result@@'\nverify = ['test -s a.txt']"));
    assert_eq!((completed["status"].as_str(), outcomes(&completed)), (Some("completed"), vec!["succeeded"]));
    assert_eq!(completed["tasks"][0]["history"][0]["message"], format!("done {note}"));
    let (_, failed) = sandbox.run(&spec("prompt = '@@context-then-hang@@'"));
    assert_eq!(failed["status"], "failed");
    assert!(outcomes(&failed)[0].starts_with("the prompt is too long"), "{failed}");
    assert!(failed["tasks"][0]["history"][0]["message"].as_str().is_some_and(|message| message.ends_with(note)));
    assert_eq!(starts(&sandbox), 2);
}

#[test]
fn an_agent_that_works_in_another_permission_mode_is_ended_at_once() {
    let sandbox = sandbox(600_000).with_variables([("FAKE_AGENT_MODE", "default".to_owned())]);
    let (_, failed) = sandbox.run(&spec("prompt = '@@hang@@'"));
    assert_eq!((failed["status"].as_str(), starts(&sandbox)), (Some("failed"), 1));
    assert!(
        outcomes(&failed)[0].starts_with("the agent is not allowed to work without permission prompts"),
        "{failed}"
    );
}

/// The daemon dies at `point` while it ends the agent that does `prompt`, and the next one completes the
/// spec. Returns the outcomes of the tries, and how many agents were started.
#[track_caller]
fn daemon_dies_at(point: &str, prompt: &str) -> (Vec<String>, usize) {
    let mut sandbox = sandbox(100);
    let fired = sandbox.at("fired");
    sandbox = sandbox.with_variables([("BOI_FAILPOINT", format!("{point}={fired}"))]);
    let id = sandbox.dispatch(&spec(&format!("prompt = '{prompt}'")));
    sandbox.begin_daemon();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&sandbox.wait_for_daemon()), Some(9), "{point}");
    if point == "end.signalled" {
        let exit = sandbox.path(&format!("boi/attempts/{id}/1/command-1/exit"));
        wait_for("the supervisor records the end", || exit.exists().then_some(()));
    }
    sandbox.start_daemon();
    let spec = sandbox.wait_for_status(&id, "completed");
    (outcomes(&spec).into_iter().map(str::to_owned).collect(), starts(&sandbox))
}

#[test]
fn a_result_counts_if_the_daemon_dies_while_it_ends_the_agent() {
    for point in ["end.requested", "end.signalled"] {
        let (outcomes, starts) = daemon_dies_at(point, "@@write a.txt a@@ @@hang-after-result@@");
        assert_eq!((outcomes, starts), (vec!["succeeded".to_owned()], 1), "{point}");
    }
}

#[test]
fn a_hung_agent_counts_as_hung_if_the_daemon_dies_while_it_ends_the_agent() {
    for point in ["end.requested", "end.signalled"] {
        let (outcomes, starts) = daemon_dies_at(point, "@@try 1:hang@@ @@write a.txt a@@");
        assert_eq!((outcomes, starts), (vec![STALLED.to_owned(), "succeeded".to_owned()], 2), "{point}");
    }
}

#[test]
fn a_result_counts_if_the_user_stops_the_daemon_before_the_agent_exits() {
    let mut sandbox = sandbox(600_000);
    let id = sandbox.dispatch(&spec("prompt = '@@write a.txt a@@ @@hang-after-result@@'"));
    sandbox.start_daemon();
    let output = format!("boi/attempts/{id}/1/command-1/output");
    let has_result = || (sandbox.exists(&output) && sandbox.read(&output).contains("\"result\"")).then_some(());
    wait_for("the agent gives its result", has_result);
    assert!(sandbox.stop_daemon(Signal::INT).success());
    sandbox.start_daemon();
    assert_eq!(outcomes(&sandbox.wait_for_status(&id, "completed")), ["succeeded"]);
    assert_eq!(starts(&sandbox), 1);
}

#[test]
fn status_shows_the_requests_that_an_agent_repeats() {
    let mut sandbox = sandbox(100);
    let id = sandbox.dispatch(&spec(&format!("prompt = '@@api-errors 7@@ @@busy {}@@'", sandbox.at("go"))));
    sandbox.start_daemon();
    wait_for("the reason", || {
        let reason = sandbox.spec(&id)["reason"].as_str()?.to_owned();
        reason.starts_with("API: 529, retry 7 of 10: ").then_some(())
    });
    sandbox.write("go", "");
    sandbox.wait_for_status(&id, "completed");
}

#[test]
fn a_task_that_changed_no_file_is_done_and_marked_with_the_last_message_of_its_agent() {
    let sandbox = sandbox(100);
    let (code, spec) = sandbox.run(&spec("prompt = '@@say There is nothing to do.@@'"));
    assert_eq!((code, &spec["status"], &spec["tasks"][0]["unchanged"]), (Some(0), &"completed".into(), &true.into()));
    let said = sandbox.good(&["status", spec["id"].as_str().unwrap()]).out;
    assert!(said.contains("no file changed  ") && said.contains("last message: There is nothing to do.\n"), "{said}");
    let said = sandbox.good(&["run", "spec.toml"]).out;
    assert!(said.contains("t-1: no file changed; the agent's last message: There is nothing to do.\n"), "{said}");
}
