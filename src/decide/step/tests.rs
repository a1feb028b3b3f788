//! Tests that take a simulated worker through its steps.

use super::walk::{MESSAGE, OUTPUT, Walker, spec, task};
use super::*;
use crate::domain::command::EndReason;
use crate::domain::landing::{NotLanded, SentBack};
use crate::domain::life::BudgetKey;
use crate::domain::money::Usd;
use crate::domain::position::{Checkout, Merge};
use crate::domain::spec::{Changes, Task};
use crate::domain::time::Timestamp;

fn ended(cause: EndCause, status: Option<ExitStatus>) -> CommandEnd {
    CommandEnd::new(cause, status, Timestamp(0))
}

fn code(code: i32) -> CommandEnd {
    ended(EndCause::Finished, Some(ExitStatus::Code(code)))
}

fn signal(number: i32) -> CommandEnd {
    ended(EndCause::Finished, Some(ExitStatus::Signal(number)))
}

fn acted(outcome: TryOutcome) -> Acted {
    Acted { outcome, report: AgentReport::default(), output: "said".into() }
}

fn candidate(commit: &str) -> Captured {
    Captured::Candidate(Some(commit.into()))
}

/// Returns a task that gives a prompt to an agent.
fn prompt(id: &str, verify: &[&str]) -> Task {
    Task { action: Action::Prompt("p".into()), ..task(id, verify) }
}

fn cause(walker: &Walker<'_>) -> String {
    match &walker.position.step {
        Step::Close(Ending::Failed(cause)) => cause.to_string(),
        step => panic!("not failed: {step:?}"),
    }
}

/// Returns a walker whose first task is in its first try.
fn started(spec: &Spec, retry_count: u32) -> Walker<'_> {
    let mut walker = Walker::new(spec, retry_count);
    assert_eq!(walker.prepared("c0"), None);
    walker
}

/// Returns a walker that has captured its first try: it is at the first verify command of the first task, if
/// there is one.
fn captured(spec: &Spec, retry_count: u32) -> Walker<'_> {
    let mut walker = started(spec, retry_count);
    assert_eq!(walker.act(acted(TryOutcome::Succeeded)), None);
    assert_eq!(walker.capture(candidate("c1")), None);
    walker
}

#[test]
fn a_spec_without_a_repository_has_no_git_steps() {
    let spec = Spec { repo: None, ..spec(vec![task("a", &["v"]), task("b", &[])], &[], Deliver::Branch) };
    let mut walker = started(&spec, 0);
    walker.skips_idle_git = true;
    let of = |task| Try { task, number: 1 };
    assert_eq!(walker.act(acted(TryOutcome::Succeeded)), None);
    assert!(matches!(walker.stage(), CommandStage::Verify(_)), "{:?}", walker.position);
    assert_eq!(walker.verify(&code(0)), None);
    assert_eq!(walker.stage(), &CommandStage::Act(of(1)));
    assert_eq!(walker.act(acted(TryOutcome::Succeeded)), None);
    assert!(matches!(walker.position.step, Step::Close(Ending::Completed(_))), "{:?}", walker.position);
    let ended =
        |of| move |change: &RecordChange| matches!(change, RecordChange::TryEnded { of: ended, .. } if *ended == of);
    let done = |task| move |change: &RecordChange| matches!(change, RecordChange::TaskDone { task: done, .. } if *done == task);
    for task in 0..2 {
        let at = |found: Option<usize>| found.expect("the change is recorded");
        let ended = at(walker.changes.iter().position(ended(of(task))));
        assert!(ended < at(walker.changes.iter().position(done(task))), "{:?}", walker.changes);
    }
}

fn then(position: &Position) -> &Stage {
    match &position.step {
        Step::Prepare { checkout: Checkout::AsItIs, then: Some(stage) } => stage,
        step => panic!("not a resumed position: {step:?}"),
    }
}

fn trying(task: usize, number: u32) -> CommandStage {
    CommandStage::Act(Try { task, number })
}

