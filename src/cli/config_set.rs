//! `boi config set`: changes one key in the configuration file, and nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::json;

use super::config_show::find_key;
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, USAGE, block_on, daemon_reload};
use crate::config::edit::{self, EditError};
use crate::config::flags::Flags;
use crate::config::keys::Key;
use crate::domain::escape;
use crate::domain::verdict::Change;
use crate::reload::{self, FileState, OpenForWriting, ReplaceError};
use crate::system::files;
use crate::system::paths::Home;
use crate::ui::config_report::change_line;

/// How long to wait for another program that is writing the configuration file.
const WRITER_PATIENCE: Duration = Duration::from_secs(5);
const WRITER_POLL: Duration = Duration::from_millis(20);

/// Carries out `boi config set`. `with_reload`: also waits for the daemon's verdict on the new file, and
/// prints it.
pub(super) fn set(home: &Home, name: &str, value: &str, with_reload: bool, json: bool) -> Result<ExitCode, CliError> {
    let key = find_key(name)?;
    let path = home.config_file();
    let result = change_file(home, &path, key, value)?;
    if with_reload {
        if !json {
            print_change(key, &result)?;
        }
        return block_on(daemon_reload::reload(home, json));
    }
    if json {
        let FileChange { old, new, written, warnings, .. } = result;
        print_json(&json!({"file": path, "key": key.name, "old": old, "new": new, "written": written,
            "takes_effect": key.takes_effect, "warnings": warnings}))?;
    } else {
        print_change(key, &result)?;
    }
    Ok(0)
}

/// The change that was made to the configuration file.
struct FileChange {
    /// The value before the change; `None`: the file was invalid before the change.
    old: Option<String>,
    new: String,
    /// Whether the file was written; `false`: the key had this value already.
    written: bool,
    warnings: Vec<String>,
    /// The warnings that the file did not cause before the change.
    new_warnings: Vec<String>,
}

fn change_file(home: &Home, path: &Path, key: &'static Key, value: &str) -> Result<FileChange, CliError> {
    let no_flags = Flags::default();
    home.prepare_records()?;
    // This lock makes concurrent commands take turns, so each command changes the file that the previous one
    // wrote.
    let lock = files::private_file(&home.config_lock())?;
    flock(&lock, FlockOperation::LockExclusive).map_err(std::io::Error::from)?;
    let (stamp, bytes) = read_when_settled(path)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let (before, old_warnings) = match reload::validate(path, &bytes, None, &no_flags) {
        Ok((loaded, warnings)) => (Some(loaded.config), warnings),
        Err(_) => (None, Vec::new()),
    };
    let edited = edit::set(text, key, value).map_err(|error| match error {
        EditError::Syntax => syntax_error(path, &bytes),
        EditError::Value { .. } => CliError::new(USAGE, error.to_string()),
        EditError::NotATable { .. } => CliError::new(USAGE, format!("cannot change {}: {error}", path.display())),
    })?;
    let (after, warnings) = reload::validate(path, edited.as_bytes(), before.as_ref(), &no_flags)?;
    let written = edited.as_bytes() != bytes;
    if written {
        reload::replace(path, &stamp, edited.as_bytes()).map_err(replace_error)?;
    }
    Ok(FileChange {
        old: before.as_ref().map(|before| key.get(before).to_string()),
        new: key.get(&after.config).to_string(),
        written,
        new_warnings: warnings.iter().filter(|warning| !old_warnings.contains(warning)).cloned().collect(),
        warnings,
    })
}

/// Reads the file once no other program is writing it. The returned stamp is taken before the content is
/// read, so replacing the file fails if the file changes in between.
fn read_when_settled(path: &Path) -> Result<(FileState, Vec<u8>), CliError> {
    let until = Instant::now() + WRITER_PATIENCE;
    loop {
        let stamp = FileState::of(path);
        let (bytes, writer) = reload::read(path)?;
        if writer != OpenForWriting::Yes {
            return Ok((stamp, bytes));
        }
        if Instant::now() >= until {
            let message = format!("another program is writing {}, so nothing was changed", path.display());
            return Err(
                CliError::new(FAILED, message).hint("run this command again when that program has saved the file")
            );
        }
        std::thread::sleep(WRITER_POLL);
    }
}

/// Returns the errors of a file that cannot be edited because it is not TOML.
fn syntax_error(path: &Path, bytes: &[u8]) -> CliError {
    match reload::validate(path, bytes, None, &Flags::default()) {
        Err(error) => error.into(),
        Ok(_) => {
            CliError::new(FAILED, format!("cannot change {}: it is not plain TOML; edit it by hand", path.display()))
        }
    }
}

fn replace_error(error: ReplaceError) -> CliError {
    let plain = CliError::new(FAILED, error.to_string());
    match &error {
        ReplaceError::Changed { .. } => plain.hint("check what the file says now, then run this command again"),
        ReplaceError::Io { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => {
            plain.hint("the file is a mount point, so it cannot be replaced: edit it in place")
        }
        ReplaceError::Linked { .. } | ReplaceError::Io { .. } => plain,
    }
}

fn print_change(key: &'static Key, result: &FileChange) -> Result<(), CliError> {
    for warning in &result.new_warnings {
        eprintln!("warning: {}", escape::escaped_lines(warning));
    }
    let new = result.new.clone();
    match &result.old {
        _ if !result.written => print_line(&format!("{} is {new} already", key.name)),
        Some(old) => {
            let change = Change { key: key.name.clone(), old: old.clone(), new, takes_effect: key.takes_effect };
            print_line(change_line(&change).trim_start())
        }
        None => print_line(&format!("{}: {new}", key.name)),
    }
}
