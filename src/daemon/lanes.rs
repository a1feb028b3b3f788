//! The lanes of the daemon's agents: which runs of an agent may start, and when.
//!
//! A lane is one agent. Each start of an agent needs a place in the lane's pace, whoever makes it: the first task of a
//! claimed spec (its claim reserves the place), a later task, another try or a probe. A worker asks with [`Lanes::start`]
//! just before it starts the agent, and reports what the run does with [`Lanes::observe`] and [`Lanes::ended`].
//!
//! `decide::hold` and `decide::ramp` decide; this file keeps their state, and wakes the loop and the workers that wait.
//!
//! Invariants:
//! - Runs of workers start before new claims, the oldest first.
//! - A hold is stored before the refused spec returns to the queue, so that no crash forgets it.

mod by_user;
mod lane;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use self::lane::{Admission, Lane, Moment, Run};
use super::async_queue::AsyncQueue;
use crate::agents;
use crate::decide::hold::{self, Gate, ProbeEnd, RefusedRun};
use crate::domain::hold::{Hold, HoldCause};
use crate::domain::id::SpecId;
use crate::domain::lane::LaneLimit;
use crate::domain::outcome::{Refusal, TryOutcome};
use crate::domain::time::Timestamp;
use crate::queue::QueueError;
use crate::system::clock;

/// How long a run whose output does not show answers has to live until it counts as answered.
const ALIVE: Duration = Duration::from_secs(30);

/// The lanes of a daemon.
pub(crate) struct Lanes {
    state: Mutex<State>,
    /// Wakes the loop: a lane may have room that it had not.
    for_loop: Notify,
    /// Wakes the workers that wait for a start.
    for_workers: Notify,
    /// The queue that stores the holds; empty until the daemon is built.
    queue: OnceLock<AsyncQueue>,
    /// Held while a hold is stored, so that the stored holds follow the order of the changes.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// The fixed point from which times of starts are counted. It lies in the past, so that starts of an earlier daemon can
    /// be expressed.
    began: Instant,
    cap: u32,
    interval: Duration,
    lanes: BTreeMap<String, Lane>,
    /// The lanes in which the claims of specs reserved a place that their worker has not used yet.
    reserved: HashMap<SpecId, String>,
}

/// What a worker may do that wants to start an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// Start it. `probe`: the run is the probe of a hold.
    Go {
        /// Whether the run is the probe of a hold.
        probe: bool,
    },
    /// Give the spec back to the queue: the agent is held.
    Held(Box<Hold>),
}

/// What a worker saw of a run so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether the model answered a request; `None`: the agent's output does not show answers.
    pub answered: Option<bool>,
    /// Whether the run printed something.
    pub spoke: bool,
    /// How many requests failed since the last answer.
    pub failures: u32,
}

/// How a run ended, as far as its lane is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RunEnd<'a> {
    /// The run has this outcome. `answered`: its model answered a request.
    Outcome { outcome: &'a TryOutcome, answered: bool, evidence: &'a str },
    /// The run was ended from outside, or did not start.
    Withdrawn,
}

/// The state of one lane, for `boi status`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LaneState {
    /// The agent.
    pub agent: String,
    /// The hold on the agent, if any.
    pub hold: Option<Hold>,
    /// The starts per tick interval that the pace allows; `None`: `spawns_per_tick`.
    pub rate: Option<f64>,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

impl Default for Lanes {
    fn default() -> Lanes {
        let state = State {
            began: Instant::now(),
            cap: 1,
            interval: Duration::from_secs(1),
            lanes: BTreeMap::new(),
            reserved: HashMap::new(),
        };
        Lanes {
            state: Mutex::new(state),
            for_loop: Notify::new(),
            for_workers: Notify::new(),
            queue: OnceLock::new(),
            saving: tokio::sync::Mutex::default(),
        }
    }
}

impl State {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn lane(&mut self, agent: &str) -> &mut Lane {
        // An entry is created at the first use of an agent.
        if !self.lanes.contains_key(agent) {
            self.lanes.insert(agent.to_owned(), Lane::default());
        }
        self.lanes.get_mut(agent).expect("the lane was inserted")
    }

    /// Returns what new claims may start of `agent`, how many of its places are free, and whether a spec is on its way to
    /// the agent. `places`: how many runs of an agent there may be at once.
    fn admit(&mut self, agent: &str, moment: &Moment, places: impl Fn(&str) -> Option<u32>) -> (Admission, u32, bool) {
        let reserved = self.reserved.values().filter(|lane| *lane == agent).count();
        let lane = self.lane(agent);
        let free = places(agent).map_or(u32::MAX, |places| places.saturating_sub(lane.taken(reserved)));
        let waiting = u32::try_from(lane.waiting.len()).unwrap_or(u32::MAX);
        let admission = match lane.admit(moment) {
            Admission::Open { room, more_at } => Admission::Open { room: room.saturating_sub(waiting), more_at },
            other => other,
        };
        (admission, free, waiting > 0 || reserved > 0)
    }
}

