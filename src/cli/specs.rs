//! Spec files to specs that can be queued: read, validated, their repositories looked at. All errors of all files at once.

use std::path::{Path, PathBuf};

use super::{CliError, USAGE};
use crate::document::problem::{Problem, Problems};
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Deliver, Repo, Spec};
use crate::git;
use crate::queue::{Filter, Store, StoreError};
use crate::spec::{self, Draft, MAX_BYTES};
use crate::system::{files, paths};

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
    if wrong.is_empty() { Ok(specs) } else { Err(CliError::Specs(wrong)) }
}

fn load_one(path: &Path, queue: Option<&dyn Store>) -> Result<Result<Spec, Problems>, CliError> {
    let name = path.display().to_string();
    let bytes = files::read_users(path, MAX_BYTES)
        .map_err(|error| CliError::new(USAGE, format!("cannot read {name}: {error}")))?
        .ok_or_else(|| CliError::new(USAGE, format!("there is no file {name}")))?;
    if bytes.len() > MAX_BYTES {
        return Ok(Err(spec::too_large(&name, files::size(path)?)));
    }
    let draft = match spec::parse(&name, &bytes) {
        Ok(draft) => draft,
        Err(problems) => return Ok(Err(problems)),
    };
    let folder = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
    let mut problems = bad_dependencies(&draft, queue)?;
    let repo = match repository(&draft, &folder, queue) {
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

/// What speaks against waiting for a spec, and what to do about it.
fn cannot_wait_for(queue: Option<&dyn Store>, id: &SpecId) -> Result<Option<(String, String)>, CliError> {
    let filter = Filter { ids: vec![id.clone()], ..Filter::default() };
    let found = match queue.map(|store| store.specs(&filter)) {
        Some(Ok(listing)) => listing.specs,
        Some(Err(StoreError::Unknown(_))) | None => Vec::new(),
        Some(Err(error)) => return Err(error.into()),
    };
    Ok(match found.first().map(|spec| spec.status) {
        None => Some((format!("there is no spec {id} in the queue"), "`boi status --all` lists every spec".to_owned())),
        Some(status @ (SpecStatus::Failed | SpecStatus::Canceled)) => {
            let verb = if status == SpecStatus::Failed { "has" } else { "was" };
            let message = format!("{id} {verb} {}, so nothing can wait for it", status.as_str());
            Some((message, format!("queue it again first: `boi retry {id}`")))
        }
        Some(_) => None,
    })
}

/// The specs that a draft waits for must be in the queue, and not have failed.
fn bad_dependencies(draft: &Draft, queue: Option<&dyn Store>) -> Result<Vec<Problem>, CliError> {
    let mut problems = Vec::new();
    for after in draft.after() {
        if let Some((message, hint)) = cannot_wait_for(queue, &after.value)? {
            problems.push(draft.problem_at(after, message, Some(hint)));
        }
    }
    Ok(problems)
}

/// What speaks against starting from the branch of a spec: it must be one in the repository at `toplevel`.
fn no_base(queue: Option<&dyn Store>, id: &SpecId, toplevel: &Path) -> Option<String> {
    // A spec that is not there is reported as one that cannot be waited for.
    let other = queue?.spec(id).ok()?;
    let Some(other) = other.repo else {
        return Some(format!("{id} works in no repository, so it has no branch to start from"));
    };
    match git::same_repository(&other.path, toplevel) {
        Ok(true) => None,
        Ok(false) => Some(format!("{id} works in another repository, {}", other.path.display())),
        Err(error) => Some(format!("the repository of {id} cannot be looked at: {error}")),
    }
}

/// The repository of a draft, with its base, as git has it now.
fn repository(draft: &Draft, folder: &Path, queue: Option<&dyn Store>) -> Result<Option<Repo>, Problem> {
    let Some(named) = &draft.repo else { return Ok(None) };
    let path = folder.join(paths::expand_tilde(Path::new(&named.value)));
    let found = git::inspect(&path).map_err(|refusal| draft.problem_at(named, refusal.to_string(), None))?;
    let base = match &draft.base {
        None => Base::Revision(found.default_base),
        Some(base) => {
            let wrong = match &base.value {
                Base::Revision(name) => git::resolve_base(&found.toplevel, name).err().map(|error| error.to_string()),
                Base::Spec(id) => no_base(queue, id, &found.toplevel),
            };
            if let Some(message) = wrong {
                return Err(draft.problem_at(base, message, None));
            }
            base.value.clone()
        }
    };
    if let (Deliver::Merge, Base::Revision(name)) = (draft.deliver(), &base)
        && !git::is_branch(&found.toplevel, name)
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
pub(super) fn add_after(specs: &mut [Spec], after: &[SpecId], queue: Option<&dyn Store>) -> Result<(), CliError> {
    for id in after {
        if let Some((message, hint)) = cannot_wait_for(queue, id)? {
            return Err(CliError::new(USAGE, format!("--after: {message}")).hint(hint));
        }
        for spec in specs.iter_mut().filter(|spec| !spec.after.contains(id)) {
            spec.after.push(id.clone());
        }
    }
    Ok(())
}
