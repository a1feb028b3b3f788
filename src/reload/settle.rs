//! When the configuration file is looked at, and when what is found counts: no half-written file ever does.
//!
//! A half-saved TOML file usually is valid TOML, and an empty one means "all defaults", so validity says nothing about
//! completeness. What does:
//!
//! | seen | the file is looked at |
//! | --- | --- |
//! | closed after writing; renamed, linked or made into place | after 20 ms of quiet |
//! | data written, the writer still has it open | when it closes it; after 5 s the user is told that boi waits |
//! | made and nothing else (a hard link) | after 150 ms |
//! | not there, or empty | again within 1 s; then the user is told that it is missing |
//! | no end of changes, nobody has it open | 1 s after the first |
//! | nothing that says which of these (a regular look, a lost event, SIGHUP) | at once |
//!
//! ```text
//!            notice                        look: whole, nobody writes
//!   at rest ───────▶ due ──▶ look ──┬───────────────────────────────────▶ Judge ──▶ at rest
//!                     ▲             ├─ somebody writes ─▶ held ─ 5 s ──▶ Tell(Writer), still held
//!                     └─────────────┼─ torn ─▶ due again
//!                                   └─ absent or empty ─▶ held ─ 1 s ─┬▶ Tell(Missing) ──▶ at rest
//!                                                                     └▶ Defaults, if SIGHUP asked
//! ```
//!
//! SIGHUP skips the quiet and keeps both holds. One that comes after `Tell(Writer)` means it: the file is read as it is.
//!
//! Times are durations on one monotonic clock; whoever asks brings the "now".

use std::time::Duration;

/// Quiet after something complete.
const QUIET: Duration = Duration::from_millis(20);
/// Quiet where nothing tells that a writer has closed the file.
const QUIET_WITHOUT_CLOSE: Duration = Duration::from_millis(150);
/// Quiet after a file was made and nothing else.
const ALONE: Duration = Duration::from_millis(150);
/// The longest that changes without a writer put off the look.
const STORM: Duration = Duration::from_secs(1);
/// How long a writer may take before the user is told.
const WRITER: Duration = Duration::from_secs(5);
/// How often a file is looked at while somebody has it open.
const WRITER_AGAIN: Duration = Duration::from_millis(250);
/// How long a file may be missing or empty in the course of an ordinary save.
const ABSENT: Duration = Duration::from_secs(1);
/// Between two looks that must find the same, where nothing else vouches for the file.
const CONFIRM: Duration = Duration::from_millis(50);

/// What was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A writer closed the file.
    Closed,
    /// The file, or a link on the way to it, was put into place as a whole.
    Replaced,
    /// Its mode, owner or times changed.
    Touched,
    /// Data was written to it.
    Written,
    /// It was made.
    Created,
    /// It was removed or renamed away.
    Gone,
    /// Something may have changed: events were lost, or the regular look found a difference.
    Doubt,
    /// SIGHUP.
    Asked,
}

/// Whether somebody has the file open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Nobody has.
    Nobody,
    /// Somebody has.
    Somebody,
    /// The file system cannot tell.
    Unknown,
}

/// The hash of a file's bytes.
pub type Hash = [u8; 32];

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// No file.
    Absent,
    /// A file of no bytes.
    Empty(Writer),
    /// A file.
    Whole(Hash, Writer),
    /// A file that changed while it was read.
    Torn,
    /// Something that cannot be read.
    Unreadable,
}

/// What keeps a reading from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A writer that does not close the file.
    Writer,
    /// There is no file, or an empty one.
    Missing,
}

/// What to do with what a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Nothing yet: see [`Settle::due`].
    Wait,
    /// It counts: validate it.
    Judge,
    /// There is no file, and the user asked: all defaults.
    Defaults,
    /// What is in force stays; the user is to know why.
    Tell(Held),
}

/// Where the reading stands.
#[derive(Debug, Clone)]
pub struct Settle {
    quiet: Duration,
    closes_are_seen: bool,
    first: Option<Duration>,
    look_at: Option<Duration>,
    writing: Option<Duration>,
    absent: Option<Duration>,
    seen: Option<Hash>,
    doubt: bool,
    asked: bool,
    insists: bool,
    told: Option<Held>,
}

