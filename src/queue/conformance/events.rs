//! Tests of the stream of events and of the progress of hooks.

use super::*;
use crate::domain::event::{self, Event, QueuedBy};
use crate::domain::hold::{Hold, HoldCause};
use crate::domain::landing::LandingChange;
use crate::domain::life::{Block, BudgetKey, UsedUp};

fn all(queue: &dyn Queue) -> Vec<Event> {
    queue.events(Cursor::START, &EventFilter::default(), 10_000).unwrap().events
}

/// Returns the names of the kinds of the events after `seen`, and moves `seen` to the end.
fn kinds(queue: &dyn Queue, seen: &mut Cursor) -> String {
    let page = queue.events(*seen, &EventFilter::default(), 10_000).unwrap();
    assert!(page.is_last);
    *seen = page.next;
    page.events.iter().map(|event| event.what.kind_name()).collect::<Vec<_>>().join(" ")
}

fn back(claim: &Claimed) -> GiveBack {
    GiveBack {
        position: claim.position.clone(),
        changes: vec![],
        cause: Some(Cause::Stopped),
        not_before: None,
        setback: false,
        lane: None,
    }
}

pub(in crate::queue) fn each_transition_appends_its_events_and_a_failed_verb_none<F: Factory>() {
    let (_storage, queue) = F::queue();
    let (queue, mut seen) = (queue.as_ref(), Cursor::START);
    let unknown = Spec { after: vec!["S0000".parse().unwrap()], ..spec("b") };
    enqueue(queue, vec![spec("a"), unknown], NOW).unwrap_err();
    assert_eq!(kinds(queue, &mut seen), "");
    let id = enqueue(queue, vec![spec("a")], NOW).unwrap().remove(0);
    let waits = enqueue(queue, vec![Spec { after: vec![id.clone()], ..spec("b") }], NOW).unwrap().remove(0);
    assert_eq!(kinds(queue, &mut seen), "spec.queued spec.queued");
    let claim = |queue: &dyn Queue| queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let one = claim(queue);
    queue.give_back(&one.fence, back(&one), NOW).unwrap();
    assert_eq!(kinds(queue, &mut seen), "", "no worker was started");
    let one = claim(queue);
    queue.record_start(&one.fence, NOW).unwrap();
    queue.record_start(&one.fence, NOW).unwrap();
    assert_eq!(kinds(queue, &mut seen), "spec.started");
    let of = |number| Try { task: 0, number };
    let ended = |number, outcome| RecordChange::TryEnded { of: of(number), outcome, report: AgentReport::default() };
    let changes = vec![
        RecordChange::TryBegan { of: of(1) },
        ended(1, TryOutcome::TimedOut),
        RecordChange::TryBegan { of: of(2) },
        ended(2, TryOutcome::Succeeded),
        RecordChange::TaskDone { task: 0, commit: Some("abc".into()), unchanged: false },
    ];
    queue.record(&one.fence, &one.position, changes, NOW).unwrap();
    assert_eq!(kinds(queue, &mut seen), "task.started try.ended try.ended task.done");
    queue.give_back(&one.fence, back(&one), NOW).unwrap();
    let last = all(queue).pop().unwrap();
    let Happening::SpecQueued(queued) = &last.what else { panic!("{last:?}") };
    assert_eq!((queued.by, queued.cause.as_ref()), (QueuedBy::GiveBack, Some(&Cause::Stopped)));
    assert_eq!((last.spec.as_ref(), last.title.as_deref(), last.attempt), (Some(&id), Some("a"), Some(1)));
    let one = claim(queue);
    queue.finish(&one.fence, &failed(), NOW).unwrap();
    assert_eq!(kinds(queue, &mut seen), "spec.queued spec.failed spec.failed");
    assert_eq!(all(queue).pop().unwrap().spec, Some(waits.clone()));
    queue.finish(&one.fence, &failed(), NOW).unwrap_err();
    queue.retry(&id, None, NOW).unwrap();
    assert_eq!(kinds(queue, &mut seen), "spec.queued spec.queued");
    queue.cancel(&waits, NOW).unwrap();
    queue.stop(&id, NOW).unwrap();
    queue.retry(&id, None, NOW).unwrap();
    assert_eq!(kinds(queue, &mut seen), "spec.canceled spec.blocked spec.queued");
    let one = claim(queue);
    queue.finish(&one.fence, &Ending::Completed(Delivered::Merged), NOW).unwrap();
    assert_eq!(kinds(queue, &mut seen), "spec.completed spec.merged");
    let hold = Hold {
        cause: HoldCause::Refused(crate::domain::outcome::Refusal::Auth),
        since: NOW,
        until: None,
        evidence: String::new(),
        first: None,
        refused_probes: 0,
        probe: None,
    };
    queue.set_hold("claude", Some(hold.clone()), NOW).unwrap();
    queue.set_hold("claude", Some(Hold { refused_probes: 1, ..hold }), NOW).unwrap();
    queue.set_hold("claude", None, NOW).unwrap();
    queue.set_hold("claude", None, NOW).unwrap();
    assert_eq!(kinds(queue, &mut seen), "hold.began hold.ended");
    assert_eq!(*queue.committed().borrow(), seen);
}

