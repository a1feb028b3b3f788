//! `boi open`: a shell, the agent's own session, or a command in the worktree of a spec.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use clap::Args;
use serde_json::json;

use super::backend::{self, Backend};
use super::printing::print_json;
use super::{CliError, ExitCode, FAILED, block_on, ids, open_lock};
use crate::agents::Resumed;
use crate::config::EnvValue;
use crate::config::flags::Flags;
use crate::control::review::Opened;
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::position::Checkout;
use crate::domain::view::SpecView;
use crate::git::{self, GitError, Worktree};
use crate::process::interactive;
use crate::queue::{Filter, Queue, QueueError};
use crate::reload;
use crate::system::output::say;
use crate::system::paths::{self, Home};

/// The arguments of `boi open`.
#[derive(Debug, Args)]
pub(super) struct Open {
    /// The spec
    #[arg(value_name = "ID", value_parser = ids::spec_id)]
    id: SpecId,
    /// Continue the session of the agent's last run, interactively
    #[arg(long)]
    agent: bool,
    /// Make the worktree and print its path as JSON, but start nothing
    #[arg(long, conflicts_with_all = ["agent", "command"])]
    pub(super) json: bool,
    /// Run this command instead of a shell
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "agent")]
    command: Vec<OsString>,
}

/// What runs in the worktree.
struct Program {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
}

/// Carries out `boi open`.
pub(super) fn open(home: &Home, args: &Open) -> Result<ExitCode, CliError> {
    let configured = backend::configured(home);
    configured.check_places()?;
    configured.check_identity()?;
    let id = &args.id;
    let queue = backend::read(&configured)?.ok_or_else(|| QueueError::NotFound(id.clone()))?;
    let filter = Filter { ids: vec![id.clone()], history: true, ..Filter::default() };
    let view = queue.list(&filter)?.specs.into_iter().next().ok_or_else(|| QueueError::NotFound(id.clone()))?;
    let may_run = may_run(&view);
    refuse(&view, args.agent && may_run)?;
    let program = match args.agent {
        true => agent_session(home, queue.as_ref(), &view)?,
        false => shell_or_command(&args.command),
    };
    let (folder, _lock) = worktree_of(&configured, &view, may_run)?;
    let before = branch_of(&view);
    let mut opened = Opened { id: id.clone(), worktree: None, head: None };
    if view.repo.is_some() {
        opened.worktree = Some(folder.to_string_lossy().into_owned());
    }
    record(home, &opened)?;
    if args.json {
        print_json(
            &json!({"id": id, "worktree": folder, "branch": view.repo.is_some().then(|| id.branch()), "head": before}),
        )?;
        return Ok(0);
    }
    if may_run {
        say!(
            "{id} is {}: boi may change the files meanwhile, and removes the worktree when the spec completes",
            view.status.as_str()
        );
    }
    if args.command.is_empty() {
        let on = if view.repo.is_some() { format!(" on the branch {}", id.branch()) } else { String::new() };
        say!("{id} in {}{on}; `exit` returns", folder.display());
    }
    let status =
        interactive::run(&program.program, &program.arguments, &folder, &program.variables).map_err(|error| {
            let name = program.program.to_string_lossy().into_owned();
            CliError::new(FAILED, format!("cannot start `{name}` in {}: {error}", folder.display()))
        })?;
    record_commits(home, queue.as_ref(), &view, before.as_deref())?;
    Ok(code_of(status))
}

/// Whether a worker may use the worktree.
fn may_run(view: &SpecView) -> bool {
    match view.status {
        SpecStatus::Running => true,
        SpecStatus::Queued => !matches!(view.cause, Some(Cause::Blocked { .. })),
        _ => false,
    }
}

fn refuse(view: &SpecView, agent_may_run: bool) -> Result<(), CliError> {
    let id = &view.id;
    if view.status == SpecStatus::Dropped {
        let message = format!("{id} is dropped, so it has no worktree");
        return Err(CliError::new(FAILED, message).hint(format!("first restore it: `boi drop --undo {id}`")));
    }
    if agent_may_run {
        let message = format!("{id} is {}, so its agent's session must not be continued here", view.status.as_str());
        return Err(CliError::new(FAILED, message)
            .hint(format!("`boi stop {id}` stops the spec; `boi open {id}` opens a shell meanwhile")));
    }
    Ok(())
}

