//! Runs the service manager's command-line tools.

#![expect(clippy::disallowed_methods, reason = "this file starts the service manager's tools")]

use std::process::{Child, Command, Stdio};

/// Runs a command and shows its output to the user. Returns whether the command succeeded.
pub(crate) fn run(command: &[String]) -> bool {
    start(command).is_some_and(|mut tool| tool.wait().is_ok_and(|status| status.success()))
}

/// Starts a command, whose output the user sees. Returns `None` if the command cannot be started.
pub(crate) fn start(command: &[String]) -> Option<Child> {
    let (program, arguments) = command.split_first()?;
    Command::new(program).args(arguments).stdin(Stdio::null()).spawn().ok()
}

/// Returns the version of systemd; `None`: systemd is not installed.
pub(crate) fn systemd_version() -> Option<u32> {
    let text = successful_output("systemctl", &["--version"])?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a service manager runs for this user.
pub(crate) fn runs_for_user() -> bool {
    successful_output("systemctl", &["--user", "show", "--property=Version"]).is_some()
}

/// Whether the user's services keep running after the user logs out.
pub(crate) fn lingers() -> bool {
    let user = rustix::process::getuid().as_raw().to_string();
    successful_output("loginctl", &["show-user", &user, "--property=Linger", "--value"])
        .is_some_and(|text| text.trim() == "yes")
}

/// Returns the pid of a user service's main process. `None`: the manager has not loaded the service.
/// `Some(None)`: the service does not run.
pub(crate) fn main_process(service: &str) -> Option<Option<u32>> {
    let text = successful_output("systemctl", &["--user", "show", service, "--property=LoadState,MainPID"])?;
    let property = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let main = property("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0);
    (property("LoadState") == Some("loaded")).then_some(main)
}

/// Whether the user's service manager is stopping, at a logout or a shutdown. A stopping manager kills everything that
/// it runs.
pub(super) fn is_stopping() -> bool {
    // While the manager is stopping, the tool's exit code is not 0, so only the output counts.
    output("systemctl", &["--user", "is-system-running"]).is_some_and(|(_, state)| state.trim() == "stopping")
}

fn successful_output(program: &str, arguments: &[&str]) -> Option<String> {
    output(program, arguments).filter(|(succeeded, _)| *succeeded).map(|(_, text)| text)
}

fn output(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}
