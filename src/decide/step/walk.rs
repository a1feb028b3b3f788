//! A walker (a simulated worker that follows moves), and the property test that every walk ends.

use proptest::prelude::*;

use super::*;
use crate::domain::position::Checkout;
use crate::domain::spec::{Base, Repo, Task};
use crate::domain::time::Timestamp;

/// The last message of each agent of the tests.
pub(super) const MESSAGE: &str = "There is nothing to do.";
/// The output of each verify command of the tests.
pub(super) const OUTPUT: &str = "the end";

pub(super) fn task(id: &str, verify: &[&str]) -> Task {
    Task::for_tests(id, verify)
}

pub(super) fn spec(tasks: Vec<Task>, verify: &[&str], deliver: Deliver) -> Spec {
    let repo = Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) });
    let verify = verify.iter().map(|&command| command.to_owned()).collect();
    Spec { repo, deliver, verify, tasks, ..Spec::for_tests("t", &[]) }
}

/// A simulated worker: the test chooses the result of each step, and the walker follows the resulting moves.
#[derive(Clone)]
pub(super) struct Walker<'a> {
    spec: &'a Spec,
    retry_count: u32,
    pub(super) retry_backoff: [u64; 2],
    done: Vec<bool>,
    pub(super) tries: Vec<u32>,
    pub(super) position: Position,
    pub(super) changes: Vec<RecordChange>,
    pub(super) budget: Option<SpecBudget>,
    moves: u32,
    /// Whether the walker skips the git steps of a spec without a repository, as a worker does.
    pub(super) skips_idle_git: bool,
    /// Whether the next `Prepare` makes the working tree again.
    pub(super) is_made_again: bool,
}

