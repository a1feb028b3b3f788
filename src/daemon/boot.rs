//! Starting and ending a daemon: one per home, its lock, its socket, its signals.
//!
//! ```text
//! signals caught ─▶ pid file locked ─▶ writer's lock, store ─▶ socket ─▶ loop (adopts, then ticks) ─▶ pid file emptied
//! ```
//!
//! Signal handlers stand before the pid file does: from then on a SIGHUP is a reload and never the end.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures::StreamExt;
use rustix::fs::{FlockOperation, flock};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::handle::{Handle, Shared};
use super::health::Ground;
use super::worker::Workers;
use super::{Daemon, Event, Leaving};
use crate::config::HotConfig;
use crate::control::server;
use crate::domain::id::SpecId;
use crate::domain::view::{ConfigView, Counts};
use crate::process::cgroup;
use crate::queue::{Access, SqliteStore, Store, StoreError};
use crate::reload::{Asker, Booted, Judge, Outlets, Reloader};
use crate::service;
use crate::system::files;
use crate::system::logs::LogFilter;
use crate::system::paths::Home;

/// How long a starting daemon waits for a command line that is writing to the queue.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a starting daemon takes a lock on its seat for a look at it.
pub const PROBED: Duration = Duration::from_millis(100);
/// How often it is looked whether the queue of a daemon that is to leave answers.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// A daemon that leaves has left within this time; one that does not may never.
const LEAVES_AT_ONCE: Duration = Duration::from_secs(1);

/// How long who has asked something of a daemon that ends may take to get the answer.
const ANSWERS_WITHIN: Duration = Duration::from_millis(250);
/// How long the service manager may take to say whether it ends.
const MANAGER_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A queue of at most so many bytes is read as a whole before a daemon starts on it: that costs milliseconds.
const READ_ALWAYS: u64 = 8 << 20;
/// The same after a daemon that did not end in order.
const READ_AFTER_CRASH: u64 = 256 << 20;

/// Why a daemon did not start, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Another one runs.
    #[error("a daemon runs already{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Runs {
        /// Its pid, as its pid file says.
        pid: Option<u32>,
    },
    /// A file or the socket of the home cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its home went.
    #[error(
        "{} was removed or replaced: the daemon ended, and left what ran in it; \
         to have that taken over, put the home back where it was and start a daemon",
        home.display()
    )]
    Homeless {
        /// Where it was.
        home: std::path::PathBuf,
    },
    /// Another queue is configured than before, and that one holds specs that have not ended.
    #[error(
        "`paths.db` is another queue now, {}, and {} {} running and {} queued spec{} in {}, which nobody would go on with",
        now.display(),
        daemon.map_or_else(|| "the last daemon had".to_owned(), |pid| format!("the daemon (pid {pid}) has")),
        counts.running,
        counts.queued,
        if counts.open() == 1 { "" } else { "s" },
        before.display()
    )]
    OtherQueue {
        /// The queue before.
        before: std::path::PathBuf,
        /// The queue that is configured.
        now: std::path::PathBuf,
        /// What the one before holds.
        counts: Counts,
        /// The daemon that runs on it.
        daemon: Option<u32>,
    },
    /// It was told to leave while its queue did not answer.
    #[error("the queue {} has not answered for {seconds} s: the daemon ended without it; what runs lives on", queue.display())]
    Silent {
        /// The database's file.
        queue: std::path::PathBuf,
        /// For so long.
        seconds: u64,
    },
    /// It was told to end before it had begun.
    #[error("told to end while it waited for the daemon that runs{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Stopped {
        /// Its pid, as its pid file says.
        pid: Option<u32>,
    },
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
    /// The queue.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The place of a home's one daemon: its pid file, locked, and its queue, open for writing.
pub struct Seat {
    home: Home,
    pid_file: File,
    signals: Signals,
    store: Arc<dyn Store>,
}

/// A running daemon.
pub struct Running {
    /// What may be asked of it.
    pub handle: Handle,
    work: JoinHandle<Result<(), StoreError>>,
    server: JoinHandle<()>,
    close: watch::Sender<bool>,
    listener: JoinHandle<()>,
    detaching: watch::Receiver<bool>,
    reloader: Reloader,
    home: Home,
    pid_file: File,
}

impl Seat {
    /// Takes the seat of `home`'s daemon, which [`Home::prepare`] was called on. Waits up to `patience` for another
    /// daemon to leave it; [`PROBED`] is for one that does not wait.
    pub async fn take(home: &Home, patience: Duration) -> Result<Seat, BootError> {
        Seat::take_if(home, patience, || refuse_other_queue(home, None)).await
    }

    /// The same to end what runs in the queue of `home`, whatever another one holds.
    pub async fn take_to_stop(home: &Home) -> Result<Seat, BootError> {
        Seat::take_if(home, PROBED, || Ok(())).await
    }

