//! Tests of the rules that decide when the file is read and judged.

use proptest::prelude::*;

use super::FileEvent::{Closed, Created, MetadataChanged, Removed, Replaced, Requested, Unknown, Written};
use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn due(settle: &Settle) -> u64 {
    u64::try_from(settle.due().expect("a read is due").as_millis()).unwrap()
}

/// Returns the state after `events`, on a platform that reports when a program closes the file.
fn after(events: &[(u64, FileEvent)]) -> Settle {
    let mut settle = Settle::new(true);
    for (at, event) in events {
        settle.on_event(ms(*at), *event);
    }
    settle
}

fn content(bytes: &[u8], writer: OpenForWriting) -> Observation {
    Observation::Content(ContentHash::of(bytes), writer)
}

fn closed_file() -> Observation {
    content(b"a", OpenForWriting::No)
}

fn open_file() -> Observation {
    content(b"a", OpenForWriting::Yes)
}

/// The result of a read on a file system without leases.
fn file() -> Observation {
    content(b"a", OpenForWriting::Unknown)
}

#[test]
fn each_kind_of_save_is_read_when_it_is_complete() {
    let cases: [(&[(u64, FileEvent)], u64); 13] = [
        (&[(100, Written), (101, Closed)], 121),
        (&[(100, Removed), (100, Replaced)], 100),
        (&[(100, Replaced), (110, Replaced)], 110),
        // The rename changed and removed the old file.
        (&[(100, Replaced), (100, MetadataChanged), (101, Removed)], 100),
        (&[(100, Created)], 250),
        (&[(100, MetadataChanged)], 120),
        (&[(100, Removed), (101, Created), (102, Written), (103, Closed)], 123),
        (&[(100, Written), (3000, Closed)], 3020),
        (&[(100, Written), (101, MetadataChanged), (102, Closed)], 122),
        (&[(100, Written), (101, Replaced)], 101),
        (&[(100, Written), (101, Removed), (102, MetadataChanged)], 122),
        (&[(100, Unknown)], 100),
        (&[(100, Written), (101, Requested)], 101),
    ];
    for (events, at) in cases {
        let mut settle = after(events);
        assert_eq!(due(&settle), at, "{events:?}");
        assert_eq!(settle.first_event_at(), Some(ms(if at == 3020 { 3000 } else { 100 })), "{events:?}");
        assert_eq!(settle.on_read(ms(at), closed_file()), Decision::Judge, "{events:?}");
        assert_eq!((settle.due(), settle.first_event_at()), (None, None), "{events:?}");
    }
}

#[test]
fn an_open_file_is_read_when_the_writer_is_late() {
    assert_eq!(due(&after(&[(100, Written)])), 5100);
    assert_eq!(due(&after(&[(100, Written), (101, MetadataChanged)])), 5100, "metadata shows no end");
    assert_eq!(due(&after(&[(100, Written), (4900, Written)])), 5150);
    assert_eq!(due(&after(&[(100, Written), (4800, Written)])), 5100);
}

#[test]
fn a_long_write_does_not_shorten_the_quiet_period_after_it() {
    // After a write that took longer than the delay limit, the limit counts from the end of the write.
    for (closed, first_event) in [(1000, 0), (1001, 1001)] {
        let settle = after(&[(0, Written), (closed, Closed)]);
        assert_eq!(settle.first_event_at(), Some(ms(first_event)), "{closed}");
        assert_eq!(due(&settle), if closed == 1000 { 1000 } else { 1021 }, "{closed}");
    }
}

#[test]
fn events_without_a_writer_delay_the_read_for_one_second_at_most() {
    let mut settle = Settle::new(true);
    for at in (0..2000).step_by(10) {
        settle.on_event(ms(at), MetadataChanged);
        let expected = (at + 20).min(1000);
        assert_eq!(due(&settle), expected, "{at}");
    }
}

#[test]
fn a_file_that_stays_open_is_reported_once_after_five_seconds() {
    let mut settle = after(&[(0, Written)]);
    assert_eq!(settle.on_read(ms(4999), open_file()), Decision::Wait);
    assert_eq!(due(&settle), 5000);
    assert_eq!(settle.on_read(ms(5000), open_file()), Decision::Report(WaitReason::OpenForWriting));
    assert_eq!(due(&settle), 6000);
    settle.on_event(ms(5400), Written);
    assert_eq!(due(&settle), 5650);
    assert_eq!(settle.on_read(ms(5650), open_file()), Decision::Wait);
    assert_eq!(due(&settle), 6650);
    settle.on_event(ms(7000), Closed);
    assert_eq!((due(&settle), settle.first_event_at()), (7020, Some(ms(7000))));
    assert_eq!(settle.on_read(ms(7020), closed_file()), Decision::Judge);
}

