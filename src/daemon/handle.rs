//! What the loop, its workers and the control socket share: the store, the snapshot, and the news that something changed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use super::health::Health;
use super::{Ended, Event};
use crate::config::HotConfig;
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::domain::time::Timestamp;
use crate::domain::view::{ConfigView, Counts, DaemonView, SlotsView, StatusView, StoreView};
use crate::queue::{Canceled, Filter, Store, StoreError};
use crate::system::clock;

/// A queue that has not answered for so long does not work: longer than a busy disk takes.
const SILENT: Duration = Duration::from_secs(3);
/// How often it is looked whether a queue that is waited for answers anybody.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the loop tells about itself.
#[derive(Debug)]
pub struct Shared {
    running: AtomicU32,
    revision: watch::Sender<u64>,
    config: Mutex<ConfigView>,
    since: Timestamp,
    scoped: bool,
    draining: AtomicBool,
    log: Option<String>,
    /// Why the workers that are to be started again broke down.
    broken: Mutex<HashMap<SpecId, String>>,
    /// What the daemon stands on, and what is wrong with it.
    pub(super) health: Health,
}

impl Shared {
    /// The state of a daemon that has just begun under `config`.
    pub fn new(config: ConfigView, scoped: bool) -> Shared {
        Shared {
            running: AtomicU32::new(0),
            revision: watch::Sender::new(1),
            config: Mutex::new(config),
            since: clock::now(),
            scoped,
            draining: AtomicBool::new(false),
            log: None,
            broken: Mutex::default(),
            health: Health::default(),
        }
    }

    /// The same of a daemon that logs to `file`.
    #[must_use]
    pub fn logging_to(self, file: Option<&Path>) -> Shared {
        Shared { log: file.map(|path| path.to_string_lossy().into_owned()), ..self }
    }

    /// Something that `boi status` shows has changed.
    pub fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// How many slots are taken.
    pub fn set_running(&self, running: u32) {
        if self.running.swap(running, Ordering::Relaxed) != running {
            self.changed();
        }
    }

    /// The daemon ends when what runs has finished.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.changed();
    }

    /// The worker of a spec that runs broke down, for this reason; `None`: it is there again.
    pub(super) fn set_broken(&self, spec: &SpecId, reason: Option<String>) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => broken.insert(spec.clone(), reason),
            None => broken.remove(spec),
        };
    }

    /// Why the worker of a spec that runs is not there, if that is so.
    fn broken(&self, spec: &SpecId) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get(spec).cloned()
    }

    /// The verdict on the configuration's last reading.
    pub fn set_config(&self, view: ConfigView) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = view;
        self.changed();
    }

    /// The configuration in force, and what is on disk.
    pub(super) fn config(&self) -> ConfigView {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the control socket does with a daemon. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) store: Arc<dyn Store>,
    pub(super) hot: Arc<ArcSwap<HotConfig>>,
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

/// Runs a verb of the store on a thread that may block.
pub(crate) async fn with_store<T: Send + 'static>(
    store: &Arc<dyn Store>,
    verb: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = Arc::clone(store);
    let verb = move || {
        let _under_way = store.pending().begin();
        verb(store.as_ref())
    };
    tokio::task::spawn_blocking(verb).await.unwrap_or(Err(StoreError::Closed))
}

impl Handle {
    /// Sends the loop an event; a loop that has ended no longer cares.
    pub fn send(&self, event: Event) {
        drop(self.events.send(event));
    }

