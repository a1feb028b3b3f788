//! The steps of a worker that run a command: each step builds its command, and interprets how the command
//! ended.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use super::supervise::{self, Job, Ran};
use super::{StepEnd, Worker, WorkerError};
use crate::agents::{self, Agent, EndedRun, Run, exit};
use crate::daemon::Order;
use crate::decide::step::{Acted, RecordChange};
use crate::decide::{prompt, step};
use crate::domain::cause::Cause;
use crate::domain::command::{CommandEnd, EndCause, RECORD_VERSION, Request};
use crate::domain::outcome::{AgentReport, TryOutcome};
use crate::domain::position::{CommandStage, RunningCommand, Try, Verify};
use crate::domain::spec::Action;
use crate::domain::text;
use crate::process::command_dir::{CommandDir, ERRORS, OUTPUT};
use crate::process::limits;
use crate::system::{clock, files, paths};

/// How many bytes of a failed command's output are read for the next prompt.
const OUTPUT_TAIL: u64 = 64 * 1024;

/// The command of a step.
struct ToRun {
    argv: Vec<String>,
    /// The prompt, if the command is an agent.
    prompt: Option<String>,
    /// The time limit in minutes; `None`: the limit in the configuration.
    minutes: Option<u32>,
    /// The try that the command belongs to.
    of: Option<Try>,
    /// Whether the files that the command writes are synced to the disk before its end is recorded.
    keeps_work: bool,
}

