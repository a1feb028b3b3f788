//! The state of the daemon that its loop, its workers, the reload and the control socket share.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tracing::warn;

use super::Leaving;
use super::admission::Admissions;
use super::budgets::Budgets;
use super::build_slots::BuildSlots;
use super::hooks::Hooks;
use super::lanes::Lanes;
use super::lifecycle::health::Health;
use super::repositories::Repositories;
use super::retention::Retention;
use super::warm_trees::WarmTrees;
use crate::config::{EnvValue, HotConfig};
use crate::domain::cause::{Cause, DayUsedUp};
use crate::domain::id::SpecId;
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;
use crate::domain::view::{ConfigView, DaemonView, GitView};
use crate::git::GitWatch;
use crate::process::forker::Forker;
use crate::queue::Fence;
use crate::system::{clock, paths};

/// How long a git process must have run before `boi status` shows it, in milliseconds.
const LONG_GIT_MILLIS: i64 = 1_000;

/// The part of the daemon's state that `boi status` shows and that is not in the queue.
#[derive(Debug)]
pub(crate) struct Shared {
    running: AtomicU32,
    revision: watch::Sender<u64>,
    config: Mutex<ConfigView>,
    since: Timestamp,
    scoped: bool,
    /// How the daemon leaves; `None`: it was not told to leave.
    leaving: Mutex<Option<Leaving>>,
    log: Option<String>,
    /// Whether every process of the daemon's container ends with the daemon.
    ends_container: bool,
    /// Causes of running specs, such as a quarantine, that are not in the queue.
    causes: Mutex<HashMap<SpecId, Cause>>,
    /// The watch over the git processes of each spec that has a worker.
    git_watches: Mutex<HashMap<SpecId, Arc<GitWatch>>>,
    /// Attempts whose commands the last daemon left running when it ended normally. A worker that examines
    /// the command of such an attempt removes the attempt from the list.
    left_by_last: Mutex<Vec<Fence>>,
    /// Attempts whose commands this daemon leaves running.
    left_running: Mutex<Vec<Fence>>,
    /// Whether the home and the queue can be used.
    pub(super) health: Health,
    /// The budgets, and what the agents cost in the last 24 h.
    pub(super) budgets: Budgets,
    /// Whether the machine has room for more specs.
    pub(super) admissions: Admissions,
    /// Which workers may run a `run` or verify command.
    pub(super) build_slots: BuildSlots,
    /// Forks the supervisors of commands.
    pub(crate) forker: Forker,
    /// Decides which runs of each agent may start.
    pub(crate) lanes: Lanes,
    /// What the hooks of the configuration wait for.
    pub(super) hooks: Hooks,
    /// The repositories' own configurations, and the specs that run in each repository.
    pub(super) repositories: Repositories,
    /// The fixed paths of worktrees that workers use.
    pub(super) warm_trees: WarmTrees,
    /// Separates the removal of ended specs from retries, and begins it again after a reload.
    pub(super) retention: Retention,
    /// The configuration in force; empty until the daemon is built.
    hot: OnceLock<Arc<ArcSwap<HotConfig>>>,
}

impl Shared {
    /// The state of a daemon that has just started under `config`. `scoped`: whether the daemon claims only
    /// the specs of one `boi run`.
    pub(crate) fn new(config: ConfigView, scoped: bool) -> Shared {
        Shared {
            running: AtomicU32::new(0),
            revision: watch::Sender::new(1),
            config: Mutex::new(config),
            since: clock::now(),
            scoped,
            leaving: Mutex::default(),
            log: None,
            ends_container: false,
            causes: Mutex::default(),
            git_watches: Mutex::default(),
            left_by_last: Mutex::default(),
            left_running: Mutex::default(),
            health: Health::default(),
            budgets: Budgets::default(),
            admissions: Admissions::default(),
            build_slots: BuildSlots::default(),
            forker: Forker::default(),
            lanes: Lanes::default(),
            hooks: Hooks::default(),
            repositories: Repositories::default(),
            warm_trees: WarmTrees::default(),
            retention: Retention::default(),
            hot: OnceLock::new(),
        }
    }

