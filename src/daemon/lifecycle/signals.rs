//! Signals to a daemon: HUP reloads the configuration; INT stops the workers and ends the daemon; TERM ends the daemon
//! and leaves the workers' commands running.

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

/// The interval at which a daemon with a terminal checks whether it still has it. A terminal that is closed sends SIGHUP at
/// once, so a daemon that finds it gone twice was not meant to end with it.
const CHECK_TERMINAL: Duration = Duration::from_secs(5);
/// How long the daemon waits for the service manager to answer whether the service manager is stopping.
const MANAGER_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The signals of a daemon, and what its caller and its surroundings make of them.
pub(crate) struct DaemonSignals {
    stream: Signals,
    /// Whether SIGHUP may mean that the terminal was closed: the daemon had one, and did not ignore SIGHUP, as under `nohup`.
    may_lose_terminal: bool,
    /// Whether all processes of this PID namespace end with this one.
    ends_namespace: bool,
}

impl DaemonSignals {
    /// Catches the signals.
    pub(super) fn catch() -> io::Result<DaemonSignals> {
        let (may_lose_terminal, ends_namespace) = (has_terminal() && !dispositions::ignores_hangup(), ends_namespace());
        Ok(DaemonSignals { stream: Signals::new([SIGHUP, SIGINT, SIGTERM])?, may_lose_terminal, ends_namespace })
    }

    /// Whether all processes of this PID namespace end with this one.
    pub(super) fn ends_namespace(&self) -> bool {
        self.ends_namespace
    }

    /// Waits for the next signal. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<i32> {
        self.stream.next().await
    }
}

/// Whether all processes of this PID namespace end with this process: it is their process 1, or the only child that
/// matters of a process 1 that does nothing but run it, such as `docker run --init`.
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
                    info!("the terminal is gone and no SIGHUP came with its end: the daemon continues, and SIGHUP reloads");
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
                    "told to end, and every process of this container ends with the daemon: the daemon stops the workers and \
                     queues their specs again"
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
