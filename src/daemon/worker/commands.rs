//! The steps of a worker that are commands: what is run, and what its end comes to.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use super::super::Order;
use super::super::command::{self, Job, Ran};
use super::{Done, Worker, WorkerError};
use crate::agents::{self, exit};
use crate::decide::{prompt, step};
use crate::domain::command::{RECORDS, Request};
use crate::domain::outcome::{AgentReport, CommandEnd, EndCause, TryOutcome};
use crate::domain::spec::Action;
use crate::domain::text;
use crate::process::command::CommandDir;
use crate::process::{limits, tree};
use crate::system::{clock, files, paths};

/// How much of a failed command's output the next prompt gets to choose from.
const OUTPUT_TAIL: u64 = 64 * 1024;

impl Worker {
    /// A try: the agent, or the `run` command.
    pub(super) async fn act(
        &mut self,
        index: usize,
        try_number: u32,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Done, WorkerError> {
        let task = self.task(index).clone();
        let spec = &self.claimed.spec;
        let (argv, prompt) = match &task.action {
            Action::Run(command) => (shell(command), None),
            Action::Prompt(text) => {
                let config = &self.claimed.config;
                let session = uuid::Uuid::new_v4().to_string();
                // One that is not found is refused by its supervisor; a command that runs already needs none.
                let program = paths::find_program(&config.claude_bin)
                    .map_or_else(|_| config.claude_bin.clone(), |path| path.to_string_lossy().into_owned());
                let model = spec.model.as_deref();
                let command = agents::command::command(&spec.agent, &program, &config.claude_args, model, &session);
                let Some(command) = command else {
                    return Ok(Done::Event(step::Event::Blocked(format!("boi knows no agent `{}`", spec.agent))));
                };
                // The failure is the last try's of this attempt; which number it has is the prompt's business.
                let count = try_number - self.position.first_try + 1;
                let text = prompt::compose(spec.context.as_deref(), text, self.position.failure.as_ref(), count);
                (command.argv, Some(text))
            }
        };
        let is_agent = prompt.is_some();
        let mut job = self.job(argv, prompt, task.timeout_minutes)?;
        job.request.keeps_work = true;
        job.variables.push(("BOI_TASK", task.id.clone()));
        job.variables.push(("BOI_TRY", try_number.to_string()));
        let (end, reading) = match self.run(&job, orders, is_agent).await? {
            Ran::Ended(end, reading) => (end, reading),
            Ran::Detached => return Ok(Done::Detached),
            Ran::NotStarted(error) => return Ok(Done::NotStarted(error.to_string())),
        };
        if ended_by_order(&end, *orders.borrow()) {
            return Ok(Done::Interrupted);
        }
        let (outcome, report) = if is_agent {
            let stderr = self.tail_of(&job.dir.errors_file())?;
            let zone = |name: &str| jiff::tz::TimeZone::get(name).ok();
            agents::outcome::outcome(&end, &reading, &stderr, clock::now(), zone)
        } else {
            (exit::command_outcome(&end), AgentReport::default())
        };
        // One that was ended because it did not exit after its result was ended by boi.
        if step::is_cut_off(&self.position, &end) && !reading.ended_after_result {
            return Ok(self.cut_off(Some((outcome, report))));
        }
        let output = match (&report.message, is_agent) {
            (Some(message), true) => message.clone(),
            (None, true) => self.tail_of(&job.dir.errors_file())?,
            (_, false) => self.tail_of(&job.dir.output_file())?,
        };
        Ok(Done::Event(step::Event::Acted { outcome, report, output }))
    }

    /// A verify command.
    pub(super) async fn check(
        &mut self,
        command: &str,
        task: Option<(&str, u32)>,
        minutes: Option<u32>,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Done, WorkerError> {
        let mut job = self.job(shell(command), None, minutes)?;
        if let Some((task, try_number)) = task {
            job.variables.extend([("BOI_TASK", task.to_owned()), ("BOI_TRY", try_number.to_string())]);
        }
        let end = match self.run(&job, orders, false).await? {
            Ran::Ended(end, _) => end,
            Ran::Detached => return Ok(Done::Detached),
            Ran::NotStarted(error) => return Ok(Done::NotStarted(error.to_string())),
        };
        if ended_by_order(&end, *orders.borrow()) {
            return Ok(Done::Interrupted);
        }
        if step::is_cut_off(&self.position, &end) {
            return Ok(self.cut_off(None));
        }
        let output = self.tail_of(&job.dir.output_file())?;
        Ok(Done::Event(step::Event::Checked { end, output }))
    }

    fn cut_off(&self, ended: Option<(TryOutcome, AgentReport)>) -> Done {
        warn!(spec = %self.claimed.fence.spec, "its command was ended from outside, and is carried out again");
        Done::Event(step::Event::CutOff { ended })
    }

    async fn run(&self, job: &Job, orders: &mut watch::Receiver<Order>, follow: bool) -> Result<Ran, WorkerError> {
        command::run(job, orders, follow).await.map_err(|source| WorkerError::Io {
            what: format!("cannot look after the command of {}", job.dir.path().display()),
            source,
        })
    }

    fn job(&self, argv: Vec<String>, prompt: Option<String>, minutes: Option<u32>) -> Result<Job, WorkerError> {
        let (fence, config) = (&self.claimed.fence, &self.claimed.config);
        let folder = self.home.command(&fence.spec, fence.attempt, self.position.commands);
        let what = format!("cannot make {}", folder.display());
        let dir = CommandDir::create(folder).map_err(|source| WorkerError::Io { what, source })?;
        let minutes = u64::from(minutes.unwrap_or(config.task_timeout_minutes));
        let begun = &self.claimed.position;
        Ok(Job {
            dir,
            request: Request {
                version: RECORDS,
                argv,
                cwd: self.tree.path().to_owned(),
                prompt: prompt.is_some(),
                separate_errors: prompt.is_some(),
                timeout_millis: minutes * 60_000,
                grace_millis: u64::from(config.stop_grace_seconds) * 1000,
                max_output_bytes: config.max_output_mb << 20,
                open_files: limits::open_files_before(),
                keeps_work: false,
            },
            prompt,
            variables: vec![("BOI_SPEC", fence.spec.to_string()), ("BOI_ATTEMPT", fence.attempt.to_string())],
            marker: self.position.marker.clone().unwrap_or_else(tree::new_marker),
            boot: self.position.boot.clone(),
            begun: begun.awaiting && begun.commands == self.position.commands,
            shared: Arc::clone(&self.shared),
        })
    }

    fn tail_of(&self, file: &Path) -> Result<String, WorkerError> {
        let bytes = files::tail(file, OUTPUT_TAIL)
            .map_err(|source| WorkerError::Io { what: format!("cannot read {}", file.display()), source })?;
        Ok(text::tail(&bytes, prompt::OUTPUT_IN_PROMPT))
    }
}

/// Whether an order ended the command. One that is lost under such an order is no try that failed either: its supervisor
/// may have ended it and had no room for the record.
fn ended_by_order(end: &CommandEnd, order: Order) -> bool {
    matches!(order, Order::Cancel | Order::Stop) && matches!(end.cause, EndCause::Terminated | EndCause::Lost)
}

fn shell(command: &str) -> Vec<String> {
    ["sh", "-c", command].map(str::to_owned).to_vec()
}
