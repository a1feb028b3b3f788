//! The position of an attempt: the step that its worker carries out now, and its progress so far. The queue
//! stores the position, and a later daemon builds a new worker from it.
//!
//! ```text
//! Prepare ─▶ Setup* ─▶ Act ─▶ Capture ─▶ Verify* ─▶ Advance ─┬─▶ Act of the next task
//!                       ▲        │          │                └─▶ Verify* of the spec ─▶ Close
//!                       └────────┴──────────┘ next try,
//!                                             else Close (failed)
//! ```
//!
//! The steps of a lander are drawn in `decide::land`.
//!
//! `Setup*` and `Verify*` are series of steps, one for each command. `Setup*` follows only if `Prepare` made the
//! working tree, or made it clean. `decide::step` decides what follows each
//! step. A step that runs a command contains its [`RunningCommand`]; the worker waits for a command only in
//! such a step.

use serde::{Deserialize, Serialize};

use super::cause::{Cause, Unmerged};
use super::failure::Failure;
use super::landing::Landing;
use super::outcome::{Delivery, Tokens};
use super::spec::Spec;
use super::time::Timestamp;

/// The position of an attempt. The module `position_record` reads and writes its stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// The current step.
    pub step: Step,
    /// What the attempt has done so far.
    pub progress: Progress,
}

/// One step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Prepare the worktree.
    Prepare {
        /// What to do with files that are in the worktree already.
        checkout: Checkout,
        /// The stage to continue with; `None`: the first task that is not done.
        then: Option<Stage>,
    },
    /// Run a command under a supervisor. The position is recorded before the supervisor is started.
    Command {
        /// What the command is for.
        stage: CommandStage,
        /// The boot and the marker of the command.
        command: RunningCommand,
    },
    /// Change the repository or its worktree.
    Git(GitStage),
    /// Remove or keep the worktree, then record the end of the spec in the queue.
    Close(Ending),
}

/// A step between `Prepare` and `Close` at which an attempt can continue. Unlike a [`Step`], it has no
/// running command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Stage {
    /// Run a command.
    Command(CommandStage),
    /// Change the repository or its worktree.
    Git(GitStage),
}

/// What a command is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum CommandStage {
    /// The command makes a try: it is the agent or the task's `run` command.
    Act(Try),
    /// The command verifies a result.
    Verify(Verify),
    /// The command makes a new working tree ready for the tasks.
    Setup(Setup),
}

/// A setup command of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// The command's index in the spec, from 0.
    pub index: usize,
    /// The number of this run of the command, from 1.
    pub run: u32,
    /// The stage to continue with after the last setup command; `None`: the first task that is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Box<Stage>>,
}

/// A verify command of a task or of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Verify {
    /// A verify command of a task, on the changes of a try.
    Task {
        /// The try whose changes are verified.
        of: Try,
        /// The commit with the try's changes; `None`: the try changed nothing.
        candidate: Option<String>,
        /// The command's index in the task, from 0.
        index: usize,
    },
    /// A verify command of the spec, on the committed tree.
    Spec {
        /// The command's index in the spec, from 0.
        index: usize,
    },
    /// A verify command of a batch of specs that a lander lands together.
    Batch {
        /// The command's index in the batch, from 0.
        index: usize,
    },
    /// A verify command of the spec, on the merge of the branch with its base. Only earlier versions ran it.
    Merge {
        /// The merge.
        merge: Merge,
        /// The command's index in the spec, from 0.
        index: usize,
    },
}

/// A change of the repository or its worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum GitStage {
    /// Makes a candidate commit of the changes of a try.
    Capture(Try),
    /// Moves the branch to the verified candidate, and makes the worktree equal to it.
    Advance {
        /// The try that made the changes.
        of: Try,
        /// The commit to move the branch to; `None`: the try changed nothing, and the branch does not move.
        candidate: Option<String>,
    },
    /// Builds the next batch of a lander.
    Gather,
    /// Merges the base into the branch. Only earlier versions did this.
    Deliver {
        /// The number of this merge, counted from 1: boi merges again each time that the base has moved.
        round: u32,
    },
    /// Fast-forwards the base to the verified batch.
    Land(Merge),
}

/// One try of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Try {
    /// The task's index in its spec, from 0.
    pub task: usize,
    /// The try's number in its task, from 1.
    pub number: u32,
}

/// A merge of the base into the branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Merge {
    /// The number of this merge, counted from 1: boi merges again each time that the base has moved.
    pub round: u32,
    /// The commit that the base was on when it was merged.
    pub from: String,
    /// The commit that the base is fast-forwarded to.
    pub head: String,
}

/// The identity of a command that has begun. The command's number in the attempt is [`Progress::commands`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunningCommand {
    /// The machine's boot id when the command was recorded.
    pub boot: String,
    /// The random text that the command and its descendants carry in their environment.
    pub marker: String,
}

