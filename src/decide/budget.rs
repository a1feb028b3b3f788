//! Decides whether an agent may start under two budgets: the budget of its spec, and the budget of all agents
//! for 24 h. A run whose cost is unknown counts as free.

use crate::domain::cause::DayUsedUp;
use crate::domain::life::{BudgetKey, UsedUp};
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;

/// How long a run counts toward `max_usd_per_day` after its end, in milliseconds.
pub(crate) const DAY_MILLIS: i64 = 24 * 3_600_000;

/// The budget of a spec, and the cost of the spec's agents so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpecBudget {
    key: BudgetKey,
    limit: Usd,
    spent: Usd,
}

impl SpecBudget {
    /// Returns the budget of a spec; `None`: its cost is not limited. `own` is the spec's `max_usd` or, once
    /// `boi retry --max-usd` has set one, that limit. `per_spec` is `max_usd_per_spec`. A limit of 0 means no
    /// limit.
    pub(crate) fn new(own: Option<Usd>, per_spec: Usd, spent: Usd) -> Option<SpecBudget> {
        let (key, limit) = match own {
            Some(own) => (BudgetKey::MaxUsd, own),
            None => (BudgetKey::MaxUsdPerSpec, per_spec),
        };
        (limit > Usd::ZERO).then_some(SpecBudget { key, limit, spent })
    }

    /// Returns what is left of the budget. `Err`: the budget is used up.
    pub(crate) fn left(self) -> Result<Usd, UsedUp> {
        let SpecBudget { key, limit, spent } = self;
        if spent < limit { Ok(limit.less(spent)) } else { Err(UsedUp { key, spent, limit }) }
    }

    /// Returns the budget after another run of this cost.
    #[must_use]
    pub(crate) fn plus(mut self, cost: Usd) -> SpecBudget {
        self.spent += cost;
        self
    }
}

/// Returns the used-up budget if the agents have cost `limit` or more in the last 24 h, so that no agent may
/// start now; otherwise `None`. `limit` is `max_usd_per_day`; 0: no limit. `runs` are the runs of all agents,
/// each with its end and its cost.
pub(crate) fn day(limit: Usd, runs: &[(Timestamp, Usd)], now: Timestamp) -> Option<DayUsedUp> {
    if limit == Usd::ZERO {
        return None;
    }
    let mut recent: Vec<(Timestamp, Usd)> =
        runs.iter().copied().filter(|(ended, _)| now.millis_since(*ended) < DAY_MILLIS).collect();
    recent.sort_unstable();
    let mut spent = Usd::ZERO;
    recent.iter().for_each(|(_, cost)| spent += *cost);
    let mut left = spent;
    // The oldest runs become 24 h old first. Finds the run after which the rest costs less than the limit.
    let leaving = recent.iter().find(|(_, cost)| {
        let is_enough = left < limit;
        left = left.less(*cost);
        !is_enough && left < limit
    });
    leaving.map(|(ended, _)| DayUsedUp { spent, limit, until: ended.plus_millis(DAY_MILLIS) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: Timestamp = Timestamp(100 * HOUR);

    fn usd(dollars: f64) -> Usd {
        Usd::from_dollars(dollars).unwrap()
    }

    #[test]
    fn the_specs_own_limit_comes_before_that_of_the_configuration() {
        use BudgetKey::{MaxUsd, MaxUsdPerSpec};
        for (own, per_spec, expected) in [
            (None, 0.0, None),
            (None, 5.0, Some((MaxUsdPerSpec, 5.0))),
            (Some(2.0), 5.0, Some((MaxUsd, 2.0))),
            (Some(9.0), 5.0, Some((MaxUsd, 9.0))),
            (Some(2.0), 0.0, Some((MaxUsd, 2.0))),
            (Some(0.0), 5.0, None),
        ] {
            let budget = SpecBudget::new(own.map(usd), usd(per_spec), Usd::ZERO);
            assert_eq!(budget.map(|budget| (budget.key, budget.limit.dollars())), expected, "{own:?} {per_spec}");
        }
    }

    #[test]
    fn a_budget_is_used_up_when_its_limit_is_reached() {
        let budget = SpecBudget::new(Some(usd(2.0)), Usd::ZERO, Usd::ZERO).unwrap();
        assert_eq!(budget.left(), Ok(usd(2.0)));
        assert_eq!(budget.plus(usd(1.5)).plus(usd(0.499_999)).left(), Ok(usd(0.000_001)));
        for spent in [2.0, 3.5] {
            let used_up = UsedUp { key: BudgetKey::MaxUsd, spent: usd(spent), limit: usd(2.0) };
            assert_eq!(budget.plus(usd(spent)).left(), Err(used_up));
        }
    }

    /// Returns the hours from now until agents may start again; `None`: they may start now. Each run is given
    /// by how many hours ago it ended, and its cost.
    fn hours_until(limit: f64, runs: &[(i64, f64)]) -> Option<i64> {
        let runs: Vec<_> = runs.iter().map(|(ago, cost)| (NOW.plus_millis(-ago * HOUR), usd(*cost))).collect();
        day(usd(limit), &runs, NOW).map(|used_up| used_up.until.millis_since(NOW) / HOUR)
    }

    #[test]
    fn the_day_has_room_again_when_enough_of_its_runs_are_24_hours_old() {
        for (limit, runs, expected) in [
            (10.0, &[][..], None),
            (10.0, &[(1, 9.0)], None),
            (10.0, &[(1, 10.0)], Some(23)),
            (0.0, &[(1, 10.0)], None),
            (10.0, &[(24, 10.0)], None),
            (10.0, &[(23, 10.0)], Some(1)),
            (10.0, &[(20, 1.0), (10, 9.0)], Some(4)),
            (10.0, &[(20, 1.0), (10, 9.0), (5, 3.0)], Some(14)),
            (10.0, &[(5, 3.0), (10, 9.0), (20, 1.0)], Some(14)),
            (10.0, &[(20, 0.0), (10, 30.0), (5, 0.0)], Some(14)),
            (10.0, &[(20, 6.0), (10, 30.0), (1, 50.0)], Some(23)),
            (10.0, &[(-2, 10.0)], Some(26)),
        ] {
            assert_eq!(hours_until(limit, runs), expected, "{limit} {runs:?}");
        }
    }

    proptest! {
        /// A budget that is used up stays used up until exactly the time `until`.
        #[test]
        fn agents_start_again_exactly_at_the_named_time(
            runs in prop::collection::vec((0..30 * HOUR, 0.0f64..5.0), 0..20), limit in 0.01f64..20.0,
        ) {
            let runs: Vec<_> = runs.iter().map(|(ago, cost)| (NOW.plus_millis(-ago), usd(*cost))).collect();
            let Some(used_up) = day(usd(limit), &runs, NOW) else { return Ok(()) };
            prop_assert!(used_up.spent >= used_up.limit && used_up.until > NOW);
            prop_assert_eq!(day(usd(limit), &runs, used_up.until), None);
            prop_assert!(day(usd(limit), &runs, used_up.until.plus_millis(-1)).is_some());
        }
    }
}
