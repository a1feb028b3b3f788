//! The arguments of every command, with their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::cancel_retry::Retry;
use super::diff::Diff;
use super::drop::Drop;
use super::help_texts::{DIFF_HELP, EVENTS_HELP, MERGE_HELP, OPEN_HELP, RETRY_HELP};
use super::merge::Merge;
use super::open::Open;
use super::report::Report;
use super::skill::Skill;
use super::subcommands::{Config, Daemon, QueueCommand};
use super::trust::Trust;
use super::{CliError, USAGE, ids};
use crate::config::flags::Flags;
use crate::domain::event::EventKind;
use crate::domain::id::SpecId;
use crate::domain::time::Timestamp;

/// Run fleets of coding agents from a durable queue
///
/// A spec (a TOML file) lists tasks: prompts for an agent, or shell commands. boi runs the tasks one after
/// another in a git worktree of their own, verifies each one, and leaves the result on the branch boi/ID.
/// Agents run without asking for permission, with your rights.
#[derive(Debug, Parser)]
#[command(name = "boi", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  boi run spec.toml            Run one spec and follow it to its end
  boi daemon start             Start the daemon, which runs what is in the queue
  boi dispatch a.toml b.toml   Queue two specs
  boi status --watch           Watch the queue

Environment:
  BOI_HOME    The folder of the configuration, the queue and the logs [default: ~/.boi]
  CLAUDE_BIN  The agent's program, unless `claude_bin` is set in config.toml [default: claude]
  NO_COLOR    Print no colors

