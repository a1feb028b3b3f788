//! Turns spec files into specs that can be queued: reads and validates them, and inspects their repositories.
//! All errors of all files are reported at once.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::backend::LazyQueue;
use super::spec_agents::KnownAgents;
use super::{CliError, USAGE};
use crate::document::Located;
use crate::document::problem::{Problem, Problems};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::spec::{Base, Deliver, Repo, Spec};
use crate::git;
use crate::queue::{Filter, Queue, QueueError};
use crate::spec::{self, MAX_BYTES, Parsed, References};
use crate::system::{files, paths};

/// The name of standard input as a spec file.
const STDIN: &str = "-";

/// Where the text of a spec comes from.
pub(super) enum Source {
    /// A file, or standard input if the path is `-`.
    File(PathBuf),
    /// A text that was made from the command line; the current directory is its folder.
    Text {
        /// The name of the text in messages.
        name: &'static str,
        text: String,
    },
}

/// Loads specs. Looks up in `queue` the specs that the loaded specs or `--after` name.
/// `agents` are the agents that the specs may name.
pub(super) fn load(
    sources: &[Source],
    after: &[SpecId],
    queue: &LazyQueue,
    agents: &KnownAgents,
) -> Result<Vec<Spec>, CliError> {
    let mut specs = Vec::new();
    let mut invalid = Vec::new();
    for source in sources {
        match load_one(source, queue, agents)? {
            Ok(spec) => specs.push(spec),
            Err(problems) => invalid.push(problems),
        }
    }
    for id in after {
        match obstacle_to_waiting(queue, id)? {
            Some((message, hint)) => invalid.push(spec::unreadable("--after", &format!("{message}; {hint}"))),
            None => {
                for spec in specs.iter_mut().filter(|spec| !spec.after.contains(id)) {
                    spec.after.push(id.clone());
                }
            }
        }
    }
    if invalid.is_empty() { Ok(specs) } else { Err(CliError::InvalidSpecs(invalid)) }
}

/// Makes the sources of spec files; `-` may be named once.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<Source>, CliError> {
    if paths.iter().filter(|path| *path == Path::new(STDIN)).count() > 1 {
        return Err(CliError::new(USAGE, "standard input (`-`) can be read only once").hint("name `-` once"));
    }
    Ok(paths.iter().cloned().map(Source::File).collect())
}

/// The text of a spec.
struct SpecText {
    /// The name of the text in messages.
    name: String,
    bytes: Vec<u8>,
    /// The folder to which relative paths in the text are relative.
    folder: PathBuf,
}

/// Reads the text of a source.
fn read(source: &Source) -> Result<Result<SpecText, Problems>, CliError> {
    let here = std::env::current_dir;
    let path = match source {
        Source::Text { name, text } => {
            return Ok(Ok(SpecText { name: (*name).to_owned(), bytes: text.clone().into_bytes(), folder: here()? }));
        }
        Source::File(path) if path == Path::new(STDIN) => {
            let mut bytes = Vec::new();
            // One more byte than is allowed shows that the text is too large.
            std::io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            return Ok(Ok(SpecText { name: "<stdin>".to_owned(), bytes, folder: here()? }));
        }
        Source::File(path) => path,
    };
    let name = path.display().to_string();
    let bytes = match files::read_user_file(path, MAX_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Err(spec::unreadable(&name, "there is no such file"))),
        Err(error) => return Ok(Err(spec::unreadable(&name, &format!("the file cannot be read: {error}")))),
    };
    if bytes.len() > MAX_BYTES {
        return Ok(Err(spec::too_large(&name, files::size(path)?)));
    }
    let folder = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
    Ok(Ok(SpecText { name, bytes, folder }))
}

fn load_one(source: &Source, queue: &LazyQueue, agents: &KnownAgents) -> Result<Result<Spec, Problems>, CliError> {
    let SpecText { name, bytes, folder } = match read(source)? {
        Ok(read) => read,
        Err(problems) => return Ok(Err(problems)),
    };
    let Parsed { references, draft } = spec::parse(&name, &bytes);
    let mut problems = dependency_problems(&references, queue)?;
    problems.extend(agents.problems(&references));
    let repo = inspect_repository(&references, &folder, queue, &mut problems);
    Ok(match draft {
        Err(invalid) => Err(invalid.and(problems)),
        Ok(draft) => match draft.problems(problems) {
            Some(problems) => Err(problems),
            None => Ok(draft.into_spec(repo)),
        },
    })
}

/// Returns a problem with the value `at`.
fn problem_at<T>(at: &Located<T>, message: String, hint: Option<String>) -> Problem {
    Problem { message, span: Some(at.span.clone()), hint }
}