    async fn take_if(
        home: &Home,
        patience: Duration,
        may: impl FnOnce() -> Result<(), BootError>,
    ) -> Result<Seat, BootError> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(BootError::Signals)?;
        let path = home.pid_file();
        let io_error = |source| BootError::Io { path: path.clone(), source };
        let mut pid_file = files::private_file(&path).map_err(io_error)?;
        let begun = Instant::now();
        loop {
            match flock(&pid_file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(io_error(error.into())),
            }
            // Whoever only looks whether a daemon runs holds the lock for a moment.
            let waited = begun.elapsed();
            let pause = Duration::from_millis(if waited < LEAVES_AT_ONCE { 1 } else { 20 });
            if waited >= patience {
                return Err(BootError::Runs { pid: pid_in(&path) });
            }
            if is_told_to_end(&mut signals, pause).await {
                return Err(BootError::Stopped { pid: pid_in(&path) });
            }
        }
        // An orderly end empties the file.
        let crashed = pid_in(&path).is_some();
        write_pid(&mut pid_file).map_err(io_error)?;
        match may().and_then(|()| Ok(open(home, crashed)?)) {
            Ok(store) => Ok(Seat { home: home.clone(), pid_file, signals, store }),
            Err(error) => {
                if !crashed {
                    // Left as it is, it only has the next daemon read a larger queue.
                    drop(pid_file.set_len(0));
                }
                Err(error)
            }
        }
    }

    /// The queue.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Starts the daemon under what was booted. `scope`: it claims only these and what they wait for.
    pub fn start(self, booted: Booted, log: LogFilter, scope: Option<Vec<SpecId>>) -> Result<Running, BootError> {
        let Seat { home, pid_file, signals, store } = self;
        if let Some(refusal) = &booted.degraded {
            error!(
                "configuration rejected; the daemon runs on the last good one, kept in {}:\n{refusal}",
                home.last_good_config().display()
            );
        }
        if booted.was_lost {
            warn!(
                "{} is missing or empty: every key has its default; the last good configuration is kept in {}",
                home.config_file().display(),
                home.last_good_config().display()
            );
        }
        for warning in booted.warnings() {
            warn!("configuration: {warning}");
        }
        let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 1, config: booted.config.clone() }));
        let shared = Arc::new(Shared::new(booted.view(), scope.is_some()).logging_to(log.file()));
        let ground = Ground::of(&home, &pid_file);
        shared.health.stand_on(ground.map_err(|source| BootError::Io { path: home.pid_file(), source })?);
        let (events, inbox) = mpsc::unbounded_channel();
        let handle = Handle {
            store: Arc::clone(&store),
            hot: Arc::clone(&hot),
            shared: Arc::clone(&shared),
            events: events.clone(),
        };
        let socket = home.socket();
        let standing = Arc::clone(&shared);
        let is_ours = move || standing.health.check_home().is_ok();
        let listener = server::bind(&socket, is_ours).map_err(|source| BootError::Io { path: socket, source })?;
        let (close, closing) = watch::channel(false);
        let server = tokio::spawn(server::serve(listener, handle.clone(), closing));
        let workers = Workers::new(home.clone(), Arc::clone(&store), Arc::clone(&shared));
        let daemon = Daemon::new(store, hot, shared, workers, scope, (events, inbox));
        let reloader = {
            let set_log = Box::new(move |filter: &str| log.set(filter));
            let outlets = Outlets { tell: tell(handle.clone()), set_log };
            Reloader::start(Judge::new(home.clone(), &booted, Arc::clone(&handle.hot), outlets))
                .map_err(|source| BootError::Io { path: home.config_file(), source })?
        };
        let (detach, detaching) = watch::channel(false);
        let listener = tokio::spawn(listen(signals, handle.clone(), reloader.asker(), detach));
        info!(pid = std::process::id(), home = %home.root().display(), "daemon started");
        match cgroup::usable() {
            Ok(base) => info!("each command has a cgroup of its own in {}", base.display()),
            Err(why) => info!("commands have no cgroups, their trees are found by parent and marker: {why}"),
        }
        service::ready(&said(&booted.view()));
        let work = tokio::spawn(daemon.run());
        Ok(Running { handle, work, server, close, listener, detaching, reloader, home, pid_file })
    }
}

impl Running {
    /// Waits until the daemon has left, and gives up its seat.
    pub async fn ended(mut self) -> Result<(), BootError> {
        let result = tokio::select! {
            result = self.work => result.unwrap_or_else(|error| {
                error!(%error, "the loop broke down");
                Err(StoreError::Closed)
            }),
            silent = without_its_queue(&self.handle, self.detaching) => Err(silent),
        };
        service::stopping();
        self.listener.abort();
        self.close.send_replace(true);
        if tokio::time::timeout(ANSWERS_WITHIN, &mut self.server).await.is_err() {
            self.server.abort();
        }
        drop(self.reloader);
        if self.handle.shared.health.check_home().is_err() {
            // What is at its paths now is another's.
            return Err(BootError::Homeless { home: self.home.root().to_owned() });
        }
        if let Err(StoreError::Silent { path: queue, seconds }) = result {
            error!(seconds, "the queue does not answer: the daemon ends without it, what runs lives on");
            return Err(BootError::Silent { queue, seconds });
        }
        // Emptied, never unlinked: another daemon may hold the same file open and wait for its lock.
        self.pid_file.set_len(0).map_err(|source| BootError::Io { path: self.home.pid_file(), source })?;
        info!("daemon ended");
        Ok(result?)
    }
}

