//! Checks the size of the queue's write-ahead log, and finds the programs that keep it from shrinking.

use super::{Finding, Subject, Text};
use crate::process::procfs::{self, Holder};
use crate::queue::open;
use crate::ui::units::bytes;

/// The name of boi's own processes.
const OWN: &str = "boi";

pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    let path = subject.home.db();
    let holders = procfs::holders(&open::files_of(path));
    finding(open::log_size(path), &holders, path.display().to_string()).into_iter().collect()
}

fn finding(size: u64, holders: &[Holder], place: String) -> Option<Finding> {
    let foreign: Vec<String> = holders
        .iter()
        .filter(|holder| holder.program != OWN)
        .map(|Holder { pid, program }| format!("{program} (pid {pid})"))
        .collect();
    let is_large = size > open::LARGE_LOG;
    if foreign.is_empty() && !is_large {
        return None;
    }
    let log = format!("the write-ahead log has {}", bytes(size));
    let (what, advice) = match foreign.as_slice() {
        [] => {
            (log, "end `boi` commands that read the queue for long, or restart the daemon: boi daemon restart".into())
        }
        foreign => {
            let (names, verb) = (foreign.join(", "), if foreign.len() == 1 { "has" } else { "have" });
            (
                format!("{names} {verb} the queue's database open; {log}"),
                format!("close the database there, or end {names}"),
            )
        }
    };
    let why = "while a program keeps a read transaction open, the log grows with each change and cannot shrink".into();
    let text = Text { what, place, why, advice };
    Some(if is_large { Finding::problem("queue-log", text) } else { Finding::note("queue-log", text) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn foreign_readers_are_named_and_a_large_log_is_a_problem() {
        let holder = |pid, program: &str| Holder { pid, program: program.to_owned() };
        let found = |size, holders: &[Holder]| finding(size, holders, "/q".to_owned());
        assert!(found(5 << 20, &[holder(1, OWN)]).is_none());
        let note = found(5 << 20, &[holder(1, OWN), holder(2, "sqlite3")]).unwrap();
        assert_eq!(note.level, Level::Note);
        assert_eq!(note.what, "sqlite3 (pid 2) has the queue's database open; the write-ahead log has 5.0 MiB");
        assert_eq!(found(2 << 30, &[holder(1, OWN)]).unwrap().level, Level::Problem);
        assert_eq!(found(2 << 30, &[holder(2, "sqlite3")]).unwrap().level, Level::Problem);
    }
}
