//! Delivery: why the branch of a completed spec was not merged into its base.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a spec's branch was not merged into its base. A refusal changes neither the base, nor its checkout,
/// nor the spec's branch. Paths are text, with bytes that are not UTF-8 replaced, so that every refusal can
/// be stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MergeRefusal {
    /// The base is not a local branch. Only a local branch can be merged into.
    BaseNotLocalBranch {
        /// The base as the spec names it.
        base: String,
    },
    /// The spec's branch does not exist.
    BranchMissing {
        /// The spec's branch.
        branch: String,
    },
    /// The base and the spec's branch change the same parts of files.
    Conflicts {
        /// The base branch.
        base: String,
        /// The files with conflicts, relative to the worktree.
        files: Vec<String>,
    },
    /// The checkout of the base has an `index.lock`: another git process is writing in the checkout, or was
    /// killed before it removed the lock.
    CheckoutLocked {
        /// The base branch.
        base: String,
        /// The user's working tree that is on the base.
        checkout: String,
    },
    /// A merge, a rebase or the like is in progress in the checkout of the base.
    OperationInProgress {
        /// The base branch.
        base: String,
        /// The user's working tree that is on the base.
        checkout: String,
        /// The operation in progress.
        operation: GitOperation,
    },
    /// Git cannot read the checkout of the base.
    CheckoutUnreadable {
        /// The base branch.
        base: String,
        /// The user's working tree that is on the base.
        checkout: String,
        /// What git printed.
        message: String,
    },
    /// Tracked files in the checkout of the base have changes that are not committed.
    CheckoutDirty {
        /// The base branch.
        base: String,
        /// The user's working tree that is on the base.
        checkout: String,
    },
    /// Files in the checkout of the base would be overwritten: untracked or ignored ones, or files that were
    /// changed while the delivery began.
    FilesInTheWay {
        /// The base branch.
        base: String,
        /// The user's working tree that is on the base.
        checkout: String,
        /// The files, relative to the checkout.
        files: Vec<String>,
    },
    /// A file in the checkout of the base could not be changed. Everything else was put back.
    CheckoutNotWritable {
        /// The base branch.
        base: String,
        /// The user's working tree that is on the base.
        checkout: String,
        /// The file.
        file: String,
        /// Why it could not be changed.
        message: String,
    },
    /// A delivery into the checkout of the base was interrupted and cannot be undone, so files there may
    /// belong to another commit than the base.
    CheckoutHalfChanged {
        /// The base branch.
        base: String,
        /// The user's working tree that is on the base.
        checkout: String,
        /// The files, relative to the checkout.
        files: Vec<String>,
        /// Why the files cannot be put back.
        message: String,
    },
    /// Git refused to move the base, for example because untracked files would be overwritten.
    RejectedByGit {
        /// The base branch.
        base: String,
        /// What git printed.
        message: String,
    },
}

/// A git operation that takes several steps and is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GitOperation {
    /// `git merge`.
    Merge,
    /// `git rebase`, or `git am`.
    Rebase,
    /// `git cherry-pick`.
    CherryPick,
    /// `git revert`.
    Revert,
    /// A series of cherry-picks or of reverts; git's files do not show which of the two.
    CherryPickOrRevert,
    /// `git bisect`.
    Bisect,
}

impl fmt::Display for MergeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MergeRefusal::BaseNotLocalBranch { base } => {
                write!(f, "`{base}` is not a local branch, and only a local branch can be merged into")
            }
            MergeRefusal::BranchMissing { branch } => {
                write!(f, "branch {branch} does not exist, so there is nothing to merge")
            }
            MergeRefusal::Conflicts { base, files } => write!(f, "merge conflicts with {base} in {}", files.join(", ")),
            MergeRefusal::CheckoutLocked { base, checkout } => write!(
                f,
                "{base} is checked out in {checkout:?}, whose index.lock shows that another git process is writing \
                 there; if no git process is running, remove index.lock"
            ),
            MergeRefusal::OperationInProgress { base, checkout, operation } => {
                write!(f, "{base} is checked out in {checkout:?}, where {operation} is in progress; finish or abort it")
            }
            MergeRefusal::CheckoutUnreadable { base, checkout, message } => {
                write!(f, "{base} is checked out in {checkout:?}, which git cannot read: {message}")
            }
            MergeRefusal::CheckoutDirty { base, checkout } => write!(
                f,
                "{base} is checked out in {checkout:?}, where tracked files have changes; commit or stash the changes"
            ),
            MergeRefusal::FilesInTheWay { base, checkout, files } => write!(
                f,
                "{base} is checked out in {checkout:?}, where the merge would overwrite {}; move them away, or commit them",
                files.join(", ")
            ),
            MergeRefusal::CheckoutNotWritable { base, checkout, file, message } => write!(
                f,
                "{base} is checked out in {checkout:?}, where {file:?} could not be changed: {message}; nothing was changed"
            ),
            MergeRefusal::CheckoutHalfChanged { base, checkout, files, message } => write!(
                f,
                "an interrupted merge left the checkout {checkout:?} of {base} half changed: {}; {message}; fix this, then put \
                 the files back with `boi doctor --fix`",
                files.join(", ")
            ),
            MergeRefusal::RejectedByGit { base, message } => write!(f, "git cannot fast-forward {base}: {message}"),
        }
    }
}

