//! Admission: defers the starts of specs and landers while the machine has too little free disk space or memory.
//! `decide::admission` decides; this file reads the machine, keeps the state, and reports each change of it.
//!
//! The machine is read only in a tick that has something to start, or that has deferred something. What runs is left
//! alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Daemon, Spawn};
use crate::config::HotConfig;
use crate::decide::admission::{Admission, Limits, Reading};
use crate::domain::admission::{Deferral, DiskOf, Shortage, join};
use crate::domain::cause::Cause;
use crate::domain::event::{DeferredBegan, DeferredEnded, Happening};
use crate::domain::lane::Eligible;
use crate::domain::time::Timestamp;
use crate::queue::landings::Group;
use crate::system::{blocking, clock, machine};

/// How long a tick waits for the disks to answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// The state of the admission, which the loop changes and `boi status` shows.
#[derive(Debug, Default)]
pub(super) struct Admissions {
    /// The folders whose disks defer every start: the home and the worktrees.
    folders: Vec<(DiskOf, PathBuf)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    admission: Admission,
    /// When the first of the shortages began.
    since: Option<Timestamp>,
    /// The disks that have not answered, each with a value that its reading keeps alive.
    hung: Vec<(Arc<()>, PathBuf)>,
}

/// What a tick would start.
pub(super) struct Admit<'a> {
    /// The specs that could be claimed.
    pub(super) candidates: &'a mut Vec<Eligible>,
    /// The landers that could be started.
    pub(super) landings: &'a mut Vec<Group>,
    /// Whether a spec could be claimed now, as far as slots and pace allow.
    pub(super) has_room: bool,
    /// Whether no spec is eligible.
    pub(super) is_empty: bool,
}

impl Admissions {
    /// Creates the state of a daemon with this home and this folder of worktrees.
    pub(super) fn new(home: &Path, worktrees: &Path) -> Admissions {
        let folders = vec![(DiskOf::Home, home.to_owned()), (DiskOf::Worktrees, worktrees.to_owned())];
        Admissions { folders, ..Admissions::default() }
    }

    /// Returns the repositories whose specs are deferred.
    pub(super) fn skipped(&self) -> Vec<String> {
        self.state().admission.skipped().map(str::to_owned).collect()
    }

    /// Returns the shortages as `boi status` shows them; `None`: there is none.
    pub(super) fn deferral(&self) -> Option<Deferral> {
        let state = self.state();
        let by = state.admission.shortages().to_vec();
        Some(Deferral {
            since: state.since?,
            all: !state.admission.admits(),
            reason: join(&by, Shortage::with_reading),
            by,
        })
    }

    /// Reads the disks of the folders and of these repositories, and the memory if it is limited. Leaves out what cannot
    /// be read, and disks that do not answer soon.
    async fn read(&self, repositories: BTreeSet<String>, limits: Limits) -> Vec<Reading> {
        let mut disks = self.folders.clone();
        disks.extend(repositories.into_iter().map(|path| (DiskOf::Repository, PathBuf::from(path))));
        if limits.min_free_bytes == 0 {
            disks.clear();
        }
        {
            let mut state = self.state();
            state.hung.retain(|(alive, _)| Arc::strong_count(alive) > 1);
            disks.retain(|(_, path)| !state.hung.iter().any(|(_, hung)| hung == path));
        }
        if disks.is_empty() && limits.max_memory_percent == 0 {
            return Vec::new();
        }
        let (alive, found) = (Arc::new(()), Arc::new(Mutex::new(Found::default())));
        let work = {
            let (alive, found, disks) = (Arc::clone(&alive), Arc::clone(&found), disks.clone());
            move || {
                read_machine(&disks, limits, &found);
                drop(alive);
            }
        };
        let answered = tokio::time::timeout(PATIENCE, blocking::run(work)).await.is_ok();
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        if !answered && let Some((_, path)) = disks.get(found.disks) {
            warn!(path = %path.display(), "the disk of this path does not answer, so boi does not know how much of it is free; it does not defer specs because of this disk until the disk answers");
            self.state().hung.push((alive, path.clone()));
        }
        std::mem::take(&mut found.readings)
    }

