//! Tests of the report: tables for each part, and a property of all reports.

use proptest::prelude::*;

use super::*;
use crate::domain::cause::Awaited;
use crate::domain::command::ExitStatus;
use crate::domain::delivery::MergeRefusal;
use crate::domain::failure::{FailedHow, FailedPart, Failure};
use crate::domain::outcome::TryOutcome;
use crate::domain::view::{
    BuildsView, ConfigView, Counts, HoldView, SlotsView, SpendingView, StoreView, TaskView, TryView,
};

const HOUR: i64 = 3_600_000;

fn id(number: u32) -> SpecId {
    format!("S{number:04X}").parse().unwrap()
}

fn task(commit: Option<&str>, unchanged: bool, message: Option<&str>) -> TaskView {
    let one = TryView {
        number: 1,
        attempt: 1,
        started_at: Timestamp(HOUR),
        finished_at: Some(Timestamp(2 * HOUR)),
        outcome: None,
        session_id: None,
        usage: Usage::default(),
        evidence: None,
        message: message.map(str::to_owned),
    };
    TaskView {
        id: "t-1".into(),
        title: "t".into(),
        status: TaskStatus::Done,
        tries: 1,
        commit: commit.map(str::to_owned),
        unchanged,
        usage: Usage::default(),
        history: vec![one],
    }
}

fn view(number: u32, status: SpecStatus) -> SpecView {
    SpecView {
        git: None,
        id: id(number),
        title: format!("spec {number}"),
        status,
        reason: None,
        cause: None,
        next_agent: None,
        priority: 100,
        attempt: 1,
        config_generation: None,
        branch: Some(format!("boi/{}", id(number))),
        repo: Some("/r".into()),
        base_commit: None,
        worktree: None,
        delivery: None,
        merged_by: None,
        notes: vec![],
        queued_at: Timestamp(0),
        started_at: Some(Timestamp(HOUR)),
        attempt_started_at: None,
        finished_at: Some(Timestamp(2 * HOUR)),
        tasks: vec![task(Some("c"), false, None)],
        usage: Usage::default(),
        max_usd: None,
        max_tries: Some(4),
        kept: vec![],
        repository_changes: vec![],
        copied: None,
    }
}

fn ended(view: SpecView) -> EndedSpec {
    EndedSpec { view, base: Some("main".into()), on: None, files: None, output: None }
}

fn failed(number: u32, cause: Cause) -> EndedSpec {
    ended(SpecView { cause: Some(cause), ..view(number, SpecStatus::Failed) })
}

fn on_branch(number: u32, files: &[(&str, u64)]) -> EndedSpec {
    let files = files.iter().map(|(path, added)| FileChange { path: (*path).into(), lines: Some((*added, 0)) });
    let view = SpecView { delivery: Some(Delivery::Branch), ..view(number, SpecStatus::Completed) };
    EndedSpec { files: Some(files.collect()), ..ended(view) }
}

fn verify_failed(output: &str) -> impl Fn(u32) -> EndedSpec {
    move |number| {
        let part = FailedPart::Verify { command: "pytest".into(), number: 1, count: 1 };
        let how = FailedHow::Exited { status: Some(ExitStatus::Code(1)) };
        let failure = Failure { part, how, output: String::new() };
        let cause = Cause::OutOfTries { task: format!("t-{number}"), failure, tries: number };
        EndedSpec { output: Some(output.to_owned()), ..failed(number, cause) }
    }
}

fn waits_for(number: u32, first: u32) -> EndedSpec {
    failed(number, Cause::DependencyEnded { spec: id(first), status: SpecStatus::Failed })
}

fn status() -> StatusView {
    StatusView {
        daemon: None,
        config: ConfigView::without_daemon(ReloadOutcome::Applied, vec![]),
        slots: SlotsView { max_workers: 4, running: 0 },
        paused: false,
        landers: vec![],
        deferred: None,
        builds: BuildsView::default(),
        holds: vec![],
        hooks: vec![],
        paces: vec![],
        spending: SpendingView::default(),
        counts: Counts::default(),
        specs: vec![],
        more: false,
        store: StoreView::default(),
    }
}

fn input(ended: Vec<EndedSpec>) -> ReportInput {
    ReportInput {
        now: Timestamp(10 * HOUR),
        since: Timestamp(0),
        ended,
        more: false,
        blocked: vec![],
        unlanded: 0,
        usage: vec![],
        status: status(),
        commits: BTreeMap::new(),
    }
}

/// Returns the groups of failed specs: the ids of each group, and the ids that it stops.
fn groups(report: &Report) -> Vec<(Vec<SpecId>, Vec<SpecId>)> {
    let group = |need: &Need| match need {
        Need::Failed { specs, stops, .. } => Some((specs.iter().map(|spec| spec.id.clone()).collect(), stops.clone())),
        _ => None,
    };
    report.needs_you.iter().filter_map(group).collect()
}

