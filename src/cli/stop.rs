//! `boi stop`: ends the commands of specs, and blocks the specs until `boi retry`. After an error with one
//! spec, the command continues with the other specs, and reports the errors at the end.

use serde_json::json;

use super::args::Ids;
use super::backend::{Backend, cannot_stop_quarantined};
use super::cancel_retry::{Asked, is_quarantined, report_each, wait_until_ended, without_duplicates};
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, block_on};
use crate::domain::life::SpecStatus;
use crate::queue::Stopped;
use crate::system::output::say;
use crate::system::paths::Home;

/// Carries out `boi stop`.
pub(super) fn stop(home: &Home, Ids { ids, json }: Ids) -> Result<ExitCode, CliError> {
    block_on(async {
        let mut backend = Backend::find(home).await?;
        let mut outcomes = Vec::new();
        let mut errors = Vec::new();
        for id in without_duplicates(ids) {
            match backend.stop(home, &id).await {
                Ok(outcome) => outcomes.push((id, outcome)),
                Err(error) => errors.push(error),
            }
        }
        let ending =
            outcomes.iter().filter(|(_, outcome)| *outcome == Stopped::Ending).map(|(id, _)| id.clone()).collect();
        for spec in wait_until_ended(&mut backend, home, ending, Asked::Stop).await? {
            if spec.status == SpecStatus::Running && is_quarantined(&spec) {
                outcomes.retain(|(id, _)| *id != spec.id);
                errors.push(cannot_stop_quarantined(&spec.id));
            } else if spec.status.is_ended()
                && let Some((_, outcome)) = outcomes.iter_mut().find(|(id, _)| *id == spec.id)
            {
                // The spec ended by itself before the stop reached its worker.
                *outcome = Stopped::EndedBefore(spec.status);
            }
        }
        if json {
            let objects = outcomes.iter().map(|(id, outcome)| match outcome {
                Stopped::EndedBefore(status) => json!({"id": id, "stopped": false, "status": status}),
                Stopped::Now | Stopped::Before | Stopped::Ending => json!({"id": id, "stopped": true}),
            });
            print_json(&json!({"specs": objects.collect::<Vec<_>>()}))?;
        }
        let mut code = 0;
        for (id, outcome) in &outcomes {
            match outcome {
                Stopped::EndedBefore(status) => {
                    say!("{id} has already {}, so it was not stopped", ended(*status));
                    code = FAILED;
                }
                _ if json => {}
                Stopped::Before => print_line(&format!("{id} was stopped before; `boi retry {id}` continues it"))?,
                Stopped::Now | Stopped::Ending => print_line(&format!("{id} stopped; `boi retry {id}` continues it"))?,
            }
        }
        Ok(report_each(&errors, json).unwrap_or(code))
    })
}

fn ended(status: SpecStatus) -> &'static str {
    match status {
        SpecStatus::Canceled => "been canceled",
        SpecStatus::Dropped => "been dropped",
        other => other.as_str(),
    }
}
