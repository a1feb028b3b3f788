//! Checks the configuration, the programs that specs need, and the limits of the system.

use std::path::Path;

use super::{Finding, Subject, Text};
use crate::config::{Config, Loaded};
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::ConfigView;
use crate::git;
use crate::process::limits;
use crate::reload::ConfigError;
use crate::service::manager;

/// The result of reading the configuration file.
type LoadedFile = Result<(Loaded, Vec<String>), ConfigError>;

/// The oldest supported version of git, as (major, minor): its `git worktree` does what boi needs.
const OLDEST_GIT: (u32, u32) = (2, 31);
/// The numbers of files that a daemon has open: for itself, and for each worker.
const OPEN_FILES: (u64, u64) = (64, 8);

/// `loaded` is the configuration file as this process has read it.
pub(super) fn check(subject: &Subject, loaded: &LoadedFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let file = subject.home.config_file();
    match (&subject.config, loaded) {
        // The daemon's verdict counts, because its environment and PATH may differ from those of this
        // process.
        (Some(view), _) => findings.extend(check_verdict(&file, view)),
        (None, Err(error)) => findings.push(invalid_config(&file, &error.lines())),
        (None, Ok(_)) => {}
    }
    let default = Config::default();
    let (config, warnings) =
        loaded.as_ref().map_or((&default, &[][..]), |(loaded, warnings)| (&loaded.config, warnings.as_slice()));
    if subject.config.is_none() {
        findings.extend(warnings.iter().map(|warning| check_agent(&file, warning)));
    }
    findings.extend(check_git());
    findings.extend(check_open_files(config));
    if !subject.daemon.runs() {
        findings.extend(check_inotify());
    }
    findings.extend(subject.service.and_then(check_lingering));
    findings
}

/// Checks the running daemon's verdict on the file.
fn check_verdict(file: &Path, view: &ConfigView) -> Vec<Finding> {
    let mut findings = Vec::new();
    match view.outcome {
        ReloadOutcome::Applied | ReloadOutcome::Unchanged => {}
        ReloadOutcome::Rejected => findings.push(invalid_config(file, &view.errors)),
        ReloadOutcome::Missing | ReloadOutcome::Waiting => findings.push(Finding::problem(
            "config",
            Text {
                what: view.errors.join("; "),
                place: file.display().to_string(),
                why: format!("the daemon keeps generation {} of the configuration in force", view.generation),
                advice: "save the file; `boi status` shows what the daemon waits for".into(),
            },
        )),
    }
    findings.extend(view.warnings.iter().map(|warning| check_agent(file, warning)));
    findings
}

fn invalid_config(file: &Path, errors: &[String]) -> Finding {
    Finding::problem(
        "config",
        Text {
            what: format!("the configuration is invalid: {}", errors.join("; ")),
            place: file.display().to_string(),
            why: "a running daemon keeps the configuration in force; a new one starts with the last good one".into(),
            advice: "correct the file: `boi config check` shows each error in its place".into(),
        },
    )
}

/// Makes a finding of `warning`, which is about the settings of an agent and begins with the name of a key.
fn check_agent(file: &Path, warning: &str) -> Finding {
    let of_claude = warning.starts_with("claude_bin:") || warning.starts_with("agents.claude.");
    let (kind, advice) = match of_claude {
        true => (
            "claude-missing",
            "install Claude Code where the daemon finds it, or set `claude_bin` (or CLAUDE_BIN) to its full path",
        ),
        false => ("agent", "install the program where the daemon finds it, or correct the value"),
    };
    let why = "tasks of the agent cannot run as the configuration says".into();
    let place = file.display().to_string();
    Finding::problem(kind, Text { what: warning.to_owned(), place, why, advice: advice.into() })
}

fn check_git() -> Option<Finding> {
    let (kind, what, advice) = match git::git_version() {
        Err(error) => ("git-missing", error.to_string(), "install git, and make sure that it is on the PATH"),
        Ok(Some(version)) if version < OLDEST_GIT => {
            let what = format!(
                "git {}.{} is too old: boi needs {}.{} or newer",
                version.0, version.1, OLDEST_GIT.0, OLDEST_GIT.1
            );
            ("git-old", what, "install a newer git")
        }
        Ok(_) => return None,
    };
    let why = "every spec with a `repo` needs git".into();
    Some(Finding::problem(kind, Text { what, place: "PATH".into(), why, advice: advice.into() }))
}

fn check_open_files(config: &Config) -> Option<Finding> {
    let needed = OPEN_FILES.0 + OPEN_FILES.1 * u64::from(config.max_workers);
    let limit = limits::max_open_files().filter(|limit| *limit < needed)?;
    Some(Finding::problem(
        "nofile",
        Text {
            what: format!("a process may open {limit} files, but the daemon needs {needed}"),
            place: "RLIMIT_NOFILE".into(),
            why: format!("`max_workers` is {}: workers fail to start when files run out", config.max_workers),
            advice: "raise the hard limit (`ulimit -Hn`), or lower `max_workers`".into(),
        },
    ))
}

/// Checks that another inotify instance can be created. Call this only while no daemon runs, because a daemon
/// uses one of the instances.
fn check_inotify() -> Option<Finding> {
    limits::inotify_is_exhausted().then(|| {
        Finding::problem(
            "inotify",
            Text {
                what: "no more inotify instances can be created".into(),
                place: "/proc/sys/fs/inotify/max_user_instances".into(),
                why: "the daemon will poll config.toml every 2 s instead of noticing a change at once".into(),
                advice: "raise the limit: `sudo sysctl fs.inotify.max_user_instances=512`".into(),
            },
        )
    })
}

fn check_lingering(service: &'static str) -> Option<Finding> {
    (!manager::lingers()).then(|| {
        Finding::note(
            "linger",
            Text {
                what: "the service, and everything that it runs, stops when your last login session ends".into(),
                place: service.into(),
                why: "running specs are then queued again, and continue at your next login".into(),
                advice: "to keep the service running after logout: `loginctl enable-linger`".into(),
            },
        )
    })
}
