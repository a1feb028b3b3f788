//! `[agents.NAME]`: the settings of each agent, and the part of them that is frozen with a worker.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::agents::{BUILTIN, OutputKind, PromptVia, builtin, prices};
use crate::domain::agent::AgentCommand;
use crate::domain::money::Price;

/// The text in an agent's arguments that the path of the file with the prompt replaces.
pub(crate) const PROMPT_FILE: &str = "{prompt}";

/// The name of the agent whose settings `claude_bin` and `claude_args` change.
pub(crate) const CLAUDE: &str = "claude";

/// The most characters of an agent's name.
pub(crate) const MAX_NAME: usize = 32;

/// The rule for an agent's name, for messages.
pub(crate) const NAME_RULE: &str =
    "a name begins with a-z or 0-9, consists of a-z, 0-9, `_` and `-`, and has at most 32 characters";

/// The settings of every agent, built in or defined by the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Agents(BTreeMap<String, AgentConfig>);

/// The settings of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentConfig {
    /// The settings that are frozen with a worker.
    #[serde(flatten)]
    pub worker: WorkerAgent,
    /// The variables that the agent's program gets in addition to the daemon's. They are never stored with an
    /// attempt: each start of the program takes them from the configuration in force.
    pub env: BTreeMap<String, EnvValue>,
    /// The maximum number of runs of this agent at the same time; `None`: only the top-level `max_workers`
    /// limits it.
    pub max_workers: Option<u32>,
    /// The agents that do this agent's tasks while it is held. The first one in the list that is not held is
    /// taken.
    pub fallback: Vec<String>,
}

/// The settings of an agent that are frozen with a worker and stored with its attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerAgent {
    /// The agent's program and its first arguments, if there are any.
    pub command: AgentCommand,
    /// The arguments that come after those that boi passes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// How the program gets the prompt.
    #[serde(default, skip_serializing_if = "is_stdin")]
    pub prompt: PromptVia,
    /// The format of the program's output.
    pub output: OutputKind,
    /// The model of a spec that names none; `None`: the program's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The user's prices of models, which replace boi's built-in prices.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, Price>,
}

/// The value of a variable in an agent's environment. Its `Debug` and serialized forms hide a text, which may
/// be a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// The value itself.
    Text(String),
    /// The name of a variable of the daemon's environment that has the value.
    FromEnv(String),
}

/// What is shown in place of a variable's text.
pub(crate) const HIDDEN: &str = "(not shown)";

impl std::fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EnvValue::Text(_) => f.write_str(HIDDEN),
            EnvValue::FromEnv(name) => write!(f, "from_env = {name:?}"),
        }
    }
}

impl Serialize for EnvValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            EnvValue::Text(_) => serializer.serialize_str(HIDDEN),
            EnvValue::FromEnv(name) => BTreeMap::from([("from_env", name)]).serialize(serializer),
        }
    }
}

impl WorkerAgent {
    /// Returns the default settings of the agent `name`. The program of an agent that is not built in has its name.
    pub(crate) fn new(name: &str) -> WorkerAgent {
        let known = builtin(name);
        WorkerAgent {
            command: AgentCommand::program(known.map_or(name, |known| known.program)),
            args: Vec::new(),
            prompt: PromptVia::Stdin,
            output: known.map_or(OutputKind::Text, |known| known.kind),
            model: None,
            prices: BTreeMap::new(),
        }
    }

    /// Returns the model of a run for a spec with this `model`; `None`: the program's own default.
    pub fn model_of<'a>(&'a self, model: Option<&'a str>) -> Option<&'a str> {
        model.or(self.model.as_deref())
    }

    /// Returns whether boi can know what a run on `model` costs: the program reports dollars, or it reports
    /// tokens and the model has a price. `model` is `None` if the model is not known before the run.
    pub(crate) fn knows_cost(&self, model: Option<&str>) -> bool {
        match self.output {
            OutputKind::ClaudeStreamJson | OutputKind::OpencodeJson => true,
            OutputKind::CodexJsonl | OutputKind::GeminiStreamJson => {
                model.is_some_and(|model| prices::price_of(model, &self.prices).is_some())
            }
            OutputKind::Text => false,
        }
    }

