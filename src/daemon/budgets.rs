//! The budgets in force, and what all agents together cost in the last 24 h. `decide::budget` decides whether
//! a budget is used up. Each worker checks the budgets before it starts an agent. The daemon's loop checks
//! the budget of the day before it claims a spec whose next command is an agent.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::info;

use super::{Daemon, Spawn};
use crate::config::HotConfig;
use crate::decide::budget;
use crate::domain::cause::DayUsedUp;
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;
use crate::queue::{Queue, QueueError};
use crate::system::clock;

/// The limits on cost that the configuration sets; 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Limits {
    /// `max_usd_per_spec`.
    pub(super) per_spec: Usd,
    /// `max_usd_per_day`.
    pub(super) per_day: Usd,
}

/// The budgets in force, and what the agents cost in the last 24 h.
#[derive(Debug)]
pub(super) struct Budgets(Mutex<State>);

#[derive(Debug)]
struct State {
    limits: Limits,
    /// The end and the cost of each run of the last 24 h.
    runs: Vec<(Timestamp, Usd)>,
    /// Whether `runs` may differ from the runs in the queue: they were not read yet, or the queue reported an
    /// error for a write that it may have made.
    doubtful: bool,
    /// Whether the specs that `max_usd_per_spec` blocks have to be checked again: a limit changed, or a spec
    /// was blocked, perhaps under an earlier limit.
    unchecked: bool,
}

impl Default for Budgets {
    fn default() -> Budgets {
        Budgets(Mutex::new(State { limits: Limits::default(), runs: Vec::new(), doubtful: true, unchecked: true }))
    }
}

impl Budgets {
    /// Returns the limits in force.
    pub(super) fn limits(&self) -> Limits {
        self.state().limits
    }

    /// Returns the used-up budget if `max_usd_per_day` is used up, so that no agent may start now; otherwise
    /// `None`. `pending` is the cost of runs that have ended but are not recorded yet.
    pub(super) fn day(&self, pending: Usd, now: Timestamp) -> Option<DayUsedUp> {
        let state = self.state();
        if pending == Usd::ZERO {
            return budget::day(state.limits.per_day, &state.runs, now);
        }
        budget::day(state.limits.per_day, &[state.runs.as_slice(), &[(now, pending)]].concat(), now)
    }

    /// Adds a run that the queue has recorded, and drops the runs that ended more than 24 h before it.
    pub(super) fn add_run(&self, ended: Timestamp, cost: Usd) {
        let mut state = self.state();
        state.runs.retain(|(at, _)| ended.millis_since(*at) < budget::DAY_MILLIS);
        state.runs.push((ended, cost));
    }

    /// Adds the runs that ended before `read_at`, as the queue returned them then. Runs that were recorded
    /// meanwhile stay.
    fn replace(&self, runs: Vec<(Timestamp, Usd)>, read_at: Timestamp) {
        let mut state = self.state();
        state.runs.retain(|run| run.0 >= read_at || !runs.contains(run));
        state.runs.extend(runs.into_iter().filter(|(ended, _)| *ended < read_at));
    }

    /// Marks the runs as doubtful, because the queue reported an error for a write that it may have made. The
    /// next tick reads the runs again.
    pub(super) fn doubt(&self) {
        self.state().doubtful = true;
    }

    /// Requests a new check of the blocked specs after a spec was blocked: `max_usd_per_spec` may have been
    /// raised before the queue recorded the block.
    pub(super) fn note_block(&self) {
        self.state().unchecked = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Spawn> Daemon<S> {
    /// Puts the limits of a configuration in force, and ends the block of each spec that costs less than the
    /// new limit. Reads the runs again if they are doubtful.
    pub(super) async fn update_budgets(&mut self, hot: &HotConfig) -> Result<(), QueueError> {
        let limits = limits(hot);
        let (doubtful, unchecked) = {
            let mut state = self.shared.budgets.state();
            state.unchecked |= state.limits != limits;
            state.limits = limits;
            (state.doubtful, std::mem::take(&mut state.unchecked))
        };
        if doubtful {
            let began = clock::now();
            self.shared.budgets.state().doubtful = false;
            let read = move |queue: &dyn Queue| queue.runs_since(began.plus_millis(-budget::DAY_MILLIS));
            let runs = self.queue.call(read).await.inspect_err(|_| self.shared.budgets.doubt())?;
            self.shared.budgets.replace(runs, began);
        }
        if unchecked {
            let released = self.queue.call(move |queue| queue.end_budget_blocks(limits.per_spec, clock::now())).await;
            let released = released.inspect_err(|_| self.shared.budgets.note_block())?;
            for spec in &released {
                info!(%spec, "the spec is no longer blocked, because max_usd_per_spec now allows more than its agents cost");
            }
            if !released.is_empty() {
                self.shared.changed();
            }
        }
        Ok(())
    }
}

fn limits(hot: &HotConfig) -> Limits {
    Limits { per_spec: hot.config.max_usd_per_spec, per_day: hot.config.max_usd_per_day }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_count_for_24_hours_and_a_pending_run_counts_too() {
        let usd = |dollars| Usd::from_dollars(dollars).unwrap();
        let at = |hours: i64| Timestamp(hours * 3_600_000);
        let budgets = Budgets::default();
        budgets.state().limits.per_day = usd(10.0);
        budgets.add_run(at(1), usd(6.0));
        assert_eq!(budgets.day(Usd::ZERO, at(2)), None);
        assert_eq!(budgets.day(usd(4.0), at(2)).map(|used_up| used_up.until), Some(at(25)));
        budgets.add_run(at(3), usd(5.0));
        assert_eq!(budgets.day(Usd::ZERO, at(24)).map(|used_up| used_up.until), Some(at(25)));
        assert_eq!(budgets.day(Usd::ZERO, at(25)), None);
        budgets.add_run(at(26), usd(1.0));
        assert_eq!(budgets.state().runs, [(at(3), usd(5.0)), (at(26), usd(1.0))]);
        budgets.replace(vec![(at(4), usd(2.0)), (at(26), usd(1.0))], at(26));
        let expected = [(at(3), usd(5.0)), (at(26), usd(1.0)), (at(4), usd(2.0))];
        assert_eq!(budgets.state().runs, expected, "no run is lost or counted twice");
    }
}
