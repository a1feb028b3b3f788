//! The running daemon of a home: its answer to a status request, and its process as the kernel identifies it.
//! Both come from the same connection, so a signal reaches either that daemon or no process.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backend;
use super::patience::{GIVE_UP, Patience};
use super::{CliError, FAILED};
use crate::control::calls::{GetConfig, StatusRequest};
use crate::control::client::Client;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::view::{DaemonView, StatusView};
use crate::process::peer::Peer;
use crate::queue::Filter;
use crate::system::output::say;
use crate::system::paths::Home;

/// How long the socket may still accept connections after its daemon has ended.
const SOCKET_LINGERS: Duration = Duration::from_secs(2);
/// The interval at which a command checks whether a daemon listens or has ended.
pub(super) const POLL: Duration = Duration::from_millis(5);
/// How often a command checks whether a daemon still listens, if it cannot see the daemon's process.
const POLL_SOCKET: Duration = Duration::from_millis(100);
/// How often a command asks a stopping daemon which specs it has not stopped yet.
const POLL_STATUS: Duration = Duration::from_secs(1);
/// The default of `stop_grace_seconds`, for a daemon that does not answer.
const DEFAULT_GRACE: u64 = 10;

/// A running daemon.
pub(super) struct RunningDaemon {
    pub(super) client: Client,
    /// The daemon, with its pid as the kernel names it here.
    pub(super) view: DaemonView,
    /// The daemon's status at the time of its answer, with at most one spec.
    pub(super) status: StatusView,
    pub(super) peer: Peer,
}

impl RunningDaemon {
    /// Returns the daemon of a home, if one runs. If a daemon holds the seat (the lock of the pid file) but
    /// does not listen yet, waits until it listens.
    pub(super) async fn find(home: &Home) -> Result<Option<RunningDaemon>, CliError> {
        let until = Instant::now() + SOCKET_LINGERS;
        loop {
            let found = match backend::daemon(home).await? {
                Some(client) => RunningDaemon::ask(client).await,
                None => return Ok(None),
            };
            match found {
                Err(error) if error.is_away() && Instant::now() < until => sleep(POLL).await,
                found => return found,
            }
        }
    }

    /// Returns the daemon that listens at this moment, if there is one; does not wait.
    pub(super) async fn find_listening(home: &Home) -> Result<Option<RunningDaemon>, CliError> {
        match Client::connect(&home.socket()).await? {
            Some(client) => RunningDaemon::ask(client).await,
            None => Ok(None),
        }
    }

    /// Returns the daemon of a home, if one runs that is not stopping. Waits for the end of a daemon that is
    /// stopping.
    pub(super) async fn find_not_stopping(home: &Home) -> Result<Option<RunningDaemon>, CliError> {
        loop {
            match RunningDaemon::find(home).await? {
                Some(daemon) if daemon.view.stopping => daemon.wait_until_stopped(None).await?,
                found => return Ok(found),
            }
        }
    }

    /// Waits for the end of a daemon that was told to stop. Gives up when no worker has ended for the time
    /// that a worker may take: `stop_grace_seconds` and [`GIVE_UP`].
    pub(super) async fn wait_until_stopped(&self, notice: Option<&str>) -> Result<(), CliError> {
        let mut patience = Patience::new(Some(ends_within(&self.client).await));
        let (mut told, mut running) = (notice.is_some(), None);
        let ended = self.ended();
        tokio::pin!(ended);
        loop {
            // Cancel-safe: the future is pinned outside of the loop.
            if tokio::time::timeout(POLL_STATUS, ended.as_mut()).await.is_ok() {
                return Ok(());
            }
            let pid = self.view.pid;
            if !std::mem::replace(&mut told, true) {
                say!("the daemon (pid {pid}) is stopping: waiting for its end");
            }
            let specs = self.stopping_specs().await;
            if specs.is_some() && specs != running {
                patience.progress();
                running = specs;
            }
            let what = match running.as_deref() {
                None | Some([]) => format!("the end of the daemon (pid {pid})"),
                Some(specs) => {
                    let ids: Vec<&str> = specs.iter().map(SpecId::as_str).collect();
                    format!("the daemon (pid {pid}), which stops {}", ids.join(" "))
                }
            };
            patience.check(what).map_err(|error| error.hint(self.how_to_end()))?;
        }
    }

    /// Returns the ids of the specs that are running; `None`: the daemon did not answer.
    async fn stopping_specs(&self) -> Option<Vec<SpecId>> {
        let filter = Filter { status: Some(SpecStatus::Running), limit: 10_000, ..Filter::default() };
        let request = StatusRequest { filter, newer_than: None };
        let answer = tokio::time::timeout(POLL_STATUS, self.client.call(&request)).await.ok()?.ok()?;
        Some(answer.status.specs.into_iter().map(|spec| spec.id).collect())
    }

