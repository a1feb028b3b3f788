//! Reads the part of a repository that a spec shares with its user and with other specs: refs, the stash, reflogs,
//! worktrees and configuration. Takes at most four git processes, however many refs there are, and none if `shared_files`
//! can read everything.
//!
//! This part does not include boi's own refs and worktrees, except the branches of other specs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::shared_files::{self, Known};
use super::{entry, revision};
use crate::domain::id::SpecId;
use crate::system::files;

/// Files of the repository, apart from hooks, that change how git reads the repository or its checkouts.
pub(super) const FILES: &[&str] = &[
    "config",
    "config.worktree",
    "info/attributes",
    "info/exclude",
    "info/grafts",
    "info/sparse-checkout",
    "objects/info/alternates",
];
/// The maximum size of such a file that is read, in bytes.
const MAX_FILE: usize = 1 << 20;
/// The maximum number of the user's worktrees whose reflogs are read.
const MAX_HEADS: usize = 20;
/// The maximum number of reflog entries that are read.
const MAX_REFLOG: usize = 20_000;

/// The output of git and the content of files, unparsed. If the bytes are equal, the repository is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RawState {
    /// One line for each ref: hash, type, peeled hash, peeled type, symbolic target, name.
    pub(super) refs: Vec<u8>,
    /// One line for each stash entry, the latest first: hash, message.
    pub(super) stash: Vec<u8>,
    /// One line for each entry of a reflog of HEAD: its hash.
    pub(super) reflogs: Vec<u8>,
    /// `git worktree list --porcelain`.
    pub(super) worktrees: Vec<u8>,
    /// Mode and content of each configuration file, by its path.
    pub(super) files: BTreeMap<PathBuf, FileState>,
}

/// The mode and content of a file when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileState {
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// The object that a ref names, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ref {
    pub(super) hash: String,
    pub(super) kind: ObjectKind,
    /// For a tag object: the object that it names, also through other tags.
    pub(super) peeled: Option<(String, ObjectKind)>,
    /// The ref that a symbolic ref names.
    pub(super) symbolic: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Commit,
    Tag,
    Tree,
    Blob,
}

/// An entry of the stash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StashEntry {
    pub(super) hash: String,
    pub(super) message: String,
}

/// The branch or commit that HEAD of a worktree names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    Branch(String),
    Detached(String),
    /// Git treats the repository as bare, or cannot read HEAD.
    Unknown,
}

/// The shared part of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SharedState {
    pub(super) refs: BTreeMap<Vec<u8>, Ref>,
    pub(super) stash: Vec<StashEntry>,
    pub(super) reflogs: BTreeSet<String>,
    pub(super) worktrees: BTreeMap<PathBuf, Head>,
}

impl RawState {
    /// Reads the repository at `at`. `own` is the spec's branch, which may be left out. The objects in `last`, an earlier
    /// state of the same repository, are not read again, unless its configuration changed: perhaps git cannot read the
    /// repository any more.
    pub(super) fn read(at: &Place, own: &str, last: Option<&RawState>) -> Result<RawState, GitError> {
        let files = read_files(&at.common_dir);
        if last.is_some_and(|last| last.files != files) {
            let refs = list_refs(at)?;
            let stash = if has_stash(&refs) { list_stash(at)? } else { Vec::new() };
            return Ok(RawState { refs, stash, reflogs: list_reflogs(at)?, worktrees: list_worktrees(at)?, files });
        }
        let nothing = RawState::default();
        let last = last.unwrap_or(&nothing);
        let mut known = Known::new(at, &last.refs, [&last.stash, &last.reflogs]);
        let refs = match known.refs(own) {
            Some(refs) => refs,
            None => list_refs(at)?,
        };
        let stash = match has_stash(&refs).then(|| known.stash()) {
            None => Vec::new(),
            Some(Some(stash)) => stash,
            Some(None) => list_stash(at)?,
        };
        let heads = users_entries(&at.common_dir).into_iter().take(MAX_HEADS);
        let reflogs = match known.reflogs(heads, MAX_REFLOG) {
            Some(reflogs) => reflogs,
            None => list_reflogs(at)?,
        };
        let worktrees = match shared_files::worktrees(at) {
            Some(worktrees) => worktrees,
            None => list_worktrees(at)?,
        };
        Ok(RawState { refs, stash, reflogs, worktrees, files })
    }