impl Worker {
    /// Carries out a try: runs the agent or the `run` command.
    pub(super) async fn act(
        &mut self,
        of: Try,
        command: RunningCommand,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<StepEnd, WorkerError> {
        let task = self.task(of).clone();
        let (argv, for_agent) = match &task.action {
            Action::Run(command) => (shell(command), None),
            Action::Prompt(text) => {
                let Some(agent) = agents::find(&self.claimed.spec.agent) else {
                    let cause = Cause::UnknownAgent { agent: self.claimed.spec.agent.clone() };
                    return Ok(StepEnd::Move(Box::new(step::after_obstacle(self.position.clone(), cause))));
                };
                (self.agent_argv(agent).await?, Some((agent, self.prompt(text, of))))
            }
        };
        let (agent, prompt) = for_agent.unzip();
        let to_run = ToRun { argv, prompt, minutes: task.timeout_minutes, of: Some(of), keeps_work: true };
        let job = self.job(to_run, command).await?;
        if let Some(end) = self.take_snapshot(&job.command, Some(of), orders).await? {
            return Ok(end);
        }
        self.try_began = (!job.begun).then(clock::now);
        let (end, reading, is_cut_off) = match self.run(&job, orders, agent).await? {
            Ran::Ended(end, reading) => (end, reading, false),
            Ran::CutOff(end, reading) => (end, reading, true),
            Ran::Detached => return Ok(self.leave_running()),
            Ran::NotStarted(error) => return Ok(StepEnd::NotStarted(error.to_string())),
        };
        if let Some(end) = self.compare_with_snapshot(&job.command, Some(of), orders).await? {
            return Ok(end);
        }
        if is_ended_by_order(&end, *orders.borrow()) {
            self.interrupted = vec![RecordChange::TryInterrupted { of, report: reading.report() }];
            return Ok(StepEnd::Interrupted);
        }
        let (outcome, report) = match agent {
            Some(agent) => {
                let stderr = tail_of(&job.dir, ERRORS).await?;
                let zone = |name: &str| jiff::tz::TimeZone::get(name).ok();
                let run = EndedRun { end: &end, reading: &reading, stderr: &stderr, now: clock::now(), zone };
                (agent.dialect().outcome(&run), reading.report())
            }
            None => (exit::command_outcome(&end), AgentReport::default()),
        };
        // An agent that gave its result and did not exit was ended by boi, so its end is no cut-off.
        let counted = !is_cut_off && step::is_cut_off(&self.position.progress, &end);
        if (counted || is_cut_off) && !reading.ended_after_result {
            return Ok(self.cut_off(CommandStage::Act(of), counted, Some((outcome, report))));
        }
        let output = match (&report.message, agent) {
            (Some(message), Some(_)) => message.clone(),
            (None, Some(_)) => tail_of(&job.dir, ERRORS).await?,
            (_, None) => tail_of(&job.dir, OUTPUT).await?,
        };
        let acted = Acted { outcome, report, output };
        Ok(self.follow(|plan, progress| step::after_act(plan, progress, of, acted)))
    }

    /// Runs a verify command.
    pub(super) async fn verify(
        &mut self,
        verify: Verify,
        command: RunningCommand,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<StepEnd, WorkerError> {
        let of = match &verify {
            Verify::Task { of, .. } => Some(*of),
            Verify::Spec { .. } | Verify::Merge { .. } => None,
        };
        let minutes = of.and_then(|of| self.task(of).timeout_minutes);
        let argv = shell(&self.verify_command(&verify));
        let job = self.job(ToRun { argv, prompt: None, minutes, of, keeps_work: false }, command).await?;
        if let Some(end) = self.take_snapshot(&job.command, of, orders).await? {
            return Ok(end);
        }
        let (end, is_cut_off) = match self.run(&job, orders, None).await? {
            Ran::Ended(end, _) => (end, false),
            Ran::CutOff(end, _) => (end, true),
            Ran::Detached => return Ok(self.leave_running()),
            Ran::NotStarted(error) => return Ok(StepEnd::NotStarted(error.to_string())),
        };
        if let Some(end) = self.compare_with_snapshot(&job.command, of, orders).await? {
            return Ok(end);
        }
        if is_ended_by_order(&end, *orders.borrow()) {
            return Ok(StepEnd::Interrupted);
        }
        let counted = !is_cut_off && step::is_cut_off(&self.position.progress, &end);
        if counted || is_cut_off {
            return Ok(self.cut_off(CommandStage::Verify(verify), counted, None));
        }
        let output = tail_of(&job.dir, OUTPUT).await?;
        Ok(self.follow(|plan, progress| step::after_verify(plan, progress, verify, &end, output)))
    }

    /// Returns the shell command of a verify step.
    fn verify_command(&self, verify: &Verify) -> String {
        match verify {
            Verify::Task { of, index, .. } => self.claimed.spec.verify_of(of.task)[*index].to_owned(),
            Verify::Spec { index } | Verify::Merge { index, .. } => self.claimed.spec.verify[*index].clone(),
        }
    }

    /// Records that the step's command continues to run after this daemon, and returns the end of the step.
    pub(super) fn leave_running(&self) -> StepEnd {
        self.shared.leave_running(&self.claimed.fence);
        StepEnd::Detached
    }

    /// Runs a command again that something other than boi ended. `counted`: the end counts as one of the few
    /// such ends in a row after which boi runs a command again.
    fn cut_off(&self, stage: CommandStage, counted: bool, ended: Option<(TryOutcome, AgentReport)>) -> StepEnd {
        warn!(spec = %self.claimed.fence.spec, "somebody other than boi ended the command of a spec; the worker runs the command again");
        self.follow(|plan, progress| step::after_cut_off(plan, progress, stage, counted, ended))
    }

    /// Returns the agent's command line.
    async fn agent_argv(&self, agent: Agent) -> Result<Vec<String>, WorkerError> {
        let (config, spec) = (&self.claimed.config, &self.claimed.spec);
        let session = uuid::Uuid::new_v4().to_string();
        let name = config.claude_bin.clone();
        // A missing program is no error here: the supervisor reports it, and a command that is already
        // running does not need the program.
        let find = move || paths::find_program(&name).map_or(name, |path| path.to_string_lossy().into_owned());
        let program = tokio::task::spawn_blocking(find)
            .await
            .map_err(|error| fault("cannot look for the program of the agent", error))?;
        let (arguments, model) = (&config.claude_args, spec.model.as_deref());
        Ok(agent.dialect().command_line(&Run { program: &program, arguments, model, session: &session }))
    }

    fn prompt(&self, text: &str, of: Try) -> String {
        let progress = &self.position.progress;
        // The failure is from the last try of this attempt, so the prompt counts the tries of this attempt.
        let number = of.number - progress.first_try + 1;
        prompt::compose(self.claimed.spec.context.as_deref(), text, progress.failure.as_ref(), number)
    }

    async fn run(
        &self,
        job: &Job,
        orders: &mut watch::Receiver<Order>,
        agent: Option<Agent>,
    ) -> Result<Ran, WorkerError> {
        supervise::run(job, orders, agent).await.map_err(|source| WorkerError::Io {
            what: format!("cannot supervise the command with the folder {}", job.dir.path().display()),
            source,
        })
    }

    async fn job(&self, to_run: ToRun, command: RunningCommand) -> Result<Job, WorkerError> {
        let (fence, config) = (&self.claimed.fence, &self.claimed.config);
        let folder = self.home.command(&fence.spec, fence.attempt, self.position.progress.commands);
        let what = format!("cannot create {}", folder.display());
        let begun = self.claimed.position.running_command() == Some(&command);
        let create = move || if begun { CommandDir::create(folder) } else { CommandDir::create_empty(folder) };
        let dir = tokio::task::spawn_blocking(create)
            .await
            .map_err(|error| fault(&what, error))?
            .map_err(|source| WorkerError::Io { what, source })?;
        let minutes = u64::from(to_run.minutes.unwrap_or(config.task_timeout_minutes));
        let mut variables = vec![("BOI_SPEC", fence.spec.to_string()), ("BOI_ATTEMPT", fence.attempt.to_string())];
        if let Some(of) = to_run.of {
            variables.extend([("BOI_TASK", self.task(of).id.clone()), ("BOI_TRY", of.number.to_string())]);
        }
        Ok(Job {
            spec: fence.spec.clone(),
            dir,
            request: Request {
                version: RECORD_VERSION,
                argv: to_run.argv,
                cwd: self.tree.path().to_owned(),
                prompt: to_run.prompt.is_some(),
                separate_errors: to_run.prompt.is_some(),
                timeout_millis: minutes * 60_000,
                grace_millis: u64::from(config.stop_grace_seconds) * 1000,
                max_output_bytes: config.max_output_mb << 20,
                open_files: limits::original_open_files(),
                keeps_work: to_run.keeps_work,
            },
            prompt: to_run.prompt,
            variables,
            command,
            left_by_last: self.shared.take_left_by_last(fence) && begun,
            begun,
            shared: Arc::clone(&self.shared),
        })
    }
}

/// Reads the end of a file that a command wrote.
async fn tail_of(dir: &CommandDir, name: &'static str) -> Result<String, WorkerError> {
    let what = format!("cannot read {}", dir.path().join(name).display());
    let dir = dir.clone();
    let read = move || dir.open_file(name)?.map_or(Ok(Vec::new()), |file| files::tail(file, OUTPUT_TAIL));
    let bytes = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| fault(&what, error))?
        .map_err(|source| WorkerError::Io { what, source })?;
    Ok(text::tail(&bytes, prompt::OUTPUT_IN_PROMPT))
}

fn fault(what: &str, error: tokio::task::JoinError) -> WorkerError {
    WorkerError::Io { what: what.to_owned(), source: error.into() }
}

/// Whether an order ended the command. A command that is lost after an order to cancel or stop counts as
/// ended by the order: the supervisor may have ended the command and found no disk space for the record.
fn is_ended_by_order(end: &CommandEnd, order: Order) -> bool {
    matches!(order, Order::Cancel | Order::Stop) && matches!(end.cause, EndCause::Terminated | EndCause::Lost)
}

fn shell(command: &str) -> Vec<String> {
    ["sh", "-c", command].map(str::to_owned).to_vec()
}