Exit codes:
  0 done; 1 the command or a spec failed; 2 bad arguments or a bad spec; 3 no daemon runs;
  4 gave up waiting; 78 bad configuration when a daemon starts; 130 ended by Ctrl-C";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run specs and follow them to their end
    ///
    /// Queue the specs and show their progress until each one has ended. Without a running daemon, this
    /// command becomes the daemon, but only for these specs and the specs that they wait for: Ctrl-C then
    /// stops the workers and queues the specs again. With a running daemon, Ctrl-C ends only this command,
    /// the specs continue, and -c has no effect.
    #[command(after_help = RUN_HELP)]
    Run(Run),
    /// Queue specs for the daemon
    ///
    /// Validate the spec files and queue a snapshot of each one: later edits of the files do not change the
    /// queued specs. Works without a running daemon.
    #[command(after_help = DISPATCH_HELP)]
    Dispatch(Dispatch),
    /// Show the queue, the workers and the configuration
    ///
    /// Without options, list everything that waits or runs, and what ended last. Works without a running
    /// daemon.
    #[command(after_help = STATUS_HELP)]
    Status(Status),
    /// Show what ended, what needs you, and what to review
    ///
    /// The report has the specs that ended in the last 12 h or, if none did, in the 12 h before the last end. Works
    /// without a running daemon.
    #[command(after_help = super::report::HELP)]
    Report(Report),
    /// Show a dashboard of the queue, and act on it with keys
    /// Show what needs you, what runs, and what is next. Keys show changes and output, merge, send back, retry,
    /// drop, cancel and pause; `?` lists them. Needs a terminal. Works without a running daemon.
    #[command(after_help = TOP_HELP)]
    Top,
    /// Show what the commands of a spec printed
    ///
    /// By default, show the current try of the current task, or the last one.
    #[command(after_help = LOG_HELP)]
    Log(Log),
    /// Show what happened, event by event
    ///
    /// Without --since, show the last 100 events, or with -f the last 10 and then each new one. Works without a
    /// running daemon. docs/events.md describes the kinds of events.
    #[command(after_help = EVENTS_HELP)]
    Events(Events),
    /// End specs and every process that they run
    ///
    /// Running commands get SIGTERM, then SIGKILL after `stop_grace_seconds`. Specs that wait for a canceled
    /// spec fail. The worktrees of canceled specs stay until `boi clean`, unless `cleanup_on_failure` is set.
    /// Works without a running daemon.
    Cancel(Ids),
    /// Queue failed, canceled or unmerged specs again
    ///
    /// A failed or canceled spec continues with a new attempt after its last finished task; the unfinished
    /// work of the earlier attempt is kept under a git ref. An unmerged spec repeats only the merge. Specs
    /// that failed because they waited for one of these specs are queued again too.
    ///
    /// With --note, a completed spec that is not merged can be sent back too: a new attempt on its branch
    /// tries the first unfinished prompt task again, or the last prompt task and those after it if all are
    /// done. The prompt contains the note.
    #[command(after_help = RETRY_HELP)]
    Retry(Retry),
    /// Land the branches of completed specs, each into its base
    ///
    /// The branches are merged into the base, verified together, and the base is moved by fast-forward. A branch
    /// that conflicts with the base, or fails a verify command only after the merge, goes back to its agent once
    /// more (`on_conflict` in the spec). Waits until each spec is merged or stays unmerged. Works without a
    /// running daemon.
    #[command(after_help = MERGE_HELP)]
    Merge(Merge),
    /// Show what the branch of a spec changed, with `git diff`
    ///
    /// Compare the branch with the commit that it started from, without the changes that came with its base.
    /// Uses your configuration and pager of git. Shows a dropped branch, and one that was deleted after its
    /// merge, too.
    #[command(after_help = DIFF_HELP)]
    Diff(Diff),
    /// Open a shell, or the agent's session, in the worktree of a spec
    ///
    /// If the worktree is gone, it is made again from the branch. Until the shell ends, `boi clean` leaves
    /// the worktree alone, and `boi retry` and `boi drop` refuse the spec. Commits that you make on the
    /// branch are a part of the spec's result; changes that you do not commit are kept under a ref when the
    /// worktree is removed. The exit code is that of the shell or command.
    #[command(after_help = OPEN_HELP)]
    Open(Open),
    /// Reject specs: their branches go to kept refs, and their worktrees go
    ///
    /// A dropped spec is not merged, retried or listed (`boi status --all` lists it). Its branch is kept
    /// under the ref refs/boi/kept/ID/dropped-COMMIT, and unsaved work of its worktree under another one.
    /// Specs that wait for it, or will start from its branch, fail. `--undo` brings the branch and the former
    /// status back; a spec that was queued becomes canceled. Works without a running daemon.
    #[command(after_help = "Examples:\n  boi drop SD979 SDF99\n  boi drop --undo SD979")]
    Drop(Drop),
    /// Stop specs until `boi retry`
    ///
    /// End the running commands of the specs, or block queued specs. `boi retry` continues a stopped spec in the
    /// same attempt, task and try, with the files as they are. Works without a running daemon.
    Stop(Ids),
    /// Wait until specs have ended
    ///
    /// Print how each spec ended. Without a running daemon, wait until a daemon runs the specs.
    #[command(after_help = WAIT_HELP)]
    Wait(Wait),
    /// Change the priority of a queued spec
    ///
    /// Specs with a lower number run first; those with the same number run in the order in which they were
    /// queued. Works without a running daemon.
    #[command(after_help = "Example:\n  boi priority SD979 10    Run it before specs with the default priority, 100")]
    Priority(Priority),
    /// Remove what ended specs left: worktrees, attempt folders, merged branches
    ///
    /// Without ids, only of specs that landed (a base has their branch), were dropped, or completed with
    /// nothing to land (no repository, or no commit); with --all, of every spec that has ended.
    ///
    /// Work that is on no branch is kept under refs (refs/boi/kept/...), which `boi status ID` lists.
    /// Branches that are not merged stay.
    #[command(after_help = CLEAN_HELP)]
    Clean(Clean),
    /// Stop starting specs; running ones continue
    ///
    /// The pause stays in force until `boi resume`, also when the daemon restarts.
    Pause(JsonFlag),
    /// Start specs again after `boi pause`, and try held agents at once
    ///
    /// boi holds an agent (starts none of its runs) after a refusal, such as a usage limit. For each such
    /// agent, one run starts as a probe. With AGENT, boi tries only that agent, and a hold that was made with
    /// `boi hold` ends. Works without a running daemon.
    Resume(Resume),
    /// Stop starting an agent; its running runs continue
    ///
    /// The hold ends at the given time, or with `boi resume AGENT`. It stays in force when the daemon restarts.
    /// Other agents and `run` tasks continue. Works without a running daemon.
    #[command(
        after_help = "Examples:\n  boi hold claude\n  boi hold claude --until 07:30\n  boi hold codex --until 2h"
    )]
    Hold(Hold),
    /// Trust the commands in a repository's .boi.toml
    ///
    /// Specs of a repository whose .boi.toml has commands, or copies files, wait until you trust them. After a
    /// change, the command shows the differences.
    #[command(after_help = super::trust::HELP)]
    Trust(Trust),
    /// Back up the queue
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Show, check and change the configuration
    #[command(subcommand)]
    Config(Config),
    /// Control the daemon, which runs the specs in the queue
    #[command(subcommand)]
    Daemon(Daemon),
    /// Find problems with the queue, processes, folders, repositories and limits
    ///
    /// Works with and without a running daemon, and changes nothing without --fix.
    ///
    /// Exit codes: 0 no problems, or all were fixed; 1 problems are left.
    Doctor(Doctor),
    /// Teach agents to work with boi: print or install the skill
    ///
    /// A skill is a text that an agent such as Claude Code reads when the user asks for work that it describes.
    #[command(subcommand)]
    Skill(Skill),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  boi completions bash > ~/.local/share/bash-completion/completions/boi")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the values with which a shell can complete a word
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The index of the word
        at: usize,
        /// The words of the command line
        #[arg(last = true)]
        words: Vec<String>,
    },
}