impl fmt::Display for GitOperation {
    /// Writes the operation with its article: `a merge`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GitOperation::Merge => "a merge",
            GitOperation::Rebase => "a rebase",
            GitOperation::CherryPick => "a cherry-pick",
            GitOperation::Revert => "a revert",
            GitOperation::CherryPickOrRevert => "a cherry-pick or revert",
            GitOperation::Bisect => "a bisect",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_refusal_is_stored_as_json_with_its_kind() {
        let refusal = MergeRefusal::OperationInProgress {
            base: "main".to_owned(),
            checkout: "/repo".to_owned(),
            operation: GitOperation::CherryPick,
        };
        let json = serde_json::to_value(&refusal).unwrap();
        let expected = serde_json::json!({
            "kind": "operation_in_progress", "base": "main", "checkout": "/repo", "operation": "cherry_pick",
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<MergeRefusal>(json).unwrap(), refusal);
    }

    #[test]
    fn every_merge_refusal_says_what_is_in_the_way() {
        let (base, checkout) = (|| "main".to_owned(), || "/r".to_owned());
        let message = || "fatal: no".to_owned();
        for (refusal, words) in [
            (
                MergeRefusal::BaseNotLocalBranch { base: base() },
                "`main` is not a local branch, and only a local branch can be merged into",
            ),
            (
                MergeRefusal::BranchMissing { branch: "boi/SD979".to_owned() },
                "branch boi/SD979 does not exist, so there is nothing to merge",
            ),
            (
                MergeRefusal::Conflicts { base: base(), files: vec!["a".to_owned(), "b/c".to_owned()] },
                "merge conflicts with main in a, b/c",
            ),
            (
                MergeRefusal::CheckoutLocked { base: base(), checkout: checkout() },
                "main is checked out in \"/r\", whose index.lock shows that another git process is writing there; if \
                 no git process is running, remove index.lock",
            ),
            (
                MergeRefusal::CheckoutUnreadable { base: base(), checkout: checkout(), message: message() },
                "main is checked out in \"/r\", which git cannot read: fatal: no",
            ),
            (
                MergeRefusal::CheckoutDirty { base: base(), checkout: checkout() },
                "main is checked out in \"/r\", where tracked files have changes; commit or stash the changes",
            ),
            (
                MergeRefusal::FilesInTheWay { base: base(), checkout: checkout(), files: vec!["a".into(), "b".into()] },
                "main is checked out in \"/r\", where the merge would overwrite a, b; move them away, or commit them",
            ),
            (
                MergeRefusal::CheckoutNotWritable {
                    base: base(),
                    checkout: checkout(),
                    file: "a".into(),
                    message: "no space left".into(),
                },
                "main is checked out in \"/r\", where \"a\" could not be changed: no space left; nothing was changed",
            ),
            (
                MergeRefusal::CheckoutHalfChanged {
                    base: base(),
                    checkout: checkout(),
                    files: vec!["a".into(), "b".into()],
                    message: "cannot put \"a\" back: read-only".into(),
                },
                "an interrupted merge left the checkout \"/r\" of main half changed: a, b; cannot put \"a\" back: read-only; \
                 fix this, then put the files back with `boi doctor --fix`",
            ),
            (
                MergeRefusal::RejectedByGit { base: base(), message: message() },
                "git cannot fast-forward main: fatal: no",
            ),
        ] {
            assert_eq!(refusal.to_string(), words);
        }
        for (operation, name) in [
            (GitOperation::Merge, "a merge"),
            (GitOperation::Rebase, "a rebase"),
            (GitOperation::CherryPick, "a cherry-pick"),
            (GitOperation::Revert, "a revert"),
            (GitOperation::CherryPickOrRevert, "a cherry-pick or revert"),
            (GitOperation::Bisect, "a bisect"),
        ] {
            let refusal = MergeRefusal::OperationInProgress { base: base(), checkout: checkout(), operation };
            let words = format!("main is checked out in \"/r\", where {name} is in progress; finish or abort it");
            assert_eq!(refusal.to_string(), words);
        }
    }
}
