//! What processes use, as `/proc` tells.

use std::fs;

fn read(pid: i32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the process lives")
}

/// The number after `field` in the text of a file in `/proc`.
fn number(text: &str, field: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("the field");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

/// Memory of a process in MiB: `Rss` or `Pss`.
pub fn memory(pid: i32, field: &str) -> f64 {
    number(&read(pid, "smaps_rollup"), field) / 1024.0
}

/// CPU time and wake-ups of the main threads of processes since their start.
#[derive(Default)]
pub struct Used {
    pub nanos: u64,
    /// Voluntary context switches: how often a process waited.
    pub wakes: u64,
}

impl Used {
    /// By all of these processes together.
    pub fn by(pids: &[i32]) -> Used {
        let mut used = Used::default();
        for pid in pids {
            let schedstat = read(*pid, "schedstat");
            used.nanos += schedstat.split(' ').next().expect("a field").parse::<u64>().expect("a number");
            used.wakes += number(&read(*pid, "status"), "voluntary_ctxt_switches") as u64;
        }
        used
    }
}
