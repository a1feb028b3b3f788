//! Ends running specs: one spec when the user cancels it, all running specs when the daemon leaves.
//!
//! The queue records the request to cancel or stop (the intent) before any process is signalled. If the queue
//! cannot record it, for example on a full disk, the processes are ended nevertheless.

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, info};

use crate::daemon::error::LoopError;
use crate::daemon::registry::SlotState;
use crate::daemon::{Daemon, Ended, Leaving, Order, Spawn};
use crate::domain::id::SpecId;
use crate::domain::life::Intent;
use crate::domain::position::Ending;
use crate::queue::{Fence, Queue, QueueError};
use crate::system::clock;

impl<S: Spawn> Daemon<S> {
    /// Ends a spec after the queue has recorded the user's request to cancel it.
    pub(in crate::daemon) async fn cancel(&mut self, spec: &SpecId) -> Result<(), QueueError> {
        if self.leaving.is_none() && !self.registry.contains(spec) {
            // The spec is running in the queue but has no slot: the queue made a claim that it had reported
            // as failed.
            self.adopt().await?;
        }
        if let Some(slot) = self.registry.get(spec)
            && let SlotState::Waiting(_) = slot.state
        {
            let fence = slot.fence.clone();
            match self.queue.call(move |queue| queue.finish(&fence, &Ending::Canceled, clock::now())).await {
                Ok(_) | Err(QueueError::Superseded(_)) => {
                    self.registry.remove(spec);
                    self.pace.given_back();
                }
                Err(error) => {
                    if let Some(slot) = self.registry.get_mut(spec) {
                        slot.unrecorded_intent = Some(Intent::Cancel);
                    }
                    return Err(error);
                }
            }
        } else {
            self.end_worker(spec);
        }
        self.shared.changed();
        Ok(())
    }

    /// Stops a spec after the queue has recorded the user's request to block it. The spec's worker ends the
    /// command and gives the spec back to the queue, which then blocks the spec.
    pub(in crate::daemon) async fn stop(&mut self, spec: &SpecId) -> Result<(), QueueError> {
        if self.leaving.is_none() && !self.registry.contains(spec) {
            // As in `cancel`: the queue made a claim that it had reported as failed.
            self.adopt().await?;
        }
        let Some(slot) = self.registry.get_mut(spec) else { return Ok(()) };
        match &slot.state {
            SlotState::Waiting(waiting) => {
                let (fence, back) = (slot.fence.clone(), waiting.give_back());
                let given = self.queue.call(move |queue| queue.give_back(&fence, back, clock::now())).await;
                match given {
                    Ok(()) | Err(QueueError::Superseded(_)) => {
                        self.registry.remove(spec);
                        self.pace.given_back();
                    }
                    Err(error) => {
                        if let Some(slot) = self.registry.get_mut(spec) {
                            slot.unrecorded_intent = Some(Intent::Block);
                        }
                        return Err(error);
                    }
                }
            }
            SlotState::Working(orders) => {
                orders.send_if_modified(|order| {
                    let is_working = *order == Order::Work;
                    if is_working {
                        *order = Order::Stop;
                    }
                    is_working
                });
            }
            SlotState::Restarting(_) | SlotState::Foreign => slot.state = SlotState::Restarting(Instant::now()),
            SlotState::Quarantined => {}
        }
        self.shared.changed();
        Ok(())
    }

    /// Ends a spec although the queue could not record the user's request to cancel it. `caller` gets the
    /// result when the spec's worker has ended.
    pub(in crate::daemon) fn cancel_unrecorded(&mut self, spec: &SpecId, caller: oneshot::Sender<Ended>) {
        let runs = self.end_worker(spec);
        match self.registry.get_mut(spec) {
            Some(slot) => {
                slot.unrecorded_intent = Some(Intent::Cancel);
                if runs {
                    slot.waiters.push(caller);
                    return;
                }
            }
            None => debug_assert!(!runs, "without a slot nothing runs"),
        }
        // If the caller has disconnected, nobody needs the answer.
        drop(caller.send(Ended::Idle));
    }

