//! `boi run`: the main job in one command. Without a daemon this process is one, for these specs and what they wait for.

use std::time::Duration;

use futures::StreamExt;
use signal_hook::consts::SIGINT;
use signal_hook_tokio::Signals;

use super::args::Run;
use super::backend::{self, Backend};
use super::{BAD_CONFIG, CliError, Context, ExitCode, FAILED, INTERRUPTED, block_on_daemon, print, print_json, specs};
use crate::daemon::boot::{self, Running, Seat};
use crate::daemon::{Event, Leaving, reload};
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::domain::outcome::Delivery;
use crate::domain::view::StatusView;
use crate::host::logs::{self, Target};
use crate::host::store::{Filter, Store};
use crate::tui::progress::Progress;
use crate::tui::report;

/// How often a daemon that went away is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// `boi run`.
pub(super) fn run(context: Context, asked: Run) -> Result<ExitCode, CliError> {
    block_on_daemon(async {
        match Backend::find(&context.home).await? {
            Backend::Daemon(client) => through_daemon(&context, Backend::Daemon(client), &asked).await,
            Backend::Own(_) => as_daemon(&context, &asked).await,
        }
    })
}

async fn through_daemon(context: &Context, backend: Backend, asked: &Run) -> Result<ExitCode, CliError> {
    let status = backend.status(Filter { limit: 1, ..Filter::default() }, None).await?.status;
    if let Some(daemon) = status.daemon.filter(|daemon| daemon.scoped) {
        let message =
            format!("another `boi run` (pid {}) carries out its own specs and would not touch these", daemon.pid);
        return Err(CliError::new(FAILED, message)
            .hint("wait for its end; or start a daemon for both next time: `boi daemon run --foreground`"));
    }
    let home = backend::configured(&context.home);
    let queue = backend::read(&home)?;
    let loaded = specs::load(&asked.files, queue.as_ref().map(|store| store as &dyn Store))?;
    let ids = backend.dispatch(loaded).await?;
    let mut interrupts = Signals::new([SIGINT])?;
    tokio::select! {
        // Neither branch changes anything: the daemon carries the specs out.
        told = follow(&backend, &ids, asked.json) => conclude(context, &told?, asked.json),
        _ = interrupts.next() => {
            eprintln!("\nno longer following; the daemon goes on: `boi status`");
            Ok(INTERRUPTED)
        }
    }
}

async fn as_daemon(context: &Context, asked: &Run) -> Result<ExitCode, CliError> {
    let booted = match reload::boot(&context.home) {
        Ok(booted) => booted,
        Err(error) => {
            super::report(&error.into(), asked.json, context.color);
            return Ok(BAD_CONFIG);
        }
    };
    let home = context.home.clone().with_paths(&booted.config.paths);
    home.prepare()?;
    let seat = Seat::take(&home, boot::PROBED)?;
    let loaded = specs::load(&asked.files, Some(seat.store()))?;
    let ids = seat.store().enqueue(loaded, crate::host::clock::now())?;
    // The terminal belongs to the progress display.
    let log_file = home.log_file();
    let log = logs::begin(Target::File(log_file), &booted.config.log)
        .map_err(|message| CliError::new(BAD_CONFIG, message))?;
    let running = seat.start(booted, log, Some(ids.clone()))?;
    follow_own(context, running, &ids, asked.json).await
}

async fn follow_own(context: &Context, running: Running, ids: &[SpecId], json: bool) -> Result<ExitCode, CliError> {
    let mut progress = Progress::begin(json);
    let handle = running.handle.clone();
    let filter = Filter { ids: ids.to_vec(), history: true, ..Filter::default() };
    let ended = running.ended();
    tokio::pin!(ended);
    let mut revision = 0;
    let last = loop {
        let status = handle.status(filter.clone()).await?;
        progress.show(&status);
        if status.specs.iter().all(|spec| spec.status.is_ended()) {
            handle.send(Event::Leave(Leaving::Stop));
            ended.as_mut().await?;
            break status;
        }
        tokio::select! {
            // Cancel-safe: only waits.
            newer = handle.newer_than(revision) => revision = newer,
            // Cancel-safe: pinned outside the loop.
            left = ended.as_mut() => {
                left?;
                break handle.status(filter.clone()).await?;
            }
        }
    };
    progress.end();
    let waiting: Vec<&str> =
        last.specs.iter().filter(|spec| !spec.status.is_ended()).map(|spec| spec.id.as_str()).collect();
    if waiting.is_empty() {
        return conclude(context, &last, json);
    }
    if json {
        print_json(&last)?;
    }
    let left = last.specs.iter().any(|spec| spec.status == SpecStatus::Running);
    let ids = waiting.join(" ");
    if left {
        eprintln!(
            "\nleft running: {ids}\n  a daemon takes them over: `boi daemon run --foreground`; `boi cancel {ids}` ends them"
        );
    } else {
        eprintln!(
            "\nstopped and queued again: {ids}\n  go on: `boi daemon run --foreground`; give up: `boi cancel {ids}`"
        );
    }
    Ok(INTERRUPTED)
}

/// Follows specs that a daemon carries out, over its restarts too.
async fn follow(backend: &Backend, ids: &[SpecId], json: bool) -> Result<StatusView, CliError> {
    let mut progress = Progress::begin(json);
    let filter = Filter { ids: ids.to_vec(), history: true, ..Filter::default() };
    let mut newer_than = None;
    loop {
        match backend.status(filter.clone(), newer_than).await {
            Ok(told) => {
                newer_than = Some(told.revision);
                progress.show(&told.status);
                if told.status.specs.iter().all(|spec| spec.status.is_ended()) {
                    progress.end();
                    return Ok(told.status);
                }
            }
            // A daemon that restarts is back in a moment; its revisions begin anew.
            Err(CliError::Message { code: super::NO_DAEMON | FAILED, .. }) => {
                newer_than = None;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Says how the specs ended, and what to do with the result.
fn conclude(context: &Context, status: &StatusView, json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(status)?;
    } else {
        print(report::ended(&status.specs, context.color).as_bytes())?;
    }
    let good = status
        .specs
        .iter()
        .all(|spec| spec.status == SpecStatus::Completed && spec.delivery != Some(Delivery::Unmerged));
    Ok(if good { 0 } else { FAILED })
}
