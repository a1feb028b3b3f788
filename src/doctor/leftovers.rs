//! Finds specs without a daemon or with unreadable records, and processes and folders that no spec needs any
//! more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::recorded_specs::RecordedSpecs;
use super::{Finding, Subject, Text};
use crate::daemon::warm_trees::POOL;
use crate::domain::cause::Cause;
use crate::domain::command::Identity;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::position::Step;
use crate::git;
use crate::process::command_dir::CommandDir;
use crate::process::record::RecordError;
use crate::process::{identity, marker, signal_tree, supervisor_process};
use crate::system::paths::Home;
use crate::system::{attempt_folder, files};

/// How long a process may take to end after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
/// The interval at which [`end_processes`] checks whether the processes have ended.
const POLL: Duration = Duration::from_millis(50);

/// Finds specs that are running while no daemon runs.
pub(super) fn check_running(subject: &Subject, specs: &RecordedSpecs) -> Vec<Finding> {
    if subject.daemon.runs() {
        return Vec::new();
    }
    let running = specs.queue.running().unwrap_or_default().claimed.into_iter();
    let findings = running.map(|claimed| {
        let spec = claimed.fence.spec;
        let supervisor = match &claimed.position.step {
            Step::Command { command, .. } => supervisor_process::find_supervisor(&command.marker),
            _ => None,
        };
        let (what, why) = match supervisor {
            Some(who) => (
                format!("{spec} runs without a daemon (supervisor pid {})", who.pid),
                "the next daemon takes the running command over without restarting it",
            ),
            None => (
                format!("{spec} is recorded as running, but none of its processes exists"),
                "the next daemon records how the spec's command ended, or runs that step again, in the same attempt",
            ),
        };
        Finding::note(
            "running-without-daemon",
            Text {
                what,
                place: subject.home.spec_attempts(&spec).display().to_string(),
                why: why.into(),
                advice: format!("`boi daemon start` continues the spec, `boi cancel {spec}` ends it"),
            },
        )
    });
    findings.collect()
}

/// Finds specs with a record that this version cannot read.
pub(super) fn check_quarantined(subject: &Subject, specs: &RecordedSpecs) -> Vec<Finding> {
    let mut quarantined: BTreeMap<String, (String, String)> = BTreeMap::new();
    let db = subject.home.db().display().to_string();
    for spec in &specs.survey.doubtful {
        if let Some(Cause::Quarantined { detail }) = specs.view(spec).and_then(|view| view.cause) {
            quarantined.insert(spec.to_string(), (detail, db.clone()));
        }
    }
    for found in specs.queue.quarantined().unwrap_or_default() {
        quarantined.insert(found.fence.spec.to_string(), (found.detail, db.clone()));
    }
    for claimed in specs.queue.running().unwrap_or_default().claimed {
        let (fence, number) = (&claimed.fence, claimed.position.progress.commands);
        let dir = CommandDir::at(subject.home.command(&fence.spec, fence.attempt, number));
        if let Err(error @ RecordError::Newer { .. }) = dir.read_evidence(false) {
            let place = dir.path().display().to_string();
            quarantined.insert(fence.spec.to_string(), (error.to_string(), place));
        }
    }
    let findings = quarantined.into_iter().map(|(spec, (detail, place))| {
        Finding::problem(
            "quarantined",
            Text {
                what: format!("a record of {spec} cannot be read: {detail}"),
                place,
                why: "this version of boi neither starts nor continues the spec; other specs are not affected".into(),
                advice: format!("use the version of boi that wrote the record; or end the spec: `boi cancel {spec}`"),
            },
        )
    });
    let malformed = specs.malformed_ids.iter().map(|id| {
        Finding::problem(
            "quarantined",
            Text {
                what: format!("a row of the queue has the id `{id}`, which is not the id of a spec"),
                place: db.clone(),
                why: "boi did not write this row, and ignores it; specs are not affected".into(),
                advice: format!("look at the row in the table `specs`: `sqlite3 '{db}'`"),
            },
        )
    });
    findings.chain(malformed).collect()
}

/// Finds processes that carry the marker of a command of this home whose spec has ended or is unknown.
pub(super) fn check_processes(subject: &Subject, specs: &RecordedSpecs) -> Vec<Finding> {
    let mut marked = marker::all_marked();
    // The queue knows the markers of the current commands. To find the command of any other marker, the files
    // of every command have to be read.
    let current = specs.queue.running().unwrap_or_default().claimed.into_iter();
    let current: HashSet<String> = current
        .filter_map(|claimed| match claimed.position.step {
            Step::Command { command, .. } => Some(command.marker),
            _ => None,
        })
        .collect();
    marked.retain(|(_, marker)| !current.contains(marker.as_str()));
    if marked.is_empty() {
        return Vec::new();
    }
    let specs_by_marker = specs_by_marker(&subject.home);
    let mut orphans: BTreeMap<&str, Vec<Identity>> = BTreeMap::new();
    for (process, marker) in &marked {
        let Some(spec) = specs_by_marker.get(marker.as_str()) else { continue };
        if specs.status(spec).is_none_or(SpecStatus::is_ended) {
            orphans.entry(spec).or_default().push(process.clone());
        }
    }
    let findings = orphans.into_iter().map(|(spec, processes)| {
        let pids: Vec<String> = processes.iter().map(|process| process.pid.to_string()).collect();
        let text = Text {
            what: format!("{spec} has ended, but processes of its commands still run"),
            place: format!("pid {}", pids.join(", ")),
            why: "they use CPU time and memory, and may still change files".into(),
            advice: format!("kill {}", pids.join(" ")),
        };
        Finding::problem("orphans", text)
            .with_remedy(move || end_processes(&processes).map(|()| "ended the processes".to_owned()))
    });
    findings.collect()
}

