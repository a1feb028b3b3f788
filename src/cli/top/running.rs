//! What the workers of running specs do now, as the positions of their attempts and their output show it.

use std::path::PathBuf;

use super::last_line::LastLines;
use crate::agents::OutputKind;
use crate::config::Agents;
use crate::domain::position::{CommandStage, GitStage, Step, Try, Verify};
use crate::domain::spec::Action;
use crate::domain::text;
use crate::domain::view::SpecView;
use crate::queue::{Claimed, Queue};
use crate::system::paths::Home;
use crate::ui::top::Running;

/// The longest command that is shown, in characters.
const COMMAND: usize = 60;

/// A running spec, and where its current command prints to.
pub(super) struct Watched {
    pub(super) running: Running,
    output: Option<(PathBuf, Option<OutputKind>)>,
}

impl Watched {
    /// Reads what the workers of these specs do. Without a queue, or if it cannot be read, only the specs are known.
    pub(super) fn all(home: &Home, queue: Option<&dyn Queue>, agents: &Agents, specs: Vec<SpecView>) -> Vec<Watched> {
        let claimed = match queue {
            Some(queue) if !specs.is_empty() => queue.running().map(|running| running.claimed).unwrap_or_default(),
            _ => Vec::new(),
        };
        specs
            .into_iter()
            .map(|spec| match claimed.iter().find(|claimed| claimed.fence.spec == spec.id) {
                Some(claimed) => Watched::new(home, agents, spec, claimed),
                None => {
                    let running = Running { spec, tries: None, step: String::new(), last_line: String::new() };
                    Watched { running, output: None }
                }
            })
            .collect()
    }

    fn new(home: &Home, agents: &Agents, spec: SpecView, claimed: &Claimed) -> Watched {
        let progress = &claimed.position.progress;
        let of = try_of(&claimed.position.step);
        let most = claimed.config.retry_count.saturating_add(1);
        // An attempt numbers its tries on from those of the earlier attempts.
        let tries = of.map(|of| (of.number.saturating_sub(progress.first_try) + 1, most));
        let output = (progress.commands > 0).then(|| {
            let folder = home.command(&spec.id, claimed.fence.attempt, progress.commands);
            (folder, agent_of(claimed, agents))
        });
        let running = Running { step: step(claimed), tries, last_line: String::new(), spec };
        Watched { running, output }
    }

    /// Reads the last line of the output of each spec's command. Returns whether one has changed.
    pub(super) fn read_lines(all: &mut [Watched], lines: &mut LastLines) -> bool {
        let mut changed = false;
        for Watched { running, output } in &mut *all {
            let Some((folder, agent)) = output else { continue };
            let line = lines.of(folder.clone(), *agent);
            changed |= line != running.last_line;
            running.last_line = line;
        }
        let folders: Vec<PathBuf> = all.iter().filter_map(|one| Some(one.output.as_ref()?.0.clone())).collect();
        lines.keep(&folders);
        changed
    }
}

/// Returns the try that a step belongs to.
fn try_of(step: &Step) -> Option<Try> {
    match step {
        Step::Command { stage: CommandStage::Act(of), .. }
        | Step::Command { stage: CommandStage::Verify(Verify::Task { of, .. }), .. }
        | Step::Git(GitStage::Capture(of) | GitStage::Advance { of, .. }) => Some(*of),
        _ => None,
    }
}

/// Returns how the output of the current command is read, if the command is an agent.
fn agent_of(claimed: &Claimed, agents: &Agents) -> Option<OutputKind> {
    let of = match &claimed.position.step {
        Step::Command { stage: CommandStage::Act(of), .. } => of,
        // The command that printed last is the one whose changes are captured now.
        Step::Git(GitStage::Capture(of)) => of,
        _ => return None,
    };
    match claimed.spec.tasks.get(of.task)?.action {
        Action::Prompt(_) => agents.get(claimed.spec.agent_of(of.task)).map(|agent| agent.worker.output),
        Action::Run(_) => None,
    }
}

/// Returns what the worker does now, in a few words.
fn step(claimed: &Claimed) -> String {
    let (spec, step) = (&claimed.spec, &claimed.position.step);
    let verify = |what: &str, index: usize, commands: &[String]| {
        let command = commands.get(index).map(|command| text::one_line(command, COMMAND)).unwrap_or_default();
        format!("{what} {}/{}: {command}", index + 1, commands.len())
    };
    match step {
        Step::Prepare { .. } => "prepares the worktree".to_owned(),
        Step::Command { stage: CommandStage::Act(of), .. } => match spec.tasks.get(of.task).map(|task| &task.action) {
            Some(Action::Prompt(_)) => spec.agent_of(of.task).to_owned(),
            Some(Action::Run(command)) => text::one_line(command, COMMAND),
            None => String::new(),
        },
        Step::Command { stage: CommandStage::Setup(setup), .. } => verify("setup", setup.index, &spec.setup),
        Step::Command { stage: CommandStage::Verify(Verify::Task { of, index, .. }), .. } => {
            let commands = spec.tasks.get(of.task).map_or(&[][..], |task| &task.verify);
            verify("verify", *index, commands)
        }
        Step::Command { stage: CommandStage::Verify(Verify::Spec { index }), .. } => {
            verify("verify of the spec", *index, &spec.verify)
        }
        Step::Command { stage: CommandStage::Verify(Verify::Batch { index }), .. } => {
            let landing = claimed.position.progress.landing.as_ref();
            let commands = landing.and_then(|landing| landing.batch.as_ref()).map_or(&[][..], |batch| &batch.verify);
            verify("verify of the batch", *index, commands)
        }
        Step::Command { stage: CommandStage::Verify(Verify::Merge { index, .. }), .. } => {
            verify("verify of the merge", *index, &spec.verify)
        }
        Step::Git(GitStage::Capture(_)) => "commits the changes".to_owned(),
        Step::Git(GitStage::Advance { .. }) => "moves the branch".to_owned(),
        Step::Git(GitStage::Gather) => "merges branches".to_owned(),
        Step::Git(GitStage::Deliver { .. }) => "merges the base".to_owned(),
        Step::Git(GitStage::Land(_)) => "moves the base".to_owned(),
        Step::Close(_) => "ends".to_owned(),
    }
}
