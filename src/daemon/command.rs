//! One command of a worker under its supervisor: started, found again, waited for, ended. The crash protocol's hands;
//! what to make of what is found is decided in `decide::recover`.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Order;
use crate::decide::agent::transcript::{Reading, Transcript};
use crate::decide::recover::{self, Verdict};
use crate::domain::command::Request;
use crate::domain::outcome::{CommandEnd, EndCause};
use crate::host::process::command::{CommandDir, Supervisor};
use crate::host::{clock, files, process};

/// A supervisor that holds its lock and has not recorded itself yet is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
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
    /// The boot under which the command was recorded as begun.
    pub(super) boot: Option<String>,
}

/// What became of it.
pub(super) enum Ran {
    /// It ended, by itself or because the order said so.
    Ended(CommandEnd, Box<Reading>),
    /// The daemon leaves; the command lives on.
    Detached,
}

/// Carries out `job` to its end, or finds it where an earlier daemon left it.
pub(super) async fn run(job: &Job, orders: &mut watch::Receiver<Order>, follow: bool) -> io::Result<Ran> {
    let other_boot = job.boot.as_deref() != Some(clock::boot_id());
    let mut follower =
        Follower { transcript: Transcript::new(), offset: 0, result_at: None, ended_after_result: false };
    let mut starts = 0;
    loop {
        let (evidence, lock) = job.dir.look(other_boot)?;
        let found = recover::verdict(evidence);
        let mut supervisor = match (found, lock) {
            (Verdict::Record(end), _) => return finished(job, end, follow, follower).await,
            (Verdict::Lost, _) => return finished(job, lost(), follow, follower).await,
            (Verdict::SweepThenLost, lock) => {
                warn!(dir = %job.dir.path().display(), "the supervisor died: its command's processes are ended");
                sweep(job).await?;
                drop(lock);
                return finished(job, lost(), follow, follower).await;
            }
            (Verdict::Spawn, Some(lock)) => {
                match *orders.borrow() {
                    Order::Work => {}
                    Order::Detach => return Ok(Ran::Detached),
                    // Nothing was executed, and nothing will be.
                    Order::Cancel | Order::Stop => return Ok(Ran::Ended(ended_unexecuted(), Box::default())),
                }
                starts += 1;
                if starts > STARTS {
                    return Err(io::Error::other("the supervisor ended without executing anything"));
                }
                let marker = uuid::Uuid::new_v4().simple().to_string();
                job.dir.spawn(lock, &job.request, job.prompt.as_deref(), &marker, &job.variables)?
            }
            (Verdict::Adopt | Verdict::Spawn, _) => match job.dir.adopt()? {
                Some(supervisor) => supervisor,
                None => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
            },
        };
        if wait(job, &mut supervisor, orders, follow.then_some(&mut follower)).await?.is_none() {
            return Ok(Ran::Detached);
        }
    }
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
    let grace = Instant::now() + Duration::from_millis(job.request.grace_millis);
    let mut termed = false;
    loop {
        let left = job.dir.remains()?;
        if left.is_empty() {
            return Ok(());
        }
        let signal = if Instant::now() >= grace { Some(Signal::KILL) } else { (!termed).then_some(Signal::TERM) };
        if let Some(signal) = signal {
            for who in &left {
                process::signal(who, signal)?;
            }
            termed = true;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
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