const WAIT_HELP: &str = "\
Exit codes:
  0 every spec completed (with --any: every spec that has ended); 1 a spec failed, was canceled or could not
  be merged; 4 the time of --timeout is over

Examples:
  boi wait SD979 && git merge boi/SD979
  boi wait SD979 SDF99 --any --timeout 30m";

const RUN_HELP: &str = "\
Exit codes:
  0 every spec completed; 1 a spec failed, was canceled or could not be merged; 130 Ctrl-C

Example:
  boi run spec.toml -c max_workers=2";

const DISPATCH_HELP: &str = "\
Examples:
  boi dispatch *.toml                  Queue several specs: all of them, or none if one is invalid
  boi dispatch fix.toml --priority 10  Run it before specs with the default priority
  boi dispatch b.toml --after SD979    Run it after SD979 has completed
  make-spec | boi dispatch -           Queue a spec from standard input
  boi dispatch --prompt 'Fix the flaky test' --verify 'cargo test'";

const STATUS_HELP: &str = "\
Examples:
  boi status SD979                  One spec, with each task and try
  boi status --status failed        The failed specs
  boi status --all --offset 50      The second page of all specs";

const TOP_HELP: &str = "\
Exit codes:
  0 quit with q; 2 standard input or output is no terminal; 129, 130, 143 a closed terminal, Ctrl-C, SIGTERM";

const LOG_HELP: &str = "\
Exit codes with -f:
  0 the spec completed; 1 it failed, was canceled or could not be merged

Examples:
  boi log SD979 -f              Follow the output until the spec ends
  boi log SD979 --task t-2 --try 1
  boi log SD979 --all           Everything, from the first task on";

const CLEAN_HELP: &str = "\
Examples:
  boi clean --dry-run               Show what would be removed
  boi clean --all --older-than 7d   Clean up everything that ended a week ago or earlier
  boi clean SD979";

/// The `-c` options, which set configuration keys for one process.
#[derive(Debug, Clone, Args)]
pub(super) struct ConfigFlags {
    /// Set a configuration key for this process only; it overrides config.toml. May be repeated
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
    pub(super) config: Vec<String>,
}

impl ConfigFlags {
    /// Parses and validates the keys and values.
    pub(super) fn read(&self) -> Result<Flags, CliError> {
        Flags::read(&self.config).map_err(|error| CliError::new(USAGE, error.to_string()))
    }
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Fix what can be fixed without losing anything, and report each fix
    #[arg(long)]
    pub(super) fix: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Spec files: all of them are queued, or none if one is invalid
    #[arg(required = true, value_name = "SPEC.toml")]
    pub(super) files: Vec<PathBuf>,
    /// Print the result as JSON, in the format of `boi status --json`; progress goes to stderr
    #[arg(long)]
    pub(super) json: bool,
    /// Do not wait for a held agent (for example at a usage limit): end when all unfinished specs wait for
    /// one
    #[arg(long)]
    pub(super) no_wait: bool,
    #[command(flatten)]
    pub(super) flags: ConfigFlags,
}

