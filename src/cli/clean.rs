//! `boi clean`: puts away what ended specs left. Unique work stays, under refs.

use jiff::{Span, SpanRelativeTo, Unit};
use serde_json::{Value, json};

use super::args::Clean;
use super::backend::{self, Backend};
use super::{CliError, Context, ExitCode, FAILED, USAGE, block_on, print_json, print_line};
use crate::control::wire::Cleaned;
use crate::domain::spec::Base;
use crate::domain::view::SpecView;
use crate::host::clock;
use crate::host::paths::Home;
use crate::host::store::{Filter, Store};
use crate::host::worktree::{self, Worktree};

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
        let backend = Backend::find(&context.home).await?;
        let mut done: Vec<Value> = Vec::new();
        let mut code = 0;
        for spec in chosen {
            let found = What::of(&home, &store, &spec)?;
            if found.is_nothing() {
                continue;
            }
            let result = if asked.dry_run { found.shown() } else { found.put_away(&home, &spec, &asked) };
            let cleaned = match result {
                Ok(cleaned) => cleaned,
                Err(reason) => {
                    eprintln!("{}: left as it is: {reason}", spec.id);
                    code = FAILED;
                    continue;
                }
            };
            if !asked.dry_run {
                let note = Cleaned {
                    id: spec.id.clone(),
                    kept: cleaned.kept.clone(),
                    worktree: cleaned.worktree,
                    branch: cleaned.branch,
                };
                backend.cleaned(note).await?;
            }
            if !asked.json {
                say(&spec, &cleaned, asked.dry_run)?;
            }
            done.push(json!({
                "id": spec.id, "worktree": cleaned.worktree, "attempts": cleaned.attempts, "branch": cleaned.branch,
                "kept": cleaned.kept,
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
    worktree: Option<Worktree>,
    scratch: bool,
    attempts: bool,
    /// The branch's head, where all of it is in its base.
    merged: Option<String>,
}

/// What was put away.
struct Done {
    worktree: bool,
    attempts: bool,
    branch: bool,
    kept: Vec<String>,
}

impl What {
    fn of(home: &Home, store: &dyn Store, view: &SpecView) -> Result<What, CliError> {
        let spec = store.spec(&view.id)?;
        let path = home.worktree(&view.id);
        let (worktree, merged) = match &spec.repo {
            None => (None, None),
            Some(repo) => {
                let scratch = home.spec_attempts(&view.id).join("git");
                let tree = Worktree { repo: repo.path.clone(), path: path.clone(), spec: view.id.clone(), scratch };
                let into = match &repo.base {
                    Base::Revision(name) => name.clone(),
                    Base::Spec(id) => id.branch(),
                };
                let head =
                    view.branch.as_ref().and_then(|_| worktree::branch_head(&repo.path, &view.id).ok().flatten());
                let merged = head.filter(|_| worktree::is_merged(&repo.path, &view.id, &into).unwrap_or(false));
                (path.exists().then_some(tree), merged)
            }
        };
        let scratch = spec.repo.is_none() && path.exists();
        Ok(What { worktree, scratch, attempts: home.spec_attempts(&view.id).exists(), merged })
    }

    fn is_nothing(&self) -> bool {
        self.worktree.is_none() && !self.scratch && !self.attempts && self.merged.is_none()
    }

    fn shown(self) -> Result<Done, String> {
        Ok(Done {
            worktree: self.worktree.is_some() || self.scratch,
            attempts: self.attempts,
            branch: self.merged.is_some(),
            kept: vec![],
        })
    }

    fn put_away(self, home: &Home, view: &SpecView, asked: &Clean) -> Result<Done, String> {
        let path = home.worktree(&view.id);
        let mut kept = Vec::new();
        if let Some(tree) = &self.worktree {
            let at = tree.lock().map_err(|error| error.to_string())?;
            kept = worktree::remove(&at, "leftover").map_err(|error| error.to_string())?;
        }
        if self.scratch && std::fs::remove_dir(&path).is_err() {
            if !asked.scratch {
                return Err(format!("{} holds files that are nowhere else: --scratch deletes them", path.display()));
            }
            std::fs::remove_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let (Some(head), Some(repo)) = (&self.merged, &view.repo) {
            worktree::delete_branch(repo.as_ref(), &view.id, head).map_err(|error| error.to_string())?;
        }
        let attempts = home.spec_attempts(&view.id);
        if self.attempts {
            std::fs::remove_dir_all(&attempts).map_err(|error| format!("{}: {error}", attempts.display()))?;
        }
        Ok(Done {
            worktree: self.worktree.is_some() || self.scratch,
            attempts: self.attempts,
            branch: self.merged.is_some(),
            kept,
        })
    }
}

fn say(spec: &SpecView, done: &Done, dry_run: bool) -> Result<(), CliError> {
    let parts = [(done.worktree, "worktree"), (done.attempts, "attempt folders"), (done.branch, "merged branch")];
    let named: Vec<&str> = parts.iter().filter(|(there, _)| *there).map(|(_, name)| *name).collect();
    let verb = if dry_run { "would remove" } else { "removed" };
    print_line(&format!("{}  {verb} {}", spec.id, named.join(", ")))?;
    for kept in &done.kept {
        print_line(&format!("          kept {kept}"))?;
    }
    Ok(())
}
