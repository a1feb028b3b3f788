//! Tests of landing queues and landers.

use super::*;
use crate::domain::landing::{Batch, Landing, LandingChange, Member, NotLanded, SentBack};
use crate::domain::position::{Checkout, GitStage, Merge, Verify};
use crate::domain::spec::Action;
use crate::domain::view::{BatchVerifyView, LanderStep, LanderView};

/// Starts the only lander that can start.
pub(super) fn lander(queue: &dyn Queue) -> Claimed {
    let groups = queue.startable_landers(1, None, NOW).unwrap();
    queue.start_landers(&groups, &config(), NOW).unwrap().remove(0)
}

/// Lets a lander change specs.
pub(super) fn change(queue: &dyn Queue, lander: &Claimed, changes: Vec<LandingChange>) {
    let changes = changes.into_iter().map(RecordChange::Landing).collect();
    queue.record(&lander.fence, &lander.position, changes, NOW).unwrap();
}

fn on(base: &str, title: &str) -> Spec {
    let mut spec = Spec {
        deliver: Deliver::Merge,
        repo: Some(Repo { path: "/r".into(), base: Base::Revision(base.into()) }),
        verify: vec!["v".into()],
        ..spec(title)
    };
    spec.tasks[1].action = Action::Prompt("p".into());
    spec
}

/// Queues specs, claims them, and lets them complete.
fn completed_specs(queue: &dyn Queue, specs: Vec<Spec>, delivered: &Delivered) -> Vec<SpecId> {
    let ids = enqueue(queue, specs, NOW).unwrap();
    for claim in queue.claim_first(99, None, &config(), NOW).unwrap() {
        let progress = Progress {
            origin: Some("a".into()),
            head: Some("b".into()),
            verified: Some("b".into()),
            ..claim.position.progress.clone()
        };
        let done = (0..claim.spec.tasks.len())
            .map(|task| RecordChange::TaskDone { task, commit: None, unchanged: false })
            .collect();
        queue.record(&claim.fence, &Position { progress, ..claim.position.clone() }, done, NOW).unwrap();
        queue.finish(&claim.fence, &Ending::Completed(delivered.clone()), NOW).unwrap();
    }
    ids
}

fn delivery(queue: &dyn Queue, id: &SpecId) -> Option<Delivery> {
    one(queue, id).delivery
}

pub(in crate::queue) fn a_completed_spec_waits_for_the_lander_of_its_base<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    assert_eq!(queue.startable_landers(1, None, NOW).unwrap(), []);
    let specs = vec![on("main", "first"), Spec { priority: 1, ..on("main", "second") }, on("other", "third")];
    let ids = completed_specs(queue, specs, &Delivered::Waiting);
    assert!(ids.iter().all(|id| delivery(queue, id) == Some(Delivery::Waiting)));
    assert!(ids.iter().all(|id| !one(queue, id).is_settled()));
    let groups = queue.startable_landers(1, None, NOW).unwrap();
    assert_eq!(groups.len(), 1, "one lander of a repository at a time");
    assert_eq!(queue.startable_landers(2, None, NOW).unwrap().len(), 2);
    assert_eq!(queue.startable_landers(2, Some(&ids[2..]), NOW).unwrap()[0].base, "refs/heads/other");
    let lander = lander(queue);
    assert!(lander.fence.spec.is_lander());
    assert_eq!(queue.startable_landers(1, None, NOW).unwrap(), []);
    assert_eq!(queue.running().unwrap().claimed, std::slice::from_ref(&lander), "the next daemon adopts it");
    assert_eq!(queue.counts().unwrap(), Counts { completed: 3, ..Counts::default() });
    let waiting = queue.waiting_to_land(&lander.fence).unwrap();
    let order: Vec<&SpecId> = waiting.iter().map(|one| &one.spec).collect();
    assert_eq!(order, [&ids[1], &ids[0]]);
    let first = &waiting[1];
    assert_eq!((&first.verify[..], first.verified.as_deref(), first.fixable), (&["v".to_owned()][..], Some("b"), true));
    change(queue, &lander, vec![LandingChange::Joined(ids[1].clone())]);
    assert_eq!(delivery(queue, &ids[1]), Some(Delivery::Landing));
    assert!(matches!(queue.retry(&ids[1], None, NOW), Err(QueueError::Refused(Refusal::WaitsToLand { .. }))));
    change(queue, &lander, vec![LandingChange::Landed(ids[1].clone(), MergedBy::Boi)]);
    let why = Unmerged::Obstacle { detail: "d".into() };
    change(queue, &lander, vec![LandingChange::Unmerged(ids[0].clone(), why)]);
    let ends = [&ids[1], &ids[0]].map(|id| delivery(queue, id));
    assert_eq!(ends, [Some(Delivery::Merged), Some(Delivery::Unmerged)]);
    queue.finish(&lander.fence, &Ending::Completed(Delivered::Merged), NOW).unwrap();
    let late = queue.record(&lander.fence, &lander.position, vec![], NOW);
    assert!(matches!(late, Err(QueueError::Superseded(_))));
    assert_eq!(queue.running().unwrap().claimed, []);
}