#[derive(Debug, Args)]
pub(super) struct Dispatch {
    /// Spec files, - for standard input: all of them are queued, or none if one is invalid
    #[arg(required_unless_present = "prompt", value_name = "SPEC.toml")]
    pub(super) files: Vec<PathBuf>,
    /// Queue a spec of one task with this prompt, in the repository of the current directory
    #[arg(long, value_name = "TEXT", conflicts_with = "files", allow_hyphen_values = true)]
    pub(super) prompt: Option<String>,
    /// With --prompt: a command that must exit 0 before the task is done. May be repeated
    #[arg(long, value_name = "CMD", requires = "prompt", allow_hyphen_values = true)]
    pub(super) verify: Vec<String>,
    /// Override the priority of the specs; a lower number runs first [without it: the spec's own, or 100]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) priority: Option<i64>,
    /// Run the specs after the specs with these ids have completed, in addition to their own `after`;
    /// separate ids with commas
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = ids::spec_id)]
    pub(super) after: Vec<SpecId>,
    /// Validate the specs and show what would be queued, but queue nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Show only this spec, with each task and try
    #[arg(value_name = "ID", value_parser = ids::spec_id)]
    pub(super) id: Option<SpecId>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Show the status again whenever it changes, until Ctrl-C
    #[arg(short, long, conflicts_with = "json")]
    pub(super) watch: bool,
    /// List every spec, newest first, a page at a time
    #[arg(long, conflicts_with = "id")]
    pub(super) all: bool,
    /// List only specs with this status
    #[arg(long, value_name = "STATUS", conflicts_with = "id",
          value_parser = ["queued", "running", "completed", "failed", "canceled", "dropped"])]
    pub(super) status: Option<String>,
    /// Show at most N specs (1 to 10000) [without it: 50 queued specs, and 10 that ended; 50 on a page]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) limit: Option<u32>,
    /// Skip the first N specs
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) offset: u32,
}

