//! The steps of a lander that change the repository: it builds batches of branches, and removes its own worktree
//! and branch at its end. `decide::land` decides what follows each step.

use tokio::sync::watch;
use tracing::{info, warn};

use super::worktree::{Blocked, WorkerTree};
use super::{StepEnd, Worker, WorkerError};
use crate::daemon::Order;
use crate::decide::land;
use crate::decide::step::Move;
use crate::delivery::{self, Candidate, DeliveryError, Merged};
use crate::domain::cause::Unmerged;
use crate::domain::delivery::MergeRefusal;
use crate::domain::landing::{Batch, Built, Landing, LandingChange, NotLanded, Waiting, short_branch_name};
use crate::domain::outcome::MergedBy;
use crate::domain::position::{Delivered, Ending, RepositoryIdentity};
use crate::git::RemoveError;
use crate::queue::WorktreePlace;
use crate::system::{blocking, failpoint};

/// The result of the git step that builds a batch.
enum Gathered {
    Built(Built),
    /// No spec can be landed on this base.
    Refused(MergeRefusal),
}

impl Worker {
    /// Carries out `Gather`: selects the specs of the next batch and builds it.
    pub(super) async fn gather(&mut self, orders: &mut watch::Receiver<Order>) -> Result<StepEnd, WorkerError> {
        let fence = self.claimed.fence.clone();
        let waiting = self.queue.call(move |queue| queue.waiting_to_land(&fence)).await?;
        let landing = self.landing();
        let selected = land::select(&landing, waiting);
        let specs: Vec<_> = selected.iter().map(|one| one.spec.clone()).collect();
        if selected.is_empty() {
            return Ok(self.follow(|plan, progress| land::after_gather(plan, progress, &[], Built::default())));
        }
        if self.position.progress.repository.is_none() {
            let repository = match self.git(orders, self.time_limit(), WorkerTree::identify).await? {
                Ok(Ok(repository)) => repository,
                Ok(Err(blocked)) => return self.blocked(blocked),
                Err(end) => return Ok(end),
            };
            self.tree.set_repository(repository.clone());
            self.position.progress.repository = repository;
        }
        if let Some(path) = self.new_place() {
            self.record_kept(vec![], Some(WorktreePlace::At(path))).await?;
        }
        let build = move |tree: &WorkerTree| tree.gather(&landing, selected);
        let built = match self.git(orders, self.time_limit(), build).await? {
            Ok(Ok(Gathered::Built(built))) => built,
            Ok(Ok(Gathered::Refused(refusal))) => {
                let why = Unmerged::Refused { refusal };
                return Ok(self.follow(|_, progress| land::after_obstacle(progress, why)));
            }
            Ok(Err(blocked)) => return self.blocked(blocked),
            Err(end) => return Ok(end),
        };
        failpoint::hit("batch.built");
        Ok(self.follow(|plan, progress| land::after_gather(plan, progress, &specs, built)))
    }

    /// Removes the worktree and the branch of the lander, and ends it.
    pub(super) async fn close_lander(&mut self, orders: &mut watch::Receiver<Order>) -> Result<StepEnd, WorkerError> {
        match self.git_at_close(orders, WorkerTree::remove_lander).await? {
            Ok(Ok(())) => failpoint::hit("lander.removed"),
            Ok(Err(blocked)) => {
                warn!(lander = %self.claimed.fence.spec, reason = blocked.reason(), "cannot remove the worktree of a lander; remove it later with `boi clean`");
            }
            Err(end) => return Ok(end),
        }
        if let Some(end) = self.delete_snapshot(orders).await? {
            return Ok(end);
        }
        Ok(StepEnd::Move(Box::new(Move::End(Ending::Completed(Delivered::Merged)))))
    }

    /// Deletes the folder of the lander's commands. Nothing refers to it any more.
    pub(super) async fn delete_lander_files(&self) {
        let folder = self.home.spec_attempts(&self.claimed.fence.spec);
        let removed = blocking::run(move || std::fs::remove_dir_all(&folder)).await;
        if !matches!(removed, Ok(Ok(()))) {
            warn!(lander = %self.claimed.fence.spec, "cannot delete the folder of a lander; delete it later with `boi clean`");
        }
    }

