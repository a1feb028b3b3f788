//! The daemon, which runs the specs in the queue.
//!
//! [`Daemon::run`] is the loop: it waits until an [`Event`] arrives or a start or a tick is due, handles the
//! event, if any, and then ticks. A tick reads **one** configuration snapshot, decides how many specs to
//! claim (`decide::tick`), claims this batch in one transaction, and lets the claimed specs wait for
//! their start. Workers start one after another with a random delay between two starts, so that a pause, a
//! cancel, a stop or a reload can take effect between them.
//!
//! | file | what is in it |
//! | --- | --- |
//! | here | the loop: events, tick, claim, start |
//! | `registry` | one slot for each running spec |
//! | `idle` | longer pauses between two ticks while nothing is to be done |
//! | `budgets` | the limits on the cost of agents, and their cost in the last 24 h |
//! | `admission` | defers starts while the machine has too little disk space or memory |
//! | `build_slots` | the limit on `run` and verify commands that run at a time |
//! | `adopt` | running specs of an earlier daemon, and workers that failed |
//! | `worker/` | a worker: its steps, its commands, its worktree |
//! | `lifecycle/` | start and end of the daemon, its health, ending running specs |
//! | `merged_by_user` | notices branches that the user merged by hand |
//! | `repositories` | counts the running specs of each repository, and ends blocks by repositories' configurations |
//! | `warm_trees` | the fixed paths of worktrees whose repository keeps folders for the next spec |
//! | `retention` | removes specs that ended long ago |
//! | `events`, `hooks` | the stream of events, and the commands that get them |
//! | `handle`, `status` | the calls of the control socket |
//!
//! Invariants:
//! - A worker is started only after its claim is committed.
//! - The loop never waits for a worker, a command or git.
//! - Every spec that is running in the queue has one slot in the registry.

mod admission;
mod adopt;
mod agent_files;
pub(crate) mod async_queue;
mod budgets;
mod build_slots;
pub(crate) mod error;
mod events;
pub(crate) mod handle;
mod hooks;
mod idle;
pub(crate) mod lanes;
mod left_running;
pub(crate) mod lifecycle;
pub(crate) mod merged_by_user;
mod quarantine;
mod registry;
mod repositories;
mod retention;
mod review;
pub(crate) mod shared;
pub(crate) mod status;
pub(crate) mod warm_trees;
pub(crate) mod worker;

#[cfg(test)]
mod adopt_tests;
#[cfg(test)]
mod loop_tests;
#[cfg(test)]
mod night_tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::RngExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::admission::Admit;
use self::agent_files::AgentFiles;
use self::async_queue::AsyncQueue;
use self::error::LoopError;
use self::idle::Idle;
use self::registry::{Registry, SlotState, Waiting};
use self::shared::Shared;
use crate::config::{Agents, HotConfig};
use crate::decide::pace::Pace;
use crate::decide::tick::{self, Bound, Decision};
use crate::domain::id::SpecId;
use crate::domain::lane::Eligible;
use crate::domain::life::Intent;
use crate::queue::landings::Group;
use crate::queue::{Claimed, Fence, QueueError};
use crate::system::{clock, failpoint};

/// How long the loop waits after a failure of the queue.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Everything that can wake the loop.
#[derive(Debug)]
pub(crate) enum Event {
    /// A spec was queued (by a dispatch or a retry), or an outage of the queue was noticed. The loop ticks.
    Queued,
    /// The user canceled a running spec, and the queue has recorded this request.
    Cancel(SpecId),
    /// The user stopped a running spec, and the queue has recorded this request.
    Stop(SpecId),
    /// The user canceled a running spec, and the queue could not record this request. The sender gets the
    /// result.
    CancelUnrecorded(SpecId, oneshot::Sender<Ended>),
    /// Claiming was paused or resumed, and the queue has recorded that.
    Paused(bool),
    /// A new configuration came into force.
    Reloaded,
    /// A worker's task ended.
    Ended(Fence, WorkerEnd),
    /// The daemon was asked to end.
    Leave(Leaving),
}

