//! `boi cancel` and `boi retry`. After an error with one spec, the command continues with the other specs,
//! and reports the errors at the end.

use std::collections::HashSet;
use std::io::{self, Read as _};

use clap::Args;
use serde_json::json;
use tokio::time::timeout;

use super::args::Ids;
use super::backend::{self, Backend};
use super::patience::{GIVE_UP, NOTICE, Patience};
use super::printing::{print_json, print_line};
use super::running_daemon::ends_within;
use super::{CliError, ExitCode, FAILED, USAGE, block_on, dispatch, ids, open_lock, report_error, retry_selection};
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::money::Usd;
use crate::domain::view::SpecView;
use crate::queue::{Canceled, Filter};
use crate::system::output::say;
use crate::system::paths::Home;

/// The arguments of `boi retry`.
#[derive(Debug, Args)]
pub(super) struct Retry {
    /// The specs
    #[arg(required_unless_present_any = ["failed", "unmerged"], value_name = "ID", value_parser = ids::spec_id)]
    ids: Vec<SpecId>,
    /// Send the specs back with this note for their agent, also completed ones; - reads it from standard
    /// input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    note: Option<String>,
    /// Retry every failed spec
    #[arg(long)]
    failed: bool,
    /// Retry every completed spec whose branch could not be merged
    #[arg(long)]
    unmerged: bool,
    /// The new cost limit of each spec, in US dollars, which includes what the spec has cost so far; 0: no
    /// limit
    #[arg(long, value_name = "N", value_parser = dollars)]
    max_usd: Option<Usd>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The longest note, in bytes.
const LONGEST_NOTE: u64 = 256 << 10;

fn dollars(text: &str) -> Result<Usd, String> {
    text.parse().ok().and_then(Usd::from_dollars).ok_or_else(|| "not an amount of US dollars, such as 2.50".to_owned())
}

/// Carries out `boi cancel`.
pub(super) fn cancel(home: &Home, Ids { ids, json }: Ids) -> Result<ExitCode, CliError> {
    block_on(async {
        let mut backend = Backend::find(home).await?;
        let mut outcomes = Vec::new();
        let mut errors = Vec::new();
        for id in without_duplicates(ids) {
            match backend.cancel(home, &id).await {
                Ok(outcome) => outcomes.push((id, outcome)),
                Err(error) => errors.push(error),
            }
        }
        let ending =
            outcomes.iter().filter(|(_, outcome)| *outcome == Canceled::Ending).map(|(id, _)| id.clone()).collect();
        for spec in wait_until_ended(&mut backend, home, ending, Asked::Cancel).await? {
            // The spec may have ended by itself before the cancel reached its worker.
            if spec.status != SpecStatus::Canceled
                && let Some((_, outcome)) = outcomes.iter_mut().find(|(id, _)| *id == spec.id)
            {
                *outcome = Canceled::EndedBefore(spec.status);
            }
        }
        let code = if json { print_outcomes_as_json(&outcomes)? } else { print_outcomes(&outcomes)? };
        Ok(report_each(&errors, json).unwrap_or(code))
    })
}

fn print_outcomes_as_json(outcomes: &[(SpecId, Canceled)]) -> Result<ExitCode, CliError> {
    let objects = outcomes.iter().map(|(id, outcome)| match outcome {
        Canceled::Now | Canceled::Ending => json!({"id": id, "canceled": true}),
        Canceled::EndedBefore(status) => json!({"id": id, "canceled": false, "status": status}),
    });
    print_json(&json!({"specs": objects.collect::<Vec<_>>()}))?;
    Ok(report_too_late(outcomes))
}

fn print_outcomes(outcomes: &[(SpecId, Canceled)]) -> Result<ExitCode, CliError> {
    for (id, outcome) in outcomes {
        match outcome {
            Canceled::Now | Canceled::Ending => print_line(&format!("{id} canceled"))?,
            Canceled::EndedBefore(SpecStatus::Canceled) => print_line(&format!("{id} was canceled before"))?,
            Canceled::EndedBefore(_) => {}
        }
    }
    Ok(report_too_late(outcomes))
}

/// Reports on stderr the specs that ended before they could be canceled; returns the exit code.
fn report_too_late(outcomes: &[(SpecId, Canceled)]) -> ExitCode {
    let mut code = 0;
    for (id, outcome) in outcomes {
        if let Canceled::EndedBefore(status) = outcome
            && *status != SpecStatus::Canceled
        {
            let verb = if status.is_ended() { "has" } else { "is" };
            say!("{id} {verb} already {}, so it was not canceled", status.as_str());
            code = FAILED;
        }
    }
    code
}

/// Reports errors; returns the exit code of the first one.
pub(super) fn report_each(errors: &[CliError], json: bool) -> Option<ExitCode> {
    let codes: Vec<ExitCode> = errors.iter().map(|error| report_error(error, json)).collect();
    codes.first().copied()
}

pub(super) fn without_duplicates(ids: Vec<SpecId>) -> Vec<SpecId> {
    let mut distinct = Vec::new();
    for id in ids {
        if !distinct.contains(&id) {
            distinct.push(id);
        }
    }
    distinct
}

/// What the user asked boi to do with running specs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Cancel,
    /// Stop the specs. Quarantined specs are not ended.
    Stop,
}

