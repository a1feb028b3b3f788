//! The values of a configuration ([`Config`]), the configuration that the daemon has in force
//! ([`HotConfig`]), and the part that a worker keeps ([`WorkerConfig`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::agents;

/// The name of the agent that `claude_bin` and `claude_args` belong to.
pub(crate) const CLAUDE: &str = "claude";

/// An effective configuration: every key has a value, from the file, the environment, the command line or its
/// default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Maximum number of workers that run at the same time; 0: no spec is claimed.
    pub max_workers: u32,
    /// Maximum number of workers that start within one `tick_interval_ms`.
    pub spawns_per_tick: u32,
    /// Milliseconds between two ticks of an idle daemon.
    pub tick_interval_ms: u64,
    /// Shortest and longest pause, in milliseconds, between two starts of a batch; `[0, 0]`: no pause.
    pub spawn_jitter_ms: [u64; 2],
    /// The log filter: a tracing filter directive.
    pub log: String,
    /// Time limit, in minutes, of one try of a task that sets no `timeout_minutes`, and of each verify
    /// command of a spec.
    pub task_timeout_minutes: u32,
    /// How many more times a failed task is tried before its spec fails.
    pub retry_count: u32,
    /// The pause after the first failed try of a task, and the longest pause, in seconds; `[0, 0]`: no pause.
    pub retry_backoff_seconds: [u64; 2],
    /// Whether the worktree of a failed or canceled spec is removed.
    pub cleanup_on_failure: bool,
    /// Seconds between SIGTERM and SIGKILL when a command is stopped.
    pub stop_grace_seconds: u32,
    /// Output limit of one try or one verify command, in MiB.
    pub max_output_mb: u64,
    /// `[agents.NAME]`: the settings of each agent.
    pub agents: Agents,
    /// `[paths]`: where boi stores files.
    pub paths: Paths,
}

/// The settings of every agent that boi knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Agents(BTreeMap<&'static str, AgentConfig>);

/// The settings of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentConfig {
    /// The agent's program: a path, or a name to look up on the PATH.
    pub program: String,
    /// Arguments for the program, in addition to those that boi passes.
    pub args: Vec<String>,
}

/// Where boi stores files; `None`: the default place below `BOI_HOME`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Paths {
    /// The queue's database file.
    pub db: Option<PathBuf>,
    /// The folder of the worktrees.
    pub worktrees: Option<PathBuf>,
    /// The folder of the logs.
    pub logs: Option<PathBuf>,
}

impl Agents {
    /// Returns the settings of the agent `name`; `None`: boi does not know this agent.
    pub fn get(&self, name: &str) -> Option<&AgentConfig> {
        self.0.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut AgentConfig> {
        self.0.get_mut(name)
    }
}

impl Default for Agents {
    /// By default, an agent's program has the name of the agent.
    fn default() -> Agents {
        let settings = |name: &&'static str| (*name, AgentConfig { program: (*name).to_owned(), args: Vec::new() });
        Agents(agents::names().iter().map(settings).collect())
    }
}

impl Config {
    /// Returns the settings of the agent `claude`, Claude Code.
    pub fn claude(&self) -> &AgentConfig {
        self.agents.get(CLAUDE).expect("every known agent has settings")
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_workers: 5,
            spawns_per_tick: 4,
            tick_interval_ms: 1000,
            spawn_jitter_ms: [50, 150],
            log: "info".to_owned(),
            task_timeout_minutes: 30,
            retry_count: 3,
            retry_backoff_seconds: [1, 60],
            cleanup_on_failure: false,
            stop_grace_seconds: 10,
            max_output_mb: 512,
            agents: Agents::default(),
            paths: Paths::default(),
        }
    }
}

/// The configuration in force: the content of the daemon's `ArcSwap`. It never changes; a reload stores a new
/// one with the next generation.
///
/// A tick takes **one** snapshot at its start and passes it down. Nothing in a tick loads a second one, so no
/// decision mixes two generations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HotConfig {
    /// Number of this configuration; every swap adds one.
    pub generation: u64,
    /// The values of this configuration.
    pub config: Config,
}

