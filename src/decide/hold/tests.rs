//! Tests of holds: the rows of the table in `hold.rs`, and random sequences of events in a lane.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn spec(number: u32) -> SpecId {
    format!("S{number:04X}").parse().unwrap()
}

fn refuse(hold: Option<Hold>, number: u32, refusal: Refusal, others_are_answered: bool) -> Option<Hold> {
    let spec = spec(number);
    let run = RefusedRun { spec: &spec, refusal, evidence: "line", others_are_answered };
    after_refusal(hold, &run, NOW, 0.0)
}

fn wait(hold: &Hold) -> i64 {
    hold.until.unwrap().millis_since(NOW)
}

fn limited(in_millis: i64) -> Refusal {
    Refusal::Limited { until: Some(NOW.plus_millis(in_millis)) }
}

#[test]
fn a_refusal_holds_the_agent_unless_other_runs_are_answered_and_it_may_be_a_passing_one() {
    for (refusal, alone, among_answered) in [
        (limited(45_000), Some(45_000), Some(45_000)),
        (limited(-1), Some(5_000), Some(5_000)),
        (limited(i64::MAX / 2), Some(8 * 24 * 3_600_000), Some(8 * 24 * 3_600_000)),
        (Refusal::Limited { until: None }, Some(900_000), Some(900_000)),
        (Refusal::Throttled, Some(5_000), None),
        (Refusal::Overloaded, Some(15_000), None),
        (Refusal::Auth, Some(60_000), Some(60_000)),
        (Refusal::NeedsHuman, Some(60_000), Some(60_000)),
        (Refusal::NoProgram, Some(60_000), Some(60_000)),
    ] {
        for (others, expected) in [(false, alone), (true, among_answered)] {
            let hold = refuse(None, 1, refusal, others);
            assert_eq!(
                hold.as_ref().map(wait),
                expected,
                "{refusal:?}, other runs of the agent are answered: {others}"
            );
            if let Some(hold) = hold {
                assert_eq!((hold.first, hold.probe, hold.since), (Some(spec(1)), None, NOW));
            }
        }
    }
}

#[test]
fn one_probe_starts_when_the_time_has_come_and_its_answer_ends_the_hold() {
    let hold = refuse(None, 1, limited(45_000), false).unwrap();
    let end = NOW.plus_millis(45_000);
    assert_eq!(gate(Some(&hold), end.plus_millis(-1)), Gate::Closed(Some(end)));
    assert_eq!(gate(Some(&hold), end), Gate::Probe);
    let probing = probing(hold, &spec(1));
    assert_eq!(gate(Some(&probing), end), Gate::Closed(None));
    assert!(
        after_answer(Some(probing.clone()), &spec(2)).is_some(),
        "an answer to another run than the probe does not end the hold"
    );
    assert_eq!(after_answer(Some(probing), &spec(1)), None);
    assert_eq!(gate(None, end), Gate::Open);
}

#[test]
fn each_refused_probe_lengthens_the_wait_within_its_bounds() {
    for (refusal, waits) in [
        (Refusal::Throttled, [5, 10, 20, 40, 300]),
        (Refusal::Overloaded, [15, 30, 60, 120, 900]),
        (Refusal::Auth, [60, 120, 240, 480, 1_800]),
        (Refusal::NoProgram, [60, 120, 240, 480, 1_800]),
    ] {
        let mut hold = refuse(None, 1, refusal, false).unwrap();
        for (refused, seconds) in [0, 1, 2, 3].into_iter().zip(waits) {
            assert_eq!((hold.refused_probes, wait(&hold)), (refused, seconds * 1_000), "{refusal:?}");
            hold = refuse(Some(probing(hold, &spec(7))), 7, refusal, false).unwrap();
        }
        for _ in 0..20 {
            hold = refuse(Some(probing(hold, &spec(7))), 7, refusal, true).unwrap();
        }
        assert_eq!((wait(&hold), hold.first.clone()), (waits[4] * 1_000, Some(spec(7))), "{refusal:?}");
    }
}

