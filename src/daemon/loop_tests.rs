//! Tests of how the loop claims and starts specs. They run the real loop over a real queue, with a spawner
//! that starts nothing and only records what it is asked to start.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::async_queue::AsyncQueue;
use super::error::LoopError;
use super::handle::Handle;
use super::shared::Shared;
use super::{Daemon, Event, Leaving, Order, Spawn, WorkerEnd};
use crate::config::{Config, HotConfig};
use crate::control::calls::SetPaused;
use crate::control::server::Serve;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::position::{Delivered, Ending};
use crate::domain::spec::Spec;
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::ConfigView;
use crate::queue::sqlite::{Access, SqliteQueue};
use crate::queue::{Claimed, Fence, Filter, Queue};
use crate::system::clock;

/// Records which workers are started and when. The worker of a spec titled `broken` cannot be started.
pub(super) struct Recorder {
    spawned: mpsc::UnboundedSender<Spawned>,
}

pub(super) struct Spawned {
    pub(super) fence: Fence,
    pub(super) title: String,
    pub(super) at: Instant,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

impl Spawn for Recorder {
    fn spawn(&mut self, claimed: Claimed, orders: watch::Receiver<Order>, events: mpsc::UnboundedSender<Event>) {
        let (fence, title, at) = (claimed.fence, claimed.spec.title, Instant::now());
        if title == "broken" {
            let end = WorkerEnd::NotStarted("no process left".to_owned());
            events.send(Event::Ended(fence, end)).unwrap();
            return;
        }
        self.spawned.send(Spawned { fence, title, at, orders, events }).unwrap();
    }

    fn end_quarantined(&mut self, fence: Fence, orders: watch::Receiver<Order>, events: mpsc::UnboundedSender<Event>) {
        let (title, at) = ("quarantined".to_owned(), Instant::now());
        self.spawned.send(Spawned { fence, title, at, orders, events }).unwrap();
    }
}

/// A running daemon with a queue of its own.
pub(super) struct Bench {
    pub(super) dir: TempDir,
    pub(super) handle: Handle,
    pub(super) spawned: mpsc::UnboundedReceiver<Spawned>,
    pub(super) running: tokio::task::JoinHandle<Result<(), LoopError>>,
    live: Mutex<Vec<Spawned>>,
}

impl Bench {
    /// Starts a daemon on a queue that has specs with these `titles`.
    pub(super) fn start(max_workers: u32, spawns_per_tick: u32, jitter: [u64; 2], titles: &[&str]) -> Bench {
        let config = Config { max_workers, spawns_per_tick, spawn_jitter_ms: jitter, ..Config::default() };
        Bench::after(config, titles, |_, _| None)
    }

