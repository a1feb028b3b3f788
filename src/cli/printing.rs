//! Printing to standard output.

use std::io::{self, Write};

use super::{CliError, FAILED};
use crate::domain::escape;

/// Prints bytes as they are.
pub(super) fn print(bytes: &[u8]) -> Result<(), CliError> {
    print_to(io::stdout().lock(), bytes)
}

/// Prints bytes as they are, for a command that only prints: fails with [`CliError::ReaderGone`] if nobody
/// reads them.
pub(super) fn stream(bytes: &[u8]) -> Result<(), CliError> {
    stream_to(io::stdout().lock(), bytes)
}

/// Prints text as [`print_styled`] does, for a command that only prints: fails with [`CliError::ReaderGone`]
/// if nobody reads it.
pub(super) fn stream_styled(text: &str) -> Result<(), CliError> {
    stream_to(anstream::AutoStream::auto(io::stdout().lock()), escape::escaped_styled(text).as_bytes())
}

/// Prints text. Removes its styles if standard output is not a terminal or the user asked for no styles
/// (`NO_COLOR`).
pub(super) fn print_styled(text: &str) -> Result<(), CliError> {
    print_to(anstream::AutoStream::auto(io::stdout().lock()), escape::escaped_styled(text).as_bytes())
}

/// Whether text on standard output may have colors.
pub(super) fn has_colors() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Prints text and a newline. Unsafe characters are made visible.
pub(super) fn print_line(text: &str) -> Result<(), CliError> {
    print(format!("{}\n", escape::escaped_lines(text)).as_bytes())
}

pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::new(FAILED, error.to_string()))?;
    print(format!("{}\n", escape::escaped_json(&text)).as_bytes())
}

fn print_to(out: impl Write, bytes: &[u8]) -> Result<(), CliError> {
    match stream_to(out, bytes) {
        // Nobody reads the output any more, but the command must still do its other work.
        Err(CliError::ReaderGone) => Ok(()),
        result => result,
    }
}

fn stream_to(mut out: impl Write, bytes: &[u8]) -> Result<(), CliError> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(CliError::ReaderGone),
        Err(error) => Err(CliError::new(FAILED, format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Returns the plural ending of a noun that follows `count`: `s`, or nothing for 1.
pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
