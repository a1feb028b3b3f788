//! The daemon's handle to a supervisor: starts or finds a supervisor, waits for it, and asks it to end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getuid, kill_process, pidfd_open, pidfd_send_signal,
    waitid, waitpid,
};
use tokio::io::unix::AsyncFd;

use super::cgroup::Cgroup;
use super::command_dir::{CommandDir, CommandLock, END_REQUEST, MARKER_FILE, PROMPT, REQUEST, SUPERVISOR};
use super::forker::{ForkError, ForkRequest, Forker};
use super::identity::{self, ProcessHandle};
use super::marker::{self, MARKER};
use super::record::RecordError;
use super::{inherited, own_program, procfs};
use crate::domain::command::{Identity, Request};
use crate::system::files::Durability;

/// The first argument that makes this program a supervisor.
pub(crate) const SUPERVISE: &str = "__supervise";

/// The pause between two checks whether a supervisor without a pidfd has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Why no supervisor is known after [`Supervisor::spawn`].
#[derive(Debug)]
pub(crate) enum SpawnError {
    /// No supervisor was started.
    NotStarted(io::Error),
    /// The forker did not answer. If it forked the supervisor, the supervisor holds the command's lock.
    Unanswered,
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> SpawnError {
        SpawnError::NotStarted(error)
    }
}

/// A running supervisor.
#[derive(Debug)]
pub(crate) struct Supervisor {
    handle: Handle,
    pid: i32,
    marker: Option<String>,
}

#[derive(Debug)]
enum Handle {
    /// A supervisor with a pidfd: a child of this process, or one that another process started.
    Pidfd(AsyncFd<OwnedFd>),
    /// A child of this process, for which no pidfd could be opened.
    ChildWithoutPidfd(Child),
}

/// A child of this process, known by its pid.
#[derive(Debug)]
struct Child {
    pid: Pid,
    /// Whether this process has waited for the child. Another process may then have the pid.
    is_gone: bool,
}

impl Supervisor {
    /// Starts a supervisor for the command that `request` describes. Adds `variables` to the environment,
    /// which the command inherits.
    pub(crate) fn spawn(
        forker: &Forker,
        dir: &CommandDir,
        lock: CommandLock,
        request: &Request,
        prompt: Option<&str>,
        marker: &str,
        variables: &[(String, OsString)],
    ) -> Result<Supervisor, SpawnError> {
        let CommandLock { file: lock, folder } = lock;
        if let Some(prompt) = prompt {
            folder.write(PROMPT, prompt.as_bytes())?;
        }
        folder.write(MARKER_FILE, marker.as_bytes())?;
        if folder.contains(END_REQUEST) {
            // A daemon wrote it for an earlier supervisor, which ended before it executed the command. The
            // empty record counts as damaged, so the request does not apply to the new supervisor.
            folder.write(END_REQUEST, b"")?;
        }
        folder.replace(REQUEST, &serde_json::to_vec(request).map_err(io::Error::from)?, Durability::Process)?;
        // The supervisor works even if the file for its own messages cannot be opened: the messages only help
        // to find faults.
        let messages = folder.appendable(SUPERVISOR).or_else(|_| File::options().append(true).open("/dev/null"))?;
        let request =
            ForkRequest { folder: dir.path().to_owned(), marker: marker.to_owned(), variables: variables.to_vec() };
        let (pid, pidfd) = match forker.fork(&request, &lock, &messages) {
            Ok(forked) => (forked.pid, forked.pidfd),
            Err(ForkError::Unusable) => (execute(&request, lock, messages)?, None),
            Err(ForkError::Refused(error)) => return Err(SpawnError::NotStarted(error)),
            Err(ForkError::Unanswered) => return Err(SpawnError::Unanswered),
        };
        let child = Pid::from_raw(pid).ok_or_else(|| io::Error::other("a new process has no pid"))?;
        let pidfd = pidfd.map_or_else(|| pidfd_open(child, PidfdFlags::empty()).map_err(io::Error::from), Ok);
        let handle = match pidfd.and_then(register) {
            Ok(pidfd) => Handle::Pidfd(pidfd),
            Err(_) => Handle::ChildWithoutPidfd(Child { pid: child, is_gone: false }),
        };
        Ok(Supervisor { handle, pid, marker: Some(marker.to_owned()) })
    }

    /// Opens the living supervisor that the record `started` names; `None`: the record does not exist yet or
    /// is damaged, or the supervisor has ended.
    pub(crate) fn adopt(dir: &CommandDir) -> Result<Option<Supervisor>, RecordError> {
        let Some(started) = dir.read_started()? else { return Ok(None) };
        Ok(Supervisor::open(&started.supervisor, dir.read_marker()?)?)
    }

