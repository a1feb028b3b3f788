//! The key table: the only place that defines each key's name, type, default, range, unit and documentation,
//! and when a change takes effect. The parser, the diff, `boi config`, the JSON Schema, `config.example.toml`
//! and `docs/configuration.md` all use this table.
//!
//! A name may contain the part `NAME`: `agents.NAME.program`. Such a row describes one key for each name that
//! the row allows: `agents.claude.program`. [`ROWS`] are the rows, [`KEYS`] the keys that result from them.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde::Serialize;

use super::values::{AgentConfig, CLAUDE, Config};
use crate::agents;
use crate::document::closest;
use crate::domain::verdict::TakesEffect;
use crate::spec::TIMEOUT_MINUTES;

/// The placeholder in a row's name and documentation. Each agent's name replaces it in turn.
pub(super) const NAME: &str = "NAME";

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// Full dotted name, perhaps with the part `NAME`.
    pub(super) name: &'static str,
    /// The type and the allowed values of the key.
    pub(super) kind: Kind,
    /// Unit of the key's number, if it has one.
    pub(super) unit: Option<&'static str>,
    /// The key's documentation, in lines that are short enough for a comment in `config.example.toml`.
    pub(super) docs: &'static [&'static str],
    /// When a change takes effect.
    pub(super) takes_effect: TakesEffect,
    /// The current name of the key, if this row describes its older name.
    alias_of: Option<&'static str>,
    field: Field,
}

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Full dotted name: `max_workers`, `paths.db`, `agents.claude.program`.
    pub name: String,
    /// The type and the allowed values of the key.
    pub kind: &'static Kind,
    /// When a change takes effect.
    pub takes_effect: TakesEffect,
    /// The row that describes this key.
    pub(super) row: &'static Row,
    /// The agent's name that replaces `NAME` in the row's name and docs; empty if the row's name has no
    /// `NAME`.
    entry: &'static str,
}

/// The type and the allowed values of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within the range.
    Number(RangeInclusive<i64>),
    /// Two whole numbers within the range, in ascending order.
    Span(RangeInclusive<i64>),
    /// `true` or `false`.
    Switch,
    /// A program: a path, or a name to look up on the PATH. Not empty.
    Program,
    /// A list of texts.
    Texts,
    /// A tracing filter directive.
    LogFilter,
    /// A path. An empty text means the default place below `BOI_HOME`.
    Path,
}

/// A key's value. Its `Display` is the form in `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A value of [`Kind::Number`].
    Number(u64),
    /// A value of [`Kind::Span`].
    Span([u64; 2]),
    /// A value of [`Kind::Switch`].
    Switch(bool),
    /// A value of [`Kind::Program`] or [`Kind::LogFilter`].
    Text(String),
    /// A value of [`Kind::Texts`].
    Texts(Vec<String>),
    /// A value of [`Kind::Path`].
    Path(Option<PathBuf>),
}

impl Row {
    /// Returns the names that replace `NAME` in this row; `[""]` if the row has no `NAME`.
    fn entries(&self) -> &'static [&'static str] {
        match self.field {
            Field::One { .. } => &[""],
            Field::PerAgent { .. } => agents::names(),
        }
    }

    /// Returns the keys that this row describes.
    pub(super) fn keys(&'static self) -> impl Iterator<Item = Key> {
        self.entries().iter().map(move |entry| Key {
            name: self.name.replace(NAME, entry),
            kind: &self.kind,
            takes_effect: self.takes_effect,
            row: self,
            entry,
        })
    }

    /// Returns the range in words, with its unit: `0 to 3600 seconds`. `None`: the key is no number.
    pub(super) fn range(&self) -> Option<String> {
        let (Kind::Number(range) | Kind::Span(range)) = &self.kind else { return None };
        let unit = self.unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        Some(format!("{} to {}{unit}", range.start(), range.end()))
    }
}

impl Key {
    /// Returns the key's value in `config`.
    pub fn get(&self, config: &Config) -> Value {
        match self.row.field {
            Field::One { get, .. } => get(config),
            Field::PerAgent { get, .. } => get(config.agents.get(self.entry).expect("a row lists known agents")),
        }
    }

    /// Returns the key's documentation, in lines that are short enough for a comment in
    /// `config.example.toml`.
    pub(super) fn docs(&self) -> impl Iterator<Item = String> {
        self.row.docs.iter().map(|line| line.replace(NAME, self.entry))
    }

    /// Returns the value that is used if the file, the environment and the command line set none.
    pub fn default(&self) -> Value {
        self.get(&Config::default())
    }

