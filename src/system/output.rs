//! Writes to standard error, and detects that nobody reads standard output any more.
//!
//! A message that cannot be written is dropped: the reader of a pipe may have ended, the terminal may be
//! closed, or the disk may be full, and none of these may stop the program. The macros of the standard
//! library would panic, so no code uses them.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::domain::escape;

/// The interval at which a command checks whether the reader of its output has closed it.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// Prints a line to standard error, with the arguments of `format!`. A line that cannot be written is dropped.
macro_rules! say {
    () => { $crate::system::output::write_error_line(format_args!("")) };
    ($($argument:tt)*) => { $crate::system::output::write_error_line(format_args!($($argument)*)) };
}
pub(crate) use say;

/// Writes a line to standard error, with unsafe characters made visible; drops it if it cannot be written.
pub(crate) fn write_error_line(line: Arguments<'_>) {
    write_line_to(io::stderr().lock(), &escape::escaped_lines(&line.to_string()));
}

/// Writes a line with styles to standard error, with unsafe characters made visible. Omits the styles if
/// standard error is not a terminal or the user disabled colour. Drops the line if it cannot be written.
pub(crate) fn write_styled_error_line(line: Arguments<'_>) {
    write_line_to(anstream::AutoStream::auto(io::stderr().lock()), &escape::escaped_styled(&line.to_string()));
}

fn write_line_to(mut out: impl Write, line: &str) {
    // One write, so that lines of several processes do not mix.
    drop(out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()));
}

/// Whether nobody reads standard output any more: the other end of the pipe or socket, or the terminal, is
/// closed.
pub(crate) fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    let mut output = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let found = poll(&mut output, Some(&now));
    found == Ok(1) && output[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Waits until nobody reads standard output any more. Detects this also while nothing is written.
pub(crate) async fn reader_gone() {
    while !reader_is_gone() {
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_written_is_dropped() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        write_line_to(Full, "lost");
        let mut written = Vec::new();
        write_line_to(&mut written, "2 words");
        assert_eq!(written, b"2 words\n");
    }
}
