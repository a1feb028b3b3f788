//! Finds the processes of a tree by their parent pids.

use std::collections::HashMap;

use super::identity;
use super::procfs::{self, Stat};
use crate::domain::command::Identity;

/// Finds every living process that descends from the process `root`. The caller must make sure that `root`
/// does not end during the call, because its pid could be reused.
pub(crate) fn descendants(root: i32) -> Vec<Identity> {
    descendants_of_any(&[root])
}

/// Returns the living processes in `roots`, and every living process that descends from one of them.
pub(super) fn living_with_descendants(mut roots: Vec<Identity>) -> Vec<Identity> {
    loop {
        let pids: Vec<i32> = roots.iter().map(|root| root.pid).collect();
        let below = descendants_of_any(&pids);
        let before = roots.len();
        // The roots are checked after the search: a root that is still alive had its pid during the whole
        // search.
        roots.retain(identity::lives);
        if roots.len() == before {
            roots.extend(below);
            return roots;
        }
    }
}

fn descendants_of_any(roots: &[i32]) -> Vec<Identity> {
    below(roots).into_iter().map(|(pid, stat)| identity::with_stat(pid, &stat)).collect()
}

/// Returns the pid and the `stat` of every living process that descends from one of `roots`.
pub(super) fn below(roots: &[i32]) -> Vec<(i32, Stat)> {
    if roots.is_empty() {
        return Vec::new();
    }
    let all: HashMap<i32, Stat> = procfs::pids().filter_map(|pid| Some((pid, procfs::stat(pid)?))).collect();
    let descends = |pid: i32| {
        let mut at = pid;
        // No chain of parents is longer than the number of processes. The limit ends the loop if reused pids
        // form a cycle.
        for _ in 0..all.len() {
            match all.get(&at) {
                Some(stat) if roots.contains(&stat.parent) => return true,
                Some(stat) if stat.parent > 1 => at = stat.parent,
                _ => return false,
            }
        }
        false
    };
    let living = all.iter().filter(|(pid, stat)| stat.lives() && !roots.contains(pid));
    living.filter(|(pid, _)| descends(**pid)).map(|(&pid, stat)| (pid, *stat)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_descends_from_its_parent_and_not_from_itself() {
        let own = i32::try_from(std::process::id()).unwrap();
        let parent = procfs::stat(own).unwrap().parent;
        assert!(descendants(parent).iter().any(|process| process.pid == own));
        assert!(!descendants(own).iter().any(|process| process.pid == own));
        let gone = Identity { start_time: 1, ..identity::identify(parent).unwrap() };
        assert!(living_with_descendants(vec![gone]).is_empty(), "another process has the pid now");
    }
}
