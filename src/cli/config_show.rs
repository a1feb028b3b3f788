//! `boi config show`, `get` and `schema`: print the values of keys, and where each value comes from.

use serde_json::{Map, Value, json};

use super::in_force::{self, InForce};
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, USAGE};
use crate::config::flags::Flags;
use crate::config::keys::{self, Key, keys_of};
use crate::config::{Loaded, MAX_BYTES, Origin, schema};
use crate::reload::{self, ConfigError};
use crate::system::files;
use crate::system::output::say;
use crate::system::paths::Home;

pub(super) fn print_schema() -> Result<ExitCode, CliError> {
    print_json(&schema::schema())?;
    Ok(0)
}

/// Carries out `boi config show`.
pub(super) fn show(home: &Home, flags: &Flags, json: bool, origin: bool) -> Result<ExitCode, CliError> {
    let daemon = in_force::ask(home)?;
    let daemon = daemon.as_ref();
    let loaded = match load(home, flags, daemon) {
        Ok(loaded) => loaded,
        Err(error) => return show_without_file(home, error, daemon, json),
    };
    if json {
        let value = |key: &Key| (key.name.clone(), key_as_json(&loaded, key, origin, daemon));
        let values: Map<String, Value> = keys_of(&loaded.config).iter().map(value).collect();
        print_json(&values)?;
        return Ok(0);
    }
    let keys = keys_of(&loaded.config);
    for key in &keys {
        let from = origin.then(|| origin_name(loaded.origin(key)).to_owned());
        let notes = [from, overridden(&loaded, key, daemon).map(in_force::overridden)];
        let notes = notes.into_iter().flatten().collect::<Vec<_>>().join("; ");
        print_row(key, &key.get(&loaded.config), &notes, width_of(&keys))?;
    }
    Ok(0)
}

/// Prints values while the file is invalid: the values in force, or, if no daemon runs, the values with which
/// a daemon would start.
fn show_without_file(
    home: &Home,
    error: ConfigError,
    daemon: Option<&InForce>,
    json: bool,
) -> Result<ExitCode, CliError> {
    let kept = || files::read_user_file(&home.last_good_config(), MAX_BYTES).ok().flatten();
    let (config, which) = match daemon {
        Some(daemon) => (daemon.config(), format!("in force (generation {})", daemon.generation())),
        None => {
            let valid = kept()
                .and_then(|bytes| reload::validate(&home.last_good_config(), &bytes, None, &Flags::default()).ok());
            (
                valid.map(|(loaded, _)| loaded.config),
                "of the last good configuration, with which a daemon would start".to_owned(),
            )
        }
    };
    let Some(config) = config else { return Err(error.into()) };
    say!("warning: {}", error.lines().join("\nwarning: "));
    say!("warning: {} cannot be used: these are the values {which}", home.config_file().display());
    if json {
        let value = |key: &Key| (key.name.clone(), json!(key.get(&config)));
        let values: Map<String, Value> = keys_of(&config).iter().map(value).collect();
        print_json(&values)?;
        return Ok(0);
    }
    let keys = keys_of(&config);
    for key in &keys {
        print_row(key, &key.get(&config), "", width_of(&keys))?;
    }
    Ok(0)
}

/// Returns the length of the longest key name.
fn width_of(keys: &[Key]) -> usize {
    keys.iter().map(|key| key.name.len()).max().unwrap_or(0)
}

fn print_row(key: &Key, value: &keys::Value, note: &str, width: usize) -> Result<(), CliError> {
    let note = if note.is_empty() { String::new() } else { format!("  # {note}") };
    print_line(&format!("{:width$} = {value}{note}", key.name))
}

/// Loads the file as the daemon would, with the values of this command's own command line.
fn load(home: &Home, flags: &Flags, daemon: Option<&InForce>) -> Result<Loaded, ConfigError> {
    let path = home.config_file();
    let (bytes, _) = reload::read(&path)?;
    in_force::validate(daemon, flags, |host| reload::validate_on(host, &path, &bytes, None)).map(|(loaded, _)| loaded)
}

/// Returns the value that the daemon's command line sets for `key`, if that value overrides the one of this
/// command.
fn overridden<'d>(loaded: &Loaded, key: &Key, daemon: Option<&'d InForce>) -> Option<&'d str> {
    let flag = daemon?.flag(key)?;
    (loaded.origin(key) != Origin::Flag && in_force::differs(&key.get(&loaded.config), flag)).then_some(flag)
}

/// Carries out `boi config get`.
pub(super) fn get(home: &Home, flags: &Flags, name: &str, json: bool, origin: bool) -> Result<ExitCode, CliError> {
    let key = &find_key(name)?;
    let daemon = in_force::ask(home)?;
    let daemon = daemon.as_ref();
    let loaded = &load(home, flags, daemon)?;
    if let Some(flag) = overridden(loaded, key, daemon) {
        say!("note: {} is {}", key.name, in_force::overridden(flag));
    }
    if json {
        print_json(&key_as_json(loaded, key, origin, daemon))?;
        return Ok(0);
    }
    let value = key.get(&loaded.config);
    let text = match (serde_json::to_value(&value).ok(), origin) {
        // A string is printed without quotes, for scripts.
        (Some(Value::String(text)), false) => text,
        (_, false) => value.to_string(),
        (_, true) => format!("{value}  # {}", origin_name(loaded.origin(key))),
    };
    print_line(&text)?;
    Ok(0)
}

/// Returns the key with this name. If there is none, the error suggests the key with the closest name.
pub(super) fn find_key(name: &str) -> Result<Key, CliError> {
    keys::find(name).map_err(|closest| {
        let error = CliError::new(USAGE, format!("there is no configuration key `{name}`"));
        match closest {
            Some(closest) => error.hint(format!("did you mean `{closest}`?")),
            None => error.hint("`boi config show` lists every key"),
        }
    })
}

fn key_as_json(loaded: &Loaded, key: &Key, origin: bool, daemon: Option<&InForce>) -> Value {
    let value = json!(key.get(&loaded.config));
    if !origin {
        return value;
    }
    json!({"value": value, "origin": origin_name(loaded.origin(key)), "overridden_by": overridden(loaded, key, daemon)})
}

fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Default => "default",
        Origin::File => "file",
        Origin::Environment => "environment",
        Origin::Flag => "flag",
    }
}
