//! The sparse checkout of the user's working tree, which a new worktree inherits.
//!
//! The patterns are in the worktree's entry, where git reads them; a command may change them. The copy in the scratch
//! directory says whether the worktree is sparse, and is put back when the worktree is reset.

use std::fs;
use std::io;
use std::path::Path;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::small_file;
use crate::system::attempt_folder;
use crate::system::files::{self, Durability};

/// The file in the scratch directory that records the sparse checkout.
const RECORD: &str = "sparse";
/// The file with the patterns, in a git directory.
const PATTERNS: &str = "info/sparse-checkout";
/// The maximum size of the patterns, in bytes.
const MAX_PATTERNS: usize = 16 << 20;
/// The version of git that has `sparse-checkout check-rules`. With an earlier one, worktrees contain all files.
const CHECKS_PATTERNS: (u32, u32) = (2, 41);
const BY_FOLDER: &str = "cone";
const BY_PATTERN: &str = "no-cone";
const SPARSE_INDEX: &str = " sparse-index";

/// A sparse checkout: which files of a commit are written into a working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sparse {
    /// Whether the patterns name folders (cone mode).
    by_folder: bool,
    /// Whether the index of the working tree has one entry for a whole folder that is left out.
    has_sparse_index: bool,
    patterns: Vec<u8>,
}

impl Sparse {
    /// Reads the record in a scratch directory; `None`: the worktree contains all files.
    pub(super) fn recorded(scratch: &Path) -> Option<Sparse> {
        // Most worktrees are not sparse; this test spares them the opening of each folder of the path.
        if fs::symlink_metadata(scratch.join(RECORD)).is_err() {
            return None;
        }
        let bytes = attempt_folder::open(scratch).ok()?.read(RECORD, MAX_PATTERNS + 64).ok()??;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let form = str::from_utf8(&bytes[..end]).ok()?;
        let (form, has_sparse_index) = form.strip_suffix(SPARSE_INDEX).map_or((form, false), |form| (form, true));
        let by_folder = match form {
            BY_FOLDER => true,
            BY_PATTERN => false,
            _ => return None,
        };
        Some(Sparse { by_folder, has_sparse_index, patterns: bytes[end + 1..].to_vec() })
    }

    /// Reads the sparse checkout of a working tree; `None`: it contains all files.
    fn of_working_tree(at: &Place) -> Result<Option<Sparse>, GitError> {
        let file = at.git_dir.join(PATTERNS);
        let read = files::read_user_file(&file, MAX_PATTERNS).map_err(GitError::io("cannot read", &file))?;
        let Some(patterns) = read.filter(|patterns| patterns.len() <= MAX_PATTERNS) else { return Ok(None) };
        let is_set = |key: &str| -> Result<bool, GitError> {
            Ok(Git::reading(at).args(["config", "--type=bool", key]).output()?.stdout.starts_with(b"true"))
        };
        if !is_set("core.sparseCheckout")? || program::git_version()?.is_none_or(|version| version < CHECKS_PATTERNS) {
            return Ok(None);
        }
        let (by_folder, has_sparse_index) = (is_set("core.sparseCheckoutCone")?, is_set("index.sparse")?);
        Ok(Some(Sparse { by_folder, has_sparse_index, patterns }))
    }

    /// The settings of git's command line with which git uses the patterns of the worktree's entry.
    pub(super) fn settings(&self) -> [&'static str; 2] {
        let form = if self.by_folder { "core.sparseCheckoutCone=true" } else { "core.sparseCheckoutCone=false" };
        ["core.sparseCheckout=true", form]
    }

    /// The lines for the section `core` of the worktree's own configuration, and the section after it.
    pub(super) fn configuration(&self) -> String {
        let Sparse { by_folder, has_sparse_index, .. } = self;
        format!("\tsparseCheckout = true\n\tsparseCheckoutCone = {by_folder}\n[index]\n\tsparse = {has_sparse_index}\n")
    }

    /// Puts the patterns into the worktree's entry, if others are there. Returns whether that was necessary.
    pub(super) fn restore(&self, entry: &Path) -> Result<bool, GitError> {
        let file = entry.join(PATTERNS);
        let present = files::read_user_file(&file, MAX_PATTERNS).ok().flatten();
        if present.as_ref() == Some(&self.patterns) {
            return Ok(false);
        }
        let folder = entry.join("info");
        if fs::symlink_metadata(&folder).is_ok_and(|found| !found.is_dir()) {
            fs::remove_file(&folder).map_err(GitError::io("cannot remove", &folder))?;
        }
        fs::create_dir_all(&folder).map_err(GitError::io("cannot create", &folder))?;
        small_file::replace(&file, &self.patterns).map(|()| true)
    }

    fn record(&self, scratch: &Path) -> io::Result<()> {
        let form = if self.by_folder { BY_FOLDER } else { BY_PATTERN };
        let index = if self.has_sparse_index { SPARSE_INDEX } else { "" };
        let content = [form.as_bytes(), index.as_bytes(), b"\n", &self.patterns].concat();
        attempt_folder::open(scratch)?.replace(RECORD, &content, Durability::Power)
    }
}

/// The settings of a sparse checkout. `git worktree add` copies them from the user's own settings.
pub(super) const KEYS: [&str; 3] = ["core.sparseCheckout", "core.sparseCheckoutCone", "index.sparse"];

/// Gives a new worktree the sparse checkout of the user's working tree `user`, and records it in `scratch`.
pub(super) fn inherit(user: &Place, scratch: &Path, entry: &Path) -> Result<Option<Sparse>, GitError> {
    let sparse = Sparse::of_working_tree(user)?;
    let path = scratch.join(RECORD);
    match &sparse {
        Some(sparse) => {
            sparse.record(scratch).map_err(GitError::io("cannot write", &path))?;
            sparse.restore(entry)?;
        }
        None if fs::symlink_metadata(&path).is_err() => {}
        None => attempt_folder::open(scratch)
            .and_then(|folder| folder.remove(RECORD.as_ref()))
            .map_err(GitError::io("cannot remove", &path))?,
    }
    Ok(sparse)
}