impl Settle {
    /// At rest. `closes_are_seen`: whether the platform tells when a writer closes a file.
    pub fn new(closes_are_seen: bool) -> Settle {
        Settle {
            quiet: if closes_are_seen { QUIET } else { QUIET_WITHOUT_CLOSE },
            closes_are_seen,
            first: None,
            look_at: None,
            writing: None,
            absent: None,
            seen: None,
            doubt: false,
            asked: false,
            insists: false,
            told: None,
        }
    }

    /// When the file is to be looked at; `None`: nothing is expected.
    pub fn due(&self) -> Option<Duration> {
        self.look_at
    }

    /// When the first sign of the change came that is being settled.
    pub fn since(&self) -> Option<Duration> {
        self.first
    }

    /// Takes in what was noticed.
    pub fn notice(&mut self, now: Duration, notice: Notice) {
        let first = *self.first.get_or_insert(now);
        match notice {
            Notice::Closed => {
                // What a long write took is no storm.
                let long = self.writing.is_some_and(|since| now.saturating_sub(since) > STORM);
                if long || self.told == Some(Held::Writer) {
                    self.first = Some(now);
                }
                self.writing = None;
                self.after_quiet(now, self.quiet);
            }
            Notice::Replaced | Notice::Gone => {
                self.writing = None;
                self.after_quiet(now, self.quiet);
            }
            Notice::Touched if self.writing.is_some() && self.closes_are_seen => {}
            Notice::Touched => self.after_quiet(now, self.quiet),
            Notice::Written if !self.closes_are_seen => self.after_quiet(now, self.quiet),
            Notice::Written => {
                let since = *self.writing.get_or_insert(now);
                self.look_at = Some((since + WRITER).max(now + WRITER_AGAIN));
            }
            Notice::Created => self.after_quiet(now, ALONE),
            Notice::Doubt => {
                self.doubt = true;
                self.look_at = Some(now);
            }
            Notice::Asked => {
                self.insists |= self.told == Some(Held::Writer);
                self.asked = true;
                self.doubt = true;
                self.look_at = Some(now);
            }
        }
        debug_assert!(first <= now, "the clock went back");
    }

    /// Takes in what the look found that was due.
    pub fn looked(&mut self, now: Duration, look: Look) -> Next {
        self.look_at = None;
        let (hash, writer) = match look {
            Look::Torn => {
                self.look_at = Some(now + self.quiet);
                return Next::Wait;
            }
            Look::Unreadable => return self.judged(),
            Look::Absent => {
                self.writing = None;
                return self.absent(now);
            }
            Look::Empty(writer) => (None, writer),
            Look::Whole(hash, writer) => (Some(hash), writer),
        };
        let written = match writer {
            Writer::Somebody => true,
            Writer::Nobody => false,
            Writer::Unknown => self.writing.is_some(),
        };
        if written && !self.insists {
            return self.held(now);
        }
        let Some(hash) = hash else { return self.absent(now) };
        self.absent = None;
        let vouched = writer == Writer::Nobody || (self.closes_are_seen && !self.doubt) || self.insists;
        if !vouched && self.seen != Some(hash) {
            self.seen = Some(hash);
            self.look_at = Some(now + CONFIRM);
            return Next::Wait;
        }
        self.judged()
    }

    fn after_quiet(&mut self, now: Duration, quiet: Duration) {
        let first = *self.first.get_or_insert(now);
        self.look_at = Some((now + quiet).min(first + STORM).max(now));
    }

    fn judged(&mut self) -> Next {
        *self = Settle::new(self.closes_are_seen);
        Next::Judge
    }

    fn held(&mut self, now: Duration) -> Next {
        let since = *self.writing.get_or_insert(now);
        let told = since + WRITER;
        if now < told {
            self.look_at = Some((now + WRITER_AGAIN).min(told));
            return Next::Wait;
        }
        self.look_at = Some(now + ABSENT);
        if self.told == Some(Held::Writer) && !self.asked {
            return Next::Wait;
        }
        self.told = Some(Held::Writer);
        self.asked = false;
        Next::Tell(Held::Writer)
    }

