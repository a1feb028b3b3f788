//! Handles running specs that have no worker: specs that an earlier daemon left running, and specs whose
//! worker failed.
//!
//! A spec is given back to the queue only when no command of the spec can be alive. If a command may be
//! alive, the spec stays running and keeps its slot, and a new worker is started, which finds the command by
//! its folder.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::registry::SlotState;
use super::{Daemon, Ended, Leaving, Order, Spawn, WorkerEnd};
use crate::decide::retry;
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::life::Intent;
use crate::domain::time::Timestamp;
use crate::queue::{Claimed, Fence, GiveBack, Quarantined, QueueError, RunningSpecs};
use crate::system::clock;

/// A running attempt as the queue returned it.
enum Found {
    Claimed(Box<Claimed>),
    Quarantined(Quarantined),
}

impl<S: Spawn> Daemon<S> {
    /// Gives a slot to every spec that is running in the queue, and starts its worker. If an earlier daemon
    /// claimed a spec and did not start its worker, the spec waits for its turn like a newly claimed one. A
    /// spec outside the scope gets no worker, unless the user canceled it.
    pub(super) async fn adopt(&mut self) -> Result<(), QueueError> {
        let ids = self.scope.clone();
        let read = move |queue: &dyn crate::queue::Queue| {
            let scope = ids.map(|ids| queue.scope(&ids)).transpose()?;
            Ok((queue.running()?, scope))
        };
        let (RunningSpecs { claimed, quarantined }, scope) = self.queue.call(read).await?;
        let mut unstarted = Vec::new();
        for claimed in claimed {
            let (spec, attempt) = (claimed.fence.spec.clone(), claimed.fence.attempt);
            let within = spec.is_lander() || scope.as_ref().is_none_or(|scope| scope.contains(&spec));
            if self.registry.contains(&spec) {
                continue;
            } else if !within && !matches!(claimed.intent, Some(Intent::Cancel | Intent::Block)) {
                warn!(%spec, attempt, "this daemon starts no worker for a running spec that is outside the scope of its `boi run`; the spec takes a slot");
                self.registry.insert(claimed.fence, SlotState::Foreign);
            } else if claimed.started {
                info!(%spec, attempt, "running spec adopted");
                self.start(claimed);
            } else {
                info!(%spec, attempt, "claimed spec adopted; an earlier daemon had not started its worker");
                unstarted.push(claimed);
            }
        }
        for found in quarantined {
            if !self.registry.contains(&found.fence.spec) {
                self.quarantine(&found.fence, found.intent, found.detail);
            }
        }
        self.line_up(unstarted, 0);
        Ok(())
    }

    /// Handles the end of a worker's task.
    pub(super) async fn worker_ended(&mut self, fence: Fence, end: WorkerEnd) {
        let (spec, attempt) = (fence.spec.clone(), fence.attempt);
        match end {
            WorkerEnd::Recorded => self.release(&spec),
            WorkerEnd::Detached => drop(self.registry.remove(&spec)),
            WorkerEnd::NotStarted(detail) => {
                warn!(%spec, attempt, detail, "the worker could not be started");
                if self.leaving == Some(Leaving::Detach) {
                    self.registry.remove(&spec);
                } else {
                    self.recover_slot(fence, Cause::WorkerNotStarted { detail }).await;
                }
            }
            WorkerEnd::Unrecorded(reason) => {
                error!(%spec, attempt, %reason, "the queue could not record the result of a worker");
                self.shared.health.record_trouble(&reason);
                self.answer_waiters(&spec, &Ended::Unrecorded(reason.clone()));
                if self.leaving.is_some() {
                    self.registry.remove(&spec);
                    self.unrecorded.push((spec, reason));
                } else {
                    self.recover_slot(fence, Cause::WorkerFailed { detail: reason, until: None }).await;
                }
            }
            WorkerEnd::Failed(detail) => {
                error!(%spec, attempt, detail, "the worker failed");
                if self.leaving == Some(Leaving::Detach) {
                    self.registry.remove(&spec);
                } else {
                    self.recover_slot(fence, Cause::WorkerFailed { detail, until: None }).await;
                }
            }
            WorkerEnd::Quarantined(detail) => {
                let is_canceled = self.registry.get(&spec).is_some_and(
                    |slot| matches!(&slot.state, SlotState::Working(orders) if *orders.borrow() == Order::Cancel),
                );
                self.quarantine(&fence, is_canceled.then_some(Intent::Cancel), detail);
            }
        }
        self.shared.changed();
    }

    /// Handles a worker that failed: reads its spec from the queue, then gives the spec back to the queue or
    /// restarts the worker later.
    async fn recover_slot(&mut self, fence: Fence, cause: Cause) {
        let has_unrecorded = self.registry.get(&fence.spec).is_some_and(|slot| slot.unrecorded_intent.is_some());
        match self.queue.call(|queue| queue.running()).await.map(|running| find(running, &fence)) {
            Ok(None) => self.release(&fence.spec),
            // The spec's processes could not be ended, or the queue could not record their end. The restart
            // tries this again.
            Ok(Some(Found::Quarantined(_))) if self.leaving.is_some() => {
                self.registry.set(&fence, SlotState::Quarantined)
            }
            Ok(Some(Found::Quarantined(_))) => self.restart_later(&fence, &cause),
            Ok(Some(Found::Claimed(_))) if has_unrecorded => self.restart_later(&fence, &cause),
            Ok(Some(Found::Claimed(claimed))) => self.put_back(*claimed, cause).await,
            Err(_) => self.restart_later(&fence, &cause),
        }
    }