#[test]
fn a_short_write_after_the_report_counts_from_its_end() {
    let mut settle = after(&[(0, Unknown)]);
    assert_eq!(settle.on_read(ms(0), open_file()), Decision::Wait);
    assert_eq!(due(&settle), 250);
    assert_eq!(settle.on_read(ms(5000), open_file()), Decision::Report(WaitReason::OpenForWriting));
    settle.on_event(ms(5100), Removed);
    settle.on_event(ms(5200), Closed);
    assert_eq!((due(&settle), settle.first_event_at()), (5220, Some(ms(5200))));
}

#[test]
fn a_request_waits_for_the_writer_until_the_report_and_a_second_one_forces_the_read() {
    let mut settle = after(&[(0, Written), (10, Requested)]);
    let mut now = 10;
    let reported = loop {
        match settle.on_read(ms(now), open_file()) {
            Decision::Wait => now = due(&settle),
            other => break other,
        }
    };
    assert_eq!((reported, now), (Decision::Report(WaitReason::OpenForWriting), 5000));
    settle.on_event(ms(5100), Requested);
    assert_eq!(settle.on_read(ms(5100), open_file()), Decision::Judge);
    // A request forces one read only: the next reload waits for the writer again.
    settle.on_event(ms(6000), Requested);
    assert_eq!(settle.on_read(ms(6000), open_file()), Decision::Wait);
}

#[test]
fn a_forced_read_needs_no_lease() {
    let mut settle = after(&[(0, Written)]);
    assert_eq!(settle.on_read(ms(5000), file()), Decision::Report(WaitReason::OpenForWriting));
    settle.on_event(ms(5100), Requested);
    assert_eq!(settle.on_read(ms(5100), file()), Decision::Judge);
}

#[test]
fn a_request_before_the_report_is_answered_by_it_and_does_not_force() {
    let mut settle = after(&[(0, Written)]);
    assert_eq!(settle.on_read(ms(5000), open_file()), Decision::Report(WaitReason::OpenForWriting));
    settle.on_event(ms(5001), Closed);
    // Another program has the file open by now.
    settle.on_event(ms(5002), Written);
    assert_eq!(settle.on_read(ms(10_002), open_file()), Decision::Wait, "reported already");
    assert_eq!(due(&settle), 11_002);
}

#[test]
fn a_missing_or_empty_file_is_reported_after_a_second_and_means_defaults_on_request() {
    for found in
        [Observation::Missing, Observation::Empty(OpenForWriting::No), Observation::Empty(OpenForWriting::Unknown)]
    {
        let mut settle = after(&[(0, Removed)]);
        assert_eq!(settle.on_read(ms(20), found), Decision::Wait);
        assert_eq!(due(&settle), 1020);
        assert_eq!(settle.on_read(ms(1019), found), Decision::Wait);
        assert_eq!(settle.on_read(ms(1020), found), Decision::Report(WaitReason::Missing));
        assert_eq!((settle.due(), settle.first_event_at()), (None, None));
        settle.on_event(ms(9000), MetadataChanged);
        assert_eq!(settle.on_read(ms(9020), found), Decision::Wait, "reported already");
        assert_eq!(settle.due(), None);
        settle.on_event(ms(9500), Requested);
        assert_eq!(settle.on_read(ms(9500), found), Decision::UseDefaults);
        settle.on_event(ms(9600), Unknown);
        assert_eq!(settle.on_read(ms(9600), found), Decision::Wait, "the request was answered");
    }
}

#[test]
fn a_request_while_the_file_is_missing_waits_for_the_end_of_the_save() {
    let mut settle = after(&[(0, Requested)]);
    assert_eq!(settle.on_read(ms(0), Observation::Missing), Decision::Wait);
    settle.on_event(ms(5), Created);
    settle.on_event(ms(6), Closed);
    assert_eq!(settle.on_read(ms(26), closed_file()), Decision::Judge);
}

#[test]
fn a_file_that_comes_back_and_goes_again_gets_a_new_second() {
    let mut settle = after(&[(0, Unknown)]);
    assert_eq!(settle.on_read(ms(0), Observation::Missing), Decision::Wait);
    assert_eq!(settle.on_read(ms(900), file()), Decision::Wait, "a second read must confirm the content");
    assert_eq!(settle.on_read(ms(950), Observation::Missing), Decision::Wait);
    assert_eq!(due(&settle), 1950);
}

