//! A worker: carries out one attempt of one spec, step by step.
//!
//! It does what its position's step says, hands what came of it to `decide::step`, and records the move that follows
//! before it does anything else. A worker is rebuilt from its record by a later daemon, so every step may be done twice;
//! a command is found again by its folder.
//!
//! Orders (cancel, stop, detach) act between steps and while a command runs. A step of git is never cut short; a daemon
//! that leaves does not wait for it, since the next one does, by the lock that git holds.

mod commands;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{info, warn};

use super::command;
use super::handle::{self, Shared};
use super::tree::{Broken, Tree};
use super::{Event, Order, Spawn, WorkerEnd};
use crate::decide::retry;
use crate::decide::step::{self, Change, Move, Plan};
use crate::domain::attempt::{Ending, Position, Step, TaskStatus};
use crate::domain::outcome::TryOutcome;
use crate::domain::spec::Task;
use crate::process::tree;
use crate::queue::{Claimed, GiveBack, Place, Store, StoreError};
use crate::system::paths::Home;
use crate::system::{clock, failpoint, files};

/// How many steps of git are under way at once. Each takes a thread that may block, for as long as git takes; the store
/// must always find one free.
const GIT_STEPS: usize = 64;

/// Starts the workers of a daemon: a task of the runtime each.
pub struct Workers {
    /// Where their files are.
    pub home: Home,
    /// The queue.
    pub store: Arc<dyn Store>,
    /// Whom to tell that something changed.
    pub shared: Arc<Shared>,
    git: Arc<Semaphore>,
}

impl Workers {
    /// Starts no worker yet.
    pub fn new(home: Home, store: Arc<dyn Store>, shared: Arc<Shared>) -> Workers {
        Workers { home, store, shared, git: Arc::new(Semaphore::new(GIT_STEPS)) }
    }
}

impl Spawn for Workers {
    fn spawn(
        &mut self,
        claimed: Claimed,
        orders: watch::Receiver<Order>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<(), String> {
        let fence = &claimed.fence;
        let folder = self.home.attempt(&fence.spec, fence.attempt);
        self.shared.health.check_home().map_err(|error| error.to_string())?;
        let (attempts, of_spec) = (self.home.attempts(), self.home.spec_attempts(&fence.spec));
        files::regain(&[&attempts, &of_spec, &folder])
            .and_then(|_| files::private_dir(&folder))
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let fence = claimed.fence.clone();
        let worker = Worker::new(self, claimed, folder);
        let task = tokio::spawn(worker.work(orders));
        tokio::spawn(async move {
            // A panic in one worker costs that worker only.
            let end = task.await.unwrap_or_else(|error| WorkerEnd::Broken(format!("internal fault: {error}")));
            drop(events.send(Event::Ended(fence, end)));
        });
        Ok(())
    }
}

struct Worker {
    claimed: Claimed,
    position: Position,
    done: Vec<bool>,
    tries: Vec<u32>,
    home: Home,
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    git: Arc<Semaphore>,
    tree: Tree,
}

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{0}")]
    NotYet(String),
}

/// What came of a step.
enum Done {
    /// This event.
    Event(step::Event),
    /// An order ended its command.
    Interrupted,
    /// The daemon leaves.
    Detached,
    /// Its command could not be started, and nothing was executed.
    NotStarted(String),
}

impl Worker {
    fn new(workers: &Workers, claimed: Claimed, folder: PathBuf) -> Worker {
        let path = workers.home.worktree(&claimed.fence.spec, claimed.worktree.as_deref());
        let tree = Tree::new(&claimed, path, folder);
        Worker {
            position: claimed.position.clone(),
            done: claimed.tasks.iter().map(|(status, _)| *status == TaskStatus::Done).collect(),
            tries: claimed.tasks.iter().map(|(_, tries)| *tries).collect(),
            home: workers.home.clone(),
            store: Arc::clone(&workers.store),
            shared: Arc::clone(&workers.shared),
            git: Arc::clone(&workers.git),
            claimed,
            tree,
        }
    }

    async fn work(mut self, mut orders: watch::Receiver<Order>) -> WorkerEnd {
        match self.steps(&mut orders).await {
            Ok(end) => end,
            // Somebody else has the spec, or it has ended: this worker has nothing to say any more.
            Err(WorkerError::Store(StoreError::Superseded { fence })) => {
                warn!(spec = %fence.spec, attempt = fence.attempt, "superseded");
                WorkerEnd::Recorded
            }
            // The store is asked between steps, when no command runs.
            Err(WorkerError::Store(error)) => WorkerEnd::Unrecorded(error.to_string()),
            Err(error) => WorkerEnd::Broken(error.to_string()),
        }
    }

