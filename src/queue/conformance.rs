//! The tests that every implementation of the queue must pass. An implementation runs them by passing its [`Factory`]
//! to [`conformance_suite!`].

mod attention;
mod events;
mod landings;
mod lanes;
mod recent;
mod repositories;
mod repository_changes;
mod requests;
mod retention;
mod review;
mod runs;

pub(super) use attention::*;
pub(super) use events::*;
pub(super) use landings::*;
pub(super) use lanes::*;
pub(super) use recent::*;
pub(super) use repositories::*;
pub(super) use repository_changes::*;
pub(super) use requests::*;
pub(super) use retention::*;
pub(super) use review::*;
pub(super) use runs::*;

use super::*;
use crate::decide::step::RecordChange;
use crate::domain::cause::{Awaited, Unmerged};
use crate::domain::failure::{FailedHow, FailedPart, Failure};
use crate::domain::outcome::{AgentReport, Delivery, MergedBy, TryOutcome, Usage};
use crate::domain::position::{CommandStage, Delivered, Progress, RunningCommand, Step, Try};
use crate::domain::spec::{Base, Deliver, Repo};

const NOW: Timestamp = Timestamp(1_000_000);

/// Creates empty queues of one implementation, and damages records in them.
pub(super) trait Factory {
    /// The storage of a queue. Dropping this value removes the storage.
    type Storage;

    /// Creates an empty queue.
    fn queue() -> (Self::Storage, Box<dyn Queue>);

    /// Damages or deletes a stored record of a spec, so that no version can read it.
    fn damage(storage: &Self::Storage, spec: &SpecId, record: Record);
}

/// The stored records of a spec that a test can damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    Spec,
    Config,
    Position,
    Task,
    Intent,
    Status,
    Attempt,
    AttemptNumber,
}

pub(super) fn spec(title: &str) -> Spec {
    Spec::for_tests(title, &["a", "b"])
}

pub(super) fn config() -> WorkerConfig {
    crate::config::HotConfig { generation: 7, config: crate::config::Config::default() }.worker_config()
}

fn completed() -> Ending {
    Ending::Completed(Delivered::Nothing)
}

fn failure() -> Failure {
    Failure { part: FailedPart::Run, how: FailedHow::TooMuchOutput, output: String::new() }
}

fn failed() -> Ending {
    Ending::Failed(Cause::OutOfTries { task: "b".into(), failure: failure(), tries: 1 })
}

fn one(queue: &dyn Queue, id: &SpecId) -> SpecView {
    let filter = Filter { ids: vec![id.clone()], history: true, ..Filter::default() };
    queue.list(&filter).unwrap().specs.remove(0)
}

/// Returns the position of a claimed spec whose first command has begun.
fn at_command(claim: &Claimed) -> Position {
    let stage = CommandStage::Act(Try { task: 0, number: 1 });
    let command = RunningCommand { boot: "b".into(), marker: "m".into() };
    let mut position = Position { step: Step::Command { stage, command }, ..claim.position.clone() };
    position.progress.commands = 1;
    position
}

fn cause(queue: &dyn Queue, id: &SpecId) -> String {
    one(queue, id).cause.expect("a cause").to_string()
}

fn enqueue(queue: &dyn Queue, specs: Vec<Spec>, now: Timestamp) -> Result<Vec<SpecId>, QueueError> {
    queue.enqueue(specs, HashSet::new(), now)
}

pub(super) fn a_claim_takes_by_priority_then_by_arrival_and_never_twice<F: Factory>() {
    let (_storage, queue) = F::queue();
    let urgent = Spec { priority: 1, ..spec("urgent") };
    let ids = enqueue(queue.as_ref(), vec![spec("first"), spec("second"), urgent], NOW).unwrap();
    assert_eq!(queue.eligible_first(2, None).unwrap().len(), 2, "no more specs are returned than the limit allows");
    let claimed = queue.claim_first(2, None, &config(), NOW).unwrap();
    let titles: Vec<_> = claimed.iter().map(|claim| claim.spec.title.as_str()).collect();
    assert_eq!(titles, ["urgent", "first"]);
    assert_eq!(claimed[0].config, config());
    assert_eq!(claimed[0].tasks, [(TaskStatus::Pending, 0), (TaskStatus::Pending, 0)]);
    let rest = queue.claim_first(9, None, &config(), NOW).unwrap();
    assert_eq!(rest.iter().map(|claim| &claim.fence.spec).collect::<Vec<_>>(), [&ids[1]]);
    assert_eq!(queue.running().unwrap().claimed.len(), 3);
    assert_eq!(queue.counts().unwrap(), Counts { running: 3, ..Counts::default() });
}

