//! The verdict: the result of one reload of `config.toml`.
//!
//! The daemon logs each verdict, records the last one in `state/reload.json`, and serves it to `boi status`
//! and `boi daemon reload`. Field names are stable: scripts and other versions of boi read them. A verdict
//! that another version wrote can be read too: missing fields get their defaults, and unknown fields are
//! ignored.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// When a change of a key takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakesEffect {
    /// The change takes effect with the next tick.
    NextTick,
    /// The change applies to workers started from now on; running workers keep the old value.
    NextWorker,
    /// The change takes effect immediately.
    AtOnce,
    /// The change takes effect after a restart of the daemon; until then the old value stays in force.
    Restart,
}

impl TakesEffect {
    /// Returns the time in words, such as `next tick`.
    pub fn as_str(self) -> &'static str {
        match self {
            TakesEffect::NextTick => "next tick",
            TakesEffect::NextWorker => "next worker",
            TakesEffect::AtOnce => "at once",
            TakesEffect::Restart => "restart",
        }
    }
}

impl fmt::Display for TakesEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The change of one key's value. The values are in TOML, as in `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// The key's full name: `max_workers`, `agents.claude.program`.
    pub key: String,
    /// The value before the change.
    pub old: String,
    /// The value after the change.
    pub new: String,
    /// When the change takes effect.
    pub takes_effect: TakesEffect,
}

impl Default for Change {
    fn default() -> Change {
        Change { key: String::new(), old: String::new(), new: String::new(), takes_effect: TakesEffect::Restart }
    }
}

impl fmt::Display for Change {
    /// Writes the change in the form `max_workers: 3 -> 6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.old, self.new)
    }
}

/// Why the daemon read the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The daemon started.
    Boot,
    /// The file system reported a change.
    File,
    /// The daemon got a SIGHUP (`boi daemon reload` sends one).
    Signal,
    /// The poll every 2 s found a change that the file system had not reported.
    Poll,
}

impl Trigger {
    /// Returns the trigger in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Boot => "the start of the daemon",
            Trigger::File => "a change of the file",
            Trigger::Signal => "SIGHUP",
            Trigger::Poll => "the poll every 2 s",
        }
    }
}

/// The result of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// A new generation is in force. It contains every changed value, except the values of keys that need a
    /// restart.
    Applied,
    /// The file changes no value in force.
    Unchanged,
    /// The file cannot be read or is not valid; the old configuration stays in force.
    Rejected,
    /// The file is missing or empty; the old configuration stays in force.
    Missing,
    /// A program has kept the file open for writing for 5 s; the old configuration stays in force until the
    /// program closes the file.
    Waiting,
}

impl ReloadOutcome {
    /// Returns the name of the outcome in JSON and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            ReloadOutcome::Applied => "applied",
            ReloadOutcome::Unchanged => "unchanged",
            ReloadOutcome::Rejected => "rejected",
            ReloadOutcome::Missing => "missing",
            ReloadOutcome::Waiting => "waiting",
        }
    }
}

/// How the daemon notices changes of the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchMode {
    /// No daemon runs, so no changes are noticed.
    None,
    /// The daemon gets events from inotify (Linux), and polls the file every 2 s.
    Inotify,
    /// The daemon gets events from FSEvents (macOS), and polls the file every 2 s.
    Fsevents,
    /// The daemon gets no events, and only polls the file every 2 s.
    Poll,
}

impl WatchMode {
    /// Returns the name of the mode in JSON and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            WatchMode::None => "none",
            WatchMode::Inotify => "inotify",
            WatchMode::Fsevents => "fsevents",
            WatchMode::Poll => "poll",
        }
    }
}

/// The result of one reload, with its details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// The reload's number, counted from 1 since the daemon started.
    pub attempt: u64,
    /// How many SIGHUPs had arrived when the daemon read the file; the verdict answers all of them.
    pub answers: u64,
    /// Why the daemon read the configuration file.
    pub trigger: Trigger,
    /// The result.
    pub outcome: ReloadOutcome,
    /// When the daemon reached the verdict.
    pub at: Timestamp,
    /// The generation in force after the reload.
    pub generation: u64,
    /// BLAKE3 hash of the file that was read; `None`: nothing could be read.
    pub hash_on_disk: Option<String>,
    /// BLAKE3 hash of the file that the configuration in force came from.
    pub hash_in_force: Option<String>,
    /// What the new generation changed; empty unless the outcome is `applied`.
    pub changed: Vec<Change>,
    /// Keys whose values on disk differ from those in force, and which need a restart of the daemon to take
    /// effect.
    pub pending_restart: Vec<Change>,
    /// The errors in the file, one line each, with file name, line and column.
    pub errors: Vec<String>,
    /// The same errors for people, each with its source line and a caret.
    pub report: Option<String>,
    /// Warnings about values that are valid but will not work, such as a program that is not installed.
    pub warnings: Vec<String>,
    /// Other facts about this reload, such as that the defaults are in force, or that a key no longer needs a
    /// restart.
    pub notes: Vec<String>,
    /// Microseconds from the first sign of the change to the verdict.
    pub micros: u64,
}

