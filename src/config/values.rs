//! The values of a configuration ([`Config`]), the configuration that the daemon has in force
//! ([`HotConfig`]), and the part that a worker keeps ([`WorkerConfig`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::agents::{AgentConfig, Agents, CLAUDE, WorkerAgent};
use super::hooks::HookConfig;
use crate::domain::agent::AgentCommand;
use crate::domain::money::Usd;

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
    /// The minutes after which a worker ends an agent that showed no sign of life (output or CPU time); 0:
    /// never.
    pub stall_timeout_minutes: u32,
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
    /// The largest cost of the agents of a spec that sets no `max_usd`; zero: no limit.
    pub max_usd_per_spec: Usd,
    /// The largest cost of all agents in any 24 hours; zero: no limit.
    pub max_usd_per_day: Usd,
    /// The days after which a spec that ended is removed from the queue; 0: never.
    pub retention_days: u32,
    /// The largest number of landers of one repository that run at once.
    pub max_landings: u32,
    /// The largest disk space of all kept folders, in GiB.
    pub max_warm_gb: u32,
    /// The free space in GiB that each disk must have so that specs are started on it; 0: no limit.
    pub min_free_gb: u32,
    /// The largest share of the memory, in percent, that may be used so that specs are started; 0: no limit.
    pub max_memory_percent: u32,
    /// The largest number of `run` and verify commands that run at the same time; 0: no limit.
    pub build_slots: u32,
    /// `[[hooks]]`: the commands that the daemon runs for events.
    pub hooks: Vec<HookConfig>,
    /// `[agents.NAME]`: the settings of each agent.
    pub agents: Agents,
    /// `[paths]`: where boi stores files.
    pub paths: Paths,
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
            stall_timeout_minutes: 15,
            retry_count: 3,
            retry_backoff_seconds: [1, 60],
            cleanup_on_failure: false,
            stop_grace_seconds: 10,
            max_output_mb: 512,
            max_usd_per_spec: Usd::ZERO,
            max_usd_per_day: Usd::ZERO,
            retention_days: 90,
            max_landings: 1,
            max_warm_gb: 20,
            min_free_gb: 2,
            max_memory_percent: 0,
            build_slots: 0,
            hooks: Vec::new(),
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
        WorkerConfig {
            generation: self.generation,
            agents: config.agents.of_workers(),
            instead: BTreeMap::new(),
            task_timeout_minutes: config.task_timeout_minutes,
            stall_timeout_minutes: config.stall_timeout_minutes,
            retry_count: config.retry_count,
            retry_backoff_seconds: config.retry_backoff_seconds,
            cleanup_on_failure: config.cleanup_on_failure,
            stop_grace_seconds: config.stop_grace_seconds,
            max_output_mb: config.max_output_mb,
        }
    }
}

/// The configuration of one worker, frozen at its start and stored as JSON with its attempt. It contains no value of an
/// agent's environment.
///
/// Field names are stable. A record that an older version wrote may lack a field: the field gets its default.
/// A record with an unknown field is refused: a newer version wrote it, and this version cannot carry out
/// what the field asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredConfig")]
pub struct WorkerConfig {
    /// The generation of the configuration that contained these values.
    pub generation: u64,
    /// The agents, by name.
    pub agents: BTreeMap<String, WorkerAgent>,
    /// The fallbacks in this attempt: the agent in the value does the tasks of the agent in the key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instead: BTreeMap<String, String>,
    /// See [`Config::task_timeout_minutes`].
    pub task_timeout_minutes: u32,
    /// See [`Config::stall_timeout_minutes`].
    pub stall_timeout_minutes: u32,
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

/// A [`WorkerConfig`] as it is stored. Versions of boi that knew only one agent stored that agent's settings
/// as `claude_bin` and `claude_args`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StoredConfig {
    generation: u64,
    claude_bin: Option<AgentCommand>,
    claude_args: Option<Vec<String>>,
    agents: BTreeMap<String, WorkerAgent>,
    instead: BTreeMap<String, String>,
    task_timeout_minutes: u32,
    stall_timeout_minutes: u32,
    retry_count: u32,
    retry_backoff_seconds: [u64; 2],
    cleanup_on_failure: bool,
    stop_grace_seconds: u32,
    max_output_mb: u64,
}

impl Default for StoredConfig {
    fn default() -> StoredConfig {
        let config = WorkerConfig::default();
        StoredConfig {
            generation: config.generation,
            claude_bin: None,
            claude_args: None,
            agents: config.agents,
            instead: config.instead,
            task_timeout_minutes: config.task_timeout_minutes,
            stall_timeout_minutes: config.stall_timeout_minutes,
            retry_count: config.retry_count,
            retry_backoff_seconds: config.retry_backoff_seconds,
            cleanup_on_failure: config.cleanup_on_failure,
            stop_grace_seconds: config.stop_grace_seconds,
            max_output_mb: config.max_output_mb,
        }
    }
}

