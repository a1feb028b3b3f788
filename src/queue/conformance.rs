//! What every store must do, whatever it is built on.

use tempfile::TempDir;

use super::*;
use crate::decide::step::Change;
use crate::domain::attempt::Laying;
use crate::domain::outcome::{AgentReport, Delivery, Failure, TryOutcome, Usage};
use crate::domain::spec::{Action, Base, Deliver, Repo, Task};

const NOW: Timestamp = Timestamp(1_000_000);

fn store() -> (TempDir, SqliteStore) {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(&dir.path().join("boi.db"), Access::Write(std::time::Duration::ZERO)).unwrap();
    (dir, store)
}

fn spec(title: &str) -> Spec {
    let task = |id: &str| Task {
        id: id.into(),
        title: id.into(),
        action: Action::Run("true".into()),
        needs: vec![],
        verify: vec![],
        timeout_minutes: None,
    };
    Spec {
        title: title.into(),
        repo: None,
        context: None,
        agent: "claude".into(),
        model: None,
        priority: 100,
        after: vec![],
        deliver: Deliver::Branch,
        verify: vec![],
        tasks: vec![task("a"), task("b")],
    }
}

fn config() -> WorkerConfig {
    crate::config::HotConfig { generation: 7, config: crate::config::Config::default() }.worker_config()
}

fn completed() -> Ending {
    Ending::Completed { delivery: None, reason: None }
}

fn failed() -> Ending {
    Ending::Failed { task: Some(1), reason: "exit code 1".into() }
}

fn one(store: &dyn Store, id: &SpecId) -> SpecView {
    let filter = Filter { ids: vec![id.clone()], history: true, ..Filter::default() };
    store.specs(&filter).unwrap().specs.remove(0)
}

#[test]
fn a_claim_takes_by_priority_then_by_arrival_and_never_twice() {
    let (_dir, store) = store();
    let urgent = Spec { priority: 1, ..spec("urgent") };
    let ids = store.enqueue(vec![spec("first"), spec("second"), urgent], NOW).unwrap();
    assert_eq!(store.eligible(2, None).unwrap(), 2, "counted no further than asked");
    let claimed = store.claim(2, None, &config(), NOW).unwrap();
    let titles: Vec<_> = claimed.iter().map(|claim| claim.spec.title.as_str()).collect();
    assert_eq!(titles, ["urgent", "first"]);
    assert_eq!(claimed[0].config, config());
    assert_eq!(claimed[0].tasks, [(TaskStatus::Pending, 0), (TaskStatus::Pending, 0)]);
    let rest = store.claim(9, None, &config(), NOW).unwrap();
    assert_eq!(rest.iter().map(|claim| &claim.fence.spec).collect::<Vec<_>>(), [&ids[1]]);
    assert_eq!(store.running().unwrap().len(), 3);
    assert_eq!(store.counts().unwrap(), Counts { running: 3, ..Counts::default() });
}

#[test]
fn all_specs_of_a_dispatch_are_taken_or_none() {
    let (_dir, store) = store();
    let unknown = Spec { after: vec!["S0000".parse().unwrap()], ..spec("b") };
    assert!(matches!(store.enqueue(vec![spec("a"), unknown], NOW), Err(StoreError::Unknown(_))));
    assert_eq!(store.counts().unwrap(), Counts::default());
}

