//! Carries out the calls that clients make over the control socket.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::async_queue::AsyncQueue;
use super::error::CallError;
use super::shared::Shared;
use super::{Ended, Event, Leaving};
use crate::config::HotConfig;
use crate::config::keys::{Key, keys_of};
use crate::control::calls::{
    CallFailure, Cancel, CancelResult, CheckProgram, ConfigInForce, Dispatch, Dispatched, Environment, GIVE_UP,
    GetConfig, HoldAgent, Ids, Land, Leave, Outlook, ProgramFound, Reload, ResumeAgents, ResumedAgents, Retry,
    SetPaused, SetPriority, SettleChanges, StatusRequest, StatusResponse, Stop, StopResult,
};
use crate::control::server::{Serve, closed};
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::git;
use crate::queue::{Canceled, Cleaned, Queue, QueueError, Stopped};
use crate::reload::{self, ReloadHandle};
use crate::service;
use crate::system::{blocking, clock, paths};

/// A queue that has not answered for this long counts as silent; a disk that is only busy answers sooner.
pub(super) const SILENT: Duration = Duration::from_secs(3);
/// How often a call that waits for the queue checks whether the queue answers any call.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// The longest time that a status request waits for a newer state.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The parts of a daemon that calls use: its queue, its configuration, its state and the channel to its loop.
/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(super) queue: AsyncQueue,
    /// The path of the queue's file, for messages.
    pub(super) place: Arc<str>,
    pub(super) hot: Arc<ArcSwap<HotConfig>>,
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// Requests reloads; empty until the reload thread has started.
    pub(super) reload: Arc<OnceLock<ReloadHandle>>,
}

impl Handle {
    /// Sends an event to the loop. An event for a loop that has ended is dropped.
    pub(crate) fn send(&self, event: Event) {
        drop(self.events.send(event));
    }

    /// Requests a reload of the configuration.
    pub(super) fn request_reload(&self) {
        service::reloading();
        if let Some(reload) = self.reload.get() {
            reload.request();
        }
    }

    /// Waits for a state that is newer than `revision`, and returns the revision of that state.
    pub(crate) async fn newer_than(&self, revision: u64) -> u64 {
        self.shared.newer_than(revision).await
    }

    /// Runs a verb (an operation of the queue). If the queue cannot be used, records the reason, which `boi
    /// status` then shows.
    pub(crate) async fn queue<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&dyn Queue) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let result = self.queue.call(verb).await;
        if let Err(failure) = &result
            && failure.is_outage()
            && self.shared.health.record_trouble(&failure.to_string())
        {
            self.shared.changed();
            // The loop checks whether the outage is over.
            self.send(Event::Queued);
        }
        result
    }

    /// Waits for `call`. Fails when the queue has answered no verb for `patience`. The call then continues in
    /// the background, and may still be carried out.
    pub(super) async fn unless_silent<T, A>(
        &self,
        patience: Duration,
        call: impl FnOnce(Handle) -> A,
    ) -> Result<T, CallError>
    where
        T: Send + 'static,
        A: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        let mut call = tokio::spawn(call(self.clone()));
        loop {
            match tokio::time::timeout(CHECK_EVERY, &mut call).await {
                Ok(result) => return result.unwrap_or(Err(CallError::Panicked)),
                Err(_) => self.check_silence(patience)?,
            }
        }
    }

    /// Fails if a verb of the queue has been running for `patience` without an answer.
    pub(super) fn check_silence(&self, patience: Duration) -> Result<(), CallError> {
        match self.queue.unanswered_for().filter(|silent_for| *silent_for >= patience) {
            Some(silent_for) => Err(CallError::QueueSilent { place: self.place.to_string(), silent_for }),
            None => Ok(()),
        }
    }

    /// Cancels a spec. A queued spec is canceled at once; a running spec is canceled when its worker has
    /// ended it. If the queue cannot record the user's request, the spec's processes are ended nevertheless.
    /// The call then returns when they have ended, and fails if the queue could not record their end either.
    pub(crate) async fn cancel(&self, spec: SpecId) -> Result<Canceled, CallError> {
        let id = spec.clone();
        let failure = match self.queue(move |queue| queue.cancel(&id, clock::now())).await {
            Ok(canceled) => {
                if canceled == Canceled::Ending {
                    self.send(Event::Cancel(spec));
                }
                self.shared.changed();
                return Ok(canceled);
            }
            Err(error) if error.is_outage() => error,
            Err(error) => return Err(error.into()),
        };
        warn!(%spec, error = %failure, "the queue could not record the request to cancel a spec; the processes of the spec are ended nevertheless");
        let (caller, ended) = oneshot::channel();
        self.send(Event::CancelUnrecorded(spec.clone(), caller));
        match ended.await {
            Ok(Ended::Recorded) => Ok(Canceled::Ending),
            Ok(Ended::Unrecorded(reason)) => Err(CallError::CanceledUnrecorded { spec, reason }),
            Ok(Ended::Idle) | Err(_) => Err(failure.into()),
        }
    }
}

