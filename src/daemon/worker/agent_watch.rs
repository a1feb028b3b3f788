//! Watches an agent while it runs: reads its output, reports the model's answers and errors to the rest of
//! the daemon, and decides when boi ends the agent without an order such as a stop: when the agent hangs,
//! when it does not exit after its result, when it works in another permission mode than boi requests, or
//! when its spec's budget is used up.
//!
//! boi records the reason before it signals the supervisor. So the reason is known even if this daemon or the
//! supervisor dies before the end of the agent is recorded.

use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::cost::Allowance;
use super::follow_output::OutputFollower;
use super::supervise::{Job, blocking};
use crate::agents::{OutputKind, Reading};
use crate::daemon::lanes::Seen;
use crate::decide::stall::SignsOfLife;
use crate::domain::cause::Cause;
use crate::domain::command::{CommandEnd, EndReason};
use crate::domain::time::Timestamp;
use crate::process::cpu_time;
use crate::process::supervisor_process::Supervisor;
use crate::system::{clock, failpoint};

/// How long boi waits for an agent to exit after it has reported its result. Then boi ends the agent.
const EXIT_AFTER_RESULT: Duration = Duration::from_secs(10);
/// For how long after its start the output of an agent is read every [`LOOK_EARLY`], if this daemon started
/// the agent. The first answers and refusals of the model's service determine the pace at which other agents
/// start.
const EARLY: Duration = Duration::from_secs(30);
/// The time between two readings of the output of an agent that has just started.
const LOOK_EARLY: Duration = Duration::from_millis(250);
/// The time between two readings of the output of any other agent.
const LOOK_LATER: Duration = Duration::from_secs(2);

/// Watches one running agent.
pub(super) struct AgentWatch {
    agent: OutputKind,
    follower: OutputFollower,
    /// Detects that the agent hangs; `None`: the user turned this check off.
    signs: Option<SignsOfLife>,
    /// Until this time, the output is read every [`LOOK_EARLY`].
    early_until: Instant,
    next_look: Instant,
    /// When this worker saw the agent's result.
    result_at: Option<Instant>,
    exit_after_result: Duration,
    /// Why this worker or an earlier one requested the end of the agent.
    requested: Option<EndReason>,
    /// When the first API error since the model's last answer was seen.
    errors_since: Option<Timestamp>,
}

impl AgentWatch {
    /// Returns a watch for the agent of `job`. `requested` is the reason for which an earlier worker
    /// requested the end of the agent, if it did.
    pub(super) fn new(agent: OutputKind, job: &Job, requested: Option<EndReason>) -> AgentWatch {
        let now = Instant::now();
        AgentWatch {
            agent,
            follower: OutputFollower::new(agent, job.request.max_output_bytes),
            signs: signs(job),
            early_until: now,
            next_look: now + LOOK_LATER,
            result_at: None,
            exit_after_result: failpoint::duration("BOI_EXIT_AFTER_RESULT_MILLIS", EXIT_AFTER_RESULT),
            requested,
            errors_since: None,
        }
    }

    /// Resets the watch, because this worker has just started the agent.
    pub(super) fn started(&mut self, job: &Job) {
        let now = Instant::now();
        self.signs = signs(job);
        self.early_until = now + EARLY;
        self.next_look = now + LOOK_EARLY;
        self.requested = None;
    }

    /// Returns whether this worker or an earlier one requested the end of the agent.
    pub(super) fn is_end_requested(&self) -> bool {
        self.requested.is_some()
    }

    /// Returns when [`AgentWatch::look`] has to be called next.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Reads the new output, and returns whether boi ends the agent now. If so, the reason is recorded when
    /// this returns, and the caller has to signal the supervisor.
    pub(super) async fn look(&mut self, job: &Job, supervisor: &Supervisor) -> io::Result<bool> {
        self.read(job).await?;
        let now = Instant::now();
        self.next_look = now + if now < self.early_until { LOOK_EARLY } else { LOOK_LATER };
        if self.requested.is_some() {
            return Ok(false);
        }
        let dir = job.dir.path().display();
        let reason = if self.follower.so_far().forbidden_mode().is_some() {
            info!(%dir, "the agent works in another permission mode than boi requested; boi ends the agent");
            Some(EndReason::ModeForbidden)
        } else if let Some(since) = self.result_at {
            let is_over = since.elapsed() >= self.exit_after_result;
            is_over.then(|| {
                info!(%dir, "the agent reported its result but does not exit; boi ends the agent");
                EndReason::AfterResult
            })
        } else if self.is_over_budget(job) {
            warn!(%dir, "the agent used up the rest of its spec's budget; boi ends the agent");
            Some(EndReason::OverBudget)
        } else if self.is_stalled(job, supervisor).await? {
            warn!(%dir, "the agent showed no sign of life for stall_timeout_minutes; boi ends the agent");
            Some(EndReason::Stalled)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.request_end(job, reason).await?;
        }
        Ok(reason.is_some())
    }

