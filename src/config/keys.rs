//! The key table: the one place that knows every key's name, type, default, range, unit, documentation and when a
//! change of it takes effect. Parsing, the diff, `boi config get|show`, the example file and the documentation are all
//! made from it.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::Serialize;

use super::Config;
use crate::document::closest;
use crate::domain::verdict::TakesEffect;
use crate::spec::TIMEOUT_MINUTES;

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// As it is written, with its table in front: `paths.db`.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What a number counts.
    pub unit: Option<&'static str>,
    /// What it is for, in lines that fit a comment.
    pub docs: &'static [&'static str],
    /// When a change of it takes effect.
    pub takes_effect: TakesEffect,
    get: fn(&Config) -> Value,
    set: fn(&mut Config, Value),
}

/// What values a key takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within the range.
    Number(RangeInclusive<i64>),
    /// Two whole numbers within the range, the first not above the second.
    Span(RangeInclusive<i64>),
    /// `true` or `false`.
    Switch,
    /// A program: a path, or a name that is looked up. Not empty.
    Program,
    /// A list of texts.
    Texts,
    /// A tracing filter directive.
    LogFilter,
    /// A path; empty: the usual place.
    Path,
}

/// A key's value. Displayed as it is written in `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Of [`Kind::Number`].
    Number(u64),
    /// Of [`Kind::Span`].
    Span([u64; 2]),
    /// Of [`Kind::Switch`].
    Switch(bool),
    /// Of [`Kind::Program`] and [`Kind::LogFilter`].
    Text(String),
    /// Of [`Kind::Texts`].
    Texts(Vec<String>),
    /// Of [`Kind::Path`].
    Path(Option<PathBuf>),
}

impl Key {
    /// The value in a configuration.
    pub fn get(&self, config: &Config) -> Value {
        (self.get)(config)
    }

    /// The value when neither file nor environment says otherwise.
    pub fn default(&self) -> Value {
        self.get(&Config::default())
    }

    /// Takes over a value of this key's kind and range.
    pub(super) fn set(&self, config: &mut Config, value: Value) {
        (self.set)(config, value);
    }

    /// The range in words: `0 to 1024`.
    pub fn range(&self) -> Option<String> {
        match &self.kind {
            Kind::Number(range) | Kind::Span(range) => Some(format!("{} to {}", range.start(), range.end())),
            _ => None,
        }
    }
}

/// The key of this name, or the name that was probably meant.
pub fn find(name: &str) -> Result<&'static Key, Option<&'static str>> {
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| closest(name, KEYS.iter().map(|key| key.name)))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| toml::Value::from(text).to_string();
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Span([low, high]) => write!(f, "[{low}, {high}]"),
            Value::Switch(on) => write!(f, "{on}"),
            Value::Text(value) => f.write_str(&text(value)),
            Value::Texts(values) => {
                write!(f, "[{}]", values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
            }
            Value::Path(path) => {
                f.write_str(&text(&path.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default()))
            }
        }
    }
}

/// How a key reaches its field. A value of another kind is a mistake in the table, which a test would find.
macro_rules! field {
    (Number, $($field:ident).+) => {
        (
            |config| Value::Number(config.$($field).+.into()),
            |config, value| {
                if let Value::Number(number) = value {
                    config.$($field).+ = number.try_into().expect("the range of a number fits its field");
                }
            },
        )
    };
    ($variant:ident, $($field:ident).+) => {
        (
            |config| Value::$variant(config.$($field).+.clone()),
            |config, value| {
                if let Value::$variant(value) = value {
                    config.$($field).+ = value;
                }
            },
        )
    };
}

/// How a key reads and writes its field.
type Field = (fn(&Config) -> Value, fn(&mut Config, Value));

const fn key(
    name: &'static str,
    kind: Kind,
    takes_effect: TakesEffect,
    (get, set): Field,
    docs: &'static [&'static str],
) -> Key {
    Key { name, kind, unit: None, docs, takes_effect, get, set }
}

const fn unit(unit: &'static str, key: Key) -> Key {
    Key { unit: Some(unit), ..key }
}

