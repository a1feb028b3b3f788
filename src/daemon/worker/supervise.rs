//! Runs one command of a worker under its supervisor: starts it or finds it again, waits for its end, and
//! ends it on an order.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use super::agent_watch::AgentWatch;
use super::cost::Allowance;
use super::execution::{Execution, Found};
use crate::agents::{OutputKind, Reading};
use crate::daemon::Order;
use crate::daemon::shared::Shared;
use crate::domain::command::{CommandEnd, EndReason, Request};
use crate::domain::id::SpecId;
use crate::domain::position::RunningCommand;
use crate::process::command_dir::CommandDir;
use crate::process::supervisor_process::Supervisor;
use crate::system::{blocking as blocking_work, clock, failpoint};

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
    let agent_watch = match agent {
        Some(agent) => Some(AgentWatch::new(agent, job, requested_end(job).await?)),
        None => None,
    };
    let mut execution = Execution::new(job, agent_watch);
    let mut found = execution.start_or_find(orders).await?;
    // Whether this daemon has watched the command.
    let mut watched = false;
    loop {
        match found {
            Found::Supervisor(mut supervisor) => {
                watched = true;
                if wait(job, &mut supervisor, orders, execution.agent_watch.as_mut()).await?.is_none() {
                    return Ok(Ran::Detached);
                }
                execution.begun = true;
                if let Some(marker) = supervisor.marker() {
                    execution.removed |= restore(job, marker).await?;
                }
            }
            Found::End(end, _lock) => return ended(job, end, watched, execution.agent_watch).await,
            Found::Result(ran) => return Ok(ran),
            Found::Nothing => {}
        }
        found = execution.find(orders).await?;
    }
}

/// Runs work that may block, for example on a hung disk, outside the runtime's own threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    blocking_work::run(work).await.map_err(io::Error::other)?
}

/// Recreates the folder of a command if the folder was deleted while the supervisor lived. Returns whether
/// the folder was deleted.
pub(super) async fn restore(job: &Job, marker: &str) -> io::Result<bool> {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::process::Signal;

    use super::super::execution::{INSPECT_AGAIN, STARTS};
    use super::*;
    use crate::domain::command::{EndCause, Identity, RECORD_VERSION, Started};
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
