//! Decides how many specs one tick claims and spawns.
//!
//! ```text
//! spawn = min(max_workers - running, spawns_per_tick - recent_starts, eligible), or 0 while starts are deferred
//! ```

use crate::domain::lane::Eligible;

/// The inputs of the decision: one configuration snapshot, and counts taken at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// The configuration's `max_workers`.
    pub max_workers: u32,
    /// The configuration's `spawns_per_tick`.
    pub spawns_per_tick: u32,
    /// The number of slots that are taken: by workers, by claimed specs whose worker has not started or
    /// starts again later, and by quarantined specs.
    pub running: u32,
    /// The number of starts within the last tick interval, plus the number of claimed specs whose worker has
    /// not started.
    pub recent_starts: u32,
    /// The number of specs that could be claimed now.
    pub eligible: u32,
    /// Whether the machine has room for more specs (`decide::admission`).
    pub admitted: bool,
}

/// The decision: how many specs to claim, and what limited the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// How many specs to claim.
    pub spawn: u32,
    /// What limited the number.
    pub bound: Bound,
}

/// What kept a tick from claiming more specs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// No further spec is eligible.
    Queue,
    /// Every slot is taken. The daemon can claim again when a worker ends.
    Slots,
    /// `spawns_per_tick` workers started within the last tick interval. The daemon can claim again when the
    /// oldest of these starts is one interval ago.
    Pace,
    /// Starts are deferred. The daemon can claim again when a later reading of the machine allows it.
    Machine,
}

/// Decides how many specs this tick claims.
pub(crate) fn decide(inputs: &Inputs) -> Decision {
    let slots = inputs.max_workers.saturating_sub(inputs.running);
    let pace = inputs.spawns_per_tick.saturating_sub(inputs.recent_starts);
    if !inputs.admitted && inputs.eligible > 0 {
        return Decision { spawn: 0, bound: Bound::Machine };
    }
    let spawn = slots.min(pace).min(inputs.eligible);
    let bound = if spawn == inputs.eligible {
        Bound::Queue
    } else if spawn == slots {
        Bound::Slots
    } else {
        Bound::Pace
    };
    Decision { spawn, bound }
}

/// Returns the first `count` of the candidates, which come from several lanes, in queue order: by priority,
/// then by arrival.
pub(crate) fn first(mut candidates: Vec<Eligible>, count: u32) -> Vec<Eligible> {
    candidates.sort_by_key(|spec| (spec.priority, spec.seq));
    candidates.truncate(count as usize);
    candidates
}

/// Returns the largest number of specs that a tick could claim. To count more eligible specs than this number
/// would not change the decision.
pub(crate) fn room(max_workers: u32, spawns_per_tick: u32, running: u32, recent_starts: u32) -> u32 {
    max_workers.saturating_sub(running).min(spawns_per_tick.saturating_sub(recent_starts))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inputs(eligible: u32, max_workers: u32, running: u32, recent_starts: u32) -> Inputs {
        Inputs { max_workers, spawns_per_tick: 4, running, recent_starts, eligible, admitted: true }
    }

    #[test]
    fn examples_of_the_formula() {
        assert_eq!(decide(&inputs(0, 4, 0, 0)), Decision { spawn: 0, bound: Bound::Queue });
        assert_eq!(decide(&inputs(1, 4, 0, 0)), Decision { spawn: 1, bound: Bound::Queue });
        assert_eq!(decide(&inputs(6, 4, 0, 0)), Decision { spawn: 4, bound: Bound::Slots });
        assert_eq!(decide(&inputs(6, 8, 0, 0)), Decision { spawn: 4, bound: Bound::Pace });
        assert_eq!(decide(&inputs(2, 8, 4, 4)), Decision { spawn: 0, bound: Bound::Pace });
        assert_eq!(decide(&inputs(2, 8, 4, 2)), Decision { spawn: 2, bound: Bound::Queue });
        assert_eq!(decide(&inputs(4, 2, 0, 0)), Decision { spawn: 2, bound: Bound::Slots });
    }

    #[test]
    fn nothing_is_spawned_while_more_run_than_max_workers() {
        assert_eq!(decide(&inputs(9, 3, 6, 0)), Decision { spawn: 0, bound: Bound::Slots });
        assert_eq!(decide(&inputs(9, 0, 0, 0)), Decision { spawn: 0, bound: Bound::Slots });
    }

    proptest! {
        #[test]
        fn nothing_is_spawned_while_starts_are_deferred(
            max_workers in 0u32..99, running in 0u32..99, recent in 0u32..9, eligible in 0u32..99,
        ) {
            let inputs = Inputs { admitted: false, ..inputs(eligible, max_workers, running, recent) };
            prop_assert_eq!(decide(&inputs).spawn, 0);
        }

        #[test]
        fn as_many_are_spawned_as_all_limits_allow(max in 0u32..2000, cap in 1u32..2000, running in 0u32..3000, recent in 0u32..3000,
                                   eligible in 0u32..5000) {
            let inputs = Inputs { max_workers: max, spawns_per_tick: cap, running, recent_starts: recent, eligible, admitted: true };
            let Decision { spawn, .. } = decide(&inputs);
            prop_assert!(spawn <= eligible);
            prop_assert!(spawn == 0 || (running + spawn <= max && recent + spawn <= cap));
            let more = spawn + 1;
            prop_assert!(more > eligible || running + more > max || recent + more > cap, "spawned too few");
            prop_assert_eq!(spawn, room(max, cap, running, recent).min(eligible));
        }
    }
}
