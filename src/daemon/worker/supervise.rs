//! Runs one command of a worker under its supervisor: starts it or finds it again, waits for its end, and
//! ends it on an order. `decide::recover` decides what to do with a command that an earlier worker started.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use super::agent_watch::AgentWatch;
use super::cost::Allowance;
use super::spawning::{StartedNew, spawn, start_new};
use super::sweep::{SWEEP_EVERY, sweep};
use crate::agents::{OutputKind, Reading};
use crate::daemon::Order;
use crate::daemon::shared::Shared;
use crate::decide::recover::{self, Evidence, Recovery};
use crate::domain::command::{CommandEnd, EndCause, EndReason, Request};
use crate::domain::id::SpecId;
use crate::domain::position::RunningCommand;
use crate::process::command_dir::CommandDir;
use crate::process::supervisor_process::{self, SpawnError, Supervisor};
use crate::system::{blocking as blocking_work, clock, failpoint};

/// The pause between two inspections of a command whose supervisor holds the lock and has not written the
/// record `started` yet.
const INSPECT_AGAIN: Duration = Duration::from_millis(20);
/// After this many inspections, the worker searches for the supervisor by the command's marker, because the
/// record `started` may have been deleted.
const INSPECTIONS_BEFORE_MARKER: u32 = 50;
/// After this many supervisors ended without executing the command, the spec is given back to the queue.
const STARTS: u32 = 3;

/// A command to run, and the folder of its records.
pub(super) struct Job {
    /// The spec that the command belongs to.
    pub(super) spec: SpecId,
    pub(super) dir: CommandDir,
    pub(super) request: Request,
    pub(super) prompt: Option<String>,
    /// The agent's name, if the command is an agent.
    pub(super) agent: Option<String>,
    /// The variables of the command's environment besides those that it inherits. No record contains their
    /// values.
    pub(super) variables: Vec<(String, OsString)>,
    /// The most that the run may cost, if boi itself enforces this limit.
    pub(super) allowance: Option<Allowance>,
    /// After this many minutes without a sign of life, an agent counts as hung; 0: never.
    pub(super) stall_timeout_minutes: u32,
    /// The boot id when the command was recorded, and the marker that its supervisor and all descendants
    /// carry.
    pub(super) command: RunningCommand,
    /// Whether an earlier worker recorded the command. A supervisor may then be running it.
    pub(super) begun: bool,
    /// Whether the last daemon ended normally and left the command running.
    pub(super) left_by_last: bool,
    /// The daemon's shared state, with which the worker checks that the home was not removed or replaced.
    pub(super) shared: Arc<Shared>,
}

/// The result of running a command, as the worker gets it.
pub(super) enum Ran {
    /// The command ended, by itself or because of an order. The `Reading` is what was read from an agent's
    /// output; for other commands it is empty.
    Ended(CommandEnd, Box<Reading>),
    /// Something other than boi ended the command while no daemon ran. The last daemon had ended normally and
    /// left the command running.
    CutOff(CommandEnd, Box<Reading>),
    /// The daemon is leaving; the command continues to run.
    Detached,
    /// The command could not be started; nothing was executed.
    NotStarted(io::Error),
}

