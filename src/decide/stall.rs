//! Decides when a running agent counts as hung: it has shown no sign of life for `stall_timeout_minutes`.
//!
//! A sign of life is a change of the size of the output, or at least a second of CPU time of the process tree
//! within a minute. The CPU time is read every half minute, and only while the size of the output stays the
//! same, because reading it may require a scan of all processes. So the time of the last sign of life is
//! known to within half a minute.
//!
//! All times are measured from the boot of the machine, and include the time while it was suspended. If a
//! check comes late, the machine was suspended or this daemon did not run, so the agent's time starts again
//! at 0.

use std::collections::VecDeque;
use std::time::Duration;

/// A check that comes this long after the previous one is late.
const LATE: Duration = Duration::from_secs(30);

/// The signs of life of one running agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignsOfLife {
    /// The time without a sign of life after which the agent counts as hung.
    limit: Duration,
    /// The length of a minute; tests shorten it.
    minute: Duration,
    looked_at: Duration,
    sign_at: Duration,
    /// The size of the output in bytes.
    output: u64,
    /// The readings of the CPU time after `sign_at`, oldest first: the time of each reading, and the CPU time
    /// used until then. The first may be more than a minute old.
    cpu: VecDeque<(Duration, Duration)>,
}

impl SignsOfLife {
    /// Begins the watch at the time `now`. `limit` is a number of minutes of the length `minute`. Returns
    /// `None` if `limit` is 0, which means that no agent counts as hung.
    pub(crate) fn begin(limit: u32, minute: Duration, now: Duration) -> Option<SignsOfLife> {
        let limit = minute.saturating_mul(limit);
        let cpu = VecDeque::new();
        (!limit.is_zero()).then_some(SignsOfLife { limit, minute, looked_at: now, sign_at: now, output: 0, cpu })
    }

    /// Takes the size of the output at the time `now`. Returns whether the CPU time has to be read and passed
    /// to [`SignsOfLife::is_stalled`] now.
    pub(crate) fn look(&mut self, now: Duration, output: u64) -> bool {
        let is_late = now.saturating_sub(self.looked_at) >= LATE;
        self.looked_at = now;
        if is_late || output != self.output {
            self.output = output;
            self.sign(now);
        }
        let (silent, half) = (now.saturating_sub(self.sign_at), self.minute / 2);
        let since_read = self.cpu.back().map_or(silent, |(at, _)| now.saturating_sub(*at));
        since_read >= half || silent >= self.limit
    }