    /// Starts a daemon under `config`, on a queue that has specs with these `titles`, after `before` has
    /// changed the queue. The result of `before` is the daemon's scope.
    pub(super) fn after(
        config: Config,
        titles: &[&str],
        before: impl FnOnce(&dyn Queue, Vec<SpecId>) -> Option<Vec<SpecId>>,
    ) -> Bench {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("boi.db");
        let busy = Duration::from_millis(10);
        let access = Access::Write(Duration::ZERO);
        let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open_within(&path, access, busy).unwrap());
        let specs = titles.iter().map(|title| Spec::for_tests(title, &["t-1"])).collect();
        let ids = queue.enqueue(specs, HashSet::new(), clock::now()).unwrap();
        let scope = before(queue.as_ref(), ids);
        let queue = AsyncQueue::new(queue);
        let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 1, config }));
        let view = ConfigView::without_daemon(ReloadOutcome::Applied, vec![]);
        let shared = Arc::new(Shared::new(view, scope.is_some()));
        let (record, spawned) = mpsc::unbounded_channel();
        let (events, inbox) = mpsc::unbounded_channel();
        let handle = Handle {
            queue: queue.clone(),
            place: "boi.db".into(),
            hot: Arc::clone(&hot),
            shared: Arc::clone(&shared),
            events: events.clone(),
            reload: Arc::default(),
        };
        let daemon = Daemon::new(queue, hot, shared, Recorder { spawned: record }, scope, (events, inbox));
        let running = tokio::spawn(daemon.run());
        Bench { dir, handle, spawned, running, live: Mutex::default() }
    }

    /// Returns the workers that are started until no worker was started for `quiet`, in the paused time of
    /// the test.
    pub(super) async fn spawned_within(&mut self, quiet: Duration) -> Vec<(String, Instant)> {
        let mut seen = Vec::new();
        while let Ok(Some(spawned)) = tokio::time::timeout(quiet, self.spawned.recv()).await {
            seen.push((spawned.title.clone(), spawned.at));
            self.live.lock().unwrap().push(spawned);
        }
        seen
    }

    /// Completes the spec of the oldest live worker, and ends that worker.
    async fn end_one(&self) {
        let spawned = self.live.lock().unwrap().remove(0);
        assert_eq!(*spawned.orders.borrow(), Order::Work);
        let fence = spawned.fence.clone();
        let ending = Ending::Completed(Delivered::Nothing);
        self.handle.queue(move |queue| queue.finish(&fence, &ending, clock::now())).await.unwrap();
        spawned.events.send(Event::Ended(spawned.fence, WorkerEnd::Recorded)).unwrap();
    }

    pub(super) async fn status_of(&self, title: &str) -> (SpecId, SpecStatus, Option<String>) {
        let status = self.handle.status(Filter::default()).await.unwrap();
        let found = status.specs.into_iter().find(|spec| spec.title == title).unwrap();
        (found.id, found.status, found.reason)
    }

    pub(super) async fn set_paused(&self, paused: bool) {
        let (_, open) = watch::channel(false);
        self.handle.serve(SetPaused { paused }, open).await.unwrap();
    }

    /// Lets the daemon detach from its workers, and waits until the daemon has ended.
    pub(super) async fn leave(self) {
        self.handle.send(Event::Leave(Leaving::Detach));
        for spawned in self.live.into_inner().unwrap() {
            spawned.events.send(Event::Ended(spawned.fence, WorkerEnd::Detached)).unwrap();
        }
        self.running.await.unwrap().unwrap();
    }
}

/// A wait that is shorter than the tick interval: the test sees only the starts of the first interval.
const THIS_TICK: Duration = Duration::from_millis(700);
/// A wait that is longer than the tick interval: the test sees all starts that are possible before a worker
/// ends.
const SETTLED: Duration = Duration::from_millis(2_500);

