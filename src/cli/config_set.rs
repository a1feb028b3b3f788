//! `boi config set` and `unset`: change one key in the configuration file, and nothing else.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::json;

use super::config_show::find_key;
use super::in_force::{self, InForce};
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, GAVE_UP, USAGE, block_on, daemon_reload};
use crate::config::edit::{self, EditError};
use crate::config::flags::Flags;
use crate::config::keys::Key;
use crate::domain::verdict::Change;
use crate::process::procfs;
use crate::reload::{self, FileState, OpenForWriting, ReplaceError};
use crate::system::files;
use crate::system::output::say;
use crate::system::paths::Home;
use crate::ui::config_report::change_line;

/// How long to wait for another program that is writing the configuration file.
const WRITER_PATIENCE: Duration = Duration::from_secs(5);
const WRITER_POLL: Duration = Duration::from_millis(20);
/// When a command that waits for another `boi config set` says so, and when it gives up.
const TURN_SAID_AFTER: Duration = Duration::from_secs(5);
const TURN_PATIENCE: Duration = Duration::from_secs(30);
/// The largest size of a lock file with a pid, in bytes.
const MAX_PID: usize = 64;

/// A change of one key.
pub(super) enum Edit {
    /// Sets the key to this value.
    Set(String),
    /// Removes the key, so that it has its default.
    Unset,
}

/// Splits the arguments of `boi config set`, which takes `KEY VALUE` and `KEY=VALUE`.
pub(super) fn key_and_value(key: &str, value: Option<String>) -> Result<(&str, String), CliError> {
    match (value, key.split_once('=')) {
        (Some(value), _) => Ok((key, value)),
        (None, Some((key, value))) => Ok((key.trim(), value.to_owned())),
        (None, None) => Err(CliError::new(USAGE, format!("no value is given for `{key}`"))
            .hint(format!("write `boi config set {key} VALUE`; `boi config unset {key}` puts the default back"))),
    }
}

/// Carries out `boi config set` and `boi config unset`. `with_reload`: also waits for the daemon's verdict on
/// the new file, and prints it.
pub(super) fn change(
    home: &Home,
    name: &str,
    edit: &Edit,
    with_reload: bool,
    json: bool,
) -> Result<ExitCode, CliError> {
    let key = &find_key(name)?;
    let path = home.config_file();
    let daemon = in_force::ask(home)?;
    let result = change_file(home, &path, key, edit, daemon.as_ref())?;
    if with_reload {
        if !json {
            print_change(key, &result, daemon.as_ref())?;
        }
        return block_on(daemon_reload::reload_own_write(home, json));
    }
    if json {
        let overridden = daemon.as_ref().and_then(|daemon| daemon.flag(key));
        let FileChange { old, new, written, warnings, .. } = &result;
        print_json(&json!({"file": path, "key": key.name, "old": old, "new": new, "written": written,
            "takes_effect": key.takes_effect, "warnings": warnings, "overridden_by": overridden}))?;
    } else {
        print_change(key, &result, daemon.as_ref())?;
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

fn change_file(
    home: &Home,
    path: &Path,
    key: &Key,
    edit: &Edit,
    daemon: Option<&InForce>,
) -> Result<FileChange, CliError> {
    let flags = daemon.map(InForce::own_flags).unwrap_or_default();
    home.prepare_records()?;
    // This lock makes concurrent commands take turns, so each command changes the file that the previous one
    // wrote.
    let _turn = take_turn(&home.config_lock())?;
    let (stamp, bytes) = read_when_settled(path)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let validate = |bytes: &[u8], in_force: Option<&crate::config::Config>| {
        in_force::validate(daemon, &flags, |host| reload::validate_on(host, path, bytes, in_force))
    };
    let (before, old_warnings) = match validate(&bytes, None) {
        Ok((loaded, warnings)) => (Some(loaded), warnings),
        Err(_) => (None, Vec::new()),
    };
    let edited = match edit {
        Edit::Set(value) => edit::set(text, key, value),
        Edit::Unset => edit::unset(text, key).map(|edited| edited.unwrap_or_else(|| text.to_owned())),
    };
    let edited = edited.map_err(|error| match error {
        EditError::Syntax => syntax_error(path, &bytes),
        EditError::Value { .. } => CliError::new(USAGE, error.to_string()),
        EditError::NotATable { .. } => CliError::new(USAGE, format!("cannot change {}: {error}", path.display())),
    })?;
    // The file is compared with the configuration in force, so that this command fails if the daemon would
    // reject the file.
    let in_force = daemon.and_then(InForce::config);
    let (after, warnings) =
        validate(edited.as_bytes(), in_force.as_ref().or(before.as_ref().map(|before| &before.config)))?;
    let written = edited.as_bytes() != bytes;
    if written {
        reload::replace(path, &stamp, edited.as_bytes()).map_err(replace_error)?;
    }
    Ok(FileChange {
        old: before.as_ref().map(|before| key.get(&before.own).to_string()),
        new: key.get(&after.own).to_string(),
        written,
        new_warnings: warnings.iter().filter(|warning| !old_warnings.contains(warning)).cloned().collect(),
        warnings,
    })
}

/// Waits until no other command is changing the configuration, and locks the lock file. The file contains the
/// pid of the command that holds the lock.
fn take_turn(path: &Path) -> Result<File, CliError> {
    let mut lock = files::private_file(path)?;
    let (begun, mut said) = (Instant::now(), false);
    while let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(std::io::Error::from(error).into());
        }
        let waited = begun.elapsed();
        if waited >= TURN_PATIENCE {
            let message =
                format!("{} has been changing the configuration for {} s", holder(path), TURN_PATIENCE.as_secs());
            return Err(
                CliError::new(GAVE_UP, message).hint("nothing was changed; end that command, or let it continue")
            );
        }
        if waited >= TURN_SAID_AFTER && !std::mem::replace(&mut said, true) {
            say!("waiting for {}, which is changing the configuration", holder(path));
        }
        std::thread::sleep(WRITER_POLL);
    }
    // Only messages use the pid.
    let record = lock
        .set_len(0)
        .and_then(|()| lock.seek(SeekFrom::Start(0)))
        .and_then(|_| write!(lock, "{}", std::process::id()));
    drop(record);
    Ok(lock)
}

