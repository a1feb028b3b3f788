//! The steps by which a worker gets the supervisor of its command: it starts one, or finds the one that an
//! earlier worker started. `decide::recover` decides what to do with a command that an earlier worker started.

use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::agent_watch::AgentWatch;
use super::spawning::{StartedNew, spawn, start_new};
use super::supervise::{Job, Ran, blocking, detached, restore};
use super::sweep::{SWEEP_EVERY, sweep};
use crate::daemon::Order;
use crate::decide::recover::{self, Evidence, Recovery};
use crate::domain::command::{CommandEnd, EndCause};
use crate::process::command_dir::CommandLock;
use crate::process::supervisor_process::{self, SpawnError, Supervisor};
use crate::system::{clock, failpoint};

/// The pause between two inspections of a command whose supervisor holds the lock and has not written the
/// record `started` yet.
pub(super) const INSPECT_AGAIN: Duration = Duration::from_millis(20);
/// After this many inspections, the worker searches for the supervisor by the command's marker, because the
/// record `started` may have been deleted.
const INSPECTIONS_BEFORE_MARKER: u32 = 50;
/// After this many supervisors ended without executing the command, the spec is given back to the queue.
pub(super) const STARTS: u32 = 3;

/// What a worker knows about the execution of its command.
pub(super) struct Execution<'a> {
    job: &'a Job,
    /// The watch over the command, if it is an agent.
    pub(super) agent_watch: Option<AgentWatch>,
    /// Whether the machine was restarted since the command was recorded.
    other_boot: bool,
    /// Whether a supervisor may be running the command.
    pub(super) begun: bool,
    /// Whether files of the running command were deleted.
    pub(super) removed: bool,
    /// How many supervisors this worker has started.
    starts: u32,
    inspections: u32,
}

/// What a step found.
pub(super) enum Found {
    /// The supervisor of the command. The worker waits for its end.
    Supervisor(Supervisor),
    /// The end of the command. Its lock is held until the end is handled.
    End(CommandEnd, Option<CommandLock>),
    /// The result of the command, which needs no further step.
    Result(Ran),
    /// Nothing. The command has to be inspected again.
    Nothing,
}

/// What an inspection of a command's folder found.
struct Inspection {
    evidence: Evidence,
    /// The lock of the command, if no supervisor holds it.
    lock: Option<CommandLock>,
    /// The supervisor that holds the lock, if its record can be read.
    adopted: Option<Supervisor>,
}