#[test]
fn a_spec_of_two_tasks_goes_through_every_step_once() {
    let spec = spec(vec![task("a", &["v1", "v2"]), task("b", &[])], &["final"], Deliver::Branch);
    let mut walker = captured(&spec, 0);
    walker.verify(&code(0));
    walker.verify(&code(0));
    walker.advance();
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::Candidate(None));
    walker.advance();
    walker.verify(&code(0));
    assert_eq!(walker.position.step, Step::Close(Ending::Completed(Delivered::Branch)));
    assert_eq!(walker.position.progress.commands, 5, "two tries, two verify commands and the spec's own");
    assert_eq!(walker.position.progress.verified.as_deref(), Some("c1"));
    assert_eq!(walker.position.progress.last_boot.as_deref(), Some("boot"));
    let done = |change: &RecordChange| match change {
        RecordChange::TaskDone { task, commit, unchanged } => Some((*task, commit.clone(), *unchanged)),
        _ => None,
    };
    let commits: Vec<_> = walker.changes.iter().filter_map(done).collect();
    assert_eq!(commits, [(0, Some("c1".to_owned()), false), (1, None, false)]);
}

#[test]
fn a_spec_without_repository_completes_without_a_delivery() {
    let spec = Spec { repo: None, ..spec(vec![task("a", &[])], &[], Deliver::Merge) };
    let mut walker = started(&spec, 0);
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::Candidate(None));
    walker.advance();
    assert_eq!(walker.position.step, Step::Close(Ending::Completed(Delivered::Nothing)));
}

#[test]
fn a_task_is_unchanged_if_its_agent_changed_no_file_of_a_repository() {
    let with = |task: Task| spec(vec![task], &[], Deliver::Branch);
    for (spec, captured, unchanged) in [
        (with(prompt("a", &[])), Captured::Candidate(None), true),
        (with(prompt("a", &[])), candidate("c1"), false),
        (with(task("a", &[])), Captured::Candidate(None), false),
        (Spec { repo: None, ..with(prompt("a", &[])) }, Captured::Candidate(None), false),
    ] {
        let mut walker = started(&spec, 0);
        walker.act(acted(TryOutcome::Succeeded));
        walker.capture(captured);
        walker.advance();
        let marks = |change: &RecordChange| matches!(change, RecordChange::TaskDone { unchanged: true, .. });
        assert_eq!(walker.changes.iter().any(marks), unchanged, "{spec:?}");
    }
}

#[test]
fn a_try_that_changes_nothing_fails_if_its_task_requires_changes() {
    let required = Task { changes: Some(Changes::Required), ..prompt("a", &["v"]) };
    let spec = spec(vec![required, prompt("b", &[])], &[], Deliver::Branch);
    let mut walker = started(&spec, 2);
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::Candidate(None));
    assert_eq!(walker.stage(), &trying(0, 2), "no verify command runs");
    let failure = walker.position.progress.failure.clone().unwrap();
    assert_eq!((failure.part.clone(), failure.output.as_str()), (FailedPart::Changes, MESSAGE));
    let of = Try { task: 0, number: 1 };
    assert!(walker.changes.contains(&RecordChange::TryRejected { of, failure }));
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(candidate("c1"));
    walker.verify(&code(0));
    walker.advance();
    // The other task does not require changes.
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::Candidate(None));
    walker.advance();
    assert_eq!(walker.position.step, Step::Close(Ending::Completed(Delivered::Branch)));
    let mut walker = started(&spec, 0);
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::Candidate(None));
    assert_eq!(
        cause(&walker),
        "task a: the task requires changes: the agent ended without an error and changed no file, on try 1 of 1"
    );
}

#[test]
fn a_hung_agent_uses_up_its_try_and_the_next_one_has_a_session_of_its_own() {
    let spec = spec(vec![prompt("a", &[])], &[], Deliver::Branch);
    let mut walker = started(&spec, 1);
    let report = AgentReport { session_id: Some("s-1".into()), answered: true, ..AgentReport::default() };
    let hung = || Acted { outcome: TryOutcome::Stalled, report: report.clone(), output: String::new() };
    assert_eq!(walker.act(hung()), None);
    assert_eq!((walker.stage(), &walker.position.progress.session), (&trying(0, 2), &None));
    assert_eq!(walker.act(hung()), None);
    assert_eq!(
        cause(&walker),
        "task a: the agent's run failed: the agent showed no sign of life for stall_timeout_minutes, on try 2 of 2"
    );
}

