//! The service manager: the unit that starts the daemon, and the notifications (`sd_notify`) that the daemon sends.
//! Without a manager that listens, nothing is sent.

use sd_notify::NotifyState;
use tracing::debug;

use crate::process::tool;
use crate::system::paths;

pub mod unit;

/// The daemon serves.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read because somebody asked. [`ready`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "there is no monotonic clock to tell the service manager"),
    }
}

/// The daemon ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Whether the manager that started this process ends itself, and soon kills what it runs. It may take a moment to answer.
pub fn manager_ends() -> bool {
    paths::variable("NOTIFY_SOCKET").is_some() && tool::manager_ends()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager does not listen");
    }
}
