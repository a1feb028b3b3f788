//! What became of a reading of the configuration file. The daemon logs it, records it under `state/`, and serves it to
//! `boi status`, `boi config diff` and `boi daemon reload`. Field names are stable.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// When a change of a key takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakesEffect {
    /// With the next tick.
    NextTick,
    /// For the workers that are started from now on.
    NextWorker,
    /// With the swap itself.
    AtOnce,
    /// When the daemon is restarted; until then the old value stays in force.
    Restart,
}

impl TakesEffect {
    /// In words: `next tick`.
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

/// One key whose value differs. Values are shown as `config.toml` writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key's name.
    pub key: String,
    /// Its value before.
    pub old: String,
    /// Its value now.
    pub new: String,
    /// When that takes effect.
    pub takes_effect: TakesEffect,
}

impl fmt::Display for Change {
    /// `max_workers: 3 -> 6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.old, self.new)
    }
}

/// Why the file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The daemon started.
    Boot,
    /// The file system told of a change.
    File,
    /// SIGHUP.
    Signal,
    /// The regular look found a change that nothing told of.
    Poll,
}

impl Trigger {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Boot => "the start of the daemon",
            Trigger::File => "a change of the file",
            Trigger::Signal => "SIGHUP",
            Trigger::Poll => "the regular look at the file",
        }
    }
}

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// It is in force, as far as it needs no restart.
    Applied,
    /// Nothing in force differs from it.
    Unchanged,
    /// It is not valid; nothing changed.
    Rejected,
    /// There is no file, or an empty one; what was in force stays.
    Missing,
    /// A program has been writing to it for long; what was in force stays until it closes the file.
    Waiting,
}

impl ReloadOutcome {
    /// Its name, in JSON and for people.
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

/// How changes of the file are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchMode {
    /// No daemon runs.
    None,
    /// Linux tells of each.
    Inotify,
    /// macOS tells of each.
    Fsevents,
    /// Nothing tells of them; the file is looked at every 2 s.
    Poll,
}

impl WatchMode {
    /// Its name, in JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            WatchMode::None => "none",
            WatchMode::Inotify => "inotify",
            WatchMode::Fsevents => "fsevents",
            WatchMode::Poll => "poll",
        }
    }
}

/// What became of one reading of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its number since the daemon started, from 1.
    pub attempt: u64,
    /// How many SIGHUPs had come when the reading began: it answers all of them.
    pub answers: u64,
    /// Why the file was read.
    pub trigger: Trigger,
    /// What became of it.
    pub outcome: ReloadOutcome,
    /// When.
    pub at: Timestamp,
    /// The generation in force afterwards.
    pub generation: u64,
    /// The hash (BLAKE3) of the file that was read; `None`: there was nothing to read.
    pub hash_on_disk: Option<String>,
    /// The hash of the file that is in force; `None`: it was not there.
    pub hash_in_force: Option<String>,
    /// What the swap changed.
    pub changed: Vec<Change>,
    /// What waits for a restart.
    pub pending_restart: Vec<Change>,
    /// What is wrong, each with its place.
    pub errors: Vec<String>,
    /// The same for people: each with its line of the file and a caret.
    #[serde(default)]
    pub report: Option<String>,
    /// What is valid and still will not work.
    pub warnings: Vec<String>,
    /// What else there is to know: that there is no file, that a key needs no restart any more.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Microseconds from the first sign of a change to the verdict.
    pub micros: u64,
}
