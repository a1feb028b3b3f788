//! The file format of git's index: finds entries, and writes the stat data (times, inode, size) of files into them.
//!
//! Git trusts an entry whose stat data is equal to that of its file; otherwise git compares the content of the file. A
//! file that is moved gets a new change time, which no git command can write into the index without reading the file
//! through its filters.
//!
//! The format is described by `gitformat-index(5)`. A split index is not understood; git writes a whole index with
//! `core.splitIndex=false`.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The bytes of an entry before its object hash: ten numbers of 32 bits.
const STAT_BYTES: usize = 40;
/// The bit in the flags of an entry which says that extended flags follow.
const EXTENDED: u16 = 0x4000;
/// The bit in the extended flags of an entry which says that the file is not checked out.
const SKIP_WORKTREE: u16 = 0x4000;
/// The mode of an entry that stands for a whole folder, in a sparse index.
const FOLDER_MODE: u32 = 0o040_000;

/// The error for a file that is not an index, or an index of an unknown version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index has an unknown format")]
pub(super) struct UnknownFormat;

/// The content of an index file.
#[derive(Debug)]
pub(super) struct IndexFile {
    bytes: Vec<u8>,
    hash_bytes: usize,
    entries: HashMap<Vec<u8>, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: usize,
    mode: u32,
    skipped: bool,
}

impl IndexFile {
    /// Parses an index of a repository whose object hashes have `hash_bytes` bytes.
    pub(super) fn parse(bytes: Vec<u8>, hash_bytes: usize) -> Result<IndexFile, UnknownFormat> {
        let version = number(&bytes, 4)?;
        if bytes.get(..4) != Some(b"DIRC") || !(2..=4).contains(&version) || !matches!(hash_bytes, 20 | 32) {
            return Err(UnknownFormat);
        }
        let count = number(&bytes, 8)?;
        let (mut offset, mut name, mut entries) = (12, Vec::new(), HashMap::new());
        for _ in 0..count {
            let mode = number(&bytes, offset + 24)?;
            let mut at = offset + STAT_BYTES + hash_bytes;
            let extended = short(&bytes, at)? & EXTENDED != 0;
            at += 2;
            let skipped = extended && short(&bytes, at)? & SKIP_WORKTREE != 0;
            at += if extended { 2 } else { 0 };
            if version == 4 {
                let strip = variable_number(&bytes, &mut at)?;
                name.truncate(name.len().checked_sub(strip).ok_or(UnknownFormat)?);
            } else {
                name.clear();
            }
            let rest = bytes.get(at..).ok_or(UnknownFormat)?;
            let length = rest.iter().position(|byte| *byte == 0).ok_or(UnknownFormat)?;
            name.extend_from_slice(&rest[..length]);
            // Only a conflict has several entries of one name. Any of them serves here; the last one is kept.
            entries.insert(name.clone(), Entry { offset, mode, skipped });
            at += length + 1;
            offset = if version == 4 { at } else { offset + (at - offset).next_multiple_of(8) };
        }
        if bytes.len() < offset + hash_bytes {
            return Err(UnknownFormat);
        }
        Ok(IndexFile { bytes, hash_bytes, entries })
    }

    /// Whether the index says that the file `name` is not checked out: because of the sparse checkout, or because the
    /// file is not in the index.
    pub(super) fn is_skipped(&self, name: &[u8]) -> bool {
        self.entries.get(name).is_none_or(|entry| entry.skipped || entry.mode == FOLDER_MODE)
    }

    /// Writes the stat data of a checked-out file into its entry.
    pub(super) fn set_stat(&mut self, name: &[u8], file: &Metadata) {
        let Some(Entry { offset, .. }) = self.entries.get(name) else { return };
        // The index has the low 32 bits of each number.
        let times = [file.ctime(), file.ctime_nsec(), file.mtime(), file.mtime_nsec()].map(|number| number as u32);
        let numbers = [file.dev() as u32, file.ino() as u32];
        let owner = [file.uid(), file.gid(), stored_size(file.len())];
        let mut write = |at: usize, number: u32| self.bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
        for (position, number) in times.into_iter().chain(numbers).enumerate() {
            write(offset + 4 * position, number);
        }
        // The mode is between the inode and the owner.
        for (position, number) in owner.into_iter().enumerate() {
            write(offset + 28 + 4 * position, number);
        }
    }

