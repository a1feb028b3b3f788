//! The configuration: parses the bytes of `config.toml` into validated values. Pure: the caller reads the
//! file and the environment, checks the machine, and passes in the results.
//!
//! ```text
//! bytes ─ from_toml (by the key table) ─▶ + environment, flags ─▶ Loaded ─ check_host ─▶ valid, or Problems
//!                                                                   └─ changes::plan ─▶ what to put in force now
//! ```
//!
//! Invariants:
//! - A [`Config`] that [`parse`] returns is complete, and every value is within its range.
//! - A [`HotConfig`] never changes. A reload makes a new one with the next generation and swaps it in as a
//!   whole.
//! - The daemon and `boi config check` use the same validator.

mod agent_tables;
mod agents;
pub mod changes;
pub(crate) mod edit;
pub mod flags;
mod from_toml;
mod hooks;
mod key;
pub(crate) mod keys;
mod kinds;
mod loaded;
mod log_filter;
#[cfg(test)]
mod reference;
pub mod schema;
mod values;

pub(crate) use agents::PROMPT_FILE;
pub use agents::{AgentConfig, Agents, EnvValue, WorkerAgent};
pub use hooks::HookConfig;
pub use loaded::{HostFacts, Loaded, MAX_BYTES, Origin, ProcessSettings, check_host, parse};
pub use values::{Config, HotConfig, Paths, WorkerConfig};

#[cfg(test)]
mod tests;
