//! Starts the command that the request describes, and waits for its end.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::home_identity::HomeIdentity;
use super::{ending, wake};
use crate::domain::command::{CommandEnd, EndCause, RECORD_VERSION, Request, Started};
use crate::process::cgroup::{self, Cgroup};
use crate::process::command_dir::{CommandDir, ERRORS, OUTPUT, PROMPT, REQUEST, STARTED};
use crate::process::marker::MARKER;
use crate::process::record::read_record;
use crate::process::{dispositions, fork, identity, limits};
use crate::system::output::say;
use crate::system::untrusted::Folder;
use crate::system::{clock, failpoint, files, paths};

/// Reads the request and opens the command's files. The error says why the command cannot be executed.
#[expect(clippy::disallowed_methods, reason = "the supervisor starts the command")]
pub(super) fn prepare(dir: &CommandDir, folder: &Folder) -> Result<(Request, Command), EndCause> {
    let permanent = |why: &str| EndCause::NotExecuted(why.to_owned());
    let request: Request = read_record(folder, REQUEST)
        .map_err(|error| not_executed("cannot read the request", &error.into()))?
        .ok_or_else(|| permanent("the file `request`, which describes the command, is missing"))?;
    let prompt_file = dir.path().join(PROMPT);
    let stdin = match request.prompt {
        true => folder.file(PROMPT).and_then(|file| file.ok_or_else(|| io::ErrorKind::NotFound.into())),
        false => File::open("/dev/null"),
    };
    let stdin = stdin.map_err(cannot_open(&prompt_file))?;
    let open_output = |name: &str| folder.appendable(name).map_err(cannot_open(&dir.path().join(name)));
    let output = open_output(OUTPUT)?;
    let errors = match request.separate_errors {
        true => open_output(ERRORS)?,
        false => output.try_clone().map_err(cannot_open(&dir.path().join(OUTPUT)))?,
    };
    let (program, arguments) =
        request.argv.split_first().ok_or_else(|| permanent("the request contains no program to execute"))?;
    if program.contains('/') && Path::new(program).is_relative() {
        return Err(EndCause::NotExecuted(format!(
            "cannot execute `{program}`: it is a relative path, which would name a file in the worktree; use an absolute path"
        )));
    }
    // A symbolic link could lead to a folder that does not belong to boi.
    let fault = match &request.cwd {
        cwd if cwd.is_symlink() => Some("is a link"),
        cwd if !cwd.is_dir() => Some("does not exist"),
        _ => None,
    };
    if let Some(fault) = fault {
        return Err(EndCause::NotExecuted(format!("the working directory {} {fault}", request.cwd.display())));
    }
    // Without the path, each folder of PATH would be tried with a call of `execve`.
    let file = paths::find_program(program).unwrap_or_else(|_| program.into());
    let mut command = Command::new(file);
    command.arg0(program).args(arguments).current_dir(&request.cwd).stdin(Stdio::from(stdin));
    // Some programs, opencode among them, work in the folder that this variable names.
    command.env("PWD", &request.cwd).env_remove("OLDPWD");
    command.stdout(Stdio::from(output)).stderr(Stdio::from(errors)).process_group(0);
    Ok((request, command))
}

