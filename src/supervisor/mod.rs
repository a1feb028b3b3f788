//! The small process under which each command runs: it outlives the daemon, keeps the output and leaves the exit record.
//!
//! Synchronous and single-threaded; it knows neither the queue nor the configuration. Its life:
//!
//! ```text
//! lock taken over from stdin ─▶ session, subreaper ─▶ room for `exit` ─▶ request read ─▶ fork ─▶ child writes `started`, execs
//!        ─▶ wait ─┬─ command ended ───────────────┐
//!                 ├─ deadline, output, TERM ──────┴─▶ TERM to the whole tree ─▶ grace ─▶ KILL ─▶ none left
//!                                                       ─▶ its work durable ─▶ `exit` durable ─▶ lock released by its death
//! ```
//!
//! Invariants:
//! - `started` is there before the command is executed; `exit` only when no descendant is left, and what the command wrote
//!   is on the disk.
//! - A descendant that leaves the session or loses its parent comes back here: the supervisor is their subreaper.
//! - The command is in a cgroup of its own, where one can be had, before it is executed; its supervisor is not.

mod ending;
mod slim;
mod watch;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::domain::command::{Identity, RECORDS, Request, Started};
use crate::domain::outcome::{CommandEnd, EndCause};
use crate::process;
use crate::process::cgroup::{self, Cgroup};
use crate::process::command::{CommandDir, SUPERVISE};
use crate::process::{limits, tree};
use crate::system::{clock, failpoint, files, paths};

