//! The seat of a home: a process that holds it is the home's one daemon. The seat consists of the locked pid
//! file and the queue, which is open for writing.
//!
//! The pid file is locked for as long as the daemon lives. At its end the daemon empties the file and does
//! not remove it. Signals are caught before the file is locked, so that a SIGHUP to the pid in the file never
//! ends the process.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use signal_hook::consts::SIGHUP;

use super::signals::DaemonSignals;
use crate::daemon::error::LoopError;
use crate::domain::view::Counts;
use crate::process::procfs;
use crate::queue::Queue;
use crate::queue::open;
use crate::queue::sqlite::OpenError;
use crate::system::paths::{Home, HomeError};
use crate::system::{files, home_record};

/// How long a starting daemon waits for a command that is writing to the queue.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a command that checks whether a daemon runs may hold the lock of the pid file. A starting daemon
/// waits at least this long for the lock.
pub(crate) const PROBED: Duration = Duration::from_millis(100);
/// A daemon that was told to end has usually ended within this time. A starting daemon that waits for it
/// tries the lock every millisecond during this time, and less often later.
const LEAVES_AT_ONCE: Duration = Duration::from_secs(1);
/// A queue of at most this many bytes is checked for damage before each start of a daemon: the check takes
/// milliseconds.
const CHECK_ALWAYS: u64 = 8 << 20;
/// A queue of at most this many bytes is checked for damage if the last daemon crashed.
const CHECK_AFTER_CRASH: u64 = 256 << 20;

/// Why a daemon did not start, or ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    /// Another daemon runs in this home.
    #[error("a daemon is already running{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Runs {
        /// The pid in the pid file.
        pid: Option<u32>,
    },
    /// A file or the socket of the home cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file or socket.
        path: std::path::PathBuf,
        /// Why it cannot be used.
        source: io::Error,
    },
    /// The daemon's home was removed or replaced.
    #[error(
        "{} was removed or replaced: the daemon ended, and its running commands continue; \
         to adopt them, put the home back where it was and start a daemon",
        home.display()
    )]
    HomeGone {
        /// The path of the home.
        home: std::path::PathBuf,
    },
    /// The configuration names another queue than before, and the earlier queue has specs that have not
    /// ended.
    #[error(
        "`paths.db` now names the queue {}, but {} {} running and {} queued spec{} in {}, which a daemon on the new queue would not resume",
        now.display(),
        daemon.map_or_else(|| "the last daemon left".to_owned(), |pid| format!("the daemon (pid {pid}) has")),
        counts.running,
        counts.queued,
        if counts.open() == 1 { "" } else { "s" },
        before.display()
    )]
    OtherQueue {
        /// The path of the earlier queue.
        before: std::path::PathBuf,
        /// The path of the queue that is configured now.
        now: std::path::PathBuf,
        /// How many specs the earlier queue has.
        counts: Counts,
        /// The pid of the daemon that runs on the earlier queue; `None` if no daemon runs.
        daemon: Option<u32>,
    },
    /// The daemon was told to leave while its queue did not answer.
    #[error("the queue {place} has not answered for {} s: the daemon ended without waiting for the queue; running commands continue", silent_for.as_secs())]
    QueueSilent {
        /// The path of the queue.
        place: String,
        /// How long the queue had not answered.
        silent_for: Duration,
    },
    /// A starting daemon got a signal to end while it waited for the running daemon to end.
    #[error("a signal ended the start of the daemon, while it waited for the running daemon{} to end", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Stopped {
        /// The pid of the running daemon, from the pid file.
        pid: Option<u32>,
    },
    /// `/proc` belongs to another PID namespace, so a pid in it identifies another process than the one that
    /// boi would signal.
    #[error(
        "/proc belongs to another PID namespace than boi, so boi cannot identify processes: mount the /proc of boi's own \
         PID namespace, for example with `unshare --pid --fork --mount-proc`"
    )]
    ForeignProc,
    /// Signals cannot be caught.
    #[error("cannot catch SIGHUP, SIGINT and SIGTERM: {0}")]
    Signals(io::Error),
    /// The queue cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Another user can change the home, or the home is a copy.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The loop failed.
    #[error(transparent)]
    Loop(#[from] LoopError),
}

/// The seat of a home's daemon.
pub(crate) struct Seat {
    pub(super) home: Home,
    pub(super) pid_file: File,
    pub(super) signals: DaemonSignals,
    pub(super) queue: Arc<dyn Queue>,
}

