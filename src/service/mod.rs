//! The service manager (systemd or launchd): the unit that starts the daemon, the manager's command-line tools, and the
//! notifications (`sd_notify`) that the daemon sends to the manager. If no manager listens, nothing is sent.

use sd_notify::NotifyState;
use tracing::debug;

use crate::system::paths;

pub(crate) mod manager;
pub(crate) mod unit;
pub(crate) mod user_service;

/// Tells the service manager that the daemon answers requests. The manager shows `status` to the user.
pub(crate) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells the service manager that a requested reload of the configuration has begun. A call of [`ready`] must
/// follow.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => {
            debug!(%error, "cannot report the reload to the service manager, because the monotonic clock cannot be read")
        }
    }
}

/// Tells the service manager that the daemon is stopping.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Returns whether a service manager started this process.
pub(crate) fn is_managed() -> bool {
    ["NOTIFY_SOCKET", "INVOCATION_ID"].into_iter().any(|name| paths::variable(name).is_some())
}

/// Returns whether the service manager that started this process is stopping, and so will kill all its
/// processes. Blocks until the manager has answered.
pub(crate) fn manager_is_stopping() -> bool {
    paths::variable("NOTIFY_SOCKET").is_some() && manager::is_stopping()
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "cannot notify the service manager");
    }
}
