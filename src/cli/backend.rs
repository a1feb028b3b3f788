//! Who carries out a command: the daemon, or, while none runs, this process on the queue itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::{CliError, GAVE_UP, USAGE};
use crate::config::Config;
use crate::config::flags::Flags;
use crate::control::client::{Client, ClientError};
use crate::control::server;
use crate::control::wire::{Ask, CancelResult, Cleaned, Dispatch, Ids, Pause, RefusalCode, Told};
use crate::daemon::handle::{self, Shared};
use crate::daemon::worker::Workers;
use crate::daemon::{Event, Order, Spawn, WorkerEnd, boot};
use crate::domain::id::SpecId;
use crate::domain::spec::Spec;
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::{ConfigView, Counts, SlotsView, StatusView, StoreView};
use crate::queue::{Access, Canceled, Filter, SqliteStore, Store, StoreError};
use crate::reload;
use crate::system::clock;
use crate::system::paths::Home;

/// How long a command waits for a daemon to listen, for the one after a daemon that went away, or for another command that
/// is writing to the queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// A queue that another process is writing to for longer may be a daemon's, which is looked for then.
const WRITES_WITHIN: Duration = Duration::from_millis(500);

/// How often a daemon that went away is looked for again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often one that has its seat and does not listen is.
const LISTENS_SOON: Duration = Duration::from_millis(5);

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
        Ok(match daemon(home).await? {
            Some(client) => Backend::Daemon(client),
            None => Backend::Own(configured(home)),
        })
    }

    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Backend::Daemon(_))
    }

    /// Asks the daemon, or does it on the queue. Where neither could, such as while one daemon follows another, it is found
    /// out again whose it is.
    async fn carry_out<T>(
        &mut self,
        home: &Home,
        ask: impl AsyncFn(&Client) -> Result<T, CliError>,
        act: impl AsyncFn(&Home) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let done = match self {
                Backend::Daemon(client) => ask(client).await,
                Backend::Own(home) => act(home).await,
            };
            match done {
                Err(error) if error.is_undone() && Instant::now() < until => *self = Backend::find(home).await?,
                done => return done,
            }
        }
    }

    pub(super) async fn status(&self, filter: Filter, newer_than: Option<u64>) -> Result<Told, CliError> {
        let Told { revision, status } = match self {
            Backend::Daemon(client) => client.ask("/v1/status", &Ask { filter, newer_than }).await?,
            Backend::Own(home) => Told { revision: 0, status: own_status(home, &filter)? },
        };
        Ok(Told { revision, status: status.with_ids_in_reasons() })
    }

    /// The state, from whoever has it by now: a daemon that has gone away is looked for again.
    pub(super) async fn status_now(
        &mut self,
        home: &Home,
        filter: &Filter,
        mut newer_than: Option<u64>,
    ) -> Result<Told, CliError> {
        let mut until = None;
        loop {
            match self.status(filter.clone(), newer_than.take()).await {
                Err(error) if error.is_away() && Instant::now() < *until.get_or_insert(Instant::now() + PATIENCE) => {
                    // A socket that a dead daemon left refuses; one that is being given up may accept once more.
                    sleep(LOOK_AGAIN).await;
                    if let Ok(found) = Backend::find(home).await {
                        *self = found;
                    }
                }
                told => return told,
            }
        }
    }

    /// Queues specs, all or none.
    pub(super) async fn dispatch(&mut self, home: &Home, specs: Vec<Spec>) -> Result<Vec<SpecId>, CliError> {
        let asked = Dispatch { specs: specs.clone() };
        let ask = async |client: &Client| match client.ask::<_, Ids>("/v1/dispatch", &asked).await {
            Ok(Ids { ids }) => Ok(ids),
            Err(ClientError::Refused { message, code: RefusalCode::Refused }) => Err(CliError::new(USAGE, message)),
            Err(error) => Err(error.into()),
        };
        self.carry_out(home, ask, async |home| enqueue(&write(home)?, specs.clone())).await
    }

    /// Queues a spec again, and what failed because of it; returns all of them.
    pub(super) async fn retry(&mut self, home: &Home, id: SpecId) -> Result<Vec<SpecId>, CliError> {
        let asked = Ids { ids: vec![id.clone()] };
        let ask = async |client: &Client| Ok(client.ask::<_, Ids>("/v1/retry", &asked).await?.ids);
        self.carry_out(home, ask, async |home| Ok(write(home)?.retry(&id, clock::now())?)).await
    }

    /// Pauses or resumes claiming.
    pub(super) async fn set_paused(&mut self, home: &Home, paused: bool) -> Result<(), CliError> {
        let ask = async |client: &Client| {
            client.ask::<_, Pause>("/v1/pause", &Pause { paused }).await?;
            Ok(())
        };
        self.carry_out(home, ask, async |home| Ok(write(home)?.set_paused(paused)?)).await
    }

    /// Notes what a clean has put away.
    pub(super) async fn cleaned(&mut self, home: &Home, cleaned: &Cleaned) -> Result<(), CliError> {
        let ask = async |client: &Client| Ok(client.ask::<_, ()>("/v1/cleaned", cleaned).await?);
        self.carry_out(home, ask, async |home| Ok(server::note_cleaned(&write(home)?, cleaned)?)).await
    }

    /// Ends a spec, and what runs of it.
    pub(super) async fn cancel(&mut self, home: &Home, id: &SpecId) -> Result<Canceled, CliError> {
        let asked = Ids { ids: vec![id.clone()] };
        let ask = async |client: &Client| {
            let results: Vec<CancelResult> = client.ask("/v1/cancel", &asked).await?;
            let result = results.into_iter().find(|result| &result.id == id);
            result.map(|result| result.outcome).ok_or_else(|| StoreError::Unknown(id.clone()).into())
        };
        self.carry_out(home, ask, async |home| cancel_here(home, id).await).await
    }
}

