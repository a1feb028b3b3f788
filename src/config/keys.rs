//! The key table: the only place that defines each key's name, type, default, range, unit and documentation,
//! and when a change takes effect. The parser, the diff, `boi config`, the JSON Schema, `config.example.toml`
//! and `docs/configuration.md` all use this table.
//!
//! A row whose name contains `NAME`, such as `agents.NAME.command`, describes one key for each agent, such as
//! `agents.claude.command`. [`ROWS`] are the rows. A [`Key`] is a row, with the agent's name if it has a
//! `NAME`.

use super::agents::{AgentConfig, CLAUDE};
pub(crate) use super::key::Key;
pub(crate) use super::key::{KEYS, find, keys_of};
pub(crate) use super::kinds::{Kind, Value};
use super::values::Config;
use crate::agents::{OutputKind, PromptVia};
use crate::domain::verdict::TakesEffect;
use crate::spec::TIMEOUT_MINUTES;

/// The placeholder in a row's name and documentation. The agent's name replaces it.
pub(super) const NAME: &str = "NAME";

/// The largest budget, in US dollars.
const MAX_BUDGET: u32 = 1_000_000;

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
    /// The current name of the key, if this row describes an older or shorter name of that key.
    pub(super) alias_of: Option<&'static str>,
    pub(super) field: Field,
}

impl Row {
    /// Returns the range in words, with its unit: `0 to 3600 seconds`. `None`: the key is no number.
    pub(super) fn range(&self) -> Option<String> {
        let (low, high) = match &self.kind {
            Kind::Number(range) | Kind::Span(range) => (*range.start(), *range.end()),
            Kind::Money(range) => (i64::from(*range.start()), i64::from(*range.end())),
            _ => return None,
        };
        let unit = self.unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        Some(format!("{low} to {high}{unit}"))
    }
}

