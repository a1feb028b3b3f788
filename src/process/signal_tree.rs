//! Sends a signal to a whole tree of processes as if at the same moment.
//!
//! If processes are signalled one after the other, a shell whose child ends first starts its next command
//! before the shell gets the signal. Therefore all processes are stopped (SIGSTOP) before any of them gets
//! the signal. A SIGTERM stays pending while a process is stopped. When the process is continued, it handles
//! the SIGTERM first.

use std::collections::{HashMap, HashSet};
use std::io;
use std::iter;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::cgroup::Cgroup;
use super::{identity, procfs};
use crate::domain::command::Identity;

/// The longest wait until every process has stopped. A process that has not stopped by then is blocked in the
/// kernel, and will stop before it runs again.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// The pause between two checks whether every process has stopped.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The result of signalling several processes. Neither list contains processes that had already ended.
#[derive(Debug, Default)]
pub(crate) struct Signalled {
    /// The processes that got the signal.
    pub sent: Vec<Identity>,
    /// The processes that could not be signalled, each with the error.
    pub refused: Vec<(Identity, io::Error)>,
}

/// Sends `signal` to every process that `list` returns. Calls `list` until it returns no new process, so that
/// processes forked during the call get the signal, too. Blocks for up to half a second.
pub(crate) fn signal_all(signal: Signal, list: impl FnMut() -> io::Result<Vec<Identity>>) -> io::Result<Signalled> {
    let Signalled { sent: mut stopped, refused } = stop_all(list)?;
    // The order is found by parents, which do not change while processes are stopped. Pids wrap around, so a
    // lower pid does not mean an older process.
    let parents: HashMap<i32, i32> =
        stopped.iter().filter_map(|process| Some((process.pid, procfs::stat(process.pid)?.parent))).collect();
    let ancestors = |pid: i32| iter::successors(Some(pid), |pid| parents.get(pid).copied());
    stopped.sort_by_cached_key(|process| ancestors(process.pid).take(parents.len() + 1).count());
    // Children get the signal before their parents, for two reasons: no parent notices that a child of its
    // own is stopped; and if the last parent outside a process group ended first, the kernel would send
    // SIGHUP to the group's stopped processes and continue them.
    let is_sent = |process: &&Identity| identity::signal(process, signal).unwrap_or(false);
    let sent = stopped.iter().rev().filter(is_sent).cloned().collect();
    if signal != Signal::KILL {
        for process in stopped.iter().rev() {
            identity::signal(process, Signal::CONT).ok();
        }
    }
    Ok(Signalled { sent, refused })
}

/// Sends `signal` to the process trees of commands, as `signal_all` does. For SIGKILL, the kernel first kills
/// all processes in `cgroups` at the same moment, so that no process can fork faster than its children are
/// found.
pub(crate) fn signal_tree(
    signal: Signal,
    cgroups: &[Cgroup],
    list: impl FnMut() -> io::Result<Vec<Identity>>,
) -> io::Result<Signalled> {
    if signal == Signal::KILL {
        for cgroup in cgroups {
            // Kernels before 5.14 cannot kill a cgroup. On them, each process is killed separately below.
            cgroup.kill().ok();
        }
    }
    signal_all(signal, list)
}

/// Stops all processes, parents first, until `list` returns no new process and no process runs. This ends,
/// because stopped processes do not fork.
fn stop_all(mut list: impl FnMut() -> io::Result<Vec<Identity>>) -> io::Result<Signalled> {
    let until = Instant::now() + STOP_TIMEOUT;
    let (mut all, mut seen) = (Signalled::default(), HashSet::new());
    loop {
        let mut found = match list() {
            Ok(found) => found,
            Err(error) if all.sent.is_empty() => return Err(error),
            // Some processes are stopped already. The caller must signal and continue them, so this returns
            // no error.
            Err(_) => return Ok(all),
        };
        found.retain(|process| seen.insert((process.pid, process.start_time)));
        found.sort_by_key(|process| (process.start_time, process.pid));
        let none_new = found.is_empty();
        for process in found {
            match identity::signal(&process, Signal::STOP) {
                Ok(true) => all.sent.push(process),
                Ok(false) => {}
                Err(error) => all.refused.push((process, error)),
            }
        }
        let none_runs = !all.sent.iter().any(may_fork);
        if (none_new && none_runs) || until <= Instant::now() {
            return Ok(all);
        }
        if !none_runs {
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Whether a process may still return from a fork whose child `list` has not seen. A process in uninterruptible
/// sleep (`D`) has no such child: it is, for example, the parent of a `vfork` whose child is stopped.
fn may_fork(process: &Identity) -> bool {
    procfs::stat(process.pid).is_some_and(|stat| stat.start_time == process.start_time)
        && procfs::thread_states(process.pid).iter().any(|state| matches!(state, b'R' | b'S'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use super::super::descendants::descendants;
    use super::*;

    /// A shell that continues its script when its current command has ended.
    struct Shell(Child);

    impl Shell {
        fn start(folder: &Path, script: &str) -> Shell {
            let mut command = Command::new("sh");
            command.args(["-c", script]).current_dir(folder).process_group(0).stderr(Stdio::null());
            Shell(command.spawn().unwrap())
        }

        fn tree(&self) -> Vec<Identity> {
            let pid = i32::try_from(self.0.id()).unwrap();
            identity::identify(pid).into_iter().chain(descendants(pid)).collect()
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            signal_all(Signal::KILL, || Ok(self.tree())).ok();
            self.0.wait().ok();
        }
    }

    fn wait_until(mut condition: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < until, "the condition did not become true");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts many shells, each with a tree of `size` processes, signals all of them at once, and waits for
    /// their end. Returns what their scripts wrote to the file `written`.
    fn signal_shells(script: &str, size: usize, signal: Signal) -> String {
        let folder = tempfile::TempDir::new().unwrap();
        let mut shells: Vec<Shell> = (0..20).map(|_| Shell::start(folder.path(), script)).collect();
        wait_until(|| shells.iter().all(|shell| shell.tree().len() == size));
        let sent = signal_all(signal, || Ok(shells.iter().flat_map(Shell::tree).collect())).unwrap().sent;
        assert_eq!(sent.len(), shells.len() * size);
        wait_until(|| shells.iter_mut().all(|shell| shell.0.try_wait().unwrap().is_some()));
        std::fs::read_to_string(folder.path().join("written")).unwrap_or_default()
    }

    #[test]
    fn a_shell_does_not_start_its_next_command_when_its_tree_is_signalled() {
        for size in 2..=3 {
            let inner = if size == 2 { "sleep 1000" } else { "sh -c 'sleep 1000; echo inner >> written'" };
            assert_eq!(signal_shells(&format!("{inner}; echo end >> written"), size, Signal::TERM), "");
            assert_eq!(signal_shells(&format!("trap '' TERM; {inner}; echo end >> written"), size, Signal::KILL), "");
        }
    }

    #[test]
    fn a_handler_of_the_signal_runs() {
        let script = "trap 'echo handled >> written; exit' TERM; sleep 1000; echo end >> written";
        assert_eq!(signal_shells(script, 2, Signal::TERM), "handled\n".repeat(20));
    }
}