#[test]
fn an_end_that_the_daemon_requested_is_no_cut_off() {
    let progress = Position::start(None, None, None).progress;
    let of = |reason| CommandEnd { reason, ..ended(EndCause::Terminated, None) };
    assert!(is_cut_off(&progress, &of(None)));
    for reason in [EndReason::Stalled, EndReason::AfterResult, EndReason::ModeForbidden] {
        assert!(!is_cut_off(&progress, &of(Some(reason))));
    }
}

#[test]
fn a_failed_verify_repeats_the_try_with_the_failure_until_the_tries_are_used_up() {
    let spec = spec(vec![task("a", &["cargo test"])], &[], Deliver::Branch);
    let mut walker = captured(&spec, 1);
    walker.verify(&code(101));
    assert_eq!(walker.stage(), &trying(0, 2));
    let failure = walker.position.progress.failure.clone().unwrap();
    assert_eq!(failure.sentence(), "the verify command failed (`cargo test`): exit code 101");
    assert_eq!(failure.output, OUTPUT);
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(candidate("c1"));
    walker.verify(&code(101));
    assert_eq!(cause(&walker), "task a: the verify command failed (`cargo test`): exit code 101, on try 2 of 2");
    assert!(walker.changes.contains(&RecordChange::Task { task: 0, status: TaskStatus::Failed }));
    let rejected = |change: &&RecordChange| matches!(change, RecordChange::TryRejected { .. });
    assert_eq!(walker.changes.iter().filter(rejected).count(), 2);
}

#[test]
fn the_next_try_waits_longer_after_each_failure_and_begins_when_the_pause_is_over() {
    let spec = spec(vec![task("a", &["v"])], &[], Deliver::Branch);
    let mut walker = captured(&spec, 3);
    walker.retry_backoff = [2, 60];
    for (number, at) in [(2, 3_000), (3, 5_000), (4, 9_000)] {
        walker.verify(&code(1));
        assert_eq!(walker.position.next_try(), Some((Try { task: 0, number }, Timestamp(at))));
        assert_eq!(then(&walker.position), &Stage::Command(trying(0, number)));
        assert_eq!(walker.prepared("c0"), None);
        assert_eq!((walker.stage(), walker.position.progress.next_try_at), (&trying(0, number), None));
        walker.act(acted(TryOutcome::Succeeded));
        walker.capture(candidate("c1"));
    }
    walker.verify(&code(1));
    assert_eq!(walker.position.next_try(), None);
    assert!(cause(&walker).ends_with("on try 4 of 4"));
}

#[test]
fn a_failed_verify_command_is_named_with_its_number() {
    let spec = spec(vec![task("a", &["v1", "v2"])], &[], Deliver::Branch);
    let mut walker = captured(&spec, 0);
    walker.verify(&code(0));
    walker.verify(&code(1));
    assert_eq!(cause(&walker), "task a: verify command 2 of 2 failed (`v2`): exit code 1, on try 1 of 1");
}

#[test]
fn progress_follows_the_branch_and_forgets_the_failure_of_a_task_that_is_done() {
    let spec = spec(vec![task("a", &["v"]), task("b", &[])], &[], Deliver::Merge);
    let mut walker = Walker::new(&spec, 1);
    let commits = |walker: &Walker<'_>| {
        let Progress { origin, head, .. } = walker.position.progress.clone();
        (origin.unwrap(), head.unwrap())
    };
    walker.prepared("c1");
    assert_eq!(commits(&walker), ("c0".to_owned(), "c1".to_owned()));
    for exit_code in [1, 0] {
        walker.act(acted(TryOutcome::Succeeded));
        walker.capture(candidate("c2"));
        walker.verify(&code(exit_code));
        assert!(walker.position.progress.failure.is_some(), "the failure stays until the task is done");
    }
    walker.advance();
    assert_eq!((commits(&walker).1.as_str(), &walker.position.progress.failure), ("c2", &None));
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::Candidate(None));
    walker.advance();
    assert_eq!(commits(&walker), ("c0".to_owned(), "c2".to_owned()));
}

#[test]
fn tries_are_counted_from_the_first_of_the_attempt() {
    let spec = spec(vec![task("a", &[])], &[], Deliver::Branch);
    let mut walker = Walker::new(&spec, 1);
    walker.tries = vec![4];
    walker.prepared("c0");
    assert_eq!(walker.stage(), &trying(0, 5));
    walker.act(acted(TryOutcome::TimedOut));
    assert_eq!(walker.stage(), &trying(0, 6));
    walker.act(acted(TryOutcome::TimedOut));
    assert_eq!(cause(&walker), "task a: the run command failed: timed out after 30 min, on try 2 of 2");
}

