//! `boi skill`: prints the skill that teaches an agent to work with boi, and installs it where agents look for skills.
//!
//! An installed file ends with a line that contains a checksum of the text before it. So a file that nobody changed is
//! recognized, also one that an earlier version installed, and a later version may replace it.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::printing::{print, print_json, print_line};
use super::{CliError, ExitCode, FAILED};
use crate::system::files;
use crate::system::output::say;
use crate::system::paths;

/// The skill.
const SKILL: &str = include_str!("../../skills/boi/SKILL.md");
/// The path of the skill below a folder of skills.
const FILE: &str = "boi/SKILL.md";
/// The beginning of the last line of an installed skill. The version and the checksum follow.
const MARK: &str = "<!-- installed by boi ";
/// The largest file that can be a skill, in bytes.
const LARGEST: usize = 1 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum Skill {
    /// Install the skill where agents look for skills
    ///
    /// Write boi/SKILL.md into the folders .claude/skills, which Claude Code reads, and .agents/skills, which Codex,
    /// Gemini CLI and opencode read. A file that was changed after boi installed it stays as it is, unless --force
    /// is given. Run the command again after an upgrade of boi.
    ///
    /// Exit codes: 0 the skill is installed; 1 a file was changed, or cannot be written.
    #[command(after_help = "Examples:\n  boi skill install\n  boi skill install --project")]
    Install(Install),
    /// Print the skill
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Install {
    /// Install it for you, in the folders of your home directory, as without an option
    #[arg(long, conflicts_with = "project")]
    user: bool,
    /// Install it for the repository of the current directory
    #[arg(long)]
    project: bool,
    /// Replace a changed file too
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Skill {
    pub(super) fn json(&self) -> bool {
        match self {
            Skill::Install(Install { json, .. }) | Skill::Show { json } => *json,
        }
    }
}

/// What happened to one file.
#[derive(Debug, Serialize)]
struct Installed {
    path: PathBuf,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// There was no file.
    Created,
    /// An older skill, or with `--force` a changed one, was replaced.
    Updated,
    /// The file is the skill of this version already.
    Unchanged,
    /// The file was changed after boi installed it, or boi did not install it.
    Refused,
    /// The file cannot be written.
    Failed,
}

/// Carries out `boi skill`.
pub(super) fn skill(command: &Skill) -> Result<ExitCode, CliError> {
    match command {
        Skill::Show { json: true } => {
            let text = serde_json::json!({"name": "boi", "version": env!("CARGO_PKG_VERSION"), "text": SKILL});
            print_json(&text)?;
            Ok(0)
        }
        Skill::Show { json: false } => {
            print(SKILL.as_bytes())?;
            Ok(0)
        }
        Skill::Install(args) => install_all(args),
    }
}

fn install_all(args: &Install) -> Result<ExitCode, CliError> {
    let folders = if args.project && !args.user { project_folders()? } else { user_folders()? };
    let files: Vec<Installed> = folders.into_iter().map(|folder| install(folder.join(FILE), args.force)).collect();
    if args.json {
        print_json(&serde_json::json!({"files": files}))?;
    } else {
        for file in &files {
            let path = file.path.display();
            match (file.outcome, &file.error) {
                (Outcome::Created, _) => print_line(&format!("installed {path}"))?,
                (Outcome::Updated, _) => print_line(&format!("updated {path}"))?,
                (Outcome::Unchanged, _) => print_line(&format!("{path} is up to date"))?,
                (Outcome::Refused, _) => say!("{path} was changed, and stays as it is: --force replaces it"),
                (Outcome::Failed, error) => say!("cannot write {path}: {}", error.as_deref().unwrap_or("unknown")),
            }
        }
    }
    let failed = files.iter().any(|file| matches!(file.outcome, Outcome::Refused | Outcome::Failed));
    Ok(if failed { FAILED } else { 0 })
}

/// Returns the folders of the user's skills. `CLAUDE_CONFIG_DIR` moves the one of Claude Code.
fn user_folders() -> Result<[PathBuf; 2], CliError> {
    let home = paths::expand_tilde(Path::new("~"));
    if !home.is_absolute() {
        return Err(CliError::new(FAILED, "the environment variable HOME is not an absolute path")
            .hint("`boi skill install --project` installs the skill for one repository"));
    }
    let claude = paths::variable("CLAUDE_CONFIG_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    Ok([claude.unwrap_or_else(|| home.join(".claude")).join("skills"), home.join(".agents/skills")])
}

/// Returns the folders of skills of the repository around the current directory; without a repository, those of the
/// directory itself.
fn project_folders() -> Result<[PathBuf; 2], CliError> {
    let here = std::env::current_dir()?;
    let root = here.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&here);
    Ok([root.join(".claude/skills"), root.join(".agents/skills")])
}

fn install(path: PathBuf, force: bool) -> Installed {
    match try_install(&path, force) {
        Ok(outcome) => Installed { path, outcome, error: None },
        Err(error) => Installed { path, outcome: Outcome::Failed, error: Some(error.to_string()) },
    }
}

fn try_install(path: &Path, force: bool) -> io::Result<Outcome> {
    let wanted = marked(SKILL);
    // A link may lead to a file that the user keeps elsewhere, so it counts as changed.
    let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    let outcome = match files::read_user_file(path, LARGEST)? {
        _ if is_link && !force => return Ok(Outcome::Refused),
        None => Outcome::Created,
        Some(found) if found == wanted.as_bytes() => return Ok(Outcome::Unchanged),
        Some(found) if force || is_untouched(&found) => Outcome::Updated,
        Some(_) => return Ok(Outcome::Refused),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    write(path, wanted.as_bytes())?;
    Ok(outcome)
}

/// Replaces a file. A reader sees all of the old content or all of the new content.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // Others may read it, as far as the umask lets them: the file of a project is shared.
    let mode = Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Returns the skill as it is installed.
fn marked(text: &str) -> String {
    format!("{text}\n{MARK}{}, checksum {} -->\n", env!("CARGO_PKG_VERSION"), checksum(text))
}

fn checksum(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// Returns whether a file is as some version of boi installed it.
fn is_untouched(found: &[u8]) -> bool {
    let Ok(found) = std::str::from_utf8(found) else { return false };
    let Some((text, mark)) = found.rsplit_once(&format!("\n{MARK}")) else { return false };
    let known = mark.strip_suffix(" -->\n").and_then(|mark| mark.split_once(", checksum "));
    known.is_some_and(|(_, known)| known == checksum(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frontmatter_is_what_agents_accept() {
        let (head, body) = SKILL.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap();
        assert_eq!(field("name"), "boi");
        let description = field("description");
        assert!(description.chars().count() <= 1024 && !description.contains(['<', '>']), "{description}");
        // A YAML value without quotes must not contain these.
        assert!(!description.contains(": ") && !description.contains(" #"), "{description}");
        assert!(body.lines().count() < 500);
    }

    #[test]
    fn an_installed_file_is_updated_and_a_changed_one_is_kept() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join(FILE);
        let outcome = |force| install(path.clone(), force).outcome;
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        assert_eq!((outcome(false), outcome(false)), (Outcome::Created, Outcome::Unchanged));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), marked(SKILL));
        write(&marked("an earlier version\n").replace(env!("CARGO_PKG_VERSION"), "0.0.1"));
        assert_eq!(outcome(false), Outcome::Updated);
        for changed in ["by hand\n", "", &marked(SKILL).replacen("boi", "BOI", 1), &(marked(SKILL) + "more\n")] {
            write(changed);
            assert_eq!(outcome(false), Outcome::Refused, "{changed}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), changed);
        }
        assert_eq!((outcome(true), outcome(false)), (Outcome::Updated, Outcome::Unchanged));
    }

    #[test]
    fn a_link_is_kept_and_a_file_in_the_place_of_a_folder_is_reported() {
        let folder = tempfile::TempDir::new().unwrap();
        let (mine, path) = (folder.path().join("mine"), folder.path().join(FILE));
        std::fs::write(&mine, marked("mine\n")).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&mine, &path).unwrap();
        assert_eq!(install(path.clone(), false).outcome, Outcome::Refused);
        assert_eq!(install(path, true).outcome, Outcome::Updated);
        assert_eq!(std::fs::read_to_string(&mine).unwrap(), marked("mine\n"), "the target of the link stays");
        let blocked = install(mine.join(FILE), false);
        assert!(blocked.outcome == Outcome::Failed && blocked.error.is_some(), "{blocked:?}");
    }
}
