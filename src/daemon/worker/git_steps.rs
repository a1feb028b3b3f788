//! The steps of a worker that run git: they change the repository or the worktree, within a time limit.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::worktree::{Blocked, WorkerTree};
use super::{StepEnd, Worker, WorkerError};
use crate::daemon::Order;
use crate::decide::land;
use crate::decide::step::{self, Move};
use crate::domain::cause::Cause;
use crate::domain::position::{Ending, GitStage, Try};
use crate::domain::spec::Deliver;
use crate::queue::ChangesFoundBy;
use crate::system::{blocking, clock, failpoint};

/// The least time that git gets to store the files of a try, even if the try has used up its time; it is
/// never more than the time limit of one try. Git needs minutes to read a large tree from a busy disk.
const LEAST_TIME: Duration = Duration::from_secs(300);
/// How long a worker that got an order waits for the end of a git step. Git and its descendants get SIGKILL
/// earlier.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// How much time a git step at the end of a spec, such as the removal of the worktree, gets after an order to
/// cancel or stop.
const REMOVAL_TIME: Duration = Duration::from_secs(10);

/// The orders that end a git step.
#[derive(Clone, Copy)]
enum Heeds {
    /// Every order.
    All,
    /// Only the order to detach. After an order to cancel or stop, the step gets [`REMOVAL_TIME`].
    Detach,
}

impl Worker {
    pub(super) async fn git_step(
        &mut self,
        stage: GitStage,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<StepEnd, WorkerError> {
        if let Some(end) = self.refused_delivery(&stage, orders).await? {
            return Ok(end);
        }
        let progress = self.position.progress.clone();
        match stage {
            GitStage::Capture(of) => {
                let (message, label) = (self.commit_message(of), self.label(of));
                let capture = move |tree: &WorkerTree| tree.capture(&progress, &message, &label);
                match self.git(orders, self.time_left(of), capture).await? {
                    Ok(Ok(captured)) => {
                        failpoint::hit("try.captured");
                        self.record_kept(captured.kept, None).await?;
                        let (result, message) = (captured.result, self.last_message.as_deref());
                        Ok(self.follow(|plan, progress| step::after_capture(plan, progress, of, result, message)))
                    }
                    Ok(Err(blocked)) => self.blocked(blocked),
                    Err(end) => Ok(end),
                }
            }
            GitStage::Advance { of, candidate } => {
                let (label, to) = (self.label(of), candidate.clone());
                let advance = move |tree: &WorkerTree| {
                    let undone = tree.undone_files(&progress, to.as_deref())?;
                    tree.advance(&progress, to.as_deref(), &label).map(|kept| (kept, undone))
                };
                match self.git(orders, self.time_limit(), advance).await? {
                    Ok(Ok((kept, undone))) => {
                        failpoint::hit("task.advanced");
                        self.record_kept(kept, None).await?;
                        let (repository, undone) = undone;
                        let found_by = ChangesFoundBy::Candidate(self.commands());
                        self.record_changes(repository, undone, Some(of), found_by).await?;
                        Ok(self.follow(|plan, progress| step::after_advance(plan, progress, of, candidate)))
                    }
                    Ok(Err(blocked)) => self.blocked(blocked),
                    Err(end) => Ok(end),
                }
            }
            GitStage::Gather => self.gather(orders).await,
            // An earlier version was merging the base into the branch.
            GitStage::Deliver { .. } => Ok(self.follow(|_, progress| step::wait_to_land(progress))),
            GitStage::Land(_) if progress.landing.is_none() => {
                Ok(self.follow(|_, progress| step::wait_to_land(progress)))
            }
            GitStage::Land(merge) => {
                let (from, head) = (merge.from.clone(), merge.head.clone());
                match self.git(orders, self.time_limit(), move |tree| tree.land(&from, &head)).await? {
                    Ok(Ok(landed)) => Ok(self.follow(|plan, progress| land::after_land(plan, progress, landed))),
                    Ok(Err(blocked)) => self.blocked(blocked),
                    Err(end) => Ok(end),
                }
            }
        }
    }

    /// Removes the worktree if the spec completed or `cleanup_on_failure` is set, and ends the spec.
    pub(super) async fn close(
        &mut self,
        ending: Ending,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<StepEnd, WorkerError> {
        if self.claimed.fence.spec.is_lander() {
            return self.close_lander(orders).await;
        }
        let remove = matches!(ending, Ending::Completed(_))
            || self.claimed.config.cleanup_on_failure && self.claimed.spec.repo.is_some();
        if !matches!(ending, Ending::Completed(_)) && self.claimed.spec.deliver == Deliver::Merge {
            match self.git_at_close(orders, WorkerTree::settle_delivery).await? {
                Ok(Ok(())) => {}
                Ok(Err(blocked)) => {
                    warn!(spec = %self.claimed.fence.spec, reason = blocked.reason(), "the worker cannot complete or undo the interrupted merge of the spec; `boi doctor --fix` undoes the merge later");
                }
                Err(end) => return Ok(end),
            }
        }
        if !matches!(ending, Ending::Completed(_)) {
            let progress = self.position.progress.clone();
            match self.git_at_close(orders, move |tree| tree.withhold(&progress)).await? {
                Ok(Ok(kept)) => self.record_kept(kept, None).await?,
                Ok(Err(blocked)) => {
                    warn!(spec = %self.claimed.fence.spec, reason = blocked.reason(), "the worker cannot check the branch of the spec for files that boi copied into the worktree; do not push the branch before you have checked it");
                }
                Err(end) => return Ok(end),
            }
        }
        if remove {
            match self.git_at_close(orders, |tree| tree.remove()).await? {
                Ok(Ok(removed)) => {
                    failpoint::hit("worktree.removed");
                    self.removed = Some(removed);
                }
                Ok(Err(blocked)) => {
                    warn!(spec = %self.claimed.fence.spec, reason = blocked.reason(), "cannot remove the worktree of the spec; remove it later with `boi clean`");
                }
                Err(end) => return Ok(end),
            }
        }
        // The removal of the worktree has deleted the snapshot, if it was carried out and the repository could be reached.
        if let Some(end) = self.delete_snapshot(orders).await? {
            return Ok(end);
        }
        Ok(StepEnd::Move(Box::new(Move::End(ending))))
    }

    /// Runs a git step on a thread that may block, for at most `limit`. If an order ended git, returns the
    /// end of the worker's step instead of the result of the git step.
    pub(super) async fn git<T: Send + 'static>(
        &self,
        orders: &mut watch::Receiver<Order>,
        limit: Duration,
        step: impl FnOnce(&WorkerTree) -> T + Send + 'static,
    ) -> Result<Result<T, StepEnd>, WorkerError> {
        self.run_git(orders, limit, Heeds::All, step).await
    }

    /// Runs a git step that is necessary even after an order to cancel or stop, such as a step that closes
    /// the spec. Only an order to detach ends it.
    pub(super) async fn git_at_close<T: Send + 'static>(
        &self,
        orders: &mut watch::Receiver<Order>,
        step: impl FnOnce(&WorkerTree) -> T + Send + 'static,
    ) -> Result<Result<T, StepEnd>, WorkerError> {
        self.run_git(orders, self.time_limit(), Heeds::Detach, step).await
    }

