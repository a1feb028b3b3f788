//! `boi daemon reload`: makes the daemon read the file, by a signal or over its socket, and waits for its
//! verdict on the file.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::timeout;

use super::backend::Backend;
use super::patience::NOTICE;
use super::printing::{print_json, print_styled};
use super::running_daemon::RunningDaemon;
use super::{CliError, ExitCode, FAILED, GAVE_UP, NO_DAEMON};
use crate::control::calls::{FailureCode, Reload};
use crate::control::client::ClientError;
use crate::daemon::lifecycle::seat;
use crate::domain::verdict::{ReloadOutcome, Verdict};
use crate::domain::view::{ConfigView, StatusView};
use crate::process::peer::Peer;
use crate::queue::Filter;
use crate::system::output::say;
use crate::system::paths::Home;
use crate::ui::config_report;

/// How long to wait for the daemon's verdict.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries out `boi daemon reload`.
pub(super) async fn reload(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    let view = wait_for_verdict(home).await?;
    report(&view, json)
}

/// Makes the daemon read a file that this command has just written. On a file system that does not report
/// when a save is complete, the daemon would wait for that; this command knows that the save is complete.
pub(super) async fn reload_own_write(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    let mut view = wait_for_verdict(home).await?;
    if view.outcome == ReloadOutcome::Waiting && view.watch_reason.is_some() {
        view = wait_for_verdict(home).await?;
    }
    report(&view, json)
}

async fn wait_for_verdict(home: &Home) -> Result<ConfigView, CliError> {
    let work = reload_and_wait(home);
    tokio::pin!(work);
    if let Ok(view) = timeout(NOTICE, work.as_mut()).await {
        return view;
    }
    say!("waiting for the daemon's verdict on config.toml (at most {} s)", PATIENCE.as_secs());
    // Cancel-safe: the future is pinned.
    timeout(PATIENCE - NOTICE, work).await.unwrap_or_else(|_| Err(no_verdict()))
}

fn report(view: &ConfigView, json: bool) -> Result<ExitCode, CliError> {
    let Some(verdict) = &view.verdict else { return Err(no_verdict()) };
    if json {
        print_json(&json!({"verdict": verdict, "generation": view.generation, "watch": view.watch,
            "degraded": view.degraded, "last_applied": view.last_applied}))?;
    } else {
        print_styled(&config_report::verdict(view, verdict))?;
    }
    Ok(exit_code(verdict))
}

/// Makes the daemon read the file, and waits for the verdict of a reading that began after that.
async fn reload_and_wait(home: &Home) -> Result<ConfigView, CliError> {
    let Some(daemon) = RunningDaemon::find(home).await? else {
        return Err(CliError::new(NO_DAEMON, "no daemon runs, so nothing was reloaded")
            .hint("a daemon reads config.toml when it starts; `boi config check` validates the file now"));
    };
    let backend = Backend::Daemon(daemon.client.clone());
    let (mut revision, before) = read_status(&backend, None).await?;
    let answered = before.config.verdict.as_ref().map_or(0, |verdict| verdict.answers);
    request(home, &daemon).await?;
    loop {
        let (newer, status) = read_status(&backend, Some(revision)).await?;
        if status.config.verdict.as_ref().is_some_and(|verdict| verdict.answers > answered) {
            return Ok(status.config);
        }
        revision = newer;
    }
}

async fn read_status(backend: &Backend, newer_than: Option<u64>) -> Result<(u64, StatusView), CliError> {
    let told = backend.status(Filter { limit: 1, ..Filter::default() }, newer_than).await?;
    Ok((told.revision, told.status))
}

/// Makes the daemon read the file: sends SIGHUP if the pid file names the daemon's process. If the pid file
/// contains no pid, or the daemon runs in another PID namespace (where its pid means another process), asks
/// the daemon over its socket and signals nothing.
async fn request(home: &Home, daemon: &RunningDaemon) -> Result<(), CliError> {
    let (file, own) = (home.pid_file(), daemon.view.pid);
    match (&daemon.peer, seat::pid_in(&file)) {
        (Peer::Here { pid, process }, Some(named)) if named == *pid => {
            process.signal(Signal::HUP)?;
        }
        (Peer::Here { .. }, Some(named)) => {
            let message = format!(
                "{} does not name the running daemon: it contains pid {named}, but the daemon is pid {own}",
                file.display()
            );
            return Err(CliError::new(FAILED, message).hint("no signal was sent; `boi status` shows which daemon runs"));
        }
        (Peer::Here { .. } | Peer::Elsewhere { .. }, _) => {
            daemon.client.call(&Reload).await.map_err(|error| match error {
                ClientError::Refused { code: FailureCode::NoSuchCall, .. } => {
                    let why = match &daemon.peer {
                        Peer::Here { .. } => format!("{} contains no pid", file.display()),
                        Peer::Elsewhere { .. } => "the daemon runs in another PID namespace".to_owned(),
                    };
                    let version = &daemon.view.version;
                    let message = format!("{why}, and the daemon's version ({version}) cannot reload over its socket");
                    CliError::new(FAILED, message)
                        .hint("no signal was sent; run `boi daemon reload` where the daemon runs, or save config.toml")
                }
                error => error.into(),
            })?;
            if daemon.peer.is_elsewhere() {
                say!(
                    "the daemon runs in another PID namespace: it was asked over its socket, and nothing was signalled"
                );
            }
        }
    }
    Ok(())
}

fn exit_code(verdict: &Verdict) -> ExitCode {
    match verdict.outcome {
        ReloadOutcome::Applied | ReloadOutcome::Unchanged => 0,
        ReloadOutcome::Rejected | ReloadOutcome::Missing => FAILED,
        ReloadOutcome::Waiting => GAVE_UP,
    }
}

fn no_verdict() -> CliError {
    CliError::new(GAVE_UP, format!("the daemon did not accept or reject config.toml within {} s", PATIENCE.as_secs()))
        .hint("the daemon's log shows what it is doing; `boi status` will show its verdict")
}