pub(in crate::queue) fn blocks_and_landings_append_an_event_at_each_transition<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let mut seen = Cursor::START;
    let mut appended = |expected: &str| assert_eq!(kinds(queue, &mut seen), expected);
    let merging = Spec {
        deliver: Deliver::Merge,
        repo: Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) }),
        ..spec("merging")
    };
    let ids = enqueue(queue, vec![merging, spec("costs")], NOW).unwrap();
    let claims = queue.claim_first(2, None, &config(), NOW).unwrap();
    appended("spec.queued spec.queued");
    // A budget blocks a running spec, and the configuration ends the block.
    queue.record_start(&claims[1].fence, NOW).unwrap();
    let used_up = UsedUp { key: BudgetKey::MaxUsdPerSpec, spent: Usd::ZERO, limit: Usd::ZERO };
    let cause = Some(Cause::Blocked { by: Block::Budget(used_up) });
    queue.give_back(&claims[1].fence, GiveBack { cause: cause.clone(), ..back(&claims[1]) }, NOW).unwrap();
    appended("spec.started spec.queued spec.blocked");
    let Happening::SpecBlocked(blocked) = all(queue).pop().unwrap().what else { panic!("no block") };
    assert_eq!(Some(blocked.cause), cause);
    assert_eq!(queue.end_budget_blocks(Usd::ZERO, NOW).unwrap(), ids[1..]);
    appended("spec.queued");
    let Happening::SpecQueued(queued) = all(queue).pop().unwrap().what else { panic!("not queued") };
    assert_eq!((queued.by, queued.cause), (QueuedBy::Budget, None));
    for _ in 0..2 {
        queue.stop(&ids[1], NOW).unwrap();
    }
    appended("spec.blocked");
    queue.cancel(&ids[1], NOW).unwrap();
    appended("spec.canceled");
    // A lander that ends early lets what it was landing wait again; what was waiting has no event.
    queue.finish(&claims[0].fence, &Ending::Completed(Delivered::Waiting), NOW).unwrap();
    appended("spec.completed spec.waiting");
    let lander = super::landings::lander(queue);
    for _ in 0..2 {
        super::landings::change(queue, &lander, vec![LandingChange::Joined(ids[0].clone())]);
    }
    appended("spec.landing");
    let landing = event::Landing { base: "main".into(), lander: lander.fence.spec.clone() };
    assert_eq!(all(queue).pop().unwrap().what, Happening::SpecLanding(landing));
    queue.give_back(&lander.fence, back(&lander), NOW).unwrap();
    appended("spec.waiting");
    let lander = super::landings::lander(queue);
    queue.give_back(&lander.fence, back(&lander), NOW).unwrap();
    appended("");
    let lander = super::landings::lander(queue);
    let why = Unmerged::Obstacle { detail: "d".into() };
    super::landings::change(queue, &lander, vec![LandingChange::Unmerged(ids[0].clone(), why)]);
    appended("spec.unmerged");
    queue.retry(&ids[0], None, NOW).unwrap();
    queue.request_landing(&ids[0], false, NOW).unwrap();
    appended("spec.waiting");
    let waiting = event::Waiting { base: "main".into() };
    assert_eq!(all(queue).pop().unwrap().what, Happening::SpecWaiting(waiting));
}

