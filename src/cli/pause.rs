//! `boi pause`: stops the start of queued specs. `hold` carries out `boi resume`.

use serde_json::json;

use super::backend::Backend;
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, block_on};
use crate::system::output::say;
use crate::system::paths::Home;

/// Carries out `boi pause`.
pub(super) fn pause(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    block_on(async {
        let mut backend = Backend::find(home).await?;
        backend.set_paused(home, true).await?;
        if json {
            print_json(&json!({"paused": true}))?;
        } else {
            print_line(
                "paused: no more specs are started, running specs continue; waiting specs start after `boi resume`",
            )?;
        }
        if !backend.is_daemon() {
            say!("no daemon runs: the next daemon will find this setting in the queue");
        }
        Ok(0)
    })
}
