//! `boi daemon stop`: ends the daemon and its workers; without a daemon, stops the specs that an earlier
//! daemon left running.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::backend::{self, Backend};
use super::own_task::OwnTask;
use super::patience::{NOTICE, Patience};
use super::printing::{plural, print_json, print_line};
use super::running_daemon::{self, RunningDaemon};
use super::{BAD_CONFIG, CliError, ExitCode, FAILED, GAVE_UP, block_on_daemon, durations, preflight};
use crate::config::flags::Flags;
use crate::control::calls::{GIVE_UP, Leave};
use crate::control::client::Client;
use crate::daemon::handle::Handle;
use crate::daemon::lifecycle::seat::Seat;
use crate::daemon::{Event, Leaving};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::view::{SpecView, StatusView};
use crate::queue::{Filter, open};
use crate::reload;
use crate::system::logs;
use crate::system::output::say;
use crate::system::paths::Home;

/// The interval at which the command asks the stopping daemon whether its queue answers.
const POLL_QUEUE: Duration = Duration::from_secs(1);

/// Carries out `boi daemon stop`.
pub(super) fn stop(home: &Home, drain: bool, timeout: Option<&str>, json: bool) -> Result<ExitCode, CliError> {
    let timeout = timeout.map(|text| durations::parse("--timeout", text)).transpose()?;
    block_on_daemon(async {
        let Some(daemon) = RunningDaemon::find(home).await? else {
            return stop_leftovers(home, drain, timeout, json).await;
        };
        if let Some(task) = OwnTask::find(home).filter(|_| drain) {
            return Err(
                task.refusal("the daemon would end only after this task, so `--drain` would wait for its own end")
            );
        }
        let client = &daemon.client;
        let before = running_specs(client).await?;
        let how = if drain { Leave::Drain } else { Leave::Stop };
        client.call(&how).await?;
        if !json && !before.is_empty() {
            let what = if drain { "waiting for" } else { "stopping" };
            say!("{what} {} worker{}: {}", before.len(), plural(before.len()), joined_ids(&before));
        }
        let ended = async {
            if drain {
                // Without `--timeout`, the limit is so long that it never ends the wait.
                let bound = timeout.unwrap_or(Duration::MAX);
                return tokio::time::timeout(bound, daemon.ended()).await.map_err(|_| {
                    let message = format!("gave up after {} s: the daemon still drains", bound.as_secs());
                    CliError::new(GAVE_UP, message)
                        .hint("it ends when the running specs have ended; `boi daemon stop` stops them now")
                });
            }
            daemon.wait_until_stopped(Some("told above")).await
        };
        tokio::select! {
            ended = ended => ended?,
            hung = client.hung() => return Err(hung.into()),
            reason = queue_given_up(client) => {
                return Err(CliError::new(GAVE_UP, reason)
                    .hint(format!("the daemon stops when the queue answers; {}", daemon.how_to_end())));
            }
        }
        report(home, Some(daemon.view.pid), &before, json).await
    })
}

/// Waits until the daemon's queue has not answered for [`GIVE_UP`]; returns the reason.
async fn queue_given_up(client: &Client) -> String {
    loop {
        sleep(POLL_QUEUE).await;
        let Ok(StatusView { store, .. }) = running_daemon::status(client).await else { continue };
        if let (Some(reason), true) = (store.reason, store.unanswered_seconds >= Some(GIVE_UP.as_secs())) {
            return reason;
        }
    }
}

/// Stops the specs that an earlier daemon left running, while no daemon runs: this process becomes the daemon
/// until they are stopped. Gives up after the same time as with a running daemon, and then leaves the
/// commands that still run to the next daemon.
async fn stop_leftovers(home: &Home, drain: bool, timeout: Option<Duration>, json: bool) -> Result<ExitCode, CliError> {
    preflight::refuse_within_own_task(home)?;
    let configured = backend::configured(home);
    if let Some((queue, counts)) = open::left_behind(&configured)
        && counts.running > 0
    {
        let (count, queue) = (counts.running, queue.display());
        let message = format!("no daemon runs, and another queue, {queue}, has {count} running specs");
        return Err(CliError::new(FAILED, message)
            .hint("set `paths.db` to its former value, then run `boi daemon stop` to stop them"));
    }
    let Some(queue) = backend::read(&configured)? else { return nothing_to_stop(json) };
    let filter = Filter { status: Some(SpecStatus::Running), limit: 10_000, ..Filter::default() };
    let before = queue.list(&filter)?.specs;
    drop(queue);
    if before.is_empty() {
        return nothing_to_stop(json);
    }
    let booted = reload::boot(home, &Flags::default())?;
    configured.prepare()?;
    let log = logs::start(configured.log_output(), &booted.config.log)
        .map_err(|message| CliError::new(BAD_CONFIG, message))?;
    if !json {
        say!("no daemon runs; stopping the specs that an earlier daemon left running: {}", joined_ids(&before));
    }
    let grace = Duration::from_secs(booted.config.stop_grace_seconds.into());
    let scope = before.iter().map(|spec| spec.id.clone()).collect();
    let running = Seat::take_to_stop(&configured).await?.start(booted, log, Some(scope))?;
    let how = if drain { Leaving::Drain } else { Leaving::Stop };
    let handle = running.handle.clone();
    handle.send(Event::Leave(how));
    let ended = running.ended();
    tokio::pin!(ended);
    let given_up = async {
        match drain {
            true => drained_too_long(timeout).await,
            false => stopped_too_slowly(&handle, GIVE_UP + grace, joined_ids(&before)).await,
        }
    };
    // Cancel-safe: the end is pinned, and the other future only reads.
    let error = tokio::select! {
        ended = ended.as_mut() => {
            ended?;
            return report(home, None, &before, json).await;
        }
        error = given_up => error,
    };
    handle.send(Event::Leave(Leaving::Detach));
    // If the end takes longer than this, the next daemon continues the specs as after a crash.
    drop(tokio::time::timeout(NOTICE, ended).await);
    Err(error.hint("`boi daemon start` continues the running specs, `boi daemon stop` stops them"))
}

