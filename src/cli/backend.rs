//! Who carries out a command: the daemon, or, while none runs, this process on the queue itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::CliError;
use crate::config::Config;
use crate::control::client::Client;
use crate::control::server;
use crate::control::wire::{Ask, CancelResult, Cleaned, Dispatch, Ids, Pause, Told};
use crate::daemon::handle::{self, Shared};
use crate::daemon::worker::Workers;
use crate::daemon::{Event, Order, Spawn, WorkerEnd, reload};
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::{ConfigView, Counts, SlotsView, StatusView};
use crate::host::clock;
use crate::host::paths::Home;
use crate::host::store::{Access, Canceled, Filter, SqliteStore, Store, StoreError};

/// How long a command waits for another one that is writing to the queue.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who carries out a command.
pub(super) enum Backend {
    /// The daemon.
    Daemon(Client),
    /// This process.
    Own(Home),
}

impl Backend {
    /// Finds out.
    pub(super) async fn find(home: &Home) -> Result<Backend, CliError> {
        Ok(match Client::connect(&home.socket()).await? {
            Some(client) => Backend::Daemon(client),
            None => Backend::Own(configured(home)),
        })
    }

    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Backend::Daemon(_))
    }

    pub(super) async fn dispatch(&self, specs: Vec<Spec>) -> Result<Vec<SpecId>, CliError> {
        match self {
            Backend::Daemon(client) => Ok(client.ask::<_, Ids>("/v1/dispatch", &Dispatch { specs }).await?.ids),
            Backend::Own(home) => Ok(write(home)?.enqueue(specs, clock::now())?),
        }
    }

    pub(super) async fn status(&self, filter: Filter, newer_than: Option<u64>) -> Result<Told, CliError> {
        match self {
            Backend::Daemon(client) => Ok(client.ask("/v1/status", &Ask { filter, newer_than }).await?),
            Backend::Own(home) => Ok(Told { revision: 0, status: own_status(home, &filter)? }),
        }
    }

    pub(super) async fn retry(&self, ids: Vec<SpecId>) -> Result<Vec<SpecId>, CliError> {
        match self {
            Backend::Daemon(client) => Ok(client.ask::<_, Ids>("/v1/retry", &Ids { ids }).await?.ids),
            Backend::Own(home) => {
                let store = write(home)?;
                let mut queued: Vec<SpecId> = Vec::new();
                for id in ids {
                    if !queued.contains(&id) {
                        queued.extend(store.retry(&id, clock::now())?);
                    }
                }
                Ok(queued)
            }
        }
    }

    pub(super) async fn set_paused(&self, paused: bool) -> Result<(), CliError> {
        match self {
            Backend::Daemon(client) => client.ask::<_, Pause>("/v1/pause", &Pause { paused }).await.map(|_| ())?,
            Backend::Own(home) => write(home)?.set_paused(paused)?,
        }
        Ok(())
    }

    pub(super) async fn cleaned(&self, cleaned: Cleaned) -> Result<(), CliError> {
        match self {
            Backend::Daemon(client) => client.ask::<_, ()>("/v1/cleaned", &cleaned).await?,
            Backend::Own(home) => server::note_cleaned(&write(home)?, &cleaned)?,
        }
        Ok(())
    }

    pub(super) async fn cancel(&self, ids: Vec<SpecId>) -> Result<Vec<CancelResult>, CliError> {
        match self {
            Backend::Daemon(client) => Ok(client.ask("/v1/cancel", &Ids { ids }).await?),
            Backend::Own(home) => {
                home.prepare()?;
                let store = match SqliteStore::open(home.db(), Access::Write(PATIENCE)) {
                    // A full disk keeps nobody from ending a process.
                    Err(error) if error.is_of_database() => {
                        let reason = match &error {
                            StoreError::Open { source, .. } => source.to_string(),
                            other => other.to_string(),
                        };
                        SqliteStore::open_stuck(home.db(), PATIENCE, &reason).map_err(|_| error)?
                    }
                    opened => opened?,
                };
                let store: Arc<dyn Store> = Arc::new(store);
                let mut results = Vec::new();
                for id in ids {
                    let outcome = match store.cancel(&id, clock::now()) {
                        Ok(Canceled::Ending) => {
                            end_left_behind(home, &store, &id).await?;
                            Canceled::Ending
                        }
                        Ok(outcome) => outcome,
                        // The wish cannot be recorded: what runs is ended all the same.
                        Err(error) if error.is_of_database() => match end_left_behind(home, &store, &id).await? {
                            true => Canceled::Ending,
                            false => return Err(error.into()),
                        },
                        Err(error) => return Err(error.into()),
                    };
                    results.push(CancelResult { id, outcome });
                }
                Ok(results)
            }
        }
    }
}

