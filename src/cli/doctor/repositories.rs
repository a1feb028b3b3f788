//! What boi has in the users' repositories: entries of worktrees, branches, kept refs and git's lock files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Doctor;
use super::queue::{Queue, name};
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::domain::spec::Base;
use crate::git::{self, Worktree};
use crate::queue::{Access, SqliteStore, Store};

impl Doctor {
    pub(super) fn look_at_repositories(&mut self, queue: &Queue) {
        let mut repos: Vec<&String> = queue.specs.values().filter_map(|spec| spec.repo.as_ref()).collect();
        repos.sort();
        repos.dedup();
        for repo in repos {
            let path = Path::new(repo);
            match git::own_refs(path) {
                Ok(refs) => self.look_at_refs(queue, path, &refs),
                Err(error) => {
                    let why = "specs that work in it cannot be delivered, retried or cleaned".to_owned();
                    let what = format!("a repository cannot be used: {error}");
                    let mend =
                        "bring it back to where it was; `boi clean --unreachable ID` gives up what is left of it";
                    self.note("repository", [what, repo.clone(), why, mend.into()]);
                    continue;
                }
            }
            self.look_at_entries(queue, path);
        }
    }

    /// Entries of worktrees of this home whose folder is gone.
    fn look_at_entries(&mut self, queue: &Queue, repo: &Path) {
        let folders = queue.tree_folders(&self.home);
        let gone = |folder: &PathBuf| git::entries_without_folder(repo, folder).unwrap_or_default();
        for path in folders.iter().flat_map(gone) {
            let Ok(id) = name(&path).parse::<SpecId>() else { continue };
            if queue.status(id.as_str()).is_some_and(|status| !status.is_ended()) {
                // Its worker lays the worktree anew.
                continue;
            }
            let what = format!("git has a worktree of {id}, whose folder is gone");
            let why =
                "git refuses to check its branch out or to delete it, and each operation on worktrees gets slower";
            let mend = "git worktree prune".to_owned();
            let fix = || self.forget_entry(queue, repo, &path, &id);
            let outcome = if self.fix { Some(fix()) } else { None };
            let done = move || outcome.clone().unwrap_or_else(|| Err("it was not asked for".into()));
            self.problem("worktree-entry", [what, repo.display().to_string(), why.into(), mend], Some(&done));
        }
        let locks = folders.iter().flat_map(|folder| git::lock_files(repo, folder).unwrap_or_default());
        for lock in locks.collect::<BTreeSet<PathBuf>>() {
            let what = "a git that was killed left a lock".to_owned();
            let why = "git refuses to write there; boi removes those of a worktree when it next works in it".to_owned();
            let mend = format!("when no git runs there: rm '{}'", lock.display());
            self.note("git-lock", [what, lock.display().to_string(), why, mend]);
        }
    }

    /// Takes an entry away, and keeps what only it holds.
    fn forget_entry(&self, queue: &Queue, repo: &Path, path: &Path, id: &SpecId) -> Result<String, String> {
        let scratch: PathBuf = self.home.spec_attempts(id).join("git");
        let fresh = !self.home.spec_attempts(id).exists();
        let tree =
            Worktree { repo: repo.to_owned(), path: path.to_owned(), spec: id.clone(), scratch: scratch.clone() };
        let lock = tree.lock().map_err(|error| error.to_string())?;
        let removed = git::remove(&lock, "leftover").map_err(|error| error.to_string());
        drop(lock);
        if fresh {
            // The lock's own folder is all there is.
            drop(std::fs::remove_dir_all(&scratch));
            drop(std::fs::remove_dir(self.home.spec_attempts(id)));
        }
        let kept = removed?;
        if kept.is_empty() {
            return Ok("removed".to_owned());
        }
        if !self.daemon && queue.status(id.as_str()).is_some() {
            // The refs are there also when the queue cannot take a note of them.
            let store = SqliteStore::open_home(&self.home, Access::Write(std::time::Duration::ZERO));
            drop(store.and_then(|store| store.keep(id, kept.clone())));
        }
        Ok(format!("removed; kept {}", kept.join(", ")))
    }

    fn look_at_refs(&mut self, queue: &Queue, repo: &Path, refs: &[String]) {
        let place = repo.display().to_string();
        let mut kept: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in refs {
            if let Some(rest) = name.strip_prefix("refs/boi/kept/") {
                kept.entry(rest.split('/').next().unwrap_or_default()).or_default().push(name);
            }
            let Some(spec) = name.strip_prefix("refs/heads/boi/") else { continue };
            let completed = queue.status(spec) == Some(SpecStatus::Completed);
            if let (true, Ok(id)) = (completed, spec.parse::<SpecId>())
                && is_merged(queue, repo, &id)
            {
                let what = format!("branch boi/{id} is merged and still there");
                let why = "all of it is in its base".to_owned();
                self.note("merged-branch", [what, place.clone(), why, format!("`boi clean {id}` deletes it")]);
            }
        }
        for (spec, names) in kept {
            let what = format!("work of {spec} that no branch holds is kept: {}", names.join(", "));
            let why = "boi deletes no work; it is yours to look at".to_owned();
            let mend = format!("`git show {0}`; when it is not wanted: git update-ref -d {0}", names[0]);
            self.note("kept-refs", [what, place.clone(), why, mend]);
        }
    }
}

fn is_merged(queue: &Queue, repo: &Path, id: &SpecId) -> bool {
    let Ok(spec) = queue.store.spec(id) else { return false };
    let base = spec.repo.map(|repo| match repo.base {
        Base::Revision(name) => name,
        Base::Spec(other) => other.branch(),
    });
    base.is_some_and(|base| git::is_merged(repo, id, &base).unwrap_or(false))
}
