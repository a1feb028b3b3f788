//! A stored record that is damaged, or of a later version, quarantines its own spec and no other: the others run, `status`
//! and `doctor` name the record, and `cancel` ends the spec with its processes.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::support::{Sandbox, lives, pid_in, wait_for};

/// A running spec whose daemon was killed. Its command lives.
struct Running {
    sandbox: Sandbox,
    id: String,
    /// That of the command.
    pid: i32,
}

impl Running {
    fn new() -> Running {
        let mut sandbox = Sandbox::new("max_workers = 3\nstop_grace_seconds = 1\n");
        let pid_file = sandbox.path("pid");
        let id = sandbox.dispatch(&format!(
            "title = 'Runs'\n[[tasks]]\nrun = 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000'",
            pid_file.display()
        ));
        sandbox.begin_daemon();
        wait_for("the command runs", || pid_file.exists().then_some(()));
        sandbox.kill_daemon();
        let pid = pid_in(&pid_file);
        Running { sandbox, id, pid }
    }

    /// Changes one row of the spec in the queue.
    fn change_row(&self, sql: &str) {
        let connection = Connection::open(self.sandbox.path("boi/state/boi.db")).unwrap();
        assert_eq!(connection.execute(sql, [&self.id]).unwrap(), 1, "{sql}");
    }

    /// The folder of the running command.
    fn command_dir(&self) -> PathBuf {
        self.sandbox.path(&format!("boi/attempts/{}/1/command-1", self.id))
    }

    /// Starts a daemon: it runs another spec and quarantines this one. `boi status` and `boi doctor` show the record, with a
    /// text that contains `part`.
    #[track_caller]
    fn assert_quarantined(&mut self, part: &str) {
        self.sandbox.start_daemon();
        let other = self.sandbox.dispatch("title = 'Other'\n[[tasks]]\nrun = 'true'");
        self.sandbox.wait_for_status(&other, "completed");
        let spec = wait_for("the spec is quarantined", || {
            Some(self.sandbox.spec(&self.id)).filter(|spec| spec["cause"]["kind"] == "quarantined")
        });
        assert_eq!(spec["status"], "running");
        let reason = spec["reason"].as_str().unwrap();
        assert!(reason.contains(part) && reason.contains(&format!("`boi cancel {}`", self.id)), "{reason}");
        assert!(lives(self.pid), "the command of a quarantined spec is left alone");
        let said = self.sandbox.boi(&["doctor", "--json"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        let findings = said.json()["findings"].as_array().unwrap().clone();
        let found = findings.iter().find(|finding| finding["kind"] == "quarantined");
        let what = found.expect("a finding")["what"].as_str().unwrap();
        assert!(what.contains(&self.id) && what.contains(part), "{what}");
    }

    /// Makes the record of the command one of a later version.
    fn make_record_later(&self) {
        let started = self.command_dir().join("started");
        let record = fs::read_to_string(&started).unwrap();
        let later = record.replacen("\"version\":1", "\"version\":2", 1);
        assert_ne!(record, later);
        fs::write(&started, later).unwrap();
    }

    /// Checks that `boi stop` refuses the spec, and neither ends nor changes it.
    #[track_caller]
    fn assert_not_stoppable(&self) {
        let said = self.sandbox.boi(&["stop", &self.id]);
        assert!(said.code == Some(1) && said.err.contains("is quarantined"), "{said:?}");
        assert_eq!(self.sandbox.spec(&self.id)["status"], "running");
        assert!(lives(self.pid), "`boi stop` ended the command of a quarantined spec");
    }

    /// Checks that `boi cancel` ends the spec and its command.
    #[track_caller]
    fn assert_cancelable(&self) {
        self.sandbox.good(&["cancel", &self.id]);
        self.sandbox.wait_for_status(&self.id, "canceled");
        assert!(!lives(self.pid), "the command outlived `boi cancel`");
    }
}

#[test]
fn a_stop_without_a_daemon_leaves_a_spec_with_a_command_record_of_a_later_version_alone() {
    let running = Running::new();
    running.make_record_later();
    running.assert_not_stoppable();
    running.assert_cancelable();
}

#[test]
fn a_running_spec_with_a_field_of_a_later_version_is_quarantined_until_it_is_canceled() {
    let mut running = Running::new();
    running.change_row("UPDATE attempts SET config = json_set(config, '$.session_limit', 3) WHERE spec = ?");
    running.assert_quarantined("session_limit");
    running.assert_cancelable();
}

#[test]
fn a_running_spec_with_a_damaged_row_can_be_canceled_while_no_daemon_runs() {
    let mut running = Running::new();
    running.change_row("UPDATE attempts SET position = 'garbage' WHERE spec = ?");
    running.assert_quarantined("position");
    running.sandbox.kill_daemon();
    let seen = running.sandbox.spec(&running.id);
    assert_eq!(seen["cause"]["kind"], "quarantined", "{seen:#}");
    running.assert_not_stoppable();
    running.assert_cancelable();
}

#[test]
fn a_running_spec_with_an_attempt_number_out_of_range_and_no_attempt_record_can_be_canceled() {
    for daemon_runs in [true, false] {
        let mut running = Running::new();
        running.change_row("UPDATE specs SET attempt = 99999999999 WHERE id = ?");
        running.change_row("DELETE FROM attempts WHERE spec = ?");
        running.assert_quarantined("attempt");
        if !daemon_runs {
            running.sandbox.kill_daemon();
        }
        running.assert_cancelable();
    }
}

#[test]
fn a_command_with_a_record_of_a_later_version_is_quarantined_until_it_is_canceled() {
    let mut running = Running::new();
    running.make_record_later();
    running.assert_quarantined("record of version 2");
    running.assert_cancelable();
}

#[test]
fn a_running_spec_without_a_key_of_its_configuration_continues_with_the_default() {
    let mut running = Running::new();
    running.change_row("UPDATE attempts SET config = json_remove(config, '$.max_output_mb') WHERE spec = ?");
    running.sandbox.start_daemon();
    let adopted = format!("adopted spec={}", running.id);
    wait_for("the spec is adopted", || running.sandbox.read("daemon.err").contains(&adopted).then_some(()));
    let spec = running.sandbox.spec(&running.id);
    assert!(spec["status"] == "running" && spec["cause"].is_null(), "{spec:#}");
    running.assert_cancelable();
}

#[test]
fn a_queued_spec_with_a_damaged_row_is_quarantined_and_others_run() {
    let mut sandbox = Sandbox::new("");
    let id = sandbox.dispatch("title = 'Damaged'\n[[tasks]]\nrun = 'true'");
    let connection = Connection::open(sandbox.path("boi/state/boi.db")).unwrap();
    connection.execute("UPDATE specs SET body = 'garbage' WHERE id = ?", [&id]).unwrap();
    drop(connection);
    sandbox.begin_daemon();
    let other = sandbox.dispatch("title = 'Other'\n[[tasks]]\nrun = 'true'");
    sandbox.wait_for_status(&other, "completed");
    let spec = sandbox.spec(&id);
    assert_eq!((&spec["status"], &spec["cause"]["kind"]), (&"queued".into(), &"quarantined".into()), "{spec:#}");
    sandbox.good(&["cancel", &id]);
    sandbox.wait_for_status(&id, "canceled");
    sandbox.good(&["clean", &other]);
}
