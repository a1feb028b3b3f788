//! A worker: carries out one attempt of one spec, step by step.
//!
//! A worker carries out the step at its position, passes the result to `decide::step`, and records the move
//! that follows before it does anything else. A later daemon rebuilds a worker from its record, so every step
//! may be carried out twice; a running command is found by its folder.
//!
//! Orders (cancel, stop, detach) take effect between steps, while a command runs and while git runs. Git is a
//! child of the daemon, so an order ends it, together with its descendants, and a later worker repeats the
//! step.
//!
//! Invariant: a worker never blocks a thread of the runtime. It uses files and git on threads that may block.

mod agent_watch;
mod build_slot;
mod command_steps;
mod cost;
mod execution;
mod follow_output;
mod git_steps;
mod landing;
mod orders;
mod prepare;
mod shared_part;
mod spawning;
pub(super) mod supervise;
pub(super) mod sweep;
mod worktree;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{info, warn};

use self::worktree::{Removed, WorkerTree};
use super::async_queue::AsyncQueue;
use super::shared::Shared;
use super::{Event, Order, Spawn, WorkerEnd, quarantine};
use crate::decide::lane;
use crate::decide::retry;
use crate::decide::step::{self, AttemptPlan, Move, RecordChange};
use crate::domain::cause::Cause;
use crate::domain::failure::Failure;
use crate::domain::hold::Hold;
use crate::domain::life::{Block, TaskStatus};
use crate::domain::outcome::TryOutcome;
use crate::domain::position::{CommandStage, Delivered, Ending, Position, Progress, RunningCommand, Step, Try};
use crate::domain::repository_block::RepositoryBlock;
use crate::domain::spec::Task;
use crate::domain::time::Timestamp;
use crate::process::marker;
use crate::process::record::RecordError;
use crate::queue::{Claimed, Fence, GiveBack, Queue, QueueError, WorktreePlace};
use crate::system::paths::Home;
use crate::system::{attempt_folder, blocking, clock, failpoint};

/// The maximum number of git steps that run at once. Each occupies a thread of the pool in `system::blocking`
/// while git runs, and the operations of the queue must always find a free thread in that pool.
const GIT_STEPS: usize = 64;
/// The maximum number of workers that create their folders at the same time. A new daemon adopts all running
/// specs at once, and more threads would only make this slower.
const STARTS: usize = 4;
/// The time between SIGTERM and SIGKILL for processes of a quarantined spec, whose configuration may be
/// unreadable.
const QUARANTINE_GRACE: Duration = Duration::from_secs(10);

/// Starts the workers of a daemon, each as a task of the runtime.
pub(crate) struct Workers {
    /// The home with the workers' files.
    pub home: Home,
    /// The queue in which the workers record their progress.
    pub queue: AsyncQueue,
    /// The shared state of the daemon, which the workers update.
    pub shared: Arc<Shared>,
    git: Arc<Semaphore>,
    starts: Arc<Semaphore>,
}

impl Workers {
    /// Creates the parts that all workers share. Starts no worker.
    pub(crate) fn new(home: Home, queue: AsyncQueue, shared: Arc<Shared>) -> Workers {
        let [git, starts] = [GIT_STEPS, STARTS].map(|permits| Arc::new(Semaphore::new(permits)));
        Workers { home, queue, shared, git, starts }
    }
}

impl Spawn for Workers {
    fn spawn(&mut self, claimed: Claimed, orders: watch::Receiver<Order>, events: mpsc::UnboundedSender<Event>) {
        let fence = claimed.fence.clone();
        let folder = self.home.attempt(&fence.spec, fence.attempt);
        let worker = Worker::new(self, claimed, folder);
        report_end(tokio::spawn(worker.work(orders)), fence, events);
    }

