//! Decides when to read the configuration file, and whether the content is complete. Pure: times are
//! durations on one monotonic clock, and the caller passes in the current time.
//!
//! The purpose: a half-written file is never put in force. A check of validity is not enough: most prefixes of a TOML
//! file are valid, and an empty file means "all defaults". So these rules decide:
//!
//! | event | the file is read |
//! | --- | --- |
//! | a rename or a symbolic link replaced it in one step: its content is complete | at once |
//! | a program closed it after writing | after 20 ms without an event |
//! | a program wrote data and has the file open | when the program closes it; after 5 s the outcome is `waiting` |
//! | it was created, and nothing else happened (as for a hard link) | after 150 ms |
//! | it is missing or empty | again after 1 s; then the outcome is `missing` |
//! | events keep coming, no program has it open | 1 s after the first event |
//! | unknown (the poll found a difference, events were lost), SIGHUP | at once |
//!
//! ```text
//!           event                        content, not open for writing
//!   idle ──────────▶ due ──▶ read ──┬──────────────────────────────────▶ Judge ──▶ idle
//!                     ▲             ├─ open for writing ──▶ wait ─ 5 s ─▶ Report(OpenForWriting), keep waiting
//!                     └─────────────┼─ changed during the read
//!                                   └─ missing or empty ──▶ wait ─ 1 s ─┬▶ Report(Missing) ──▶ idle
//!                                                                       └▶ UseDefaults, after a SIGHUP ──▶ idle
//! ```
//!
//! After a SIGHUP, the file is read without the wait of 20 ms; the waits of 5 s and 1 s remain. A SIGHUP
//! after `Report(OpenForWriting)` forces the read: the file is judged although a program has it open.
//!
//! A file on a foreign mount (see `mounts`) is judged when it has not changed for 6 s (`stillness`): no event
//! and no lease shows whether a program still writes to it. Until then the outcome is `waiting`. After a
//! SIGHUP with this outcome, the next SIGHUP forces the read.

mod stillness;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::stillness::STILL;
use self::stillness::Stillness;
use super::content_hash::ContentHash;

/// Time without events after which a complete file is read.
const QUIET: Duration = Duration::from_millis(20);
/// Replaces `QUIET` on platforms that do not report when a program closes the file.
const QUIET_WITHOUT_CLOSE: Duration = Duration::from_millis(150);
/// Replaces `QUIET` after the file was created and nothing else happened.
const QUIET_AFTER_CREATE: Duration = Duration::from_millis(150);
/// Maximum delay of a read while events keep coming and no program has the file open.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// How long a program may have the file open before the outcome is `waiting`.
const WRITER_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two reads while a program has the file open.
const WRITER_RETRY: Duration = Duration::from_millis(250);
/// Pause between two reads after the outcome `waiting`, while a program still has the file open.
const WAITING_RETRY: Duration = Duration::from_secs(1);
/// How long the file may be missing or empty, as during an ordinary save, before the outcome is `missing`.
const MISSING_PATIENCE: Duration = Duration::from_secs(1);
/// Pause between two reads that must find the same content, if nothing else proves that the file is complete.
const CONFIRM: Duration = Duration::from_millis(50);

/// What happened to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileEvent {
    /// A program closed the file after writing.
    Closed,
    /// The file, or a link on the way to it, was replaced in one step, such as by a rename: its content is complete.
    Replaced,
    /// The file's mode, owner or times changed.
    MetadataChanged,
    /// A program wrote data to the file.
    Written,
    /// The file was created.
    Created,
    /// The file was removed or renamed away.
    Removed,
    /// Something may have happened: events were lost, or the poll found a difference.
    Unknown,
    /// Nothing happened to the file: SIGHUP requested a reload.
    Requested,
}

/// Whether a program has the file open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OpenForWriting {
    /// No program has the file open for writing.
    No,
    /// A program has the file open for writing.
    Yes,
    /// The kernel does not report it: the platform or the file system has no leases, or the file belongs to
    /// another user.
    Unknown,
    /// This kernel does not see every program that may have the file open: the file is on a foreign mount.
    Elsewhere,
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observation {
    /// The file does not exist.
    Missing,
    /// The path leads over a link to a file or folder that does not exist.
    Dangling,
    /// A file of 0 bytes.
    Empty(OpenForWriting),
    /// A file with content.
    Content(ContentHash, OpenForWriting),
    /// The file changed during the read.
    Changing,
    /// The file cannot be read.
    Unreadable,
}

/// Why the content is not judged yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitReason {
    /// A program has the file open for writing.
    OpenForWriting,
    /// The file is missing or empty.
    Missing,
    /// The file is on a foreign mount, and was changed less than [`STILL`] ago.
    Unsettled,
}