impl Lanes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the queue that stores the holds.
    pub(super) fn attach(&self, queue: &AsyncQueue) {
        // A second queue is not possible: a daemon is built once.
        drop(self.queue.set(queue.clone()));
    }

    /// Forgets the reservations and runs of specs that have no slot any more.
    pub(super) fn retain(&self, has_slot: impl Fn(&SpecId) -> bool) {
        let mut state = self.state();
        let gone: Vec<(SpecId, String)> = state
            .reserved
            .iter()
            .filter(|(spec, _)| !has_slot(spec))
            .map(|(spec, lane)| (spec.clone(), lane.clone()))
            .collect();
        for (spec, agent) in gone {
            state.reserved.remove(&spec);
            state.lane(&agent).pace.given_back();
        }
        for lane in state.lanes.values_mut() {
            lane.runs.retain(|spec, _| has_slot(spec));
        }
    }

    /// Sets the fixed point of times, and the holds that an earlier daemon stored. What needs the user is probed at once,
    /// since the user may have changed it before the daemon started.
    pub(super) fn restore(&self, began: Instant, holds: Vec<(String, Hold)>, running: &[SpecId]) {
        let now = clock::now();
        let mut state = self.state();
        state.began = began;
        for (agent, known) in holds {
            let known = match &known.probe {
                Some(probe) if !running.contains(probe) => {
                    hold::after_end(Some(known.clone()), probe, ProbeEnd::Withdrawn, now, 0.0)
                }
                _ => Some(known),
            };
            state.lane(&agent).hold = known.map(|known| hold::after_change(known, now));
        }
    }

    /// Sets the configuration of the pace.
    pub(super) fn configure(&self, cap: u32, interval: Duration) {
        let mut state = self.state();
        if (state.cap, state.interval) != (cap, interval) {
            (state.cap, state.interval) = (cap, interval);
            drop(state);
            self.for_workers.notify_waiters();
        }
    }

    /// Waits until a lane may have room that it had not.
    pub(super) async fn changed(&self) {
        self.for_loop.notified().await;
    }

    /// Returns how many specs of each lane may be claimed now, at most `most`; and when that may change, if no event tells
    /// it. `places` says how many runs of an agent there may be at once, and `fallback` which agents do
    /// its tasks while it is held.
    pub(super) fn limits(
        &self,
        lanes: Vec<Option<String>>,
        most: u32,
        places: impl Fn(&str) -> Option<u32>,
        fallback: impl Fn(&str) -> Vec<String>,
        now: Timestamp,
    ) -> (Vec<LaneLimit>, Option<Instant>) {
        let mut state = self.state();
        let moment = Moment::of(&state, now);
        let mut next: Option<Instant> = None;
        let mut at = |time: Option<Instant>| next = next.into_iter().chain(time).min();
        let (mut limits, mut held) = (Vec::new(), Vec::new());
        for lane in lanes {
            let Some(agent) = lane else {
                limits.push(LaneLimit { lane: None, limit: most, first: None, instead: None, skipped: vec![] });
                continue;
            };
            let (admission, free, is_awaited) = state.admit(&agent, &moment, &places);
            let (limit, first) = match admission {
                Admission::Held(until) => {
                    at(until.map(|until| after(until, now)));
                    held.push(agent);
                    continue;
                }
                // A spec that is on its way to the agent may become the probe.
                Admission::Probe if is_awaited => continue,
                Admission::Probe => (free.min(1), state.lane(&agent).hold.as_ref().and_then(|hold| hold.first.clone())),
                Admission::Open { room, more_at } => {
                    at(more_at);
                    (room.min(free), None)
                }
            };
            let limit = limit.min(most);
            if limit > 0 {
                limits.push(LaneLimit { lane: Some(agent), limit, first, instead: None, skipped: vec![] });
            }
        }
        // Agents that are open do the tasks of held agents, as far as the configuration names them.
        for agent in held {
            let open = fallback(&agent).into_iter().find_map(|other| {
                let to_other = |limit: &&LaneLimit| [&limit.lane, &limit.instead].contains(&&Some(other.clone()));
                let given: u32 = limits.iter().filter(to_other).map(|limit| limit.limit).sum();
                let (Admission::Open { room, .. }, free, _) = state.admit(&other, &moment, &places) else {
                    return None;
                };
                let limit = room.min(free).min(most).saturating_sub(given);
                (limit > 0).then_some((other, limit))
            });
            if let Some((other, limit)) = open {
                limits.push(LaneLimit { lane: Some(agent), limit, first: None, instead: Some(other), skipped: vec![] });
            }
        }
        (limits, next)
    }

    /// Reserves a start of an agent for a spec that was claimed.
    pub(super) fn claimed(&self, agent: Option<&str>, spec: &SpecId) {
        let Some(agent) = agent else { return };
        let mut state = self.state();
        if state.reserved.insert(spec.clone(), agent.to_owned()).is_none() {
            state.lane(agent).pace.claimed(1);
        }
    }

    /// Records a run that an earlier daemon started. It counts as a start now, which errs on the slow side.
    pub(crate) fn adopted(&self, agent: &str, spec: &SpecId) {
        let mut state = self.state();
        let now = state.now();
        let lane = state.lane(agent);
        lane.pace.remember(now);
        lane.runs.insert(spec.clone(), Run::new(false));
    }

    /// Waits until a run of `agent` for `spec` may start. Cancel-safe: the place in the line is lost.
    pub(crate) async fn start(&self, agent: &str, spec: &SpecId) -> Result<Start, QueueError> {
        let place = Place { lanes: self, agent, spec };
        self.state().lane(agent).waiting.push_back(spec.clone());
        loop {
            let woken = self.for_workers.notified();
            tokio::pin!(woken);
            // From here on, no wake-up is missed.
            woken.as_mut().enable();
            let until = match self.try_start(agent, spec) {
                Ok(start) => {
                    drop(place);
                    if let Start::Go { probe: true } = start {
                        self.save(agent).await?;
                    }
                    return Ok(start);
                }
                Err(until) => until,
            };
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Starts a run if that is possible now. `Err`: when to try again, unless something changes before.
    fn try_start(&self, agent: &str, spec: &SpecId) -> Result<Start, Instant> {
        let mut state = self.state();
        let moment = Moment::of(&state, clock::now());
        let reserved = state.reserved.get(spec).is_some_and(|lane| lane == agent);
        let lane = state.lane(agent);
        let probe = match lane.admit(&moment) {
            Admission::Held(_) => {
                let held = lane.hold.clone().expect("only a hold closes a lane");
                return Ok(Start::Held(Box::new(held)));
            }
            Admission::Probe => true,
            Admission::Open { room, more_at } => {
                let ahead = lane.waiting.iter().take_while(|waiting| *waiting != spec).count();
                let is_free = if reserved { !lane.is_blocked(&moment) } else { room as usize > ahead };
                if !is_free {
                    return Err(more_at.unwrap_or_else(|| Instant::now() + moment.interval));
                }
                false
            }
        };
        lane.hold = if probe { lane.hold.take().map(|known| hold::probing(known, spec)) } else { None };
        lane.start(spec, moment.now, reserved);
        if reserved {
            state.reserved.remove(spec);
        }
        Ok(Start::Go { probe })
    }

    /// Records what a worker saw of a run.
    pub(crate) async fn observe(&self, agent: &str, spec: &SpecId, seen: Seen) {
        let (lifted, woken) = {
            let mut state = self.state();
            let (cap, interval, now) = (state.cap, state.interval, state.now());
            let lane = state.lane(agent);
            let Some(run) = lane.runs.get_mut(spec) else { return };
            let answered = seen.answered.unwrap_or_else(|| run.began.elapsed() >= ALIVE);
            let is_first = answered && !run.answered;
            run.on_trial &= seen.answered.is_some();
            if seen.spoke {
                run.spoke.get_or_insert_with(Instant::now);
            }
            let is_relief = is_first || (run.failures > 0 && seen.failures == 0);
            let is_pressure = seen.failures > run.failures;
            run.answered |= answered;
            run.failures = seen.failures;
            if is_pressure {
                run.failed_at = Some(Instant::now());
                lane.ramp.press(now, cap, interval);
            } else if is_relief {
                lane.ramp.relieve(now, cap, interval);
            }
            let known = lane.hold.clone();
            if is_first {
                lane.trial.answered(now);
                lane.hold = hold::after_answer(known.clone(), spec);
            }
            (known.is_some() && lane.hold.is_none(), is_relief)
        };
        if lifted {
            info!(agent, %spec, "the probe was answered: the hold on the agent has ended");
            self.save_or_log(agent).await;
        }
        if lifted || woken {
            self.wake();
        }
    }

    /// Records the end of a run. Returns the hold that the agent has then. A new hold is stored when this returns.
    pub(crate) async fn ended(&self, agent: &str, spec: &SpecId, end: RunEnd<'_>) -> Option<Hold> {
        let now = clock::now();
        let (before, after) = {
            let mut state = self.state();
            let (cap, interval, elapsed) = (state.cap, state.interval, state.now());
            let lane = state.lane(agent);
            let run = lane.runs.remove(spec);
            let before = lane.hold.clone();
            let others_are_answered = lane.runs.values().any(|run| run.answered && run.failures == 0);
            lane.hold = match end {
                RunEnd::Withdrawn => hold::after_end(before.clone(), spec, ProbeEnd::Withdrawn, now, rand::random()),
                RunEnd::Outcome { outcome, answered, evidence } => match outcome.refusal() {
                    Some(refusal) => {
                        if matches!(refusal, Refusal::Throttled | Refusal::Overloaded) {
                            lane.ramp.press(elapsed, cap, interval);
                        }
                        let refused = RefusedRun { spec, refusal, evidence, others_are_answered };
                        hold::after_refusal(before.clone(), &refused, now, rand::random())
                    }
                    None => {
                        let worked = answered || run.is_some_and(|run| run.answered) || proves_work(outcome);
                        let end = if worked { ProbeEnd::Worked } else { ProbeEnd::Failed };
                        hold::after_end(before.clone(), spec, end, now, rand::random())
                    }
                },
            };
            (before, lane.hold.clone())
        };
        if before != after {
            match (&before, &after) {
                (None, Some(hold)) => announce(agent, hold),
                (Some(_), None) => info!(agent, %spec, "the probe worked: the hold on the agent has ended"),
                _ => {}
            }
            self.save_or_log(agent).await;
        }
        self.wake();
        after
    }

    /// Returns the lanes with a hold or a lowered pace.
    pub(crate) fn states(&self) -> Vec<LaneState> {
        let now = clock::now();
        let state = self.state();
        let lanes = state.lanes.iter().map(|(agent, lane)| LaneState {
            agent: agent.clone(),
            hold: lane.hold.clone().filter(|hold| hold::gate(Some(hold), now) != Gate::Open),
            rate: lane.ramp.rate(),
        });
        lanes.filter(|lane| lane.hold.is_some() || lane.rate.is_some()).collect()
    }

    /// Returns the hold on an agent.
    pub(crate) fn hold(&self, agent: &str) -> Option<Hold> {
        self.state().lanes.get(agent)?.hold.clone()
    }

    /// Stores the hold that an agent has now.
    async fn save(&self, agent: &str) -> Result<(), QueueError> {
        let _order = self.saving.lock().await;
        let (lane, hold) = (agent.to_owned(), self.hold(agent));
        match self.queue.get() {
            Some(queue) => queue.call(move |queue| queue.set_hold(&lane, hold, clock::now())).await,
            None => Ok(()),
        }
    }

    async fn save_or_log(&self, agent: &str) {
        if let Err(error) = self.save(agent).await {
            warn!(agent, %error, "the queue could not store the hold on an agent; a restart of the daemon would forget it");
        }
    }

    fn wake(&self) {
        self.for_workers.notify_waiters();
        self.for_loop.notify_one();
    }
}

/// The place of a worker in the line for a start, until this is dropped.
struct Place<'a> {
    lanes: &'a Lanes,
    agent: &'a str,
    spec: &'a SpecId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.lanes.state().lane(self.agent).waiting.retain(|waiting| waiting != self.spec);
        self.lanes.wake();
    }
}

