//! Starts the daemon that holds the seat of a home (see `seat`), and ends it.
//!
//! ```text
//! seat taken ─▶ configuration booted ─▶ socket bound ─▶ reload thread ─▶ loop (adopts, then ticks)
//!     ─▶ told to leave ─▶ accepted calls answered ─▶ pid file emptied
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::health::HomeIdentity;
use super::seat::{BootError, Seat};
use super::signals;
use crate::config::HotConfig;
use crate::control::server;
use crate::daemon::async_queue::AsyncQueue;
use crate::daemon::error::{CallError, LoopError};
use crate::daemon::events::{self, EventSender};
use crate::daemon::handle::{Handle, SILENT};
use crate::daemon::shared::Shared;
use crate::daemon::worker::Workers;
use crate::daemon::{Daemon, Event, merged_by_user, repositories, retention};
use crate::daemon::{hooks, left_running};
use crate::domain::id::SpecId;
use crate::domain::verdict::Trigger;
use crate::domain::view::ConfigView;
use crate::process::cgroup;
use crate::reload::{BootConfig, Callbacks, Judge, Reloader};
use crate::service;
use crate::system::blocking;
use crate::system::logs::LogFilter;
use crate::system::paths::Home;

/// How often a daemon that detaches checks whether its queue answers.
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// How long a stopping daemon keeps answering accepted requests.
const ANSWERS_WITHIN: Duration = Duration::from_millis(250);

/// How long a stopping daemon waits until its last events are recorded.
const RECORDS_WITHIN: Duration = Duration::from_secs(2);

/// A running daemon.
pub(crate) struct Running {
    /// Access to the daemon's queue, state and loop.
    pub handle: Handle,
    work: JoinHandle<Result<(), LoopError>>,
    server: JoinHandle<()>,
    close: watch::Sender<bool>,
    listener: JoinHandle<()>,
    merges: JoinHandle<()>,
    repositories: JoinHandle<()>,
    retention: JoinHandle<()>,
    events: EventSender,
    recorder: JoinHandle<()>,
    hooks: JoinHandle<()>,
    finish_hooks: watch::Sender<bool>,
    detaching: watch::Receiver<bool>,
    reloader: Reloader,
    home: Home,
}

impl Seat {
    /// Starts the daemon with the booted configuration. With a `scope`, the daemon claims only these specs
    /// and the specs that they wait for.
    pub(crate) fn start(
        self,
        booted: BootConfig,
        log: LogFilter,
        scope: Option<Vec<SpecId>>,
    ) -> Result<Running, BootError> {
        let Seat { home, pid_file, signals, queue } = self;
        if let Some(refusal) = &booted.degraded {
            error!(
                "configuration rejected; the daemon uses the last good configuration, kept in {}:\n{refusal}",
                home.last_good_config().display()
            );
        }
        for warning in booted.notes().iter().chain(booted.warnings()) {
            warn!("configuration: {warning}");
        }
        let scoped = scope.is_some();
        let left = left_running::take(&home.left_running());
        let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 1, config: booted.config.clone() }));
        let shared = Shared::new(booted.view(), scoped)
            .logging_to(log.file())
            .ending_container(signals.ends_namespace())
            .with_disks(home.root(), home.worktrees())
            .with_left_by_last(left);
        let shared = Arc::new(shared);
        let identity = HomeIdentity::of(&home, pid_file);
        shared.health.set_home(identity.map_err(|source| BootError::Io { path: home.pid_file(), source })?);
        let forker = Arc::clone(&shared);
        drop(blocking::run(move || forker.forker.start()));
        let queue = AsyncQueue::new(queue);
        let (events, inbox) = mpsc::unbounded_channel();
        let handle = Handle {
            queue: queue.clone(),
            place: home.db().display().to_string().into(),
            hot: Arc::clone(&hot),
            shared: Arc::clone(&shared),
            events: events.clone(),
            reload: Arc::default(),
        };
        let (stream, recorder) = events::recorder(handle.queue.clone());
        let socket = home.socket();
        let health = Arc::clone(&shared);
        let is_ours = move || health.health.check_home().is_ok();
        let listener = server::bind(&socket, is_ours).map_err(|source| BootError::Io { path: socket, source })?;
        let (close, closing) = watch::channel(false);
        let server = tokio::spawn(server::serve(listener, handle.clone(), closing));
        let workers = Workers::new(home.clone(), queue.clone(), Arc::clone(&shared));
        let daemon = Daemon::new(queue, hot, shared, workers, scope, (events, inbox));
        let reloader = {
            let set_log_filter = Box::new(move |filter: &str| log.set(filter));
            let publish = publish_verdicts(handle.clone(), stream.clone());
            let callbacks = Callbacks { publish, set_log_filter };
            Reloader::start(Judge::new(home.clone(), &booted, Arc::clone(&handle.hot), callbacks))
                .map_err(|source| BootError::Io { path: home.config_file(), source })?
        };
        // This cannot fail: only this line sets `handle.reload`, and it runs once.
        drop(handle.reload.set(reloader.handle()));
        let (detach, detaching) = watch::channel(false);
        let listener = tokio::spawn(signals::listen(signals, handle.clone(), detach));
        info!(pid = std::process::id(), home = %home.root().display(), "daemon started");
        match cgroup::find_usable_base() {
            Ok(base) => info!(base = %base.display(), "cgroups can be used: each command runs in a cgroup of its own"),
            Err(why) => info!(
                why,
                "cgroups cannot be used: boi finds the processes of a command by their parents and the command's marker"
            ),
        }
        service::ready(&describe(&booted.view()));
        let merges = tokio::spawn(merged_by_user::poll(handle.clone()));
        let repositories = tokio::spawn(repositories::poll(handle.clone()));
        let retention = tokio::spawn(retention::remove_expired(handle.clone(), home.clone()));
        let (finish_hooks, finishing) = watch::channel(false);
        let hooks = tokio::spawn(hooks::run(handle.clone(), home.clone(), finishing));
        stream.started(scoped);
        let work = tokio::spawn(daemon.run());
        Ok(Running {
            handle,
            work,
            server,
            close,
            listener,
            merges,
            repositories,
            retention,
            events: stream,
            recorder,
            hooks,
            finish_hooks,
            detaching,
            reloader,
            home,
        })
    }
}