#[test]
fn a_missing_file_ends_the_write_before_it() {
    let mut settle = after(&[(0, Written)]);
    assert_eq!(settle.on_read(ms(5000), Observation::Missing), Decision::Wait);
    assert_eq!(settle.on_read(ms(5100), file()), Decision::Judge);
}

#[test]
fn an_emptied_file_that_is_open_is_a_write_in_progress() {
    let mut settle = after(&[(0, Written), (10, Requested)]);
    assert_eq!(settle.on_read(ms(10), Observation::Empty(OpenForWriting::Yes)), Decision::Wait);
    assert_eq!(due(&settle), 260);
    let mut without_lease = after(&[(0, Written), (10, Requested)]);
    assert_eq!(without_lease.on_read(ms(10), Observation::Empty(OpenForWriting::Unknown)), Decision::Wait);
    assert_eq!(due(&without_lease), 260);
}

#[test]
fn without_a_lease_the_event_proves_that_the_file_is_complete() {
    assert_eq!(after(&[(0, Closed)]).on_read(ms(20), file()), Decision::Judge);
}

#[test]
fn without_a_lease_or_an_event_two_reads_must_agree() {
    for event in [Unknown, Requested] {
        let mut settle = after(&[(0, event)]);
        assert_eq!(settle.on_read(ms(0), file()), Decision::Wait);
        assert_eq!(due(&settle), 50);
        assert_eq!(settle.on_read(ms(50), content(b"b", OpenForWriting::Unknown)), Decision::Wait);
        assert_eq!(settle.on_read(ms(100), content(b"b", OpenForWriting::Unknown)), Decision::Judge);
        let mut with_lease = after(&[(0, event)]);
        assert_eq!(with_lease.on_read(ms(0), closed_file()), Decision::Judge);
    }
}

#[test]
fn a_platform_that_does_not_report_closing_waits_longer_and_reads_twice() {
    for event in [Written, Closed, Replaced, MetadataChanged, Removed, Created] {
        let mut settle = Settle::new(false);
        settle.on_event(ms(0), event);
        assert_eq!(due(&settle), 150, "{event:?}");
        assert_eq!(settle.on_read(ms(150), file()), Decision::Wait);
        assert_eq!(settle.on_read(ms(200), file()), Decision::Judge);
    }
}

#[test]
fn a_file_that_changes_during_the_read_is_read_again() {
    let mut settle = after(&[(0, Closed)]);
    assert_eq!(settle.on_read(ms(20), Observation::Changing), Decision::Wait);
    assert_eq!(due(&settle), 40);
    assert_eq!(settle.on_read(ms(40), closed_file()), Decision::Judge);
}

/// A look at a file on a foreign mount.
fn elsewhere(bytes: &[u8]) -> Observation {
    content(bytes, OpenForWriting::Elsewhere)
}

/// Lets `settle` look at a file on a foreign mount.
fn look(settle: &mut Settle, at: u64, bytes: &[u8]) -> Decision {
    settle.note_state(ms(at), ContentHash::of(bytes));
    let found = if bytes.is_empty() { Observation::Empty(OpenForWriting::Elsewhere) } else { elsewhere(bytes) };
    settle.on_read(ms(at), found)
}

#[test]
fn a_file_on_a_foreign_mount_is_judged_when_it_has_been_the_same_for_six_seconds() {
    let mut settle = after(&[(0, Unknown)]);
    assert_eq!(look(&mut settle, 0, b"half"), Decision::Report(WaitReason::Unsettled));
    assert_eq!(due(&settle), 1000);
    assert_eq!(look(&mut settle, 1000, b"half"), Decision::Wait, "reported already");
    // The writer goes on after four seconds.
    assert_eq!(look(&mut settle, 4000, b"whole"), Decision::Wait);
    for at in [5000, 6000, 7000, 9999] {
        assert_eq!(look(&mut settle, at, b"whole"), Decision::Wait, "{at}");
    }
    assert_eq!(due(&settle), 10_000);
    assert_eq!(look(&mut settle, 10_000, b"whole"), Decision::Judge);
    assert_eq!(settle.due(), None);
}

