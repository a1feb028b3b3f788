//! `boi daemon reload`: sends SIGHUP to the daemon, after checking its pid, and waits for its verdict on the
//! file.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::timeout;

use super::backend::{self, Backend};
use super::printing::{print_json, print_styled};
use super::{CliError, ExitCode, FAILED, GAVE_UP, NO_DAEMON};
use crate::daemon::lifecycle::seat;
use crate::domain::verdict::{ReloadOutcome, Verdict};
use crate::domain::view::{ConfigView, StatusView};
use crate::process::identity::{self, ProcessHandle};
use crate::queue::Filter;
use crate::system::paths::Home;
use crate::ui::config_report;

/// How long to wait for the daemon's verdict.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries out `boi daemon reload`.
pub(super) async fn reload(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    let view = wait_for_verdict(home).await?;
    report(&view, json)
}

/// Carries out the reload of a file that this command has written. On a file system that does not report when a save is
/// complete, the daemon waits for that, but here it is known.
pub(super) async fn reload_own_write(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    let mut view = wait_for_verdict(home).await?;
    if view.outcome == ReloadOutcome::Waiting && view.watch_reason.is_some() {
        view = wait_for_verdict(home).await?;
    }
    report(&view, json)
}

async fn wait_for_verdict(home: &Home) -> Result<ConfigView, CliError> {
    timeout(PATIENCE, signal_and_wait(home)).await.unwrap_or_else(|_| Err(no_verdict()))
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

/// Sends SIGHUP, and waits for the verdict of a read of the file that began after the signal.
async fn signal_and_wait(home: &Home) -> Result<ConfigView, CliError> {
    let Some(client) = backend::daemon(home).await? else {
        return Err(CliError::new(NO_DAEMON, "no daemon runs, so nothing was reloaded")
            .hint("a daemon reads config.toml when it starts; `boi config check` validates the file now"));
    };
    let backend = Backend::Daemon(client);
    let (mut revision, before) = read_status(&backend, None).await?;
    let answered = before.config.verdict.as_ref().map_or(0, |verdict| verdict.answers);
    send_hup(home, &backend).await?;
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

/// Sends SIGHUP to the process that the pid file names. First opens a handle on that process, then asks the
/// daemon at the socket for its pid, so the signal never reaches another process that got the same pid.
async fn send_hup(home: &Home, backend: &Backend) -> Result<(), CliError> {
    let pid_file = home.pid_file();
    let mismatch = |path: &Path, why: &str| {
        CliError::new(FAILED, format!("{} does not name the running daemon: {why}", path.display()))
            .hint("no signal was sent; `boi status` shows which daemon runs")
    };
    let pid = seat::pid_in(&pid_file).ok_or_else(|| mismatch(&pid_file, "it contains no pid"))?;
    let no_process = || mismatch(&pid_file, &format!("there is no process {pid}"));
    let identity = i32::try_from(pid).ok().and_then(identity::identify).ok_or_else(no_process)?;
    let target = ProcessHandle::open(&identity)?.ok_or_else(no_process)?;
    let (_, status) = read_status(backend, None).await?;
    match status.daemon.map(|daemon| daemon.pid) {
        Some(answering) if answering == pid => {}
        Some(other) => {
            return Err(mismatch(&pid_file, &format!("it contains pid {pid}, but the daemon is pid {other}")));
        }
        None => return Err(mismatch(&pid_file, &format!("it contains pid {pid}, but no daemon answers"))),
    }
    target.signal(Signal::HUP)?;
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
