//! The size of the terminal to which standard output or standard error is connected.

use std::io::{self, IsTerminal};

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Number of lines.
    pub(crate) rows: usize,
    /// Number of characters in a line.
    pub(crate) columns: usize,
}

/// Returns the size of the terminal on standard output; `None` if standard output is no terminal or reports
/// no size.
pub(crate) fn size() -> Option<Size> {
    io::stdout().is_terminal().then(io::stdout).and_then(size_of)
}

/// Returns the size of the terminal on standard error; `None` if standard error is no terminal or reports no
/// size.
pub(crate) fn stderr_size() -> Option<Size> {
    io::stderr().is_terminal().then(io::stderr).and_then(size_of)
}

fn size_of(terminal: impl std::os::fd::AsFd) -> Option<Size> {
    let found = rustix::termios::tcgetwinsize(terminal).ok()?;
    let size = Size { rows: found.ws_row.into(), columns: found.ws_col.into() };
    (size.rows > 0 && size.columns > 0).then_some(size)
}