/// Whether the program was called to be a supervisor, and on which folder.
pub fn asked(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<CommandDir> {
    let first = arguments.nth(1)?;
    if first != OsStr::new(SUPERVISE) {
        return None;
    }
    Some(CommandDir::at(arguments.next()?.into()))
}

/// Supervises the command of `dir` to its end.
pub fn main(dir: &CommandDir) -> ExitCode {
    match supervise(dir) {
        Ok(()) => ExitCode::SUCCESS,
        // Without an exit record the daemon knows that nothing was executed, or that this process died.
        Err(error) => {
            eprintln!("boi: supervisor of {}: {error}", dir.path().display());
            ExitCode::FAILURE
        }
    }
}

fn supervise(dir: &CommandDir) -> io::Result<()> {
    let lock = take_lock(dir)?;
    let ground = Ground::of(dir)?;
    failpoint::hit("supervisor.locked");
    detach()?;
    // Before anything is executed: on a full disk the end of the command could not be told later.
    files::reserve_record(&dir.exit_file())?;
    let end = match prepare(dir) {
        Ok((request, command)) => {
            let end = run(dir, ground, &request, command)?;
            if request.keeps_work {
                sync_work(dir, &request);
            }
            end
        }
        Err(cause) => unexecuted(cause),
    };
    failpoint::hit("supervisor.ended");
    ground.keep(dir)?;
    files::write_record(&dir.exit_file(), &end, files::Durability::Power)?;
    failpoint::hit("supervisor.recorded");
    drop(lock);
    Ok(())
}

/// After a loss of power the record of an end must not stand for work that is gone.
fn sync_work(dir: &CommandDir, request: &Request) {
    for path in [&request.cwd, dir.path()] {
        if let Err(error) = files::sync_around(path) {
            eprintln!("boi: {} may not be on the disk: {error}", path.display());
        }
    }
}

/// The home in which the command's folder is. A folder that is removed is made again, and one that is closed opened, so
/// that the command's end is known; in a home that is gone or another's by then, none is.
#[derive(Debug, Clone, Copy)]
struct Ground {
    device: u64,
    inode: u64,
}

impl Ground {
    fn of(dir: &CommandDir) -> io::Result<Ground> {
        let metadata = std::fs::metadata(paths::home_of_command(dir.path()))?;
        Ok(Ground { device: metadata.dev(), inode: metadata.ino() })
    }

    fn keep(self, dir: &CommandDir) -> io::Result<()> {
        dir.regain()?;
        if dir.path().exists() {
            return Ok(());
        }
        let now = Ground::of(dir)?;
        if (now.device, now.inode) != (self.device, self.inode) {
            return Err(io::Error::other("its home was removed or replaced"));
        }
        files::private_dir(dir.path())
    }
}

/// Moves the lock off standard input, so that no command inherits it.
fn take_lock(dir: &CommandDir) -> io::Result<OwnedFd> {
    let held = rustix::fs::fstat(rustix::stdio::stdin())?;
    let file = rustix::fs::stat(dir.lock_file())?;
    if (held.st_dev, held.st_ino) != (file.st_dev, file.st_ino) {
        return Err(io::Error::other("standard input is not its lock; only a daemon starts it"));
    }
    let lock = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(lock)
}

/// Leaves the daemon's session, becomes the parent of orphaned descendants, and ignores the loss of a terminal.
fn detach() -> io::Result<()> {
    match rustix::process::setsid() {
        // A process that leads its group already has a session of its own.
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    watch::ignore_hangup();
    Ok(())
}

fn prepare(dir: &CommandDir) -> Result<(Request, Command), EndCause> {
    let for_good = |why: &str| EndCause::NotExecuted(why.to_owned());
    let request: Request = files::read_record(&dir.request_file())
        .map_err(|error| not_executed("its request cannot be read", &error))?
        .ok_or_else(|| for_good("its request is missing"))?;
    let stdin = if request.prompt { dir.prompt_file() } else { "/dev/null".into() };
    let stdin = File::open(&stdin).map_err(cannot_open(&stdin))?;
    let log = |path: &Path| files::private_log(path).map_err(cannot_open(path));
    let output = log(&dir.output_file())?;
    let errors = match request.separate_errors {
        true => log(&dir.errors_file())?,
        false => output.try_clone().map_err(cannot_open(&dir.output_file()))?,
    };
    let (program, arguments) = request.argv.split_first().ok_or_else(|| for_good("its request names no program"))?;
    if program.contains('/') && Path::new(program).is_relative() {
        return Err(EndCause::NotExecuted(format!(
            "cannot execute `{program}`: it is a relative path, and would be looked for in the worktree"
        )));
    }
    // Behind a link is somebody's folder.
    let is = if request.cwd.is_symlink() { "is a link" } else { "is not there" };
    if request.cwd.is_symlink() || !request.cwd.is_dir() {
        return Err(EndCause::NotExecuted(format!("the folder to work in, {}, {is}", request.cwd.display())));
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&request.cwd).stdin(Stdio::from(stdin));
    command.stdout(Stdio::from(output)).stderr(Stdio::from(errors)).process_group(0);
    Ok((request, command))
}

fn run(dir: &CommandDir, ground: Ground, request: &Request, mut command: Command) -> io::Result<CommandEnd> {
    let own_pid = rustix::process::getpid().as_raw_nonzero().get();
    let supervisor = process::identity(own_pid).ok_or_else(|| io::Error::other("this process cannot be identified"))?;
    let mut watch = watch::Watch::new(dir, request)?;
    let folder = dir.clone();
    let cgroup = own_cgroup();
    let joined = cgroup.clone();
    let open_files = request.open_files;
    let announce = move || {
        failpoint::hit_with_parent("supervisor.forked");
        failpoint::hit_parent("supervisor.orphaned");
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let command: Identity =
            process::identity(pid).ok_or_else(|| io::Error::other("this process cannot be identified"))?;
        let cgroup = joined.as_ref().filter(|cgroup| cgroup.join().is_ok()).map(|cgroup| cgroup.path().to_owned());
        let started = Started { version: RECORDS, supervisor: supervisor.clone(), command, cgroup };
        ground.keep(&folder)?;
        files::write_record(&folder.started_file(), &started, files::Durability::Process)?;
        failpoint::hit_with_parent("supervisor.started");
        // The command's own limit: with few files to open this process could not record its end.
        open_files.map_or(Ok(()), limits::set_open_files).map_err(io::Error::from)
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed in a process with several threads; this
    // process has one, so nothing (the allocator's lock included) can be held by a thread that the child lacks.
    unsafe { command.pre_exec(announce) };
    let program = request.argv.first().map(String::as_str).unwrap_or_default();
    let end = match command.spawn() {
        Ok(child) => {
            slim::let_go_of_files();
            let main = i32::try_from(child.id()).map_err(io::Error::other)?;
            ending::wait(&mut watch, request, main, cgroup.as_ref())?
        }
        Err(error) => unexecuted(not_executed(&format!("cannot execute `{program}`"), &error)),
    };
    if let Some(cgroup) = cgroup
        && let Err(error) = cgroup.remove()
    {
        eprintln!("boi: {} stays: {error}", cgroup.path().display());
    }
    Ok(end)
}

/// A cgroup for the command, named by its marker. Without one, the tree is found by its parents and the marker.
fn own_cgroup() -> Option<Cgroup> {
    if failpoint::is_without_cgroups() {
        return None;
    }
    let marker = paths::variable(tree::MARKER)?.into_string().ok()?;
    Cgroup::create(&cgroup::base().ok()?, &marker).ok()
}

/// Why nothing was executed: for good, or for want of something that comes back by itself.
fn not_executed(what: &str, error: &io::Error) -> EndCause {
    use io::ErrorKind::{ExecutableFileBusy, Interrupted, OutOfMemory, QuotaExceeded, StorageFull, WouldBlock};
    let of_files = [libc::EMFILE, libc::ENFILE].map(Some).contains(&error.raw_os_error());
    let why = format!("{what}: {error}");
    match error.kind() {
        ExecutableFileBusy | Interrupted | OutOfMemory | QuotaExceeded | StorageFull | WouldBlock => {
            EndCause::NotExecutedYet(why)
        }
        _ if of_files => EndCause::NotExecutedYet(why),
        _ => EndCause::NotExecuted(why),
    }
}

fn cannot_open(path: &Path) -> impl FnOnce(io::Error) -> EndCause {
    move |error| not_executed(&format!("cannot open {}", path.display()), &error)
}

fn unexecuted(cause: EndCause) -> CommandEnd {
    CommandEnd { cause, status: None, swept: 0, ended_at: clock::now() }
}
