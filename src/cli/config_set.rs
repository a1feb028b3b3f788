//! `boi config set`: one key changed in the file, and nothing else.

use std::time::{Duration, Instant};

use serde_json::json;

use super::config::known_key;
use super::{CliError, Context, ExitCode, FAILED, USAGE, print_json, print_line};
use crate::config::edit::{self, EditError};
use crate::config::flags::Flags;
use crate::reload;
use crate::reload::file::{self, ReplaceError, Stamp};
use crate::reload::settle::Writer;
use crate::system::files;
use crate::ui;

/// How long a program that writes the file is waited for.
const WRITER: Duration = Duration::from_secs(5);

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Text,
    Json,
    /// The verdict that follows says it.
    Nothing,
}

/// `boi config set`, without its `--reload`.
pub(super) fn set(context: &Context, name: &str, raw: &str, output: Output) -> Result<ExitCode, CliError> {
    let (key, none) = (known_key(name)?, Flags::default());
    let path = context.home.config_file();
    context.home.prepare_records()?;
    // One after another: each change is made to what the one before has written.
    let lock = files::private_file(&context.home.config_lock())?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(std::io::Error::from)?;
    let (stamp, bytes) = settled(&path)?;
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
        file::replace(&path, &stamp, edited.as_bytes()).map_err(|error| {
            let plain = CliError::new(FAILED, error.to_string());
            match &error {
                ReplaceError::Changed { .. } => plain.hint("look at what it says now, then say it again"),
                ReplaceError::Linked { .. } => plain,
                ReplaceError::Io { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => {
                    plain.hint("a file that is mounted by itself has to be edited in place")
                }
                ReplaceError::Io { .. } => plain,
            }
        })?;
    }
    if output == Output::Nothing {
        return Ok(0);
    }
    if output == Output::Json {
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
            print_line(ui::config::shown(&change).trim_start())?;
        }
        (true, None) => print_line(&format!("{}: {new}", key.name))?,
    }
    Ok(0)
}

/// What nobody is writing; the stamp is older than the reading, so that what is read is what is replaced.
fn settled(path: &std::path::Path) -> Result<(Stamp, Vec<u8>), CliError> {
    let until = Instant::now() + WRITER;
    loop {
        let stamp = Stamp::of(path);
        let (bytes, writer) = reload::read(path)?;
        if writer != Writer::Somebody {
            return Ok((stamp, bytes));
        }
        if Instant::now() >= until {
            let message = format!("another program is writing {}: nothing was changed", path.display());
            return Err(CliError::new(FAILED, message).hint("say it again when that program has saved"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
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