pub(super) fn all_specs_of_a_dispatch_are_queued_or_none<F: Factory>() {
    let (_storage, queue) = F::queue();
    let unknown = Spec { after: vec!["S0000".parse().unwrap()], ..spec("b") };
    assert!(matches!(enqueue(queue.as_ref(), vec![spec("a"), unknown], NOW), Err(QueueError::NotFound(_))));
    assert_eq!(queue.counts().unwrap(), Counts::default());
}

pub(super) fn a_merge_by_the_user_releases_the_specs_that_wait_for_it<F: Factory>() {
    let (_storage, queue) = F::queue();
    let on = |deliver, title| Spec {
        deliver,
        repo: Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) }),
        ..spec(title)
    };
    let specs = vec![on(Deliver::Merge, "merging"), on(Deliver::Branch, "branch")];
    let ids = enqueue(queue.as_ref(), specs, NOW).unwrap();
    let waits = enqueue(queue.as_ref(), vec![Spec { after: ids.clone(), ..spec("waits") }], NOW).unwrap().remove(0);
    assert_eq!(queue.unlanded(None).unwrap(), []);
    let why = Unmerged::Obstacle { detail: "dirty".into() };
    for (claim, delivered) in
        queue.claim_first(9, None, &config(), NOW).unwrap().iter().zip([Delivered::Unmerged(why), Delivered::Branch])
    {
        let progress = Progress { origin: Some("a".into()), head: Some("b".into()), ..claim.position.progress.clone() };
        let position = Position { progress, ..claim.position.clone() };
        queue.record(&claim.fence, &position, vec![], NOW).unwrap();
        queue.finish(&claim.fence, &Ending::Completed(delivered), NOW).unwrap();
    }
    let unlanded = queue.unlanded(None).unwrap();
    assert_eq!(unlanded.iter().map(|spec| &spec.id).collect::<Vec<_>>(), [&ids[0], &ids[1]]);
    assert_eq!((unlanded[0].origin.as_str(), unlanded[0].head.as_str(), &unlanded[0].compared), ("a", "b", &None));
    let look = |id: &SpecId, is_merged| Look { id: id.clone(), compared: "b c".into(), is_merged };
    queue.record_looks(vec![look(&ids[0], false), look(&waits, true)], NOW).unwrap();
    assert_eq!(queue.unlanded(Some(&ids[..1])).unwrap()[0].compared.as_deref(), Some("b c"));
    assert_eq!(one(queue.as_ref(), &waits).delivery, None, "a spec that has not completed is not merged");
    assert_eq!(queue.eligible_first(9, None).unwrap().len(), 0);
    for _ in 0..2 {
        queue.record_looks(vec![look(&ids[0], true)], NOW).unwrap();
        let merged = one(queue.as_ref(), &ids[0]);
        assert_eq!((merged.delivery, merged.merged_by), (Some(Delivery::Merged), Some(MergedBy::User)));
        assert_eq!((merged.status, merged.cause), (SpecStatus::Completed, None));
        assert_eq!(queue.eligible_first(9, None).unwrap().len(), 1);
    }
    assert!(queue.retry(&ids[0], None, NOW).is_err(), "there is nothing left to deliver");
    assert_eq!(one(queue.as_ref(), &ids[1]).merged_by, None);
    let cleaned = Cleaned { id: ids[1].clone(), kept: vec![], worktree: false, branch: true, merged: true };
    queue.record_cleaned(&cleaned, NOW).unwrap();
    assert_eq!(one(queue.as_ref(), &ids[1]).merged_by, Some(MergedBy::User));
    assert_eq!(queue.unlanded(None).unwrap(), []);
}

