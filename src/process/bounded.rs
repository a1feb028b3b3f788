//! Runs a program to its end within bounds. When a bound is reached, the program's whole process tree is
//! ended.
//!
//! The output goes to anonymous files instead of pipes: a process that the program leaves behind, and that
//! has inherited the output, then cannot delay the result.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, test_kill_process_group};

use super::descendants::living_with_descendants;
use super::{identity, marker, signal_tree};
use crate::domain::command::Identity;

/// How often the bounds are checked while the program runs. The program's end is detected without this delay.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// The pause between two checks whether a process tree has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait for the end of killed processes. A process that has not ended by then is blocked in the
/// kernel, and ends before it does anything else.
const KILL_TIMEOUT: Duration = Duration::from_secs(3);
/// The most bytes that a program may print to one of its streams, unless its caller sets less.
pub(crate) const MAX_OUTPUT: u64 = 1 << 30;

/// The bounds of one program.
pub(crate) struct Bounds<'a> {
    /// The time at which the program is ended if it still runs.
    pub until: Instant,
    /// Whether the program must be ended now.
    pub is_ordered_to_end: &'a dyn Fn() -> bool,
    /// The marker in the program's environment, by which its descendants are found. A program with a marker
    /// gets a process group of its own. `None`: the program is in this process's group, so that Ctrl-C in a
    /// terminal reaches it too.
    pub marker: Option<&'a str>,
    /// The most bytes that the program may print to one of its streams.
    pub max_output: u64,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) enum BoundedEnd {
    /// The program exited, or a signal that boi did not send ended it.
    Exited {
        /// The exit status.
        status: ExitStatus,
        /// What the program printed to its standard output.
        stdout: Vec<u8>,
        /// What the program printed to its standard error.
        stderr: Vec<u8>,
    },
    /// The program was ended, because its time was over. Contains what it printed to its standard error.
    TimedOut(Vec<u8>),
    /// The program was ended on an order.
    Ordered,
}

/// Runs `command` to its end. Blocks.
pub(crate) fn run(command: &mut Command, bounds: &Bounds<'_>) -> io::Result<BoundedEnd> {
    let (stdout, stderr) = (anonymous_file()?, anonymous_file()?);
    command.stdout(Stdio::from(stdout.try_clone()?)).stderr(Stdio::from(stderr.try_clone()?));
    if bounds.marker.is_some() {
        command.process_group(0);
    }
    let mut child = command.spawn()?;
    let group = Pid::from_child(&child);
    let pidfd = pidfd_open(group, PidfdFlags::empty()).ok();
    loop {
        let now = Instant::now();
        let wait = bounds.until.saturating_duration_since(now).min(CHECK_EVERY);
        match &pidfd {
            Some(pidfd) => wait_for(pidfd, wait),
            None => thread::sleep(wait.min(POLL_INTERVAL)),
        }
        if let Some(status) = child.try_wait()? {
            // Processes that the program left behind, such as those of a filter, are ended too.
            if bounds.marker.is_some() && test_kill_process_group(group).is_ok() {
                end_tree(None, bounds.marker);
            }
            return Ok(BoundedEnd::Exited { status, stdout: read(&stdout)?, stderr: read(&stderr)? });
        }
        if (bounds.is_ordered_to_end)() {
            end_tree(Some(child), bounds.marker);
            return Ok(BoundedEnd::Ordered);
        }
        if bounds.until <= Instant::now() {
            end_tree(Some(child), bounds.marker);
            return Ok(BoundedEnd::TimedOut(read(&stderr)?));
        }
        if [&stdout, &stderr]
            .iter()
            .any(|file| file.metadata().is_ok_and(|metadata| metadata.len() > bounds.max_output))
        {
            end_tree(Some(child), bounds.marker);
            return Err(io::Error::other(format!("it printed more than {} MiB", bounds.max_output >> 20)));
        }
    }
}

/// Ends every process that carries `marker`: SIGTERM, two seconds, then SIGKILL. Blocks until none is left
/// that this process may signal, at most five seconds.
pub(crate) fn end_marked(marker: &str) {
    end_tree(None, Some(marker));
}