impl HotConfig {
    /// Returns the part of this configuration that a worker gets when it starts. Later reloads do not change
    /// it.
    pub fn worker_config(&self) -> WorkerConfig {
        let config = &self.config;
        let claude = config.claude();
        WorkerConfig {
            generation: self.generation,
            claude_bin: claude.program.clone(),
            claude_args: claude.args.clone(),
            task_timeout_minutes: config.task_timeout_minutes,
            retry_count: config.retry_count,
            retry_backoff_seconds: config.retry_backoff_seconds,
            cleanup_on_failure: config.cleanup_on_failure,
            stop_grace_seconds: config.stop_grace_seconds,
            max_output_mb: config.max_output_mb,
        }
    }
}

/// The configuration of one worker, frozen at its start and stored as JSON with its attempt.
///
/// Field names are stable. A record that an older version wrote may lack a field: the field gets its default.
/// A record with an unknown field is refused: a newer version wrote it, and this version cannot carry out
/// what the field asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The generation of the configuration that contained these values.
    pub generation: u64,
    /// The [`AgentConfig::program`] of the agent `claude`.
    pub claude_bin: String,
    /// The [`AgentConfig::args`] of the agent `claude`.
    pub claude_args: Vec<String>,
    /// See [`Config::task_timeout_minutes`].
    pub task_timeout_minutes: u32,
    /// See [`Config::retry_count`].
    pub retry_count: u32,
    /// See [`Config::retry_backoff_seconds`].
    pub retry_backoff_seconds: [u64; 2],
    /// See [`Config::cleanup_on_failure`].
    pub cleanup_on_failure: bool,
    /// See [`Config::stop_grace_seconds`].
    pub stop_grace_seconds: u32,
    /// See [`Config::max_output_mb`].
    pub max_output_mb: u64,
}

impl Default for WorkerConfig {
    /// Returns the default values, with generation 0. No configuration in force has generation 0: the first
    /// one is 1.
    fn default() -> WorkerConfig {
        HotConfig { generation: 0, config: Config::default() }.worker_config()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Returns a worker's configuration as this version stores it.
    fn stored() -> Value {
        json!({
            "generation": 7, "claude_bin": "/opt/claude", "claude_args": ["-v"], "task_timeout_minutes": 1,
            "retry_count": 2, "retry_backoff_seconds": [3, 6], "cleanup_on_failure": true, "stop_grace_seconds": 4,
            "max_output_mb": 5,
        })
    }

    #[test]
    fn a_worker_config_is_the_frozen_part_of_the_configuration_in_force() {
        let mut config = Config {
            task_timeout_minutes: 1,
            retry_count: 2,
            retry_backoff_seconds: [3, 6],
            cleanup_on_failure: true,
            stop_grace_seconds: 4,
            max_output_mb: 5,
            ..Config::default()
        };
        *config.agents.get_mut(CLAUDE).unwrap() =
            AgentConfig { program: "/opt/claude".to_owned(), args: vec!["-v".to_owned()] };
        let worker = HotConfig { generation: 7, config }.worker_config();
        assert_eq!(serde_json::to_value(&worker).unwrap(), stored());
        assert_eq!(serde_json::from_value::<WorkerConfig>(stored()).unwrap(), worker);
    }

    #[test]
    fn a_stored_worker_config_without_one_key_decodes_with_the_default_of_that_key() {
        let defaults = json!({
            "generation": 0, "claude_bin": "claude", "claude_args": [], "task_timeout_minutes": 30, "retry_count": 3,
            "retry_backoff_seconds": [1, 60], "cleanup_on_failure": false, "stop_grace_seconds": 10, "max_output_mb": 512,
        });
        for key in stored().as_object().unwrap().keys() {
            let mut without = stored();
            without.as_object_mut().unwrap().remove(key);
            let decoded: WorkerConfig = serde_json::from_value(without.clone()).unwrap();
            without[key] = defaults[key].clone();
            assert_eq!(serde_json::to_value(&decoded).unwrap(), without, "{key}");
        }
    }

    #[test]
    fn a_stored_worker_config_with_an_unknown_key_is_refused() {
        let mut newer = stored();
        newer["stall_timeout_minutes"] = json!(15);
        let refused = serde_json::from_value::<WorkerConfig>(newer).unwrap_err().to_string();
        assert!(refused.contains("stall_timeout_minutes"), "{refused}");
    }

    #[test]
    fn every_known_agent_has_settings_and_no_other() {
        let agents = Agents::default();
        for name in agents::names() {
            assert_eq!(agents.get(name).unwrap().program, *name);
        }
        assert_eq!(agents.get("nobody"), None);
    }
}
