//! Lets async callers use the queue. Each verb (an operation of the queue) runs on a thread that may block.
//! The start time of each running verb is stored, so that the daemon notices a queue that does not answer,
//! for example because its disk hangs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::domain::event::Cursor;
use crate::queue::{Queue, QueueError};
use crate::system::blocking;
use crate::system::repeat::{self, Repeated};

/// A queue, and the verbs (operations) that are running on it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AsyncQueue {
    queue: Arc<dyn Queue>,
    in_flight: Arc<InFlight>,
}

#[derive(Debug, Default)]
struct InFlight {
    verbs: Mutex<Verbs>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Verbs {
    next: u64,
    /// How many verbs were called by others than [`AsyncQueue::repeat`] and [`AsyncQueue::look`].
    uses: u64,
    since: BTreeMap<u64, Instant>,
}

/// Marks a verb as running until this value is dropped.
struct Verb<'a> {
    in_flight: &'a InFlight,
    number: u64,
}

impl AsyncQueue {
    /// Wraps `queue` for async callers.
    pub(crate) fn new(queue: Arc<dyn Queue>) -> AsyncQueue {
        AsyncQueue { queue, in_flight: Arc::default() }
    }

    /// Runs a verb on a thread that may block.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&dyn Queue) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let in_flight = Arc::clone(&self.in_flight);
        let verb = move |queue: &dyn Queue| {
            in_flight.count_use();
            verb(queue)
        };
        self.look(verb).await
    }

    /// Runs a verb that only reads what a change has announced. The verb does not count as a use.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&dyn Queue) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let AsyncQueue { queue, in_flight } = self.clone();
        let verb = move || {
            let _in_flight = in_flight.begin();
            verb(queue.as_ref())
        };
        // A verb may have changed the queue before it panicked, so its result is unknown.
        blocking::run(verb).await.unwrap_or_else(|error| Err(QueueError::Unknown(error.into())))
    }

    /// Returns a receiver of the cursor of the last event that this process has appended to the queue.
    pub(super) fn committed(&self) -> watch::Receiver<Cursor> {
        self.queue.committed()
    }

    /// The queue itself, for tests: a test may block its thread.
    #[cfg(test)]
    pub(crate) fn blocking(&self) -> &dyn Queue {
        self.queue.as_ref()
    }

    /// Repeats a verb after each pause of this length until it finds something or fails. These verbs do not count
    /// as uses.
    pub(super) fn repeat(
        &self,
        every: Duration,
        mut verb: impl FnMut(&dyn Queue) -> Result<Option<()>, QueueError> + Send + 'static,
    ) -> Repeated<()> {
        let AsyncQueue { queue, in_flight } = self.clone();
        repeat::until_found(every, move || {
            let _in_flight = in_flight.begin();
            verb(queue.as_ref()).unwrap_or(Some(()))
        })
    }

    /// Returns how many verbs were called so far; `None`: one of them is running. While the number stays the
    /// same, this daemon changes nothing in the queue.
    pub(crate) fn uses(&self) -> Option<u64> {
        let verbs = self.in_flight.verbs();
        verbs.since.is_empty().then_some(verbs.uses)
    }

    /// Waits for a use. Returns at once if there was one since the last call returned.
    pub(super) async fn used(&self) {
        self.in_flight.begun.notified().await;
    }

    /// Returns how long the oldest running verb has had no answer; `None` if no verb is running.
    pub(crate) fn unanswered_for(&self) -> Option<Duration> {
        self.in_flight.verbs().since.values().next().map(Instant::elapsed)
    }
}

impl InFlight {
    fn begin(&self) -> Verb<'_> {
        let mut verbs = self.verbs();
        let number = verbs.next;
        verbs.next += 1;
        verbs.since.insert(number, Instant::now());
        Verb { in_flight: self, number }
    }

    fn count_use(&self) {
        self.verbs().uses += 1;
        self.begun.notify_one();
    }

    fn verbs(&self) -> MutexGuard<'_, Verbs> {
        self.verbs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Verb<'_> {
    fn drop(&mut self) {
        self.in_flight.verbs().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_verb_in_flight_is_the_first_of_those_that_have_not_ended() {
        let in_flight = InFlight::default();
        let oldest = || in_flight.verbs().since.values().next().copied();
        assert_eq!(oldest(), None);
        let first = in_flight.begin();
        let began = oldest().unwrap();
        let second = in_flight.begin();
        assert_eq!(oldest(), Some(began));
        drop(first);
        assert!(oldest().is_some_and(|oldest| oldest >= began));
        drop(second);
        assert_eq!(oldest(), None);
    }
}
