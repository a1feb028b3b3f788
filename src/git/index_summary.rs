//! Reads from an index which tree it contains, without running git.
//!
//! The format is described by `gitformat-index(5)`. Git stores the hash of the whole tree in the index, and removes it
//! as soon as it writes an entry, even if the entry is the same as before. Then the digest of the entries shows that the tree
//! is the same.

use std::path::Path;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::system::files;

/// The maximum size of an index that is read, in bytes.
const MAX_INDEX: usize = 256 << 20;
/// The bytes of an entry before its object hash: ten numbers of 32 bits. The mode is the seventh of them.
const STAT_BYTES: usize = 40;
const MODE: usize = 24;
const GITLINK: u32 = 0o160_000;
/// The bits in the flags of an entry that contain the length of its name.
const NAME: u16 = 0x0fff;
/// The bits in the flags of an entry whose file git does not compare, or which is one side of a conflict, or which has
/// extended flags.
const UNUSUAL: u16 = 0xf000;

/// What an index contains.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IndexSummary {
    /// The hash of the tree with all entries; `None`: the index does not contain it.
    pub(super) tree: Option<String>,
    /// Whether an entry is a link to a repository.
    pub(super) has_gitlinks: bool,
    /// A digest of the mode, hash and name of all entries. It decides which tree the entries form.
    pub(super) entries: String,
}

/// Reads the index of a repository whose object hashes have `digits` digits; `None`: it is missing, is damaged, or only
/// git can tell.
pub(super) fn read(file: &Path, digits: usize) -> Option<IndexSummary> {
    let bytes = files::read_user_file(file, MAX_INDEX).ok()??;
    if bytes.len() > MAX_INDEX { None } else { parse(&bytes, digits / 2) }
}

fn parse(bytes: &[u8], hash_bytes: usize) -> Option<IndexSummary> {
    let content = bytes.get(..bytes.len().checked_sub(hash_bytes)?)?;
    let is_intact = match hash_bytes {
        20 => Sha1::digest(content)[..] == bytes[content.len()..],
        32 => Sha256::digest(content)[..] == bytes[content.len()..],
        _ => false,
    };
    if !is_intact || content.get(..4)? != b"DIRC" || !matches!(number(content, 4)?, 2 | 3) {
        return None;
    }
    let (mut offset, mut has_gitlinks, mut entries) = (12, false, blake3::Hasher::new());
    for _ in 0..number(content, 8)? {
        has_gitlinks |= number(content, offset + MODE)? == GITLINK;
        let name = offset + STAT_BYTES + hash_bytes + 2;
        let flags = u16::from_be_bytes(content.get(name - 2..name)?.try_into().ok()?);
        if flags & UNUSUAL != 0 {
            return None;
        }
        let length = match flags & NAME {
            NAME => content.get(name..)?.iter().position(|byte| *byte == 0)?,
            length => usize::from(length),
        };
        entries.update(content.get(offset + MODE..offset + MODE + 4)?);
        entries.update(content.get(offset + STAT_BYTES..name - 2)?);
        entries.update(content.get(name..name + length)?).update(b"\0");
        // The name is followed by one to eight zeros, so that the length of an entry is a multiple of eight.
        offset += (name + length - offset + 8) & !7;
    }
    let mut tree = None;
    while offset < content.len() {
        let (name, size) = (content.get(offset..offset + 4)?, usize::try_from(number(content, offset + 4)?).ok()?);
        let extension = content.get(offset + 8..)?.get(..size)?;
        match name {
            b"TREE" => tree = whole_tree(extension, hash_bytes),
            // Git ignores an unknown extension only if its name starts with an uppercase letter.
            _ if name[0].is_ascii_uppercase() => {}
            _ => return None,
        }
        offset += 8 + size;
    }
    Some(IndexSummary { tree, has_gitlinks, entries: entries.finalize().to_hex().to_string() })
}

/// Returns the hash of the whole tree, which is the first in the extension: an empty path, a zero, the number of the
/// entries (negative if the hash is not valid), a space, the number of trees in it, a newline and the hash.
fn whole_tree(extension: &[u8], hash_bytes: usize) -> Option<String> {
    let rest = extension.strip_prefix(b"\0")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (entries, _) = str::from_utf8(&rest[..end]).ok()?.split_once(' ')?;
    entries.parse::<u32>().ok()?;
    let hash = rest.get(end + 1..)?.get(..hash_bytes)?;
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