#[derive(Debug, Args)]
pub(super) struct Log {
    /// The spec
    #[arg(value_name = "ID", value_parser = ids::spec_id)]
    pub(super) id: SpecId,
    /// Keep printing until the spec ends
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Show only this task
    #[arg(long, value_name = "TASK")]
    pub(super) task: Option<String>,
    /// Show only this try, counted from 1 in each task
    #[arg(long = "try", value_name = "N")]
    pub(super) try_number: Option<u32>,
    /// Show every task and every try
    #[arg(long)]
    pub(super) all: bool,
    /// Print the bytes of the output as they are, without headings; the output of an agent is JSON
    #[arg(long)]
    pub(super) raw: bool,
}

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Begin after a cursor (the first column), at a time (2026-11-27T22:00:00Z), or a time ago (12h, 30m)
    #[arg(long, value_name = "CURSOR|TIME|AGE")]
    pub(super) since: Option<String>,
    /// Keep printing events as they happen, until Ctrl-C
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Show only events about this spec
    #[arg(long, value_name = "ID")]
    pub(super) spec: Option<SpecId>,
    /// Show only events of this kind. May be repeated
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(
              EventKind::ALL.iter().map(|kind| kind.as_str())), hide_possible_values = true)]
    pub(super) kind: Vec<String>,
    /// Print each event as JSON, one on a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Ids {
    /// The specs
    #[arg(required = true, value_name = "ID", value_parser = ids::spec_id)]
    pub(super) ids: Vec<SpecId>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Wait {
    /// The specs
    #[arg(required = true, value_name = "ID", value_parser = ids::spec_id)]
    pub(super) ids: Vec<SpecId>,
    /// Wait only until one of the specs has ended
    #[arg(long)]
    pub(super) any: bool,
    /// Give up after this time, such as 45s, 30m or 2h [without it: wait without a limit]
    #[arg(long, value_name = "TIME")]
    pub(super) timeout: Option<String>,
    /// Print the specs as JSON at the end, in the format of `boi status --json`
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Priority {
    /// The spec
    #[arg(value_name = "ID", value_parser = ids::spec_id)]
    pub(super) id: SpecId,
    /// The new priority; a lower number runs first
    #[arg(value_name = "N", allow_negative_numbers = true)]
    pub(super) priority: i64,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The agent to try at once
    pub(super) agent: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Hold {
    /// The agent to hold
    pub(super) agent: String,
    /// When the hold ends: a time of day (07:30), a date with a time (2026-12-01T07:30), or a duration (90m, 2h, 1d)
    #[arg(long, value_name = "TIME", value_parser = super::hold::parse_until)]
    pub(super) until: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Clean {
    /// The specs, which must have ended [default: those that landed, were dropped or have nothing to land]
    #[arg(value_name = "ID", value_parser = ids::spec_id)]
    pub(super) ids: Vec<SpecId>,
    /// Also clean the other specs that have ended: failed, canceled, and not merged
    #[arg(long, conflicts_with = "ids")]
    pub(super) all: bool,
    /// Clean only specs that ended at least this long ago, such as 7d, 12h or 30m
    #[arg(long, value_name = "AGE")]
    pub(super) older_than: Option<String>,
    /// Also delete scratch directories (of specs without `repo`) that contain files
    #[arg(long)]
    pub(super) scratch: bool,
    /// Also delete worktrees whose repository cannot be reached; unique work in them is lost
    #[arg(long)]
    pub(super) unreachable: bool,
    /// Show what would be removed, but remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct JsonFlag {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Command {
    /// Returns whether the command prints JSON.
    pub(super) fn json(&self) -> bool {
        match self {
            Command::Run(Run { json, .. })
            | Command::Dispatch(Dispatch { json, .. })
            | Command::Status(Status { json, .. })
            | Command::Events(Events { json, .. })
            | Command::Report(Report { json, .. })
            | Command::Cancel(Ids { json, .. })
            | Command::Merge(Merge { json, .. })
            | Command::Retry(Retry { json, .. })
            | Command::Diff(Diff { json, .. })
            | Command::Open(Open { json, .. })
            | Command::Drop(Drop { specs: Ids { json, .. }, .. })
            | Command::Stop(Ids { json, .. })
            | Command::Wait(Wait { json, .. })
            | Command::Priority(Priority { json, .. })
            | Command::Queue(QueueCommand::Backup { json, .. })
            | Command::Clean(Clean { json, .. })
            | Command::Doctor(Doctor { json, .. })
            | Command::Pause(JsonFlag { json })
            | Command::Resume(Resume { json, .. })
            | Command::Hold(Hold { json, .. })
            | Command::Trust(Trust { json, .. })
            | Command::Config(
                Config::Check { json, .. }
                | Config::Show { json, .. }
                | Config::Get { json, .. }
                | Config::Set { json, .. }
                | Config::Unset { json, .. }
                | Config::Diff { json },
            )
            | Command::Daemon(
                Daemon::Start { json, .. }
                | Daemon::Restart { json, .. }
                | Daemon::Status(JsonFlag { json })
                | Daemon::Install { json, .. }
                | Daemon::Uninstall(JsonFlag { json })
                | Daemon::Stop { json, .. }
                | Daemon::Reload { json },
            ) => *json,
            Command::Config(Config::Schema) => true,
            Command::Skill(skill) => skill.json(),
            Command::Log(_)
            | Command::Top
            | Command::Daemon(Daemon::Run { .. })
            | Command::Completions { .. }
            | Command::Complete { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Returns a command and all its subcommands, each with its full name.
    fn all_commands(command: &clap::Command, name: &str) -> Vec<(String, clap::Command)> {
        let nested = command.get_subcommands().flat_map(|sub| all_commands(sub, &format!("{name} {}", sub.get_name())));
        let nested: Vec<_> = nested.collect();
        [(name.to_owned(), command.clone())].into_iter().chain(nested).collect()
    }

    #[test]
    fn every_command_and_argument_has_help_in_one_style() {
        let is_good = |text: &str| text.starts_with(|c: char| c.is_ascii_uppercase()) && !text.ends_with('.');
        for (name, command) in all_commands(&Arguments::command(), "boi") {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(is_good(&about), "{name}: {about:?}");
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(is_good(&help), "{name} {}: {help:?}", argument.get_id());
            }
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
