//! The text of a document: decoded, bounded in size, and looked up by position.

use std::ops::Range;
use std::sync::Arc;

use super::problem::{Problem, Problems};

/// A document's name and text. Clones share the text. Who keeps it can point into it later, for what only the host can
/// find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    name: Arc<str>,
    text: Arc<str>,
}

impl Document {
    /// Decodes `bytes`. A byte order mark in front is dropped.
    pub(super) fn new(name: &str, bytes: &[u8], limit: usize) -> Result<Document, Problems> {
        let name: Arc<str> = name.into();
        if bytes.len() > limit {
            // A reader that stops at the first byte too many knows no more than this.
            let found = if bytes.len() == limit + 1 { format!("more than {}", size(limit)) } else { size(bytes.len()) };
            return Err(too_large(&name, &found, limit));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Document { name, text: text.into() }),
            Err(error) => {
                let at = error.valid_up_to();
                let text: Arc<str> = String::from_utf8_lossy(bytes).into();
                // The text up to here is the same in both, so the replacement character stands at this very offset.
                let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
                let message = if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
                    "the file is UTF-16, not UTF-8".to_owned()
                } else {
                    format!("the byte 0x{:02X} here is not valid UTF-8", bytes[at])
                };
                let problem = Problem::new(message, Some(span)).hint("save the file as UTF-8");
                Err(Problems::of(Document { name, text }, vec![problem]))
            }
        }
    }

    /// What problems call the document.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Problems found later, with this document to point into; `None` when there are none.
    pub fn problems(&self, problems: Vec<Problem>) -> Option<Problems> {
        (!problems.is_empty()).then(|| Problems::of(self.clone(), problems))
    }

    /// All of it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The line that `offset` is in, without its end.
    pub(super) fn line_at(&self, offset: usize) -> Range<usize> {
        line_at(&self.text, offset)
    }

    /// `span` moved onto character boundaries inside the text.
    pub(super) fn within(&self, span: &Range<usize>) -> Range<usize> {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(span.start);
        start..floor(span.end).max(start)
    }
}

/// The problem of a document of `bytes` bytes, of which no more than `limit` are read.
pub(crate) fn larger(name: &str, bytes: u64, limit: usize) -> Problems {
    too_large(name, &size(usize::try_from(bytes).unwrap_or(usize::MAX)), limit)
}

fn too_large(name: &str, found: &str, limit: usize) -> Problems {
    let message = format!("the file is too large: {found}, where at most {} are read", size(limit));
    Problems::of(Document { name: name.into(), text: "".into() }, vec![Problem::new(message, None)])
}

/// The line of `text` that `offset` (a character boundary) is in, without its end.
pub(super) fn line_at(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    let line = text[start..end].strip_suffix('\r').unwrap_or(&text[start..end]);
    start..start + line.len()
}

fn size(bytes: usize) -> String {
    const MIB: usize = 1 << 20;
    match bytes {
        0..MIB => format!("{bytes} bytes"),
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ => format!("{:.1} MiB", bytes as f64 / MIB as f64),
    }
}