    /// Returns the hint for the user if boi does not know the cost of a run of the agent `name` on `model`.
    pub(crate) fn price_hint(&self, name: &str, model: Option<&str>) -> String {
        match model {
            _ if self.output == OutputKind::Text => {
                "the agent's output reports no tokens: use another agent, or remove the budget".to_owned()
            }
            Some(model) => format!(
                "give its price: [agents.{name}.prices.{model:?}] with input, cached and output, in US dollars per \
                 million tokens"
            ),
            None => format!(
                "set agents.{name}.model; if boi knows no price for it, also [agents.{name}.prices.MODEL] with input, \
                 cached and output, in US dollars per million tokens"
            ),
        }
    }

    /// Returns whether an argument contains `{prompt}`, which the path of the prompt's file replaces.
    pub(crate) fn names_prompt_file(&self) -> bool {
        self.command.arguments.iter().chain(&self.args).any(|argument| argument.contains(PROMPT_FILE))
    }
}

impl AgentConfig {
    /// Returns the default settings of the agent `name`.
    pub(crate) fn new(name: &str) -> AgentConfig {
        AgentConfig { worker: WorkerAgent::new(name), env: BTreeMap::new(), max_workers: None, fallback: Vec::new() }
    }
}

impl Agents {
    /// Returns the names of the agents whose settings differ from those in `before`.
    pub(crate) fn changed_since(&self, before: &Agents) -> Vec<String> {
        let changed = self.0.iter().filter(|(name, settings)| before.get(name) != Some(settings));
        changed.map(|(name, _)| name.clone()).collect()
    }

    /// Returns the settings of the agent `name`; `None`: there is no such agent.
    pub fn get(&self, name: &str) -> Option<&AgentConfig> {
        self.0.get(name)
    }

    /// Returns each agent's name with its settings, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AgentConfig)> {
        self.0.iter().map(|(name, agent)| (name.as_str(), agent))
    }

    /// Returns the names of all agents, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the settings of the agent `name`. Adds the agent, with default settings, if it does not exist.
    pub(super) fn define(&mut self, name: &str) -> &mut AgentConfig {
        self.0.entry(name.to_owned()).or_insert_with(|| AgentConfig::new(name))
    }

    /// Returns the settings of each agent that are frozen with a worker.
    pub(super) fn of_workers(&self) -> BTreeMap<String, WorkerAgent> {
        self.0.iter().map(|(name, agent)| (name.clone(), agent.worker.clone())).collect()
    }
}

impl Default for Agents {
    fn default() -> Agents {
        Agents(BUILTIN.iter().map(|agent| (agent.name.to_owned(), AgentConfig::new(agent.name))).collect())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_stdin(prompt: &PromptVia) -> bool {
    *prompt == PromptVia::Stdin
}

/// Returns whether `name` can be the name of an agent.
pub(crate) fn is_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= MAX_NAME && name.starts_with(is_first) && name.chars().all(|c| is_first(c) || matches!(c, '_' | '-'))
}

/// Returns whether the agent `name` exists without a table in the configuration.
pub(crate) fn is_built_in(name: &str) -> bool {
    builtin(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_agents_exist_by_default_and_no_other() {
        let agents = Agents::default();
        assert_eq!(agents.names().collect::<Vec<_>>(), ["claude", "codex", "gemini", "opencode"]);
        for (name, agent) in agents.iter() {
            assert_eq!(agent.worker.command, AgentCommand::program(name));
            assert_ne!(agent.worker.output, OutputKind::Text);
        }
        assert_eq!(agents.get("nobody"), None);
    }

    #[test]
    fn a_name_is_lower_case_and_at_most_32_characters_long() {
        for name in ["a", "0", "claude-work", "my_agent-2", &"x".repeat(MAX_NAME)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "_a", "Claude", "a b", "a.b", "ä", &"x".repeat(MAX_NAME + 1)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn the_text_of_a_variable_is_shown_nowhere() {
        let value = EnvValue::Text("secret".into());
        assert!(!format!("{value:?} {}", serde_json::to_string(&value).unwrap()).contains("secret"));
    }
}
