//! Signals to a daemon: HUP reloads the configuration; INT stops the workers and ends the daemon; TERM ends the daemon
//! and leaves the workers' commands running.

use std::fs::File;
use std::time::Duration;

use futures::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::daemon::handle::Handle;
use crate::daemon::{Event, Leaving};
use crate::reload::ReloadHandle;
use crate::service;

/// How long the daemon waits for the service manager to answer whether the service manager is stopping.
const MANAGER_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Turns signals into events. If the service manager is stopping too, TERM stops the workers, because the
/// service manager would kill their commands.
pub(super) async fn listen(mut signals: Signals, handle: Handle, reload: ReloadHandle, detach: watch::Sender<bool>) {
    let leave = || {
        handle.send(Event::Leave(Leaving::Detach));
        detach.send_replace(true);
    };
    let had_terminal = has_terminal();
    let mut is_stopping = false;
    while let Some(signal) = signals.next().await {
        match signal {
            SIGHUP if had_terminal && !has_terminal() => {
                warn!("the terminal was closed: the daemon ends, running commands continue");
                leave();
            }
            SIGHUP => {
                service::reloading();
                reload.request();
            }
            SIGINT if !is_stopping => {
                info!(
                    "SIGINT received: the daemon stops its workers and queues their specs again; a second SIGINT ends the daemon without stopping its workers' commands"
                );
                handle.send(Event::Leave(Leaving::Stop));
                is_stopping = true;
            }
            SIGTERM if !is_stopping && is_manager_stopping().await => {
                info!(
                    "SIGTERM received while the service manager shuts the session down; the shutdown kills commands that still run, so the daemon stops its workers and queues their specs again"
                );
                handle.send(Event::Leave(Leaving::Stop));
                is_stopping = true;
            }
            _ => {
                info!("SIGTERM or a second SIGINT received: the daemon ends, running commands continue");
                leave();
            }
        }
    }
}

/// Whether the service manager is stopping too; false if it does not answer in time.
async fn is_manager_stopping() -> bool {
    let answer = tokio::task::spawn_blocking(service::manager_is_stopping);
    matches!(tokio::time::timeout(MANAGER_ANSWERS_WITHIN, answer).await, Ok(Ok(true)))
}

fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