    /// Orders the worker of a spec to cancel the spec. A spec whose worker failed, or that has no worker,
    /// gets a worker that cancels it. Returns whether a process of the spec may be running.
    fn end_worker(&mut self, spec: &SpecId) -> bool {
        let Some(slot) = self.registry.get_mut(spec) else { return false };
        match &slot.state {
            SlotState::Waiting(_) => return false,
            SlotState::Working(orders) => drop(orders.send_replace(Order::Cancel)),
            SlotState::Restarting(_) | SlotState::Foreign => slot.state = SlotState::Restarting(Instant::now()),
            SlotState::Quarantined => {
                let fence = slot.fence.clone();
                self.end_quarantined(&fence);
            }
        }
        true
    }

    /// Gives the claimed specs whose worker has not started yet back to the queue.
    pub(in crate::daemon) async fn give_back_waiting(&mut self) -> Result<(), QueueError> {
        while let Some(waiting) = self.registry.next_waiting() {
            let fence = waiting.claimed.fence.clone();
            let back = waiting.give_back();
            let given = fence.clone();
            match self.queue.call(move |queue| queue.give_back(&given, back, clock::now())).await {
                Ok(()) | Err(QueueError::Superseded(_)) => {
                    self.registry.remove(&fence.spec);
                    self.pace.given_back();
                }
                Err(error) => return Err(error),
            }
            self.shared.changed();
        }
        Ok(())
    }

    /// Begins to end the daemon. The strongest request so far counts: a detach is stronger than a stop, a
    /// stop is stronger than a drain.
    pub(in crate::daemon) async fn leave(&mut self, how: Leaving) {
        let how = self.leaving.map_or(how, |before| before.max(how));
        self.leaving = Some(how);
        self.shared.set_leaving(how);
        if let Err(error) = self.give_back_waiting().await {
            // The next daemon adopts these specs and starts their workers.
            error!(%error, "cannot give claimed specs back to the queue; the next daemon starts their workers");
            for spec in self.registry.remove_all(|state| matches!(state, SlotState::Waiting(_))) {
                self.unrecorded.push((spec, error.to_string()));
            }
        }
        match how {
            Leaving::Drain => {
                info!(
                    workers = self.registry.len(),
                    "the daemon drains: it claims no more specs, and ends when its running workers have finished"
                );
            }
            Leaving::Detach => drop(self.registry.remove_all(|state| matches!(state, SlotState::Restarting(_)))),
            Leaving::Stop => self.record_stop().await,
        }
        for slot in self.registry.iter() {
            let SlotState::Working(orders) = &slot.state else { continue };
            orders.send_if_modified(|order| {
                let next = match how {
                    Leaving::Drain => *order,
                    Leaving::Detach => Order::Detach,
                    Leaving::Stop if *order == Order::Work => Order::Stop,
                    Leaving::Stop => *order,
                };
                std::mem::replace(order, next) != next
            });
        }
    }

    /// Records in the queue that all attempts which have a worker, or whose worker is to be restarted, are to
    /// be stopped.
    async fn record_stop(&mut self) {
        let mut fences = Vec::new();
        for slot in self.registry.iter_mut() {
            match &mut slot.state {
                SlotState::Working(_) => fences.push(slot.fence.clone()),
                SlotState::Restarting(at) => {
                    *at = Instant::now();
                    fences.push(slot.fence.clone());
                }
                SlotState::Waiting(_) | SlotState::Foreign | SlotState::Quarantined => {}
            }
        }
        if let Err(error) = self.queue.call(move |queue| request_stops(queue, &fences)).await {
            error!(%error, "the queue could not record that the workers are to be stopped; the workers are stopped nevertheless");
        }
    }

    /// Returns the result of the loop: an error if the queue could not record the end of a spec.
    pub(in crate::daemon) fn final_result(self) -> Result<(), LoopError> {
        let Some((_, reason)) = self.unrecorded.first() else { return Ok(()) };
        let reason = reason.clone();
        Err(LoopError::Unrecorded { specs: self.unrecorded.into_iter().map(|(spec, _)| spec).collect(), reason })
    }
}

/// Records that these attempts are to be stopped, except for those that have ended meanwhile.
fn request_stops(queue: &dyn Queue, fences: &[Fence]) -> Result<(), QueueError> {
    for fence in fences {
        match queue.request_stop(fence) {
            Ok(()) | Err(QueueError::Superseded(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