/// Waits until the daemon was told to leave and its queue, of which that needs a little, does not answer.
async fn without_its_queue(handle: &Handle, mut detaching: watch::Receiver<bool>) -> StoreError {
    if detaching.wait_for(|told| *told).await.is_err() {
        return std::future::pending().await;
    }
    loop {
        if let Some(silent) = handle.silence() {
            return silent;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Refuses a queue that is another than before, while the one before holds specs that have not ended. `daemon`: the one
/// that runs on it.
pub fn refuse_other_queue(home: &Home, daemon: Option<u32>) -> Result<(), BootError> {
    match SqliteStore::left_behind(home) {
        Some((before, counts)) if counts.open() > 0 => {
            Err(BootError::OtherQueue { before, now: home.db().to_owned(), counts, daemon })
        }
        _ => Ok(()),
    }
}

/// Opens the queue, which must be whole.
fn open(home: &Home, crashed: bool) -> Result<Arc<dyn Store>, StoreError> {
    let store = SqliteStore::open_home(home, Access::Write(PATIENCE))?;
    let most = if crashed { READ_AFTER_CRASH } else { READ_ALWAYS };
    if files::size(home.db()).is_ok_and(|size| size <= most) {
        store.verify()?;
    }
    Ok(Arc::new(store))
}

/// Whether a daemon has, or is about to take, the seat whose pid file this is.
pub fn seat_is_taken(pid_file: &std::path::Path) -> io::Result<bool> {
    let file = match File::open(pid_file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Empties the pid file and removes the socket of a daemon that did not end in order, unless another has the seat.
pub fn tidy_seat(pid_file: &std::path::Path, socket: &std::path::Path) -> io::Result<()> {
    let file = files::private_file(pid_file)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    file.set_len(0)
}

/// The pid in a pid file, if there is one.
pub fn pid_in(path: &std::path::Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Whom each verdict on the configuration is told: the loop, when something was swapped, and whoever asks for the state.
fn tell(handle: Handle) -> Box<dyn Fn(&ConfigView) + Send> {
    let generation = AtomicU64::new(1);
    Box::new(move |view| {
        if generation.swap(view.generation, Ordering::Relaxed) != view.generation {
            handle.send(Event::Reloaded);
        }
        handle.shared.set_config(view.clone());
        service::ready(&said(view));
    })
}

/// The state of the configuration, in one line.
fn said(view: &ConfigView) -> String {
    let errors = match view.errors.len() {
        0 => String::new(),
        1 => format!(": {}", view.errors[0]),
        count => format!(": {count} errors, the first: {}", view.errors[0]),
    };
    format!("configuration generation {} in force; on disk: {}{errors}", view.generation, view.outcome.as_str())
}

/// Waits for `pause`, or for the signal to end.
async fn is_told_to_end(signals: &mut Signals, pause: Duration) -> bool {
    tokio::select! {
        Some(signal) = signals.next() => signal != SIGHUP,
        () = tokio::time::sleep(pause) => false,
    }
}

/// Turns signals into events: HUP reads the configuration again, INT stops the workers, TERM leaves them running, unless
/// they would be killed with the service manager.
async fn listen(mut signals: Signals, handle: Handle, asker: Asker, detach: watch::Sender<bool>) {
    let leave = || {
        handle.send(Event::Leave(Leaving::Detach));
        detach.send_replace(true);
    };
    let had_terminal = has_terminal();
    let mut asked = false;
    while let Some(signal) = signals.next().await {
        match signal {
            SIGHUP if had_terminal && !has_terminal() => {
                warn!("the terminal is gone: the daemon ends, what runs lives on");
                leave();
            }
            SIGHUP => {
                service::reloading();
                asker.ask();
            }
            SIGINT if !asked => {
                info!("interrupted: workers are stopped and their specs queued again; once more leaves them running");
                handle.send(Event::Leave(Leaving::Stop));
                asked = true;
            }
            SIGTERM if !asked && manager_ends().await => {
                info!(
                    "the service manager ends, and nothing outlives it: workers are stopped and their specs queued again"
                );
                handle.send(Event::Leave(Leaving::Stop));
                asked = true;
            }
            _ => {
                info!("the daemon ends, what runs lives on");
                leave();
            }
        }
    }
}

/// Whether the service manager ends too, as far as it says so in time.
async fn manager_ends() -> bool {
    let answer = tokio::task::spawn_blocking(service::manager_ends);
    matches!(tokio::time::timeout(MANAGER_ANSWERS_WITHIN, answer).await, Ok(Ok(true)))
}

fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