#[test]
fn each_spec_is_in_the_list_of_its_end() {
    let completed = |number, delivery| SpecView { delivery, ..view(number, SpecStatus::Completed) };
    let without_commit = |unchanged| vec![task(None, unchanged, None)];
    for (spec, place) in [
        (view(1, SpecStatus::Failed), Place::Failed),
        (view(1, SpecStatus::Canceled), Place::Canceled),
        (view(1, SpecStatus::Queued), Place::Open),
        (completed(1, Some(Delivery::Branch)), Place::ToReview),
        (completed(1, Some(Delivery::Merged)), Place::Merged),
        (completed(1, Some(Delivery::Unmerged)), Place::Unmerged),
        (SpecView { repo: None, ..completed(1, None) }, Place::Done),
        (SpecView { tasks: without_commit(true), ..completed(1, Some(Delivery::Branch)) }, Place::NoChanges),
        (SpecView { tasks: without_commit(true), ..completed(1, Some(Delivery::Merged)) }, Place::NoChanges),
        (SpecView { tasks: without_commit(false), ..completed(1, Some(Delivery::Branch)) }, Place::Done),
    ] {
        assert_eq!(Place::of(&spec), place, "{spec:?}");
    }
}

#[test]
fn failed_specs_are_grouped_by_cause_and_numbers_make_no_difference() {
    let same = verify_failed("AssertionError: cart is slow (1)");
    let other = verify_failed("AssertionError: cart is slow (27)");
    let different = verify_failed("NameError: x");
    let auth = failed(4, Cause::TryFailed { task: "t".into(), outcome: TryOutcome::Auth("401".into()), agent: None });
    // The specs are listed from the last end on.
    let report = report(&input(vec![auth, different(3), other(2), same(1)]));
    assert_eq!((report.totals.failed, report.totals.causes), (4, 3));
    let ids: Vec<Vec<SpecId>> = groups(&report).into_iter().map(|(ids, _)| ids).collect();
    assert_eq!(ids, [vec![id(1), id(2)], vec![id(3)], vec![id(4)]]);
    let Need::Failed { cause, output, next, .. } = &report.needs_you[0] else { panic!("{:?}", report.needs_you) };
    assert_eq!(cause, "the verify command failed (`pytest`): exit code 1");
    assert_eq!((output.as_deref(), next.as_str()), (Some("AssertionError: cart is slow (1)"), "boi log S0001"));
}

#[test]
fn a_spec_that_waited_for_a_failed_one_is_named_with_that_one() {
    let root = verify_failed("x")(1);
    let report = report(&input(vec![waits_for(3, 2), waits_for(2, 1), root, waits_for(9, 8), waits_for(10, 8)]));
    assert_eq!(groups(&report)[0], (vec![id(10), id(9)], vec![]), "the failed one is not in the report");
    assert_eq!(groups(&report)[1], (vec![id(1)], vec![id(2), id(3)]));
    let Need::Failed { next, .. } = &report.needs_you[0] else { panic!("{:?}", report.needs_you) };
    assert_eq!(next, "boi retry S0008");
    assert_eq!(report.totals.failed, 5);
}

