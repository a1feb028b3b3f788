//! A worker walked through its steps.

use super::*;
use crate::domain::spec::{Base, Repo, Task};
use crate::domain::time::Timestamp;

fn task(id: &str, verify: &[&str]) -> Task {
    Task {
        id: id.into(),
        title: id.into(),
        action: Action::Run("true".into()),
        needs: vec![],
        verify: verify.iter().map(|&v| v.to_owned()).collect(),
        timeout_minutes: None,
    }
}

fn spec(tasks: Vec<Task>, verify: &[&str], deliver: Deliver) -> Spec {
    Spec {
        title: "t".into(),
        repo: Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) }),
        context: None,
        agent: "claude".into(),
        model: None,
        priority: 100,
        after: vec![],
        deliver,
        verify: verify.iter().map(|&v| v.to_owned()).collect(),
        tasks,
    }
}

fn ended(code: i32) -> CommandEnd {
    CommandEnd { cause: EndCause::Finished, status: Some(ExitStatus::Code(code)), swept: 0, ended_at: Timestamp(0) }
}

fn checked(code: i32) -> Event {
    Event::Checked { end: ended(code), output: "the end".into() }
}

fn acted_as(outcome: TryOutcome) -> Event {
    Event::Acted { outcome, report: AgentReport::default(), output: "said".into() }
}

/// Walks a worker through `events`, as the worker does, and returns where it ends up.
fn walk(spec: &Spec, retry_count: u32, events: Vec<Event>) -> (Position, Vec<Change>, Option<Move>) {
    let mut done = vec![false; spec.tasks.len()];
    let tries = vec![0; spec.tasks.len()];
    let mut position = Position::start(None, None);
    let mut all = Vec::new();
    for event in events {
        let plan = Plan { spec, done: &done, tries: &tries, retry_count, timeout_minutes: 30 };
        match advance(&plan, &position, event) {
            Move::Go(next, changes) => {
                for change in &changes {
                    if let Change::TaskDone { task, .. } = change {
                        done[*task] = true;
                    }
                }
                all.extend(changes);
                position = next;
            }
            other => return (position, all, Some(other)),
        }
    }
    (position, all, None)
}

fn position_reason(position: &Position) -> String {
    match &position.step {
        Step::Close { ending: Ending::Failed { reason, .. } } => reason.clone(),
        step => panic!("not failed: {step:?}"),
    }
}

fn prepared() -> Event {
    Event::Prepared { origin: Some("c0".into()), head: Some("c0".into()) }
}

#[test]
fn a_spec_of_two_tasks_goes_through_every_step_once() {
    let spec = spec(vec![task("a", &["v1", "v2"]), task("b", &[])], &["final"], Deliver::Branch);
    let (position, changes, end) = walk(
        &spec,
        0,
        vec![
            prepared(),
            acted_as(TryOutcome::Succeeded),
            Event::Captured { candidate: Some("c1".into()) },
            checked(0),
            checked(0),
            Event::Advanced,
            acted_as(TryOutcome::Succeeded),
            Event::Captured { candidate: None },
            Event::Advanced,
            checked(0),
            Event::Closed,
        ],
    );
    assert_eq!(end, Some(Move::End(Ending::Completed { delivery: Some(Delivery::Branch), reason: None })));
    assert_eq!(position.commands, 5, "two acts, two checks and the final check are commands");
    assert_eq!(position.verified.as_deref(), Some("c1"));
    let commits: Vec<_> = changes
        .iter()
        .filter_map(|change| match change {
            Change::TaskDone { commit, .. } => Some(commit.as_deref()),
            _ => None,
        })
        .collect();
    assert_eq!(commits, [Some("c1"), None]);
}

#[test]
fn a_failed_verify_repeats_the_try_with_the_failure_until_the_tries_are_used_up() {
    let spec = spec(vec![task("a", &["cargo test"])], &[], Deliver::Branch);
    let one_try =
        || vec![acted_as(TryOutcome::Succeeded), Event::Captured { candidate: Some("c1".into()) }, checked(101)];
    let mut events = vec![prepared()];
    events.extend(one_try());
    let (position, _, _) = walk(&spec, 1, events.clone());
    assert_eq!(position.step, Step::Act { task: 0, try_number: 2 });
    let failure = position.failure.unwrap();
    assert_eq!((failure.command.as_deref(), failure.how.as_str()), (Some("cargo test"), "exit code 101"));
    assert_eq!(failure.output, "the end");

    events.extend(one_try());
    let (position, changes, _) = walk(&spec, 1, events);
    let Step::Close { ending: Ending::Failed { task: Some(0), reason } } = position.step else {
        panic!("not failed: {position:?}")
    };
    assert_eq!(reason, "verify command failed (`cargo test`): exit code 101, on try 2 of 2");
    assert!(changes.contains(&Change::Task { task: 0, status: TaskStatus::Failed }));
}

