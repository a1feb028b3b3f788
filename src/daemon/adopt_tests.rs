//! Tests of running specs of an earlier daemon, workers that fail, quarantined specs, and a queue that cannot
//! be written. They run the real loop over a real queue.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{CallError, LoopError};
use super::loop_tests::{Bench, Spawned};
use super::{Event, Leaving, Order, WorkerEnd};
use crate::config::{Config, HotConfig, WorkerConfig};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::position::{CommandStage, Delivered, Ending, Position, RunningCommand, Step, Try};
use crate::domain::spec::Spec;
use crate::queue::sqlite::Occupied;
use crate::queue::{Canceled, Claimed, Filter, GiveBack, Queue};
use crate::system::clock;

fn config() -> Config {
    Config { max_workers: 4, spawn_jitter_ms: [0, 0], ..Config::default() }
}

fn worker_config() -> WorkerConfig {
    HotConfig { generation: 1, config: config() }.worker_config()
}

/// Claims a spec and records the start of its worker, like a daemon that ran earlier.
fn claim(queue: &dyn Queue, spec: &SpecId) -> Claimed {
    let scope = std::slice::from_ref(spec);
    let claimed = queue.claim_first(1, Some(scope), &worker_config(), clock::now()).unwrap().remove(0);
    queue.record_start(&claimed.fence, clock::now()).unwrap();
    claimed
}

/// Records that the attempt is at a step that runs a command.
fn begin_command(queue: &dyn Queue, claimed: &Claimed) {
    let stage = CommandStage::Act(Try { task: 0, number: 1 });
    let command = RunningCommand { boot: "b".into(), marker: "m".into() };
    let mut position = Position { step: Step::Command { stage, command }, ..claimed.position.clone() };
    position.progress.commands = 1;
    queue.record(&claimed.fence, &position, vec![], clock::now()).unwrap();
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

/// The reason that `boi status` shows for a spec.
async fn shown_reason(bench: &Bench, spec: &SpecId) -> Option<String> {
    let shown = bench.handle.status(Filter::default()).await.unwrap();
    shown.specs.into_iter().find(|view| &view.id == spec).unwrap().reason
}

/// Lets the loop handle the events that it was sent, in the paused time of the test.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_scoped_daemon_adopts_specs_in_its_scope_and_leaves_others_alone_in_their_slots() {
    let mut bench = Bench::after(Config { max_workers: 2, ..config() }, &["theirs", "a", "b"], |queue, ids| {
        begin_command(queue, &claim(queue, &ids[0]));
        claim(queue, &ids[1]);
        Some(ids[1..].to_vec())
    });
    let adopted = bench.spawned.recv().await.unwrap();
    assert_eq!(adopted.title, "a");
    assert!(bench.spawned_within(Duration::from_secs(5)).await.is_empty(), "both slots are taken");
    let fence = adopted.fence.clone();
    let completed = Ending::Completed(Delivered::Nothing);
    bench.handle.queue(move |queue| queue.finish(&fence, &completed, clock::now())).await.unwrap();
    end(adopted, WorkerEnd::Recorded);
    let mut last = bench.spawned.recv().await.unwrap();
    assert_eq!(last.title, "b");
    bench.handle.send(Event::Leave(Leaving::Stop));
    ordered(&mut last, Order::Stop).await;
    end(last, WorkerEnd::Recorded);
    bench.running.await.unwrap().unwrap();
    let running = bench.handle.queue.blocking().running().unwrap().claimed;
    let theirs = running.iter().find(|claimed| claimed.spec.title == "theirs").unwrap();
    assert_eq!(theirs.intent, None, "a stop was recorded for a spec outside the scope");
}

