//! `boi clean`: puts away what ended specs left. Unique work stays, under refs.

use std::path::PathBuf;

use jiff::{Span, SpanRelativeTo, Unit};
use serde_json::{Value, json};

use super::args::Clean;
use super::backend::{self, Backend};
use super::{CliError, Context, ExitCode, FAILED, USAGE, block_on, print_json, print_line};
use crate::control::wire::Cleaned;
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::domain::spec::Base;
use crate::domain::view::SpecView;
use crate::git::{self, Error, Worktree, WorktreeLock};
use crate::process::command::CommandDir;
use crate::queue::{Filter, Store, StoreError};
use crate::system::paths::Home;
use crate::system::{clock, files};

/// How many specs one look at the queue brings.
const PAGE: u32 = 500;

/// `boi clean`.
pub(super) fn clean(context: Context, asked: Clean) -> Result<ExitCode, CliError> {
    let age = asked.older_than.as_deref().map(age_millis).transpose()?;
    let home = backend::configured(&context.home);
    let Some(store) = backend::read(&home)? else {
        return print_line("nothing to clean: the queue is empty").map(|()| 0);
    };
    let latest = age.map(|age| clock::now().plus_millis(-age));
    let mut chosen = choose(&store, &asked)?;
    chosen.retain(|spec| latest.is_none_or(|latest| spec.finished_at.is_some_and(|at| at <= latest)));
    block_on(async {
        let mut backend = Backend::find(&context.home).await?;
        let mut done: Vec<Value> = Vec::new();
        let mut code = 0;
        for SpecView { id, .. } in chosen {
            let cleaned = match put_away(&home, &store, &id, &asked)? {
                Outcome::Nothing => continue,
                Outcome::Done(cleaned) => cleaned,
                Outcome::Lives(status) => {
                    eprintln!("{id}: left as it is: it is {} again", status.as_str());
                    continue;
                }
                Outcome::Left(reason) => {
                    eprintln!("{id}: left as it is: {reason}");
                    code = FAILED;
                    continue;
                }
            };
            if !asked.dry_run {
                let note = Cleaned {
                    id: id.clone(),
                    kept: cleaned.kept.clone(),
                    worktree: cleaned.worktree || cleaned.misplaced,
                    branch: cleaned.branch,
                };
                backend.cleaned(&context.home, &note).await?;
            }
            if !asked.json {
                say(&id, &cleaned, asked.dry_run)?;
            }
            done.push(json!({
                "id": id, "worktree": cleaned.worktree, "attempts": cleaned.attempts, "branch": cleaned.branch,
                "branch_needed_by": cleaned.needed_by, "kept": cleaned.kept,
            }));
        }
        if asked.json {
            print_json(&json!({"dry_run": asked.dry_run, "specs": done}))?;
        } else if done.is_empty() && code == 0 {
            print_line("nothing to clean")?;
        }
        Ok(code)
    })
}

fn age_millis(text: &str) -> Result<i64, CliError> {
    let wrong =
        || CliError::new(USAGE, format!("--older-than `{text}` is no length of time")).hint("such as 7d, 12h or 30m");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let millis = span.total((Unit::Millisecond, SpanRelativeTo::days_are_24_hours())).map_err(|_| wrong())?;
    if millis < 0.0 { Err(wrong()) } else { Ok(millis as i64) }
}

fn choose(store: &dyn Store, asked: &Clean) -> Result<Vec<SpecView>, CliError> {
    if !asked.ids.is_empty() {
        let specs = store.specs(&Filter { ids: asked.ids.clone(), ..Filter::default() })?.specs;
        if let Some(live) = specs.iter().find(|spec| !spec.status.is_ended()) {
            let message = format!("{} is {}: only what has ended is cleaned", live.id, live.status.as_str());
            return Err(CliError::new(FAILED, message).hint(format!("end it first: `boi cancel {}`", live.id)));
        }
        return Ok(specs);
    }
    let mut chosen = Vec::new();
    let mut offset = 0;
    loop {
        let page = store.specs(&Filter { all: true, limit: PAGE, offset, ..Filter::default() })?;
        chosen.extend(page.specs.into_iter().filter(|spec| spec.status.is_ended()));
        if !page.more {
            return Ok(chosen);
        }
        offset += PAGE;
    }
}

/// What an ended spec left.
struct What {
    /// Its tree in a repository, there or not.
    tree: Option<Worktree>,
    /// Its worktree or scratch directory.
    path: PathBuf,
    /// Whether that is there.
    folder: bool,
    attempts: bool,
    /// The branch's head, where all of it is in its base.
    merged: Option<String>,
}

