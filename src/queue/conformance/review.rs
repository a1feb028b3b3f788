//! Tests of the verbs that drop specs, send them back, and find them by the beginning of an id.

use super::*;
use crate::domain::spec::Action;

const LATER: Timestamp = Timestamp(2_000_000);

/// Queues a spec with these tasks, claims it, marks the tasks in `done` as done, and ends it.
fn ended(queue: &dyn Queue, spec: Spec, done: &[usize], ending: &Ending) -> SpecId {
    let id = enqueue(queue, vec![spec], NOW).unwrap().remove(0);
    let claim =
        queue.claim_first(9, None, &config(), NOW).unwrap().into_iter().find(|claim| claim.fence.spec == id).unwrap();
    let changes =
        done.iter().map(|task| RecordChange::TaskDone { task: *task, commit: None, unchanged: false }).collect();
    queue.record(&claim.fence, &claim.position, changes, NOW).unwrap();
    queue.finish(&claim.fence, ending, NOW).unwrap();
    id
}

/// A spec of two prompts, and a command after them.
fn prompts(title: &str) -> Spec {
    let mut spec = Spec::for_tests(title, &["a", "b", "c"]);
    for task in &mut spec.tasks[..2] {
        task.action = Action::Prompt("p".into());
    }
    spec
}

fn after(id: &SpecId, title: &str) -> Spec {
    Spec { after: vec![id.clone()], ..spec(title) }
}

fn task_statuses(queue: &dyn Queue, id: &SpecId) -> Vec<TaskStatus> {
    one(queue, id).tasks.iter().map(|task| task.status).collect()
}

pub(in crate::queue) fn a_dropped_spec_gets_its_former_status_back<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = ended(queue, spec("done"), &[], &Ending::Completed(Delivered::Branch));
    let dependents = enqueue(queue, vec![after(&id, "after")], NOW).unwrap();
    let before = one(queue, &id);
    let dropped = queue.drop_spec(&id, Some("c1".into()), LATER).unwrap();
    assert_eq!((dropped.before, dropped.failed.len()), (false, 0), "the dependent waits for nothing");
    let seen = one(queue, &id);
    assert_eq!((seen.status, seen.cause, seen.delivery), (SpecStatus::Dropped, Some(Cause::Dropped), None));
    assert_eq!(queue.counts().unwrap(), Counts { queued: 1, dropped: 1, ..Counts::default() });
    let listed = |filter: &Filter| queue.list(filter).unwrap().specs.len();
    assert_eq!(listed(&Filter::default()), 1, "the default listing has no dropped spec");
    assert_eq!(listed(&Filter { status: Some(SpecStatus::Dropped), ..Filter::default() }), 1);
    assert!(queue.drop_spec(&id, Some("c2".into()), LATER).unwrap().before);
    assert_eq!(queue.drop_record(&id).unwrap().unwrap().head.as_deref(), Some("c2"));
    assert_eq!(queue.recorded_head(&id).unwrap().as_deref(), Some("c2"));
    assert!(matches!(queue.retry(&id, None, LATER), Err(QueueError::Refused(Refusal::NothingToRetry { .. }))));
    let late = enqueue(queue, vec![after(&id, "late")], NOW);
    assert!(matches!(late, Err(QueueError::Refused(Refusal::DependencyEnded { status: SpecStatus::Dropped, .. }))));
    assert_eq!(queue.undo_drop(&id, None, NOW).unwrap(), SpecStatus::Completed);
    let restored = one(queue, &id);
    assert_eq!(
        (restored.status, restored.delivery, restored.finished_at),
        (before.status, before.delivery, before.finished_at)
    );
    assert_eq!(restored.branch, Some(id.branch()));
    assert!(matches!(queue.undo_drop(&id, None, NOW), Err(QueueError::Refused(Refusal::NotDropped { .. }))));
    assert_eq!(queue.drop_record(&id).unwrap(), None);
    assert_eq!(queue.eligible_first(9, None).unwrap()[0].key, dependents[0].as_str());
}

pub(in crate::queue) fn a_drop_fails_the_specs_that_wait_and_refuses_running_and_landed_ones<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let ids = enqueue(queue, vec![spec("first")], NOW).unwrap();
    let next = enqueue(queue, vec![after(&ids[0], "next")], NOW).unwrap().remove(0);
    let last = enqueue(queue, vec![after(&next, "last")], NOW).unwrap().remove(0);
    assert_eq!(queue.drop_spec(&ids[0], None, LATER).unwrap().failed, [next.clone(), last.clone()]);
    let cause = Cause::DependencyEnded { spec: ids[0].clone(), status: SpecStatus::Dropped };
    assert_eq!(one(queue, &next).cause, Some(cause));
    let waits = queue.retry(&next, None, LATER);
    assert!(matches!(waits, Err(QueueError::Refused(Refusal::WaitsForDropped { .. }))), "{waits:?}");
    assert_eq!(queue.undo_drop(&ids[0], None, NOW).unwrap(), SpecStatus::Canceled, "nothing starts by an undo");
    assert_eq!(queue.retry(&ids[0], None, LATER).unwrap(), [ids[0].clone(), next, last]);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let runs = queue.drop_spec(&claim.fence.spec, None, LATER);
    assert!(matches!(runs, Err(QueueError::Refused(Refusal::Runs { .. }))), "{runs:?}");
    queue.finish(&claim.fence, &Ending::Completed(Delivered::Merged), NOW).unwrap();
    let landed = queue.drop_spec(&claim.fence.spec, None, LATER);
    assert!(matches!(landed, Err(QueueError::Refused(Refusal::Landed { .. }))), "{landed:?}");
    let landed = queue.send_back(&claim.fence.spec, "n", None, LATER);
    assert!(matches!(landed, Err(QueueError::Refused(Refusal::Landed { .. }))), "{landed:?}");
}