/// The spec ids whose branches already exist in the repositories of `specs`, for example because another home
/// or a lost queue used them. A repository that cannot be read now is skipped and is checked again before the
/// first try.
pub(crate) fn taken_ids(specs: &[Spec]) -> HashSet<SpecId> {
    let repos: BTreeSet<PathBuf> = specs.iter().filter_map(|spec| Some(spec.repo.as_ref()?.path.clone())).collect();
    repos.iter().flat_map(|repo| git::spec_ids_in_refs(repo).unwrap_or_default()).collect()
}

/// Returns for each spec the equal specs in the queue that have not ended. A queue that cannot be searched is no reason to
/// refuse a spec.
pub(crate) fn twins(queue: &dyn Queue, specs: &[Spec]) -> Vec<Vec<SpecId>> {
    let mut last: Option<(&Spec, Vec<SpecId>)> = None;
    let of = |spec| match &last {
        // Many equal specs in a row are common.
        Some((earlier, twins)) if *earlier == spec => twins.clone(),
        _ => {
            let twins = queue.twins(spec).unwrap_or_default();
            last = Some((spec, twins.clone()));
            twins
        }
    };
    specs.iter().map(of).collect()
}

impl Serve<Dispatch> for Handle {
    async fn serve(&self, Dispatch { specs }: Dispatch, _: watch::Receiver<bool>) -> Result<Dispatched, CallFailure> {
        let (ids, twins, paused) = self
            .unless_silent(GIVE_UP, |handle| async move {
                let for_git = specs.clone();
                let taken = blocking::run(move || taken_ids(&for_git));
                // A repository that hangs is checked again before the first try, like a repository that
                // cannot be read.
                let taken = match tokio::time::timeout(SILENT, taken).await {
                    Ok(taken) => taken.map_err(|_| CallError::Panicked)?,
                    Err(_) => HashSet::new(),
                };
                let enqueue = move |queue: &dyn Queue| {
                    let twins = twins(queue, &specs);
                    Ok((queue.enqueue(specs, taken, clock::now())?, twins, queue.is_paused().unwrap_or_default()))
                };
                let queued = handle.queue(enqueue).await?;
                handle.send(Event::Queued);
                handle.shared.changed();
                Ok(queued)
            })
            .await?;
        let outlook = Outlook { daemon: Some(self.shared.daemon_view()), paused, holds: self.holds() };
        Ok(Dispatched { ids, twins, outlook: Some(outlook) })
    }
}

