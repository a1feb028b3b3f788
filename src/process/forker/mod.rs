//! The forker: a small process with one thread that the daemon starts from its own program, and that forks a
//! supervisor for each command.
//!
//! A fork of a process that is already loaded costs less than one more execution of boi, and the supervisors
//! share the forker's memory pages.
//!
//! ```text
//! daemon                                      forker                       supervisor
//!   ├─ request: folder, marker, variables; ─────▶│
//!   │  descriptors of the lock and `supervisor`  ├─ clone ───────────────────▶│ shows its own arguments and marker,
//!   │◀───── answer: pid and pidfd, or the error ─┤                            │ keeps only its own descriptors
//!   │  closes its descriptor of the lock         │ closes its descriptors     ▼ `supervisor::supervise`
//! ```
//!
//! Invariants:
//! - A supervisor is a child of the daemon (`CLONE_PARENT`), as if the daemon had executed it. The end of the forker
//!   changes nothing for the supervisors.
//! - The forker ends with the daemon: at the end of the socket, and by its parent-death signal, even if the forker is
//!   stopped. So an unread request does not keep a lock held after the daemon died.
//! - After a request without an answer, nobody knows whether the supervisor was forked. The daemon ends the forker, and
//!   the lock then shows whether a supervisor holds it, as after a crash of the daemon (`decide::recover`).
//! - The variables of a command travel over the socket only; no file and no `/proc` entry of a forked supervisor contains
//!   them.
//! - A supervisor inherits what the forker inherited when it started: the daemon's cgroup, priority and limits at that
//!   time.
//! - If a supervisor whose answer was lost ends before the daemon finds it, the daemon does not wait for it: one process
//!   entry stays until the daemon ends.

mod image;
mod message;
mod serve;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tracing::warn;

pub(crate) use self::message::ForkRequest;
pub(crate) use self::serve::{ToSupervise, serve};
use super::fork::Sibling;
use super::marker::MARKER;
use super::{inherited, own_program};
use crate::system::failpoint;

/// The first argument that makes this program a forker.
pub(crate) const FORKER: &str = "__forker";

/// How long the daemon waits for an answer. A forker that does not answer in this time is ended.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// After this many requests in a row without an answer, supervisors are executed instead of forked.
const MAX_UNANSWERED: u32 = 3;

/// Why a request has no forked supervisor.
#[derive(Debug)]
pub(crate) enum ForkError {
    /// The forker cannot be used here; the supervisor must be executed instead.
    Unusable,
    /// The kernel refused the new process, because it has no room for it now.
    Refused(io::Error),
    /// The forker did not answer. It was ended; the supervisor may have been forked before.
    Unanswered,
}

/// The daemon's end of the socket to its forker. The first request starts the forker, and so does the first request after
/// the forker ended.
#[derive(Debug, Default)]
pub(crate) struct Forker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: Option<RunningForker>,
    starter: Option<Starter>,
    unanswered: u32,
}

#[derive(Debug)]
struct RunningForker {
    socket: UnixStream,
    child: Child,
}

impl Forker {
    /// Starts the forker, so that the first command need not wait for it. If this fails, the first request tries again.
    pub(crate) fn start(&self) {
        self.state().ready().ok();
    }

    /// Forks a supervisor for `request`. Passes it the lock and the file for its messages. Blocks for up to 5 s for the
    /// request and for the answer, longer if other requests wait or a forker must be started.
    pub(crate) fn fork(
        &self,
        request: &ForkRequest,
        lock: impl AsFd,
        messages: impl AsFd,
    ) -> Result<Sibling, ForkError> {
        let mut state = self.state();
        if !cfg!(target_os = "linux") || state.unanswered >= MAX_UNANSWERED || !request.fits() {
            return Err(ForkError::Unusable);
        }
        let running = state.ready().map_err(ForkError::Refused)?;
        let answer = message::send_request(&running.socket, request, [lock.as_fd(), messages.as_fd()]).and_then(|()| {
            failpoint::hit("fork.requested");
            message::receive_answer(&running.socket)
        });
        match answer {
            Ok(Ok(forked)) => {
                state.unanswered = 0;
                Ok(forked)
            }
            Ok(Err(error)) if is_shortage(&error) => Err(ForkError::Refused(error)),
            Ok(Err(error)) => {
                warn!(%error, "this system does not let boi fork supervisors: boi executes each of them");
                state.unanswered = MAX_UNANSWERED;
                state.end();
                Err(ForkError::Unusable)
            }
            Err(error) => {
                state.unanswered += 1;
                state.end();
                warn!(%error, "the forker did not answer a request for a supervisor; boi starts a new forker");
                if state.unanswered == MAX_UNANSWERED {
                    warn!("no forker answers: boi executes each supervisor instead of forking it");
                }
                Err(ForkError::Unanswered)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the running forker, after starting it if none runs.
    fn ready(&mut self) -> io::Result<&mut RunningForker> {
        if self.running.as_mut().is_some_and(|running| !matches!(running.child.try_wait(), Ok(None))) {
            self.running = None;
        }
        let running = match self.running.take() {
            Some(running) => running,
            None => {
                let starter = match self.starter.take() {
                    Some(starter) => starter,
                    None => Starter::new()?,
                };
                self.starter.insert(starter).start()?
            }
        };
        Ok(self.running.insert(running))
    }

    /// Ends the forker. Afterwards, only a forked supervisor can hold a lock that the forker received.
    fn end(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.child.kill().ok();
            running.child.wait().ok();
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread that starts forkers. The parent-death signal of a forker is sent when the thread ends that
/// started it, so this thread lives as long as the daemon.
#[derive(Debug)]
struct Starter {
    orders: mpsc::Sender<mpsc::Sender<io::Result<RunningForker>>>,
}

impl Starter {
    fn new() -> io::Result<Starter> {
        let (orders, received) = mpsc::channel::<mpsc::Sender<io::Result<RunningForker>>>();
        let work = move || received.iter().for_each(|reply| drop(reply.send(start())));
        std::thread::Builder::new().name("boi-forker".to_owned()).stack_size(256 * 1024).spawn(work)?;
        Ok(Starter { orders })
    }

    fn start(&self) -> io::Result<RunningForker> {
        let (reply, started) = mpsc::channel();
        self.orders.send(reply).map_err(io::Error::other)?;
        started.recv().map_err(io::Error::other)?
    }
}

/// Whether the kernel refused a process because something is used up. It may have room later.
fn is_shortage(error: &io::Error) -> bool {
    [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE].map(Some).contains(&error.raw_os_error())
}

fn start() -> io::Result<RunningForker> {
    let (socket, theirs) = UnixStream::pair()?;
    let patience = Some(failpoint::duration("BOI_FORK_MILLIS", ANSWER_WITHIN));
    socket.set_read_timeout(patience)?;
    socket.set_write_timeout(patience)?;
    let mut command = own_program::command()?;
    command.arg(FORKER).arg(image::room_for_arguments()).stdin(Stdio::from(OwnedFd::from(theirs)));
    command.stdout(Stdio::null());
    inherited::prepare_for_supervisor(&mut command);
    let (name, value) = image::room_for_marker();
    command.env_remove(MARKER).env(name, value);
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;

        use rustix::process::{Signal, set_parent_process_death_signal};

        // The signal is set before the execution, so that it also ends a forker that is stopped at once.
        // SAFETY: the closure only makes a system call.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    }
    let child = command.spawn()?;
    Ok(RunningForker { socket, child })
}
