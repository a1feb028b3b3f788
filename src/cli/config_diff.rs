//! `boi config diff`: compares the configuration file with the configuration in force.

use serde_json::json;

use super::backend::Backend;
use super::printing::{print, print_json, print_line};
use super::{CliError, ExitCode, FAILED, NO_DAEMON};
use crate::config::flags::Flags;
use crate::config::keys::Key;
use crate::control::calls::GetConfig;
use crate::domain::verdict::Change;
use crate::reload;
use crate::system::paths::Home;
use crate::ui::config_report::change_line;

/// Carries out `boi config diff`.
pub(super) async fn diff(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    let Backend::Daemon(client) = Backend::find(home).await? else {
        return Err(CliError::new(NO_DAEMON, "no daemon runs, so no configuration is in force")
            .hint("`boi config show` shows what a daemon would start with"));
    };
    let in_force = client.call(&GetConfig).await?;
    let on_disk = reload::load(home, &Flags::default()).map_err(|error| CliError::from(error).with_code(FAILED))?;
    // The file does not affect keys that the daemon's command line sets.
    let is_set_by_flag = |key: &Key| in_force.flags.iter().any(|flag| flag.split(" = ").next() == Some(&key.name));
    let changes: Vec<Change> = on_disk
        .keys()
        .filter(|key| !is_set_by_flag(key) && !key.other_name().is_some_and(is_set_by_flag))
        .filter_map(|key| {
            let (old, new) = (in_force.values.get(&key.name)?.clone(), key.get(&on_disk.config).to_string());
            (old != new).then(|| Change { key: key.name.clone(), old, new, takes_effect: key.takes_effect })
        })
        .collect();
    if json {
        print_json(&json!({"generation": in_force.generation, "changes": changes, "flags": in_force.flags}))?;
    } else if changes.is_empty() {
        print_line(&format!(
            "config.toml does not differ from the configuration in force (generation {})",
            in_force.generation
        ))?;
    } else {
        let lines: String = changes.iter().map(|change| format!("{}\n", change_line(change))).collect();
        print(format!("in force (generation {}) -> on disk\n{lines}", in_force.generation).as_bytes())?;
    }
    Ok(0)
}