/// What to do after a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Decision {
    /// Do nothing until [`Settle::due`].
    Wait,
    /// Make a verdict: the content is complete, a SIGHUP forces the read, or the file cannot be read.
    Judge,
    /// The file is missing or empty, and the user requested a reload: use all defaults.
    UseDefaults,
    /// Keep the configuration in force, and report the reason to the user.
    Report(WaitReason),
}

/// The state of one reload, from the first event to the decision.
#[derive(Debug, Clone)]
pub(super) struct Settle {
    reports_close: bool,
    quiet: Duration,
    /// When the first event came.
    first_event_at: Option<Duration>,
    /// When to read the file; `None`: idle.
    due: Option<Duration>,
    /// When an event or a read first showed that a program has the file open for writing.
    writing_since: Option<Duration>,
    /// When a read first found the file missing or empty.
    missing_since: Option<Duration>,
    /// The hash that the last read found, if another read must find the same one.
    unconfirmed: Option<ContentHash>,
    /// Whether the read has a cause other than a known file system event: lost events, the poll or a SIGHUP.
    unexplained: bool,
    /// Whether a SIGHUP came.
    requested: bool,
    /// Whether a SIGHUP came after the outcome `waiting`.
    forced: bool,
    /// The last [`WaitReason`] that was reported.
    reported: Option<WaitReason>,
    /// Whether a SIGHUP was answered with [`WaitReason::Unsettled`].
    put_off: bool,
    /// When a read first found that the file changed during the read.
    changing_since: Option<Duration>,
    /// How long a file on a foreign mount has not changed. Kept from one reload to the next.
    stillness: Stillness,
}

impl Settle {
    /// Creates the idle state. `reports_close`: whether the platform reports that a program closed the file.
    pub(super) fn new(reports_close: bool) -> Settle {
        Settle {
            reports_close,
            quiet: if reports_close { QUIET } else { QUIET_WITHOUT_CLOSE },
            first_event_at: None,
            due: None,
            writing_since: None,
            missing_since: None,
            unconfirmed: None,
            unexplained: false,
            requested: false,
            forced: false,
            reported: None,
            put_off: false,
            changing_since: None,
            stillness: Stillness::default(),
        }
    }

    /// Returns when to read the file; `None`: idle.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Returns when the first event of this reload came; `None`: idle.
    pub(super) fn first_event_at(&self) -> Option<Duration> {
        self.first_event_at
    }

    /// Updates the state after an event.
    pub(super) fn on_event(&mut self, now: Duration, event: FileEvent) {
        let first = *self.first_event_at.get_or_insert(now);
        match event {
            FileEvent::Closed => {
                // The delay limit counts from the end of a long write, not from its first byte.
                let long = self.writing_since.is_some_and(|since| now.saturating_sub(since) > MAX_DELAY);
                if long || self.reported == Some(WaitReason::OpenForWriting) {
                    self.first_event_at = Some(now);
                }
                self.writing_since = None;
                self.read_after(now, self.quiet);
            }
            FileEvent::Replaced => {
                self.writing_since = None;
                self.read_after(now, if self.reports_close { Duration::ZERO } else { self.quiet });
            }
            FileEvent::Removed => {
                self.writing_since = None;
                self.read_soon(now);
            }
            FileEvent::MetadataChanged if self.writing_since.is_some() && self.reports_close => {}
            FileEvent::MetadataChanged => self.read_soon(now),
            FileEvent::Written if !self.reports_close => self.read_after(now, self.quiet),
            FileEvent::Written => {
                let since = *self.writing_since.get_or_insert(now);
                self.due = Some((since + WRITER_PATIENCE).max(now + WRITER_RETRY));
            }
            FileEvent::Created => self.read_after(now, QUIET_AFTER_CREATE),
            FileEvent::Unknown => {
                self.unexplained = true;
                self.due = Some(now);
            }
            FileEvent::Requested => {
                self.forced |= self.put_off || self.reported == Some(WaitReason::OpenForWriting);
                self.requested = true;
                self.unexplained = true;
                self.due = Some(now);
            }
        }
        debug_assert!(first <= now, "the monotonic clock went back");
    }

