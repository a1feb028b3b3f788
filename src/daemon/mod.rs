//! The daemon: drains the queue.
//!
//! [`Daemon::run`] is the loop: everything that can wake it is one [`Event`]; it waits for the next, handles it, and then
//! ticks. A tick takes **one** configuration snapshot, decides (`decide::tick`), claims its batch in one durable
//! transaction, and queues the batch for spawning; spawns follow one after another with a random pause, so that whatever
//! else happens (a pause, a cancel, a stop, a reload) acts between two of them.
//!
//! Where to look: the loop is here, what a worker does is in `worker`, how its commands are run in `command`, what it
//! does to git in `tree`, starting and ending in `boot`.
//!
//! Invariants:
//! - Nothing is spawned that was not claimed before, durably.
//! - The loop never waits for a worker, a command or git.

pub mod boot;
mod command;
mod control;
pub mod handle;
pub mod reload;
mod tree;
pub mod worker;

#[cfg(test)]
mod daemon_batch;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::RngExt;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use self::handle::Shared;
use crate::config::HotConfig;
use crate::decide::pace::Pace;
use crate::decide::retry;
use crate::decide::tick::{self, Bound, Decision};
use crate::domain::attempt::{Ending, Intent};
use crate::domain::id::SpecId;
use crate::host::clock;
use crate::host::store::{Claimed, Fence, GiveBack, Store, StoreError};

/// How long a breakdown waits that the store could not take.
const BREAKDOWN_AGAIN: Duration = Duration::from_secs(1);

/// Everything that can wake the loop.
#[derive(Debug)]
pub enum Event {
    /// The queue changed: a dispatch, a retry.
    Queued,
    /// An operator wants a running spec ended; the wish is in the store.
    Cancel(SpecId),
    /// Claiming was paused or resumed; it is in the store.
    Paused(bool),
    /// The configuration was swapped.
    Reloaded,
    /// A worker's task ended.
    Ended(Fence, WorkerEnd),
    /// The daemon is to end.
    Leave(Leaving),
}

/// How the daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaving {
    /// What runs finishes first; nothing new is claimed.
    Drain,
    /// Workers are stopped, and their specs queued again to go on where they were.
    Stop,
    /// What runs lives on, for the next daemon.
    Detach,
}

/// What a worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Work,
    /// End the command and the spec.
    Cancel,
    /// End the command; the spec goes on later.
    Stop,
    /// Leave the command alone and the record as it is.
    Detach,
}

/// How a worker's task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEnd {
    /// Its spec has ended, or is back in the queue: the store has it.
    Recorded,
    /// Its command lives on.
    Detached,
    /// It could not go on; its command, if any, lives on and is found by the next worker.
    Broken(String),
}