    /// Opens the living supervisor that `identity` names; `None`: it has ended. `marker`: the marker that the
    /// supervisor carries, if it is known.
    pub(crate) fn open(identity: &Identity, marker: Option<String>) -> io::Result<Option<Supervisor>> {
        let pidfd = ProcessHandle::open(identity)?.map(ProcessHandle::into_fd).map(register).transpose()?;
        Ok(pidfd.map(|pidfd| Supervisor { handle: Handle::Pidfd(pidfd), pid: identity.pid, marker }))
    }

    /// Returns the supervisor's pid. After the supervisor has ended, another process may get the same pid.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// The marker that the supervisor and all its descendants carry.
    pub(crate) fn marker(&self) -> Option<&str> {
        self.marker.as_deref()
    }

    /// Waits until the supervisor ends. This is cancel-safe: the future may be dropped, and the wait
    /// repeated. After the supervisor has ended, this returns at once.
    pub(crate) async fn ended(&mut self) -> io::Result<()> {
        match &mut self.handle {
            Handle::Pidfd(pidfd) => {
                let _ready = pidfd.readable().await?;
                // This fails for a supervisor that is no child of this process, and after the first wait. Linux
                // 5.3 has pidfds, but cannot wait for one.
                let waited = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
                if matches!(waited, Err(rustix::io::Errno::INVAL)) {
                    waitpid(Pid::from_raw(self.pid), WaitOptions::NOHANG).ok();
                }
            }
            Handle::ChildWithoutPidfd(child) => {
                while child.is_running() {
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
        Ok(())
    }

    /// Asks the supervisor, with SIGTERM, to end its command's process tree and to record the end. Continues
    /// a stopped supervisor, so that it handles the signal.
    pub(crate) fn terminate(&mut self) -> io::Result<()> {
        let mut send = |signal| match &mut self.handle {
            Handle::Pidfd(pidfd) => pidfd_send_signal(pidfd.as_fd(), signal),
            // The pid of a child is not reused before the parent has waited for the child.
            Handle::ChildWithoutPidfd(child) => match child.is_running() {
                true => kill_process(child.pid, signal),
                false => Ok(()),
            },
        };
        let sent = match send(Signal::TERM) {
            Ok(()) => send(Signal::CONT),
            refused => refused,
        };
        match sent {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Finds this user's living supervisor that carries `marker`, without reading any record.
pub(crate) fn find_supervisor(marker: &str) -> Option<Identity> {
    marker::processes_with(&[marker]).into_iter().find(|process| {
        let is_supervisor = procfs::first_argument(process.pid).is_some_and(|word| word == SUPERVISE.as_bytes());
        let is_own = procfs::owner(process.pid) == Some(getuid().as_raw());
        // The identity is checked last, because the pid may have been reused since the marker was read.
        is_supervisor && is_own && identity::identify(process.pid).as_ref() == Some(process)
    })
}

/// Whether any process carries `marker` or is in the cgroup named after it.
pub(crate) fn has_processes(marker: &str) -> bool {
    !marker::processes_with(&[marker]).is_empty()
        || Cgroup::with_marker(marker).is_some_and(|cgroup| cgroup.is_populated())
}

/// Executes this program as a supervisor. Returns its pid.
fn execute(request: &ForkRequest, lock: File, messages: File) -> io::Result<i32> {
    let mut command = own_program::command()?;
    command.arg(SUPERVISE).arg(&request.folder).stdin(Stdio::from(lock)).stdout(Stdio::null()).stderr(messages);
    inherited::prepare_for_supervisor(&mut command);
    command.env(MARKER, &request.marker).envs(request.variables.iter().map(|(name, value)| (name, value)));
    i32::try_from(command.spawn()?.id()).map_err(io::Error::other)
}

impl Child {
    /// Whether the child runs. Waits for it if it has ended.
    fn is_running(&mut self) -> bool {
        self.is_gone |= !matches!(waitpid(Some(self.pid), WaitOptions::NOHANG), Ok(None));
        !self.is_gone
    }
}

fn register(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the returned value owns the descriptor, so it stays open for as long as it is registered.
    Ok(unsafe { AsyncFd::register(pidfd) }?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "the supervisor is waited for by its pid")]
    async fn a_supervisor_without_a_pidfd_is_ended_and_waited_for() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let child = Child { pid: Pid::from_child(&child), is_gone: false };
        let mut supervisor = Supervisor { handle: Handle::ChildWithoutPidfd(child), pid, marker: None };
        supervisor.terminate().unwrap();
        supervisor.ended().await.unwrap();
        supervisor.ended().await.unwrap();
        supervisor.terminate().unwrap();
    }

    #[test]
    fn a_newer_started_record_is_no_supervisor_to_adopt() {
        let folder = tempfile::TempDir::new().unwrap();
        let dir = CommandDir::at(folder.path().to_owned());
        assert!(Supervisor::adopt(&dir).unwrap().is_none());
        std::fs::write(dir.started_file(), br#"{"version": 2}"#).unwrap();
        assert!(matches!(Supervisor::adopt(&dir), Err(RecordError::Newer { version: 2, .. })));
    }
}
