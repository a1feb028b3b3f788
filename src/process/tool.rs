//! The tools of a service manager.

use std::process::{Child, Command, Stdio};

/// Runs a tool; whether it succeeded. What it prints is for the user.
pub fn run(words: &[String]) -> bool {
    begin(words).is_some_and(|mut tool| tool.wait().is_ok_and(|status| status.success()))
}

/// Starts a tool; `None` where it cannot be started. What it prints is for the user.
pub fn begin(words: &[String]) -> Option<Child> {
    let (program, arguments) = words.split_first()?;
    Command::new(program).args(arguments).stdin(Stdio::null()).spawn().ok()
}

/// The version of systemd; `None` where there is none.
pub fn systemd_version() -> Option<u32> {
    let text = said("systemctl", &["--version"])?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Whether the user's services go on when the user logs out.
pub fn lingers() -> bool {
    let user = rustix::process::getuid().as_raw().to_string();
    said("loginctl", &["show-user", &user, "--property=Linger", "--value"]).is_some_and(|text| text.trim() == "yes")
}

/// The main process of a service of the user, where the manager has it loaded: `Some(None)` while it does not run.
pub fn main_process(service: &str) -> Option<Option<u32>> {
    let text = said("systemctl", &["--user", "show", service, "--property=LoadState,MainPID"])?;
    let property = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let main = property("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0);
    (property("LoadState") == Some("loaded")).then_some(main)
}

/// Whether the user's service manager ends, at a logout or with the machine, and soon kills all that it runs.
pub fn manager_ends() -> bool {
    // That it ends is no success.
    output("systemctl", &["--user", "is-system-running"]).is_some_and(|(_, state)| state.trim() == "stopping")
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    output(program, arguments).filter(|(succeeded, _)| *succeeded).map(|(_, text)| text)
}

fn output(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}
