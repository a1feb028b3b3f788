//! The configuration: bytes of `config.toml` to validated values. Pure: no file, environment or clock is read here;
//! what they say is handed in.
//!
//! Invariants:
//! - A [`Config`] that came out of validation is complete and within its ranges, cross-field rules included.
//! - A [`HotConfig`] never changes: a reload makes a new one, with the next generation, and swaps it in whole.

pub mod changes;
pub mod edit;
pub mod flags;
pub mod keys;
mod log_filter;
mod read;
pub mod schema;
pub mod text;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::document;
use crate::document::document::Document;
use crate::document::problem::{Problem, Problems};
use flags::Flags;
use keys::Key;

/// The program that runs as the agent when neither the file nor the environment names one.
pub const DEFAULT_CLAUDE_BIN: &str = "claude";

/// The effective configuration: every key has a value, from the file or its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// How many workers run at a time; 0: nothing is claimed.
    pub max_workers: u32,
    /// How many workers are started within one `tick_interval_ms`.
    pub spawns_per_tick: u32,
    /// The agent's program: a path, or a name to look up on the PATH.
    pub claude_bin: String,
    /// Arguments handed to `claude_bin` beside boi's own.
    pub claude_args: Vec<String>,
    /// Milliseconds between two ticks of an idle daemon.
    pub tick_interval_ms: u64,
    /// The least and the most milliseconds between two starts of a batch; `[0, 0]`: no pause.
    pub spawn_jitter_ms: [u64; 2],
    /// What is logged: a tracing filter directive.
    pub log: String,
    /// Minutes for one try of a task that sets none of its own.
    pub task_timeout_minutes: u32,
    /// How many more times a failed task is tried.
    pub retry_count: u32,
    /// Whether the worktree of a spec that failed or was canceled is removed.
    pub cleanup_on_failure: bool,
    /// Seconds between TERM and KILL when a command is ended.
    pub stop_grace_seconds: u32,
    /// Megabytes (of 1,048,576 bytes) that one try may print.
    pub max_output_mb: u64,
    /// Where files are kept.
    pub paths: Paths,
}

/// Where files are kept; `None`: the usual place below `BOI_HOME`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Paths {
    /// The queue's database file.
    pub db: Option<PathBuf>,
    /// The folder of the worktrees.
    pub worktrees: Option<PathBuf>,
    /// The folder of the logs.
    pub logs: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_workers: 5,
            spawns_per_tick: 4,
            claude_bin: DEFAULT_CLAUDE_BIN.to_owned(),
            claude_args: Vec::new(),
            tick_interval_ms: 1000,
            spawn_jitter_ms: [50, 150],
            log: "info".to_owned(),
            task_timeout_minutes: 30,
            retry_count: 3,
            cleanup_on_failure: false,
            stop_grace_seconds: 10,
            max_output_mb: 512,
            paths: Paths::default(),
        }
    }
}

/// The configuration in force: what sits behind the daemon's `ArcSwap`.
///
/// A tick takes **one** snapshot at its start and passes it down; nothing in a tick loads a second time, so no decision
/// ever mixes two generations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HotConfig {
    /// The number of this configuration; every swap adds one.
    pub generation: u64,
    /// Its values.
    pub config: Config,
}

impl HotConfig {
    /// The part that a worker is started with and keeps to its end, whatever is swapped in later.
    pub fn worker_config(&self) -> WorkerConfig {
        let config = &self.config;
        WorkerConfig {
            generation: self.generation,
            claude_bin: config.claude_bin.clone(),
            claude_args: config.claude_args.clone(),
            task_timeout_minutes: config.task_timeout_minutes,
            retry_count: config.retry_count,
            cleanup_on_failure: config.cleanup_on_failure,
            stop_grace_seconds: config.stop_grace_seconds,
            max_output_mb: config.max_output_mb,
        }
    }
}

