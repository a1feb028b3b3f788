//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::{CliError, USAGE};
use crate::config::flags::Flags;
use crate::domain::id::SpecId;

/// Runs fleets of coding agents: queue specs, go to bed, find verified branches.
#[derive(Debug, Parser)]
#[command(name = "boi", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

const AFTER_HELP: &str = "\
Files are kept in $BOI_HOME, by default ~/.boi.
Exit codes: 0 done; 1 it failed; 2 bad arguments or a bad spec; 3 no daemon runs; 4 gave up waiting;
78 bad configuration at boot; 130 ended by Ctrl-C.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Carry out specs and follow them to their end
    Run(Run),
    /// Queue specs for a daemon
    Dispatch(Dispatch),
    /// Show the queue, the workers and the configuration in force
    Status(Status),
    /// Show what a spec's tasks printed
    Log(Log),
    /// End specs and everything they run
    Cancel(Ids),
    /// Queue failed, canceled or unmerged specs again
    Retry(Ids),
    /// Put away what ended specs left: worktrees, attempt folders, merged branches
    Clean(Clean),
    /// Claim nothing new until `boi resume`
    Pause(Plain),
    /// Claim again after `boi pause`
    Resume(Plain),
    /// Look at the configuration, and change it
    #[command(subcommand)]
    Config(Config),
    /// The daemon that drains the queue
    #[command(subcommand)]
    Daemon(Daemon),
    /// Look for what is off: the queue, processes, folders, repositories, modes, configuration, limits
    ///
    /// Exit codes: 0 nothing is off, or all of it was mended; 1 something is left. Works with and without a daemon.
    Doctor(Doctor),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Values of the configuration for one process.
#[derive(Debug, Clone, Args)]
pub(super) struct ConfigFlags {
    /// Set a key of the configuration for this process; it outranks the file. Can be given several times
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
    pub(super) config: Vec<String>,
}

impl ConfigFlags {
    /// The values, valid.
    pub(super) fn read(&self) -> Result<Flags, CliError> {
        Flags::read(&self.config).map_err(|error| CliError::new(USAGE, error.to_string()))
    }
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Mend what can be mended without loss, and say what was done
    #[arg(long)]
    pub(super) fix: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Spec files
    #[arg(required = true, value_name = "SPEC.toml")]
    pub(super) files: Vec<PathBuf>,
    /// Print the result as JSON, as `boi status --json` does
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) flags: ConfigFlags,
}

#[derive(Debug, Args)]
pub(super) struct Dispatch {
    /// Spec files; all of them are queued, or none
    #[arg(required = true, value_name = "SPEC.toml")]
    pub(super) files: Vec<PathBuf>,
    /// Priority in place of the specs' own; lower runs first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) priority: Option<i64>,
    /// Specs that must be completed first, besides the specs' own `after`; comma-separated
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(super) after: Vec<SpecId>,
    /// Only say what would be queued
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Only this spec, with each try
    pub(super) id: Option<SpecId>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Show it again whenever it changes
    #[arg(short, long, conflicts_with = "json")]
    pub(super) watch: bool,
    /// Every spec, the newest first, a page at a time
    #[arg(long, conflicts_with = "id")]
    pub(super) all: bool,
    /// Only specs with this status
    #[arg(long, value_name = "STATUS", conflicts_with = "id",
          value_parser = ["queued", "running", "completed", "failed", "canceled"])]
    pub(super) status: Option<String>,
    /// Specs on a page
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) limit: u32,
    /// Specs to pass over
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) offset: u32,
}

#[derive(Debug, Args)]
pub(super) struct Log {
    /// The spec
    pub(super) id: SpecId,
    /// Go on until the spec ends
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Only this task
    #[arg(long, value_name = "TASK")]
    pub(super) task: Option<String>,
    /// Only this try
    #[arg(long = "try", value_name = "N")]
    pub(super) try_number: Option<u32>,
    /// Every task and every try
    #[arg(long)]
    pub(super) all: bool,
    /// What an agent printed as it is, not put into words
    #[arg(long)]
    pub(super) raw: bool,
}

