//! Spec files to specs that can be queued: read, validated, their repositories looked at. All errors of all files at once.

use std::path::{Path, PathBuf};

use super::{CliError, USAGE};
use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Deliver, Repo, Spec};
use crate::host::store::{Store, StoreError};
use crate::host::{files, paths, worktree};
use crate::source::problem::Problems;
use crate::spec::{self, Draft, MAX_BYTES};

/// Reads spec files. `queue`: where the specs they wait for are looked up.
pub(super) fn load(paths: &[PathBuf], queue: Option<&dyn Store>) -> Result<Vec<Spec>, CliError> {
    let mut specs = Vec::new();
    let mut wrong = Vec::new();
    for path in paths {
        match load_one(path, queue)? {
            Ok(spec) => specs.push(spec),
            Err(problems) => wrong.push(problems),
        }
    }
    if wrong.is_empty() { Ok(specs) } else { Err(CliError::Problems(wrong)) }
}

fn load_one(path: &Path, queue: Option<&dyn Store>) -> Result<Result<Spec, Problems>, CliError> {
    let name = path.display().to_string();
    let bytes = files::read_users(path, MAX_BYTES)
        .map_err(|error| CliError::new(USAGE, format!("cannot read {name}: {error}")))?
        .ok_or_else(|| CliError::new(USAGE, format!("there is no file {name}")))?;
    let draft = match spec::parse(&name, &bytes) {
        Ok(draft) => draft,
        Err(problems) => return Ok(Err(problems)),
    };
    let folder = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
    let mut problems = unknown_specs(&draft, queue)?;
    let repo = match repository(&draft, &folder) {
        Ok(repo) => repo,
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    Ok(match draft.problems(problems) {
        Some(problems) => Err(problems),
        None => Ok(draft.into_spec(repo)),
    })
}

/// The specs that a draft waits for must be in the queue.
fn unknown_specs(draft: &Draft, queue: Option<&dyn Store>) -> Result<Vec<crate::source::problem::Problem>, CliError> {
    let mut problems = Vec::new();
    for after in draft.after() {
        match queue.map(|store| store.spec(&after.value)) {
            Some(Ok(_)) => {}
            Some(Err(StoreError::Unknown(_))) | None => {
                let hint = Some("`boi status --all` lists every spec".to_owned());
                problems.push(draft.problem_at(after, format!("there is no spec {} in the queue", after.value), hint));
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(problems)
}

/// The repository of a draft, with its base, as git has it now.
fn repository(draft: &Draft, folder: &Path) -> Result<Option<Repo>, crate::source::problem::Problem> {
    let Some(named) = &draft.repo else { return Ok(None) };
    let path = folder.join(paths::expand_tilde(Path::new(&named.value)));
    let found = worktree::inspect(&path).map_err(|refusal| draft.problem_at(named, refusal.to_string(), None))?;
    let base = match &draft.base {
        None => Base::Revision(found.default_base),
        Some(base) => {
            if let Base::Revision(name) = &base.value {
                worktree::resolve_base(&found.toplevel, name)
                    .map_err(|error| draft.problem_at(base, error.to_string(), None))?;
            }
            base.value.clone()
        }
    };
    if let (Deliver::Merge, Base::Revision(name)) = (draft.deliver(), &base)
        && !worktree::is_branch(&found.toplevel, name)
    {
        let message = format!("`deliver = \"merge\"` needs a base that is a local branch, and `{name}` is none");
        let hint = Some("name a branch in `base`".to_owned());
        return Err(match &draft.base {
            Some(base) => draft.problem_at(base, message, hint),
            None => draft.problem_at(named, message, hint),
        });
    }
    Ok(Some(Repo { path: found.toplevel, base }))
}

/// Specs that a user named on the command line, besides those in the file.
pub(super) fn add_after(spec: &mut Spec, after: &[SpecId]) {
    for id in after {
        if !spec.after.contains(id) {
            spec.after.push(id.clone());
        }
    }
}
