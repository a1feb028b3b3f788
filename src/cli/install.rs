//! `boi daemon install|uninstall`: the daemon under the user's own service manager.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{CliError, Context, ExitCode, FAILED, print_json, print_line};
use crate::host::{files, paths, process, unit};

/// The name of systemd's unit.
const SERVICE: &str = "boi.service";

/// `boi daemon install`.
pub(super) fn install(context: &Context, start: bool, json: bool) -> Result<ExitCode, CliError> {
    let manager = manager()?;
    let program = std::env::current_exe()?;
    if program.components().any(|part| part.as_os_str() == "target") {
        eprintln!(
            "warning: {} is a build folder's; `cargo install --path .` first, then install again",
            program.display()
        );
    }
    if matches!(manager, Manager::Systemd(_)) && !unit::is_executable_by_systemd(&program) {
        let message =
            format!("systemd executes no program whose path has quotes or backslashes: {}", program.display());
        return Err(CliError::new(FAILED, message).hint("put boi elsewhere, then install again"));
    }
    let file = manager.file();
    let path = paths::variable("PATH").unwrap_or_default().to_string_lossy().into_owned();
    let claude = paths::claude_bin();
    let facts = unit::Facts {
        program: &program,
        home: context.home.root(),
        path: &path,
        claude: claude.as_deref(),
        systemd: process::tool::systemd_version(),
    };
    let text = match manager {
        Manager::Systemd(_) => unit::systemd(&facts),
        Manager::Launchd(_) => unit::launchd(&facts),
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    files::replace(file, text.as_bytes(), files::Durability::Process).map_err(|error| cannot(file, &error))?;
    let (begun, next) = if start { manager.start() } else { (false, manager.next()) };
    let failed = start && !begun;
    let lingering = matches!(manager, Manager::Systemd(_)) && !process::tool::lingers();
    if json {
        print_json(&json!({"file": file, "started": begun, "lingers": !lingering, "next": next}))?;
        return Ok(if failed { FAILED } else { 0 });
    }
    if failed {
        let message =
            format!("{} is written, but it was not started: the service manager did not do it", file.display());
        return Err(CliError::new(FAILED, message).hint(next.join("\n  ")));
    }
    print_line(&format!("installed {}", file.display()))?;
    for line in &next {
        print_line(&format!("  {line}"))?;
    }
    if lingering {
        print_line("  to keep it running when you log out: loginctl enable-linger")?;
    }
    Ok(0)
}

/// `boi daemon uninstall`.
pub(super) fn uninstall(json: bool) -> Result<ExitCode, CliError> {
    let manager = manager()?;
    let file = manager.file();
    if !file.exists() {
        return Err(CliError::new(FAILED, format!("{} is not there: nothing to uninstall", file.display())));
    }
    manager.stop();
    std::fs::remove_file(file).map_err(|error| cannot(file, &error))?;
    if json {
        print_json(&json!({"file": file, "removed": true}))?;
    } else {
        print_line(&format!(
            "removed {}; what ran under it lives on: `boi daemon start` takes it over",
            file.display()
        ))?;
    }
    Ok(0)
}

/// The service that runs the daemon of a home: whom a start or a restart is asked of, so that the manager goes on
/// watching the daemon.
pub(super) struct Service {
    /// The daemon that it runs now.
    pub(super) main: Option<u32>,
}

/// The service that runs the daemon of `home`; `None` where none is installed, or the manager cannot be reached.
pub(super) fn service(home: &Path) -> Option<Service> {
    let Manager::Systemd(file) = manager().ok()? else { return None };
    let text = std::fs::read_to_string(file).ok()?;
    if !unit::serves(&text, home) {
        return None;
    }
    process::tool::main_process(SERVICE).map(|main| Service { main })
}

impl Service {
    /// Has the manager start or restart it; returns when it is ready.
    pub(super) fn ask(verb: &str) -> Result<(), CliError> {
        let words = ["systemctl", "--user", verb, SERVICE].map(str::to_owned);
        if process::tool::run(&words) {
            return Ok(());
        }
        let message = format!("{SERVICE} did not {verb}: the service manager said why");
        Err(CliError::new(FAILED, message).hint(format!("its words: journalctl --user -u {SERVICE}")))
    }
}

enum Manager {
    Systemd(PathBuf),
    Launchd(PathBuf),
}

impl Manager {
    fn file(&self) -> &Path {
        match self {
            Manager::Systemd(file) | Manager::Launchd(file) => file,
        }
    }

    fn commands(&self) -> Vec<Vec<String>> {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Manager::Systemd(_) => {
                vec![
                    words("systemctl --user daemon-reload"),
                    words(&format!("systemctl --user enable --now {SERVICE}")),
                ]
            }
            Manager::Launchd(file) => {
                let mut load = words("launchctl load -w");
                load.push(file.display().to_string());
                vec![load]
            }
        }
    }

    fn next(&self) -> Vec<String> {
        self.commands().iter().map(|command| format!("start it: {}", command.join(" "))).collect()
    }

    /// Starts the service; says what is left to do where that did not work.
    fn start(&self) -> (bool, Vec<String>) {
        let begun = self.commands().iter().all(|command| process::tool::run(command));
        if begun { (true, vec!["it runs: boi daemon status".to_owned()]) } else { (false, self.next()) }
    }

    fn stop(&self) {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Manager::Systemd(_) => {
                process::tool::run(&words(&format!("systemctl --user disable --now {SERVICE}")));
            }
            Manager::Launchd(file) => {
                let mut unload = words("launchctl unload -w");
                unload.push(file.display().to_string());
                process::tool::run(&unload);
            }
        }
    }
}

fn manager() -> Result<Manager, CliError> {
    let home = paths::variable("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let home =
        home.ok_or_else(|| CliError::new(FAILED, "HOME is not set, so there is no place for a user's service"))?;
    if cfg!(target_os = "macos") {
        return Ok(Manager::Launchd(home.join("Library/LaunchAgents/boi.daemon.plist")));
    }
    let config = paths::variable("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    Ok(Manager::Systemd(config.unwrap_or_else(|| home.join(".config")).join("systemd/user").join(SERVICE)))
}

fn cannot(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(FAILED, format!("cannot write {}: {error}", path.display()))
}