fn end_tree(mut child: Option<Child>, marker: Option<&str>) {
    let root = child.as_ref().and_then(|child| identity::identify(i32::try_from(child.id()).ok()?));
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let list = || {
        let marked = marker.map_or_else(Vec::new, |marker| marker::processes_with(&[marker]));
        let mut all = living_with_descendants(root.iter().cloned().chain(marked).collect());
        all.retain(|process| process.pid != own);
        all.sort_by_key(|process| (process.pid, process.start_time));
        all.dedup();
        all
    };
    for (signal, wait) in [(Signal::TERM, GRACE), (Signal::KILL, KILL_TIMEOUT)] {
        // A process that boi may not signal runs as another user now, and is ignored.
        signal_tree::signal_all(signal, || Ok(list())).ok();
        let until = Instant::now() + wait;
        loop {
            let is_reaped = child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if is_reaped && !list().iter().any(is_own_users) {
                return;
            }
            if until <= Instant::now() {
                break;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

fn is_own_users(process: &Identity) -> bool {
    super::procfs::owner(process.pid) == Some(rustix::process::getuid().as_raw())
}

fn wait_for(pidfd: &impl std::os::fd::AsFd, wait: Duration) {
    let timeout = Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
    // A signal may interrupt the wait. That does no harm: the caller checks the state and waits again.
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)).ok();
}

/// Reads a file from its start, without moving the position at which a program may still write.
fn read(file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().min(MAX_OUTPUT);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Returns an empty file without a name.
#[cfg(target_os = "linux")]
pub(super) fn anonymous_file() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(File::from(memfd_create("output", MemfdFlags::CLOEXEC)?))
}

/// Returns an empty file without a name.
#[cfg(not(target_os = "linux"))]
pub(super) fn anonymous_file() -> io::Result<File> {
    tempfile::tempfile()
}

#[cfg(test)]
mod tests {
    use super::super::marker::{MARKER, new_marker};
    use super::*;

    fn shell(script: &str, marker: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env(MARKER, marker).stdin(Stdio::null());
        command
    }

    fn bounds<'a>(time: Duration, order: &'a dyn Fn() -> bool, marker: &'a str) -> Bounds<'a> {
        Bounds { until: Instant::now() + time, is_ordered_to_end: order, marker: Some(marker), max_output: MAX_OUTPUT }
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn output_and_status_of_a_program_are_returned() {
        let marker = new_marker();
        let end = run(&mut shell("echo out; echo err >&2; exit 3", &marker), &bounds(LONG, &|| false, &marker));
        let BoundedEnd::Exited { status, stdout, stderr } = end.unwrap() else { panic!("it was ended") };
        assert_eq!((status.code(), stdout.as_slice(), stderr.as_slice()), (Some(3), &b"out\n"[..], &b"err\n"[..]));
    }

    #[test]
    fn processes_that_a_program_leaves_in_its_group_end_with_it() {
        let marker = new_marker();
        let end = run(&mut shell("sleep 1000 & echo done", &marker), &bounds(LONG, &|| false, &marker)).unwrap();
        assert!(matches!(end, BoundedEnd::Exited { stdout, .. } if stdout == b"done\n"));
        assert!(marker::processes_with(&[&marker]).is_empty());
    }

    #[test]
    fn at_its_deadline_the_whole_tree_of_a_program_ends() {
        let marker = new_marker();
        let script = "echo why >&2; setsid sleep 1000 & sleep 1000";
        let end = run(&mut shell(script, &marker), &bounds(Duration::from_millis(300), &|| false, &marker)).unwrap();
        assert!(matches!(end, BoundedEnd::TimedOut(stderr) if stderr == b"why\n"));
        assert!(marker::processes_with(&[&marker]).is_empty());
    }

    #[test]
    fn an_order_ends_a_program_that_ignores_sigterm() {
        let marker = new_marker();
        let starts = || !marker::processes_with(&[&marker]).is_empty();
        let end = run(&mut shell("trap '' TERM; sleep 1000; sleep 1000", &marker), &bounds(LONG, &starts, &marker));
        assert!(matches!(end.unwrap(), BoundedEnd::Ordered));
        assert!(marker::processes_with(&[&marker]).is_empty());
    }
}