    /// Sets the place from which this reads the configuration in force. Only the first call has an effect.
    pub(super) fn attach_config(&self, hot: &Arc<ArcSwap<HotConfig>>) {
        self.hot.get_or_init(|| Arc::clone(hot));
    }

    /// Returns the environment variables that the configuration in force sets for an agent. A variable whose
    /// value has to come from the daemon's environment is left out, with a log line, if it is missing there.
    pub(super) fn env_of_agent(&self, agent: &str) -> Vec<(String, OsString)> {
        let Some(hot) = self.hot.get().map(|hot| hot.load_full()) else { return Vec::new() };
        let Some(settings) = hot.config.agents.get(agent) else { return Vec::new() };
        let value = |(name, value): (&String, &EnvValue)| match value {
            EnvValue::Text(text) => Some((name.clone(), text.into())),
            EnvValue::FromEnv(from) => {
                let found = paths::variable(from);
                if found.is_none() {
                    warn!(agent, variable = %from, "the configuration passes this variable of the daemon's environment to the agent, but it is not set there; the agent starts without it");
                }
                found.map(|value| (name.clone(), value))
            }
        };
        settings.env.iter().filter_map(value).collect()
    }

    /// Returns how many bytes the kept folders may have together.
    pub(super) fn max_warm_bytes(&self) -> u64 {
        self.hot.get().map_or(0, |hot| u64::from(hot.load().config.max_warm_gb) << 30)
    }

    /// Sets the file that the daemon logs to; `None`: the daemon logs to standard error.
    #[must_use]
    pub(crate) fn logging_to(self, file: Option<&Path>) -> Shared {
        Shared { log: file.map(|path| path.to_string_lossy().into_owned()), ..self }
    }

    /// Sets the folders whose disks must have free space so that specs are started.
    #[must_use]
    pub(super) fn with_disks(self, home: &Path, worktrees: &Path) -> Shared {
        Shared { admissions: Admissions::new(home, worktrees), ..self }
    }

    /// Sets whether every process of the daemon's container ends with the daemon.
    #[must_use]
    pub(super) fn ending_container(self, ends_container: bool) -> Shared {
        Shared { ends_container, ..self }
    }

    /// Adds one to the revision. Must be called after a change of anything that `boi status` shows: clients
    /// that wait for a newer state then get it.
    pub(crate) fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// The revision of the state; each change adds one.
    pub(crate) fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Waits for a state that is newer than `revision`, and returns the revision of that state.
    pub(super) async fn newer_than(&self, revision: u64) -> u64 {
        let mut revisions = self.revision.subscribe();
        match revisions.wait_for(|now| *now > revision).await {
            Ok(now) => *now,
            Err(_) => revision,
        }
    }

    /// Returns a receiver of the revision of the state.
    pub(super) fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Sets how many slots are taken.
    pub(super) fn set_running(&self, running: u32) {
        if self.running.swap(running, Ordering::Relaxed) != running {
            self.changed();
        }
    }

    /// How many slots are taken.
    pub(super) fn running(&self) -> u32 {
        self.running.load(Ordering::Relaxed)
    }

    /// Sets the attempts whose commands the last daemon left running when it ended normally.
    #[must_use]
    pub(super) fn with_left_by_last(self, fences: Vec<Fence>) -> Shared {
        Shared { left_by_last: Mutex::new(fences), ..self }
    }

    /// Returns whether the last daemon ended normally and left a command of this attempt running. Removes the
    /// attempt from the list, so the result is true at most once for each attempt.
    pub(super) fn take_left_by_last(&self, fence: &Fence) -> bool {
        let mut left = self.left_by_last.lock().unwrap_or_else(PoisonError::into_inner);
        let place = left.iter().position(|known| known == fence);
        place.map(|place| left.swap_remove(place)).is_some()
    }

