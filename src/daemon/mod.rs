//! The daemon: drains the queue.
//!
//! [`Daemon::run`] is the loop: everything that can wake it is one [`Event`]; it waits for the next, handles it, and then
//! ticks. A tick takes **one** configuration snapshot, decides (`decide::tick`), claims its batch in one durable
//! transaction, and queues the batch for spawning; spawns follow one after another with a random pause, so that whatever
//! else happens (a pause, a cancel, a stop, a reload) acts between two of them.
//!
//! Where to look: the loop is here, what it does about workers that are there already (an earlier daemon's, broken ones)
//! in `mend`, how they end in `leave`, when it starts nothing for want of its queue or home in `health`; what a worker does is in `worker`, how its commands are run in `command`, what it
//! does to git in `tree`, starting and ending in `boot`.
//!
//! Invariants:
//! - Nothing is spawned that was not claimed before, durably.
//! - The loop never waits for a worker, a command or git.
//! - Every spec that is running in the store is somebody's here: waiting, a worker's, to be started again, or none of
//!   this daemon's scope. Each takes a slot.

pub mod boot;
mod command;
mod control;
pub mod handle;
mod health;
mod leave;
mod mend;
mod tree;
pub mod worker;

#[cfg(test)]
mod daemon_batch;
#[cfg(test)]
mod daemon_mend;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::RngExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::handle::Shared;
use crate::config::HotConfig;
use crate::decide::pace::Pace;
use crate::decide::tick::{self, Bound, Decision};
use crate::domain::attempt::Intent;
use crate::domain::id::SpecId;
use crate::queue::{Claimed, Fence, Store, StoreError};
use crate::system::{clock, failpoint};

/// How long a loop rests whose database does not work.
const REST: Duration = Duration::from_secs(1);

/// Everything that can wake the loop.
#[derive(Debug)]
pub enum Event {
    /// The queue changed: a dispatch, a retry.
    Queued,
    /// An operator wants a running spec ended; the wish is in the store.
    Cancel(SpecId),
    /// An operator wants a running spec ended, and the store cannot take the wish: who asks is told what came of it.
    End(SpecId, oneshot::Sender<Ended>),
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

/// What came of a wish that the store could not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Nothing of the spec runs.
    Idle,
    /// It has ended, and by then the store could take it.
    Recorded,
    /// Nothing of it runs any more, and the store could not take that, for this reason.
    Unrecorded(String),
}

