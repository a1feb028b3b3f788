//! Identifies, finds, signals and starts processes, and manages the folder of a command.
//!
//! The files in layers. Each file uses only files of the layers above its own:
//!
//! | layer | files |
//! | --- | --- |
//! | reading `/proc`; resource limits; what child processes must not inherit | `procfs`, `limits`, `inherited`, `dispositions` |
//! | identifying and signalling one process, although pids are reused | `identity`, `peer` |
//! | finding the processes of a command: by marker, by cgroup, by parent pids | `marker`, `cgroup`, `descendants` |
//! | signalling all processes of a tree as if at the same moment | `signal_tree` |
//! | reading a command's records and its folder | `record`, `command_dir` |
//! | measuring the CPU time of a command | `cpu_time` |
//! | starting this program as a supervisor, as a daemon or as a command | `own_program`, `supervisor_process`, `background`, `child` |
//! | running a program to its end within bounds; running one for the user on the terminal | `bounded`, `interactive` |
//! | running the command of a hook | `hook` |
//! | finding all processes of an attempt without reading its records | `attempt_processes` |
//!
//! Invariant: a signal goes only to a process whose identity (pid, start time, boot) was checked **after** a pidfd to
//! it was opened, so a process that got a reused pid is never signalled.

pub(crate) mod attempt_processes;
pub(crate) mod background;
pub(crate) mod bounded;
pub(crate) mod cgroup;
pub(crate) mod child;
pub(crate) mod command_dir;
pub(crate) mod cpu_time;
pub(crate) mod descendants;
pub mod dispositions;
pub(crate) mod fork;
pub(crate) mod forker;
pub(crate) mod hook;
pub(crate) mod identity;
pub mod inherited;
pub(crate) mod interactive;
pub(crate) mod limits;
pub(crate) mod look_process;
pub(crate) mod marker;
mod own_program;
pub(crate) mod peer;
pub(crate) mod procfs;
pub(crate) mod record;
pub(crate) mod signal_tree;
pub(crate) mod supervisor_process;