#[derive(Debug, Args)]
pub(super) struct Ids {
    /// Specs
    #[arg(required = true, value_name = "ID")]
    pub(super) ids: Vec<SpecId>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Clean {
    /// Specs; without any, all that have ended
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<SpecId>,
    /// Only what ended at least so long ago, such as `7d`, `12h` or `30m`
    #[arg(long, value_name = "AGE")]
    pub(super) older_than: Option<String>,
    /// Delete scratch directories with files in them too: what specs without a repository made
    #[arg(long)]
    pub(super) scratch: bool,
    /// Delete worktrees whose repository cannot be reached too, with whatever is in them
    #[arg(long)]
    pub(super) unreachable: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Plain {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Say what is wrong with a configuration file: the daemon's own validator
    Check {
        /// The file, by default config.toml in $BOI_HOME; `-`: standard input
        file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change one key in the file; everything else in it stays as it is
    Set {
        /// The key
        key: String,
        /// Its value, as config.toml writes it; text needs no quotes
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Ask the daemon for its verdict, as `boi daemon reload` does
        #[arg(long)]
        reload: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what differs between the file and what is in force
    Diff {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of config.toml, for editors
    Schema,
    /// Show every key with its value
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Show the value of one key
    Get {
        /// The key
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Say where the value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Daemon {
    /// Drain the queue until Ctrl-C, which stops the workers; SIGTERM leaves them running, SIGHUP reads the
    /// configuration again
    Run {
        /// Stay attached to the terminal
        #[arg(long)]
        foreground: bool,
        /// Run in a session of its own and log to a file; what `boi daemon start` uses
        #[arg(long, hide = true, conflicts_with = "foreground")]
        background: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Start the daemon in the background
    Start {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// End the daemon and its workers; their specs are queued again and go on where they were
    ///
    /// Works without a daemon too, for what an earlier one left running.
    Stop {
        /// Let what runs finish first; nothing new is started
        #[arg(long)]
        drain: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End the daemon and start another one; workers live on and are taken over
    ///
    /// What the old one's command line set of the configuration stays set, unless `-c` is given.
    Restart {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Say whether a daemon runs (exit code 3: none does)
    Status(Plain),
    /// Have the user's service manager (systemd, launchd) run the daemon
    Install {
        /// Only write the service's file
        #[arg(long)]
        no_start: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take the daemon from the user's service manager; what runs lives on
    Uninstall(Plain),
    /// Have the daemon read config.toml again, and say what came of it
    ///
    /// Saving the file is enough; this waits for the verdict. Exit codes: 0 it is in force, 1 it is rejected, 3 no daemon
    /// runs, 4 no verdict within 10 s.
    Reload {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether the output is for scripts.
    pub(super) fn json(&self) -> bool {
        match self {
            Command::Run(Run { json, .. })
            | Command::Dispatch(Dispatch { json, .. })
            | Command::Status(Status { json, .. })
            | Command::Cancel(Ids { json, .. })
            | Command::Retry(Ids { json, .. })
            | Command::Clean(Clean { json, .. })
            | Command::Doctor(Doctor { json, .. })
            | Command::Pause(Plain { json })
            | Command::Resume(Plain { json })
            | Command::Daemon(Daemon::Reload { json })
            | Command::Config(
                Config::Check { json, .. }
                | Config::Show { json, .. }
                | Config::Get { json, .. }
                | Config::Set { json, .. }
                | Config::Diff { json },
            ) => *json,
            Command::Config(Config::Schema) => true,
            Command::Daemon(
                Daemon::Start { json, .. }
                | Daemon::Restart { json, .. }
                | Daemon::Status(Plain { json })
                | Daemon::Install { json, .. }
                | Daemon::Uninstall(Plain { json })
                | Daemon::Stop { json, .. },
            ) => *json,
            Command::Log(_) | Command::Daemon(Daemon::Run { .. }) | Command::Completions { .. } => false,
        }
    }
}
