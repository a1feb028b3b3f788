//! What differs between two configurations, and what a running daemon makes of it. Pure, and made from the key table.

use super::Config;
use super::keys::{KEYS, Key};
use crate::domain::verdict::{Change, TakesEffect};

/// What a running daemon does about a configuration that was read from disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// To be put in force: the new values, but the old ones of the keys that need a restart.
    pub config: Config,
    /// What that changes.
    pub applied: Vec<Change>,
    /// What waits for a restart. A value that was put back on disk is no longer among these.
    pub pending_restart: Vec<Change>,
}

/// The keys whose values differ, in the order of the key table.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    KEYS.iter().filter_map(|key| change(key, old, new)).collect()
}

/// What becomes of `on_disk` while `in_force` runs. A key that needs a restart never holds up the others.
pub fn plan(in_force: &Config, on_disk: &Config) -> Plan {
    let mut config = on_disk.clone();
    for key in KEYS.iter().filter(|key| key.takes_effect == TakesEffect::Restart) {
        key.set(&mut config, key.get(in_force));
    }
    let pending_restart = diff(&config, on_disk);
    Plan { applied: diff(in_force, &config), config, pending_restart }
}

fn change(key: &Key, old: &Config, new: &Config) -> Option<Change> {
    let (old, new) = (key.get(old), key.get(new));
    (old != new).then(|| Change {
        key: key.name.to_owned(),
        old: old.to_string(),
        new: new.to_string(),
        takes_effect: key.takes_effect,
    })
}
