//! `boi daemon reload`: SIGHUP to the daemon, provably to it, and its verdict.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::backend::{self, Backend};
use super::{CliError, Context, ExitCode, FAILED, GAVE_UP, NO_DAEMON, print, print_json};
use crate::daemon::boot;
use crate::domain::verdict::{ReloadOutcome, Verdict};
use crate::domain::view::{ConfigView, StatusView};
use crate::process;
use crate::queue::Filter;
use crate::ui::config;

/// How long the verdict is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// `boi daemon reload`.
pub(super) async fn reload(context: &Context, json: bool) -> Result<ExitCode, CliError> {
    let until = Instant::now() + PATIENCE;
    let asked = timeout_at(until, ask(context)).await;
    let view = match asked {
        Ok(view) => view?,
        Err(_) => return Err(gave_up()),
    };
    let Some(verdict) = &view.verdict else { return Err(gave_up()) };
    if json {
        print_json(&json!({"verdict": verdict, "generation": view.generation, "watch": view.watch,
            "degraded": view.degraded, "last_applied": view.last_applied}))?;
    } else {
        print(config::verdict(&view, verdict, context.color).as_bytes())?;
    }
    Ok(exit_code(verdict))
}

/// Sends the signal and waits for a verdict from a reading that began after it.
async fn ask(context: &Context) -> Result<ConfigView, CliError> {
    let Some(client) = backend::daemon(&context.home).await? else {
        return Err(CliError::new(NO_DAEMON, "no daemon runs, so nothing was reloaded")
            .hint("`boi config check` says whether the file is good; a daemon reads it when it starts"));
    };
    let backend = Backend::Daemon(client);
    let before = ask_status(&backend, None).await?;
    let known = before.1.config.verdict.as_ref().map_or(0, |verdict| verdict.answers);
    signal(context, &backend).await?;
    let mut newer_than = before.0;
    loop {
        let (revision, status) = ask_status(&backend, Some(newer_than)).await?;
        if status.config.verdict.as_ref().is_some_and(|verdict| verdict.answers > known) {
            return Ok(status.config);
        }
        newer_than = revision;
    }
}

async fn ask_status(backend: &Backend, newer_than: Option<u64>) -> Result<(u64, StatusView), CliError> {
    let told = backend.status(Filter { limit: 1, ..Filter::default() }, newer_than).await?;
    Ok((told.revision, told.status))
}

/// The pid file says whom; the handle on that process is opened first, and the daemon at the socket answers then that it
/// is this very process: a pid that was given to another is never signalled.
async fn signal(context: &Context, backend: &Backend) -> Result<(), CliError> {
    let pid_file = context.home.pid_file();
    let wrong = |path: &Path, why: &str| {
        CliError::new(FAILED, format!("{} does not name the daemon that answers: {why}", path.display()))
            .hint("nothing was signalled; `boi status` shows which daemon runs")
    };
    let pid = boot::pid_in(&pid_file).ok_or_else(|| wrong(&pid_file, "it holds no pid"))?;
    let identity = i32::try_from(pid).ok().and_then(process::identity);
    let identity = identity.ok_or_else(|| wrong(&pid_file, &format!("there is no process {pid}")))?;
    let target = process::target(&identity)?.ok_or_else(|| wrong(&pid_file, &format!("there is no process {pid}")))?;
    let (_, status) = ask_status(backend, None).await?;
    let answers = status.daemon.map(|daemon| daemon.pid);
    if answers != Some(pid) {
        return Err(wrong(&pid_file, &format!("it says {pid}, the daemon says {answers:?}")));
    }
    target.send(Signal::HUP)?;
    Ok(())
}

fn exit_code(verdict: &Verdict) -> ExitCode {
    match verdict.outcome {
        ReloadOutcome::Applied | ReloadOutcome::Unchanged => 0,
        ReloadOutcome::Rejected | ReloadOutcome::Missing => FAILED,
        ReloadOutcome::Waiting => GAVE_UP,
    }
}

fn gave_up() -> CliError {
    CliError::new(GAVE_UP, format!("the daemon gave no verdict within {} s", PATIENCE.as_secs()))
        .hint("its log says what it does; `boi status` shows the verdict once there is one")
}
