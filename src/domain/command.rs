//! The records of one command: `request` says what its supervisor has to run, `started` which processes the
//! supervisor started, `end-request` why the daemon ends the command before it exits, and `exit` how the
//! command ended.
//!
//! Supervisors outlive daemons and upgrades, so the daemon that reads a record may be older or newer than the
//! program that wrote it. Each record carries a version. A reader accepts its own version and all earlier
//! ones; it ignores fields that it does not know, and refuses a newer version (`process::record`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// The version of the records that this program writes, and the newest that it reads.
pub const RECORD_VERSION: u32 = 1;

/// The version of a record that has no version field: the first exit records had no such field.
fn first_version() -> u32 {
    1
}

/// The command that a supervisor runs. The record holds no environment: the command inherits the
/// supervisor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The version of this record.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Whether the command's standard input is the file `prompt`; otherwise it is `/dev/null`.
    #[serde(default)]
    pub prompt: bool,
    /// Whether the command's standard error goes to the file `errors`; otherwise it goes to the file
    /// `output`, as standard output does.
    #[serde(default)]
    pub separate_errors: bool,
    /// Milliseconds after which the supervisor ends the command as timed out.
    pub timeout_millis: u64,
    /// Milliseconds between SIGTERM and SIGKILL when the supervisor ends the command.
    pub grace_millis: u64,
    /// Largest size of `output` and `errors` together, in bytes.
    pub max_output_bytes: u64,
    /// The command's soft limit of open files; `None`: it inherits the supervisor's limit.
    #[serde(default)]
    pub open_files: Option<u64>,
    /// Whether the supervisor syncs the files that the command wrote to the disk before it records the
    /// command's end.
    #[serde(default)]
    pub keeps_work: bool,
}

/// Identifies a process. A pid alone does not identify one, because the kernel reuses pids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When the process started, in the kernel's clock ticks since boot.
    pub start_time: u64,
    /// The boot under which the process started.
    pub boot_id: String,
}

/// Shows that a command was started. The process that the supervisor forked writes this record just before it
/// executes the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The version of this record.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The process of the supervisor.
    pub supervisor: Identity,
    /// The process that executes the command.
    pub command: Identity,
    /// The command's own cgroup; `None` if it could not be created.
    #[serde(default)]
    pub cgroup: Option<PathBuf>,
}

/// How a command ended: the durable exit record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandEnd {
    /// The version of this record.
    #[serde(default = "first_version")]
    pub version: u32,
    /// Why the command ended.
    pub cause: EndCause,
    /// The exit status of the command; `None` if the command was not executed or its status is unknown.
    #[serde(default)]
    pub status: Option<ExitStatus>,
    /// When the supervisor saw that the command had ended.
    pub ended_at: Timestamp,
    /// Why the daemon requested the end of the command; `None`: it did not, or the user requested it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

/// Why the daemon ends a running agent without an order of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The agent showed no sign of life for `stall_timeout_minutes`.
    Stalled,
    /// The agent reported its result and did not exit. The result decides the outcome of the try.
    AfterResult,
    /// The agent started in another permission mode than boi requests.
    ModeForbidden,
    /// The agent cost as much as was left of its spec's budget.
    OverBudget,
}

/// A daemon's request to end a command. The daemon writes this record before it signals the supervisor, which
/// copies the reason into the exit record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRequest {
    /// The version of this record.
    #[serde(default = "first_version")]
    pub version: u32,
    /// Why the daemon ends the command.
    pub reason: EndReason,
}

/// Why a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The command exited, or was ended by a signal that boi did not send.
    Finished,
    /// The command could not be executed; the text names the program and the error.
    NotExecuted(String),
    /// The command could not be executed for lack of a resource that may become available, such as processes
    /// or disk space; the text names the error.
    NotExecutedYet(String),
    /// The supervisor ended the command at its deadline.
    TimedOut,
    /// The supervisor ended the command because it printed more than `max_output_mb`.
    TooMuchOutput,
    /// The supervisor got a request to end the command. boi sends one for a cancel or a stop; something else,
    /// such as a logout, can also send one.
    Terminated,
    /// The supervisor died before it could record how the command ended.
    Lost,
}

/// The exit status of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// The process exited with this code.
    Code(i32),
    /// The process was ended by this signal.
    Signal(i32),
}

impl CommandEnd {
    /// Makes an exit record with this program's record version.
    pub fn new(cause: EndCause, status: Option<ExitStatus>, ended_at: Timestamp) -> CommandEnd {
        CommandEnd { version: RECORD_VERSION, cause, status, ended_at, reason: None }
    }

    /// Returns whether the daemon may have requested this end: the supervisor was asked to end the command,
    /// or died before it could record the end.
    pub fn may_be_requested(&self) -> bool {
        matches!(self.cause, EndCause::Terminated | EndCause::Lost)
    }

    /// Returns whether the command exited by itself with code 0.
    pub fn succeeded(&self) -> bool {
        self.cause == EndCause::Finished && self.status == Some(ExitStatus::Code(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_records_without_a_version_or_with_removed_fields_are_read() {
        let end = |text: &str| serde_json::from_str::<CommandEnd>(text).unwrap();
        let first = r#"{"cause":"finished","status":{"code":0},"swept":3,"ended_at":"2026-11-23T14:02:11.123Z"}"#;
        assert!(end(first).succeeded());
        assert_eq!((end(first).version, end(first).reason), (1, None));
        let not_executed = r#"{"cause":{"not_executed":"no"},"ended_at":"2026-11-23T14:02:11.123Z"}"#;
        assert_eq!(end(not_executed).cause, EndCause::NotExecuted("no".to_owned()));
    }

    #[test]
    fn the_reason_of_a_requested_end_is_stored_by_name() {
        let (stalled, now) = (Some(EndReason::Stalled), Timestamp(0));
        let end = CommandEnd { reason: stalled, ..CommandEnd::new(EndCause::Terminated, None, now) };
        let text = serde_json::to_string(&end).unwrap();
        assert!(text.contains(r#""reason":"stalled""#), "{text}");
        assert_eq!(serde_json::from_str::<CommandEnd>(&text).unwrap(), end);
        let without = serde_json::to_string(&CommandEnd::new(EndCause::Terminated, None, now)).unwrap();
        assert!(!without.contains("reason"), "{without}");
    }

    #[test]
    fn requests_of_the_first_version_are_read() {
        let first = r#"{"version":1,"argv":["true"],"cwd":"/","prompt":false,"separate_errors":false,
            "timeout_millis":1,"grace_millis":2,"max_output_bytes":3}"#;
        let request: Request = serde_json::from_str(first).unwrap();
        assert_eq!((request.open_files, request.keeps_work), (None, false));
    }

    #[test]
    fn only_exit_code_0_of_a_command_that_boi_did_not_end_is_success() {
        let (zero, one) = (Some(ExitStatus::Code(0)), Some(ExitStatus::Code(1)));
        for (cause, status, succeeded) in [
            (EndCause::Finished, zero, true),
            (EndCause::Finished, one, false),
            (EndCause::Finished, Some(ExitStatus::Signal(9)), false),
            (EndCause::Finished, None, false),
            (EndCause::Terminated, zero, false),
            (EndCause::TimedOut, zero, false),
            (EndCause::Lost, None, false),
        ] {
            assert_eq!(
                CommandEnd::new(cause.clone(), status, Timestamp(0)).succeeded(),
                succeeded,
                "{cause:?} {status:?}"
            );
        }
    }
}