pub(in crate::queue) fn a_lander_is_shown_with_its_step_and_its_batch<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    assert_eq!(queue.landers().unwrap(), []);
    let ids = completed_specs(queue, vec![on("main", "a"), on("main", "b"), on("main", "c")], &Delivered::Waiting);
    let lander = lander(queue);
    let view = LanderView {
        id: lander.fence.spec.clone(),
        repo: "/r".into(),
        base: "main".into(),
        step: LanderStep::Building,
        verify: None,
        batch: vec![],
        waiting: 3,
        starts_at: None,
    };
    assert_eq!(queue.landers().unwrap(), std::slice::from_ref(&view));
    let member = |spec: &SpecId| Member { spec: spec.clone(), head: "h".into(), fixable: true };
    let batch = Batch {
        members: ids[..2].iter().map(member).collect(),
        from: "f".into(),
        tip: "t".into(),
        tree: "u".into(),
        verify: vec!["one".into(), "two".into()],
    };
    let landing = Landing { base: "refs/heads/main".into(), batch: Some(batch), ..Landing::default() };
    let progress = Progress { landing: Some(Box::new(landing)), ..lander.position.progress.clone() };
    let at = |step| Position { step, progress: progress.clone() };
    let stage = CommandStage::Verify(Verify::Batch { index: 1 });
    let command = RunningCommand { boot: "b".into(), marker: "m".into() };
    let batch = LanderView { batch: ids[..2].to_vec(), waiting: 1, ..view.clone() };
    queue.record(&lander.fence, &at(Step::Command { stage, command }), vec![], NOW).unwrap();
    let verify = Some(BatchVerifyView { command: "two".into(), number: 2, count: 2 });
    let expected = LanderView { step: LanderStep::Verifying, verify, ..batch.clone() };
    assert_eq!(queue.landers().unwrap(), [expected]);
    let merge = Merge { round: 1, from: "f".into(), head: "t".into() };
    queue.record(&lander.fence, &at(Step::Git(GitStage::Land(merge))), vec![], NOW).unwrap();
    assert_eq!(queue.landers().unwrap(), [LanderView { step: LanderStep::Landing, ..batch }]);
    let back = GiveBack {
        position: lander.position.clone(),
        changes: vec![],
        cause: None,
        not_before: Some(Timestamp(NOW.0 + 5)),
        setback: true,
        lane: None,
    };
    queue.give_back(&lander.fence, back, NOW).unwrap();
    let waiting = LanderView { step: LanderStep::Waiting, starts_at: Some(Timestamp(NOW.0 + 5)), ..view };
    assert_eq!(queue.landers().unwrap(), [waiting]);
}

pub(in crate::queue) fn what_a_lander_gives_back_waits_for_its_next_attempt<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = completed_specs(queue, vec![on("main", "first")], &Delivered::Waiting).remove(0);
    let first = lander(queue);
    queue.record_kept(&first.fence, vec![], Some(WorktreePlace::At("/w".into()))).unwrap();
    change(queue, &first, vec![LandingChange::Joined(id.clone())]);
    let back = GiveBack {
        position: first.position.clone(),
        changes: vec![],
        cause: None,
        not_before: Some(Timestamp(NOW.0 + 5)),
        setback: true,
        lane: None,
    };
    queue.give_back(&first.fence, back, NOW).unwrap();
    assert_eq!(delivery(queue, &id), Some(Delivery::Waiting));
    assert_eq!(queue.startable_landers(1, None, NOW).unwrap(), [], "it waits");
    let groups = queue.startable_landers(1, None, Timestamp(NOW.0 + 5)).unwrap();
    let again = queue.start_landers(&groups, &config(), NOW).unwrap().remove(0);
    let expected = Fence { spec: first.fence.spec.clone(), attempt: 2 };
    assert_eq!((again.fence, again.worktree.as_deref(), again.setbacks), (expected, Some("/w"), 1));
}