    fn absent(&mut self, now: Duration) -> Next {
        let since = *self.absent.get_or_insert(now);
        if now < since + ABSENT {
            self.look_at = Some(since + ABSENT);
            return Next::Wait;
        }
        self.first = None;
        let known = self.told == Some(Held::Missing);
        self.told = Some(Held::Missing);
        match (std::mem::take(&mut self.asked), known) {
            (true, _) => Next::Defaults,
            (false, false) => Next::Tell(Held::Missing),
            (false, true) => Next::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Hash = [1; 32];
    const B: Hash = [2; 32];

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn due(settle: &Settle) -> u64 {
        u64::try_from(settle.due().expect("a look is due").as_millis()).unwrap()
    }

    fn noticed(notices: &[(u64, Notice)]) -> Settle {
        let mut settle = Settle::new(true);
        for (at, notice) in notices {
            settle.notice(ms(*at), *notice);
        }
        settle
    }

    fn whole(writer: Writer) -> Look {
        Look::Whole(A, writer)
    }

    #[test]
    fn each_save_waits_for_its_own_end() {
        use Notice::{Closed, Created, Gone, Replaced, Written};
        let cases: [(&[(u64, Notice)], u64); 6] = [
            (&[(100, Written), (101, Closed)], 121),
            (&[(100, Gone), (100, Replaced)], 120),
            (&[(100, Created)], 250),
            (&[(100, Gone), (101, Created), (102, Written), (103, Closed)], 123),
            (&[(100, Written)], 5100),
            (&[(100, Written), (3000, Closed)], 3020),
        ];
        for (notices, at) in cases {
            let mut settle = noticed(notices);
            assert_eq!(due(&settle), at, "{notices:?}");
            if at < 5000 {
                assert_eq!(settle.looked(ms(at), whole(Writer::Nobody)), Next::Judge, "{notices:?}");
                assert_eq!(settle.due(), None, "{notices:?}");
            }
        }
    }

    #[test]
    fn a_storm_without_a_writer_puts_the_look_off_for_one_second_at_most() {
        let mut settle = Settle::new(true);
        for at in (0..2000).step_by(10) {
            settle.notice(ms(at), Notice::Replaced);
            assert!(due(&settle) <= at.max(1000), "{at}: {}", due(&settle));
        }
    }

    #[test]
    fn a_writer_holds_the_look_and_the_user_is_told_once_after_five_seconds() {
        let mut settle = noticed(&[(0, Notice::Written)]);
        assert_eq!(settle.looked(ms(5000), whole(Writer::Somebody)), Next::Tell(Held::Writer));
        settle.notice(ms(5400), Notice::Written);
        let at = due(&settle);
        assert_eq!(settle.looked(ms(at), whole(Writer::Somebody)), Next::Wait);
        settle.notice(ms(7000), Notice::Closed);
        assert_eq!(due(&settle), 7020);
        assert_eq!(settle.looked(ms(7020), whole(Writer::Nobody)), Next::Judge);
    }

    #[test]
    fn asking_keeps_the_hold_of_a_writer_until_the_user_was_told_and_asks_again() {
        let mut settle = noticed(&[(0, Notice::Written), (10, Notice::Asked)]);
        assert_eq!(due(&settle), 10);
        let mut now = 10;
        let told = loop {
            match settle.looked(ms(now), whole(Writer::Somebody)) {
                Next::Wait => now = due(&settle),
                other => break other,
            }
        };
        assert_eq!((told, now), (Next::Tell(Held::Writer), 5000));
        settle.notice(ms(5100), Notice::Asked);
        assert_eq!(settle.looked(ms(5100), whole(Writer::Somebody)), Next::Judge);
    }

    #[test]
    fn a_missing_or_empty_file_is_told_of_after_a_second_and_means_defaults_when_asked() {
        for look in [Look::Absent, Look::Empty(Writer::Nobody)] {
            let mut settle = noticed(&[(0, Notice::Gone)]);
            assert_eq!(settle.looked(ms(20), look), Next::Wait);
            assert_eq!(due(&settle), 1020);
            assert_eq!(settle.looked(ms(1020), look), Next::Tell(Held::Missing));
            assert_eq!(settle.due(), None);
            settle.notice(ms(9000), Notice::Touched);
            assert_eq!(settle.looked(ms(9020), look), Next::Wait);
            settle.notice(ms(9500), Notice::Asked);
            assert_eq!(settle.looked(ms(9500), look), Next::Defaults);
        }
        let mut settle = noticed(&[(0, Notice::Asked)]);
        assert_eq!(settle.looked(ms(0), Look::Absent), Next::Wait, "SIGHUP in the middle of a save");
        settle.notice(ms(5), Notice::Created);
        settle.notice(ms(6), Notice::Closed);
        assert_eq!(settle.looked(ms(26), whole(Writer::Nobody)), Next::Judge);
    }

    #[test]
    fn an_emptied_file_that_is_open_is_a_write_in_progress() {
        let mut settle = noticed(&[(0, Notice::Written)]);
        settle.notice(ms(10), Notice::Asked);
        assert_eq!(settle.looked(ms(10), Look::Empty(Writer::Somebody)), Next::Wait);
        assert_eq!(due(&settle), 260);
    }

    #[test]
    fn where_nothing_vouches_two_looks_must_agree() {
        let mut settle = noticed(&[(0, Notice::Doubt)]);
        assert_eq!(settle.looked(ms(0), whole(Writer::Unknown)), Next::Wait);
        assert_eq!(due(&settle), 50);
        assert_eq!(settle.looked(ms(50), Look::Whole(B, Writer::Unknown)), Next::Wait);
        assert_eq!(settle.looked(ms(100), Look::Whole(B, Writer::Unknown)), Next::Judge);

        let mut without_closes = Settle::new(false);
        without_closes.notice(ms(0), Notice::Written);
        assert_eq!(due(&without_closes), 150);
        assert_eq!(without_closes.looked(ms(150), whole(Writer::Unknown)), Next::Wait);
        assert_eq!(without_closes.looked(ms(200), whole(Writer::Unknown)), Next::Judge);
    }

    #[test]
    fn a_file_that_changes_under_the_reader_is_read_again() {
        let mut settle = noticed(&[(0, Notice::Closed)]);
        assert_eq!(settle.looked(ms(20), Look::Torn), Next::Wait);
        assert_eq!(settle.looked(ms(40), whole(Writer::Nobody)), Next::Judge);
    }

    fn any_notice() -> impl Strategy<Value = Notice> {
        use Notice::{Asked, Closed, Created, Doubt, Gone, Replaced, Touched, Written};
        prop::sample::select(vec![Closed, Replaced, Touched, Written, Created, Gone, Doubt, Asked])
    }

    proptest! {
        /// Whatever comes: a notice always leads to a look, a look to a verdict within the holds, and a file that
        /// somebody writes is judged only when the user insists.
        #[test]
        fn every_notice_is_settled_and_no_open_file_is_judged(
            notices in prop::collection::vec((0u64..3000, any_notice()), 1..40), open_until in 0u64..40_000,
        ) {
            let mut settle = Settle::new(true);
            let (mut now, mut told) = (0, false);
            let mut pending = notices.into_iter();
            let mut next = pending.next();
            let mut at = 0;
            for _ in 0..10_000 {
                let look_at = settle.due().map(|due| u64::try_from(due.as_millis()).unwrap());
                match (next, look_at) {
                    (Some((wait, notice)), due) if due.is_none_or(|due| at + wait <= due) => {
                        at += wait;
                        now = now.max(at);
                        settle.notice(ms(now), notice);
                        prop_assert!(settle.due().is_some(), "{:?} leads to no look", notice);
                        told |= notice == Notice::Asked;
                        next = pending.next();
                    }
                    (_, Some(due)) => {
                        now = now.max(due);
                        at = at.max(now);
                        let open = now < open_until;
                        let writer = if open { Writer::Somebody } else { Writer::Nobody };
                        let verdict = settle.looked(ms(now), whole(writer));
                        prop_assert!(verdict != Next::Judge || !open || told, "an open file was judged at {}", now);
                    }
                    (None, None) => return Ok(()),
                    (Some(_), None) => unreachable!("taken by the first arm"),
                }
            }
            prop_assert!(false, "never at rest");
        }
    }
}