#[test]
fn files_that_cannot_be_committed_fail_the_try() {
    let spec = spec(vec![task("a", &[])], &[], Deliver::Branch);
    let mut walker = started(&spec, 0);
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::NotCommitted("a nested repository".into()));
    assert_eq!(cause(&walker), "task a: boi cannot commit the files: a nested repository, on try 1 of 1");
}

#[test]
fn an_outcome_that_another_try_would_not_change_fails_the_spec_at_once() {
    let prompt = Task { action: Action::Prompt("do it".into()), ..task("a", &[]) };
    let spec = spec(vec![prompt], &[], Deliver::Branch);
    for outcome in [
        TryOutcome::ModeForbidden("x".into()),
        TryOutcome::UnknownModel("x".into()),
        TryOutcome::NotExecuted("x".into()),
        TryOutcome::Context("x".into()),
    ] {
        let mut walker = started(&spec, 5);
        walker.act(acted(outcome.clone()));
        let agent = Some("claude".to_owned());
        let failed = Cause::TryFailed { task: "a".into(), outcome, agent };
        assert_eq!(walker.position.step, Step::Close(Ending::Failed(failed)));
    }
}

#[test]
fn other_outcomes_are_tried_again_with_their_failure() {
    let prompt = Task { action: Action::Prompt("do it".into()), timeout_minutes: Some(7), ..task("a", &[]) };
    let spec = spec(vec![prompt], &[], Deliver::Branch);
    for (outcome, how) in [
        (TryOutcome::Failed("x".into()), FailedHow::Outcome { outcome: TryOutcome::Failed("x".into()) }),
        (TryOutcome::TaskBudget("x".into()), FailedHow::Outcome { outcome: TryOutcome::TaskBudget("x".into()) }),
        (TryOutcome::TimedOut, FailedHow::TimedOut { minutes: 7 }),
        (TryOutcome::TooMuchOutput, FailedHow::TooMuchOutput),
    ] {
        let mut walker = started(&spec, 1);
        walker.act(acted(outcome));
        assert_eq!(walker.stage(), &trying(0, 2));
        let part = FailedPart::Agent { agent: "claude".into() };
        assert_eq!(walker.position.progress.failure, Some(Failure { part, how, output: "said".into() }));
    }
}

#[test]
fn a_run_that_used_up_the_specs_budget_blocks_the_spec_and_uses_no_try() {
    let prompt = Task { action: Action::Prompt("do it".into()), ..task("a", &[]) };
    let spec = spec(vec![prompt], &[], Deliver::Branch);
    let usd = |dollars| Usd::from_dollars(dollars).unwrap();
    let ended_by_limit = |cost_usd| {
        let usage = Usage { cost_usd, ..Usage::default() };
        let report = AgentReport { usage, session_id: Some("s-1".into()), answered: true, ..AgentReport::default() };
        Acted { report, ..acted(TryOutcome::TaskBudget("Reached maximum budget".into())) }
    };
    let mut walker = started(&spec, 0);
    walker.budget = SpecBudget::new(Some(usd(2.0)), Usd::ZERO, usd(0.5));
    let Some(Move::Blocked(position, changes, used_up)) = walker.act(ended_by_limit(1.6)) else {
        panic!("not blocked")
    };
    assert_eq!(used_up, UsedUp { key: BudgetKey::MaxUsd, spent: usd(2.1), limit: usd(2.0) });
    assert_eq!(position.progress.session.as_ref().map(|session| session.id.as_str()), Some("s-1"));
    assert_eq!(then(&position), &Stage::Command(trying(0, 1)));
    assert!(matches!(changes[..], [RecordChange::TryEnded { .. }]));
    // If the agent reached another limit, such as a limit on turns, and the budget is not used up, the try
    // fails.
    for budget in [None, SpecBudget::new(Some(usd(9.0)), Usd::ZERO, usd(0.5))] {
        let mut walker = started(&spec, 1);
        walker.budget = budget;
        walker.act(ended_by_limit(1.6));
        assert_eq!(walker.stage(), &trying(0, 2));
    }
}