    async fn run_git<T: Send + 'static>(
        &self,
        orders: &mut watch::Receiver<Order>,
        limit: Duration,
        heeds: Heeds,
        step: impl FnOnce(&WorkerTree) -> T + Send + 'static,
    ) -> Result<Result<T, StepEnd>, WorkerError> {
        let fault =
            |error| WorkerError::Io { what: "internal fault in a git step (please report it)".into(), source: error };
        // The thread of an earlier step may still be blocked, and must keep its own time limit.
        let watch = Arc::new(self.tree.watch().next_step());
        let (turns, tree) = (Arc::clone(&self.git), self.tree.under(&watch));
        self.shared.watch_git(&self.claimed.fence.spec, Some(Arc::clone(&watch)));
        if *orders.borrow() != Order::Work {
            watch.shorten(REMOVAL_TIME);
        }
        let begun = Arc::clone(&watch);
        let done = async move {
            let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
            let step = move || {
                begun.begin(limit);
                let done = step(&tree);
                drop(turn);
                done
            };
            blocking::run(step).await.map_err(io::Error::other)
        };
        tokio::pin!(done);
        let obeys = move |order: &Order| match heeds {
            Heeds::All => *order != Order::Work,
            Heeds::Detach => *order == Order::Detach,
        };
        while !obeys(&orders.borrow_and_update()) {
            tokio::select! {
                // Cancel-safe: the step stays in `done`.
                done = &mut done => return done.map(Ok).map_err(fault),
                // Cancel-safe: the order stays in the channel.
                changed = orders.changed() => match changed {
                    Ok(()) if *orders.borrow() != Order::Work => watch.shorten(REMOVAL_TIME),
                    Ok(()) => {}
                    // The daemon's loop has ended and sends no more orders. This counts as a detach.
                    Err(_) => break,
                },
            }
        }
        watch.end();
        let ended = tokio::select! {
            done = &mut done => Some(done.map_err(fault)?),
            // A thread that is blocked in the kernel cannot be ended, so this wait has a bound.
            () = tokio::time::sleep(END_TIMEOUT) => None,
        };
        match ended {
            Some(done) if !watch.was_interrupted() => Ok(Ok(done)),
            _ if matches!(*orders.borrow(), Order::Cancel | Order::Stop) => Ok(Err(StepEnd::Interrupted)),
            _ => Ok(Err(StepEnd::Detached)),
        }
    }

    /// Ends the git processes of this spec that an earlier daemon left running when it was killed.
    pub(super) async fn end_leftover_git(&self) -> Result<(), WorkerError> {
        let watch = Arc::clone(self.tree.watch());
        let ended = blocking::run(move || watch.end_leftovers()).await;
        ended.map_err(|error| WorkerError::Io { what: "cannot end git".into(), source: error.into() })
    }

    /// Returns the time limit of a git step that does not belong to a try.
    pub(super) fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.claimed.config.task_timeout_minutes) * 60)
    }

    /// Returns how much of the time limit of a try is left after its command has ended; at least
    /// [`LEAST_TIME`], but not more than the limit.
    fn time_left(&self, of: Try) -> Duration {
        let minutes = self.task(of).timeout_minutes.unwrap_or(self.claimed.config.task_timeout_minutes);
        let limit = Duration::from_secs(u64::from(minutes) * 60);
        let took = self.try_began.map_or(0, |began| clock::now().millis_since(began));
        limit.saturating_sub(Duration::from_millis(u64::try_from(took).unwrap_or(0))).max(LEAST_TIME.min(limit))
    }

    /// Handles a step that git could not carry out. After a permanent failure of git, `decide::step` decides
    /// what follows. After a transient one the worker fails, so that the loop gives the spec back to the
    /// queue for a while.
    pub(super) fn blocked(&self, blocked: Blocked) -> Result<StepEnd, WorkerError> {
        match blocked {
            Blocked::Permanent(detail) => {
                let cause = Cause::Repository { detail };
                Ok(StepEnd::Move(Box::new(step::after_obstacle(&self.claimed.spec, self.position.clone(), cause))))
            }
            Blocked::Transient(reason) => Err(WorkerError::Transient(reason)),
        }
    }
}
