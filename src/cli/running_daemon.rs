//! Finds the running daemon of a home, and asks it for its status.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backend::{self, Backend};
use super::{CliError, FAILED};
use crate::control::client::Client;
use crate::domain::view::{DaemonView, StatusView};
use crate::process::identity::{self, ProcessHandle};
use crate::queue::Filter;
use crate::system::paths::Home;

/// How long the socket may still accept connections after its daemon has ended.
const SOCKET_LINGERS: Duration = Duration::from_secs(2);
/// The interval at which a command checks whether a daemon listens or has ended.
pub(super) const POLL: Duration = Duration::from_millis(5);

/// Returns the daemon of a home, if one runs. If a daemon holds the seat (the lock of the pid file) but does
/// not listen yet, waits until it listens.
pub(super) async fn find(home: &Home) -> Result<Option<(Client, DaemonView)>, CliError> {
    let until = Instant::now() + SOCKET_LINGERS;
    loop {
        let found = match backend::daemon(home).await? {
            Some(client) => with_view(client).await,
            None => return Ok(None),
        };
        match found {
            Err(error) if error.is_away() && Instant::now() < until => sleep(POLL).await,
            found => return found,
        }
    }
}

/// Returns the daemon that listens at this moment, if there is one; does not wait.
pub(super) async fn find_listening(home: &Home) -> Result<Option<(Client, DaemonView)>, CliError> {
    match Client::connect(&home.socket()).await? {
        Some(client) => with_view(client).await,
        None => Ok(None),
    }
}

async fn with_view(client: Client) -> Result<Option<(Client, DaemonView)>, CliError> {
    Ok(status(&client).await?.daemon.map(|daemon| (client, daemon)))
}

/// Returns the daemon's status, with at most one spec.
pub(super) async fn status(client: &Client) -> Result<StatusView, CliError> {
    let filter = Filter { limit: 1, ..Filter::default() };
    Ok(Backend::Daemon(client.clone()).status(filter, None).await?.status)
}

/// Opens a handle on the daemon's process; returns `None` if the process has ended.
pub(super) fn process_handle(daemon: &DaemonView) -> Result<Option<ProcessHandle>, CliError> {
    let identity = i32::try_from(daemon.pid).ok().and_then(identity::identify);
    Ok(identity.map(|identity| ProcessHandle::open(&identity)).transpose()?.flatten())
}

pub(super) fn ended_meanwhile(daemon: &DaemonView) -> CliError {
    CliError::new(FAILED, format!("the daemon (pid {}) has just ended", daemon.pid)).hint("run this command again")
}

/// Fails if the daemon is a `boi run` process, which cannot be restarted or replaced.
pub(super) fn refuse_run(daemon: &DaemonView) -> Result<(), CliError> {
    if !daemon.scoped {
        return Ok(());
    }
    let message =
        format!("a `boi run` (pid {}) is running: it runs only its own specs, and ends with them", daemon.pid);
    Err(CliError::new(FAILED, message)
        .hint("wait until it has ended, or end it with Ctrl-C; then run `boi daemon start`"))
}

/// Returns the path of the daemon's log file, or says that the log goes to standard error.
pub(super) fn log_place(daemon: Option<&DaemonView>) -> &str {
    daemon.and_then(|daemon| daemon.log.as_deref()).unwrap_or("the daemon's standard error")
}