/// Waits for `bound`, then returns the error that the drain took too long.
async fn drained_too_long(bound: Option<Duration>) -> CliError {
    let Some(bound) = bound else { return std::future::pending().await };
    sleep(bound).await;
    CliError::new(GAVE_UP, format!("gave up after {} s: specs still run", bound.as_secs()))
}

/// Waits until no spec has ended for `within`, then returns the error that the stop took too long. `running`
/// names the specs to stop.
async fn stopped_too_slowly(handle: &Handle, within: Duration, mut running: String) -> CliError {
    let mut patience = Patience::new(Some(within));
    let filter = Filter { status: Some(SpecStatus::Running), limit: 10_000, ..Filter::default() };
    loop {
        sleep(POLL_QUEUE).await;
        if let Ok(Ok(status)) = tokio::time::timeout(POLL_QUEUE, handle.status(filter.clone())).await {
            let now = joined_ids(&status.specs);
            if now != running {
                patience.progress();
                running = now;
            }
        }
        if let Err(error) = patience.check(format!("the end of {running}")) {
            return error;
        }
    }
}

fn nothing_to_stop(json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(&json!({"daemon": null, "stopped": [], "running": []}))?;
    } else {
        print_line("no daemon runs, and no earlier daemon left a spec running")?;
    }
    Ok(0)
}

/// Reports the current status of the specs that were running before the stop. `pid`: the daemon that was
/// stopped, if one ran.
async fn report(home: &Home, pid: Option<u32>, before: &[SpecView], json: bool) -> Result<ExitCode, CliError> {
    let now = read_again(home, pid, before)?;
    let with = |predicate: fn(SpecStatus) -> bool| -> Vec<&SpecId> {
        now.iter().filter(|spec| predicate(spec.status)).map(|spec| &spec.id).collect()
    };
    let queued = with(|status| status == SpecStatus::Queued);
    let ended = with(SpecStatus::is_ended);
    let running = with(|status| status == SpecStatus::Running);
    // Specs still run if a SIGTERM or a restart reached the daemon before it had stopped all of them.
    let next = match running.is_empty() {
        true => None,
        false => RunningDaemon::find(home).await?.map(|daemon| daemon.view.pid),
    };
    if json {
        print_json(
            &json!({"daemon": pid, "stopped": queued, "ended": ended, "running": running, "next_daemon": next}),
        )?;
    } else {
        let what = if running.is_empty() {
            "no worker runs any more"
        } else {
            "some workers still run, because the daemon got SIGTERM or was replaced"
        };
        match pid {
            Some(pid) => print_line(&format!("daemon (pid {pid}) ended; {what}"))?,
            None => print_line(&format!("done; {what}"))?,
        }
        print_ids("stopped and queued again", &queued)?;
        print_ids("ended by themselves", &ended)?;
        print_ids("still running", &running)?;
    }
    if running.is_empty() {
        return Ok(0);
    }
    match next {
        Some(pid) => {
            say!("another daemon (pid {pid}) took the running specs over; `boi daemon stop` stops that daemon")
        }
        None => say!("`boi daemon start` continues the running specs, `boi daemon stop` stops them"),
    }
    Ok(FAILED)
}

fn read_again(home: &Home, pid: Option<u32>, before: &[SpecView]) -> Result<Vec<SpecView>, CliError> {
    if before.is_empty() {
        return Ok(Vec::new());
    }
    let ids = before.iter().map(|spec| spec.id.clone()).collect();
    // The configuration may have changed, and may now name another queue than the one that the ended daemon
    // used.
    let path = pid.and_then(|_| open::last_used(home));
    let path = path.unwrap_or_else(|| backend::configured(home).db().to_owned());
    Ok(open::open_file(&path)?.list(&Filter { ids, ..Filter::default() })?.specs)
}

fn print_ids(what: &str, ids: &[&SpecId]) -> Result<(), CliError> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    print_line(&format!("  {what}: {}", ids.join(" ")))
}

fn joined_ids(specs: &[SpecView]) -> String {
    specs.iter().map(|spec| spec.id.as_str()).collect::<Vec<_>>().join(" ")
}

async fn running_specs(client: &Client) -> Result<Vec<SpecView>, CliError> {
    let backend = Backend::Daemon(client.clone());
    let filter = Filter { status: Some(SpecStatus::Running), limit: 10_000, ..Filter::default() };
    Ok(backend.status(filter, None).await?.status.specs)
}