    /// Sets the key in `config`. `value` must be of this key's kind and within its range.
    pub(super) fn set(&self, config: &mut Config, value: Value) {
        match self.row.field {
            Field::One { set, .. } => set(config, value),
            Field::PerAgent { set, .. } => {
                set(config.agents.get_mut(self.entry).expect("a row lists known agents"), value);
            }
        }
    }

    /// Returns the other name of the same value, if it has two: `claude_bin` and `agents.claude.program` are
    /// such a pair.
    pub fn other_name(&self) -> Option<&'static Key> {
        KEYS.iter().find(|other| match (self.row.alias_of, other.row.alias_of) {
            (Some(target), _) => other.name == target,
            (None, Some(target)) => self.name == target,
            (None, None) => false,
        })
    }

    /// Whether this key is the older of two names for the same value.
    pub(crate) fn is_alias(&self) -> bool {
        self.row.alias_of.is_some()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

/// Finds the key `name`. `Err`: no key has this name; contains the most similar name, if one is similar
/// enough.
pub(crate) fn find(name: &str) -> Result<&'static Key, Option<&'static str>> {
    let key = KEYS.iter().find(|key| key.name == name);
    key.ok_or_else(|| {
        let in_a_table = KEYS.iter().find(|key| key.name.rsplit_once('.').is_some_and(|(_, leaf)| leaf == name));
        in_a_table.map(|key| key.name.as_str()).or_else(|| closest(name, KEYS.iter().map(|key| key.name.as_str())))
    })
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

/// The functions that read and write a key's value.
#[derive(Debug)]
enum Field {
    /// A field of the [`Config`].
    One { get: fn(&Config) -> Value, set: fn(&mut Config, Value) },
    /// A field of each agent's [`AgentConfig`].
    PerAgent { get: fn(&AgentConfig) -> Value, set: fn(&mut AgentConfig, Value) },
}

/// Builds the [`Field`] for a field of [`Config`] or [`AgentConfig`]. `set` ignores a value of another kind;
/// a test finds a row whose field does not match its kind.
macro_rules! field {
    ($scope:ident, Number, $($field:ident).+) => {
        Field::$scope {
            get: |config| Value::Number(config.$($field).+.into()),
            set: |config, value| {
                if let Value::Number(number) = value {
                    config.$($field).+ = number.try_into().expect("the range of a number fits its field");
                }
            },
        }
    };
    ($scope:ident, $variant:ident, $($field:ident).+) => {
        Field::$scope {
            get: |config| Value::$variant(config.$($field).+.clone()),
            set: |config, value| {
                if let Value::$variant(value) = value {
                    config.$($field).+ = value;
                }
            },
        }
    };
}

/// Builds the [`Field`] for a key that is an older name of a setting of the agent `claude`.
macro_rules! claude_field {
    ($variant:ident, $field:ident) => {
        Field::One {
            get: |config| Value::$variant(config.claude().$field.clone()),
            set: |config, value| {
                if let (Value::$variant(value), Some(claude)) = (value, config.agents.get_mut(CLAUDE)) {
                    claude.$field = value;
                }
            },
        }
    };
}

const fn row(
    name: &'static str,
    kind: Kind,
    takes_effect: TakesEffect,
    field: Field,
    docs: &'static [&'static str],
) -> Row {
    Row { name, kind, unit: None, docs, takes_effect, alias_of: None, field }
}

const fn unit(unit: &'static str, row: Row) -> Row {
    Row { unit: Some(unit), ..row }
}

/// All keys, in the order in which commands and the documentation list them.
pub(crate) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| ROWS.iter().flat_map(Row::keys).collect());

