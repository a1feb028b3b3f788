//! A signal to a whole tree of processes, as if at one moment.
//!
//! Signalled one after the other, a shell whose command goes first carries out its next command before its own turn
//! comes. So all are stopped before any is told: TERM waits in each until it is continued, and comes before anything else
//! that the process would do then.

use std::collections::{HashMap, HashSet};
use std::io;
use std::iter;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::cgroup::Cgroup;
use super::tree;
use crate::domain::command::Identity;

/// Whoever is not stopped by then is waiting in the kernel, and stops before it does anything.
const SETTLED_AFTER: Duration = Duration::from_millis(500);
/// Between two looks at who is not stopped yet.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Who got a signal.
#[derive(Debug, Default)]
pub struct Signalled {
    /// These did.
    pub sent: Vec<Identity>,
    /// These cannot be signalled, and why.
    pub refused: Vec<(Identity, io::Error)>,
}

/// Sends `signal` to everything that `look` finds, and to what that forked meanwhile. Takes up to half a second, and
/// reads all of `/proc` several times.
pub fn signal_all(signal: Signal, look: impl FnMut() -> io::Result<Vec<Identity>>) -> io::Result<Signalled> {
    let Signalled { sent: mut stopped, refused } = stop_all(look)?;
    // Nobody who is stopped gets another parent. Pids do not tell who was first: they begin anew at the highest.
    let parents: HashMap<i32, i32> =
        stopped.iter().filter_map(|who| Some((who.pid, tree::stat(who.pid)?.parent))).collect();
    let ancestors = |pid: i32| iter::successors(Some(pid), |pid| parents.get(pid).copied());
    stopped.sort_by_cached_key(|who| ancestors(who.pid).take(parents.len() + 1).count());
    // Children first: no parent sees one of them stopped, and the kernel continues the stopped ones of a group (with a
    // HUP) when its last parent outside ends.
    let told = |who: &&Identity| super::signal(who, signal).unwrap_or(false);
    let sent = stopped.iter().rev().filter(told).cloned().collect();
    if signal != Signal::KILL {
        for who in stopped.iter().rev() {
            super::signal(who, Signal::CONT).ok();
        }
    }
    Ok(Signalled { sent, refused })
}

/// The same for a command's tree, of which the kernel ends what is in its `cgroup` with KILL: at one moment, so that nothing
/// can fork faster than it is found.
pub fn signal_tree(
    signal: Signal,
    cgroup: Option<&Cgroup>,
    look: impl FnMut() -> io::Result<Vec<Identity>>,
) -> io::Result<Signalled> {
    if let (Signal::KILL, Some(cgroup)) = (signal, cgroup) {
        // An older kernel cannot; then each is killed by itself.
        cgroup.kill().ok();
    }
    signal_all(signal, look)
}

/// Stops all, parents first, until everyone is found and nobody runs. Whoever is stopped forks no more, so this ends.
fn stop_all(mut look: impl FnMut() -> io::Result<Vec<Identity>>) -> io::Result<Signalled> {
    let until = Instant::now() + SETTLED_AFTER;
    let (mut all, mut seen) = (Signalled::default(), HashSet::new());
    loop {
        let mut found = match look() {
            Ok(found) => found,
            Err(error) if all.sent.is_empty() => return Err(error),
            // Those that are stopped must go on.
            Err(_) => return Ok(all),
        };
        found.retain(|who| seen.insert((who.pid, who.start_time)));
        found.sort_by_key(|who| (who.start_time, who.pid));
        let none_new = found.is_empty();
        for who in found {
            match super::signal(&who, Signal::STOP) {
                Ok(true) => all.sent.push(who),
                Ok(false) => {}
                Err(error) => all.refused.push((who, error)),
            }
        }
        let still = !all.sent.iter().any(runs);
        if (none_new && still) || until <= Instant::now() {
            return Ok(all);
        }
        if !still {
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether it may still be on its way out of a fork. One that sleeps in the kernel (`D`) has forked nothing that is not
/// to be seen: the parent of a `vfork`, say, whose child is stopped.
fn runs(who: &Identity) -> bool {
    tree::stat(who.pid).is_some_and(|stat| stat.start_time == who.start_time)
        && tree::thread_states(who.pid).iter().any(|state| matches!(state, b'R' | b'S'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell that goes on in its script once what it waits for ended.
    struct Shell(Child);

    impl Shell {
        fn start(folder: &Path, script: &str) -> Shell {
            let mut command = Command::new("sh");
            command.args(["-c", script]).current_dir(folder).process_group(0).stderr(Stdio::null());
            Shell(command.spawn().unwrap())
        }

        fn tree(&self) -> Vec<Identity> {
            let pid = i32::try_from(self.0.id()).unwrap();
            super::super::identity(pid).into_iter().chain(tree::descendants(pid)).collect()
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
            assert!(Instant::now() < until, "waited in vain");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Signals many shells, each with `depth` processes, at once, and waits for their end; what they noted after that.
    fn ended(script: &str, depth: usize, signal: Signal) -> String {
        let folder = tempfile::TempDir::new().unwrap();
        let mut shells: Vec<Shell> = (0..20).map(|_| Shell::start(folder.path(), script)).collect();
        wait_until(|| shells.iter().all(|shell| shell.tree().len() == depth));
        let sent = signal_all(signal, || Ok(shells.iter().flat_map(Shell::tree).collect())).unwrap().sent;
        assert_eq!(sent.len(), shells.len() * depth);
        wait_until(|| shells.iter_mut().all(|shell| shell.0.try_wait().unwrap().is_some()));
        std::fs::read_to_string(folder.path().join("noted")).unwrap_or_default()
    }

    #[test]
    fn a_shell_whose_command_is_ended_with_it_does_not_go_on() {
        for depth in 2..=3 {
            let inner = if depth == 2 { "sleep 1000" } else { "sh -c 'sleep 1000; echo inner >> noted'" };
            assert_eq!(ended(&format!("{inner}; echo end >> noted"), depth, Signal::TERM), "");
            assert_eq!(ended(&format!("trap '' TERM; {inner}; echo end >> noted"), depth, Signal::KILL), "");
        }
    }

    #[test]
    fn one_that_handles_the_signal_gets_to_do_so() {
        let noted = ended("trap 'echo asked >> noted; exit' TERM; sleep 1000; echo end >> noted", 2, Signal::TERM);
        assert_eq!(noted, "asked\n".repeat(20));
    }
}
