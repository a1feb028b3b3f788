//! Workers that are there already, broken ones, and a database that cannot be written, through the real loop and store.

use std::time::Duration;

use tokio::time::Instant;

use super::daemon_batch::{Bench, Spawned};
use super::{Event, Leaving, Order, WorkerEnd};
use crate::config::{Config, HotConfig, WorkerConfig};
use crate::domain::attempt::{Ending, Position, SpecStatus, Step};
use crate::domain::id::SpecId;
use crate::queue::{Claimed, Filter, Occupied, Store, StoreError};
use crate::system::clock;

fn config() -> Config {
    Config { max_workers: 4, spawn_jitter_ms: [0, 0], ..Config::default() }
}

fn worker_config() -> WorkerConfig {
    HotConfig { generation: 1, config: config() }.worker_config()
}

/// Claims a spec as an earlier daemon did, and starts it.
fn claim(store: &dyn Store, spec: &SpecId) -> Claimed {
    let scope = std::slice::from_ref(spec);
    let claimed = store.claim(1, Some(scope), &worker_config(), clock::now()).unwrap().remove(0);
    store.started(&claimed.fence, clock::now()).unwrap();
    claimed
}

/// Records that a command of the attempt has begun.
fn begin_command(store: &dyn Store, claimed: &Claimed) {
    let step = Step::Act { task: 0, try_number: 1 };
    let position = Position { step, commands: 1, awaiting: true, ..claimed.position.clone() };
    store.record(&claimed.fence, &position, vec![], clock::now()).unwrap();
}

fn end(worker: Spawned, end: WorkerEnd) {
    worker.events.send(Event::Ended(worker.fence, end)).unwrap();
}

async fn ordered(worker: &mut Spawned, order: Order) {
    worker.orders.wait_for(|now| *now == order).await.unwrap();
}

async fn status(bench: &Bench, title: &str) -> SpecStatus {
    bench.status_of(title).await.1
}

/// The reason that `boi status` gives.
async fn told_reason(bench: &Bench, spec: &SpecId) -> Option<String> {
    let told = bench.handle.status(Filter::default()).await.unwrap();
    told.specs.into_iter().find(|view| &view.id == spec).unwrap().reason
}

/// Lets the loop handle what it was sent, in its own (paused) time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_scope_adopts_what_is_in_it_and_leaves_the_rest_alone_in_its_slots() {
    let mut bench = Bench::after(Config { max_workers: 2, ..config() }, &["theirs", "a", "b"], |store, ids| {
        begin_command(store, &claim(store, &ids[0]));
        claim(store, &ids[1]);
        Some(ids[1..].to_vec())
    });
    let adopted = bench.spawned.recv().await.unwrap();
    assert_eq!(adopted.title, "a");
    assert!(bench.spawned_within(Duration::from_secs(5)).await.is_empty(), "both slots are taken");
    let fence = adopted.fence.clone();
    let completed = Ending::Completed { delivery: None, reason: None };
    bench.handle.store(move |store| store.finish(&fence, &completed, clock::now())).await.unwrap();
    end(adopted, WorkerEnd::Recorded);
    let mut last = bench.spawned.recv().await.unwrap();
    assert_eq!(last.title, "b");
    bench.handle.send(Event::Leave(Leaving::Stop));
    ordered(&mut last, Order::Stop).await;
    end(last, WorkerEnd::Recorded);
    bench.running.await.unwrap().unwrap();
    let running = bench.handle.store.running().unwrap();
    let theirs = running.iter().find(|claimed| claimed.spec.title == "theirs").unwrap();
    assert_eq!(theirs.intent, None, "nobody wanted it stopped");
}

