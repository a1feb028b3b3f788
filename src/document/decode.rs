//! Decodes the bytes of a document to text: size limit, byte order mark, UTF-8.

use super::problem::{Problem, Problems};
use super::source::Document;

/// Decodes `bytes`. A leading byte order mark is removed.
pub(super) fn decode(name: &str, bytes: &[u8], limit: usize) -> Result<Document, Problems> {
    if bytes.len() > limit {
        // A caller that reads at most one byte more than the limit does not know the size of the file.
        let found = if bytes.len() == limit + 1 { format!("more than {}", size(limit)) } else { size(bytes.len()) };
        return Err(oversized(name, &found, limit));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Document::new(name, text)),
        Err(error) => {
            let at = error.valid_up_to();
            let text = String::from_utf8_lossy(bytes);
            // Up to `at`, `bytes` and `text` are the same, so the replacement character begins at this
            // offset.
            let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
            let message = if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
                "the file is encoded in UTF-16, not in UTF-8".to_owned()
            } else {
                format!("the byte 0x{:02X} is not valid UTF-8", bytes[at])
            };
            let problem = Problem::new(message, Some(span)).hint("save the file as UTF-8");
            Err(Problems::of(Document::new(name, &text), vec![problem]))
        }
    }
}

/// Returns the problem to report for a file of `bytes` bytes, which is larger than `limit`.
pub(crate) fn too_large(name: &str, bytes: u64, limit: usize) -> Problems {
    oversized(name, &size(usize::try_from(bytes).unwrap_or(usize::MAX)), limit)
}

/// Returns the problem to report for a document that could not be read at all.
pub(crate) fn unreadable(name: &str, message: &str) -> Problems {
    Problems::of(Document::new(name, ""), vec![Problem::new(message, None)])
}

fn oversized(name: &str, found: &str, limit: usize) -> Problems {
    let message = format!("the file is too large: {found}; the limit is {}", size(limit));
    Problems::of(Document::new(name, ""), vec![Problem::new(message, None)])
}

fn size(bytes: usize) -> String {
    const MIB: usize = 1 << 20;
    match bytes {
        0..MIB => format!("{bytes} bytes"),
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ => format!("{:.1} MiB", bytes as f64 / MIB as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_bytes_below_one_mib_and_in_mib_above() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            ((1 << 20) - 1, "1048575 bytes"),
            (1 << 20, "1 MiB"),
            ((1 << 20) + (1 << 19), "1.5 MiB"),
            (8 << 20, "8 MiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn the_limit_is_accepted_and_one_byte_more_is_refused() {
        assert!(decode("x", b"1234", 4).is_ok());
        for (bytes, found) in [(&b"12345"[..], "more than 4 bytes"), (b"123456", "6 bytes")] {
            let refused = decode("x", bytes, 4).unwrap_err().lines();
            assert_eq!(refused, [format!("x: the file is too large: {found}; the limit is 4 bytes")]);
        }
        assert!(too_large("x", 9 << 20, 8 << 20).lines()[0].contains("too large: 9 MiB; the limit is 8 MiB"));
    }
}