    fn end_quarantined(&mut self, fence: Fence, orders: watch::Receiver<Order>, events: mpsc::UnboundedSender<Event>) {
        let attempts = self.home.spec_attempts(&fence.spec);
        let end = quarantine::end(self.queue.clone(), fence.clone(), attempts, QUARANTINE_GRACE, orders);
        report_end(tokio::spawn(end), fence, events);
    }
}

/// Sends the end of a worker's task to the loop. A panic ends only the worker that panicked.
fn report_end(task: tokio::task::JoinHandle<WorkerEnd>, fence: Fence, events: mpsc::UnboundedSender<Event>) {
    tokio::spawn(async move {
        let end = task.await.unwrap_or_else(|error| {
            WorkerEnd::Failed(format!("internal fault in the worker (please report it): {error}"))
        });
        drop(events.send(Event::Ended(fence, end)));
    });
}

struct Worker {
    claimed: Claimed,
    position: Position,
    folder: PathBuf,
    done: Vec<bool>,
    tries: Vec<u32>,
    /// When the command of the last try began; `None` if an earlier worker started it.
    try_began: Option<Timestamp>,
    home: Home,
    queue: AsyncQueue,
    shared: Arc<Shared>,
    git: Arc<Semaphore>,
    starts: Arc<Semaphore>,
    tree: WorkerTree,
    /// The last message of the last try's agent; `None`: there was none, or an earlier worker ran the agent.
    last_message: Option<String>,
    /// The changes to record because an order ended the command of a try.
    interrupted: Vec<RecordChange>,
    /// What the removal of the worktree left, to be recorded with the end of the spec.
    removed: Option<Removed>,
}

/// Why a worker failed.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{0}")]
    Transient(String),
}

/// How a step ended.
enum StepEnd {
    /// The step has a result. This move follows from it.
    Move(Box<Move>),
    /// An order to cancel or stop ended the step's command.
    Interrupted,
    /// The daemon is leaving; a command of the step, if any, continues to run.
    Detached,
    /// The agent of the step is held, so it was not started.
    Held(Box<Hold>),
    /// The agent of the step was not started, because a budget is used up. The cause says which.
    OverBudget(Box<Cause>),
    /// The configuration of the spec's repository does not let the spec start now.
    BlockedByRepository(Box<RepositoryBlock>),
    /// The step's command could not be started, for this reason; nothing was executed.
    NotStarted(String),
}

impl Worker {
    fn new(workers: &Workers, claimed: Claimed, folder: PathBuf) -> Worker {
        let path = workers.home.worktree(&claimed.fence.spec, claimed.worktree.as_deref());
        let tree = WorkerTree::new(&claimed, path, &folder);
        let worker = Worker {
            position: claimed.position.clone(),
            folder,
            done: claimed.tasks.iter().map(|(status, _)| *status == TaskStatus::Done).collect(),
            tries: claimed.tasks.iter().map(|(_, tries)| *tries).collect(),
            try_began: None,
            home: workers.home.clone(),
            queue: workers.queue.clone(),
            shared: Arc::clone(&workers.shared),
            git: Arc::clone(&workers.git),
            starts: Arc::clone(&workers.starts),
            claimed,
            tree,
            last_message: None,
            interrupted: Vec::new(),
            removed: None,
        };
        worker.occupy_build_slot();
        worker
    }

    async fn work(self, orders: watch::Receiver<Order>) -> WorkerEnd {
        let (shared, spec) = (Arc::clone(&self.shared), self.claimed.fence.spec.clone());
        shared.watch_git(&spec, Some(Arc::clone(self.tree.watch())));
        let mut worker = self;
        if let Some(repository) = &worker.position.progress.repository
            && !spec.is_lander()
        {
            // The worker of an earlier daemon had counted the spec.
            shared.repositories.enter(&spec, &repository.common_dir, None);
        }
        shared.warm_trees.enter(worker.tree.path());
        let end = worker.work_to_end(orders).await;
        worker.leave_repository().await;
        worker.leave_path();
        shared.watch_git(&spec, None);
        end
    }