#[test]
fn a_refused_login_ends_the_spec_at_once_and_a_limit_gives_the_slot_back_with_the_same_try() {
    let task = Task { action: Action::Prompt("do it".into()), ..task("a", &[]) };
    let spec = spec(vec![task], &[], Deliver::Branch);
    let (position, _, _) = walk(&spec, 5, vec![prepared(), acted_as(TryOutcome::Auth("log in".into()))]);
    assert!(position_reason(&position).starts_with("log in; log in: start `claude`"), "{position:?}");

    let limited = TryOutcome::Limited { until: None, detail: "5 h".into() };
    let (_, _, end) = walk(&spec, 0, vec![prepared(), acted_as(limited)]);
    let Some(Move::GiveBack(position, _, _)) = end else { panic!("not given back: {end:?}") };
    assert!(!position.awaiting);
    let then = Some(Box::new(Step::Act { task: 0, try_number: 1 }));
    assert_eq!(position.step, Step::Prepare { laying: crate::domain::attempt::Laying::AsItIs, then });
}

#[test]
fn a_delivery_that_needs_a_merge_verifies_the_merge_and_plans_again_when_the_base_moves() {
    let spec = spec(vec![task("a", &[])], &["final"], Deliver::Merge);
    let to_delivery = || {
        vec![
            prepared(),
            acted_as(TryOutcome::Succeeded),
            Event::Captured { candidate: Some("c1".into()) },
            Event::Advanced,
            checked(0),
        ]
    };
    let deliverable = |head: &str| Event::Deliverable { from: "b1".into(), head: head.into() };
    let mut straight = to_delivery();
    straight.push(deliverable("c1"));
    let (position, _, _) = walk(&spec, 0, straight);
    assert_eq!(position.step, Step::Land { round: 1, from: "b1".into(), head: "c1".into() });

    let mut merged = to_delivery();
    merged.extend([deliverable("m1"), checked(0), Event::BaseMoved]);
    let (position, _, _) = walk(&spec, 0, merged.clone());
    assert_eq!(position.step, Step::Deliver { round: 2 });
    assert_eq!(position.verified.as_deref(), Some("m1"));

    merged.extend([deliverable("m2"), checked(1)]);
    let (position, _, _) = walk(&spec, 0, merged);
    let Step::Close { ending: Ending::Completed { delivery: Some(Delivery::Unmerged), reason } } = position.step else {
        panic!("{position:?}")
    };
    assert_eq!(reason.unwrap(), "after the merge with its base, verify command failed (`final`): exit code 1");
}

#[test]
fn an_event_out_of_place_fails_the_spec_instead_of_inventing_a_step() {
    let spec = spec(vec![task("a", &[])], &[], Deliver::Branch);
    let (position, _, _) = walk(&spec, 0, vec![prepared(), Event::Advanced]);
    assert!(matches!(position.step, Step::Close { ending: Ending::Failed { task: None, .. } }));
}

#[test]
fn a_command_that_was_ended_from_outside_is_carried_out_again_within_bounds() {
    let spec = spec(vec![task("a", &["v"])], &[], Deliver::Branch);
    let terminated = CommandEnd { cause: EndCause::Terminated, ..ended(143) };
    let crashed = || TryOutcome::Crashed("exit code 143 (SIGTERM)".into());
    let cut = || Event::CutOff { ended: Some((crashed(), AgentReport::default())) };
    let mut events = vec![prepared()];
    for commands in 1..=3 {
        let (position, ..) = walk(&spec, 0, events.clone());
        assert_eq!(position.step, Step::Act { task: 0, try_number: 1 });
        assert_eq!(position.commands, commands, "each has a folder of its own");
        assert!(is_cut_off(&position, &terminated));
        assert!(!is_cut_off(&position, &ended(143)), "who ended by itself counts");
        events.push(cut());
    }
    let (position, ..) = walk(&spec, 0, events.clone());
    assert!(!is_cut_off(&position, &terminated));
    let mut failed = events.clone();
    failed.push(acted_as(crashed()));
    assert!(position_reason(&walk(&spec, 0, failed).0).contains("on try 1 of 1"));

    events.extend([acted_as(TryOutcome::Succeeded), Event::Captured { candidate: Some("c1".into()) }]);
    let (position, ..) = walk(&spec, 0, events.clone());
    assert!(is_cut_off(&position, &terminated), "what went well in between ends the row");
    events.push(Event::CutOff { ended: None });
    let (again, changes, _) = walk(&spec, 0, events);
    assert_eq!((&again.step, again.commands), (&position.step, position.commands + 1));
    assert!(again.awaiting);
    assert!(!changes.iter().any(|change| matches!(change, Change::TryRejected { .. })));
}

