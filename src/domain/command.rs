//! What a supervisor is told and what it leaves: the records of one command, versioned, so that a newer daemon reads
//! those of an older supervisor.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of the records that this program writes.
pub const RECORDS: u32 = 1;

/// What to run. It holds no environment: that is handed over as the supervisor's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The version of this record.
    pub version: u32,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Where.
    pub cwd: PathBuf,
    /// Whether the file `prompt` is its standard input; else it is `/dev/null`.
    pub prompt: bool,
    /// Whether standard error goes to the file `errors`; else it goes to `output` as well.
    pub separate_errors: bool,
    /// Milliseconds until it is ended as timed out.
    pub timeout_millis: u64,
    /// Milliseconds between TERM and KILL.
    pub grace_millis: u64,
    /// Bytes that `output` and `errors` may have together.
    pub max_output_bytes: u64,
    /// How many files it may have open; `None`: as many as its supervisor.
    #[serde(default)]
    pub open_files: Option<u64>,
    /// Whether what it wrote is work, and is on the disk before its end is recorded.
    #[serde(default)]
    pub keeps_work: bool,
}

/// Who a process is. A pid alone is no identity: it is given to another process later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When it started, in the kernel's clock ticks since boot.
    pub start_time: u64,
    /// The boot under which it started.
    pub boot_id: String,
}

/// A command was started: written by the process that becomes the command, before it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The version of this record.
    pub version: u32,
    /// The supervisor.
    pub supervisor: Identity,
    /// The command.
    pub command: Identity,
    /// The command's own cgroup; `None` where none could be had.
    #[serde(default)]
    pub cgroup: Option<PathBuf>,
}