#[test]
fn a_refusal_of_the_service_gives_the_spec_back_at_the_same_try() {
    let spec = spec(vec![task("a", &[])], &[], Deliver::Branch);
    for outcome in [
        TryOutcome::Limited { until: None, detail: "5 h".into() },
        TryOutcome::Throttled("429".into()),
        TryOutcome::Overloaded("529".into()),
        TryOutcome::Auth("401".into()),
        TryOutcome::NeedsHuman("402".into()),
        TryOutcome::RefusesRoot("root".into()),
        TryOutcome::NoProgram("claude".into()),
    ] {
        let mut walker = started(&spec, 0);
        let Some(Move::Refused(position, changes, refused)) = walker.act(acted(outcome.clone())) else {
            panic!("not given back: {outcome:?}")
        };
        assert_eq!((refused, position.running_command()), (outcome, None));
        assert_eq!(then(&position), &Stage::Command(trying(0, 1)));
        assert!(matches!(changes[..], [RecordChange::TryEnded { .. }]));
    }
}

#[test]
fn a_spec_that_merges_waits_to_land_once_it_is_verified() {
    let spec = spec(vec![task("a", &[])], &["final"], Deliver::Merge);
    let mut walker = Walker::new(&spec, 0);
    walker.prepared("c0");
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::Candidate(Some("c1".into())));
    walker.advance();
    walker.verify(&code(0));
    assert_eq!(walker.position.step, Step::Close(Ending::Completed(Delivered::Waiting)));
    assert_eq!(walker.position.progress.verified.as_deref(), Some("c1"));
}

/// A spec that was sent back to its agent, at the first try of the task that boi added.
fn sent_back() -> Spec {
    let mut spec = spec(vec![prompt("a", &["own"])], &[], Deliver::Branch);
    let why = NotLanded::Conflict { files: vec!["f".into()] };
    spec.add_landing_task(&SentBack { base: "refs/heads/main".into(), onto: "b1".into(), why });
    spec
}

#[test]
fn a_spec_that_was_sent_back_waits_to_land_again_when_its_agent_is_done() {
    let spec = sent_back();
    let mut walker = Walker::new(&spec, 3);
    walker.done_until(1, "c1");
    walker.prepared("c1");
    assert_eq!(*walker.stage(), CommandStage::Act(Try { task: 1, number: 1 }));
    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(Captured::Candidate(Some("m1".into())));
    walker.verify(&code(0));
    walker.advance();
    assert_eq!(walker.position.step, Step::Close(Ending::Completed(Delivered::Waiting)));
    assert_eq!(walker.position.progress.verified.as_deref(), Some("m1"));
}

#[test]
fn a_spec_whose_agent_does_not_make_the_branch_ready_stays_unmerged() {
    let spec = sent_back();
    let mut walker = Walker::new(&spec, 2);
    walker.done_until(1, "c1");
    walker.prepared("c1");
    for number in 1..=2 {
        assert_eq!(*walker.stage(), CommandStage::Act(Try { task: 1, number }));
        walker.act(acted(TryOutcome::Succeeded));
        walker.capture(Captured::Candidate(Some(format!("m{number}"))));
        walker.verify(&code(1));
    }
    let Step::Close(Ending::Completed(Delivered::Unmerged(why))) = &walker.position.step else {
        panic!("{:?}", walker.position)
    };
    let words = "the agent could not make the branch ready for the base: ";
    assert!(why.to_string().starts_with(words), "{why}");
}

#[test]
fn a_delivery_of_an_earlier_version_waits_for_a_lander() {
    let spec = spec(vec![task("a", &[])], &["final"], Deliver::Merge);
    let mut walker = Walker::new(&spec, 0);
    let merge = Merge { round: 1, from: "b".into(), head: "m".into() };
    let stage = CommandStage::Verify(Verify::Merge { merge, index: 0 });
    for end in [code(0), code(1)] {
        let command = RunningCommand { boot: "b".into(), marker: "m".into() };
        walker.position.step = Step::Command { stage: stage.clone(), command };
        walker.verify(&end);
        assert_eq!(walker.position.step, Step::Close(Ending::Completed(Delivered::Waiting)));
    }
}

