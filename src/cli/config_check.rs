//! `boi config check`: runs the daemon's validator on any file.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::in_force::{self, InForce};
use super::printing::{plural, print_json, print_line};
use super::{CliError, ExitCode, FAILED, USAGE};
use crate::config::MAX_BYTES;
use crate::document::problem::Problems;
use crate::reload::{self, ConfigError};
use crate::system::output::{say, write_styled_error_line};
use crate::system::paths::Home;

/// The name of standard input in messages.
const STDIN: &str = "<stdin>";

/// Carries out `boi config check`.
pub(super) fn check(home: &Home, file: Option<PathBuf>, json: bool) -> Result<ExitCode, CliError> {
    let is_own = file.is_none();
    let from_stdin = file.as_deref() == Some(Path::new("-"));
    let path = match file {
        Some(_) if from_stdin => PathBuf::from(STDIN),
        Some(path) if is_missing(&path) => {
            return Err(CliError::new(USAGE, format!("there is no file {}", path.display())));
        }
        Some(path) => path,
        None => home.config_file(),
    };
    let daemon = in_force::ask(home)?;
    // The daemon rejects a change to a program that it cannot execute. This applies only to the home's own
    // configuration file, which the daemon reads next.
    let in_force = daemon.as_ref().filter(|_| is_own).and_then(InForce::config);
    let bytes = if from_stdin { read_stdin()? } else { reload::read(&std::path::absolute(&path)?)?.0 };
    let is_missing = !from_stdin && is_missing(&path);
    let flags = daemon.as_ref().map(InForce::own_flags).unwrap_or_default();
    let loaded =
        in_force::validate(daemon.as_ref(), &flags, |host| reload::validate_on(host, &path, &bytes, in_force.as_ref()));
    match loaded {
        Err(ConfigError::Invalid(problems)) => {
            print_problems(&path, &problems, json)?;
            Ok(FAILED)
        }
        Err(error) => Err(error.into()),
        Ok((loaded, warnings)) => {
            home.clone().with_paths(&loaded.config.paths).check_places()?;
            if json {
                print_json(&json!({"file": path, "valid": true, "errors": [], "warnings": warnings}))?;
            } else {
                for warning in &warnings {
                    say!("warning: {warning}");
                }
                let result = if !is_missing { "is valid" } else { "does not exist: every key has its default" };
                print_line(&format!("{} {result}", path.display()))?;
            }
            Ok(0)
        }
    }
}

/// Returns whether there is no file at `path`. Does not access a file on a foreign mount, whose file system
/// may not answer.
fn is_missing(path: &Path) -> bool {
    std::path::absolute(path).is_ok_and(|path| reload::foreign_mount_of(&path).is_none()) && !path.exists()
}

fn print_problems(path: &Path, problems: &Problems, json: bool) -> Result<(), CliError> {
    if json {
        return print_json(&json!({"file": path, "valid": false, "errors": problems.reports()}));
    }
    write_styled_error_line(format_args!("{}", problems.render(true)));
    let count = problems.count();
    say!("{count} error{}; a daemon would reject this file", plural(count));
    Ok(())
}

/// Reads standard input, up to one byte more than the longest valid configuration, so that the validator
/// refuses longer input.
fn read_stdin() -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| CliError::new(FAILED, format!("cannot read {STDIN}: {error}")))?;
    Ok(bytes)
}
