//! Waits for a command, and ends its process tree: all descendants of the supervisor and all processes in the command's
//! cgroup. Sends SIGTERM, waits for the grace period, then sends SIGKILL until no process is left.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{self as kernel, Signal, WaitOptions, WaitStatus};

use super::wake::WakeSources;
use crate::domain::command::{CommandEnd, EndCause, ExitStatus, Request};
use crate::process::cgroup::Cgroup;
use crate::process::descendants::descendants;
use crate::process::signal_tree::signal_tree;
use crate::system::clock;

/// The pause between two rounds of SIGKILL. Each round kills the processes that were forked since the
/// previous round.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// The pauses between two checks whether processes that are not children of the supervisor still exist: the
/// first one and the longest one; each is twice as long as the one before. The kernel shows a process in its
/// cgroup for some microseconds after its parent has waited for it.
const CHECK_INTERVALS: (Duration, Duration) = (Duration::from_micros(100), KILL_INTERVAL);

enum Phase {
    /// The command runs. If it still runs at `deadline`, it is ended.
    Running { deadline: Option<Instant> },
    /// The process tree got SIGTERM, for the reason `cause`. From `kill_at` on, it gets SIGKILL.
    Ending { cause: EndCause, kill_at: Instant },
}

/// Waits until the command, whose pid is `main`, and all other processes of its tree have ended.
pub(super) fn wait(
    sources: &mut WakeSources,
    request: &Request,
    main: i32,
    cgroup: Option<&Cgroup>,
) -> io::Result<CommandEnd> {
    let grace = Duration::from_millis(request.grace_millis);
    let deadline = Instant::now().checked_add(Duration::from_millis(request.timeout_millis));
    let mut phase = Phase::Running { deadline };
    let mut status = None;
    let mut next_check = CHECK_INTERVALS.0;
    loop {
        let children_left = reap(main, &mut status)?;
        if !children_left && !cgroup.is_some_and(Cgroup::is_populated) {
            let cause = match phase {
                Phase::Running { .. } => EndCause::Finished,
                Phase::Ending { cause, .. } => cause,
            };
            return Ok(CommandEnd::new(cause, status, clock::now()));
        }
        let wake_at = match &phase {
            Phase::Running { .. } if status.is_some() => {
                // The command has ended and left processes behind.
                signal_whole_tree(Signal::TERM, cgroup);
                phase = Phase::Ending { cause: EndCause::Finished, kill_at: Instant::now() + grace };
                continue;
            }
            Phase::Running { deadline } => *deadline,
            Phase::Ending { kill_at, .. } if *kill_at <= Instant::now() => {
                signal_whole_tree(Signal::KILL, cgroup);
                Some(Instant::now() + KILL_INTERVAL)
            }
            Phase::Ending { kill_at, .. } if children_left => Some(*kill_at),
            // Only cgroup members that are not children are left. No SIGCHLD reports their end, so they are polled.
            Phase::Ending { kill_at, .. } => {
                let check_at = Instant::now() + next_check;
                next_check = (next_check * 2).min(CHECK_INTERVALS.1);
                Some(check_at.min(*kill_at))
            }
        };
        let woken = sources.wait(wake_at)?;
        if let Phase::Running { deadline } = &phase {
            let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            let cause = match (woken.terminate, woken.too_much_output, is_late) {
                (true, _, _) => EndCause::Terminated,
                (_, true, _) => EndCause::TooMuchOutput,
                (_, _, true) => EndCause::TimedOut,
                _ => continue,
            };
            // If the command has just ended by itself, its exit status is recorded instead of `cause`.
            if reap(main, &mut status)? && status.is_none() {
                signal_whole_tree(Signal::TERM, cgroup);
                phase = Phase::Ending { cause, kill_at: Instant::now() + grace };
            }
        }
    }
}

/// Reaps every child that has ended, and stores the status of `main`. Returns whether any child is left.
fn reap(main: i32, status: &mut Option<ExitStatus>) -> io::Result<bool> {
    loop {
        match reap_one() {
            Ok(Some((pid, ended))) => {
                if pid == main {
                    *status = Some(ended);
                }
            }
            Ok(None) => return Ok(true),
            Err(rustix::io::Errno::CHILD) => return Ok(false),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn reap_one() -> rustix::io::Result<Option<(i32, ExitStatus)>> {
    Ok(kernel::wait(WaitOptions::NOHANG)?.map(|(pid, status)| (pid.as_raw_nonzero().get(), exit_status(status))))
}

fn exit_status(status: WaitStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => ExitStatus::Code(-1),
    }
}

/// Sends `signal` to all processes of the command's tree. Errors are ignored, because the caller sends more
/// signals until no process is left.
fn signal_whole_tree(signal: Signal, cgroup: Option<&Cgroup>) {
    let own = kernel::getpid().as_raw_nonzero().get();
    let list = || {
        let mut all = descendants(own);
        all.extend(cgroup.map(Cgroup::processes).unwrap_or_default());
        Ok(all)
    };
    signal_tree(signal, cgroup.map(std::slice::from_ref).unwrap_or_default(), list).ok();
}
