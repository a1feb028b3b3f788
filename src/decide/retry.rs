//! How long something that did not work waits before it is done again.

use crate::domain::outcome::TryOutcome;
use crate::domain::time::Timestamp;

/// Where no time of reset is known, a usage limit is asked about again after this long.
const LIMIT_MILLIS: i64 = 15 * 60_000;
/// The longest time of reset that is believed.
const LONGEST_LIMIT_MILLIS: i64 = 8 * 24 * 3_600_000;
/// The shortest.
const SHORTEST_LIMIT_MILLIS: i64 = 5_000;

/// Milliseconds until a spec whose start failed `failures` times in a row is eligible again: 1 s, doubling, at most
/// 5 min.
pub fn start_backoff_millis(failures: u32) -> i64 {
    (1_000i64 << failures.saturating_sub(1).min(12)).min(300_000)
}

/// Milliseconds until a command that died `deaths` times in a row is carried out again: 0.5 s, doubling, at most 1 min.
pub fn death_backoff_millis(deaths: u32) -> i64 {
    (500i64 << deaths.saturating_sub(1).min(12)).min(60_000)
}

/// When a try that was refused by the model's service, and did not count, is made again; `None` for any other outcome.
/// `spread` is a random number out of `0.0..1.0`, so that a fleet does not come back in one burst.
pub fn service_wait(outcome: &TryOutcome, refusals: u32, now: Timestamp, spread: f64) -> Option<Timestamp> {
    let doubling = |first: i64, most: i64| (first << refusals.saturating_sub(1).min(10)).min(most);
    let millis = match outcome {
        TryOutcome::Limited { until: Some(until), .. } => {
            until.millis_since(now).clamp(SHORTEST_LIMIT_MILLIS, LONGEST_LIMIT_MILLIS)
        }
        TryOutcome::Limited { until: None, .. } => LIMIT_MILLIS,
        TryOutcome::Throttled(_) => doubling(5_000, 300_000),
        TryOutcome::Overloaded(_) => doubling(15_000, 900_000),
        _ => return None,
    };
    Some(now.plus_millis(millis + (spread.clamp(0.0, 1.0) * 0.1 * (millis.min(300_000) as f64)) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoffs_double_and_are_bounded() {
        assert_eq!([1, 2, 3, 9, 4_000].map(start_backoff_millis), [1_000, 2_000, 4_000, 256_000, 300_000]);
        assert_eq!([1, 2, 3, 7, 4_000].map(death_backoff_millis), [500, 1_000, 2_000, 32_000, 60_000]);
    }

    #[test]
    fn a_limit_waits_for_its_reset_within_reason() {
        let now = Timestamp(1_000_000);
        let limited = |until: Option<i64>| TryOutcome::Limited { until: until.map(Timestamp), detail: String::new() };
        let wait = |outcome: &TryOutcome, refusals| service_wait(outcome, refusals, now, 0.0).map(|at| at.0 - now.0);
        assert_eq!(wait(&limited(Some(1_060_000)), 1), Some(60_000));
        assert_eq!(wait(&limited(Some(0)), 1), Some(SHORTEST_LIMIT_MILLIS));
        assert_eq!(wait(&limited(Some(i64::MAX)), 1), Some(LONGEST_LIMIT_MILLIS));
        assert_eq!(wait(&limited(None), 1), Some(LIMIT_MILLIS));
        assert_eq!(wait(&TryOutcome::Throttled(String::new()), 3), Some(20_000));
        assert_eq!(wait(&TryOutcome::Overloaded(String::new()), 99), Some(900_000));
        assert_eq!(wait(&TryOutcome::TimedOut, 1), None);
    }
}
