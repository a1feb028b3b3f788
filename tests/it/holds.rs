//! Refusals hold the agent, not the specs: what starts, what waits, and what continues.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::support::{Sandbox, fake_agent, wait_for};

/// A sandbox whose agent carries out the file `script` before each prompt.
fn scripted(config: &str, script: &str) -> Sandbox {
    let sandbox = Sandbox::new(config);
    let file = sandbox.write("script", script).display().to_string();
    sandbox.with_variables([("FAKE_AGENT_SCRIPT", file)])
}

fn starts(sandbox: &Sandbox) -> usize {
    if sandbox.exists("trace") { sandbox.read("trace").lines().count() } else { 0 }
}

fn hold(sandbox: &Sandbox) -> Option<Value> {
    let status = sandbox.good(&["status", "--json"]).json();
    status["holds"].as_array().expect("holds").first().cloned()
}

fn dispatch(sandbox: &Sandbox, count: usize) -> Vec<String> {
    let spec = |number| format!("title = 'Spec {number}'\n[[tasks]]\nprompt = '@@say done {number}@@'");
    (0..count).map(|number| sandbox.dispatch(&spec(number))).collect()
}

#[test]
fn a_dead_login_holds_the_agent_and_a_new_login_continues_every_spec() {
    let mut sandbox = scripted("max_workers = 3\nspawn_jitter_ms = [0, 0]\nretry_count = 0", "@@auth@@");
    let ids = dispatch(&sandbox, 6);
    let plain = sandbox.dispatch("title = 'No agent'\n[[tasks]]\nrun = 'true'");
    sandbox.start_daemon();
    let held = wait_for("the agent is held", || hold(&sandbox));
    assert_eq!((&held["agent"], &held["cause"]), (&"claude".into(), &"auth".into()), "{held}");
    for part in ["login", "401", "/login", "boi resume claude"] {
        assert!(held["reason"].as_str().unwrap().contains(part), "{part}: {held}");
    }
    sandbox.wait_for_status(&plain, "completed");
    wait_for("no worker runs", || (sandbox.good(&["status", "--json"]).json()["slots"]["running"] == 0).then_some(()));
    let refused = starts(&sandbox);
    assert!((1..=3).contains(&refused), "{refused} starts were refused");
    let queued = sandbox.spec(&ids[5]);
    assert_eq!((&queued["status"], &queued["next_agent"]), (&"queued".into(), &"claude".into()), "{queued}");
    assert!(queued["reason"].as_str().unwrap().contains("the agent claude, which is held"), "{queued}");
    let told = sandbox.boi(&["dispatch", "--prompt", "@@say later@@"]);
    assert!(told.err.contains("the agent claude is held"), "{told:?}");
    let doctor = sandbox.boi(&["doctor", "--json"]).json();
    assert!(doctor.to_string().contains("agent-held"), "{doctor}");
    // The user logs in.
    sandbox.write("script", "");
    fs::create_dir_all(sandbox.path("home/.claude")).unwrap();
    sandbox.write("home/.claude/.credentials.json", "{}");
    for id in &ids {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!((&spec["tasks"][0]["tries"], &spec["attempt"]), (&1.into(), &1.into()), "{spec}");
    }
    assert_eq!(hold(&sandbox), None);
}

#[test]
fn a_missing_program_is_waited_for() {
    let mut sandbox = Sandbox::new("");
    let program = sandbox.path("agent-program");
    sandbox = sandbox.with_variables([("CLAUDE_BIN", program.display().to_string())]);
    sandbox.start_daemon();
    let ids = dispatch(&sandbox, 2);
    let held = wait_for("the agent is held", || hold(&sandbox));
    assert_eq!(held["cause"], "no_program", "{held}");
    assert!(held["reason"].as_str().unwrap().contains("agent-program"), "{held}");
    symlink(fake_agent(), &program).unwrap();
    for id in &ids {
        assert_eq!(sandbox.wait_for_status(id, "completed")["tasks"][0]["tries"], 1);
    }
    assert_eq!(hold(&sandbox), None);
    // An update of the agent removes its program for a moment.
    fs::remove_file(&program).unwrap();
    let ids = dispatch(&sandbox, 2);
    wait_for("the agent is held again", || hold(&sandbox));
    symlink(fake_agent(), &program).unwrap();
    for id in &ids {
        assert_eq!(sandbox.wait_for_status(id, "completed")["tasks"][0]["tries"], 1);
    }
    fs::remove_file(program).unwrap();
}

