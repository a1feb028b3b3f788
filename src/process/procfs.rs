//! Reads `/proc`. The functions of this file do not check whether a pid was reused between two calls;
//! `identity` does.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::domain::text;

/// The part of `/proc/PID/stat` that boi uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// The state: `R`, `S`, `Z`, ...
    pub(super) state: u8,
    /// The parent's pid.
    pub(super) parent: i32,
    /// When the process started, in clock ticks since boot.
    pub(super) start_time: u64,
    /// The number of threads, including a first thread that has exited and is not reaped.
    threads: u32,
    /// The CPU time that the process and its reaped children used, in clock ticks.
    pub(super) cpu_ticks: u64,
}

impl Stat {
    /// Whether the process has not ended. If the first thread of a process has exited, `/proc` shows the
    /// process as a zombie although its other threads run.
    pub(super) fn lives(&self) -> bool {
        !matches!(self.state, b'Z' | b'X') || self.threads > 1
    }
}

/// Reads `/proc/PID/stat`; `None`: there is no such process.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Returns the fields of a line of `stat` that follow the program's name. The name is in parentheses and may
/// contain any byte, so fields are counted from the last `)`.
fn fields_after_name(line: &[u8]) -> Option<Vec<&str>> {
    let after_name = line.iter().rposition(|&byte| byte == b')')? + 2;
    let rest = std::str::from_utf8(line.get(after_name..)?).ok()?;
    Some(rest.split_ascii_whitespace().collect())
}

/// Parses a line of `stat`.
fn parse(line: &[u8]) -> Option<Stat> {
    let fields = fields_after_name(line)?;
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
        threads: fields.get(17)?.parse().ok()?,
        // `utime`, `stime`, `cutime` and `cstime`; the last two are signed in the kernel.
        cpu_ticks: fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum(),
    })
}

/// Returns the addresses of this process's arguments and of its environment, which are in its own memory.
pub(super) fn own_image() -> Option<(Range<usize>, Range<usize>)> {
    let line = fs::read("/proc/self/stat").ok()?;
    let fields = fields_after_name(&line)?;
    let address = |index: usize| fields.get(index)?.parse().ok();
    Some((address(45)?..address(46)?, address(47)?..address(48)?))
}

/// Returns the states of all threads of a process.
pub(super) fn thread_states(pid: i32) -> Vec<u8> {
    let state = |thread: i32| Some(parse(&fs::read(format!("/proc/{pid}/task/{thread}/stat")).ok()?)?.state);
    threads(pid).filter_map(state).collect()
}

/// Returns the environment with which a process was executed, as NUL-terminated `NAME=VALUE` strings. If the
/// first thread has exited, the environment is read from the files of the other threads.
pub(super) fn environment(pid: i32) -> Option<Vec<u8>> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    if !bytes.is_empty() || stat(pid)?.threads < 2 {
        return Some(bytes);
    }
    let read = |thread: i32| fs::read(format!("/proc/{pid}/task/{thread}/environ")).ok();
    threads(pid).filter_map(read).find(|bytes| !bytes.is_empty())
}

/// Returns the first argument of a process after the name of its program.
pub(super) fn first_argument(pid: i32) -> Option<Vec<u8>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    line.split(|&byte| byte == 0).nth(1).map(<[u8]>::to_vec)
}

/// Returns the id of the user that a process runs as.
pub(super) fn owner(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|folder| folder.uid())
}

/// Returns the pids of all processes.
pub(super) fn pids() -> impl Iterator<Item = i32> {
    numbered_entries("/proc")
}

/// Whether a signal has stopped the process that has `pid` now.
pub(crate) fn is_stopped(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| matches!(stat.state, b'T' | b't'))
}

/// Whether the process that has `pid` now has `file` open. Also `false` if this user may not see the open
/// files of that process.
pub(crate) fn has_open(pid: u32, file: &Path) -> bool {
    let Ok(file) = file.canonicalize() else { return false };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.flat_map(|entry| fs::read_link(entry.path())).any(|open| open == file)
}

/// The processes, by pid and name, that have `file` open for writing, as far as this user may see their open files. No
/// other open file is touched: it could be on a file system that does not answer.
pub(crate) fn writers(file: &Path) -> Vec<(i32, String)> {
    let Ok(file) = file.canonicalize() else { return Vec::new() };
    let writes = |pid: i32, descriptor: i32| {
        fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).is_ok_and(|open| open == file)
            && fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).is_ok_and(|info| is_writable(&info))
    };
    let name = |pid: i32| Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned());
    pids()
        .filter(|pid| numbered_entries(&format!("/proc/{pid}/fd")).any(|descriptor| writes(*pid, descriptor)))
        .filter_map(|pid| Some((pid, name(pid)?)))
        .collect()
}