/// Whether an outcome without a refusal shows that the agent's model answered, even if the output did not show it.
fn proves_work(outcome: &TryOutcome) -> bool {
    match outcome {
        TryOutcome::Succeeded
        | TryOutcome::Cut(_)
        | TryOutcome::Denied(_)
        | TryOutcome::TaskBudget(_)
        | TryOutcome::Context(_)
        | TryOutcome::TooMuchOutput
        | TryOutcome::Failed(_) => true,
        // The agent started, so it is there and logged in, but nothing shows that its service answers.
        _ => false,
    }
}

/// Says once, loudly, that an agent is held.
fn announce(agent: &str, hold: &Hold) {
    let until = hold.until.map(|until| until.to_string());
    let HoldCause::Refused(refusal) = hold.cause else { return };
    let evidence = &hold.evidence;
    let advice = agents::hold_advice(refusal, agent, evidence);
    warn!(
        agent,
        ?refusal,
        until,
        evidence,
        advice,
        "boi starts no run of this agent for now, because a run was refused; at the given time, it starts one run as a probe"
    );
}

/// The moment of a time of the wall clock.
fn after(time: Timestamp, now: Timestamp) -> Instant {
    Instant::now() + Duration::from_millis(u64::try_from(time.millis_since(now)).unwrap_or(0))
}
