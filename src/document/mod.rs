//! A TOML document with positions, and problems that point into it: what `spec` and `config` are read with.
//!
//! ```text
//! bytes -> Document (UTF-8, size) -> syntax (recoverable parse) -> Section (typed reading) -> T
//!              \___________________________\______________________________\_____________-> Problems
//! ```
//!
//! Invariants:
//! - Every problem of a document is found in one go. What can only be a consequence of a syntax error is left out: no
//!   "missing `title`" when the line of the title could not be read.
//! - Spans are byte ranges of the document's text without its byte order mark, on character boundaries.
//! - No input makes this room panic or overflow the stack: nesting is bounded by the parser.

pub mod document;
pub mod problem;
pub(crate) mod section;
mod syntax;
mod value;
mod wording;

use std::ops::Range;

use document::Document;
use problem::{Problem, Problems};
use section::{Faults, Section};

/// A value and where it stands in its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The bytes of the document that say it.
    pub span: Range<usize>,
}

impl<T> Located<T> {
    /// The same place with another value.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), span: self.span }
    }
}

/// Reads a document with `build`, which reports what it dislikes to the [`Faults`] and gives `None` when it cannot go on.
///
/// `name` is what problems call the document; `limit` the largest size in bytes that is read at all.
pub(crate) fn read<T>(
    name: &str,
    bytes: &[u8],
    limit: usize,
    build: impl FnOnce(&Document, &Section<'_>, &mut Faults) -> Option<T>,
) -> Result<T, Problems> {
    let document = Document::new(name, bytes, limit)?;
    let (table, mut faults) = syntax::parse(document.text());
    let built = build(&document, &Section::root(&table), &mut faults);
    let mut problems = faults.into_problems();
    match built {
        Some(built) if problems.is_empty() => return Ok(built),
        None if problems.is_empty() => problems.push(Problem::new("this document cannot be read", None)),
        _ => {}
    }
    Err(Problems::of(document, problems))
}

/// `text` as a message quotes it: in backticks, cut, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).flat_map(visible).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

/// The known name that was probably meant by `name`.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name that is many times longer than any known one resembles none, and comparing it would cost its length squared.
    if name.len() > 128 {
        return None;
    }
    let plain = |text: &str| text.replace('-', "_").to_ascii_lowercase();
    let name = plain(name);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = (!c.is_control()).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests;