#[test]
fn a_spec_waits_for_those_it_comes_after_and_a_merging_one_must_be_merged() {
    let (_dir, store) = store();
    let merging = Spec {
        deliver: Deliver::Merge,
        repo: Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) }),
        ..spec("merging")
    };
    let first = store.enqueue(vec![merging], NOW).unwrap().remove(0);
    let second = store.enqueue(vec![Spec { after: vec![first.clone()], ..spec("second") }], NOW).unwrap().remove(0);
    assert_eq!(one(&store, &second).reason.unwrap(), format!("waits for {first}"));
    let claim = store.claim(9, None, &config(), NOW).unwrap().remove(0);
    let unmerged = Ending::Completed { delivery: Some(Delivery::Unmerged), reason: Some("dirty".into()) };
    store.finish(&claim.fence, &unmerged, NOW).unwrap();
    assert_eq!(store.eligible(9, None).unwrap(), 0);
    assert_eq!(one(&store, &second).reason.unwrap(), format!("waits for {first} to be merged"));

    store.retry(&first, NOW).unwrap();
    let again = store.claim(9, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(again.fence.attempt, 2);
    let alone = Step::Prepare { laying: Laying::Clean, then: Some(Box::new(Step::Deliver { round: 1 })) };
    assert_eq!(again.position.step, alone, "the delivery alone is redone");
    let merged = Ending::Completed { delivery: Some(Delivery::Merged), reason: None };
    store.finish(&again.fence, &merged, NOW).unwrap();
    assert_eq!(store.claim(9, None, &config(), NOW).unwrap()[0].fence.spec, second);
}

