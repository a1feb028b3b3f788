//! Longer pauses between two ticks while nothing is to be done.
//!
//! A tick that finds nothing to claim makes the loop idle. Then the loop waits for an event, for a use of the
//! queue by another part of the daemon, or for the next look, whichever comes first. A look checks the home
//! and the queue in one call. So it finds what only the files show: a home that is gone, or a queue that
//! another program changed.
//!
//! ```text
//!          a tick finds nothing to claim             a look finds nothing to do, at most every `LOOK_EVERY`
//!  ticking ─────────────────────────────▶ idle ◀──────┐
//!     ▲                                    │ └────────┘
//!     └────────────────────────────────────┘ an event; the queue is used; a look finds something
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::shared::Shared;
use super::{Daemon, Spawn};
use crate::domain::id::SpecId;
use crate::queue::{Queue, QueueError};
use crate::system::repeat::Repeated;
use crate::system::{clock, memory};

/// The shortest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest time without a tick.
const TICK_AFTER: Duration = Duration::from_secs(3600);

/// The last tick found nothing to do. Until something happens, the next ticks would find the same.
pub(super) struct Idle {
    /// [`super::AsyncQueue::uses`] after the tick.
    uses: u64,
    /// When the next tick is due if the queue is used.
    tick_at: Instant,
    /// Returns when a look found something. (The mutex only makes the loop's state shareable.)
    looks: Mutex<Repeated<()>>,
}

/// Waits until a look finds something.
pub(super) async fn found(idle: &mut Option<Idle>) {
    match idle {
        Some(idle) => idle.looks.get_mut().unwrap_or_else(PoisonError::into_inner).await,
        None => std::future::pending().await,
    }
}

impl<S: Spawn> Daemon<S> {
    /// Makes the loop idle after a tick that found nothing to claim. `uses`: how often the queue had been
    /// used when the tick ended; `None`: something may have changed meanwhile, so the next tick is due as
    /// usual.
    pub(super) fn begin_idle(&mut self, uses: Option<u64>) {
        let has_due_slots = self.registry.has_waiting() || self.registry.next_restart().is_some();
        let Some(uses) = uses.filter(|_| !has_due_slots && !self.doubtful) else { return };
        let interval = Duration::from_millis(self.hot.load().config.tick_interval_ms);
        let tick_at = Instant::now() + interval;
        let look = look(Arc::clone(&self.shared), self.scope.clone(), self.paused);
        let looks = Mutex::new(self.queue.repeat(interval.max(LOOK_EVERY), look));
        self.idle = Some(Idle { uses, tick_at, looks });
        self.wake_at = tick_at.max(Instant::now() + TICK_AFTER);
    }

    /// Ends the idle time if another part of the daemon has used the queue. The next tick then comes when it
    /// would have come without the idle time.
    pub(super) fn end_idle_if_used(&mut self) {
        if let Some(idle) = self.idle.take_if(|idle| self.queue.uses() != Some(idle.uses)) {
            self.wake_at = self.wake_at.min(idle.tick_at);
        }
    }
}

/// Returns the look at the home and the queue. It finds nothing if a tick would find nothing to do. Such a
/// look also returns memory to the system.
fn look(
    shared: Arc<Shared>,
    scope: Option<Vec<SpecId>>,
    paused: bool,
) -> impl FnMut(&dyn Queue) -> Result<Option<()>, QueueError> + Send + 'static {
    let mut looks = 0_u32;
    move |queue| {
        if shared.health.check_home().is_err() {
            return Ok(Some(()));
        }
        queue.renew_lease()?;
        if !paused && (queue.promote(clock::now())?.is_some() || !queue.lanes(scope.as_deref())?.is_empty()) {
            return Ok(Some(()));
        }
        if !paused && !queue.startable_landers(1, scope.as_deref(), clock::now())?.is_empty() {
            return Ok(Some(()));
        }
        looks = looks.saturating_add(1);
        match looks {
            1 => {
                queue.release_memory();
                memory::release_freed();
            }
            2 => memory::release_file_pages(),
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::daemon::loop_tests::Bench;
    use crate::domain::spec::Spec;

    const TICK: Duration = Duration::from_secs(1);

    /// Starts a daemon with an empty queue, and waits in the paused time of the test until it is idle.
    async fn idle_daemon() -> Bench {
        let bench = Bench::start(8, 8, [0, 0], &[]);
        tokio::time::sleep(LOOK_EVERY * 4).await;
        bench
    }

    /// Queues a spec as another process would, so that nothing tells the daemon.
    fn enqueue_from_outside(bench: &Bench) {
        let spec = Spec::for_tests("outside", &["t-1"]);
        bench.handle.queue.blocking().enqueue(vec![spec], HashSet::new(), clock::now()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_or_paused_daemon_does_not_tick() {
        let bench = idle_daemon().await;
        let uses = || bench.handle.queue.uses().unwrap();
        let before = uses();
        tokio::time::sleep(LOOK_EVERY * 6).await;
        assert_eq!(uses(), before);
        bench.set_paused(true).await;
        enqueue_from_outside(&bench);
        tokio::time::sleep(LOOK_EVERY * 2).await;
        let before = uses();
        tokio::time::sleep(LOOK_EVERY * 6).await;
        assert_eq!(uses(), before);
        bench.leave().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_spec_that_another_process_queued_is_found_by_the_next_look() {
        let mut bench = idle_daemon().await;
        enqueue_from_outside(&bench);
        let began = Instant::now();
        let found = bench.spawned_within(LOOK_EVERY * 2).await;
        assert_eq!(found.len(), 1);
        assert!(found[0].1 - began <= LOOK_EVERY + TICK, "{:?}", found[0].1 - began);
        bench.leave().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_use_of_the_queue_ends_the_idle_time() {
        let mut bench = idle_daemon().await;
        enqueue_from_outside(&bench);
        let began = Instant::now();
        bench.handle.queue(|queue| queue.is_paused()).await.unwrap();
        let found = bench.spawned_within(LOOK_EVERY * 2).await;
        assert_eq!(found.len(), 1);
        assert!(found[0].1 - began <= TICK * 2, "{:?}", found[0].1 - began);
        bench.leave().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_resumed_daemon_claims_at_once() {
        let mut bench = idle_daemon().await;
        bench.set_paused(true).await;
        enqueue_from_outside(&bench);
        tokio::time::sleep(LOOK_EVERY * 4).await;
        let began = Instant::now();
        bench.set_paused(false).await;
        let found = bench.spawned_within(LOOK_EVERY * 2).await;
        assert_eq!(found.iter().map(|(_, at)| *at - began).collect::<Vec<_>>(), [Duration::ZERO]);
        bench.leave().await;
    }
}