    async fn work_to_end(&mut self, mut orders: watch::Receiver<Order>) -> WorkerEnd {
        if let Err(reason) = self.create_folder().await {
            return WorkerEnd::NotStarted(reason);
        }
        match self.steps(&mut orders).await {
            Ok(end) => end,
            // The spec has ended, or a newer attempt has a worker of its own: this worker has nothing left to
            // record.
            Err(WorkerError::Queue(QueueError::Superseded(fence))) => {
                warn!(spec = %fence.spec, attempt = fence.attempt, "the spec has ended or has a newer attempt: the worker of this attempt stops");
                WorkerEnd::Recorded
            }
            // The worker uses the queue only between steps, when no command is running.
            Err(WorkerError::Queue(error)) => WorkerEnd::Unrecorded(error.to_string()),
            Err(WorkerError::Io { source, .. }) if is_of_newer_version(&source) => {
                WorkerEnd::Quarantined(source.to_string())
            }
            Err(error) => WorkerEnd::Failed(error.to_string()),
        }
    }

    /// Creates the attempt's folder.
    async fn create_folder(&self) -> Result<(), String> {
        let (shared, folder) = (Arc::clone(&self.shared), self.folder.clone());
        let create = move || {
            shared.health.check_home().map_err(|error| error.to_string())?;
            let (_, repaired) = attempt_folder::make(&folder)
                .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
            if let Some(path) = repaired {
                warn!(path = %path.display(), "a command had removed the user's permissions for this path, or replaced what was there; boi restored the path");
            }
            Ok(())
        };
        let _permit = self
            .starts
            .acquire()
            .await
            .map_err(|error| format!("internal fault before the worker's start (please report it): {error}"))?;
        blocking::run(create).await.unwrap_or_else(|error| {
            Err(format!("internal fault before the worker's start (please report it): {error}"))
        })
    }

