//! A key of the configuration: a row of the key table and, if the row's name contains `NAME`, an agent's
//! name.

use std::sync::LazyLock;

use super::agents::{self, AgentConfig};
use super::keys::{Field, Kind, NAME, ROWS, Row, Value};
use super::values::Config;
use crate::agents::BUILTIN;
use crate::document::closest;
use crate::domain::verdict::TakesEffect;

/// One key of the configuration.
#[derive(Debug, Clone)]
pub struct Key {
    /// Full dotted name: `max_workers`, `paths.db`, `agents.claude.command`.
    pub name: String,
    /// The type and the allowed values of the key.
    pub kind: &'static Kind,
    /// When a change takes effect.
    pub takes_effect: TakesEffect,
    /// The row that describes this key.
    pub(super) row: &'static Row,
    /// The agent's name that replaces `NAME` in the row's name and docs; empty if the row's name has no `NAME`.
    entry: String,
}

/// The keys of a configuration that defines no agent of its own, in the order in which commands and the
/// documentation list them.
pub(crate) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| keys_with(BUILTIN.iter().map(|agent| agent.name)));

/// Returns all keys of a configuration with these agents, in the order of the key table. The keys of one
/// agent are next to each other.
pub(super) fn keys_with<'a>(agents: impl IntoIterator<Item = &'a str>) -> Vec<Key> {
    let is_of_agent = |row: &&Row| row.is_of_agent();
    let first = ROWS.iter().position(|row| row.is_of_agent()).unwrap_or(ROWS.len());
    let of_agents = agents.into_iter().flat_map(|agent| ROWS.iter().filter(is_of_agent).map(move |row| row.key(agent)));
    let others = |rows: &'static [Row]| rows.iter().filter(|row| !row.is_of_agent()).map(|row| row.key(""));
    others(&ROWS[..first]).chain(of_agents).chain(others(&ROWS[first..])).collect()
}

/// Returns all keys of `config`, including those of the agents that it defines.
pub(crate) fn keys_of(config: &Config) -> Vec<Key> {
    keys_with(config.agents.names())
}

/// Finds the key `name`, which may belong to an agent that no configuration defines yet. Returns `Err` if no
/// key has this name, with the most similar name if one is similar enough.
pub(crate) fn find(name: &str) -> Result<Key, Option<String>> {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return Ok(key.clone());
    }
    let mut known: Vec<&str> = KEYS.iter().map(|key| key.name.as_str()).collect();
    let mut of_agent = Vec::new();
    if let Some((agent, _)) = name.strip_prefix("agents.").and_then(|rest| rest.split_once('.'))
        && agents::is_name(agent)
    {
        of_agent = keys_with([agent]);
        if let Some(key) = of_agent.iter().find(|key| key.name == name) {
            return Ok(key.clone());
        }
    }
    known.extend(of_agent.iter().map(|key| key.name.as_str()));
    let in_a_table = known.iter().copied().find(|known| known.rsplit_once('.').is_some_and(|(_, leaf)| leaf == name));
    Err(in_a_table.or_else(|| closest(name, known)).map(str::to_owned))
}

impl Row {
    fn is_of_agent(&self) -> bool {
        matches!(self.field, Field::PerAgent { .. })
    }

    /// Returns the key of this row for `agent`, which is empty if the row's name has no `NAME`.
    pub(super) fn key(&'static self, agent: &str) -> Key {
        Key {
            name: self.name.replace(NAME, agent),
            kind: &self.kind,
            takes_effect: self.takes_effect,
            row: self,
            entry: agent.to_owned(),
        }
    }
}

impl Key {
    /// Returns the key's value in `config`.
    pub fn get(&self, config: &Config) -> Value {
        match self.row.field {
            Field::One { get, .. } => get(config),
            Field::PerAgent { get, .. } => match config.agents.get(&self.entry) {
                Some(agent) => get(agent),
                None if *self.kind == Kind::Command => Value::Command(None),
                None => get(&AgentConfig::new(&self.entry)),
            },
        }
    }

    /// Returns the key's documentation, in lines that are short enough for a comment in
    /// `config.example.toml`.
    pub(super) fn docs(&self) -> impl Iterator<Item = String> {
        self.row.docs.iter().map(|line| line.replace(NAME, &self.entry))
    }

    /// Returns the value that is used if the file, the environment and the command line set none.
    pub fn default(&self) -> Value {
        self.get(&Config::default())
    }

    /// Sets the key in `config`, and defines its agent. `value` must be of this key's kind and within its range.
    pub(super) fn set(&self, config: &mut Config, value: Value) {
        match self.row.field {
            Field::One { set, .. } => set(config, value),
            Field::PerAgent { set, .. } => set(config.agents.define(&self.entry), value),
        }
    }

    /// Returns the name of the agent to which this key belongs, if the agent is not built in.
    pub(super) fn own_agent(&self) -> Option<&str> {
        Some(self.entry.as_str()).filter(|agent| !agent.is_empty() && !agents::is_built_in(agent))
    }

    /// Returns the current name of this key's value. Older and shorter names of a value map to the same name.
    pub(crate) fn value_name(&self) -> String {
        self.row.alias_of.map_or_else(|| self.name.clone(), |name| name.replace(NAME, &self.entry))
    }

    /// Returns the other keys that set the same value. For example, `claude_bin`, `agents.claude.program` and
    /// `agents.claude.command` set one value.
    pub fn other_names(&self) -> Vec<Key> {
        let value = self.value_name();
        let agent = value.split('.').nth(1).unwrap_or_default();
        let mut keys = keys_with([agent]);
        keys.retain(|other| other.name != self.name && other.value_name() == value);
        keys
    }

    /// Returns whether `name` is a name of this key's value.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.name == name || self.other_names().iter().any(|other| other.name == name)
    }

    /// Returns whether this key is an older or a shorter name of a value, and not its current name.
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