/// What was put away, or would be.
struct Done {
    worktree: bool,
    /// Whether the queue names a worktree that is not there.
    misplaced: bool,
    attempts: bool,
    branch: bool,
    kept: Vec<String>,
    /// Whoever starts from the branch, which therefore stays.
    needed_by: Option<SpecId>,
}

/// What became of one spec.
enum Outcome {
    /// There was nothing.
    Nothing,
    /// This was put away.
    Done(Done),
    /// It has not ended any more.
    Lives(SpecStatus),
    /// It stays, for this reason.
    Left(String),
}

/// Puts away what one spec left, as it stands now: a spec that was chosen may have been retried since.
fn put_away(home: &Home, store: &dyn Store, id: &SpecId, asked: &Clean) -> Result<Outcome, CliError> {
    let what = What::of(home, store, id)?;
    if what.is_nothing() {
        return Ok(Outcome::Nothing);
    }
    // Whoever has this lock finds no git of a worker's at work, and no worker gets to lay the worktree meanwhile.
    let lock = match &what.tree {
        Some(tree) if what.folder || what.attempts => match tree.lock() {
            Ok(lock) => Some(lock),
            Err(error) => return Ok(Outcome::Left(error.to_string())),
        },
        _ => None,
    };
    let result = what.put_away_under(lock.as_ref(), home, store, id, asked);
    if !what.attempts {
        // The lock's own folder is all there is.
        drop(lock);
        drop(std::fs::remove_dir_all(home.spec_attempts(id).join("git")));
        drop(std::fs::remove_dir(home.spec_attempts(id)));
    }
    result
}

impl What {
    fn of(home: &Home, store: &dyn Store, id: &SpecId) -> Result<What, CliError> {
        let spec = store.spec(id)?;
        let path = home.worktree(id, one(store, id)?.worktree.as_deref());
        let folder = path.exists();
        let (tree, merged) = match spec.repo {
            None => (None, None),
            Some(repo) => {
                let into = match &repo.base {
                    Base::Revision(name) => name.clone(),
                    Base::Spec(id) => id.branch(),
                };
                let head = git::branch_head(&repo.path, id).ok().flatten();
                let merged = head.filter(|_| git::is_merged(&repo.path, id, &into).unwrap_or(false));
                let scratch = home.spec_attempts(id).join("git");
                (Some(Worktree { repo: repo.path, path: path.clone(), spec: id.clone(), scratch }), merged)
            }
        };
        Ok(What { tree, path, folder, attempts: home.spec_attempts(id).exists(), merged })
    }

    fn is_nothing(&self) -> bool {
        !self.folder && !self.attempts && self.merged.is_none()
    }

    fn put_away_under(
        &self,
        lock: Option<&WorktreeLock>,
        home: &Home,
        store: &dyn Store,
        id: &SpecId,
        asked: &Clean,
    ) -> Result<Outcome, CliError> {
        let view = one(store, id)?;
        if !view.status.is_ended() {
            return Ok(Outcome::Lives(view.status));
        }
        if let Some(reason) = runs_still(home, id)? {
            return Ok(Outcome::Left(reason));
        }
        // Only a branch that boi made is boi's to delete: the place of a worktree is noted before its branch is made.
        let merged = self.merged.as_ref().filter(|_| view.branch.is_some() || view.worktree.is_some());
        let needed_by = if merged.is_some() { starts_from(store, id)? } else { None };
        let merged = merged.filter(|_| needed_by.is_none());
        let done = Done {
            worktree: self.folder,
            misplaced: view.worktree.is_some() && !self.folder,
            attempts: self.attempts,
            branch: merged.is_some(),
            kept: Vec::new(),
            needed_by,
        };
        if !done.worktree && !done.attempts && !done.branch && done.needed_by.is_none() {
            return Ok(Outcome::Nothing);
        }
        if self.folder
            && let Err(reason) = self.check(lock, id, asked)
        {
            return Ok(Outcome::Left(reason));
        }
        if asked.dry_run {
            return Ok(Outcome::Done(done));
        }
        let kept = match self.take(lock, merged, id, asked) {
            Ok(kept) => kept,
            Err(reason) => return Ok(Outcome::Left(reason)),
        };
        if self.attempts {
            let view = one(store, id)?;
            if !view.status.is_ended() {
                return Ok(Outcome::Done(Done { attempts: false, kept, ..done }));
            }
            if let Err(reason) = remove_attempts(home, id, view.attempt) {
                return Ok(Outcome::Left(reason));
            }
        }
        Ok(Outcome::Done(Done { kept, ..done }))
    }

