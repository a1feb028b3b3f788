//! The first step of a worker: it resolves the base, reads the repository's own configuration, and makes the working tree
//! ready.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::worktree::{Blocked, Resolved, WorkerTree};
use super::{StepEnd, Worker, WorkerError};
use crate::daemon::{Order, WorkerEnd, warm_trees};
use crate::decide::step::{self, Prepared, RecordChange};
use crate::domain::cause::Cause;
use crate::domain::life::Block;
use crate::domain::position::{Checkout, Position, Progress, RepositoryIdentity, Stage};
use crate::domain::repository_block::{BlockedBy, ConfigPlace, RepositoryBlock};
use crate::domain::repository_config::{FILE, RepositoryConfig};
use crate::git::RepositoryFile;
use crate::queue::repositories::{self, EndBlocks};
use crate::queue::{GiveBack, Queue, WorktreePlace};
use crate::spec::repository_config;
use crate::system::{blocking, failpoint};

impl Worker {
    /// Prepares the working tree.
    pub(super) async fn prepare(
        &mut self,
        checkout: Checkout,
        then: Option<Stage>,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<StepEnd, WorkerError> {
        let Progress { origin, repository, .. } = &self.position.progress;
        let has_repository = self.claimed.spec.repo.is_some();
        let is_unresolved = has_repository && (origin.is_none() || repository.is_none());
        let is_new = self.new_place().is_some();
        if is_unresolved && let Some(end) = self.resolve(orders).await? {
            return Ok(end);
        }
        if let Some(end) = self.enter_repository().await? {
            return Ok(end);
        }
        let identity = self.position.progress.repository.clone();
        self.choose_path(identity.as_ref(), None).await?;
        // An empty scratch directory is recorded together with the command that works in it.
        if has_repository && let Some(path) = self.new_place() {
            self.record_kept(vec![], Some(WorktreePlace::At(path))).await?;
        }
        let progress = self.position.progress.clone();
        let create = move |tree: &WorkerTree| tree.create(&progress, checkout);
        match self.git(orders, self.time_limit(), create).await? {
            Ok(Ok(created)) => {
                failpoint::hit("worktree.laid");
                self.record_kept(created.kept, None).await?;
                self.record_missing(created.missing).await?;
                let prepared = Prepared { origin: created.origin, head: created.head, is_new: created.is_new };
                Ok(self.follow(|plan, progress| step::after_prepare(plan, progress, then, prepared)))
            }
            Ok(Err(blocked)) => {
                // A path that was recorded earlier stays recorded: the worktree may exist on a disk
                // that is not mounted now.
                if is_new && !self.has_folder().await {
                    self.record_kept(vec![], Some(WorktreePlace::Removed)).await?;
                }
                self.blocked(blocked)
            }
            Err(end) => Ok(end),
        }
    }

    /// Resolves the base and reads the repository's configuration there, and records both. Returns the end of the step if the
    /// spec cannot start now.
    async fn resolve(&mut self, orders: &mut watch::Receiver<Order>) -> Result<Option<StepEnd>, WorkerError> {
        let progress = self.position.progress.clone();
        let is_first = progress.origin.is_none() && !self.claimed.fence.spec.is_lander();
        let shared = Arc::clone(&self.shared);
        let resolve = move |tree: &WorkerTree| {
            let resolved = tree.resolve(&progress)?;
            let file = match (&resolved.origin, &resolved.repository) {
                (Some(origin), Some(repository)) if is_first => {
                    let of = &repository.common_dir;
                    let file = match shared.repositories.known_file(of, origin) {
                        Some(known) => known,
                        None => {
                            let read = Arc::new(tree.repository_file(origin)?);
                            shared.repositories.remember_file(of, origin, &read);
                            read
                        }
                    };
                    Some(file)
                }
                _ => None,
            };
            Ok::<(Resolved, Option<Arc<RepositoryFile>>), Blocked>((resolved, file))
        };
        let (resolved, file) = match self.git(orders, self.time_limit(), resolve).await? {
            Ok(Ok(resolved)) => resolved,
            Ok(Err(blocked)) => return self.blocked(blocked).map(Some),
            Err(end) => return Ok(Some(end)),
        };
        let Resolved { origin, repository } = resolved;
        let mut config = None;
        if let (Some(file), Some(origin), Some(identity)) = (file, &origin, &repository) {
            let block = match self.read_config(&file) {
                Ok(found) => {
                    config = found;
                    match &config {
                        Some(config) => self.untrusted(config, identity, origin).await?,
                        None => None,
                    }
                }
                Err(detail) => Some(self.block(identity, origin, BlockedBy::Invalid { detail })),
            };
            if let Some(block) = block {
                return Ok(Some(StepEnd::BlockedByRepository(Box::new(block))));
            }
        }
        self.choose_path(repository.as_ref(), config.as_ref().map(|config| config.keep.clone())).await?;
        self.tree.set_repository(repository.clone());
        let progress = Progress { origin, repository, ..self.position.progress.clone() };
        let change = |config: &RepositoryConfig| RecordChange::RepositoryConfig { config: Box::new(config.clone()) };
        let changes = config.iter().map(change).collect();
        self.record(Position { step: self.position.step.clone(), progress }, changes).await?;
        if let Some(config) = config {
            config.complete(&mut self.claimed.spec);
            self.tree.set_files(&self.claimed.spec);
            for (agent, other) in &self.claimed.config.instead {
                self.claimed.spec.replace_agent(agent, other);
            }
            info!(spec = %self.claimed.fence.spec, "the repository's {FILE} completes the spec");
        }
        Ok(None)
    }

    /// Parses the repository's configuration; `None`: there is none. The error says why it cannot be used.
    fn read_config(&self, file: &RepositoryFile) -> Result<Option<RepositoryConfig>, String> {
        let config = match file {
            RepositoryFile::Missing => return Ok(None),
            RepositoryFile::Unusable(why) => return Err(why.clone()),
            RepositoryFile::Content(bytes) => {
                repository_config::parse(FILE, bytes).map_err(|problems| problems.lines().join("; "))?
            }
        };
        let agents = &self.claimed.config.agents;
        match config.agents_of(&self.claimed.spec).into_iter().find(|agent| !agents.contains_key(agent)) {
            Some(agent) => Err(format!("config.toml defines no agent `{agent}`")),
            None => Ok(Some(config)),
        }
    }

    /// Counts the spec in its repository, and checks the trust in the configuration that completed it. Returns the end of the
    /// step if the spec cannot start now.
    async fn enter_repository(&mut self) -> Result<Option<StepEnd>, WorkerError> {
        let Progress { origin: Some(origin), repository: Some(identity), .. } = self.position.progress.clone() else {
            return Ok(None);
        };
        let config = &self.claimed.spec.of_repository;
        if let Some(block) = self.untrusted(config, &identity, &origin).await? {
            return Ok(Some(StepEnd::BlockedByRepository(Box::new(block))));
        }
        let most = self.claimed.spec.of_repository.max_workers;
        if self.claimed.fence.spec.is_lander()
            || self.shared.repositories.enter(&self.claimed.fence.spec, &identity.common_dir, most)
        {
            return Ok(None);
        }
        let why = BlockedBy::Full { max_workers: most.unwrap_or_default() };
        Ok(Some(StepEnd::BlockedByRepository(Box::new(self.block(&identity, &origin, why)))))
    }

    /// Chooses one of the fixed paths for the worktree if the repository keeps folders for the next spec. `keep`: the folders;
    /// `None`: those of the configuration that completed the spec. The path is recorded with the worker's next record.
    async fn choose_path(
        &mut self,
        identity: Option<&RepositoryIdentity>,
        keep: Option<Vec<String>>,
    ) -> Result<(), WorkerError> {
        let keep = keep.unwrap_or_else(|| self.claimed.spec.of_repository.keep.clone());
        let Some(identity) = identity.cloned() else { return Ok(()) };
        if warm_trees::is_pooled(self.tree.path()) || keep.is_empty() || self.claimed.worktree.is_some() {
            return Ok(());
        }
        let (shared, worktrees) = (Arc::clone(&self.shared), self.home.worktrees().to_owned());
        let reserve = move |queue: &dyn Queue| {
            shared
                .warm_trees
                .reserve(&worktrees, &identity.common_dir, |path| queue.has_worktree(&path.to_string_lossy()))
        };
        let path = self.queue.call(reserve).await?;
        self.tree.move_to(path, keep);
        Ok(())
    }

    /// Returns the block of the spec if the configuration has commands that the user has not trusted.
    async fn untrusted(
        &self,
        config: &RepositoryConfig,
        identity: &RepositoryIdentity,
        commit: &str,
    ) -> Result<Option<RepositoryBlock>, WorkerError> {
        let commands = config.commands();
        if commands.is_empty() {
            return Ok(None);
        }
        let (hash, of) = (repositories::hash(&commands), identity.common_dir.clone());
        let trusted = self.queue.call(move |queue| queue.trusted(Some(&of))).await?;
        if trusted.iter().any(|trusted| trusted.hash == hash) {
            return Ok(None);
        }
        let why = BlockedBy::Untrusted { hash, changed: !trusted.is_empty() };
        Ok(Some(self.block(identity, commit, why)))
    }

    fn block(&self, identity: &RepositoryIdentity, commit: &str, why: BlockedBy) -> RepositoryBlock {
        let repo = self.claimed.spec.repo.as_ref();
        let place = ConfigPlace {
            repository: identity.common_dir.clone(),
            path: repo.map(|repo| repo.path.to_string_lossy().into_owned()).unwrap_or_default(),
            base: repo.map(|repo| repo.base.name()).unwrap_or_default(),
            commit: commit.to_owned(),
        };
        RepositoryBlock { place, why }
    }

    /// Gives the spec back to the queue, because its repository's configuration blocks it.
    pub(super) async fn blocked_by_repository(&mut self, block: RepositoryBlock) -> Result<WorkerEnd, WorkerError> {
        let cause = Cause::Blocked { by: Block::Repository(Box::new(block.clone())) };
        match block.why {
            BlockedBy::Full { .. } => {
                info!(spec = %self.claimed.fence.spec, cause = %cause, "the repository has enough running specs; the spec goes back to the queue");
            }
            BlockedBy::Untrusted { .. } | BlockedBy::Invalid { .. } => {
                warn!(spec = %self.claimed.fence.spec, cause = %cause, "the repository's configuration blocks the spec");
            }
        }
        let position = self.position.clone().resumed();
        let lane = self.lane_at(&position);
        let back = GiveBack { position, changes: vec![], cause: Some(cause), not_before: None, setback: false, lane };
        let end = self.give_back(back).await;
        self.shared.repositories.note_block();
        // The spec that this one waits for may have ended before the block was recorded.
        if let BlockedBy::Full { max_workers } = block.why
            && !self.shared.repositories.is_full(&self.claimed.fence.spec, &block.place.repository, max_workers)
        {
            self.end_waiting(block.place.repository).await;
        }
        end
    }

    /// Ends the block of the first spec that waits for a spec of this repository to end.
    async fn end_waiting(&self, repository: String) {
        let which = EndBlocks::FirstWaitingIn(repository.clone());
        match self.queue.call(move |queue| queue.end_repository_blocks(&which)).await {
            Ok(specs) if specs.is_empty() => self.shared.repositories.nothing_waits(&repository),
            Ok(_) => self.shared.changed(),
            Err(error) => {
                warn!(%error, repository, "the daemon cannot end the block of a spec that waits for this repository; it ends when the next spec of the repository ends");
            }
        }
    }

    /// Frees the fixed path of the worktree, if it has one, and bounds the kept folders.
    pub(super) fn leave_path(&self) {
        if !warm_trees::is_pooled(self.tree.path()) {
            return;
        }
        self.shared.warm_trees.leave(self.tree.path());
        let (worktrees, most) = (self.home.worktrees().to_owned(), self.shared.max_warm_bytes());
        tokio::spawn(blocking::run(move || warm_trees::trim(&worktrees, most)));
    }

    /// Counts the spec as running no more, and lets another spec of its repository start.
    pub(super) async fn leave_repository(&self) {
        if let Some(repository) = self.shared.repositories.leave(&self.claimed.fence.spec) {
            self.end_waiting(repository).await;
        }
    }
}
