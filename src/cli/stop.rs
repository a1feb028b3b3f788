//! `boi stop`: ends the commands of specs, and blocks the specs until `boi retry`. An error at one spec does not stop
//! the others: errors are reported at the end.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::args::Ids;
use super::backend::Backend;
use super::cancel_retry::{report_each, without_duplicates};
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, GAVE_UP, block_on};
use crate::config::flags::Flags;
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::view::SpecView;
use crate::queue::{Filter, Stopped};
use crate::reload;
use crate::system::output::say;
use crate::system::paths::Home;

/// How long to wait before the user is told what is waited for.
const NOTICE: Duration = Duration::from_secs(5);
/// How long to wait for a spec beyond the time that its command gets to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Carries out `boi stop`.
pub(super) fn stop(home: &Home, Ids { ids, json }: Ids) -> Result<ExitCode, CliError> {
    block_on(async {
        let mut backend = Backend::find(home).await?;
        let mut outcomes = Vec::new();
        let mut errors = Vec::new();
        for id in without_duplicates(ids) {
            let stopped = match backend.stop(home, &id).await {
                Ok(Stopped::Ending) => wait_until_stopped(&mut backend, home, &id).await,
                other => other,
            };
            match stopped {
                Ok(outcome) => outcomes.push((id, outcome)),
                Err(error) => errors.push(error),
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
        other => other.as_str(),
    }
}

/// Waits until a spec that was running is blocked, or has ended by itself. Says so after [`NOTICE`], and gives up when the
/// spec has had the time to end its command and [`PATIENCE`] more.
async fn wait_until_stopped(backend: &mut Backend, home: &Home, id: &SpecId) -> Result<Stopped, CliError> {
    let grace = reload::load(home, &Flags::default()).map_or(0, |loaded| loaded.config.stop_grace_seconds);
    let limit = Duration::from_secs(u64::from(grace)) + PATIENCE;
    let waiting = follow_until_stopped(backend, home, id);
    tokio::pin!(waiting);
    if let Ok(stopped) = timeout(NOTICE, &mut waiting).await {
        return stopped;
    }
    say!("{id} is ending its command; waiting up to {} s more", limit.saturating_sub(NOTICE).as_secs());
    timeout(limit.saturating_sub(NOTICE), waiting).await.unwrap_or_else(|_| {
        Err(CliError::new(GAVE_UP, format!("{id} has not ended its command within {} s", limit.as_secs()))
            .hint(format!("it is blocked once the command has ended: `boi status {id}`")))
    })
}

async fn follow_until_stopped(backend: &mut Backend, home: &Home, id: &SpecId) -> Result<Stopped, CliError> {
    let filter = Filter { ids: vec![id.clone()], ..Filter::default() };
    let mut newer_than = None;
    loop {
        let told = backend.status_now(home, &filter, newer_than).await?;
        let Some(spec) = told.status.specs.first() else { return Ok(Stopped::Ending) };
        match spec {
            SpecView { status: SpecStatus::Running, cause: Some(Cause::Quarantined { .. }), .. } => {
                let message = format!("{id} cannot be stopped, because it is quarantined");
                return Err(CliError::new(FAILED, message).hint(format!("`boi cancel {id}` ends it")));
            }
            SpecView { status: SpecStatus::Running, .. } => {}
            SpecView { status: SpecStatus::Queued, .. } => return Ok(Stopped::Ending),
            SpecView { status, .. } => return Ok(Stopped::EndedBefore(*status)),
        }
        newer_than = Some(told.revision);
        if !backend.is_daemon() {
            newer_than = None;
            backend.stop(home, id).await?;
        }
    }
}