/// Executes `command` and waits until no process of its tree is left. `folder` is the opened folder of the
/// command, which nobody has changed yet.
pub(super) fn run(
    dir: &CommandDir,
    folder: Folder,
    home: HomeIdentity,
    request: &Request,
    mut command: Command,
) -> io::Result<CommandEnd> {
    let supervisor = identify_self()?;
    let mut sources = wake::WakeSources::new(&folder, request)?;
    let dir = dir.clone();
    let cgroup = create_cgroup();
    let joined = cgroup.clone();
    let open_files = request.open_files;
    let record_start = move |is_member: bool| {
        failpoint::hit_with_parent("supervisor.forked");
        failpoint::hit_parent("supervisor.orphaned");
        let command = identify_self()?;
        let joined = joined.filter(|cgroup| is_member || cgroup.join().is_ok());
        let cgroup = joined.map(|cgroup| cgroup.path().to_owned());
        let started = Started { version: RECORD_VERSION, supervisor: supervisor.clone(), command, cgroup };
        let started = serde_json::to_vec(&started)?;
        let record = |folder: &Folder| folder.replace(STARTED, &started, files::Durability::Process);
        // This fails only if the folder was removed since it was opened.
        record(&folder).or_else(|_| record(&home.open_folder(&dir)?))?;
        failpoint::hit_with_parent("supervisor.started");
        // The limit on open files is set after the record was written, because a low limit could prevent that
        // write.
        open_files.map_or(Ok(()), limits::set_open_files).map_err(io::Error::from)?;
        dispositions::set_for_command();
        Ok(())
    };
    let program = request.argv.first().map(String::as_str).unwrap_or_default();
    let executed = fork::execute(&mut command, cgroup.as_ref(), record_start);
    // The value `command` holds the files of the command open.
    drop(command);
    let end = match executed {
        Ok(main) => ending::wait(&mut sources, request, main, cgroup.as_ref())?,
        Err(error) => not_executed_end(not_executed(&format!("cannot execute `{program}`"), &error)),
    };
    if let Some(cgroup) = cgroup
        && let Err(error) = cgroup.remove()
    {
        say!("boi: cannot remove the cgroup {}: {error}", cgroup.path().display());
    }
    Ok(end)
}

/// Returns the content of the `exit` record of a command that was not executed.
pub(super) fn not_executed_end(cause: EndCause) -> CommandEnd {
    CommandEnd::new(cause, None, clock::now())
}

fn identify_self() -> io::Result<crate::domain::command::Identity> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    identity::identify(pid).ok_or_else(|| io::Error::other("this process cannot read its own entry in /proc"))
}

/// Creates the command's cgroup, which has the command's marker as its name. Returns `None` if no cgroup can
/// be created: boi then finds the command's processes by their parents and the marker.
fn create_cgroup() -> Option<Cgroup> {
    if failpoint::is_without_cgroups() {
        return None;
    }
    let marker = paths::variable(MARKER)?.into_string().ok()?;
    Cgroup::create(&cgroup::find_base().ok()?, &marker).ok()
}

/// Returns the end cause for a failure before the command was executed. The cause is transient if a resource
/// is missing that may become available.
fn not_executed(what: &str, error: &io::Error) -> EndCause {
    use io::ErrorKind::{
        ExecutableFileBusy, FileTooLarge, Interrupted, OutOfMemory, QuotaExceeded, StorageFull, WouldBlock,
    };
    let is_out_of_files = [libc::EMFILE, libc::ENFILE].map(Some).contains(&error.raw_os_error());
    let why = format!("{what}: {error}");
    match error.kind() {
        ExecutableFileBusy | FileTooLarge | Interrupted | OutOfMemory | QuotaExceeded | StorageFull | WouldBlock => {
            EndCause::NotExecutedYet(why)
        }
        _ if is_out_of_files => EndCause::NotExecutedYet(why),
        _ => EndCause::NotExecuted(why),
    }
}

fn cannot_open(path: &Path) -> impl FnOnce(io::Error) -> EndCause {
    move |error| not_executed(&format!("cannot open {}", path.display()), &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_newer_version_is_not_executed_and_the_record_says_why() {
        let folder = tempfile::TempDir::new().unwrap();
        let dir = CommandDir::at(folder.path().to_owned());
        std::fs::write(dir.path().join(REQUEST), br#"{"version": 2, "argv": ["true"], "cwd": "/"}"#).unwrap();
        let Err(EndCause::NotExecuted(why)) = prepare(&dir, &dir.open().unwrap()) else {
            panic!("the command would be executed")
        };
        assert!(why.starts_with("cannot read the request") && why.contains("version 2"), "{why}");
        assert!(!dir.path().join(OUTPUT).exists());
        std::fs::write(dir.path().join(REQUEST), b"garbage").unwrap();
        let Err(EndCause::NotExecuted(why)) = prepare(&dir, &dir.open().unwrap()) else {
            panic!("the command would be executed")
        };
        assert!(why.contains("is damaged"), "{why}");
    }
}
