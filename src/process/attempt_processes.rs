//! Finds and signals every process of a spec's attempts without relying on the attempts' records.
//!
//! boi uses this to end a spec whose records cannot be read, because they are damaged or of a newer version. A process
//! belongs to a command if it carries the marker in the command's folder, descends from such a process, or is in the
//! cgroup named after the marker.
//!
//! Invariants: no pid is read from a record, so a reused pid is never signalled. This process never signals
//! itself, even if it runs under one of the attempt's commands.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::cgroup::Cgroup;
use super::command_dir::{CommandDir, STARTED};
use super::descendants::living_with_descendants;
use super::marker::{self, is_marker};
use super::record::read_any_record;
use super::signal_tree::{Signalled, signal_tree};
use crate::domain::command::Identity;
use crate::system::attempt_folder;

/// The processes and locks of a spec's attempts at the moment of [`find`].
#[derive(Debug, Default)]
pub(crate) struct AttemptProcesses {
    markers: Vec<String>,
    cgroups: Vec<Cgroup>,
    processes: Vec<Identity>,
    /// Whether a cgroup has members. `processes` lacks the members that belong to an outer pid namespace,
    /// because they have no pid in this process's namespace.
    is_cgroup_populated: bool,
    held_locks: Vec<PathBuf>,
}

/// Finds the processes and held locks of a spec. `attempts` is the folder that contains the folders of the spec's
/// attempts. All of them are searched, because the number of the current attempt may be unreadable too. If `attempts` is
/// missing, nothing is found. Blocks, because it reads all of `/proc`.
pub(crate) fn find(attempts: &Path) -> io::Result<AttemptProcesses> {
    let mut found = AttemptProcesses::default();
    found.markers.push(marker::marker_of_git(attempts));
    for folder in attempt_folder::commands(attempts)? {
        let dir = CommandDir::at(folder);
        dir.restore_permissions().ok();
        if dir.is_locked()? {
            found.held_locks.push(dir.lock_file());
        }
        if let Some(marker) = dir.read_marker()?.filter(|marker| is_marker(marker)) {
            found.cgroups.extend(recorded_cgroup(&dir, &marker).or_else(|| Cgroup::with_marker(&marker)));
            found.markers.push(marker);
        }
    }
    found.processes = found.list();
    found.is_cgroup_populated = found.cgroups.iter().any(Cgroup::is_populated);
    Ok(found)
}

impl AttemptProcesses {
    /// Whether nothing of the spec runs: no process was found, and no supervisor holds a lock.
    ///
    /// A lock may be held although no process was found, for example by a supervisor of another user. boi
    /// cannot signal such a supervisor, but only wait for its end.
    pub(crate) fn is_empty(&self) -> bool {
        self.processes.is_empty() && !self.is_cgroup_populated && self.held_locks.is_empty()
    }

    /// The processes that were found.
    pub(crate) fn processes(&self) -> &[Identity] {
        &self.processes
    }

    /// The lock files that supervisors held.
    pub(crate) fn held_locks(&self) -> &[PathBuf] {
        &self.held_locks
    }