impl<'a> Walker<'a> {
    pub(super) fn new(spec: &'a Spec, retry_count: u32) -> Walker<'a> {
        let (done, tries) = (vec![false; spec.tasks.len()], vec![0; spec.tasks.len()]);
        let position = Position::start(None, None, None);
        let (changes, budget) = (Vec::new(), None);
        Walker {
            spec,
            retry_count,
            retry_backoff: [0, 0],
            done,
            tries,
            position,
            changes,
            budget,
            moves: 0,
            skips_idle_git: false,
            is_made_again: false,
        }
    }

    /// Marks the first `count` tasks as done, with the branch at `head`.
    pub(super) fn done_until(&mut self, count: usize, head: &str) {
        self.done[..count].fill(true);
        self.position = Position::start(Some("c0".into()), Some(head.into()), None);
    }

    /// Returns the stage of the running command.
    pub(super) fn stage(&self) -> &CommandStage {
        match &self.position.step {
            Step::Command { stage, .. } => stage,
            step => panic!("no command: {step:?}"),
        }
    }

    pub(super) fn prepared(&mut self, head: &str) -> Option<Move> {
        let Step::Prepare { then, checkout } = self.position.step.clone() else { panic!("{:?}", self.position) };
        let head = self.position.progress.head.clone().unwrap_or_else(|| head.to_owned());
        let is_new = checkout == Checkout::Clean || std::mem::take(&mut self.is_made_again);
        let result = Prepared { origin: Some("c0".into()), head: Some(head), is_new };
        self.follow(|plan, progress| after_prepare(plan, progress, then, result))
    }

    pub(super) fn act(&mut self, result: Acted) -> Option<Move> {
        let CommandStage::Act(of) = *self.stage() else { panic!("{:?}", self.position) };
        self.follow(|plan, progress| after_act(plan, progress, of, result))
    }

    pub(super) fn verify(&mut self, end: &CommandEnd) -> Option<Move> {
        let CommandStage::Verify(verify) = self.stage().clone() else { panic!("{:?}", self.position) };
        self.follow(|plan, progress| after_verify(plan, progress, verify, end, OUTPUT.into()))
    }

    pub(super) fn setup(&mut self, end: &CommandEnd) -> Option<Move> {
        let CommandStage::Setup(setup) = self.stage().clone() else { panic!("{:?}", self.position) };
        self.follow(|plan, progress| after_setup(plan, progress, setup, end, OUTPUT.into()))
    }

    /// Makes something other than boi end the command, after the daemon has ended normally.
    pub(super) fn cut_off_in_order(&mut self) -> Option<Move> {
        let stage = self.stage().clone();
        self.follow(|plan, progress| {
            after_cut_off(plan, progress, stage, false, Some((TryOutcome::Lost, AgentReport::default())))
        })
    }

    pub(super) fn cut_off(&mut self, ended: Option<(TryOutcome, AgentReport)>) -> Option<Move> {
        let stage = self.stage().clone();
        self.follow(|plan, progress| after_cut_off(plan, progress, stage, true, ended))
    }

    pub(super) fn capture(&mut self, result: Captured) -> Option<Move> {
        let Step::Git(GitStage::Capture(of)) = self.position.step else { panic!("{:?}", self.position) };
        self.follow(|plan, progress| after_capture(plan, progress, of, result, Some(MESSAGE)))
    }

    pub(super) fn advance(&mut self) -> Option<Move> {
        let Step::Git(GitStage::Advance { of, candidate }) = self.position.step.clone() else {
            panic!("{:?}", self.position)
        };
        self.follow(|plan, progress| after_advance(plan, progress, of, candidate))
    }

    /// Follows the move that `after` decides, and returns `None`. If the move gives the spec back to the
    /// queue or ends it, returns that move.
    fn follow(&mut self, after: impl FnOnce(&AttemptPlan<'_>, Progress) -> Move) -> Option<Move> {
        self.moves += 1;
        let next_command = RunningCommand { boot: "boot".into(), marker: format!("marker-{}", self.moves) };
        let plan = AttemptPlan {
            spec: self.spec,
            done: &self.done,
            tries: &self.tries,
            retry_count: self.retry_count,
            retry_backoff: self.retry_backoff,
            now: Timestamp(1_000),
            timeout_minutes: 30,
            budget: self.budget,
            next_command: &next_command,
        };
        let next = after(&plan, self.position.progress.clone());
        match if self.skips_idle_git { without_idle_git(&plan, next) } else { next } {
            Move::Go(position, changes) => {
                for change in &changes {
                    if let RecordChange::TaskDone { task, .. } = change {
                        self.done[*task] = true;
                    }
                }
                self.changes.extend(changes);
                self.position = position;
                None
            }
            other => Some(other),
        }
    }
}

/// A random result for every step.
#[derive(Debug, Clone)]
struct Luck {
    outcome: TryOutcome,
    end: CommandEnd,
    cut_off: bool,
    captured: Captured,
    obstacle: bool,
}

fn luck() -> impl Strategy<Value = Luck> {
    let outcome = prop_oneof![
        6 => Just(TryOutcome::Succeeded),
        1 => prop::sample::select(vec![
            TryOutcome::Failed("f".into()), TryOutcome::Crashed("c".into()), TryOutcome::TimedOut,
            TryOutcome::TooMuchOutput, TryOutcome::Lost, TryOutcome::Throttled("t".into()), TryOutcome::Auth("a".into()),
        ]),
    ];
    let cause = prop::sample::select(vec![EndCause::Finished, EndCause::Finished, EndCause::Lost, EndCause::TimedOut]);
    let status = prop::sample::select(vec![
        Some(ExitStatus::Code(0)),
        Some(ExitStatus::Code(0)),
        Some(ExitStatus::Code(1)),
        Some(ExitStatus::Code(137)),
        Some(ExitStatus::Signal(9)),
        None,
    ]);
    let captured = prop::sample::select(vec![
        Captured::Candidate(Some("c".into())),
        Captured::Candidate(None),
        Captured::NotCommitted("n".into()),
    ]);
    (outcome, cause, status, captured, prop::bool::weighted(0.05), prop::bool::weighted(0.02)).prop_map(
        |(outcome, cause, status, captured, cut_off, obstacle)| {
            let end = CommandEnd::new(cause, status, Timestamp(0));
            Luck { outcome, end, cut_off, captured, obstacle }
        },
    )
}

proptest! {
    /// Whatever the results of its steps are, the walk ends, and no task gets more tries than allowed. A
    /// position has a running command exactly at the steps that run one; each command has its own number and
    /// marker.
    #[test]
    fn every_walk_ends_within_its_tries(
        tasks in 1usize..4, setups in 0usize..3, verifies in 0usize..3, retry_count in 0u32..4, merges: bool,
        all in prop::collection::vec(luck(), 64),
    ) {
        let names = ["v1", "v2"];
        let deliver = if merges { Deliver::Merge } else { Deliver::Branch };
        let tasks: Vec<Task> = (0..tasks).map(|n| task(&format!("t{n}"), &names[..verifies])).collect();
        let mut spec = spec(tasks, &names[..verifies / 2], deliver);
        spec.setup = names[..setups].iter().map(|&name| name.to_owned()).collect();
        let mut walker = Walker::new(&spec, retry_count);
        let (mut refusals, mut markers) = (0, std::collections::HashSet::new());
        // The largest number of steps that a walk can take if refusals are bounded.
        let most = 60 + spec.tasks.len() * (retry_count as usize + 1) * 40;
        let mut taken = 0;
        while !matches!(walker.position.step, Step::Close(_)) {
            taken += 1;
            prop_assert!(taken <= most, "no end after {} steps: {:?}", most, walker.position);
            let luck = &all[taken % all.len()];
            let before = walker.position.clone();
            if luck.obstacle {
                match after_obstacle(&spec, before, Cause::Repository { detail: "o".into() }) {
                    Move::Go(Position { step: Step::Close(_), .. }, _) => break,
                    other => prop_assert!(false, "the walk continues after an obstacle: {:?}", other),
                }
                continue;
            }
            let came = match &before.step {
                Step::Close(_) => unreachable!("the walk has ended"),
                Step::Prepare { .. } => walker.prepared("c0"),
                Step::Command { command, .. } => {
                    prop_assert!(markers.insert(command.marker.clone()), "a marker is used twice");
                    match walker.stage() {
                        CommandStage::Act(of) => {
                            let tries = of.number - before.progress.first_try + 1;
                            prop_assert!(tries <= retry_count + 1, "try {} of {}", tries, retry_count + 1);
                            // A refusal does not count as a try, so this test bounds refusals itself.
                            refusals += u32::from(luck.outcome.refusal().is_some());
                            let outcome = match &luck.outcome {
                                outcome if outcome.refusal().is_some() && refusals > 3 => TryOutcome::Succeeded,
                                outcome => outcome.clone(),
                            };
                            let result = Acted { outcome, report: AgentReport::default(), output: String::new() };
                            let terminated = CommandEnd::new(EndCause::Terminated, None, Timestamp(0));
                            if luck.cut_off && is_cut_off(&before.progress, &terminated) {
                                walker.cut_off(Some((result.outcome, result.report)))
                            } else {
                                walker.act(result)
                            }
                        }
                        CommandStage::Verify(_) => walker.verify(&luck.end),
                        CommandStage::Setup(setup) => {
                            prop_assert!(setup.run <= retry_count + 1, "run {} of {}", setup.run, retry_count + 1);
                            walker.setup(&luck.end)
                        }
                    }
                }
                Step::Git(GitStage::Capture(_)) => walker.capture(luck.captured.clone()),
                Step::Git(GitStage::Advance { .. }) => walker.advance(),
                Step::Git(GitStage::Gather | GitStage::Deliver { .. } | GitStage::Land(_)) => {
                    unreachable!("a spec does not land itself")
                }
            };
            match came {
                None => {}
                Some(Move::Refused(position, ..) | Move::Died(position, ..) | Move::Blocked(position, ..)) => {
                    prop_assert!(position.running_command().is_none(), "given back with a command");
                    let as_it_is = matches!(position.step, Step::Prepare { checkout: Checkout::AsItIs, then: Some(_) });
                    prop_assert!(as_it_is, "{:?}", position);
                    walker.position = position;
                }
                Some(other) => prop_assert!(false, "{:?}", other),
            }
            let commands = walker.position.progress.commands - before.progress.commands;
            let begins = walker.position.running_command().is_some();
            prop_assert_eq!(commands, u32::from(begins), "a command begins exactly at a step that runs one");
            let stored = serde_json::to_string(&walker.position).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Position>(&stored).unwrap(), &walker.position);
        }
    }
}
