//! Processes: identifying, finding, signalling and starting them; and the folder of a command with its supervisor.
//!
//! The files in layers; each uses only those above it:
//!
//! | layer | files |
//! | --- | --- |
//! | what `/proc` says; limits; what children do not inherit | `procfs`, `limits`, `inherited` |
//! | one process, safely against reused pids | `identity` |
//! | the processes of a command: by marker, by cgroup, by parent links | `marker`, `cgroup`, `descendants` |
//! | a signal to a whole tree as if at one moment | `signal_tree` |
//! | a command's records and its folder | `record`, `command_dir` |
//! | starting this program as supervisor or daemon | `own_program`, `supervisor_process`, `background` |
//! | all processes of an attempt, by its folder and markers alone | `attempt_processes` |
//!
//! Invariant: a signal goes only to a process whose identity (pid, start time, boot) was checked **after** a pidfd to
//! it was opened, so a process that got a reused pid is never signalled.

pub(crate) mod attempt_processes;
pub(crate) mod background;
pub(crate) mod cgroup;
pub(crate) mod command_dir;
pub(crate) mod descendants;
pub(crate) mod identity;
pub mod inherited;
pub(crate) mod limits;
pub(crate) mod marker;
mod own_program;
pub(crate) mod procfs;
pub(crate) mod record;
pub(crate) mod signal_tree;
pub(crate) mod supervisor_process;
