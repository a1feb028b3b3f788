//! A changed configuration: SIGHUP, and the next tick runs with it.

use rustix::process::Signal;

use super::support::{Sandbox, wait_for};

#[test]
fn more_slots_are_used_at_once_and_a_bad_file_is_refused() {
    let mut sandbox = Sandbox::new("max_workers = 0");
    sandbox.start_daemon();
    let id = sandbox.dispatch("title = 'Waits'\n[[tasks]]\nrun = 'true'");
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    sandbox.write("boi/config.toml", "max_workers = 'many'");
    sandbox.signal_daemon(Signal::HUP);
    let config = wait_for("a verdict", || {
        let config = sandbox.good(&["status", "--json"]).json()["config"].clone();
        (config["outcome"] == "rejected").then_some(config)
    });
    assert!(config["errors"][0].as_str().unwrap().contains("max_workers"), "{config}");
    assert_eq!(sandbox.boi(&["config", "check"]).code, Some(1));
    sandbox.write("boi/config.toml", "max_workers = 1\nretry_count = 9");
    sandbox.signal_daemon(Signal::HUP);
    sandbox.wait_for_status(&id, "completed");
    let config = sandbox.good(&["status", "--json"]).json()["config"].clone();
    assert_eq!(config["outcome"], "applied");
    assert!(config["pending_restart"][0].as_str().unwrap().contains("retry_count"), "{config}");
}

#[test]
fn a_bad_file_at_boot_is_exit_code_78() {
    let sandbox = Sandbox::new("max_wokers = 3");
    let said = sandbox.boi(&["daemon", "run", "--foreground"]);
    assert_eq!(said.code, Some(78));
    assert!(said.err.contains("max_wokers") && said.err.contains("max_workers"), "{}", said.err);
}