/// Returns why no spec can wait for spec `id`, and what to do about it; `None`: specs can wait for it.
fn obstacle_to_waiting(queue: &LazyQueue, id: &SpecId) -> Result<Option<(String, String)>, CliError> {
    let filter = Filter { ids: vec![id.clone()], ..Filter::default() };
    let found = match queue.get()?.map(|queue| queue.list(&filter)) {
        Some(Ok(listing)) => listing.specs,
        Some(Err(QueueError::NotFound(_))) | None => Vec::new(),
        Some(Err(error)) => return Err(error.into()),
    };
    Ok(match found.first().map(|spec| spec.status) {
        None => Some((format!("there is no spec {id} in the queue"), "`boi status --all` lists every spec".to_owned())),
        Some(SpecStatus::Dropped) => {
            let message = format!("{id} was dropped, so no spec can wait for it");
            Some((message, format!("first restore it: `boi drop --undo {id}`")))
        }
        Some(status @ (SpecStatus::Failed | SpecStatus::Canceled)) => {
            let verb = if status == SpecStatus::Failed { "has" } else { "was" };
            let message = format!("{id} {verb} {}, so no spec can wait for it", status.as_str());
            Some((message, format!("first queue it again: `boi retry {id}`")))
        }
        Some(_) => None,
    })
}

/// Checks that the specs that a spec waits for are in the queue and have not failed.
fn dependency_problems(references: &References, queue: &LazyQueue) -> Result<Vec<Problem>, CliError> {
    let mut problems = Vec::new();
    for after in &references.after {
        if let Some((message, hint)) = obstacle_to_waiting(queue, &after.value)? {
            problems.push(problem_at(after, message, Some(hint)));
        }
    }
    Ok(problems)
}

/// Returns why a spec in the repository at `toplevel` cannot start from the branch of spec `id`: both specs
/// must have the same repository. `None`: the spec can start from that branch.
fn obstacle_to_base(queue: &LazyQueue, id: &SpecId, toplevel: &Path) -> Option<String> {
    // An unknown spec is not reported here, because `dependency_problems` reports it.
    let queue = queue.get().ok()??;
    let other = queue.spec(id).ok()?;
    let Some(other) = other.repo else {
        return Some(format!("{id} has no repository, so it has no branch to start from"));
    };
    match git::same_repository(&other.path, toplevel) {
        // `dependency_problems` reports a spec that failed. A spec that has not ended may still create its
        // branch.
        Ok(true) if is_completed(queue, id) => match git::branch_head(toplevel, id) {
            Ok(Some(_)) => None,
            Ok(None) => Some(format!(
                "the branch {} of {id} no longer exists; name the branch or commit that contains its work",
                id.branch()
            )),
            Err(error) => Some(format!("the branch of {id} cannot be read: {error}")),
        },
        Ok(true) => None,
        Ok(false) => Some(format!("the branch of {id} is in another repository, {}", other.path.display())),
        Err(error) => Some(format!("the repository of {id} cannot be inspected: {error}")),
    }
}

fn is_completed(queue: &dyn Queue, id: &SpecId) -> bool {
    let filter = Filter { ids: vec![id.clone()], ..Filter::default() };
    let listed = queue.list(&filter).map(|listing| listing.specs).unwrap_or_default();
    listed.first().is_some_and(|spec| spec.status == SpecStatus::Completed)
}

/// Inspects the repository and the base that a spec names, and reports every problem with them.
fn inspect_repository(
    references: &References,
    folder: &Path,
    queue: &LazyQueue,
    problems: &mut Vec<Problem>,
) -> Option<Repo> {
    let named = references.repo.as_ref()?;
    let path = folder.join(paths::expand_tilde(Path::new(&named.value)));
    let found = match git::inspect_repository(&path) {
        Ok(found) => found,
        Err(refusal) => {
            problems.push(problem_at(named, refusal.to_string(), None));
            return None;
        }
    };
    let base = match &references.base {
        None => Base::Revision(found.default_base),
        Some(base) => {
            let problem = match &base.value {
                Base::Revision(name) => git::resolve_base(&found.toplevel, name).err().map(|error| error.to_string()),
                Base::Spec(id) => obstacle_to_base(queue, id, &found.toplevel),
            };
            if let Some(message) = problem {
                problems.push(problem_at(base, message, None));
                return None;
            }
            base.value.clone()
        }
    };
    if let (Deliver::Merge, Base::Revision(name)) = (references.deliver, &base)
        && !git::is_local_branch(&found.toplevel, name)
    {
        let message =
            format!("`deliver = \"merge\"` needs a local branch as its base, but `{name}` is not a local branch");
        let hint = Some("set `base` to a local branch".to_owned());
        problems.push(match &references.base {
            Some(base) => problem_at(base, message, hint),
            None => problem_at(named, message, hint),
        });
    }
    Some(Repo { path: found.toplevel, base })
}