/// Runs the command of `job` to its end, or adopts the command if an earlier daemon started it. If the
/// command is an `agent`, its output is read.
pub(super) async fn run(job: &Job, orders: &mut watch::Receiver<Order>, agent: Option<OutputKind>) -> io::Result<Ran> {
    let other_boot = job.command.boot != clock::boot_id();
    let mut agent_watch = match agent {
        Some(agent) => Some(AgentWatch::new(agent, job, requested_end(job).await?)),
        None => None,
    };
    let mut starts = 0;
    let mut inspections = 0_u32;
    // `begun`: a supervisor may be running the command. `removed`: files of the running command were deleted.
    // `watched`: this daemon has watched the command.
    let (mut begun, mut removed, mut watched) = (job.begun, false, false);
    let mut first = None;
    if !begun {
        let may_start = *orders.borrow() == Order::Work;
        match start_new(job, may_start).await? {
            StartedNew::Yes(supervisor) => {
                note_start(job, agent_watch.as_mut());
                starts = 1;
                first = Some(supervisor);
            }
            StartedNew::No(SpawnError::NotStarted(error)) => return Ok(Ran::NotStarted(error)),
            // The lock shows whether a supervisor was started.
            StartedNew::No(SpawnError::Unanswered) => begun = true,
            StartedNew::NotNow => {}
        }
    }
    loop {
        let mut supervisor = if let Some(started) = first.take() {
            started
        } else {
            let dir = job.dir.clone();
            let inspect = move || {
                let (evidence, lock) = dir.inspect(other_boot)?;
                // The supervisor that holds the lock is opened in the same blocking call, because a new daemon
                // adopts many commands at once.
                let adopted = if evidence.lock_held { Supervisor::adopt(&dir)? } else { None };
                Ok((evidence, lock, adopted))
            };
            let (mut evidence, lock, adopted) = blocking(inspect).await?;
            let mut runner = Runner::Nobody;
            if begun && !evidence.lock_held && evidence.exit.is_none() {
                runner = find_runner(job).await?;
                removed |= !matches!(runner, Runner::Nobody);
                // If no supervisor was found, it may have recorded the command's end and ended meanwhile.
                let dir = job.dir.clone();
                evidence = blocking(move || Ok(dir.read_evidence(other_boot)?)).await?;
            }
            let recovery = recover::recovery(Evidence { removed, ..evidence });
            match (recovery, lock, runner) {
                (_, lock, Runner::Supervisor(supervisor)) => {
                    drop(lock);
                    supervisor
                }
                (Recovery::Record(end), ..) => {
                    failpoint::hit("exit.seen");
                    if let EndCause::NotExecutedYet(why) = end.cause {
                        return Ok(Ran::NotStarted(io::Error::other(why)));
                    }
                    return ended(job, end, watched, agent_watch).await;
                }
                (Recovery::Lost, ..) => return ended(job, lost(), watched, agent_watch).await,
                (Recovery::SweepThenLost, lock, _) => {
                    warn!(folder = %job.dir.path().display(), "the supervisor died; boi ends the remaining processes of its command");
                    tokio::select! {
                        swept = sweep_remaining(job) => swept?,
                        // Cancel-safe: the next daemon finds the remaining processes, and ends them.
                        () = detached(orders) => return Ok(Ran::Detached),
                    }
                    failpoint::hit("loss.seen");
                    drop(lock);
                    return ended(job, lost(), watched, agent_watch).await;
                }
                (Recovery::Spawn, Some(lock), _) => {
                    // A supervisor that died before it executed anything may have left a cgroup.
                    remove_cgroup(job).await?;
                    match *orders.borrow() {
                        Order::Work => {}
                        Order::Detach => return Ok(Ran::Detached),
                        // The command was not executed, and will not be executed.
                        Order::Cancel | Order::Stop => return Ok(Ran::Ended(ended_unexecuted(), Box::default())),
                    }
                    starts += 1;
                    if starts > STARTS {
                        let dir = job.dir.clone();
                        let message = blocking(move || Ok(dir.last_supervisor_message())).await?;
                        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
                        let why = format!("its supervisor ended {STARTS} times without executing anything{message}");
                        return Ok(Ran::NotStarted(io::Error::other(why)));
                    }
                    match spawn(job, lock).await {
                        Ok(supervisor) => {
                            note_start(job, agent_watch.as_mut());
                            supervisor
                        }
                        Err(SpawnError::NotStarted(error)) => return Ok(Ran::NotStarted(error)),
                        // The lock shows whether a supervisor was started.
                        Err(SpawnError::Unanswered) => {
                            begun = true;
                            continue;
                        }
                    }
                }
                (Recovery::Adopt | Recovery::Spawn, ..) => match adopted {
                    Some(supervisor) => supervisor,
                    None => {
                        inspections += 1;
                        if inspections.is_multiple_of(INSPECTIONS_BEFORE_MARKER)
                            && let Runner::Supervisor(supervisor) = find_runner(job).await?
                        {
                            removed = true;
                            supervisor
                        } else if wait_for_record(job, orders).await?.is_some() {
                            continue;
                        } else {
                            return Ok(Ran::Detached);
                        }
                    }
                },
            }
        };
        watched = true;
        if wait(job, &mut supervisor, orders, agent_watch.as_mut()).await?.is_none() {
            return Ok(Ran::Detached);
        }
        begun = true;
        if let Some(marker) = supervisor.marker() {
            removed |= restore(job, marker).await?;
        }
    }
}

