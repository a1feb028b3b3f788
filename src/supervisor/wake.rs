//! The events that wake a supervisor: signals, the deadline, and growing output. The supervisor sleeps until one of
//! them occurs.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};

use super::output_growth::OutputGrowth;
use crate::domain::command::Request;
use crate::process::command_dir::{ERRORS, OUTPUT};
use crate::system::untrusted::Folder;

/// The size of growing output is checked at most this often.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Everything that wakes a supervisor.
pub(super) struct WakeSources {
    terminate: UnixStream,
    child: UnixStream,
    /// `None` until the first check: most commands end before it, and the kernel takes several milliseconds to end
    /// an inotify instance.
    growth: Option<OutputGrowth>,
    /// The output files. They stay open, so that the supervisor can read their sizes even after their folder
    /// was removed.
    files: Vec<File>,
    max_output_bytes: u64,
    /// The sizes of the output files are not checked again before this time.
    quiet_until: Instant,
}

/// What woke the supervisor.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Woken {
    /// Whether a SIGTERM or SIGINT arrived.
    pub(super) terminate: bool,
    /// Whether the output is larger than the limit `max_output_bytes` of the request.
    pub(super) too_much_output: bool,
}

impl WakeSources {
    pub(super) fn new(folder: &Folder, request: &Request) -> io::Result<WakeSources> {
        let (terminate, on_terminate) = UnixStream::pair()?;
        let (child, on_child) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGTERM, on_terminate.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGINT, on_terminate)?;
        signal_hook::low_level::pipe::register(SIGCHLD, on_child)?;
        terminate.set_nonblocking(true)?;
        child.set_nonblocking(true)?;
        let opened = [OUTPUT, ERRORS].map(|name| folder.file(name));
        let files: Vec<File> = opened.into_iter().filter_map(io::Result::transpose).collect::<io::Result<_>>()?;
        let max_output_bytes = request.max_output_bytes;
        let quiet_until = Instant::now() + CHECK_INTERVAL;
        Ok(WakeSources { terminate, child, growth: None, files, max_output_bytes, quiet_until })
    }

    /// Sleeps until an event occurs, at most until `deadline`.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Woken> {
        let now = Instant::now();
        let is_quiet = self.quiet_until > now;
        let is_pending = self.growth.as_ref().is_none_or(OutputGrowth::is_pending);
        let source = self.growth.as_ref().and_then(OutputGrowth::source);
        let check_at = match (is_quiet, source.is_some()) {
            (true, _) if is_pending => Some(self.quiet_until),
            (false, false) => Some(now + CHECK_INTERVAL),
            _ => None,
        };
        let until = [deadline, check_at].into_iter().flatten().min();
        {
            let mut sources =
                vec![PollFd::new(&self.terminate, PollFlags::IN), PollFd::new(&self.child, PollFlags::IN)];
            if let (false, Some(source)) = (is_quiet, source) {
                sources.push(PollFd::from_borrowed_fd(source, PollFlags::IN));
            }
            let timeout = until.map(|until| until.saturating_duration_since(now));
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            match poll(&mut sources, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        drain(&self.child);
        let mut woken = Woken { terminate: drain(&self.terminate), too_much_output: false };
        if self.quiet_until <= Instant::now() && self.take_growth() {
            // Until `quiet_until`, growing output does not wake this process. It wakes at `quiet_until`
            // instead.
            if self.growth.as_ref().is_some_and(OutputGrowth::is_pending) {
                self.quiet_until = Instant::now() + CHECK_INTERVAL;
            }
            let size: u64 = self.files.iter().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum();
            woken.too_much_output = size > self.max_output_bytes;
        }
        Ok(woken)
    }

    /// Whether the sizes of the output files must be checked now.
    fn take_growth(&mut self) -> bool {
        match &mut self.growth {
            Some(growth) => growth.take_events(),
            None => {
                self.growth = Some(OutputGrowth::watch(&self.files));
                true
            }
        }
    }
}

/// Empties the pipe of a signal. Returns whether the signal arrived.
fn drain(mut pipe: &UnixStream) -> bool {
    let mut bytes = [0; 64];
    let mut any = false;
    while let Ok(1..) = pipe.read(&mut bytes) {
        any = true;
    }
    any
}

/// Ignores SIGHUP. The command inherits this (it would not inherit a signal handler), so a closed terminal
/// does not end an agent.
pub(super) fn ignore_hangup() {
    // SAFETY: SIG_IGN installs no handler, and this process has one thread.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}
