//! `boi config show`, `get` and `schema`: print the values of keys, and where each value comes from.

use serde_json::{Map, Value, json};

use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, USAGE};
use crate::config::flags::Flags;
use crate::config::keys::{self, KEYS, Key};
use crate::config::{Loaded, Origin, schema};
use crate::reload;
use crate::system::paths::Home;

pub(super) fn print_schema() -> Result<ExitCode, CliError> {
    print_json(&schema::schema())?;
    Ok(0)
}

/// Carries out `boi config show`.
pub(super) fn show(home: &Home, flags: &Flags, json: bool, origin: bool) -> Result<ExitCode, CliError> {
    let loaded = &reload::load(home, flags)?;
    if json {
        let values: Map<String, Value> =
            KEYS.iter().map(|key| (key.name.clone(), key_as_json(loaded, key, origin))).collect();
        print_json(&values)?;
        return Ok(0);
    }
    let width = KEYS.iter().map(|key| key.name.len()).max().unwrap_or(0);
    for key in KEYS.iter() {
        let value = key.get(&loaded.config).to_string();
        let from = if origin { format!("  # {}", origin_name(loaded.origin(key))) } else { String::new() };
        print_line(&format!("{:width$} = {value}{from}", key.name))?;
    }
    Ok(0)
}

/// Carries out `boi config get`.
pub(super) fn get(home: &Home, flags: &Flags, name: &str, json: bool, origin: bool) -> Result<ExitCode, CliError> {
    let loaded = &reload::load(home, flags)?;
    let key = find_key(name)?;
    if json {
        print_json(&key_as_json(loaded, key, origin))?;
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
pub(super) fn find_key(name: &str) -> Result<&'static Key, CliError> {
    keys::find(name).map_err(|closest| {
        let error = CliError::new(USAGE, format!("there is no configuration key `{name}`"));
        match closest {
            Some(closest) => error.hint(format!("did you mean `{closest}`?")),
            None => error.hint("`boi config show` lists every key"),
        }
    })
}

fn key_as_json(loaded: &Loaded, key: &Key, origin: bool) -> Value {
    let value = json!(key.get(&loaded.config));
    if origin { json!({"value": value, "origin": origin_name(loaded.origin(key))}) } else { value }
}

fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Default => "default",
        Origin::File => "file",
        Origin::Environment => "environment",
        Origin::Flag => "flag",
    }
}