/// Whether the open flags in a text of `/proc/PID/fdinfo` allow writing.
fn is_writable(info: &str) -> bool {
    let flags = info.lines().find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// Whether `/proc` shows the PID namespace of this process. It shows another one after `unshare --pid`
/// without `--mount-proc`: a pid in `/proc` then names a different process than the same pid in a system
/// call.
pub(crate) fn is_of_this_namespace() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let own = fs::read_link("/proc/self").ok();
        own.is_none_or(|own| own.to_str() == Some(std::process::id().to_string().as_str()))
    })
}

/// Whether this process is outside the initial PID namespace of the machine, as in a container.
pub(crate) fn is_in_container() -> bool {
    /// The inode of the initial PID namespace, which the kernel fixes (`PROC_PID_INIT_INO`).
    const INITIAL: &str = "pid:[4026531836]";
    fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace.to_str() != Some(INITIAL))
}

/// Whether the process that has `pid` now is in a PID namespace below the one that `/proc` shows.
pub(super) fn is_in_nested_namespace(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| pids_by_namespace(&status) > 1)
}

/// Returns the number of PID namespaces, from the one that `/proc` shows down, in which a process has a pid.
/// `status`: the text of its `/proc/PID/status`.
fn pids_by_namespace(status: &str) -> usize {
    status.lines().find_map(|line| line.strip_prefix("NSpid:")).map_or(1, |pids| pids.split_whitespace().count())
}

/// A process that has a file open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The process.
    pub(crate) pid: i32,
    /// The name of its program.
    pub(crate) program: String,
}

/// Returns the other processes that have one of `files` open, as far as this user may see their open files.
pub(crate) fn holders(files: &[PathBuf]) -> Vec<Holder> {
    let files: Vec<PathBuf> = files.iter().filter_map(|file| file.canonicalize().ok()).collect();
    let own = std::process::id();
    let holds = |pid: i32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.flat_map(|entry| fs::read_link(entry.path())).any(|open| files.contains(&open))
    };
    let others = pids().filter(|pid| u32::try_from(*pid) != Ok(own));
    others.filter(|pid| holds(*pid)).map(|pid| Holder { pid, program: program(pid) }).collect()
}

/// Returns the name of a process's program.
fn program(pid: i32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let mut name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
    // A process that was started as `/proc/self/exe`, such as a daemon in the background, has the name `exe`.
    if name == "exe"
        && let Ok(file) = fs::read_link(format!("/proc/{pid}/exe"))
        && let Some(file) = file.file_name()
    {
        // The kernel adds ` (deleted)` when the file was replaced, such as by an upgrade.
        name = file.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
    }
    text::one_line(&name, 40)
}

fn threads(pid: i32) -> impl Iterator<Item = i32> {
    numbered_entries(&format!("/proc/{pid}/task"))
}

fn numbered_entries(folder: &str) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_and_spaces_does_not_shift_the_fields_of_stat() {
        let line = b"17 (a) R 1 (b) S 42 17 17 0 -1 4194560 1 0 0 0 70 5 800 -1 20 0 3 0 9876 1 1";
        let stat = Stat { state: b'S', parent: 42, start_time: 9876, threads: 3, cpu_ticks: 875 };
        assert_eq!(parse(line), Some(stat));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"17 (a"), None);
    }

    #[test]
    fn the_writers_of_a_file_are_found_and_its_readers_are_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(writers(file.path()).iter().any(|(pid, name)| *pid == own && !name.is_empty()));
        let path = file.into_temp_path();
        let _reader = fs::File::open(&path).unwrap();
        assert_eq!(writers(&path), []);
    }

    #[test]
    fn a_process_of_a_nested_namespace_has_a_pid_in_each() {
        assert_eq!(pids_by_namespace("Name:\tboi\nPid:\t812\nNSpid:\t812\t2\nThreads:\t1\n"), 2);
        assert_eq!(pids_by_namespace("Name:\tboi\nNSpid:\t812\n"), 1);
        assert_eq!(pids_by_namespace("Name:\tboi\n"), 1, "an early kernel");
        assert!(is_of_this_namespace());
        assert!(!is_in_nested_namespace(i32::try_from(std::process::id()).unwrap()));
    }

    #[test]
    fn the_processes_that_have_a_file_open_are_found() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("held");
        let file = fs::File::create(&path).unwrap();
        assert_eq!(holders(std::slice::from_ref(&path)), [], "this process is left out");
        let mut child = std::process::Command::new("sleep").arg("60").stdin(file).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = || {
            holders(std::slice::from_ref(&path))
                .into_iter()
                .find(|holder| holder.pid == pid && holder.program == "sleep")
        };
        while found().is_none() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        assert!(found().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_zombie_with_running_threads_counts_as_living() {
        let stat = |state, threads| Stat { state, parent: 1, start_time: 1, threads, cpu_ticks: 0 };
        assert!(stat(b'S', 1).lives() && stat(b'Z', 2).lives());
        assert!(!stat(b'Z', 1).lives() && !stat(b'X', 0).lives());
    }
}