/// Starts workers.
pub trait Spawn: Send {
    /// Starts the worker of `claimed`. Its end is sent as [`Event::Ended`], exactly once, unless this fails.
    fn spawn(
        &mut self,
        claimed: Claimed,
        orders: watch::Receiver<Order>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<(), String>;
}

/// A claimed spec that waits for its turn.
struct Waiting {
    claimed: Claimed,
    slot: usize,
    batch: usize,
}

/// The loop's state.
pub struct Daemon<S> {
    store: Arc<dyn Store>,
    hot: Arc<ArcSwap<HotConfig>>,
    shared: Arc<Shared>,
    spawner: S,
    events: mpsc::UnboundedSender<Event>,
    inbox: mpsc::UnboundedReceiver<Event>,
    scope: Option<Vec<SpecId>>,
    began: Instant,
    pace: Pace,
    waiting: VecDeque<Waiting>,
    next_spawn: Instant,
    workers: HashMap<SpecId, (Fence, watch::Sender<Order>)>,
    paused: bool,
    leaving: Option<Leaving>,
    wake_at: Instant,
}

impl<S: Spawn> Daemon<S> {
    /// A daemon over `store`, which claims only `scope` and what it waits for, if that is given.
    pub fn new(
        store: Arc<dyn Store>,
        hot: Arc<ArcSwap<HotConfig>>,
        shared: Arc<Shared>,
        spawner: S,
        scope: Option<Vec<SpecId>>,
        channel: (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
    ) -> Daemon<S> {
        let now = Instant::now();
        Daemon {
            store,
            hot,
            shared,
            spawner,
            events: channel.0,
            inbox: channel.1,
            scope,
            began: now,
            pace: Pace::default(),
            waiting: VecDeque::new(),
            next_spawn: now,
            workers: HashMap::new(),
            paused: false,
            leaving: None,
            wake_at: now,
        }
    }

    /// Takes over what an earlier daemon left, then drains the queue until it is told to leave.
    pub async fn run(mut self) -> Result<(), StoreError> {
        self.recover().await?;
        while !self.done() {
            if let Err(error) = self.tick().await {
                // Nothing was claimed: the next tick tries again. What runs is not touched.
                error!(%error, "the tick failed: nothing new is started until the queue's database works again");
                self.wake_at = Instant::now() + Duration::from_secs(1);
            }
            self.show();
            let event = self.next_event().await;
            if let Some(event) = event
                && let Err(error) = self.handle(event).await
            {
                error!(%error, "an event could not be recorded");
            }
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.leaving.is_some() && self.workers.is_empty() && self.waiting.is_empty()
    }

    fn show(&self) {
        let running = self.workers.len() + self.waiting.len();
        self.shared.set_running(u32::try_from(running).unwrap_or(u32::MAX));
    }

    /// The next event, or `None` when a spawn or a tick is due.
    async fn next_event(&mut self) -> Option<Event> {
        let due = if self.waiting.is_empty() { self.wake_at } else { self.wake_at.min(self.next_spawn) };
        tokio::select! {
            // Cancel-safe: an event that was not received stays in the channel.
            event = self.inbox.recv() => event,
            // Cancel-safe: the time due is kept in `self`.
            () = tokio::time::sleep_until(due) => None,
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), StoreError> {
        debug!(?event, "woken");
        match event {
            Event::Queued | Event::Reloaded => {}
            Event::Paused(paused) => {
                self.paused = paused;
                if paused {
                    self.give_back_waiting().await?;
                }
            }
            Event::Cancel(spec) => self.cancel(&spec).await?,
            Event::Ended(fence, end) => {
                let result = self.ended(fence.clone(), end.clone()).await;
                if result.is_err() && self.leaving.is_none() {
                    self.once_more(fence, end);
                }
                result?;
            }
            Event::Leave(how) => self.leave(how).await?,
        }
        Ok(())
    }

    /// Rebuilds the workers that an earlier daemon left, and remembers its last starts.
    async fn recover(&mut self) -> Result<(), StoreError> {
        let since = clock::now();
        let interval = self.hot.load().config.tick_interval_ms;
        let window = i64::try_from(interval).unwrap_or(i64::MAX);
        let (starts, running, paused) = self
            .with_store(move |store| {
                Ok((store.starts_since(since.plus_millis(-window))?, store.running()?, store.paused()?))
            })
            .await?;
        // The loop's clock begins at `interval`, so that the starts of the last interval lie on it.
        self.began = Instant::now().checked_sub(Duration::from_millis(interval)).unwrap_or(self.began);
        for start in starts {
            let age = Duration::from_millis(u64::try_from(since.millis_since(start)).unwrap_or(0));
            self.pace.remember(self.now().saturating_sub(age));
        }
        self.paused = paused;
        for claimed in running {
            info!(spec = %claimed.fence.spec, attempt = claimed.fence.attempt, "adopted");
            self.start(claimed).await?;
        }
        Ok(())
    }

    /// One pass: read the snapshot, decide, claim the batch; and spawn what is due.
    async fn tick(&mut self) -> Result<(), StoreError> {
        self.spawn_due().await?;
        let hot = self.hot.load_full();
        let interval = Duration::from_millis(hot.config.tick_interval_ms);
        self.wake_at = Instant::now() + interval;
        if self.paused || self.leaving.is_some() {
            return Ok(());
        }
        let now = clock::now();
        let next_due = self.with_store(move |store| store.promote(now)).await?;
        let running = u32::try_from(self.workers.len() + self.waiting.len()).unwrap_or(u32::MAX);
        let recent_starts = self.pace.recent(self.now(), interval);
        let (max_workers, spawns_per_tick) = (hot.config.max_workers, hot.config.spawns_per_tick);
        // One more than there is room for tells whether something has to wait for room.
        let count = tick::room(max_workers, spawns_per_tick, running, recent_starts).saturating_add(1);
        let scope = self.scope.clone();
        let eligible = self.with_store(move |store| store.eligible(count, scope.as_deref())).await?;
        let inputs = tick::Inputs { max_workers, spawns_per_tick, running, recent_starts, eligible };
        let Decision { spawn, bound } = tick::decide(&inputs);
        if spawn > 0 {
            debug!(?inputs, spawn, ?bound, generation = hot.generation, "tick");
            self.claim(spawn, &hot).await?;
        }
        if let Some(due) = next_due {
            let wait = Duration::from_millis(u64::try_from(due.millis_since(clock::now())).unwrap_or(0));
            self.wake_at = self.wake_at.min(Instant::now() + wait.max(Duration::from_millis(1)));
        }
        if bound == Bound::Pace
            && let Some(room) = self.pace.next_room(self.now(), interval)
        {
            self.wake_at = self.wake_at.min(self.began + room);
        }
        Ok(())
    }

    async fn claim(&mut self, count: u32, hot: &HotConfig) -> Result<(), StoreError> {
        let (scope, config, now) = (self.scope.clone(), hot.worker_config(), clock::now());
        let batch = self.with_store(move |store| store.claim(count, scope.as_deref(), &config, now)).await?;
        self.pace.claimed(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        if self.waiting.is_empty() {
            // The first spawn of a batch waits for nothing.
            self.next_spawn = Instant::now();
        }
        let size = batch.len();
        for (index, claimed) in batch.into_iter().enumerate() {
            self.waiting.push_back(Waiting { claimed, slot: index + 1, batch: size });
        }
        self.shared.changed();
        self.spawn_due().await
    }

    /// Spawns the next of the waiting, if its turn has come, and draws the pause before the one after it.
    async fn spawn_due(&mut self) -> Result<(), StoreError> {
        while !self.waiting.is_empty() && self.next_spawn <= Instant::now() {
            let Some(Waiting { claimed, slot, batch }) = self.waiting.pop_front() else { break };
            let (fence, now) = (claimed.fence.clone(), clock::now());
            info!(
                spec = %fence.spec, attempt = fence.attempt, slot, batch,
                generation = claimed.config.generation, "batch slot {slot}/{batch}",
            );
            self.pace.started(self.now());
            self.with_store(move |store| store.started(&fence, now)).await?;
            self.start(claimed).await?;
            let [low, high] = self.hot.load().config.spawn_jitter_ms;
            self.next_spawn = Instant::now() + Duration::from_millis(rand::rng().random_range(low..=high.max(low)));
        }
        Ok(())
    }

    /// Starts a worker. One that cannot be started costs its own slot only: its spec waits for another go.
    async fn start(&mut self, claimed: Claimed) -> Result<(), StoreError> {
        let fence = claimed.fence.clone();
        let order = match claimed.intent {
            Some(Intent::Cancel) => Order::Cancel,
            Some(Intent::Stop) => Order::Stop,
            None => Order::Work,
        };
        let (orders, received) = watch::channel(order);
        let (position, setbacks) = (claimed.position.clone(), claimed.setbacks);
        match self.spawner.spawn(claimed, received, self.events.clone()) {
            Ok(()) => {
                self.workers.insert(fence.spec.clone(), (fence, orders));
            }
            Err(reason) => {
                warn!(spec = %fence.spec, attempt = fence.attempt, %reason, "spawn failed");
                let wait = retry::start_backoff_millis(setbacks + 1);
                let back = GiveBack {
                    position,
                    changes: Vec::new(),
                    reason: Some(format!("could not be started: {reason}")),
                    not_before: Some(clock::now().plus_millis(wait)),
                    setback: true,
                };
                self.with_store(move |store| store.give_back(&fence, back, clock::now())).await?;
            }
        }
        self.shared.changed();
        Ok(())
    }

    async fn ended(&mut self, fence: Fence, end: WorkerEnd) -> Result<(), StoreError> {
        self.workers.remove(&fence.spec);
        if let WorkerEnd::Broken(reason) = end {
            error!(spec = %fence.spec, attempt = fence.attempt, %reason, "worker broke down");
            let found = self.with_store(|store| store.running()).await?;
            if let Some(claimed) = found.into_iter().find(|claimed| claimed.fence == fence) {
                let wait = retry::start_backoff_millis(claimed.setbacks + 1);
                let back = GiveBack {
                    position: claimed.position,
                    changes: Vec::new(),
                    reason: Some(reason),
                    not_before: Some(clock::now().plus_millis(wait)),
                    setback: true,
                };
                self.with_store(move |store| store.give_back(&fence, back, clock::now())).await?;
            }
        }
        self.shared.changed();
        Ok(())
    }

    /// A worker's breakdown that the store could not take is handled again later.
    fn once_more(&self, fence: Fence, end: WorkerEnd) {
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(BREAKDOWN_AGAIN).await;
            drop(events.send(Event::Ended(fence, end)));
        });
    }

    async fn cancel(&mut self, spec: &SpecId) -> Result<(), StoreError> {
        if let Some((_, orders)) = self.workers.get(spec) {
            orders.send_replace(Order::Cancel);
        }
        if let Some(index) = self.waiting.iter().position(|waiting| &waiting.claimed.fence.spec == spec)
            && let Some(Waiting { claimed, .. }) = self.waiting.remove(index)
        {
            self.pace.given_back();
            let fence = claimed.fence;
            self.with_store(move |store| store.finish(&fence, &Ending::Canceled, clock::now())).await?;
        }
        self.shared.changed();
        Ok(())
    }

    /// What is claimed and not yet spawned goes back to the queue.
    async fn give_back_waiting(&mut self) -> Result<(), StoreError> {
        for Waiting { claimed, .. } in std::mem::take(&mut self.waiting) {
            self.pace.given_back();
            let back = GiveBack {
                position: claimed.position,
                changes: Vec::new(),
                reason: None,
                not_before: None,
                setback: false,
            };
            let fence = claimed.fence;
            self.with_store(move |store| store.give_back(&fence, back, clock::now())).await?;
        }
        self.shared.changed();
        Ok(())
    }

    async fn leave(&mut self, how: Leaving) -> Result<(), StoreError> {
        let how = self.leaving.map_or(how, |before| before.max(how));
        self.leaving = Some(how);
        self.give_back_waiting().await?;
        let fences: Vec<Fence> = self.workers.values().map(|(fence, _)| fence.clone()).collect();
        if how == Leaving::Stop {
            // The intent is committed before anyone is signalled.
            self.with_store(move |store| stop_all(store, &fences)).await?;
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
        Ok(())
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn with_store<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        handle::with_store(&self.store, verb).await
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
