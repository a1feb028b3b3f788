//! A wall clock for tests that follows the time of tokio, which a test can pause.

use std::cell::Cell;

use tokio::time::Instant;

use crate::domain::time::Timestamp;

thread_local! {
    static STARTED: Cell<Option<(Timestamp, Instant)>> = const { Cell::new(None) };
}

/// Sets the wall clock of this thread to `at`. The clock affects one test only, since each test has a thread
/// of its own.
pub(crate) fn start(at: Timestamp) {
    STARTED.set(Some((at, Instant::now())));
}

pub(super) fn now() -> Option<Timestamp> {
    let (at, since) = STARTED.get()?;
    Some(at.plus_millis(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)))
}
