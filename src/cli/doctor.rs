//! `boi doctor`: prints the findings of the checks.

use std::path::PathBuf;
use std::rc::Rc;

use serde_json::json;

use super::args::Doctor;
use super::backend::{self, Backend};
use super::printing::{plural, print, print_json};
use super::{CliError, ExitCode, FAILED, block_on, version_skew};
use crate::daemon::lifecycle::seat;
use crate::doctor::{self, DaemonState, Finding, Level, Subject};
use crate::domain::view::{StatusView, StoreView};
use crate::queue::Filter;
use crate::service::user_service;
use crate::system::paths::Home;

/// Carries out `boi doctor`.
pub(super) fn doctor(home: &Home, args: &Doctor) -> Result<ExitCode, CliError> {
    let home = backend::configured(home);
    let runs = seat::seat_is_taken(&home.pid_file())?;
    let (daemon, status) =
        if runs { block_on(async { Ok(daemon_state(&home).await) })? } else { (DaemonState::Absent, None) };
    if let Some(daemon) = status.as_ref().and_then(|status| status.daemon.as_ref()) {
        version_skew::warn(&daemon.version, daemon.pid);
    }
    let (config, log) = match status {
        Some(status) => (Some(status.config), status.daemon.and_then(|daemon| daemon.log).map(PathBuf::from)),
        None => (None, None),
    };
    let service = user_service::installed(home.root()).map(|_| user_service::UNIT);
    let settled_in = home.clone();
    let settle = Rc::new(move |numbers: Vec<i64>| settle(&settled_in, numbers).map_err(|error| error.message()));
    let findings = doctor::examine(&Subject { home, daemon, config, log, settle, service }, args.fix);
    let open = findings.iter().filter(|finding| finding.is_open_problem()).count();
    if args.json {
        print_json(&json!({"ok": open == 0, "daemon": runs, "findings": findings}))?;
    } else {
        print(render(&findings, open, args.fix).as_bytes())?;
    }
    Ok(if open == 0 { 0 } else { FAILED })
}

/// Records that these changes of repositories are settled.
fn settle(home: &Home, numbers: Vec<i64>) -> Result<(), CliError> {
    block_on(async { Backend::find(home).await?.settle_changes(home, numbers).await })
}

/// Asks the daemon that holds the home's seat for its state.
async fn daemon_state(home: &Home) -> (DaemonState, Option<StatusView>) {
    let status = async {
        // The daemon may have ended in the meantime.
        let Some(client) = backend::daemon(home).await? else { return Ok(None) };
        let filter = Filter { limit: 1, ..Filter::default() };
        Ok::<_, CliError>(Some(Backend::Daemon(client).status(filter, None).await?.status))
    };
    match status.await {
        Ok(status) => match status.as_ref().map(|status| status.store.clone()).unwrap_or_default() {
            StoreView { reason: None, .. } => (DaemonState::Working, status),
            StoreView { reason: Some(reason), unanswered_seconds, .. } => {
                (DaemonState::QueueFailed { reason, unanswered: unanswered_seconds.is_some() }, status)
            }
        },
        Err(error) => {
            let advice = error.next_step().unwrap_or("see the daemon's log").to_owned();
            (DaemonState::Unreachable { reason: error.message(), advice }, None)
        }
    }
}

fn render(findings: &[Finding], open: usize, fix: bool) -> String {
    let mut out = String::new();
    for Finding { level, what, place, why, advice, fixed, .. } in findings {
        let word = match (level, fixed) {
            (_, Some(_)) => "fixed",
            (Level::Problem, None) => "problem",
            (Level::Note, None) => "note",
        };
        out.push_str(&format!("{word:<8} {what}\n         where: {place}\n         why:   {why}\n"));
        match fixed {
            Some(done) => out.push_str(&format!("         done:  {done}\n")),
            None => out.push_str(&format!("         fix:   {advice}\n")),
        }
    }
    let fixed = findings.iter().filter(|finding| finding.fixed.is_some()).count();
    out.push_str(&match (open, fixed) {
        (0, 0) => "no problems found\n".to_owned(),
        (0, _) => format!("{fixed} problem{} found and fixed\n", plural(fixed)),
        (_, 0) if fix => format!("{open} problem{} left\n", plural(open)),
        (_, 0) => {
            format!("{open} problem{}; `boi doctor --fix` fixes what it can without losing anything\n", plural(open))
        }
        _ => format!("{open} problem{} left, {fixed} fixed\n", plural(open)),
    });
    out
}
