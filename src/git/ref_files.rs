//! Reads refs from the files in which git stores them, without running git.
//!
//! Each function returns `None` if boi cannot tell what git would answer: refs in tables, a symbolic link, content or a
//! name that git does not write. The caller then asks git. A ref that is missing is an answer, not a `None`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::entry;
use super::place::Place;
use super::small_file;
use crate::system::files;

/// The maximum size of `packed-refs` that is read, in bytes.
const MAX_PACKED: usize = 16 << 20;
/// The maximum number of symbolic refs that lead from one to the next; git's own limit.
const MAX_DEPTH: usize = 5;
/// Refs that each working tree has for itself.
const PER_WORKTREE: &[&str] = &["refs/bisect/", "refs/worktree/", "refs/rewritten/"];

/// What a ref contains.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Missing,
    Hash(String),
    Symbolic(String),
}

/// Where a ref leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The last ref that the symbolic refs lead to; the ref itself if it is not symbolic.
    pub(super) name: Vec<u8>,
    /// The object that this ref names; `None`: the ref does not exist.
    pub(super) hash: Option<String>,
}

/// Resolves `HEAD` of a working tree, or a ref with a full name. Does not show that the object exists.
pub(super) fn resolve(at: &Place, name: &str) -> Option<Resolved> {
    if at.has_ref_tables() {
        return None;
    }
    let mut name = name.to_owned();
    for _ in 0..MAX_DEPTH {
        match read(at, &name)? {
            Content::Symbolic(target) => name = target,
            Content::Missing if name == "HEAD" => return None,
            Content::Missing => return Some(Resolved { name: name.into_bytes(), hash: None }),
            Content::Hash(hash) => return Some(Resolved { name: name.into_bytes(), hash: Some(hash) }),
        }
    }
    None
}

/// Returns the full name of the ref that HEAD of a working tree names; the inner `None`: HEAD is detached.
pub(super) fn head_ref(at: &Place) -> Option<Option<String>> {
    if at.has_ref_tables() {
        return None;
    }
    match read(at, "HEAD")? {
        Content::Missing => None,
        Content::Hash(_) => Some(None),
        // Git prints the last of several symbolic refs.
        Content::Symbolic(target) if matches!(read(at, &target)?, Content::Symbolic(_)) => None,
        Content::Symbolic(target) => Some(Some(target)),
    }
}

/// Returns the refs whose names start with `prefix`, which ends with `/`, and where each leads; refs that lead to no
/// object are left out.
pub(super) fn list(at: &Place, prefix: &str) -> Option<BTreeMap<Vec<u8>, Resolved>> {
    if at.has_ref_tables() || prefix.contains("..") {
        return None;
    }
    // The files are read first: git writes a ref into `packed-refs` before it removes the ref's file.
    let mut loose = BTreeMap::new();
    list_folder(&at.common_dir.join(prefix), prefix.as_bytes(), &mut loose)?;
    let mut found = BTreeMap::new();
    for (name, hash) in read_packed(&at.common_dir)? {
        if name.starts_with(prefix.as_bytes()) {
            found.insert(name.clone(), Resolved { name, hash: Some(hash) });
        }
    }
    for (name, content) in loose {
        let resolved = match content {
            // The file was removed in the meantime.
            Content::Missing => continue,
            Content::Hash(hash) => Resolved { name: name.clone(), hash: Some(hash) },
            Content::Symbolic(target) => resolve(at, &target)?,
        };
        found.insert(name, resolved);
    }
    found.retain(|_, resolved| resolved.hash.is_some());
    Some(found)
}

/// Whether `packed-refs` contains a ref with this name.
pub(super) fn is_packed(at: &Place, name: &str) -> Option<bool> {
    Some(read_packed(&at.common_dir)?.iter().any(|(packed, _)| packed == name.as_bytes()))
}