    async fn steps(&mut self, orders: &mut watch::Receiver<Order>) -> Result<WorkerEnd, WorkerError> {
        loop {
            let closing = matches!(self.position.step, Step::Close { .. });
            // A command that has begun is ended by `perform`, which sees the order too.
            if !closing && !self.position.awaiting {
                let order = *orders.borrow();
                match order {
                    Order::Work => {}
                    Order::Detach => return Ok(WorkerEnd::Detached),
                    Order::Cancel => self.record(step::canceled(self.position.clone()), vec![]).await?,
                    Order::Stop => return self.stopped().await,
                }
            }
            let event = match self.perform(orders).await? {
                Done::Event(event) => event,
                Done::Detached => return Ok(WorkerEnd::Detached),
                Done::Interrupted => {
                    self.position.awaiting = false;
                    continue;
                }
                Done::NotStarted(reason) => return self.not_started(reason).await,
            };
            let plan = Plan {
                spec: &self.claimed.spec,
                done: &self.done,
                tries: &self.tries,
                retry_count: self.claimed.config.retry_count,
                timeout_minutes: self.claimed.config.task_timeout_minutes,
            };
            match step::advance(&plan, &self.position, event) {
                Move::Go(position, changes) => self.record(position, changes).await?,
                Move::GiveBack(position, changes, outcome) => return self.refused(position, changes, outcome).await,
                Move::Rest(position, changes, why) => return self.rest(position, changes, why).await,
                Move::End(ending) => return self.finish(ending).await,
            }
        }
    }

    /// Makes a move durable, then the worker's own.
    async fn record(&mut self, mut position: Position, changes: Vec<Change>) -> Result<(), WorkerError> {
        if position.awaiting {
            position.boot = Some(clock::boot_id().to_owned());
            // Recorded before anything is started: what carries it is known whatever becomes of the command's folder.
            position.marker = Some(tree::new_marker());
        }
        for change in &changes {
            match change {
                Change::TaskDone { task, .. } => self.done[*task] = true,
                Change::TryBegan { task, try_number } => {
                    info!(spec = %self.claimed.fence.spec, task = self.task(*task).id, try_number, "try");
                }
                Change::TryRejected { task, failure, .. } => {
                    info!(spec = %self.claimed.fence.spec, task = self.task(*task).id, why = failure.what, how = failure.how, "try rejected");
                }
                Change::TryEnded { .. } | Change::Task { .. } => {}
            }
        }
        let (fence, recorded) = (self.claimed.fence.clone(), position.clone());
        let now = clock::now();
        handle::with_store(&self.store, move |store| store.record(&fence, &recorded, changes, now)).await?;
        self.position = position;
        self.shared.changed();
        if self.position.awaiting {
            failpoint::hit("command.recorded");
        }
        Ok(())
    }

    async fn give_back(&mut self, back: GiveBack) -> Result<WorkerEnd, WorkerError> {
        let fence = self.claimed.fence.clone();
        handle::with_store(&self.store, move |store| store.give_back(&fence, back, clock::now())).await?;
        Ok(WorkerEnd::Recorded)
    }

    async fn stopped(&mut self) -> Result<WorkerEnd, WorkerError> {
        let position = self.position.clone().resumed();
        let reason = Some("stopped; goes on where it was".to_owned());
        let back = GiveBack { position, changes: vec![], reason, not_before: None, setback: false };
        let end = self.give_back(back).await?;
        info!(spec = %self.claimed.fence.spec, attempt = self.claimed.fence.attempt, "stopped; queued again");
        Ok(end)
    }

    /// The step's command could not be started: the slot goes back, and it is started later.
    async fn not_started(&mut self, reason: String) -> Result<WorkerEnd, WorkerError> {
        warn!(spec = %self.claimed.fence.spec, reason, "a command could not be started");
        let wait = retry::start_backoff_millis(self.claimed.setbacks + 1);
        self.give_back(GiveBack {
            position: self.position.clone().resumed(),
            changes: vec![],
            reason: Some(format!("a command could not be started: {reason}")),
            not_before: Some(clock::now().plus_millis(wait)),
            setback: true,
        })
        .await
    }

    /// The model's service refused: the slot goes back, and the same try is made again later.
    async fn refused(
        &mut self,
        position: Position,
        changes: Vec<Change>,
        outcome: TryOutcome,
    ) -> Result<WorkerEnd, WorkerError> {
        let not_before = retry::service_wait(&outcome, self.claimed.setbacks + 1, clock::now(), rand::random());
        let until = not_before.map(|at| format!("; goes on at {at}")).unwrap_or_default();
        let reason = Some(format!("{}{until}", outcome.describe()));
        warn!(spec = %self.claimed.fence.spec, reason, "refused by the model's service");
        self.give_back(GiveBack { position, changes, reason, not_before, setback: true }).await
    }

