//! A night of eight hours on a fake clock: the real loop, lanes, holds and queue, with agents and services that are
//! simulated. Two agents run 130 specs of two tasks each. One service has a usage limit, refuses bursts, loses its login
//! for two hours; the other one is down for an hour; some runs hang; the budget of the day is used up until the user raises it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use super::async_queue::AsyncQueue;
use super::lanes::{RunEnd, Seen, Start};
use super::shared::Shared;
use super::{Daemon, Event, Leaving, Order, Spawn, WorkerEnd};
use crate::config::{Config, HotConfig};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::money::Usd;
use crate::domain::outcome::TryOutcome;
use crate::domain::position::{CommandStage, Delivered, Ending, Stage, Try};
use crate::domain::spec::{Action, Spec};
use crate::domain::time::Timestamp;
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::ConfigView;
use crate::queue::sqlite::{Access, SqliteQueue};
use crate::queue::{Claimed, Filter, GiveBack, Queue};
use crate::system::clock;

const EVENING: Timestamp = Timestamp(1_800_000_000_000);
const MINUTE: i64 = 60_000;
const SPECS: u32 = 130;
/// A long interval, so that the night has few ticks.
const TICK: i64 = 5_000;
/// The budget of the day in dollars, and the minute in which the user raises it. Each successful run costs a dollar.
const BUDGET: u32 = 100;
const RAISED: i64 = 160;
const STALL: Duration = Duration::from_secs(15 * 60);

/// What happened during the night.
#[derive(Debug, Default)]
struct Ledger {
    starts: BTreeMap<String, Vec<Timestamp>>,
    probes: u32,
    probing: BTreeMap<String, SpecId>,
    refused: u32,
    stalled: u32,
    done: u32,
    /// Tokens of the bucket of claude's service, and when they were counted.
    bucket: Option<(f64, Timestamp)>,
    /// Since when claude's login is good again.
    login_at: Option<Timestamp>,
}

/// What the model's service says to a request at `now`.
fn answer(ledger: &mut Ledger, agent: &str, now: Timestamp) -> Option<TryOutcome> {
    let minutes = now.millis_since(EVENING) / MINUTE;
    if agent == "codex" {
        return (120..180).contains(&minutes).then(|| TryOutcome::Overloaded("502".into()));
    }
    if (30..90).contains(&minutes) {
        let until = Some(EVENING.plus_millis(90 * MINUTE));
        return Some(TryOutcome::Limited { until, detail: "5-hour limit".into() });
    }
    if minutes >= 200 && ledger.login_at.is_none_or(|at| now < at) {
        return Some(TryOutcome::Auth("401".into()));
    }
    let (tokens, at) = ledger.bucket.unwrap_or((4.0, now));
    let tokens = (tokens + now.millis_since(at) as f64 / 1000.0).min(4.0);
    ledger.bucket = Some((tokens.max(1.0) - 1.0, now));
    (tokens < 1.0).then(|| TryOutcome::Throttled("429".into()))
}

