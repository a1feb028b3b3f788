//! The steps of a worker that run a command: each step builds its command, and interprets how the command
//! ended.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tracing::warn;

use super::supervise::{self, Job, Ran};
use super::{StepEnd, Worker, WorkerError};
use crate::agents::{EndedRun, OutputKind, PromptVia, Run, Session, exit};
use crate::config::{PROMPT_FILE, WorkerAgent};
use crate::daemon::Order;
use crate::daemon::lanes::{RunEnd, Start};
use crate::decide::step::{Acted, RecordChange};
use crate::decide::{prompt, step};
use crate::domain::agent::AgentCommand;
use crate::domain::cause::Cause;
use crate::domain::command::{CommandEnd, RECORD_VERSION, Request};
use crate::domain::money::Usd;
use crate::domain::outcome::{AgentReport, TryOutcome};
use crate::domain::position::{AgentSession, CommandStage, RunningCommand, Setup, Try, Verify};
use crate::domain::spec::Action;
use crate::domain::text;
use crate::process::command_dir::{CommandDir, ERRORS, OUTPUT, PROMPT};
use crate::process::inherited::FOR_COMMANDS;
use crate::process::limits;
use crate::system::blocking::{self, Panicked};
use crate::system::{clock, files, paths};

/// How many bytes of a failed command's output are read for the next prompt.
const OUTPUT_TAIL: u64 = 64 * 1024;

/// `boi status` shows that a spec waits for the start of its agent only if the wait is longer than this.
const SHOWN_WAIT: Duration = Duration::from_millis(500);

/// The command of a step.
struct ToRun {
    argv: Vec<String>,
    /// The prompt, if the command is an agent.
    prompt: Option<String>,
    /// The agent's name, if the command is an agent.
    agent: Option<String>,
    /// The time limit in minutes; `None`: the limit in the configuration.
    minutes: Option<u32>,
    /// The try that the command belongs to.
    of: Option<Try>,
    /// Whether the files that the command writes are synced to the disk before its end is recorded.
    keeps_work: bool,
}

/// How a setup or verify command ended.
enum Checked {
    /// The end is a result.
    Ended(CommandEnd),
    /// Somebody other than boi ended the command. `counted`: the end counts as one of the few such ends in a row.
    CutOff { counted: bool },
    /// The worker's step ends without a result of the command.
    Step(StepEnd),
}