    /// Records an attempt whose command this daemon leaves running.
    pub(super) fn leave_running(&self, fence: &Fence) {
        self.left_running.lock().unwrap_or_else(PoisonError::into_inner).push(fence.clone());
    }

    /// Returns the attempts whose commands continue to run when this daemon ends: those that this daemon
    /// leaves running, and those that the last daemon left running and no worker of this daemon has examined,
    /// such as those of specs outside the scope of a `boi run`.
    pub(super) fn left_running(&self) -> Vec<Fence> {
        let mut left = self.left_running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for fence in self.left_by_last.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if !left.contains(fence) {
                left.push(fence.clone());
            }
        }
        left
    }

    /// Returns the used-up budget if `max_usd_per_day` is used up, so that no agent may start now.
    pub(super) fn day_budget(&self, now: Timestamp) -> Option<DayUsedUp> {
        self.budgets.day(Usd::ZERO, now)
    }

    /// Records that the daemon was told to leave.
    pub(super) fn set_leaving(&self, how: Leaving) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
        self.changed();
    }

    /// Sets the cause that `boi status` shows for a running spec, such as why it has no worker or why its
    /// next try waits; `None`: removes the cause.
    pub(super) fn set_cause(&self, spec: &SpecId, cause: Option<Cause>) {
        let mut causes = self.causes();
        match cause {
            Some(cause) => causes.insert(spec.clone(), cause),
            None => causes.remove(spec),
        };
    }

    /// Returns the cause that is set for a running spec; `None`: no cause is set.
    pub(super) fn cause(&self, spec: &SpecId) -> Option<Cause> {
        self.causes().get(spec).cloned()
    }

    /// Sets the watch over the git processes of a spec; `None`: the spec has no worker any more.
    pub(super) fn watch_git(&self, spec: &SpecId, watch: Option<Arc<GitWatch>>) {
        let mut watches = self.git_watches.lock().unwrap_or_else(PoisonError::into_inner);
        match watch {
            Some(watch) => watches.insert(spec.clone(), watch),
            None => watches.remove(spec),
        };
    }

    /// Returns the git process that works for a spec, if it has run for a second or longer.
    pub(super) fn running_git(&self, spec: &SpecId) -> Option<GitView> {
        let watches = self.git_watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.get(spec)?.running().filter(|git| clock::now().millis_since(git.since) >= LONG_GIT_MILLIS)
    }

    /// Sets the cause that the agent of a running spec gets only API errors; `None`: the agent gets answers,
    /// or has ended. Does not replace a cause of another kind.
    pub(super) fn set_api_errors(&self, spec: &SpecId, errors: Option<Cause>) {
        let mut causes = self.causes();
        let before = causes.get(spec);
        if before == errors.as_ref() || before.is_some_and(|cause| !matches!(cause, Cause::ApiErrors { .. })) {
            return;
        }
        match errors {
            Some(cause) => causes.insert(spec.clone(), cause),
            None => causes.remove(spec),
        };
        drop(causes);
        self.changed();
    }

    /// Replaces what `boi status` shows about the configuration.
    pub(crate) fn set_config(&self, view: ConfigView) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = view;
        self.changed();
    }

    /// The state of the configuration in force and of the configuration file.
    pub(super) fn config(&self) -> ConfigView {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The daemon as `boi status` shows it.
    pub(super) fn daemon_view(&self) -> DaemonView {
        let leaving = *self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        DaemonView {
            pid: std::process::id(),
            since: self.since,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scoped: self.scoped,
            draining: leaving == Some(Leaving::Drain),
            stopping: matches!(leaving, Some(Leaving::Stop | Leaving::Detach)),
            other_pid_namespace: false,
            ends_container: self.ends_container,
            log: self.log.clone(),
        }
    }

    fn causes(&self) -> MutexGuard<'_, HashMap<SpecId, Cause>> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