    /// Parses what was read. `own`: the folder of boi's own worktrees, which are left out.
    pub(super) fn parse(&self, own: &Path) -> SharedState {
        let lines = |bytes: &'_ [u8]| -> Vec<Vec<u8>> {
            bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
        };
        let refs: BTreeMap<Vec<u8>, Ref> = lines(&self.refs).iter().filter_map(|line| parse_ref(line)).collect();
        let stash = lines(&self.stash).iter().filter_map(|line| parse_stash(line)).collect();
        let reflogs = program::line(&self.reflogs).lines().map(str::to_owned).collect();
        let own = entry::real_path(own);
        let mut worktrees = parse_worktrees(&self.worktrees);
        worktrees.retain(|path, head| {
            let of_boi = matches!(head, Head::Branch(name) if name.starts_with("refs/heads/boi/"));
            !of_boi && path.parent() != Some(&own)
        });
        SharedState { refs, stash, reflogs, worktrees }
    }
}

pub(super) fn list_refs(at: &Place) -> Result<Vec<u8>, GitError> {
    let format = "--format=%(objectname) %(objecttype) %(*objectname) %(*objecttype) %(symref) %(refname)";
    Git::reading(at).args(["for-each-ref", format]).run()
}

fn has_stash(refs: &[u8]) -> bool {
    refs.split(|byte| *byte == b'\n').any(|line| line.ends_with(b" refs/stash"))
}

pub(super) fn list_stash(at: &Place) -> Result<Vec<u8>, GitError> {
    Git::reading(at).args(["log", "-g", "--format=%H %gs", "refs/stash", "--"]).run()
}

/// Lists the reflogs of HEAD in the user's worktrees, which name every commit that was made or left there. Listing the
/// reflogs of all branches would take git time in proportion to the square of their number.
pub(super) fn list_reflogs(at: &Place) -> Result<Vec<u8>, GitError> {
    let entries = users_entries(&at.common_dir).into_iter().take(MAX_HEADS);
    let heads = entries.filter_map(|entry| Some(format!("worktrees/{}/HEAD", entry.file_name()?.to_str()?)));
    let limit = format!("--max-count={MAX_REFLOG}");
    let walk = ["log", "-g", "--format=%H", "--ignore-missing", &limit, "HEAD"];
    // Fails in a repository without a commit, and if an entry names a missing object.
    let listed = Git::reading(at).args(walk).args(heads).arg("--").output()?;
    Ok(if listed.code == Some(0) { listed.stdout } else { Vec::new() })
}

/// The entries of worktrees that are not boi's.
fn users_entries(common_dir: &Path) -> Vec<PathBuf> {
    let mut entries = files::list_folder(&common_dir.join("worktrees")).unwrap_or_default();
    entries.retain(|entry| {
        let name = entry.file_name().and_then(OsStr::to_str);
        name.is_none_or(|name| name.parse::<SpecId>().is_err())
    });
    entries.sort();
    entries
}

/// Lists the worktrees. If git treats the repository as bare, the list still contains HEAD of the main worktree.
pub(super) fn list_worktrees(at: &Place) -> Result<Vec<u8>, GitError> {
    const BARE: &[u8] = b"\nbare\n";
    let listed = Git::reading(at).args(["worktree", "list", "--porcelain"]).run()?;
    let Some(bare) = listed.windows(BARE.len()).position(|line| line == BARE) else { return Ok(listed) };
    let symbolic = Git::reading(at).args(["symbolic-ref", "--quiet", "HEAD"]).output()?;
    let head = if symbolic.code == Some(0) {
        format!("\nHEAD {}\nbranch {}\n", "0".repeat(40), program::line(&symbolic.stdout))
    } else {
        format!("\nHEAD {}\ndetached\n", revision::commit_of(at, "HEAD")?.unwrap_or_default())
    };
    Ok([&listed[..bare], head.as_bytes(), &listed[bare + BARE.len()..]].concat())
}

/// The configuration files of a repository; missing files are left out.
pub(super) fn read_files(common_dir: &Path) -> BTreeMap<PathBuf, FileState> {
    let list = |folder: PathBuf| files::list_folder(&folder).unwrap_or_default();
    let hooks = list(common_dir.join("hooks"));
    let hooks = hooks.into_iter().filter(|path| path.extension() != Some(OsStr::new("sample")));
    let paths = FILES.iter().map(|name| common_dir.join(name));
    let paths =
        paths.chain(users_entries(common_dir).into_iter().map(|entry| entry.join("config.worktree"))).chain(hooks);
    paths.filter_map(|path| Some((path.clone(), read_file(&path)?))).collect()
}