pub(in crate::queue) fn a_dropped_spec_expires_although_it_has_kept_refs<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = ended(queue, spec("done"), &[], &failed());
    queue.drop_spec(&id, None, NOW).unwrap();
    let kept = vec!["refs/boi/kept/x".to_owned()];
    queue.record_cleaned(&Cleaned { id: id.clone(), kept, worktree: true, branch: true, merged: false }, NOW).unwrap();
    let age = Age { ended_by: NOW, runs_since: Timestamp(0) };
    let page = queue.expired(age, None).unwrap();
    assert!(page.specs.len() == 1 && page.specs[0].is_dropped && !page.specs[0].has_own_work, "{page:?}");
    assert_eq!(queue.remove_expired(std::slice::from_ref(&id), age).unwrap(), [id]);
    assert_eq!(queue.counts().unwrap(), Counts::default());
}

pub(in crate::queue) fn a_spec_is_sent_back_with_a_note_for_its_prompt<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = ended(queue, prompts("done"), &[0, 1, 2], &Ending::Completed(Delivered::Branch));
    let next = enqueue(queue, vec![after(&id, "next")], NOW).unwrap().remove(0);
    assert_eq!(queue.send_back(&id, "the note", None, LATER).unwrap(), std::slice::from_ref(&id));
    assert_eq!(task_statuses(queue, &id), [TaskStatus::Done, TaskStatus::Pending, TaskStatus::Pending]);
    let keys: Vec<String> = queue.eligible_first(9, None).unwrap().into_iter().map(|spec| spec.key).collect();
    assert_eq!(keys, [id.as_str()], "the dependent waits again");
    assert_eq!(queue.eligible_first(1, None).unwrap()[0].lane.as_deref(), Some("claude"));
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(claim.note, Some(TaskNote { task: 1, text: "the note".into() }));
    assert_eq!((claim.fence.attempt, claim.position.step.clone()), (2, Position::start(None, None, None).step));
    queue.finish(&claim.fence, &Ending::Completed(Delivered::Branch), LATER).unwrap();
    assert_eq!(queue.eligible_first(9, None).unwrap()[0].key, next.as_str());
    let notes = one(queue, &id).notes;
    assert_eq!((notes.len(), notes[0].attempt, &*notes[0].task, notes[0].at), (1, 2, "b", LATER));
    let failed = ended(queue, prompts("fails"), &[], &failed());
    queue.send_back(&failed, "x", None, LATER).unwrap();
    assert_eq!(queue.notes(&failed).unwrap()[0].task, "a", "the first task that is not done");
    let never_sent_back = queue.send_back(&next, "x", None, LATER);
    assert!(matches!(never_sent_back, Err(QueueError::Refused(Refusal::CannotSendBack { .. }))), "{never_sent_back:?}");
    let run = ended(queue, spec("run"), &[], &completed());
    let no_prompt = queue.send_back(&run, "x", None, LATER);
    assert!(matches!(no_prompt, Err(QueueError::Refused(Refusal::NoPromptTask { .. }))), "{no_prompt:?}");
}

pub(in crate::queue) fn every_note_before_the_next_claim_is_in_its_prompt<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = ended(queue, prompts("done"), &[0, 1, 2], &Ending::Completed(Delivered::Branch));
    queue.send_back(&id, "first", None, NOW).unwrap();
    queue.send_back(&id, "second", None, NOW).unwrap();
    queue.stop(&id, NOW).unwrap();
    queue.send_back(&id, "third", None, NOW).unwrap();
    queue.cancel(&id, NOW).unwrap();
    queue.send_back(&id, "fourth", None, LATER).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(claim.fence.attempt, 2);
    assert_eq!(claim.note.map(|note| note.text), Some("first\n\nsecond\n\nthird\n\nfourth".to_owned()));
    let notes = one(queue, &id).notes;
    assert_eq!((notes.len(), notes[0].attempt, notes[0].at), (1, 2, LATER), "{notes:?}");
}

pub(in crate::queue) fn ids_are_found_by_their_beginning_and_by_the_last_dispatch<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    assert_eq!(queue.last_dispatched(3).unwrap(), []);
    let mut ids = enqueue(queue, (0..20).map(|_| spec("s")).collect(), NOW).unwrap();
    assert_eq!(queue.last_dispatched(2).unwrap(), [ids[19].clone(), ids[18].clone()]);
    for id in &ids {
        assert_eq!(queue.ids_with_prefix(id.as_str(), 9).unwrap(), std::slice::from_ref(id));
    }
    ids.sort();
    assert_eq!(queue.ids_with_prefix("S", 30).unwrap(), ids);
    assert_eq!(queue.ids_with_prefix("S", 3).unwrap(), ids[..3]);
}

pub(in crate::queue) fn what_the_user_opened_is_recorded_unless_a_worker_may_run<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = ended(queue, spec("done"), &[], &failed());
    queue.record_opened(&id, Some("/w".into()), Some("c9".into())).unwrap();
    assert_eq!(one(queue, &id).worktree.as_deref(), Some("/w"));
    queue.record_opened(&id, None, None).unwrap();
    assert_eq!(queue.recorded_head(&id).unwrap().as_deref(), Some("c9"));
    queue.retry(&id, None, LATER).unwrap();
    queue.record_opened(&id, None, Some("c10".into())).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(claim.position.progress.head.as_deref(), Some("c9"));
    assert!(matches!(queue.recorded_head(&"SFFFF".parse().unwrap()), Err(QueueError::NotFound(_))));
}