/// Tells the watch of an agent that its supervisor was started.
fn note_start(job: &Job, agent_watch: Option<&mut AgentWatch>) {
    failpoint::hit("command.spawned");
    if let Some(agent_watch) = agent_watch {
        agent_watch.started(job);
    }
}

/// Runs work that may block, for example on a hung disk, outside the runtime's own threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    blocking_work::run(work).await.map_err(io::Error::other)?
}

/// The result of a search for a command's processes by its marker. The search is made when the command's
/// records may have been deleted.
enum Runner {
    Nobody,
    Supervisor(Supervisor),
    /// The supervisor is gone; processes of the command remain.
    Remains,
}

async fn find_runner(job: &Job) -> io::Result<Runner> {
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

/// Recreates the folder of a command if the folder was deleted while the supervisor lived. Returns whether
/// the folder was deleted.
async fn restore(job: &Job, marker: &str) -> io::Result<bool> {
    let (shared, dir, marker) = (Arc::clone(&job.shared), job.dir.clone(), marker.to_owned());
    let restore = move || {
        shared.health.check_home().map_err(io::Error::other)?;
        dir.restore(&marker)
    };
    let removed = blocking(restore).await?;
    if removed {
        warn!(
            dir = %job.dir.path().display(),
            "the folder of a running command was deleted; boi creates it again: the output of the command is lost, but the end of the command is recorded",
        );
    }
    Ok(removed)
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

/// Returns when the daemon leaves and lets running commands continue.
pub(crate) async fn detached(orders: &mut watch::Receiver<Order>) {
    // If the daemon's loop has ended, it sends no more orders. This counts as a detach.
    drop(orders.wait_for(|order| *order == Order::Detach).await);
}

/// Returns the recorded reason for which an earlier worker requested the end of the command. `None`: no
/// worker requested it, or the machine was restarted since then, so that the command may have lost work that
/// it reported as done.
async fn requested_end(job: &Job) -> io::Result<Option<EndReason>> {
    if !job.begun || job.command.boot != clock::boot_id() {
        return Ok(None);
    }
    let dir = job.dir.clone();
    blocking(move || Ok(dir.read_end_request()?)).await
}

/// Waits for a supervisor's end. Returns `None` if the daemon detaches first.
async fn wait(
    job: &Job,
    supervisor: &mut Supervisor,
    orders: &mut watch::Receiver<Order>,
    mut agent_watch: Option<&mut AgentWatch>,
) -> io::Result<Option<()>> {
    // The earlier worker may have died between its request and the signal to the supervisor.
    let mut is_terminated = agent_watch.as_deref().is_some_and(AgentWatch::is_end_requested);
    if is_terminated {
        supervisor.terminate()?;
    }
    loop {
        let order = *orders.borrow_and_update();
        match order {
            Order::Work => {}
            Order::Detach => return Ok(None),
            Order::Cancel | Order::Stop if is_terminated => {}
            Order::Cancel | Order::Stop => {
                is_terminated = true;
                if let Some(agent_watch) = agent_watch.as_deref_mut()
                    && let Err(error) = agent_watch.before_order(job).await
                {
                    warn!(dir = %job.dir.path().display(), %error, "cannot read the agent's output before a stop or cancel ends the agent; after a stop, boi repeats the try later even if the agent had reported its result");
                }
                supervisor.terminate()?;
            }
        }
        let next_look = agent_watch.as_deref().map(AgentWatch::next_look);
        tokio::select! {
            // Cancel-safe: the handle stays readable once the process has ended.
            ended = supervisor.ended() => return ended.map(Some),
            // Cancel-safe: the order stays in the channel.
            changed = orders.changed() => if changed.is_err() {
                return Ok(None);
            },
            // Cancel-safe: the watch stores the time of the next look.
            () = tokio::time::sleep_until(next_look.unwrap_or_else(Instant::now)), if next_look.is_some() => if let Some(agent_watch) = agent_watch.as_deref_mut()
                && agent_watch.look(job, supervisor).await?
            {
                is_terminated = true;
                supervisor.terminate()?;
                failpoint::hit("end.signalled");
            }
        }
    }
}

async fn finished(job: &Job, mut end: CommandEnd, agent_watch: Option<AgentWatch>) -> io::Result<Ran> {
    let reading = match agent_watch {
        Some(agent_watch) => agent_watch.finish(job, &mut end).await?,
        None => Reading::default(),
    };
    Ok(Ran::Ended(end, Box::new(reading)))
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

/// Decides whether the end of a command is a cut-off. `watched`: this daemon watched the command. If it did
/// not, and the last daemon ended normally and left the command running, then the event that ended the
/// command probably also ended that daemon.
async fn ended(job: &Job, end: CommandEnd, watched: bool, agent_watch: Option<AgentWatch>) -> io::Result<Ran> {
    match finished(job, end, agent_watch).await? {
        Ran::Ended(end, reading) if job.left_by_last && !watched && end.may_be_requested() && end.reason.is_none() => {
            Ok(Ran::CutOff(end, reading))
        }
        ran => Ok(ran),
    }
}

fn lost() -> CommandEnd {
    CommandEnd::new(EndCause::Lost, None, clock::now())
}

fn ended_unexecuted() -> CommandEnd {
    CommandEnd::new(EndCause::Terminated, None, clock::now())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::process::Signal;

    use super::*;
    use crate::domain::command::{Identity, RECORD_VERSION, Started};
    use crate::domain::verdict::ReloadOutcome;
    use crate::domain::view::ConfigView;
    use crate::process::cgroup::{self, Cgroup};
    use crate::process::{identity, marker};
    use crate::system::files;

    fn job(folder: &Path) -> Job {
        job_with(folder, "0".repeat(32))
    }

    fn job_with(folder: &Path, marker: String) -> Job {
        let request = Request {
            version: RECORD_VERSION,
            argv: vec!["true".into()],
            cwd: folder.to_owned(),
            prompt: false,
            separate_errors: false,
            timeout_millis: 1000,
            grace_millis: 100,
            max_output_bytes: 1000,
            open_files: None,
            keeps_work: false,
        };
        let dir = CommandDir::at(folder.to_owned());
        let shared = Arc::new(Shared::new(ConfigView::without_daemon(ReloadOutcome::Applied, vec![]), false));
        let command = RunningCommand { boot: clock::boot_id().to_owned(), marker };
        let spec = "S0001".parse().unwrap();
        Job {
            spec,
            dir,
            request,
            prompt: None,
            agent: None,
            allowance: None,
            variables: vec![],
            stall_timeout_minutes: 0,
            command,
            begun: false,
            left_by_last: false,
            shared,
        }
    }

    #[tokio::test]
    async fn orders_act_while_the_process_that_holds_the_lock_is_unknown() {
        let folder = tempfile::TempDir::new().unwrap();
        let job = job(folder.path());
        let (_, lock) = job.dir.inspect(false).unwrap();
        let (orders, mut received) = watch::channel(Order::Work);
        let ran = async {
            let detach = async {
                orders.send(Order::Cancel).unwrap();
                tokio::task::yield_now().await;
                orders.send(Order::Detach).unwrap();
            };
            tokio::join!(run(&job, &mut received, None), detach).0
        };
        assert!(matches!(ran.await.unwrap(), Ran::Detached));
        // The cancel arrives while the holder of the lock has written no record. Once the lock is free, the
        // command is not executed.
        let (orders, mut received) = watch::channel(Order::Cancel);
        let free = async {
            tokio::task::yield_now().await;
            drop(lock);
        };
        let (ran, ()) = tokio::join!(run(&job, &mut received, None), free);
        let Ran::Ended(end, _) = ran.unwrap() else { panic!("the command has not ended") };
        assert_eq!(end.cause, EndCause::Terminated);
        assert!(!job.dir.path().join("output").exists());
        drop(orders);
    }

    #[tokio::test]
    async fn the_cgroup_of_a_supervisor_that_died_before_it_executed_anything_is_removed() {
        let base = match cgroup::find_usable_base() {
            Ok(base) => base,
            Err(why) => {
                eprintln!(
                    "skipped: the_cgroup_of_a_supervisor_that_died_before_it_executed_anything_is_removed: {why}"
                );
                return;
            }
        };
        let folder = tempfile::TempDir::new().unwrap();
        let job = Job { begun: true, ..job_with(folder.path(), marker::new_marker()) };
        std::fs::write(folder.path().join("marker"), &job.command.marker).unwrap();
        let left = Cgroup::create(&base, &job.command.marker).unwrap();
        let (orders, mut received) = watch::channel(Order::Cancel);
        assert!(matches!(run(&job, &mut received, None).await.unwrap(), Ran::Ended(..)));
        assert!(!left.path().exists());
        drop(orders);
    }

    #[tokio::test]
    async fn a_supervisor_that_ends_without_executing_anything_is_started_only_a_few_times() {
        let folder = tempfile::TempDir::new().unwrap();
        let job = job(folder.path());
        // The supervisor is this test program, which has no test of the supervisor's name and ends at once.
        let (orders, mut received) = watch::channel(Order::Work);
        let Ran::NotStarted(error) = run(&job, &mut received, None).await.unwrap() else { panic!("it was started") };
        assert_eq!(error.to_string(), format!("its supervisor ended {STARTS} times without executing anything"));
        drop(orders);
    }

    /// A process that boi did not start, with the pid of a process that boi started before.
    struct Bystander(std::process::Child);

    impl Bystander {
        fn start() -> Bystander {
            Bystander(std::process::Command::new("sleep").arg("1000").spawn().unwrap())
        }

        fn identity(&self) -> Identity {
            identity::identify(i32::try_from(self.0.id()).unwrap()).unwrap()
        }
    }

    impl Drop for Bystander {
        fn drop(&mut self) {
            let lived = self.0.try_wait().unwrap().is_none();
            self.0.kill().ok();
            self.0.wait().ok();
            assert!(lived || std::thread::panicking(), "the bystander was ended");
        }
    }

    #[tokio::test]
    async fn a_process_with_a_recycled_pid_is_never_signalled() {
        let bystander = Bystander::start();
        let now = bystander.identity();
        let earlier = Identity { start_time: now.start_time - 1, ..now.clone() };
        let of_another_boot = Identity { boot_id: "another".into(), ..now };
        for then in [earlier, of_another_boot] {
            assert!(!identity::lives(&then) && !identity::signal(&then, Signal::KILL).unwrap());
            for order in [Order::Work, Order::Cancel, Order::Stop] {
                let folder = tempfile::TempDir::new().unwrap();
                let job = job(folder.path());
                let started =
                    Started { version: RECORD_VERSION, supervisor: then.clone(), command: then.clone(), cgroup: None };
                files::write_record(&job.dir.started_file(), &started, files::Durability::Process).unwrap();
                std::fs::write(folder.path().join("marker"), b"nobody carries this").unwrap();
                assert!(
                    Supervisor::adopt(&job.dir).unwrap().is_none(),
                    "the process with the recycled pid is no supervisor"
                );
                assert!(job.dir.remaining_processes().unwrap().is_empty(), "the command has no process");
                // While the lock is held, the command counts as adopted. Once the lock is free, its remaining
                // processes are ended.
                let (_, lock) = job.dir.inspect(false).unwrap();
                let (orders, mut received) = watch::channel(order);
                let free = async {
                    tokio::time::sleep(INSPECT_AGAIN * 3).await;
                    drop(lock);
                };
                let (ran, ()) = tokio::join!(run(&job, &mut received, None), free);
                let Ran::Ended(end, _) = ran.unwrap() else { panic!("the command has not ended") };
                assert_eq!(end.cause, EndCause::Lost);
                drop(orders);
            }
        }
    }
}