/// Returns the folder of the worktree, after making it again if it is gone, and the lock that keeps others
/// from removing it.
fn worktree_of(configured: &Home, view: &SpecView, may_run: bool) -> Result<(PathBuf, std::fs::File), CliError> {
    let id = &view.id;
    let folder = configured.worktree(id, view.worktree.as_deref());
    let lock = || {
        let acquired = open_lock::acquire(configured, id)?;
        acquired.ok_or_else(|| open_lock::is_open(id, "opened again"))
    };
    let (Some(repo), false) = (&view.repo, may_run && folder.is_dir()) else {
        if !folder.is_dir() {
            let message = format!("{id} has no worktree: {} does not exist", folder.display());
            return Err(CliError::new(FAILED, message).hint(format!("`boi status {id}` says how far the spec is")));
        }
        return Ok((folder, lock()?));
    };
    let Some(head) = git::branch_head(Path::new(repo), id).map_err(of_git)? else {
        let message = format!("{id} has no branch {} in {repo} from which its worktree could be made", id.branch());
        return Err(CliError::new(FAILED, message).hint(match view.status {
            SpecStatus::Queued => format!("it has not begun: `boi status {id}` says what it waits for"),
            _ => format!("`boi diff {id}` shows its changes, if git still has them"),
        }));
    };
    let worktree = Worktree::of_user(repo.into(), folder.clone(), id.clone(), configured.spec_attempts(id).join("git"));
    // Whoever removes the worktree looks for the lock of `boi open` under this lock.
    let locked = worktree.lock().map_err(of_git)?;
    let lock = lock()?;
    git::create_worktree(&locked, &head, Checkout::AsItIs, "leftover").map_err(of_git)?;
    Ok((folder, lock))
}

fn shell_or_command(command: &[OsString]) -> Program {
    let (program, arguments) = match command {
        [program, arguments @ ..] => (program.clone(), arguments.to_vec()),
        [] => (paths::variable("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into()), vec![]),
    };
    Program { program, arguments, variables: Vec::new() }
}

/// Returns the command that continues the session of the spec's last try that had one.
fn agent_session(home: &Home, queue: &dyn Queue, view: &SpecView) -> Result<Program, CliError> {
    let id = &view.id;
    let last = view.tasks.iter().enumerate().flat_map(|(index, task)| {
        task.history.iter().filter_map(move |one| Some((one.started_at, index, one.session_id.clone()?)))
    });
    let Some((_, task, session)) = last.max_by_key(|(at, ..)| *at) else {
        let message = format!("{id} has no session of an agent");
        return Err(CliError::new(FAILED, message).hint(format!("`boi open {id}` opens a shell instead")));
    };
    let spec = queue.spec(id)?;
    let name = spec.agent_of(task);
    let loaded = reload::load(home, &Flags::default())?;
    let Some(agent) = loaded.config.agents.get(name) else {
        return Err(CliError::new(FAILED, format!("config.toml defines no agent `{name}`")));
    };
    let command = agent.worker.command.words();
    let resumed = Resumed { command: &command, model: agent.worker.model_of(spec.model.as_deref()), session: &session };
    let Some(argv) = agent.worker.output.dialect().resume_interactively(&resumed) else {
        let message = format!("boi does not know how to continue a session of the agent `{name}`");
        return Err(CliError::new(FAILED, message).hint(format!("`boi open {id}` opens a shell instead")));
    };
    let mut words = argv.into_iter().map(OsString::from);
    let program = words.next().unwrap_or_else(|| name.into());
    let value = |value: &EnvValue| match value {
        EnvValue::Text(text) => Some(text.into()),
        EnvValue::FromEnv(name) => paths::variable(name),
    };
    let variables = agent.env.iter().filter_map(|(name, set)| Some((name.clone(), value(set)?))).collect();
    Ok(Program { program, arguments: words.collect(), variables })
}

/// Records the commits that the user made on the branch, so that a retry starts from them.
fn record_commits(home: &Home, queue: &dyn Queue, view: &SpecView, before: Option<&str>) -> Result<(), CliError> {
    let id = &view.id;
    let (Some(repo), Some(after)) = (&view.repo, branch_of(view)) else { return Ok(()) };
    if before == Some(&after) {
        return Ok(());
    }
    match queue.recorded_head(id)? {
        Some(recorded) if !git::contains(Path::new(repo), &recorded, &after).map_err(of_git)? => {
            say!(
                "{} no longer contains the commit {recorded} of boi; a retry of {id} starts from that commit",
                id.branch()
            );
            Ok(())
        }
        _ => record(home, &Opened { id: id.clone(), worktree: None, head: Some(after) }),
    }
}

fn record(home: &Home, opened: &Opened) -> Result<(), CliError> {
    block_on(async { Backend::find(home).await?.opened(home, opened).await })
}

fn branch_of(view: &SpecView) -> Option<String> {
    git::branch_head(Path::new(view.repo.as_ref()?), &view.id).ok().flatten()
}

/// Returns the exit code of boi for the end of the program, as shells do.
fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(FAILED)
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes a value")]
fn of_git(error: GitError) -> CliError {
    CliError::new(FAILED, error.to_string())
}