/// What `Prepare` does with files that are in the worktree already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Checkout {
    /// `Prepare` checks out the commit of the last finished task, and saves changes of an earlier attempt
    /// under a kept ref.
    Clean,
    /// `Prepare` leaves the files as they are, because the attempt continues after a stop.
    AsItIs,
}

/// What an attempt has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Progress {
    /// How many commands have begun, numbered from 1. Each has a folder `command-<NUMBER>`.
    pub commands: u32,
    /// The machine's boot id when the last command was recorded. If the boot id has changed, a power cut may
    /// have damaged files that git wrote.
    pub last_boot: Option<String>,
    /// The repository in which the worktree was created; `None` before `Prepare`, for an attempt of an
    /// earlier version, or if the spec has no repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositoryIdentity>,
    /// The commit that the branch started from; `None` before `Prepare`, or if the spec has no repository.
    pub origin: Option<String>,
    /// The commit that the branch is on: the base of the current task.
    pub head: Option<String>,
    /// The number of the first try that this attempt made for the current task.
    pub first_try: u32,
    /// The failure of the last try, which the next prompt includes.
    pub failure: Option<Failure>,
    /// The commit on which all verify commands of the spec itself passed.
    pub verified: Option<String>,
    /// How many times in a row something other than boi, such as a logout, ended the command.
    pub cut_offs: u32,
    /// How many times in a row the command died: with its supervisor, at a restart of the machine, or by a
    /// signal.
    pub deaths: u32,
    /// How many times in a row the agent ended in the middle of its work.
    #[serde(skip_serializing_if = "is_zero")]
    pub cuts: u32,
    /// The session that the next run of the agent continues; `None`: the next run begins a new session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<AgentSession>,
    /// When the next try may start; `None`: at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// What the lander has done so far; `None`: the attempt is that of a spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing: Option<Box<Landing>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A session of an agent: the conversation that a later run of the agent can continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentSession {
    /// The agent's name. Another agent cannot continue the session.
    pub agent: String,
    /// The session's id, as the agent reported it.
    pub id: String,
    /// The tokens of all runs of the session so far, if the agent reports this sum instead of the tokens of
    /// each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

/// Identifies a repository, so that another one in its place is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepositoryIdentity {
    /// The path of the git directory that all worktrees of the repository share, without symbolic links.
    pub common_dir: String,
    /// The machine's boot id when the repository was identified: `device` may differ after a restart.
    pub boot: String,
    /// The device number of the git directory.
    pub device: u64,
    /// The inode number of the git directory.
    pub inode: u64,
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ending {
    /// Every task is done and verified.
    Completed(Delivered),
    /// The attempt failed for this cause.
    Failed(Cause),
    /// The user canceled the spec.
    Canceled,
}

/// Where the result of a completed spec is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Delivered {
    /// The result is in no branch, since the spec has no repository.
    Nothing,
    /// The result is on `boi/<SPEC>`, and waits for a lander.
    Waiting,
    /// The result is on `boi/<SPEC>`, as the spec requests.
    Branch,
    /// The result is merged into the base.
    Merged,
    /// The result is on `boi/<SPEC>` for this reason, although the spec requests a merge into the base.
    Unmerged(Unmerged),
}

impl Delivered {
    /// Returns the delivery that `boi status` shows.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        match self {
            Delivered::Nothing => None,
            Delivered::Waiting => Some(Delivery::Waiting),
            Delivered::Branch => Some(Delivery::Branch),
            Delivered::Merged => Some(Delivery::Merged),
            Delivered::Unmerged(_) => Some(Delivery::Unmerged),
        }
    }
}

impl Position {
    /// Returns the first position of a new attempt. `origin` is the commit that the spec's branch started
    /// from, and `head` the commit that the branch is on; both are `None` if no earlier attempt created the
    /// branch. `then` is the stage to continue with; if it is `None`, the attempt continues with the first
    /// task that is not done.
    pub(crate) fn start(origin: Option<String>, head: Option<String>, then: Option<Stage>) -> Position {
        let progress = Progress { origin, head, first_try: 1, ..Progress::default() };
        Position { step: Step::Prepare { checkout: Checkout::Clean, then }, progress }
    }

