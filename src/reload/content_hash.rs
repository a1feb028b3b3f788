//! A hash of the configuration file's content, to compare two contents.

use serde::{Deserialize, Serialize};

/// BLAKE3 hash of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContentHash([u8; 32]);

impl ContentHash {
    pub(super) fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(blake3::hash(bytes).into())
    }

    /// The hash in lower-case hexadecimal digits.
    pub(super) fn hex(&self) -> String {
        blake3::Hash::from(self.0).to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_blake3() {
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(ContentHash::of(b"").hex(), empty);
        assert_ne!(ContentHash::of(b"a"), ContentHash::of(b"b"));
    }
}