    /// The step's command died: the slot goes back, and it is carried out again after a while.
    async fn rest(&mut self, position: Position, changes: Vec<Change>, why: String) -> Result<WorkerEnd, WorkerError> {
        let at = clock::now().plus_millis(retry::death_backoff_millis(position.deaths));
        let reason = Some(format!("{why}; goes on at {at}"));
        warn!(spec = %self.claimed.fence.spec, reason, deaths = position.deaths, "a command died");
        self.give_back(GiveBack { position, changes, reason, not_before: Some(at), setback: false }).await
    }

    async fn finish(&mut self, ending: Ending) -> Result<WorkerEnd, WorkerError> {
        let (fence, spec) = (self.claimed.fence.clone(), self.claimed.fence.spec.clone());
        match &ending {
            Ending::Completed { reason: None, .. } => info!(%spec, "completed"),
            Ending::Completed { reason: Some(reason), .. } => warn!(%spec, reason, "completed, but unmerged"),
            Ending::Failed { reason, .. } => warn!(%spec, reason, "failed"),
            Ending::Canceled => info!(%spec, "canceled"),
        }
        let failed = handle::with_store(&self.store, move |store| store.finish(&fence, &ending, clock::now())).await?;
        failpoint::hit("spec.finished");
        for waited in failed {
            warn!(spec = %waited, "failed: it waits for {spec}");
        }
        Ok(WorkerEnd::Recorded)
    }

    /// Does what the step says.
    async fn perform(&mut self, orders: &mut watch::Receiver<Order>) -> Result<Done, WorkerError> {
        let unresolved = self.claimed.spec.repo.is_some() && self.position.origin.is_none();
        if unresolved && matches!(self.position.step, Step::Prepare { .. }) {
            match self.git(orders, |tree| tree.origin()).await? {
                Some(Ok(origin)) => self.record(Position { origin, ..self.position.clone() }, vec![]).await?,
                Some(Err(broken)) => return self.broken(broken),
                None => return Ok(Done::Detached),
            }
        }
        let position = self.position.clone();
        match self.position.step.clone() {
            Step::Prepare { laying, .. } => {
                let is_new = self.place().await?;
                let Some(laid) = self.git(orders, move |tree| tree.lay(&position, laying)).await? else {
                    return Ok(Done::Detached);
                };
                match laid {
                    Ok(laid) => {
                        failpoint::hit("worktree.laid");
                        self.note(laid.kept, None).await?;
                        Ok(Done::Event(step::Event::Prepared { origin: laid.origin, head: laid.head }))
                    }
                    Err(broken) => {
                        // One that was noted before is where it is, also when its disk is away for now.
                        if is_new && !self.tree.path().exists() {
                            self.note(vec![], Some(Place::Gone)).await?;
                        }
                        self.broken(broken)
                    }
                }
            }
            Step::Act { task, try_number } => self.act(task, try_number, orders).await,
            Step::Capture { task, try_number } => {
                let message = self.message(task, try_number);
                let capture = move |tree: &Tree| tree.capture(&position, &message.0, &message.1);
                let Some(captured) = self.git(orders, capture).await? else { return Ok(Done::Detached) };
                match captured {
                    Ok(captured) => {
                        failpoint::hit("try.captured");
                        self.note(captured.kept, None).await?;
                        Ok(Done::Event(captured.event))
                    }
                    Err(broken) => self.broken(broken),
                }
            }
            Step::Check { task, try_number, index, .. } => {
                let task = self.task(task).clone();
                let minutes = task.timeout_minutes;
                self.check(&task.verify[index], Some((&task.id, try_number)), minutes, orders).await
            }
            Step::FinalCheck { index } | Step::DeliverCheck { index, .. } => {
                let command = self.claimed.spec.verify[index].clone();
                self.check(&command, None, None, orders).await
            }
            Step::Advance { candidate, task, try_number } => {
                let label = self.label(task, try_number);
                let advance = move |tree: &Tree| tree.advance(&position, candidate.as_deref(), &label);
                let Some(advanced) = self.git(orders, advance).await? else { return Ok(Done::Detached) };
                match advanced {
                    Ok(kept) => {
                        failpoint::hit("task.advanced");
                        self.note(kept, None).await?;
                        Ok(Done::Event(step::Event::Advanced))
                    }
                    Err(broken) => self.broken(broken),
                }
            }
            Step::Deliver { .. } => {
                let message = self.merge_message();
                match self.git(orders, move |tree| tree.deliver(&message)).await? {
                    Some(Ok(event)) => Ok(Done::Event(event)),
                    Some(Err(broken)) => self.broken(broken),
                    None => Ok(Done::Detached),
                }
            }
            Step::Land { from, head, .. } => match self.git(orders, move |tree| tree.land(&from, &head)).await? {
                Some(Ok(event)) => Ok(Done::Event(event)),
                Some(Err(broken)) => self.broken(broken),
                None => Ok(Done::Detached),
            },
            Step::Close { ending } => {
                let remove = matches!(ending, Ending::Completed { .. })
                    || self.claimed.config.cleanup_on_failure && self.claimed.spec.repo.is_some();
                if remove {
                    let Some(removed) = self.git(orders, |tree| tree.remove()).await? else {
                        return Ok(Done::Detached);
                    };
                    match removed {
                        Ok(removed) => {
                            failpoint::hit("worktree.removed");
                            self.note(removed.kept, removed.gone.then_some(Place::Gone)).await?;
                        }
                        Err(broken) => {
                            warn!(spec = %self.claimed.fence.spec, reason = broken.reason(), "the worktree stays");
                        }
                    }
                }
                Ok(Done::Event(step::Event::Closed))
            }
        }
    }