/// How the daemon leaves, that is, what happens to its workers before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaving {
    /// The daemon claims no more specs, and ends when its running workers have finished.
    Drain,
    /// The daemon stops its workers and queues their specs again. These specs later resume at the same step.
    Stop,
    /// The daemon ends its workers but not their commands: the next daemon adopts these.
    Detach,
}

/// An order that the loop gives to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Carry out the spec.
    Work,
    /// End the command and the spec.
    Cancel,
    /// End the command, and queue the spec again.
    Stop,
    /// End the worker only. Its command continues to run, and its record in the queue is not changed.
    Detach,
}

/// The result of a cancel that the queue could not record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The spec had no worker, so there was nothing to end.
    Idle,
    /// The worker has ended, and its result is recorded.
    Recorded,
    /// The worker has ended, and the queue could not record its result, for this reason.
    Unrecorded(String),
}

/// How a worker's task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkerEnd {
    /// The queue has recorded that the worker's spec ended or was queued again.
    Recorded,
    /// The worker ended because the daemon is leaving. The worker's command, if any, continues to run.
    Detached,
    /// The worker could not be started, for this reason.
    NotStarted(String),
    /// No command of the worker's spec is running, and the queue could not record the result, for this
    /// reason.
    Unrecorded(String),
    /// The worker failed, for this reason. Its command, if any, continues to run, and the spec's next worker
    /// finds it.
    Failed(String),
    /// This version of boi cannot read a record of the worker's spec, for this reason. A command of the spec
    /// may be running.
    Quarantined(String),
}

/// Starts workers.
pub(crate) trait Spawn: Send {
    /// Starts the worker of `claimed`. When the worker ends, [`Event::Ended`] is sent exactly once.
    fn spawn(&mut self, claimed: Claimed, orders: watch::Receiver<Order>, events: mpsc::UnboundedSender<Event>);

    /// Starts a task that ends the processes of a quarantined spec and then cancels the spec. When the task
    /// ends, [`Event::Ended`] is sent exactly once.
    fn end_quarantined(&mut self, fence: Fence, orders: watch::Receiver<Order>, events: mpsc::UnboundedSender<Event>);
}

/// The daemon's loop, with its state.
pub(crate) struct Daemon<S> {
    queue: AsyncQueue,
    hot: Arc<ArcSwap<HotConfig>>,
    shared: Arc<Shared>,
    spawner: S,
    events: mpsc::UnboundedSender<Event>,
    inbox: mpsc::UnboundedReceiver<Event>,
    scope: Option<Vec<SpecId>>,
    began: Instant,
    pace: Pace,
    registry: Registry,
    next_spawn: Instant,
    /// Specs whose end the queue could not record while the daemon was leaving, and why.
    unrecorded: Vec<(SpecId, String)>,
    /// Whether the registry may differ from the queue, because a write failed or a spec was claimed again
    /// before the end of its last worker was handled. The next tick compares them.
    doubtful: bool,
    agent_files: AgentFiles,
    /// The settings of the agents at the last reload or at the start, to find out which agents the next
    /// reload changes.
    agents: Agents,
    paused: bool,
    leaving: Option<Leaving>,
    wake_at: Instant,
    /// Set while no tick is needed; see `idle`.
    idle: Option<Idle>,
}

