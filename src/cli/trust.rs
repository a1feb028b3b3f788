//! `boi trust` and `boi config show --repo`: show a repository's own configuration, and let boi run its commands.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::backend::{Backend, call, read, write};
use super::printing::{print_json, print_line};
use super::{CliError, ExitCode, FAILED, USAGE, block_on};
use crate::control::calls::{RevokeTrust, Trust as TrustCall};
use crate::control::client::Client;
use crate::domain::id::SpecId;
use crate::domain::repository_config::{FILE, RepositoryConfig};
use crate::domain::text;
use crate::git::{self, RepositoryFile};
use crate::queue::repositories::{Trusted, hash};
use crate::spec::repository_config;
use crate::system::clock;
use crate::system::paths::Home;
use crate::ui::times;

/// Examples of `boi trust`.
pub(super) const HELP: &str = "\
Examples:
  boi trust                     # the repository of the current folder
  boi trust ~/src/api --base dev
  boi trust --list
  boi trust --revoke ~/src/api";

/// How many digits of a commit's hash are shown.
const SHOWN_HASH: usize = 10;

/// The arguments of `boi trust`.
#[derive(Debug, Args)]
pub(super) struct Trust {
    /// The repository [default: that of the current folder]
    #[arg(value_hint = clap::ValueHint::DirPath)]
    repo: Option<PathBuf>,
    /// The branch, tag or commit whose .boi.toml is trusted [default: the branch that REPO is on]
    #[arg(long, value_name = "REV", conflicts_with_all = ["list", "revoke"])]
    base: Option<String>,
    /// Show the commands and trust nothing
    #[arg(long, conflicts_with_all = ["list", "revoke"])]
    dry_run: bool,
    /// List what you trust, in all repositories or in REPO
    #[arg(long, conflicts_with = "revoke")]
    list: bool,
    /// Trust nothing of REPO any more
    #[arg(long)]
    revoke: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A repository's configuration at a base.
struct Found {
    /// The git directory that all working trees of the repository share.
    repository: String,
    /// The root of the working tree.
    path: PathBuf,
    base: String,
    commit: String,
    /// The configuration; `None`: the base has none. The error says why it cannot be used.
    config: Result<Option<RepositoryConfig>, Vec<String>>,
}

/// Carries out `boi trust`.
pub(super) fn trust(home: &Home, args: &Trust) -> Result<ExitCode, CliError> {
    let repo = || args.repo.clone().unwrap_or_else(|| PathBuf::from("."));
    if args.list {
        return list(home, args.repo.as_deref(), args.json);
    }
    if args.revoke {
        return revoke(home, &repo(), args.json);
    }
    let found = find(&repo(), args.base.as_deref())?;
    let config = match &found.config {
        Ok(Some(config)) => config,
        Ok(None) => return Err(CliError::new(FAILED, format!("{} has no {FILE}", found.place()))),
        Err(problems) => return Err(unusable(&found, problems)),
    };
    let commands = config.commands();
    let before = trusted(home, Some(&found.repository))?;
    let known = before.iter().any(|trusted| trusted.hash == hash(&commands));
    let is_new = !commands.is_empty() && !known;
    let mut released = Vec::new();
    if is_new && !args.dry_run {
        let trusted = Trusted::new(&found.repository, &commands, clock::now());
        released = block_on(async { Backend::find(home).await?.trust(home, &trusted).await })?;
    }
    if args.json {
        print_json(&json!({
            "repository": found.repository, "path": found.path, "base": found.base, "commit": found.commit,
            "commands": commands.lines().collect::<Vec<_>>(), "hash": hash(&commands),
            "trusted": !commands.is_empty() && (known || !args.dry_run), "changed": is_new && !args.dry_run, "released": released,
        }))?;
        return Ok(0);
    }
    print_line(&format!("{FILE} of {}", found.place()))?;
    if commands.is_empty() {
        print_line("It has no commands and copies no files, so it needs no trust.")?;
        return Ok(0);
    }
    for line in compared(before.first().map_or("", |trusted| &trusted.commands), &commands, before.is_empty() || known)
    {
        print_line(&format!("  {}", text::plain(&line)))?;
    }
    print_line(&match (args.dry_run, known) {
        (_, true) => "You trust these commands already.".to_owned(),
        (true, false) => "Nothing was changed (--dry-run).".to_owned(),
        (false, false) => {
            "Trusted: boi runs these commands in worktrees of this repository, from any branch.".to_owned()
        }
    })?;
    if !released.is_empty() {
        let ids: Vec<&str> = released.iter().map(SpecId::as_str).collect();
        print_line(&format!("No longer blocked: {}", ids.join(", ")))?;
    }
    Ok(0)
}

/// Returns the lines to show: those of `new` or, if the user trusted `old` before, the differences.
fn compared(old: &str, new: &str, only_new: bool) -> Vec<String> {
    if only_new {
        return new.lines().map(str::to_owned).collect();
    }
    let gone = old.lines().filter(|line| !new.lines().any(|other| other == *line)).map(|line| format!("- {line}"));
    let now =
        new.lines().map(|line| if old.lines().any(|other| other == line) { "  " } else { "+ " }.to_owned() + line);
    gone.chain(now).collect()
}

fn list(home: &Home, repo: Option<&Path>, json: bool) -> Result<ExitCode, CliError> {
    let repository = repo.map(identity).transpose()?;
    let trusted = trusted(home, repository.as_deref())?;
    if json {
        print_json(&trusted.iter().map(as_json).collect::<Vec<_>>())?;
        return Ok(0);
    }
    if trusted.is_empty() {
        print_line("You trust the commands of no repository.")?;
    }
    for record in trusted {
        let (repository, at) = (text::plain(&record.repository), times::localized(&record.at.to_string()));
        print_line(&format!("{repository}  trusted {at}"))?;
        for line in record.commands.lines() {
            print_line(&format!("  {}", text::plain(line)))?;
        }
    }
    Ok(0)
}

fn as_json(trusted: &Trusted) -> Value {
    let Trusted { repository, hash, commands, at } = trusted;
    json!({"repository": repository, "hash": hash, "commands": commands.lines().collect::<Vec<_>>(), "trusted_at": at})
}

fn revoke(home: &Home, repo: &Path, json: bool) -> Result<ExitCode, CliError> {
    let repository = identity(repo)?;
    let removed = block_on(async { Backend::find(home).await?.revoke_trust(home, &repository).await })?;
    if json {
        print_json(&json!({"repository": repository, "removed": removed}))?;
    } else if removed == 0 {
        print_line(&format!("You trusted no commands of {repository}."))?;
    } else {
        print_line(&format!(
            "Revoked: specs of {repository} whose {FILE} has commands are blocked from their next start on."
        ))?;
    }
    Ok(0)
}

/// Carries out `boi config show --repo`.
pub(super) fn show(home: &Home, repo: &Path, base: Option<&str>, json: bool) -> Result<ExitCode, CliError> {
    let found = find(repo, base)?;
    let config = match &found.config {
        Ok(config) => config.clone(),
        Err(problems) => return Err(unusable(&found, problems)),
    };
    let commands = config.as_ref().map(RepositoryConfig::commands).unwrap_or_default();
    let needs_trust = !commands.is_empty();
    let known = trusted(home, Some(&found.repository))?;
    let is_trusted = needs_trust && known.iter().any(|trusted| trusted.hash == hash(&commands));
    if json {
        print_json(&json!({
            "repository": found.repository, "path": found.path, "base": found.base, "commit": found.commit,
            "config": config, "needs_trust": needs_trust, "trusted": is_trusted,
        }))?;
        return Ok(0);
    }
    print_line(&format!("{FILE} of {}", found.place()))?;
    let Some(config) = config else {
        print_line("There is no such file: every spec decides for itself.")?;
        return Ok(0);
    };
    let values = serde_json::to_value(&config).map_err(|error| CliError::new(FAILED, error.to_string()))?;
    for (key, value) in values.as_object().into_iter().flatten() {
        print_line(&format!("{key} = {}", text::plain(&value.to_string())))?;
    }
    match (needs_trust, is_trusted) {
        (false, _) => print_line("It has no commands and copies no files, so it needs no trust."),
        (true, true) => print_line("You trust its commands."),
        (true, false) => print_line(&format!(
            "Its commands are not trusted: specs from this base are blocked until `boi trust {} --base {}`.",
            found.path.display(),
            found.base
        )),
    }?;
    Ok(0)
}

impl Found {
    fn place(&self) -> String {
        let commit: String = self.commit.chars().take(SHOWN_HASH).collect();
        format!("{} at {} (commit {commit})", self.path.display(), self.base)
    }
}

fn unusable(found: &Found, problems: &[String]) -> CliError {
    let message = format!("{FILE} of {} cannot be used: {}", found.place(), problems.join("; "));
    CliError::new(FAILED, message).hint("correct the file and commit it")
}

/// Reads a repository's configuration at a base, or at the branch that the repository is on.
fn find(repo: &Path, base: Option<&str>) -> Result<Found, CliError> {
    let inspected = git::inspect_repository(repo).map_err(|refusal| CliError::new(USAGE, refusal.to_string()))?;
    let (path, base) = (inspected.toplevel, base.map_or(inspected.default_base, str::to_owned));
    let commit = git::resolve_base(&path, &base).map_err(|error| CliError::new(USAGE, error.to_string()))?;
    let limit = repository_config::MAX_BYTES as u64;
    let file = git::read_repository_file(&path, &commit, FILE, limit)
        .map_err(|error| CliError::new(FAILED, error.to_string()))?;
    let config = match file {
        RepositoryFile::Missing => Ok(None),
        RepositoryFile::Unusable(why) => Err(vec![why]),
        RepositoryFile::Content(bytes) => {
            repository_config::parse(FILE, &bytes).map(Some).map_err(|problems| problems.lines())
        }
    };
    Ok(Found { repository: identity(&path)?, path, base, commit, config })
}

fn identity(repo: &Path) -> Result<String, CliError> {
    git::identity_of(repo).map_err(|error| CliError::new(USAGE, error.to_string()))
}

fn trusted(home: &Home, repository: Option<&str>) -> Result<Vec<Trusted>, CliError> {
    Ok(match read(home)? {
        Some(queue) => queue.trusted(repository)?,
        None => Vec::new(),
    })
}

/// What the commands wait for, in messages.
const ANSWER: Option<&str> = Some("the daemon's answer");

impl Backend {
    /// Records that the user trusts commands. Returns the specs that are no longer blocked.
    async fn trust(&mut self, home: &Home, trusted: &Trusted) -> Result<Vec<SpecId>, CliError> {
        let request = TrustCall { trusted: trusted.clone() };
        let by_daemon = async |client: &Client| Ok(call(client, &request).await?.ids);
        self.carry_out(home, ANSWER, by_daemon, async |home| Ok(write(home)?.trust(trusted)?)).await
    }

    /// Forgets what the user trusts in a repository. Returns how many records there were.
    async fn revoke_trust(&mut self, home: &Home, repository: &str) -> Result<usize, CliError> {
        let request = RevokeTrust { repository: repository.to_owned() };
        let by_daemon = async |client: &Client| Ok(call(client, &request).await?);
        self.carry_out(home, ANSWER, by_daemon, async |home| Ok(write(home)?.revoke_trust(repository)?)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_commands_are_shown_as_differences() {
        let lines = |old: &str, new: &str, only_new| compared(old, new, only_new).join("|");
        assert_eq!(lines("", "a\nb\n", true), "a|b");
        assert_eq!(lines("a\nb\n", "b\nc\n", false), "- a|  b|+ c");
    }
}
