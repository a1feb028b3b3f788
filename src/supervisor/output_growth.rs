//! Reports when output files grow. With inotify, a supervisor does not wake up while its command prints
//! nothing. If that is not possible, for example because no inotify instance is left (the kernel allows 128
//! for each user by default), the supervisor polls the sizes of the files.

#[cfg(target_os = "linux")]
mod inotify {
    use std::fs::File;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

    use rustix::fs::inotify;

    pub(crate) struct OutputGrowth {
        /// The inotify instance; `None`: the sizes are polled.
        events: Option<OwnedFd>,
        pending: bool,
    }

    impl OutputGrowth {
        /// Watches `files`. If that is not possible, for example because the command removed this user's
        /// permission to read them, the sizes are polled: the command runs already.
        pub(crate) fn watch(files: &[File]) -> OutputGrowth {
            match events_of(files) {
                Ok(events) => OutputGrowth { events: Some(events), pending: false },
                Err(_) => OutputGrowth { events: None, pending: true },
            }
        }

        /// A descriptor that becomes readable when a file grows; `None`: the sizes must be polled.
        pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
            self.events.as_ref().map(AsFd::as_fd)
        }

        /// Whether the files grew recently, so that their sizes must be checked once more.
        pub(crate) fn is_pending(&self) -> bool {
            self.pending
        }

        /// Consumes the waiting events. Returns whether the sizes must be checked now.
        pub(crate) fn take_events(&mut self) -> bool {
            let Some(events) = &self.events else { return true };
            let before = std::mem::take(&mut self.pending);
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(events, &mut buffer);
            while reader.next().is_ok() {
                self.pending = true;
            }
            before || self.pending
        }
    }

    fn events_of(files: &[File]) -> rustix::io::Result<OwnedFd> {
        let events = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        for file in files {
            // A path through the descriptor leads to the open file, whatever is at the file's own path.
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            inotify::add_watch(&events, path, inotify::WatchFlags::MODIFY)?;
        }
        Ok(events)
    }
}

#[cfg(not(target_os = "linux"))]
mod polling {
    use std::fs::File;
    use std::os::fd::BorrowedFd;

    pub(crate) struct OutputGrowth;

    impl OutputGrowth {
        pub(crate) fn watch(_files: &[File]) -> OutputGrowth {
            OutputGrowth
        }

        pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
            None
        }

        pub(crate) fn is_pending(&self) -> bool {
            true
        }

        pub(crate) fn take_events(&mut self) -> bool {
            true
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use inotify::OutputGrowth;
#[cfg(not(target_os = "linux"))]
pub(super) use polling::OutputGrowth;
