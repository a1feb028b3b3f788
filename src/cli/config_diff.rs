//! `boi config diff`: compares the configuration file with the configuration in force.

use serde_json::json;

use super::in_force;
use super::printing::{print, print_json, print_line};
use super::{CliError, ExitCode, FAILED, NO_DAEMON, backend, block_on};
use crate::config::flags::Flags;
use crate::config::keys::Key;
use crate::domain::verdict::Change;
use crate::reload;
use crate::system::paths::Home;
use crate::ui::config_report::change_line;

/// A key of the file whose value has no effect, because the daemon's command line sets the key.
#[derive(serde::Serialize)]
struct Overridden {
    key: String,
    on_disk: String,
    in_force: String,
}

/// Carries out `boi config diff`.
pub(super) fn diff(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    // Waits for a daemon that is starting, and fails with the reason if a daemon cannot be reached.
    let runs = block_on(async { Ok(backend::daemon(home).await?.is_some()) })?;
    let daemon = if runs { in_force::ask(home)? } else { None };
    let Some(daemon) = daemon else {
        return Err(CliError::new(NO_DAEMON, "no daemon runs, so no configuration is in force")
            .hint("`boi config show` prints the values that a daemon would start with"));
    };
    let path = home.config_file();
    let on_disk = in_force::validate(Some(&daemon), &Flags::default(), |host| {
        reload::validate_on(host, &path, &reload::read(&path)?.0, None)
    });
    let (on_disk, _) = on_disk.map_err(|error| CliError::from(error).with_code(FAILED))?;
    let (mut changes, mut overridden) = (Vec::new(), Vec::new());
    for key in on_disk.keys() {
        let value = key.get(&on_disk.own);
        let flag = daemon.flag(&key);
        match (daemon.value(&key), flag) {
            // If the file does not set the key, it is expected that the command line overrides the default.
            (_, Some(flag)) if on_disk.is_set(&key) && in_force::differs(&value, flag) => {
                overridden.push(Overridden {
                    key: key.name.clone(),
                    on_disk: value.to_string(),
                    in_force: flag.to_owned(),
                });
            }
            (Some(old), None) if in_force::differs(&value, old) => changes.push(change(&key, old, &value.to_string())),
            _ => {}
        }
    }
    let generation = daemon.generation();
    if json {
        print_json(&json!({"generation": generation, "changes": changes, "overridden": overridden,
            "flags": daemon.flags()}))?;
    } else if changes.is_empty() && overridden.is_empty() {
        print_line(&format!("no differences: generation {generation} is in force"))?;
    } else {
        let changed = changes.iter().map(|change| format!("{}\n", change_line(change)));
        let kept = overridden.iter().map(|Overridden { key, on_disk, in_force }| {
            format!("  {key}: {in_force} -> {on_disk} ({})\n", in_force::overridden(in_force))
        });
        let lines: String = changed.chain(kept).collect();
        print(format!("in force (generation {generation}) -> on disk\n{lines}").as_bytes())?;
    }
    Ok(0)
}

fn change(key: &Key, old: &str, new: &str) -> Change {
    Change { key: key.name.clone(), old: old.to_owned(), new: new.to_owned(), takes_effect: key.takes_effect }
}
