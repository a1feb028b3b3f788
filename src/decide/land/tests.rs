//! A simulated repository in which a lander works: a tree is the set of specs whose branches it contains.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::domain::failure::{FailedHow, FailedPart};
use crate::domain::position::RunningCommand;
use crate::domain::spec::{Base, Repo, Spec};
use crate::domain::time::Timestamp;

/// What is wrong with the branches.
#[derive(Debug, Clone, Default)]
struct World {
    count: usize,
    /// Pairs that conflict.
    conflicts: Vec<(usize, usize)>,
    /// Pairs that fail the verify command together. A pair of the same spec twice: the spec fails alone.
    broken: Vec<(usize, usize)>,
    /// At which `Land` steps the base has moved.
    moves: Vec<usize>,
    fixable: bool,
}

#[derive(Debug, Default)]
struct Outcome {
    ends: BTreeMap<usize, LandingChange>,
    runs: usize,
    base: BTreeSet<usize>,
}

fn id(number: usize) -> SpecId {
    format!("S{number:04X}").parse().unwrap()
}

fn number(spec: &SpecId) -> usize {
    usize::from_str_radix(&spec.as_str()[1..], 16).unwrap()
}

fn name(tree: &BTreeSet<usize>) -> String {
    tree.iter().map(|one| format!("{one}.")).collect()
}

fn waiting(number: usize, fixable: bool) -> Waiting {
    Waiting { spec: id(number), title: String::new(), verify: vec!["v".into()], verified: None, fixable }
}

impl World {
    fn conflict(&self, a: usize, b: usize) -> bool {
        self.conflicts.contains(&(a, b)) || self.conflicts.contains(&(b, a))
    }

    fn passes(&self, tree: &BTreeSet<usize>) -> bool {
        !self.broken.iter().any(|(a, b)| tree.contains(a) && tree.contains(b))
    }

    fn build(&self, base: &BTreeSet<usize>, specs: &[Waiting]) -> Built {
        let mut tree = base.clone();
        let mut built = Built { from: name(base), ..Built::default() };
        for one in specs {
            let own = number(&one.spec);
            if base.contains(&own) {
                built.contained.push((one.spec.clone(), MergedBy::Boi));
            } else if base.iter().any(|other| self.conflict(own, *other)) {
                built.conflicts.push((one.clone(), vec!["f".into()]));
            } else if !tree.iter().any(|other| self.conflict(own, *other)) {
                tree.insert(own);
                built.members.push((one.clone(), format!("head-{own}")));
            }
        }
        (built.tip, built.tree) = (name(&tree), name(&tree));
        built
    }

    /// Runs a lander to its end.
    fn land(&self) -> Outcome {
        let repo = Repo { path: "/r".into(), base: Base::Revision("main".into()) };
        let spec = Spec::of_lander(repo);
        let mut outcome = Outcome::default();
        let mut open: Vec<usize> = (0..self.count).collect();
        let mut position = start("refs/heads/main");
        let (mut lands, mut steps) = (0, 0);
        loop {
            steps += 1;
            assert!(steps < 100 + 40 * self.count + 10 * self.moves.len(), "the lander does not end: {position:?}");
            let next_command = RunningCommand { boot: "b".into(), marker: steps.to_string() };
            let plan = AttemptPlan {
                spec: &spec,
                done: &[],
                tries: &[],
                retry_count: 3,
                retry_backoff: [0, 0],
                now: Timestamp(0),
                timeout_minutes: 1,
                budget: None,
                next_command: &next_command,
            };
            let Position { step, progress } = position.clone();
            let landing = progress.landing.clone().unwrap();
            let next = match step {
                Step::Close(_) => return outcome,
                Step::Git(GitStage::Gather) => {
                    let all = open.iter().map(|one| waiting(*one, self.fixable)).collect();
                    let selected = select(&landing, all);
                    let specs: Vec<SpecId> = selected.iter().map(|one| one.spec.clone()).collect();
                    after_gather(&plan, progress, &specs, self.build(&outcome.base, &selected))
                }
                Step::Command { stage: CommandStage::Verify(Verify::Batch { index }), .. } => {
                    outcome.runs += 1;
                    let batch = landing.batch.as_ref().unwrap();
                    let tree = batch.members.iter().map(|one| number(&one.spec)).chain(outcome.base.iter().copied());
                    if self.passes(&tree.collect()) {
                        after_pass(&plan, progress, index)
                    } else {
                        let part = FailedPart::Verify { command: "v".into(), number: 1, count: 1 };
                        let how = FailedHow::Exited { status: None };
                        after_fail(&plan, progress, index, Failure { part, how, output: String::new() })
                    }
                }
                Step::Git(GitStage::Land(merge)) => {
                    lands += 1;
                    assert_eq!(
                        merge.from,
                        name(&outcome.base),
                        "the base moves only from the commit that was built on"
                    );
                    if self.moves.contains(&lands) {
                        after_land(&plan, progress, Landed::BaseMoved)
                    } else {
                        let batch = landing.batch.as_ref().unwrap();
                        outcome.base.extend(batch.members.iter().map(|one| number(&one.spec)));
                        after_land(&plan, progress, Landed::Done)
                    }
                }
                other => panic!("{other:?}"),
            };
            let Move::Go(after, changes) = next else { panic!("{next:?}") };
            for change in changes {
                let RecordChange::Landing(change) = change else { panic!("{change:?}") };
                let own = match &change {
                    LandingChange::Joined(_) => continue,
                    LandingChange::Landed(spec, _)
                    | LandingChange::SentBack(spec, _)
                    | LandingChange::Unmerged(spec, _) => number(spec),
                    LandingChange::AllUnmerged(why) => panic!("{why}"),
                };
                open.retain(|one| *one != own);
                assert!(outcome.ends.insert(own, change).is_none(), "spec {own} ends twice");
            }
            position = after;
        }
    }
}