#[test]
fn what_is_to_be_reviewed_begins_with_the_smallest_and_names_overlaps_and_bases() {
    let small = on_branch(1, &[("CHANGELOG", 1)]);
    let large = on_branch(2, &[("CHANGELOG", 1), ("a", 9), ("b", 1), ("c", 1), ("d", 1)]);
    let same = on_branch(3, &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    let builds = EndedSpec { on: Some(id(2)), ..on_branch(4, &[("CHANGELOG", 3)]) };
    let elsewhere = on_branch(5, &[("a", 2)]);
    let elsewhere = EndedSpec { view: SpecView { repo: Some("/other".into()), ..elsewhere.view.clone() }, ..elsewhere };
    let unknown = EndedSpec { files: None, ..on_branch(6, &[]) };
    let report = report(&input(vec![unknown, elsewhere, builds, same, large, small]));
    let ids: Vec<&SpecId> = report.to_review.iter().map(|review| &review.spec.id).collect();
    assert_eq!(ids, [&id(1), &id(5), &id(4), &id(3), &id(2), &id(6)]);
    let of = |number: u32| report.to_review.iter().find(|review| review.spec.id == id(number)).unwrap();
    let overlap = |number: u32, other: u32| of(number).overlaps.iter().find(|overlap| overlap.id == id(other));
    assert_eq!(overlap(1, 2).unwrap().files, ["CHANGELOG"]);
    let many = overlap(3, 2).unwrap();
    assert_eq!((many.files.len(), many.count), (3, 4));
    assert_eq!((overlap(4, 2), overlap(2, 4)), (None, None), "a branch that builds on the other has its changes");
    assert_eq!((of(4).on.clone(), overlap(4, 1).is_some()), (Some(id(2)), true));
    assert!(of(5).overlaps.is_empty() && of(6).diff.is_none());
}

#[test]
fn an_unmerged_spec_names_the_specs_that_wait_for_it() {
    let refusal = MergeRefusal::Conflicts { base: "main".into(), files: vec!["a".into()] };
    let cause = Cause::Unmerged { why: Unmerged::Refused { refusal } };
    let unmerged =
        SpecView { delivery: Some(Delivery::Unmerged), cause: Some(cause), ..view(1, SpecStatus::Completed) };
    let waits = Cause::WaitsFor { specs: vec![Awaited { id: id(1), merge: true }] };
    let mut input = input(vec![ended(unmerged)]);
    input.status.specs = vec![SpecView { cause: Some(waits), finished_at: None, ..view(2, SpecStatus::Queued) }];
    let Need::Unmerged { reason, stops, next, .. } = &report(&input).needs_you[0] else { panic!() };
    assert!(reason.contains("merge conflicts with main in a") && reason.contains("`boi retry S0001`"), "{reason}");
    assert_eq!((stops.as_slice(), next.as_str()), (&[id(2)][..], "boi open S0001"));
}

#[test]
fn a_spec_without_changes_shows_what_its_agent_asks() {
    for (message, asks) in [("Postgres or SQLite?", true), ("**Which one?**\n", true), ("Why? I did nothing.", false)] {
        let tasks = vec![task(None, true, Some(message))];
        let spec = SpecView { tasks, delivery: Some(Delivery::Branch), ..view(1, SpecStatus::Completed) };
        let report = report(&input(vec![ended(spec)]));
        let Need::NoChanges { message: said, asks: is_question, .. } = &report.needs_you[0] else { panic!() };
        assert_eq!((said.as_deref(), *is_question), (Some(message), asks));
        assert_eq!((report.totals.unchanged, report.to_review.len()), (1, 0));
    }
}

#[test]
fn questions_come_before_other_messages_of_agents_that_changed_nothing() {
    let spec = |number, message| {
        let tasks = vec![task(None, true, Some(message))];
        ended(SpecView { tasks, delivery: Some(Delivery::Branch), ..view(number, SpecStatus::Completed) })
    };
    let report = report(&input(vec![spec(1, "All is well."), spec(2, "Which one?"), spec(3, "Done.")]));
    let ids: Vec<SpecId> = report
        .needs_you
        .iter()
        .filter_map(|need| match need {
            Need::NoChanges { spec, .. } => Some(spec.id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [id(2), id(1), id(3)]);
}

#[test]
fn the_tries_of_the_last_attempt_are_counted_apart() {
    let mut one = task(Some("c"), false, None);
    let of = |number, attempt| TryView { number, attempt, ..one.history[0].clone() };
    // A try that was continued after a refusal has two entries.
    one.history = vec![of(1, 1), of(2, 1), of(3, 1), of(4, 2), of(4, 2), of(5, 2)];
    one.tries = 5;
    let spec = SpecView { tasks: vec![one], attempt: 2, ..on_branch(1, &[("a", 1)]).view };
    let report = report(&input(vec![ended(spec)]));
    let line = &report.to_review[0].spec;
    assert_eq!((line.tries, line.attempt_tries, line.max_tries), (5, 2, Some(4)));
}

#[test]
fn the_daemon_and_the_configuration_come_before_the_specs() {
    let mut input = input(vec![verify_failed("x")(1)]);
    input.status.paused = true;
    input.status.slots.max_workers = 0;
    input.status.counts.queued = 3;
    input.status.config.outcome = ReloadOutcome::Rejected;
    input.status.config.errors = vec!["config.toml:1:1: bad".into()];
    input.status.store.reason = Some("disk full".into());
    input.status.holds = vec![HoldView {
        agent: "claude".into(),
        reason: "limit".into(),
        until: None,
        cause: "limited".into(),
        since: None,
        evidence: String::new(),
        probe: None,
    }];
    let blocked = SpecView { cause: Some(Cause::Blocked { by: Block::Stopped }), ..view(7, SpecStatus::Queued) };
    input.blocked = vec![blocked];
    let kinds: Vec<String> = report(&input)
        .needs_you
        .iter()
        .map(|need| serde_json::to_value(need).unwrap()["kind"].as_str().unwrap().to_owned())
        .collect();
    let nothing = "nothing_starts";
    assert_eq!(kinds, [nothing, nothing, nothing, nothing, "config_rejected", "held", "failed", "blocked"]);
    let Some(Need::Blocked { next, reason, .. }) = report(&input).needs_you.pop() else { panic!() };
    assert_eq!(next, "boi retry S0007");
    assert!(reason.contains("stopped by the user"), "{reason}");
}

#[test]
fn the_totals_contain_the_cost_the_time_and_the_bases() {
    let merged = |number| SpecView { delivery: Some(Delivery::Merged), ..view(number, SpecStatus::Completed) };
    let mut input = input(vec![ended(merged(1)), ended(merged(2)), on_branch(3, &[("a", 1)])]);
    let usage = |cost_usd, unpriced_runs| Usage { turns: 1, cost_usd, unpriced_runs, ..Usage::default() };
    input.usage = vec![("claude".into(), usage(41.0, 0)), ("mine".into(), usage(0.0, 2))];
    input.commits.insert(("/r".into(), "main".into()), 6);
    input.unlanded = 5;
    let totals = report(&input).totals;
    assert_eq!((totals.specs, totals.merged, totals.to_review), (3, 2, 1));
    assert_eq!((totals.usage.cost_usd, totals.usage.unpriced_runs, totals.agents.len()), (41.0, 2, 2));
    let base = BaseMove { repo: "/r".into(), base: "main".into(), specs: 2, commits: Some(6) };
    assert_eq!(totals.bases, [base]);
    let whole = report(&input);
    assert_eq!((whole.began_at, whole.ended_at), (Some(Timestamp(HOUR)), Some(Timestamp(2 * HOUR))));
    assert_eq!((whole.wall_ms, whole.older_to_review), (HOUR as u64, 4));
    input.status.specs = vec![SpecView { finished_at: None, ..view(9, SpecStatus::Running) }];
    let running = report(&input);
    assert_eq!((running.ended_at, running.wall_ms), (None, 9 * HOUR as u64));
    assert_eq!(running.open.running.len(), 1);
}

fn any_spec() -> impl Strategy<Value = EndedSpec> {
    let status = proptest::sample::select(SpecStatus::ALL.to_vec());
    let delivery =
        proptest::sample::select(vec![None, Some(Delivery::Branch), Some(Delivery::Merged), Some(Delivery::Unmerged)]);
    (status, delivery, 0u32..12, 0u32..12, any::<[bool; 4]>(), proptest::collection::vec(0u32..4, 0..4)).prop_map(
        |(status, delivery, number, other, [in_repo, commits, unchanged, depends], files)| {
            let files: Vec<(String, u64)> = files.iter().map(|file| (file.to_string(), u64::from(*file))).collect();
            let files: Vec<(&str, u64)> = files.iter().map(|(path, lines)| (path.as_str(), *lines)).collect();
            let mut spec = on_branch(number, &files);
            spec.view.status = status;
            spec.view.delivery = delivery;
            spec.view.repo = in_repo.then(|| "/r".to_owned());
            spec.view.tasks = vec![task(commits.then_some("c"), unchanged, None)];
            spec.view.cause = depends.then(|| Cause::DependencyEnded { spec: id(other), status: SpecStatus::Failed });
            spec.on = depends.then(|| id(other));
            spec
        },
    )
}

proptest! {
    /// Dependencies and bases may form cycles in a damaged queue.
    #[test]
    fn each_spec_is_reported_exactly_once(mut specs in proptest::collection::vec(any_spec(), 0..12)) {
        let mut seen = BTreeSet::new();
        specs.retain(|spec| seen.insert(spec.view.id.clone()));
        let report = report(&input(specs.clone()));
        let mut reported: Vec<SpecId> = report.to_review.iter().map(|review| review.spec.id.clone()).collect();
        reported.extend(report.merged.iter().map(|merged| merged.spec.id.clone()));
        reported.extend(report.done.iter().chain(&report.canceled).chain(&report.dropped).map(|spec| spec.id.clone()));
        for need in &report.needs_you {
            match need {
                Need::Unmerged { spec, .. } | Need::NoChanges { spec, .. } => reported.push(spec.id.clone()),
                Need::Failed { specs, stops, .. } => {
                    reported.extend(specs.iter().map(|spec| spec.id.clone()).chain(stops.clone()));
                }
                _ => {}
            }
        }
        reported.sort();
        let mut ended: Vec<SpecId> =
            specs.iter().filter(|spec| spec.view.status.is_ended()).map(|spec| spec.view.id.clone()).collect();
        ended.sort();
        prop_assert_eq!(&reported, &ended);
        let totals = &report.totals;
        let sum = totals.unmerged + totals.failed + totals.unchanged + totals.to_review + totals.merged + totals.done
            + totals.canceled + totals.dropped;
        prop_assert_eq!((totals.specs, sum), (ended.len(), ended.len()));
        let sizes: Vec<u64> = report.to_review.iter().filter_map(|one| Some(one.diff?.lines())).collect();
        prop_assert!(sizes.is_sorted());
        for review in &report.to_review {
            prop_assert!(review.overlaps.iter().all(|overlap| overlap.id != review.spec.id && overlap.count > 0));
        }
    }
}
