//! The pace: no more than `spawns_per_tick` workers start within any `tick_interval`.
//!
//! A claimed spec counts from its claim until its worker starts; then the start counts for one more interval.
//!
//! Proof that no window (a period of one interval) contains more starts than the cap, `spawns_per_tick`: Let
//! a window end at `t`. Of the claims whose start is in the window, let `c <= t` be the time of the last one.
//! At `c`, every other start of the window either was less than one interval ago or belonged to a claimed
//! spec that was not started yet. So it was counted at `c`, and the claim kept the sum within the cap.
//!
//! Times are durations since a fixed point of one monotonic clock; the caller passes the current time.

use std::collections::VecDeque;
use std::time::Duration;

/// The maximum number of starts that [`Pace`] stores: the largest value that `spawns_per_tick` can have.
const REMEMBERED: usize = 1024;

/// Counts the claimed specs whose worker has not started yet, and stores the times of the last starts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    pending: u32,
    starts: VecDeque<Duration>,
}

impl Pace {
    /// Records that `count` specs were claimed.
    pub(crate) fn claimed(&mut self, count: u32) {
        self.pending += count;
    }

    /// Returns how many claimed specs have a worker that has not started yet.
    pub(crate) fn pending(&self) -> u32 {
        self.pending
    }

    /// Records that a claimed spec went back to the queue, or ended, before its worker started.
    pub(crate) fn given_back(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }

    /// Records that the worker of a claimed spec started at `at`.
    pub(crate) fn started(&mut self, at: Duration) {
        self.pending = self.pending.saturating_sub(1);
        self.starts.push_back(at);
        if self.starts.len() > REMEMBERED {
            self.starts.pop_front();
        }
    }

    /// Adds the start of a worker that an earlier daemon started at `at`.
    pub(crate) fn remember(&mut self, at: Duration) {
        let place = self.starts.partition_point(|&start| start <= at);
        self.starts.insert(place, at);
    }

    /// Returns how many starts count now: the starts within the last `interval`, and one for each claimed
    /// spec whose worker has not started yet.
    pub(crate) fn recent(&self, now: Duration, interval: Duration) -> u32 {
        let in_window = self.starts.iter().rev().take_while(|&&start| start + interval > now).count();
        self.pending + u32::try_from(in_window).unwrap_or(u32::MAX)
    }

    /// Returns when the oldest start within the last `interval` will be one interval ago; `None` if there is
    /// no such start.
    pub(crate) fn next_room(&self, now: Duration, interval: Duration) -> Option<Duration> {
        self.starts.iter().map(|&start| start + interval).find(|&end| end > now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::tick;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_claim_counts_at_once_and_a_start_for_one_interval() {
        let mut pace = Pace::default();
        pace.claimed(2);
        assert_eq!(pace.recent(ms(0), ms(1000)), 2);
        pace.started(ms(100));
        pace.given_back();
        assert_eq!(pace.recent(ms(1099), ms(1000)), 1);
        assert_eq!(pace.next_room(ms(1099), ms(1000)), Some(ms(1100)));
        assert_eq!(pace.recent(ms(1100), ms(1000)), 0);
        assert_eq!(pace.next_room(ms(1100), ms(1000)), None);
    }

    #[test]
    fn starts_of_an_earlier_daemon_leave_the_window_oldest_first() {
        let mut pace = Pace::default();
        for at in [300, 100, 200] {
            pace.remember(ms(at));
        }
        pace.started(ms(400));
        let window = |now| (pace.recent(ms(now), ms(1000)), pace.next_room(ms(now), ms(1000)));
        assert_eq!(window(400), (4, Some(ms(1100))));
        assert_eq!(window(1100), (3, Some(ms(1200))));
        assert_eq!(window(1200), (2, Some(ms(1300))));
        assert_eq!(window(1399), (1, Some(ms(1400))));
    }

    #[test]
    fn as_many_starts_are_remembered_as_a_tick_can_spawn() {
        for (starts, remembered) in [(1023, 1023), (1024, 1024), (1025, 1024)] {
            let mut pace = Pace::default();
            for at in 0..starts {
                pace.started(ms(at));
            }
            assert_eq!(pace.recent(ms(starts), ms(10_000)), remembered, "after {starts} starts");
        }
    }

    proptest! {
        /// With random arrivals, ends and pauses between starts, no window ever holds more starts than the
        /// cap.
        #[test]
        fn daemon_batch_never_more_than_the_cap_in_any_interval(
            cap in 1u32..6, slots in 1u32..12, interval in 50u64..1500,
            moments in prop::collection::vec((1u64..400, 0u32..5, 0u32..4, 0u64..200), 1..120),
        ) {
            let mut pace = Pace::default();
            let (mut now, mut queued, mut running, mut waiting) = (0, 0u32, 0u32, 0u32);
            let mut next_spawn = 0;
            let mut starts = Vec::new();
            for (wait, arrive, end, pause) in moments {
                now += wait;
                queued += arrive;
                running -= end.min(running);
                let decision = tick::decide(&tick::Inputs {
                    max_workers: slots,
                    spawns_per_tick: cap,
                    running: running + waiting,
                    recent_starts: pace.recent(ms(now), ms(interval)),
                    eligible: queued,
                    admitted: true,
                });
                queued -= decision.spawn;
                waiting += decision.spawn;
                pace.claimed(decision.spawn);
                if waiting > 0 && now >= next_spawn {
                    waiting -= 1;
                    running += 1;
                    pace.started(ms(now));
                    starts.push(now);
                    next_spawn = now + pause;
                }
                prop_assert!(running + waiting <= slots);
            }
            for (index, &start) in starts.iter().enumerate() {
                let in_window = starts[index..].iter().filter(|&&other| other < start + interval).count();
                prop_assert!(in_window <= cap as usize, "{in_window} starts in {interval} ms from {start}: {starts:?}");
            }
        }
    }
}
