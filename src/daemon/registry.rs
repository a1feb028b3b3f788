//! The registry of running specs: one slot for each spec that is running in the queue.
//!
//! ```text
//!  claimed ─▶ Waiting ─ its turn in the batch ─▶ Working ─ the worker's end is recorded ─▶ (removed)
//!                                                ▲    │ the worker failed; its command may be running
//!                                                │    ▼
//!                                                └─ Restarting
//!  found running at the start: Working, Waiting (never started), Foreign (outside the scope),
//!  or Quarantined (a record that cannot be read); a cancel turns the last two into Working
//! ```
//!
//! Invariant: each running spec has exactly one slot. Code that inserts a second slot for a spec is faulty;
//! the second slot is refused.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::error;

use super::{Ended, Order};
use crate::domain::id::SpecId;
use crate::domain::life::Intent;
use crate::queue::{Claimed, Fence, GiveBack};

/// The slots of a daemon.
#[derive(Default)]
pub(super) struct Registry {
    slots: BTreeMap<SpecId, Slot>,
    /// The waiting specs in the order of their start.
    line: VecDeque<SpecId>,
}

/// The slot of a running spec.
pub(super) struct Slot {
    /// The spec and its attempt.
    pub(super) fence: Fence,
    /// What the daemon is doing with the spec.
    pub(super) state: SlotState,
    /// The user's request to cancel or stop the attempt, if the queue could not record it.
    pub(super) unrecorded_intent: Option<Intent>,
    /// Callers that wait for the end of the spec's worker.
    pub(super) waiters: Vec<oneshot::Sender<Ended>>,
    /// How many times in a row the spec's worker failed.
    pub(super) failures: u32,
    /// Whether the spec was claimed again before the loop handled the end of its last worker.
    pub(super) reclaimed: bool,
}

/// What the daemon is doing with a running spec.
pub(super) enum SlotState {
    /// The spec is claimed and waits for its turn in the batch.
    Waiting(Box<Waiting>),
    /// The spec has a worker, or a task that ends a quarantined spec. It gets orders over this channel.
    Working(watch::Sender<Order>),
    /// The worker failed, and is restarted at this time.
    Restarting(Instant),
    /// The daemon does nothing with the spec, because the spec is outside the daemon's scope.
    Foreign,
    /// The daemon does nothing with the spec until the user cancels it, because the daemon cannot read a
    /// record of it.
    Quarantined,
}

/// A claimed spec that waits for its turn.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) claimed: Claimed,
    /// The spec's place in the batch, from 1.
    pub(super) slot: usize,
    /// The size of the batch.
    pub(super) batch: usize,
    /// Whether the queue has recorded the start of the spec's worker already.
    pub(super) is_start_recorded: bool,
}

impl Waiting {
    /// Returns how the spec goes back to the queue without having been started.
    pub(super) fn give_back(&self) -> GiveBack {
        let position = self.claimed.position.clone();
        GiveBack {
            lane: self.claimed.lane_at(&position),
            position,
            changes: Vec::new(),
            cause: None,
            not_before: None,
            setback: false,
        }
    }
}

impl Registry {
    /// Adds a slot. Refuses and logs a second slot for the same spec.
    pub(super) fn insert(&mut self, fence: Fence, state: SlotState) {
        if self.slots.contains_key(&fence.spec) {
            error!(spec = %fence.spec, attempt = fence.attempt, "internal fault: a second slot for the same spec was refused; please report it");
            return;
        }
        if matches!(state, SlotState::Waiting(_)) {
            self.line.push_back(fence.spec.clone());
        }
        let spec = fence.spec.clone();
        let slot = Slot { fence, state, unrecorded_intent: None, waiters: Vec::new(), failures: 0, reclaimed: false };
        self.slots.insert(spec, slot);
    }

    /// Removes a slot.
    pub(super) fn remove(&mut self, spec: &SpecId) -> Option<Slot> {
        self.line.retain(|waiting| waiting != spec);
        self.slots.remove(spec)
    }

