//! Ends the remaining processes of commands: SIGTERM, a grace period, then SIGKILL until none remains.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;
use tracing::warn;

use crate::domain::command::Identity;
use crate::process::signal_tree::Signalled;

/// The interval between two listings of the processes that an ended command left running. Each listing reads
/// all of `/proc`.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_millis(100);

/// Ends the processes that `list` returns; `signal` sends a signal to all of them. A process that boi has no
/// permission to signal, because the process changed its user, is logged and left running.
pub(crate) async fn sweep<L: Future<Output = io::Result<Vec<Identity>>>, S: Future<Output = io::Result<Signalled>>>(
    mut list: impl FnMut() -> L,
    mut signal: impl FnMut(Signal) -> S,
    grace: Duration,
) -> io::Result<()> {
    let kill_at = Instant::now() + grace;
    let (mut is_termed, mut beyond_reach) = (false, HashSet::new());
    loop {
        let left = list().await?;
        if left.iter().all(|process| beyond_reach.contains(&(process.pid, process.start_time))) {
            return Ok(());
        }
        let next = match (Instant::now() >= kill_at, is_termed) {
            (true, _) => Some(Signal::KILL),
            (false, false) => Some(Signal::TERM),
            // SIGTERM is sent only once: new processes may be cleaning up after those that got it.
            (false, true) => None,
        };
        if let Some(next) = next {
            is_termed = true;
            for (process, error) in signal(next).await?.refused {
                if error.kind() != io::ErrorKind::PermissionDenied {
                    return Err(error);
                }
                if beyond_reach.insert((process.pid, process.start_time)) {
                    warn!(pid = process.pid, %error, "boi has no permission to signal a process of a command: the process is left running");
                }
            }
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn process(pid: i32) -> Identity {
        Identity { pid, start_time: 1, boot_id: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_ends_the_processes_that_it_may_signal_and_leaves_others_alone() {
        let alive = RefCell::new(vec![process(1), process(2), process(3)]);
        let sent = RefCell::new(Vec::new());
        let list = || {
            let left = alive.borrow().clone();
            async move { Ok(left) }
        };
        // The first process ends at once, the second ends only when killed, and boi has no permission to
        // signal the third.
        let signal = |signal: Signal| {
            sent.borrow_mut().push(signal);
            alive.borrow_mut().retain(|process| process.pid == 3 || (process.pid == 2 && signal == Signal::TERM));
            let refused = vec![(process(3), io::ErrorKind::PermissionDenied.into())];
            async { Ok(Signalled { sent: vec![], refused }) }
        };
        sweep(list, signal, Duration::from_secs(1)).await.unwrap();
        assert_eq!(*sent.borrow(), [Signal::TERM, Signal::KILL]);
        assert_eq!(*alive.borrow(), [process(3)]);
    }
}