impl<S: Spawn> Daemon<S> {
    /// Creates a daemon that uses `queue`. With a `scope`, the daemon claims only these specs and the specs
    /// that they wait for.
    pub(crate) fn new(
        queue: AsyncQueue,
        hot: Arc<ArcSwap<HotConfig>>,
        shared: Arc<Shared>,
        spawner: S,
        scope: Option<Vec<SpecId>>,
        channel: (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
    ) -> Daemon<S> {
        let now = Instant::now();
        let agents = hot.load().config.agents.clone();
        shared.lanes.attach(&queue);
        shared.attach_config(&hot);
        Daemon {
            queue,
            hot,
            shared,
            spawner,
            events: channel.0,
            inbox: channel.1,
            scope,
            began: now,
            pace: Pace::default(),
            registry: Registry::default(),
            next_spawn: now,
            unrecorded: Vec::new(),
            doubtful: false,
            agent_files: AgentFiles::default(),
            agents,
            paused: false,
            leaving: None,
            idle: None,
            wake_at: now,
        }
    }

    /// Adopts the running specs of an earlier daemon, then claims and starts specs until the daemon is told
    /// to leave. Returns when the workers have ended.
    pub(crate) async fn run(mut self) -> Result<(), LoopError> {
        self.recover().await?;
        while !self.is_done() {
            match self.tick().await {
                Ok(()) => self.on_success(),
                Err(error) => self.on_failure(&error).await,
            }
            self.shared.set_running(self.registry.len());
            let event = self.next_event().await;
            if event.is_some() {
                self.idle = None;
            }
            if let Some(event) = event
                && let Err(error) = self.handle(event).await
            {
                self.on_failure(&error.into()).await;
            }
        }
        self.final_result()
    }

    /// Postpones the next tick. That tick compares the registry with the queue, because a write that the
    /// queue reported as failed may have been made.
    fn back_off(&mut self) {
        self.doubtful = true;
        self.wake_at = Instant::now() + BACK_OFF;
        self.next_spawn = self.next_spawn.max(self.wake_at);
    }

    fn is_done(&self) -> bool {
        self.leaving.is_some() && !self.registry.is_busy()
    }

    /// Waits for the next event. Returns `None` when a start, a restart or a tick is due.
    async fn next_event(&mut self) -> Option<Event> {
        loop {
            let mut due = self.registry.next_restart().map_or(self.wake_at, |restart| restart.min(self.wake_at));
            if self.registry.has_waiting() {
                due = due.min(self.next_spawn);
            }
            tokio::select! {
                // Cancel-safe: an event that was not received stays in the channel.
                event = self.inbox.recv() => return event,
                // Cancel-safe: the notification of a change that nobody received is kept.
                () = self.shared.lanes.changed() => return Some(Event::Queued),
                // Cancel-safe: a use that was not noticed is kept.
                () = self.queue.used(), if self.idle.is_some() => self.end_idle_if_used(),
                // Cancel-safe: what a look found stays in the future.
                () = idle::found(&mut self.idle) => return None,
                // Cancel-safe: each call computes the due time again.
                () = tokio::time::sleep_until(due) => return None,
            }
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), QueueError> {
        debug!(?event, "event received");
        match event {
            Event::Queued => {}
            Event::Reloaded => {
                let agents = self.hot.load().config.agents.clone();
                let changed = agents.changed_since(&self.agents);
                self.agents = agents;
                self.shared.build_slots.set_limit(self.hot.load().config.build_slots);
                self.shared.lanes.changed_by_user(&changed).await?;
            }
            Event::Paused(paused) => {
                self.paused = paused;
                if paused {
                    self.give_back_waiting().await?;
                }
            }
            Event::Cancel(spec) => self.cancel(&spec).await?,
            Event::Stop(spec) => self.stop(&spec).await?,
            Event::CancelUnrecorded(spec, caller) => self.cancel_unrecorded(&spec, caller),
            Event::Ended(fence, end) => self.worker_ended(fence, end).await,
            Event::Leave(how) => self.leave(how).await,
        }
        Ok(())
    }

    /// Adopts the running specs of an earlier daemon, and counts that daemon's recent starts, so that the
    /// limit on starts per interval also holds across a restart of the daemon.
    async fn recover(&mut self) -> Result<(), QueueError> {
        let since = clock::now();
        let interval = self.hot.load().config.tick_interval_ms;
        let window = i64::try_from(interval).unwrap_or(i64::MAX);
        let read = move |queue: &dyn crate::queue::Queue| {
            let running = queue.running()?.claimed.into_iter().map(|claimed| claimed.fence.spec).collect();
            Ok((queue.starts_since(since.plus_millis(-window))?, queue.is_paused()?, queue.holds()?, running))
        };
        let (starts, paused, holds, running): (_, _, _, Vec<SpecId>) = self.queue.call(read).await?;
        // The loop's clock (`now`) begins one interval in the past, so that it can express the time of each
        // start in that interval.
        self.began = Instant::now().checked_sub(Duration::from_millis(interval)).unwrap_or(self.began);
        for start in starts {
            let age = Duration::from_millis(u64::try_from(since.millis_since(start)).unwrap_or(0));
            self.pace.remember(self.now().saturating_sub(age));
        }
        self.shared.lanes.restore(self.began, holds, &running);
        self.paused = paused;
        let hot = self.hot.load_full();
        self.update_budgets(&hot).await?;
        self.adopt().await?;
        // Every worker of a running spec is built, so each running command has its slot.
        self.shared.build_slots.set_limit(hot.config.build_slots);
        Ok(())
    }

    /// One pass of the loop: reads one configuration snapshot, decides, claims a batch, and starts the
    /// workers that are due.
    async fn tick(&mut self) -> Result<(), LoopError> {
        self.idle = None;
        if self.doubtful && self.leaving.is_none() {
            self.adopt().await?;
        }
        self.doubtful = false;
        self.restart_due().await;
        self.check_prerequisites().await?;
        if self.paused {
            self.give_back_waiting().await?;
        }
        self.start_due().await?;
        let hot = self.hot.load_full();
        let interval = Duration::from_millis(hot.config.tick_interval_ms);
        self.wake_at = Instant::now() + interval;
        if self.leaving.is_some() {
            return Ok(());
        }
        if self.paused {
            self.end_deferral().await;
            self.begin_idle(self.queue.uses());
            return Ok(());
        }
        self.look_at_agents(&hot);
        let now = clock::now();
        self.update_budgets(&hot).await?;
        let day_used_up = self.shared.day_budget(now);
        let hold_ends = self.shared.lanes.end_expired(now).await?;
        let (running, is_unoccupied) = (self.registry.len(), self.registry.is_empty());
        let recent_starts = self.pace.recent(self.now(), interval);
        let (max_workers, spawns_per_tick) = (hot.config.max_workers, hot.config.spawns_per_tick);
        // Counts up to one spec more than may be claimed now, to learn whether a spec has to wait.
        let count = tick::room(max_workers, spawns_per_tick, running, recent_starts).saturating_add(1);
        let scope = self.scope.clone();
        self.shared.lanes.retain(|spec| self.registry.contains(spec));
        self.shared.build_slots.retain(|spec| self.registry.contains(spec));
        self.shared.lanes.configure(spawns_per_tick, interval);
        let (shared, config) = (Arc::clone(&self.shared), Arc::clone(&hot));
        let began = Instant::now();
        let look = move |queue: &dyn crate::queue::Queue| {
            let next_due = queue.promote(now)?;
            let mut lanes = queue.lanes(scope.as_deref())?;
            let is_empty = lanes.is_empty();
            let is_newly_idle = is_unoccupied && is_empty && next_due.is_none() && queue.is_newly_idle()?;
            lanes.retain(|lane| lane.is_none() || day_used_up.is_none());
            let agents = &config.config.agents;
            let places_of = |agent: &str| agents.get(agent)?.max_workers;
            let fallback_of = |agent: &str| agents.get(agent).map(|agent| agent.fallback.clone()).unwrap_or_default();
            let (mut limits, next) = shared.lanes.limits(lanes, count, places_of, fallback_of, now);
            limits.iter_mut().for_each(|limit| limit.skipped = shared.admissions.skipped());
            let mut landings = queue.startable_landers(config.config.max_landings, scope.as_deref(), now)?;
            let mut eligible = queue.eligible(&limits, scope.as_deref())?;
            // The event of a pause may not have arrived yet. Read last: a spec that was queued after the pause must wait.
            if queue.is_paused()? {
                (landings, eligible) = (vec![], vec![]);
            }
            Ok((eligible, next, next_due, is_empty, is_newly_idle, landings))
        };
        let uses = self.queue.uses();
        let (mut candidates, next_in_lanes, next_due, is_empty, is_newly_idle, mut landings) =
            self.queue.call(look).await?;
        let has_landings = !landings.is_empty();
        let has_room = count > 1;
        let waiting = Admit { candidates: &mut candidates, landings: &mut landings, has_room, is_empty };
        let admitted = self.admit(&hot, waiting).await;
        if has_landings {
            self.start_landers(if admitted { landings } else { vec![] }, &hot).await?;
        } else if is_newly_idle {
            self.queue.call(move |queue| queue.record_idle(now)).await?;
        }
        let eligible = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        let inputs = tick::Inputs { max_workers, spawns_per_tick, running, recent_starts, eligible, admitted };
        let Decision { spawn, bound } = tick::decide(&inputs);
        if spawn > 0 {
            debug!(?inputs, spawn, ?bound, generation = hot.generation, "the tick claims specs");
            self.claim(tick::first(candidates, spawn), &hot, began).await?;
        }
        if let Some(next) = next_in_lanes {
            self.wake_at = self.wake_at.min(next);
        }
        for due in next_due.into_iter().chain(day_used_up.map(|used_up| used_up.until)) {
            self.wake_at = self.wake_at.min(Instant::now() + clock::until(due));
        }
        if bound == Bound::Pace
            && let Some(room) = self.pace.next_room(self.now(), interval)
        {
            self.wake_at = self.wake_at.min(self.began + room);
        }
        if is_empty
            && !has_landings
            && next_due.is_none()
            && next_in_lanes.is_none()
            && self.shared.lanes.needing_the_user().is_empty()
        {
            // Only this tick has used the queue since then.
            self.begin_idle(uses.map(|uses| uses + 1).filter(|uses| self.queue.uses() == Some(*uses)));
        }
        if let Some(end) = hold_ends {
            self.wake_at = self.wake_at.min(Instant::now() + clock::until(end));
        }
        Ok(())
    }

    /// Starts landers. They take no slot and no place in the pace.
    async fn start_landers(&mut self, groups: Vec<Group>, hot: &HotConfig) -> Result<(), QueueError> {
        if groups.is_empty() {
            return Ok(());
        }
        let (config, now) = (hot.worker_config(), clock::now());
        let landers = self.queue.call(move |queue| queue.start_landers(&groups, &config, now)).await?;
        failpoint::hit("landers.started");
        for lander in landers {
            if let Some(slot) = self.registry.get_mut(&lander.fence.spec) {
                slot.reclaimed = true;
                continue;
            }
            info!(lander = %lander.fence.spec, "lander started");
            self.start(lander);
        }
        Ok(())
    }

    /// Claims `specs` and starts those whose turn has come. `began`: when the tick began to decide.
    async fn claim(&mut self, specs: Vec<Eligible>, hot: &HotConfig, began: Instant) -> Result<(), QueueError> {
        let (config, now) = (hot.worker_config(), clock::now());
        // The start of the specs that do not wait for their turn is recorded with their claim.
        let starting = match hot.config.spawn_jitter_ms {
            _ if self.registry.has_waiting() => 0,
            [_, 0] => usize::MAX,
            _ => 1,
        };
        let batch = self.queue.call(move |queue| queue.claim(&specs, &config, starting, now)).await?;
        failpoint::hit("claim.committed");
        let millis = began.elapsed().as_secs_f64() * 1e3;
        debug!(claimed = batch.len(), decide_and_claim_ms = millis, "the tick has claimed specs");
        self.line_up(batch, starting);
        self.start_due().await
    }

    /// Gives each claimed spec a slot, in which the spec waits for its turn to start.
    /// `starting`: for how many of them the start is recorded.
    fn line_up(&mut self, batch: Vec<Claimed>, starting: usize) {
        self.pace.claimed(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        for claimed in &batch {
            self.shared.lanes.claimed(claimed.lane_at(&claimed.position).as_deref(), &claimed.fence.spec);
        }
        if !self.registry.has_waiting() {
            // The first worker of a batch starts without a pause.
            self.next_spawn = Instant::now();
        }
        let (reclaimed, batch): (Vec<_>, Vec<_>) =
            batch.into_iter().enumerate().partition(|(_, claimed)| self.registry.contains(&claimed.fence.spec));
        for (_, claimed) in reclaimed {
            if let Some(slot) = self.registry.get_mut(&claimed.fence.spec) {
                // The spec's last worker gave the spec back to the queue, and the loop has not handled the
                // end of that worker yet.
                slot.reclaimed = true;
                self.pace.given_back();
            }
        }
        let size = batch.len();
        for (slot, (index, claimed)) in (1..).zip(batch) {
            let fence = claimed.fence.clone();
            let waiting = Waiting { claimed, slot, batch: size, is_start_recorded: index < starting };
            self.registry.insert(fence, SlotState::Waiting(Box::new(waiting)));
        }
        self.shared.changed();
    }

    /// Starts the workers of the waiting specs whose turn has come, with a random delay before each next
    /// start.
    async fn start_due(&mut self) -> Result<(), QueueError> {
        while self.next_spawn <= Instant::now() {
            let Some(waiting) = self.registry.next_waiting() else { break };
            let Waiting { claimed, slot, batch, is_start_recorded } = waiting.clone();
            let (fence, now) = (claimed.fence.clone(), clock::now());
            let record = async |queue: &AsyncQueue| match is_start_recorded {
                true => Ok(()),
                false => queue.call(move |queue| queue.record_start(&fence, now)).await,
            };
            match record(&self.queue).await {
                Ok(()) => {}
                Err(QueueError::Superseded(fence)) => {
                    warn!(spec = %fence.spec, attempt = fence.attempt, "the worker was not started, because its spec has ended or has a newer attempt");
                    self.registry.remove(&fence.spec);
                    self.pace.given_back();
                    continue;
                }
                Err(error) => return Err(error),
            }
            info!(
                spec = %claimed.fence.spec, attempt = claimed.fence.attempt, slot, batch,
                generation = claimed.config.generation, "worker started, batch slot {slot}/{batch}",
            );
            self.pace.started(self.now());
            self.start(claimed);
            let [low, high] = self.hot.load().config.spawn_jitter_ms;
            self.next_spawn = Instant::now() + Duration::from_millis(rand::rng().random_range(low..=high.max(low)));
        }
        Ok(())
    }

    /// Starts a worker in the spec's slot.
    fn start(&mut self, claimed: Claimed) {
        let (fence, order) = (claimed.fence.clone(), self.first_order(&claimed.fence.spec, claimed.intent));
        let (orders, received) = watch::channel(order);
        self.registry.set(&fence, SlotState::Working(orders));
        self.spawner.spawn(claimed, received, self.events.clone());
        self.shared.changed();
    }

    /// The order that a worker starts with. `intent` is the user's request to cancel or stop, if the queue
    /// has recorded one.
    fn first_order(&self, spec: &SpecId, intent: Option<Intent>) -> Order {
        let unrecorded = self.registry.get(spec).and_then(|slot| slot.unrecorded_intent);
        match (unrecorded, intent) {
            (Some(Intent::Cancel), _) | (_, Some(Intent::Cancel)) => Order::Cancel,
            (Some(Intent::Stop | Intent::Block), _) | (_, Some(Intent::Stop | Intent::Block)) => Order::Stop,
            (None, None) if self.leaving == Some(Leaving::Stop) => Order::Stop,
            (None, None) => Order::Work,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}
