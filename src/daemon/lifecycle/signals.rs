//! Signals to a daemon: HUP reloads the configuration; INT stops the workers and ends the daemon; TERM ends
//! the daemon and leaves the workers' commands running.

use std::fs::File;
use std::io;
use std::time::Duration;

use futures::StreamExt;
use rustix::process::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::watch;
use tokio::time::interval;
use tracing::{info, warn};

use crate::daemon::handle::Handle;
use crate::daemon::{Event, Leaving};
use crate::process::{dispositions, procfs};
use crate::service;
use crate::system::blocking;

/// How often a daemon that has a terminal checks whether the terminal still exists. A terminal that is closed
/// sends SIGHUP at once. If two checks in a row find no terminal and no SIGHUP came, the daemon continues
/// without the terminal.
const CHECK_TERMINAL: Duration = Duration::from_secs(5);
/// How long the daemon waits for the service manager to answer whether the service manager is stopping.
const MANAGER_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The signals to a daemon, and the facts about its environment that decide what a signal means.
pub(crate) struct DaemonSignals {
    stream: Signals,
    /// Whether SIGHUP may mean that the terminal was closed: at its start, the daemon had a terminal and did
    /// not ignore SIGHUP (as it does under `nohup`).
    may_lose_terminal: bool,
    /// Whether all processes of this PID namespace end when this process ends.
    ends_namespace: bool,
}

impl DaemonSignals {
    /// Catches the signals.
    pub(super) fn catch() -> io::Result<DaemonSignals> {
        let (may_lose_terminal, ends_namespace) = (has_terminal() && !dispositions::ignores_hangup(), ends_namespace());
        Ok(DaemonSignals { stream: Signals::new([SIGHUP, SIGINT, SIGTERM])?, may_lose_terminal, ends_namespace })
    }

    /// Returns whether all processes of this PID namespace end when this process ends.
    pub(super) fn ends_namespace(&self) -> bool {
        self.ends_namespace
    }

    /// Waits for the next signal. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<i32> {
        self.stream.next().await
    }
}

/// Returns whether all processes of this PID namespace end when this process ends: it is process 1 of the
/// namespace, or the main child of a process 1 that only runs this child, such as that of `docker run
/// --init`.
fn ends_namespace() -> bool {
    let is_first = std::process::id() == 1;
    is_first
        || rustix::process::getppid().is_some_and(Pid::is_init) && procfs::is_in_container() && !service::is_managed()
}

/// Turns signals into events. If the service manager is stopping too, TERM stops the workers, because the
/// service manager would kill their commands.
pub(super) async fn listen(mut signals: DaemonSignals, handle: Handle, detach: watch::Sender<bool>) {
    let leave = || {
        handle.send(Event::Leave(Leaving::Detach));
        detach.send_replace(true);
    };
    let mut is_stopping = false;
    let mut checks = interval(CHECK_TERMINAL);
    let mut was_gone = false;
    loop {
        // Cancel-safe: a signal that was not received stays in the stream.
        let signal = tokio::select! {
            signal = signals.next() => signal,
            _ = checks.tick(), if signals.may_lose_terminal => {
                let is_gone = !has_terminal();
                if is_gone && was_gone {
                    info!("the daemon's terminal is gone, and the daemon got no SIGHUP: the daemon continues, and a later SIGHUP reloads the configuration");
                    signals.may_lose_terminal = false;
                }
                was_gone = is_gone;
                continue;
            }
        };
        let Some(signal) = signal else { return };
        match signal {
            SIGHUP if signals.may_lose_terminal && !has_terminal() => {
                warn!("the terminal was closed: the daemon ends, running commands continue");
                leave();
            }
            SIGHUP => handle.request_reload(),
            SIGINT if !is_stopping => {
                info!(
                    "SIGINT received: the daemon stops its workers and queues their specs again; a second SIGINT ends the daemon without stopping its workers' commands"
                );
                handle.send(Event::Leave(Leaving::Stop));
                is_stopping = true;
            }
            SIGTERM if !is_stopping && signals.ends_namespace => {
                info!(
                    "SIGTERM received, and every process of this container ends with the daemon: the daemon stops its workers \
                     and queues their specs again"
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
    let answer = blocking::run(service::manager_is_stopping);
    matches!(tokio::time::timeout(MANAGER_ANSWERS_WITHIN, answer).await, Ok(Ok(true)))
}

fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