    /// Checks that the position refers only to tasks and verify commands that `spec` has. The error says what
    /// is missing.
    pub(crate) fn check_against(&self, spec: &Spec) -> Result<(), String> {
        let mut command = match &self.step {
            Step::Command { stage, .. } | Step::Prepare { then: Some(Stage::Command(stage)), .. } => Some(stage),
            _ => None,
        };
        let mut change = match &self.step {
            Step::Git(stage) | Step::Prepare { then: Some(Stage::Git(stage)), .. } => Some(stage),
            _ => None,
        };
        while let Some(CommandStage::Setup(setup)) = command {
            if setup.index >= spec.setup.len() {
                let (index, commands) = (setup.index + 1, spec.setup.len());
                return Err(format!("its step refers to setup command {index}, but there are only {commands}"));
            }
            (command, change) = match setup.then.as_deref() {
                Some(Stage::Command(stage)) => (Some(stage), None),
                Some(Stage::Git(stage)) => (None, Some(stage)),
                None => (None, None),
            };
        }
        let of = match (command, change) {
            (Some(CommandStage::Act(of) | CommandStage::Verify(Verify::Task { of, .. })), _)
            | (_, Some(GitStage::Capture(of) | GitStage::Advance { of, .. })) => Some(of),
            _ => None,
        };
        let task = match of {
            Some(of) => Some(spec.tasks.get(of.task).ok_or_else(|| {
                format!("its step refers to task {}, but the spec has {} tasks", of.task + 1, spec.tasks.len())
            })?),
            None => None,
        };
        if let Some(of) = of
            && of.number < self.progress.first_try
        {
            return Err(format!(
                "its step refers to try {}, but the attempt's first try is {}",
                of.number, self.progress.first_try
            ));
        }
        let Some(CommandStage::Verify(verify)) = command else { return Ok(()) };
        let (index, commands) = match verify {
            Verify::Task { of, index, .. } => (index, task.map_or(0, |_| spec.verify_of(of.task).len())),
            Verify::Spec { index } | Verify::Merge { index, .. } => (index, spec.verify.len()),
            Verify::Batch { index } => {
                let batch = self.progress.landing.as_ref().and_then(|landing| landing.batch.as_ref());
                (index, batch.map_or(0, |batch| batch.verify.len()))
            }
        };
        if *index < commands {
            return Ok(());
        }
        Err(format!("its step refers to verify command {}, but there are only {commands}", index + 1))
    }

    /// Returns the command whose end is not recorded yet; `None` if the current step runs no command.
    pub(crate) fn running_command(&self) -> Option<&RunningCommand> {
        match &self.step {
            Step::Command { command, .. } => Some(command),
            Step::Prepare { .. } | Step::Git(_) | Step::Close(_) => None,
        }
    }

    /// Returns the try that begins once its pause is over, and the time when it may start; `None` if no try
    /// waits.
    pub(crate) fn next_try(&self) -> Option<(Try, Timestamp)> {
        let Step::Prepare { then: Some(Stage::Command(CommandStage::Act(of))), .. } = &self.step else { return None };
        self.progress.next_try_at.map(|at| (*of, at))
    }

    /// Returns the setup command that is run again once its pause is over, and the time when it may start; `None` if no
    /// setup command waits.
    pub(crate) fn next_setup(&self) -> Option<(&Setup, Timestamp)> {
        let Step::Prepare { then: Some(Stage::Command(CommandStage::Setup(setup))), .. } = &self.step else {
            return None;
        };
        self.progress.next_try_at.map(|at| (setup, at))
    }

    /// Returns the try that the attempt continues with; `None`: it continues with another step.
    #[cfg(test)]
    pub(crate) fn next_try_of(&self) -> Option<Try> {
        match &self.step {
            Step::Prepare { then: Some(Stage::Command(CommandStage::Act(of))), .. } => Some(*of),
            _ => None,
        }
    }

    /// Returns the position at which the attempt continues after its spec was given back to the queue: the
    /// same step, with the files in the worktree unchanged. If that step runs a command, the worker starts it
    /// again under a new number.
    #[must_use]
    pub(crate) fn resumed(self) -> Position {
        let then = match self.step {
            Step::Command { stage, .. } => Stage::Command(stage),
            Step::Git(stage) => Stage::Git(stage),
            // The worker can repeat `Prepare` and `Close` from their beginning.
            Step::Prepare { .. } | Step::Close(_) => return self,
        };
        self.progress.resume_at(then)
    }
}

impl Progress {
    /// Returns the session that the next run of `agent` continues; `None`: the run begins a new session.
    pub(crate) fn session_of(&self, agent: &str) -> Option<&AgentSession> {
        self.session.as_ref().filter(|session| session.agent == agent)
    }

