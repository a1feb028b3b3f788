//! The trial of an agent: the first runs show whether the model's service answers before more runs start.
//!
//! The requests of a run come seconds after its start, so the pace alone learns too late that a service refuses them. An
//! agent whose runs did not get an answer within the last [`VALID`] is on trial: at most `spawns_per_tick` runs start, and
//! then none until each of them was answered, was refused or ended, or the daemon has waited long enough for it. A trial
//! delays a start by at most [`SILENT`] if the runs print nothing, and by at most [`ANSWER`] after their first output.
//!
//! Times are durations since a fixed point of one monotonic clock; the caller passes the current time.

use std::time::Duration;

/// How long an answer shows that the service answers.
pub(crate) const VALID: Duration = Duration::from_secs(60);
/// How long after its start a run that prints nothing is waited for.
pub(crate) const SILENT: Duration = Duration::from_secs(2);
/// How long after its first output a run is waited for.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// The trial of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trial {
    /// How many runs started in this trial.
    started: u32,
    /// When the last trial was passed, or the last answer after it arrived.
    passed: Option<Duration>,
}

impl Trial {
    fn is_passed(&self, now: Duration) -> bool {
        self.passed.is_some_and(|at| now.saturating_sub(at) < VALID)
    }

    /// Returns how many more runs the trial lets start; `None`: the agent is not on trial. `awaits`: whether a run still
    /// has to show that the service answers. `cap` is `spawns_per_tick`.
    pub(crate) fn left(&mut self, now: Duration, cap: u32, awaits: bool) -> Option<u32> {
        if self.started > 0 && !awaits {
            *self = Trial { started: 0, passed: Some(now) };
        }
        (!self.is_passed(now)).then(|| cap.saturating_sub(self.started))
    }

    /// Records the start of a run.
    pub(crate) fn started(&mut self, now: Duration) {
        if !self.is_passed(now) {
            self.started = self.started.saturating_add(1);
        }
    }

    /// Records that the service answered a run.
    pub(crate) fn answered(&mut self, now: Duration) {
        if self.passed.is_some() && self.started == 0 {
            self.passed = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn no_run_starts_beyond_the_trial_until_each_of_its_runs_was_answered() {
        let mut trial = Trial::default();
        assert_eq!(trial.left(SECOND, 4, false), Some(4));
        for _ in 0..4 {
            trial.started(SECOND);
        }
        assert_eq!(trial.left(SECOND * 2, 4, true), Some(0));
        trial.answered(SECOND * 2);
        assert_eq!(trial.left(SECOND * 2, 4, true), Some(0), "others still have no answer");
        assert_eq!(trial.left(SECOND * 3, 4, false), None);
    }

    #[test]
    fn answers_keep_an_agent_off_trial_and_silence_puts_it_back() {
        let mut trial = Trial::default();
        trial.started(SECOND);
        assert_eq!(trial.left(SECOND, 4, false), None);
        trial.started(SECOND * 2);
        trial.answered(SECOND * 50);
        assert_eq!(trial.left(SECOND * 100, 4, true), None);
        assert_eq!(trial.left(SECOND * 110, 4, false), Some(4));
    }

    proptest! {
        #[test]
        fn at_most_cap_runs_start_while_none_was_answered(
            cap in 1..64u32, steps in proptest::collection::vec(0..5_000u64, 0..200),
        ) {
            let (mut trial, mut now, mut started) = (Trial::default(), Duration::ZERO, 0);
            for millis in steps {
                now += Duration::from_millis(millis);
                if trial.left(now, cap, started > 0) != Some(0) {
                    trial.started(now);
                    started += 1;
                }
            }
            prop_assert!(started <= cap);
        }
    }
}