#[test]
fn an_obstacle_fails_the_spec_but_leaves_a_delivery_unmerged_and_lets_a_closing_spec_end() {
    let after = |step| {
        let position = Position { step, progress: Progress::default() };
        after_obstacle(&Spec::for_tests("t", &["a"]), position, Cause::Repository { detail: "the disk is gone".into() })
    };
    let of = Try { task: 0, number: 1 };
    let Move::Go(position, changes) = after(Step::Git(GitStage::Capture(of))) else { panic!() };
    let failed = Ending::Failed(Cause::Repository { detail: "the disk is gone".into() });
    assert_eq!((position.step, changes), (Step::Close(failed), vec![]));
    let landing = Position { step: Step::Git(GitStage::Gather), ..land::start("refs/heads/main") };
    let cause = Cause::Repository { detail: "the disk is gone".into() };
    let Move::Go(position, changes) = after_obstacle(&Spec::for_tests("t", &[]), landing, cause) else { panic!() };
    let why = Unmerged::Obstacle { detail: "the disk is gone".into() };
    assert_eq!(changes, [RecordChange::Landing(LandingChange::AllUnmerged(why))]);
    assert!(matches!(position.step, Step::Close(_)));
    assert_eq!(after(Step::Close(Ending::Canceled)), Move::End(Ending::Canceled));
    assert_eq!(canceled(Progress::default()).step, Step::Close(Ending::Canceled));
}

#[test]
fn a_command_that_died_after_its_daemon_ended_in_order_costs_nothing() {
    let spec = spec(vec![task("a", &[])], &[], Deliver::Branch);
    let mut walker = started(&spec, 0);
    for commands in 1..=10 {
        assert_eq!(walker.stage(), &trying(0, 1));
        let progress = &walker.position.progress;
        assert_eq!((progress.commands, progress.cut_offs, progress.deaths), (commands, 0, 0));
        walker.cut_off_in_order();
    }
}

#[test]
fn a_command_that_was_cut_off_is_run_again_within_bounds() {
    let spec = spec(vec![task("a", &["v"])], &[], Deliver::Branch);
    let terminated = ended(EndCause::Terminated, Some(ExitStatus::Code(143)));
    let crashed = || TryOutcome::Crashed("exit code 143 (SIGTERM)".into());
    let mut walker = started(&spec, 0);
    for commands in 1..=CUT_OFFS {
        assert_eq!(walker.stage(), &trying(0, 1));
        assert_eq!(walker.position.progress.commands, commands, "each has a folder of its own");
        assert!(is_cut_off(&walker.position.progress, &terminated));
        assert!(!is_cut_off(&walker.position.progress, &code(143)), "a command that ended by itself counts");
        walker.cut_off(Some((crashed(), AgentReport::default())));
        let [.., RecordChange::TryEnded { .. }, RecordChange::TryBegan { of }] = &walker.changes[..] else {
            panic!("{:?}", walker.changes)
        };
        assert_eq!(*of, Try { task: 0, number: 1 });
    }
    assert!(!is_cut_off(&walker.position.progress, &terminated));
    let mut failed = walker.clone();
    failed.act(acted(TryOutcome::Failed("f".into())));
    assert!(cause(&failed).ends_with("on try 1 of 1"), "{}", cause(&failed));

    walker.act(acted(TryOutcome::Succeeded));
    walker.capture(candidate("c1"));
    assert!(is_cut_off(&walker.position.progress, &terminated), "a command that ended by itself resets the count");
    let before = walker.position.progress.commands;
    walker.changes.clear();
    walker.cut_off(None);
    assert_eq!(walker.position.progress.commands, before + 1);
    let of = Try { task: 0, number: 1 };
    let verify = CommandStage::Verify(Verify::Task { of, candidate: Some("c1".into()), index: 0 });
    assert_eq!(walker.stage(), &verify);
    assert_eq!(walker.changes, [], "a verify command that is cut off rejects no try");
    walker.verify(&code(0));
    assert_eq!(walker.position.progress.cut_offs, 0, "a verify command that ended by itself ends the row");
}

