//! The command line. A file that implements a command has the command's name, such as `daemon_stop.rs` for
//! `boi daemon stop`; a file that several commands use is named after its purpose. Errors become a message, a
//! hint and an exit code here.

mod args;
mod backend;
mod cancel_retry;
mod changes;
mod clean;
mod clean_leftovers;
mod complete;
mod config_check;
mod config_diff;
mod config_set;
mod config_show;
mod daemon_install;
mod daemon_reload;
mod daemon_run;
mod daemon_start;
mod daemon_status;
mod daemon_stop;
mod diff;
mod dispatch;
mod dispatch_notes;
mod doctor;
mod drop;
mod durations;
mod events;
mod follow;
mod help_texts;
mod hold;
mod ids;
mod in_force;
mod launch;
mod log;
mod log_printer;
mod merge;
mod moments;
mod open;
mod open_lock;
mod own_task;
mod patience;
mod pause;
mod predecessor;
mod preflight;
mod printing;
mod priority;
mod queue_backup;
mod report;
mod report_input;
mod report_since;
mod retry_selection;
mod review_backend;
mod run;
mod running_daemon;
mod skill;
mod spec_agents;
mod spec_files;
mod status;
mod stop;
mod subcommands;
mod top;
mod trust;
mod version_skew;
mod wait;

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use clap::Parser;
use clap_complete::Shell;

use self::args::{Arguments, Command, JsonFlag};
use self::config_set::Edit;
use self::subcommands::{Config, Daemon, QueueCommand};
use crate::control::calls::FailureCode;
use crate::control::client::ClientError;
use crate::daemon::error::{CallError, LoopError};
use crate::daemon::lifecycle::seat::BootError;
use crate::document::problem::{ProblemReport, Problems};
use crate::domain::escape;
use crate::process::limits;
use crate::queue::QueueError;
use crate::queue::sqlite::OpenError;
use crate::reload::ConfigError;
use crate::system::output::{say, write_styled_error_line};
use crate::system::paths::{Home, HomeError};
use crate::system::{blocking, memory, repeat};
use crate::ui::style::{ERROR, paint};

/// Exit code: the command or a spec failed.
const FAILED: u8 = 1;
/// Exit code: the arguments or a spec are invalid.
const USAGE: u8 = 2;
/// Exit code: no daemon runs.
const NO_DAEMON: u8 = 3;
/// Exit code: the command stopped waiting for the daemon or the queue.
const GAVE_UP: u8 = 4;
/// Exit code: a daemon could not start because the configuration is invalid.
const BAD_CONFIG: u8 = 78;
/// Exit code: the user pressed Ctrl-C. It is 128 + SIGINT, as shells report it.
const INTERRUPTED: u8 = 130;

/// The hint for the case that no daemon runs.
const START_ONE: &str = "start a daemon: `boi daemon start`";

/// The exit code of the program.
pub type ExitCode = u8;

/// Why a command failed.
#[derive(Debug)]
enum CliError {
    /// A message, and a hint at what to do next.
    Message { message: String, hint: Option<String>, code: ExitCode },
    /// The daemon or the queue cannot be reached now, but a later call may reach it. `undone`: the failed
    /// call changed nothing, so the caller may retry it.
    Away { message: String, hint: String, code: ExitCode, undone: bool },
    /// A configuration is invalid.
    InvalidConfig { problems: Vec<Problems>, hint: Option<String>, code: ExitCode },
    /// Specs are invalid.
    InvalidSpecs(Vec<Problems>),
    /// Nobody reads the output of a command that only prints, so the command ends, without an error.
    ReaderGone,
}

impl CliError {
    fn new(code: ExitCode, message: impl Into<String>) -> CliError {
        CliError::Message { message: message.into(), hint: None, code }
    }

    /// Returns the error with this hint.
    fn hint(mut self, text: impl Into<String>) -> CliError {
        match &mut self {
            CliError::Message { hint, .. } | CliError::InvalidConfig { hint, .. } => *hint = Some(text.into()),
            CliError::Away { hint, .. } => *hint = text.into(),
            CliError::InvalidSpecs(_) | CliError::ReaderGone => {}
        }
        self
    }