/// Simulates workers: each runs its spec's tasks with an agent, as a real worker does.
struct Simulated {
    queue: AsyncQueue,
    shared: Arc<Shared>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Spawn for Simulated {
    fn spawn(&mut self, claimed: Claimed, orders: watch::Receiver<Order>, events: mpsc::UnboundedSender<Event>) {
        let (queue, shared, ledger) = (self.queue.clone(), Arc::clone(&self.shared), Arc::clone(&self.ledger));
        tokio::spawn(async move {
            let fence = claimed.fence.clone();
            work(claimed, &queue, &shared, &ledger).await;
            drop(orders);
            drop(events.send(Event::Ended(fence, WorkerEnd::Recorded)));
        });
    }

    fn end_quarantined(&mut self, _: crate::queue::Fence, _: watch::Receiver<Order>, _: mpsc::UnboundedSender<Event>) {
        unreachable!("no spec of the night is quarantined");
    }
}

/// Carries out the tasks of a spec from its position on. The position's task says how far the spec is.
async fn work(claimed: Claimed, queue: &AsyncQueue, shared: &Shared, ledger: &Mutex<Ledger>) {
    let (spec, fence) = (claimed.fence.spec.clone(), claimed.fence.clone());
    let mut of = match claimed.position.next_try_of() {
        Some(of) => of,
        None => Try { task: 0, number: 1 },
    };
    while of.task < claimed.spec.tasks.len() {
        let agent = claimed.spec.agent_of(of.task).to_owned();
        if shared.day_budget(clock::now()).is_some() {
            return give_back(&claimed, of, queue).await;
        }
        let probe = match shared.lanes.start(&agent, &spec).await.unwrap() {
            Start::Go { probe } => probe,
            Start::Held(_) => return give_back(&claimed, of, queue).await,
        };
        {
            let mut ledger = ledger.lock().unwrap();
            ledger.starts.entry(agent.clone()).or_default().push(clock::now());
            if probe {
                ledger.probes += 1;
                assert_eq!(ledger.probing.insert(agent.clone(), spec.clone()), None, "two probes of {agent}");
            }
        }
        let hangs = of == Try { task: 0, number: 1 } && claimed.spec.title.ends_with('7');
        let outcome = run(&agent, &spec, hangs, shared, ledger).await;
        ledger.lock().unwrap().probing.retain(|_, probing| *probing != spec);
        let end = RunEnd::Outcome { outcome: &outcome, answered: outcome == TryOutcome::Succeeded, evidence: "" };
        shared.lanes.ended(&agent, &spec, end).await;
        match outcome {
            TryOutcome::Succeeded => {
                ledger.lock().unwrap().done += 1;
                shared.budgets.add_run(clock::now(), Usd::from_dollars(1.0).unwrap());
                of = Try { task: of.task + 1, number: 1 };
            }
            TryOutcome::Stalled => {
                ledger.lock().unwrap().stalled += 1;
                of.number += 1;
            }
            _ => {
                ledger.lock().unwrap().refused += 1;
                return give_back(&claimed, of, queue).await;
            }
        }
    }
    let ending = Ending::Completed(Delivered::Nothing);
    queue.call(move |queue| queue.finish(&fence, &ending, clock::now())).await.unwrap();
}

async fn run(agent: &str, spec: &SpecId, hangs: bool, shared: &Shared, ledger: &Mutex<Ledger>) -> TryOutcome {
    if hangs {
        tokio::time::sleep(STALL).await;
        return TryOutcome::Stalled;
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    let refusal = answer(&mut ledger.lock().unwrap(), agent, clock::now());
    if let Some(refusal) = refusal {
        return refusal;
    }
    shared.lanes.observe(agent, spec, Seen { answered: Some(true), spoke: true, failures: 0 }).await;
    tokio::time::sleep(Duration::from_secs(240)).await;
    // The last request of the run.
    let refusal = answer(&mut ledger.lock().unwrap(), agent, clock::now());
    refusal.unwrap_or(TryOutcome::Succeeded)
}

async fn give_back(claimed: &Claimed, of: Try, queue: &AsyncQueue) {
    let position = claimed.position.progress.clone().resume_at(Stage::Command(CommandStage::Act(of)));
    let lane = claimed.lane_at(&position);
    let back = GiveBack { lane, position, changes: vec![], cause: None, not_before: None, setback: true };
    let fence = claimed.fence.clone();
    queue.call(move |queue| queue.give_back(&fence, back, clock::now())).await.unwrap();
}

fn spec(title: &str, agent: &str, second: &str) -> Spec {
    let mut spec = Spec { agent: agent.into(), ..Spec::for_tests(title, &["a", "b"]) };
    for task in &mut spec.tasks {
        task.action = Action::Prompt("do it".into());
    }
    spec.tasks[1].agent = Some(second.into());
    spec
}

#[tokio::test(start_paused = true)]
async fn a_night_of_refusals_loses_nothing_and_goes_on_by_itself() {
    clock::fake::start(EVENING);
    let dir = TempDir::new().unwrap();
    let access = Access::Write(Duration::ZERO);
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&dir.path().join("boi.db"), access).unwrap());
    let agents = |number: u32| if number.is_multiple_of(3) { ("codex", "claude") } else { ("claude", "claude") };
    let specs = (0..SPECS).map(|number| spec(&number.to_string(), agents(number).0, agents(number).1)).collect();
    queue.enqueue(specs, HashSet::new(), clock::now()).unwrap();
    let queue = AsyncQueue::new(queue);
    let config = Config { max_workers: 5, tick_interval_ms: TICK as u64, ..Config::default() };
    let limited = Config { max_usd_per_day: Usd::from_dollars(BUDGET.into()).unwrap(), ..config.clone() };
    let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 1, config: limited }));
    let shared = Arc::new(Shared::new(ConfigView::without_daemon(ReloadOutcome::Applied, vec![]), false));
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let spawner = Simulated { queue: queue.clone(), shared: Arc::clone(&shared), ledger: Arc::clone(&ledger) };
    let (events, inbox) = mpsc::unbounded_channel();
    let daemon =
        Daemon::new(queue.clone(), Arc::clone(&hot), Arc::clone(&shared), spawner, None, (events.clone(), inbox));
    let running = tokio::spawn(daemon.run());

    // The user raises the budget of the day once it is used up.
    tokio::time::sleep(Duration::from_secs(RAISED as u64 * 60)).await;
    {
        let ledger = ledger.lock().unwrap();
        assert!((BUDGET..BUDGET + 5).contains(&ledger.done), "{} runs of $1 each", ledger.done);
        let last = ledger.starts.values().flatten().max().unwrap();
        assert!(clock::now().millis_since(*last) > 5 * MINUTE, "no agent starts without budget");
    }
    hot.store(Arc::new(HotConfig { generation: 2, config }));
    // The user logs in again after two hours without a login, which touches the credentials.
    tokio::time::sleep(Duration::from_secs((320 - RAISED as u64) * 60)).await;
    ledger.lock().unwrap().login_at = Some(clock::now());
    shared.lanes.changed_by_user(&["claude".to_owned()]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(160 * 60)).await;

    let counts = queue.call(|queue| queue.counts()).await.unwrap();
    let ledger = std::mem::take(&mut *ledger.lock().unwrap());
    assert_eq!((counts.completed, counts.open(), counts.failed), (u64::from(SPECS), 0, 0), "{ledger:?}");
    let starts: usize = ledger.starts.values().map(Vec::len).sum();
    assert_eq!(ledger.done, 2 * SPECS, "each task is done once");
    assert_eq!(starts, (ledger.done + ledger.refused + ledger.stalled) as usize, "every start is accounted for");
    assert!(ledger.probes >= 3 && ledger.stalled == SPECS / 10, "{} probes, {} stalls", ledger.probes, ledger.stalled);
    // 5 workers run into each refusal once; the rest are probes, and throttled bursts.
    assert!(ledger.refused <= 5 * 3 + ledger.probes + 20, "{} refused, {} probes", ledger.refused, ledger.probes);
    for (agent, starts) in &ledger.starts {
        let widest =
            starts.iter().map(|start| starts.iter().filter(|at| (0..TICK).contains(&at.millis_since(*start))).count());
        assert!(widest.max().unwrap() <= 4, "more than `spawns_per_tick` starts of {agent} in a tick interval");
    }
    let limited = &ledger.starts["claude"];
    let within = |from: i64, to: i64| {
        limited.iter().filter(|at| (from..to).contains(&(at.millis_since(EVENING) / MINUTE))).count()
    };
    assert!(within(36, 90) == 0, "claude was started {} times during its usage limit", within(36, 90));
    assert!(
        shared.lanes.states().iter().all(|lane| lane.hold.is_none()),
        "a hold is left: {:?}",
        shared.lanes.states()
    );
    let listing =
        queue.call(|queue| queue.list(&Filter { status: Some(SpecStatus::Failed), ..Filter::default() })).await;
    assert!(listing.unwrap().specs.is_empty());
    drop(events.send(Event::Leave(Leaving::Detach)));
    running.await.unwrap().unwrap();
}
