//! Checks the home: its owner, the modes of its files, its free disk space, and whether a crashed daemon left
//! a pid file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Finding, Subject, Text};
use crate::daemon::lifecycle::seat;
use crate::reload;
use crate::system::paths::{Home, HomeError};
use crate::system::{attempt_folder, files, home_record};

/// The least free disk space, as (bytes, files). With less, the result of a command may not get recorded.
const MIN_FREE: (u64, u64) = (64 << 20, 1000);

pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    let home = &subject.home;
    let mut findings: Vec<Finding> = check_owner(home).into_iter().chain(check_config(home)).collect();
    findings.extend(private_paths(home).iter().filter_map(|path| check_mode(path)));
    findings.extend(check_free_space(home));
    findings.extend(subject.log.as_ref().filter(|log| !log.exists()).map(|log| missing_log(log)));
    if !subject.daemon.runs() {
        findings.extend(check_pid_file(home));
    }
    findings
}

/// Checks that this home is the original that its records describe, and not a copy.
pub(super) fn check_identity(home: &Home) -> Option<Finding> {
    let error = home_record::check(home).err()?;
    let text = Text {
        what: error.to_string(),
        place: home.root().display().to_string(),
        why: "a daemon of a copy would end the processes and remove the worktrees of the original".into(),
        advice: match &error {
            HomeError::Copy { original, .. } => {
                format!("use the original: BOI_HOME={}", super::quote(original))
            }
            _ => "`boi doctor --fix` adopts the home, if no other copy of it is in use".into(),
        },
    };
    let home = home.clone();
    Some(Finding::problem("home-identity", text).with_remedy(move || {
        let adopted = home_record::adopt(&home).map_err(|error| error.to_string());
        adopted.map(|()| "adopted the home at its present path".to_owned())
    }))
}

/// Checks that no other user can change or replace the home, its configuration, or what boi uses elsewhere.
fn check_owner(home: &Home) -> Option<Finding> {
    let error = home.check_places().err()?;
    if let HomeError::Open { path, .. } = &error
        && files::wrong_mode(path).is_some()
        && (path.starts_with(home.root()) || [home.worktrees(), home.logs(), home.db()].contains(&path.as_path()))
    {
        // `check_mode` reports and fixes the mode.
        return None;
    }
    Some(Finding::problem(
        "home",
        Text {
            what: error.to_string(),
            place: home.root().display().to_string(),
            why:
                "boi refuses folders and files that other users can change, because they could make boi run any program"
                    .into(),
            advice: "follow the message above".into(),
        },
    ))
}

/// Checks that no other user can change the configuration.
fn check_config(home: &Home) -> Option<Finding> {
    let config = home.config_file();
    // A file on a foreign mount is not touched: its file system may not answer.
    if reload::foreign_mount_of(&config).is_some() || !files::is_writable_by_others(&config) {
        return None;
    }
    let text = Text {
        what: "other users can change the configuration".into(),
        place: config.display().to_string(),
        why: "they could make boi run any program".into(),
        advice: format!("chmod go-w {}", super::quote(&config)),
    };
    Some(Finding::problem("home", text).with_remedy(move || {
        let closed = files::revoke_write_by_others(&config).map_err(|error| error.to_string());
        closed.map(|()| "removed write access for other users".to_owned())
    }))
}

/// Returns the finding for a missing log. A running daemon creates its log again when it logs the next event.
fn missing_log(log: &Path) -> Finding {
    Finding::note(
        "log",
        Text {
            what: "the daemon's log was removed".into(),
            place: log.display().to_string(),
            why: "the earlier log lines are lost".into(),
            advice: "none needed: the daemon creates it again with its next event".into(),
        },
    )
}

fn check_mode(path: &Path) -> Option<Finding> {
    let (mode, wanted) = files::wrong_mode(path)?;
    let text = Text {
        what: format!("the mode of this path is {mode:03o}, but should be {wanted:03o}"),
        place: path.display().to_string(),
        why: "other users may be able to read prompts, output and the queue".into(),
        advice: format!("chmod {wanted:03o} {}", super::quote(path)),
    };
    let path = path.to_owned();
    Some(Finding::problem("mode", text).with_remedy(move || {
        files::make_private(&path).map(|()| format!("set the mode to {wanted:03o}")).map_err(|error| error.to_string())
    }))
}