    /// Returns the error with this exit code.
    fn with_code(mut self, new: ExitCode) -> CliError {
        match &mut self {
            CliError::Message { code, .. } | CliError::Away { code, .. } | CliError::InvalidConfig { code, .. } => {
                *code = new;
            }
            CliError::InvalidSpecs(_) | CliError::ReaderGone => {}
        }
        self
    }

    fn code(&self) -> ExitCode {
        match self {
            CliError::Message { code, .. } | CliError::Away { code, .. } | CliError::InvalidConfig { code, .. } => {
                *code
            }
            CliError::InvalidSpecs(_) => USAGE,
            CliError::ReaderGone => 0,
        }
    }

    fn is_away(&self) -> bool {
        matches!(self, CliError::Away { .. })
    }

    fn is_invalid_config(&self) -> bool {
        matches!(self, CliError::InvalidConfig { .. })
    }

    fn is_undone(&self) -> bool {
        matches!(self, CliError::Away { undone: true, .. })
    }

    /// Returns the error in one line, without its hint.
    fn message(&self) -> String {
        match self {
            CliError::Message { message, .. } | CliError::Away { message, .. } => message.clone(),
            CliError::InvalidConfig { problems, .. } | CliError::InvalidSpecs(problems) => {
                problems.iter().flat_map(Problems::lines).collect::<Vec<_>>().join("; ")
            }
            CliError::ReaderGone => "nobody reads the output any more".to_owned(),
        }
    }

    /// Returns the hint at what to do next, if there is one.
    fn next_step(&self) -> Option<&str> {
        match self {
            CliError::Message { hint, .. } | CliError::InvalidConfig { hint, .. } => hint.as_deref(),
            CliError::Away { hint, .. } => Some(hint),
            CliError::InvalidSpecs(_) | CliError::ReaderGone => None,
        }
    }
}

impl From<HomeError> for CliError {
    fn from(error: HomeError) -> CliError {
        CliError::new(FAILED, error.to_string())
    }
}

