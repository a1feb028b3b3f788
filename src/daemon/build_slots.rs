//! The build slots: how many `run`, setup and verify commands run at a time, over all specs and landers. `build_slots` in the
//! configuration limits them.
//!
//! ```text
//!            a worker has a command to run                          the command has ended
//!  no slot ─────────────────────────────▶ in line ──▶ has a slot ─────────────────────────▶ no slot
//!     │                                      ▲            ▲
//!     │                                      │            │ nothing was executed: back into the line
//!     │                                      └────────────┤
//!     └───────────────────────────────────────────────────┘
//!        an earlier daemon or worker recorded the command, which may be running: also above the limit
//! ```
//!
//! Invariants:
//! - A new daemon gives no slot to a worker in line before it has built the workers of all running specs, because each
//!   running command has a slot from the beginning.
//! - Slots are given in the order of the line.
//! - A slot belongs to a spec and not to its worker: if a worker fails, its command continues and keeps the slot.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::id::SpecId;
use crate::domain::view::BuildsView;

/// The build slots of a daemon.
#[derive(Debug, Default)]
pub(super) struct BuildSlots {
    state: Mutex<State>,
    /// Wakes the workers in line.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// `build_slots`, 0: no limit. `None`: the daemon has not built the workers of the running specs yet.
    limit: Option<u32>,
    taken: HashSet<SpecId>,
    line: VecDeque<SpecId>,
}

impl State {
    /// Returns how many workers in line can get a slot now.
    fn free(&self) -> usize {
        match self.limit {
            None => 0,
            Some(0) => usize::MAX,
            Some(limit) => (limit as usize).saturating_sub(self.taken.len()),
        }
    }
}

impl BuildSlots {
    /// Sets the limit, 0: no limit. The first call also begins to give slots. A lower limit takes no slot back.
    pub(super) fn set_limit(&self, limit: u32) {
        let mut state = self.state();
        if state.limit != Some(limit) {
            state.limit = Some(limit);
            drop(state);
            self.changed.notify_waiters();
        }
    }

    /// Gives a slot to a spec whose command may be running, also above the limit.
    pub(super) fn occupy(&self, spec: &SpecId) {
        self.state().taken.insert(spec.clone());
    }

    /// Waits in line until the spec has a slot. Calls `moved` when the spec enters the line and when it leaves the line.
    /// Cancel-safe: the place in line is lost.
    pub(super) async fn acquire(&self, spec: &SpecId, moved: impl Fn() + Sync) {
        let Some(_place) = self.enter(spec, &moved) else { return };
        loop {
            let woken = self.changed.notified();
            tokio::pin!(woken);
            // From here on, no wake-up is missed.
            woken.as_mut().enable();
            if self.take(spec) {
                return;
            }
            woken.await;
        }
    }

