//! The progress of hooks.

use rusqlite::{Connection, params};

use super::events;
use super::rows::encode;
use crate::decide::hook::HookState;
use crate::domain::event::EventKind;
use crate::queue::QueueError;

/// Returns the state of each hook. A record that cannot be read counts as a new hook's: only a later version
/// can have written it.
pub(super) fn read(c: &Connection) -> Result<Vec<HookState>, QueueError> {
    let records: Vec<String> = c
        .prepare_cached("SELECT record FROM hooks ORDER BY name")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(records.iter().filter_map(|record| serde_json::from_str(record).ok()).collect())
}

/// Stores the state of a hook that the queue has. If the retention has overtaken the hook meanwhile, the
/// stored cursor stays, and `false` is returned.
pub(super) fn record(c: &Connection, state: &HookState) -> Result<bool, QueueError> {
    let stored = read(c)?.into_iter().find(|stored| stored.name == state.name);
    match stored {
        Some(stored) if stored.overtaken != state.overtaken => Ok(false),
        Some(_) => store(c, state).map(|()| true),
        // The hook was removed from the configuration meanwhile.
        None => Ok(true),
    }
}

pub(super) fn store(c: &Connection, state: &HookState) -> Result<(), QueueError> {
    c.prepare_cached("INSERT OR REPLACE INTO hooks VALUES (?, ?)")?.execute(params![state.name, encode(state)?])?;
    Ok(())
}

/// Makes the queue have exactly these hooks. A new one gets the events from now on. Returns their states.
pub(super) fn set(c: &Connection, hooks: &[(String, Vec<EventKind>)]) -> Result<Vec<HookState>, QueueError> {
    let known = read(c)?;
    for gone in known.iter().filter(|known| !hooks.iter().any(|(name, _)| *name == known.name)) {
        c.execute("DELETE FROM hooks WHERE name = ?", [&gone.name])?;
    }
    let last = events::last_cursor(c)?;
    for (name, on) in hooks {
        match known.iter().find(|known| known.name == *name) {
            Some(same) if same.on == *on => {}
            Some(other) => store(c, &HookState { on: on.clone(), ..other.clone() })?,
            None => store(c, &HookState::new(name, on.clone(), last))?,
        }
    }
    read(c)
}
