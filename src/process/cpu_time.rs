//! The CPU time that a command has used: of all its processes, including those that ended.

use std::time::Duration;

use super::command_dir::CommandDir;
use super::descendants::below;
use super::procfs;

/// Returns the CPU time that the command in the folder `dir` has used. `supervisor` is the pid of the
/// command's supervisor. Returns `None` if the time is not known, because the supervisor has ended or the
/// machine has no `/proc`.
///
/// Without a cgroup, the sum can become smaller: if the parent of an ended process does not wait for it, the
/// process's time is lost.
pub(crate) fn of_command(dir: &CommandDir, supervisor: i32) -> Option<Duration> {
    let cgroup = dir.cgroup().ok().flatten();
    cgroup.and_then(|cgroup| cgroup.cpu_time()).or_else(|| of_tree(supervisor))
}

fn of_tree(root: i32) -> Option<Duration> {
    let own = procfs::stat(root)?.cpu_ticks;
    let ticks = below(&[root]).iter().fold(own, |sum, (_, stat)| sum.saturating_add(stat.cpu_ticks));
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks.saturating_mul(1000) / per_second))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Instant;

    use super::*;
    use crate::process::cgroup::{Cgroup, find_usable_base};
    use crate::process::marker::new_marker;

    /// Starts a shell whose child is busy, and waits until `cpu_time` has grown by more than 50 ms.
    fn busy_tree_is_seen(joins: &str, cpu_time: impl Fn(i32) -> Option<Duration>) {
        let script = format!("{joins}; (while :; do :; done) & wait");
        let mut shell = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let pid = i32::try_from(shell.id()).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let seen = loop {
            let seen = cpu_time(pid).is_some_and(|used| used > Duration::from_millis(50));
            if seen || until <= Instant::now() {
                break seen;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        for (child, _) in below(&[pid]) {
            rustix::process::kill_process(
                rustix::process::Pid::from_raw(child).unwrap(),
                rustix::process::Signal::KILL,
            )
            .unwrap();
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert!(seen, "the CPU time of the child was not seen");
        assert_eq!(of_tree(pid), None, "the process was reaped");
    }

    #[test]
    fn the_time_of_a_child_counts() {
        busy_tree_is_seen(":", of_tree);
    }

    #[test]
    fn the_time_of_the_members_of_a_cgroup_counts() {
        let Ok(base) = find_usable_base() else {
            eprintln!("test skipped: this process cannot make cgroups");
            return;
        };
        let cgroup = Cgroup::create(&base, &new_marker()).unwrap();
        busy_tree_is_seen(&format!("echo 0 > {}/cgroup.procs", cgroup.path().display()), |_| cgroup.cpu_time());
        cgroup.remove().unwrap();
        assert_eq!(cgroup.cpu_time(), None);
    }
}
