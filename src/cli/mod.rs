//! The command line: one file per group of commands. Errors become a message, a hint and an exit code here.

mod args;
mod backend;
mod clean;
mod config;
mod config_set;
mod daemon;
mod doctor;
mod handover;
mod install;
mod log;
mod queue;
mod reload;
mod run;
mod service;
mod specs;
mod status;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use self::args::{Arguments, Command};
use crate::control::client::ClientError;
use crate::control::wire::RefusalCode;
use crate::daemon::boot::BootError;
use crate::document::problem::{ProblemReport, Problems};
use crate::process::limits;
use crate::queue::StoreError;
use crate::reload::ConfigError;
use crate::system::paths::{self, Home, HomeError};

/// It was not done, or a spec failed.
const FAILED: u8 = 1;
/// Bad arguments, or a bad spec.
const USAGE: u8 = 2;
/// No daemon runs.
const NO_DAEMON: u8 = 3;
/// Gave up waiting.
const GAVE_UP: u8 = 4;
/// Bad configuration at boot.
const BAD_CONFIG: u8 = 78;
/// Ended by Ctrl-C, as shells count it.
const INTERRUPTED: u8 = 130;

/// What to do where no daemon runs.
const START_ONE: &str = "start one: `boi daemon start`";

/// How the program ends.
pub type ExitCode = u8;

/// Why a command was not done.
#[derive(Debug)]
enum CliError {
    /// In words, with what to do next.
    Message { message: String, hint: Option<String>, code: ExitCode },
    /// Whoever was asked has gone away, or cannot be reached. `undone`: nothing was done, so that it may be asked again.
    Away { message: String, hint: String, code: ExitCode, undone: bool },
    /// A configuration that is not valid.
    Problems(Vec<Problems>),
    /// Specs that are not valid.
    Specs(Vec<Problems>),
}

impl CliError {
    fn new(code: ExitCode, message: impl Into<String>) -> CliError {
        CliError::Message { message: message.into(), hint: None, code }
    }

    fn hint(self, text: impl Into<String>) -> CliError {
        match self {
            CliError::Message { message, code, .. } => CliError::Message { message, hint: Some(text.into()), code },
            other => other,
        }
    }

    fn code(&self) -> ExitCode {
        match self {
            CliError::Message { code, .. } | CliError::Away { code, .. } => *code,
            CliError::Problems(_) | CliError::Specs(_) => USAGE,
        }
    }

    fn is_away(&self) -> bool {
        matches!(self, CliError::Away { .. })
    }

    fn is_undone(&self) -> bool {
        matches!(self, CliError::Away { undone: true, .. })
    }

    /// In one line, without what to do next.
    fn message(&self) -> String {
        match self {
            CliError::Message { message, .. } | CliError::Away { message, .. } => message.clone(),
            CliError::Problems(all) | CliError::Specs(all) => {
                all.iter().flat_map(Problems::lines).collect::<Vec<_>>().join("; ")
            }
        }
    }
}

