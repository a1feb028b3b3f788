//! One lane: its pace, its hold and its runs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::State;
use crate::decide::hold::{self, Gate};
use crate::decide::pace::Pace;
use crate::decide::ramp::{BLOCKS, Ramp};
use crate::decide::trial::{ANSWER, SILENT, Trial};
use crate::domain::hold::Hold;
use crate::domain::id::SpecId;
use crate::domain::time::Timestamp;

/// The lane of an agent.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) pace: Pace,
    pub(super) ramp: Ramp,
    pub(super) trial: Trial,
    pub(super) hold: Option<Hold>,
    /// The specs whose worker waits for a start, the oldest first.
    pub(super) waiting: VecDeque<SpecId>,
    pub(super) runs: HashMap<SpecId, Run>,
}

/// A run of an agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) began: Instant,
    /// When its first output was seen.
    pub(super) spoke: Option<Instant>,
    pub(super) answered: bool,
    /// Whether the run has to show that the service answers, before others start in a trial.
    pub(super) on_trial: bool,
    /// How many requests failed since the last answer, and when the last failure was seen.
    pub(super) failures: u32,
    pub(super) failed_at: Option<Instant>,
}

/// What a lane lets start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nothing, because of a hold; until when, if that is known.
    Held(Option<Timestamp>),
    /// The probe of a hold.
    Probe,
    /// This many runs, those included for which workers wait. `more_at`: when more may start, if nothing changes before.
    Open { room: u32, more_at: Option<Instant> },
}

/// The clock and the configured pace at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The wall clock.
    pub(super) wall: Timestamp,
    /// The fixed point of the durations.
    pub(super) began: Instant,
    /// The time since `began`.
    pub(super) now: Duration,
    /// `spawns_per_tick`.
    pub(super) cap: u32,
    /// The tick interval.
    pub(super) interval: Duration,
}

impl Moment {
    pub(super) fn of(state: &State, wall: Timestamp) -> Moment {
        Moment { wall, began: state.began, now: state.now(), cap: state.cap, interval: state.interval }
    }
}

impl Lane {
    /// Returns what may start now.
    pub(super) fn admit(&mut self, moment: &Moment) -> Admission {
        match hold::gate(self.hold.as_ref(), moment.wall) {
            Gate::Closed(until) => return Admission::Held(until),
            Gate::Probe => return Admission::Probe,
            Gate::Open => {}
        }
        let now = moment.began + moment.now;
        if let Some(until) = self.latest(now, Run::blocks_until) {
            return Admission::Open { room: 0, more_at: Some(until) };
        }
        let awaited = self.latest(now, Run::awaited_until);
        let (starts, window) = self.ramp.allowance(moment.cap, moment.interval);
        let room = starts.saturating_sub(self.pace.recent(moment.now, window));
        match self.trial.left(moment.now, moment.cap, awaited.is_some() || self.pace.pending() > 0) {
            Some(left) if left.saturating_sub(self.pace.pending()) < room => {
                Admission::Open { room: left.saturating_sub(self.pace.pending()), more_at: awaited }
            }
            _ => {
                let next = if room == 0 { self.pace.next_room(moment.now, window) } else { None };
                Admission::Open { room, more_at: next.map(|next| moment.began + next) }
            }
        }
    }

    /// Whether a run waits to repeat a refused request, so that no other run starts.
    pub(super) fn is_blocked(&self, moment: &Moment) -> bool {
        self.latest(moment.began + moment.now, Run::blocks_until).is_some()
    }

    /// Returns the latest of the times that `of` returns for the runs, if it is later than `now`.
    fn latest(&self, now: Instant, of: fn(&Run) -> Option<Instant>) -> Option<Instant> {
        self.runs.values().filter_map(of).max().filter(|until| *until > now)
    }

    /// Returns how many runs there are or will be without further claims. `reserved`: how many claims reserved a place.
    pub(super) fn taken(&self, reserved: usize) -> u32 {
        u32::try_from(self.runs.len() + self.waiting.len() + reserved).unwrap_or(u32::MAX)
    }

    /// Records the start of a run. `reserved`: its claim reserved a place.
    pub(super) fn start(&mut self, spec: &SpecId, now: Duration, reserved: bool) {
        if !reserved {
            self.pace.claimed(1);
        }
        self.pace.started(now);
        self.trial.started(now);
        self.runs.insert(spec.clone(), Run::new(true));
    }
}

impl Run {
    pub(super) fn new(on_trial: bool) -> Run {
        Run { began: Instant::now(), spoke: None, answered: false, on_trial, failures: 0, failed_at: None }
    }

    /// Until when other runs do not start, because this run waits to repeat a refused request.
    fn blocks_until(&self) -> Option<Instant> {
        self.failed_at.filter(|_| self.failures > 0).map(|at| at + BLOCKS)
    }

    /// Until when a trial waits for this run.
    fn awaited_until(&self) -> Option<Instant> {
        let is_open = self.on_trial && !self.answered && self.failures == 0;
        is_open.then(|| self.spoke.map_or(self.began + SILENT, |spoke| spoke + ANSWER))
    }
}