    /// Gives a spec back to the queue, which makes it eligible after a wait. If a command of the spec may be
    /// running, or the queue cannot take the spec back, restarts the spec's worker later instead.
    async fn put_back(&mut self, claimed: Claimed, cause: Cause) {
        let lane = claimed.lane_at(&claimed.position);
        let Claimed { fence, position, setbacks, .. } = claimed;
        if position.running_command().is_some() {
            return self.restart_later(&fence, &cause);
        }
        let wait = retry::start_backoff_millis(setbacks + 1);
        let back = GiveBack {
            position,
            changes: Vec::new(),
            cause: Some(cause.clone()),
            not_before: Some(clock::now().plus_millis(wait)),
            setback: true,
            lane,
        };
        let given = fence.clone();
        match self.queue.call(move |queue| queue.give_back(&given, back, clock::now())).await {
            Ok(()) | Err(QueueError::Superseded(_)) => self.release(&fence.spec),
            Err(error) => {
                error!(spec = %fence.spec, %error, "cannot give the spec back to the queue; the spec's worker is restarted later");
                self.restart_later(&fence, &cause);
            }
        }
    }

    fn restart_later(&mut self, fence: &Fence, cause: &Cause) {
        let Some(slot) = self.registry.get_mut(&fence.spec) else { return };
        slot.failures = slot.failures.saturating_add(1);
        let wait = Duration::from_millis(u64::try_from(retry::start_backoff_millis(slot.failures)).unwrap_or(0));
        self.registry.set(fence, SlotState::Restarting(Instant::now() + wait));
        let until = after(clock::now(), wait);
        let cause = Cause::WorkerFailed { detail: cause.to_string(), until: Some(until) };
        self.shared.set_cause(&fence.spec, Some(cause));
    }

    /// Restarts the workers whose restart is due.
    pub(super) async fn restart_due(&mut self) {
        let due = self.registry.restarts_due(Instant::now());
        if due.is_empty() {
            return;
        }
        let running = self.queue.call(|queue| queue.running()).await;
        for fence in due {
            match &running {
                Err(error) => {
                    error!(spec = %fence.spec, %error, "cannot read the spec from the queue; its worker is restarted later");
                    self.restart_later(&fence, &Cause::WorkerFailed { detail: error.to_string(), until: None });
                }
                Ok(running) => {
                    self.shared.set_cause(&fence.spec, None);
                    match find(running.clone(), &fence) {
                        Some(Found::Claimed(claimed)) => self.start(*claimed),
                        Some(Found::Quarantined(found)) => self.quarantine(&fence, found.intent, found.detail),
                        None => self.release(&fence.spec),
                    }
                }
            }
        }
    }

    /// Quarantines a spec with a record that this version of boi cannot read. If the user canceled the spec,
    /// ends it.
    fn quarantine(&mut self, fence: &Fence, intent: Option<Intent>, detail: String) {
        error!(
            spec = %fence.spec, attempt = fence.attempt, detail,
            "spec quarantined: this version of boi cannot read a record of the spec, so it does nothing with the spec. Run a version of boi that can read the record, or end the spec with `boi cancel`",
        );
        self.shared.set_cause(&fence.spec, Some(Cause::Quarantined { detail }));
        self.registry.set(fence, SlotState::Quarantined);
        if self.first_order(&fence.spec, intent) == Order::Cancel {
            self.end_quarantined(fence);
        }
        self.shared.changed();
    }

    /// Starts a task that ends the processes of a quarantined spec and cancels the spec.
    pub(super) fn end_quarantined(&mut self, fence: &Fence) {
        let (orders, received) = watch::channel(Order::Cancel);
        self.registry.set(fence, SlotState::Working(orders));
        self.spawner.end_quarantined(fence.clone(), received, self.events.clone());
    }

    /// Frees the slot of a spec whose result is recorded.
    fn release(&mut self, spec: &SpecId) {
        self.shared.set_cause(spec, None);
        self.shared.build_slots.release(spec);
        self.answer_waiters(spec, &Ended::Recorded);
        if self.registry.remove(spec).is_some_and(|slot| slot.reclaimed) {
            // The spec was claimed again and is running in the queue: the next tick gives it a slot.
            self.doubtful = true;
        }
    }

    fn answer_waiters(&mut self, spec: &SpecId, end: &Ended) {
        let Some(slot) = self.registry.get_mut(spec) else { return };
        for waiter in std::mem::take(&mut slot.waiters) {
            // If the caller has disconnected, nobody needs the answer.
            drop(waiter.send(end.clone()));
        }
    }
}

fn find(running: RunningSpecs, fence: &Fence) -> Option<Found> {
    let claimed = running.claimed.into_iter().find(|claimed| &claimed.fence == fence);
    let quarantined = || running.quarantined.into_iter().find(|found| &found.fence == fence).map(Found::Quarantined);
    claimed.map(|claimed| Found::Claimed(Box::new(claimed))).or_else(quarantined)
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}
