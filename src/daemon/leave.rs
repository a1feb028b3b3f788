//! How what runs is ended: one spec at an operator's wish, and all of it when the daemon leaves.
//!
//! The wish is committed before anyone is signalled, where it can be: a database that cannot be written, on a full disk,
//! keeps nobody from ending a process.

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, info};

use super::{Daemon, Ended, Leaving, Order, Spawn, Waiting};
use crate::domain::attempt::{Ending, Intent};
use crate::domain::id::SpecId;
use crate::queue::{Fence, GiveBack, Store, StoreError};
use crate::system::clock;

impl<S: Spawn> Daemon<S> {
    /// Ends a spec whose wish is in the store.
    pub(super) async fn cancel(&mut self, spec: &SpecId) -> Result<(), StoreError> {
        self.end_worker(spec);
        if let Some(index) = self.waiting.iter().position(|waiting| &waiting.claimed.fence.spec == spec)
            && let Some(mut waiting) = self.waiting.remove(index)
        {
            let fence = waiting.claimed.fence.clone();
            match self.with_store(move |store| store.finish(&fence, &Ending::Canceled, clock::now())).await {
                Ok(_) | Err(StoreError::Superseded { .. }) => self.pace.given_back(),
                Err(error) => {
                    waiting.claimed.intent = Some(Intent::Cancel);
                    self.waiting.insert(index, waiting);
                    return Err(error);
                }
            }
        }
        self.shared.changed();
        Ok(())
    }

    /// Ends a spec whose wish the store could not take; `tell` learns when nothing of it runs any more.
    pub(super) fn end(&mut self, spec: SpecId, tell: oneshot::Sender<Ended>) {
        let waits = self.waiting.iter().any(|waiting| waiting.claimed.fence.spec == spec);
        let runs = self.end_worker(&spec);
        if runs || waits {
            self.wishes.insert(spec.clone(), Intent::Cancel);
        }
        if runs {
            self.ends.entry(spec).or_default().push(tell);
        } else {
            // Who asked may have gone away.
            drop(tell.send(Ended::Idle));
        }
    }

    /// Tells the worker of a spec to end it, and starts one for that if none is there. Returns whether anything of the
    /// spec may run.
    fn end_worker(&mut self, spec: &SpecId) -> bool {
        if let Some((_, orders)) = self.workers.get(spec) {
            orders.send_replace(Order::Cancel);
            return true;
        }
        let left = self.foreign.remove(spec).or_else(|| self.again.get(spec).map(|(fence, _)| fence.clone()));
        let Some(fence) = left else { return false };
        self.again.insert(spec.clone(), (fence, Instant::now()));
        true
    }

    /// What is claimed and not yet spawned goes back to the queue.
    pub(super) async fn give_back_waiting(&mut self) -> Result<(), StoreError> {
        while let Some(waiting) = self.waiting.pop_front() {
            let back = GiveBack {
                position: waiting.claimed.position.clone(),
                changes: Vec::new(),
                reason: None,
                not_before: None,
                setback: false,
            };
            let fence = waiting.claimed.fence.clone();
            match self.with_store(move |store| store.give_back(&fence, back, clock::now())).await {
                Ok(()) | Err(StoreError::Superseded { .. }) => self.pace.given_back(),
                Err(error) => {
                    self.waiting.push_front(waiting);
                    return Err(error);
                }
            }
            self.shared.changed();
        }
        Ok(())
    }

    pub(super) async fn leave(&mut self, how: Leaving) {
        let how = self.leaving.map_or(how, |before| before.max(how));
        self.leaving = Some(how);
        if let Err(error) = self.give_back_waiting().await {
            // They are the next daemon's: it finds them claimed and not started.
            error!(%error, "claimed specs could not be queued again");
            let left = self.waiting.drain(..).map(|Waiting { claimed, .. }| (claimed.fence.spec, error.to_string()));
            self.unrecorded.extend(left);
        }
        match how {
            Leaving::Drain => {
                self.shared.set_draining();
                info!(workers = self.workers.len(), "draining: what runs finishes, nothing new is claimed");
            }
            Leaving::Detach => self.again.clear(),
            Leaving::Stop => {
                let (workers, again) = (self.workers.values(), self.again.values());
                let fences: Vec<Fence> =
                    workers.map(|(fence, _)| fence).chain(again.map(|(fence, _)| fence)).cloned().collect();
                if let Err(error) = self.with_store(move |store| stop_all(store, &fences)).await {
                    error!(%error, "that workers are stopped could not be recorded; they are stopped all the same");
                }
                for (_, at) in self.again.values_mut() {
                    *at = Instant::now();
                }
            }
        }
        for (_, orders) in self.workers.values() {
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

    /// What the daemon ends with: an error, if something ended that the store does not know of.
    pub(super) fn farewell(self) -> Result<(), StoreError> {
        let Some((_, reason)) = self.unrecorded.first() else { return Ok(()) };
        let specs: Vec<&str> = self.unrecorded.iter().map(|(spec, _)| spec.as_str()).collect();
        let have = if specs.len() == 1 { "has" } else { "have" };
        Err(StoreError::Unrecorded {
            what: format!("{} {have}", specs.join(", ")),
            reason: reason.clone(),
            advice: "the next daemon goes on with it".to_owned(),
        })
    }
}

/// Commits the wish that attempts stop; those that have ended meanwhile have nothing to stop.
fn stop_all(store: &dyn Store, fences: &[Fence]) -> Result<(), StoreError> {
    for fence in fences {
        match store.stop(fence) {
            Ok(()) | Err(StoreError::Superseded { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