impl Serve<StatusRequest> for Handle {
    async fn serve(
        &self,
        StatusRequest { filter, newer_than }: StatusRequest,
        mut closing: watch::Receiver<bool>,
    ) -> Result<StatusResponse, CallFailure> {
        let revision = match newer_than {
            // Cancel-safe: each branch only waits.
            Some(revision) => tokio::select! {
                revision = self.shared.newer_than(revision) => revision,
                () = tokio::time::sleep(LONGEST_WAIT) => revision,
                () = closed(&mut closing) => revision,
            },
            None => self.shared.revision(),
        };
        let status = if filter.ids.is_empty() {
            // `status` itself reports a queue that does not answer.
            self.status(filter).await?
        } else {
            if newer_than.is_none() {
                // If a repository hangs, the status is shown without this check.
                drop(tokio::time::timeout(SILENT, self.look_for_merges(Some(filter.ids.clone()))).await);
            }
            self.unless_silent(GIVE_UP, |handle| async move { handle.status(filter).await }).await?
        };
        Ok(StatusResponse { revision, status })
    }
}

impl Serve<Cancel> for Handle {
    async fn serve(&self, Cancel { ids }: Cancel, _: watch::Receiver<bool>) -> Result<Vec<CancelResult>, CallFailure> {
        let mut results = Vec::new();
        for id in ids {
            let spec = id.clone();
            let outcome = self.unless_silent(GIVE_UP, |handle| async move { handle.cancel(spec).await }).await?;
            results.push(CancelResult { id, outcome });
        }
        Ok(results)
    }
}

impl Serve<Stop> for Handle {
    async fn serve(&self, Stop { ids }: Stop, _: watch::Receiver<bool>) -> Result<Vec<StopResult>, CallFailure> {
        let mut results = Vec::new();
        for id in ids {
            let spec = id.clone();
            let stop = |handle: Handle| async move {
                let asked = spec.clone();
                let outcome = handle.queue(move |queue| queue.stop(&asked, clock::now())).await?;
                if outcome == Stopped::Ending {
                    handle.send(Event::Stop(spec));
                }
                handle.shared.changed();
                Ok(outcome)
            };
            let outcome = self.unless_silent(GIVE_UP, stop).await?;
            results.push(StopResult { id, outcome });
        }
        Ok(results)
    }
}

impl Serve<SetPriority> for Handle {
    async fn serve(&self, call: SetPriority, _: watch::Receiver<bool>) -> Result<SetPriority, CallFailure> {
        let SetPriority { id, priority } = call.clone();
        self.unless_silent(GIVE_UP, |handle| async move {
            handle.queue(move |queue| queue.set_priority(&id, priority)).await?;
            handle.send(Event::Queued);
            handle.shared.changed();
            Ok(())
        })
        .await?;
        Ok(call)
    }
}

impl Serve<Retry> for Handle {
    async fn serve(&self, Retry { ids, max_usd }: Retry, _: watch::Receiver<bool>) -> Result<Ids, CallFailure> {
        let mut queued = Vec::new();
        for id in ids {
            if queued.contains(&id) {
                continue;
            }
            let retry = |handle: Handle| async move {
                let _no_removal = handle.shared.retention.exclude().await;
                let queued = handle.queue(move |queue| queue.retry(&id, max_usd, clock::now())).await?;
                handle.send(Event::Queued);
                handle.shared.changed();
                Ok(queued)
            };
            queued.extend(self.unless_silent(GIVE_UP, retry).await?);
        }
        Ok(Ids { ids: queued })
    }
}

impl Serve<Land> for Handle {
    async fn serve(&self, Land { ids, force }: Land, _: watch::Receiver<bool>) -> Result<Ids, CallFailure> {
        for id in ids.clone() {
            let land = |handle: Handle| async move {
                let _no_removal = handle.shared.retention.exclude().await;
                handle.queue(move |queue| queue.request_landing(&id, force, clock::now())).await?;
                handle.send(Event::Queued);
                handle.shared.changed();
                Ok(())
            };
            self.unless_silent(GIVE_UP, land).await?;
        }
        Ok(Ids { ids })
    }
}