/// Ends what an earlier daemon left running of a spec: its worker is rebuilt here, with the order to cancel. Returns
/// whether there was anything.
async fn end_left_behind(home: &Home, store: &Arc<dyn Store>, id: &SpecId) -> Result<bool, CliError> {
    let view = own_config(home);
    let shared = Arc::new(Shared::new(view, true));
    let mut workers = Workers::new(home.clone(), Arc::clone(store), shared);
    let left = handle::with_store(store, |store| store.running()).await?;
    let mut any = false;
    for claimed in left.into_iter().filter(|claimed| &claimed.fence.spec == id) {
        any = true;
        let (events, mut ends) = mpsc::unbounded_channel();
        // The order's sender lives until the worker has ended.
        let (_orders, order) = watch::channel(Order::Cancel);
        workers.spawn(claimed, order, events).map_err(|reason| CliError::new(super::FAILED, reason))?;
        match ends.recv().await {
            Some(Event::Ended(_, WorkerEnd::Broken(reason))) => {
                return Err(CliError::new(super::FAILED, format!("{id} could not be ended: {reason}")));
            }
            Some(Event::Ended(_, WorkerEnd::Unrecorded(reason))) => {
                return Err(StoreError::canceled_unrecorded(id, reason).into());
            }
            _ => {}
        }
    }
    Ok(any)
}

/// The home with the paths that its configuration sets; with a bad configuration, the usual ones.
pub(super) fn configured(home: &Home) -> Home {
    match reload::load(home) {
        Ok(loaded) => home.clone().with_paths(&loaded.config.paths),
        Err(_) => home.clone(),
    }
}

fn write(home: &Home) -> Result<SqliteStore, CliError> {
    home.prepare()?;
    Ok(SqliteStore::open(home.db(), Access::Write(PATIENCE))?)
}

/// The queue, open for reading; `None` before there is one.
pub(super) fn read(home: &Home) -> Result<Option<SqliteStore>, CliError> {
    match SqliteStore::open(home.db(), Access::Read) {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn own_status(home: &Home, filter: &Filter) -> Result<StatusView, CliError> {
    let max_workers = reload::load(home).map_or(Config::default().max_workers, |loaded| loaded.config.max_workers);
    let config = own_config(home);
    let Some(store) = read(home)? else {
        if let Some(id) = filter.ids.first() {
            return Err(StoreError::Unknown(id.clone()).into());
        }
        let slots = SlotsView { max_workers, running: 0 };
        return Ok(StatusView {
            daemon: None,
            config,
            slots,
            paused: false,
            holds: vec![],
            counts: Counts::default(),
            specs: vec![],
            more: false,
        });
    };
    let running = u32::try_from(store.counts()?.running).unwrap_or(u32::MAX);
    Ok(handle::status(&store, filter, None, config, SlotsView { max_workers, running })?)
}

/// The configuration that a daemon would start with.
fn own_config(home: &Home) -> ConfigView {
    match reload::load(home) {
        Ok(_) => ConfigView::without_daemon(ReloadOutcome::Applied, vec![]),
        Err(error) => ConfigView::without_daemon(ReloadOutcome::Rejected, error.each()),
    }
}
