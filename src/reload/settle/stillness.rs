//! Measures how long a file on a foreign mount has not changed.
//!
//! On a foreign mount, no event and no lease shows that a program still writes to a file. Only a change of
//! the file can be seen, so a file that has not changed for [`STILL`] counts as complete. Times are durations
//! on the reader's own clock, so neither the clock of a file server nor the resolution of its timestamps
//! matters.

use std::time::Duration;

use super::ContentHash;

/// How long a file on a foreign mount must not change before it counts as complete.
pub(in crate::reload) const STILL: Duration = Duration::from_secs(6);

/// The last state of the file, and the time since which all looks have found this state.
#[derive(Debug, Clone, Default)]
pub(super) struct Stillness {
    state: Option<(ContentHash, Duration)>,
    judged: Option<ContentHash>,
}

impl Stillness {
    pub(super) fn note(&mut self, now: Duration, state: ContentHash) {
        if self.state.is_none_or(|(known, _)| known != state) {
            self.state = Some((state, now));
        }
    }

    pub(super) fn note_judged(&mut self, state: ContentHash) {
        self.judged = Some(state);
    }

    /// When the file counts as complete if it does not change again.
    pub(super) fn still_at(&self, now: Duration) -> Duration {
        self.state.map_or(now, |(_, since)| since) + STILL
    }

    pub(super) fn is_still(&self, now: Duration) -> bool {
        let is_judged = self.judged.is_some() && self.state.map(|(state, _)| state) == self.judged;
        is_judged || self.still_at(now) <= now
    }
}
