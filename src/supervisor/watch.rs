//! What a supervisor waits for: signals, the deadline, and the growth of the output. It sleeps until one of them comes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};

use crate::domain::command::Request;
use crate::process::command::CommandDir;

/// While output grows, its size is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Everything that wakes a supervisor.
pub(super) struct Watch {
    terminate: UnixStream,
    child: UnixStream,
    growth: growth::Growth,
    /// Open, so that they are seen to grow also when their folder is removed.
    files: Vec<File>,
    most: u64,
    quiet_until: Instant,
}

/// What woke it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Woken {
    pub(super) terminate: bool,
    pub(super) too_much_output: bool,
}

impl Watch {
    pub(super) fn new(dir: &CommandDir, request: &Request) -> io::Result<Watch> {
        let (terminate, on_terminate) = UnixStream::pair()?;
        let (child, on_child) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGTERM, on_terminate.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGINT, on_terminate)?;
        signal_hook::low_level::pipe::register(SIGCHLD, on_child)?;
        terminate.set_nonblocking(true)?;
        child.set_nonblocking(true)?;
        let mut paths = vec![dir.output_file(), dir.errors_file()];
        paths.retain(|path| path.exists());
        let growth = growth::Growth::new(&paths)?;
        let files = paths.iter().map(File::open).collect::<io::Result<_>>()?;
        Ok(Watch { terminate, child, growth, files, most: request.max_output_bytes, quiet_until: Instant::now() })
    }

    /// Sleeps until something happens, at the longest until `deadline`.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Woken> {
        let now = Instant::now();
        let resting = self.quiet_until > now;
        let look_at = match (resting, self.growth.source().is_some()) {
            (true, _) if self.growth.stirred() => Some(self.quiet_until),
            (false, false) => Some(now + LOOK_EVERY),
            _ => None,
        };
        let until = [deadline, look_at].into_iter().flatten().min();
        {
            let mut sources =
                vec![PollFd::new(&self.terminate, PollFlags::IN), PollFd::new(&self.child, PollFlags::IN)];
            if let (false, Some(source)) = (resting, self.growth.source()) {
                sources.push(PollFd::from_borrowed_fd(source, PollFlags::IN));
            }
            let timeout = until.map(|until| until.saturating_duration_since(now) + Duration::from_millis(1));
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            match poll(&mut sources, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        drain(&self.child);
        let mut woken = Woken { terminate: drain(&self.terminate), too_much_output: false };
        if self.quiet_until <= Instant::now() && self.growth.look() {
            // At rest nothing is noticed, so its end is to be woken for.
            if self.growth.stirred() {
                self.quiet_until = Instant::now() + LOOK_EVERY;
            }
            let size: u64 = self.files.iter().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum();
            woken.too_much_output = size > self.most;
        }
        Ok(woken)
    }
}

/// Empties the pipe of a signal; returns whether there was one.
fn drain(mut pipe: &UnixStream) -> bool {
    let mut bytes = [0; 64];
    let mut any = false;
    while let Ok(1..) = pipe.read(&mut bytes) {
        any = true;
    }
    any
}

/// Ignored, not handled: it stays ignored in the command too, so that the end of a terminal ends no agent.
pub(super) fn ignore_hangup() {
    // SAFETY: SIG_IGN installs no handler, and this process has one thread.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}

#[cfg(target_os = "linux")]
mod growth {
    //! Growth by inotify: a command that prints nothing costs no wake-up. Where the kernel has no instance left (128 for
    //! all programs of a user, by default), it is looked for.

    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::path::PathBuf;

    use rustix::fs::inotify;

    pub(super) struct Growth {
        events: Option<OwnedFd>,
        stirred: bool,
    }

    impl Growth {
        pub(super) fn new(files: &[PathBuf]) -> io::Result<Growth> {
            let events = match inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK) {
                Ok(events) => events,
                Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                    return Ok(Growth { events: None, stirred: true });
                }
                Err(error) => return Err(error.into()),
            };
            for file in files {
                match inotify::add_watch(&events, file, inotify::WatchFlags::MODIFY) {
                    Ok(_) => {}
                    Err(rustix::io::Errno::NOSPC) => return Ok(Growth { events: None, stirred: true }),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(Growth { events: Some(events), stirred: false })
        }

        pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
            self.events.as_ref().map(AsFd::as_fd)
        }

        /// Whether growth was seen and its size is to be looked at again.
        pub(super) fn stirred(&self) -> bool {
            self.stirred
        }

        /// Takes what was noticed; returns whether anything grew.
        pub(super) fn look(&mut self) -> bool {
            let Some(events) = &self.events else { return true };
            let before = std::mem::take(&mut self.stirred);
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(events, &mut buffer);
            while reader.next().is_ok() {
                self.stirred = true;
            }
            before || self.stirred
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod growth {
    //! Where nothing tells of growth, it is looked for.

    use std::io;
    use std::os::fd::BorrowedFd;
    use std::path::PathBuf;

    pub(super) struct Growth;

    impl Growth {
        pub(super) fn new(_files: &[PathBuf]) -> io::Result<Growth> {
            Ok(Growth)
        }

        pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
            None
        }

        pub(super) fn stirred(&self) -> bool {
            true
        }

        pub(super) fn look(&mut self) -> bool {
            true
        }
    }
}