pub(super) fn a_failure_fails_the_specs_that_wait_for_it_and_a_retry_queues_all_of_them_again<F: Factory>() {
    let (_storage, queue) = F::queue();
    let first = enqueue(queue.as_ref(), vec![spec("1")], NOW).unwrap().remove(0);
    let second =
        enqueue(queue.as_ref(), vec![Spec { after: vec![first.clone()], ..spec("2") }], NOW).unwrap().remove(0);
    let third =
        enqueue(queue.as_ref(), vec![Spec { after: vec![second.clone()], ..spec("3") }], NOW).unwrap().remove(0);
    let claim = queue.claim_first(9, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(queue.finish(&claim.fence, &failed(), NOW).unwrap(), [second.clone(), third.clone()]);
    assert_eq!(
        cause(queue.as_ref(), &first),
        "task b: the run command failed: ended because it printed more than max_output_mb, on try 1 of 1"
    );
    assert_eq!(cause(queue.as_ref(), &third), format!("waits for {second}, which failed"));
    let late = enqueue(queue.as_ref(), vec![Spec { after: vec![first.clone()], ..spec("late") }], NOW);
    assert!(late.unwrap_err().to_string().contains(&format!("`boi retry {first}`")));
    assert!(queue.retry(&third, None, NOW).unwrap_err().to_string().contains(&format!("`boi retry {second}`")));

    assert_eq!(queue.retry(&first, None, NOW).unwrap(), [first.clone(), second, third.clone()]);
    let claim = queue.claim_first(9, None, &config(), NOW).unwrap();
    assert_eq!(claim.len(), 1);
    queue.finish(&claim[0].fence, &completed(), NOW).unwrap();
    let claim = queue.claim_first(9, None, &config(), NOW).unwrap().remove(0);
    queue.finish(&claim.fence, &completed(), NOW).unwrap();
    assert_eq!(queue.claim_first(9, None, &config(), NOW).unwrap()[0].fence.spec, third);
}

pub(super) fn a_retry_does_not_queue_a_spec_that_waits_for_another_failed_one<F: Factory>() {
    let (_storage, queue) = F::queue();
    let causes = enqueue(queue.as_ref(), vec![spec("1"), spec("2")], NOW).unwrap();
    let both = enqueue(queue.as_ref(), vec![Spec { after: causes.clone(), ..spec("both") }], NOW).unwrap().remove(0);
    for claim in queue.claim_first(2, None, &config(), NOW).unwrap() {
        queue.finish(&claim.fence, &failed(), NOW).unwrap();
    }
    assert_eq!(queue.retry(&causes[0], None, NOW).unwrap(), [causes[0].clone()]);
    assert_eq!(one(queue.as_ref(), &both).status, SpecStatus::Failed);
    assert_eq!(cause(queue.as_ref(), &both), format!("waits for {}, which has not completed", causes[1]));
    assert_eq!(queue.retry(&causes[1], None, NOW).unwrap(), [causes[1].clone(), both.clone()]);
    assert_eq!(one(queue.as_ref(), &both).status, SpecStatus::Queued);
}

pub(super) fn a_superseded_attempt_changes_nothing<F: Factory>() {
    let (_storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap().remove(0);
    let old = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    queue.finish(&old.fence, &failed(), NOW).unwrap();
    queue.retry(&id, None, NOW).unwrap();
    let new = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!((old.fence.attempt, new.fence.attempt), (1, 2));
    let done = vec![RecordChange::TaskDone { task: 0, commit: Some("c".into()), unchanged: false }];
    let stale = queue.record(&old.fence, &old.position, done, NOW);
    assert!(matches!(stale, Err(QueueError::Superseded(_))));
    assert!(matches!(queue.finish(&old.fence, &completed(), NOW), Err(QueueError::Superseded(_))));
    assert!(matches!(queue.record_start(&old.fence, NOW), Err(QueueError::Superseded(_))));
    assert_eq!(one(queue.as_ref(), &id).status, SpecStatus::Running);
    assert_eq!(one(queue.as_ref(), &id).tasks[0].commit, None);
}

pub(super) fn a_spec_that_was_given_back_continues_its_attempt_at_its_position<F: Factory>() {
    let (_storage, queue) = F::queue();
    enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let stage = Stage::Command(CommandStage::Act(Try { task: 1, number: 2 }));
    let back = GiveBack {
        position: claim.position.progress.clone().resume_at(stage),
        changes: vec![],
        cause: Some(Cause::Stopped),
        not_before: Some(NOW.plus_millis(50)),
        setback: true,
        lane: None,
    };
    queue.give_back(&claim.fence, back.clone(), NOW).unwrap();
    assert_eq!(queue.eligible_first(1, None).unwrap().len(), 0);
    assert_eq!(queue.promote(NOW).unwrap(), Some(NOW.plus_millis(50)));
    assert_eq!(queue.promote(NOW.plus_millis(50)).unwrap(), None);
    let again = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!((again.fence.attempt, again.setbacks), (1, 1));
    assert_eq!(again.position, back.position);
}

pub(super) fn an_intent_to_cancel_survives_a_give_back<F: Factory>() {
    let (_storage, queue) = F::queue();
    let ids = enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap();
    let waits = enqueue(queue.as_ref(), vec![Spec { after: ids.clone(), ..spec("waits") }], NOW).unwrap().remove(0);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(queue.cancel(&ids[0], NOW).unwrap(), Canceled::Ending);
    let back = |position: &Position| GiveBack {
        position: position.clone(),
        changes: vec![],
        cause: Some(Cause::WorkerNotStarted { detail: "no process".into() }),
        not_before: Some(NOW.plus_millis(50)),
        setback: true,
        lane: None,
    };
    queue.give_back(&claim.fence, back(&claim.position), NOW).unwrap();
    let seen = one(queue.as_ref(), &ids[0]);
    assert_eq!((seen.status, seen.cause), (SpecStatus::Canceled, Some(Cause::Canceled)));
    assert_eq!(one(queue.as_ref(), &waits).status, SpecStatus::Failed);
    assert_eq!(queue.promote(NOW.plus_millis(50)).unwrap(), None);
    queue.retry(&ids[0], None, NOW).unwrap();
    let again = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!((again.fence.attempt, again.intent), (2, None));
}

pub(super) fn a_spec_with_a_command_that_may_run_cannot_be_given_back<F: Factory>() {
    let (_storage, queue) = F::queue();
    enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let position = at_command(&claim);
    queue.record(&claim.fence, &position, vec![], NOW).unwrap();
    let back = GiveBack { position, changes: vec![], cause: None, not_before: None, setback: true, lane: None };
    assert!(matches!(
        queue.give_back(&claim.fence, back.clone(), NOW),
        Err(QueueError::Refused(Refusal::CommandMayRun { .. }))
    ));
    assert_eq!(queue.running().unwrap().claimed.len(), 1);
    let back = GiveBack { position: back.position.clone().resumed(), ..back };
    queue.give_back(&claim.fence, back, NOW).unwrap();
    assert_eq!(queue.running().unwrap().claimed.len(), 0);
}

pub(super) fn a_start_counts_from_its_own_time_and_not_from_the_claim<F: Factory>() {
    let (_storage, queue) = F::queue();
    enqueue(queue.as_ref(), vec![spec("1"), spec("2")], NOW).unwrap();
    let claims = queue.claim_first(2, None, &config(), NOW).unwrap();
    let later = NOW.plus_millis(900);
    queue.record_start(&claims[0].fence, later).unwrap();
    assert_eq!(queue.starts_since(NOW.plus_millis(500)).unwrap(), [later]);
    assert_eq!(queue.starts_since(NOW).unwrap(), [later], "a claim without a recorded start does not count");
    let running = queue.running().unwrap().claimed;
    assert_eq!(running.iter().map(|claim| claim.started).collect::<Vec<_>>(), [true, false]);
}

pub(super) fn a_superseded_attempt_records_no_kept_refs<F: Factory>() {
    let (_storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap().remove(0);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    queue.record_kept(&claim.fence, vec!["refs/boi/kept/a".into()], Some(WorktreePlace::At("/w".into()))).unwrap();
    let seen = one(queue.as_ref(), &id);
    assert_eq!((seen.kept.as_slice(), seen.worktree.as_deref()), (&["refs/boi/kept/a".to_owned()][..], Some("/w")));
    queue.finish(&claim.fence, &failed(), NOW).unwrap();
    let stale = queue.record_kept(&claim.fence, vec!["refs/boi/kept/b".into()], Some(WorktreePlace::Removed));
    assert!(matches!(stale, Err(QueueError::Superseded(_))));
    assert_eq!(one(queue.as_ref(), &id).worktree.as_deref(), Some("/w"));
    assert_eq!(one(queue.as_ref(), &id).kept.len(), 1);
}

pub(super) fn setbacks_in_a_row_are_counted<F: Factory>() {
    let (_storage, queue) = F::queue();
    enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap();
    for expected in 0..3 {
        let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
        assert_eq!(claim.setbacks, expected);
        let outcome = TryOutcome::Throttled("429".into());
        let of = Try { task: 0, number: 1 };
        let changes = vec![RecordChange::TryEnded { of, outcome, report: AgentReport::default() }];
        let back =
            GiveBack { position: claim.position, changes, cause: None, not_before: None, setback: true, lane: None };
        queue.give_back(&claim.fence, back, NOW).unwrap();
    }
}

pub(super) fn a_cancel_ends_a_queued_spec_at_once_and_records_an_intent_for_a_running_one<F: Factory>() {
    let (_storage, queue) = F::queue();
    let ids = enqueue(queue.as_ref(), vec![spec("runs"), spec("waits")], NOW).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(queue.cancel(&ids[1], NOW).unwrap(), Canceled::Now);
    assert_eq!(queue.cancel(&ids[0], NOW).unwrap(), Canceled::Ending);
    queue.request_stop(&claim.fence).unwrap();
    assert_eq!(queue.running().unwrap().claimed[0].intent, Some(Intent::Cancel), "a stop does not replace a cancel");
    queue.finish(&claim.fence, &Ending::Canceled, NOW).unwrap();
    assert_eq!(queue.cancel(&ids[0], NOW).unwrap(), Canceled::EndedBefore(SpecStatus::Canceled));
    assert_eq!(queue.counts().unwrap(), Counts { canceled: 2, ..Counts::default() });
}

pub(super) fn a_scope_has_its_specs_and_those_they_wait_for<F: Factory>() {
    let (_storage, queue) = F::queue();
    let other = enqueue(queue.as_ref(), vec![Spec { priority: 1, ..spec("other") }], NOW).unwrap().remove(0);
    let first = enqueue(queue.as_ref(), vec![spec("1")], NOW).unwrap().remove(0);
    let second = enqueue(queue.as_ref(), vec![Spec { after: vec![first.clone()], ..spec("2") }], NOW).unwrap();
    assert_eq!(queue.eligible_first(9, Some(&second)).unwrap().len(), 1);
    let claimed = queue.claim_first(9, Some(&second), &config(), NOW).unwrap();
    assert_eq!(claimed.iter().map(|claim| &claim.fence.spec).collect::<Vec<_>>(), [&first]);
    assert_eq!(one(queue.as_ref(), &other).status, SpecStatus::Queued);
    let mut scope = queue.scope(&second).unwrap();
    scope.sort();
    let mut expected = vec![first, second[0].clone()];
    expected.sort();
    assert_eq!(scope, expected);
}

pub(super) fn listings_are_bounded_and_paged<F: Factory>() {
    let (_storage, queue) = F::queue();
    enqueue(queue.as_ref(), (0..70).map(|n| spec(&format!("s{n}"))).collect(), NOW).unwrap();
    let usual = queue.list(&Filter::default()).unwrap();
    assert_eq!((usual.specs.len(), usual.more), (50, true));
    let page = Filter { status: Some(SpecStatus::Queued), limit: 40, offset: 40, ..Filter::default() };
    let last = queue.list(&page).unwrap();
    assert_eq!((last.specs.len(), last.more), (30, false));
    assert_eq!(last.specs[0].title, "s40");
}

pub(super) fn a_listing_by_status_has_the_latest_end_first<F: Factory>() {
    let (_storage, queue) = F::queue();
    let ids = enqueue(queue.as_ref(), (0..4).map(|n| spec(&format!("s{n}"))).collect(), NOW).unwrap();
    for (claim, after) in queue.claim_first(3, None, &config(), NOW).unwrap().iter().zip([0, 20, 10]) {
        let ending = if after == 20 { completed() } else { failed() };
        queue.finish(&claim.fence, &ending, NOW.plus_millis(after)).unwrap();
    }
    let titles = |status| {
        let listing = queue.list(&Filter { status: Some(status), ..Filter::default() }).unwrap();
        listing.specs.into_iter().map(|spec| spec.title).collect::<Vec<_>>()
    };
    assert_eq!(titles(SpecStatus::Failed), ["s2", "s0"]);
    assert_eq!(titles(SpecStatus::Completed), ["s1"]);
    assert_eq!(titles(SpecStatus::Queued), ["s3"]);
    queue.claim_first(1, None, &config(), NOW).unwrap();
    assert_eq!(titles(SpecStatus::Running), ["s3"]);
    assert_eq!(ids.len(), 4);
}

pub(super) fn a_spec_gets_no_id_that_is_taken<F: Factory>() {
    let (_storage, queue) = F::queue();
    // Only one id of four digits is free: each new spec gets this id or a longer one.
    let free: SpecId = "S0042".parse().unwrap();
    let taken = (0..=0xFFFF).map(|n| SpecId::from_random(n, 4)).filter(|id| *id != free).collect();
    let ids = queue.enqueue(vec![spec("a"), spec("b")], taken, NOW).unwrap();
    assert!(ids.iter().all(|id| *id == free || id.as_str().len() > 5), "{ids:?}");
}

pub(super) fn a_cleanup_is_recorded_with_all_that_it_removed<F: Factory>() {
    let (_storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap().remove(0);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let mut position = claim.position.clone();
    position.progress.head = Some("c1".into());
    queue.record(&claim.fence, &position, vec![], NOW).unwrap();
    queue.record_kept(&claim.fence, vec![], Some(WorktreePlace::At("/w".into()))).unwrap();
    queue.finish(&claim.fence, &failed(), NOW).unwrap();
    assert_eq!(one(queue.as_ref(), &id).branch, Some(id.branch()));
    let kept = vec!["refs/boi/kept/a".to_owned()];
    let cleaned = Cleaned { id: id.clone(), kept: kept.clone(), worktree: true, branch: true, merged: false };
    queue.record_cleaned(&cleaned, NOW).unwrap();
    let seen = one(queue.as_ref(), &id);
    assert_eq!((seen.worktree, seen.branch, seen.kept), (None, None, kept));
}

pub(super) fn commands_are_listed_with_their_stages<F: Factory>() {
    let (_storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap().remove(0);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let position = at_command(&claim);
    for _ in 0..2 {
        queue.record(&claim.fence, &position, vec![], NOW).unwrap();
    }
    let stage = Some(Stage::Command(CommandStage::Act(Try { task: 0, number: 1 })));
    assert_eq!(queue.commands(&id).unwrap(), [CommandRow { attempt: 1, number: 1, stage, began_at: NOW }]);
    assert_eq!(queue.running().unwrap().claimed[0].position, position);
}

pub(super) fn the_owner_of_a_claim_holds_the_lease<F: Factory>() {
    let (_storage, queue) = F::queue();
    enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(queue.renew_lease().unwrap().owner, claim.owner);
    assert_eq!(queue.running().unwrap().claimed[0].owner, claim.owner);
}

pub(super) fn a_running_spec_that_cannot_be_read_is_quarantined_and_the_others_continue<F: Factory>() {
    for record in [
        Record::Spec,
        Record::Config,
        Record::Position,
        Record::Task,
        Record::Intent,
        Record::Attempt,
        Record::AttemptNumber,
    ] {
        let (storage, queue) = F::queue();
        let ids = enqueue(queue.as_ref(), vec![spec("damaged"), spec("whole"), spec("later")], NOW).unwrap();
        let claims = queue.claim_first(2, None, &config(), NOW).unwrap();
        let waits = Spec { after: vec![ids[0].clone()], ..spec("waits") };
        let waits = enqueue(queue.as_ref(), vec![waits], NOW).unwrap().remove(0);
        F::damage(&storage, &ids[0], record);
        let running = queue.running().unwrap();
        assert_eq!(running.claimed.iter().map(|claim| &claim.fence).collect::<Vec<_>>(), [&claims[1].fence]);
        let [quarantined] = &running.quarantined[..] else { panic!("{record:?}: {running:?}") };
        assert_eq!((&quarantined.fence, quarantined.running), (&claims[0].fence, true), "{record:?}");
        assert!(!quarantined.detail.is_empty());
        assert_eq!(queue.quarantined().unwrap(), running.quarantined);
        assert_eq!(queue.list(&Filter { history: true, ..Filter::default() }).unwrap().specs.len(), 4, "{record:?}");
        assert_eq!(queue.claim_first(9, None, &config(), NOW).unwrap()[0].fence.spec, ids[2], "{record:?}");
        // The damaged spec can be canceled although one of its records cannot be read.
        assert_eq!(queue.cancel(&ids[0], NOW).unwrap(), Canceled::Ending);
        let running = queue.running().unwrap();
        let intents = running.quarantined.iter().map(|found| (&found.fence, found.intent));
        let intents = intents.chain(running.claimed.iter().map(|claim| (&claim.fence, claim.intent)));
        let intent = intents.into_iter().find(|(fence, _)| *fence == &quarantined.fence).unwrap().1;
        assert_eq!(intent, Some(Intent::Cancel), "{record:?}");
        queue.finish(&quarantined.fence, &Ending::Canceled, NOW).unwrap();
        assert_eq!(one(queue.as_ref(), &ids[0]).status, SpecStatus::Canceled);
        assert_eq!(one(queue.as_ref(), &waits).status, SpecStatus::Failed);
        assert_eq!(queue.quarantined().unwrap(), []);
    }
}

pub(super) fn a_queued_spec_that_cannot_be_read_is_not_claimed_and_can_be_canceled<F: Factory>() {
    for record in [Record::Spec, Record::Task] {
        let (storage, queue) = F::queue();
        let ids = enqueue(queue.as_ref(), vec![spec("damaged"), spec("whole")], NOW).unwrap();
        F::damage(&storage, &ids[0], record);
        let claimed = queue.claim_first(2, None, &config(), NOW).unwrap();
        assert_eq!(claimed.iter().map(|claim| &claim.fence.spec).collect::<Vec<_>>(), [&ids[1]], "{record:?}");
        assert_eq!(queue.eligible_first(9, None).unwrap().len(), 0, "a quarantined spec is not eligible");
        let [quarantined] = &queue.quarantined().unwrap()[..] else { panic!("{record:?}") };
        assert_eq!((&quarantined.fence.spec, quarantined.running), (&ids[0], false));
        let seen = one(queue.as_ref(), &ids[0]);
        assert_eq!((seen.status, seen.attempt), (SpecStatus::Queued, 0), "no attempt has begun");
        assert_eq!(seen.cause, Some(Cause::Quarantined { detail: quarantined.detail.clone() }));
        assert_eq!(queue.cancel(&ids[0], NOW).unwrap(), Canceled::Now);
        assert_eq!(queue.quarantined().unwrap(), []);
    }
}

pub(super) fn a_spec_of_an_unknown_status_is_listed_and_canceled_as_a_running_one<F: Factory>() {
    let (storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![spec("s")], NOW).unwrap().remove(0);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    F::damage(&storage, &id, Record::Status);
    let seen = one(queue.as_ref(), &id);
    assert_eq!(seen.status, SpecStatus::Running);
    assert!(matches!(seen.cause, Some(Cause::Quarantined { .. })));
    assert!(matches!(queue.retry(&id, None, NOW), Err(QueueError::Unreadable { .. })));
    let waits = Spec { after: vec![id.clone()], ..spec("waits") };
    assert!(matches!(enqueue(queue.as_ref(), vec![waits], NOW), Err(QueueError::Unreadable { .. })));
    assert_eq!(queue.cancel(&id, NOW).unwrap(), Canceled::Ending);
    assert_eq!(queue.running().unwrap().claimed[0].intent, Some(Intent::Cancel));
    queue.finish(&claim.fence, &Ending::Canceled, NOW).unwrap();
    assert_eq!(one(queue.as_ref(), &id).status, SpecStatus::Canceled);
}

/// Defines one test for each function of this suite. The tests use the queues of the given factory.
macro_rules! conformance_suite {
    ($factory:ty) => {
        $crate::queue::conformance::conformance_suite! {
            @tests $factory:
            a_claim_takes_by_priority_then_by_arrival_and_never_twice,
            all_specs_of_a_dispatch_are_queued_or_none,
            a_spec_waits_for_its_dependencies_and_for_their_merges,
            a_merge_by_the_user_releases_the_specs_that_wait_for_it,
            a_failure_fails_the_specs_that_wait_for_it_and_a_retry_queues_all_of_them_again,
            a_retry_does_not_queue_a_spec_that_waits_for_another_failed_one,
            a_superseded_attempt_changes_nothing,
            tries_are_recorded_with_their_usage_and_numbered_across_attempts,
            a_spec_that_was_given_back_continues_its_attempt_at_its_position,
            an_intent_to_cancel_survives_a_give_back,
            a_spec_with_a_command_that_may_run_cannot_be_given_back,
            a_start_counts_from_its_own_time_and_not_from_the_claim,
            a_superseded_attempt_records_no_kept_refs,
            changes_of_a_repository_are_recorded_once_and_block_until_they_are_settled,
            setbacks_in_a_row_are_counted,
            a_cancel_ends_a_queued_spec_at_once_and_records_an_intent_for_a_running_one,
            a_stopped_spec_is_blocked_until_a_retry_and_then_continues,
            the_usage_of_an_interrupted_try_counts_and_the_try_goes_on,
            a_run_is_recorded_once_and_counts_for_its_agent_from_its_end_on,
            a_spec_whose_budget_is_used_up_is_blocked_until_its_limit_is_higher,
            the_priority_of_a_queued_spec_can_be_changed,
            each_lane_has_its_eligible_specs_in_queue_order,
            specs_of_skipped_repositories_are_not_eligible,
            a_spec_that_changed_its_lane_is_not_claimed,
            another_agent_does_the_work_of_an_attempt_that_it_began,
            a_completed_spec_waits_for_the_lander_of_its_base,
            a_lander_is_shown_with_its_step_and_its_batch,
            a_failed_spec_keeps_its_cause_whatever_becomes_of_its_branch,
            what_a_lander_gives_back_waits_for_its_next_attempt,
            a_spec_that_is_sent_back_continues_its_attempt_with_one_more_task,
            a_branch_is_landed_on_request_and_an_unfinished_one_only_by_force,
            a_waiting_spec_that_cannot_be_read_does_not_keep_its_lander_busy,
            a_hold_is_stored_until_it_is_removed,
            open_specs_that_equal_a_new_one_are_found,
            a_scope_has_its_specs_and_those_they_wait_for,
            listings_are_bounded_and_paged,
            specs_that_need_the_user_are_listed,
            queued_specs_are_searched_by_id_and_title,
            a_listing_by_status_has_the_latest_end_first,
            a_spec_gets_no_id_that_is_taken,
            a_cleanup_is_recorded_with_all_that_it_removed,
            commands_are_listed_with_their_stages,
            the_owner_of_a_claim_holds_the_lease,
            untrusted_commands_block_all_specs_from_the_base_until_they_are_trusted,
            a_block_by_a_repositorys_configuration_ends_when_its_reason_does,
            the_configuration_of_the_repository_completes_the_spec_from_then_on,
            a_running_spec_that_cannot_be_read_is_quarantined_and_the_others_continue,
            a_queued_spec_that_cannot_be_read_is_not_claimed_and_can_be_canceled,
            a_spec_of_an_unknown_status_is_listed_and_canceled_as_a_running_one,
            only_specs_that_nothing_in_the_queue_needs_expire,
            a_removed_spec_leaves_nothing_and_its_late_runs_still_count,
            expired_specs_are_paged_from_the_latest_end_on,
            a_survey_finds_places_and_rows_that_cannot_be_read,
            the_open_specs_that_wait_for_a_spec_are_found,
            each_transition_appends_its_events_and_a_failed_verb_none,
            blocks_and_landings_append_an_event_at_each_transition,
            a_reader_gets_each_event_once_whatever_the_size_of_its_pages,
            the_queue_becomes_idle_once_per_change,
            the_progress_of_hooks_is_kept_and_what_overtakes_them_is_counted,
            the_specs_that_ended_in_a_time_are_found_from_the_latest_end_on,
            a_dropped_spec_gets_its_former_status_back,
            a_drop_fails_the_specs_that_wait_and_refuses_running_and_landed_ones,
            a_dropped_spec_expires_although_it_has_kept_refs,
            a_spec_is_sent_back_with_a_note_for_its_prompt,
            every_note_before_the_next_claim_is_in_its_prompt,
            ids_are_found_by_their_beginning_and_by_the_last_dispatch,
            what_the_user_opened_is_recorded_unless_a_worker_may_run
        }
    };
    (@tests $factory:ty: $($name:ident),+) => {
        $(
            #[test]
            fn $name() {
                $crate::queue::conformance::$name::<$factory>();
            }
        )+
    };
}
pub(super) use conformance_suite;
