//! Checks with each tick whether the daemon's home and queue can be used. While one of them cannot be used,
//! no worker is started and running workers continue. `boi status` shows the reason, and each new reason is
//! logged once.
//!
//! ```text
//!            a tick or a write fails                    a tick succeeds, a probing write included
//!  healthy ─────────────────────────▶ troubled: backs off ─────────────────────────▶ healthy
//!                                        │ the home is gone or replaced, for `HOME_GONE_FOR_GOOD`
//!                                        ▼
//!                                     the daemon detaches, and ends
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::seat;
use crate::daemon::error::LoopError;
use crate::daemon::{Daemon, Leaving, Spawn};
use crate::queue::{Queue, QueueError};
use crate::system::clock;
use crate::system::paths::Home;

/// If the home is missing for this long, the daemon ends. If the home is put back earlier, the daemon uses it
/// again.
const HOME_GONE_FOR_GOOD: Duration = Duration::from_secs(10);

/// The identity of a running daemon's home, and the daemon's seat in it (the locked pid file). The folder at
/// the home's path is still this home if it is the folder in which the daemon started and no other daemon
/// holds its seat.
#[derive(Debug)]
pub(super) struct HomeIdentity {
    root: PathBuf,
    /// The home's folder. While it is open, no other folder gets its inode.
    folder: File,
    pid_path: PathBuf,
    /// The pid file, locked for as long as the daemon lives.
    seat: Mutex<File>,
}

impl HomeIdentity {
    /// Returns the identity of `home`, whose daemon has locked `pid_file`.
    pub(super) fn of(home: &Home, pid_file: File) -> io::Result<HomeIdentity> {
        let (root, pid_path) = (home.root().to_owned(), home.pid_file());
        let folder = File::open(&root)?;
        Ok(HomeIdentity { root, folder, pid_path, seat: Mutex::new(pid_file) })
    }

    /// Fails if the home was removed or replaced. Succeeds if the path cannot be inspected for another
    /// reason. Creates the pid file again if it was removed, so that no other daemon can take the seat.
    fn check(&self) -> Result<(), LoopError> {
        let mut seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in_place = is_same(&self.root, &self.folder)
            && (is_same(&self.pid_path, &seat) || take_again(&self.pid_path, &mut seat));
        if is_in_place { Ok(()) } else { Err(LoopError::HomeGone { home: self.root.clone() }) }
    }
}

/// Returns whether the file at `path` is the open `file`; true if `path` cannot be inspected.
fn is_same(path: &Path, file: &File) -> bool {
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(at_path), Ok(open)) => (at_path.dev(), at_path.ino()) == (open.dev(), open.ino()),
        (Err(error), _) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        (Ok(_), Err(_)) => true,
    }
}

/// Creates the pid file again if its folder still exists. Returns false if the folder is gone too, or if
/// another daemon holds the seat.
fn take_again(path: &Path, seat: &mut File) -> bool {
    if !path.parent().is_some_and(Path::is_dir) {
        return false;
    }
    match seat::retake(path) {
        Ok(Some(file)) => {
            warn!(path = %path.display(), "the pid file was removed; the daemon created it again");
            *seat = file;
            true
        }
        Ok(None) => false,
        // The file cannot be created, for example because the disk is full, but the home is in place.
        Err(_) => true,
    }
}

/// The reason why the home or the queue cannot be used, if any, and the time since which the home has been
/// missing.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Health {
    home: OnceLock<HomeIdentity>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trouble: Option<String>,
    home_gone_since: Option<Instant>,
}

impl Health {
    /// Sets the daemon's home, once, at its start.
    pub(super) fn set_home(&self, home: HomeIdentity) {
        // Only the first call counts.
        drop(self.home.set(home));
    }

    /// Fails when the daemon's home was removed or replaced.
    pub(in crate::daemon) fn check_home(&self) -> Result<(), LoopError> {
        self.home.get().map_or(Ok(()), HomeIdentity::check)
    }

    /// Empties the pid file, at the daemon's end.
    pub(super) fn leave_seat(&self) -> io::Result<()> {
        let Some(home) = self.home.get() else { return Ok(()) };
        home.seat.lock().unwrap_or_else(PoisonError::into_inner).set_len(0)
    }

    /// Why no worker is started; `None`: the home and the queue can be used.
    pub(in crate::daemon) fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// Records why no worker can be started, and logs it if the reason is new. Returns whether it is new.
    pub(in crate::daemon) fn record_trouble(&self, reason: &str) -> bool {
        let mut state = self.state();
        let is_new = state.trouble.as_deref() != Some(reason);
        if is_new {
            error!(%reason, "the home or the queue cannot be used: nothing new is started until this is fixed; running commands continue");
            state.trouble = Some(reason.to_owned());
        }
        is_new
    }

    /// Records that the home and the queue can be used. Returns whether this is new.
    fn clear(&self) -> bool {
        std::mem::take(&mut *self.state()).trouble.is_some()
    }

    /// Records whether the home is gone; returns how long it has been gone.
    fn record_home(&self, is_gone: bool) -> Duration {
        let mut state = self.state();
        state.home_gone_since = is_gone.then(|| state.home_gone_since.unwrap_or_else(Instant::now));
        state.home_gone_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Spawn> Daemon<S> {
    /// Checks that the home is still in place, and renews the lease under which this machine owns its claims.
    /// After a failure, also checks that the queue accepts writes.
    pub(in crate::daemon) async fn check_prerequisites(&self) -> Result<(), LoopError> {
        if self.leaving.is_some() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let check = move |queue: &dyn Queue| -> Result<Result<(), LoopError>, QueueError> {
            if let Err(gone) = shared.health.check_home() {
                return Ok(Err(gone));
            }
            queue.renew_lease()?;
            if shared.health.trouble().is_some() {
                queue.probe_write(clock::now())?;
            }
            Ok(Ok(()))
        };
        self.queue.call(check).await?
    }

    /// Postpones the next tick after a tick or an event that failed, and logs the failure if it is new. Ends
    /// the daemon if the home has been missing for [`HOME_GONE_FOR_GOOD`].
    pub(in crate::daemon) async fn on_failure(&mut self, failure: &LoopError) {
        self.back_off();
        if self.shared.health.record_trouble(&failure.to_string()) {
            self.shared.changed();
        }
        let gone_for = self.shared.health.record_home(matches!(failure, LoopError::HomeGone { .. }));
        if gone_for >= HOME_GONE_FOR_GOOD && self.leaving.is_none() {
            error!(error = %failure, "the daemon's home is still missing: the daemon ends, running commands continue");
            self.leave(Leaving::Detach).await;
        }
    }

    /// Clears the recorded failure after a tick that succeeded.
    pub(in crate::daemon) fn on_success(&self) {
        if self.leaving.is_none() && self.shared.health.clear() {
            info!("the home and the queue can be used again: the daemon starts specs again");
            self.shared.changed();
        }
    }
}