    async fn steps(&mut self, orders: &mut watch::Receiver<Order>) -> Result<WorkerEnd, WorkerError> {
        loop {
            // A step that runs a command gets the orders itself, and ends its command. `Close` is carried out
            // under any order.
            self.pause_before_try(orders).await;
            let order = *orders.borrow();
            if matches!(self.position.step, Step::Prepare { .. } | Step::Git(_))
                && let Some(end) = self.obey(order).await?
            {
                // The order ends the worker. After a cancel, the worker does not end here, but continues with
                // `Close`.
                return Ok(end);
            }
            let end = self.perform(orders).await?;
            if !matches!(end, StepEnd::Detached) {
                self.release_build_slot();
            }
            match end {
                StepEnd::Move(next) => match *next {
                    Move::Go(position, changes) => {
                        if let Some(end) = self.end_over_budget(&position, &changes).await? {
                            return Ok(end);
                        }
                        self.record(position, changes).await?;
                    }
                    Move::Blocked(position, changes, used_up) => {
                        let cause = Cause::Blocked { by: Block::Budget(used_up) };
                        return self.give_back_over_budget(position, changes, cause).await;
                    }
                    Move::Refused(position, changes, outcome) => return self.refused(position, changes, outcome).await,
                    Move::Died(position, changes, failure) => return self.died(position, changes, failure).await,
                    Move::End(ending) => return self.finish(ending).await,
                },
                StepEnd::Detached => return Ok(WorkerEnd::Detached),
                StepEnd::Held(hold) => return self.held(*hold).await,
                StepEnd::OverBudget(cause) => {
                    let position = self.position.clone().resumed();
                    return self.give_back_over_budget(position, vec![], *cause).await;
                }
                StepEnd::BlockedByRepository(block) => return self.blocked_by_repository(*block).await,
                StepEnd::NotStarted(reason) => return self.not_started(reason).await,
                StepEnd::Interrupted => {
                    let order = *orders.borrow();
                    if let Some(end) = self.obey(order).await? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Returns the input for the functions of `decide::step`. `next_command` identifies the command that may
    /// begin with the next step; the caller makes a new one for each step.
    fn plan<'a>(&'a self, next_command: &'a RunningCommand) -> AttemptPlan<'a> {
        AttemptPlan {
            spec: &self.claimed.spec,
            done: &self.done,
            tries: &self.tries,
            retry_count: self.claimed.config.retry_count,
            retry_backoff: self.claimed.config.retry_backoff_seconds,
            now: clock::now(),
            timeout_minutes: self.claimed.config.task_timeout_minutes,
            budget: self.budget(),
            next_command,
        }
    }

    /// Records a position and the `changes` that belong to it in the queue, then makes it the worker's
    /// position.
    async fn record(&mut self, position: Position, mut changes: Vec<RecordChange>) -> Result<(), WorkerError> {
        if matches!(position.step, Step::Prepare { .. } | Step::Command { .. }) {
            changes.extend(self.new_place().map(|path| RecordChange::Placed { path }));
        }
        for change in &changes {
            match change {
                RecordChange::TaskDone { task, .. } => self.done[*task] = true,
                RecordChange::TryBegan { of } => {
                    info!(spec = %self.claimed.fence.spec, task = self.task(*of).id, number = of.number, "try started");
                }
                RecordChange::TryRejected { of, failure } => {
                    let (task, what, how) = (&self.task(*of).id, failure.part.to_string(), failure.how.to_string());
                    info!(spec = %self.claimed.fence.spec, task, number = of.number, what, how, "the try failed, because one of its checks failed");
                }
                RecordChange::TryEnded { .. }
                | RecordChange::TryInterrupted { .. }
                | RecordChange::RunEnded { .. }
                | RecordChange::RepositoryConfig { .. }
                | RecordChange::Placed { .. }
                | RecordChange::Task { .. } => {}
                RecordChange::Landing(change) => self.log_landing(change),
            }
        }
        let (fence, recorded) = (self.claimed.fence.clone(), position.clone());
        let (now, changes) = (clock::now(), self.with_runs(changes));
        let cost = cost::cost_of_runs(&changes);
        let placed = changes.iter().find_map(|change| match change {
            RecordChange::Placed { path } => Some(path.clone()),
            _ => None,
        });
        let result = self.queue.call(move |queue| queue.record(&fence, &recorded, changes, now)).await;
        self.count_runs(cost, now, &result);
        result?;
        self.position = position;
        self.claimed.worktree = placed.or(self.claimed.worktree.take());
        self.shared.changed();
        if self.position.running_command().is_some() {
            failpoint::hit("command.recorded");
        }
        Ok(())
    }

    async fn give_back(&mut self, back: GiveBack) -> Result<WorkerEnd, WorkerError> {
        let fence = self.claimed.fence.clone();
        let back = GiveBack { changes: self.with_runs(back.changes), ..back };
        let cost = cost::cost_of_runs(&back.changes);
        let now = clock::now();
        let result = self.queue.call(move |queue| queue.give_back(&fence, back, now)).await;
        self.count_runs(cost, now, &result);
        result?;
        Ok(WorkerEnd::Recorded)
    }

    /// Gives the spec back to the queue, because the step's command could not be started. The command is
    /// started later.
    async fn not_started(&mut self, detail: String) -> Result<WorkerEnd, WorkerError> {
        warn!(spec = %self.claimed.fence.spec, detail, "a command could not be started: the spec is queued again, and the command is started later");
        let wait = retry::start_backoff_millis(self.claimed.setbacks + 1);
        let position = self.position.clone().resumed();
        self.give_back(GiveBack {
            lane: self.lane_at(&position),
            position,
            changes: vec![],
            cause: Some(Cause::CommandNotStarted { detail }),
            not_before: Some(clock::now().plus_millis(wait)),
            setback: true,
        })
        .await
    }

    /// Gives the spec back to the queue, because its agent is held. The spec continues at the same step when
    /// the hold ends.
    async fn held(&mut self, hold: Hold) -> Result<WorkerEnd, WorkerError> {
        let until = hold.until.map(|until| until.to_string());
        info!(spec = %self.claimed.fence.spec, until, "the spec's agent is held; the spec goes back to the queue and continues when the hold ends");
        let position = self.position.clone().resumed();
        let lane = self.lane_at(&position);
        self.give_back(GiveBack { lane, position, changes: vec![], cause: None, not_before: None, setback: false })
            .await
    }

    /// Gives the spec back to the queue, because the model's service refused the agent's request. The same
    /// try is repeated later.
    async fn refused(
        &mut self,
        position: Position,
        changes: Vec<RecordChange>,
        outcome: TryOutcome,
    ) -> Result<WorkerEnd, WorkerError> {
        let lane = self.lane_at(&position);
        let hold = lane.as_deref().and_then(|agent| self.shared.lanes.hold(agent));
        // If the agent is held, the hold delays the spec, so the queue does not have to delay it too.
        let not_before = match hold {
            Some(_) => None,
            None => retry::service_wait(&outcome, self.claimed.setbacks + 1, clock::now(), rand::random()),
        };
        let cause = Cause::Refused { outcome, until: hold.map_or(not_before, |hold| hold.until) };
        warn!(spec = %self.claimed.fence.spec, cause = %cause, "the model's service refused the agent's request: the spec is queued again, and the try is repeated later");
        self.give_back(GiveBack {
            lane: self.lane_at(&position),
            position,
            changes,
            cause: Some(cause),
            not_before,
            setback: true,
        })
        .await
    }

    /// Gives the spec back to the queue, because the step's command died. The command is run again after a
    /// wait.
    async fn died(
        &mut self,
        position: Position,
        changes: Vec<RecordChange>,
        failure: Failure,
    ) -> Result<WorkerEnd, WorkerError> {
        let deaths = position.progress.deaths;
        let until = clock::now().plus_millis(retry::death_backoff_millis(deaths));
        let cause = Cause::CommandDied { failure: failure.without_output(), deaths, until };
        warn!(spec = %self.claimed.fence.spec, cause = %cause, deaths, "a command died: the spec is queued again, and the command is run again after a wait");
        let not_before = Some(until);
        self.give_back(GiveBack {
            lane: self.lane_at(&position),
            position,
            changes,
            cause: Some(cause),
            not_before,
            setback: false,
        })
        .await
    }

    async fn finish(&mut self, ending: Ending) -> Result<WorkerEnd, WorkerError> {
        let (fence, spec) = (self.claimed.fence.clone(), self.claimed.fence.spec.clone());
        match &ending {
            _ if spec.is_lander() => info!(lander = %spec, "nothing waits for the lander any more; it ends"),
            Ending::Completed(Delivered::Waiting) => info!(%spec, "spec completed; it waits to land"),
            Ending::Completed(Delivered::Unmerged(why)) => {
                warn!(%spec, why = %why, "spec completed, but its branch was not merged into the base")
            }
            Ending::Completed(_) => info!(%spec, "spec completed"),
            Ending::Failed(cause) => warn!(%spec, cause = %cause, "spec failed"),
            Ending::Canceled => info!(%spec, "spec canceled"),
        }
        let Removed { kept, gone } = self.removed.take().unwrap_or_default();
        self.log_kept(&kept);
        let place = gone.then_some(WorktreePlace::Removed);
        let finish = move |queue: &dyn Queue| queue.finish_with(&fence, &ending, kept, place, clock::now());
        let failed = self.queue.call(finish).await?;
        failpoint::hit("spec.finished");
        if self.claimed.fence.spec.is_lander() {
            self.delete_lander_files().await;
        }
        for dependent in failed {
            warn!(spec = %dependent, "spec failed, because it waits for {spec}, which did not complete");
        }
        Ok(WorkerEnd::Recorded)
    }

    /// Carries out the current step.
    async fn perform(&mut self, orders: &mut watch::Receiver<Order>) -> Result<StepEnd, WorkerError> {
        match self.position.step.clone() {
            Step::Prepare { checkout, then } => self.prepare(checkout, then, orders).await,
            Step::Command { stage: CommandStage::Act(of), command } => self.act(of, command, orders).await,
            Step::Command { stage: CommandStage::Verify(verify), command } => {
                self.verify(verify, command, orders).await
            }
            Step::Command { stage: CommandStage::Setup(setup), command } => self.setup(setup, command, orders).await,
            Step::Git(stage) => self.git_step(stage, orders).await,
            Step::Close(ending) => self.close(ending, orders).await,
        }
    }

    /// Decides with `after` which move follows the current step. A command that begins with this move gets a
    /// new marker.
    fn follow(&self, after: impl FnOnce(&AttemptPlan<'_>, Progress) -> Move) -> StepEnd {
        let next_command = RunningCommand { boot: clock::boot_id().to_owned(), marker: marker::new_marker() };
        let plan = self.plan(&next_command);
        StepEnd::Move(Box::new(step::without_idle_git(&plan, after(&plan, self.position.progress.clone()))))
    }

    /// Returns the path of the worktree if it is not recorded yet. The path of a git worktree is recorded before the worktree
    /// is created, so that a later daemon finds it even if its configuration names another folder for worktrees.
    fn new_place(&self) -> Option<String> {
        let path = self.tree.path().to_string_lossy().into_owned();
        (self.claimed.worktree.as_ref() != Some(&path)).then_some(path)
    }

    /// Whether the worktree's folder exists. A path that cannot be inspected counts as existing.
    async fn has_folder(&self) -> bool {
        let path = self.tree.path().to_owned();
        let exists = blocking::run(move || path.try_exists()).await;
        !matches!(exists, Ok(Ok(false)))
    }

    async fn record_kept(&mut self, kept: Vec<String>, place: Option<WorktreePlace>) -> Result<(), WorkerError> {
        if kept.is_empty() && place.is_none() {
            return Ok(());
        }
        self.log_kept(&kept);
        let (fence, recorded) = (self.claimed.fence.clone(), place.clone());
        self.queue.call(move |queue| queue.record_kept(&fence, kept, recorded)).await?;
        match place {
            Some(WorktreePlace::At(path)) => self.claimed.worktree = Some(path),
            Some(WorktreePlace::Removed) => self.claimed.worktree = None,
            None => {}
        }
        Ok(())
    }

    fn log_kept(&self, kept: &[String]) {
        for reference in kept {
            let spec = &self.claimed.fence.spec;
            if reference.starts_with("refs/") {
                info!(%spec, reference, "boi saved work that no branch contains under a ref");
            } else {
                info!(%spec, path = reference, "boi keeps files that git cannot store in this folder");
            }
        }
    }

    /// Returns the agent that the attempt starts next if it continues at `position`.
    fn lane_at(&self, position: &Position) -> Option<String> {
        lane::of_position(&self.claimed.spec, position, &self.done).map(str::to_owned)
    }

    fn task(&self, of: Try) -> &Task {
        &self.claimed.spec.tasks[of.task]
    }

    /// Returns the part of a kept ref's name that identifies the try whose work the ref contains.
    fn label(&self, of: Try) -> String {
        format!("{}-try-{}", self.task(of).id, of.number)
    }

    fn commit_message(&self, of: Try) -> String {
        let (task, spec) = (self.task(of), &self.claimed.fence.spec);
        let trailers = format!("Boi-Spec: {spec}\nBoi-Task: {}\nBoi-Try: {}", task.id, of.number);
        format!("{}\n\n{}\n\n{trailers}\n", task.title, self.claimed.spec.title)
    }
}

/// Whether an error means that a record was written by a newer version of boi.
fn is_of_newer_version(error: &io::Error) -> bool {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref())
        .is_some_and(|inner| matches!(inner, RecordError::Newer { .. }))
}
