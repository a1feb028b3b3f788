//! `boi daemon start` and `boi daemon restart`.

use serde_json::json;

use super::args::ConfigFlags;
use super::launch::{self, launch_and_wait};
use super::predecessor::{Predecessor, main_pid_of_service};
use super::printing::{print_json, print_line};
use super::running_daemon::{RunningDaemon, log_place};
use super::{CliError, ExitCode, FAILED, USAGE, preflight};
use crate::domain::view::DaemonView;
use crate::service::manager;
use crate::service::user_service::{self, UNIT, systemctl};
use crate::system::output::say;
use crate::system::paths::Home;
use crate::ui::{overview, times};

/// Carries out `boi daemon start`.
pub(super) async fn start(home: &Home, flags: &ConfigFlags, json: bool) -> Result<ExitCode, CliError> {
    loop {
        if let Some(daemon) = RunningDaemon::find_not_stopping(home).await? {
            daemon.refuse_run()?;
            return print_daemon(&daemon.view, "runs already", json);
        }
        if may_start(home, flags).await? {
            break;
        }
    }
    if flags.config.is_empty() && user_service::installed(home.root()).is_some() {
        return through_service(home, "start", "started as a service", json).await;
    }
    let (daemon, own) = launch_and_wait(home, flags).await?;
    print_daemon(&daemon, if own { "started" } else { "runs already" }, json)?;
    warn_if_degraded(home).await;
    warn_about_holds(home).await;
    Ok(0)
}

/// Carries out `boi daemon restart`.
pub(super) async fn restart(home: &Home, flags: &ConfigFlags, json: bool) -> Result<ExitCode, CliError> {
    let old = loop {
        match Predecessor::find(home).await? {
            Some(old) => break old,
            None if may_start(home, flags).await? => {
                let (daemon, own) = launch_and_wait(home, flags).await?;
                let what = if own { "started (none ran before)" } else { "was just started by another `boi`" };
                return print_daemon(&daemon, what, json);
            }
            None => {}
        }
    };
    let pid = old.view.pid;
    if main_pid_of_service(home) == Some(pid) {
        if !flags.config.is_empty() {
            let message = format!("the daemon (pid {pid}) runs as a service, which does not accept `-c`");
            return Err(CliError::new(USAGE, message)
                .hint("set the key in config.toml instead: `boi config set KEY VALUE`; or stop the service first"));
        }
        preflight::check(home, &flags.read()?, Some(&old.view))?;
        let done = "restarted by its service manager; running workers continue";
        return through_service(home, "restart", done, json).await;
    }
    // The new daemon starts first and waits until the old daemon has ended, so almost no time passes without
    // a daemon.
    let old_flags = ConfigFlags { config: old.flags.clone() };
    let flags = if flags.config.is_empty() { &old_flags } else { flags };
    preflight::check(home, &flags.read()?, Some(&old.view))?;
    let launched = launch::launch(home, flags)?;
    old.terminate()?;
    let daemon = launch::wait_until_listening(home, launched, Some(pid)).await?;
    print_daemon(&daemon, "restarted; running workers continue", json)?;
    warn_if_degraded(home).await;
    warn_about_holds(home).await;
    Ok(0)
}

/// Returns whether a daemon can start, after no running daemon was found. Returns `false` if another daemon
/// has started since then.
async fn may_start(home: &Home, flags: &ConfigFlags) -> Result<bool, CliError> {
    match preflight::check(home, &flags.read()?, None) {
        Ok(()) => Ok(true),
        Err(error) if error.is_invalid_config() => Err(error),
        Err(_) if RunningDaemon::find(home).await?.is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the service manager start or restart the daemon.
async fn through_service(home: &Home, verb: &str, done: &str, json: bool) -> Result<ExitCode, CliError> {
    if !manager::run(&systemctl(verb)) {
        let message = format!("`systemctl --user {verb} {UNIT}` failed: see its message above");
        return Err(CliError::new(FAILED, message).hint(format!("the log of the service: journalctl --user -u {UNIT}")));
    }
    match RunningDaemon::find(home).await? {
        Some(daemon) => print_daemon(&daemon.view, done, json),
        None => {
            let message =
                format!("`systemctl --user {verb} {UNIT}` succeeded, but no daemon listens at the socket of this home");
            Err(CliError::new(FAILED, message).hint(format!("inspect the service: systemctl --user status {UNIT}")))
        }
    }
}

/// Warns on stderr if the new daemon uses the last good configuration, because the configuration file is
/// invalid.
async fn warn_if_degraded(home: &Home) {
    if let Ok(Some(daemon)) = RunningDaemon::find_listening(home).await
        && daemon.status.config.degraded
    {
        say!(
            "warning: {} is invalid, so the daemon uses the last good configuration: `boi config check` shows the errors",
            home.config_file().display()
        );
    }
}

/// Warns on stderr about each held agent, because its specs do not start.
async fn warn_about_holds(home: &Home) {
    if let Ok(Some(daemon)) = RunningDaemon::find_listening(home).await {
        for hold in &daemon.status.holds {
            say!("warning: the agent {} is held: {}", hold.agent, times::localized(&hold.reason));
        }
    }
}

fn print_daemon(daemon: &DaemonView, what: &str, json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(&json!({"daemon": daemon, "log": daemon.log}))?;
    } else {
        let role = overview::daemon_role(daemon);
        print_line(&format!("daemon {what}: pid {}{role}\n  log: {}", daemon.pid, log_place(Some(daemon))))?;
    }
    Ok(0)
}
