//! Decides how long boi waits before it retries an operation that failed.
//!
//! Every operation that may fail many times in a row has a counter. Each counter is bounded or lengthens the
//! wait:
//!
//! | counter | counts | kept in | reset by | effect |
//! | --- | --- | --- | --- | --- |
//! | setbacks | starts of a spec that failed, and refusals of the model's service | the queue, per spec | a try that the service accepted, or a return of the spec to the queue for another reason | the wait doubles: [`start_backoff_millis`], [`service_wait`]; from the 6th on, a failure of git with an unknown cause fails the spec |
//! | deaths | commands that died | the position | a command that ended by itself | the wait doubles: [`death_backoff_millis`]; more than `retry_count` fail the spec |
//! | cut-offs | commands that something other than boi ended | the position | a command that ended by itself | after 3, boi treats the end as if the command had ended by itself |
//! | rounds | merges during whose verification the base moved | the position | | after 100, the spec is left unmerged |
//! | failures | internal failures of a worker, whose command may still run | the registry, per slot | the spec's end | the wait doubles: [`start_backoff_millis`] |
//! | starts | supervisors that ended without executing anything | the worker | | after 3, the spec is given back to the queue |
//! | tries | tries of a task that failed | the queue, per task | a new attempt | the wait doubles: [`try_backoff_millis`]; after the first and `retry_count` more, the spec fails |

use crate::domain::outcome::TryOutcome;
use crate::domain::time::Timestamp;

/// The wait after a usage limit whose end is unknown, in milliseconds.
const LIMIT_MILLIS: i64 = 15 * 60_000;
/// The longest wait for the end of a usage limit, in milliseconds. A later end in the agent's report is
/// treated as wrong.
const LONGEST_LIMIT_MILLIS: i64 = 8 * 24 * 3_600_000;
/// The shortest wait for the end of a usage limit, in milliseconds.
const SHORTEST_LIMIT_MILLIS: i64 = 5_000;
/// Bounds the random delay that is added to each wait: the delay is at most a tenth of the wait, and at most
/// a tenth of this many milliseconds.
const SPREAD_OVER_MILLIS: i64 = 300_000;

/// Returns the milliseconds until a spec whose start failed `failures` times in a row is eligible again: 1 s
/// after the first failure, then doubled with each failure, at most 5 min.
pub(crate) fn start_backoff_millis(failures: u32) -> i64 {
    doubled(1_000, failures, 300_000)
}

/// Returns the milliseconds until a command that died `deaths` times in a row is run again: 0.5 s after the
/// first death, then doubled with each death, at most 1 min.
pub(crate) fn death_backoff_millis(deaths: u32) -> i64 {
    doubled(500, deaths, 60_000)
}

/// Returns the milliseconds until a task whose tries failed `failures` times in a row is tried again:
/// `backoff[0]` seconds after the first failure, then doubled with each failure, at most `backoff[1]`
/// seconds.
pub(crate) fn try_backoff_millis(failures: u32, backoff: [u64; 2]) -> i64 {
    let [first, most] = backoff.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000));
    doubled(first, failures, most)
}

/// Returns when boi repeats a try that the model's service refused `refusals` times in a row; `None` for any
/// other outcome. `spread` is a random number in `0.0..1.0`, so that the specs of a fleet do not all retry at
/// the same time.
pub(crate) fn service_wait(outcome: &TryOutcome, refusals: u32, now: Timestamp, spread: f64) -> Option<Timestamp> {
    let millis = match outcome {
        TryOutcome::Limited { until: Some(until), .. } => {
            until.millis_since(now).clamp(SHORTEST_LIMIT_MILLIS, LONGEST_LIMIT_MILLIS)
        }
        TryOutcome::Limited { until: None, .. } => LIMIT_MILLIS,
        TryOutcome::Throttled(_) => doubled(5_000, refusals, 300_000),
        TryOutcome::Overloaded(_) => doubled(15_000, refusals, 900_000),
        _ => return None,
    };
    let delay = spread.clamp(0.0, 1.0) * 0.1 * (millis.min(SPREAD_OVER_MILLIS) as f64);
    Some(now.plus_millis(millis + delay as i64))
}

