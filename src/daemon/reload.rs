//! The configuration's way into a running daemon: read, validate, compare, swap.
//!
//! A bad file changes nothing and says so. What needs a restart keeps its old value and never holds up the rest. The swap
//! is one store of a value that was built before, and nothing is swapped when nothing differs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{error, info, warn};

use super::handle::Shared;
use crate::config::changes::{self, Change, Plan};
use crate::config::{self, Config, Defaults, HotConfig, Loaded, MAX_BYTES};
use crate::domain::view::ConfigView;
use crate::host::files;
use crate::host::logs::LogFilter;
use crate::host::paths::{self, Home};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not valid.
    #[error("{0}")]
    Invalid(Box<crate::source::problem::Problems>),
}

/// Reads and validates the configuration of `home`; a missing file means all defaults.
pub fn load(home: &Home) -> Result<Loaded, ConfigError> {
    load_file(&home.config_file())
}

/// Reads and validates the configuration in `path`.
pub fn load_file(path: &std::path::Path) -> Result<Loaded, ConfigError> {
    let bytes = files::read_users(path, MAX_BYTES)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?
        .unwrap_or_default();
    let defaults = Defaults { claude_bin_env: paths::claude_bin() };
    config::parse(&path.display().to_string(), &bytes, &defaults)
        .map_err(|problems| ConfigError::Invalid(problems.into()))
}

/// The view of a configuration that was applied as generation `generation`.
pub fn applied_view(generation: u64, pending: &[Change]) -> ConfigView {
    ConfigView {
        generation,
        outcome: "applied".to_owned(),
        watch: "signal".to_owned(),
        pending_restart: pending.iter().map(shown).collect(),
        errors: Vec::new(),
    }
}

/// Reads the configuration again and puts in force what can be. Called on SIGHUP, one at a time.
pub fn reload(home: &Home, hot: &ArcSwap<HotConfig>, shared: &Shared, log: &LogFilter) {
    let before = hot.load_full();
    match load(home) {
        Ok(loaded) => {
            let view = apply(&loaded.config, &before, hot, log);
            shared.set_config(view);
        }
        Err(rejection) => {
            error!("configuration rejected, generation {} stays in force:\n{rejection}", before.generation);
            shared.set_config(ConfigView {
                outcome: "rejected".to_owned(),
                errors: vec![rejection.to_string()],
                ..applied_view(before.generation, &[])
            });
        }
    }
}

fn apply(on_disk: &Config, before: &HotConfig, hot: &ArcSwap<HotConfig>, log: &LogFilter) -> ConfigView {
    let Plan { config, applied, pending_restart } = changes::plan(&before.config, on_disk);
    for change in &pending_restart {
        warn!("pending restart: {}", shown(change));
    }
    if applied.is_empty() {
        info!(generation = before.generation, "configuration unchanged");
        return ConfigView { outcome: "unchanged".to_owned(), ..applied_view(before.generation, &pending_restart) };
    }
    if config.log != before.config.log
        && let Err(problem) = log.set(&config.log)
    {
        warn!(problem, "the log filter stays as it is");
    }
    let generation = before.generation + 1;
    hot.store(Arc::new(HotConfig { generation, config }));
    for change in &applied {
        info!(generation, "configuration: {}, takes effect {}", shown(change), change.takes_effect);
    }
    applied_view(generation, &pending_restart)
}

fn shown(change: &Change) -> String {
    format!("{}: {} -> {}", change.key, change.old, change.new)
}