    fn landing(&self) -> Landing {
        self.position.progress.landing.as_deref().cloned().unwrap_or_default()
    }

    /// Logs what a lander did to a spec.
    pub(super) fn log_landing(&self, change: &LandingChange) {
        let base = self.landing().base;
        let lander = &self.claimed.fence.spec;
        match change {
            LandingChange::Joined(_) => {}
            LandingChange::Landed(spec, by) => {
                info!(%spec, %base, %lander, by = by.as_str(), "the base has the spec's branch")
            }
            LandingChange::SentBack(spec, sent) => {
                let kind = match sent.why {
                    NotLanded::Conflict { .. } => "conflict",
                    NotLanded::Verify { .. } => "verify",
                };
                info!(%spec, %base, %lander, kind, reason = %sent, "the spec cannot be landed, so it goes back to its agent");
            }
            LandingChange::Unmerged(spec, why) => {
                warn!(%spec, %base, %lander, reason = %why, "the spec cannot be landed and stays unmerged");
            }
            LandingChange::AllUnmerged(why) => {
                warn!(%base, %lander, reason = %why, "nothing can be landed on this base: its waiting specs stay unmerged");
            }
        }
    }
}

impl WorkerTree {
    fn identify(&self) -> Result<Option<RepositoryIdentity>, Blocked> {
        let Some((worktree, _)) = &self.git else { return Ok(None) };
        worktree.identify_repository().map_err(|error| self.blocked(error))
    }

    /// Builds a batch of `selected`, and makes the lander's worktree ready for its verify commands.
    fn gather(&self, landing: &Landing, selected: Vec<Waiting>) -> Result<Gathered, Blocked> {
        let Some((worktree, _)) = &self.git else { return Ok(Gathered::Built(Built::default())) };
        let at = self.lock(worktree)?;
        let base = &landing.base;
        let is_landed = |batch: &Batch| delivery::base_contains(&at, base, &batch.tip);
        let landed = match &landing.batch {
            Some(batch) if is_landed(batch).map_err(|error| self.blocked(error))? => &batch.members[..],
            _ => &[],
        };
        let base_name = short_branch_name(base);
        let message = |one: &Waiting| {
            let branch = one.spec.branch();
            format!("Merge {branch} into {base_name}\n\n{}\n\nBoi-Spec: {}\n", one.title, one.spec)
        };
        let candidates: Vec<_> =
            selected.iter().map(|one| Candidate { spec: &one.spec, message: message(one) }).collect();
        let batch = match delivery::build_batch(&at, base, &candidates) {
            Ok(batch) => batch,
            Err(DeliveryError::Refused(refusal)) => return Ok(Gathered::Refused(refusal)),
            Err(DeliveryError::Git(error)) => return Err(self.blocked(error)),
        };
        let mut built = Built { from: batch.from, tip: batch.tip, tree: batch.tree, ..Built::default() };
        for (one, merged) in selected.into_iter().zip(batch.merged) {
            match merged {
                Merged::Joined(head) => built.members.push((one, head)),
                Merged::Contained => {
                    let is_ours = landed.iter().any(|member| member.spec == one.spec);
                    built.contained.push((one.spec, if is_ours { MergedBy::Boi } else { MergedBy::User }));
                }
                Merged::Conflicts(files) => built.conflicts.push((one, files)),
                Merged::Postponed => {}
                Merged::NoBranch => {
                    let refusal = MergeRefusal::BranchMissing { branch: one.spec.branch() };
                    built.refused.push((one.spec, Unmerged::Refused { refusal }));
                }
            }
        }
        if !built.members.is_empty() && !built.is_verified() {
            delivery::lay_batch(&at, &built.tip).map_err(|error| self.blocked(error))?;
        }
        Ok(Gathered::Built(built))
    }

    fn remove_lander(&self) -> Result<(), Blocked> {
        let Some((worktree, _)) = &self.git else { return Ok(()) };
        let at = self.lock(worktree)?;
        delivery::remove_lander(&at).map_err(|error| match error {
            RemoveError::Refused(refusal) => Blocked::Permanent(refusal.to_string()),
            RemoveError::Git(error) => self.blocked(error),
        })
    }
}