/// The environment variable that contains the path of the prompt's file, for an agent that does not get its
/// prompt on stdin.
const PROMPT_FILE_VARIABLE: &str = "BOI_PROMPT_FILE";

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
                let name = self.claimed.spec.agent_of(of.task);
                let Some(agent) = self.claimed.config.agents.get(name) else {
                    let cause = Cause::UnknownAgent { agent: name.to_owned() };
                    return Ok(StepEnd::Move(Box::new(step::after_obstacle(
                        &self.claimed.spec,
                        self.position.clone(),
                        cause,
                    ))));
                };
                let resumed = self.position.progress.session_of(name);
                (self.agent_argv(agent, resumed).await?, Some((agent.output, self.prompt(text, of, resumed))))
            }
        };
        let (agent, prompt) = for_agent.unzip();
        let agent_name = agent.map(|_: OutputKind| self.claimed.spec.agent_of(of.task).to_owned());
        let to_run =
            ToRun { argv, prompt, agent: agent_name, minutes: task.timeout_minutes, of: Some(of), keeps_work: true };
        let job = self.job(to_run, command).await?;
        if let Some(end) = self.wait_for_start(&job, orders).await? {
            return Ok(end);
        }
        if let Some(end) = self.wait_for_build_slot(&job, orders).await? {
            return Ok(end);
        }
        if let Some(end) = self.take_snapshot(&job.command, Some(of), orders).await? {
            self.withdraw(&job).await;
            return Ok(end);
        }
        self.try_began = (!job.begun).then(clock::now);
        let (end, mut reading, is_cut_off) = match self.run(&job, orders, agent).await? {
            Ran::Ended(end, reading) => (end, reading, false),
            Ran::CutOff(end, reading) => (end, reading, true),
            Ran::Detached => return Ok(self.leave_running()),
            Ran::NotStarted(error) => {
                self.withdraw(&job).await;
                return Ok(StepEnd::NotStarted(error.to_string()));
            }
        };
        if let Some(session) = &self.position.progress.session {
            reading.continues(&session.id, session.tokens);
        }
        if let Some(end) = self.compare_with_snapshot(&job.command, Some(of), orders).await? {
            self.withdraw(&job).await;
            return Ok(end);
        }
        if is_ended_by_order(&end, *orders.borrow()) {
            self.withdraw(&job).await;
            // If the run was ended before it reported a session, the next run continues the earlier session.
            let agent = self.claimed.spec.agent_of(of.task);
            if let Some(session) = step::session(agent, &reading.report()) {
                self.position.progress.session = Some(session);
            }
            self.interrupted = vec![RecordChange::TryInterrupted { of, report: self.report(of, &reading) }];
            return Ok(StepEnd::Interrupted);
        }
        let (outcome, report) = match agent {
            Some(agent) => {
                let stderr = tail_of(&job.dir, ERRORS).await?;
                let zone = |name: &str| match name {
                    "" => Some(TimeZone::system()),
                    name => TimeZone::get(name).ok(),
                };
                let run = EndedRun { end: &end, reading: &reading, stderr: &stderr, now: clock::now(), zone };
                let diagnosis = agent.dialect().diagnose(&run);
                (diagnosis.outcome, AgentReport { evidence: diagnosis.evidence, ..self.report(of, &reading) })
            }
            None => (exit::command_outcome(&end), AgentReport::default()),
        };
        // If the output decides the outcome, boi itself ended the agent, so the end is not a cut-off.
        let counted = !is_cut_off && step::is_cut_off(&self.position.progress, &end);
        if (counted || is_cut_off) && !reading.decides() {
            self.withdraw(&job).await;
            return Ok(self.cut_off(CommandStage::Act(of), counted, Some((outcome, report))));
        }
        if let Some(agent) = &job.agent {
            let (continued, answered) = (self.position.progress.session.is_some(), report.answered);
            let end = if step::lost_session(continued, answered, &outcome) {
                RunEnd::Withdrawn
            } else {
                RunEnd::Outcome { outcome: &outcome, answered, evidence: outcome.detail() }
            };
            self.shared.lanes.ended(agent, &self.claimed.fence.spec, end).await;
        }
        let output = match (&report.message, agent) {
            (Some(message), Some(_)) => message.clone(),
            (None, Some(_)) => tail_of(&job.dir, ERRORS).await?,
            (_, None) => tail_of(&job.dir, OUTPUT).await?,
        };
        self.last_message = report.message.clone();
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
            Verify::Spec { .. } | Verify::Batch { .. } | Verify::Merge { .. } => None,
        };
        let minutes = of.and_then(|of| self.task(of).timeout_minutes);
        let argv = shell(&self.verify_command(&verify));
        let job = self.job(ToRun { argv, prompt: None, agent: None, minutes, of, keeps_work: false }, command).await?;
        match self.run_checked(&job, of, orders).await? {
            Checked::Ended(end) => {
                let output = tail_of(&job.dir, OUTPUT).await?;
                Ok(self.follow(|plan, progress| step::after_verify(plan, progress, verify, &end, output)))
            }
            Checked::CutOff { counted } => Ok(self.cut_off(CommandStage::Verify(verify), counted, None)),
            Checked::Step(end) => Ok(end),
        }
    }

    /// Runs a setup command.
    pub(super) async fn setup(
        &mut self,
        setup: Setup,
        command: RunningCommand,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<StepEnd, WorkerError> {
        let spec = &self.claimed.spec;
        let (argv, minutes) = (shell(&spec.setup[setup.index]), spec.of_repository.timeout_minutes);
        let to_run = ToRun { argv, prompt: None, agent: None, minutes, of: None, keeps_work: true };
        let job = self.job(to_run, command).await?;
        match self.run_checked(&job, None, orders).await? {
            Checked::Ended(end) => {
                let output = tail_of(&job.dir, OUTPUT).await?;
                Ok(self.follow(|plan, progress| step::after_setup(plan, progress, setup, &end, output)))
            }
            Checked::CutOff { counted } => Ok(self.cut_off(CommandStage::Setup(setup), counted, None)),
            Checked::Step(end) => Ok(end),
        }
    }

    /// Runs a command that belongs to no run of an agent, and compares the repository before and after it.
    async fn run_checked(
        &mut self,
        job: &Job,
        of: Option<Try>,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Checked, WorkerError> {
        if let Some(end) = self.wait_for_build_slot(job, orders).await? {
            return Ok(Checked::Step(end));
        }
        if let Some(end) = self.take_snapshot(&job.command, of, orders).await? {
            return Ok(Checked::Step(end));
        }
        let (end, is_cut_off) = match self.run(job, orders, None).await? {
            Ran::Ended(end, _) => (end, false),
            Ran::CutOff(end, _) => (end, true),
            Ran::Detached => return Ok(Checked::Step(self.leave_running())),
            Ran::NotStarted(error) => return Ok(Checked::Step(StepEnd::NotStarted(error.to_string()))),
        };
        if let Some(end) = self.compare_with_snapshot(&job.command, of, orders).await? {
            return Ok(Checked::Step(end));
        }
        if is_ended_by_order(&end, *orders.borrow()) {
            return Ok(Checked::Step(StepEnd::Interrupted));
        }
        let counted = !is_cut_off && step::is_cut_off(&self.position.progress, &end);
        Ok(if counted || is_cut_off { Checked::CutOff { counted } } else { Checked::Ended(end) })
    }

    /// Returns the shell command of a verify step.
    fn verify_command(&self, verify: &Verify) -> String {
        match verify {
            Verify::Task { of, index, .. } => self.claimed.spec.verify_of(of.task)[*index].to_owned(),
            Verify::Spec { index } | Verify::Merge { index, .. } => self.claimed.spec.verify[*index].clone(),
            Verify::Batch { index } => {
                let batch = self.position.progress.landing.as_ref().and_then(|landing| landing.batch.as_ref());
                batch.map_or(String::new(), |batch| batch.verify[*index].clone())
            }
        }
    }

    /// Waits until the agent of `job` may start; `None`: it may. Otherwise returns how the step ends: the
    /// agent is held, a budget is used up, or an order arrived.
    async fn wait_for_start(
        &mut self,
        job: &Job,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Option<StepEnd>, WorkerError> {
        let Some(agent) = &job.agent else { return Ok(None) };
        let spec = &self.claimed.fence.spec;
        if job.begun {
            self.shared.lanes.adopted(agent, spec);
            return Ok(None);
        }
        let shown = async {
            // A short wait is not shown.
            tokio::time::sleep(SHOWN_WAIT).await;
            self.shared.set_cause(spec, Some(Cause::WaitsForStart { agent: agent.clone() }));
            self.shared.changed();
            std::future::pending::<()>().await;
        };
        let start = tokio::select! {
            start = self.shared.lanes.start(agent, spec) => Some(start?),
            // Cancel-safe: this future never ends, and the cause that it sets is removed below.
            () = shown => None,
            // Cancel-safe: the order stays in the channel.
            _ = orders.wait_for(|order| *order != Order::Work) => None,
        };
        self.shared.set_cause(spec, None);
        Ok(match start {
            // Runs that ended while this one waited may have used up a budget.
            Some(Start::Go { .. }) => match self.over_budget(Usd::ZERO) {
                Some(cause) => {
                    self.withdraw(job).await;
                    Some(StepEnd::OverBudget(Box::new(cause)))
                }
                None => None,
            },
            Some(Start::Held(hold)) => Some(StepEnd::Held(hold)),
            None if *orders.borrow() == Order::Detach => Some(StepEnd::Detached),
            None => Some(StepEnd::Interrupted),
        })
    }

    /// Reports that the run of `job` was ended from outside or did not start, so that it shows nothing about
    /// the agent.
    async fn withdraw(&self, job: &Job) {
        if let Some(agent) = &job.agent {
            self.shared.lanes.ended(agent, &self.claimed.fence.spec, RunEnd::Withdrawn).await;
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
    async fn agent_argv(
        &self,
        agent: &WorkerAgent,
        resumed: Option<&AgentSession>,
    ) -> Result<Vec<String>, WorkerError> {
        let new = uuid::Uuid::new_v4().to_string();
        let session = resumed.map_or(Session::New(&new), |session| Session::Resume(&session.id));
        let name = agent.command.program.clone();
        // A missing program is no error here: the supervisor reports it, and a command that is already
        // running does not need the program.
        let find = move || paths::find_program(&name).map_or(name, |path| path.to_string_lossy().into_owned());
        let program =
            blocking::run(find).await.map_err(|error| fault("cannot look for the program of the agent", error))?;
        let command = AgentCommand { program, ..agent.command.clone() }.words();
        let model = agent.model_of(self.claimed.spec.model.as_deref());
        let run = Run { command: &command, arguments: &agent.args, model, session, max_usd: self.left_of_budget() };
        Ok(agent.output.dialect().command_line(&run))
    }

    fn prompt(&self, text: &str, of: Try, resumed: Option<&AgentSession>) -> String {
        let progress = &self.position.progress;
        // The failure is from the last try of this attempt, so the prompt counts the tries of this attempt.
        let number = of.number - progress.first_try + 1;
        let note = self.claimed.note.as_ref().filter(|note| note.task == of.task).map(|note| note.text.as_str());
        let (context, failure) = (self.claimed.spec.context.as_deref(), progress.failure.as_ref());
        match resumed {
            // The session of a spec that was sent back does not contain the prompt of the task that boi added.
            Some(_) if self.claimed.spec.is_landing_task(of.task) && failure.is_none() => {
                prompt::compose(None, text, note, None, number)
            }
            Some(_) => prompt::compose_continuation(note, failure, number),
            None => prompt::compose(context, text, note, failure, number),
        }
    }

    async fn run(
        &self,
        job: &Job,
        orders: &mut watch::Receiver<Order>,
        agent: Option<OutputKind>,
    ) -> Result<Ran, WorkerError> {
        let ran = supervise::run(job, orders, agent).await.map_err(|source| WorkerError::Io {
            what: format!("cannot supervise the command with the folder {}", job.dir.path().display()),
            source,
        })?;
        if !matches!(ran, Ran::Detached) {
            self.release_build_slot();
        }
        Ok(ran)
    }

    async fn job(&self, to_run: ToRun, command: RunningCommand) -> Result<Job, WorkerError> {
        let (fence, config) = (&self.claimed.fence, &self.claimed.config);
        let folder = self.home.command(&fence.spec, fence.attempt, self.position.progress.commands);
        let begun = self.claimed.position.running_command() == Some(&command);
        let dir = CommandDir::at(folder);
        let minutes = u64::from(to_run.minutes.unwrap_or(config.task_timeout_minutes));
        // A variable that the user sets for the agent replaces the one of this name that boi sets for each
        // command.
        let mut variables: Vec<(String, OsString)> =
            FOR_COMMANDS.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        if let Some(agent) = &to_run.agent {
            variables.extend(self.shared.env_of_agent(agent));
        }
        let mut set = |name: &str, value: &OsStr| variables.push((name.to_owned(), value.to_owned()));
        set("BOI_SPEC", fence.spec.as_str().as_ref());
        set("BOI_ATTEMPT", fence.attempt.to_string().as_ref());
        set("BOI_WORKTREE", self.tree.path().as_os_str());
        if let Some(repo) = &self.claimed.spec.repo {
            set("BOI_REPO", repo.path.as_os_str());
        }
        if let Some(of) = to_run.of {
            set("BOI_TASK", self.task(of).id.as_ref());
            set("BOI_TRY", of.number.to_string().as_ref());
        }
        let agent = to_run.agent.as_ref().and_then(|agent| config.agents.get(agent));
        let via_file = agent.is_some_and(|agent| agent.prompt == PromptVia::File);
        let mut argv = to_run.argv;
        if via_file {
            let file = dir.path().join(PROMPT).to_string_lossy().into_owned();
            set(PROMPT_FILE_VARIABLE, file.as_ref());
            argv.iter_mut().skip(1).for_each(|argument| *argument = argument.replace(PROMPT_FILE, &file));
        }
        Ok(Job {
            spec: fence.spec.clone(),
            dir,
            request: Request {
                version: RECORD_VERSION,
                argv,
                cwd: self.tree.path().to_owned(),
                prompt: to_run.prompt.is_some() && !via_file,
                separate_errors: to_run.prompt.is_some(),
                timeout_millis: minutes * 60_000,
                grace_millis: u64::from(config.stop_grace_seconds) * 1000,
                max_output_bytes: config.max_output_mb << 20,
                open_files: limits::original_open_files(),
                keeps_work: to_run.keeps_work,
            },
            prompt: to_run.prompt,
            allowance: to_run.agent.as_deref().and_then(|agent| self.allowance(agent)),
            agent: to_run.agent,
            variables,
            stall_timeout_minutes: config.stall_timeout_minutes,
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
    let bytes = blocking::run(read)
        .await
        .map_err(|error| fault(&what, error))?
        .map_err(|source| WorkerError::Io { what, source })?;
    Ok(text::tail(&bytes, prompt::OUTPUT_IN_PROMPT))
}

fn fault(what: &str, error: Panicked) -> WorkerError {
    WorkerError::Io { what: what.to_owned(), source: error.into() }
}

/// Whether an order ended the command. A command that is lost after an order to cancel or stop counts as
/// ended by the order: the supervisor may have ended the command and found no disk space for the record.
fn is_ended_by_order(end: &CommandEnd, order: Order) -> bool {
    matches!(order, Order::Cancel | Order::Stop) && end.may_be_requested() && end.reason.is_none()
}

fn shell(command: &str) -> Vec<String> {
    ["sh", "-c", command].map(str::to_owned).to_vec()
}