impl Default for Verdict {
    fn default() -> Verdict {
        Verdict {
            attempt: 0,
            answers: 0,
            trigger: Trigger::Boot,
            outcome: ReloadOutcome::Unchanged,
            at: Timestamp(0),
            generation: 0,
            hash_on_disk: None,
            hash_in_force: None,
            changed: Vec::new(),
            pending_restart: Vec::new(),
            errors: Vec::new(),
            report: None,
            warnings: Vec::new(),
            notes: Vec::new(),
            micros: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// `state/reload.json` as version 0.1.0 writes it.
    const STORED: &str = r#"{
        "attempt": 3, "answers": 1, "trigger": "signal", "outcome": "applied", "at": "2026-11-23T14:02:11.123Z",
        "generation": 2, "hash_on_disk": "ab12", "hash_in_force": "ab12",
        "changed": [{"key": "max_workers", "old": "5", "new": "8", "takes_effect": "next_tick"}],
        "pending_restart": [{"key": "retry_count", "old": "3", "new": "0", "takes_effect": "restart"}],
        "errors": ["config.toml:1:1: bad"], "report": "error: bad", "warnings": ["w"], "notes": ["n"], "micros": 21400
    }"#;

    #[test]
    fn a_recorded_verdict_decodes_and_encodes_to_the_same_json() {
        let stored: Value = serde_json::from_str(STORED).unwrap();
        let verdict: Verdict = serde_json::from_str(STORED).unwrap();
        assert_eq!((verdict.attempt, verdict.at.to_string().as_str()), (3, "2026-11-23T14:02:11.123Z"));
        assert_eq!(verdict.changed[0].to_string(), "max_workers: 5 -> 8");
        assert_eq!(serde_json::to_value(&verdict).unwrap(), stored);
    }

    #[test]
    fn a_record_of_another_version_decodes() {
        let stored: Value = serde_json::from_str(STORED).unwrap();
        let default = serde_json::to_value(Verdict::default()).unwrap();
        for field in stored.as_object().unwrap().keys() {
            let mut older = stored.clone();
            older.as_object_mut().unwrap().remove(field);
            let decoded: Verdict = serde_json::from_value(older).unwrap_or_else(|error| panic!("{field}: {error}"));
            assert_eq!(serde_json::to_value(&decoded).unwrap()[field], default[field], "{field}");
        }
        for field in ["key", "old", "new", "takes_effect"] {
            let mut older = stored.clone();
            older["changed"][0].as_object_mut().unwrap().remove(field);
            let decoded: Verdict = serde_json::from_value(older).unwrap();
            let default = serde_json::to_value(Change::default()).unwrap();
            assert_eq!(serde_json::to_value(&decoded.changed[0]).unwrap()[field], default[field], "{field}");
        }
        let mut newer = stored;
        newer["host"] = json!("laptop");
        assert_eq!(serde_json::from_value::<Verdict>(newer).unwrap(), serde_json::from_str(STORED).unwrap());
    }

    #[test]
    fn names_for_people_are_those_of_the_json() {
        use ReloadOutcome::{Applied, Missing, Rejected, Unchanged, Waiting};
        for outcome in [Applied, Unchanged, Rejected, Missing, Waiting] {
            assert_eq!(json!(outcome), outcome.as_str());
        }
        for mode in [WatchMode::None, WatchMode::Inotify, WatchMode::Fsevents, WatchMode::Poll] {
            assert_eq!(json!(mode), mode.as_str());
        }
        for when in [TakesEffect::NextTick, TakesEffect::NextWorker, TakesEffect::AtOnce, TakesEffect::Restart] {
            assert_eq!(json!(when), when.as_str().replace(' ', "_"));
            assert_eq!(format!("{when:>12}"), format!("{:>12}", when.as_str()));
        }
        let words = [Trigger::Boot, Trigger::File, Trigger::Signal, Trigger::Poll].map(Trigger::as_str);
        assert_eq!(words, ["the start of the daemon", "a change of the file", "SIGHUP", "the poll every 2 s"]);
    }
}