fn read(at: &Place, name: &str) -> Option<Content> {
    if name != "HEAD" && !(name.starts_with("refs/") && is_plain(name.as_bytes())) {
        return None;
    }
    if PER_WORKTREE.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let dir = if name == "HEAD" { &at.git_dir } else { &at.common_dir };
    match read_file(&dir.join(name))? {
        Content::Missing if name != "HEAD" => {
            let mut packed = read_packed(&at.common_dir)?.into_iter();
            let found = packed.find(|(packed, _)| packed == name.as_bytes());
            Some(found.map_or(Content::Missing, |(_, hash)| Content::Hash(hash)))
        }
        content => Some(content),
    }
}

fn read_file(file: &Path) -> Option<Content> {
    match fs::symlink_metadata(file) {
        // A folder that contains other refs, or had some.
        Ok(found) if found.is_dir() => return Some(Content::Missing),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Some(Content::Missing);
        }
        Err(_) => return None,
    }
    let Some(text) = small_file::read_text(file) else {
        let is_gone = fs::symlink_metadata(file).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        return is_gone.then_some(Content::Missing);
    };
    let text = text.strip_suffix('\n')?;
    match text.strip_prefix("ref: ") {
        Some(target) => {
            (target.starts_with("refs/") && is_plain(target.as_bytes())).then(|| Content::Symbolic(target.to_owned()))
        }
        None => hash(text).map(Content::Hash),
    }
}

/// Reads the refs in a folder and in the folders below it. Leaves out what git leaves out: hidden files and lock files.
fn list_folder(folder: &Path, prefix: &[u8], found: &mut BTreeMap<Vec<u8>, Content>) -> Option<()> {
    for path in files::list_folder(folder).ok()? {
        let file = path.file_name()?.as_bytes();
        if file.starts_with(b".") || file.ends_with(b".lock") {
            continue;
        }
        let mut name = [prefix, file].concat();
        if !is_plain(&name) {
            return None;
        }
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            name.push(b'/');
            list_folder(&path, &name, found)?;
        } else {
            found.insert(name, read_file(&path)?);
        }
    }
    Some(())
}

fn read_packed(common_dir: &Path) -> Option<Vec<(Vec<u8>, String)>> {
    let bytes = match files::read_user_file(&common_dir.join("packed-refs"), MAX_PACKED) {
        Ok(Some(bytes)) if bytes.len() <= MAX_PACKED => bytes,
        Ok(None) => return Some(Vec::new()),
        _ => return None,
    };
    let mut refs = Vec::new();
    let Some(lines) = bytes.strip_suffix(b"\n") else { return bytes.is_empty().then_some(refs) };
    for line in lines.split(|byte| *byte == b'\n') {
        // A comment, or the object that the tag object in the line before names.
        if line.starts_with(b"#") || line.starts_with(b"^") {
            continue;
        }
        let space = line.iter().position(|byte| *byte == b' ')?;
        let name = &line[space + 1..];
        if !(name.starts_with(b"refs/") && is_plain(name)) {
            return None;
        }
        refs.push((name.to_vec(), hash(str::from_utf8(&line[..space]).ok()?)?));
    }
    Some(refs)
}

/// Parses a hash in the form in which git writes it. The null hash names no object.
fn hash(text: &str) -> Option<String> {
    let hash = entry::parse_hash(text).filter(|hash| hash.len() == text.len())?;
    let is_written_by_git = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (hash.bytes().all(is_written_by_git) && hash.bytes().any(|byte| byte != b'0')).then_some(hash)
}

/// Whether git accepts `name` as the name of a ref. Some names that git accepts are refused.
fn is_plain(name: &[u8]) -> bool {
    let is_valid = |byte: &u8| !byte.is_ascii_control() && !b" ~^:?*[\\".contains(byte);
    let is_component =
        |part: &[u8]| !part.is_empty() && !part.starts_with(b".") && !part.ends_with(b".") && !part.ends_with(b".lock");
    let has = |pair: &[u8]| name.windows(2).any(|two| two == pair);
    name.iter().all(is_valid) && name.split(|byte| *byte == b'/').all(is_component) && !has(b"..") && !has(b"@{")
}
