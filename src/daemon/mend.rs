//! Workers that are there already: those of an earlier daemon, and those that broke down.
//!
//! A spec is given back to the queue only when no command of it can be alive. Where one may be, the spec stays running
//! and keeps its slot, and its worker is started again in its place: it finds the command by its folder.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Daemon, Ended, Leaving, Spawn, WorkerEnd};
use crate::decide::retry;
use crate::domain::attempt::{Intent, Position};
use crate::domain::id::SpecId;
use crate::queue::{Claimed, Fence, GiveBack, StoreError};
use crate::system::clock;

impl<S: Spawn> Daemon<S> {
    /// Makes everything that runs in the store somebody's here. What was claimed and never started waits for its turn,
    /// under the pace; what lies outside the scope is left alone, unless it is to be canceled.
    pub(super) async fn adopt(&mut self) -> Result<(), StoreError> {
        let ids = self.scope.clone();
        let (running, scope) = self
            .with_store(move |store| {
                let scope = ids.map(|ids| store.scope(&ids)).transpose()?;
                Ok((store.running()?, scope))
            })
            .await?;
        let mut unstarted = Vec::new();
        for claimed in running {
            let (spec, attempt) = (claimed.fence.spec.clone(), claimed.fence.attempt);
            let within = scope.as_ref().is_none_or(|scope| scope.contains(&spec));
            if self.has(&spec) {
                continue;
            } else if !within && claimed.intent != Some(Intent::Cancel) {
                warn!(%spec, attempt, "left alone: it is none of this run's specs, and takes a slot");
                self.foreign.insert(spec, claimed.fence);
            } else if claimed.started {
                info!(%spec, attempt, "adopted");
                self.start(claimed).await;
            } else {
                info!(%spec, attempt, "adopted before its start");
                unstarted.push(claimed);
            }
        }
        self.line_up(unstarted);
        Ok(())
    }

    fn has(&self, spec: &SpecId) -> bool {
        self.workers.contains_key(spec)
            || self.again.contains_key(spec)
            || self.foreign.contains_key(spec)
            || self.waiting.iter().any(|waiting| &waiting.claimed.fence.spec == spec)
    }

    /// A worker's task has ended.
    pub(super) async fn ended(&mut self, fence: Fence, end: WorkerEnd) {
        let (spec, attempt) = (fence.spec.clone(), fence.attempt);
        self.workers.remove(&spec);
        match end {
            WorkerEnd::Recorded => self.forget(&spec),
            WorkerEnd::Detached => {}
            WorkerEnd::Unrecorded(reason) => {
                error!(%spec, attempt, %reason, "what became of a worker could not be recorded");
                self.shared.health.note(&reason);
                self.tell(&spec, &Ended::Unrecorded(reason.clone()));
                match self.leaving {
                    Some(_) => self.unrecorded.push((spec, reason)),
                    None => self.mend(fence, reason).await,
                }
            }
            WorkerEnd::Broken(reason) => {
                error!(%spec, attempt, %reason, "worker broke down");
                if self.leaving != Some(Leaving::Detach) {
                    self.mend(fence, reason).await;
                }
            }
        }
        self.shared.changed();
    }

    async fn mend(&mut self, fence: Fence, reason: String) {
        match self.with_store(|store| store.running()).await.map(|running| find(running, &fence)) {
            Ok(None) => self.forget(&fence.spec),
            Ok(Some(_)) if self.wishes.contains_key(&fence.spec) => self.start_later(fence, &reason),
            Ok(Some(claimed)) => self.put_back(fence, claimed.position, claimed.setbacks, reason).await,
            Err(_) => self.start_later(fence, &reason),
        }
    }

    /// Gives a spec back to the queue, for a while; in its place, where that cannot be.
    pub(super) async fn put_back(&mut self, fence: Fence, position: Position, setbacks: u32, reason: String) {
        if position.awaiting {
            return self.start_later(fence, &reason);
        }
        let wait = retry::start_backoff_millis(setbacks + 1);
        let back = GiveBack {
            position,
            changes: Vec::new(),
            reason: Some(reason.clone()),
            not_before: Some(clock::now().plus_millis(wait)),
            setback: true,
        };
        let given = fence.clone();
        match self.with_store(move |store| store.give_back(&given, back, clock::now())).await {
            Ok(()) | Err(StoreError::Superseded { .. }) => self.forget(&fence.spec),
            Err(error) => {
                error!(spec = %fence.spec, %error, "cannot be queued again: its worker is started again");
                self.start_later(fence, &reason);
            }
        }
    }

    fn start_later(&mut self, fence: Fence, reason: &str) {
        let breakdowns = self.breakdowns.entry(fence.spec.clone()).or_default();
        *breakdowns = breakdowns.saturating_add(1);
        let wait = Duration::from_millis(u64::try_from(retry::start_backoff_millis(*breakdowns)).unwrap_or(0));
        let at = clock::now().plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        self.shared.set_broken(&fence.spec, Some(format!("{reason}; looked after again at {at}")));
        self.again.insert(fence.spec.clone(), (fence, Instant::now() + wait));
    }

    /// Starts the workers again whose time has come.
    pub(super) async fn start_again(&mut self) {
        let now = Instant::now();
        let due: Vec<Fence> =
            self.again.values().filter(|(_, at)| *at <= now).map(|(fence, _)| fence.clone()).collect();
        if due.is_empty() {
            return;
        }
        let running = self.with_store(|store| store.running()).await;
        for fence in due {
            match &running {
                Err(error) => {
                    error!(spec = %fence.spec, %error, "cannot be looked up: its worker is started later");
                    self.start_later(fence, &error.to_string());
                }
                Ok(running) => {
                    self.again.remove(&fence.spec);
                    self.shared.set_broken(&fence.spec, None);
                    match find(running.clone(), &fence) {
                        Some(claimed) => self.start(claimed).await,
                        None => self.forget(&fence.spec),
                    }
                }
            }
        }
    }

    /// The store has what became of a spec.
    fn forget(&mut self, spec: &SpecId) {
        self.breakdowns.remove(spec);
        self.shared.set_broken(spec, None);
        self.wishes.remove(spec);
        self.tell(spec, &Ended::Recorded);
    }

    fn tell(&mut self, spec: &SpecId, end: &Ended) {
        for waiting in self.ends.remove(spec).unwrap_or_default() {
            // Who asked may have gone away.
            drop(waiting.send(end.clone()));
        }
    }
}

fn find(running: Vec<Claimed>, fence: &Fence) -> Option<Claimed> {
    running.into_iter().find(|claimed| &claimed.fence == fence)
}
