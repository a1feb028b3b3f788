//! The machine: the configuration it is to run with, the programs and the limits.

use super::Doctor;
use crate::cli::install;
use crate::config::Config;
use crate::git;
use crate::process::{limits, tool};
use crate::reload;
use crate::system::paths;

/// What boi's use of `git worktree` needs.
const OLDEST_GIT: (u32, u32) = (2, 31);
/// So many files a daemon has open besides its workers', and so many for each of those.
const FILES: (u64, u64) = (64, 8);

impl Doctor {
    pub(super) fn look_at_machine(&mut self) {
        let file = self.home.config_file();
        let config = match reload::load_file(&file, &crate::config::flags::Flags::default()) {
            Ok((loaded, _)) => loaded.config,
            Err(error) => {
                let why = "a daemon that runs goes on with what is in force; one that starts, with the last good one";
                let what = format!("the configuration is rejected: {}", error.each().join("; "));
                let mend = "correct it: `boi config check` shows each place";
                self.problem("config", [what, file.display().to_string(), why.into(), mend.into()], None);
                Config::default()
            }
        };
        if let Err(why) = paths::find_program(&config.claude_bin) {
            let what = format!("the agent's program `{}` {why}", config.claude_bin);
            let why = "no task with a prompt can be carried out";
            let mend = "install Claude Code, or set `claude_bin` (or CLAUDE_BIN) to its whole path";
            self.problem("claude-missing", [what, "claude_bin".into(), why.into(), mend.into()], None);
        }
        let why = "every spec with a `repo` needs it".to_owned();
        match git::git_version() {
            Err(error) => {
                let mend = "install git, and have it on the PATH".to_owned();
                self.problem("git-missing", [error.to_string(), "PATH".into(), why, mend], None);
            }
            Ok(Some(version)) if version < OLDEST_GIT => {
                let what = format!("git {}.{} is older than {}.{}", version.0, version.1, OLDEST_GIT.0, OLDEST_GIT.1);
                self.problem("git-old", [what, "PATH".into(), why, "install a newer git".into()], None);
            }
            Ok(_) => {}
        }
        let wanted = FILES.0 + FILES.1 * u64::from(config.max_workers);
        if let Some(most) = limits::most_open_files().filter(|most| *most < wanted) {
            let what = format!("a process may have {most} files open, and {wanted} are needed");
            let why = format!("`max_workers` is {}: starts fail when files run out", config.max_workers);
            let mend = "raise the hard limit (`ulimit -Hn`), or lower `max_workers`".to_owned();
            self.problem("nofile", [what, "RLIMIT_NOFILE".into(), why, mend], None);
        }
        if !self.daemon && limits::inotify_is_used_up() {
            let what = "no further inotify instance can be had".to_owned();
            let why = "changes of config.toml are noticed by a look every 2 s instead of at once".to_owned();
            let mend = "raise it: `sudo sysctl fs.inotify.max_user_instances=512`".to_owned();
            self.problem("inotify", [what, "/proc/sys/fs/inotify/max_user_instances".into(), why, mend], None);
        }
        if install::service(self.home.root()).is_some() && !tool::lingers() {
            let what = "the service ends with your last login session, and so does what it runs".to_owned();
            let why = "workers are stopped then, and go on when you log in again".to_owned();
            let mend = "to have it go on: `loginctl enable-linger`".to_owned();
            self.note("linger", [what, install::SERVICE.to_owned(), why, mend]);
        }
    }
}