#[test]
fn a_command_that_dies_is_carried_out_again_after_a_rest_within_bounds() {
    let spec = spec(vec![task("a", &["v"])], &["final"], Deliver::Branch);
    let lost = || Event::Checked {
        end: CommandEnd { cause: EndCause::Lost, status: None, ..ended(0) },
        output: String::new(),
    };
    let then = |position: &Position| match &position.step {
        Step::Prepare { laying: crate::domain::attempt::Laying::AsItIs, then: Some(step) } => (**step).clone(),
        step => panic!("{step:?}"),
    };
    // A try that died is the next try, which has not begun yet.
    let (_, _, end) = walk(&spec, 2, vec![prepared(), acted_as(TryOutcome::Lost)]);
    let Some(Move::Rest(position, changes, why)) = end else { panic!("no rest: {end:?}") };
    assert_eq!((then(&position), position.deaths, position.awaiting), (Step::Act { task: 0, try_number: 2 }, 1, false));
    assert!(!changes.iter().any(|change| matches!(change, Change::TryBegan { .. })), "{changes:?}");
    assert!(why.starts_with("the run command: died with its supervisor"), "{why}");
    assert_eq!(position.commands, 1);

    // A verify command that died is the same again, and costs no try.
    let plan = Plan { spec: &spec, done: &[false], tries: &[0], retry_count: 2, timeout_minutes: 30 };
    let captured = Event::Captured { candidate: Some("c1".into()) };
    let (mut position, ..) = walk(&spec, 2, vec![prepared(), acted_as(TryOutcome::Succeeded), captured]);
    let step = position.step.clone();
    for deaths in 1..=2 {
        let Move::Rest(next, changes, _) = advance(&plan, &position, lost()) else { panic!("no rest") };
        assert_eq!((then(&next), next.deaths, changes.len()), (step.clone(), deaths, 0));
        let Move::Go(next, _) = advance(&plan, &next, prepared()) else { panic!("it does not go on") };
        assert_eq!((&next.step, next.awaiting, next.deaths), (&step, true, deaths));
        position = next;
    }
    let Move::Go(failed, _) = advance(&plan, &position, lost()) else { panic!("no end") };
    let reason = position_reason(&failed);
    assert!(
        reason.starts_with("verify command failed (`v`): died with") && reason.ends_with("3 times in a row"),
        "{reason}"
    );
    let Move::Go(next, _) = advance(&plan, &position, checked(0)) else { panic!("it does not go on") };
    assert_eq!(next.deaths, 0, "what went well in between ends the row");

    // So is one that was killed under a supervisor that lives; one that crashed has said something.
    let signal = |number| Event::Checked {
        end: CommandEnd { status: Some(ExitStatus::Signal(number)), ..ended(0) },
        output: String::new(),
    };
    let final_check = Position { step: Step::FinalCheck { index: 0 }, ..next.clone() };
    for position in [&position, &final_check] {
        let killed = advance(&plan, &Position { deaths: 0, ..position.clone() }, signal(9));
        let Move::Rest(again, changes, why) = killed else { panic!("no rest: {killed:?}") };
        assert_eq!((then(&again), again.deaths, changes.len()), (position.step.clone(), 1, 0));
        assert!(why.contains("was killed"), "{why}");
        let crashed = advance(&plan, &Position { deaths: 0, ..position.clone() }, signal(11));
        assert!(matches!(crashed, Move::Go(..)), "{crashed:?}");
    }
    let Move::Go(failed, _) = advance(&plan, &Position { deaths: 2, ..position.clone() }, signal(9)) else {
        panic!("no end")
    };
    assert!(position_reason(&failed).ends_with("3 times in a row"), "{failed:?}");

    // A shell that says so of its command is believed once.
    let shell = || Event::Checked {
        end: CommandEnd { status: Some(ExitStatus::Code(137)), ..ended(0) },
        output: String::new(),
    };
    let first = Position { deaths: 0, ..position.clone() };
    let Move::Rest(again, ..) = advance(&plan, &first, shell()) else { panic!("no rest") };
    assert_eq!((then(&again), again.deaths), (position.step.clone(), 1));
    let Move::Go(tried, _) = advance(&plan, &Position { deaths: 1, ..position.clone() }, shell()) else { panic!() };
    assert_eq!((&tried.step, tried.deaths), (&Step::Act { task: 0, try_number: 2 }, 0));
    let unforgiving = Plan { retry_count: 0, ..plan };
    let Move::Go(failed, _) = advance(&unforgiving, &first, shell()) else { panic!() };
    assert!(position_reason(&failed).contains("exit code 137 (SIGKILL), on try 1 of 1"), "{failed:?}");

    // The last verify of all, too.
    let last = Position { step: Step::FinalCheck { index: 0 }, ..next };
    assert!(matches!(advance(&plan, &last, lost()), Move::Rest(..)));
    let (last, lost) = (Position { deaths: 2, ..last }, lost());
    let Move::Go(failed, _) = advance(&plan, &last, lost) else { panic!("no end") };
    assert!(position_reason(&failed).starts_with("the spec's own verify command failed"), "{failed:?}");
}