#[test]
fn a_request_takes_a_file_on_a_foreign_mount_unless_it_was_changed_a_moment_ago() {
    let mut settle = Settle::new(true);
    // The poll has found the same file for long.
    settle.note_state(ms(0), ContentHash::of(b"old"));
    settle.note_state(ms(7000), ContentHash::of(b"old"));
    settle.on_event(ms(7500), Requested);
    assert_eq!(look(&mut settle, 7500, b"old"), Decision::Judge);
    settle.note_judged(ContentHash::of(b"old"));
    // It has changed since the last poll: the first request is told so, and the second one takes it.
    settle.on_event(ms(20_000), Requested);
    assert_eq!(look(&mut settle, 20_000, b"new"), Decision::Report(WaitReason::Unsettled));
    settle.on_event(ms(20_100), Requested);
    assert_eq!(look(&mut settle, 20_100, b"newer"), Decision::Judge, "whatever it contains now");
    // What was judged is not waited for again.
    settle.note_judged(ContentHash::of(b"newer"));
    settle.on_event(ms(20_200), Requested);
    assert_eq!(look(&mut settle, 20_200, b"newer"), Decision::Judge);
}

#[test]
fn the_poll_reports_a_change_and_a_first_request_after_it_does_not_force() {
    let mut settle = after(&[(0, Unknown)]);
    assert_eq!(look(&mut settle, 0, b"half"), Decision::Report(WaitReason::Unsettled));
    settle.on_event(ms(500), Requested);
    assert_eq!(look(&mut settle, 500, b"half"), Decision::Report(WaitReason::Unsettled));
    settle.on_event(ms(600), Requested);
    assert_eq!(look(&mut settle, 600, b"half"), Decision::Judge);
}

#[test]
fn an_emptied_file_on_a_foreign_mount_is_a_change_first_and_missing_then() {
    let mut settle = after(&[(0, Requested)]);
    assert_eq!(look(&mut settle, 0, b""), Decision::Report(WaitReason::Unsettled));
    assert_eq!(look(&mut settle, 6000, b""), Decision::Wait);
    assert_eq!(look(&mut settle, 7000, b""), Decision::Report(WaitReason::Missing), "the request was answered before");
}

#[test]
fn a_dangling_link_never_means_the_defaults() {
    let mut settle = after(&[(0, Requested)]);
    assert_eq!(settle.on_read(ms(0), Observation::Dangling), Decision::Wait);
    assert_eq!(settle.on_read(ms(1000), Observation::Dangling), Decision::Report(WaitReason::Missing));
    settle.on_event(ms(2000), Requested);
    assert_eq!(settle.on_read(ms(2000), Observation::Dangling), Decision::Report(WaitReason::Missing));
}

#[test]
fn a_file_that_changes_at_every_read_is_judged_after_five_seconds() {
    let mut settle = after(&[(0, Requested)]);
    let mut now = 0;
    while settle.on_read(ms(now), Observation::Changing) == Decision::Wait {
        now = due(&settle);
    }
    assert_eq!((now, settle.due()), (5000, None));
}

#[test]
fn a_file_that_cannot_be_read_is_judged_at_once() {
    let mut settle = after(&[(0, Requested)]);
    assert_eq!(settle.on_read(ms(0), Observation::Unreadable), Decision::Judge);
    assert_eq!(settle.due(), None);
}

fn any_event() -> impl Strategy<Value = FileEvent> {
    prop::sample::select(vec![Closed, Replaced, MetadataChanged, Written, Created, Removed, Unknown, Requested])
}

proptest! {
    /// Every event causes a read, the state becomes idle again after a bounded number of reads, and a file
    /// that a program has open is judged only after a request.
    #[test]
    fn every_event_is_settled_and_no_open_file_is_judged(
        events in prop::collection::vec((0u64..3000, any_event()), 1..40), open_until in 0u64..40_000,
    ) {
        let mut settle = Settle::new(true);
        let (mut now, mut requested) = (0, false);
        let mut pending = events.into_iter();
        let mut next = pending.next();
        let mut at = 0;
        for _ in 0..10_000 {
            let read_at = settle.due().map(|due| u64::try_from(due.as_millis()).unwrap());
            match (next, read_at) {
                (Some((wait, event)), due) if due.is_none_or(|due| at + wait <= due) => {
                    at += wait;
                    now = now.max(at);
                    settle.on_event(ms(now), event);
                    prop_assert!(settle.due().is_some(), "{:?} leads to no read", event);
                    requested |= event == Requested;
                    next = pending.next();
                }
                (_, Some(due)) => {
                    now = now.max(due);
                    at = at.max(now);
                    let open = now < open_until;
                    let decision = settle.on_read(ms(now), if open { open_file() } else { closed_file() });
                    prop_assert!(decision != Decision::Judge || !open || requested, "an open file was judged at {}", now);
                }
                (None, None) => return Ok(()),
                (Some(_), None) => unreachable!("taken by the first arm"),
            }
        }
        prop_assert!(false, "the state never became idle again");
    }
}
