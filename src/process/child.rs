//! Runs this program again as a child of a command that has the terminal, such as `boi top`.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::ptr;

use rustix::process::{Pid, Signal, getpgid, kill_process};

use super::{descendants, identity, own_program};
use crate::domain::command::Identity;

/// The most bytes of a child's output that are searched for its first line.
const LONGEST_LINE: usize = 4096;

/// Starts this program with `arguments`; the child has the terminal of this process.
pub(crate) fn with_terminal(arguments: &[String]) -> io::Result<Child> {
    own_program::command()?.args(arguments).spawn()
}

/// Sends `signal` to what a child of this process runs in the foreground of the terminal on standard input, such as the
/// pager of git or a program in a shell; to the child itself if it runs nothing else there. A shell passes SIGHUP on to its
/// other jobs, and a child whose programs have ended ends by itself.
pub(crate) fn signal_foreground(child: Pid, signal: Signal) {
    let group = rustix::termios::tcgetpgrp(io::stdin()).ok();
    let is_in_front =
        |process: &Identity| Pid::from_raw(process.pid).is_some_and(|pid| getpgid(Some(pid)).ok() == group);
    let mut programs = match group {
        Some(_) => descendants::descendants(child.as_raw_nonzero().get()),
        // The terminal is closed.
        None => Vec::new(),
    };
    programs.retain(is_in_front);
    if programs.is_empty() {
        kill_process(child, signal).ok();
    }
    for program in programs {
        // It may have ended meanwhile.
        identity::signal(&program, signal).ok();
    }
}

/// Runs this program with `arguments` to its end, without the terminal and its signals. Returns whether it succeeded,
/// and the first line of its output, or of its error messages if it failed, with the number of further lines. Blocks.
pub(crate) fn first_line(arguments: &[String]) -> io::Result<(bool, String)> {
    let mut command = own_program::command()?;
    // In a group of its own: Ctrl-C and a closed terminal do not end a merge.
    command.args(arguments).stdin(Stdio::null()).process_group(0);
    let output = command.output()?;
    let success = output.status.success();
    let streams = if success { [&output.stdout, &output.stderr] } else { [&output.stderr, &output.stdout] };
    let lines = streams.into_iter().filter_map(|bytes| {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_LINE)]).into_owned();
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let first = lines.next()?.to_owned();
        Some(match lines.count() {
            0 => first,
            1 => format!("{first} (and 1 more line)"),
            more => format!("{first} (and {more} more lines)"),
        })
    });
    let line = lines.into_iter().next().unwrap_or_else(|| match success {
        true => String::new(),
        false => format!("it ended with {}", output.status),
    });
    Ok((success, line))
}

/// Makes this process group the foreground group of the terminal on standard input again, which a child that was
/// killed may have left to its own group.
pub(crate) fn reclaim_terminal() {
    let mut blocked = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the sets are initialized by the first calls, and only read afterwards. While SIGTTOU is blocked, a
    // process in the background may change the foreground group.
    unsafe {
        libc::sigemptyset(blocked.as_mut_ptr());
        libc::sigaddset(blocked.as_mut_ptr(), libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), before.as_mut_ptr());
    }
    // Fails if the terminal is closed, and then there is nothing to reclaim.
    rustix::termios::tcsetpgrp(io::stdin(), rustix::process::getpgrp()).ok();
    // SAFETY: `before` was initialized by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
}

/// Stops this process as SIGTSTP does by default, and returns when it is continued. Does nothing in a process group
/// that no shell can continue.
pub(crate) fn stop() {
    let mut default = MaybeUninit::<libc::sigaction>::zeroed();
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a zeroed `sigaction` is valid and names the default action. `before` is initialized by the first call.
    unsafe {
        (*default.as_mut_ptr()).sa_sigaction = libc::SIG_DFL;
        if libc::sigaction(libc::SIGTSTP, default.as_ptr(), before.as_mut_ptr()) == 0 {
            libc::raise(libc::SIGTSTP);
            libc::sigaction(libc::SIGTSTP, before.as_ptr(), ptr::null_mut());
        }
    }
}