    /// Updates the state with the result of a read, and decides what to do next.
    pub(super) fn on_read(&mut self, now: Duration, found: Observation) -> Decision {
        self.due = None;
        let (hash, writer) = match found {
            Observation::Changing => return self.changing(now),
            Observation::Unreadable => return self.judge(),
            Observation::Missing | Observation::Dangling => {
                self.writing_since = None;
                return self.missing(now, found);
            }
            Observation::Empty(writer) => (None, writer),
            Observation::Content(hash, writer) => (Some(hash), writer),
        };
        self.changing_since = None;
        let is_open = match writer {
            OpenForWriting::Yes => true,
            OpenForWriting::No | OpenForWriting::Elsewhere => false,
            OpenForWriting::Unknown => self.writing_since.is_some(),
        };
        if is_open && !self.forced {
            return self.open_for_writing(now);
        }
        let is_still = writer != OpenForWriting::Elsewhere || self.stillness.is_still(now);
        if !is_still && !self.forced {
            return self.unsettled(now);
        }
        let Some(hash) = hash else { return self.missing(now, found) };
        self.missing_since = None;
        let is_complete = matches!(writer, OpenForWriting::No | OpenForWriting::Elsewhere)
            || (self.reports_close && !self.unexplained)
            || self.forced;
        if !is_complete && self.unconfirmed != Some(hash) {
            self.unconfirmed = Some(hash);
            self.due = Some(now + CONFIRM);
            return Decision::Wait;
        }
        self.judge()
    }

    /// Notes the state in which a look found a file on a foreign mount: a hash of its content and its metadata.
    pub(super) fn note_state(&mut self, now: Duration, state: ContentHash) {
        self.stillness.note(now, state);
    }

    /// Notes that the file on a foreign mount was judged in this state. If the next look finds the same
    /// state, the file may be judged at once.
    pub(super) fn note_judged(&mut self, state: ContentHash) {
        self.stillness.note_judged(state);
    }

    fn read_after(&mut self, now: Duration, quiet: Duration) {
        let first = *self.first_event_at.get_or_insert(now);
        self.due = Some((now + quiet).min(first + MAX_DELAY).max(now));
    }

    /// Reads the file after the quiet time, unless it is to be read now: a rename that replaces the file also changes the
    /// old file's metadata and removes it.
    fn read_soon(&mut self, now: Duration) {
        if self.due.is_none_or(|due| due > now) {
            self.read_after(now, self.quiet);
        }
    }

    fn judge(&mut self) -> Decision {
        self.reset();
        Decision::Judge
    }

    fn reset(&mut self) {
        let stillness = std::mem::take(&mut self.stillness);
        *self = Settle { stillness, ..Settle::new(self.reports_close) };
    }

    /// Decides after a read during which the file changed. Stops waiting after [`WRITER_PATIENCE`], because a
    /// file whose size never matches its content, such as one in `/proc`, counts as changed in every read.
    fn changing(&mut self, now: Duration) -> Decision {
        let since = *self.changing_since.get_or_insert(now);
        if now >= since + WRITER_PATIENCE {
            return self.judge();
        }
        self.due = Some(now + self.quiet);
        Decision::Wait
    }

    fn unsettled(&mut self, now: Duration) -> Decision {
        self.missing_since = None;
        self.due = Some(self.stillness.still_at(now).min(now + WAITING_RETRY));
        let is_news = self.reported != Some(WaitReason::Unsettled) || self.requested;
        if !is_news {
            return Decision::Wait;
        }
        self.reported = Some(WaitReason::Unsettled);
        self.put_off |= std::mem::take(&mut self.requested);
        Decision::Report(WaitReason::Unsettled)
    }

    fn open_for_writing(&mut self, now: Duration) -> Decision {
        let since = *self.writing_since.get_or_insert(now);
        let report_at = since + WRITER_PATIENCE;
        if now < report_at {
            self.due = Some((now + WRITER_RETRY).min(report_at));
            return Decision::Wait;
        }
        self.due = Some(now + WAITING_RETRY);
        if self.reported == Some(WaitReason::OpenForWriting) && !self.requested {
            return Decision::Wait;
        }
        self.reported = Some(WaitReason::OpenForWriting);
        self.requested = false;
        Decision::Report(WaitReason::OpenForWriting)
    }

    fn missing(&mut self, now: Duration, found: Observation) -> Decision {
        let since = *self.missing_since.get_or_insert(now);
        if now < since + MISSING_PATIENCE {
            self.due = Some(since + MISSING_PATIENCE);
            return Decision::Wait;
        }
        self.first_event_at = None;
        let already_reported = self.reported == Some(WaitReason::Missing);
        self.reported = Some(WaitReason::Missing);
        match (std::mem::take(&mut self.requested), already_reported) {
            // The link shows that the user keeps a configuration elsewhere, so the defaults are not what the
            // user wants.
            (true, _) if found == Observation::Dangling => Decision::Report(WaitReason::Missing),
            (true, _) => Decision::UseDefaults,
            (false, false) => Decision::Report(WaitReason::Missing),
            (false, true) => Decision::Wait,
        }
    }
}

#[cfg(test)]
mod tests;
