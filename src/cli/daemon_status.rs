//! `boi daemon status`: shows the running daemon, or that no daemon runs.

use serde_json::json;

use super::printing::{print_json, print_line, print_styled};
use super::running_daemon::{self, log_place};
use super::{CliError, ExitCode, NO_DAEMON, backend, version_skew};
use crate::system::paths::Home;
use crate::ui::{config_report, overview};

/// Carries out `boi daemon status`.
pub(super) async fn show(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    let Some(client) = backend::daemon(home).await? else {
        if json {
            print_json(&json!({"daemon": null}))?;
        } else {
            print_line("no daemon runs; start a daemon: `boi daemon start`")?;
        }
        return Ok(NO_DAEMON);
    };
    let status = running_daemon::status(&client).await?;
    if let Some(daemon) = &status.daemon {
        version_skew::warn(&daemon.version, daemon.pid);
    }
    if json {
        print_json(&json!({"daemon": status.daemon, "config": status.config, "slots": status.slots,
            "paused": status.paused, "store": status.store, "log": status.daemon.and_then(|daemon| daemon.log)}))?;
        return Ok(0);
    }
    let mut lines = Vec::new();
    if let Some(daemon) = &status.daemon {
        let role = overview::daemon_role(daemon).to_owned() + overview::namespace(daemon);
        lines.push(format!("daemon: pid {}, version {}, since {}{role}", daemon.pid, daemon.version, daemon.since));
    }
    lines.extend(config_report::status_lines(&status.config, true));
    lines.extend(status.store.reason.as_ref().map(|reason| format!("queue: {reason}")));
    lines.push(overview::workers(&status.slots));
    lines.push(format!("log: {}", log_place(status.daemon.as_ref())));
    print_styled(&(lines.join("\n") + "\n"))?;
    Ok(0)
}
