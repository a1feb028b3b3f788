//! The service through which the user's service manager runs the daemon, and the commands that control the service.

use std::path::{Path, PathBuf};

use super::{manager, unit};
use crate::system::{files, paths};

/// The name of the systemd unit.
pub(crate) const UNIT: &str = "boi.service";

/// The service that runs the daemon, whether it is installed or not. The variant is the kind of service
/// manager; the path is that of the unit file.
pub(crate) enum UserService {
    Systemd(PathBuf),
    Launchd(PathBuf),
}

impl UserService {
    /// The service for this machine's service manager; `None`: HOME is not set, so the path of the file is not known.
    pub(crate) fn locate() -> Option<UserService> {
        let home = paths::variable("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)?;
        if cfg!(target_os = "macos") {
            return Some(UserService::Launchd(home.join("Library/LaunchAgents/boi.daemon.plist")));
        }
        let config = paths::variable("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        Some(UserService::Systemd(config.unwrap_or_else(|| home.join(".config")).join("systemd/user").join(UNIT)))
    }

    pub(crate) fn file(&self) -> &Path {
        match self {
            UserService::Systemd(file) | UserService::Launchd(file) => file,
        }
    }

    /// The commands that register the service and make it start at every login.
    fn enable_commands(&self) -> Vec<Vec<String>> {
        match self {
            UserService::Systemd(_) => vec![words("systemctl --user daemon-reload"), systemctl("enable")],
            UserService::Launchd(file) => vec![launchctl("load", file)],
        }
    }

    /// The commands by which the user enables and starts the service.
    pub(crate) fn start_commands(&self) -> Vec<String> {
        let mut commands = self.enable_commands();
        if let UserService::Systemd(_) = self {
            commands.push(systemctl("start"));
        }
        commands.iter().map(|command| command.join(" ")).collect()
    }

    /// Registers the service, and makes it start at every login (launchd also starts it now). Returns whether
    /// all commands of the manager succeeded.
    pub(crate) fn enable(&self) -> bool {
        self.enable_commands().iter().all(|command| manager::run(command))
    }

    /// Stops and disables the service.
    pub(crate) fn disable(&self) {
        manager::run(&match self {
            UserService::Systemd(_) => systemctl("disable --now"),
            UserService::Launchd(file) => launchctl("unload", file),
        });
    }
}

/// An installed systemd service that runs the daemon of a home. boi starts and restarts this daemon through the
/// manager, so that the manager keeps supervising it.
pub(crate) struct InstalledService {
    /// The pid of the daemon that the service runs now; `None`: the service does not run.
    pub(crate) main_pid: Option<u32>,
}

/// The systemd service that runs the daemon of `home`; `None`: no such service is installed and loaded, or the manager
/// cannot be reached.
pub(crate) fn installed(home: &Path) -> Option<InstalledService> {
    let UserService::Systemd(file) = UserService::locate()? else { return None };
    let text = String::from_utf8(files::read_user_file(&file, 1 << 20).ok()??).ok()?;
    if !unit::serves(&text, home) {
        return None;
    }
    manager::main_process(UNIT).map(|main_pid| InstalledService { main_pid })
}

/// The command `systemctl VERB` for the service.
pub(crate) fn systemctl(verb: &str) -> Vec<String> {
    words(&format!("systemctl --user {verb} {UNIT}"))
}

/// The command that permanently loads or unloads a launchd agent.
fn launchctl(verb: &str, file: &Path) -> Vec<String> {
    let mut command = words(&format!("launchctl {verb} -w"));
    command.push(file.display().to_string());
    command
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
