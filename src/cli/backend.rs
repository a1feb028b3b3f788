//! Carries out commands: through the daemon, or, while no daemon runs, directly on the queue.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::patience::{GIVE_UP, bounded};
use super::running_daemon::{ends_within, name_as_seen_here};
use super::{CliError, FAILED, GAVE_UP, USAGE, version_skew};
use crate::config::Config;
use crate::config::flags::Flags;
use crate::control::calls::{
    Call, Cancel, Dispatch, Dispatched, FailureCode, HoldAgent, Land, Outlook, ResumeAgents, ResumedAgents, Retry,
    SetPaused, SetPriority, SettleChanges, StatusRequest, StatusResponse, Stop,
};
use crate::control::client::{Client, ClientError};
use crate::daemon::async_queue::AsyncQueue;
use crate::daemon::error::CallError;
use crate::daemon::lifecycle::seat;
use crate::daemon::shared::Shared;
use crate::daemon::worker::Workers;
use crate::daemon::{Event, Order, Spawn, WorkerEnd, handle, merged_by_user, status};
use crate::decide::hold;
use crate::domain::id::SpecId;
use crate::domain::money::Usd;
use crate::domain::spec::Spec;
use crate::domain::time::Timestamp;
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::{ConfigView, SlotsView, StatusView};
use crate::process::procfs;
use crate::queue::sqlite::{Access, OpenError};
use crate::queue::unlanded::Look;
use crate::queue::{Canceled, Cleaned, Filter, Queue, QueueError, Stopped, open};
use crate::reload;
use crate::system::clock;
use crate::system::paths::Home;

/// How long a command waits for a daemon that is about to listen, for the next daemon after one that ended,
/// or for another command that writes to the queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a command that found no daemon waits for another process that writes to the queue. After that
/// time, the command checks again whether a daemon runs, because that process may be a daemon.
const WRITER_PATIENCE: Duration = Duration::from_millis(500);

/// How long a command waits for the daemon's answer to a change. If the queue does not answer, the daemon
/// gives up earlier and answers with an error.
const ANSWERS_WITHIN: Duration = Duration::from_secs(GIVE_UP.as_secs() + 5);

/// The revision that a command passes which has learnt of a change from events: the daemon then answers at
/// once, and does not look again for branches that the user merged.
pub(super) const KNOWN: Option<u64> = Some(0);

/// The interval at which a command checks whether the next daemon listens, after a daemon ended.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long a command without a daemon looks for branches that the user merged by hand, and at how many specs at a time.
const LOOK_FOR: Duration = Duration::from_secs(3);
const LOOK_AT_ONCE: usize = 10;
/// The interval at which a command checks whether a daemon that holds the seat (the lock of the pid file)
/// listens.
const LISTEN_POLL: Duration = Duration::from_millis(5);
/// The version that is assumed for a daemon whose answers contain no version.
const UNNAMED_VERSION: &str = "0.1.0";

/// The process that carries out a command.
pub(super) enum Backend {
    /// The running daemon, which this client calls.
    Daemon(Client),
    /// This process, which opens the queue of this home itself.
    Own(Home),
}