impl From<QueueError> for CliError {
    fn from(error: QueueError) -> CliError {
        match error {
            QueueError::NotFound(_) => {
                CliError::new(USAGE, error.to_string()).hint("`boi status --all` lists every spec")
            }
            QueueError::Unknown(_) => CliError::new(FAILED, error.to_string())
                .hint("check with `boi status` whether the command was carried out"),
            _ => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> CliError {
        match error {
            OpenError::Queue(error) => error.into(),
            OpenError::Unsafe(error) => error.into(),
            OpenError::InUse { .. } => CliError::Away {
                message: error.to_string(),
                hint: "a daemon of another home, or another command, is writing to the queue: try again".to_owned(),
                code: FAILED,
                undone: true,
            },
            _ => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> CliError {
        match error {
            CallError::Queue(error) => error.into(),
            CallError::QueueSilent { .. } => CliError::new(GAVE_UP, error.to_string())
                .hint("the request may still take effect later: check with `boi status`"),
            _ => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> CliError {
        let undone = matches!(error, ClientError::NoDaemon);
        let away =
            |code, hint: &str| CliError::Away { message: error.to_string(), hint: hint.to_owned(), code, undone };
        match &error {
            ClientError::NoDaemon => away(NO_DAEMON, START_ONE),
            ClientError::Away => {
                away(NO_DAEMON, "the daemon may or may not have carried out the command: check with `boi status`")
            }
            ClientError::Hung { pid, .. } => {
                let pid = pid.map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
                CliError::new(GAVE_UP, error.to_string()).hint(format!(
                    "the request may still take effect later; `kill -CONT {pid}` resumes a stopped daemon; \
                     `kill -KILL {pid}` ends the daemon, and `boi daemon start` takes over its workers"
                ))
            }
            ClientError::Broken { .. } => away(FAILED, "see the daemon's log"),
            ClientError::Refused { code: FailureCode::Unknown, .. } => {
                CliError::new(USAGE, error.to_string()).hint("`boi status --all` lists every spec")
            }
            ClientError::Refused { code: FailureCode::Silent, .. } => CliError::new(GAVE_UP, error.to_string())
                .hint("the request may still take effect later: check with `boi status`"),
            ClientError::Refused { .. } => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<BootError> for CliError {
    fn from(error: BootError) -> CliError {
        match error {
            BootError::Open(error) => error.into(),
            BootError::Loop(LoopError::Queue(error)) => error.into(),
            BootError::Runs { .. } => CliError::new(FAILED, error.to_string()).hint("`boi status` shows what the daemon does"),
            BootError::OtherQueue { .. } => CliError::new(FAILED, error.to_string()).hint(
                "set `paths.db` back to its former value. To use the new value later: wait until those specs have ended (or end \
                 them with `boi cancel`), run `boi daemon stop --drain`, set `paths.db` again, and run `boi daemon start`",
            ),
            _ => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> CliError {
        match error {
            ConfigError::Invalid(problems) => {
                CliError::InvalidConfig { problems: vec![*problems], hint: None, code: USAGE }
            }
            ConfigError::Unreadable { .. } | ConfigError::Unsafe(_) => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> CliError {
        CliError::new(FAILED, error.to_string())
    }
}

/// Parses the command line and carries out its command; returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // If the help cannot be printed, nothing more can be done, so the failure is ignored.
            drop(error.print());
            return if error.use_stderr() { USAGE } else { 0 };
        }
    };
    let json = arguments.command.json();
    carry_out(arguments.command).unwrap_or_else(|error| report_error(&error, json))
}

fn carry_out(command: Command) -> Result<ExitCode, CliError> {
    // These commands need no home, or inspect a home that may be unusable.
    match command {
        Command::Completions { shell } => return print_completions(shell),
        Command::Complete { at, words } => return complete::complete(at, &words),
        Command::Config(Config::Schema) => return config_show::print_schema(),
        Command::Skill(command) => return skill::skill(&command),
        Command::Doctor(args) => return doctor::doctor(&Home::from_environment()?, &args),
        _ => {}
    }
    let home = &Home::from_environment()?;
    home.check()?;
    match command {
        Command::Run(args) => run::run(home, &args),
        Command::Dispatch(args) => dispatch::dispatch(home, &args),
        Command::Status(args) => status::status(home, &args),
        Command::Report(args) => report::report(home, &args),
        Command::Log(args) => log::log(home, &args),
        Command::Events(args) => events::events(home, &args),
        Command::Top => top::top(home),
        Command::Cancel(args) => cancel_retry::cancel(home, args),
        Command::Retry(args) => cancel_retry::retry(home, args),
        Command::Merge(args) => merge::merge(home, args),
        Command::Diff(args) => diff::diff(home, &args),
        Command::Open(args) => open::open(home, &args),
        Command::Drop(args) => drop::drop_specs(home, args),
        Command::Stop(args) => stop::stop(home, args),
        Command::Wait(args) => wait::wait(home, &args),
        Command::Priority(args) => priority::priority(home, &args),
        Command::Queue(QueueCommand::Backup { file, json }) => queue_backup::back_up(home, &file, json),
        Command::Clean(args) => clean::clean(home, &args),
        Command::Pause(JsonFlag { json }) => pause::pause(home, json),
        Command::Resume(args) => hold::resume(home, &args),
        Command::Hold(args) => hold::hold(home, &args),
        Command::Trust(args) => trust::trust(home, &args),
        Command::Config(command) => match command {
            Config::Check { file, json } => config_check::check(home, file, json),
            Config::Set { key, value, reload, json } => {
                let (key, value) = config_set::key_and_value(&key, value)?;
                config_set::change(home, key, &Edit::Set(value), reload, json)
            }
            Config::Unset { key, reload, json } => config_set::change(home, &key, &Edit::Unset, reload, json),
            Config::Diff { json } => config_diff::diff(home, json),
            Config::Show { json, repo: Some(repo), base, .. } => trust::show(home, &repo, base.as_deref(), json),
            Config::Show { json, origin, flags, .. } => config_show::show(home, &flags.read()?, json, origin),
            Config::Get { key, json, origin, flags } => config_show::get(home, &flags.read()?, &key, json, origin),
            Config::Schema => unreachable!("carried out above"),
        },
        Command::Daemon(command) => match command {
            Daemon::Run { foreground, background, flags } => {
                daemon_run::run(home, foreground, background, &flags.read()?)
            }
            Daemon::Start { json, flags } => block_on(daemon_start::start(home, &flags, json)),
            Daemon::Stop { drain, timeout, json } => daemon_stop::stop(home, drain, timeout.as_deref(), json),
            Daemon::Restart { json, flags } => block_on(daemon_start::restart(home, &flags, json)),
            Daemon::Status(JsonFlag { json }) => block_on(daemon_status::show(home, json)),
            Daemon::Install { no_start, json } => block_on(daemon_install::install(home, !no_start, json)),
            Daemon::Uninstall(JsonFlag { json }) => daemon_install::uninstall(home, json),
            Daemon::Reload { json } => block_on(daemon_reload::reload(home, json)),
        },
        Command::Doctor(_) | Command::Skill(_) | Command::Completions { .. } | Command::Complete { .. } => {
            unreachable!("carried out above")
        }
    }
}

/// Prints an error to standard error, as text or as JSON; returns its exit code.
fn report_error(error: &CliError, json: bool) -> ExitCode {
    match error {
        CliError::ReaderGone => {}
        CliError::Message { .. } | CliError::Away { .. } if json => {
            let object = serde_json::json!({"error": error.message(), "hint": error.next_step()});
            say!("{}", escape::escaped_json(&object.to_string()));
        }
        CliError::InvalidConfig { problems, .. } | CliError::InvalidSpecs(problems) if json => {
            let reports: Vec<ProblemReport> = problems.iter().flat_map(Problems::reports).collect();
            let hint = error.next_step().map(|hint| ("hint", hint.into()));
            let fields = [("error", "not valid".into()), ("errors", serde_json::json!(reports))];
            let object: serde_json::Map<String, serde_json::Value> =
                fields.into_iter().chain(hint).map(|(name, value)| (name.to_owned(), value)).collect();
            say!("{}", escape::escaped_json(&serde_json::Value::Object(object).to_string()));
        }
        CliError::Message { message, .. } | CliError::Away { message, .. } => {
            write_styled_error_line(format_args!("{}: {}", paint("error", ERROR), escape::escaped_lines(message)));
            print_next_step(error);
        }
        CliError::InvalidConfig { problems, .. } | CliError::InvalidSpecs(problems) => {
            for problems in problems {
                write_styled_error_line(format_args!("{}", problems.render(true)));
            }
            let count: usize = problems.iter().map(Problems::count).sum();
            let nothing_done = if matches!(error, CliError::InvalidSpecs(_)) { "; nothing was queued" } else { "" };
            say!("{count} error{}{nothing_done}", printing::plural(count));
            print_next_step(error);
        }
    }
    error.code()
}

fn print_next_step(error: &CliError) {
    if let Some(hint) = error.next_step() {
        say!("  {hint}");
    }
}

fn print_completions(shell: Shell) -> Result<ExitCode, CliError> {
    printing::print(&complete::script(shell))?;
    Ok(0)
}

/// Runs a future on a single-threaded runtime.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Runs the future of a daemon. When the future has ended, this function does not wait for unfinished
/// blocking work, such as a thread that waits for a git process: the next daemon waits for that process.
fn block_on_daemon<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    limits::raise_open_files();
    memory::limit_kept();
    // One thread is enough, because all work that may block is done elsewhere, in `system::blocking`. Few things
    // use tokio's own threads for such work, so these end soon.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).thread_keep_alive(Duration::from_secs(1)).enable_all().build()?;
    blocking::start(runtime.handle())?;
    repeat::start()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}