    /// Takes the CPU time that the process tree has used until now, and returns whether the agent hangs. If
    /// `used` is `None`, the CPU time is not known; this counts as a sign of life, because the agent may be
    /// busy.
    pub(crate) fn is_stalled(&mut self, used: Option<Duration>) -> bool {
        let now = self.looked_at;
        let Some(used) = used else {
            self.sign(now);
            return false;
        };
        if self.cpu.back().is_some_and(|(_, before)| used < *before) {
            self.cpu.clear();
        }
        if self.cpu.iter().any(|(at, before)| self.is_busy(now.saturating_sub(*at), used.saturating_sub(*before))) {
            self.sign(now);
        }
        // Of the readings that are at least a minute old, only the newest is needed.
        while self.cpu.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= self.minute) {
            self.cpu.pop_front();
        }
        self.cpu.push_back((now, used));
        let is_known_for_a_minute = self.cpu.front().is_some_and(|(at, _)| now.saturating_sub(*at) >= self.minute);
        is_known_for_a_minute && now.saturating_sub(self.sign_at) >= self.limit
    }

    /// Returns whether a process tree that used the CPU time `cpu` within `time` must have used at least a
    /// second of it within a single minute.
    fn is_busy(&self, time: Duration, cpu: Duration) -> bool {
        cpu.saturating_mul(60).as_nanos() >= self.minute.max(time).as_nanos()
    }

    fn sign(&mut self, now: Duration) {
        self.sign_at = now;
        self.cpu.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

    /// Looks at an agent every two seconds, as the worker does. `agent` returns, for the seconds since the
    /// start, the size of the output and the CPU time used in milliseconds. Returns after how many seconds
    /// the agent counts as hung, at most `until`.
    fn stalls_after(limit: u32, until: u64, agent: impl Fn(u64) -> (u64, Option<u64>)) -> Option<u64> {
        let begin = Duration::from_secs(1_000_000);
        let mut signs = SignsOfLife::begin(limit, MINUTE, begin)?;
        (2..=until).step_by(2).find(|&second| {
            let (output, cpu) = agent(second);
            signs.look(begin + SECOND * u32::try_from(second).unwrap(), output)
                && signs.is_stalled(cpu.map(Duration::from_millis))
        })
    }

    #[test]
    fn an_agent_hangs_after_the_limit_without_output_and_cpu_time() {
        type Agent = fn(u64) -> (u64, Option<u64>);
        let table: [(&str, u32, Agent, Option<u64>); 13] = [
            ("silent and idle", 15, |_| (0, Some(0)), Some(900)),
            ("silent after output in the first minute", 15, |s| (s.min(60), Some(7)), Some(960)),
            ("output each minute", 15, |s| (s / 60, Some(0)), None),
            ("output after 14 minutes", 15, |s| (s / 840, Some(0)), None),
            ("output that shrinks is a sign of life", 15, |s| (100 - s / 840, Some(0)), None),
            ("1 s of CPU time a minute", 15, |s| (0, Some(s * 1000 / 60)), None),
            ("1 s of CPU time at once, each 14 minutes", 15, |s| (0, Some(s / 840 * 1000)), None),
            ("0.9 s of CPU time a minute", 15, |s| (0, Some(s * 900 / 60)), Some(900)),
            ("the CPU time shrinks when processes end", 15, |s| (0, Some(if s < 300 { 9_000 } else { 10 })), Some(900)),
            ("CPU time that cannot be read", 15, |_| (0, None), None),
            ("the limit is off", 0, |_| (0, Some(0)), None),
            // The CPU time has to be known for a whole minute.
            ("the shortest limit", 1, |_| (0, Some(0)), Some(90)),
            ("the shortest limit, 1 s of CPU time a minute", 1, |s| (0, Some(s * 1000 / 60)), None),
        ];
        for (what, limit, agent, expected) in table {
            assert_eq!(stalls_after(limit, 4000, agent), expected, "{what}");
        }
    }

    #[test]
    fn a_late_look_restarts_the_clock() {
        let at = |seconds| Duration::from_secs(seconds);
        for (pause, stalls_at) in [(28, 900), (30, 880 + 30 + 900), (36_000, 880 + 36_000 + 900)] {
            let mut signs = SignsOfLife::begin(15, MINUTE, at(0)).unwrap();
            let looks = (2..=880).step_by(2).chain((880 + pause..).step_by(2));
            let mut looks = looks.map(at);
            let stalled = looks.find(|now| signs.look(*now, 0) && signs.is_stalled(Some(SECOND)));
            assert_eq!(stalled, Some(at(stalls_at.max(880 + pause))), "a suspend of {pause} s");
        }
    }

    #[test]
    fn the_cpu_time_is_read_only_while_the_output_is_silent() {
        let mut signs = SignsOfLife::begin(15, MINUTE, Duration::ZERO).unwrap();
        let mut reads = |output: fn(u32) -> u64| {
            let second = signs.looked_at;
            (1..=60).filter(|&s| signs.look(second + SECOND * s, output(s)) && !signs.is_stalled(Some(second))).count()
        };
        assert_eq!(reads(u64::from), 0);
        assert_eq!(reads(|_| 60), 2);
    }

    proptest! {
        /// An agent never counts as hung before the limit, less half a minute, has passed since its last sign
        /// of life: output, or a second of CPU time used at once. It always counts as hung once the limit and
        /// a minute have passed since then.
        #[test]
        fn an_agent_never_hangs_before_the_limit_and_always_after_it(
            events in proptest::collection::vec((2_u64..600, any::<bool>()), 0..8),
        ) {
            let times: Vec<(u64, bool)> = events.iter().scan(0, |at, (pause, output)| {
                *at += pause;
                Some((*at, *output))
            }).collect();
            let count = |second: u64, of_output: bool| {
                times.iter().filter(|(at, output)| *at <= second && *output == of_output).count() as u64
            };
            let agent = |second| (count(second, true), Some(count(second, false) * 1000));
            let stalled = stalls_after(5, 10_000, agent).expect("the agent counts as hung at some time");
            let last = times.iter().map(|(at, _)| *at).filter(|at| *at <= stalled).max().unwrap_or(0);
            prop_assert!(stalled + 30 >= last + 300, "{last} {stalled}");
            prop_assert!(stalled <= last + 300 + 60, "{last} {stalled}");
        }
    }
}