pub(in crate::queue) fn a_spec_that_is_sent_back_continues_its_attempt_with_one_more_task<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = completed_specs(queue, vec![on("main", "first")], &Delivered::Waiting).remove(0);
    let waits = enqueue(queue, vec![Spec { after: vec![id.clone()], ..spec("waits") }], NOW).unwrap().remove(0);
    for round in 1..=2 {
        let lander = lander(queue);
        let why = NotLanded::Conflict { files: vec!["f".into()] };
        let sent = SentBack { base: "refs/heads/main".into(), onto: "c".into(), why };
        change(queue, &lander, vec![LandingChange::SentBack(id.clone(), sent)]);
        queue.finish(&lander.fence, &Ending::Completed(Delivered::Merged), NOW).unwrap();
        let view = one(queue, &id);
        assert_eq!((view.status, view.delivery), (SpecStatus::Queued, None));
        assert_eq!(cause(queue, &id), "sent back to the agent: merge conflicts with main in f");
        assert_eq!(view.tasks.len(), 3);
        let claim = queue.claim_first(9, None, &config(), NOW).unwrap().remove(0);
        assert_eq!(claim.fence, Fence { spec: id.clone(), attempt: 1 });
        assert_eq!(claim.onto.as_deref(), Some("c"));
        assert_eq!((&claim.spec.tasks[2].id[..], &claim.spec.tasks[2].verify[..]), ("land", &["v".to_owned()][..]));
        assert_eq!(claim.position.step, Step::Prepare { checkout: Checkout::Clean, then: None });
        assert_eq!(queue.spec(&id).unwrap().tasks.len(), 3);
        let began = RecordChange::TryBegan { of: Try { task: 2, number: round } };
        let done = RecordChange::TaskDone { task: 2, commit: Some("m".into()), unchanged: false };
        queue.record(&claim.fence, &claim.position, vec![began, done], NOW).unwrap();
        queue.finish(&claim.fence, &Ending::Completed(Delivered::Waiting), NOW).unwrap();
        assert_eq!(queue.eligible_first(9, None).unwrap(), [], "{waits} waits for the merge");
    }
    let lander = lander(queue);
    assert!(queue.waiting_to_land(&lander.fence).unwrap()[0].fixable, "2 of 3 tries are used up");
    change(queue, &lander, vec![LandingChange::Landed(id, MergedBy::Boi)]);
    assert_eq!(queue.eligible_first(9, None).unwrap().len(), 1);
}

pub(in crate::queue) fn a_branch_is_landed_on_request_and_an_unfinished_one_only_by_force<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let branch = |title| Spec { deliver: Deliver::Branch, ..on("main", title) };
    let ids = completed_specs(queue, vec![branch("first"), branch("second")], &Delivered::Branch);
    let waits = enqueue(queue, vec![Spec { after: vec![ids[0].clone()], ..spec("waits") }], NOW).unwrap().remove(0);
    assert_eq!(queue.landable().unwrap(), ids);
    for _ in 0..2 {
        queue.request_landing(&ids[0], false, NOW).unwrap();
    }
    assert_eq!(queue.landable().unwrap(), ids[1..]);
    let claim = queue.claim_first(9, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(claim.fence.spec, waits, "it waits only for the completion");
    let refused = queue.request_landing(&waits, true, NOW).unwrap_err().to_string();
    assert!(refused.contains("only a spec that has completed"), "{refused}");
    queue.finish(&claim.fence, &failed(), NOW).unwrap();
    let refused = queue.request_landing(&waits, false, NOW).unwrap_err().to_string();
    assert!(refused.contains("boi merge --force"), "{refused}");
    let refused = queue.request_landing(&waits, true, NOW).unwrap_err().to_string();
    assert_eq!(refused, format!("{waits} has no branch that could be merged"));
    let lander = lander(queue);
    change(queue, &lander, vec![LandingChange::AllUnmerged(Unmerged::Obstacle { detail: "d".into() })]);
    assert_eq!(delivery(queue, &ids[0]), Some(Delivery::Unmerged));
    assert_eq!(queue.landable().unwrap(), ids);
}

