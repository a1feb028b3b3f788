//! `boi config`: the daemon's own validator and its key table, from outside.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::args::Config as Asked;
use super::backend::Backend;
use super::config_set::Output;
use super::{
    CliError, Context, ExitCode, FAILED, NO_DAEMON, USAGE, block_on, config_set, print, print_json, print_line, reload,
};
use crate::config::flags::Flags;
use crate::config::keys::{self, KEYS, Key};
use crate::config::{Loaded, MAX_BYTES, Origin, schema};
use crate::control::wire::InForce;
use crate::document::problem::Problems;
use crate::domain::verdict::Change;
use crate::reload::{self as load_config, ConfigError};
use crate::ui;

/// What standard input is called in messages.
const STDIN: &str = "<stdin>";

/// `boi config`.
pub(super) fn carry_out(context: &Context, asked: Asked) -> Result<ExitCode, CliError> {
    if let Asked::Schema = asked {
        print_json(&schema::schema())?;
        return Ok(0);
    }
    context.home.check()?;
    match asked {
        Asked::Schema => unreachable!("carried out above"),
        Asked::Set { key, value, reload, json } => {
            let output = match (json, reload) {
                (true, true) => Output::Nothing,
                (true, false) => Output::Json,
                (false, _) => Output::Text,
            };
            let code = config_set::set(context, &key, &value, output)?;
            if reload { block_on(reload::reload(context, json)) } else { Ok(code) }
        }
        Asked::Diff { json } => block_on(diff(context, json)),
        Asked::Check { file, json } => check(context, file, json),
        Asked::Show { json, origin, flags } => show(&load_config::load(&context.home, &flags.read()?)?, json, origin),
        Asked::Get { key, json, origin, flags } => {
            get(&load_config::load(&context.home, &flags.read()?)?, &key, json, origin)
        }
    }
}

fn check(context: &Context, file: Option<PathBuf>, json: bool) -> Result<ExitCode, CliError> {
    let given = file.as_deref() == Some(Path::new("-"));
    let path = match file {
        Some(_) if given => PathBuf::from(STDIN),
        Some(path) if !path.exists() => {
            return Err(CliError::new(USAGE, format!("there is no file {}", path.display())));
        }
        Some(path) => path,
        None => context.home.config_file(),
    };
    let errors = |problems: &Problems| {
        if json {
            print_json(&json!({"file": path, "valid": false, "errors": problems.reports()}))
        } else {
            eprintln!("{}", problems.render(context.color));
            let count = problems.count();
            eprintln!("{count} error{}; a daemon would keep what it has", super::plural(count));
            Ok(())
        }
    };
    let flags = Flags::default();
    let loaded = match given {
        true => load_config::validate(&path, &standard_input()?, None, &flags),
        false => load_config::load_file(&path, &flags),
    };
    match loaded {
        Err(ConfigError::Invalid(problems)) => {
            errors(&problems)?;
            Ok(FAILED)
        }
        Err(error) => Err(error.into()),
        Ok((_, warnings)) => {
            if json {
                print_json(&json!({"file": path, "valid": true, "errors": [], "warnings": warnings}))?;
            } else {
                for warning in &warnings {
                    eprintln!("warning: {warning}");
                }
                let there = if given || path.exists() { "is valid" } else { "is not there: every key has its default" };
                print_line(&format!("{} {there}", path.display()))?;
            }
            Ok(0)
        }
    }
}

/// What is on standard input, one byte more than a configuration may have at the most: then the validator refuses it.
fn standard_input() -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| CliError::new(FAILED, format!("cannot read {STDIN}: {error}")))?;
    Ok(bytes)
}

fn show(loaded: &Loaded, json: bool, origin: bool) -> Result<ExitCode, CliError> {
    if json {
        let values: Map<String, Value> =
            KEYS.iter().map(|key| (key.name.to_owned(), described(loaded, key, origin))).collect();
        print_json(&values)?;
        return Ok(0);
    }
    let width = KEYS.iter().map(|key| key.name.len()).max().unwrap_or(0);
    for key in KEYS {
        let value = key.get(&loaded.config).to_string();
        let from = if origin { format!("  # {}", origin_name(loaded.origin(key))) } else { String::new() };
        print_line(&format!("{:width$} = {value}{from}", key.name))?;
    }
    Ok(0)
}

/// What differs between the file and what is in force.
async fn diff(context: &Context, json: bool) -> Result<ExitCode, CliError> {
    let Backend::Daemon(client) = Backend::find(&context.home).await? else {
        return Err(CliError::new(NO_DAEMON, "no daemon runs, so nothing is in force")
            .hint("`boi config show` shows what one would start with"));
    };
    let in_force: InForce = client.ask("/v1/config", &()).await?;
    let on_disk = match load_config::load(&context.home, &Flags::default()) {
        Ok(loaded) => loaded,
        Err(rejection) => {
            super::report(&rejection.into(), json, context.color);
            return Ok(FAILED);
        }
    };
    let changes: Vec<Change> = KEYS
        .iter()
        .filter(|key| !in_force.flags.iter().any(|flag| flag.split(" = ").next() == Some(key.name)))
        .filter_map(|key| {
            let (old, new) = (in_force.values.get(key.name)?.clone(), key.get(&on_disk.config).to_string());
            (old != new).then(|| Change { key: key.name.to_owned(), old, new, takes_effect: key.takes_effect })
        })
        .collect();
    if json {
        print_json(&json!({"generation": in_force.generation, "changes": changes, "flags": in_force.flags}))?;
    } else if changes.is_empty() {
        print_line(&format!("none: generation {} is what the file says", in_force.generation))?;
    } else {
        let lines: String = changes.iter().map(|change| format!("{}\n", ui::config::shown(change))).collect();
        print(format!("in force (generation {}) -> on disk\n{lines}", in_force.generation).as_bytes())?;
    }
    Ok(0)
}

/// The key of that name; the error says which was probably meant.
pub(super) fn known_key(name: &str) -> Result<&'static Key, CliError> {
    keys::find(name).map_err(|closest| {
        let error = CliError::new(USAGE, format!("there is no key `{name}`"));
        match closest {
            Some(closest) => error.hint(format!("did you mean `{closest}`?")),
            None => error.hint("`boi config show` lists every key"),
        }
    })
}

fn get(loaded: &Loaded, name: &str, json: bool, origin: bool) -> Result<ExitCode, CliError> {
    let key = known_key(name)?;
    if json {
        print_json(&described(loaded, key, origin))?;
        return Ok(0);
    }
    let value = key.get(&loaded.config);
    let text = match (serde_json::to_value(&value).ok(), origin) {
        // A lone text without its quotes is what a script wants.
        (Some(Value::String(text)), false) => text,
        (_, false) => value.to_string(),
        (_, true) => format!("{value}  # {}", origin_name(loaded.origin(key))),
    };
    print_line(&text)?;
    Ok(0)
}

fn described(loaded: &Loaded, key: &Key, origin: bool) -> Value {
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
