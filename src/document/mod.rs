//! Reads TOML documents, and reports each problem with its position. `spec` and `config` read their files
//! with this room.
//!
//! ```text
//! bytes ─ decode ─▶ Document ─ syntax ─▶ recovered table ─ Section, value ─▶ T
//!           │ size, UTF-8      │ syntax errors        │ types, ranges, unknown keys
//!           └──────────────────┴──────── Faults ──────┴──▶ Problems: every problem, with its place
//! ```
//!
//! Invariants:
//! - One pass finds every problem. A problem that may be a consequence of a syntax error is not reported:
//!   "missing `title`" is left out when the line with the title could not be parsed.
//! - A span is a byte range of the text without its byte order mark, on character boundaries.
//! - No input makes this room panic or overflow the stack: the parser bounds the nesting.

mod decode;
mod faults;
mod located;
mod names;
pub(crate) mod problem;
mod section;
mod source;
mod syntax;
mod syntax_message;
mod value;

pub(crate) use decode::{too_large, unreadable};
pub(crate) use faults::Faults;
pub(crate) use located::Located;
pub(crate) use names::{closest, quoted};
pub(crate) use section::Section;
pub(crate) use source::Document;

use problem::{Problem, Problems};

/// Reads a document.
///
/// `name` is the document's name in messages, `limit` the largest accepted size in bytes. `build` turns the
/// root table into the result; it reports problems to the [`Faults`] and returns `None` when it cannot build
/// a result.
pub(crate) fn read<T>(
    name: &str,
    bytes: &[u8],
    limit: usize,
    build: impl FnOnce(&Document, &Section<'_>, &mut Faults) -> Option<T>,
) -> Result<T, Problems> {
    let document = decode::decode(name, bytes, limit)?;
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

#[cfg(test)]
mod tests;
