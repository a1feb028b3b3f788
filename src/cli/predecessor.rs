//! The running daemon that a new daemon is to replace. Its workers keep running, and the new daemon takes
//! them over.

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::CliError;
use super::launch::LEAVES_WITHIN;
use super::running_daemon::{self, POLL};
use crate::domain::view::DaemonView;
use crate::process::identity::ProcessHandle;
use crate::process::procfs;
use crate::service::manager;
use crate::service::user_service::{self, systemctl};
use crate::system::paths::Home;

/// A daemon that is to be replaced.
pub(super) struct Predecessor {
    pub(super) view: DaemonView,
    /// The configuration keys that the daemon's command line set, in the form that `-c` takes.
    pub(super) flags: Vec<String>,
    target: ProcessHandle,
}

impl Predecessor {
    /// Returns the daemon of a home, if one runs. Fails if that daemon is a `boi run`, which must not be
    /// replaced.
    pub(super) async fn find(home: &Home) -> Result<Option<Predecessor>, CliError> {
        let until = Instant::now() + LEAVES_WITHIN;
        loop {
            let Some((client, view)) = running_daemon::find(home).await? else { return Ok(None) };
            running_daemon::refuse_run(&view)?;
            let target = running_daemon::process_handle(&view)?;
            // The daemon confirms its pid after the handle was opened, so the handle belongs to the daemon's
            // process.
            let again = match running_daemon::status(&client).await {
                Err(error) if !error.is_away() => return Err(error),
                answer => answer.ok().filter(|again| again.daemon.as_ref().map(|daemon| daemon.pid) == Some(view.pid)),
            };
            if let (Some(target), Some(again)) = (target, again) {
                let flags = again.config.flags.iter().map(|flag| flag.replacen(" = ", "=", 1)).collect();
                return Ok(Some(Predecessor { view, flags, target }));
            }
            // The daemon has ended or was replaced: another command may be restarting it.
            if Instant::now() >= until {
                return Err(running_daemon::ended_meanwhile(&view));
            }
            sleep(POLL).await;
        }
    }

    /// Makes the daemon end and leave its workers running.
    pub(super) fn terminate(&self) -> Result<(), CliError> {
        self.target.signal(Signal::TERM)?;
        Ok(())
    }

    /// Makes the daemon end and leave its workers running, and waits until the daemon has ended.
    pub(super) async fn end(&self) -> Result<(), CliError> {
        self.terminate()?;
        while self.target.lives() {
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
    while !main_pid_of_service(home).is_some_and(|pid| procfs::has_open(pid, &pid_file)) {
        if let Some(status) = starting.try_wait()? {
            return Ok(status.success());
        }
        sleep(POLL * 10).await;
    }
    old.terminate()?;
    let started = starting.wait()?.success();
    if !started && running_daemon::find_listening(home).await?.is_none() {
        eprintln!(
            "warning: no daemon runs now; the workers of the old daemon keep running: `boi daemon start` takes them over"
        );
    }
    Ok(started)
}

/// Returns the pid of the daemon that the installed service runs.
pub(super) fn main_pid_of_service(home: &Home) -> Option<u32> {
    user_service::installed(home.root())?.main_pid
}
