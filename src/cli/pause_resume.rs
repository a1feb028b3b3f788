//! `boi pause` and `boi resume`: stop and continue the start of queued specs.

use serde_json::json;

use super::backend::Backend;
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, block_on};
use crate::system::output::say;
use crate::system::paths::Home;

/// Carries out `boi pause` and `boi resume`.
pub(super) fn set_paused(home: &Home, paused: bool, json: bool) -> Result<ExitCode, CliError> {
    block_on(async {
        let mut backend = Backend::find(home).await?;
        backend.set_paused(home, paused).await?;
        if json {
            print_json(&json!({"paused": paused}))?;
        } else if paused {
            print_line(
                "paused: no more specs are started, running specs continue; waiting specs start after `boi resume`",
            )?;
        } else {
            print_line("resumed: waiting specs start")?;
        }
        if !backend.is_daemon() {
            say!("no daemon runs: the next daemon will find this setting in the queue");
        }
        Ok(0)
    })
}