/// Describes the command that holds the lock.
fn holder(path: &Path) -> String {
    let bytes = files::read_user_file(path, MAX_PID).ok().flatten().unwrap_or_default();
    match String::from_utf8_lossy(&bytes).trim().parse() {
        Ok(pid) if procfs::is_stopped(pid) => {
            format!("another boi (pid {pid}, stopped: `kill -CONT {pid}` continues it)")
        }
        Ok(pid) => format!("another boi (pid {pid})"),
        Err(_) => "another boi".to_owned(),
    }
}

/// Reads the file when no other program is writing it. Also returns the file's state from before the read,
/// with which [`reload::replace`] refuses to overwrite a later change.
fn read_when_settled(path: &Path) -> Result<(FileState, Vec<u8>), CliError> {
    let until = Instant::now() + WRITER_PATIENCE;
    // If the file system of a foreign mount does not answer, this read fails after a bounded time.
    reload::read(path)?;
    loop {
        let stamp = FileState::anywhere(path);
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
        Ok(_) => CliError::new(
            FAILED,
            format!(
                "cannot change {}: the file is valid, but boi's TOML editor cannot parse it; edit the file by hand",
                path.display()
            ),
        ),
    }
}

fn replace_error(error: ReplaceError) -> CliError {
    let plain = CliError::new(FAILED, error.to_string());
    match &error {
        ReplaceError::Changed { .. } => plain.hint("check what the file says now, then run this command again"),
        ReplaceError::Io { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => {
            plain.hint("the file is a mount point, so it cannot be replaced: edit it in place")
        }
        _ => plain,
    }
}

fn print_change(key: &Key, result: &FileChange, daemon: Option<&InForce>) -> Result<(), CliError> {
    for warning in &result.new_warnings {
        say!("warning: {warning}");
    }
    let new = result.new.clone();
    if let Some(flag) = daemon.and_then(|daemon| daemon.flag(key)) {
        let old = result.old.as_ref().map(|old| format!("{old} -> ")).unwrap_or_default();
        return print_line(&format!("{}: {old}{new} ({})", key.name, in_force::overridden(flag)));
    }
    match &result.old {
        _ if !result.written => print_line(&format!("{} is {new} already", key.name)),
        Some(old) if old == &new => print_line(&format!("{}: {new}", key.name)),
        Some(old) => {
            let change = Change { key: key.name.clone(), old: old.clone(), new, takes_effect: key.takes_effect };
            // Without a daemon, the next one starts with the new value.
            let line = if daemon.is_some() { change_line(&change) } else { change.to_string() };
            print_line(line.trim_start())
        }
        None => print_line(&format!("{}: {new}", key.name)),
    }
}
