//! One command's folder: its lock and records, and the daemon's side of the protocol with the supervisor.
//!
//! The daemon locks `lock`, hands it to the supervisor as its standard input, and drops its own copy: the kernel holds
//! the lock for as long as the supervisor lives. Looking takes the lock first and reads then.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde::de::DeserializeOwned;
use tokio::io::unix::AsyncFd;
use tracing::warn;

use super::cgroup::Cgroup;
use super::inherited;
use super::together::{self, Signalled};
use super::tree::{self, MARKER};
use crate::decide::recover::{Evidence, Remains};
use crate::domain::command::{Identity, Request, Started};
use crate::domain::outcome::CommandEnd;
use crate::system::{files, paths};

/// The word by which the program becomes a supervisor.
pub const SUPERVISE: &str = "__supervise";

/// A supervisor that cannot be watched is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The folder of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandDir(PathBuf);

/// A command's lock, held by this process.
#[derive(Debug)]
pub struct CommandLock(File);

/// A running supervisor.
#[derive(Debug)]
pub struct Supervisor {
    handle: Handle,
    marker: Option<String>,
}

#[derive(Debug)]
enum Handle {
    /// This process found it.
    Found(AsyncFd<OwnedFd>),
    /// This process started it.
    Own(AsyncFd<OwnedFd>, Child),
    /// This process started it, and had no descriptor left to watch it by.
    Unwatched(Child),
}

impl CommandDir {
    /// The folder at `path`, made if it is not there.
    pub fn create(path: PathBuf) -> io::Result<CommandDir> {
        let dir = CommandDir(path);
        dir.regain()?;
        files::private_dir(&dir.0)?;
        Ok(dir)
    }

    /// Gives this user the rights back that a command took away: to the folders that its records are in, and to them.
    pub fn regain(&self) -> io::Result<()> {
        if let Some(path) = files::regain(&paths::folders_of_command(&self.0))? {
            warn!(path = %path.display(), "this user's rights to it were taken away: they are given back");
        }
        Ok(())
    }

    /// The folder at `path`.
    pub fn at(path: PathBuf) -> CommandDir {
        CommandDir(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is locked for as long as the supervisor lives.
    pub fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// What the supervisor is to run.
    pub fn request_file(&self) -> PathBuf {
        self.0.join("request")
    }

    /// What the command reads.
    pub fn prompt_file(&self) -> PathBuf {
        self.0.join("prompt")
    }

    /// That something was executed, and who it is.
    pub fn started_file(&self) -> PathBuf {
        self.0.join("started")
    }

    /// How it ended.
    pub fn exit_file(&self) -> PathBuf {
        self.0.join("exit")
    }

    /// The marker that its supervisor and all that descends from it carry.
    fn marker_file(&self) -> PathBuf {
        self.0.join("marker")
    }

    /// What it printed.
    pub fn output_file(&self) -> PathBuf {
        self.0.join("output")
    }

    /// What it printed on standard error, where that is kept apart.
    pub fn errors_file(&self) -> PathBuf {
        self.0.join("errors")
    }

    /// Who carries out the command, if anything was executed and it is known.
    pub fn started(&self) -> io::Result<Option<Started>> {
        undamaged(&self.started_file())
    }

    /// What is found here, and the lock if nobody held it. `other_boot`: the machine was started again since the command
    /// was recorded as begun.
    pub fn look(&self, other_boot: bool) -> io::Result<(Evidence, Option<CommandLock>)> {
        self.regain()?;
        let file = files::private_file(&self.lock_file())?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Ok((Evidence { lock_held: true, exit: None, other_boot, started: None, removed: false }, None));
            }
            Err(error) => return Err(error.into()),
        }
        Ok((self.recorded(other_boot)?, Some(CommandLock(file))))
    }

    /// What the records say while nobody has the lock.
    pub fn recorded(&self, other_boot: bool) -> io::Result<Evidence> {
        let exit: Option<CommandEnd> = undamaged(&self.exit_file())?;
        let started = match self.started()? {
            Some(started) if super::lives(&started.command) => Some(Remains::Alive),
            Some(_) => Some(Remains::Gone),
            // Damaged, they still tell that something was executed.
            None => (self.started_file().exists() || self.exit_file().exists()).then_some(Remains::Gone),
        };
        Ok(Evidence { lock_held: false, exit, other_boot, started, removed: false })
    }

