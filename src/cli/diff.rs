//! `boi diff`: shows what a spec's branch changed, through git with the user's own configuration and pager.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::backend::{self, Backend};
use super::printing::print_json;
use super::{CliError, ExitCode, FAILED, block_on, ids};
use crate::domain::id::SpecId;
use crate::domain::view::SpecView;
use crate::git::{self, ChangedFile, GitError};
use crate::queue::{Filter, Queue, QueueError, unlanded};
use crate::system::output::say;
use crate::system::paths::Home;

/// The arguments of `boi diff`.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The spec
    #[arg(value_name = "ID", value_parser = ids::spec_id)]
    id: SpecId,
    /// Show only how many lines of each file changed
    #[arg(long)]
    stat: bool,
    /// Print the changed files as JSON
    #[arg(long, conflicts_with = "stat")]
    pub(super) json: bool,
    /// Options of `git diff`, then paths in the repository
    #[arg(last = true, value_name = "ARGS", conflicts_with = "json")]
    arguments: Vec<String>,
}

/// Carries out `boi diff`.
pub(super) fn diff(home: &Home, args: &Diff) -> Result<ExitCode, CliError> {
    let filter = Filter { ids: vec![args.id.clone()], ..Filter::default() };
    let told = block_on(async { Backend::find(home).await?.status_now(home, &filter, None).await })?;
    let view = told.status.specs.into_iter().next().ok_or_else(|| QueueError::NotFound(args.id.clone()))?;
    let queue = backend::read(&backend::configured(home))?.ok_or_else(|| QueueError::NotFound(args.id.clone()))?;
    let Compared { repo, from, head } = compared(queue.as_ref(), &view)?;
    if args.json {
        let files = git::changed_files(Path::new(&repo), &from, &head).map_err(of_git)?;
        let sum = |of: fn((u64, u64)) -> u64| files.iter().filter_map(|file| file.lines).map(of).sum::<u64>();
        let object = |file: &ChangedFile| {
            let (added, removed) = file.lines.unzip();
            json!({"path": file.path, "added": added, "removed": removed})
        };
        print_json(&json!({
            "id": args.id, "repo": repo, "branch": view.branch, "base": from, "head": head,
            "added": sum(|lines| lines.0), "removed": sum(|lines| lines.1),
            "files": files.iter().map(object).collect::<Vec<_>>(),
        }))?;
        return Ok(0);
    }
    if from == head {
        say!("{} changed nothing", args.id);
    }
    let (mut options, files) = split(&args.arguments);
    if args.stat {
        options.push("--stat".to_owned());
    }
    let error = git::become_diff(Path::new(&repo), &from, &head, &options, &files);
    Err(CliError::new(FAILED, format!("cannot execute git: {error}")).hint("install git where the PATH finds it"))
}

/// The two commits of a diff.
struct Compared {
    repo: String,
    from: String,
    head: String,
}

fn compared(queue: &dyn Queue, view: &SpecView) -> Result<Compared, CliError> {
    let id = &view.id;
    let Some(repo) = view.repo.clone() else {
        let message = format!("{id} has no repository, so there is no branch to compare");
        let files = view.worktree.as_ref().map(|path| format!("its files are in {path}"));
        return Err(
            CliError::new(FAILED, message).hint(files.unwrap_or_else(|| format!("`boi log {id}` shows its output")))
        );
    };
    let Some(origin) = view.base_commit.clone() else {
        let message = format!("{id} is {} and has no branch yet", view.status.as_str());
        return Err(CliError::new(FAILED, message).hint(format!("`boi status {id}` says what it waits for")));
    };
    let at = Path::new(&repo);
    let branch = git::branch_head(at, id).map_err(of_git)?;
    let head = match (branch, queue.recorded_head(id)?) {
        (Some(head), _) => head,
        (None, Some(recorded)) => git::find_commit(at, &recorded).map_err(of_git)?.ok_or_else(|| {
            let message = format!("the branch {} is gone, and so is its commit {recorded}", id.branch());
            let kept = view.kept.join(", ");
            let hint = if kept.is_empty() {
                "the commit may be in another clone".into()
            } else {
                format!("kept refs: {kept}")
            };
            CliError::new(FAILED, message).hint(hint)
        })?,
        (None, None) => {
            let message = format!("{id} has neither a branch nor a recorded commit");
            return Err(CliError::new(FAILED, message).hint(format!("`boi status {id}` says how it ended")));
        }
    };
    let bases = match queue.spec(id) {
        Ok(spec) => unlanded::bases(queue, &spec)?,
        // Without its bases, the branch is compared with its start.
        Err(QueueError::Unreadable { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let from = git::start_of_own_changes(at, &origin, &head, &bases).map_err(of_git)?;
    Ok(Compared { repo, from, head })
}

/// Splits the user's arguments into options for git and paths: paths begin after `--`, or at the first
/// argument that does not begin with `-`.
fn split(arguments: &[String]) -> (Vec<String>, Vec<String>) {
    let (at, skipped) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (at, 1),
        None => (arguments.iter().position(|argument| !argument.starts_with('-')).unwrap_or(arguments.len()), 0),
    };
    (arguments[..at].to_vec(), arguments[at + skipped..].to_vec())
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes a value")]
fn of_git(error: GitError) -> CliError {
    CliError::new(FAILED, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_precede_paths() {
        let split = |text: &str| split(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (text, options, paths) in [
            ("", "", ""),
            ("--word-diff src a.txt", "--word-diff", "src a.txt"),
            ("-S foo -- src", "-S foo", "src"),
            ("-- -odd", "", "-odd"),
        ] {
            assert_eq!(split(text), (words(options), words(paths)), "{text}");
        }
    }
}