/// Waits until none of the specs is running: a spec ends when its last process has ended. If the daemon dies
/// during the wait, the next daemon ends the specs; if there is no next daemon, this process ends them.
/// Returns the specs in their state after the wait; a quarantined spec that was to be stopped is still
/// running.
pub(super) async fn wait_until_ended(
    backend: &mut Backend,
    home: &Home,
    ids: Vec<SpecId>,
    asked: Asked,
) -> Result<Vec<SpecView>, CliError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let within = match &*backend {
        Backend::Daemon(client) => ends_within(client).await,
        Backend::Own(_) => GIVE_UP,
    };
    let mut what = end_of(&ids.iter().collect::<Vec<_>>());
    let filter = Filter { ids, ..Filter::default() };
    let (mut newer_than, mut patience, mut count) = (None, Patience::new(Some(within)), 0);
    loop {
        // Cancel-safe: the call only reads.
        let Ok(told) = timeout(NOTICE, backend.status_now(home, &filter, newer_than)).await else {
            patience.check(&what).map_err(|error| {
                error.hint("`boi status` shows which specs still run, and the daemon's log says why")
            })?;
            continue;
        };
        let told = told?;
        let is_ending =
            |spec: &&SpecView| spec.status == SpecStatus::Running && !(asked == Asked::Stop && is_quarantined(spec));
        let running: Vec<&SpecId> = told.status.specs.iter().filter(is_ending).map(|spec| &spec.id).collect();
        if running.is_empty() {
            return Ok(told.status.specs);
        }
        if running.len() != std::mem::replace(&mut count, running.len()) {
            patience.progress();
        }
        what = end_of(&running);
        patience
            .check(&what)
            .map_err(|error| error.hint("`boi status` shows which specs still run, and the daemon's log says why"))?;
        newer_than = Some(told.revision);
        if !backend.is_daemon() {
            newer_than = None;
            for id in running {
                match asked {
                    Asked::Cancel => drop(backend.cancel(home, id).await?),
                    Asked::Stop => drop(backend.stop(home, id).await?),
                }
            }
        }
    }
}

/// Whether a spec has a record that cannot be read.
pub(super) fn is_quarantined(spec: &SpecView) -> bool {
    matches!(spec.cause, Some(Cause::Quarantined { .. }))
}

fn end_of(ids: &[&SpecId]) -> String {
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    format!("the end of {}", ids.join(" "))
}

/// Carries out `boi retry`.
pub(super) fn retry(home: &Home, args: Retry) -> Result<ExitCode, CliError> {
    let note = args.note.as_deref().map(read_note).transpose()?;
    let configured = backend::configured(home);
    let selected = selected(&configured, &args)?;
    if selected.is_empty() {
        return match args.json {
            true => print_json(&json!({"specs": []})),
            false => print_line("no spec to retry"),
        }
        .map(|()| 0);
    }
    block_on(async {
        let mut backend = Backend::find(home).await?;
        let (mut queued, mut seen): (Vec<SpecId>, HashSet<SpecId>) = (Vec::new(), HashSet::new());
        let mut errors = Vec::new();
        for id in selected {
            if seen.contains(&id) {
                // The retry of an earlier id has queued this spec too, because this spec waits for the
                // earlier one.
                continue;
            }
            if let Err(error) = open_lock::refuse_if_open(&configured, &id, "retried") {
                errors.push((id, error));
                continue;
            }
            let retried = match &note {
                Some(note) => backend.send_back(home, &id, note, args.max_usd).await,
                None => backend.retry(home, id.clone(), args.max_usd).await,
            };
            match retried {
                Ok(ids) => {
                    seen.extend(ids.iter().cloned());
                    queued.extend(ids);
                }
                Err(error) => errors.push((id, error)),
            }
        }
        // A spec that could not be retried before one that it waits for was queued together with that one.
        errors.retain(|(id, _)| !seen.contains(id));
        let errors: Vec<CliError> = errors.into_iter().map(|(_, error)| error).collect();
        if args.json {
            print_json(&json!({"specs": queued.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()}))?;
        } else {
            let with = if note.is_some() { " with the note" } else { "" };
            for id in &queued {
                print_line(&format!("{id} queued again{with}"))?;
            }
        }
        if !queued.is_empty() {
            dispatch::warn_unless_drained(backend, home, None).await;
        }
        Ok(report_each(&errors, args.json).unwrap_or(0))
    })
}

/// Returns the specs that the arguments name or select.
fn selected(configured: &Home, args: &Retry) -> Result<Vec<SpecId>, CliError> {
    let mut ids = args.ids.clone();
    if args.failed || args.unmerged {
        let Some(queue) = backend::read(configured)? else { return Ok(ids) };
        if args.failed {
            ids.extend(retry_selection::failed(queue.as_ref())?);
        }
        if args.unmerged {
            ids.extend(retry_selection::unmerged(queue.as_ref())?);
        }
    }
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Ok(ids)
}

/// Returns the text of a note; `-` reads it from standard input.
fn read_note(text: &str) -> Result<String, CliError> {
    let note = match text {
        "-" => {
            let mut read = Vec::new();
            io::stdin().take(LONGEST_NOTE + 1).read_to_end(&mut read)?;
            String::from_utf8_lossy(&read).into_owned()
        }
        text => text.to_owned(),
    };
    if note.trim().is_empty() {
        return Err(CliError::new(USAGE, "the note is empty").hint("say in it what the agent has to change"));
    }
    if note.len() as u64 > LONGEST_NOTE {
        let message = format!("the note is longer than {} KiB", LONGEST_NOTE >> 10);
        return Err(CliError::new(USAGE, message).hint("put the text in a file of the repository, and name that file"));
    }
    Ok(note)
}