#[test]
fn a_failure_fails_what_waits_for_it_and_a_retry_queues_all_of_it_again() {
    let (_dir, store) = store();
    let first = store.enqueue(vec![spec("1")], NOW).unwrap().remove(0);
    let second = store.enqueue(vec![Spec { after: vec![first.clone()], ..spec("2") }], NOW).unwrap().remove(0);
    let third = store.enqueue(vec![Spec { after: vec![second.clone()], ..spec("3") }], NOW).unwrap().remove(0);
    let claim = store.claim(9, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(store.finish(&claim.fence, &failed(), NOW).unwrap(), [second.clone(), third.clone()]);
    assert_eq!(one(&store, &first).reason.unwrap(), "task b: exit code 1");
    assert_eq!(one(&store, &third).reason.unwrap(), format!("waits for {second}, which failed"));
    let late = store.enqueue(vec![Spec { after: vec![first.clone()], ..spec("late") }], NOW);
    assert!(late.unwrap_err().to_string().contains(&format!("`boi retry {first}`")));
    assert!(store.retry(&third, NOW).unwrap_err().to_string().contains(&format!("`boi retry {second}`")));

    assert_eq!(store.retry(&first, NOW).unwrap(), [first.clone(), second, third.clone()]);
    let claim = store.claim(9, None, &config(), NOW).unwrap();
    assert_eq!(claim.len(), 1);
    store.finish(&claim[0].fence, &completed(), NOW).unwrap();
    let claim = store.claim(9, None, &config(), NOW).unwrap().remove(0);
    store.finish(&claim.fence, &completed(), NOW).unwrap();
    assert_eq!(store.claim(9, None, &config(), NOW).unwrap()[0].fence.spec, third);
}

#[test]
fn a_retry_leaves_nothing_waiting_for_what_will_not_come() {
    let (_dir, store) = store();
    let causes = store.enqueue(vec![spec("1"), spec("2")], NOW).unwrap();
    let both = store.enqueue(vec![Spec { after: causes.clone(), ..spec("both") }], NOW).unwrap().remove(0);
    for claim in store.claim(2, None, &config(), NOW).unwrap() {
        store.finish(&claim.fence, &failed(), NOW).unwrap();
    }
    assert_eq!(store.retry(&causes[0], NOW).unwrap(), [causes[0].clone()]);
    assert_eq!(one(&store, &both).status, SpecStatus::Failed);
    assert_eq!(one(&store, &both).reason.unwrap(), format!("waits for {}, which has not completed", causes[1]));
    assert_eq!(store.retry(&causes[1], NOW).unwrap(), [causes[1].clone(), both.clone()]);
    assert_eq!(one(&store, &both).status, SpecStatus::Queued);
}

#[test]
fn a_superseded_attempt_changes_nothing() {
    let (_dir, store) = store();
    let id = store.enqueue(vec![spec("s")], NOW).unwrap().remove(0);
    let old = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    store.finish(&old.fence, &failed(), NOW).unwrap();
    store.retry(&id, NOW).unwrap();
    let new = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!((old.fence.attempt, new.fence.attempt), (1, 2));
    let done = vec![Change::TaskDone { task: 0, commit: Some("c".into()) }];
    let stale = store.record(&old.fence, &old.position, done, NOW);
    assert!(matches!(stale, Err(StoreError::Superseded { .. })));
    assert!(matches!(store.finish(&old.fence, &completed(), NOW), Err(StoreError::Superseded { .. })));
    assert!(matches!(store.started(&old.fence, NOW), Err(StoreError::Superseded { .. })));
    assert_eq!(one(&store, &id).status, SpecStatus::Running);
    assert_eq!(one(&store, &id).tasks[0].commit, None);
}

#[test]
fn tries_are_recorded_with_what_they_cost_and_number_on_over_attempts() {
    let (_dir, store) = store();
    let id = store.enqueue(vec![spec("s")], NOW).unwrap().remove(0);
    let claim = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    let usage = Usage { turns: 2, input_tokens: 30, output_tokens: 4, cost_usd: 0.25 };
    let report = AgentReport { session_id: Some("s-1".into()), usage, message: None };
    let failure =
        Failure { what: "verify command failed".into(), command: None, how: "exit code 1".into(), output: "".into() };
    let began = |try_number| Change::TryBegan { task: 0, try_number };
    let ended = |try_number, outcome| Change::TryEnded { task: 0, try_number, outcome, report: report.clone() };
    let changes = vec![
        began(1),
        ended(1, TryOutcome::Succeeded),
        Change::TryRejected { task: 0, try_number: 1, failure },
        began(2),
        ended(2, TryOutcome::TimedOut),
    ];
    store.record(&claim.fence, &claim.position, changes, NOW).unwrap();
    store.finish(&claim.fence, &failed(), NOW).unwrap();
    let seen = one(&store, &id);
    let outcomes: Vec<_> = seen.tasks[0].history.iter().map(|t| t.outcome.clone().unwrap()).collect();
    assert_eq!(outcomes, ["verify command failed: exit code 1", "timed out"]);
    assert_eq!(seen.usage, Usage { turns: 4, input_tokens: 60, output_tokens: 8, cost_usd: 0.5 });
    assert_eq!(seen.tasks[0].history[0].session_id.as_deref(), Some("s-1"));
    store.retry(&id, NOW).unwrap();
    assert_eq!(store.claim(1, None, &config(), NOW).unwrap()[0].tasks[0], (TaskStatus::Pending, 2));
}

#[test]
fn a_stopped_spec_goes_on_with_its_attempt_and_where_it_was() {
    let (_dir, store) = store();
    store.enqueue(vec![spec("s")], NOW).unwrap();
    let claim = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    let position = Position { step: Step::Act { task: 1, try_number: 2 }, commands: 4, ..claim.position.clone() };
    let back = GiveBack {
        position: position.resumed(),
        changes: vec![],
        reason: Some("stopped".into()),
        not_before: Some(NOW.plus_millis(50)),
        setback: true,
    };
    store.give_back(&claim.fence, back.clone(), NOW).unwrap();
    assert_eq!(store.eligible(1, None).unwrap(), 0);
    assert_eq!(store.promote(NOW).unwrap(), Some(NOW.plus_millis(50)));
    assert_eq!(store.promote(NOW.plus_millis(50)).unwrap(), None);
    let again = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!((again.fence.attempt, again.setbacks), (1, 1));
    assert_eq!(again.position, back.position);
}

#[test]
fn a_wish_to_cancel_outlives_a_give_back() {
    let (_dir, store) = store();
    let ids = store.enqueue(vec![spec("s")], NOW).unwrap();
    let waits = store.enqueue(vec![Spec { after: ids.clone(), ..spec("waits") }], NOW).unwrap().remove(0);
    let claim = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(store.cancel(&ids[0], NOW).unwrap(), Canceled::Ending);
    let back = |position: &Position| GiveBack {
        position: position.clone(),
        changes: vec![],
        reason: Some("could not be started".into()),
        not_before: Some(NOW.plus_millis(50)),
        setback: true,
    };
    store.give_back(&claim.fence, back(&claim.position), NOW).unwrap();
    let seen = one(&store, &ids[0]);
    assert_eq!((seen.status, seen.reason.as_deref()), (SpecStatus::Canceled, Some("canceled by the user")));
    assert_eq!(one(&store, &waits).status, SpecStatus::Failed);
    assert_eq!(store.promote(NOW.plus_millis(50)).unwrap(), None);
    store.retry(&ids[0], NOW).unwrap();
    let again = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!((again.fence.attempt, again.intent), (2, None));
}

#[test]
fn a_spec_with_a_command_that_may_run_is_not_queued() {
    let (_dir, store) = store();
    store.enqueue(vec![spec("s")], NOW).unwrap();
    let claim = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    let step = Step::Act { task: 0, try_number: 1 };
    let position = Position { step, commands: 1, awaiting: true, ..claim.position.clone() };
    store.record(&claim.fence, &position, vec![], NOW).unwrap();
    let back = GiveBack { position, changes: vec![], reason: None, not_before: None, setback: true };
    assert!(matches!(store.give_back(&claim.fence, back.clone(), NOW), Err(StoreError::Refused(_))));
    assert_eq!(store.running().unwrap().len(), 1);
    let back = GiveBack { position: back.position.clone().resumed(), ..back };
    store.give_back(&claim.fence, back, NOW).unwrap();
    assert_eq!(store.running().unwrap().len(), 0);
}

#[test]
fn a_start_counts_from_when_it_was_made_and_not_from_its_claim() {
    let (_dir, store) = store();
    store.enqueue(vec![spec("1"), spec("2")], NOW).unwrap();
    let claims = store.claim(2, None, &config(), NOW).unwrap();
    let later = NOW.plus_millis(900);
    store.started(&claims[0].fence, later).unwrap();
    assert_eq!(store.starts_since(NOW.plus_millis(500)).unwrap(), [later]);
    assert_eq!(store.starts_since(NOW).unwrap(), [later], "what was not started has not been");
    let running = store.running().unwrap();
    assert_eq!(running.iter().map(|claim| claim.started).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_superseded_attempt_notes_nothing() {
    let (_dir, store) = store();
    let id = store.enqueue(vec![spec("s")], NOW).unwrap().remove(0);
    let claim = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    store.note(&claim.fence, vec!["refs/boi/kept/a".into()], Some(Place::At("/w".into()))).unwrap();
    let seen = one(&store, &id);
    assert_eq!((seen.kept.as_slice(), seen.worktree.as_deref()), (&["refs/boi/kept/a".to_owned()][..], Some("/w")));
    store.finish(&claim.fence, &failed(), NOW).unwrap();
    let stale = store.note(&claim.fence, vec!["refs/boi/kept/b".into()], Some(Place::Gone));
    assert!(matches!(stale, Err(StoreError::Superseded { .. })));
    assert_eq!(one(&store, &id).worktree.as_deref(), Some("/w"));
    assert_eq!(one(&store, &id).kept.len(), 1);
}

#[test]
fn a_refusal_by_the_service_counts_setbacks_in_a_row() {
    let (_dir, store) = store();
    store.enqueue(vec![spec("s")], NOW).unwrap();
    for expected in 0..3 {
        let claim = store.claim(1, None, &config(), NOW).unwrap().remove(0);
        assert_eq!(claim.setbacks, expected);
        let outcome = TryOutcome::Throttled("429".into());
        let changes = vec![Change::TryEnded { task: 0, try_number: 1, outcome, report: AgentReport::default() }];
        let back = GiveBack { position: claim.position, changes, reason: None, not_before: None, setback: true };
        store.give_back(&claim.fence, back, NOW).unwrap();
    }
}

#[test]
fn a_cancel_ends_what_is_queued_at_once_and_is_a_wish_for_what_runs() {
    let (_dir, store) = store();
    let ids = store.enqueue(vec![spec("runs"), spec("waits")], NOW).unwrap();
    let claim = store.claim(1, None, &config(), NOW).unwrap().remove(0);
    assert_eq!(store.cancel(&ids[1], NOW).unwrap(), Canceled::Now);
    assert_eq!(store.cancel(&ids[0], NOW).unwrap(), Canceled::Ending);
    store.stop(&claim.fence).unwrap();
    assert_eq!(store.running().unwrap()[0].intent, Some(Intent::Cancel), "a stop does not weaken a cancel");
    store.finish(&claim.fence, &Ending::Canceled, NOW).unwrap();
    assert_eq!(store.cancel(&ids[0], NOW).unwrap(), Canceled::EndedBefore(SpecStatus::Canceled));
    assert_eq!(store.counts().unwrap(), Counts { canceled: 2, ..Counts::default() });
}

#[test]
fn a_scope_holds_its_specs_and_what_they_wait_for() {
    let (_dir, store) = store();
    let other = store.enqueue(vec![Spec { priority: 1, ..spec("other") }], NOW).unwrap().remove(0);
    let first = store.enqueue(vec![spec("1")], NOW).unwrap().remove(0);
    let second = store.enqueue(vec![Spec { after: vec![first.clone()], ..spec("2") }], NOW).unwrap();
    assert_eq!(store.eligible(9, Some(&second)).unwrap(), 1);
    let claimed = store.claim(9, Some(&second), &config(), NOW).unwrap();
    assert_eq!(claimed.iter().map(|claim| &claim.fence.spec).collect::<Vec<_>>(), [&first]);
    assert_eq!(one(&store, &other).status, SpecStatus::Queued);
    let mut scope = store.scope(&second).unwrap();
    scope.sort();
    let mut expected = vec![first, second[0].clone()];
    expected.sort();
    assert_eq!(scope, expected);
}

#[test]
fn one_writer_at_a_time_and_readers_see_what_is_committed() {
    let (dir, store) = store();
    let path = dir.path().join("boi.db");
    let second = SqliteStore::open(&path, Access::Write(std::time::Duration::ZERO));
    assert!(matches!(second, Err(StoreError::InUse { .. })));
    let reader = SqliteStore::open(&path, Access::Read).unwrap();
    store.enqueue(vec![spec("s")], NOW).unwrap();
    assert_eq!(reader.counts().unwrap().queued, 1);
    assert!(reader.enqueue(vec![spec("s")], NOW).is_err());
    assert!(matches!(SqliteStore::open(&dir.path().join("none.db"), Access::Read), Err(StoreError::Missing { .. })));
}

#[test]
fn listings_are_bounded_and_page() {
    let (_dir, store) = store();
    store.enqueue((0..70).map(|n| spec(&format!("s{n}"))).collect(), NOW).unwrap();
    let usual = store.specs(&Filter::default()).unwrap();
    assert_eq!((usual.specs.len(), usual.more), (50, true));
    let page = Filter { status: Some(SpecStatus::Queued), limit: 40, offset: 40, ..Filter::default() };
    let last = store.specs(&page).unwrap();
    assert_eq!((last.specs.len(), last.more), (30, false));
    assert_eq!(last.specs[0].title, "s40");
}

#[test]
fn a_listing_by_status_has_the_last_that_ended_first() {
    let (_dir, store) = store();
    let ids = store.enqueue((0..4).map(|n| spec(&format!("s{n}"))).collect(), NOW).unwrap();
    for (claim, after) in store.claim(3, None, &config(), NOW).unwrap().iter().zip([0, 20, 10]) {
        let ending = if after == 20 { completed() } else { failed() };
        store.finish(&claim.fence, &ending, NOW.plus_millis(after)).unwrap();
    }
    let titles = |status| {
        let listing = store.specs(&Filter { status: Some(status), ..Filter::default() }).unwrap();
        listing.specs.into_iter().map(|spec| spec.title).collect::<Vec<_>>()
    };
    assert_eq!(titles(SpecStatus::Failed), ["s2", "s0"]);
    assert_eq!(titles(SpecStatus::Completed), ["s1"]);
    assert_eq!(titles(SpecStatus::Queued), ["s3"]);
    store.claim(1, None, &config(), NOW).unwrap();
    assert_eq!(titles(SpecStatus::Running), ["s3"]);
    assert_eq!(ids.len(), 4);
}
