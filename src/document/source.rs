//! The source text of a document, and lookup by position.

use std::ops::Range;
use std::sync::Arc;

/// A document's name and text. Clones share the text, so a reader can keep a clone to report problems later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    name: Arc<str>,
    text: Arc<str>,
}

impl Document {
    pub(super) fn new(name: &str, text: &str) -> Document {
        Document { name: name.into(), text: text.into() }
    }

    /// Returns the document's name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the whole text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the number of the line that contains `offset`, counted from 1.
    pub(crate) fn line_number(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Returns the byte range of the line that contains `offset` (a character boundary), without its line
    /// end.
    pub(super) fn line_at(&self, offset: usize) -> Range<usize> {
        line_at(&self.text, offset)
    }

    /// Returns `span`, moved to character boundaries inside the text.
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

/// Returns the byte range of the line of `text` that contains `offset` (a character boundary), without its
/// line end.
pub(super) fn line_at(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    let line = text[start..end].strip_suffix('\r').unwrap_or(&text[start..end]);
    start..start + line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_map_to_lines() {
        let document = Document::new("x", "ab\r\ncé\n\nd");
        // (offset, number of its line, range of its line)
        for (offset, number, line) in [
            (0, 1, 0..2),
            (2, 1, 0..2),
            (3, 1, 0..2),
            (4, 2, 4..7),
            (7, 2, 4..7),
            (8, 3, 8..8),
            (9, 4, 9..10),
            (10, 4, 9..10),
        ] {
            assert_eq!(document.line_number(offset), number, "{offset}");
            assert_eq!(document.line_at(offset), line, "{offset}");
        }
        assert_eq!(document.line_number(99), 4);
    }

    #[test]
    fn a_span_is_moved_onto_character_boundaries_inside_the_text() {
        let document = Document::new("x", "aéb");
        for (span, within) in [(0..4, 0..4), (1..3, 1..3), (2..2, 1..1), (2..3, 1..3), (9..20, 4..4), (3..9, 3..4)] {
            assert_eq!(document.within(&span), within, "{span:?}");
        }
        let reversed = Range { start: 3, end: 1 };
        assert_eq!(document.within(&reversed), 3..3);
    }
}