    /// Writes the change time of a file into its entry, if nothing else of the entry differs from the file. Returns
    /// whether it did.
    pub(super) fn set_change_time(&mut self, name: &[u8], file: &Metadata) -> bool {
        let Some(Entry { offset, .. }) = self.entries.get(name).copied() else { return false };
        let stored = |position: usize| number(&self.bytes, offset + 4 * position).ok();
        let is_unchanged = stored(2) == Some(file.mtime() as u32)
            && stored(3) == Some(file.mtime_nsec() as u32)
            && stored(5) == Some(file.ino() as u32)
            && stored(9) == Some(stored_size(file.len()));
        if is_unchanged {
            self.set_stat(name, file);
        }
        is_unchanged
    }

    /// The content of the file, with its checksum.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        let end = self.bytes.len() - self.hash_bytes;
        // A checksum of zeros means that git writes no checksum (`index.skipHash`), so boi writes none.
        if self.bytes[end..].iter().any(|byte| *byte != 0) {
            let (content, checksum) = self.bytes.split_at_mut(end);
            match self.hash_bytes {
                20 => checksum.copy_from_slice(&Sha1::digest(&*content)),
                _ => checksum.copy_from_slice(&Sha256::digest(&*content)),
            }
        }
        self.bytes
    }
}

/// The size as git stores it: a size whose low 32 bits are 0 must not look like an empty file.
fn stored_size(size: u64) -> u32 {
    match size as u32 {
        0 if size > 0 => 0x8000_0000,
        low => low,
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u32, UnknownFormat> {
    let bytes = bytes.get(at..at + 4).ok_or(UnknownFormat)?;
    bytes.try_into().map(u32::from_be_bytes).map_err(|_| UnknownFormat)
}

fn short(bytes: &[u8], at: usize) -> Result<u16, UnknownFormat> {
    let bytes = bytes.get(at..at + 2).ok_or(UnknownFormat)?;
    bytes.try_into().map(u16::from_be_bytes).map_err(|_| UnknownFormat)
}

/// Reads a number of variable length, and moves `at` behind it.
fn variable_number(bytes: &[u8], at: &mut usize) -> Result<usize, UnknownFormat> {
    let mut next = || {
        let byte = bytes.get(*at).copied().ok_or(UnknownFormat);
        *at += 1;
        byte
    };
    let mut byte = next()?;
    let mut value = usize::from(byte & 127);
    while byte & 128 != 0 {
        byte = next()?;
        value = (value + 1).checked_mul(128).ok_or(UnknownFormat)? + usize::from(byte & 127);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_index_is_refused() {
        for bytes in [&b""[..], b"DIRC", b"DIRC\0\0\0\x05\0\0\0\0", b"DIRC\0\0\0\x02\0\0\0\x01short", &[b'x'; 64]] {
            assert_eq!(IndexFile::parse(bytes.to_vec(), 20).err(), Some(UnknownFormat), "{bytes:?}");
        }
    }

    #[test]
    fn a_large_file_does_not_look_empty() {
        assert_eq!([0, 7, 1 << 32, (1 << 32) + 7].map(stored_size), [0, 7, 0x8000_0000, 7]);
    }

    #[test]
    fn a_number_of_variable_length_is_read_as_git_writes_it() {
        for (bytes, value) in [(&[5][..], 5), (&[127], 127), (&[128, 0], 128), (&[128, 127], 255), (&[129, 0], 256)] {
            let mut at = 0;
            assert_eq!((variable_number(bytes, &mut at), at), (Ok(value), bytes.len()));
        }
        assert_eq!(variable_number(&[128], &mut 0), Err(UnknownFormat));
    }
}
