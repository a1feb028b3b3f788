//! Tests of the removal of ended specs, and of the verbs that look at many specs.

use super::*;
use crate::decide::step::AgentRun;
use crate::domain::repository_change::{ChangeKind, RepositoryChange};
use crate::queue::retention::{Age, Expired, Place};
use crate::queue::survey::Survey;

const LATER: Timestamp = Timestamp(5_000_000);
const AGE: Age = Age { ended_by: NOW, runs_since: Timestamp(0) };

/// Returns the expired specs of all pages.
fn expired(queue: &dyn Queue, age: Age) -> Vec<Expired> {
    let (mut specs, mut after) = (Vec::new(), None);
    loop {
        let page = queue.expired(age, after).unwrap();
        specs.extend(page.specs);
        match page.next {
            Some(next) => after = Some(next),
            None => return specs,
        }
    }
}

fn ids(specs: &[Expired]) -> Vec<SpecId> {
    specs.iter().map(|spec| spec.id.clone()).collect()
}

fn in_repository(title: &str) -> Spec {
    Spec { repo: Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) }), ..spec(title) }
}

/// Queues a spec, claims it and ends it.
fn ended(queue: &dyn Queue, spec: Spec, ending: &Ending, now: Timestamp) -> SpecId {
    let claim = claimed(queue, spec);
    queue.finish(&claim.fence, ending, now).unwrap();
    claim.fence.spec
}

fn claimed(queue: &dyn Queue, spec: Spec) -> Claimed {
    let id = enqueue(queue, vec![spec], NOW).unwrap().remove(0);
    queue.claim_first(9, None, &config(), NOW).unwrap().into_iter().find(|claim| claim.fence.spec == id).unwrap()
}

/// Ends a spec whose branch has a commit.
fn ended_with_branch(queue: &dyn Queue, spec: Spec, ending: &Ending) -> SpecId {
    let claim = claimed(queue, spec);
    let progress = Progress { origin: Some("a".into()), head: Some("b".into()), ..claim.position.progress.clone() };
    queue.record(&claim.fence, &Position { progress, ..claim.position.clone() }, vec![], NOW).unwrap();
    queue.finish(&claim.fence, ending, NOW).unwrap();
    claim.fence.spec
}

