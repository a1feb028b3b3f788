//! `boi daemon install|uninstall`: the daemon under the user's own service manager.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{CliError, Context, ExitCode, FAILED, handover, print_json, print_line, service};
use crate::config::flags::Flags;
use crate::process;
use crate::service::unit;
use crate::system::{files, paths};

/// The name of systemd's unit.
pub(super) const SERVICE: &str = "boi.service";

/// `boi daemon install`.
pub(super) async fn install(context: &Context, start: bool, json: bool) -> Result<ExitCode, CliError> {
    let manager = manager()?;
    let file = manager.file();
    refuse_another_homes(file, context.home.root())?;
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
    let old = if start { service::Old::look(context).await? } else { None };
    if start && let Err(code) = handover::check(context, &Flags::default(), old.as_ref().map(|old| &old.view), json)? {
        return Ok(code);
    }
    write(&manager, &program, context.home.root())?;
    let begun = start && manager.serve(context, old.as_ref()).await?;
    let failed = start && !begun;
    let next = if begun { Vec::new() } else { manager.next() };
    let replaced = old.as_ref().map(|old| old.view.pid);
    let lingering = matches!(manager, Manager::Systemd(_)) && !process::tool::lingers();
    if json {
        print_json(
            &json!({"file": file, "started": begun, "replaced": replaced, "lingers": !lingering, "next": next}),
        )?;
        return Ok(if failed { FAILED } else { 0 });
    }
    if failed {
        let message =
            format!("{} is written, but it was not started: the service manager did not do it", file.display());
        return Err(CliError::new(FAILED, message).hint(next.join("\n  ")));
    }
    print_line(&format!("installed {}", file.display()))?;
    if let Some(old) = replaced {
        print_line(&format!("  it took the place of the daemon (pid {old}); what ran was taken over"))?;
    }
    if begun {
        print_line("  it runs: boi daemon status")?;
    }
    for flag in old.iter().flat_map(|old| &old.flags) {
        print_line(&format!("  `-c {flag}` of that daemon is not in force: boi config set {flag}"))?;
    }
    for line in &next {
        print_line(&format!("  {line}"))?;
    }
    if lingering {
        print_line("  to keep it running when you log out: loginctl enable-linger")?;
    }
    Ok(0)
}

fn write(manager: &Manager, program: &Path, home: &Path) -> Result<(), CliError> {
    let path = paths::variable("PATH").unwrap_or_default().to_string_lossy().into_owned();
    let claude = paths::claude_bin();
    let systemd = process::tool::systemd_version();
    let facts = unit::Facts { program, home, path: &path, claude: claude.as_deref(), systemd };
    let text = match manager {
        Manager::Systemd(_) => unit::systemd(&facts),
        Manager::Launchd(_) => unit::launchd(&facts),
    };
    let file = manager.file();
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    files::replace(file, text.as_bytes(), files::Durability::Power).map_err(|error| cannot(file, &error))
}

/// There is one service; that of another home is left as it is.
fn refuse_another_homes(file: &Path, home: &Path) -> Result<(), CliError> {
    if !std::fs::read_to_string(file).is_ok_and(|text| unit::serves_another(&text, home)) {
        return Ok(());
    }
    let message = format!("{} runs the daemon of another home than {}", file.display(), home.display());
    Err(CliError::new(FAILED, message)
        .hint("it is left as it is; `boi daemon uninstall` with the BOI_HOME that it names removes it"))
}

/// `boi daemon uninstall`.
pub(super) fn uninstall(context: &Context, json: bool) -> Result<ExitCode, CliError> {
    let manager = manager()?;
    let file = manager.file();
    refuse_another_homes(file, context.home.root())?;
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

/// The command by which systemd does something with the service.
pub(super) fn systemctl(verb: &str) -> Vec<String> {
    words(&format!("systemctl --user {verb} {SERVICE}"))
}

/// Has the manager start or restart the service; returns when it is ready.
pub(super) fn ask(verb: &str) -> Result<(), CliError> {
    if process::tool::run(&systemctl(verb)) {
        return Ok(());
    }
    let message = format!("{SERVICE} did not {verb}: the service manager said why");
    Err(CliError::new(FAILED, message).hint(format!("its words: journalctl --user -u {SERVICE}")))
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The command by which launchd loads or unloads the agent of that file, for good.
fn launchctl(verb: &str, file: &Path) -> Vec<String> {
    let mut words = words(&format!("launchctl {verb} -w"));
    words.push(file.display().to_string());
    words
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

    /// What has the manager know the service, and start it at every login.
    fn enables(&self) -> Vec<Vec<String>> {
        match self {
            Manager::Systemd(_) => vec![words("systemctl --user daemon-reload"), systemctl("enable")],
            Manager::Launchd(file) => vec![launchctl("load", file)],
        }
    }

    /// How the service is enabled and started by hand.
    fn next(&self) -> Vec<String> {
        let mut commands = self.enables();
        if let Manager::Systemd(_) = self {
            commands.push(systemctl("start"));
        }
        commands.iter().map(|command| format!("start it: {}", command.join(" "))).collect()
    }

    /// Has the service run the daemon, in the place of the `old` one; whether the manager did that.
    async fn serve(&self, context: &Context, old: Option<&service::Old>) -> Result<bool, CliError> {
        let enable = || self.enables().iter().all(|command| process::tool::run(command));
        match self {
            Manager::Systemd(_) => Ok(enable() && service::under_systemd(context, old).await?),
            Manager::Launchd(_) => {
                if let Some(old) = old {
                    old.end().await?;
                }
                Ok(enable())
            }
        }
    }

    fn stop(&self) {
        process::tool::run(&match self {
            Manager::Systemd(_) => systemctl("disable --now"),
            Manager::Launchd(file) => launchctl("unload", file),
        });
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