#[tokio::test(start_paused = true)]
async fn a_spec_outside_the_scope_can_be_canceled() {
    let mut bench = Bench::after(config(), &["theirs", "a"], |queue, ids| {
        begin_command(queue, &claim(queue, &ids[0]));
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
async fn a_worker_that_failed_while_its_command_ran_is_restarted_in_its_slot() {
    let mut bench = Bench::start(1, 4, [0, 0], &["a", "b"]);
    let mut worker = bench.spawned.recv().await.unwrap();
    let claimed = bench.handle.queue.blocking().running().unwrap().claimed.remove(0);
    begin_command(bench.handle.queue.blocking(), &claimed);
    for wait in [1, 2] {
        let broke = Instant::now();
        let fence = worker.fence.clone();
        end(worker, WorkerEnd::Failed("no descriptor left".into()));
        settle().await;
        let reason = shown_reason(&bench, &fence.spec).await.unwrap();
        assert!(reason.starts_with("no descriptor left; the spec's worker restarts at 2"), "{reason}");
        worker = bench.spawned.recv().await.unwrap();
        assert_eq!(shown_reason(&bench, &fence.spec).await, None);
        assert_eq!(worker.fence, fence, "the same attempt, and not the other spec");
        assert!(worker.at - broke >= Duration::from_secs(wait));
        assert_eq!(status(&bench, "a").await, SpecStatus::Running);
    }
    end(worker, WorkerEnd::Failed("no descriptor left".into()));
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
async fn a_spec_whose_worker_failed_without_a_command_is_given_back() {
    let mut bench = Bench::start(1, 4, [0, 0], &["a", "b"]);
    let worker = bench.spawned.recv().await.unwrap();
    end(worker, WorkerEnd::Failed("git".into()));
    let next = bench.spawned.recv().await.unwrap();
    assert_eq!(next.title, "b");
    assert_eq!(status(&bench, "a").await, SpecStatus::Queued);
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(next, WorkerEnd::Detached);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn specs_that_were_claimed_and_never_started_are_started_under_the_pace() {
    let config = Config { spawns_per_tick: 2, spawn_jitter_ms: [300, 300], ..config() };
    let mut bench = Bench::after(config, &["a", "b", "c"], |queue, _| {
        queue.claim_first(2, None, &worker_config(), clock::now().plus_millis(-60_000)).unwrap();
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
    let shown = bench.handle.status(Filter::default()).await.unwrap();
    assert!(!shown.store.ok && shown.store.reason.is_some_and(|reason| reason.contains("locked")));
    assert_eq!(shown.counts.running, 2, "the counts can still be read");
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
async fn a_cancel_that_cannot_be_recorded_ends_the_worker_and_is_repeated_for_the_next_worker() {
    let mut bench = Bench::start(4, 4, [0, 0], &["a"]);
    let mut worker = bench.spawned.recv().await.unwrap();
    let claimed = bench.handle.queue.blocking().running().unwrap().claimed.remove(0);
    begin_command(bench.handle.queue.blocking(), &claimed);
    let occupied = Occupied::new(&bench.dir.path().join("boi.db"));
    let (handle, spec) = (bench.handle.clone(), worker.fence.spec.clone());
    let asked = tokio::spawn(async move { handle.cancel(spec).await });
    ordered(&mut worker, Order::Cancel).await;
    let spec = worker.fence.spec.clone();
    end(worker, WorkerEnd::Unrecorded("the disk is full".into()));
    let error = asked.await.unwrap().unwrap_err();
    let unrecorded = matches!(&error, CallError::CanceledUnrecorded { spec: of, reason } if *of == spec && reason == "the disk is full");
    assert!(unrecorded, "{error}");
    drop(occupied);
    let worker = bench.spawned.recv().await.unwrap();
    assert_eq!(*worker.orders.borrow(), Order::Cancel, "the next worker does not cancel the spec");
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(worker, WorkerEnd::Detached);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_cannot_be_recorded_still_ends_the_workers_and_the_daemon() {
    let mut bench = Bench::start(4, 4, [0, 0], &["a"]);
    let mut worker = bench.spawned.recv().await.unwrap();
    let _occupied = Occupied::new(&bench.dir.path().join("boi.db"));
    bench.handle.send(Event::Leave(Leaving::Stop));
    ordered(&mut worker, Order::Stop).await;
    end(worker, WorkerEnd::Unrecorded("the disk is full".into()));
    let error = bench.running.await.unwrap().unwrap_err();
    assert!(matches!(&error, LoopError::Unrecorded { .. }), "{error}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
}

/// Replaces the position of a running spec by one that this version cannot read.
fn damage(bench_dir: &std::path::Path, spec: &SpecId) {
    crate::queue::sqlite::damage_position(&bench_dir.join("boi.db"), spec);
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_spec_keeps_its_slot_until_it_is_canceled_and_others_run() {
    let mut quarantined = None;
    let mut bench = Bench::after(Config { max_workers: 2, ..config() }, &["newer", "a", "b"], |queue, ids| {
        begin_command(queue, &claim(queue, &ids[0]));
        quarantined = Some(ids[0].clone());
        None
    });
    let spec = quarantined.unwrap();
    // The daemon has not read the queue yet: its task first runs when this test first waits.
    damage(bench.dir.path(), &spec);
    let first = bench.spawned.recv().await.unwrap();
    assert_eq!(first.title, "a");
    assert!(bench.spawned_within(Duration::from_secs(5)).await.is_empty(), "the quarantined spec takes a slot");
    let reason = shown_reason(&bench, &spec).await.unwrap();
    assert!(
        reason.starts_with("quarantined: position: ") && reason.contains(&format!("`boi cancel {spec}`")),
        "{reason}"
    );

    assert_eq!(bench.handle.cancel(spec.clone()).await.unwrap(), Canceled::Ending);
    let ending = bench.spawned.recv().await.unwrap();
    assert_eq!((ending.title.as_str(), *ending.orders.borrow()), ("quarantined", Order::Cancel));
    let fence = ending.fence.clone();
    bench.handle.queue(move |queue| queue.finish(&fence, &Ending::Canceled, clock::now())).await.unwrap();
    end(ending, WorkerEnd::Recorded);
    let second = bench.spawned.recv().await.unwrap();
    assert_eq!(second.title, "b", "the quarantined spec still has its slot");
    assert_eq!(status(&bench, "newer").await, SpecStatus::Canceled);
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(first, WorkerEnd::Detached);
    end(second, WorkerEnd::Detached);
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_finds_a_newer_record_quarantines_its_spec_and_the_daemon_can_leave() {
    let mut bench = Bench::start(1, 4, [0, 0], &["a", "b"]);
    let worker = bench.spawned.recv().await.unwrap();
    let spec = worker.fence.spec.clone();
    end(worker, WorkerEnd::Quarantined("started is a record of version 2".into()));
    settle().await;
    let reason = shown_reason(&bench, &spec).await.unwrap();
    assert!(reason.starts_with("quarantined: started is a record of version 2"), "{reason}");
    assert!(
        bench.spawned_within(Duration::from_secs(5)).await.is_empty(),
        "another spec was started, although a command of the quarantined spec may be running"
    );
    bench.handle.send(Event::Leave(Leaving::Stop));
    bench.running.await.unwrap().unwrap();
}

/// Gives the attempt of `worker` back to the queue, as a worker does before it ends. The spec is eligible at
/// once.
fn give_back(queue: &dyn Queue, worker: &Spawned) {
    let claimed = queue.running().unwrap().claimed.into_iter().find(|claimed| claimed.fence == worker.fence).unwrap();
    let back = GiveBack {
        position: claimed.position,
        changes: vec![],
        cause: None,
        not_before: None,
        setback: false,
        lane: None,
    };
    queue.give_back(&worker.fence, back, clock::now()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn specs_that_are_claimed_again_before_the_ends_of_their_workers_are_handled_get_new_workers() {
    let mut bench = Bench::start(4, 4, [0, 0], &["a", "b"]);
    let workers = [bench.spawned.recv().await.unwrap(), bench.spawned.recv().await.unwrap()];
    for worker in &workers {
        give_back(bench.handle.queue.blocking(), worker);
    }
    for worker in workers {
        end(worker, WorkerEnd::Recorded);
    }
    for title in ["a", "b"] {
        let again = bench.spawned.recv().await.unwrap();
        assert_eq!(
            (again.title.as_str(), again.orders.has_changed().is_ok()),
            (title, true),
            "the new worker cannot get orders"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_is_claimed_again_early_uses_no_start_of_others() {
    let mut bench = Bench::after(Config { spawns_per_tick: 1, ..config() }, &["a"], |_, _| None);
    let worker = bench.spawned.recv().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    give_back(bench.handle.queue.blocking(), &worker);
    bench.handle.send(Event::Queued);
    end(worker, WorkerEnd::Recorded);
    settle().await;
    let specs = vec![Spec::for_tests("b", &["t-1"])];
    bench.handle.queue(move |queue| queue.enqueue(specs, Default::default(), clock::now())).await.unwrap();
    bench.handle.send(Event::Queued);
    let next = bench.spawned_within(Duration::from_secs(60)).await;
    assert!(next.iter().any(|(title, _)| title == "b"));
}

#[tokio::test(start_paused = true)]
async fn a_canceled_spec_whose_worker_finds_a_newer_record_is_ended_without_that_record() {
    let mut bench = Bench::after(config(), &["a"], |queue, ids| {
        begin_command(queue, &claim(queue, &ids[0]));
        queue.cancel(&ids[0], clock::now()).unwrap();
        None
    });
    let worker = bench.spawned.recv().await.unwrap();
    assert_eq!(*worker.orders.borrow(), Order::Cancel);
    end(worker, WorkerEnd::Quarantined("started is a record of version 2".into()));
    let next = bench.spawned.recv().await.unwrap();
    assert_eq!((next.title.as_str(), *next.orders.borrow()), ("quarantined", Order::Cancel));
}

#[tokio::test(start_paused = true)]
async fn ends_of_a_quarantined_spec_that_fail_are_tried_again_at_growing_intervals() {
    let mut spec = None;
    let mut bench = Bench::after(config(), &["newer"], |queue, ids| {
        begin_command(queue, &claim(queue, &ids[0]));
        spec = Some(ids[0].clone());
        None
    });
    let spec = spec.unwrap();
    damage(bench.dir.path(), &spec);
    settle().await;
    bench.handle.cancel(spec).await.unwrap();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let before = Instant::now();
        let worker = bench.spawned.recv().await.unwrap();
        assert_eq!(worker.title, "quarantined");
        waits.push(before.elapsed());
        end(worker, WorkerEnd::Failed("a process of the spec cannot be ended".into()));
    }
    assert!(waits[1] >= Duration::from_secs(1) && waits[2] > waits[1] && waits[3] > waits[2], "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_while_the_daemon_detaches_starts_no_worker() {
    let mut bench = Bench::start(4, 4, [0, 0], &["a", "b"]);
    let (first, second) = (bench.spawned.recv().await.unwrap(), bench.spawned.recv().await.unwrap());
    let spec = first.fence.spec.clone();
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(first, WorkerEnd::Detached);
    settle().await;
    bench.handle.cancel(spec).await.unwrap();
    end(second, WorkerEnd::Detached);
    assert!(bench.spawned_within(Duration::from_secs(30)).await.is_empty());
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_daemon_detaches_though_a_worker_did_not_start() {
    let mut bench = Bench::start(4, 4, [0, 0], &["a"]);
    let worker = bench.spawned.recv().await.unwrap();
    let claimed = bench.handle.queue.blocking().running().unwrap().claimed.remove(0);
    begin_command(bench.handle.queue.blocking(), &claimed);
    bench.handle.send(Event::Leave(Leaving::Detach));
    end(worker, WorkerEnd::NotStarted("the home is gone".into()));
    assert!(bench.spawned_within(Duration::from_secs(30)).await.is_empty());
    bench.running.await.unwrap().unwrap();
}