#[test]
fn a_try_that_died_gives_the_spec_back_at_the_next_try() {
    let spec = spec(vec![task("a", &[])], &[], Deliver::Branch);
    for outcome in [TryOutcome::Lost, TryOutcome::Crashed("signal 9".into())] {
        let mut walker = started(&spec, 2);
        let Some(Move::Died(position, changes, failure)) = walker.act(acted(outcome)) else { panic!("not given back") };
        assert_eq!(then(&position), &Stage::Command(trying(0, 2)));
        assert_eq!((position.progress.deaths, position.progress.commands), (1, 1));
        assert_eq!(position.progress.failure, Some(failure));
        assert!(matches!(changes[..], [RecordChange::TryEnded { .. }]), "the next try has not begun: {changes:?}");
        walker.position = position;
        walker.prepared("c0");
        let Some(Move::Died(position, ..)) = walker.act(acted(TryOutcome::Lost)) else { panic!("not given back") };
        assert_eq!(position.progress.deaths, 2);
        walker.position = position;
        walker.prepared("c0");
        walker.act(acted(TryOutcome::Succeeded));
        assert_eq!(walker.position.progress.deaths, 0, "a try that ended by itself resets the count");
    }
    let mut last = started(&spec, 0);
    last.act(acted(TryOutcome::Lost));
    assert!(cause(&last).ends_with("on try 1 of 1"), "{}", cause(&last));
}

#[test]
fn a_verify_command_that_died_is_repeated_within_bounds_and_costs_no_try() {
    let spec = spec(vec![task("a", &["v"])], &["final"], Deliver::Branch);
    for died in [ended(EndCause::Lost, None), signal(9)] {
        let mut walker = captured(&spec, 2);
        let stage = walker.stage().clone();
        for deaths in 1..=2 {
            let Some(Move::Died(position, changes, _)) = walker.verify(&died) else { panic!("not given back") };
            assert_eq!((then(&position), position.progress.deaths), (&Stage::Command(stage.clone()), deaths));
            assert_eq!(changes, []);
            walker.position = position;
            walker.prepared("c0");
            assert_eq!((walker.stage(), walker.position.progress.deaths), (&stage, deaths));
        }
        let mut passed = walker.clone();
        passed.verify(&code(0));
        assert_eq!(passed.position.progress.deaths, 0, "a command that ended by itself resets the count");
        walker.verify(&died);
        assert!(cause(&walker).starts_with("task a: the verify command failed (`v`): "), "{}", cause(&walker));
        assert!(cause(&walker).ends_with(", 3 times in a row"), "{}", cause(&walker));
    }
    let mut crashed = captured(&spec, 2);
    crashed.verify(&signal(11));
    assert_eq!(crashed.stage(), &trying(0, 2), "a program that crashes has failed");
    let mut timed_out = captured(&spec, 2);
    timed_out.verify(&ended(EndCause::TimedOut, Some(ExitStatus::Signal(9))));
    assert_eq!(timed_out.stage(), &trying(0, 2), "boi itself killed it");
}

#[test]
fn the_exit_code_of_a_shell_whose_child_was_killed_counts_as_a_death_only_once() {
    let spec = spec(vec![task("a", &["v"])], &[], Deliver::Branch);
    let mut walker = captured(&spec, 2);
    let Some(Move::Died(position, ..)) = walker.verify(&code(137)) else { panic!("not given back") };
    walker.position = position;
    walker.prepared("c0");
    walker.verify(&code(137));
    assert_eq!((walker.stage(), walker.position.progress.deaths), (&trying(0, 2), 0));
    let mut without_tries = captured(&spec, 0);
    without_tries.verify(&code(137));
    assert!(cause(&without_tries).contains("exit code 137 (SIGKILL), on try 1 of 1"), "{}", cause(&without_tries));
}

#[test]
fn a_verify_command_of_the_spec_fails_the_spec_and_is_repeated_within_bounds_when_it_dies() {
    let spec = spec(vec![task("a", &[])], &["final"], Deliver::Branch);
    let at_verify = |retry_count| {
        let mut walker = captured(&spec, retry_count);
        walker.advance();
        walker
    };
    let mut failed = at_verify(5);
    failed.verify(&code(2));
    assert_eq!(cause(&failed), "verification of the whole spec: the verify command failed (`final`): exit code 2");
    let mut died = at_verify(1);
    assert!(matches!(died.verify(&signal(9)), Some(Move::Died(..))));
    died.position.progress.deaths = 1;
    died.verify(&signal(9));
    assert!(cause(&died).starts_with("verification of the whole spec: "), "{}", cause(&died));
}