impl From<StoredConfig> for WorkerConfig {
    fn from(stored: StoredConfig) -> WorkerConfig {
        let mut agents = stored.agents;
        let claude = agents.entry(CLAUDE.to_owned()).or_insert_with(|| WorkerAgent::new(CLAUDE));
        claude.command = stored.claude_bin.unwrap_or_else(|| claude.command.clone());
        claude.args = stored.claude_args.unwrap_or_else(|| claude.args.clone());
        WorkerConfig {
            generation: stored.generation,
            agents,
            instead: stored.instead,
            task_timeout_minutes: stored.task_timeout_minutes,
            stall_timeout_minutes: stored.stall_timeout_minutes,
            retry_count: stored.retry_count,
            retry_backoff_seconds: stored.retry_backoff_seconds,
            cleanup_on_failure: stored.cleanup_on_failure,
            stop_grace_seconds: stored.stop_grace_seconds,
            max_output_mb: stored.max_output_mb,
        }
    }
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
    use crate::config::EnvValue;

    /// Returns a worker's configuration as this version stores it.
    fn stored() -> Value {
        json!({
            "generation": 7,
            "agents": {
                "aider": {"command": ["uvx", "aider"], "args": ["{prompt}"], "prompt": "file", "output": "text",
                    "model": "m", "prices": {"m": {"input": 1.25, "cached": 0.0, "output": 10.0}}},
                "claude": {"command": "/opt/claude", "args": ["-v"], "output": "claude-stream-json"},
                "codex": {"command": "codex", "output": "codex-jsonl"},
                "gemini": {"command": "gemini", "output": "gemini-stream-json"},
                "opencode": {"command": "opencode", "output": "opencode-json"},
            },
            "task_timeout_minutes": 1, "stall_timeout_minutes": 8, "retry_count": 2, "retry_backoff_seconds": [3, 6],
            "cleanup_on_failure": true, "stop_grace_seconds": 4, "max_output_mb": 5,
        })
    }

    #[test]
    fn a_worker_config_is_the_frozen_part_of_the_configuration_in_force() {
        let mut config = Config {
            task_timeout_minutes: 1,
            stall_timeout_minutes: 8,
            retry_count: 2,
            retry_backoff_seconds: [3, 6],
            cleanup_on_failure: true,
            stop_grace_seconds: 4,
            max_output_mb: 5,
            ..Config::default()
        };
        let claude = config.agents.define(CLAUDE);
        claude.worker.command = AgentCommand::program("/opt/claude");
        claude.worker.args = vec!["-v".to_owned()];
        let aider = config.agents.define("aider");
        aider.worker = serde_json::from_value(stored()["agents"]["aider"].clone()).unwrap();
        aider.env.insert("TOKEN".into(), EnvValue::Text("secret".into()));
        let worker = HotConfig { generation: 7, config }.worker_config();
        let text = serde_json::to_value(&worker).unwrap();
        assert_eq!(text, stored());
        assert!(!text.to_string().contains("secret") && !text.to_string().contains("TOKEN"));
        assert_eq!(serde_json::from_value::<WorkerConfig>(stored()).unwrap(), worker);
    }

    #[test]
    fn a_stored_worker_config_without_one_key_decodes_with_the_default_of_that_key() {
        let agents = serde_json::to_value(Agents::default().of_workers()).unwrap();
        let defaults = json!({
            "generation": 0, "agents": agents, "task_timeout_minutes": 30, "stall_timeout_minutes": 15,
            "retry_count": 3, "retry_backoff_seconds": [1, 60], "cleanup_on_failure": false, "stop_grace_seconds": 10,
            "max_output_mb": 512,
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
    fn a_worker_config_of_a_version_with_one_agent_keeps_its_program_and_arguments() {
        let mut older = stored();
        older.as_object_mut().unwrap().remove("agents");
        older["claude_bin"] = json!("/old/claude");
        older["claude_args"] = json!(["--model", "opus"]);
        let read: WorkerConfig = serde_json::from_value(older).unwrap();
        let claude = &read.agents[CLAUDE];
        assert_eq!(claude.command, AgentCommand::program("/old/claude"));
        assert_eq!((claude.args.join(" "), read.agents.len()), ("--model opus".to_owned(), 4));
        assert_eq!(read.agents["codex"], WorkerAgent::new("codex"));
    }

    #[test]
    fn a_stored_worker_config_with_an_unknown_key_is_refused() {
        let newer = |pointer: &str| {
            let mut newer = stored();
            newer.pointer_mut(pointer).unwrap()["later"] = json!(15);
            serde_json::from_value::<WorkerConfig>(newer).unwrap_err().to_string()
        };
        for pointer in ["", "/agents/codex"] {
            assert!(newer(pointer).contains("later"), "{pointer}");
        }
    }
}