/// All rows, in the order in which commands and the documentation list them.
pub(super) static ROWS: &[Row] = &[
    row(
        "max_workers",
        Kind::Number(0..=1024),
        TakesEffect::NextTick,
        field!(One, Number, max_workers),
        &[
            "The maximum number of workers that run at the same time. 0: no spec is started. A lower value does",
            "not stop running workers; a new worker starts only when fewer than this number are running.",
        ],
    ),
    row(
        "spawns_per_tick",
        Kind::Number(1..=1024),
        TakesEffect::NextTick,
        field!(One, Number, spawns_per_tick),
        &["The maximum number of workers that start within one tick_interval_ms."],
    ),
    unit(
        "milliseconds",
        row(
            "tick_interval_ms",
            Kind::Number(50..=3_600_000),
            TakesEffect::AtOnce,
            field!(One, Number, tick_interval_ms),
            &[
                "The time between two ticks (passes of the daemon's loop) while the daemon is idle. At most",
                "spawns_per_tick workers start within this time.",
            ],
        ),
    ),
    unit(
        "milliseconds",
        row(
            "spawn_jitter_ms",
            Kind::Span(0..=60_000),
            TakesEffect::NextTick,
            field!(One, Span, spawn_jitter_ms),
            &[
                "The shortest and the longest pause between two worker starts in the same tick. Each pause has a",
                "random length in this range. [0, 0]: no pause.",
            ],
        ),
    ),
    row(
        "agents.NAME.program",
        Kind::Program,
        TakesEffect::NextWorker,
        field!(PerAgent, Text, program),
        &[
            "The program of the agent NAME: an absolute path, a path below ~/, or a name to look up on the",
            "PATH of the daemon. The daemon's environment variable CLAUDE_BIN replaces the default of the",
            "agent claude.",
        ],
    ),
    row(
        "agents.NAME.args",
        Kind::Texts,
        TakesEffect::NextWorker,
        field!(PerAgent, Texts, args),
        &["Arguments for the program of the agent NAME, added after the arguments that boi itself passes."],
    ),
    Row {
        alias_of: Some("agents.claude.program"),
        ..row(
            "claude_bin",
            Kind::Program,
            TakesEffect::NextWorker,
            claude_field!(Text, program),
            &["Another name for agents.claude.program. The file may set only one of the two."],
        )
    },
    Row {
        alias_of: Some("agents.claude.args"),
        ..row(
            "claude_args",
            Kind::Texts,
            TakesEffect::NextWorker,
            claude_field!(Texts, args),
            &["Another name for agents.claude.args. The file may set only one of the two."],
        )
    },
    row(
        "log",
        Kind::LogFilter,
        TakesEffect::AtOnce,
        field!(One, Text, log),
        &[
            "The least severe level that is logged: off, error, warn, info, debug or trace. A module of the",
            "program can have a level of its own, as in \"info,boi::daemon=debug\".",
        ],
    ),
    unit(
        "minutes",
        row(
            "task_timeout_minutes",
            Kind::Number(TIMEOUT_MINUTES),
            TakesEffect::Restart,
            field!(One, Number, task_timeout_minutes),
            &[
                "The time limit of one try of a task and of each of its verify commands, if the task sets no",
                "timeout_minutes; also the time limit of each verify command of the spec.",
            ],
        ),
    ),
    row(
        "retry_count",
        Kind::Number(0..=100),
        TakesEffect::Restart,
        field!(One, Number, retry_count),
        &["How many more times a failed task is tried before its spec fails."],
    ),
    unit(
        "seconds",
        row(
            "retry_backoff_seconds",
            Kind::Span(0..=3600),
            TakesEffect::NextWorker,
            field!(One, Span, retry_backoff_seconds),
            &[
                "The pause before a failed task is tried again: the first value after the first failure, doubled",
                "after each further one, at most the second value. [0, 0]: no pause.",
            ],
        ),
    ),
    row(
        "cleanup_on_failure",
        Kind::Switch,
        TakesEffect::Restart,
        field!(One, Switch, cleanup_on_failure),
        &[
            "Whether the worktree of a failed or canceled spec is removed. Work that no branch contains is",
            "first saved under a ref in refs/boi/kept/.",
        ],
    ),
    unit(
        "seconds",
        row(
            "stop_grace_seconds",
            Kind::Number(0..=3600),
            TakesEffect::Restart,
            field!(One, Number, stop_grace_seconds),
            &["The time between SIGTERM and SIGKILL when a command is stopped."],
        ),
    ),
    unit(
        "MiB",
        row(
            "max_output_mb",
            Kind::Number(1..=1_048_576),
            TakesEffect::Restart,
            field!(One, Number, max_output_mb),
            &[
                "The maximum output of one try or one verify command. A command that prints more is stopped and",
                "counts as failed.",
            ],
        ),
    ),
    row(
        "paths.db",
        Kind::Path,
        TakesEffect::Restart,
        field!(One, Path, paths.db),
        &[
            "The database file of the queue. Empty: state/boi.db in BOI_HOME. For every key in [paths]: a",
            "relative path is relative to BOI_HOME, and `~/` is the user's home directory.",
        ],
    ),
    row(
        "paths.worktrees",
        Kind::Path,
        TakesEffect::Restart,
        field!(One, Path, paths.worktrees),
        &["The folder of the worktrees. Empty: the folder worktrees in BOI_HOME."],
    ),
    row(
        "paths.logs",
        Kind::Path,
        TakesEffect::Restart,
        field!(One, Path, paths.logs),
        &["The folder of the daemon's log. Empty: the folder logs in BOI_HOME."],
    ),
];