/// Checks the free space of each file system once: the queue, the worktrees and the output of commands may be
/// on different file systems.
fn check_free_space(home: &Home) -> Vec<Finding> {
    let queue = home.db().parent().map(Path::to_owned);
    let folders = [Some(home.root().to_owned()), queue, Some(home.worktrees().to_owned())];
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for folder in folders.into_iter().flatten() {
        let Ok(device) = std::fs::metadata(&folder).map(|data| data.dev()) else { continue };
        if seen.contains(&device) {
            continue;
        }
        seen.push(device);
        let shortage = files::free_space(&folder).ok().and_then(|(bytes, files)| shortage(bytes, files));
        findings.extend(shortage.map(|what| {
            Finding::problem(
                "disk",
                Text {
                    what,
                    place: folder.display().to_string(),
                    why: "on a full disk no spec is started, and the results of commands cannot be recorded".into(),
                    advice: "free disk space: `boi clean` removes worktrees that are no longer needed".into(),
                },
            )
        }));
    }
    findings
}

/// Returns a message about too few free bytes or files on a disk; `None`: there are enough of both.
fn shortage(bytes: u64, files: Option<u64>) -> Option<String> {
    if bytes < MIN_FREE.0 {
        return Some(format!("only {} MiB are free on this disk", bytes >> 20));
    }
    files
        .filter(|files| *files < MIN_FREE.1)
        .map(|files| format!("only {files} more files can be created on this disk"))
}

/// Returns the paths that must be private to the user: all of boi's files, but not the contents of worktrees,
/// git's scratch files or the user's configuration.
fn private_paths(home: &Home) -> Vec<PathBuf> {
    let mut paths = vec![home.root().to_owned(), home.socket(), home.worktrees().to_owned(), home.logs().to_owned()];
    for folder in [home.root().join("state"), home.root().join("pids"), home.logs().to_owned()] {
        paths.extend(files::list_folder(&folder).unwrap_or_default());
        paths.push(folder);
    }
    paths.push(home.db().to_owned());
    paths.push(home.attempts());
    // A command may have put links there: a mode behind one is not boi's to change.
    for spec in attempt_folder::subfolders(&home.attempts()).unwrap_or_default() {
        for attempt in attempt_folder::subfolders(&spec).unwrap_or_default() {
            if attempt.file_name().is_some_and(|name| name != "git") {
                for command in attempt_folder::subfolders(&attempt).unwrap_or_default() {
                    paths.extend(files::list_folder(&command).unwrap_or_default());
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

/// Checks for a pid file that a crashed daemon left. Call it only while no daemon runs.
fn check_pid_file(home: &Home) -> Option<Finding> {
    let (path, socket) = (home.pid_file(), home.socket());
    let pid = seat::pid_in(&path)?;
    let exists = Path::new(&format!("/proc/{pid}")).exists();
    let who = if exists { "a process that is not this home's daemon" } else { "a process that no longer exists" };
    let text = Text {
        what: format!("the pid file names {who} (pid {pid})"),
        place: path.display().to_string(),
        why: "a daemon crashed; boi checks only the lock of the file, but other tools may trust the pid".into(),
        advice: "none needed: the next daemon overwrites the file".into(),
    };
    Some(Finding::problem("pid-file", text).with_remedy(move || {
        seat::tidy_seat(&path, &socket).map(|()| "emptied the file".to_owned()).map_err(|error| error.to_string())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_runs_out_of_bytes_or_of_files() {
        let shortage = |bytes, files| shortage(bytes, files).unwrap_or_default();
        assert_eq!(shortage(MIN_FREE.0, None), "");
        assert_eq!(shortage(MIN_FREE.0, Some(MIN_FREE.1)), "");
        assert_eq!(shortage((3 << 20) + 5, Some(0)), "only 3 MiB are free on this disk");
        assert_eq!(shortage(u64::MAX, Some(2)), "only 2 more files can be created on this disk");
    }
}