    /// Puts a spec at the end of the line. Returns `None` if it got a slot at once.
    fn enter<'a>(&'a self, spec: &'a SpecId, moved: &'a (dyn Fn() + Sync)) -> Option<Place<'a>> {
        let mut state = self.state();
        if state.line.is_empty() && state.free() > 0 {
            state.taken.insert(spec.clone());
            return None;
        }
        state.line.push_back(spec.clone());
        drop(state);
        moved();
        Some(Place { slots: self, spec, moved })
    }

    /// Gives a slot to a spec in line if it is its turn. The spec then has to leave the line.
    fn take(&self, spec: &SpecId) -> bool {
        let mut state = self.state();
        // Those that were given a slot and have not left the line yet are in `taken` too.
        let ahead = state.line.iter().take_while(|waiting| *waiting != spec);
        let ahead = ahead.filter(|waiting| !state.taken.contains(*waiting)).count();
        let is_next = state.free() > ahead;
        if is_next {
            state.taken.insert(spec.clone());
        }
        is_next
    }

    /// Takes the slot of a spec back, if it has one.
    pub(super) fn release(&self, spec: &SpecId) {
        if self.state().taken.remove(spec) {
            self.changed.notify_waiters();
        }
    }

    /// Takes the slots of specs back that `has_worker` does not name.
    pub(super) fn retain(&self, has_worker: impl Fn(&SpecId) -> bool) {
        let mut state = self.state();
        let before = state.taken.len();
        state.taken.retain(|spec| has_worker(spec));
        if state.taken.len() < before {
            drop(state);
            self.changed.notify_waiters();
        }
    }

    /// Returns how many workers in line get a slot before that of `spec`; `None`: it is not in line.
    pub(super) fn before(&self, spec: &SpecId) -> Option<u32> {
        let place = self.state().line.iter().position(|waiting| waiting == spec)?;
        Some(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// Returns the slots as `boi status` shows them.
    pub(super) fn view(&self) -> BuildsView {
        let state = self.state();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        BuildsView {
            build_slots: state.limit.unwrap_or(0),
            running: count(state.taken.len()),
            waiting: count(state.line.len()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a worker in the line, until this is dropped.
struct Place<'a> {
    slots: &'a BuildSlots,
    spec: &'a SpecId,
    moved: &'a (dyn Fn() + Sync),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.slots.state().line.retain(|waiting| waiting != self.spec);
        self.slots.changed.notify_waiters();
        (self.moved)();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::sync::mpsc;

    use super::*;

    fn id(number: usize) -> SpecId {
        format!("S{number:04X}").parse().unwrap()
    }

    fn slots(limit: u32) -> Arc<BuildSlots> {
        let slots = BuildSlots::default();
        slots.set_limit(limit);
        Arc::new(slots)
    }

    /// Starts a worker that sends its number once it has a slot.
    fn begin(
        slots: &Arc<BuildSlots>,
        number: usize,
        got: &mpsc::UnboundedSender<usize>,
    ) -> tokio::task::JoinHandle<()> {
        let (slots, got) = (Arc::clone(slots), got.clone());
        tokio::spawn(async move {
            slots.acquire(&id(number), || ()).await;
            got.send(number).unwrap();
        })
    }

    async fn settle() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn received(receiver: &mut mpsc::UnboundedReceiver<usize>) -> Vec<usize> {
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_given_in_the_order_of_the_line() {
        let (slots, (got, mut receiver)) = (slots(1), mpsc::unbounded_channel());
        let mut workers = Vec::new();
        for number in 0..4 {
            workers.push(begin(&slots, number, &got));
            settle().await;
        }
        assert_eq!(received(&mut receiver), [0]);
        assert_eq!((slots.before(&id(0)), slots.before(&id(1)), slots.before(&id(3))), (None, Some(0), Some(2)));
        assert_eq!(slots.view(), BuildsView { build_slots: 1, running: 1, waiting: 3 });
        workers[2].abort();
        settle().await;
        assert_eq!(slots.before(&id(3)), Some(1), "a worker that no longer waits leaves the line");
        slots.release(&id(0));
        settle().await;
        assert_eq!(received(&mut receiver), [1]);
        slots.retain(|_| false);
        settle().await;
        assert_eq!(received(&mut receiver), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_higher_limit_wakes_those_that_wait_and_a_lower_one_takes_nothing_back() {
        let (slots, (got, mut receiver)) = (slots(1), mpsc::unbounded_channel());
        let workers: Vec<_> = (0..5).map(|number| begin(&slots, number, &got)).collect();
        settle().await;
        slots.set_limit(3);
        settle().await;
        assert_eq!(received(&mut receiver), [0, 1, 2]);
        slots.set_limit(1);
        assert_eq!(slots.view(), BuildsView { build_slots: 1, running: 3, waiting: 2 });
        slots.release(&id(0));
        slots.release(&id(1));
        settle().await;
        assert!(received(&mut receiver).is_empty(), "one command runs still");
        slots.release(&id(2));
        settle().await;
        assert_eq!(received(&mut receiver), [3]);
        slots.set_limit(0);
        settle().await;
        assert_eq!(received(&mut receiver), [4], "0 is no limit");
        drop(workers);
    }

    #[tokio::test(start_paused = true)]
    async fn commands_of_an_earlier_daemon_have_their_slots_before_anything_else() {
        let (slots, (got, mut receiver)) = (Arc::new(BuildSlots::default()), mpsc::unbounded_channel());
        // The first worker asks before the workers of the other running specs are built.
        let workers = [begin(&slots, 0, &got), begin(&slots, 1, &got)];
        settle().await;
        [7, 8].iter().for_each(|number| slots.occupy(&id(*number)));
        slots.set_limit(1);
        settle().await;
        assert_eq!(slots.view(), BuildsView { build_slots: 1, running: 2, waiting: 2 });
        slots.release(&id(7));
        settle().await;
        assert!(received(&mut receiver).is_empty());
        slots.release(&id(8));
        settle().await;
        assert_eq!(received(&mut receiver), [0]);
        drop(workers);
    }

    proptest! {
        /// Whatever the limits are meanwhile, no more commands run than the highest of them allows, and each worker
        /// gets its slot in the end.
        #[test]
        fn never_more_commands_run_than_the_limit_allows(
            workers in 1usize..20, limits in prop::collection::vec(1u32..5, 1..8), milliseconds in prop::collection::vec(0u64..9, 20),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let most = limits.iter().max().copied().unwrap() as usize;
            let peak = runtime.block_on(async {
                let (slots, peak) = (slots(limits[0]), Arc::new(AtomicUsize::new(0)));
                let workers: Vec<_> = (0..workers).map(|number| {
                    let (slots, peak, time) = (Arc::clone(&slots), Arc::clone(&peak), milliseconds[number]);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(time / 2)).await;
                        slots.acquire(&id(number), || ()).await;
                        peak.fetch_max(slots.view().running as usize, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(time)).await;
                        slots.release(&id(number));
                    })
                }).collect();
                for limit in limits {
                    slots.set_limit(limit);
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                for worker in workers {
                    worker.await.unwrap();
                }
                assert_eq!((slots.view().running, slots.view().waiting), (0, 0));
                peak.load(Ordering::SeqCst)
            });
            prop_assert!(peak <= most && peak >= 1);
        }
    }
}