    /// Runs a verb of the store.
    pub async fn store<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let result = with_store(&self.store, verb).await;
        if let Err(failure) = &result
            && failure.is_of_database()
            && self.shared.health.note(&failure.to_string())
        {
            self.shared.changed();
            // The loop looks whether that is over.
            self.send(Event::Queued);
        }
        result
    }

    /// What is asked of the queue, unless that does not answer anybody for so long: then it is done later, whoever waits.
    pub(super) async fn unless_silent<T, A>(
        &self,
        patience: Duration,
        ask: impl FnOnce(Handle) -> A,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        A: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let mut asked = tokio::spawn(ask(self.clone()));
        loop {
            match tokio::time::timeout(LOOK_AGAIN, &mut asked).await {
                Ok(told) => return told.unwrap_or(Err(StoreError::Closed)),
                Err(_) => self.store.pending().silence(patience).map_or(Ok(()), Err)?,
            }
        }
    }

    /// That the queue has not answered for a while, if that is so.
    pub(super) fn silence(&self) -> Option<StoreError> {
        self.store.pending().silence(SILENT)
    }

    /// Ends a spec: at once when it is queued, else as soon as its worker has. When the store cannot take the wish, what
    /// runs is ended all the same, and this returns with an error as soon as it has.
    pub async fn cancel(&self, spec: SpecId) -> Result<Canceled, StoreError> {
        let id = spec.clone();
        let failure = match self.store(move |store| store.cancel(&id, clock::now())).await {
            Ok(canceled) => {
                self.send(Event::Cancel(spec));
                self.shared.changed();
                return Ok(canceled);
            }
            Err(error) if error.is_of_database() => error,
            Err(error) => return Err(error),
        };
        warn!(%spec, error = %failure, "that it is to be canceled could not be recorded; it is ended all the same");
        let (tell, told) = oneshot::channel();
        self.send(Event::End(spec.clone(), tell));
        match told.await {
            Ok(Ended::Recorded) => Ok(Canceled::Ending),
            Ok(Ended::Unrecorded(reason)) => Err(StoreError::canceled_unrecorded(&spec, reason)),
            Ok(Ended::Idle) | Err(_) => Err(failure),
        }
    }

    /// Queues specs again.
    pub async fn retry(&self, spec: SpecId) -> Result<Vec<SpecId>, StoreError> {
        let queued = self.store(move |store| store.retry(&spec, clock::now())).await?;
        self.send(Event::Queued);
        self.shared.changed();
        Ok(queued)
    }

    /// Pauses or resumes claiming.
    pub async fn set_paused(&self, paused: bool) -> Result<(), StoreError> {
        self.store(move |store| store.set_paused(paused)).await?;
        self.send(Event::Paused(paused));
        self.shared.changed();
        Ok(())
    }

    /// Waits until the state is newer than `revision`; returns its revision.
    pub async fn newer_than(&self, revision: u64) -> u64 {
        let mut revisions = self.shared.revision.subscribe();
        match revisions.wait_for(|now| *now > revision).await {
            Ok(now) => *now,
            Err(_) => revision,
        }
    }

    /// The state's revision.
    pub fn revision(&self) -> u64 {
        *self.shared.revision.borrow()
    }

    /// The whole state, with the specs that `filter` selects.
    pub async fn status(&self, filter: Filter) -> Result<StatusView, StoreError> {
        let daemon = DaemonView {
            pid: std::process::id(),
            since: self.shared.since,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scoped: self.shared.scoped,
            draining: self.shared.draining.load(Ordering::Relaxed),
            log: self.shared.log.clone(),
        };
        let slots = SlotsView {
            max_workers: self.hot.load().config.max_workers,
            running: self.shared.running.load(Ordering::Relaxed),
        };
        let (config, trouble) = (self.shared.config(), self.shared.health.trouble());
        let (whose, about, whole) = (daemon.clone(), config.clone(), filter.ids.is_empty());
        let verb = move |store: &dyn Store| status(store, &filter, Some(daemon), config, slots);
        let mut told = if whole {
            // Who asks for the state as a whole is told why it cannot be shown.
            let told = self.unless_silent(SILENT, |handle| async move { handle.store(verb).await }).await;
            told.unwrap_or_else(|error| unreadable(whose, about, slots, &error))
        } else {
            self.store(verb).await?
        };
        for spec in told.specs.iter_mut().filter(|spec| spec.status == SpecStatus::Running) {
            spec.reason = self.shared.broken(&spec.id).or(spec.reason.take());
        }
        if let Some(error) = self.silence() {
            told.store = broken(&error);
        } else if let Some(reason) = trouble {
            told.store = StoreView { ok: false, reason: Some(reason), unanswered_seconds: None };
        }
        Ok(told)
    }
}

/// The state as a store shows it, with or without a daemon.
pub fn status(
    store: &dyn Store,
    filter: &Filter,
    daemon: Option<DaemonView>,
    config: ConfigView,
    slots: SlotsView,
) -> Result<StatusView, StoreError> {
    let listing = store.specs(filter)?;
    Ok(StatusView {
        daemon,
        config,
        slots,
        paused: store.paused()?,
        holds: Vec::new(),
        counts: store.counts()?,
        specs: listing.specs,
        more: listing.more,
        store: StoreView::default(),
    })
}

/// What is known of a daemon whose queue cannot be read.
fn unreadable(daemon: DaemonView, config: ConfigView, slots: SlotsView, error: &StoreError) -> StatusView {
    StatusView {
        daemon: Some(daemon),
        config,
        slots,
        paused: false,
        holds: Vec::new(),
        counts: Counts::default(),
        specs: Vec::new(),
        more: false,
        store: broken(error),
    }
}

fn broken(error: &StoreError) -> StoreView {
    let unanswered_seconds = match error {
        StoreError::Silent { seconds, .. } => Some(*seconds),
        _ => None,
    };
    StoreView { ok: false, reason: Some(error.to_string()), unanswered_seconds }
}
