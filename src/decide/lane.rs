//! Decides the lane of a spec: the agent that the spec starts next.

use crate::domain::position::{CommandStage, GitStage, Position, Stage, Step};
use crate::domain::spec::{Action, Spec};

/// Returns the agent that a task starts; `None`: the task is a `run` command, or the spec has no such task.
pub(crate) fn of_task(spec: &Spec, task: usize) -> Option<&str> {
    match spec.tasks.get(task)?.action {
        Action::Prompt(_) => Some(spec.agent_of(task)),
        Action::Run(_) => None,
    }
}

/// Returns the agent that an attempt at `position` starts next; `None`: its next command is not an agent.
/// `done` says for each task whether it is done.
pub(crate) fn of_position<'a>(spec: &'a Spec, position: &Position, done: &[bool]) -> Option<&'a str> {
    match &position.step {
        Step::Prepare { then: None, .. } => of_next_task(spec, done),
        Step::Command { stage: CommandStage::Setup(setup), .. }
        | Step::Prepare { then: Some(Stage::Command(CommandStage::Setup(setup))), .. } => match setup.then.as_deref() {
            None => of_next_task(spec, done),
            Some(Stage::Command(CommandStage::Act(of))) => of_task(spec, of.task),
            Some(_) => None,
        },
        Step::Command { stage: CommandStage::Act(of), .. }
        | Step::Prepare { then: Some(Stage::Command(CommandStage::Act(of))), .. } => of_task(spec, of.task),
        Step::Command { stage: CommandStage::Verify(_), .. }
        | Step::Prepare {
            then:
                Some(
                    Stage::Command(CommandStage::Verify(_))
                    | Stage::Git(
                        GitStage::Capture(_)
                        | GitStage::Advance { .. }
                        | GitStage::Gather
                        | GitStage::Deliver { .. }
                        | GitStage::Land(_),
                    ),
                ),
            ..
        }
        | Step::Git(_)
        | Step::Close(_) => None,
    }
}

fn of_next_task<'a>(spec: &'a Spec, done: &[bool]) -> Option<&'a str> {
    of_task(spec, done.iter().position(|done| !done)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::{Try, Verify};

    #[test]
    fn the_lane_is_the_agent_of_the_next_command() {
        let mut spec = Spec::for_tests("t", &["a", "b", "c"]);
        spec.tasks[1].action = Action::Prompt("p".into());
        spec.tasks[2].action = Action::Prompt("p".into());
        spec.tasks[2].agent = Some("codex".into());
        assert_eq!([0, 1, 2, 3].map(|task| of_task(&spec, task)), [None, Some("claude"), Some("codex"), None]);
        let start = Position::start(None, None, None);
        let lane = |done: [bool; 3]| of_position(&spec, &start, &done);
        assert_eq!(lane([false, false, false]), None);
        assert_eq!(lane([true, false, false]), Some("claude"));
        assert_eq!(lane([true, true, false]), Some("codex"));
        assert_eq!(lane([true, true, true]), None);
        let at = |stage: Stage| {
            let position = start.progress.clone().resume_at(stage);
            of_position(&spec, &position, &[false; 3]).map(str::to_owned)
        };
        let of = Try { task: 2, number: 1 };
        assert_eq!(at(Stage::Command(CommandStage::Act(of))).as_deref(), Some("codex"));
        let verify = Verify::Task { of, candidate: None, index: 0 };
        assert_eq!(at(Stage::Command(CommandStage::Verify(verify))), None);
        assert_eq!(at(Stage::Git(GitStage::Capture(of))), None);
    }
}