/// How a worker's task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEnd {
    /// Its spec has ended, or is back in the queue: the store has it.
    Recorded,
    /// Its command lives on.
    Detached,
    /// Nothing of it runs, and the store could not take what became of it.
    Unrecorded(String),
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
    /// Running specs whose worker broke down and is started again at that time.
    again: HashMap<SpecId, (Fence, Instant)>,
    /// How often in a row the worker of a running spec broke down.
    breakdowns: HashMap<SpecId, u32>,
    /// Running specs that are outside the scope: they take their slots, and nothing is done with them.
    foreign: HashMap<SpecId, Fence>,
    /// What operators want and the store could not take.
    wishes: HashMap<SpecId, Intent>,
    /// Who waits for the end of a spec.
    ends: HashMap<SpecId, Vec<oneshot::Sender<Ended>>>,
    /// What ended and could not be recorded, when the daemon ends too.
    unrecorded: Vec<(SpecId, String)>,
    /// Whether the store failed since all that runs in it was last compared with what is known here.
    doubtful: bool,
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
            again: HashMap::new(),
            breakdowns: HashMap::new(),
            foreign: HashMap::new(),
            wishes: HashMap::new(),
            ends: HashMap::new(),
            unrecorded: Vec::new(),
            doubtful: false,
            paused: false,
            leaving: None,
            wake_at: now,
        }
    }

    /// Takes over what an earlier daemon left, then drains the queue until it is told to leave.
    pub async fn run(mut self) -> Result<(), StoreError> {
        self.recover().await?;
        while !self.done() {
            match self.tick().await {
                Ok(()) => self.steady(),
                Err(error) => self.stumble(&error).await,
            }
            self.show();
            let event = self.next_event().await;
            if let Some(event) = event
                && let Err(error) = self.handle(event).await
            {
                self.stumble(&error).await;
            }
        }
        self.farewell()
    }

    /// Lets a database that does not work rest; then all that runs in it is compared with what is known here, since a
    /// write that was reported as failed may have failed or not.
    fn rest(&mut self) {
        self.doubtful = true;
        self.wake_at = Instant::now() + REST;
        self.next_spawn = self.next_spawn.max(self.wake_at);
    }

    fn done(&self) -> bool {
        self.leaving.is_some() && self.workers.is_empty() && self.waiting.is_empty() && self.again.is_empty()
    }

    /// How many slots are taken.
    fn taken(&self) -> u32 {
        let taken = self.workers.len() + self.waiting.len() + self.again.len() + self.foreign.len();
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    fn show(&self) {
        self.shared.set_running(self.taken());
    }

    /// The next event, or `None` when a spawn or a tick is due.
    async fn next_event(&mut self) -> Option<Event> {
        let mut due = self.again.values().map(|(_, at)| *at).fold(self.wake_at, Instant::min);
        if !self.waiting.is_empty() {
            due = due.min(self.next_spawn);
        }
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
            Event::End(spec, tell) => self.end(spec, tell),
            Event::Ended(fence, end) => self.ended(fence, end).await,
            Event::Leave(how) => self.leave(how).await,
        }
        Ok(())
    }

    /// Rebuilds the workers that an earlier daemon left, and remembers its last starts.
    async fn recover(&mut self) -> Result<(), StoreError> {
        let since = clock::now();
        let interval = self.hot.load().config.tick_interval_ms;
        let window = i64::try_from(interval).unwrap_or(i64::MAX);
        let (starts, paused) = self
            .with_store(move |store| Ok((store.starts_since(since.plus_millis(-window))?, store.paused()?)))
            .await?;
        // The loop's clock begins at `interval`, so that the starts of the last interval lie on it.
        self.began = Instant::now().checked_sub(Duration::from_millis(interval)).unwrap_or(self.began);
        for start in starts {
            let age = Duration::from_millis(u64::try_from(since.millis_since(start)).unwrap_or(0));
            self.pace.remember(self.now().saturating_sub(age));
        }
        self.paused = paused;
        self.adopt().await
    }

    /// One pass: read the snapshot, decide, claim the batch; and spawn what is due.
    async fn tick(&mut self) -> Result<(), StoreError> {
        if self.doubtful && self.leaving.is_none() {
            self.adopt().await?;
        }
        self.doubtful = false;
        self.start_again().await;
        self.stand().await?;
        if self.paused {
            self.give_back_waiting().await?;
        }
        self.spawn_due().await?;
        let hot = self.hot.load_full();
        let interval = Duration::from_millis(hot.config.tick_interval_ms);
        self.wake_at = Instant::now() + interval;
        if self.paused || self.leaving.is_some() {
            return Ok(());
        }
        let now = clock::now();
        let next_due = self.with_store(move |store| store.promote(now)).await?;
        let running = self.taken();
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
        failpoint::hit("claim.committed");
        self.line_up(batch);
        self.spawn_due().await
    }

    /// Queues claimed specs for their start.
    fn line_up(&mut self, batch: Vec<Claimed>) {
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
    }

    /// Spawns the next of the waiting, if its turn has come, and draws the pause before the one after it.
    async fn spawn_due(&mut self) -> Result<(), StoreError> {
        while self.next_spawn <= Instant::now() {
            let Some(next) = self.waiting.pop_front() else { break };
            let (fence, now) = (next.claimed.fence.clone(), clock::now());
            match self.with_store(move |store| store.started(&fence, now)).await {
                Ok(()) => {}
                Err(StoreError::Superseded { fence }) => {
                    warn!(spec = %fence.spec, attempt = fence.attempt, "superseded");
                    self.pace.given_back();
                    continue;
                }
                Err(error) => {
                    self.waiting.push_front(next);
                    return Err(error);
                }
            }
            let Waiting { claimed, slot, batch } = next;
            info!(
                spec = %claimed.fence.spec, attempt = claimed.fence.attempt, slot, batch,
                generation = claimed.config.generation, "batch slot {slot}/{batch}",
            );
            self.pace.started(self.now());
            self.start(claimed).await;
            let [low, high] = self.hot.load().config.spawn_jitter_ms;
            self.next_spawn = Instant::now() + Duration::from_millis(rand::rng().random_range(low..=high.max(low)));
        }
        Ok(())
    }

    /// Starts a worker. One that cannot be started costs its own slot only: its spec waits for another go.
    async fn start(&mut self, claimed: Claimed) {
        let fence = claimed.fence.clone();
        let (orders, received) = watch::channel(self.order(&claimed));
        let (position, setbacks) = (claimed.position.clone(), claimed.setbacks);
        match self.spawner.spawn(claimed, received, self.events.clone()) {
            Ok(()) => {
                self.workers.insert(fence.spec.clone(), (fence, orders));
            }
            Err(reason) => {
                warn!(spec = %fence.spec, attempt = fence.attempt, %reason, "spawn failed");
                self.put_back(fence, position, setbacks, format!("could not be started: {reason}")).await;
            }
        }
        self.shared.changed();
    }

    /// What a worker is told at its start.
    fn order(&self, claimed: &Claimed) -> Order {
        match (self.wishes.get(&claimed.fence.spec), claimed.intent) {
            (Some(Intent::Cancel), _) | (_, Some(Intent::Cancel)) => Order::Cancel,
            (Some(Intent::Stop), _) | (_, Some(Intent::Stop)) => Order::Stop,
            (None, None) if self.leaving == Some(Leaving::Stop) => Order::Stop,
            (None, None) => Order::Work,
        }
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
