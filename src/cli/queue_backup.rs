//! `boi queue backup`: copies the queue's database while it is in use.

use std::path::Path;

use serde_json::json;

use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, backend};
use crate::queue::open;
use crate::queue::sqlite::OpenError;
use crate::system::files;
use crate::system::paths::Home;

/// Carries out `boi queue backup`.
pub(super) fn back_up(home: &Home, file: &Path, json: bool) -> Result<ExitCode, CliError> {
    let home = backend::configured(home);
    open::back_up(&home, file).map_err(|error| match error {
        OpenError::Missing { .. } => CliError::new(FAILED, error.to_string()).hint("there is nothing to back up yet"),
        error => error.into(),
    })?;
    let bytes = files::size(file)?;
    if json {
        print_json(&json!({"file": std::path::absolute(file)?, "bytes": bytes}))?;
    } else {
        print_line(&format!("copied the queue to {} ({bytes} bytes)", file.display()))?;
    }
    Ok(0)
}
