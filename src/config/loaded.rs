//! A configuration and the sources of its values: `config.toml`, the environment, the command line.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::agent_tables;
use super::agents::{self, AgentConfig, CLAUDE, EnvValue, PROMPT_FILE};
use super::flags::Flags;
use super::from_toml::{self, KeysSet};
use super::key::keys_with;
use super::keys::{Key, Value, find, keys_of};
use super::values::Config;
use crate::agents::{OutputKind, PromptVia};
use crate::document::problem::{Problem, Problems};
use crate::document::{self, Document, Faults};
use crate::domain::agent::AgentCommand;
use crate::domain::money::Usd;

/// The largest accepted `config.toml`, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The key whose default the environment variable `CLAUDE_BIN` replaces.
const CLAUDE_COMMAND: &str = "agents.claude.command";

/// The settings that come from the environment and the command line of a process, not from `config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessSettings {
    /// The environment variable `CLAUDE_BIN`, which replaces the default of `agents.claude.command`. An empty
    /// value counts as unset.
    pub claude_bin_env: Option<String>,
    /// Values from the command line, which replace those of the file.
    pub flags: Flags,
}

/// A valid configuration, with the source of each value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration without the values of the command line.
    pub(crate) own: Config,
    /// The effective values.
    pub config: Config,
    /// The keys that the file sets, each with the byte range of its value.
    pub(super) set: KeysSet,
    has_env: bool,
    flags: Flags,
    document: Document,
}

/// Where an effective value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The key's default.
    Default,
    /// `config.toml`.
    File,
    /// An environment variable of the daemon.
    Environment,
    /// The command line.
    Flag,
}

/// What the machine lacks that a configuration needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Those of `Loaded::programs` that the daemon cannot execute, each with the reason. The reason completes
    /// a sentence that begins with the program's name, such as "is not on the PATH".
    pub missing_programs: BTreeMap<String, String>,
    /// Those of `Loaded::variables` that the daemon's environment does not have.
    pub missing_variables: BTreeSet<String>,
    /// Whether the log accepts the filter. `Err`: why it does not.
    pub log_filter: Result<(), String>,
}

/// Parses a configuration and checks its values. An empty file means all defaults. `name` is the file's name
/// in messages.
pub fn parse(name: &str, bytes: &[u8], settings: &ProcessSettings) -> Result<Loaded, Problems> {
    document::read(name, bytes, MAX_BYTES, |document, root, faults| {
        let mut config = Config::default();
        let env = settings.claude_bin_env.as_ref().filter(|program| !program.trim().is_empty());
        if let Some(program) = env {
            config.agents.define(CLAUDE).worker.command = AgentCommand::program(program);
        }
        let set = from_toml::read(document, root, faults, &mut config);
        // The file must also be valid without the command line, because the next daemon may not get the same
        // one.
        from_toml::check_order(&config, &set, faults);
        agent_tables::check(&config, &set, faults);
        let own = config.clone();
        settings.flags.apply(&mut config);
        if faults.is_empty() && config != own {
            agent_tables::check(&config, &set, faults);
            agent_tables::check_flags(&config, &own, &settings.flags, faults);
        }
        let (flags, document) = (settings.flags.clone(), document.clone());
        let loaded = Loaded { config, own, set, has_env: env.is_some(), flags, document };
        check_budgets(&loaded, faults);
        Some(loaded)
    })
}

/// Adds an error to `faults` for each agent in use whose cost boi does not know, if a budget limits the cost.
fn check_budgets(loaded: &Loaded, faults: &mut Faults) {
    let config = &loaded.config;
    let budgets = [("max_usd_per_spec", config.max_usd_per_spec), ("max_usd_per_day", config.max_usd_per_day)];
    let Some((budget, _)) = budgets.into_iter().find(|(_, limit)| *limit > Usd::ZERO) else { return };
    for (name, agent) in loaded.agents_in_use() {
        let model = agent.worker.model.as_deref();
        // The cost may be known: a spec may name a model for which the configuration has a price.
        let may_know = model.is_none() && agent.worker.output != OutputKind::Text && !agent.worker.prices.is_empty();
        if !may_know && !agent.worker.knows_cost(model) {
            let message = format!("`{budget}` limits the cost, but the cost of the agent `{name}` is not known");
            faults.push(loaded.problem_at(budget, message, Some(agent.worker.price_hint(name, model))));
        }
    }
}