#[test]
fn a_probe_that_hangs_is_ended_and_keeps_the_hold() {
    let config = "stop_grace_seconds = 1\nspawn_jitter_ms = [0, 0]\nretry_backoff_seconds = [0, 0]";
    // 15 minutes of `stall_timeout_minutes` take 3 s.
    let short = [("BOI_MINUTE_MILLIS", "200".to_owned())];
    let mut sandbox = scripted(config, "@@auth@@").with_variables(short);
    let id = dispatch(&sandbox, 1).remove(0);
    sandbox.start_daemon();
    let held = wait_for("the agent is held", || hold(&sandbox));
    sandbox.write("script", "@@hang@@");
    sandbox.good(&["resume", "claude"]);
    let later = wait_for("the hung probe lengthens the hold", || {
        hold(&sandbox).filter(|now| now["until"].as_str() > held["until"].as_str())
    });
    assert_eq!((&later["cause"], &later["since"]), (&held["cause"], &held["since"]), "{later}");
    sandbox.wait_for_status(&id, "queued");
    sandbox.write("script", "");
    sandbox.good(&["resume", "claude"]);
    let spec = sandbox.wait_for_status(&id, "completed");
    let history = spec["tasks"][0]["history"].as_array().unwrap();
    let outcomes: Vec<&str> = history.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes.len(), 2, "{history:?}");
    assert!(outcomes[0].contains("no sign of life") && outcomes[1] == "succeeded", "{outcomes:?}");
    assert_eq!(hold(&sandbox), None);
}

#[test]
fn a_usage_limit_holds_the_agent_also_for_the_next_daemon_and_a_resume_probes_it() {
    let until = jiff::Timestamp::now().as_second() + 3_600;
    let script = format!("@@limited {until}@@");
    let mut sandbox = scripted("max_workers = 2\nspawn_jitter_ms = [0, 0]", &script);
    sandbox.start_daemon();
    let ids = dispatch(&sandbox, 4);
    let held = wait_for("the agent is held", || hold(&sandbox));
    assert_eq!(held["cause"], "limited", "{held}");
    let end = held["until"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    assert!((until..=until + 31).contains(&end), "the limit ends at {until}: {held}");
    wait_for("no worker runs", || (sandbox.good(&["status", "--json"]).json()["slots"]["running"] == 0).then_some(()));
    let refused = starts(&sandbox);
    assert!(refused <= 2, "{refused}");
    sandbox.kill_daemon();
    assert_eq!(hold(&sandbox).expect("the hold is in the queue")["cause"], "limited");
    sandbox.write("script", "");
    sandbox.start_daemon();
    let plain = sandbox.dispatch("title = 'No agent'\n[[tasks]]\nrun = 'true'");
    sandbox.wait_for_status(&plain, "completed");
    assert_eq!(starts(&sandbox), refused, "the next daemon starts no run of the held agent");
    assert_eq!(sandbox.good(&["resume", "--json"]).json()["probed"][0], "claude");
    for id in &ids {
        let spec = sandbox.wait_for_status(id, "completed");
        assert_eq!((&spec["tasks"][0]["tries"], &spec["attempt"]), (&1.into(), &1.into()), "{spec}");
    }
    // The fake agent forgets a session that its script ended, so that boi begins a new one in the same try.
    assert_eq!(sandbox.read("trace").matches("\"--resume\"").count(), refused, "each refused session is continued");
    assert_eq!(starts(&sandbox), 2 * refused + 4);
}

#[test]
fn a_hold_by_hand_lasts_until_the_agent_is_resumed() {
    let mut sandbox = Sandbox::new("");
    let unknown = sandbox.boi(&["hold", "cluade"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.err.contains("did you mean `claude`?"), "{unknown:?}");
    assert!(sandbox.good(&["hold", "claude"]).out.contains("boi resume claude"));
    sandbox.start_daemon();
    let held = hold(&sandbox).expect("the hold was stored without a daemon");
    assert_eq!((&held["cause"], &held["until"]), (&"by_hand".into(), &Value::Null), "{held}");
    sandbox.write("spec.toml", "title = 'Held'\n[[tasks]]\nprompt = '@@say x@@'");
    let ended = sandbox.boi(&["run", "--no-wait", "spec.toml"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("the agent claude is held"), "{ended:?}");
    let plain = sandbox.good(&["resume", "--json"]).json();
    assert_eq!((plain["opened"].clone(), plain["probed"].clone()), (Value::Array(vec![]), Value::Array(vec![])));
    assert!(hold(&sandbox).is_some(), "a plain resume keeps a hold that the user made");
    assert_eq!(sandbox.good(&["resume", "claude", "--json"]).json()["opened"][0], "claude");
    let status = sandbox.good(&["status", "--json"]).json();
    let id = status["specs"][0]["id"].as_str().unwrap();
    sandbox.wait_for_status(id, "completed");
}

#[test]
fn another_agent_does_the_work_of_a_held_one_if_the_configuration_says_so() {
    let agent = fake_agent().display().to_string();
    let config =
        format!("[agents.claude]\nfallback = ['other']\n[agents.other]\ncommand = ['{agent}']\noutput = 'text'\n");
    let mut sandbox = Sandbox::new(&config);
    sandbox.good(&["hold", "claude"]);
    sandbox.start_daemon();
    let id = dispatch(&sandbox, 1).remove(0);
    sandbox.wait_for_status(&id, "completed");
    assert!(sandbox.good(&["log", &id]).out.contains("done 0"));
    let trace: Value = serde_json::from_str(sandbox.read("trace").lines().next().unwrap()).unwrap();
    let argv = trace["argv"].as_array().unwrap();
    assert_eq!(argv.len(), 1, "the agent `other` gets no arguments: {argv:?}");
}