    /// Returns advice on how the user can end the daemon if it does not end by itself.
    pub(super) fn how_to_end(&self) -> String {
        match &self.peer {
            Peer::Here { pid, .. } => {
                format!("the daemon's log says why; `kill -TERM {pid}` ends the daemon and leaves its workers running")
            }
            Peer::Elsewhere { .. } => "the daemon runs in another PID namespace: end it there".to_owned(),
        }
    }

    async fn ask(client: Client) -> Result<Option<RunningDaemon>, CliError> {
        let (answer, peer) = client.call_with_peer(&one_spec()).await?;
        let mut status = answer.status;
        if let Some(daemon) = &mut status.daemon {
            name_as_seen_here(daemon, &peer);
        }
        Ok(status.daemon.clone().map(|view| RunningDaemon { client, view, status, peer }))
    }

    /// Waits until the daemon has ended.
    pub(super) async fn ended(&self) {
        while match self.peer.lives() {
            Some(lives) => lives,
            // This command cannot see the daemon's process, so only the socket shows whether the daemon has
            // ended.
            None => !matches!(Client::connect(self.client.socket()).await, Ok(None)),
        } {
            sleep(if self.peer.lives().is_some() { POLL * 4 } else { POLL_SOCKET }).await;
        }
    }

    /// Fails if the daemon is a `boi run` process, which cannot be restarted or replaced.
    pub(super) fn refuse_run(&self) -> Result<(), CliError> {
        if !self.view.scoped {
            return Ok(());
        }
        let pid = self.view.pid;
        let message = format!("a `boi run` (pid {pid}) is running: it runs only its own specs, and ends with them");
        Err(CliError::new(FAILED, message)
            .hint("wait until it has ended, or end it with Ctrl-C; then run `boi daemon start`"))
    }

    /// Fails if every process of the container ends with the daemon, so that nothing could replace it.
    pub(super) fn refuse_first(&self) -> Result<(), CliError> {
        // A daemon of an older version does not report `ends_container`.
        if !self.view.ends_container && !matches!(self.peer, Peer::Here { pid: 1, .. }) {
            return Ok(());
        }
        let message =
            "the daemon is the main process of this container, and every process of the container ends with it";
        Err(CliError::new(FAILED, message)
            .hint("restart the container: the daemon then stops its workers and queues their specs again"))
    }

    /// Fails if the daemon runs in another PID namespace: a daemon that is started here could not take over
    /// its workers, whose pids mean other processes here.
    pub(super) fn refuse_elsewhere(&self) -> Result<(), CliError> {
        if !self.peer.is_elsewhere() {
            return Ok(());
        }
        let message = format!(
            "the daemon{} runs in another PID namespace, such as that of a container: a daemon that is started here \
             cannot take over its workers",
            self.peer.pid().map(|pid| format!(" (pid {pid} here)")).unwrap_or_default()
        );
        Err(CliError::new(FAILED, message).hint(
            "nothing was signalled; run this command where the daemon runs, or stop the daemon from here with `boi daemon \
             stop`, which queues its specs again, and then run `boi daemon start`",
        ))
    }
}

/// Returns the daemon's status, with at most one spec.
pub(super) async fn status(client: &Client) -> Result<StatusView, CliError> {
    let (answer, peer) = client.call_with_peer(&one_spec()).await?;
    let mut status = answer.status;
    if let Some(daemon) = &mut status.daemon {
        name_as_seen_here(daemon, &peer);
    }
    Ok(status)
}

/// How long a worker that is told to end may take: the time between SIGTERM and SIGKILL, and [`GIVE_UP`].
pub(super) async fn ends_within(client: &Client) -> Duration {
    let config = client.call(&GetConfig).await.ok();
    let grace = config.and_then(|config| config.values.get("stop_grace_seconds")?.parse().ok());
    GIVE_UP + Duration::from_secs(grace.unwrap_or(DEFAULT_GRACE))
}

fn one_spec() -> StatusRequest {
    StatusRequest { filter: Filter { limit: 1, ..Filter::default() }, newer_than: None }
}

/// Replaces the pid that the daemon has in its own PID namespace by the pid that it has in this one, so that
/// no user and no script mistakes an unrelated process for the daemon.
pub(super) fn name_as_seen_here(daemon: &mut DaemonView, peer: &Peer) {
    daemon.other_pid_namespace = peer.is_elsewhere();
    daemon.pid = peer.pid().unwrap_or(daemon.pid);
}

/// Returns the path of the daemon's log file, or says that the log goes to standard error.
pub(super) fn log_place(daemon: Option<&DaemonView>) -> &str {
    daemon.and_then(|daemon| daemon.log.as_deref()).unwrap_or("the daemon's standard error")
}