    /// Reads the output before an order, such as a stop, ends the agent. If the agent has already reported
    /// its result, records this, so that the result decides the outcome of the try.
    pub(super) async fn before_order(&mut self, job: &Job) -> io::Result<()> {
        self.read(job).await?;
        if self.requested.is_none() && self.result_at.is_some() {
            self.request_end(job, EndReason::AfterResult).await?;
        }
        Ok(())
    }

    /// Reads the rest of the output after the agent has ended, and sets the reason in `end` if a worker
    /// requested the end.
    pub(super) async fn finish(self, job: &Job, end: &mut CommandEnd) -> io::Result<Reading> {
        job.shared.set_api_errors(&job.spec, None);
        if end.may_be_requested() {
            end.reason = end.reason.or(self.requested);
        }
        let mut reading = self.follower.finish(&job.dir).await?;
        reading.ended_after_result = end.reason == Some(EndReason::AfterResult);
        Ok(reading)
    }

    async fn read(&mut self, job: &Job) -> io::Result<()> {
        self.follower.read(&job.dir).await?;
        let reading = self.follower.so_far();
        if reading.result.is_some() {
            self.result_at.get_or_insert_with(Instant::now);
        }
        let answered = (self.agent != OutputKind::Text).then_some(reading.answered);
        let errors = &reading.api_errors;
        let seen = Seen { answered, spoke: self.follower.size() > 0, failures: errors.count };
        let errors = (errors.count > 0).then(|| Cause::ApiErrors {
            errors: errors.count,
            last: errors.last.clone(),
            retry: errors.retry,
            since: *self.errors_since.get_or_insert_with(clock::now),
        });
        if errors.is_none() {
            self.errors_since = None;
        }
        job.observe(seen, errors).await;
        Ok(())
    }

    fn is_over_budget(&self, job: &Job) -> bool {
        let reading = self.follower.so_far();
        let is_used_up = |allowance: &Allowance| allowance.is_used_up(&reading.usage_so_far, reading.model.as_deref());
        job.allowance.as_ref().is_some_and(is_used_up)
    }

    async fn is_stalled(&mut self, job: &Job, supervisor: &Supervisor) -> io::Result<bool> {
        let size = self.follower.size();
        let Some(signs) = self.signs.as_mut() else { return Ok(false) };
        if !signs.look(clock::since_boot(), size) {
            return Ok(false);
        }
        let (dir, pid) = (job.dir.clone(), supervisor.pid());
        let used = blocking(move || Ok(cpu_time::of_command(&dir, pid))).await?;
        Ok(signs.is_stalled(used))
    }

    /// Records why boi ends the agent. If the record cannot be written, only this worker knows the reason.
    async fn request_end(&mut self, job: &Job, reason: EndReason) -> io::Result<()> {
        self.requested = Some(reason);
        let dir = job.dir.clone();
        if let Err(error) = blocking(move || Ok(dir.request_end(reason))).await? {
            let dir = job.dir.path().display();
            warn!(%dir, %error, "cannot record why boi ends the agent; boi ends the agent anyway, and repeats the try if this daemon dies before it has recorded the agent's end");
        }
        failpoint::hit("end.requested");
        Ok(())
    }
}

impl Job {
    /// Reports to the daemon what the agent's output shows. `errors` is the cause that `boi status` shows
    /// while the agent gets only API errors.
    async fn observe(&self, seen: Seen, errors: Option<Cause>) {
        self.shared.set_api_errors(&self.spec, errors);
        if let Some(agent) = &self.agent {
            self.shared.lanes.observe(agent, &self.spec, seen).await;
        }
    }
}

fn signs(job: &Job) -> Option<SignsOfLife> {
    let minute = failpoint::duration("BOI_MINUTE_MILLIS", Duration::from_secs(60));
    SignsOfLife::begin(job.stall_timeout_minutes, minute, clock::since_boot())
}