/// The functions that read and write a key's value.
#[derive(Debug)]
pub(super) enum Field {
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
    ($scope:ident, Choice($kind:ty), $($field:ident).+) => {
        Field::$scope {
            get: |config| Value::Text(config.$($field).+.name().to_owned()),
            set: |config, value| {
                if let Value::Text(name) = value
                    && let Some(choice) = <$kind>::ALL.into_iter().find(|choice| choice.name() == name)
                {
                    config.$($field).+ = choice;
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

/// The allowed values of `agents.NAME.prompt`.
const PROMPT_NAMES: [&str; PromptVia::ALL.len()] = [PromptVia::Stdin.name(), PromptVia::File.name()];

/// The allowed values of `agents.NAME.output`.
const OUTPUT_NAMES: [&str; OutputKind::ALL.len()] = {
    let mut names = [""; OutputKind::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = OutputKind::ALL[index].name();
        index += 1;
    }
    names
};

/// The command of an agent.
const COMMAND: Field = Field::PerAgent {
    get: |agent| Value::Command(Some(agent.worker.command.clone())),
    set: |agent, value| {
        if let Value::Command(Some(command)) = value {
            agent.worker.command = command;
        }
    },
};

/// The maximum number of runs of an agent at the same time; 0: no limit.
const AGENT_WORKERS: Field = Field::PerAgent {
    get: |agent| Value::Number(agent.max_workers.unwrap_or(0).into()),
    set: |agent, value| {
        if let Value::Number(number) = value {
            agent.max_workers = u32::try_from(number).ok().filter(|number| *number > 0);
        }
    },
};

/// The model of an agent; empty: the program's own default.
const MODEL: Field = Field::PerAgent {
    get: |agent| Value::Text(agent.worker.model.clone().unwrap_or_default()),
    set: |agent, value| {
        if let Value::Text(model) = value {
            agent.worker.model = Some(model).filter(|model| !model.is_empty());
        }
    },
};

/// The command of the agent `claude`, which `claude_bin` also sets.
const CLAUDE_COMMAND: Field = Field::One {
    get: |config| Value::Command(Some(config.claude().worker.command.clone())),
    set: |config, value| {
        if let Value::Command(Some(command)) = value {
            config.agents.define(CLAUDE).worker.command = command;
        }
    },
};

/// The arguments of the agent `claude`, which `claude_args` also sets.
const CLAUDE_ARGS: Field = Field::One {
    get: |config| Value::Texts(config.claude().worker.args.clone()),
    set: |config, value| {
        if let Value::Texts(args) = value {
            config.agents.define(CLAUDE).worker.args = args;
        }
    },
};

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
                "The time between two ticks (passes of the daemon's loop) while specs are queued. At most",
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
        "agents.NAME.command",
        Kind::Command,
        TakesEffect::NextWorker,
        COMMAND,
        &[
            "The program of the agent NAME, or a list of the program and its first arguments, which come",
            "before those that boi passes. The program is an absolute path, a path below ~/, or a name to",
            "look up on the PATH of the daemon. The environment variable CLAUDE_BIN of the daemon replaces",
            "the default of the agent claude.",
        ],
    ),
    Row {
        alias_of: Some("agents.NAME.command"),
        ..row(
            "agents.NAME.program",
            Kind::Command,
            TakesEffect::NextWorker,
            COMMAND,
            &["Another name for agents.NAME.command. The file may set only one of the two."],
        )
    },
    row(
        "agents.NAME.args",
        Kind::Texts,
        TakesEffect::NextWorker,
        field!(PerAgent, Texts, worker.args),
        &["Arguments for the program of the agent NAME, added after the arguments that boi itself passes."],
    ),
    row(
        "agents.NAME.prompt",
        Kind::Choice(&PROMPT_NAMES),
        TakesEffect::NextWorker,
        field!(PerAgent, Choice(PromptVia), worker.prompt),
        &[
            "How the agent NAME gets the prompt: stdin, or file. With file, stdin is empty, the variable",
            "BOI_PROMPT_FILE has the path of a file with the prompt, and the path replaces {prompt} in the",
            "arguments of command and in args.",
        ],
    ),
    row(
        "agents.NAME.output",
        Kind::Choice(&OUTPUT_NAMES),
        TakesEffect::NextWorker,
        field!(PerAgent, Choice(OutputKind), worker.output),
        &[
            "What the program of the agent NAME prints: claude-stream-json, codex-jsonl,",
            "gemini-stream-json, opencode-json or text. It decides which arguments boi passes, and how boi",
            "reads the output. With text, boi passes none, and the exit code alone says how a try ended.",
        ],
    ),
    row(
        "agents.NAME.model",
        Kind::Model,
        TakesEffect::NextWorker,
        MODEL,
        &["The model of specs that name none. Empty: the default of the program of the agent NAME."],
    ),
    row(
        "agents.NAME.env",
        Kind::Env,
        TakesEffect::AtOnce,
        field!(PerAgent, Env, env),
        &[
            "Environment variables for the program of the agent NAME: a text, or { from_env = \"X\" } for the",
            "value of the daemon's variable X. Each start of the program takes them from the configuration",
            "in force. boi does not show the texts, and stores them nowhere but in this file and its copy.",
        ],
    ),
    row(
        "agents.NAME.max_workers",
        Kind::Number(0..=1024),
        TakesEffect::NextTick,
        AGENT_WORKERS,
        &["The maximum number of runs of the agent NAME at the same time. 0: no limit but max_workers."],
    ),
    row(
        "agents.NAME.fallback",
        Kind::AgentNames,
        TakesEffect::NextTick,
        field!(PerAgent, Texts, fallback),
        &[
            "The agents that do the tasks of the agent NAME while it is held: the first one that is not held.",
            "A task that has begun stays with its agent.",
        ],
    ),
    row(
        "agents.NAME.prices",
        Kind::Prices,
        TakesEffect::NextWorker,
        field!(PerAgent, Prices, worker.prices),
        &[
            "The prices of models of the agent NAME, in US dollars per million tokens, as in",
            "{ \"some-model\" = { input = 1.25, cached = 0.125, output = 10 } }. boi uses them for runs that",
            "do not report dollars.",
        ],
    ),
    Row {
        alias_of: Some("agents.claude.command"),
        ..row(
            "claude_bin",
            Kind::Command,
            TakesEffect::NextWorker,
            CLAUDE_COMMAND,
            &["Another name for agents.claude.command. The file may set only one of the two."],
        )
    },
    Row {
        alias_of: Some("agents.claude.args"),
        ..row(
            "claude_args",
            Kind::Texts,
            TakesEffect::NextWorker,
            CLAUDE_ARGS,
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
    unit(
        "minutes",
        row(
            "stall_timeout_minutes",
            Kind::Number(0..=10_080),
            TakesEffect::NextWorker,
            field!(One, Number, stall_timeout_minutes),
            &[
                "The time after which an agent without a sign of life is ended; its try counts as failed. A sign",
                "of life is new output, or work of the processor. 0: never.",
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
    unit(
        "US dollars",
        row(
            "max_usd_per_spec",
            Kind::Money(0..=MAX_BUDGET),
            TakesEffect::NextTick,
            field!(One, Money, max_usd_per_spec),
            &[
                "The largest cost of the agents of one spec in all its attempts together, if the spec sets no",
                "max_usd. A spec that reaches it is blocked until the limit is higher. 0: no limit.",
            ],
        ),
    ),
    unit(
        "US dollars",
        row(
            "max_usd_per_day",
            Kind::Money(0..=MAX_BUDGET),
            TakesEffect::NextTick,
            field!(One, Money, max_usd_per_day),
            &["The largest cost of all agents in any 24 hours. While it is reached, no agent starts. 0: no", "limit."],
        ),
    ),
    unit(
        "days",
        row(
            "retention_days",
            Kind::Number(0..=36_500),
            TakesEffect::AtOnce,
            field!(One, Number, retention_days),
            &[
                "The time after which a spec that ended is removed from the queue, with its records and its",
                "attempt folders. A spec stays as long as something needs it, such as a branch that is not",
                "merged. 0: never. Events of that age are removed too.",
            ],
        ),
    ),
    row(
        "max_landings",
        Kind::Number(1..=64),
        TakesEffect::NextTick,
        field!(One, Number, max_landings),
        &[
            "The largest number of landers of one repository that run at once: each base has a lander of its",
            "own. Landers take no slot of max_workers.",
        ],
    ),
    unit(
        "GiB",
        row(
            "max_warm_gb",
            Kind::Number(0..=65_536),
            TakesEffect::AtOnce,
            field!(One, Number, max_warm_gb),
            &[
                "The largest disk space of all folders that repositories keep for their next worktrees (`keep` in",
                ".boi.toml). The ones that were kept longest ago are removed first. 0: keep none.",
            ],
        ),
    ),
    unit(
        "GiB",
        row(
            "min_free_gb",
            Kind::Number(0..=65_536),
            TakesEffect::NextTick,
            field!(One, Number, min_free_gb),
            &[
                "The space in GiB that must be free on the disks of the home and of the worktrees: with less, no",
                "spec is started. A repository with less on its disk defers only its own specs. What runs",
                "continues. Specs start again when a tenth more is free, at least 256 MiB more. 0: no limit.",
            ],
        ),
    ),
    unit(
        "percent",
        row(
            "max_memory_percent",
            Kind::Number(0..=100),
            TakesEffect::NextTick,
            field!(One, Number, max_memory_percent),
            &[
                "While more than this share of the memory is used, no spec is started; what runs continues. The",
                "memory is that of the machine, or of the daemon's cgroup if that is smaller. Specs start again",
                "at 5 points less. 0: no limit.",
            ],
        ),
    ),
    row(
        "build_slots",
        Kind::Number(0..=1024),
        TakesEffect::AtOnce,
        field!(One, Number, build_slots),
        &[
            "The maximum number of setup, run and verify commands that run at the same time, over all specs",
            "and landers; agents do not count. A further command waits, and its time limit does not run then.",
            "A lower value ends no command. 0: no limit.",
        ],
    ),
    row(
        "hooks",
        Kind::Hooks,
        TakesEffect::AtOnce,
        field!(One, Hooks, hooks),
        &[
            "Commands that the daemon runs for events: a table [[hooks]] for each one, with name, on (a list",
            "of kinds of events), command (for sh -c; it reads the event as JSON from its standard input) and",
            "timeout_seconds (1 to 3600, 30 without it). docs/events.md describes the events.",
        ],
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
