//! Decides when the next event is delivered to a hook. A hook gets its events one after another, each at least
//! once. An event whose delivery fails is tried again with growing pauses, and skipped after a day.
//!
//! ```text
//!            delivered                 failed: wait 1 s, 2 s, 4 s ... 10 min
//!  waiting ─────────────▶ next event  ┌──────────────────────────────────────┐
//!     ▲                                │                                      ▼
//!     └── delivered, or skipped 24 h after the first failure ────────── failing
//! ```

use serde::{Deserialize, Serialize};

use crate::domain::event::{Cursor, EventKind};
use crate::domain::time::Timestamp;

/// The pause after the first failed delivery of an event, in milliseconds.
const FIRST_PAUSE: i64 = 1_000;
/// The longest pause between two deliveries of an event, in milliseconds.
const LONGEST_PAUSE: i64 = 10 * 60 * 1000;
/// How long after its first failed delivery an event is skipped, in milliseconds.
const SKIP_AFTER: i64 = 24 * 60 * 60 * 1000;

/// The progress of a hook. The queue stores it, so that it outlives a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HookState {
    /// The hook's name.
    pub(crate) name: String,
    /// The kinds of events that the hook gets.
    pub(crate) on: Vec<EventKind>,
    /// The last event that was delivered or skipped, or that the hook does not get.
    pub(crate) cursor: Cursor,
    /// The event whose delivery failed, if the next event is that one.
    #[serde(default)]
    pub(crate) failing: Option<Failing>,
    /// How many events were skipped, because their delivery failed for a day.
    #[serde(default)]
    pub(crate) skipped: u64,
    /// How many events were removed from the queue before they were delivered.
    #[serde(default)]
    pub(crate) overtaken: u64,
}

/// An event whose delivery failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    pub(crate) event: Cursor,
    /// The name of the event's kind.
    pub(crate) kind: String,
    /// When the first delivery failed.
    pub(crate) since: Timestamp,
    /// How many deliveries failed.
    pub(crate) tries: u32,
    /// When the next delivery begins.
    pub(crate) next: Timestamp,
    /// Why the last delivery failed.
    pub(crate) error: String,
}

/// What to do with the next event of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Deliver it.
    Deliver,
    /// Wait until this time.
    Wait(Timestamp),
    /// Skip it.
    Skip,
}

impl HookState {
    /// The state of a hook that gets the events after `cursor`.
    pub(crate) fn new(name: &str, on: Vec<EventKind>, cursor: Cursor) -> HookState {
        HookState { name: name.to_owned(), on, cursor, failing: None, skipped: 0, overtaken: 0 }
    }

    /// Returns what to do now with `event`, the first event after the state's cursor.
    pub(crate) fn next(&self, event: Cursor, now: Timestamp) -> Next {
        let Some(failing) = self.failing.as_ref().filter(|failing| failing.event == event) else {
            return Next::Deliver;
        };
        let left = failing.next.millis_since(now);
        if now.millis_since(failing.since) >= SKIP_AFTER {
            Next::Skip
        } else if left <= 0 || left > LONGEST_PAUSE {
            // A pause longer than the longest one shows that the clock was set back.
            Next::Deliver
        } else {
            Next::Wait(failing.next)
        }
    }

    /// Records that the delivery of `event` succeeded.
    pub(crate) fn delivered(&mut self, event: Cursor) {
        self.pass(event);
    }

    /// Records that the delivery of `event` failed.
    pub(crate) fn failed(&mut self, event: Cursor, kind: &str, error: String, now: Timestamp) {
        let before = self.failing.take().filter(|failing| failing.event == event);
        let tries = before.as_ref().map_or(0, |failing| failing.tries).saturating_add(1);
        let since = before.map_or(now, |failing| failing.since);
        let next = now.plus_millis(pause(tries)).min(since.plus_millis(SKIP_AFTER)).max(now);
        self.failing = Some(Failing { event, kind: kind.to_owned(), since, tries, next, error });
    }

    /// Records that `event` is skipped.
    pub(crate) fn skip(&mut self, event: Cursor) {
        self.delivered(event);
        self.skipped = self.skipped.saturating_add(1);
    }

    /// Records that the hook does not get the events up to `cursor`, or has got them.
    pub(crate) fn pass(&mut self, cursor: Cursor) {
        self.cursor = self.cursor.max(cursor);
        self.failing.take_if(|failing| failing.event <= cursor);
    }

    /// Lets the delivery of the failing event begin at once, because the hook's settings changed.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        if let Some(failing) = &mut self.failing {
            failing.next = now;
        }
    }
}

/// Returns the pause after this many failed deliveries of an event, in milliseconds.
fn pause(tries: u32) -> i64 {
    let doublings = tries.saturating_sub(1).min(20);
    (FIRST_PAUSE << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_from_one_second_to_ten_minutes() {
        let pauses: Vec<i64> = (1..=12).map(|tries| pause(tries) / 1000).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_a_hook() {
        let mut state = HookState::new("h", vec![], Cursor::START);
        state.failed(Cursor(1), "spec.failed", "exit code 1".into(), Timestamp(SKIP_AFTER * 3));
        assert_eq!(state.next(Cursor(1), Timestamp(0)), Next::Deliver);
    }

    proptest! {
        /// Runs a hook against deliveries that succeed or fail, with restarts in between.
        #[test]
        fn every_event_is_delivered_in_order_or_skipped_after_a_day(
            outcomes in prop::collection::vec((any::<bool>(), any::<bool>(), 0..7_200_000_i64), 1..400),
            events in 1..8_i64,
        ) {
            let mut state = HookState::new("h", vec![EventKind::SpecFailed], Cursor::START);
            let (mut now, mut delivered, mut first_failure) = (Timestamp(0), Vec::new(), None);
            let mut outcomes = outcomes.into_iter();
            for event in (1..=events).map(|number| Cursor(number * 10)) {
                loop {
                    match state.next(event, now) {
                        Next::Wait(until) => {
                            prop_assert!(until > now && until.millis_since(now) <= LONGEST_PAUSE);
                            now = until;
                        }
                        Next::Skip => {
                            prop_assert!(first_failure.is_some_and(|at| now.millis_since(at) >= SKIP_AFTER));
                            state.skip(event);
                            break;
                        }
                        Next::Deliver => {
                            let Some((works, restarts, took)) = outcomes.next() else { return Ok(()) };
                            now = now.plus_millis(took);
                            if works {
                                delivered.push(event);
                                state.delivered(event);
                                break;
                            }
                            first_failure.get_or_insert(now);
                            state.failed(event, "spec.failed", "no".into(), now);
                            if restarts {
                                let stored = serde_json::to_string(&state).unwrap();
                                state = serde_json::from_str(&stored).unwrap();
                            }
                        }
                    }
                }
                first_failure = None;
                prop_assert_eq!((state.cursor, &state.failing), (event, &None));
            }
            prop_assert!(delivered.is_sorted());
            prop_assert_eq!(delivered.len() as u64 + state.skipped, events as u64);
        }
    }
}
