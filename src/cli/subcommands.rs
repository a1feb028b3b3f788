//! The commands below `boi queue`, `boi config` and `boi daemon`, as clap reads them.

use std::path::PathBuf;

use clap::Subcommand;

use super::args::{ConfigFlags, JsonFlag};

#[derive(Debug, Subcommand)]
pub(super) enum QueueCommand {
    /// Copy the queue's database to a new file, also while a daemon uses it
    ///
    /// The copy is complete and consistent, and only you can read it. An existing file is never overwritten.
    Backup {
        /// The file to create
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Validate a configuration file, exactly as the daemon does
    ///
    /// Exit codes: 0 valid; 1 invalid.
    Check {
        /// The file; - reads standard input [default: $BOI_HOME/config.toml]
        file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change one key in config.toml and leave the rest of the file as it is
    ///
    /// The new file is validated before it is written. A running daemon applies it as soon as it is written.
    #[command(
        after_help = "Examples:\n  boi config set max_workers 8\n  boi config set claude_args '[\"--verbose\"]' --reload"
    )]
    Set {
        /// The key, such as max_workers
        key: String,
        /// The value in TOML; text needs no quotes. `KEY=VALUE` as one argument is accepted too
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
        /// Wait for the daemon to apply the change and print its verdict, like `boi daemon reload`
        #[arg(long)]
        reload: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put one key of config.toml back to its default and leave the rest of the file as it is
    ///
    /// The key is removed under whichever of its names, current or former, the file uses. A running daemon
    /// applies the file as soon as it is written.
    Unset {
        /// The key, such as max_workers
        key: String,
        /// Wait for the daemon to apply the change and print its verdict, like `boi daemon reload`
        #[arg(long)]
        reload: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the differences between config.toml and the configuration in force
    ///
    /// Exit code 3: no daemon runs, so no configuration is in force.
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
        /// Show where each value comes from: default, file, environment or flag
        #[arg(long)]
        origin: bool,
        /// Show the configuration of this repository instead: its .boi.toml
        #[arg(long, conflicts_with = "origin", value_hint = clap::ValueHint::DirPath)]
        repo: Option<PathBuf>,
        /// With --repo: the branch, tag or commit [default: the branch that the repository is on]
        #[arg(long, value_name = "REV", requires = "repo")]
        base: Option<String>,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Show the value of one key
    Get {
        /// The key, such as max_workers
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Show where the value comes from: default, file, environment or flag
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Daemon {
    /// Run the daemon in the foreground
    ///
    /// Ctrl-C stops the workers and queues their specs again. SIGTERM leaves the workers running for the next
    /// daemon. SIGHUP reloads the configuration. Exit code 78: the configuration is invalid.
    Run {
        /// Stay attached to the terminal and log to stderr (required)
        #[arg(long)]
        foreground: bool,
        /// Run in a session of its own and log to a file; used by `boi daemon start`
        #[arg(long, hide = true, conflicts_with = "foreground")]
        background: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Start the daemon in the background
    ///
    /// If the service is installed (`boi daemon install`), the service manager starts the daemon. If a daemon
    /// runs already, this command changes nothing.
    Start {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Stop the daemon and its workers
    ///
    /// The specs of the workers are queued again and later continue in the same attempt, task and try.
    /// Without a running daemon, stop the workers that an earlier daemon left running.
    Stop {
        /// Let running specs finish first; start no others
        #[arg(long)]
        drain: bool,
        /// With --drain: give up waiting after this time, such as 30m or 2h; the daemon continues to drain
        #[arg(long, value_name = "TIME", requires = "drain")]
        timeout: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Replace the daemon with a new one; workers keep running
    ///
    /// Keys that -c set for the old daemon stay set, unless this command gets -c too.
    Restart {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Show the daemon: its pid, version, configuration, workers and log
    ///
    /// Exit codes: 0 a daemon runs; 3 no daemon runs.
    Status(JsonFlag),
    /// Install the daemon as a service of your service manager (systemd or launchd)
    ///
    /// The service starts at login. Its daemon replaces a running daemon; workers keep running.
    Install {
        /// Write the service's file, but do not start the service
        #[arg(long)]
        no_start: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop and remove the service; workers keep running
    Uninstall(JsonFlag),
    /// Make the daemon read config.toml again, and print whether it accepted the file
    ///
    /// The daemon also reads the file whenever it is saved. This command waits until the daemon has accepted
    /// or rejected the file, which is its verdict.
    ///
    /// Exit codes: 0 the file is in force; 1 it was rejected; 3 no daemon runs; 4 no verdict within 10 s.
    Reload {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