    /// Does a step of git on a thread that may block; `None` when the daemon leaves first.
    async fn git<T: Send + 'static>(
        &self,
        orders: &mut watch::Receiver<Order>,
        step: impl FnOnce(&Tree) -> T + Send + 'static,
    ) -> Result<Option<T>, WorkerError> {
        let fault = |error| WorkerError::Io { what: "internal fault in git's step".into(), source: error };
        let (turns, tree) = (Arc::clone(&self.git), self.tree.clone());
        let done = async move {
            let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
            let step = move || {
                let done = step(&tree);
                drop(turn);
                done
            };
            tokio::task::spawn_blocking(step).await.map_err(io::Error::other)
        };
        tokio::select! {
            done = done => done.map(Some).map_err(fault),
            // Git goes on: who comes later waits for the lock that it holds.
            () = command::detached(orders) => Ok(None),
        }
    }

    /// Something permanent ends the spec; anything else gives its slot back for a while.
    fn broken(&self, broken: Broken) -> Result<Done, WorkerError> {
        match broken {
            Broken::ForGood(reason) => Ok(Done::Event(step::Event::Blocked(reason))),
            Broken::ForNow(reason) => Err(WorkerError::NotYet(reason)),
        }
    }

    /// Notes where the tree is, before it is laid: a later daemon, whatever its folder for trees, finds what is there.
    /// Returns whether that is new.
    async fn place(&mut self) -> Result<bool, WorkerError> {
        let path = self.tree.path().to_string_lossy().into_owned();
        if self.claimed.worktree.as_ref() == Some(&path) {
            return Ok(false);
        }
        self.note(vec![], Some(Place::At(path))).await?;
        Ok(true)
    }

    async fn note(&mut self, kept: Vec<String>, worktree: Option<Place>) -> Result<(), WorkerError> {
        if kept.is_empty() && worktree.is_none() {
            return Ok(());
        }
        for reference in &kept {
            info!(spec = %self.claimed.fence.spec, reference, "kept");
        }
        let (fence, place) = (self.claimed.fence.clone(), worktree.clone());
        handle::with_store(&self.store, move |store| store.note(&fence, kept, worktree)).await?;
        match place {
            Some(Place::At(path)) => self.claimed.worktree = Some(path),
            Some(Place::Gone) => self.claimed.worktree = None,
            None => {}
        }
        Ok(())
    }

    fn task(&self, index: usize) -> &Task {
        &self.claimed.spec.tasks[index]
    }

    fn label(&self, task: usize, try_number: u32) -> String {
        format!("{}-try-{try_number}", self.task(task).id)
    }

    /// The commit message of a task, and the label of what is kept with it.
    fn message(&self, index: usize, try_number: u32) -> (String, String) {
        let (task, spec) = (self.task(index), &self.claimed.fence.spec);
        let trailers = format!("Boi-Spec: {spec}\nBoi-Task: {}\nBoi-Try: {try_number}", task.id);
        let message = format!("{}\n\n{}\n\n{trailers}\n", task.title, self.claimed.spec.title);
        (message, self.label(index, try_number))
    }

    fn merge_message(&self) -> String {
        let spec = &self.claimed.fence.spec;
        format!("Merge the base into {}\n\n{}\n\nBoi-Spec: {spec}\n", spec.branch(), self.claimed.spec.title)
    }
}
