//! The running daemon that a new daemon is to replace. Its workers keep running, and the new daemon takes
//! them over.

use rustix::process::Signal;
use tokio::time::sleep;

use super::CliError;
use super::patience::{GIVE_UP, Patience};
use super::running_daemon::{POLL, RunningDaemon};
use crate::domain::view::DaemonView;
use crate::process::procfs;
use crate::service::manager;
use crate::service::user_service::{self, systemctl};
use crate::system::output::say;
use crate::system::paths::Home;

/// A daemon that is to be replaced.
pub(super) struct Predecessor {
    pub(super) view: DaemonView,
    /// The configuration keys that the daemon's command line set, in the form that `-c` takes.
    pub(super) flags: Vec<String>,
    daemon: RunningDaemon,
}

impl Predecessor {
    /// Returns the daemon of a home, if one runs. Waits for the end of a daemon that is stopping. Fails if
    /// the daemon is a `boi run` or runs in another PID namespace, because such a daemon cannot be replaced.
    pub(super) async fn find(home: &Home) -> Result<Option<Predecessor>, CliError> {
        let Some(daemon) = RunningDaemon::find_not_stopping(home).await? else { return Ok(None) };
        daemon.refuse_run()?;
        daemon.refuse_elsewhere()?;
        daemon.refuse_first()?;
        let flags = daemon.status.config.flags.iter().map(|flag| flag.replacen(" = ", "=", 1)).collect();
        Ok(Some(Predecessor { view: daemon.view.clone(), flags, daemon }))
    }

    /// Makes the daemon end and leave its workers running.
    pub(super) fn terminate(&self) -> Result<(), CliError> {
        self.daemon.peer.signal(Signal::TERM)?;
        Ok(())
    }

    /// Makes the daemon end and leave its workers running, and waits until the daemon has ended.
    pub(super) async fn end(&self) -> Result<(), CliError> {
        self.terminate()?;
        let mut patience = Patience::new(Some(GIVE_UP));
        while self.daemon.peer.lives() == Some(true) {
            patience.check(format_args!("the end of the daemon (pid {})", self.view.pid))?;
            sleep(POLL).await;
        }
        Ok(())
    }
}

/// Makes systemd run the daemon instead of `old`. The unit must be enabled before. Returns whether systemd
/// now runs the daemon.
pub(super) async fn replace_under_systemd(home: &Home, old: Option<&Predecessor>) -> Result<bool, CliError> {
    let Some(old) = old else { return Ok(manager::run(&systemctl("start"))) };
    if main_pid_of_service(home) == Some(old.view.pid) {
        return Ok(manager::run(&systemctl("restart")));
    }
    // The new daemon starts first and waits until the old daemon ends, so the old one keeps running if the
    // unit cannot start.
    let Some(mut starting) = manager::start(&systemctl("start")) else { return Ok(false) };
    let pid_file = home.pid_file();
    let mut patience = Patience::new(Some(GIVE_UP));
    while !main_pid_of_service(home).is_some_and(|pid| procfs::has_open(pid, &pid_file)) {
        if let Some(status) = starting.try_wait()? {
            return Ok(status.success());
        }
        patience.check("the service manager to start the service")?;
        sleep(POLL * 10).await;
    }
    old.terminate()?;
    let started = starting.wait()?.success();
    if !started && RunningDaemon::find_listening(home).await?.is_none() {
        say!(
            "warning: no daemon runs now; the workers of the old daemon keep running: `boi daemon start` takes them over"
        );
    }
    Ok(started)
}

/// Returns the pid of the daemon that the installed service runs.
pub(super) fn main_pid_of_service(home: &Home) -> Option<u32> {
    user_service::installed(home.root())?.main_pid
}