#[test]
fn specs_that_pass_together_land_with_one_run() {
    let outcome = World { count: 12, ..World::default() }.land();
    assert_eq!((outcome.runs, outcome.base.len()), (1, 12));
    assert!(World::default().land().ends.is_empty(), "nothing waits");
}

#[test]
fn one_of_twelve_that_breaks_the_others_goes_back_and_the_rest_lands() {
    let broken = (0..12).filter(|one| *one != 2).map(|one| (2, one)).collect();
    let world = World { count: 12, broken, conflicts: vec![(5, 8)], fixable: true, ..World::default() };
    let outcome = world.land();
    let back: Vec<usize> = outcome
        .ends
        .iter()
        .filter(|(_, end)| matches!(end, LandingChange::SentBack(..)))
        .map(|(own, _)| *own)
        .collect();
    assert_eq!((back, outcome.base.len()), (vec![2, 8], 10));
    assert!(outcome.runs <= 10, "{} runs", outcome.runs);
}

#[test]
fn a_verified_branch_on_top_of_the_base_lands_without_a_run() {
    let spec = Spec::of_lander(Repo { path: "/r".into(), base: Base::Revision("main".into()) });
    let next_command = RunningCommand { boot: "b".into(), marker: "m".into() };
    let plan = AttemptPlan {
        spec: &spec,
        done: &[],
        tries: &[],
        retry_count: 0,
        retry_backoff: [0, 0],
        now: Timestamp(0),
        timeout_minutes: 1,
        budget: None,
        next_command: &next_command,
    };
    for (verified, expected) in [(Some("head"), true), (Some("other"), false), (None, false)] {
        let one = Waiting { verified: verified.map(str::to_owned), ..waiting(1, true) };
        let built = Built {
            from: "base".into(),
            tip: "head".into(),
            tree: "tree".into(),
            members: vec![(one, "head".into())],
            ..Built::default()
        };
        let Move::Go(position, _) = after_gather(&plan, start("refs/heads/main").progress, &[id(1)], built) else {
            panic!("the lander ends")
        };
        assert_eq!(matches!(position.step, Step::Git(GitStage::Land(_))), expected, "{verified:?}");
    }
}

#[test]
fn a_batch_may_fail_a_few_times_before_its_specs_are_verified_one_by_one() {
    assert_eq!([1, 2, 3, 4, 5, 8, 9, 12].map(max_failures), [2, 3, 4, 4, 5, 5, 6, 6]);
}

proptest! {
    /// Whatever the branches do to each other: the lander ends, each spec ends once, no spec that lands breaks the base, and
    /// the number of runs is bounded.
    #[test]
    fn every_landing_ends_with_a_base_that_passes(
        count in 0usize..14,
        conflicts in prop::collection::vec((0usize..14, 0usize..14), 0..4),
        broken in prop::collection::vec((0usize..14, 0usize..14), 0..5),
        moves in prop::collection::vec(1usize..12, 0..3),
        fixable: bool,
    ) {
        let conflicts: Vec<_> = conflicts.into_iter().filter(|(a, b)| a != b).collect();
        let world = World { count, conflicts, broken, moves, fixable };
        let outcome = world.land();
        prop_assert!(world.passes(&outcome.base), "the base fails: {:?}", outcome);
        prop_assert_eq!(outcome.ends.len(), count, "{:?}", &outcome);
        for (own, end) in &outcome.ends {
            let has_landed = matches!(end, LandingChange::Landed(..));
            prop_assert_eq!(has_landed, outcome.base.contains(own));
            match end {
                LandingChange::SentBack(..) => prop_assert!(world.fixable),
                LandingChange::Unmerged(..) => prop_assert!(!world.fixable),
                _ => {}
            }
        }
        // A run for each node of the tree of halves, and for each time that the base moved or a branch was postponed.
        let most = (2 * count).saturating_sub(1) + 2 * count * world.moves.len() + 2 * count * world.conflicts.len();
        prop_assert!(outcome.runs <= most, "{} runs of {}", outcome.runs, most);
        if world.conflicts.is_empty() && world.moves.is_empty() {
            prop_assert!(outcome.runs <= (2 * count).saturating_sub(1), "{} runs", outcome.runs);
        }
    }
}
