//! Removes specs that ended more than `retention_days` ago, with their records and attempt folders.
//!
//! The queue says which specs nothing in it needs (`Queue::expired`). Of these, a spec stays
//! - while its worktree or scratch directory exists,
//! - while its repository has a kept ref of the spec (unless the user dropped it), or its branch, unless the
//!   queue records the branch as
//!   merged; if the repository cannot be read: while the queue records a branch that is not merged, or a kept
//!   ref,
//! - while a command of the spec runs.
//!
//! boi removes nothing from a repository here: a merged branch stays there.
//!
//! Then the events of that age are removed, also those that a hook has not got.
//!
//! A pass goes through the specs in pages, and each page is one small transaction, so a claim never waits
//! long for the queue.
//!
//! The attempt folder of a spec is removed before its records. After a crash between the two, the queue still
//! has the spec, so the next pass removes its records. In the other order, a crash would leave a folder that
//! no spec owns, and a later spec could get the same id, and with it that folder.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Notify};
use tracing::{debug, info, warn};

use super::handle::Handle;
use crate::decide::budget;
use crate::domain::id::SpecId;
use crate::domain::time::Timestamp;
use crate::git;
use crate::process::command_dir::CommandDir;
use crate::queue::QueueError;
use crate::queue::retention::{Age, Expired};
use crate::system::paths::Home;
use crate::system::{attempt_folder, blocking, clock, failpoint};

/// The time between the start of the daemon and the first pass.
const FIRST: Duration = Duration::from_secs(10);
/// The time between two passes.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// The pause after each transaction, in which other verbs use the queue.
const PAUSE: Duration = Duration::from_millis(20);
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Separates the removal of ended specs from retries, and begins the removal again after a reload.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// Held while attempt folders and then their specs are removed, and while a spec is queued again: without
    /// it, a folder could be removed after the retry of its spec.
    exclusion: Mutex<()>,
    reloaded: Notify,
}

impl Retention {
    /// Waits until no removal is going on. None begins while the returned guard exists.
    pub(super) async fn exclude(&self) -> MutexGuard<'_, ()> {
        self.exclusion.lock().await
    }

    /// Tells that a new configuration is in force.
    pub(super) fn reloaded(&self) {
        self.reloaded.notify_one();
    }
}

/// Removes expired specs shortly after the start, then every hour and after each change of `retention_days`.
pub(super) async fn remove_expired(handle: Handle, home: Home) {
    tokio::time::sleep(failpoint::duration("BOI_RETENTION_MILLIS", FIRST)).await;
    loop {
        let days = handle.retention_days();
        if days > 0 {
            pass(&handle, &home, days).await;
        }
        let next = tokio::time::Instant::now() + EVERY;
        while handle.retention_days() == days {
            // Cancel-safe: both branches only wait.
            tokio::select! {
                () = tokio::time::sleep_until(next) => break,
                () = handle.shared.retention.reloaded.notified() => {}
            }
        }
    }
}

impl Handle {
    fn retention_days(&self) -> u32 {
        self.hot.load().config.retention_days
    }
}

/// Removes the specs that expired, and says how many.
async fn pass(handle: &Handle, home: &Home, days: u32) {
    let now = clock::now();
    let age = Age {
        ended_by: now.plus_millis(-i64::from(days) * DAY_MILLIS),
        runs_since: now.plus_millis(-budget::DAY_MILLIS),
    };
    let mut removed = 0;
    // The removal of a spec can make the specs that it waited for removable, so the pass begins again.
    let result = loop {
        match go_through(handle, home, days, age).await {
            Ok(0) => break Ok(()),
            Ok(more) => removed += more,
            Err(error) => break Err(error),
        }
    };
    let events = remove_events(handle, age.ended_by).await;
    if removed > 0 {
        info!(
            removed,
            retention_days = days,
            "specs that ended more than `retention_days` ago were removed from the queue"
        );
        handle.shared.changed();
    }
    if let Err(error) = result.and(events) {
        warn!(%error, "the daemon cannot remove all specs and events that are older than `retention_days`; it tries again in an hour");
    }
}

