//! The difference between two configurations, and which part of it a running daemon puts in force.

use super::key::Key;
use super::loaded::Loaded;
use super::values::Config;
use crate::domain::verdict::{Change, TakesEffect};

/// The result of [`plan`]: what a running daemon does with a configuration that it has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadPlan {
    /// The configuration to put in force: the new values, but the old value of each key that needs a restart.
    pub config: Config,
    /// The changes that take effect: what differs between the configuration in force and
    /// [`ReloadPlan::config`].
    pub applied: Vec<Change>,
    /// The changes that take effect only after a restart of the daemon: what differs between
    /// [`ReloadPlan::config`] and the file.
    pub pending_restart: Vec<Change>,
}

/// Returns the values that differ between `old` and `new`, in the order of the key table. A value with two
/// names is listed once, by the name that `new` uses.
pub fn diff(old: &Config, new: &Loaded) -> Vec<Change> {
    changes(&new.keys_with(old), old, &new.config)
}

/// Plans the change from the configuration `in_force` to the configuration `on_disk`. A key that needs a
/// restart keeps its old value and does not delay the other keys.
pub fn plan(in_force: &Config, on_disk: &Loaded) -> ReloadPlan {
    let mut config = on_disk.config.clone();
    let keys = on_disk.keys_with(in_force);
    for key in keys.iter().filter(|key| key.takes_effect == TakesEffect::Restart) {
        key.set(&mut config, key.get(in_force));
    }
    ReloadPlan {
        applied: changes(&keys, in_force, &config),
        pending_restart: changes(&keys, &config, &on_disk.config),
        config,
    }
}

fn changes(keys: &[Key], old: &Config, new: &Config) -> Vec<Change> {
    let change = |key: &Key| {
        let (old, new) = (key.get(old), key.get(new));
        (old != new).then(|| Change {
            key: key.name.clone(),
            old: old.to_string(),
            new: new.to_string(),
            takes_effect: key.takes_effect,
        })
    };
    keys.iter().filter_map(change).collect()
}
