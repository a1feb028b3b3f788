//! The home itself: whose it is, who can read it, and what a daemon that died left in it.

use std::path::{Path, PathBuf};

use super::Doctor;
use crate::daemon::boot;
use crate::host::files;

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
        if !self.daemon {
            self.look_at_a_dead_daemon();
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