impl Backend {
    /// Returns the daemon if one runs, else this process.
    pub(super) async fn find(home: &Home) -> Result<Backend, CliError> {
        Ok(match daemon(home).await? {
            Some(client) => Backend::Daemon(client),
            None => Backend::Own(configured(home)),
        })
    }

    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Backend::Daemon(_))
    }

    /// Runs `call` with the daemon, or `act` with the home. If that failed and changed nothing, for example
    /// because one daemon is just replacing another, finds the backend again and retries for up to
    /// [`PATIENCE`]. `what` says in messages what the command waits for; `None`: `call` itself bounds the
    /// wait.
    pub(super) async fn carry_out<T>(
        &mut self,
        home: &Home,
        what: Option<&str>,
        call: impl AsyncFn(&Client) -> Result<T, CliError>,
        act: impl AsyncFn(&Home) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let done = match self {
                Backend::Daemon(client) => match what {
                    Some(what) => bounded(what, ANSWERS_WITHIN, call(client)).await?,
                    None => call(client).await,
                },
                Backend::Own(home) => act(home).await,
            };
            match done {
                Err(error) if error.is_undone() && Instant::now() < until => *self = Backend::find(home).await?,
                done => return done,
            }
        }
    }

    /// Returns the status. With `newer_than`, the daemon answers when its status is newer than this revision,
    /// or after a bounded time.
    pub(super) async fn status(&self, filter: Filter, newer_than: Option<u64>) -> Result<StatusResponse, CliError> {
        match self {
            Backend::Daemon(client) => {
                let (mut told, peer) = client.call_with_peer(&StatusRequest { filter, newer_than }).await?;
                if let Some(daemon) = &mut told.status.daemon {
                    name_as_seen_here(daemon, &peer);
                }
                Ok(told)
            }
            Backend::Own(home) => Ok(StatusResponse { revision: 0, status: own_status(home, &filter)? }),
        }
    }

    /// Returns the status. If the daemon has ended, finds the backend again: the next daemon, or this
    /// process.
    pub(super) async fn status_now(
        &mut self,
        home: &Home,
        filter: &Filter,
        mut newer_than: Option<u64>,
    ) -> Result<StatusResponse, CliError> {
        let mut until = None;
        loop {
            match self.status(filter.clone(), newer_than.take()).await {
                Err(error) if error.is_away() && Instant::now() < *until.get_or_insert(Instant::now() + PATIENCE) => {
                    // The socket of a dead daemon refuses connections, but a socket that is being closed may
                    // still accept one.
                    sleep(LOOK_AGAIN).await;
                    if let Ok(found) = Backend::find(home).await {
                        *self = found;
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Queues all of the specs, or on an error none of them.
    pub(super) async fn dispatch(&mut self, home: &Home, specs: Vec<Spec>) -> Result<Dispatched, CliError> {
        let request = Dispatch { specs: specs.clone() };
        let by_daemon = async |client: &Client| match call(client, &request).await {
            Ok(mut dispatched) => {
                let daemon = dispatched.outlook.as_mut().and_then(|outlook| outlook.daemon.as_mut());
                if let (Some(daemon), Some(pid)) = (daemon, client.pid().and_then(|pid| u32::try_from(pid).ok())) {
                    daemon.pid = pid;
                }
                Ok(dispatched)
            }
            Err(ClientError::Refused { message, code: FailureCode::Refused }) => Err(CliError::new(USAGE, message)),
            Err(error) => Err(error.into()),
        };
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| {
            let queue = write(home)?;
            let twins = handle::twins(queue.as_ref(), &specs);
            let ids = enqueue(queue.as_ref(), specs.clone())?;
            let outlook = Outlook { daemon: None, paused: false, holds: Vec::new() };
            Ok(Dispatched { ids, twins, outlook: Some(outlook) })
        })
        .await
    }

    /// Queues a spec again, and also the specs that failed because they waited for it; returns the ids of all
    /// of them.
    pub(super) async fn retry(
        &mut self,
        home: &Home,
        id: SpecId,
        max_usd: Option<Usd>,
    ) -> Result<Vec<SpecId>, CliError> {
        let request = Retry { ids: vec![id.clone()], max_usd };
        let by_daemon = async |client: &Client| Ok(call(client, &request).await?.ids);
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| {
            Ok(write(home)?.retry(&id, max_usd, clock::now())?)
        })
        .await
    }

    /// Puts a spec into the landing queue of its base.
    pub(super) async fn land(&mut self, home: &Home, id: &SpecId, force: bool) -> Result<(), CliError> {
        let request = Land { ids: vec![id.clone()], force };
        let by_daemon = async |client: &Client| {
            call(client, &request).await?;
            Ok(())
        };
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| {
            Ok(write(home)?.request_landing(id, force, clock::now())?)
        })
        .await
    }

    /// Pauses or resumes the claiming of specs.
    pub(super) async fn set_paused(&mut self, home: &Home, paused: bool) -> Result<(), CliError> {
        let by_daemon = async |client: &Client| {
            call(client, &SetPaused { paused }).await?;
            Ok(())
        };
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| Ok(write(home)?.set_paused(paused)?))
            .await
    }

    /// Holds an agent for the user, until `until` or until the user resumes the agent.
    pub(super) async fn hold_agent(
        &mut self,
        home: &Home,
        agent: &str,
        until: Option<Timestamp>,
    ) -> Result<(), CliError> {
        let request = HoldAgent { agent: agent.to_owned(), until };
        let by_daemon = async |client: &Client| {
            call(client, &request).await?;
            Ok(())
        };
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| {
            Ok(write(home)?.set_hold(agent, Some(hold::by_hand(clock::now(), until)), clock::now())?)
        })
        .await
    }

    /// Lets one run of each held agent start as a probe. With `agent`, does so for that agent only, and ends
    /// a hold that the user made.
    pub(super) async fn resume_agents(&mut self, home: &Home, agent: Option<&str>) -> Result<ResumedAgents, CliError> {
        let request = ResumeAgents { agent: agent.map(str::to_owned) };
        let by_daemon = async |client: &Client| Ok(call(client, &request).await?);
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| {
            let (queue, mut resumed) = (write(home)?, ResumedAgents::default());
            for (lane, held) in queue.holds()?.into_iter().filter(|(lane, _)| agent.is_none_or(|agent| agent == lane)) {
                let next = hold::resumed(held.clone(), agent.is_some(), clock::now());
                if next.as_ref() != Some(&held) {
                    queue.set_hold(&lane, next.clone(), clock::now())?;
                    if next.is_some() { resumed.probed.push(lane) } else { resumed.opened.push(lane) }
                }
            }
            Ok(resumed)
        })
        .await
    }

    /// Records in the queue what `boi clean` removed.
    pub(super) async fn cleaned(&mut self, home: &Home, cleaned: &Cleaned) -> Result<(), CliError> {
        let by_daemon = async |client: &Client| Ok(call(client, cleaned).await?);
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| {
            Ok(write(home)?.record_cleaned(cleaned, clock::now())?)
        })
        .await
    }

    /// Stops a spec: ends its processes, and blocks it until it is retried.
    pub(super) async fn stop(&mut self, home: &Home, id: &SpecId) -> Result<Stopped, CliError> {
        let request = Stop { ids: vec![id.clone()] };
        let by_daemon = async |client: &Client| {
            let results = call(client, &request).await?;
            let result = results.into_iter().find(|result| &result.id == id);
            result.map(|result| result.outcome).ok_or_else(|| QueueError::NotFound(id.clone()).into())
        };
        let here = async |home: &Home| {
            let queue = write(home)?;
            // A stopped spec must be able to continue later, but a quarantined spec can only be canceled.
            if queue.running()?.quarantined.iter().any(|found| &found.fence.spec == id) {
                return Err(cannot_stop_quarantined(id));
            }
            let stopped = queue.stop(id, clock::now())?;
            if stopped == Stopped::Ending {
                end_left_behind(home, queue, id, Order::Stop).await?;
            }
            Ok(stopped)
        };
        self.carry_out(home, Some("the daemon's answer"), by_daemon, here).await
    }

    /// Sets the priority of a queued spec.
    pub(super) async fn set_priority(&mut self, home: &Home, id: &SpecId, priority: i64) -> Result<(), CliError> {
        let request = SetPriority { id: id.clone(), priority };
        let by_daemon = async |client: &Client| {
            call(client, &request).await?;
            Ok(())
        };
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| {
            Ok(write(home)?.set_priority(id, priority)?)
        })
        .await
    }

    /// Records in the queue that these changes of repositories are settled.
    pub(super) async fn settle_changes(&mut self, home: &Home, numbers: Vec<i64>) -> Result<(), CliError> {
        let request = SettleChanges { numbers: numbers.clone() };
        let by_daemon = async |client: &Client| Ok(call(client, &request).await?);
        self.carry_out(home, Some("the daemon's answer"), by_daemon, async |home| {
            Ok(write(home)?.settle_changes(numbers.clone())?)
        })
        .await
    }

    /// Cancels a spec and ends its processes.
    pub(super) async fn cancel(&mut self, home: &Home, id: &SpecId) -> Result<Canceled, CliError> {
        let request = Cancel { ids: vec![id.clone()] };
        let by_daemon = async |client: &Client| {
            // If the queue cannot record the cancel, the daemon answers when the processes have ended.
            let within = ends_within(client).await;
            let results = bounded(format!("the end of {id}"), within, call(client, &request)).await??;
            let result = results.into_iter().find(|result| &result.id == id);
            result.map(|result| result.outcome).ok_or_else(|| QueueError::NotFound(id.clone()).into())
        };
        self.carry_out(home, None, by_daemon, async |home| cancel_here(home, id).await).await
    }
}