#[tokio::test(start_paused = true)]
async fn what_is_outside_the_scope_can_be_canceled() {
    let mut bench = Bench::after(config(), &["theirs", "a"], |store, ids| {
        begin_command(store, &claim(store, &ids[0]));
        Some(ids[1..].to_vec())
    });
    let ours = bench.spawned.recv().await.unwrap();
    assert_eq!(ours.title, "a");
    let (theirs, ..) = bench.status_of("theirs").await;
    bench.handle.cancel(theirs).await.unwrap();
    let worker = bench.spawned.recv().await.unwrap();
    assert_eq!((worker.title.as_str(), *worker.orders.borrow()), ("theirs", Order::Cancel));
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(ours, WorkerEnd::Detached);
    end(worker, WorkerEnd::Detached);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_broke_beside_its_command_is_started_again_in_its_slot() {
    let mut bench = Bench::start(1, 4, [0, 0], &["a", "b"]);
    let mut worker = bench.spawned.recv().await.unwrap();
    let claimed = bench.handle.store.running().unwrap().remove(0);
    begin_command(bench.handle.store.as_ref(), &claimed);
    for wait in [1, 2] {
        let broke = Instant::now();
        let fence = worker.fence.clone();
        end(worker, WorkerEnd::Broken("no descriptor left".into()));
        settle().await;
        let reason = told_reason(&bench, &fence.spec).await.unwrap();
        assert!(reason.starts_with("no descriptor left; looked after again at 2"), "{reason}");
        worker = bench.spawned.recv().await.unwrap();
        assert_eq!(told_reason(&bench, &fence.spec).await, None);
        assert_eq!(worker.fence, fence, "the same attempt, and not the other spec");
        assert!(worker.at - broke >= Duration::from_secs(wait));
        assert_eq!(status(&bench, "a").await, SpecStatus::Running);
    }
    end(worker, WorkerEnd::Broken("no descriptor left".into()));
    settle().await;
    let (a, ..) = bench.status_of("a").await;
    bench.handle.cancel(a).await.unwrap();
    let asked = Instant::now();
    let worker = bench.spawned.recv().await.unwrap();
    assert_eq!(*worker.orders.borrow(), Order::Cancel);
    assert!(worker.at - asked < Duration::from_millis(100), "a cancel does not wait for the backoff");
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(worker, WorkerEnd::Detached);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_broke_without_a_command_gives_its_slot_back() {
    let mut bench = Bench::start(1, 4, [0, 0], &["a", "b"]);
    let worker = bench.spawned.recv().await.unwrap();
    end(worker, WorkerEnd::Broken("git".into()));
    let next = bench.spawned.recv().await.unwrap();
    assert_eq!(next.title, "b");
    assert_eq!(status(&bench, "a").await, SpecStatus::Queued);
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(next, WorkerEnd::Detached);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_claimed_and_never_started_starts_under_the_pace() {
    let config = Config { spawns_per_tick: 2, spawn_jitter_ms: [300, 300], ..config() };
    let mut bench = Bench::after(config, &["a", "b", "c"], |store, _| {
        store.claim(2, None, &worker_config(), clock::now().plus_millis(-60_000)).unwrap();
        None
    });
    let spawned = bench.spawned_within(Duration::from_millis(2_500)).await;
    let titles: Vec<_> = spawned.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, ["a", "b", "c"]);
    assert!(spawned[1].1 - spawned[0].1 >= Duration::from_millis(300), "no pause between adopted starts");
    assert!(spawned[2].1 - spawned[0].1 >= Duration::from_secs(1), "a third start within an interval");
    bench.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_claimed_spec_is_not_lost_when_its_start_cannot_be_recorded() {
    let mut bench = Bench::start(4, 4, [500, 500], &["a", "b"]);
    let first = bench.spawned.recv().await.unwrap();
    let occupied = Occupied::new(&bench.dir.path().join("boi.db"));
    assert!(bench.spawned_within(Duration::from_secs(3)).await.is_empty());
    let told = bench.handle.status(Filter::default()).await.unwrap();
    assert!(!told.store.ok && told.store.reason.is_some_and(|reason| reason.contains("locked")));
    assert_eq!(told.counts.running, 2, "what can be read is shown");
    drop(occupied);
    let second = bench.spawned.recv().await.unwrap();
    assert_eq!(second.title, "b");
    while !bench.handle.status(Filter::default()).await.unwrap().store.ok {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(first, WorkerEnd::Detached);
    end(second, WorkerEnd::Detached);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_cannot_be_recorded_ends_the_worker_and_is_not_forgotten() {
    let mut bench = Bench::start(4, 4, [0, 0], &["a"]);
    let mut worker = bench.spawned.recv().await.unwrap();
    let claimed = bench.handle.store.running().unwrap().remove(0);
    begin_command(bench.handle.store.as_ref(), &claimed);
    let occupied = Occupied::new(&bench.dir.path().join("boi.db"));
    let (handle, spec) = (bench.handle.clone(), worker.fence.spec.clone());
    let asked = tokio::spawn(async move { handle.cancel(spec).await });
    ordered(&mut worker, Order::Cancel).await;
    let spec = worker.fence.spec.clone();
    end(worker, WorkerEnd::Unrecorded("the disk is full".into()));
    let told = asked.await.unwrap().unwrap_err().to_string();
    let expected = format!("{spec} has ended, but it could not be recorded: the disk is full; run `boi cancel {spec}`");
    assert!(told.starts_with(&expected), "{told}");
    drop(occupied);
    let worker = bench.spawned.recv().await.unwrap();
    assert_eq!(*worker.orders.borrow(), Order::Cancel, "nothing of it is carried out again");
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(worker, WorkerEnd::Detached);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_cannot_be_recorded_ends_workers_and_daemon_all_the_same() {
    let mut bench = Bench::start(4, 4, [0, 0], &["a"]);
    let mut worker = bench.spawned.recv().await.unwrap();
    let _occupied = Occupied::new(&bench.dir.path().join("boi.db"));
    bench.handle.send(Event::Leave(Leaving::Stop));
    ordered(&mut worker, Order::Stop).await;
    end(worker, WorkerEnd::Unrecorded("the disk is full".into()));
    let error = bench.running.await.unwrap().unwrap_err();
    assert!(matches!(&error, StoreError::Unrecorded { .. }), "{error}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
}
