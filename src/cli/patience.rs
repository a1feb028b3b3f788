//! Bounds how long a command waits, and tells the user meanwhile: after [`NOTICE`], one line on standard
//! error names what the command waits for; after the bound, the command fails and says that it gave up (exit
//! code 4).

use std::fmt::Display;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::time::Instant;

use super::{CliError, GAVE_UP};
use crate::control::calls;
use crate::system::output::say;

/// How long a command waits before it tells the user what it waits for.
pub(super) const NOTICE: Duration = Duration::from_secs(5);
/// How long a command waits without an answer and without progress before it gives up, unless its
/// documentation names another time.
pub(super) const GIVE_UP: Duration = calls::GIVE_UP;

/// A wait that has begun.
pub(super) struct Patience {
    /// How long to wait without progress; `None`: without bound.
    within: Option<Duration>,
    since: Instant,
    told: bool,
}

impl Patience {
    pub(super) fn new(within: Option<Duration>) -> Patience {
        Patience { within, since: Instant::now(), told: false }
    }

    /// Restarts the time limit, because there was progress.
    pub(super) fn progress(&mut self) {
        self.since = Instant::now();
    }

    /// Tells the user what the command waits for, once the wait has lasted for [`NOTICE`]. Fails once the
    /// wait has lasted for its bound.
    pub(super) fn check(&mut self, what: impl Display) -> Result<(), CliError> {
        let waited = self.since.elapsed();
        if let Some(within) = self.within.filter(|within| waited >= *within) {
            return Err(CliError::new(
                GAVE_UP,
                format!("gave up after {} s: still waiting for {what}", within.as_secs()),
            ));
        }
        if waited >= NOTICE && !self.told {
            self.told = true;
            match self.within {
                Some(within) => say!("waiting for {what} (at most {} s without progress)", within.as_secs()),
                None => say!("waiting for {what}"),
            }
        }
        Ok(())
    }
}

/// Waits for `work`, at most `within`; `what` says in messages what the command waits for.
pub(super) async fn bounded<T>(
    what: impl Display,
    within: Duration,
    work: impl Future<Output = T>,
) -> Result<T, CliError> {
    let mut patience = Patience::new(Some(within));
    tokio::pin!(work);
    loop {
        // Cancel-safe: the work is pinned outside of the loop.
        match tokio::time::timeout(NOTICE, work.as_mut()).await {
            Ok(done) => return Ok(done),
            Err(_) => patience.check(&what)?,
        }
    }
}

/// Carries out `work`, which blocks and has its own time limit; `what` says in messages what the command
/// waits for.
pub(super) fn telling<T>(what: impl Display + Send, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(NOTICE) == Err(RecvTimeoutError::Timeout) {
                say!("waiting for {what}");
            }
        });
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_its_reason_and_progress_prolongs_it() {
        let began = Instant::now();
        let error = bounded("a lock", GIVE_UP, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!((began.elapsed().as_secs(), error.code()), (GIVE_UP.as_secs(), GAVE_UP));
        assert!(error.message().ends_with("still waiting for a lock"), "{}", error.message());
        let mut patience = Patience::new(Some(GIVE_UP));
        for _ in 0..3 {
            tokio::time::sleep(GIVE_UP - NOTICE).await;
            patience.check("workers").unwrap();
            patience.progress();
        }
        tokio::time::sleep(GIVE_UP).await;
        assert!(patience.check("workers").is_err());
    }
}
