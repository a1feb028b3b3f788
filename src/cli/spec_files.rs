//! Turns spec files into specs that can be queued: reads and validates them, and inspects their repositories.
//! All errors of all files are reported at once.

use std::path::{Path, PathBuf};

use super::{CliError, USAGE};
use crate::document::problem::{Problem, Problems};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::spec::{Base, Deliver, Repo, Spec};
use crate::git;
use crate::queue::{Filter, Queue, QueueError};
use crate::spec::{self, Draft, MAX_BYTES};
use crate::system::{files, paths};

/// Loads spec files. `queue` is used to look up the specs that the loaded ones wait for.
pub(super) fn load(paths: &[PathBuf], queue: Option<&dyn Queue>) -> Result<Vec<Spec>, CliError> {
    let mut specs = Vec::new();
    let mut invalid = Vec::new();
    for path in paths {
        match load_one(path, queue)? {
            Ok(spec) => specs.push(spec),
            Err(problems) => invalid.push(problems),
        }
    }
    if invalid.is_empty() { Ok(specs) } else { Err(CliError::InvalidSpecs(invalid)) }
}

fn load_one(path: &Path, queue: Option<&dyn Queue>) -> Result<Result<Spec, Problems>, CliError> {
    let name = path.display().to_string();
    let bytes = files::read_user_file(path, MAX_BYTES)
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
    let mut problems = dependency_problems(&draft, queue)?;
    let repo = match inspect_repository(&draft, &folder, queue) {
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

/// Returns why no spec can wait for spec `id`, and what to do about it; `None`: specs can wait for it.
fn obstacle_to_waiting(queue: Option<&dyn Queue>, id: &SpecId) -> Result<Option<(String, String)>, CliError> {
    let filter = Filter { ids: vec![id.clone()], ..Filter::default() };
    let found = match queue.map(|queue| queue.list(&filter)) {
        Some(Ok(listing)) => listing.specs,
        Some(Err(QueueError::NotFound(_))) | None => Vec::new(),
        Some(Err(error)) => return Err(error.into()),
    };
    Ok(match found.first().map(|spec| spec.status) {
        None => Some((format!("there is no spec {id} in the queue"), "`boi status --all` lists every spec".to_owned())),
        Some(status @ (SpecStatus::Failed | SpecStatus::Canceled)) => {
            let verb = if status == SpecStatus::Failed { "has" } else { "was" };
            let message = format!("{id} {verb} {}, so no spec can wait for it", status.as_str());
            Some((message, format!("first queue it again: `boi retry {id}`")))
        }
        Some(_) => None,
    })
}

/// Checks that the specs that a draft waits for are in the queue and have not failed.
fn dependency_problems(draft: &Draft, queue: Option<&dyn Queue>) -> Result<Vec<Problem>, CliError> {
    let mut problems = Vec::new();
    for after in draft.after() {
        if let Some((message, hint)) = obstacle_to_waiting(queue, &after.value)? {
            problems.push(draft.problem_at(after, message, Some(hint)));
        }
    }
    Ok(problems)
}

/// Returns why a spec in the repository at `toplevel` cannot start from the branch of spec `id`: both specs
/// must have the same repository. `None`: the spec can start from that branch.
fn obstacle_to_base(queue: Option<&dyn Queue>, id: &SpecId, toplevel: &Path) -> Option<String> {
    // An unknown spec is not reported here, because `dependency_problems` reports it.
    let other = queue?.spec(id).ok()?;
    let Some(other) = other.repo else {
        return Some(format!("{id} has no repository, so it has no branch to start from"));
    };
    match git::same_repository(&other.path, toplevel) {
        Ok(true) => None,
        Ok(false) => Some(format!("the branch of {id} is in another repository, {}", other.path.display())),
        Err(error) => Some(format!("the repository of {id} cannot be inspected: {error}")),
    }
}

/// Inspects the repository and the base of a draft.
fn inspect_repository(draft: &Draft, folder: &Path, queue: Option<&dyn Queue>) -> Result<Option<Repo>, Problem> {
    let Some(named) = &draft.repo else { return Ok(None) };
    let path = folder.join(paths::expand_tilde(Path::new(&named.value)));
    let found = git::inspect_repository(&path).map_err(|refusal| draft.problem_at(named, refusal.to_string(), None))?;
    let base = match &draft.base {
        None => Base::Revision(found.default_base),
        Some(base) => {
            let problem = match &base.value {
                Base::Revision(name) => git::resolve_base(&found.toplevel, name).err().map(|error| error.to_string()),
                Base::Spec(id) => obstacle_to_base(queue, id, &found.toplevel),
            };
            if let Some(message) = problem {
                return Err(draft.problem_at(base, message, None));
            }
            base.value.clone()
        }
    };
    if let (Deliver::Merge, Base::Revision(name)) = (draft.deliver(), &base)
        && !git::is_local_branch(&found.toplevel, name)
    {
        let message =
            format!("`deliver = \"merge\"` needs a local branch as its base, but `{name}` is not a local branch");
        let hint = Some("set `base` to a local branch".to_owned());
        return Err(match &draft.base {
            Some(base) => draft.problem_at(base, message, hint),
            None => draft.problem_at(named, message, hint),
        });
    }
    Ok(Some(Repo { path: found.toplevel, base }))
}

/// Makes each of `specs` also wait for the specs that `--after` names.
pub(super) fn add_after(specs: &mut [Spec], after: &[SpecId], queue: Option<&dyn Queue>) -> Result<(), CliError> {
    for id in after {
        if let Some((message, hint)) = obstacle_to_waiting(queue, id)? {
            return Err(CliError::new(USAGE, format!("--after: {message}")).hint(hint));
        }
        for spec in specs.iter_mut().filter(|spec| !spec.after.contains(id)) {
            spec.after.push(id.clone());
        }
    }
    Ok(())
}