/// Checks a valid configuration on this machine. `in_force`: the configuration that `loaded` would replace.
///
/// Returns warnings about values that are valid but will not work. A program that cannot be executed is an
/// error only if the configuration changes the program. Otherwise an uninstalled program would block the
/// change of every other key.
pub fn check_host(loaded: &Loaded, in_force: Option<&Config>, facts: &HostFacts) -> Result<Vec<String>, Problems> {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for (name, agent) in loaded.agents_in_use() {
        let program = &agent.worker.command.program;
        if let Some(why) = facts.missing_programs.get(program) {
            let program_in_force = |config: &Config| Some(&config.agents.get(name)?.worker.command.program == program);
            let changed = in_force.is_some_and(|config| program_in_force(config) != Some(true));
            let key = loaded.name_of_command(name);
            let hint = loaded.arguments_hint(name, program);
            if changed {
                let hint = hint
                    .unwrap_or_else(|| "write the program's absolute path, or install the program first".to_owned());
                problems.push(loaded.problem_at(&key, format!("`{program}` {why}"), Some(hint)));
            } else {
                let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                warnings.push(format!("{key}: `{program}` {why}; tasks of the agent `{name}` cannot run{hint}"));
            }
        }
        for (variable, value) in &agent.env {
            if let EnvValue::FromEnv(from) = value
                && facts.missing_variables.contains(from)
            {
                let of = "the daemon's environment has no variable";
                warnings.push(format!("agents.{name}.env.{variable}: {of} `{from}`; the agent starts without it"));
            }
        }
        if agent.worker.prompt == PromptVia::Stdin && agent.worker.names_prompt_file() {
            let key = format!("agents.{name}.prompt");
            warnings.push(format!("{key}: it is \"stdin\", so {PROMPT_FILE} in the arguments is not replaced"));
        }
    }
    if let Err(message) = &facts.log_filter {
        problems.push(loaded.problem_at("log", message, None));
    }
    match Problems::collect(&loaded.document, problems) {
        Some(problems) => Err(problems),
        None => Ok(warnings),
    }
}

impl Loaded {
    /// Returns where the value of `key` comes from.
    pub fn origin(&self, key: &Key) -> Origin {
        let names = names_of(key);
        let any = |sets: &dyn Fn(&str) -> bool| names.iter().any(|name| sets(name));
        if any(&|name| self.flags.sets(name)) {
            Origin::Flag
        } else if any(&|name| self.set.contains_key(name)) {
            Origin::File
        } else if self.has_env && any(&|name| name == CLAUDE_COMMAND) {
            Origin::Environment
        } else {
            Origin::Default
        }
    }

    /// Returns the agents that tasks will probably use, with their settings: `claude`, those whose settings are
    /// not the default, and the fallbacks of these.
    pub(crate) fn agents_in_use(&self) -> Vec<(&str, &AgentConfig)> {
        let agents = &self.config.agents;
        let is_set = |name: &str, agent: &AgentConfig| {
            name == CLAUDE || !agents::is_built_in(name) || *agent != AgentConfig::new(name)
        };
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for (name, agent) in agents.iter().filter(|(name, agent)| is_set(name, agent)) {
            used.insert(name);
            used.extend(agent.fallback.iter().map(String::as_str));
        }
        agents.iter().filter(|(name, _)| used.contains(name)).collect()
    }

    /// Returns the programs of the agents in use.
    pub(crate) fn programs(&self) -> BTreeSet<&str> {
        self.agents_in_use().into_iter().map(|(_, agent)| agent.worker.command.program.as_str()).collect()
    }