pub(in crate::queue) fn only_specs_that_nothing_in_the_queue_needs_expire<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let after = |id: &SpecId, title| Spec { after: vec![id.clone()], ..spec(title) };
    let from = |id: &SpecId| Spec {
        repo: Some(Repo { path: "/r".into(), base: Base::Spec(id.clone()) }),
        ..spec("starts from it")
    };
    let ends = [completed(), failed(), Ending::Canceled];
    let mut expected: Vec<SpecId> = ends.iter().map(|ending| ended(queue, spec("plain"), ending, NOW)).collect();
    ended(queue, spec("too young"), &completed(), NOW.plus_millis(1));
    let merged = Ending::Completed(Delivered::Merged);
    let landed = ended_with_branch(queue, in_repository("merged"), &merged);
    expected.push(landed.clone());
    let partly = ended_with_branch(queue, in_repository("failed with a branch"), &failed());
    expected.push(partly.clone());
    let unlanded = ended_with_branch(queue, in_repository("on its branch"), &Ending::Completed(Delivered::Branch));
    let base = ended_with_branch(queue, in_repository("a base"), &merged);
    ended_with_branch(queue, from(&base), &Ending::Completed(Delivered::Branch));
    let waited_for = ended(queue, spec("a queued spec waits for it"), &completed(), NOW);
    let needed = ended(queue, spec("a failed spec may be retried"), &completed(), NOW);
    let done = ended(queue, spec("needed by a spec that completed"), &completed(), NOW);
    expected.push(done.clone());
    expected.push(ended(queue, after(&needed, "failed"), &failed(), NOW));
    expected.push(ended(queue, after(&done, "completed"), &completed(), NOW));
    let changed = claimed(queue, spec("changed the repository"));
    let change = RepositoryChange { blocks: true, ..RepositoryChange::new(ChangeKind::ConfigChanged, "core.bare") };
    queue.record_changes(&changed.fence, ChangesFoundBy::Command(1), "/r", vec![change]).unwrap();
    queue.finish(&changed.fence, &completed(), NOW).unwrap();
    let keeps = claimed(queue, spec("has kept refs"));
    queue.record_kept(&keeps.fence, vec!["refs/boi/kept/x".into()], Some(WorktreePlace::At("/w".into()))).unwrap();
    queue.finish(&keeps.fence, &completed(), NOW).unwrap();
    expected.push(keeps.fence.spec.clone());
    claimed(queue, spec("running"));
    let waits = enqueue(queue, vec![after(&waited_for, "waits")], NOW).unwrap().remove(0);

    let found = expired(queue, AGE);
    let mut names = ids(&found);
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    let of = |id: &SpecId| found.iter().find(|spec| spec.id == *id).unwrap();
    assert!(found.iter().all(|spec| spec.is_merged == (spec.id == landed)));
    assert!(of(&partly).has_own_work && of(&keeps.fence.spec).has_own_work && !of(&done).has_own_work);
    assert_eq!(of(&partly).repo.as_deref(), Some("/r"));
    assert_eq!(of(&keeps.fence.spec).worktree.as_deref(), Some("/w"));
    let everything: Vec<SpecId> = queue
        .list(&Filter { all: true, limit: 99, ..Filter::default() })
        .unwrap()
        .specs
        .into_iter()
        .map(|spec| spec.id)
        .collect();
    let mut still = queue.still_expired(&everything, AGE).unwrap();
    still.sort();
    assert_eq!(still, expected);

    // What kept a spec ends: its dependent, the look at its branch, the settlement of its change.
    assert_eq!(queue.remove_expired(&names, AGE).unwrap(), names);
    assert!(ids(&expired(queue, AGE)).contains(&needed), "the failed spec that waited for it is removed");
    queue.cancel(&waits, NOW.plus_millis(9)).unwrap();
    assert!(!ids(&expired(queue, AGE)).contains(&waited_for), "a retry would queue the canceled spec again");
    queue.record_looks(vec![Look { id: unlanded.clone(), compared: String::new(), is_merged: true }], NOW).unwrap();
    let numbers = queue.blocking_changes().unwrap().iter().map(|change| change.number).collect();
    queue.settle_changes(numbers).unwrap();
    let now = ids(&expired(queue, AGE));
    assert!(now.contains(&unlanded) && now.contains(&changed.fence.spec) && !now.contains(&base), "{now:?}");
}

pub(in crate::queue) fn a_removed_spec_leaves_nothing_and_its_late_runs_still_count<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let claim = claimed(queue, spec("s"));
    let of = Try { task: 0, number: 1 };
    let usage = Usage { turns: 1, cost_usd: 0.25, ..Usage::default() };
    let run =
        |command| RecordChange::RunEnded { of, run: AgentRun { command, agent: "claude".into(), model: None, usage } };
    queue.record(&claim.fence, &at_command(&claim), vec![RecordChange::TryBegan { of }, run(1)], NOW).unwrap();
    queue.record(&claim.fence, &claim.position, vec![run(2)], NOW.plus_millis(5)).unwrap();
    queue.finish(&claim.fence, &completed(), NOW.plus_millis(5)).unwrap();
    let id = claim.fence.spec;
    let other = ended(queue, Spec { after: vec![id.clone()], ..spec("completed after it") }, &completed(), NOW);
    let age = Age { ended_by: LATER, runs_since: NOW };
    let young = Age { ended_by: NOW, ..age };
    assert_eq!(queue.remove_expired(std::slice::from_ref(&id), young).unwrap(), [], "it ended later");
    assert_eq!(queue.remove_expired(&[id.clone(), id.clone()], age).unwrap(), std::slice::from_ref(&id));
    assert_eq!(queue.counts().unwrap(), Counts { completed: 1, ..Counts::default() });
    assert!(matches!(queue.spec(&id), Err(QueueError::NotFound(_))));
    assert!(matches!(queue.retry(&id, None, NOW), Err(QueueError::NotFound(_))));
    assert_eq!(queue.commands(&id).unwrap(), []);
    assert_eq!(queue.scope(std::slice::from_ref(&other)).unwrap(), std::slice::from_ref(&other));
    assert_eq!(queue.usage_since(NOW.plus_millis(-9)).unwrap(), [("claude".to_owned(), usage)], "only the late run");
    let later = Age { runs_since: LATER, ..age };
    assert_eq!(queue.remove_expired(&[], later).unwrap(), []);
    assert_eq!(queue.runs_since(Timestamp(0)).unwrap(), [], "a run of a removed spec is removed in time");
}