/// Removes the events that happened at `by` or earlier, in small transactions.
async fn remove_events(handle: &Handle, by: Timestamp) -> Result<(), QueueError> {
    let mut removed = 0;
    loop {
        let one = handle.queue(move |queue| queue.remove_events(by)).await?;
        removed += one.removed;
        if !one.more {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if removed > 0 {
        info!(removed, "events that are older than `retention_days` were removed from the queue");
    }
    Ok(())
}

/// Goes once through the specs that expired. Returns how many were removed. Ends early if `retention_days`
/// changes.
async fn go_through(handle: &Handle, home: &Home, days: u32, age: Age) -> Result<usize, QueueError> {
    let (mut removed, mut after) = (0, None);
    let mut repositories = Repositories::default();
    while handle.retention_days() == days {
        let page = handle.queue(move |queue| queue.expired(age, after)).await?;
        let (found, of_home) = (page.specs.len(), home.clone());
        let looked = blocking::run(move || {
            let removable = removable(&of_home, page.specs, &mut repositories);
            (removable, repositories)
        });
        let Ok((specs, known)) = looked.await else { break };
        repositories = known;
        debug!(found, removable = specs.len(), "the daemon looked at a page of expired specs");
        if !specs.is_empty() {
            removed += remove(handle, home, specs, age).await?;
            tokio::time::sleep(PAUSE).await;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(removed)
}

/// Removes the attempt folders of these specs, then their records. Returns how many specs were removed.
async fn remove(handle: &Handle, home: &Home, specs: Vec<SpecId>, age: Age) -> Result<usize, QueueError> {
    let _no_retry = handle.shared.retention.exclude().await;
    // The user may have retried a spec since it was found.
    let specs = handle.queue(move |queue| queue.still_expired(&specs, age)).await?;
    let home = home.clone();
    let without_folder = blocking::run(move || remove_folders(&home, specs)).await.unwrap_or_default();
    failpoint::hit("retention.folders_removed");
    let removed = handle.queue(move |queue| queue.remove_expired(&without_folder, age)).await?;
    Ok(removed.len())
}

/// Removes the attempt folder of each spec. Returns the specs that have none any more.
fn remove_folders(home: &Home, mut specs: Vec<SpecId>) -> Vec<SpecId> {
    specs.retain(|spec| {
        let folder = home.spec_attempts(spec);
        match attempt_folder::remove(&folder) {
            Ok(()) => true,
            Err(error) => {
                warn!(%spec, path = %folder.display(), %error, "boi cannot remove the attempt folder of an expired spec; the spec stays in the queue, and the next pass tries again");
                false
            }
        }
    });
    specs
}

/// The refs that boi created in one repository.
#[derive(Debug, Default)]
struct OwnRefs {
    /// The specs with a branch.
    branches: HashSet<SpecId>,
    /// The specs with a kept ref.
    kept: HashSet<SpecId>,
}

impl OwnRefs {
    fn read(repo: &Path) -> Option<OwnRefs> {
        let mut found = OwnRefs::default();
        for name in git::own_refs(repo).ok()? {
            if let Some(Ok(spec)) = name.strip_prefix("refs/heads/boi/").map(str::parse) {
                found.branches.insert(spec);
            } else if let Some(rest) = name.strip_prefix("refs/boi/kept/")
                && let Ok(spec) = rest.split('/').next().unwrap_or_default().parse()
            {
                found.kept.insert(spec);
            }
        }
        Some(found)
    }
}

/// The refs of each repository that a pass has looked at; `None`: the repository cannot be read.
#[derive(Debug, Default)]
struct Repositories(HashMap<String, Option<OwnRefs>>);

impl Repositories {
    /// Whether the repository of a spec may have work of the spec that no base has.
    fn may_have_work(&mut self, spec: &Expired) -> bool {
        let Some(repo) = &spec.repo else { return spec.has_own_work };
        match self.0.entry(repo.clone()).or_insert_with(|| OwnRefs::read(Path::new(repo))) {
            None => spec.has_own_work,
            Some(refs) => {
                !spec.is_dropped && refs.kept.contains(&spec.id) || !spec.is_merged && refs.branches.contains(&spec.id)
            }
        }
    }
}

/// Returns the specs that neither their repository, nor their files, nor a running command needs.
fn removable(home: &Home, specs: Vec<Expired>, repositories: &mut Repositories) -> Vec<SpecId> {
    let is_removable = |spec: &Expired| {
        !may_exist(&home.worktree(&spec.id, spec.worktree.as_deref()))
            && !repositories.may_have_work(spec)
            && !may_run(home, &spec.id)
    };
    specs.into_iter().filter(is_removable).map(|spec| spec.id).collect()
}

/// Whether something may be at `path`. A link counts even if its target does not exist.
fn may_exist(path: &Path) -> bool {
    !path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Whether a command of the spec may run: until it ends, its supervisor holds the lock in its folder.
fn may_run(home: &Home, spec: &SpecId) -> bool {
    let is_locked = |command: PathBuf| CommandDir::at(command).is_locked().unwrap_or(true);
    attempt_folder::commands(&home.spec_attempts(spec)).map_or(true, |commands| commands.into_iter().any(is_locked))
}

#[cfg(test)]
mod tests;
