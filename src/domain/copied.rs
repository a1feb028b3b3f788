//! What boi copied from the user's checkout into a spec's worktree, as `boi status ID` shows it.

use serde::{Deserialize, Serialize};

/// The files that boi copied into a worktree. The field names in JSON are stable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopiedFiles {
    /// How many files were copied.
    pub files: u64,
    /// The size of these files in bytes.
    pub bytes: u64,
    /// The paths of the first of these files, relative to the repository's root.
    pub names: Vec<String>,
    /// The first of the files that match a pattern and were not copied.
    pub skipped: Vec<SkippedFile>,
    /// How many further files were not copied.
    pub more_skipped: u64,
    /// Commits that contain a path which boi never commits. The user should not push them.
    pub withheld: Vec<WithheldWork>,
}

/// A file that matches a pattern and was not copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFile {
    /// The path, relative to the repository's root.
    pub path: String,
    /// Why the file was not copied.
    pub reason: String,
}

/// A commit that something other than boi made, and that contains paths which boi never commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithheldWork {
    /// The commit.
    pub commit: String,
    /// The first of these paths.
    pub paths: Vec<String>,
    /// The kept ref with the files of the commit without these paths; `None`: boi keeps nothing of the commit.
    #[serde(default)]
    pub kept: Option<String>,
    /// The branch, tag or stash entry of the repository that contains the commit; `None`: boi knows none.
    #[serde(default)]
    pub held_by: Option<String>,
}