    /// Returns the variables of the daemon's environment that the agents in use name with `from_env`.
    pub(crate) fn variables<'a>(&'a self) -> BTreeSet<&'a str> {
        let of_agent = |(_, agent): (_, &'a AgentConfig)| agent.env.values();
        let values = self.agents_in_use().into_iter().flat_map(of_agent);
        let from_env = values.filter_map(|value| match value {
            EnvValue::FromEnv(name) => Some(name.as_str()),
            EnvValue::Text(_) => None,
        });
        from_env.collect()
    }

    /// Returns a hint for a `program` that wrongly contains arguments: the key to which they belong. Returns
    /// `None` if it contains none.
    fn arguments_hint(&self, agent: &str, program: &str) -> Option<String> {
        let mut words = program.split_ascii_whitespace();
        let first = words.next()?;
        let arguments = words.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        let is_older = !self.name_of_command(agent).contains('.');
        let key = if is_older { "claude_args".to_owned() } else { format!("agents.{agent}.args") };
        (!arguments.is_empty()).then(|| format!("write the program alone, `{first}`, and `{key} = [{arguments}]`"))
    }

    /// Returns the name under which the command of an agent is set.
    fn name_of_command(&self, agent: &str) -> String {
        let name = format!("agents.{agent}.command");
        find(&name).map_or(name, |key| self.used_name(&key))
    }

    /// Whether the file sets the value of `key`, by either of its names.
    pub(crate) fn is_set(&self, key: &Key) -> bool {
        names_of(key).iter().any(|name| self.set.contains_key(name))
    }

    /// Returns each key whose value in the file has no effect because the command line sets another value:
    /// the key, its value in the file, and the value of the command line.
    pub(crate) fn overridden(&self) -> impl Iterator<Item = (Key, Value, Value)> {
        let is_set_by_flag = |key: &Key| names_of(key).iter().any(|name| self.flags.sets(name));
        let values = |key: Key| {
            let (own, flag) = (key.get(&self.own), key.get(&self.config));
            (key, own, flag)
        };
        keys_of(&self.config)
            .into_iter()
            .filter(move |key| self.set.contains_key(&key.name) && is_set_by_flag(key))
            .map(values)
            .filter(|(_, own, flag)| own != flag)
    }

    /// Returns one key for each value. If a value has several names, the key has the name under which the
    /// value is set.
    pub fn keys(&self) -> Vec<Key> {
        self.keys_with(&self.config)
    }

    /// Returns one key for each value of this configuration or of `other`, which may define other agents.
    pub(super) fn keys_with(&self, other: &Config) -> Vec<Key> {
        let agents: BTreeSet<&str> = self.config.agents.names().chain(other.agents.names()).collect();
        let mut keys = keys_with(agents);
        keys.retain(|key| self.used_name(key) == key.name);
        keys
    }

    /// Returns the name under which the value of `key` is set: the name on the command line, or else in the
    /// file. If neither sets it, returns the top-level name, which most files use, or else the key's current
    /// name.
    fn used_name(&self, key: &Key) -> String {
        let is_first_choice = |key: &Key| (!key.name.contains('.'), !key.is_alias());
        let rank = |key: &Key| (self.flags.sets(&key.name), self.set.contains_key(&key.name), is_first_choice(key));
        let names = [key.clone()].into_iter().chain(key.other_names());
        names.max_by_key(rank).map_or_else(|| key.name.clone(), |key| key.name)
    }

    /// Builds a problem that was found after parsing. It points at the value of the key `name`, if the file
    /// sets that key.
    fn problem_at(&self, name: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { message: message.into(), span: self.set.get(name).cloned(), hint }
    }
}

/// Returns all names under which the value of `key` can be set.
fn names_of(key: &Key) -> Vec<String> {
    [key.clone()].into_iter().chain(key.other_names()).map(|key| key.name).collect()
}