/// Maps the marker of each command of this home to the command's spec.
fn specs_by_marker(home: &Home) -> HashMap<String, String> {
    let mut specs = HashMap::new();
    for spec in attempt_folder::subfolders(&home.attempts()).unwrap_or_default() {
        for command in attempt_folder::commands(&spec).unwrap_or_default() {
            if let Ok(Some(marker)) = CommandDir::at(command).read_marker() {
                specs.insert(marker, super::folder_name(&spec));
            }
        }
    }
    specs
}

/// Finds worktrees and attempt folders that no spec needs.
pub(super) fn check_folders(subject: &Subject, specs: &RecordedSpecs) -> Vec<Finding> {
    let home = &subject.home;
    let mut findings = Vec::new();
    let worktrees: HashMap<&str, &str> =
        specs.survey.worktrees.iter().map(|(id, path)| (id.as_str(), path.as_str())).collect();
    for parent in specs.worktree_folders(home) {
        for (path, id) in folders(specs, &parent) {
            if let Some((of, _)) = id.split_once(git::SET_ASIDE).filter(|(of, _)| of.parse::<SpecId>().is_ok()) {
                findings.push(folder_set_aside(of, &path));
                continue;
            }
            let recorded = worktrees.get(id.as_str());
            if parent != home.worktrees() && recorded.is_none_or(|recorded| Path::new(recorded) != path) {
                // A parent folder that is no longer configured may also contain folders that boi did not
                // create.
                continue;
            }
            match specs.status(&id) {
                None => findings.push(unknown_folder("stale-worktree", &path)),
                Some(SpecStatus::Completed) => findings.push(with_removal_if_empty(
                    Finding::problem(
                        "stale-worktree",
                        Text {
                            what: format!("{id} is completed, but its worktree still exists"),
                            place: path.display().to_string(),
                            why: "it uses disk space".into(),
                            advice: format!("`boi clean {id}` removes it and keeps unique work under a ref"),
                        },
                    ),
                    &path,
                )),
                Some(_) => {}
            }
        }
    }
    for (path, id) in folders(specs, &home.attempts()) {
        if specs.status(&id).is_none() {
            findings.push(unknown_folder("stale-attempts", &path));
        }
    }
    findings
}

fn folder_set_aside(spec: &str, path: &Path) -> Finding {
    let text = Text {
        what: format!("files of {spec} that git cannot store are kept in a folder"),
        place: path.display().to_string(),
        why: "boi never deletes work; whether you need it is for you to decide".into(),
        advice: format!("inspect it, and if you do not need it, remove it: rm -r {}", super::quote(path)),
    };
    Finding::note("kept-folder", text)
}

/// Returns the paths in a folder, each with its name. The specs with these names are looked up.
fn folders(specs: &RecordedSpecs, parent: &Path) -> Vec<(PathBuf, String)> {
    let mut paths = files::list_folder(parent).unwrap_or_default();
    // The worktrees of repositories that keep folders have their place there, and the kept folders are bounded.
    paths.retain(|path| path.file_name().is_none_or(|name| name != POOL));
    let named: Vec<_> = paths.into_iter().map(|path| (path.clone(), super::folder_name(&path))).collect();
    specs.look_up(named.iter().map(|(_, name)| name.as_str()));
    named
}

fn unknown_folder(kind: &'static str, path: &Path) -> Finding {
    let text = Text {
        what: format!("`{}` belongs to no spec in the queue", super::folder_name(path)),
        place: path.display().to_string(),
        why: "it uses disk space, and boi never removes it by itself".into(),
        advice: format!("inspect it, and if you do not need it, remove it: rm -r {}", super::quote(path)),
    };
    with_removal_if_empty(Finding::problem(kind, text), path)
}

fn with_removal_if_empty(finding: Finding, path: &Path) -> Finding {
    if !path.is_dir() || !files::list_folder(path).is_ok_and(|entries| entries.is_empty()) {
        return finding;
    }
    let path = path.to_owned();
    finding.with_remedy(move || {
        let removed = std::fs::remove_dir(&path).map_err(|error| error.to_string());
        removed.map(|()| "removed the empty folder".to_owned())
    })
}

/// Ends exactly these processes: sends SIGTERM, waits up to [`GRACE`], then sends SIGKILL to the processes
/// that still live.
fn end_processes(processes: &[Identity]) -> Result<(), String> {
    let in_words = |error: std::io::Error| error.to_string();
    let kill_at = Instant::now() + GRACE;
    let living = || processes.iter().filter(|process| identity::lives(process)).cloned().collect::<Vec<Identity>>();
    let signal_all = |signal| {
        let refused = signal_tree::signal_all(signal, || Ok(living())).map_err(in_words)?.refused;
        refused.into_iter().next().map_or(Ok(()), |(_, error)| Err(in_words(error)))
    };
    signal_all(Signal::TERM)?;
    let mut killed = false;
    loop {
        let left = living();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= kill_at {
            if killed {
                let pids: Vec<String> = left.iter().map(|process| process.pid.to_string()).collect();
                return Err(format!("pid {} did not end after SIGKILL", pids.join(", ")));
            }
            signal_all(Signal::KILL)?;
            killed = true;
            std::thread::sleep(POLL * 4);
        }
        std::thread::sleep(POLL);
    }
}
