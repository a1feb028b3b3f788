//! The small process under which each command runs. It outlives the daemon, keeps the command's output in files, and
//! writes the record of the command's end.
//!
//! The supervisor is synchronous and has one thread. It uses neither the queue nor the configuration. Its
//! steps are:
//!
//! ```text
//! take over the lock ─▶ new session, subreaper ─▶ reserve space for `exit` ─▶ read `request`
//!     ─▶ fork; the child writes `started` and executes the command
//!     ─▶ wait ─┬─ the command ended ─────────────────────┐
//!              └─ deadline, too much output, own SIGTERM ─┴─▶ SIGTERM to the whole tree ─▶ grace ─▶ SIGKILL
//!     ─▶ no process is left ─▶ sync the files (if the request says so) ─▶ write `exit` durably ─▶ exit, which releases the lock
//! ```
//!
//! Invariants:
//! - `started` exists before the command is executed. `exit` is written only when no descendant is left. If the request
//!   says that the command's files are work to keep, they are synced to the disk before it.
//! - A descendant that leaves the session or loses its parent becomes a child of the supervisor, which is the
//!   subreaper.
//! - If a cgroup can be created for the command, the command enters it before it is executed. The supervisor
//!   stays outside that cgroup.

mod ending;
mod home_identity;
mod launch;
mod output_growth;
mod wake;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::home_identity::HomeIdentity;
use crate::domain::command::{EndCause, Request};
use crate::process::cgroup;
use crate::process::command_dir::{CommandDir, ERRORS, EXIT, LOCK, OUTPUT};
use crate::process::forker::{self, ToSupervise};
use crate::process::supervisor_process::SUPERVISE;
use crate::system::output::say;
use crate::system::{failpoint, files};

/// Returns the command's folder if the arguments of the program ask for a supervisor, otherwise `None`.
pub fn parse_arguments(mut arguments: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let first = arguments.nth(1)?;
    if first != OsStr::new(SUPERVISE) {
        return None;
    }
    arguments.next().map(PathBuf::from)
}

/// Whether the arguments of the program ask for a forker.
pub fn is_forker(mut arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.nth(1).is_some_and(|first| first == OsStr::new(forker::FORKER))
}

/// Forks supervisors for the daemon that started this process. In each forked process, supervises its command.
pub fn serve_forks() -> ExitCode {
    // The supervisors inherit what this finds. A supervisor without a cgroup finds out itself why there is none.
    drop(cgroup::find_base());
    match forker::serve() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(ToSupervise { folder, lock })) => {
            let dir = CommandDir::at(folder);
            let end = supervise(&dir, lock);
            report(&dir, end)
        }
        Err(error) => {
            say!("boi: the process that forks supervisors ends: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Supervises the command whose folder is `dir` to its end. Its lock is standard input.
pub fn main(dir: &Path) -> ExitCode {
    let dir = CommandDir::at(dir.to_owned());
    let end = take_lock(&dir).and_then(|lock| supervise(&dir, lock));
    report(&dir, end)
}

fn report(dir: &CommandDir, end: io::Result<()>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        // If the `exit` record is missing, the daemon concludes that nothing was executed or that this
        // process died.
        Err(error) => {
            say!("boi: supervisor of {}: {error}", dir.path().display());
            ExitCode::FAILURE
        }
    }
}

fn supervise(dir: &CommandDir, lock: OwnedFd) -> io::Result<()> {
    let home = HomeIdentity::of(dir)?;
    failpoint::hit("supervisor.locked");
    detach()?;
    // The space is reserved before the command is executed: if the disk fills up later, the command's end can still be
    // recorded.
    let folder = dir.make()?;
    folder.reserve(EXIT)?;
    let end = match launch::prepare(dir, &folder) {
        Ok((request, command)) => {
            let mut end = launch::run(dir, folder, home, &request, command)?;
            if end.cause == EndCause::Terminated {
                end.reason = dir.read_end_request().ok().flatten();
            }
            if request.keeps_work {
                sync_work(dir, &request);
            }
            end
        }
        Err(cause) => launch::not_executed_end(cause),
    };
    failpoint::hit("supervisor.ended");
    home.open_folder(dir)?.replace(EXIT, &serde_json::to_vec(&end)?, files::Durability::Power)?;
    failpoint::hit("supervisor.recorded");
    drop(lock);
    Ok(())
}

/// Flushes the files that the command wrote to disk. This comes before the `exit` record is written, so that
/// no power cut leaves the record without the files.
fn sync_work(dir: &CommandDir, request: &Request) {
    // A folder that cannot be read counts as changed.
    let is_empty = std::fs::read_dir(&request.cwd).is_ok_and(|mut entries| entries.next().is_none());
    if !is_empty && let Err(error) = files::sync_file_system(&request.cwd) {
        say!("boi: cannot flush {} to disk: {error}", request.cwd.display());
    }
    for name in [OUTPUT, ERRORS] {
        let sync = |file: Option<File>| file.filter(|file| file.metadata().is_ok_and(|found| found.len() > 0));
        let synced = dir.open_file(name).and_then(|file| sync(file).map_or(Ok(()), |file| file.sync_data()));
        if let Err(error) = synced {
            say!("boi: cannot flush {} to disk: {error}", dir.path().join(name).display());
        }
    }
}

/// Moves the lock from standard input to a close-on-exec descriptor, so that no command inherits it.
fn take_lock(dir: &CommandDir) -> io::Result<OwnedFd> {
    let held = rustix::fs::fstat(rustix::stdio::stdin())?;
    let Some(file) = dir.open_file(LOCK)? else { return Err(io::Error::other("the command's lock is missing")) };
    let file = rustix::fs::fstat(&file)?;
    if (held.st_dev, held.st_ino) != (file.st_dev, file.st_ino) {
        return Err(io::Error::other(
            "standard input is not the lock file of the command: only the daemon may start a supervisor",
        ));
    }
    let lock = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(lock)
}

/// Leaves the daemon's session, becomes the parent of orphaned descendants, and ignores SIGHUP.
fn detach() -> io::Result<()> {
    match rustix::process::setsid() {
        // A process group leader cannot make a new session, and already has its own.
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    wake::ignore_hangup();
    Ok(())
}