/// What one worker works under, frozen at its start and recorded with its attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerConfig {
    /// The generation of the configuration it was taken from.
    pub generation: u64,
    /// See [`Config::claude_bin`].
    pub claude_bin: String,
    /// See [`Config::claude_args`].
    pub claude_args: Vec<String>,
    /// See [`Config::task_timeout_minutes`].
    pub task_timeout_minutes: u32,
    /// See [`Config::retry_count`].
    pub retry_count: u32,
    /// See [`Config::cleanup_on_failure`].
    pub cleanup_on_failure: bool,
    /// See [`Config::stop_grace_seconds`].
    pub stop_grace_seconds: u32,
    /// See [`Config::max_output_mb`].
    pub max_output_mb: u64,
}

/// The largest `config.toml` that is read.
pub const MAX_BYTES: usize = 1 << 20;

/// What is said outside the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// `$CLAUDE_BIN`, a default; empty counts as unset.
    pub claude_bin_env: Option<String>,
    /// What the command line sets, which outranks the file.
    pub flags: Flags,
}

/// A configuration that was read, and what its file said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The effective values.
    pub config: Config,
    /// The keys that the file sets, and where their values stand in it.
    pub set: BTreeMap<&'static str, Range<usize>>,
    env: bool,
    flags: Flags,
    document: Document,
}

/// Where an effective value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nobody said otherwise.
    Default,
    /// `config.toml`.
    File,
    /// An environment variable of the daemon.
    Environment,
    /// The command line.
    Flag,
}

/// Reads a configuration; an empty file means all defaults. `name` is what problems call the file. The daemon and
/// `boi config check` share it.
pub fn parse(name: &str, bytes: &[u8], outside: &Outside) -> Result<Loaded, Problems> {
    document::read(name, bytes, MAX_BYTES, |document, root, faults| Some(read::read(document, root, faults, outside)))
}

/// What the host says of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether `claude_bin` can be executed by the daemon; else why not, as in "`program` ...".
    pub program_found: Result<(), String>,
    /// What the log makes of the filter.
    pub log_filter: Result<(), String>,
}

/// Holds a configuration against what the host says. `in_force`: what it would replace. `Ok`: what is valid and still
/// will not work. A program that is not there refuses only a change of it: else a removed program would keep every other
/// key from changing.
pub fn vet(loaded: &Loaded, in_force: Option<&Config>, facts: &Facts) -> Result<Vec<String>, Problems> {
    let (config, mut problems, mut warnings) = (&loaded.config, Vec::new(), Vec::new());
    if let Err(why) = &facts.program_found {
        let program = &config.claude_bin;
        let changed = in_force.is_some_and(|in_force| in_force.claude_bin != *program);
        if changed {
            let message = format!("`{program}` {why}");
            let hint = "give its whole path, or install it first".to_owned();
            problems.push(loaded.problem_at("claude_bin", message, Some(hint)));
        } else {
            warnings.push(format!("claude_bin: `{program}` {why}; only `run` tasks will work"));
        }
    }
    if let Err(message) = &facts.log_filter {
        problems.push(loaded.problem_at("log", message, None));
    }
    match loaded.problems(problems) {
        Some(problems) => Err(problems),
        None => Ok(warnings),
    }
}

impl Loaded {
    /// Where the value of `key` comes from.
    pub fn origin(&self, key: &Key) -> Origin {
        if self.flags.set(key.name) {
            Origin::Flag
        } else if self.set.contains_key(key.name) {
            Origin::File
        } else if key.name == "claude_bin" && self.env {
            Origin::Environment
        } else {
            Origin::Default
        }
    }

    /// A problem that only the host could find, pointing at the value of the key `name` if the file sets it.
    pub fn problem_at(&self, name: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { message: message.into(), span: self.set.get(name).cloned(), hint }
    }

    /// What the host found, with this file's text to point into; `None` when it found nothing.
    pub fn problems(&self, problems: Vec<Problem>) -> Option<Problems> {
        self.document.problems(problems)
    }
}

#[cfg(test)]
mod tests;