    /// Puts a new state in force. Returns the shortages that began and those that ended.
    fn set(&self, next: Admission, now: Timestamp) -> (Vec<Shortage>, Vec<Shortage>) {
        let mut state = self.state();
        let [began, ended] =
            [next.without(&state.admission), state.admission.without(&next)].map(|found| found.cloned().collect());
        state.since = if next.shortages().is_empty() { None } else { state.since.or(Some(now)) };
        state.admission = next;
        (began, ended)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a reading has found so far.
#[derive(Default)]
struct Found {
    /// How many disks were read.
    disks: usize,
    readings: Vec<Reading>,
}

fn read_machine(disks: &[(DiskOf, PathBuf)], limits: Limits, found: &Mutex<Found>) {
    let found = || found.lock().unwrap_or_else(PoisonError::into_inner);
    if limits.max_memory_percent > 0
        && let Some(memory) = machine::memory()
    {
        found().readings.push(Reading::Memory { used: memory.used, total: memory.total });
    }
    let mut devices = Vec::new();
    for (of, path) in disks {
        let disk = machine::disk(path);
        let mut found = found();
        found.disks += 1;
        // A disk that several folders are on counts once, for the first of them.
        if let Ok(disk) = disk
            && !devices.contains(&disk.device)
        {
            if *of != DiskOf::Repository {
                devices.push(disk.device);
            }
            let path = path.to_string_lossy().into_owned();
            found.readings.push(Reading::Disk { of: *of, path, free: disk.free });
        }
    }
}

impl<S: Spawn> Daemon<S> {
    /// Decides whether the machine has room for what waits. Removes the specs and landers of repositories whose disks are
    /// short from what waits. Returns whether the rest may start.
    pub(super) async fn admit(&mut self, hot: &HotConfig, waiting: Admit<'_>) -> bool {
        let Admit { candidates, landings, has_room, is_empty } = waiting;
        let limits = Limits::new(hot.config.min_free_gb, hot.config.max_memory_percent);
        let before = self.shared.admissions.state().admission.clone();
        let starts = !landings.is_empty() || (has_room && !candidates.is_empty());
        let nothing_waits = is_empty && landings.is_empty();
        if !limits.are_set() || nothing_waits {
            self.change_admission(Admission::default()).await;
        } else if starts || !before.shortages().is_empty() {
            let of_specs = candidates.iter().filter_map(|one| one.repo.clone());
            let of_landings = landings.iter().map(|group| group.repository.clone());
            let repositories = of_specs.chain(of_landings).chain(before.skipped().map(str::to_owned)).collect();
            let readings = self.shared.admissions.read(repositories, limits).await;
            self.change_admission(before.next(limits, &readings)).await;
        }
        let now = self.shared.admissions.state().admission.clone();
        let is_skipped = |repository: &str| now.skipped().any(|skipped| skipped == repository);
        candidates.retain(|one| !one.repo.as_deref().is_some_and(is_skipped));
        landings.retain(|group| !is_skipped(&group.repository));
        if !now.skipped().eq(before.skipped()) {
            // The next tick asks the queue for the specs of other repositories.
            self.wake_at = Instant::now();
        }
        now.admits()
    }

    /// Ends a deferral, because the loop starts nothing for another reason.
    pub(super) async fn end_deferral(&mut self) {
        self.change_admission(Admission::default()).await;
    }

    /// Puts a new state in force, and reports each shortage that began or ended.
    async fn change_admission(&mut self, next: Admission) {
        let now = clock::now();
        let (began, ended) = self.shared.admissions.set(next, now);
        if began.is_empty() && ended.is_empty() {
            return;
        }
        for shortage in &began {
            let reason = shortage.with_reading();
            match shortage.repository() {
                Some(repository) => {
                    warn!(repository, reason, "boi starts no spec of this repository for now; what runs continues")
                }
                None => warn!(reason, "boi starts no spec for now; what runs continues"),
            }
        }
        for shortage in &ended {
            info!(repository = shortage.repository(), was = %shortage, "the machine has room again: a shortage has ended");
        }
        let ended = ended.into_iter().map(|by| Happening::DeferredEnded(DeferredEnded { by }));
        let began = began.into_iter().map(|by| Happening::DeferredBegan(DeferredBegan { by }));
        let events: Vec<Happening> = ended.chain(began).collect();
        let record = move |queue: &dyn crate::queue::Queue| {
            events.into_iter().try_for_each(|event| queue.record_event(event, now))
        };
        // The disk may be too full for an event.
        if let Err(error) = self.queue.call(record).await {
            warn!(%error, "the queue could not record the event of a deferral");
        }
        self.shared.changed();
    }
}

/// Returns the cause of a spec that works on `repository` and waits for nothing else; `None`: it is not deferred.
pub(super) fn cause_of(deferral: &Deferral, repository: Option<&str>) -> Option<Cause> {
    let concerns = |by: &&Shortage| by.repository().is_none_or(|path| Some(path) == repository);
    let by: Vec<Shortage> = deferral.by.iter().filter(concerns).cloned().collect();
    (!by.is_empty()).then_some(Cause::Deferred { by })
}