    /// What its supervisor had to say of itself.
    pub fn supervisor_file(&self) -> PathBuf {
        self.0.join("supervisor")
    }

    /// The last line of that.
    pub fn last_words(&self) -> Option<String> {
        let said = files::tail(&self.supervisor_file(), 1000).ok()?;
        String::from_utf8_lossy(&said).trim_end().lines().next_back().map(str::to_owned)
    }

    /// Starts a supervisor on `request`. When this fails, none was started. `variables` go into the environment of the command, besides the daemon's own.
    pub fn spawn(
        &self,
        lock: CommandLock,
        request: &Request,
        prompt: Option<&str>,
        marker: &str,
        variables: &[(&str, String)],
    ) -> io::Result<Supervisor> {
        if let Some(prompt) = prompt {
            files::write_private(&self.prompt_file(), prompt.as_bytes())?;
        }
        files::write_private(&self.marker_file(), marker.as_bytes())?;
        files::write_record(&self.request_file(), request, files::Durability::Process)?;
        let mut command = Command::new(own_program()?);
        // Its words are for whoever looks into what went wrong: without a file for them it does its work as well.
        let words = files::private_log(&self.supervisor_file()).map_or_else(|_| Stdio::null(), Stdio::from);
        command.arg(SUPERVISE).arg(&self.0).stdin(Stdio::from(lock.0)).stdout(Stdio::null()).stderr(words);
        for variable in inherited::GIT_LOCAL.iter().chain(inherited::OF_ANOTHER) {
            command.env_remove(variable);
        }
        command.envs(paths::named_home().map(|home| (paths::HOME, home)));
        command.env(MARKER, marker).envs(variables.iter().map(|(name, value)| (name, value)));
        let child = command.spawn()?;
        let handle =
            pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(io::Error::from).and_then(watched);
        let handle = match handle {
            Ok(handle) => Handle::Own(handle, child),
            Err(_) => Handle::Unwatched(child),
        };
        Ok(Supervisor { handle, marker: Some(marker.to_owned()) })
    }

    /// The supervisor that was found alive; `None` while it has not recorded itself, or when it is gone.
    pub fn adopt(&self) -> io::Result<Option<Supervisor>> {
        let Some(started) = self.started()? else { return Ok(None) };
        Supervisor::found(&started.supervisor, self.marker()?)
    }

    /// The folder, below `attempts`, of the command that this process was started by; `None` where it was by none.
    pub fn around(attempts: &Path) -> Option<CommandDir> {
        let own = paths::variable(MARKER)?.into_string().ok()?;
        let below =
            |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut commands = below(attempts.to_owned()).flat_map(below).flat_map(below).map(CommandDir);
        commands.find(|dir| dir.marker().is_ok_and(|marker| marker.as_ref() == Some(&own)))
    }

