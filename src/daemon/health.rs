//! What the daemon stands on: its home and its queue, looked at with each tick. While either is not as it should be,
//! nothing new is started, what runs goes on, and the reason is in the log, once for each cause, and in `boi status`.
//!
//! ```text
//!            a tick or a write fails                   a tick succeeds, a probing write included
//!   steady ─────────────────────────▶ troubled: rests ─────────────────────────▶ steady
//!                                        │ the home is gone or another's, for `GONE_FOR_GOOD`
//!                                        ▼
//!                                     leaves what runs, and ends
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

use super::{Daemon, Leaving, Spawn};
use crate::queue::StoreError;
use crate::system::clock;
use crate::system::paths::Home;

/// A home that is away for so long does not come back: who moves it back by then has moved nothing.
const GONE_FOR_GOOD: Duration = Duration::from_secs(10);

/// A running daemon's home: the one in which its pid file is at its path.
#[derive(Debug)]
pub(super) struct Ground {
    root: PathBuf,
    pid_path: PathBuf,
    device: u64,
    inode: u64,
}

impl Ground {
    /// The home of the daemon that holds `pid_file`.
    pub(super) fn of(home: &Home, pid_file: &File) -> io::Result<Ground> {
        let metadata = pid_file.metadata()?;
        let (root, pid_path) = (home.root().to_owned(), home.pid_file());
        Ok(Ground { root, pid_path, device: metadata.dev(), inode: metadata.ino() })
    }

    /// Refuses a home that was removed or replaced. What cannot be looked at is not known to be gone.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let gone = match std::fs::metadata(&self.pid_path) {
            Ok(now) => (now.dev(), now.ino()) != (self.device, self.inode),
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        };
        if gone { Err(StoreError::Homeless { home: self.root.clone() }) } else { Ok(()) }
    }
}

/// What the daemon stands on, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Health {
    ground: OnceLock<Ground>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trouble: Option<String>,
    homeless_since: Option<Instant>,
}

impl Health {
    /// The daemon stands on this from now on.
    pub(super) fn stand_on(&self, ground: Ground) {
        // It is told once, at its start.
        drop(self.ground.set(ground));
    }

    /// Whether the home is still the daemon's.
    pub(super) fn check_home(&self) -> Result<(), StoreError> {
        self.ground.get().map_or(Ok(()), Ground::check)
    }

    /// Why nothing is started.
    pub(super) fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// Takes note of a trouble, and says so in the log when it is another than before. Returns whether it is.
    pub(super) fn note(&self, reason: &str) -> bool {
        let mut state = self.state();
        let other = state.trouble.as_deref() != Some(reason);
        if other {
            error!(%reason, "nothing new is started until this is mended; what runs goes on");
            state.trouble = Some(reason.to_owned());
        }
        other
    }

    fn clear(&self) -> bool {
        std::mem::take(&mut *self.state()).trouble.is_some()
    }

    /// How long the home has been gone.
    fn homeless(&self, now: Option<Instant>) -> Duration {
        let mut state = self.state();
        state.homeless_since = now.map(|now| state.homeless_since.unwrap_or(now));
        state.homeless_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Spawn> Daemon<S> {
    /// Refuses to go on without its home and its queue; after a trouble, until the queue takes writes.
    pub(super) async fn stand(&self) -> Result<(), StoreError> {
        if self.leaving.is_some() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        self.with_store(move |store| {
            shared.health.check_home()?;
            store.look()?;
            if shared.health.trouble().is_some() { store.probe(clock::now()) } else { Ok(()) }
        })
        .await
    }

    /// A tick or an event failed: the loop rests, and says why when it has not said so before.
    pub(super) async fn stumble(&mut self, failure: &StoreError) {
        self.rest();
        if self.shared.health.note(&failure.to_string()) {
            self.shared.changed();
        }
        let homeless = matches!(failure, StoreError::Homeless { .. });
        let away = self.shared.health.homeless(homeless.then(Instant::now));
        if away >= GONE_FOR_GOOD && self.leaving.is_none() {
            error!("the home has not come back: the daemon ends, what runs lives on");
            self.leave(Leaving::Detach).await;
        }
    }

    /// A tick succeeded.
    pub(super) fn steady(&self) {
        if self.leaving.is_none() && self.shared.health.clear() {
            info!("mended: specs are started again");
            self.shared.changed();
        }
    }
}
