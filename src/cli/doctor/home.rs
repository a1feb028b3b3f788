//! The home itself: whose it is, who can read it, and what a daemon that died left in it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Doctor;
use crate::daemon::boot;
use crate::process::limits;
use crate::system::files;

/// With less room than that, a command's end may not be recorded: bytes, and files.
const ROOM: (u64, u64) = (64 << 20, 1000);

impl Doctor {
    pub(super) fn look_at_home(&mut self) {
        if let Err(error) = self.home.check() {
            let place = self.home.root().display().to_string();
            let why = "boi refuses a home that others can change: they could have it run anything".to_owned();
            let config = self.home.config_file();
            let close = || files::close_to_others(&config).map(|()| "others cannot change it any more".to_owned());
            let own = || close().map_err(|error| error.to_string());
            // The home's own mode is mended below.
            let attempt: Option<&dyn Fn() -> Result<String, String>> =
                if files::is_open_to_writers(&config) { Some(&own) } else { None };
            if attempt.is_some() || !files::is_open_to_writers(self.home.root()) {
                self.problem("home", [error.to_string(), place, why, "run what it names".into()], attempt);
            }
        }
        for path in self.private_paths() {
            let Some((mode, wanted)) = files::wrong_mode(&path) else { continue };
            let what = format!("its mode is {mode:03o}, not {wanted:03o}");
            let why = "others may read prompts, output and the queue".to_owned();
            let mend = format!("chmod {wanted:03o} '{}'", path.display());
            let fix =
                || files::make_private(&path).map(|()| format!("now {wanted:03o}")).map_err(|error| error.to_string());
            self.problem("mode", [what, path.display().to_string(), why, mend], Some(&fix));
        }
        self.look_at_room();
        if !self.daemon {
            self.look_at_a_dead_daemon();
        }
    }

    /// Each file system once: the queue, the worktrees and what commands print may be on different ones.
    fn look_at_room(&mut self) {
        let db = self.home.db().parent().map(Path::to_owned);
        let folders = [Some(self.home.root().to_owned()), db, Some(self.home.worktrees().to_owned())];
        let mut seen = Vec::new();
        for folder in folders.into_iter().flatten() {
            let Ok(device) = std::fs::metadata(&folder).map(|data| data.dev()) else { continue };
            if seen.contains(&device) {
                continue;
            }
            seen.push(device);
            let Some(what) = limits::room(&folder).ok().and_then(|(bytes, files)| too_little(bytes, files)) else {
                continue;
            };
            let why = "on a full disk nothing new is started, and what a command did cannot be recorded".to_owned();
            let mend = "make room: `boi clean` removes worktrees that are not needed".to_owned();
            self.problem("disk", [what, folder.display().to_string(), why, mend], None);
        }
    }

    /// What is boi's own: all of it, but what is in worktrees and git's scratch files, and the user's configuration.
    fn private_paths(&self) -> Vec<PathBuf> {
        let home = &self.home;
        let mut paths =
            vec![home.root().to_owned(), home.socket(), home.worktrees().to_owned(), home.logs().to_owned()];
        for folder in [home.root().join("state"), home.root().join("pids"), home.logs().to_owned()] {
            paths.extend(files::listed(&folder).unwrap_or_default());
            paths.push(folder);
        }
        paths.push(home.db().to_owned());
        paths.push(home.attempts());
        for spec in files::listed(&home.attempts()).unwrap_or_default() {
            for attempt in files::listed(&spec).unwrap_or_default() {
                if attempt.file_name().is_some_and(|name| name != "git") {
                    for command in files::listed(&attempt).unwrap_or_default() {
                        paths.extend(files::listed(&command).unwrap_or_default());
                        paths.push(command);
                    }
                }
                paths.push(attempt);
            }
            paths.push(spec);
        }
        paths.sort();
        paths.dedup();
        paths
    }

    fn look_at_a_dead_daemon(&mut self) {
        let path = self.home.pid_file();
        if let Some(pid) = boot::pid_in(&path) {
            let lives = Path::new(&format!("/proc/{pid}")).exists();
            let who = if lives { "a process that is no daemon of this home" } else { "a process that is gone" };
            let why = "a daemon did not end in order; boi goes by the file's lock, but other tools may believe it";
            let mend = "the next daemon writes its own pid there";
            let socket = self.home.socket();
            let fix =
                || boot::tidy_seat(&path, &socket).map(|()| "emptied".to_owned()).map_err(|error| error.to_string());
            let what = format!("the pid file names {who} (pid {pid})");
            self.problem("pid-file", [what, path.display().to_string(), why.into(), mend.into()], Some(&fix));
        }
    }
}

/// What there is too little of.
fn too_little(bytes: u64, files: Option<u64>) -> Option<String> {
    if bytes < ROOM.0 {
        return Some(format!("the disk is full but for {} MiB", bytes >> 20));
    }
    files.filter(|files| *files < ROOM.1).map(|files| format!("the disk takes {files} more files only"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_of_bytes_or_of_files() {
        let told = |bytes, files| too_little(bytes, files).unwrap_or_default();
        assert_eq!(told(ROOM.0, None), "");
        assert_eq!(told(ROOM.0, Some(ROOM.1)), "");
        assert_eq!(told((3 << 20) + 5, Some(0)), "the disk is full but for 3 MiB");
        assert_eq!(told(u64::MAX, Some(2)), "the disk takes 2 more files only");
    }
}
