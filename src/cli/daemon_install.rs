//! `boi daemon install` and `boi daemon uninstall`: install and remove the daemon as a service of the user's
//! service manager.

use std::path::Path;

use serde_json::json;

use super::predecessor::{Predecessor, replace_under_systemd};
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, preflight};
use crate::config::flags::Flags;
use crate::service::user_service::UserService;
use crate::service::{manager, unit};
use crate::system::output::say;
use crate::system::paths::Home;
use crate::system::{files, paths};

/// Carries out `boi daemon install`.
pub(super) async fn install(home: &Home, start: bool, json: bool) -> Result<ExitCode, CliError> {
    let service = locate_service()?;
    let file = service.file();
    refuse_other_home(file, home.root())?;
    let program = std::env::current_exe()?;
    check_program(&service, &program)?;
    if start && matches!(service, UserService::Systemd(_)) && !manager::runs_for_user() {
        let message = "no systemd runs for this user here, so no service was installed";
        return Err(CliError::new(FAILED, message)
            .hint("use `boi daemon start`; `boi daemon install --no-start` only writes the file of the service"));
    }
    let old = if start { Predecessor::find(home).await? } else { None };
    if start {
        preflight::check(home, &Flags::default(), old.as_ref().map(|old| &old.view))?;
    }
    write_service(&service, &program, home.root())?;
    let started = start && serve(&service, home, old.as_ref()).await?;
    let failed = start && !started;
    let next: Vec<String> = match started {
        true => Vec::new(),
        false => service.start_commands().into_iter().map(|command| format!("start the service: {command}")).collect(),
    };
    let replaced = old.as_ref().map(|old| old.view.pid);
    let ends_at_logout = matches!(service, UserService::Systemd(_)) && !manager::lingers();
    if json {
        print_json(
            &json!({"file": file, "started": started, "replaced": replaced, "lingers": !ends_at_logout, "next": next}),
        )?;
        return Ok(if failed { FAILED } else { 0 });
    }
    if failed {
        let message = format!("installed {}, but the service manager did not start the service", file.display());
        return Err(CliError::new(FAILED, message).hint(next.join("\n  ")));
    }
    print_line(&format!("installed {}", file.display()))?;
    if let Some(pid) = replaced {
        print_line(&format!("  the service replaced the daemon (pid {pid}); running workers continue"))?;
    }
    if started {
        print_line("  the service runs: `boi daemon status` shows its daemon")?;
    }
    for flag in old.iter().flat_map(|old| &old.flags) {
        let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
        let command = format!("boi config set {key} {}", crate::ui::shell::quote(value));
        print_line(&format!("  `-c {flag}` of the replaced daemon is no longer in force; to set it: {command}"))?;
    }
    for line in &next {
        print_line(&format!("  {line}"))?;
    }
    if ends_at_logout {
        print_line("  to keep the service running after logout: loginctl enable-linger")?;
    }
    Ok(0)
}

/// Carries out `boi daemon uninstall`.
pub(super) fn uninstall(home: &Home, json: bool) -> Result<ExitCode, CliError> {
    let service = locate_service()?;
    let file = service.file();
    refuse_other_home(file, home.root())?;
    if !file.exists() {
        return Err(CliError::new(FAILED, format!("no service is installed: there is no file {}", file.display())));
    }
    service.disable();
    std::fs::remove_file(file).map_err(|error| cannot_write(file, &error))?;
    if json {
        print_json(&json!({"file": file, "removed": true}))?;
    } else {
        print_line(&format!(
            "removed {}; running workers continue: `boi daemon start` takes them over",
            file.display()
        ))?;
    }
    Ok(0)
}

fn locate_service() -> Result<UserService, CliError> {
    UserService::locate().ok_or_else(|| {
        CliError::new(FAILED, "HOME is not set, so the folder of your services is unknown").hint("set HOME")
    })
}

/// Warns if `program` is in a build folder, and fails if systemd would run the service but cannot execute
/// `program`.
fn check_program(service: &UserService, program: &Path) -> Result<(), CliError> {
    if program.components().any(|part| part.as_os_str() == "target") {
        say!(
            "warning: {} is in a build folder, so the service stops working when that folder is cleaned; \
             run `cargo install --path .`, then install the service again with the installed `boi`",
            program.display()
        );
    }
    if matches!(service, UserService::Systemd(_)) && !unit::is_executable_by_systemd(program) {
        let message = format!(
            "systemd cannot execute a program whose path contains quotes or backslashes: {}",
            program.display()
        );
        return Err(CliError::new(FAILED, message).hint("move boi to another path, then install the service again"));
    }
    Ok(())
}

/// Fails if the installed service runs the daemon of another home: there is only one service for all homes.
fn refuse_other_home(file: &Path, home: &Path) -> Result<(), CliError> {
    if !std::fs::read_to_string(file).is_ok_and(|text| unit::serves_another(&text, home)) {
        return Ok(());
    }
    let message =
        format!("the service in {} runs the daemon of another home, not of {}", file.display(), home.display());
    Err(CliError::new(FAILED, message).hint(
        "the file was not changed; to remove the service, run `boi daemon uninstall` with the BOI_HOME in the file",
    ))
}

fn write_service(service: &UserService, program: &Path, home: &Path) -> Result<(), CliError> {
    let path = paths::variable("PATH").unwrap_or_default().to_string_lossy().into_owned();
    let claude = paths::claude_bin();
    let facts =
        unit::UnitValues { program, home, path: &path, claude: claude.as_deref(), systemd: manager::systemd_version() };
    let text = match service {
        UserService::Systemd(_) => unit::systemd(&facts),
        UserService::Launchd(_) => unit::launchd(&facts),
    };
    let file = service.file();
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    files::write_atomically(file, text.as_bytes(), files::Durability::Power).map_err(|error| cannot_write(file, &error))
}

/// Enables the service, so that its daemon replaces `old`. Returns whether the service manager now runs the
/// daemon.
async fn serve(service: &UserService, home: &Home, old: Option<&Predecessor>) -> Result<bool, CliError> {
    match service {
        UserService::Systemd(_) => Ok(service.enable() && replace_under_systemd(home, old).await?),
        UserService::Launchd(_) => {
            if let Some(old) = old {
                old.end().await?;
            }
            Ok(service.enable())
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(FAILED, format!("cannot write {}: {error}", path.display()))
}
