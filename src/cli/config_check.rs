//! `boi config check`: runs the daemon's validator on any file.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::printing::{plural, print_json, print_line};
use super::{CliError, ExitCode, FAILED, USAGE};
use crate::config::MAX_BYTES;
use crate::config::flags::Flags;
use crate::document::problem::Problems;
use crate::domain::escape;
use crate::reload::{self, ConfigError};
use crate::system::paths::Home;

/// The name of standard input in messages.
const STDIN: &str = "<stdin>";

/// Carries out `boi config check`.
pub(super) fn check(home: &Home, file: Option<PathBuf>, json: bool) -> Result<ExitCode, CliError> {
    let from_stdin = file.as_deref() == Some(Path::new("-"));
    let path = match file {
        Some(_) if from_stdin => PathBuf::from(STDIN),
        Some(path) if !path.exists() => {
            return Err(CliError::new(USAGE, format!("there is no file {}", path.display())));
        }
        Some(path) => path,
        None => home.config_file(),
    };
    let flags = Flags::default();
    let loaded = match from_stdin {
        true => reload::validate(&path, &read_stdin()?, None, &flags),
        false => reload::load_file(&path, &flags),
    };
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
                    eprintln!("warning: {}", escape::escaped_lines(warning));
                }
                let exists = from_stdin || path.exists();
                let result = if exists { "is valid" } else { "does not exist: every key has its default" };
                print_line(&format!("{} {result}", path.display()))?;
            }
            Ok(0)
        }
    }
}

fn print_problems(path: &Path, problems: &Problems, json: bool) -> Result<(), CliError> {
    if json {
        return print_json(&json!({"file": path, "valid": false, "errors": problems.reports()}));
    }
    anstream::eprintln!("{}", escape::escaped_styled(&problems.render(true)));
    let count = problems.count();
    eprintln!("{count} error{}; a daemon would reject this file", plural(count));
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