impl From<HomeError> for CliError {
    fn from(error: HomeError) -> CliError {
        CliError::new(FAILED, error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> CliError {
        let plain = CliError::new(FAILED, error.to_string());
        match error {
            StoreError::Unknown(_) => {
                CliError::new(USAGE, error.to_string()).hint("`boi status --all` lists every spec")
            }
            StoreError::InUse { .. } => CliError::Away {
                message: error.to_string(),
                hint: "a daemon of another home, or a command, is writing to it: try again".to_owned(),
                code: FAILED,
                undone: true,
            },
            _ => plain,
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
            ClientError::Away => away(NO_DAEMON, "it may not have been done: `boi status` shows what is"),
            ClientError::Hung { pid, .. } => {
                let pid = pid.map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
                CliError::new(GAVE_UP, error.to_string()).hint(format!(
                    "what was asked may be done later; `kill -CONT {pid}` wakes a stopped one; `kill -KILL {pid}` ends it, \
                     and `boi daemon start` takes over what runs"
                ))
            }
            ClientError::Broken { .. } => away(FAILED, "see the daemon's log"),
            ClientError::Refused { code: RefusalCode::Unknown, .. } => {
                CliError::new(USAGE, error.to_string()).hint("`boi status --all` lists every spec")
            }
            ClientError::Refused { code: RefusalCode::Silent, .. } => CliError::new(GAVE_UP, error.to_string())
                .hint("what was asked may be done later: `boi status` shows what is"),
            ClientError::Refused { .. } => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<BootError> for CliError {
    fn from(error: BootError) -> CliError {
        match error {
            BootError::Store(error) => error.into(),
            BootError::Runs { .. } => CliError::new(FAILED, error.to_string()).hint("`boi status` shows what it does"),
            BootError::OtherQueue { .. } => CliError::new(FAILED, error.to_string()).hint(
                "put `paths.db` back as it was; to change it, first let those specs end or `boi cancel` them, then \
                 `boi daemon stop --drain`, change it and `boi daemon start`",
            ),
            _ => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> CliError {
        match error {
            ConfigError::Invalid(problems) => CliError::Problems(vec![*problems]),
            ConfigError::Unreadable { .. } | ConfigError::Unsafe(_) => CliError::new(FAILED, error.to_string()),
        }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> CliError {
        CliError::new(FAILED, error.to_string())
    }
}

/// What every command needs to know.
struct Context {
    home: Home,
    color: bool,
}

/// Carries out the command line; returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help that cannot be printed is nobody's loss.
            drop(error.print());
            return if error.use_stderr() { USAGE } else { 0 };
        }
    };
    let json = arguments.command.json();
    let color = !paths::no_color() && io::stderr().is_terminal();
    match carry_out(arguments) {
        Ok(code) => code,
        Err(error) => report(&error, json, color),
    }
}

fn carry_out(arguments: Arguments) -> Result<ExitCode, CliError> {
    if let Command::Completions { shell } = arguments.command {
        return completions(shell);
    }
    let color = !paths::no_color() && io::stdout().is_terminal();
    let context = Context { home: Home::from_environment()?, color };
    if let Command::Config(command) = arguments.command {
        return config::carry_out(&context, command);
    }
    if let Command::Doctor(asked) = arguments.command {
        return doctor::doctor(context, asked);
    }
    context.home.check()?;
    match arguments.command {
        Command::Run(asked) => run::run(context, asked),
        Command::Dispatch(asked) => queue::dispatch(context, asked),
        Command::Status(asked) => status::status(context, asked),
        Command::Log(asked) => log::log(context, asked),
        Command::Cancel(asked) => queue::cancel(context, asked),
        Command::Retry(asked) => queue::retry(context, asked),
        Command::Clean(asked) => clean::clean(context, asked),
        Command::Pause(asked) => queue::set_paused(context, true, asked.json),
        Command::Resume(asked) => queue::set_paused(context, false, asked.json),
        Command::Daemon(command) => daemon::carry_out(context, command),
        Command::Config(_) | Command::Doctor(_) | Command::Completions { .. } => unreachable!("carried out above"),
    }
}

/// Prints an error for people, or for scripts that asked for JSON; returns its exit code.
fn report(error: &CliError, json: bool, color: bool) -> ExitCode {
    let code = error.code();
    let hint = match error {
        CliError::Message { hint, .. } => hint.as_deref(),
        CliError::Away { hint, .. } => Some(hint.as_str()),
        CliError::Problems(_) | CliError::Specs(_) => None,
    };
    if json {
        let text = match error {
            CliError::Message { message, .. } | CliError::Away { message, .. } => {
                serde_json::json!({"error": message, "hint": hint})
            }
            CliError::Problems(all) | CliError::Specs(all) => {
                let reports: Vec<ProblemReport> = all.iter().flat_map(Problems::reports).collect();
                serde_json::json!({"error": "not valid", "errors": reports})
            }
        };
        eprintln!("{text}");
        return code;
    }
    match error {
        CliError::Message { message, .. } | CliError::Away { message, .. } => {
            let (red, plain) = if color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            eprintln!("{red}error{plain}: {message}");
            if let Some(hint) = hint {
                eprintln!("  {hint}");
            }
        }
        CliError::Problems(all) | CliError::Specs(all) => {
            for problems in all {
                eprintln!("{}", problems.render(color));
            }
            let count: usize = all.iter().map(Problems::count).sum();
            let errors = if count == 1 { "1 error".to_owned() } else { format!("{count} errors") };
            match error {
                CliError::Specs(_) => eprintln!("{errors}; nothing was queued"),
                _ => eprintln!("{errors}"),
            }
        }
    }
    code
}

fn completions(shell: Shell) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "boi", &mut script);
    print(&script)?;
    Ok(0)
}

/// Prints to standard output. A reader that has gone away has seen enough.
fn print(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::new(FAILED, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

fn print_line(text: &str) -> Result<(), CliError> {
    print(format!("{text}\n").as_bytes())
}

fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::new(FAILED, error.to_string()))?;
    print_line(&text)
}

/// Runs a future on a runtime that needs no threads of its own.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Runs a daemon's future. What still blocks at its end, such as a step of git that a later daemon waits for, is not
/// waited for here.
fn block_on_daemon<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    limits::raise_open_files();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // Without a thread that may block, and no room for one, the runtime panics: one that idles for longer than any tick
    // is always there.
    runtime.worker_threads(2).thread_keep_alive(Duration::from_secs(2 * 3600)).enable_all();
    let runtime = runtime.build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// The ending of a word that counts things.
fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