#[test]
fn a_random_delay_after_a_limit_is_at_most_one_percent_and_half_a_minute() {
    let spec = spec(1);
    let after = |millis, spread| {
        let run = RefusedRun { spec: &spec, refusal: limited(millis), evidence: "", others_are_answered: false };
        wait(&after_refusal(None, &run, NOW, spread).unwrap()) - millis
    };
    assert_eq!([after(45_000, 0.0), after(45_000, 1.0), after(5 * 3_600_000, 1.0)], [0, 450, 30_000]);
}

#[test]
fn a_run_that_started_before_the_hold_changes_it_only_if_it_tells_more() {
    let throttled = refuse(None, 1, Refusal::Throttled, false);
    let known = refuse(throttled.clone(), 2, limited(60_000), false).unwrap();
    assert_eq!((wait(&known), known.first.clone()), (60_000, Some(spec(1))));
    assert_eq!(wait(&refuse(Some(known.clone()), 3, limited(90_000), false).unwrap()), 90_000);
    assert_eq!(refuse(Some(known.clone()), 3, limited(30_000), false), Some(known.clone()));
    assert_eq!(refuse(Some(known.clone()), 3, Refusal::Throttled, false), Some(known.clone()));
    let probed = probing(known, &spec(1));
    assert_eq!(refuse(Some(probed.clone()), 3, limited(90_000), false), Some(probed));
}

#[test]
fn a_probe_that_ends_otherwise_ends_or_postpones_the_hold() {
    let probe = |refusal| Some(probing(refuse(None, 1, refusal, false).unwrap(), &spec(1)));
    let ended = |hold, end| after_end(hold, &spec(1), end, NOW, 0.0);
    assert_eq!(ended(probe(Refusal::Auth), ProbeEnd::Worked), None);
    let withdrawn = ended(probe(Refusal::Auth), ProbeEnd::Withdrawn).unwrap();
    assert_eq!((wait(&withdrawn), withdrawn.probe, withdrawn.refused_probes), (1_000, None, 0));
    let failed = ended(probe(Refusal::Auth), ProbeEnd::Failed).unwrap();
    assert_eq!((wait(&failed), failed.probe, failed.refused_probes), (120_000, None, 1));
    let failed = ended(probe(limited(60_000)), ProbeEnd::Failed).unwrap();
    assert_eq!((wait(&failed), failed.refused_probes), (30_000, 1));
    let other = probing(refuse(None, 1, Refusal::Auth, false).unwrap(), &spec(2));
    assert_eq!(ended(Some(other.clone()), ProbeEnd::Worked), Some(other));
    assert_eq!(ended(None, ProbeEnd::Failed), None);
}

#[test]
fn a_hold_by_hand_ends_by_its_time_or_by_the_users_command() {
    let until = NOW.plus_millis(10);
    let hold = by_hand(NOW, Some(until));
    assert_eq!(gate(Some(&hold), NOW), Gate::Closed(Some(until)));
    assert_eq!(gate(Some(&hold), until), Gate::Open);
    let hold = by_hand(NOW, None);
    assert_eq!(gate(Some(&hold), until), Gate::Closed(None));
    assert_eq!(
        resumed(hold.clone(), false, NOW),
        Some(hold.clone()),
        "`boi resume` without an agent does not end a hold made by hand"
    );
    assert_eq!(resumed(hold.clone(), true, NOW), None);
    assert_eq!(after_change(hold.clone(), until), hold);
    assert_eq!(refuse(Some(hold.clone()), 1, Refusal::Auth, false), Some(hold));
}

#[test]
fn a_resume_and_a_change_by_the_user_start_a_probe_at_once() {
    for (refusal, changes) in [(limited(60_000), false), (Refusal::Overloaded, false), (Refusal::NoProgram, true)] {
        let hold = refuse(None, 1, refusal, false).unwrap();
        assert_eq!(gate(resumed(hold.clone(), false, NOW).as_ref(), NOW), Gate::Probe);
        assert_eq!(gate(Some(&after_change(hold, NOW)), NOW) == Gate::Probe, changes, "{refusal:?}");
    }
}