#[tokio::test(start_paused = true)]
async fn an_empty_queue_spawns_nothing() {
    let mut bench = Bench::start(4, 4, [50, 150], &[]);
    assert!(bench.spawned_within(SETTLED).await.is_empty());
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn one_eligible_spec_under_a_cap_of_four_is_spawned_at_once() {
    let began = Instant::now();
    let mut bench = Bench::start(4, 4, [50, 150], &["a"]);
    let spawned = bench.spawned_within(SETTLED).await;
    assert_eq!(spawned.len(), 1);
    assert!(spawned[0].1 - began < Duration::from_millis(50), "the first start has no pause before it");
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn six_under_a_cap_of_four_give_four_then_two_as_slots_free_up() {
    let mut bench = Bench::start(4, 4, [50, 150], &["a", "b", "c", "d", "e", "f"]);
    assert_eq!(bench.spawned_within(SETTLED).await.len(), 4);
    for _ in 0..2 {
        bench.end_one().await;
        assert_eq!(bench.spawned_within(SETTLED).await.len(), 1);
    }
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn six_under_a_cap_of_eight_give_four_then_two_as_starts_leave_the_window() {
    let mut bench = Bench::start(8, 4, [50, 150], &["a", "b", "c", "d", "e", "f"]);
    let spawned = bench.spawned_within(SETTLED).await;
    assert_eq!(spawned.len(), 6);
    let interval = Duration::from_millis(1000);
    assert!(spawned[3].1 - spawned[0].1 < interval, "four in one tick");
    for later in 4..6 {
        assert!(spawned[later].1 - spawned[later - 4].1 >= interval, "a fifth start within an interval");
    }
    assert!(spawned[5].1 - spawned[0].1 < 2 * interval, "no later than the window demands");
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn four_under_a_cap_of_two_give_two() {
    let mut bench = Bench::start(2, 4, [50, 150], &["a", "b", "c", "d"]);
    assert_eq!(bench.spawned_within(SETTLED).await.len(), 2);
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn one_failing_spawn_of_four_affects_no_other_spec() {
    let mut bench = Bench::start(8, 4, [50, 150], &["a", "broken", "c", "d"]);
    let spawned = bench.spawned_within(THIS_TICK).await;
    let titles: Vec<_> = spawned.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, ["a", "c", "d"]);
    let (_, status, reason) = bench.status_of("broken").await;
    assert_eq!(status, SpecStatus::Queued);
    assert_eq!(reason.unwrap(), "the spec's worker could not be started: no process left");
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn pauses_between_spawns_are_random_within_their_bounds() {
    let titles: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mut bench = Bench::start(64, 64, [50, 150], &titles);
    let spawned = bench.spawned_within(THIS_TICK).await;
    assert_eq!(spawned.len(), 40);
    let pauses: Vec<u128> = spawned.windows(2).map(|pair| (pair[1].1 - pair[0].1).as_millis()).collect();
    // A timer of a paused clock may fire up to a millisecond late.
    assert!(pauses.iter().all(|pause| (50..=152).contains(pause)), "{pauses:?}");
    assert!(pauses.iter().any(|pause| *pause != pauses[0]), "not random: {pauses:?}");
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn no_jitter_spawns_a_batch_without_a_pause() {
    let mut bench = Bench::start(8, 8, [0, 0], &["a", "b", "c", "d", "e", "f", "g", "h"]);
    let spawned = bench.spawned_within(THIS_TICK).await;
    assert_eq!(spawned.len(), 8);
    assert!(spawned[7].1 - spawned[0].1 <= Duration::from_millis(8), "{:?}", spawned[7].1 - spawned[0].1);
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_acts_between_two_spawns_and_gives_claimed_specs_back() {
    let mut bench = Bench::start(8, 8, [500, 500], &["a", "b", "c"]);
    let first = bench.spawned.recv().await.unwrap();
    assert_eq!(first.title, "a");
    bench.live.lock().unwrap().push(first);
    bench.set_paused(true).await;
    assert!(bench.spawned_within(SETTLED).await.is_empty());
    assert_eq!(bench.status_of("b").await.1, SpecStatus::Queued);
    bench.set_paused(false).await;
    assert_eq!(bench.spawned_within(SETTLED).await.len(), 2);
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_acts_between_two_spawns() {
    let mut bench = Bench::start(8, 8, [500, 500], &["a", "b", "c"]);
    let first = bench.spawned.recv().await.unwrap();
    bench.live.lock().unwrap().push(first);
    let (second, status, _) = bench.status_of("b").await;
    assert_eq!(status, SpecStatus::Running, "claimed, and waiting for its turn");
    bench.handle.cancel(second).await.unwrap();
    let titles: Vec<_> = bench.spawned_within(SETTLED).await.into_iter().map(|(title, _)| title).collect();
    assert_eq!(titles, ["c"]);
    assert_eq!(bench.status_of("b").await.1, SpecStatus::Canceled);
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn the_pace_holds_over_a_restart() {
    let config = Config { max_workers: 8, spawns_per_tick: 2, spawn_jitter_ms: [0, 0], ..Config::default() };
    let worker_config = HotConfig { generation: 1, config: config.clone() }.worker_config();
    let mut bench = Bench::after(config, &["a", "b", "c"], |queue, _| {
        // An earlier daemon started two workers, and its wall clock was 60 s ahead of this daemon's. So the
        // two starts count as starts at this moment.
        let started_at = clock::now().plus_millis(60_000);
        for claimed in queue.claim_first(2, None, &worker_config, started_at).unwrap() {
            queue.record_start(&claimed.fence, started_at).unwrap();
        }
        None
    });
    let began = Instant::now();
    let spawned = bench.spawned_within(SETTLED).await;
    let titles: Vec<_> = spawned.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, ["a", "b", "c"]);
    assert!(spawned[1].1 - began < Duration::from_millis(100), "running specs are adopted at once");
    assert!(spawned[2].1 - began >= Duration::from_millis(1000), "a third start within the interval");
    bench.leave().await;
}
