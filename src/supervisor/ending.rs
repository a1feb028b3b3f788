//! Waiting for a command, and ending all of its tree, which is what descends from here and what is in the command's
//! cgroup: TERM, grace, KILL, until nothing is left.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{self as kernel, Signal, WaitOptions, WaitStatus};

use super::watch::Watch;
use crate::domain::command::Request;
use crate::domain::outcome::{CommandEnd, EndCause, ExitStatus};
use crate::process::cgroup::Cgroup;
use crate::process::{together, tree};
use crate::system::clock;

/// Between two rounds of KILL: what was forked meanwhile is found in the next.
const KILL_EVERY: Duration = Duration::from_millis(20);

/// How far the end has come.
enum Phase {
    /// The command runs until then.
    Running { deadline: Option<Instant> },
    /// Its tree was asked to end, and is killed from then on.
    Ending { cause: EndCause, kill_at: Instant },
}

/// Waits for the command `main` and everything of its tree.
pub(super) fn wait(watch: &mut Watch, request: &Request, main: i32, cgroup: Option<&Cgroup>) -> io::Result<CommandEnd> {
    let grace = Duration::from_millis(request.grace_millis);
    let deadline = Instant::now().checked_add(Duration::from_millis(request.timeout_millis));
    let mut phase = Phase::Running { deadline };
    let mut status = None;
    let mut swept = HashSet::new();
    loop {
        let mut signalled = |signal| end_tree(signal, cgroup, &mut swept);
        let children_left = reap(main, &mut status)?;
        if !children_left && !cgroup.is_some_and(Cgroup::is_populated) {
            let cause = match phase {
                Phase::Running { .. } => EndCause::Finished,
                Phase::Ending { cause, .. } => cause,
            };
            let left_behind = swept.iter().filter(|&&pid| pid != main).count();
            let swept = u32::try_from(left_behind).unwrap_or(u32::MAX);
            return Ok(CommandEnd { cause, status, swept, ended_at: clock::now() });
        }
        let wake_at = match &phase {
            Phase::Running { .. } if status.is_some() => {
                // The command ended by itself and left processes behind.
                signalled(Signal::TERM);
                phase = Phase::Ending { cause: EndCause::Finished, kill_at: Instant::now() + grace };
                continue;
            }
            Phase::Running { deadline } => *deadline,
            Phase::Ending { kill_at, .. } if *kill_at <= Instant::now() => {
                signalled(Signal::KILL);
                Some(Instant::now() + KILL_EVERY)
            }
            Phase::Ending { kill_at, .. } if children_left => Some(*kill_at),
            // Nobody tells of the end of those that are no children.
            Phase::Ending { kill_at, .. } => Some((Instant::now() + KILL_EVERY).min(*kill_at)),
        };
        let woken = watch.wait(wake_at)?;
        if let Phase::Running { deadline } = &phase {
            let late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            let cause = match (woken.terminate, woken.too_much_output, late) {
                (true, _, _) => EndCause::Terminated,
                (_, true, _) => EndCause::TooMuchOutput,
                (_, _, true) => EndCause::TimedOut,
                _ => continue,
            };
            // A command that ended in the same moment ended by itself.
            if reap(main, &mut status)? && status.is_none() {
                signalled(Signal::TERM);
                phase = Phase::Ending { cause, kill_at: Instant::now() + grace };
            }
        }
    }
}

/// Takes the status of every child that ended; returns whether any child is left.
fn reap(main: i32, status: &mut Option<ExitStatus>) -> io::Result<bool> {
    loop {
        match wait_any() {
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

fn wait_any() -> rustix::io::Result<Option<(i32, ExitStatus)>> {
    Ok(kernel::wait(WaitOptions::NOHANG)?.map(|(pid, status)| (pid.as_raw_nonzero().get(), exit_status(status))))
}

fn exit_status(status: WaitStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => ExitStatus::Code(-1),
    }
}

/// Signals everything of the tree.
fn end_tree(signal: Signal, cgroup: Option<&Cgroup>, swept: &mut HashSet<i32>) {
    let own = kernel::getpid().as_raw_nonzero().get();
    let look = || {
        let mut all = tree::descendants(own);
        all.extend(cgroup.map(Cgroup::processes).unwrap_or_default());
        Ok(all)
    };
    if let Ok(signalled) = together::signal_tree(signal, cgroup, look) {
        swept.extend(signalled.sent.iter().map(|who| who.pid));
    }
}