/// The state of one file; `None`: it does not exist.
pub(super) fn read_file(path: &Path) -> Option<FileState> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let content = match files::read_user_file(path, MAX_FILE) {
        Ok(Some(content)) => content,
        Ok(None) => b"(a link to a missing file)".to_vec(),
        Err(error) => format!("(unreadable: {error})").into_bytes(),
    };
    Some(FileState { mode: metadata.permissions().mode() & 0o7777, content })
}

fn parse_ref(line: &[u8]) -> Option<(Vec<u8>, Ref)> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut text = || Some(String::from_utf8_lossy(fields.next()?).into_owned());
    let (hash, kind, peeled, peeled_kind, symbolic) = (text()?, text()?, text()?, text()?, text()?);
    let name = fields.next()?.to_vec();
    if name.starts_with(b"refs/boi/") {
        return None;
    }
    let peeled = parse_kind(&peeled_kind).map(|kind| (peeled, kind));
    Some((
        name,
        Ref { hash, kind: parse_kind(&kind)?, peeled, symbolic: Some(symbolic).filter(|name| !name.is_empty()) },
    ))
}

fn parse_kind(name: &str) -> Option<ObjectKind> {
    Some(match name {
        "commit" => ObjectKind::Commit,
        "tag" => ObjectKind::Tag,
        "tree" => ObjectKind::Tree,
        "blob" => ObjectKind::Blob,
        _ => return None,
    })
}

fn parse_stash(line: &[u8]) -> Option<StashEntry> {
    let text = String::from_utf8_lossy(line).into_owned();
    let (hash, message) = text.split_once(' ')?;
    Some(StashEntry { hash: hash.to_owned(), message: message.to_owned() })
}

/// Parses `git worktree list --porcelain`. A path may contain newlines.
fn parse_worktrees(listed: &[u8]) -> BTreeMap<PathBuf, Head> {
    let mut found: Vec<(Vec<u8>, Head)> = Vec::new();
    let mut in_path = false;
    for line in listed.split(|byte| *byte == b'\n') {
        if !in_path && let Some(path) = line.strip_prefix(b"worktree ") {
            found.push((path.to_vec(), Head::Unknown));
            in_path = true;
        } else if let Some((path, head)) = found.last_mut() {
            if let Some(hash) = line.strip_prefix(b"HEAD ").and_then(|hash| entry::parse_hash(&program::line(hash))) {
                *head = Head::Detached(hash);
                in_path = false;
            } else if line == b"bare" {
                in_path = false;
            } else if in_path {
                path.push(b'\n');
                path.extend(line);
            } else if let Some(name) = line.strip_prefix(b"branch ") {
                *head = Head::Branch(program::line(name));
            }
        }
    }
    found.into_iter().map(|(path, head)| (PathBuf::from(OsStr::from_bytes(&path)), head)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worktrees_are_listed_with_what_their_head_names() {
        let hash = "a".repeat(40);
        let listed = format!(
            "worktree /r\nbare\n\nworktree /a\nb\nHEAD {hash}\nbranch refs/heads/x\n\nworktree /c\nHEAD {hash}\ndetached\n"
        );
        let found = parse_worktrees(listed.as_bytes());
        let expected =
            [("/a\nb", Head::Branch("refs/heads/x".into())), ("/c", Head::Detached(hash)), ("/r", Head::Unknown)];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected.map(|(path, head)| (PathBuf::from(path), head)));
    }

    #[test]
    fn refs_are_parsed_with_their_peeled_objects_and_without_those_of_boi() {
        let raw = RawState {
            refs: b"aa commit    refs/heads/m\nbb tag aa commit  refs/tags/\xff\ncc commit    refs/boi/kept/S1/x\n\
                    aa commit   refs/heads/m refs/remotes/o/HEAD\n"
                .to_vec(),
            ..RawState::default()
        };
        let refs = raw.parse(Path::new("/none")).refs;
        assert_eq!(refs.len(), 3);
        assert_eq!(refs[b"refs/tags/\xff".as_slice()].peeled, Some(("aa".into(), ObjectKind::Commit)));
        assert_eq!(refs[b"refs/remotes/o/HEAD".as_slice()].symbolic.as_deref(), Some("refs/heads/m"));
    }
}