/// Calls the daemon, and warns if its version differs from that of this command.
pub(super) async fn call<C: Call>(client: &Client, request: &C) -> Result<C::Answer, ClientError> {
    let answer = client.call(request).await?;
    if let Some(pid) = client.pid().and_then(|pid| u32::try_from(pid).ok()) {
        version_skew::warn(client.daemon_version().unwrap_or(UNNAMED_VERSION), pid);
    }
    Ok(answer)
}

/// Cancels a spec while no daemon runs, and ends the spec's processes that an earlier daemon left running.
async fn cancel_here(home: &Home, id: &SpecId) -> Result<Canceled, CliError> {
    home.prepare_records()?;
    home.check_identity()?;
    let queue = match open::open(home, Access::Write(WRITER_PATIENCE)) {
        // A full disk must not keep the user from ending a process.
        Err(error) if error.is_outage() => {
            let reason = match &error {
                OpenError::Failed { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            open::open_stuck(home, PATIENCE, &reason).map_err(|_| error)?
        }
        opened => opened?,
    };
    match queue.cancel(id, clock::now()) {
        Ok(Canceled::Ending) => {
            end_left_behind(home, queue, id, Order::Cancel).await?;
            Ok(Canceled::Ending)
        }
        Ok(outcome) => Ok(outcome),
        // The cancel cannot be recorded in the queue, but the processes are ended anyway.
        Err(error) if error.is_outage() => match end_left_behind(home, queue, id, Order::Cancel).await? {
            true => Ok(Canceled::Ending),
            false => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// Returns the daemon of a home, if one runs. If a daemon holds the seat (the lock of the pid file) but does
/// not listen, waits until it listens: it may be starting, or its socket was removed.
pub(super) async fn daemon(home: &Home) -> Result<Option<Client>, CliError> {
    let (until, pid_file) = (Instant::now() + PATIENCE, home.pid_file());
    loop {
        if let Some(client) = Client::connect(&home.socket()).await? {
            return Ok(Some(client));
        }
        if !seat::seat_is_taken(&pid_file)? {
            return Ok(None);
        }
        if Instant::now() >= until {
            // The pid of a daemon in another PID namespace means another process here.
            let pid =
                seat::pid_in(&pid_file).filter(|pid| procfs::has_open(*pid, &pid_file)).map(|pid| pid.to_string());
            let who = pid.as_ref().map_or("a daemon".to_owned(), |pid| format!("the daemon (pid {pid})"));
            let message =
                format!("{who} runs in {}, but does not listen at {}", home.root().display(), home.socket().display());
            return Err(CliError::new(GAVE_UP, message).hint(format!(
                "if the daemon has just started, its log says what it is doing; `kill -TERM {}` ends the daemon and \
                 leaves its workers running, and then `boi daemon start` takes them over",
                pid.as_deref().unwrap_or("PID")
            )));
        }
        sleep(LISTEN_POLL).await;
    }
}

/// Queues specs. If the queue refuses them, the error says that a spec is invalid (exit code [`USAGE`]).
pub(super) fn enqueue(queue: &dyn Queue, specs: Vec<Spec>) -> Result<Vec<SpecId>, CliError> {
    let taken = handle::taken_ids(&specs);
    queue.enqueue(specs, taken, clock::now()).map_err(|error| match error {
        QueueError::Refused(refusal) => CliError::new(USAGE, refusal.to_string()),
        error => error.into(),
    })
}

/// The error of `boi stop` for a spec with a record that this version cannot read.
pub(super) fn cannot_stop_quarantined(id: &SpecId) -> CliError {
    CliError::new(FAILED, format!("{id} cannot be stopped, because it is quarantined"))
        .hint(format!("`boi cancel {id}` ends it for good; `boi status {id}` says which record cannot be read"))
}

/// Ends the processes of a spec that an earlier daemon left running: starts a worker for the spec and gives
/// it `order` (cancel or stop). Returns `false` if the spec is not recorded as running. Fails for a
/// quarantined spec that is to be stopped.
async fn end_left_behind(home: &Home, queue: Arc<dyn Queue>, id: &SpecId, order: Order) -> Result<bool, CliError> {
    let shared = Arc::new(Shared::new(own_config(home), true));
    let queue = AsyncQueue::new(queue);
    let mut workers = Workers::new(home.clone(), queue.clone(), shared);
    let running = queue.call(|queue| queue.running()).await?;
    let (events, mut ends) = mpsc::unbounded_channel();
    // `_orders` keeps the channel open until the worker has ended.
    let (_orders, received) = watch::channel(order);
    if let Some(claimed) = running.claimed.into_iter().find(|claimed| &claimed.fence.spec == id) {
        workers.spawn(claimed, received.clone(), events.clone());
    } else if let Some(found) = running.quarantined.into_iter().find(|found| &found.fence.spec == id) {
        if order == Order::Stop {
            return Err(cannot_stop_quarantined(id));
        }
        workers.end_quarantined(found.fence, received.clone(), events.clone());
    } else {
        return Ok(false);
    }
    let what = format!("the end of the processes of {id}");
    let within = GIVE_UP + stop_grace(home);
    let mut end = bounded(&what, within, ends.recv()).await?;
    if let Some(Event::Ended(fence, WorkerEnd::Quarantined(_))) = end {
        if order == Order::Stop {
            return Err(cannot_stop_quarantined(id));
        }
        // The worker found a record that it cannot read, so the spec's processes are ended without that
        // record.
        workers.end_quarantined(fence, received, events);
        end = bounded(&what, within, ends.recv()).await?;
    }
    match end {
        Some(Event::Ended(_, WorkerEnd::Unrecorded(reason))) if order == Order::Stop => {
            let message =
                format!("the processes of {id} have ended, but the queue could not record the stop: {reason}");
            Err(CliError::new(FAILED, message).hint(format!("run `boi stop {id}` again when the queue can be written")))
        }
        Some(Event::Ended(_, WorkerEnd::Unrecorded(reason))) => {
            Err(CallError::CanceledUnrecorded { spec: id.clone(), reason }.into())
        }
        Some(Event::Ended(
            _,
            WorkerEnd::Failed(reason) | WorkerEnd::NotStarted(reason) | WorkerEnd::Quarantined(reason),
        )) => Err(CliError::new(FAILED, format!("cannot end the processes of {id}: {reason}"))),
        _ => Ok(true),
    }
}

/// Returns the home with the paths that its configuration sets; if the configuration is invalid, with the
/// default paths.
pub(super) fn configured(home: &Home) -> Home {
    match reload::load(home, &Flags::default()) {
        Ok(loaded) => home.clone().with_paths(&loaded.config.paths),
        Err(_) => home.clone(),
    }
}

/// Returns the time between SIGTERM and SIGKILL from the configuration of this home.
fn stop_grace(home: &Home) -> Duration {
    let seconds = reload::load(home, &Flags::default())
        .map_or(Config::default().stop_grace_seconds, |loaded| loaded.config.stop_grace_seconds);
    Duration::from_secs(seconds.into())
}

pub(super) fn write(home: &Home) -> Result<Arc<dyn Queue>, CliError> {
    home.prepare_records()?;
    home.record_identity()?;
    Ok(open::open(home, Access::Write(WRITER_PATIENCE))?)
}

/// Opens the queue for reading; returns `None` if the queue does not exist yet.
pub(super) fn read(home: &Home) -> Result<Option<Arc<dyn Queue>>, CliError> {
    match open::open(home, Access::Read) {
        Ok(queue) => Ok(Some(queue)),
        Err(OpenError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The queue of a home, for reading. It is opened at its first use, because most specs can be checked without it.
pub(super) struct LazyQueue {
    home: Home,
    queue: OnceCell<Option<Arc<dyn Queue>>>,
}

impl LazyQueue {
    /// Returns the queue of a home as its configuration names it. Opens nothing.
    pub(super) fn of(home: &Home) -> LazyQueue {
        LazyQueue { home: home.clone(), queue: OnceCell::new() }
    }

    /// Returns a queue that is open already.
    pub(super) fn open(home: &Home, queue: Arc<dyn Queue>) -> LazyQueue {
        LazyQueue { home: home.clone(), queue: OnceCell::from(Some(queue)) }
    }

    /// Returns the queue; `None`: it does not exist yet.
    pub(super) fn get(&self) -> Result<Option<&dyn Queue>, CliError> {
        if self.queue.get().is_none() {
            let opened = read(&configured(&self.home))?;
            // It was empty just before.
            drop(self.queue.set(opened));
        }
        Ok(self.queue.get().and_then(|queue| queue.as_deref()))
    }
}

pub(super) fn own_status(home: &Home, filter: &Filter) -> Result<StatusView, CliError> {
    let on_disk = reload::load(home, &Flags::default()).map_or_else(|_| Config::default(), |loaded| loaded.config);
    let max_workers = on_disk.max_workers;
    let config = own_config(home);
    let Some(queue) = read(home)? else {
        if let Some(id) = filter.ids.first() {
            return Err(QueueError::NotFound(id.clone()).into());
        }
        return Ok(status::empty(None, config, SlotsView { max_workers, running: 0 }));
    };
    if !filter.ids.is_empty() {
        record_merges_by_hand(home, queue.as_ref(), &filter.ids);
    }
    let mut status = status::without_daemon(queue.as_ref(), filter, config, max_workers)?;
    status.spending.max_usd_per_day = Some(on_disk.max_usd_per_day).filter(|limit| *limit > Usd::ZERO);
    status.store.wal_bytes = open::log_size(home.db());
    Ok(status)
}

/// Records which of these specs the user merged by hand. Ignores a failure, because the daemon checks again
/// later.
fn record_merges_by_hand(home: &Home, queue: &dyn Queue, specs: &[SpecId]) {
    let until = Instant::now() + LOOK_FOR;
    let has_time = |_: &&[SpecId]| Instant::now() < until;
    let looks = specs.chunks(LOOK_AT_ONCE).take_while(has_time);
    let looks: Vec<Look> = looks.flat_map(|specs| merged_by_user::look(queue, specs).unwrap_or_default()).collect();
    if !looks.is_empty()
        && let Ok(queue) = write(home)
    {
        drop(queue.record_looks(looks, clock::now()));
    }
}

/// Returns the state of the configuration that a daemon would start with.
fn own_config(home: &Home) -> ConfigView {
    match reload::load(home, &Flags::default()) {
        Ok(_) => ConfigView::without_daemon(ReloadOutcome::Applied, vec![]),
        Err(error) => ConfigView::without_daemon(ReloadOutcome::Rejected, error.lines()),
    }
}
