//! `boi config set`: one key changed in the file, and nothing else.

use serde_json::json;

use super::config::known_key;
use super::{CliError, Context, ExitCode, FAILED, USAGE, print_json, print_line};
use crate::config::MAX_BYTES;
use crate::config::edit::{self, EditError};
use crate::config::flags::Flags;
use crate::daemon::reload;
use crate::host::config_file::{self, ReplaceError, Stamp};
use crate::host::files;
use crate::tui;

/// `boi config set`, without its `--reload`.
pub(super) fn set(context: &Context, name: &str, raw: &str, json: bool) -> Result<ExitCode, CliError> {
    let (key, none) = (known_key(name)?, Flags::default());
    let path = context.home.config_file();
    // What is read is what is replaced: the stamp is older than the reading.
    let stamp = Stamp::of(&path);
    let bytes = files::read_users(&path, MAX_BYTES)
        .map_err(|error| CliError::new(FAILED, format!("cannot read {}: {error}", path.display())))?
        .unwrap_or_default();
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let (before, known) = match reload::validate(&path, &bytes, None, &none) {
        Ok((loaded, warnings)) => (Some(loaded.config), warnings),
        Err(_) => (None, Vec::new()),
    };
    let edited = match edit::set(text, key, raw) {
        Ok(edited) => edited,
        Err(EditError::Syntax) => return Err(syntax(&path, &bytes)),
        Err(error @ EditError::Value { .. }) => return Err(CliError::new(USAGE, error.to_string())),
        Err(error @ EditError::NotATable { .. }) => {
            return Err(CliError::new(USAGE, format!("cannot change {}: {error}", path.display())));
        }
    };
    let (after, warnings) =
        reload::validate(&path, edited.as_bytes(), before.as_ref(), &none).map_err(CliError::from)?;
    let old = before.as_ref().map(|before| key.get(before).to_string());
    let new = key.get(&after.config).to_string();
    let written = edited.as_bytes() != bytes;
    if written {
        context.home.prepare()?;
        config_file::replace(&path, &stamp, edited.as_bytes()).map_err(|error| {
            let plain = CliError::new(FAILED, error.to_string());
            match error {
                ReplaceError::Changed { .. } => plain.hint("look at what it says now, then say it again"),
                ReplaceError::Linked { .. } => plain,
                ReplaceError::Io { .. } => plain.hint("a file that is mounted by itself has to be edited in place"),
            }
        })?;
    }
    if json {
        print_json(&json!({"file": path, "key": key.name, "old": old, "new": new, "written": written,
            "takes_effect": key.takes_effect, "warnings": warnings}))?;
        return Ok(0);
    }
    for warning in warnings.iter().filter(|warning| !known.contains(warning)) {
        eprintln!("warning: {warning}");
    }
    match (written, old) {
        (false, _) => print_line(&format!("{} is {new} already", key.name))?,
        (true, Some(old)) => {
            let change =
                crate::domain::verdict::Change { key: key.name.to_owned(), old, new, takes_effect: key.takes_effect };
            print_line(tui::config::shown(&change).trim_start())?;
        }
        (true, None) => print_line(&format!("{}: {new}", key.name))?,
    }
    Ok(0)
}

/// The file was not valid before: its own errors say where.
fn syntax(path: &std::path::Path, bytes: &[u8]) -> CliError {
    match reload::validate(path, bytes, None, &Flags::default()) {
        Err(error) => error.into(),
        Ok(_) => {
            CliError::new(FAILED, format!("cannot change {}: it is not plain TOML; edit it by hand", path.display()))
        }
    }
}
