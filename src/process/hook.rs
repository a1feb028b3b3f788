//! Runs the command of a hook to its end.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::bounded::{self, BoundedEnd, Bounds};
use super::inherited;
use super::marker::MARKER;

/// The most bytes that the command of a hook may print to one of its streams.
const MAX_OUTPUT: u64 = 1 << 20;
/// The most bytes of its output that are returned.
const TAIL: usize = 2_000;

/// One run of a hook's command.
pub(crate) struct HookRun<'a> {
    /// The command, for `sh -c`.
    pub command: &'a str,
    /// The folder in which it runs.
    pub folder: &'a Path,
    /// Its standard input.
    pub input: &'a [u8],
    /// Environment variables.
    pub variables: &'a [(&'static str, String)],
    /// The marker of the hook, by which its processes are found.
    pub marker: &'a str,
    /// How long it may run.
    pub within: Duration,
    /// Whether it must be ended now.
    pub is_ordered_to_end: &'a dyn Fn() -> bool,
}

/// How a hook's command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HookEnd {
    /// It exited with 0. Contains the end of what it printed.
    Succeeded(String),
    /// It failed, for this reason, with the end of what it printed.
    Failed(String),
    /// It was ended on an order.
    Ordered,
}

/// Runs the command in a process group of its own. The command ends when the thread that calls this function
/// ends, and so with this process. Blocks.
pub(crate) fn run(hook: &HookRun<'_>) -> HookEnd {
    match start(hook) {
        Ok(BoundedEnd::Exited { status, stdout, stderr }) => {
            let printed = tail(&[stdout, stderr].concat());
            match status.code() {
                Some(0) => HookEnd::Succeeded(printed),
                Some(code) => HookEnd::Failed(with_output(&format!("exit code {code}"), &printed)),
                None => HookEnd::Failed(with_output("a signal ended it", &printed)),
            }
        }
        Ok(BoundedEnd::TimedOut(stderr)) => {
            let what = format!("it did not end within {} s", hook.within.as_secs());
            HookEnd::Failed(with_output(&what, &tail(&stderr)))
        }
        Ok(BoundedEnd::Ordered) => HookEnd::Ordered,
        Err(error) => HookEnd::Failed(error.to_string()),
    }
}

#[expect(clippy::disallowed_methods, reason = "`process` starts processes")]
fn start(hook: &HookRun<'_>) -> io::Result<BoundedEnd> {
    let mut command = Command::new("sh");
    command.args(["-c", hook.command]).current_dir(hook.folder).stdin(Stdio::from(input(hook.input)?));
    for variable in inherited::GIT_LOCAL.iter().chain(inherited::NOT_FOR_COMMANDS) {
        command.env_remove(variable);
    }
    command.env(MARKER, hook.marker).envs(hook.variables.iter().map(|(name, value)| (name, value)));
    end_with_parent(&mut command);
    let bounds = Bounds {
        until: Instant::now() + hook.within,
        is_ordered_to_end: hook.is_ordered_to_end,
        marker: Some(hook.marker),
        max_output: MAX_OUTPUT,
    };
    bounded::run(&mut command, &bounds)
}

/// Lets the command end with the thread that starts it.
fn end_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;

        use rustix::process::{Signal, set_parent_process_death_signal};

        // SAFETY: the closure makes one system call, which is async-signal-safe.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Returns a file with `bytes`. Unlike a pipe, it needs nobody who reads it.
fn input(bytes: &[u8]) -> io::Result<File> {
    let mut file = bounded::anonymous_file()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn with_output(what: &str, printed: &str) -> String {
    if printed.is_empty() { what.to_owned() } else { format!("{what}: {printed}") }
}

/// Returns the end of what a command printed.
fn tail(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(TAIL);
    String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::marker::new_marker;
    use super::*;

    fn end_of(command: &str, within: Duration) -> HookEnd {
        let (folder, marker) = (tempfile::TempDir::new().unwrap(), new_marker());
        let variables = [("BOI_EVENT", "spec.failed".to_owned())];
        run(&HookRun {
            command,
            folder: folder.path(),
            input: b"{\"cursor\":\"1\"}\n",
            variables: &variables,
            marker: &marker,
            within,
            is_ordered_to_end: &|| false,
        })
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_hook_reads_the_event_and_its_output_is_returned() {
        assert_eq!(end_of("cat; echo $BOI_EVENT", LONG), HookEnd::Succeeded("{\"cursor\":\"1\"}\nspec.failed".into()));
        assert_eq!(end_of("true", LONG), HookEnd::Succeeded(String::new()), "the input need not be read");
    }

    #[test]
    fn a_hook_that_fails_or_hangs_is_reported() {
        assert_eq!(end_of("echo no >&2; exit 3", LONG), HookEnd::Failed("exit code 3: no".into()));
        let HookEnd::Failed(why) = end_of("yes", LONG) else { panic!("it printed too much") };
        assert!(why.contains("printed more than 1 MiB"), "{why}");
        let hung = end_of("trap '' TERM; sleep 1000 & sleep 1000", Duration::from_millis(200));
        assert_eq!(hung, HookEnd::Failed("it did not end within 0 s".into()));
    }
}
