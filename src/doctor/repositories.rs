//! Checks what boi left in the user's repositories: worktree entries, branches, kept refs, and lock files of
//! git.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::recorded_specs::RecordedSpecs;
use super::{Finding, Subject, Text};
use crate::delivery::{self, Recovered, Unfinished};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::git::{self, MergeState, Worktree};
use crate::queue::sqlite::Access;
use crate::queue::{Cleaned, open, unlanded};
use crate::system::paths::Home;
use crate::system::{attempt_folder, clock};

pub(super) fn check(subject: &Subject, specs: &RecordedSpecs) -> Vec<Finding> {
    let mut findings = Vec::new();
    for repo in &specs.survey.repositories {
        let path = Path::new(repo);
        match git::own_refs(path) {
            Ok(refs) => {
                findings.extend(check_branches(specs, path, &refs));
                findings.extend(check_kept_refs(path, &refs));
                findings.extend(check_entries(subject, specs, path));
                findings.extend(check_lock_files(subject, specs, path));
                findings.extend(check_deliveries(subject, specs, path));
            }
            Err(error) => findings.push(Finding::note(
                "repository",
                Text {
                    what: format!("the repository cannot be used: {error}"),
                    place: repo.clone(),
                    why: "the specs of this repository cannot be delivered, retried or cleaned".into(),
                    advice: "move the repository back to this path; or delete the worktrees of its specs: \
                             `boi clean --unreachable ID`"
                        .into(),
                },
            )),
        }
    }
    findings
}

fn check_branches(specs: &RecordedSpecs, repo: &Path, refs: &[String]) -> Vec<Finding> {
    let ids = || refs.iter().filter_map(|name| name.strip_prefix("refs/heads/boi/"));
    specs.look_up(ids());
    let merged = ids().filter(|id| specs.status(id) == Some(SpecStatus::Completed)).filter_map(|id| {
        let id = id.parse::<SpecId>().ok()?;
        is_merged(specs, repo, &id).then_some(id)
    });
    let finding = |id: SpecId| {
        Finding::note(
            "merged-branch",
            Text {
                what: format!("branch boi/{id} is merged, but still exists"),
                place: repo.display().to_string(),
                why: "the base of the spec has all changes of the branch".into(),
                advice: format!("`boi clean {id}` deletes it"),
            },
        )
    };
    merged.map(finding).collect()
}

fn is_merged(specs: &RecordedSpecs, repo: &Path, id: &SpecId) -> bool {
    let Ok(spec) = specs.queue.spec(id) else { return false };
    let bases = unlanded::bases(specs.queue.as_ref(), &spec).unwrap_or_default();
    let origin = specs.view(id).and_then(|view| view.base_commit);
    git::merge_state(repo, id, &bases, origin.as_deref()) != MergeState::NotMerged
}

fn check_kept_refs(repo: &Path, refs: &[String]) -> Vec<Finding> {
    let mut kept: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in refs {
        if let Some(rest) = name.strip_prefix("refs/boi/kept/") {
            kept.entry(rest.split('/').next().unwrap_or_default()).or_default().push(name);
        }
    }
    let finding = |(spec, names): (&str, Vec<&str>)| {
        Finding::note(
            "kept-refs",
            Text {
                what: format!("work of {spec} that is on no branch is kept under refs: {}", names.join(", ")),
                place: repo.display().to_string(),
                why: "boi never deletes work: only you can decide whether you still need it".into(),
                advice: format!("inspect it: `git show {0}`; delete it: `git update-ref -d {0}`", names[0]),
            },
        )
    };
    kept.into_iter().map(finding).collect()
}

/// Finds git's entries for worktrees of this home whose folder does not exist.
fn check_entries(subject: &Subject, specs: &RecordedSpecs, repo: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in specs.worktree_folders(&subject.home) {
        for path in git::entries_without_folder(repo, &folder).unwrap_or_default() {
            let Ok(id) = super::folder_name(&path).parse::<SpecId>() else { continue };
            let status = specs.status(id.as_str());
            if status.is_some_and(|status| !status.is_ended()) {
                // The spec's worker creates the worktree again.
                continue;
            }
            let text = Text {
                what: format!("git lists a worktree of {id} whose folder does not exist"),
                place: repo.display().to_string(),
                why: "git refuses to check out or delete the branch of the spec, and worktree commands get slower"
                    .into(),
                advice: "run `git worktree prune` in this repository".into(),
            };
            let stale = StaleEntry {
                home: subject.home.clone(),
                worktree: Worktree::of_user(
                    repo.to_owned(),
                    path,
                    id.clone(),
                    subject.home.spec_attempts(&id).join("git"),
                ),
                // While a daemon runs, only the daemon may write to the queue.
                record: status.is_some() && !subject.daemon.runs(),
            };
            findings.push(Finding::problem("worktree-entry", text).with_remedy(move || stale.remove()));
        }
    }
    findings
}