impl Running {
    /// Waits until the daemon's loop has ended, answers the accepted calls, and releases the daemon's seat.
    pub(crate) async fn ended(mut self) -> Result<(), BootError> {
        let result = tokio::select! {
            result = self.work => result.unwrap_or_else(|error| {
                error!(%error, "the daemon's loop panicked");
                Err(LoopError::Panicked)
            }),
            silent = silent_queue(&self.handle, self.detaching) => {
                error!(error = %silent, "the queue does not answer: the daemon ends, running commands continue");
                service::stopping();
                self.close.send_replace(true);
                // The server removes the socket first. The calls that it has accepted wait for the queue.
                drop(tokio::time::timeout(ANSWERS_WITHIN, &mut self.server).await);
                return Err(silent);
            }
        };
        service::stopping();
        self.listener.abort();
        self.merges.abort();
        self.repositories.abort();
        self.retention.abort();
        self.close.send_replace(true);
        if tokio::time::timeout(ANSWERS_WITHIN, &mut self.server).await.is_err() {
            self.server.abort();
        }
        drop(self.reloader);
        if self.handle.shared.health.check_home().is_err() {
            // The files that are now at the paths of the home do not belong to this daemon.
            return Err(BootError::HomeGone { home: self.home.root().to_owned() });
        }
        self.events.stopped();
        drop(self.events);
        if tokio::time::timeout(RECORDS_WITHIN, self.recorder).await.is_err() {
            warn!("the queue could not record the last events of the daemon in time");
        }
        self.finish_hooks.send_replace(true);
        if let Err(panicked) = self.hooks.await {
            error!(error = %panicked, "the task of the hooks panicked");
        }
        left_running::record(&self.home.left_running(), &self.handle.shared.left_running());
        // The file is emptied, never removed: another daemon may hold the same file open and wait for its
        // lock.
        self.handle
            .shared
            .health
            .leave_seat()
            .map_err(|source| BootError::Io { path: self.home.pid_file(), source })?;
        info!("daemon ended");
        Ok(result?)
    }
}

/// Returns when the daemon was told to detach and its queue, which it needs for its last records, does not
/// answer.
async fn silent_queue(handle: &Handle, mut detaching: watch::Receiver<bool>) -> BootError {
    if detaching.wait_for(|told| *told).await.is_err() {
        return std::future::pending().await;
    }
    loop {
        if let Err(CallError::QueueSilent { place, silent_for }) = handle.check_silence(SILENT) {
            return BootError::QueueSilent { place, silent_for };
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

/// Makes the callback that publishes each verdict on the configuration: to `boi status`, to the service
/// manager, and, if there is a new generation, to the loop.
fn publish_verdicts(handle: Handle, events: EventSender) -> Box<dyn Fn(&ConfigView) + Send> {
    let (generation, judged) = (AtomicU64::new(1), AtomicU64::new(0));
    Box::new(move |view| {
        // A view may be published again with the same verdict.
        if let Some(verdict) = &view.verdict
            && judged.swap(verdict.attempt, Ordering::Relaxed) != verdict.attempt
            && verdict.trigger != Trigger::Boot
        {
            events.judged(verdict);
        }
        if generation.swap(view.generation, Ordering::Relaxed) != view.generation {
            handle.send(Event::Reloaded);
            handle.shared.retention.reloaded();
            handle.shared.hooks.reloaded();
        }
        handle.shared.set_config(view.clone());
        service::ready(&describe(view));
    })
}

/// Describes the state of the configuration in one line, for the service manager.
fn describe(view: &ConfigView) -> String {
    let errors = match view.errors.len() {
        0 => String::new(),
        1 => format!(": {}", view.errors[0]),
        count => format!(": {count} errors, the first: {}", view.errors[0]),
    };
    format!(
        "configuration generation {} in force; configuration file: {}{errors}",
        view.generation,
        view.outcome.as_str()
    )
}