pub(in crate::queue) fn a_reader_gets_each_event_once_whatever_the_size_of_its_pages<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    for number in 0..40 {
        let ids = enqueue(queue, vec![spec("a"); 30], NOW.plus_millis(number * 10)).unwrap();
        queue.cancel(&ids[0], NOW.plus_millis(number * 10 + 5)).unwrap();
    }
    let everything = all(queue);
    let wants = |event: &&Event| event.what.kind() == Some(EventKind::SpecCanceled);
    let canceled = EventFilter { specs: vec![], kinds: vec![EventKind::SpecCanceled] };
    for (filter, expected) in [
        (EventFilter::default(), queue.events(Cursor::START, &EventFilter::default(), 5_000).unwrap().events),
        (canceled.clone(), everything.iter().filter(wants).cloned().collect()),
    ] {
        for limit in [1, 7, 10_000] {
            let (mut after, mut read) = (Cursor::START, Vec::new());
            loop {
                let page = queue.events(after, &filter, limit).unwrap();
                assert!(page.events.len() <= limit as usize);
                read.extend(page.events);
                after = page.next;
                if page.is_last {
                    break;
                }
            }
            assert_eq!(after, queue.last_cursor().unwrap());
            assert!(read.len() >= expected.len() && read[..expected.len()] == expected, "{limit}");
            assert!(read.is_sorted_by(|one, next| one.cursor < next.cursor), "{limit}");
        }
    }
    let last = queue.last_events(&canceled, 3).unwrap();
    assert_eq!(last.events.len(), 3);
    assert_eq!(last.events[2].at, NOW.plus_millis(395));
    let from = queue.cursor_at(NOW.plus_millis(395)).unwrap();
    assert_eq!(queue.events(from, &EventFilter::default(), 9).unwrap().events, last.events[2..]);
    assert_eq!(queue.cursor_at(Timestamp(0)).unwrap(), Cursor::START);
    assert_eq!(queue.cursor_at(NOW.plus_millis(396)).unwrap(), queue.last_cursor().unwrap());
}

pub(in crate::queue) fn the_queue_becomes_idle_once_per_change<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    assert!(!queue.record_idle(NOW).unwrap(), "nothing has happened yet");
    enqueue(queue, vec![spec("a")], NOW).unwrap();
    assert!(!queue.record_idle(NOW).unwrap(), "a spec is eligible");
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert!(!queue.record_idle(NOW).unwrap(), "a spec runs");
    let back = GiveBack {
        position: claim.position.clone(),
        changes: vec![],
        cause: None,
        not_before: Some(NOW.plus_millis(10)),
        setback: false,
        lane: None,
    };
    queue.give_back(&claim.fence, back, NOW).unwrap();
    assert!(!queue.record_idle(NOW).unwrap(), "a spec waits for a time");
    queue.promote(NOW.plus_millis(10)).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    queue.record_start(&claim.fence, NOW).unwrap();
    queue.finish(&claim.fence, &completed(), NOW).unwrap();
    assert!(queue.is_newly_idle().unwrap() && queue.record_idle(NOW).unwrap());
    assert!(!queue.is_newly_idle().unwrap() && !queue.record_idle(NOW).unwrap());
    let id = enqueue(queue, vec![spec("a")], NOW).unwrap().remove(0);
    queue.stop(&id, NOW).unwrap();
    assert!(queue.record_idle(NOW).unwrap(), "the spec is blocked");
}

pub(in crate::queue) fn the_progress_of_hooks_is_kept_and_what_overtakes_them_is_counted<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    enqueue(queue, vec![spec("a")], NOW).unwrap();
    let on = |name: &str, kinds: &[EventKind]| (name.to_owned(), kinds.to_vec());
    let hooks = queue.set_hooks(vec![on("a", &[EventKind::SpecQueued]), on("b", &[EventKind::SpecFailed])]).unwrap();
    let now = queue.last_cursor().unwrap();
    assert!(hooks.iter().all(|hook| hook.cursor == now), "a new hook starts at now: {hooks:?}");
    enqueue(queue, vec![spec("a"); 4], NOW).unwrap();
    let mut state = hooks[0].clone();
    state.delivered(Cursor(now.0 + 1));
    state.failed(Cursor(now.0 + 2), "spec.queued", "no".into(), NOW);
    assert!(queue.record_hook(&state).unwrap());
    let set = queue.set_hooks(vec![on("a", &[EventKind::SpecQueued]), on("c", &[EventKind::SpecFailed])]).unwrap();
    assert_eq!(set.iter().map(|hook| hook.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(set[0], state);
    assert_eq!(queue.remove_events(NOW.plus_millis(-1)).unwrap().removed, 0);
    let removed = queue.remove_events(NOW).unwrap();
    assert_eq!((removed.removed, removed.more), (4, false), "the last event stays");
    let overtaken = queue.hooks().unwrap().remove(0);
    assert_eq!((overtaken.overtaken, overtaken.failing, overtaken.cursor), (2, None, Cursor(now.0 + 3)));
    assert!(!queue.record_hook(&state).unwrap(), "the progress from before is not stored");
    assert_eq!(all(queue).len(), 1);
    enqueue(queue, vec![spec("a")], NOW).unwrap();
    assert_eq!(all(queue).len(), 2);
}