/// An entry of git for a worktree whose folder does not exist.
struct StaleEntry {
    home: Home,
    worktree: Worktree,
    /// Whether to record in the queue the refs under which commits are kept.
    record: bool,
}

impl StaleEntry {
    /// Removes the entry. Commits that only the entry refers to are kept under refs.
    fn remove(self) -> Result<String, String> {
        let spec = &self.worktree.spec;
        let attempts = self.home.spec_attempts(spec);
        let had_attempts = attempts.symlink_metadata().is_ok();
        let lock = self.worktree.lock().map_err(|error| error.to_string())?;
        let removed = git::remove_worktree(&lock, "leftover").map_err(|error| error.to_string());
        drop(lock);
        if !had_attempts {
            // `Worktree::lock` created these folders.
            drop(attempt_folder::remove(&attempts));
        }
        let kept = removed?;
        if kept.is_empty() {
            return Ok("removed the entry".to_owned());
        }
        if self.record {
            // A failure is ignored: the refs exist even if the queue cannot record them.
            let cleaned =
                Cleaned { id: spec.clone(), kept: kept.clone(), worktree: false, branch: false, merged: false };
            let queue = open::open(&self.home, Access::Write(Duration::ZERO));
            drop(queue.and_then(|queue| Ok(queue.record_cleaned(&cleaned, clock::now())?)));
        }
        Ok(format!("removed the entry; kept its commits under {}", kept.join(", ")))
    }
}

/// Finds interrupted deliveries, which may have left files of another commit in a user's checkout.
fn check_deliveries(subject: &Subject, specs: &RecordedSpecs, repo: &Path) -> Vec<Finding> {
    let interrupted = delivery::interrupted_deliveries(repo).unwrap_or_default().into_iter();
    // The worker of a running spec completes or undoes its delivery.
    let has_worker = |spec: &SpecId| subject.daemon.runs() && specs.status(spec.as_str()) == Some(SpecStatus::Running);
    let interrupted = interrupted.filter(|delivery| !has_worker(&delivery.spec));
    let finding = |delivery: Unfinished| {
        let files: Vec<String> = delivery.files.iter().map(|path| path.display().to_string()).collect();
        let repo = repo.to_owned();
        Finding::problem(
            "interrupted-delivery",
            Text {
                what: format!("the merge of {} was interrupted and may have changed: {}", delivery.delivered, files.join(", ")),
                place: delivery.checkout.display().to_string(),
                why: format!(
                    "these files may be of another commit than the branch; nothing is merged there until they are put back \
                     ({}; journal: {})",
                    delivery.reason,
                    delivery.folder.display()
                ),
                advice: "`boi doctor --fix` completes or undoes the merge; files that you have changed since stay as they are".into(),
            },
        )
        .with_remedy(move || recover_deliveries(&repo))
    };
    interrupted.map(finding).collect()
}

/// Completes or undoes the interrupted deliveries of a repository, and says which.
fn recover_deliveries(repo: &Path) -> Result<String, String> {
    let (recovered, unfinished) = delivery::recover_deliveries(repo).map_err(|error| error.to_string())?;
    if let Some(delivery) = unfinished.first() {
        let files: Vec<String> = delivery.files.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("{}; files: {}", delivery.reason, files.join(", ")));
    }
    let said = recovered.into_iter().map(|delivery| match delivery {
        Recovered::Completed(spec) => format!("completed the merge of {spec}"),
        Recovered::Undone(spec, left) if left.is_empty() => format!("undid the merge of {spec}"),
        Recovered::Undone(spec, left) => {
            let left: Vec<String> = left.iter().map(|path| path.display().to_string()).collect();
            format!("undid the merge of {spec}, except for files that you changed: {}", left.join(", "))
        }
        Recovered::Settled(spec) => format!("nothing was left to undo of the merge of {spec}"),
    });
    let said: Vec<String> = said.collect();
    Ok(if said.is_empty() { "it was undone already".to_owned() } else { said.join("; ") })
}

fn check_lock_files(subject: &Subject, specs: &RecordedSpecs, repo: &Path) -> Vec<Finding> {
    let folders = specs.worktree_folders(&subject.home);
    let locks = folders.iter().flat_map(|folder| git::lock_files(repo, folder).unwrap_or_default());
    let finding = |lock: PathBuf| {
        Finding::note(
            "git-lock",
            Text {
                what: "a git process that was killed left a lock file".into(),
                place: lock.display().to_string(),
                why: "git refuses to write while the lock file exists; boi removes lock files of a worktree before it uses it"
                    .into(),
                advice: format!("if no git runs in this repository: rm {}", super::quote(&lock)),
            },
        )
    };
    locks.collect::<BTreeSet<PathBuf>>().into_iter().map(finding).collect()
}
