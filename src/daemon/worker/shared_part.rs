//! Watches the part of the repository that a spec shares with its user and with other specs: takes a snapshot
//! of it before each command, compares the repository with the snapshot after the command, and records the
//! changes. Refuses a delivery while a change that blocks deliveries is not settled: the user has neither put
//! it back nor accepted it.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tracing::{info, warn};

use super::worktree::{Blocked, WorkerTree};
use super::{StepEnd, Worker, WorkerError};
use crate::daemon::Order;
use crate::decide::land;
use crate::domain::cause::Unmerged;
use crate::domain::delivery::MergeRefusal;
use crate::domain::position::{GitStage, Progress, RunningCommand, Try};
use crate::domain::repository_change::{ChangeKind, RepositoryChange};
use crate::domain::spec::Base;
use crate::git::{self, GitError, LockedWorktree, SharedChanges, Worktree};
use crate::queue::{BlockingChange, ChangesFoundBy};

/// The maximum number of changes that the cause of an unmerged spec names.
const NAMED: usize = 8;

/// The result of the check whether a delivery may change the repository.
pub(super) struct Unsettled {
    /// Why the delivery is refused; `None`: it may continue.
    pub(super) refusal: Option<Unmerged>,
    /// The numbers of recorded changes that the user has put back.
    pub(super) settled: Vec<i64>,
}

