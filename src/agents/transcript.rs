//! Splits an agent's output into lines, and reads each line as soon as it is complete.
//!
//! The caller may pass the output in chunks of any size. Memory is bounded: a line longer than
//! [`LONGEST_LINE`] is discarded while it arrives.

use super::reading::{LineReader, Reading};

/// The longest line that is read, in bytes. Longer lines are skipped.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// The largest buffer that is reused for the next line, in bytes. A larger buffer is freed.
const KEPT_BUFFER: usize = 64 * 1024;

/// Reads the output of one run while the run prints it.
pub struct Transcript {
    reader: Box<dyn LineReader>,
    line: Vec<u8>,
    skipping: bool,
    reading: Reading,
}

impl Transcript {
    pub(super) fn new(reader: Box<dyn LineReader>) -> Transcript {
        Transcript { reader, line: Vec::new(), skipping: false, reading: Reading::default() }
    }

    /// Reads the next part of the output.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.extend_line(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.extend_line(rest);
    }

    /// Returns what the output contains so far.
    pub fn so_far(&self) -> &Reading {
        &self.reading
    }

    /// Returns what the whole output contains, including a last line without a newline.
    pub fn finish(mut self) -> Reading {
        self.end_line();
        self.reading
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        if self.skipping {
            return;
        }
        if self.line.len() + bytes.len() > LONGEST_LINE {
            self.skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        self.skipping = false;
        self.reader.read_line(&self.line, &mut self.reading);
        self.line.clear();
        if self.line.capacity() > KEPT_BUFFER {
            self.line = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader that appends the length of each line to `last_text`.
    struct Lengths;

    impl LineReader for Lengths {
        fn read_line(&mut self, line: &[u8], reading: &mut Reading) {
            reading.last_text.get_or_insert_default().push_str(&format!("{} ", line.len()));
        }
    }

    fn lengths<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut transcript = Transcript::new(Box::new(Lengths));
        chunks.into_iter().for_each(|chunk| transcript.push(chunk));
        transcript.finish().last_text.unwrap_or_default()
    }

    #[test]
    fn chunks_are_joined_into_lines() {
        assert_eq!(lengths([b"ab".as_slice(), b"c\n\nd", b"e"]), "3 0 2 ");
    }

    #[test]
    fn a_line_counts_as_soon_as_it_ends() {
        let mut transcript = Transcript::new(Box::new(Lengths));
        transcript.push(b"ab\nc");
        assert_eq!(transcript.so_far().last_text.as_deref(), Some("2 "));
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_alone() {
        let longest = vec![b'x'; LONGEST_LINE];
        assert_eq!(lengths([longest.as_slice(), b"\nab\n"]), format!("{LONGEST_LINE} 2 0 "));
        // A line that is too long is skipped as a whole, also if it comes in several chunks.
        assert_eq!(lengths([longest.as_slice(), b"x", b"rest", b"\nab\n"]), "0 2 0 ");
    }

    #[test]
    fn memory_stays_bounded() {
        let mut transcript = Transcript::new(Box::new(Lengths));
        transcript.push(&vec![b'x'; LONGEST_LINE]);
        transcript.push(b"x");
        assert_eq!(transcript.line.capacity(), 0, "the part that was held is released at once");
        transcript.push(b"\n");
        for (size, kept) in [(65_537, false), (65_536, true)] {
            transcript.push(&vec![b'x'; size]);
            transcript.push(b"\n");
            assert_eq!(transcript.line.capacity() > 0, kept, "a buffer of {size} bytes after its line");
        }
    }

    proptest! {
        #[test]
        fn how_the_output_is_cut_into_chunks_makes_no_difference(
            output in "[a\n]{0,60}", sizes in proptest::collection::vec(1usize..9, 1..20),
        ) {
            let (mut chunks, mut rest) = (Vec::new(), output.as_bytes());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at((*size).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(lengths(chunks), lengths([output.as_bytes()]));
        }
    }
}