    /// What speaks against taking the folder away.
    fn check(&self, lock: Option<&WorktreeLock>, id: &SpecId, asked: &Clean) -> Result<(), String> {
        let path = &self.path;
        match lock {
            Some(at) => match git::check_removal(at) {
                Err(Error::Unreachable { .. }) if asked.unreachable => Ok(()),
                checked => checked.map_err(|error| in_words(&error, id)),
            },
            None if asked.scratch || std::fs::read_dir(path).is_ok_and(|mut files| files.next().is_none()) => Ok(()),
            None => Err(format!("{} holds files that are nowhere else: --scratch deletes them", path.display())),
        }
    }

    /// Takes the folder and the branch away; returns the refs that hold what was unique.
    fn take(
        &self,
        lock: Option<&WorktreeLock>,
        merged: Option<&String>,
        id: &SpecId,
        asked: &Clean,
    ) -> Result<Vec<String>, String> {
        let path = &self.path;
        let mut kept = Vec::new();
        match lock {
            Some(at) => match git::remove(at, "leftover") {
                Ok(refs) => kept = refs,
                Err(Error::Unreachable { .. }) if asked.unreachable => {
                    git::discard(at).map_err(|error| error.to_string())?;
                }
                Err(error) => return Err(in_words(&error, id)),
            },
            None if self.folder && asked.scratch => {
                std::fs::remove_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            None if self.folder => {
                std::fs::remove_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            None => {}
        }
        if let (Some(head), Some(tree)) = (merged, &self.tree) {
            git::delete_branch(&tree.repo, id, head).map_err(|error| error.to_string())?;
        }
        Ok(kept)
    }
}

fn one(store: &dyn Store, id: &SpecId) -> Result<SpecView, CliError> {
    let listing = store.specs(&Filter { ids: vec![id.clone()], ..Filter::default() })?;
    listing.specs.into_iter().next().ok_or_else(|| StoreError::Unknown(id.clone()).into())
}

fn in_words(error: &Error, id: &SpecId) -> String {
    match error {
        Error::Unreachable { .. } => format!(
            "{error}, and what is in the worktree is nowhere else; bring the repository back, \
             or have `boi clean --unreachable {id}` delete the worktree"
        ),
        Error::NoWorktree { .. } | Error::Occupied { .. } => {
            format!("{error}; `boi retry {id}` mends a worktree that lost its .git, or remove the folder by hand")
        }
        _ => error.to_string(),
    }
}

/// Why the attempts' folders must stay: a supervisor holds the lock of its command for as long as it lives.
fn runs_still(home: &Home, id: &SpecId) -> Result<Option<String>, CliError> {
    for attempt in files::listed(&home.spec_attempts(id))? {
        for command in files::listed(&attempt)? {
            if files::is_locked(&CommandDir::at(command.clone()).lock_file())? {
                return Ok(Some(format!("a command of it still runs (the lock in {} is held)", command.display())));
            }
        }
    }
    Ok(None)
}

/// Removes the folders of attempts up to `last`: a later one is that of a worker which began meanwhile.
fn remove_attempts(home: &Home, id: &SpecId, last: u32) -> Result<(), String> {
    let folder = home.spec_attempts(id);
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for path in files::listed(&folder).map_err(failed)? {
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        if number.is_none_or(|number| number <= last) {
            std::fs::remove_dir_all(&path).map_err(failed)?;
        }
    }
    match std::fs::remove_dir(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => Err(failed(error)),
        _ => Ok(()),
    }
}

/// A spec that has not ended and starts from the branch of `id`.
fn starts_from(store: &dyn Store, id: &SpecId) -> Result<Option<SpecId>, CliError> {
    for status in [SpecStatus::Queued, SpecStatus::Running] {
        let mut offset = 0;
        loop {
            let page = store.specs(&Filter { status: Some(status), limit: PAGE, offset, ..Filter::default() })?;
            for spec in &page.specs {
                if store.spec(&spec.id)?.repo.is_some_and(|repo| repo.base == Base::Spec(id.clone())) {
                    return Ok(Some(spec.id.clone()));
                }
            }
            if !page.more {
                break;
            }
            offset += PAGE;
        }
    }
    Ok(None)
}

fn say(id: &SpecId, done: &Done, dry_run: bool) -> Result<(), CliError> {
    let parts = [(done.worktree, "worktree"), (done.attempts, "attempt folders"), (done.branch, "merged branch")];
    let named: Vec<&str> = parts.iter().filter(|(there, _)| *there).map(|(_, name)| *name).collect();
    if !named.is_empty() {
        let verb = if dry_run { "would remove" } else { "removed" };
        print_line(&format!("{id}  {verb} {}", named.join(", ")))?;
    }
    if let Some(other) = &done.needed_by {
        print_line(&format!("{id}  the branch {} stays: {other} starts from it", id.branch()))?;
    }
    for kept in &done.kept {
        print_line(&format!("          kept {kept}"))?;
    }
    Ok(())
}