impl Worker {
    /// Takes the snapshot before `command` starts. Returns the end of the step if the step cannot continue.
    pub(super) async fn take_snapshot(
        &mut self,
        command: &RunningCommand,
        of: Option<Try>,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Option<StepEnd>, WorkerError> {
        let marker = command.marker.clone();
        // The command may be running already, so only the code that waits for the command may handle an order
        // to cancel or stop.
        match self.git_at_close(orders, move |tree| tree.take_snapshot(&marker)).await? {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(reason))) => {
                warn!(spec = %self.claimed.fence.spec, reason, "boi cannot take a snapshot of the repository, so it will not notice what the next command changes there");
                let change = RepositoryChange::new(ChangeKind::NotCompared, reason);
                self.record_changes(String::new(), vec![change], of, ChangesFoundBy::Command(self.commands())).await?;
                Ok(None)
            }
            Ok(Err(blocked)) => self.blocked(blocked).map(Some),
            // The command may be running already.
            Err(StepEnd::Detached) => Ok(Some(self.leave_running())),
            Err(end) => Ok(Some(end)),
        }
    }

    /// Compares the repository with the snapshot that was taken before `command`, which has ended, and
    /// records the changes. Returns the end of the step if the step cannot continue.
    pub(super) async fn compare_with_snapshot(
        &mut self,
        command: &RunningCommand,
        of: Option<Try>,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Option<StepEnd>, WorkerError> {
        let label = of.map_or_else(|| "verify".to_owned(), |of| self.label(of));
        let marker = command.marker.clone();
        let compare = move |tree: &WorkerTree| tree.compare_with_snapshot(&marker, &label);
        let compared = match self.git_at_close(orders, compare).await? {
            Ok(Ok(compared)) => compared,
            Ok(Err(blocked)) => return self.blocked(blocked).map(Some),
            Err(end) => return Ok(Some(end)),
        };
        let Some(SharedChanges { repository, changes }) = compared else { return Ok(None) };
        self.record_changes(repository, changes, of, ChangesFoundBy::Command(self.commands())).await?;
        let marker = command.marker.clone();
        match self.git_at_close(orders, move |tree| tree.confirm_comparison(&marker)).await? {
            Ok(Ok(())) => Ok(None),
            Ok(Err(blocked)) => self.blocked(blocked).map(Some),
            Err(end) => Ok(Some(end)),
        }
    }

    /// Records changes of the repository with the id `repository` that were found after a command of the try
    /// `of`.
    pub(super) async fn record_changes(
        &mut self,
        repository: String,
        mut changes: Vec<RepositoryChange>,
        of: Option<Try>,
        found_by: ChangesFoundBy,
    ) -> Result<(), WorkerError> {
        if changes.is_empty() {
            return Ok(());
        }
        for change in &mut changes {
            change.task = of.map(|of| self.task(of).id.clone());
            change.number = of.map(|of| of.number);
            info!(spec = %self.claimed.fence.spec, change = %change, kept = change.kept, "the repository changed while a command ran");
        }
        let fence = self.claimed.fence.clone();
        self.queue.call(move |queue| queue.record_changes(&fence, found_by, &repository, changes)).await?;
        self.shared.changed();
        Ok(())
    }

    /// Records what the new worktree lacks, because the user's clone does not have it.
    pub(super) async fn record_missing(&mut self, missing: Vec<RepositoryChange>) -> Result<(), WorkerError> {
        if missing.is_empty() {
            return Ok(());
        }
        for part in &missing {
            warn!(spec = %self.claimed.fence.spec, missing = %part, "the worktree lacks a part that the user's clone does not have");
        }
        let (fence, found_by) = (self.claimed.fence.clone(), ChangesFoundBy::Checkout(self.commands()));
        self.queue.call(move |queue| queue.record_changes(&fence, found_by, "", missing)).await?;
        self.shared.changed();
        Ok(())
    }

    /// Returns the end of a delivery step if the delivery is refused; `None` if the step is of another kind
    /// or may continue.
    pub(super) async fn refused_delivery(
        &mut self,
        stage: &GitStage,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Option<StepEnd>, WorkerError> {
        let (GitStage::Gather | GitStage::Land(_)) = stage else { return Ok(None) };
        if self.position.progress.landing.is_none() {
            return Ok(None);
        }
        let blocking = self.queue.call(|queue| queue.blocking_changes()).await?;
        let look = move |tree: &WorkerTree| tree.unsettled(blocking);
        let Unsettled { refusal, settled } = match self.git(orders, self.time_limit(), look).await? {
            Ok(Ok(unsettled)) => unsettled,
            Ok(Err(blocked)) => return self.blocked(blocked).map(Some),
            Err(end) => return Ok(Some(end)),
        };
        if !settled.is_empty() {
            self.queue.call(move |queue| queue.settle_changes(settled)).await?;
        }
        let Some(why) = refusal else { return Ok(None) };
        Ok(Some(self.follow(|_, progress| land::after_obstacle(progress, why))))
    }

    /// Deletes the snapshot of a spec that ends. Returns the end of the step if the step cannot continue.
    pub(super) async fn delete_snapshot(
        &self,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<Option<StepEnd>, WorkerError> {
        match self.git_at_close(orders, |tree| tree.delete_snapshot()).await? {
            Ok(Ok(())) => Ok(None),
            Ok(Err(blocked)) => {
                warn!(spec = %self.claimed.fence.spec, reason = blocked.reason(), "boi cannot delete the snapshot of the repository; `boi clean` deletes it later");
                Ok(None)
            }
            Err(end) => Ok(Some(end)),
        }
    }

    /// The number of the command that ran last.
    pub(super) fn commands(&self) -> u32 {
        self.position.progress.commands
    }
}

impl WorkerTree {
    /// Locks the worktree for an operation on the repository that does not need the worktree's files.
    fn lock_for_repository(&self, worktree: &Worktree) -> Result<LockedWorktree, Blocked> {
        if self.path().is_symlink() {
            // A command replaced the worktree by a link; the next step reports this.
            return worktree.lock_for_repository().map_err(|error| self.blocked(error));
        }
        self.lock(worktree)
    }

    /// Takes the snapshot before the command with this marker. Returns the reason if git cannot read the
    /// repository.
    fn take_snapshot(&self, marker: &str) -> Result<Option<String>, Blocked> {
        let Some((worktree, _)) = &self.git else { return Ok(None) };
        let at = self.lock_for_repository(worktree)?;
        match git::take_snapshot(&at, marker) {
            Ok(()) => Ok(None),
            // The repository may have been unreadable before the spec started, and the command does not need
            // a snapshot.
            Err(error @ GitError::Failed { .. }) => Ok(Some(error.to_string())),
            Err(error) => Err(self.blocked(error)),
        }
    }

    fn compare_with_snapshot(&self, marker: &str, label: &str) -> Result<Option<SharedChanges>, Blocked> {
        let Some((worktree, _)) = &self.git else { return Ok(None) };
        let at = self.lock_for_repository(worktree)?;
        git::compare_with_snapshot(&at, marker, label).map_err(|error| self.blocked(error))
    }

    fn confirm_comparison(&self, marker: &str) -> Result<(), Blocked> {
        let Some((worktree, _)) = &self.git else { return Ok(()) };
        let at = self.lock_for_repository(worktree)?;
        git::confirm_comparison(&at, marker).map_err(|error| self.blocked(error))
    }

    fn delete_snapshot(&self) -> Result<(), Blocked> {
        let Some((worktree, _)) = &self.git else { return Ok(()) };
        let at = self.lock_for_repository(worktree)?;
        git::delete_snapshot(&at).map_err(|error| self.blocked(error))
    }

    /// Checks whether a delivery must be refused: because of a change in `blocking`, or because git treats
    /// the repository as bare.
    fn unsettled(&self, blocking: Vec<BlockingChange>) -> Result<Unsettled, Blocked> {
        let Some((worktree, repo)) = &self.git else { return Ok(Unsettled { refusal: None, settled: vec![] }) };
        let at = self.lock_for_repository(worktree)?;
        let repository = git::repository_id(&at).map_err(|error| self.blocked(error))?;
        let still_differs = |change: &RepositoryChange| git::still_differs(change, &worktree.watch);
        let (changes, settled) = separate(blocking, &repository, still_differs);
        let refusal = if !changes.is_empty() {
            Some(Unmerged::RepositoryChanged { changes })
        } else if git::is_called_bare(&worktree.repo, &worktree.watch) {
            let (checkout, message) = (
                worktree.repo.display().to_string(),
                "core.bare is true, so git treats the \
                repository as one without a checkout; run `git config core.bare false` there"
                    .to_owned(),
            );
            let base = match &repo.base {
                Base::Revision(name) => name.clone(),
                Base::Spec(id) => id.branch(),
            };
            Some(Unmerged::Refused { refusal: MergeRefusal::CheckoutUnreadable { base, checkout, message } })
        } else {
            None
        };
        Ok(Unsettled { refusal, settled })
    }

    /// Returns the files of earlier tasks that `candidate` deletes or reverts, and the path of the
    /// repository.
    pub(super) fn undone_files(
        &self,
        progress: &Progress,
        candidate: Option<&str>,
    ) -> Result<(String, Vec<RepositoryChange>), Blocked> {
        let (Some((worktree, _)), Some(candidate)) = (&self.git, candidate) else { return Ok(Default::default()) };
        let (Some(origin), Some(base)) = (&progress.origin, &progress.head) else { return Ok(Default::default()) };
        if origin == base {
            return Ok(Default::default());
        }
        let at = self.lock(worktree)?;
        let undone = git::undone_files(&at, origin, base, candidate).map_err(|error| self.blocked(error))?;
        Ok((worktree.repo.display().to_string(), undone))
    }
}

/// Separates the changes in `blocking` of the repository `repository` into those that still differ and the
/// numbers of those that the user has put back. If one value changed several times, it is compared with its
/// state before the oldest change, which the user knew.
pub(super) fn separate(
    blocking: Vec<BlockingChange>,
    repository: &str,
    still_differs: impl Fn(&RepositoryChange) -> bool,
) -> (Vec<RepositoryChange>, Vec<i64>) {
    let mut by_value: BTreeMap<(Option<String>, String), Vec<BlockingChange>> = BTreeMap::new();
    for found in blocking.into_iter().filter(|found| found.repository == repository) {
        by_value.entry((found.change.path.clone(), found.change.name.clone())).or_default().push(found);
    }
    let (mut open, mut settled) = (Vec::new(), Vec::new());
    for (_, mut changes) in by_value {
        changes.sort_by_key(|found| found.number);
        match changes.first() {
            Some(first) if still_differs(&first.change) => open.push(first.change.clone()),
            _ => settled.extend(changes.iter().map(|found| found.number)),
        }
    }
    open.truncate(NAMED);
    (open, settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(number: i64, repository: &str, name: &str, old: &str) -> BlockingChange {
        let change = RepositoryChange::new(ChangeKind::ConfigChanged, name).states(Some(old.to_owned()), None);
        BlockingChange { number, spec: "SD979".parse().unwrap(), repository: repository.into(), change }
    }

    #[test]
    fn a_value_is_settled_when_it_is_what_it_was_before_the_first_change() {
        let blocking = vec![
            found(2, "/r", "a", "later"),
            found(1, "/r", "a", "first"),
            found(3, "/r", "b", "x"),
            found(4, "/s", "c", "y"),
        ];
        let now_first = |change: &RepositoryChange| change.old.as_deref() != Some("first");
        let (open, settled) = separate(blocking, "/r", now_first);
        assert_eq!(open.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(settled, [1, 2]);
    }
}
