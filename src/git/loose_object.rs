//! Reads objects that git stores in files of their own, without running git. Git writes new objects in this way, so it
//! serves for the commits that boi has just written.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::place::Place;
use super::{ref_files, small_file};

/// The maximum size of an object that is read, in bytes.
const MAX_OBJECT: u64 = 256 * 1024;

/// Whether `hash` names an intact commit. `false`: it does not, or only git can tell.
pub(super) fn is_commit(at: &Place, hash: &str) -> bool {
    read_commit(at, hash).is_some()
}

/// Returns the tree of a commit; `None`: only git can tell.
pub(super) fn tree_of(at: &Place, commit: &str) -> Option<String> {
    // Git reads another object in the place of one that is replaced.
    if !ref_files::list(at, "refs/replace/")?.is_empty() {
        return None;
    }
    let content = read_commit(at, commit)?;
    let line = content.strip_prefix(b"tree ")?.split(|byte| *byte == b'\n').next()?;
    let tree = str::from_utf8(line).ok()?;
    (tree.len() == commit.len()).then(|| tree.to_owned())
}

/// Reads a commit, and checks its content against its hash.
fn read_commit(at: &Place, hash: &str) -> Option<Vec<u8>> {
    let (folder, file) = hash.split_at_checked(2)?;
    let compressed = small_file::read(&at.common_dir.join("objects").join(folder).join(file))?;
    let mut bytes = Vec::new();
    ZlibDecoder::new(&*compressed).take(MAX_OBJECT + 1).read_to_end(&mut bytes).ok()?;
    let found = if hash.len() == 40 { hex(&Sha1::digest(&bytes)) } else { hex(&Sha256::digest(&bytes)) };
    if bytes.len() as u64 > MAX_OBJECT || found != hash {
        return None;
    }
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.starts_with(b"commit ").then(|| bytes.split_off(end + 1))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
