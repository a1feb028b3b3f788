//! Budgets: a spec is blocked when its own is used up, and no agent starts when that of the day is. Each run
//! of the fake agent costs $0.001.

use serde_json::Value;

use super::support::{Sandbox, wait_for};

const TWO_PROMPTS: &str = "title = 'Two'\n[[tasks]]\nprompt = '@@say one@@'\n[[tasks]]\nprompt = '@@say two@@'\n";

/// Waits until a spec waits for a budget, and returns it.
fn wait_for_budget(sandbox: &Sandbox, id: &str, is_used_up: impl Fn(&Value) -> bool) -> Value {
    wait_for("the budget is used up", || {
        let spec = sandbox.spec(id);
        (spec["status"] == "queued" && is_used_up(&spec["cause"])).then_some(spec)
    })
}

fn is_blocked(cause: &Value) -> bool {
    cause["kind"] == "blocked" && cause["by"]["budget"]["spent"] == 0.001
}

#[test]
fn a_spec_whose_budget_is_used_up_goes_on_when_its_limit_is_higher() {
    let mut sandbox = Sandbox::new("max_usd_per_spec = 0.001");
    sandbox.start_daemon();
    let ids = [sandbox.dispatch(TWO_PROMPTS), sandbox.dispatch(TWO_PROMPTS)];
    for id in &ids {
        let spec = wait_for_budget(&sandbox, id, is_blocked);
        assert_eq!(spec["cause"]["by"]["budget"]["key"], "max_usd_per_spec");
        assert_eq!((&spec["tasks"][0]["status"], &spec["tasks"][1]["status"]), (&"done".into(), &"pending".into()));
        assert_eq!((&spec["tasks"][1]["tries"], &spec["tasks"][0]["usage"]["cost_usd"]), (&0.into(), &0.001.into()));
        let reason = spec["reason"].as_str().unwrap();
        assert!(reason.contains("$0.001, and `max_usd_per_spec` is $0.001."), "{reason}");
    }
    let own = sandbox.dispatch(&format!("max_usd = 0.5\n{TWO_PROMPTS}"));
    assert_eq!(sandbox.wait_for_status(&own, "completed")["usage"]["cost_usd"], 0.002, "the spec's own limit counts");
    let refused = sandbox.boi(&["retry", &ids[0]]);
    assert!(refused.code == Some(1) && refused.err.contains("--max-usd N"), "{refused:?}");
    assert_eq!(sandbox.boi(&["retry", &ids[0], "--max-usd", "-1"]).code, Some(2));
    sandbox.good(&["retry", &ids[0], "--max-usd", "0.0015"]);
    let spec = sandbox.wait_for_status(&ids[0], "completed");
    assert_eq!(
        (&spec["attempt"], &spec["max_usd"], &spec["tasks"][1]["tries"]),
        (&1.into(), &0.0015.into(), &1.into())
    );
    assert!(sandbox.read("trace").contains(r#""--max-budget-usd","0.0005""#), "the agent gets what is left");
    assert!(is_blocked(&sandbox.spec(&ids[1])["cause"]), "the other spec keeps its limit");
    sandbox.good(&["config", "set", "max_usd_per_spec", "0.5"]);
    let spec = sandbox.wait_for_status(&ids[1], "completed");
    assert_eq!((&spec["attempt"], &spec["usage"]["cost_usd"]), (&1.into(), &0.002.into()));
    let spending = &sandbox.good(&["status", "--json"]).json()["spending"];
    assert_eq!((&spending["agents"][0]["agent"], &spending["day"]["turns"]), (&"claude".into(), &6.into()));
    let shown = sandbox.good(&["status"]).out;
    assert!(shown.contains("spending: $0.0060 in the last 24 h (claude $0.01)"), "{shown}");
}

#[test]
fn the_budget_of_a_day_holds_every_agent_but_no_run_command() {
    let mut sandbox = Sandbox::new("max_usd_per_day = 0.001");
    sandbox.start_daemon();
    let first = sandbox.dispatch(TWO_PROMPTS);
    let is_held = |cause: &Value| cause["kind"] == "day_budget" && cause["until"].is_string();
    let spec = wait_for_budget(&sandbox, &first, is_held);
    assert_eq!((&spec["tasks"][0]["status"], &spec["tasks"][1]["tries"]), (&"done".into(), &0.into()));
    let second = sandbox.dispatch(TWO_PROMPTS);
    let (code, _) = sandbox.run("title = 'Command'\n[[tasks]]\nrun = 'true'\n");
    assert_eq!(code, Some(0));
    let spec = wait_for_budget(&sandbox, &second, is_held);
    assert_eq!((&spec["attempt"], &spec["cause"]["limit"]), (&0.into(), &0.001.into()));
    let status = sandbox.good(&["status", "--json"]).json();
    assert_eq!(status["spending"]["used_up_until"], spec["cause"]["until"]);
    assert_eq!(status["spending"]["max_usd_per_day"], 0.001);
    // The next daemon knows what was spent.
    sandbox.kill_daemon();
    sandbox.start_daemon();
    wait_for_budget(&sandbox, &second, is_held);
    sandbox.good(&["config", "set", "max_usd_per_day", "1"]);
    for id in [&first, &second] {
        assert_eq!(sandbox.wait_for_status(id, "completed")["attempt"], 1);
    }
}