/// Returns the wait after `times` failures: `first` after the first failure, doubled with each further one,
/// at most `most`.
pub(super) fn doubled(first: i64, times: u32, most: i64) -> i64 {
    first.checked_mul(1 << times.saturating_sub(1).min(20)).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limited(until: Option<i64>) -> TryOutcome {
        TryOutcome::Limited { until: until.map(Timestamp), detail: String::new() }
    }

    fn wait(outcome: &TryOutcome, refusals: u32, spread: f64) -> Option<i64> {
        let now = Timestamp(1_000_000);
        service_wait(outcome, refusals, now, spread).map(|at| at.millis_since(now))
    }

    #[test]
    fn backoffs_double_and_are_bounded() {
        assert_eq!(
            [0, 1, 2, 3, 9, 10, 4_000].map(start_backoff_millis),
            [1_000, 1_000, 2_000, 4_000, 256_000, 300_000, 300_000]
        );
        assert_eq!(
            [0, 1, 2, 3, 7, 8, 4_000].map(death_backoff_millis),
            [500, 500, 1_000, 2_000, 32_000, 60_000, 60_000]
        );
    }

    #[test]
    fn the_pause_between_tries_doubles_up_to_its_second_value() {
        assert_eq!(
            [0, 1, 2, 3, 7, 99].map(|failures| try_backoff_millis(failures, [1, 60])),
            [1_000, 1_000, 2_000, 4_000, 60_000, 60_000]
        );
        assert_eq!([1, 2, 99].map(|failures| try_backoff_millis(failures, [5, 5])), [5_000; 3]);
        assert_eq!([1, 99].map(|failures| try_backoff_millis(failures, [0, 0])), [0; 2]);
    }

    #[test]
    fn a_limit_waits_for_its_end_within_bounds() {
        assert_eq!(wait(&limited(Some(1_060_000)), 1, 0.0), Some(60_000));
        assert_eq!(wait(&limited(Some(0)), 1, 0.0), Some(5_000));
        assert_eq!(wait(&limited(Some(i64::MAX)), 1, 0.0), Some(8 * 24 * 3_600_000));
        assert_eq!(wait(&limited(None), 1, 0.0), Some(900_000));
        assert_eq!(wait(&limited(None), 9, 0.0), Some(900_000));
    }

    #[test]
    fn throttling_and_overload_double_and_are_bounded() {
        let waits = |outcome: &TryOutcome| [1, 2, 3, 7, 99].map(|refusals| wait(outcome, refusals, 0.0).unwrap());
        assert_eq!(waits(&TryOutcome::Throttled(String::new())), [5_000, 10_000, 20_000, 300_000, 300_000]);
        assert_eq!(waits(&TryOutcome::Overloaded(String::new())), [15_000, 30_000, 60_000, 900_000, 900_000]);
    }

    #[test]
    fn the_spread_adds_up_to_a_tenth_of_at_most_five_minutes() {
        let throttled = TryOutcome::Throttled(String::new());
        assert_eq!(wait(&throttled, 1, 1.0), Some(5_500));
        assert_eq!(wait(&throttled, 1, 0.5), Some(5_250));
        assert_eq!(wait(&throttled, 1, 7.0), Some(5_500), "a spread out of bounds is clamped");
        assert_eq!(wait(&throttled, 1, -7.0), Some(5_000));
        assert_eq!(wait(&limited(None), 1, 1.0), Some(930_000));
    }

    #[test]
    fn only_refusals_of_the_service_have_a_wait() {
        for outcome in [TryOutcome::Succeeded, TryOutcome::TimedOut, TryOutcome::Lost, TryOutcome::Auth("a".into())] {
            assert_eq!(wait(&outcome, 1, 0.5), None);
        }
    }

    proptest! {
        /// A wait never becomes shorter with more failures, and stays within its bounds.
        #[test]
        fn waits_grow_within_their_bounds(times in 0u32..10_000, spread in 0.0f64..1.0, until in any::<i64>()) {
            prop_assert!(start_backoff_millis(times) <= start_backoff_millis(times + 1));
            prop_assert!((1_000..=300_000).contains(&start_backoff_millis(times)));
            prop_assert!(death_backoff_millis(times) <= death_backoff_millis(times + 1));
            prop_assert!((500..=60_000).contains(&death_backoff_millis(times)));
            for (outcome, least, most) in [
                (TryOutcome::Throttled(String::new()), 5_000, 300_000),
                (TryOutcome::Overloaded(String::new()), 15_000, 900_000),
                (limited(Some(until)), SHORTEST_LIMIT_MILLIS, LONGEST_LIMIT_MILLIS),
            ] {
                let wait = wait(&outcome, times, spread).unwrap();
                prop_assert!(wait >= least && wait <= most + SPREAD_OVER_MILLIS / 10, "{:?}: {}", outcome, wait);
            }
        }
    }
}
