//! What the supervisors of commands that sleep cost.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::Bench;
use super::jobs::{UNPACED_64, daemon, spec};
use super::support::wait_for;
use super::table::{at_most, heading};
use super::usage::{Used, memory};

/// A supervisor that has started its command frees memory; this is how long that may take.
const SETTLE: Duration = Duration::from_secs(1);

/// The pids of the supervisors of the home `home`.
fn supervisors(home: &Path) -> Vec<i32> {
    let pids =
        fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        // A process may end meanwhile.
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        matches!(arguments[..], [_, b"__supervise", folder, ..] if folder.starts_with(home.as_os_str().as_bytes()))
    })
    .collect()
}

pub fn measure(bench: &Bench) {
    for (name, program) in &bench.programs {
        for count in [1, 64] {
            heading(&format!("{name}: supervisors of commands that sleep, {count} at once"));
            let sandbox = daemon(program, UNPACED_64);
            spec(&sandbox, "sleep.toml", "exec sleep 1000");
            let mut arguments = vec!["dispatch"];
            arguments.extend(std::iter::repeat_n("sleep.toml", count));
            sandbox.good(&arguments);
            let home = fs::canonicalize(sandbox.path("boi")).expect("a home");
            wait_for("all commands run", || {
                let started = sandbox.commands().iter().filter(|folder| folder.join("started").exists()).count();
                (started == count && supervisors(&home).len() == count).then_some(())
            });
            sleep(SETTLE);
            let pids = supervisors(&home);
            let sizes: Vec<f64> = pids.iter().map(|pid| memory(*pid, "Pss")).collect();
            at_most("PSS of a supervisor, mean", sizes.iter().sum::<f64>() / count as f64, "MiB", 0.3);
            at_most("PSS of a supervisor, maximum", sizes.iter().copied().fold(0.0, f64::max), "MiB", 0.3);
            let (before, seconds) = (Used::by(&pids), bench.times(10) as u64);
            sleep(Duration::from_secs(seconds));
            let after = Used::by(&pids);
            at_most(&format!("wake-ups of all in {seconds} s"), (after.wakes - before.wakes) as f64, "", 0.0);
            let busy = (after.nanos - before.nanos) as f64 / 1e9 / seconds as f64;
            at_most("CPU of all, % of a core", 100.0 * busy, "%", 0.02);
        }
    }
}
