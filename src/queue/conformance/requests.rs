//! Requests for queued and running specs: stop, priority, and the search for equal specs.

use super::*;
use crate::domain::life::Block;

pub(in crate::queue) fn a_stopped_spec_is_blocked_until_a_retry_and_then_continues<F: Factory>() {
    let (_storage, queue) = F::queue();
    let ids = enqueue(queue.as_ref(), vec![spec("runs"), spec("waits")], NOW).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(queue.stop(&ids[1], NOW).unwrap(), Stopped::Now);
    assert_eq!(queue.stop(&ids[1], NOW).unwrap(), Stopped::Before);
    assert_eq!(queue.stop(&ids[0], NOW).unwrap(), Stopped::Ending);
    queue.request_stop(&claim.fence).unwrap();
    let intent = queue.running().unwrap().claimed[0].intent;
    assert_eq!(intent, Some(Intent::Block), "the stop of the daemon does not replace the stop of the spec");
    let back = GiveBack {
        position: at_command(&claim).resumed(),
        changes: vec![],
        cause: Some(Cause::Stopped),
        not_before: Some(NOW.plus_millis(50)),
        setback: false,
        lane: None,
    };
    queue.give_back(&claim.fence, back, NOW).unwrap();
    assert_eq!(queue.promote(NOW.plus_millis(50)).unwrap(), None);
    assert_eq!(queue.eligible_first(9, None).unwrap().len(), 0);
    assert_eq!(queue.eligible_first(9, Some(&ids)).unwrap().len(), 0);
    for id in &ids {
        let seen = one(queue.as_ref(), id);
        assert_eq!((seen.status, seen.cause), (SpecStatus::Queued, Some(Cause::Blocked { by: Block::Stopped })));
    }
    assert_eq!(queue.retry(&ids[0], None, NOW).unwrap(), [ids[0].clone()]);
    let again = queue.claim_first(9, None, &config(), NOW).unwrap();
    assert_eq!((again.len(), again[0].fence.clone(), again[0].intent), (1, claim.fence.clone(), None));
    assert_eq!(again[0].position, at_command(&claim).resumed(), "the same attempt continues at the same step");
    assert!(matches!(queue.retry(&ids[0], None, NOW), Err(QueueError::Refused(Refusal::NothingToRetry { .. }))));
    assert_eq!(queue.cancel(&ids[1], NOW).unwrap(), Canceled::Now);
    assert_eq!(queue.stop(&ids[1], NOW).unwrap(), Stopped::EndedBefore(SpecStatus::Canceled));
    queue.retry(&ids[1], None, NOW).unwrap();
    assert_eq!(queue.claim_first(9, None, &config(), NOW).unwrap().len(), 1, "a canceled spec is no longer blocked");
}

pub(in crate::queue) fn the_usage_of_an_interrupted_try_counts_and_the_try_goes_on<F: Factory>() {
    let (_storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap().remove(0);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let of = Try { task: 0, number: 1 };
    let report =
        AgentReport { usage: Usage { turns: 3, unpriced_runs: 1, ..Usage::default() }, ..AgentReport::default() };
    queue.record(&claim.fence, &at_command(&claim), vec![RecordChange::TryBegan { of }], NOW).unwrap();
    let back = GiveBack {
        position: at_command(&claim).resumed(),
        changes: vec![RecordChange::TryInterrupted { of, report }],
        cause: Some(Cause::Stopped),
        not_before: None,
        setback: false,
        lane: None,
    };
    queue.give_back(&claim.fence, back, NOW).unwrap();
    let seen = one(queue.as_ref(), &id);
    let first = &seen.tasks[0].history[0];
    assert_eq!((first.outcome.as_deref(), first.finished_at), (None, None));
    assert_eq!((seen.usage, first.usage.turns, seen.usage.unpriced_runs), (first.usage, 3, 1));
}

pub(in crate::queue) fn the_priority_of_a_queued_spec_can_be_changed<F: Factory>() {
    let (_storage, queue) = F::queue();
    let ids = enqueue(queue.as_ref(), vec![spec("first"), spec("second")], NOW).unwrap();
    queue.set_priority(&ids[1], -7).unwrap();
    assert_eq!(one(queue.as_ref(), &ids[1]).priority, -7);
    let claimed = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(claimed.fence.spec, ids[1]);
    assert!(matches!(queue.set_priority(&ids[1], 1), Err(QueueError::Refused(Refusal::NotQueued { .. }))));
    let unknown = "S00000".parse().unwrap();
    assert!(matches!(queue.set_priority(&unknown, 1), Err(QueueError::NotFound(_))));
}

pub(in crate::queue) fn open_specs_that_equal_a_new_one_are_found<F: Factory>() {
    let (_storage, queue) = F::queue();
    let ids = enqueue(queue.as_ref(), vec![spec("same"), spec("other"), spec("same")], NOW).unwrap();
    queue.cancel(&ids[0], NOW).unwrap();
    assert_eq!(queue.twins(&spec("same")).unwrap(), [ids[2].clone()]);
    assert_eq!(queue.twins(&spec("new")).unwrap(), []);
}