    /// Returns the position that prepares the worktree, leaves its files unchanged, and continues with
    /// `stage`.
    pub(crate) fn resume_at(self, stage: Stage) -> Position {
        Position { step: Step::Prepare { checkout: Checkout::AsItIs, then: Some(stage) }, progress: self }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::position_record::read_stage;

    /// A position whose command is running.
    pub(in crate::domain) fn running() -> Position {
        let command = RunningCommand { boot: "b".into(), marker: "m".into() };
        let stage = CommandStage::Act(Try { task: 1, number: 2 });
        let mut position = Position::start(Some("o".into()), Some("h".into()), None);
        position.step = Step::Command { stage, command };
        position.progress.commands = 4;
        position.progress.repository =
            Some(RepositoryIdentity { common_dir: "/r/.git".into(), boot: "b".into(), device: 1, inode: 2 });
        position
    }

    #[test]
    fn a_resumed_position_has_no_command_and_continues_at_its_stage() {
        let before = running();
        assert_eq!(before.running_command().map(|command| command.marker.as_str()), Some("m"));
        let after = before.clone().resumed();
        assert_eq!(after.running_command(), None);
        assert_eq!(after.progress, before.progress);
        let stage = Stage::Command(CommandStage::Act(Try { task: 1, number: 2 }));
        assert_eq!(after.step, Step::Prepare { checkout: Checkout::AsItIs, then: Some(stage) });
        assert_eq!(after.clone().resumed(), after, "resuming a resumed position changes nothing");
        let closing = Position { step: Step::Close(Ending::Canceled), ..before };
        assert_eq!(closing.clone().resumed(), closing);
    }

    #[test]
    fn a_new_attempt_prepares_a_clean_worktree_and_counts_from_its_first_try() {
        let then = Some(Stage::Git(GitStage::Deliver { round: 1 }));
        let start = Position::start(Some("o".into()), Some("h".into()), then.clone());
        assert_eq!(start.step, Step::Prepare { checkout: Checkout::Clean, then });
        let progress =
            Progress { origin: Some("o".into()), head: Some("h".into()), first_try: 1, ..Progress::default() };
        assert_eq!(start.progress, progress);
    }

    #[test]
    fn a_delivered_result_has_its_name_in_the_status() {
        let unmerged = Delivered::Unmerged(Unmerged::BaseMoved { times: 1 });
        for (delivered, shown) in [
            (Delivered::Nothing, None),
            (Delivered::Branch, Some(Delivery::Branch)),
            (Delivered::Merged, Some(Delivery::Merged)),
            (unmerged, Some(Delivery::Unmerged)),
        ] {
            assert_eq!(delivered.delivery(), shown, "{delivered:?}");
        }
    }

    #[test]
    fn a_position_that_names_what_its_spec_does_not_have_does_not_fit() {
        let task = |id, verify: &[&str]| json!({"id": id, "title": id, "action": {"run": "true"}, "verify": verify});
        let tasks = [task("a", &["x"]), task("b", &["x", "y"])];
        let spec =
            serde_json::from_value(json!({"title": "t", "repo": null, "verify": ["x"], "tasks": tasks})).unwrap();
        let check =
            |stage: Stage| Progress { first_try: 2, ..Progress::default() }.resume_at(stage).check_against(&spec);
        let of = |task, number| Try { task, number };
        let verify = |of, index| Stage::Command(CommandStage::Verify(Verify::Task { of, candidate: None, index }));
        for stage in [
            Stage::Command(CommandStage::Act(of(1, 2))),
            Stage::Git(GitStage::Capture(of(1, 3))),
            Stage::Git(GitStage::Deliver { round: 1 }),
            Stage::Command(CommandStage::Verify(Verify::Spec { index: 0 })),
            verify(of(1, 2), 1),
        ] {
            assert_eq!(check(stage.clone()), Ok(()), "{stage:?}");
        }
        for (stage, error) in [
            (Stage::Command(CommandStage::Act(of(2, 2))), "its step refers to task 3, but the spec has 2 tasks"),
            (
                Stage::Git(GitStage::Advance { of: of(9, 2), candidate: None }),
                "its step refers to task 10, but the spec has 2 tasks",
            ),
            (Stage::Git(GitStage::Capture(of(0, 1))), "its step refers to try 1, but the attempt's first try is 2"),
            (
                Stage::Command(CommandStage::Verify(Verify::Spec { index: 1 })),
                "its step refers to verify command 2, but there are only 1",
            ),
            (verify(of(0, 2), 1), "its step refers to verify command 2, but there are only 1"),
        ] {
            assert_eq!(check(stage.clone()), Err(error.to_owned()), "{stage:?}");
        }
    }

    #[test]
    fn a_stored_stage_is_read_in_both_formats() {
        let stage = Stage::Command(CommandStage::Act(Try { task: 1, number: 2 }));
        for text in [serde_json::to_string(&stage).unwrap(), r#"{"at":"act","task":1,"try_number":2}"#.to_owned()] {
            assert_eq!(read_stage(&text).as_ref(), Ok(&stage), "{text}");
        }
        for (text, error) in [("{", "EOF"), ("{\"plan\":1}", "plan"), (r#"{"at":"plan"}"#, "plan")] {
            assert!(read_stage(text).unwrap_err().contains(error), "{text}");
        }
    }
}
