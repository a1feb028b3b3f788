//! Process trees as `/proc` shows them: who descends from whom, and who carries a marker.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::getuid;

use super::command::SUPERVISE;
use crate::domain::command::Identity;
use crate::system::clock;

/// The environment variable that every descendant of a command carries, with a random value of that command's.
pub const MARKER: &str = "BOI_MARKER";

/// A marker that nothing carries yet: 128 random bits, in hexadecimal.
pub fn new_marker() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its state: `R`, `S`, `Z`, ...
    pub state: u8,
    /// Its parent.
    pub parent: i32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// How many threads it has, its first one included as long as it is not reaped.
    threads: u32,
}

impl Stat {
    /// Whether the process has not ended. Without its first thread it is shown as a zombie, and lives while another runs.
    pub fn lives(&self) -> bool {
        !matches!(self.state, b'Z' | b'X') || self.threads > 1
    }
}

/// Looks a process up; `None` when it is gone.
pub fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of a program stands in parentheses and may hold any byte, so the fields are counted from the last `)`.
fn parse(line: &[u8]) -> Option<Stat> {
    let after_name = line.iter().rposition(|&byte| byte == b')')? + 2;
    let rest = std::str::from_utf8(line.get(after_name..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
        threads: fields.get(17)?.parse().ok()?,
    })
}

/// The states of all threads of a process.
pub fn thread_states(pid: i32) -> Vec<u8> {
    let state = |thread: i32| Some(parse(&fs::read(format!("/proc/{pid}/task/{thread}/stat")).ok()?)?.state);
    threads(pid).filter_map(state).collect()
}

/// Every living process below `root`, `root` itself not.
pub fn descendants(root: i32) -> Vec<Identity> {
    let all: HashMap<i32, Stat> = pids().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let descends = |pid: i32| {
        let mut at = pid;
        // No chain of parents is longer than there are processes: this ends even if pids were given away meanwhile.
        for _ in 0..all.len() {
            match all.get(&at) {
                Some(stat) if stat.parent == root => return true,
                Some(stat) if stat.parent > 1 => at = stat.parent,
                _ => return false,
            }
        }
        false
    };
    let living = all.iter().filter(|(_, stat)| stat.lives());
    living.filter(|(pid, _)| descends(**pid)).map(|(&pid, stat)| identity(pid, stat)).collect()
}

/// Every living process of this user that carries `marker` in its environment.
pub fn marked(marker: &str) -> Vec<Identity> {
    let wanted = format!("{MARKER}={marker}");
    let carries = |pid: i32| {
        environment(pid)
            .is_some_and(|bytes| bytes.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes()))
    };
    let identify = |pid| stat(pid).filter(Stat::lives).map(|stat| identity(pid, &stat));
    // Looked up before and after: who carries the marker must be who is named.
    pids()
        .filter_map(|pid| Some((identify(pid)?, pid)))
        .filter(|(who, pid)| carries(*pid) && identify(*pid).as_ref() == Some(who))
        .map(|(who, _)| who)
        .collect()
}

/// The living supervisor of this user that carries `marker`. Needs no record.
pub fn supervisor_with(marker: &str) -> Option<Identity> {
    marked(marker).into_iter().find(|who| {
        let path = format!("/proc/{}", who.pid);
        let is_supervisor = fs::read(format!("{path}/cmdline"))
            .is_ok_and(|line| line.split(|&byte| byte == 0).nth(1) == Some(SUPERVISE.as_bytes()));
        let is_own = fs::metadata(path).is_ok_and(|folder| folder.uid() == getuid().as_raw());
        is_supervisor && is_own && stat(who.pid).is_some_and(|stat| identity(who.pid, &stat) == *who)
    })
}

/// Every living process that carries any command's marker, which the second is.
pub fn all_marked() -> Vec<(Identity, String)> {
    let identify = |pid| stat(pid).filter(Stat::lives).map(|stat| identity(pid, &stat));
    let look = |pid: i32| {
        let who = identify(pid)?;
        let marker = marker(pid)?;
        (identify(pid).as_ref() == Some(&who)).then_some((who, marker))
    };
    pids().filter_map(look).collect()
}

/// The marker that the process with this pid carries in its environment.
pub fn marker(pid: i32) -> Option<String> {
    let prefix = format!("{MARKER}=");
    let bytes = environment(pid)?;
    let marker = bytes.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(prefix.as_bytes()))?;
    String::from_utf8(marker.to_vec()).ok()
}

/// The variables with which a process was executed. Without its first thread it has them in the others only.
fn environment(pid: i32) -> Option<Vec<u8>> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    if !bytes.is_empty() || stat(pid)?.threads < 2 {
        return Some(bytes);
    }
    let read = |thread: i32| fs::read(format!("/proc/{pid}/task/{thread}/environ")).ok();
    threads(pid).filter_map(read).find(|bytes| !bytes.is_empty())
}

fn identity(pid: i32, stat: &Stat) -> Identity {
    Identity { pid, start_time: stat.start_time, boot_id: clock::boot_id().to_owned() }
}

fn pids() -> impl Iterator<Item = i32> {
    numbers("/proc")
}

fn threads(pid: i32) -> impl Iterator<Item = i32> {
    numbers(&format!("/proc/{pid}/task"))
}

fn numbers(folder: &str) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = b"17 (a) R 1 (b) S 42 17 17 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 9876 1 1";
        assert_eq!(parse(line), Some(Stat { state: b'S', parent: 42, start_time: 9876, threads: 3 }));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"17 (a"), None);
    }

    #[test]
    fn a_zombie_lives_while_it_has_a_thread() {
        let of = |state, threads| Stat { state, parent: 1, start_time: 1, threads };
        assert!(of(b'S', 1).lives() && of(b'Z', 2).lives());
        assert!(!of(b'Z', 1).lives() && !of(b'X', 0).lives());
    }

    #[test]
    fn this_process_has_an_identity_and_descends_from_its_parent() {
        let own = i32::try_from(std::process::id()).unwrap();
        let stat = stat(own).unwrap();
        assert!(descendants(stat.parent).iter().any(|who| who.pid == own));
        assert!(!descendants(own).iter().any(|who| who.pid == own));
    }
}