    /// Sends `signal` to every process of the attempt, including supervisors, as if at the same moment.
    /// Searches for the processes again, so that those started after [`find`] get the signal, too. May be
    /// called repeatedly. Blocks for up to half a second.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<Signalled> {
        let own = own_pid();
        // The kernel can only kill a whole cgroup. If this process is in the cgroup, its other members are
        // killed one by one.
        let is_foreign = |cgroup: &&Cgroup| cgroup.processes().iter().all(|process| process.pid != own);
        let cgroups: Vec<Cgroup> = self.cgroups.iter().filter(is_foreign).cloned().collect();
        signal_tree(signal, &cgroups, || Ok(self.list()))
    }

    /// Removes the cgroups of the attempt's commands. Fails while a process is in one.
    pub(crate) fn remove_cgroups(&self) -> io::Result<()> {
        self.cgroups.iter().try_for_each(Cgroup::remove)
    }

    fn list(&self) -> Vec<Identity> {
        let markers: Vec<&str> = self.markers.iter().map(String::as_str).collect();
        let mut all = if markers.is_empty() { vec![] } else { marker::processes_with(&markers) };
        all = living_with_descendants(all);
        all.extend(self.cgroups.iter().flat_map(Cgroup::processes));
        let own = own_pid();
        all.retain(|process| process.pid != own);
        all.sort_by_key(|process| (process.pid, process.start_time));
        all.dedup();
        all
    }
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Returns the cgroup that the record `started` names, whatever version the record has. The record need not
/// be trusted, because a cgroup counts only if the command's marker is in its name.
fn recorded_cgroup(dir: &CommandDir, marker: &str) -> Option<Cgroup> {
    let record: serde_json::Value = read_any_record(&dir.open().ok()?, STARTED)?;
    let path = record.get("cgroup")?.as_str()?;
    Cgroup::at(Path::new(path)).filter(|cgroup| cgroup.is_of(marker))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Child, Command};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::fs::{FlockOperation, flock};

    use super::super::identity::identify;
    use super::super::marker::{MARKER, new_marker};
    use super::*;
    use crate::system::files;

    /// A process that a test started; it is killed at the end of the test.
    struct Process(Child);

    impl Process {
        fn start(script: &str, marker: Option<&str>) -> Process {
            let mut command = Command::new("sh");
            command.args(["-c", script]).env_remove(MARKER).envs(marker.map(|marker| (MARKER, marker)));
            Process(command.spawn().unwrap())
        }

        fn identity(&self) -> Identity {
            identify(i32::try_from(self.0.id()).unwrap()).unwrap()
        }

        fn has_ended(&mut self) -> bool {
            self.0.try_wait().unwrap().is_some()
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    /// The folder of a spec with one attempt and one command, whose marker is `marker`.
    fn attempts(marker: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let attempts = tempfile::TempDir::new().unwrap();
        let command = attempts.path().join("1/command-1");
        fs::create_dir_all(&command).unwrap();
        fs::write(command.join("marker"), marker).unwrap();
        (attempts, command)
    }

    fn wait_until(mut condition: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < until, "the condition did not become true");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn processes_are_found_and_ended_by_their_marker_whatever_the_records_hold() {
        let bystander = Process::start("exec sleep 1000", Some(&new_marker()));
        let of_bystander = serde_json::to_value(bystander.identity()).unwrap();
        for record in [
            b"garbage".to_vec(),
            vec![0; 328],
            serde_json::to_vec(&serde_json::json!({"version": 99, "supervisor": of_bystander, "command": of_bystander,
                "cgroup": "/sys/fs/cgroup"}))
            .unwrap(),
        ] {
            let marker = new_marker();
            let (attempts, command) = attempts(marker.as_bytes());
            for file in ["request", "started", "exit"] {
                fs::write(command.join(file), &record).unwrap();
            }
            assert!(find(attempts.path()).unwrap().is_empty());
            // The child of `process` has no marker, and is found because it descends from `process`.
            let mut process = Process::start("env -u BOI_MARKER sleep 1000; true", Some(&marker));
            wait_until(|| find(attempts.path()).unwrap().processes().len() == 2);
            let found = find(attempts.path()).unwrap();
            assert!(!found.is_empty() && found.processes().contains(&process.identity()));
            assert_eq!(found.signal(Signal::TERM).unwrap().sent.len(), 2);
            wait_until(|| process.has_ended());
            wait_until(|| find(attempts.path()).unwrap().is_empty());
            assert!(found.signal(Signal::KILL).unwrap().sent.is_empty(), "signalling again does nothing");
        }
        let mut bystander = bystander;
        assert!(!bystander.has_ended(), "a process was ended although only a record named it");
    }

    #[test]
    fn a_marker_of_another_form_finds_no_process() {
        let _process = Process::start("exec sleep 1000", Some(""));
        for marker in [&b""[..], b"\n", b"\xff\0", b"short", &[b'g'; 32]] {
            let (attempts, _) = attempts(marker);
            let found = find(attempts.path()).unwrap();
            assert!(found.is_empty() && found.signal(Signal::KILL).unwrap().sent.is_empty(), "{marker:?}");
        }
    }

    #[test]
    fn a_held_lock_means_that_something_runs() {
        let (attempts, command) = attempts(new_marker().as_bytes());
        let lock = files::private_file(&command.join("lock")).unwrap();
        assert!(find(attempts.path()).unwrap().is_empty());
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let found = find(attempts.path()).unwrap();
        assert!(!found.is_empty() && found.processes().is_empty());
        assert_eq!(found.held_locks(), [command.join("lock")]);
        drop(lock);
        // A child that another test is starting holds a copy of the descriptor until it executes its program.
        wait_until(|| find(attempts.path()).unwrap().is_empty());
    }

    #[test]
    fn members_of_the_cgroup_are_found_without_a_marker() {
        let Ok(base) = super::super::cgroup::find_usable_base() else {
            eprintln!("test skipped: this process cannot make cgroups");
            return;
        };
        let marker = new_marker();
        let (attempts, command) = attempts(marker.as_bytes());
        let cgroup = Cgroup::create(&base, &marker).unwrap();
        fs::write(command.join("started"), serde_json::json!({"version": 99, "cgroup": cgroup.path()}).to_string())
            .unwrap();
        let mut process = Process::start("exec sleep 1000", None);
        fs::write(cgroup.path().join("cgroup.procs"), process.0.id().to_string()).unwrap();
        let found = find(attempts.path()).unwrap();
        assert_eq!(found.processes(), [process.identity()]);
        found.signal(Signal::KILL).unwrap();
        wait_until(|| process.has_ended());
        assert!(find(attempts.path()).unwrap().is_empty());
        found.remove_cgroups().unwrap();
        found.remove_cgroups().unwrap();
        assert!(!cgroup.path().exists());
    }

    #[test]
    fn links_and_absent_folders_have_no_processes() {
        let marker = new_marker();
        let _process = Process::start("exec sleep 1000", Some(&marker));
        let (elsewhere, _) = attempts(marker.as_bytes());
        let spec = tempfile::TempDir::new().unwrap();
        assert!(find(&spec.path().join("absent")).unwrap().is_empty());
        fs::create_dir_all(spec.path().join("1/command-2/marker")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("1/command-1"), spec.path().join("1/command-1")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("1"), spec.path().join("2")).unwrap();
        assert!(find(spec.path()).unwrap().is_empty());
    }
}