impl Seat {
    /// Takes the seat of `home`, which [`Home::prepare`] has prepared. Waits up to `patience` for another
    /// daemon to leave the seat; a caller that does not want to wait passes [`PROBED`].
    pub(crate) async fn take(home: &Home, patience: Duration) -> Result<Seat, BootError> {
        Seat::take_if(home, patience, || refuse_other_queue(home, None)).await
    }

    /// Takes the seat for a caller that stops the running specs of this queue. This call succeeds even if
    /// another queue, which the home used before, has specs that have not ended.
    pub(crate) async fn take_to_stop(home: &Home) -> Result<Seat, BootError> {
        Seat::take_if(home, PROBED, || Ok(())).await
    }

    async fn take_if(
        home: &Home,
        patience: Duration,
        check: impl FnOnce() -> Result<(), BootError>,
    ) -> Result<Seat, BootError> {
        home_record::check(home)?;
        if !procfs::is_of_this_namespace() {
            return Err(BootError::ForeignProc);
        }
        let mut signals = DaemonSignals::catch().map_err(BootError::Signals)?;
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
            // A command that checks whether a daemon runs holds the lock for a moment.
            let waited = begun.elapsed();
            let pause = Duration::from_millis(if waited < LEAVES_AT_ONCE { 1 } else { 20 });
            if waited >= patience {
                return Err(BootError::Runs { pid: pid_in(&path) });
            }
            if is_told_to_end(&mut signals, pause).await {
                return Err(BootError::Stopped { pid: pid_in(&path) });
            }
        }
        // A daemon that ended without a crash has emptied the file.
        let crashed = pid_in(&path).is_some();
        write_pid(&mut pid_file).map_err(io_error)?;
        let checked = if crashed { CHECK_AFTER_CRASH } else { CHECK_ALWAYS };
        match check().and_then(|()| Ok(open::open_checked(home, PATIENCE, checked)?)) {
            Ok(queue) => Ok(Seat { home: home.clone(), pid_file, signals, queue }),
            Err(error) => {
                if !crashed {
                    // If the file cannot be emptied, the next daemon assumes a crash, and so checks larger
                    // queues for damage too.
                    drop(pid_file.set_len(0));
                }
                Err(error)
            }
        }
    }

    /// Returns the queue, which is open for writing.
    pub(crate) fn queue(&self) -> &Arc<dyn Queue> {
        &self.queue
    }
}

/// Fails if the home used another queue before and that queue has specs that have not ended. `daemon` is the
/// pid of the daemon that runs on that queue.
pub(crate) fn refuse_other_queue(home: &Home, daemon: Option<u32>) -> Result<(), BootError> {
    match open::left_behind(home) {
        Some((before, counts)) if counts.open() > 0 => {
            Err(BootError::OtherQueue { before, now: home.db().to_owned(), counts, daemon })
        }
        _ => Ok(()),
    }
}

/// Whether a daemon that is running or starting holds the lock of this pid file.
pub(crate) fn seat_is_taken(pid_file: &std::path::Path) -> io::Result<bool> {
    let file = match files::open_file(pid_file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => {
            return Err(io::Error::new(
                error.kind(),
                format!("cannot use the pid file {}: {error}", pid_file.display()),
            ));
        }
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Empties the pid file and removes the socket that a crashed daemon left. Fails while a daemon holds the
/// seat.
pub(crate) fn tidy_seat(pid_file: &std::path::Path, socket: &std::path::Path) -> io::Result<()> {
    let file = files::private_file(pid_file)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    file.set_len(0)
}

/// The pid in a pid file, if the file contains one.
pub(crate) fn pid_in(path: &std::path::Path) -> Option<u32> {
    let bytes = files::read_user_file(path, 64).ok()??;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// Opens and locks the daemon's pid file again after it was removed, and writes the pid into it. Returns
/// `None` if another daemon holds the seat now.
pub(super) fn retake(path: &std::path::Path) -> io::Result<Option<File>> {
    let mut file = files::private_file(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => write_pid(&mut file).map(|()| Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Waits for `pause` or for a signal. Returns whether a signal to end (SIGINT or SIGTERM) arrived.
async fn is_told_to_end(signals: &mut DaemonSignals, pause: Duration) -> bool {
    tokio::select! {
        Some(signal) = signals.next() => signal != SIGHUP,
        () = tokio::time::sleep(pause) => false,
    }
}