/// An event in a random sequence of events in a lane.
#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(i64),
    /// The run with this number asks to start.
    Ask(u32),
    Refused(u32, Refusal),
    Answered(u32),
    Ended(u32, ProbeEnd),
    Resume(bool),
    Change,
    ByHand(Option<i64>),
}

fn steps() -> impl Strategy<Value = Step> {
    let refusal = prop_oneof![
        (-10_000..100_000_000i64).prop_map(limited),
        Just(Refusal::Limited { until: None }),
        Just(Refusal::Throttled),
        Just(Refusal::Overloaded),
        Just(Refusal::Auth),
        Just(Refusal::NeedsHuman),
        Just(Refusal::NoProgram),
    ];
    let end = prop_oneof![Just(ProbeEnd::Worked), Just(ProbeEnd::Failed), Just(ProbeEnd::Withdrawn)];
    let run = 0..6u32;
    prop_oneof![
        4 => (0..3_000_000i64).prop_map(Step::Wait),
        6 => run.clone().prop_map(Step::Ask),
        4 => (run.clone(), refusal).prop_map(|(run, refusal)| Step::Refused(run, refusal)),
        3 => run.clone().prop_map(Step::Answered),
        2 => (run, end).prop_map(|(run, end)| Step::Ended(run, end)),
        1 => any::<bool>().prop_map(Step::Resume),
        1 => Just(Step::Change),
        1 => proptest::option::of(0..1_000_000i64).prop_map(Step::ByHand),
    ]
}

proptest! {
    #[test]
    fn a_lane_never_has_two_probes_and_always_a_way_on(life in proptest::collection::vec(steps(), 1..80)) {
        let (mut hold, mut now, mut running): (Option<Hold>, _, Vec<u32>) = (None, NOW, Vec::new());
        for step in life {
            match step {
                Step::Wait(millis) => now = now.plus_millis(millis),
                Step::Ask(run) if running.contains(&run) => {}
                Step::Ask(run) => match gate(hold.as_ref(), now) {
                    Gate::Open => {
                        hold = None;
                        running.push(run);
                    }
                    Gate::Probe => {
                        let known = hold.take().unwrap();
                        prop_assert_eq!(known.probe.clone(), None, "a second probe starts during a hold");
                        hold = Some(probing(known, &spec(run)));
                        running.push(run);
                    }
                    Gate::Closed(Some(until)) => prop_assert!(until > now),
                    Gate::Closed(None) => {
                        let hold = hold.as_ref().unwrap();
                        prop_assert!(hold.probe.is_some() || hold.cause == HoldCause::ByHand);
                    }
                },
                Step::Refused(run, refusal) if running.contains(&run) => {
                    running.retain(|other| *other != run);
                    let spec = spec(run);
                    let refused = RefusedRun { spec: &spec, refusal, evidence: "", others_are_answered: run % 2 == 0 };
                    hold = after_refusal(hold, &refused, now, 0.5);
                }
                Step::Answered(run) if running.contains(&run) => hold = after_answer(hold, &spec(run)),
                Step::Ended(run, end) if running.contains(&run) => {
                    running.retain(|other| *other != run);
                    hold = after_end(hold, &spec(run), end, now, 0.5);
                }
                Step::Resume(named) => hold = hold.and_then(|hold| resumed(hold, named, now)),
                Step::Change => hold = hold.map(|hold| after_change(hold, now)),
                Step::ByHand(millis) => hold = Some(by_hand(now, millis.map(|millis| now.plus_millis(millis)))),
                Step::Refused(..) | Step::Answered(_) | Step::Ended(..) => {}
            }
            if let Some(hold) = &hold {
                prop_assert!(hold.until.is_some() || hold.cause == HoldCause::ByHand, "nothing ends the hold");
                if let Some(probe) = &hold.probe {
                    prop_assert!(running.iter().any(|run| spec(*run) == *probe), "the probe of the hold is not running");
                }
                if hold.cause != HoldCause::ByHand && hold.probe.is_none() {
                    prop_assert!(hold.until.unwrap().millis_since(now) <= LIMIT_BOUNDS.1 + 30_000);
                }
            }
        }
    }
}