/// Every key, in the order in which they are shown.
pub static KEYS: &[Key] = &[
    key(
        "max_workers",
        Kind::Number(0..=1024),
        TakesEffect::NextTick,
        field!(Number, max_workers),
        &[
            "How many workers run at a time. 0: nothing is claimed. Lowering it ends no worker: nothing",
            "is started until fewer run.",
        ],
    ),
    key(
        "spawns_per_tick",
        Kind::Number(1..=1024),
        TakesEffect::NextTick,
        field!(Number, spawns_per_tick),
        &["How many workers are started within one tick_interval_ms, at the most."],
    ),
    key(
        "claude_bin",
        Kind::Program,
        TakesEffect::NextWorker,
        field!(Text, claude_bin),
        &[
            "The agent's program: a path, or a name that is looked up on the daemon's PATH. When it is not",
            "set here, the daemon's environment variable CLAUDE_BIN is used, and without that: claude.",
        ],
    ),
    key(
        "claude_args",
        Kind::Texts,
        TakesEffect::NextWorker,
        field!(Texts, claude_args),
        &["Arguments that are handed to claude_bin beside boi's own."],
    ),
    unit(
        "milliseconds",
        key(
            "tick_interval_ms",
            Kind::Number(50..=3_600_000),
            TakesEffect::AtOnce,
            field!(Number, tick_interval_ms),
            &["The time between two ticks of an idle daemon, and the window that spawns_per_tick counts in."],
        ),
    ),
    unit(
        "milliseconds",
        key(
            "spawn_jitter_ms",
            Kind::Span(0..=60_000),
            TakesEffect::NextTick,
            field!(Span, spawn_jitter_ms),
            &[
                "The least and the most time between two starts of one tick; each pause is drawn at random",
                "between them. [0, 0]: no pause.",
            ],
        ),
    ),
    key(
        "log",
        Kind::LogFilter,
        TakesEffect::AtOnce,
        field!(Text, log),
        &[
            "What is logged: off, error, warn, info, debug or trace; also for single parts, as in",
            "\"info,boi::daemon=debug\".",
        ],
    ),
    unit(
        "minutes",
        key(
            "task_timeout_minutes",
            Kind::Number(TIMEOUT_MINUTES),
            TakesEffect::Restart,
            field!(Number, task_timeout_minutes),
            &[
                "How long one try of a task, and each of its verify commands, may take, where the task does",
                "not set its own timeout_minutes.",
            ],
        ),
    ),
    key(
        "retry_count",
        Kind::Number(0..=100),
        TakesEffect::Restart,
        field!(Number, retry_count),
        &["How many more times a task that failed is tried."],
    ),
    key(
        "cleanup_on_failure",
        Kind::Switch,
        TakesEffect::Restart,
        field!(Switch, cleanup_on_failure),
        &[
            "Whether the worktree of a spec that failed or was canceled is removed as well. What is in it",
            "and on no branch is kept under a ref first.",
        ],
    ),
    unit(
        "seconds",
        key(
            "stop_grace_seconds",
            Kind::Number(0..=3600),
            TakesEffect::Restart,
            field!(Number, stop_grace_seconds),
            &["How long a command that is ended has between SIGTERM and SIGKILL."],
        ),
    ),
    unit(
        "MiB",
        key(
            "max_output_mb",
            Kind::Number(1..=1_048_576),
            TakesEffect::Restart,
            field!(Number, max_output_mb),
            &["How much one try may print. One that prints more is ended, with that reason."],
        ),
    ),
    key(
        "paths.db",
        Kind::Path,
        TakesEffect::Restart,
        field!(Path, paths.db),
        &[
            "The queue's database. Empty: below BOI_HOME. A relative path begins at BOI_HOME, `~/` at the",
            "home directory.",
        ],
    ),
    key(
        "paths.worktrees",
        Kind::Path,
        TakesEffect::Restart,
        field!(Path, paths.worktrees),
        &["The folder of the worktrees. Empty: below BOI_HOME."],
    ),
    key(
        "paths.logs",
        Kind::Path,
        TakesEffect::Restart,
        field!(Path, paths.logs),
        &["The folder of the daemon's log. Empty: below BOI_HOME."],
    ),
];
