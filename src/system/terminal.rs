//! The terminal that standard output or standard error is.

use std::io::{self, IsTerminal};

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// From top to bottom.
    pub rows: usize,
    /// From left to right.
    pub columns: usize,
}

/// The size of standard output's terminal; `None`: it is none, or does not say.
pub fn size() -> Option<Size> {
    io::stdout().is_terminal().then(io::stdout).and_then(measured)
}

/// The size of standard error's terminal; `None`: it is none, or does not say.
pub fn stderr_size() -> Option<Size> {
    io::stderr().is_terminal().then(io::stderr).and_then(measured)
}

fn measured(terminal: impl std::os::fd::AsFd) -> Option<Size> {
    let found = rustix::termios::tcgetwinsize(terminal).ok()?;
    let size = Size { rows: found.ws_row.into(), columns: found.ws_col.into() };
    (size.rows > 0 && size.columns > 0).then_some(size)
}