impl<'a> Execution<'a> {
    pub(super) fn new(job: &'a Job, agent_watch: Option<AgentWatch>) -> Execution<'a> {
        let other_boot = job.command.boot != clock::boot_id();
        Execution { job, agent_watch, other_boot, begun: job.begun, removed: false, starts: 0, inspections: 0 }
    }

    /// Starts a command that no earlier worker has recorded, or finds the supervisor of any other command.
    pub(super) async fn start_or_find(&mut self, orders: &mut watch::Receiver<Order>) -> io::Result<Found> {
        if self.begun {
            return self.find(orders).await;
        }
        let may_start = *orders.borrow() == Order::Work;
        match start_new(self.job, may_start).await? {
            StartedNew::Yes(supervisor) => {
                self.note_start();
                self.starts = 1;
                Ok(Found::Supervisor(supervisor))
            }
            StartedNew::No(error) => Ok(self.not_spawned(error)),
            StartedNew::NotNow => Ok(Found::Nothing),
        }
    }

    /// Inspects the command, and carries out what `decide::recover` decides.
    pub(super) async fn find(&mut self, orders: &mut watch::Receiver<Order>) -> io::Result<Found> {
        let Inspection { mut evidence, lock, adopted } = inspect(self.job, self.other_boot).await?;
        if self.begun && !evidence.lock_held && evidence.exit.is_none() {
            let runner = find_runner(self.job).await?;
            self.removed |= !matches!(runner, Runner::Nobody);
            if let Runner::Supervisor(supervisor) = runner {
                return Ok(Found::Supervisor(supervisor));
            }
            // If no supervisor was found, it may have recorded the command's end and ended meanwhile.
            let (dir, other_boot) = (self.job.dir.clone(), self.other_boot);
            evidence = blocking(move || Ok(dir.read_evidence(other_boot)?)).await?;
        }
        let recovery = recover::recovery(Evidence { removed: self.removed, ..evidence });
        match (recovery, lock) {
            (Recovery::Record(end), lock) => Ok(recorded(end, lock)),
            (Recovery::Lost, lock) => Ok(Found::End(lost(), lock)),
            (Recovery::SweepThenLost, lock) => end_remains(self.job, lock, orders).await,
            (Recovery::Spawn, Some(lock)) => self.spawn_again(lock, orders).await,
            (Recovery::Adopt | Recovery::Spawn, _) => self.adopt(adopted, orders).await,
        }
    }

    /// Starts a supervisor for a command that was recorded and not executed, if the order allows it.
    async fn spawn_again(&mut self, lock: CommandLock, orders: &watch::Receiver<Order>) -> io::Result<Found> {
        // A supervisor that died before it executed anything may have left a cgroup.
        remove_cgroup(self.job).await?;
        match *orders.borrow() {
            Order::Work => {}
            Order::Detach => return Ok(Found::Result(Ran::Detached)),
            // The command was not executed, and will not be executed.
            Order::Cancel | Order::Stop => {
                return Ok(Found::Result(Ran::Ended(ended_unexecuted(), Box::default())));
            }
        }
        self.starts += 1;
        if self.starts > STARTS {
            let dir = self.job.dir.clone();
            let message = blocking(move || Ok(dir.last_supervisor_message())).await?;
            let message = message.map(|message| format!(": {message}")).unwrap_or_default();
            let why = format!("its supervisor ended {STARTS} times without executing anything{message}");
            return Ok(Found::Result(Ran::NotStarted(io::Error::other(why))));
        }
        match spawn(self.job, lock).await {
            Ok(supervisor) => {
                self.note_start();
                Ok(Found::Supervisor(supervisor))
            }
            Err(error) => Ok(self.not_spawned(error)),
        }
    }

    /// Takes the supervisor that holds the lock. If it is unknown, waits a moment for its record, and
    /// searches for it by the command's marker from time to time.
    async fn adopt(&mut self, adopted: Option<Supervisor>, orders: &mut watch::Receiver<Order>) -> io::Result<Found> {
        if let Some(supervisor) = adopted {
            return Ok(Found::Supervisor(supervisor));
        }
        self.inspections += 1;
        if self.inspections.is_multiple_of(INSPECTIONS_BEFORE_MARKER)
            && let Runner::Supervisor(supervisor) = find_runner(self.job).await?
        {
            self.removed = true;
            return Ok(Found::Supervisor(supervisor));
        }
        match wait_for_record(self.job, orders).await? {
            Some(()) => Ok(Found::Nothing),
            None => Ok(Found::Result(Ran::Detached)),
        }
    }

    fn not_spawned(&mut self, error: SpawnError) -> Found {
        match error {
            SpawnError::NotStarted(error) => Found::Result(Ran::NotStarted(error)),
            // The lock shows whether a supervisor was started.
            SpawnError::Unanswered => {
                self.begun = true;
                Found::Nothing
            }
        }
    }

    /// Tells the watch of an agent that its supervisor was started.
    fn note_start(&mut self) {
        failpoint::hit("command.spawned");
        if let Some(agent_watch) = &mut self.agent_watch {
            agent_watch.started(self.job);
        }
    }
}

async fn inspect(job: &Job, other_boot: bool) -> io::Result<Inspection> {
    let dir = job.dir.clone();
    let inspect = move || {
        let (evidence, lock) = dir.inspect(other_boot)?;
        // The supervisor that holds the lock is opened in the same blocking call, because a new daemon adopts
        // many commands at once.
        let adopted = if evidence.lock_held { Supervisor::adopt(&dir)? } else { None };
        Ok(Inspection { evidence, lock, adopted })
    };
    blocking(inspect).await
}

/// Ends the remaining processes of a command whose supervisor died.
async fn end_remains(job: &Job, lock: Option<CommandLock>, orders: &mut watch::Receiver<Order>) -> io::Result<Found> {
    warn!(folder = %job.dir.path().display(), "the supervisor died; boi ends the remaining processes of its command");
    tokio::select! {
        swept = sweep_remaining(job) => swept?,
        // Cancel-safe: the next daemon finds the remaining processes, and ends them.
        () = detached(orders) => return Ok(Found::Result(Ran::Detached)),
    }
    failpoint::hit("loss.seen");
    drop(lock);
    Ok(Found::End(lost(), None))
}

/// Returns what follows the recorded end of a command.
fn recorded(end: CommandEnd, lock: Option<CommandLock>) -> Found {
    failpoint::hit("exit.seen");
    match end.cause {
        EndCause::NotExecutedYet(why) => Found::Result(Ran::NotStarted(io::Error::other(why))),
        _ => Found::End(end, lock),
    }
}

/// The result of a search for a command's processes by its marker. The search is made when the command's
/// records may have been deleted.
pub(super) enum Runner {
    Nobody,
    Supervisor(Supervisor),
    /// The supervisor is gone; processes of the command remain.
    Remains,
}

pub(super) async fn find_runner(job: &Job) -> io::Result<Runner> {
    let marker = job.command.marker.clone();
    let find = move || {
        let supervisor = supervisor_process::find_supervisor(&marker);
        let has_processes = supervisor.is_some() || supervisor_process::has_processes(&marker);
        Ok((supervisor, has_processes))
    };
    let (supervisor, has_processes) = blocking(find).await?;
    if !has_processes {
        return Ok(Runner::Nobody);
    }
    restore(job, &job.command.marker).await?;
    if let Some(identity) = supervisor
        && let Some(supervisor) = Supervisor::open(&identity, Some(job.command.marker.clone()))?
    {
        warn!(
            dir = %job.dir.path().display(), supervisor = identity.pid,
            "files of a running command were deleted: the command continues, and boi waits for its end",
        );
        return Ok(Runner::Supervisor(supervisor));
    }
    Ok(Runner::Remains)
}

/// Waits a moment for a supervisor that has not written the record `started`. Returns `None` if the daemon
/// detaches. The supervisor's pid is unknown, but the supervisor and its descendants carry the command's
/// marker, so an order to cancel or stop can still end them.
async fn wait_for_record(job: &Job, orders: &mut watch::Receiver<Order>) -> io::Result<Option<()>> {
    let order = *orders.borrow_and_update();
    let wait = match order {
        Order::Work => INSPECT_AGAIN,
        Order::Detach => return Ok(None),
        Order::Cancel | Order::Stop => {
            tokio::select! {
                swept = sweep_remaining(job) => swept?,
                // Cancel-safe: the next daemon reads the request to cancel or stop from the queue.
                () = detached(orders) => return Ok(None),
            }
            SWEEP_EVERY
        }
    };
    tokio::select! {
        // Cancel-safe: the order stays in the channel.
        changed = orders.changed() => Ok(changed.ok()),
        () = tokio::time::sleep(wait) => Ok(Some(())),
    }
}

/// Ends the remaining processes of a command whose supervisor died.
async fn sweep_remaining(job: &Job) -> io::Result<()> {
    let list = || {
        let dir = job.dir.clone();
        blocking(move || Ok(dir.remaining_processes()?))
    };
    let signal = |signal| {
        let dir = job.dir.clone();
        blocking(move || Ok(dir.signal_remaining(signal)?))
    };
    sweep(list, signal, Duration::from_millis(job.request.grace_millis)).await?;
    remove_cgroup(job).await
}

/// Removes the cgroup of a command. If that fails, this is only logged, because an empty cgroup does no harm.
async fn remove_cgroup(job: &Job) -> io::Result<()> {
    let dir = job.dir.clone();
    if let Err(error) = blocking(move || Ok(dir.remove_cgroup())).await? {
        warn!(folder = %job.dir.path().display(), %error, "cannot remove the cgroup of a command that has ended");
    }
    Ok(())
}

fn lost() -> CommandEnd {
    CommandEnd::new(EndCause::Lost, None, clock::now())
}

fn ended_unexecuted() -> CommandEnd {
    CommandEnd::new(EndCause::Terminated, None, clock::now())
}