pub(in crate::queue) fn expired_specs_are_paged_from_the_latest_end_on<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let mut all = enqueue(queue, vec![spec("s"); 450], NOW).unwrap();
    all.iter().for_each(|id| assert_eq!(queue.cancel(id, NOW).unwrap(), Canceled::Now));
    all.reverse();
    assert!(ids(&expired(queue, AGE)) == all);
    let first = queue.expired(AGE, None).unwrap();
    assert!(first.specs.len() < all.len() && first.next.is_some());
    let end = Place { finished_at: NOW, seq: 0 };
    assert_eq!(queue.expired(AGE, Some(end)).unwrap(), Default::default());
    assert_eq!(expired(queue, Age { ended_by: NOW.plus_millis(-1), ..AGE }), []);
}

pub(in crate::queue) fn a_survey_finds_places_and_rows_that_cannot_be_read<F: Factory>() {
    let (storage, queue) = F::queue();
    assert_eq!(queue.survey().unwrap(), Survey::default());
    let placed = claimed(queue.as_ref(), in_repository("placed"));
    queue.record_kept(&placed.fence, vec![], Some(WorktreePlace::At("/w/s".into()))).unwrap();
    let odd = ended(queue.as_ref(), spec("odd"), &completed(), NOW);
    let number = ended(queue.as_ref(), in_repository("number"), &completed(), NOW);
    let task = ended(queue.as_ref(), spec("task"), &completed(), NOW);
    F::damage(&storage, &odd, Record::Status);
    F::damage(&storage, &number, Record::AttemptNumber);
    let survey = queue.survey().unwrap();
    assert_eq!(survey.repositories, ["/r".to_owned()].into());
    assert_eq!(survey.worktrees, [(placed.fence.spec.clone(), "/w/s".to_owned())]);
    assert_eq!(survey.doubtful, [odd.clone(), number.clone()]);
    let unknown: SpecId = "S0123456789".parse().unwrap();
    let asked = [placed.fence.spec.clone(), unknown, odd.clone(), number.clone(), task.clone()];
    let newest_first = [
        (task, SpecStatus::Completed),
        (number, SpecStatus::Completed),
        (odd, SpecStatus::Running),
        (placed.fence.spec.clone(), SpecStatus::Running),
    ];
    assert_eq!(queue.statuses(&asked).unwrap(), newest_first);
    assert_eq!(queue.statuses(&[]).unwrap(), []);
}

pub(in crate::queue) fn the_open_specs_that_wait_for_a_spec_are_found<F: Factory>() {
    let (_storage, queue) = F::queue();
    let first = enqueue(queue.as_ref(), vec![spec("first")], NOW).unwrap().remove(0);
    let base = Repo { path: "/r".into(), base: Base::Spec(first.clone()) };
    let waiting = vec![
        Spec { after: vec![first.clone()], ..spec("waits") },
        Spec { repo: Some(base), priority: 1, ..spec("starts from it") },
        Spec { after: vec![first.clone()], ..spec("canceled") },
    ];
    let ids = enqueue(queue.as_ref(), waiting, NOW).unwrap();
    queue.cancel(&ids[2], NOW).unwrap();
    assert_eq!(queue.waiting_for(&first).unwrap(), [ids[1].clone(), ids[0].clone()]);
    assert_eq!(queue.waiting_for(&ids[0]).unwrap(), []);
}