    fn marker(&self) -> io::Result<Option<String>> {
        match std::fs::read(self.marker_file()) {
            Ok(marker) => Ok(Some(String::from_utf8_lossy(&marker).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the folder again where it was removed under a command, with the `marker` that what is left of the command
    /// carries. Returns whether it was removed: what its supervisor could still record is there.
    pub fn restore(&self, marker: &str) -> io::Result<bool> {
        self.regain()?;
        if self.marker()?.as_deref() == Some(marker) {
            return Ok(false);
        }
        files::private_dir(&self.0)?;
        files::write_private(&self.marker_file(), marker.as_bytes())?;
        Ok(true)
    }

    /// The processes that are left of a command whose supervisor died.
    pub fn remains(&self) -> io::Result<Vec<Identity>> {
        let mut left: Vec<Identity> = self.marker()?.map(|marker| tree::marked(&marker)).unwrap_or_default();
        left.extend(self.cgroup()?.map(|cgroup| cgroup.processes()).unwrap_or_default());
        if let Some(command) = self.started()?.map(|started| started.command) {
            let below = tree::descendants(command.pid);
            // Looked at last: who has its pid now had it when its descendants were looked for.
            if super::lives(&command) {
                left.extend(std::iter::once(command).chain(below));
            }
        }
        left.sort_by_key(|who| (who.pid, who.start_time));
        left.dedup();
        Ok(left)
    }

    /// Sends `signal` to the processes that are left of a command whose supervisor died.
    pub fn signal_remains(&self, signal: Signal) -> io::Result<Signalled> {
        together::signal_tree(signal, self.cgroup()?.as_ref(), || self.remains())
    }

    /// Removes the cgroup of a command of which nothing is left.
    pub fn remove_cgroup(&self) -> io::Result<()> {
        self.cgroup()?.map_or(Ok(()), |cgroup| cgroup.remove())
    }

    /// The command's own cgroup, if there is one: as recorded, or, without a record of it, where one would be made now.
    fn cgroup(&self) -> io::Result<Option<Cgroup>> {
        if let Some(cgroup) = self.started()?.and_then(|started| started.cgroup) {
            return Ok(Cgroup::at(&cgroup));
        }
        Ok(self.marker()?.and_then(|marker| Cgroup::of(&marker)))
    }
}

impl Supervisor {
    /// The one that `who` names, which carries `marker`; `None` when it is gone.
    pub fn found(who: &Identity, marker: Option<String>) -> io::Result<Option<Supervisor>> {
        let handle = super::open(who)?.map(watched).transpose()?;
        Ok(handle.map(|handle| Supervisor { handle: Handle::Found(handle), marker }))
    }

    /// The marker that it and all that descends from it carry.
    pub fn marker(&self) -> Option<&str> {
        self.marker.as_deref()
    }

    /// Waits for its end. Dropped midway, nothing is lost: an end that was not taken note of is seen again.
    pub async fn ended(&mut self) -> io::Result<()> {
        match &mut self.handle {
            Handle::Found(handle) => {
                let _ready = handle.readable().await?;
            }
            Handle::Own(handle, child) => {
                let _ready = handle.readable().await?;
                child.wait()?;
            }
            Handle::Unwatched(child) => {
                while child.try_wait()?.is_none() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
        Ok(())
    }

    /// Asks it to end its command's tree and to record that, also where somebody has stopped it.
    pub fn terminate(&mut self) -> io::Result<()> {
        let mut send = |signal| match &mut self.handle {
            Handle::Found(handle) | Handle::Own(handle, _) => Ok(pidfd_send_signal(handle.as_fd(), signal)),
            // The pid of a child is nobody else's until the child was waited for.
            Handle::Unwatched(child) => child.try_wait().map(|ended| match ended {
                None => kill_process(Pid::from_child(child), signal),
                Some(_) => Ok(()),
            }),
        };
        let sent = match send(Signal::TERM)? {
            Ok(()) => send(Signal::CONT)?,
            refused => refused,
        };
        match sent {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A record of a command. One that is damaged, by a loss of power or by somebody, says no more than one that is not there.
fn undamaged<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match files::read_record(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            warn!(%error, "it is passed over");
            Ok(None)
        }
        read => read,
    }
}

fn watched(handle: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by what is returned, so it stays open for as long as it is registered.
    Ok(unsafe { AsyncFd::register(handle) }?)
}

/// The running program itself, also after its file was replaced.
pub(super) fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_says_that_something_was_executed_and_no_more() {
        let folder = tempfile::TempDir::new().unwrap();
        let dir = CommandDir::at(folder.path().to_owned());
        let found = || {
            let (evidence, _) = dir.look(false).unwrap();
            (evidence.exit.is_some(), evidence.started)
        };
        assert_eq!(found(), (false, None));
        for file in [dir.started_file(), dir.exit_file()] {
            for damaged in [&b""[..], &[0; 328], b"{\"version\": 1, \"super"] {
                std::fs::write(&file, damaged).unwrap();
                assert_eq!(found(), (false, Some(Remains::Gone)), "{}", file.display());
            }
            assert!(dir.adopt().unwrap().is_none());
            assert!(dir.remains().unwrap().is_empty());
            std::fs::remove_file(file).unwrap();
        }
        std::fs::write(dir.marker_file(), b"\xff\0").unwrap();
        assert!(dir.restore("a marker").unwrap() && !dir.restore("a marker").unwrap());
    }

    #[tokio::test]
    async fn a_supervisor_that_cannot_be_watched_is_ended_and_waited_for() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let mut supervisor = Supervisor { handle: Handle::Unwatched(child), marker: None };
        supervisor.terminate().unwrap();
        supervisor.ended().await.unwrap();
        supervisor.ended().await.unwrap();
        supervisor.terminate().unwrap();
    }
}