pub(in crate::queue) fn a_failed_spec_keeps_its_cause_whatever_becomes_of_its_branch<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = enqueue(queue, vec![on("main", "first")], NOW).unwrap().remove(0);
    let claim = queue.claim_first(9, None, &config(), NOW).unwrap().remove(0);
    let head = Progress { origin: Some("a".into()), head: Some("b".into()), ..claim.position.progress.clone() };
    queue.record(&claim.fence, &Position { progress: head, ..claim.position.clone() }, vec![], NOW).unwrap();
    queue.finish(&claim.fence, &failed(), NOW).unwrap();
    let failed_by = one(queue, &id).cause.unwrap();
    let state = || {
        let view = one(queue, &id);
        (view.status, view.delivery, view.cause)
    };
    for _ in 0..2 {
        queue.request_landing(&id, true, NOW).unwrap();
        assert_eq!(state(), (SpecStatus::Failed, Some(Delivery::Waiting), Some(failed_by.clone())));
        let why = Unmerged::Obstacle { detail: "d".into() };
        let lander = lander(queue);
        assert!(!queue.waiting_to_land(&lander.fence).unwrap()[0].fixable, "its agent is not started again");
        change(queue, &lander, vec![LandingChange::Unmerged(id.clone(), why.clone())]);
        queue.finish(&lander.fence, &Ending::Completed(Delivered::Merged), NOW).unwrap();
        let both = Cause::EndedUnmerged { ended: failed_by.clone().into(), why };
        assert_eq!(state(), (SpecStatus::Failed, Some(Delivery::Unmerged), Some(both)));
    }
    assert_eq!(queue.counts().unwrap(), Counts { failed: 1, ..Counts::default() });
    queue.request_landing(&id, true, NOW).unwrap();
    let lander = lander(queue);
    change(queue, &lander, vec![LandingChange::Unmerged(id.clone(), Unmerged::Obstacle { detail: "d".into() })]);
    queue.retry(&id, None, NOW).unwrap();
    assert_eq!(state(), (SpecStatus::Queued, None, None), "the tasks are repeated");
}

pub(in crate::queue) fn a_waiting_spec_that_cannot_be_read_does_not_keep_its_lander_busy<F: Factory>() {
    let (storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = completed_specs(queue, vec![on("main", "first")], &Delivered::Waiting).remove(0);
    F::damage(&storage, &id, Record::Spec);
    let lander = lander(queue);
    assert_eq!(queue.waiting_to_land(&lander.fence).unwrap(), []);
    queue.finish(&lander.fence, &Ending::Completed(Delivered::Merged), NOW).unwrap();
    assert_eq!(delivery(queue, &id), Some(Delivery::Unmerged));
    assert_eq!(queue.startable_landers(1, None, NOW).unwrap(), []);
}

pub(in crate::queue) fn a_spec_waits_for_its_dependencies_and_for_their_merges<F: Factory>() {
    let (_storage, queue) = F::queue();
    let merging = Spec {
        deliver: Deliver::Merge,
        repo: Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) }),
        ..spec("merging")
    };
    let first = enqueue(queue.as_ref(), vec![merging], NOW).unwrap().remove(0);
    let second =
        enqueue(queue.as_ref(), vec![Spec { after: vec![first.clone()], ..spec("second") }], NOW).unwrap().remove(0);
    assert_eq!(cause(queue.as_ref(), &second), format!("waits for {first}"));
    let claim = queue.claim_first(9, None, &config(), NOW).unwrap().remove(0);
    let why = Unmerged::Obstacle { detail: "dirty".into() };
    let unmerged = Ending::Completed(Delivered::Unmerged(why.clone()));
    queue.finish(&claim.fence, &unmerged, NOW).unwrap();
    assert_eq!(queue.eligible_first(9, None).unwrap().len(), 0);
    assert_eq!(one(queue.as_ref(), &first).cause, Some(Cause::Unmerged { why }));
    let awaited = Awaited { id: first.clone(), merge: true };
    assert_eq!(one(queue.as_ref(), &second).cause, Some(Cause::WaitsFor { specs: vec![awaited] }));

    assert_eq!(queue.retry(&first, None, NOW).unwrap(), std::slice::from_ref(&first));
    assert_eq!(one(queue.as_ref(), &first).delivery, Some(Delivery::Waiting), "only the landing is repeated");
    let lander = lander(queue.as_ref());
    let landed = LandingChange::Landed(first.clone(), MergedBy::Boi);
    change(queue.as_ref(), &lander, vec![landed]);
    assert_eq!(queue.claim_first(9, None, &config(), NOW).unwrap()[0].fence.spec, second);
}