    /// Removes the slots whose state matches `is`; returns their specs.
    pub(super) fn remove_all(&mut self, is: impl Fn(&SlotState) -> bool) -> Vec<SpecId> {
        let specs: Vec<SpecId> =
            self.iter().filter(|slot| is(&slot.state)).map(|slot| slot.fence.spec.clone()).collect();
        specs.iter().for_each(|spec| drop(self.remove(spec)));
        specs
    }

    pub(super) fn contains(&self, spec: &SpecId) -> bool {
        self.slots.contains_key(spec)
    }

    pub(super) fn get(&self, spec: &SpecId) -> Option<&Slot> {
        self.slots.get(spec)
    }

    pub(super) fn get_mut(&mut self, spec: &SpecId) -> Option<&mut Slot> {
        self.slots.get_mut(spec)
    }

    /// Sets the state of a spec's slot; a spec without a slot gets one.
    pub(super) fn set(&mut self, fence: &Fence, state: SlotState) {
        match self.slots.get_mut(&fence.spec) {
            Some(slot) => {
                self.line.retain(|waiting| waiting != &fence.spec);
                slot.state = state;
            }
            None => self.insert(fence.clone(), state),
        }
    }

    /// The waiting spec whose turn is next.
    pub(super) fn next_waiting(&self) -> Option<&Waiting> {
        match &self.slots.get(self.line.front()?)?.state {
            SlotState::Waiting(waiting) => Some(waiting),
            _ => None,
        }
    }

    /// Whether any spec waits for its turn.
    pub(super) fn has_waiting(&self) -> bool {
        !self.line.is_empty()
    }

    /// All slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values()
    }

    /// All slots, mutable.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.values_mut()
    }

    /// How many slots of `max_workers` are taken. A lander takes none.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.slots.keys().filter(|spec| !spec.is_lander()).count()).unwrap_or(u32::MAX)
    }

    /// Whether nothing is running, no lander either.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether any spec has a worker or is going to get one.
    pub(super) fn is_busy(&self) -> bool {
        self.iter().any(|slot| match slot.state {
            SlotState::Waiting(_) | SlotState::Working(_) | SlotState::Restarting(_) => true,
            SlotState::Foreign | SlotState::Quarantined => false,
        })
    }

    /// The attempts whose restart is due by `now`.
    pub(super) fn restarts_due(&self, now: Instant) -> Vec<Fence> {
        let due = |slot: &&Slot| matches!(slot.state, SlotState::Restarting(at) if at <= now);
        self.iter().filter(due).map(|slot| slot.fence.clone()).collect()
    }

    /// When the next restart is due.
    pub(super) fn next_restart(&self) -> Option<Instant> {
        self.iter()
            .filter_map(|slot| match slot.state {
                SlotState::Restarting(at) => Some(at),
                _ => None,
            })
            .min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fence(spec: &str, attempt: u32) -> Fence {
        Fence { spec: spec.parse().unwrap(), attempt }
    }

    #[test]
    fn a_second_slot_of_the_same_spec_is_refused() {
        let mut registry = Registry::default();
        registry.insert(fence("S0001", 1), SlotState::Foreign);
        registry.insert(fence("S0001", 2), SlotState::Quarantined);
        assert_eq!((registry.len(), registry.get(&fence("S0001", 1).spec).unwrap().fence.attempt), (1, 1));
        assert!(!registry.is_busy());
    }

    #[test]
    fn restarts_are_due_at_their_times_and_keep_the_daemon_busy() {
        let (mut registry, now) = (Registry::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        registry.insert(fence("S0001", 1), SlotState::Restarting(later));
        registry.set(&fence("S0002", 1), SlotState::Restarting(now));
        assert!(registry.is_busy());
        assert_eq!(registry.next_restart(), Some(now));
        assert_eq!(registry.restarts_due(now), [fence("S0002", 1)]);
        assert_eq!(registry.restarts_due(later).len(), 2);
        assert!(registry.remove(&fence("S0002", 1).spec).is_some() && !registry.contains(&fence("S0002", 1).spec));
    }
}
