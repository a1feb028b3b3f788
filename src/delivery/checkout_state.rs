//! Says why a delivery must not change a checkout, and which files of a checkout have changes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::domain::delivery::MergeRefusal;
use crate::git::checkout::Checkout;
use crate::git::program::{self, Git};
use crate::git::{GitError, Place, operation};

/// Returns why a fast-forward of `base` must not change this checkout; `None`: the fast-forward may
/// change it.
pub(super) fn merge_refusal(found: &Checkout, base: &str) -> Result<Option<MergeRefusal>, GitError> {
    let base = base.to_owned();
    let checkout = found.place.work_tree.display().to_string();
    if found.is_called_bare {
        let message = "core.bare is true, so git treats the repository as one without a checkout; \
            run `git config core.bare false` there";
        return Ok(Some(MergeRefusal::CheckoutUnreadable { base, checkout, message: message.to_owned() }));
    }
    if found.place.work_tree == found.place.common_dir {
        let message = "git does not say in which folder the files of this repository are".to_owned();
        return Ok(Some(MergeRefusal::CheckoutUnreadable { base, checkout, message }));
    }
    if found.place.git_dir.join("index.lock").exists() {
        return Ok(Some(MergeRefusal::CheckoutLocked { base, checkout }));
    }
    if let Some(operation) = operation::in_progress(&found.place)? {
        return Ok(Some(MergeRefusal::OperationInProgress { base, checkout, operation }));
    }
    // The search for renames would read objects that a partial clone may lack.
    let args = ["status", "--porcelain=v2", "--untracked-files=no", "--no-renames", "-z"];
    let status = Git::reading(&found.place).running_filters().args(args).output()?;
    if status.code != Some(0) {
        return Ok(Some(MergeRefusal::CheckoutUnreadable { base, checkout, message: status.stderr }));
    }
    Ok((!status.stdout.is_empty()).then_some(MergeRefusal::CheckoutDirty { base, checkout }))
}

/// Returns the tracked files that have changes in a working tree.
pub(super) fn changed_files(at: &Place) -> Result<Vec<PathBuf>, GitError> {
    let args = ["status", "--porcelain", "--no-renames", "--untracked-files=no", "-z"];
    let listed = program::paths(&Git::reading(at).running_filters().args(args).run()?);
    // Each line begins with two letters and a space.
    let name =
        |line: &PathBuf| PathBuf::from(OsStr::from_bytes(line.as_os_str().as_bytes().get(3..).unwrap_or_default()));
    Ok(listed.iter().map(name).collect())
}
