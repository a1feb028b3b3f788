//! Prints the output of a command. Each call prints only the output that was not printed before.

use std::io::Write;

use super::CliError;
use super::printing::stream;
use crate::agents::OutputKind;
use crate::domain::time::Timestamp;
use crate::domain::{exit, text};
use crate::process::command_dir::{CommandDir, ERRORS, OUTPUT};
use crate::system::files;
use crate::ui::units;

/// An unfinished line with at least this many bytes is printed, unless it is an agent's output.
const LONG_LINE: usize = 1 << 20;

/// How the output of a command is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The lines of an agent, as readable text.
    Described(OutputKind),
    /// Text, without characters that control the terminal.
    Escaped,
    /// The bytes of the output, and nothing else.
    Raw,
}

/// The output of one command.
pub(super) struct Section {
    /// The heading, until it is printed.
    heading: Option<String>,
    dir: CommandDir,
    form: Form,
    /// How many bytes of standard output and of standard error were printed.
    printed: (u64, u64),
    /// When the command began, if its end is to be shown.
    began_at: Option<Timestamp>,
}

impl Section {
    pub(super) fn new(heading: String, dir: CommandDir, form: Form) -> Section {
        Section { heading: Some(heading).filter(|_| form != Form::Raw), dir, form, printed: (0, 0), began_at: None }
    }

    /// Also prints how the command ended, and how long it took.
    pub(super) fn with_end(self, began_at: Timestamp) -> Section {
        Section { began_at: Some(began_at).filter(|_| self.form != Form::Raw), ..self }
    }

    /// Prints how the command ended; nothing if it has not ended, or its record was removed.
    fn print_end(&self) -> Result<(), CliError> {
        let Some(began_at) = self.began_at else { return Ok(()) };
        let Some(end) = self.dir.read_exit() else { return Ok(()) };
        let took = units::duration(end.ended_at.millis_since(began_at));
        stream(format!("== {} after {took}\n", text::plain(&exit::describe_end(&end))).as_bytes())
    }

    /// Prints the output that was not printed before. `complete`: also prints an unfinished last line.
    /// `is_current`: the command is the last one of a spec that has not ended. Returns `false` if the output
    /// was removed.
    pub(super) fn print_new(&mut self, complete: bool, is_current: bool) -> Result<bool, CliError> {
        let heading = self.heading.take();
        if let Some(heading) = &heading {
            stream(format!("{heading}\n").as_bytes())?;
        }
        // The folder of a command that is about to begin does not exist yet.
        if !self.dir.exists() && !is_current {
            // `boi clean` removes the folder of the attempt with those of its commands.
            let is_removed = !self.dir.attempt_exists();
            if heading.is_some() {
                stream(if is_removed { b"(removed by `boi clean`)\n" } else { b"(ended before it started)\n" })?;
            }
            return Ok(!is_removed);
        }
        let (output, errors) = self.printed;
        let form_of_errors = if self.form == Form::Raw { Form::Raw } else { Form::Escaped };
        self.printed = (
            print_from(&self.dir, OUTPUT, output, self.form, complete)?,
            print_from(&self.dir, ERRORS, errors, form_of_errors, complete)?,
        );
        match self.printed {
            _ if self.form == Form::Raw => {}
            (0, 0) if complete && is_current => stream(b"(no output yet)\n")?,
            (0, 0) if complete => stream(b"(no output)\n")?,
            _ => {}
        }
        if complete {
            self.print_end()?;
        }
        Ok(true)
    }
}

/// Prints a file, starting at `offset`; returns the offset of the first byte that was not printed. Prints an
/// unfinished last line only if `complete` is set, the line is very long, or the form is raw.
fn print_from(dir: &CommandDir, name: &str, offset: u64, form: Form, complete: bool) -> Result<u64, CliError> {
    let agent = match form {
        Form::Described(agent) => Some(agent),
        Form::Escaped | Form::Raw => None,
    };
    let mut printer = LinePrinter { rest: Vec::new(), agent, within_line: false };
    let mut result = Ok(());
    let Some(file) = dir.open_file(name)? else { return Ok(offset) };
    let end = files::read_from(file, offset, u64::MAX, |chunk| {
        if result.is_ok() {
            result = if form == Form::Raw { stream(chunk) } else { printer.push(chunk) };
        }
    })?;
    result?;
    if complete {
        printer.finish()?;
        return Ok(end);
    }
    Ok(end - printer.rest.len() as u64)
}

/// Prints line by line, so that never more than one line is in memory.
struct LinePrinter {
    /// The bytes that were read but not printed: an unfinished line.
    rest: Vec<u8>,
    agent: Option<OutputKind>,
    /// Whether the printed output does not end with a line end.
    within_line: bool,
}

impl LinePrinter {
    fn push(&mut self, chunk: &[u8]) -> Result<(), CliError> {
        let searched = self.rest.len();
        self.rest.extend_from_slice(chunk);
        let printable = match self.rest[searched..].iter().rposition(|&byte| byte == b'\n') {
            Some(last) => searched + last + 1,
            // An agent's output can be described only in whole lines. Other text may be split, but not within
            // a character.
            None if self.agent.is_some() || self.rest.len() < LONG_LINE => return Ok(()),
            None => self.rest.len() - unfinished_character(&self.rest),
        };
        self.print(printable)
    }

    fn finish(&mut self) -> Result<(), CliError> {
        self.print(self.rest.len())?;
        if self.within_line { stream(b"\n") } else { Ok(()) }
    }

    fn print(&mut self, count: usize) -> Result<(), CliError> {
        let mut out = Vec::new();
        for line in self.rest[..count].split_inclusive(|&byte| byte == b'\n') {
            match self.agent.map(|agent| agent.dialect().describe(line.trim_ascii_end())) {
                Some(Some(described)) => writeln!(out, "{described}")?,
                Some(None) => {}
                None => out.write_all(text::plain(&String::from_utf8_lossy(line)).as_bytes())?,
            }
        }
        self.rest.drain(..count);
        if let Some(&last) = out.last() {
            self.within_line = last != b'\n';
        }
        stream(&out)
    }
}

/// Returns the number of bytes at the end of `bytes` that are the beginning of an incomplete UTF-8 character.
fn unfinished_character(bytes: &[u8]) -> usize {
    let starts_character = |back: &usize| bytes[bytes.len() - back] >= 0xC0;
    let Some(back) = (1..=3.min(bytes.len())).find(starts_character) else { return 0 };
    let cut = std::str::from_utf8(&bytes[bytes.len() - back..]).is_err_and(|error| error.error_len().is_none());
    if cut { back } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_an_unfinished_character_are_counted() {
        for (text, cut) in [("ab", 0), ("aä", 0), ("a€", 0), ("a\u{1f600}", 0)] {
            assert_eq!(unfinished_character(text.as_bytes()), cut, "{text}");
        }
        assert_eq!(unfinished_character(&"aä".as_bytes()[..2]), 1);
        assert_eq!(unfinished_character(&"€€".as_bytes()[..5]), 2);
        assert_eq!(unfinished_character(&"a\u{1f600}".as_bytes()[..4]), 3);
        assert_eq!(unfinished_character(b"\x80\x80\x80"), 0);
    }
}
