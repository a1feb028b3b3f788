//! Launches a daemon in the background, and waits until it listens.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::args::ConfigFlags;
use super::running_daemon::{POLL, RunningDaemon};
use super::{CliError, FAILED, GAVE_UP, backend};
use crate::domain::view::DaemonView;
use crate::process::background;
use crate::system::paths::Home;

/// How long a launched daemon may take until it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How long a daemon that leaves its workers running may take to end.
pub(super) const LEAVES_WITHIN: Duration = Duration::from_secs(30);

/// A daemon that was launched.
pub(super) struct Launched {
    child: Child,
    log: PathBuf,
    /// The length of the log before the launch. The output of the launched daemon begins there.
    log_offset: u64,
}

/// Launches a daemon. If another daemon runs, the new one waits until that one ends.
pub(super) fn launch(home: &Home, flags: &ConfigFlags) -> Result<Launched, CliError> {
    let home = backend::configured(home);
    home.prepare()?;
    let log = home.log_file();
    let log_offset = background::log_size(&log);
    flags.read()?;
    let given = flags.config.iter().flat_map(|flag| ["-c", flag]);
    let arguments: Vec<&str> = ["daemon", "run", "--background"].into_iter().chain(given).collect();
    let child = background::start(&arguments, &log)
        .map_err(|error| CliError::new(FAILED, format!("cannot start a daemon: {error}")))?;
    Ok(Launched { child, log, log_offset })
}

/// Launches a daemon and waits until a daemon listens. Returns the listening daemon, and whether it is the
/// launched one: a daemon that another `boi` launched may have listened first.
pub(super) async fn launch_and_wait(home: &Home, flags: &ConfigFlags) -> Result<(DaemonView, bool), CliError> {
    let launched = launch(home, flags)?;
    let pid = launched.child.id();
    let daemon = wait_until_listening(home, launched, None).await?;
    let own = daemon.pid == pid;
    Ok((daemon, own))
}

/// Waits until a daemon other than the one with pid `old` listens. If the launched daemon ends instead, the
/// error contains its output.
pub(super) async fn wait_until_listening(
    home: &Home,
    launched: Launched,
    old: Option<u32>,
) -> Result<DaemonView, CliError> {
    let Launched { mut child, log, log_offset } = launched;
    let until = Instant::now() + STARTS_WITHIN.max(LEAVES_WITHIN);
    loop {
        // A connection may break while one daemon ends and the next one starts.
        if let Ok(Some(RunningDaemon { view: daemon, .. })) = RunningDaemon::find_listening(home).await
            && Some(daemon.pid) != old
            && !daemon.stopping
        {
            if daemon.pid != child.id() {
                // Another daemon, such as that of a service, listened first. The launched daemon would wait
                // until that one ends, so it is killed.
                child.kill().and_then(|()| child.wait())?;
            }
            return Ok(daemon);
        }
        if let Some(status) = child.try_wait()? {
            let output = without_log_events(&background::read_log_since(&log, log_offset));
            let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
            let message = format!("the daemon ended at once:\n{}", output.trim_end());
            return Err(CliError::new(code.unwrap_or(FAILED), message)
                .hint(format!("the log of the daemon: {}", log.display())));
        }
        if Instant::now() >= until {
            let message =
                format!("the daemon (pid {}) is still not listening after {} s", child.id(), STARTS_WITHIN.as_secs());
            return Err(CliError::new(GAVE_UP, message).hint(format!("the log of the daemon: {}", log.display())));
        }
        sleep(POLL).await;
    }
}

/// Returns the lines of a log that are not events. An event begins with a time, and the daemon that is
/// replaced may have logged it.
fn without_log_events(text: &str) -> String {
    let is_event = |line: &&str| line.split(' ').next().is_some_and(|word| word.parse::<jiff::Timestamp>().is_ok());
    text.lines().filter(|line| !is_event(line)).collect::<Vec<_>>().join("\n")
}