/// Ends a spec, and what an earlier daemon left running of it.
async fn cancel_here(home: &Home, id: &SpecId) -> Result<Canceled, CliError> {
    home.prepare_records()?;
    let store = match SqliteStore::open_home(home, Access::Write(WRITES_WITHIN)) {
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
    match store.cancel(id, clock::now()) {
        Ok(Canceled::Ending) => {
            end_left_behind(home, &store, id).await?;
            Ok(Canceled::Ending)
        }
        Ok(outcome) => Ok(outcome),
        // The wish cannot be recorded: what runs is ended all the same.
        Err(error) if error.is_of_database() => match end_left_behind(home, &store, id).await? {
            true => Ok(Canceled::Ending),
            false => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// The daemon of a home, if one runs. One that has its seat and does not listen, since it is about to or its socket was
/// removed, is waited for.
pub(super) async fn daemon(home: &Home) -> Result<Option<Client>, CliError> {
    let (until, pid_file) = (Instant::now() + PATIENCE, home.pid_file());
    loop {
        if let Some(client) = Client::connect(&home.socket()).await? {
            return Ok(Some(client));
        }
        if !boot::seat_is_taken(&pid_file)? {
            return Ok(None);
        }
        if Instant::now() >= until {
            let pid = boot::pid_in(&pid_file).map(|pid| pid.to_string());
            let who = pid.as_ref().map_or("a daemon".to_owned(), |pid| format!("the daemon (pid {pid})"));
            let message =
                format!("{who} has {}, and does not listen at {}", home.root().display(), home.socket().display());
            return Err(CliError::new(GAVE_UP, message).hint(format!(
                "if it has only begun, its log says what it does; `kill -TERM {}` ends it and leaves what runs, which \
                 `boi daemon start` takes over then",
                pid.as_deref().unwrap_or("PID")
            )));
        }
        sleep(LISTENS_SOON).await;
    }
}

/// Queues specs. What the queue refuses about a spec is the spec's fault.
pub(super) fn enqueue(store: &dyn Store, specs: Vec<Spec>) -> Result<Vec<SpecId>, CliError> {
    store.enqueue(specs, clock::now()).map_err(|error| match error {
        StoreError::Refused(message) => CliError::new(USAGE, message),
        error => error.into(),
    })
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
    match reload::load(home, &Flags::default()) {
        Ok(loaded) => home.clone().with_paths(&loaded.config.paths),
        Err(_) => home.clone(),
    }
}

fn write(home: &Home) -> Result<SqliteStore, CliError> {
    home.prepare_records()?;
    Ok(SqliteStore::open_home(home, Access::Write(WRITES_WITHIN))?)
}

/// The queue, open for reading; `None` before there is one.
pub(super) fn read(home: &Home) -> Result<Option<SqliteStore>, CliError> {
    match SqliteStore::open_home(home, Access::Read) {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn own_status(home: &Home, filter: &Filter) -> Result<StatusView, CliError> {
    let max_workers =
        reload::load(home, &Flags::default()).map_or(Config::default().max_workers, |loaded| loaded.config.max_workers);
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
            store: StoreView::default(),
        });
    };
    let running = u32::try_from(store.counts()?.running).unwrap_or(u32::MAX);
    Ok(handle::status(&store, filter, None, config, SlotsView { max_workers, running })?)
}

/// The configuration that a daemon would start with.
fn own_config(home: &Home) -> ConfigView {
    match reload::load(home, &Flags::default()) {
        Ok(_) => ConfigView::without_daemon(ReloadOutcome::Applied, vec![]),
        Err(error) => ConfigView::without_daemon(ReloadOutcome::Rejected, error.each()),
    }
}
