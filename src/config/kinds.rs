//! The types of keys, and their values.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::Serialize;

use super::agents::EnvValue;
use super::hooks::HookConfig;
use crate::domain::agent::AgentCommand;
use crate::domain::money::{Price, Usd};

/// The type and the allowed values of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within the range.
    Number(RangeInclusive<i64>),
    /// Two whole numbers within the range, in ascending order.
    Span(RangeInclusive<i64>),
    /// An amount in US dollars, which may have cents. The bounds of the range are whole dollars.
    Money(RangeInclusive<u32>),
    /// `true` or `false`.
    Switch,
    /// A program, or a list of a program and its first arguments. The program is a path, or a name to look up on the
    /// PATH; it is not empty.
    Command,
    /// A list of texts.
    Texts,
    /// A list of names of agents.
    AgentNames,
    /// One of the listed texts.
    Choice(&'static [&'static str]),
    /// The name of a model. An empty text means the program's own default.
    Model,
    /// A table of environment variables.
    Env,
    /// A table of the prices of models.
    Prices,
    /// A list of tables, one for each hook.
    Hooks,
    /// A tracing filter directive.
    LogFilter,
    /// A path. An empty text means the default place below `BOI_HOME`.
    Path,
}

/// A key's value. `Display` writes it as in `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A value of [`Kind::Number`].
    Number(u64),
    /// A value of [`Kind::Span`].
    Span([u64; 2]),
    /// A value of [`Kind::Money`].
    Money(Usd),
    /// A value of [`Kind::Switch`].
    Switch(bool),
    /// A value of [`Kind::Command`]; `None`: the configuration does not define the agent.
    Command(Option<AgentCommand>),
    /// A value of [`Kind::Choice`], [`Kind::Model`] or [`Kind::LogFilter`].
    Text(String),
    /// A value of [`Kind::Texts`] or [`Kind::AgentNames`].
    Texts(Vec<String>),
    /// A value of [`Kind::Env`]. It is not shown in full.
    Env(BTreeMap<String, EnvValue>),
    /// A value of [`Kind::Prices`].
    Prices(BTreeMap<String, Price>),
    /// A value of [`Kind::Hooks`].
    Hooks(Vec<HookConfig>),
    /// A value of [`Kind::Path`].
    Path(Option<PathBuf>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Span([low, high]) => write!(f, "[{low}, {high}]"),
            Value::Money(amount) => write!(f, "{}", amount.dollars()),
            Value::Switch(on) => write!(f, "{on}"),
            Value::Command(None) => f.write_str("(not defined)"),
            Value::Command(Some(command)) if command.arguments.is_empty() => f.write_str(&text(&command.program)),
            Value::Command(Some(AgentCommand { program, arguments })) => {
                f.write_str(&list([program].into_iter().chain(arguments)))
            }
            Value::Text(value) => f.write_str(&text(value)),
            Value::Texts(values) => f.write_str(&list(values)),
            Value::Env(variables) => f.write_str(&table(variables, |value| match value {
                EnvValue::Text(_) => text(super::agents::HIDDEN),
                EnvValue::FromEnv(name) => format!("{{ from_env = {} }}", text(name)),
            })),
            Value::Prices(prices) => f.write_str(&table(prices, |Price { input, cached, output }| {
                let (input, cached, output) = (input.dollars(), cached.dollars(), output.dollars());
                format!("{{ input = {input}, cached = {cached}, output = {output} }}")
            })),
            Value::Hooks(hooks) => {
                let hooks: Vec<String> = hooks.iter().map(HookConfig::to_string).collect();
                write!(f, "[{}]", hooks.join(", "))
            }
            Value::Path(path) => {
                f.write_str(&text(&path.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default()))
            }
        }
    }
}

/// Returns `text` as a TOML string.
pub(super) fn text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    format!("[{}]", texts.into_iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
}

fn table<T>(entries: &BTreeMap<String, T>, shown: impl Fn(&T) -> String) -> String {
    let is_bare = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let name = |name: &str| if is_bare(name) { name.to_owned() } else { text(name) };
    let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{} = {}", name(key), shown(value))).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}
