//! One command of a worker under its supervisor: started, found again, waited for, ended. The crash protocol's hands;
//! what to make of what is found is decided in `decide::recover`.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Order;
use super::handle::Shared;
use crate::agents::transcript::{Reading, Transcript};
use crate::decide::recover::{self, Evidence, Verdict};
use crate::domain::command::{Identity, Request};
use crate::domain::outcome::{CommandEnd, EndCause};
use crate::process::command::{CommandDir, Supervisor};
use crate::process::together::Signalled;
use crate::process::{self, tree};
use crate::system::{clock, failpoint, files};

/// A supervisor that holds its lock and has not recorded itself yet is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// One that has not by this many looks is looked for by its marker: its record may have been removed.
const LOOKS_AT_RECORD: u32 = 50;
/// What is left of a command whose supervisor died is looked for again after this long: that reads all of `/proc`.
const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// A supervisor that executes nothing is started so often; then something is wrong with the machine.
const STARTS: u32 = 3;
/// How often an agent's output is read while it runs.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);
/// An agent that has written its result and does not exit is ended after this long.
const HANG_AFTER_RESULT: Duration = Duration::from_secs(20);

/// A command to carry out, and where its records are.
pub(super) struct Job {
    pub(super) dir: CommandDir,
    pub(super) request: Request,
    pub(super) prompt: Option<String>,
    pub(super) variables: Vec<(&'static str, String)>,
    /// The marker that its supervisor and all that descends from that carry.
    pub(super) marker: String,
    /// The boot under which the command was recorded as begun.
    pub(super) boot: Option<String>,
    /// Whether an earlier worker began it: somebody may carry it out already.
    pub(super) begun: bool,
    /// What says whether the home is still the daemon's.
    pub(super) shared: Arc<Shared>,
}

/// What became of it.
pub(super) enum Ran {
    /// It ended, by itself or because the order said so.
    Ended(CommandEnd, Box<Reading>),
    /// The daemon leaves; the command lives on.
    Detached,
    /// It could not be started; nothing was executed.
    NotStarted(io::Error),
}

/// Carries out `job` to its end, or finds it where an earlier daemon left it.
pub(super) async fn run(job: &Job, orders: &mut watch::Receiver<Order>, follow: bool) -> io::Result<Ran> {
    let other_boot = job.boot.as_deref() != Some(clock::boot_id());
    let mut follower =
        Follower { transcript: Transcript::new(), offset: 0, result_at: None, ended_after_result: false };
    let mut starts = 0;
    let mut looks = 0_u32;
    // Of one that somebody may carry out, the lock and any record may have been removed.
    let (mut begun, mut removed) = (job.begun, false);
    loop {
        let (mut evidence, lock) = job.dir.look(other_boot)?;
        let mut carrier = Carrier::Nobody;
        if begun && !evidence.lock_held && evidence.exit.is_none() {
            carrier = carrier_of(job).await?;
            removed |= !matches!(carrier, Carrier::Nobody);
            // Who was not found any more may have recorded its end since.
            evidence = job.dir.recorded(other_boot)?;
        }
        let found = recover::verdict(Evidence { removed, ..evidence });
        let mut supervisor = match (found, lock, carrier) {
            (_, lock, Carrier::Supervisor(supervisor)) => {
                drop(lock);
                supervisor
            }
            (Verdict::Record(end), ..) => {
                failpoint::hit("exit.seen");
                if let EndCause::NotExecutedYet(why) = end.cause {
                    return Ok(Ran::NotStarted(io::Error::other(why)));
                }
                return finished(job, end, follow, follower).await;
            }
            (Verdict::Lost, ..) => return finished(job, lost(), follow, follower).await,
            (Verdict::SweepThenLost, lock, _) => {
                warn!(dir = %job.dir.path().display(), "the supervisor died: its command's processes are ended");
                tokio::select! {
                    swept = sweep(job) => swept?,
                    // Cancel-safe: the next daemon finds what is left, and begins again.
                    () = detached(orders) => return Ok(Ran::Detached),
                }
                failpoint::hit("loss.seen");
                drop(lock);
                return finished(job, lost(), follow, follower).await;
            }
            (Verdict::Spawn, Some(lock), _) => {
                // Of a supervisor that died before it executed anything.
                remove_cgroup(job).await?;
                match *orders.borrow() {
                    Order::Work => {}
                    Order::Detach => return Ok(Ran::Detached),
                    // Nothing was executed, and nothing will be.
                    Order::Cancel | Order::Stop => return Ok(Ran::Ended(ended_unexecuted(), Box::default())),
                }
                starts += 1;
                if starts > STARTS {
                    let words = job.dir.last_words().map(|words| format!(": {words}")).unwrap_or_default();
                    let why = format!("its supervisor ended {STARTS} times without executing anything{words}");
                    return Ok(Ran::NotStarted(io::Error::other(why)));
                }
                match job.dir.spawn(lock, &job.request, job.prompt.as_deref(), &job.marker, &job.variables) {
                    Ok(supervisor) => {
                        failpoint::hit("command.spawned");
                        supervisor
                    }
                    Err(error) => return Ok(Ran::NotStarted(error)),
                }
            }
            (Verdict::Adopt | Verdict::Spawn, ..) => match job.dir.adopt()? {
                Some(supervisor) => supervisor,
                None => {
                    looks += 1;
                    if looks.is_multiple_of(LOOKS_AT_RECORD)
                        && let Carrier::Supervisor(supervisor) = carrier_of(job).await?
                    {
                        removed = true;
                        supervisor
                    } else if unknown(job, orders).await?.is_some() {
                        continue;
                    } else {
                        return Ok(Ran::Detached);
                    }
                }
            },
        };
        if wait(job, &mut supervisor, orders, follow.then_some(&mut follower)).await?.is_none() {
            return Ok(Ran::Detached);
        }
        begun = true;
        if let Some(marker) = supervisor.marker() {
            removed |= restored(job, marker)?;
        }
    }
}

/// Who carries out a command, as the marker says; its records may have been removed.
enum Carrier {
    Nobody,
    Supervisor(Supervisor),
    /// Its supervisor is gone; what is left of it carries the marker.
    Remains,
}

async fn carrier_of(job: &Job) -> io::Result<Carrier> {
    let marker = job.marker.clone();
    let look = move || {
        let supervisor = tree::supervisor_with(&marker);
        let left = supervisor.is_some() || process::is_carried(&marker);
        (supervisor, left)
    };
    let (supervisor, left) = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?;
    if !left {
        return Ok(Carrier::Nobody);
    }
    restored(job, &job.marker)?;
    if let Some(who) = supervisor
        && let Some(supervisor) = Supervisor::found(&who, Some(job.marker.clone()))?
    {
        warn!(
            dir = %job.dir.path().display(), supervisor = who.pid,
            "files of a running command were removed: it goes on, and its end is waited for",
        );
        return Ok(Carrier::Supervisor(supervisor));
    }
    Ok(Carrier::Remains)
}

/// Makes the folder of a command again that was removed while its supervisor lived; returns whether it was.
fn restored(job: &Job, marker: &str) -> io::Result<bool> {
    job.shared.health.check_home().map_err(io::Error::other)?;
    let removed = job.dir.restore(marker)?;
    if removed {
        warn!(
            dir = %job.dir.path().display(),
            "the folder of a running command was removed: what the command had printed is lost, how it ended counts",
        );
    }
    Ok(removed)
}

/// Waits a moment for a supervisor that has not recorded itself; `None` when the daemon leaves. Who it is cannot be known,
/// but it and all that it starts carry the command's marker: by that it is ended when the order says so.
async fn unknown(job: &Job, orders: &mut watch::Receiver<Order>) -> io::Result<Option<()>> {
    let order = *orders.borrow_and_update();
    let wait = match order {
        Order::Work => LOOK_AGAIN,
        Order::Detach => return Ok(None),
        Order::Cancel | Order::Stop => {
            tokio::select! {
                swept = sweep(job) => swept?,
                // Cancel-safe: the next daemon finds the order in the record.
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

/// Waits until the daemon leaves what runs.
pub(super) async fn detached(orders: &mut watch::Receiver<Order>) {
    // A daemon that is gone says nothing more.
    drop(orders.wait_for(|order| *order == Order::Detach).await);
}

/// Waits for a supervisor's end; `None` when the daemon leaves first.
async fn wait(
    job: &Job,
    supervisor: &mut Supervisor,
    orders: &mut watch::Receiver<Order>,
    mut follower: Option<&mut Follower>,
) -> io::Result<Option<()>> {
    let mut asked = false;
    let mut look_at = Instant::now() + FOLLOW_EVERY;
    loop {
        match *orders.borrow_and_update() {
            Order::Work => {}
            Order::Detach => return Ok(None),
            Order::Cancel | Order::Stop if asked => {}
            Order::Cancel | Order::Stop => {
                asked = true;
                supervisor.terminate()?;
            }
        }
        tokio::select! {
            // Cancel-safe: the handle stays readable once the process has ended.
            ended = supervisor.ended() => return ended.map(Some),
            // Cancel-safe: the order stays in the channel.
            changed = orders.changed() => if changed.is_err() {
                return Ok(None);
            },
            // Cancel-safe: the time is kept in `look_at`.
            () = tokio::time::sleep_until(look_at), if follower.is_some() => {
                look_at = Instant::now() + FOLLOW_EVERY;
                job.dir.regain()?;
                if let Some(follower) = follower.as_deref_mut()
                    && follower.hangs(&job.dir.output_file()).await?
                {
                    info!(dir = %job.dir.path().display(), "the agent has given its result and does not exit: it is ended");
                    supervisor.terminate()?;
                }
            }
        }
    }
}

async fn finished(job: &Job, end: CommandEnd, follow: bool, follower: Follower) -> io::Result<Ran> {
    if !follow {
        return Ok(Ran::Ended(end, Box::default()));
    }
    let ended_after_result = follower.ended_after_result;
    let follower = follower.catch_up(&job.dir.output_file()).await?;
    let mut reading = follower.transcript.finish();
    reading.ended_after_result = ended_after_result;
    Ok(Ran::Ended(end, Box::new(reading)))
}

/// Ends what is left of a command whose supervisor died: TERM, grace, KILL, until nothing is left.
async fn sweep(job: &Job) -> io::Result<()> {
    let look = || {
        let dir = job.dir.clone();
        async move { tokio::task::spawn_blocking(move || dir.remains()).await.map_err(io::Error::other)? }
    };
    let signal_all = |signal| {
        let dir = job.dir.clone();
        let signal_all = move || dir.signal_remains(signal);
        async move { tokio::task::spawn_blocking(signal_all).await.map_err(io::Error::other)? }
    };
    sweep_all(look, signal_all, Duration::from_millis(job.request.grace_millis)).await?;
    remove_cgroup(job).await
}

/// One that cannot be removed costs nothing but its name.
async fn remove_cgroup(job: &Job) -> io::Result<()> {
    let dir = job.dir.clone();
    let removed = tokio::task::spawn_blocking(move || dir.remove_cgroup()).await.map_err(io::Error::other)?;
    if let Err(error) = removed {
        warn!(dir = %job.dir.path().display(), %error, "the cgroup of a command that is gone stays");
    }
    Ok(())
}

/// What this process may not signal, having changed its user, is reported and left alone.
async fn sweep_all<L: Future<Output = io::Result<Vec<Identity>>>, S: Future<Output = io::Result<Signalled>>>(
    mut look: impl FnMut() -> L,
    mut signal_all: impl FnMut(Signal) -> S,
    grace: Duration,
) -> io::Result<()> {
    let kill_at = Instant::now() + grace;
    let (mut asked, mut beyond_reach) = (false, HashSet::new());
    loop {
        let left = look().await?;
        if left.iter().all(|who| beyond_reach.contains(&(who.pid, who.start_time))) {
            return Ok(());
        }
        let signal = match (Instant::now() >= kill_at, asked) {
            (true, _) => Some(Signal::KILL),
            (false, false) => Some(Signal::TERM),
            // What is new since then cleans up after those that were asked.
            (false, true) => None,
        };
        if let Some(signal) = signal {
            asked = true;
            for (who, error) in signal_all(signal).await?.refused {
                if error.kind() != io::ErrorKind::PermissionDenied {
                    return Err(error);
                }
                if beyond_reach.insert((who.pid, who.start_time)) {
                    warn!(pid = who.pid, %error, "left of a command, and left alone: it cannot be signalled");
                }
            }
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

fn lost() -> CommandEnd {
    CommandEnd { cause: EndCause::Lost, status: None, swept: 0, ended_at: clock::now() }
}

fn ended_unexecuted() -> CommandEnd {
    CommandEnd { cause: EndCause::Terminated, status: None, swept: 0, ended_at: clock::now() }
}

/// Reads an agent's output as it grows.
struct Follower {
    transcript: Transcript,
    offset: u64,
    result_at: Option<Instant>,
    ended_after_result: bool,
}

impl Follower {
    /// Whether the agent gave its result long ago and has not exited. Says so once.
    async fn hangs(&mut self, output: &Path) -> io::Result<bool> {
        let before = Follower {
            transcript: std::mem::take(&mut self.transcript),
            offset: self.offset,
            result_at: self.result_at,
            ended_after_result: self.ended_after_result,
        };
        *self = before.catch_up(output).await?;
        if self.transcript.so_far().result.is_none() {
            return Ok(false);
        }
        let since = *self.result_at.get_or_insert_with(Instant::now);
        let hangs = !self.ended_after_result && since.elapsed() >= HANG_AFTER_RESULT;
        self.ended_after_result |= hangs;
        Ok(hangs)
    }

    /// Reads what came since the last time.
    async fn catch_up(mut self, output: &Path) -> io::Result<Follower> {
        let output = output.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            files::read_from(&output, self.offset, |chunk| self.transcript.push(chunk)).map(|offset| {
                self.offset = offset;
                self
            })
        });
        read.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::domain::verdict::ReloadOutcome;
    use crate::domain::view::ConfigView;
    use crate::process::cgroup::{self, Cgroup};

    fn who(pid: i32) -> Identity {
        Identity { pid, start_time: 1, boot_id: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_ends_what_it_may_and_leaves_alone_what_it_may_not() {
        let alive = RefCell::new(vec![who(1), who(2), who(3)]);
        let sent = RefCell::new(Vec::new());
        let look = || {
            let left = alive.borrow().clone();
            async move { Ok(left) }
        };
        // The first ends at once, the second only when killed, the third is somebody else's.
        let signal_all = |signal: Signal| {
            sent.borrow_mut().push(signal);
            alive.borrow_mut().retain(|who| who.pid == 3 || (who.pid == 2 && signal == Signal::TERM));
            async { Ok(Signalled { sent: vec![], refused: vec![(who(3), io::ErrorKind::PermissionDenied.into())] }) }
        };
        sweep_all(look, signal_all, Duration::from_secs(1)).await.unwrap();
        assert_eq!(*sent.borrow(), [Signal::TERM, Signal::KILL]);
        assert_eq!(*alive.borrow(), [who(3)]);
    }

    fn job(folder: &Path) -> Job {
        let request = Request {
            version: crate::domain::command::RECORDS,
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
        let dir = CommandDir::create(folder.to_owned()).unwrap();
        let shared = Arc::new(Shared::new(ConfigView::without_daemon(ReloadOutcome::Applied, vec![]), false));
        let boot = Some(clock::boot_id().to_owned());
        Job { dir, request, prompt: None, variables: vec![], marker: "0".repeat(32), boot, begun: false, shared }
    }

    #[tokio::test]
    async fn orders_are_heard_while_it_is_not_known_who_holds_the_lock() {
        let folder = tempfile::TempDir::new().unwrap();
        let job = job(folder.path());
        let (_, lock) = job.dir.look(false).unwrap();
        let (orders, mut received) = watch::channel(Order::Work);
        let ran = async {
            let detach = async {
                orders.send(Order::Cancel).unwrap();
                tokio::task::yield_now().await;
                orders.send(Order::Detach).unwrap();
            };
            tokio::join!(run(&job, &mut received, false), detach).0
        };
        assert!(matches!(ran.await.unwrap(), Ran::Detached));
        // Canceled while nobody has recorded itself: as soon as the lock is free, nothing is executed.
        let (orders, mut received) = watch::channel(Order::Cancel);
        let free = async {
            tokio::task::yield_now().await;
            drop(lock);
        };
        let (ran, ()) = tokio::join!(run(&job, &mut received, false), free);
        let Ran::Ended(end, _) = ran.unwrap() else { panic!("it has not ended") };
        assert_eq!(end.cause, EndCause::Terminated);
        assert!(!job.dir.output_file().exists());
        drop(orders);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_supervisor_that_died_before_it_executed_anything() {
        let Ok(base) = cgroup::usable() else { return };
        let folder = tempfile::TempDir::new().unwrap();
        let job = Job { marker: tree::new_marker(), ..job(folder.path()) };
        std::fs::write(folder.path().join("marker"), &job.marker).unwrap();
        let left = Cgroup::create(&base, &job.marker).unwrap();
        let (orders, mut received) = watch::channel(Order::Cancel);
        assert!(matches!(run(&job, &mut received, false).await.unwrap(), Ran::Ended(..)));
        assert!(!left.path().exists());
        drop(orders);
    }

    /// Somebody else's process, which has the pid of one that boi started before.
    struct Bystander(std::process::Child);

    impl Bystander {
        fn start() -> Bystander {
            Bystander(std::process::Command::new("sleep").arg("1000").spawn().unwrap())
        }

        fn identity(&self) -> Identity {
            process::identity(i32::try_from(self.0.id()).unwrap()).unwrap()
        }
    }

    impl Drop for Bystander {
        fn drop(&mut self) {
            let lived = self.0.try_wait().unwrap().is_none();
            self.0.kill().ok();
            self.0.wait().ok();
            assert!(lived || std::thread::panicking(), "it was ended");
        }
    }

    #[tokio::test]
    async fn who_has_the_pid_of_a_process_that_is_gone_is_never_signalled() {
        let bystander = Bystander::start();
        let now = bystander.identity();
        let earlier = Identity { start_time: now.start_time - 1, ..now.clone() };
        let of_another_boot = Identity { boot_id: "another".into(), ..now };
        for then in [earlier, of_another_boot] {
            assert!(!process::lives(&then) && !process::signal(&then, Signal::KILL).unwrap());
            for order in [Order::Work, Order::Cancel, Order::Stop] {
                let folder = tempfile::TempDir::new().unwrap();
                let job = job(folder.path());
                let started = crate::domain::command::Started {
                    version: crate::domain::command::RECORDS,
                    supervisor: then.clone(),
                    command: then.clone(),
                    cgroup: None,
                };
                files::write_record(&job.dir.started_file(), &started, files::Durability::Process).unwrap();
                files::write_private(&folder.path().join("marker"), b"nobody carries this").unwrap();
                assert!(job.dir.adopt().unwrap().is_none(), "it is no supervisor");
                assert!(job.dir.remains().unwrap().is_empty(), "nothing is left");
                // While somebody holds the lock, adopted and ended; then swept.
                let (_, lock) = job.dir.look(false).unwrap();
                let (orders, mut received) = watch::channel(order);
                let free = async {
                    tokio::time::sleep(LOOK_AGAIN * 3).await;
                    drop(lock);
                };
                let (ran, ()) = tokio::join!(run(&job, &mut received, false), free);
                let Ran::Ended(end, _) = ran.unwrap() else { panic!("it has not ended") };
                assert_eq!(end.cause, EndCause::Lost);
                drop(orders);
            }
        }
    }
}