impl Serve<SetPaused> for Handle {
    async fn serve(&self, call: SetPaused, _: watch::Receiver<bool>) -> Result<SetPaused, CallFailure> {
        let SetPaused { paused } = call;
        self.unless_silent(GIVE_UP, |handle| async move {
            handle.queue(move |queue| queue.set_paused(paused)).await?;
            handle.send(Event::Paused(paused));
            handle.shared.changed();
            Ok(())
        })
        .await?;
        Ok(call)
    }
}

impl Serve<HoldAgent> for Handle {
    async fn serve(&self, call: HoldAgent, _: watch::Receiver<bool>) -> Result<HoldAgent, CallFailure> {
        let HoldAgent { agent, until } = call.clone();
        self.unless_silent(GIVE_UP, move |handle| async move {
            handle.shared.lanes.hold_by_hand(&agent, until).await?;
            handle.shared.changed();
            Ok(())
        })
        .await?;
        Ok(call)
    }
}

impl Serve<ResumeAgents> for Handle {
    async fn serve(
        &self,
        ResumeAgents { agent }: ResumeAgents,
        _: watch::Receiver<bool>,
    ) -> Result<ResumedAgents, CallFailure> {
        let resume = |handle: Handle| async move {
            let resumed = handle.shared.lanes.resume(agent.as_deref()).await?;
            handle.shared.changed();
            Ok(resumed)
        };
        Ok(self.unless_silent(GIVE_UP, resume).await?)
    }
}

impl Serve<GetConfig> for Handle {
    async fn serve(&self, _: GetConfig, _: watch::Receiver<bool>) -> Result<ConfigInForce, CallFailure> {
        let hot = self.hot.load_full();
        let value = |key: &Key| (key.name.clone(), key.get(&hot.config).to_string());
        Ok(ConfigInForce {
            generation: hot.generation,
            values: keys_of(&hot.config).iter().map(value).collect(),
            flags: self.shared.config().flags,
            environment: Some(Environment {
                claude_bin: paths::claude_bin(),
                variables: Some(paths::variable_names().filter_map(|name| name.into_string().ok()).collect()),
            }),
        })
    }
}

impl Serve<CheckProgram> for Handle {
    async fn serve(&self, call: CheckProgram, _: watch::Receiver<bool>) -> Result<ProgramFound, CallFailure> {
        let found = blocking::run(move || reload::find_program(&call.program)).await;
        Ok(ProgramFound { why_not: found.map_err(|_| CallError::Panicked)?.err() })
    }
}

impl Serve<Leave> for Handle {
    async fn serve(&self, how: Leave, _: watch::Receiver<bool>) -> Result<Leave, CallFailure> {
        self.send(Event::Leave(match how {
            Leave::Stop => Leaving::Stop,
            Leave::Drain => Leaving::Drain,
        }));
        Ok(how)
    }
}

impl Serve<Reload> for Handle {
    async fn serve(&self, call: Reload, _: watch::Receiver<bool>) -> Result<Reload, CallFailure> {
        info!("a reload was requested over the control socket");
        self.request_reload();
        Ok(call)
    }
}

impl Serve<Cleaned> for Handle {
    async fn serve(&self, cleaned: Cleaned, _: watch::Receiver<bool>) -> Result<(), CallFailure> {
        self.unless_silent(GIVE_UP, |handle| async move {
            handle.queue(move |queue| queue.record_cleaned(&cleaned, clock::now())).await?;
            // Specs may be waiting for a merge that the cleanup noticed.
            handle.send(Event::Queued);
            handle.shared.changed();
            Ok(())
        })
        .await?;
        Ok(())
    }
}

impl Serve<SettleChanges> for Handle {
    async fn serve(
        &self,
        SettleChanges { numbers }: SettleChanges,
        _: watch::Receiver<bool>,
    ) -> Result<(), CallFailure> {
        self.unless_silent(GIVE_UP, |handle| async move {
            handle.queue(move |queue| queue.settle_changes(numbers)).await?;
            handle.shared.changed();
            Ok(())
        })
        .await?;
        Ok(())
    }
}
