//! Tests of the setup commands: when they run, and what follows if one fails.

use super::walk::{OUTPUT, Walker, spec, task};
use super::*;
use crate::domain::command::EndCause;
use crate::domain::spec::Deliver;

fn exited(code: i32) -> CommandEnd {
    CommandEnd::new(EndCause::Finished, Some(ExitStatus::Code(code)), Timestamp(0))
}

fn with_setup(commands: &[&str]) -> Spec {
    let setup = commands.iter().map(|&command| command.to_owned()).collect();
    Spec { setup, ..spec(vec![task("a", &[]), task("b", &[])], &[], Deliver::Branch) }
}

fn setup_of(walker: &Walker<'_>) -> (usize, u32) {
    match walker.stage() {
        CommandStage::Setup(setup) => (setup.index, setup.run),
        stage => panic!("{stage:?}"),
    }
}

#[test]
fn setup_commands_run_once_before_the_first_task() {
    let spec = with_setup(&["npm ci", "make deps"]);
    let mut walker = Walker::new(&spec, 1);
    assert_eq!(walker.prepared("c0"), None);
    assert_eq!(setup_of(&walker), (0, 1));
    assert_eq!(walker.setup(&exited(0)), None);
    assert_eq!(setup_of(&walker), (1, 1));
    assert_eq!(walker.setup(&exited(0)), None);
    assert_eq!(walker.stage(), &CommandStage::Act(Try { task: 0, number: 1 }));
}

#[test]
fn a_setup_command_that_fails_is_run_again_after_a_pause_and_then_fails_the_spec_without_a_try() {
    let spec = with_setup(&["true", "npm ci"]);
    let mut walker = Walker::new(&spec, 1);
    walker.retry_backoff = [2, 60];
    assert_eq!(walker.prepared("c0"), None);
    assert_eq!(walker.setup(&exited(0)), None);
    assert_eq!(walker.setup(&exited(1)), None);
    let (next, at) = walker.position.next_setup().unwrap();
    assert_eq!((next.index, next.run, at), (1, 2, Timestamp(3_000)));
    assert_eq!(walker.prepared("c0"), None);
    assert_eq!(setup_of(&walker), (1, 2));
    assert_eq!(walker.setup(&exited(1)), None);
    let part = FailedPart::Setup { command: "npm ci".into(), number: 2, count: 2 };
    let how = FailedHow::Exited { status: Some(ExitStatus::Code(1)) };
    let cause = Cause::Setup { failure: Failure { part, how, output: OUTPUT.into() } };
    assert_eq!(walker.position.step, Step::Close(Ending::Failed(cause.clone())));
    assert_eq!(walker.changes, [], "no try began");
    assert_eq!(cause.to_string(), "setup command 2 of 2 failed (`npm ci`): exit code 1");
}

#[test]
fn a_working_tree_that_is_made_again_is_set_up_again_and_the_attempt_continues_at_its_stage() {
    let spec = with_setup(&["npm ci"]);
    let mut walker = Walker::new(&spec, 1);
    walker.prepared("c0");
    walker.setup(&exited(0));
    let act = walker.stage().clone();
    walker.position = walker.position.clone().resumed();
    assert_eq!(walker.prepared("c0"), None);
    assert_eq!(walker.stage(), &act, "the working tree is still there");
    walker.position = walker.position.clone().resumed();
    walker.is_made_again = true;
    assert_eq!(walker.prepared("c0"), None);
    assert_eq!(setup_of(&walker), (0, 1));
    walker.position = walker.position.clone().resumed();
    walker.is_made_again = true;
    assert_eq!(walker.prepared("c0"), None);
    assert_eq!(walker.setup(&exited(0)), None);
    assert_eq!(walker.stage(), &act);
}
