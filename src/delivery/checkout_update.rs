//! Moves a user's checkout to another commit together with its branch: either completely or not at all.
//!
//! ```text
//! make the new content (filters run) ─▶ journal ─▶ index.lock ─▶ move files ─▶ index ─▶ branch ─▶ done
//!       nothing of the user is changed              └────────── a failure undoes everything ──┘
//! ```
//!
//! Git's own checkout writes files one after another, so that a filter that fails, a full disk or a kill leaves the
//! checkout half changed. Here everything that runs a program or needs disk space comes before the first change.
//! A delivery that was killed is completed or undone by [`super::recovery`].

use std::collections::BTreeMap;
use std::fs::{self, FileTimes};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::warn;

use super::checkout_state;
use super::index_file::IndexFile;
use super::journal::{self, Identity, Journal, StoredPath};
use super::moves::{Layout, MoveError};
use super::outcome::{DeliveryError, FastForward};
use super::plan::{self, Difference, Entry, Plan, Staging};
use super::recovery::{self, RollBack, index_in, lock_of};
use crate::domain::delivery::MergeRefusal;
use crate::git::checkout::{self, Checkout};
use crate::git::program::Git;
use crate::git::{self, GitError, LockedWorktree, entry, operation, revision};
use crate::system::{failpoint, files};

/// Maximum number of tries, because another git process may write the index while boi makes the new content.
const ROUNDS: usize = 3;
/// How long boi waits for a git process of the user, such as `git commit`, that holds the lock of the index.
const LOCKED_FOR: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(20);
/// The most bytes of paths that one git process gets as arguments.
const ARGUMENT_BYTES: usize = 64 << 10;
/// Git can read attributes out of a commit from this version on.
const ATTRIBUTE_SOURCE: (u32, u32) = (2, 41);

/// The update of a checkout to a commit.
pub(super) struct Update<'a> {
    pub(super) worktree: &'a LockedWorktree,
    pub(super) checkout: &'a Checkout,
    /// The short name of the branch that the checkout is on.
    pub(super) base: &'a str,
    pub(super) base_ref: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

/// Everything that is prepared before the checkout is changed.
struct Prepared {
    /// The identity of the checkout's index file when it was copied.
    before: Identity,
    index: IndexFile,
    layout: Layout,
    journal: Journal,
}

impl Update<'_> {
    /// Moves the checkout and its branch. The repository's lock is held, and no other delivery is unfinished.
    pub(super) fn carry_out(&self) -> Result<FastForward, DeliveryError> {
        for _ in 0..ROUNDS {
            let folder = self.make_folder()?;
            self.wait_for_the_users_git();
            let result = self.prepare(&folder).map_err(Failure::Settled).and_then(|ready| self.commit(&folder, ready));
            let result = match result {
                // The journal is needed to complete or undo the delivery later.
                Err(Failure::Unsettled(error)) => return Err(error),
                Err(Failure::Settled(error)) => Err(error),
                Ok(done) => Ok(done),
            };
            recovery::discard(&folder, Some(&self.checkout.place.work_tree))?;
            if let Some(done) = result? {
                return Ok(done);
            }
        }
        let (base, checkout) = self.names();
        Err(MergeRefusal::CheckoutLocked { base, checkout }.into())
    }

    /// Waits until no other git process writes the checkout's index, for at most [`LOCKED_FOR`].
    fn wait_for_the_users_git(&self) {
        let lock = lock_of(&index_in(&self.checkout.place.git_dir));
        let until = Instant::now() + LOCKED_FOR;
        while lock.exists() && Instant::now() < until {
            std::thread::sleep(LOCK_POLL);
        }
    }

    fn names(&self) -> (String, String) {
        (self.base.to_owned(), self.checkout.place.work_tree.display().to_string())
    }

    fn make_folder(&self) -> Result<PathBuf, GitError> {
        let folder = journal::folder_of(&self.checkout.place.git_dir, self.worktree.spec());
        entry::remove_any(&folder)?;
        for part in ["new", "old"] {
            files::private_dir(&folder.join(part)).map_err(GitError::io("cannot create", &folder))?;
        }
        Ok(folder)
    }

    /// Makes everything that the delivery needs. Changes nothing in the checkout and the branch.
    fn prepare(&self, folder: &Path) -> Result<Prepared, DeliveryError> {
        let top = self.checkout.place.work_tree.as_path();
        let raw = ["diff-tree", "-r", "-z", "--raw", "--no-renames", self.from, self.to];
        let differences = plan::parse_differences(&Git::reading(&self.worktree.repository()?).args(raw).run()?);
        // These are read before the check that the checkout is clean, so a file that changes later differs from them.
        let mut originals = BTreeMap::new();
        for found in differences.iter().filter(|found| found.old == Entry::File) {
            let path = top.join(&found.path);
            if let Some(original) = Identity::at(&path).map_err(GitError::io("cannot read", &path))? {
                originals.insert(found.path.clone(), original);
            }
        }
        if let Some(refusal) = checkout_state::merge_refusal(self.checkout, self.base)? {
            return Err(refusal.into());
        }
        let before = self.copy_index(folder)?;
        let mut staging = Staging::new(top, folder, journal::folder_in_checkout(self.worktree.spec()))?;
        let old_index = match self.check(folder) {
            // Git's message names untracked files in the way, but no ignored ones, so boi looks for both.
            Err(error) => {
                let plan = plan::plan(&mut staging, &differences, &originals)?;
                return Err(self.in_the_way(&plan).unwrap_or(error));
            }
            Ok(index) => index,
        };
        let index = self.make_index(folder)?;
        // A file that the index marks as not checked out (sparse checkout) is not changed.
        let present = |index: &IndexFile, path: &Path, entry: Entry| {
            if index.is_skipped(path.as_os_str().as_bytes()) { Entry::Nothing } else { entry }
        };
        let differences: Vec<Difference> = differences
            .into_iter()
            .map(|Difference { path, old, new }| {
                let (old, new) = (present(&old_index, &path, old), present(&index, &path, new));
                Difference { path, old, new }
            })
            .collect();
        let mut plan = plan::plan(&mut staging, &differences, &originals)?;
        if let Some(refusal) = self.in_the_way(&plan) {
            return Err(refusal);
        }
        let mut journal = Journal::new(self.worktree.spec(), self.base_ref, self.from, self.to, top);
        journal.folders = plan.folders.iter().cloned().map(StoredPath).collect();
        // After a kill, this record names the folders that boi makes in the checkout, so that they can be removed.
        journal.write_retired(folder)?;
        self.make_content(folder, &mut staging, &differences)?;
        plan.complete(&staging)?;
        journal.moves = plan.moves;
        let prepared = folder.join("index-new");
        journal.index_inode =
            Identity::at(&prepared).map_err(GitError::io("cannot read", &prepared))?.map_or(0, |found| found.inode());
        let layout = Layout::new(&journal, folder, top);
        for folder in layout.folders() {
            let old = folder.join("old");
            files::private_dir(&old).map_err(GitError::io("cannot create", &old))?;
            files::sync_file_system(folder).map_err(GitError::io("cannot sync", folder))?;
        }
        failpoint::hit("delivery.prepared");
        Ok(Prepared { before, index, layout, journal })
    }

    /// Returns the refusal if files of the user are in the way; `None`: none are.
    fn in_the_way(&self, plan: &Plan) -> Option<DeliveryError> {
        let (base, checkout) = self.names();
        let files: Vec<String> = plan.in_the_way.iter().map(|path| path.display().to_string()).collect();
        (!files.is_empty()).then(|| MergeRefusal::FilesInTheWay { base, checkout, files }.into())
    }

    /// Copies the checkout's index twice: as a backup, and as the index that git works on.
    fn copy_index(&self, folder: &Path) -> Result<Identity, GitError> {
        let index = index_in(&self.checkout.place.git_dir);
        let unreadable = |error| GitError::io("cannot read", &index)(error);
        let before = Identity::of(&fs::metadata(&index).map_err(unreadable)?);
        let modified = fs::metadata(&index).and_then(|found| found.modified()).map_err(unreadable)?;
        for name in ["index-old", "index-new"] {
            let copy = folder.join(name);
            let copied = fs::copy(&index, &copy).and_then(|_| {
                // Git trusts an entry only if its file is older than the index.
                fs::File::options().write(true).open(&copy)?.set_times(FileTimes::new().set_modified(modified))
            });
            copied.map_err(GitError::io("cannot copy the index to", &copy))?;
        }
        Ok(before)
    }

    /// Returns a git command in the checkout that works on the copy of its index.
    fn git(&self, folder: &Path) -> Result<Git, GitError> {
        let git = Git::writing(&self.checkout.place, self.worktree.lock_file())?.running_filters();
        Ok(git.settings(&["core.splitIndex=false", "submodule.recurse=false"]).index(&folder.join("index-new")))
    }

    /// Lets git check whether it would move the checkout to the commit. Returns the index before.
    fn check(&self, folder: &Path) -> Result<IndexFile, DeliveryError> {
        // The exit code says whether files differ. It is ignored, because the next command checks that.
        self.git(folder)?.args(["update-index", "-q", "--refresh", "--force-write-index"]).output()?;
        let checked = self.git(folder)?.args(["read-tree", "-m", "-u", "--dry-run", self.from, self.to]).output()?;
        if checked.code == Some(0) { self.parse_index(folder) } else { Err(self.rejected(&checked.stderr)) }
    }

    /// Parses the index that git works on.
    fn parse_index(&self, folder: &Path) -> Result<IndexFile, DeliveryError> {
        let path = folder.join("index-new");
        let bytes = fs::read(&path).map_err(GitError::io("cannot read", &path))?;
        IndexFile::parse(bytes, self.to.len() / 2).map_err(|error| self.rejected(&error.to_string()))
    }

    fn rejected(&self, stderr: &str) -> DeliveryError {
        let words: Vec<&str> = stderr.split_whitespace().collect();
        MergeRefusal::RejectedByGit { base: self.base.to_owned(), message: words.join(" ") }.into()
    }

    /// Makes the index of the new commit. Unchanged files keep their entries.
    fn make_index(&self, folder: &Path) -> Result<IndexFile, DeliveryError> {
        let made = if self.is_sparse()? {
            // Git decides which new files it does not check out only while it writes files. So it writes them into an
            // empty folder, without filters, and boi deletes that folder.
            let scratch = folder.join("sparse");
            files::private_dir(&scratch).map_err(GitError::io("cannot create", &scratch))?;
            let git = Git::reading(&self.checkout.place).args(["hash-object", "-t", "tree", "/dev/null"]);
            let no_attributes = git.line()?;
            let git = self.git(folder)?.settings(&["core.autocrlf=false", "core.attributesFile=/dev/null"]);
            let git = git.work_tree(&scratch).env("GIT_ATTR_SOURCE", &no_attributes);
            let made = git.args(["read-tree", "-m", "-u", self.from, self.to]).output()?;
            entry::remove_any(&scratch)?;
            made
        } else {
            self.git(folder)?.args(["read-tree", "-m", self.from, self.to]).output()?
        };
        if made.code != Some(0) {
            return Err(self.rejected(&made.stderr));
        }
        self.parse_index(folder)
    }

    fn is_sparse(&self) -> Result<bool, GitError> {
        let asked =
            Git::reading(&self.checkout.place).args(["config", "--type=bool", "core.sparseCheckout"]).output()?;
        Ok(asked.stdout.starts_with(b"true"))
    }

    /// Writes the new content of all changed files into the staging folders, as a checkout of the commit would write
    /// it.
    fn make_content(
        &self,
        folder: &Path,
        staging: &mut Staging<'_>,
        differences: &[Difference],
    ) -> Result<(), DeliveryError> {
        let changes_attributes = differences.iter().any(|found| found.path.ends_with(".gitattributes"));
        if changes_attributes && git::git_version()?.is_some_and(|version| version < ATTRIBUTE_SOURCE) {
            return Err(self.rejected("the branch changes .gitattributes, for which boi needs git 2.41 or later"));
        }
        let mut by_folder: BTreeMap<usize, Vec<&Path>> = BTreeMap::new();
        for found in differences.iter().filter(|found| found.new == Entry::File) {
            by_folder.entry(staging.folder_for(&found.path)).or_default().push(&found.path);
        }
        for (number, paths) in by_folder {
            let place = staging.path_of(number);
            let new = place.join("new");
            files::private_dir(&new).map_err(GitError::io("cannot create", &new))?;
            if number > 0 {
                // The folder is in the checkout, so git must ignore it.
                let ignore = place.join(".gitignore");
                fs::write(&ignore, "*\n").map_err(GitError::io("cannot write", &ignore))?;
            }
            let mut prefix = std::ffi::OsString::from("--prefix=");
            prefix.push(&new);
            prefix.push("/");
            for chunk in chunks(&paths) {
                let mut git = self.git(folder)?;
                if changes_attributes {
                    // Otherwise git would use the attributes that are in the checkout now.
                    git = git.env("GIT_ATTR_SOURCE", self.to);
                }
                let made = git.args(["checkout-index", "--force"]).arg(&prefix).arg("--").args(chunk).output()?;
                if made.code != Some(0) {
                    return Err(self.rejected(&made.stderr));
                }
            }
            for path in paths {
                self.inherit_group(&new.join(path), path);
            }
        }
        Ok(())
    }

    /// Gives a new file the group that it would have if it had been created in its folder of the checkout.
    fn inherit_group(&self, staged: &Path, path: &Path) {
        let folders = path.ancestors().skip(1);
        let Some(parent) =
            folders.filter_map(|folder| fs::metadata(self.checkout.place.work_tree.join(folder)).ok()).next()
        else {
            return;
        };
        if parent.mode() & 0o2000 != 0 {
            // If this is not permitted, the file keeps this user's group, as a moved file does.
            std::os::unix::fs::lchown(staged, None, Some(parent.gid())).ok();
        }
    }

    /// Changes the checkout and moves the branch. `None`: another process wrote the index, so nothing was changed.
    fn commit(&self, folder: &Path, prepared: Prepared) -> Result<Option<FastForward>, Failure> {
        let Prepared { before, index, layout, journal } = prepared;
        let (base, checkout) = self.names();
        let own_index = index_in(&self.checkout.place.git_dir);
        let lock = lock_of(&own_index);
        journal.write(folder)?;
        failpoint::hit("delivery.journaled");
        match files::move_without_replacing(&folder.join("index-new"), &lock) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Ok(None);
            }
            locked => locked.map_err(GitError::io("cannot create", &lock))?,
        }
        failpoint::hit("delivery.locked");
        // From here on, `index.lock` keeps other git processes from changing the checkout, its index and its HEAD.
        let roll_back = RollBack { journal: &journal, layout: &layout, folder, git_dir: &self.checkout.place.git_dir };
        match self.is_unchanged(&own_index, before) {
            Ok(Unchanged::Yes) => {}
            Ok(Unchanged::IndexWritten) => return self.undone(&roll_back, false, Ok(None)),
            Ok(Unchanged::BaseMoved) => return self.undone(&roll_back, false, Ok(Some(FastForward::BaseMoved))),
            Err(error) => return self.undone(&roll_back, false, Err(error.into())),
        }
        if let Err((path, error)) = layout.carry_out(&journal) {
            let (path, message) = (path.display().to_string(), error.to_string());
            let refusal = match error {
                MoveError::Changed => MergeRefusal::FilesInTheWay { base, checkout, files: vec![path] },
                MoveError::Io(_) => MergeRefusal::CheckoutNotWritable { base, checkout, file: path, message },
            };
            return self.undone(&roll_back, false, Err(refusal.into()));
        }
        if let Err(error) = self.install_index(index, &journal, &own_index, &lock) {
            let (file, message) = (own_index.display().to_string(), error.to_string());
            let refusal = MergeRefusal::CheckoutNotWritable { base, checkout, file, message };
            return self.undone(&roll_back, false, Err(refusal.into()));
        }
        failpoint::hit("delivery.indexed");
        if let Err(error) = recovery::move_branch(&self.checkout.place, self.worktree.lock_file(), &journal) {
            // An order may have ended git before or after it moved the branch, so boi reads where the branch is.
            match revision::commit_of(&self.checkout.place.under_any_order(), self.base_ref) {
                Ok(Some(now)) if now == self.to => {}
                Ok(Some(now)) if now == self.from => {
                    let refused = match error {
                        GitError::Failed { stderr, .. } => self.rejected(&stderr),
                        error => error.into(),
                    };
                    return self.undone(&roll_back, true, Err(refused));
                }
                Ok(_) => return self.undone(&roll_back, true, Ok(Some(FastForward::BaseMoved))),
                // It is unknown whether the branch moved. The next delivery completes or undoes this one.
                Err(unknown) => return Err(Failure::Unsettled(unknown.into())),
            }
        }
        failpoint::hit("delivery.moved");
        recovery::keep_orig_head(&journal, &self.checkout.place, self.worktree.lock_file());
        Ok(Some(FastForward::Done))
    }

    fn is_unchanged(&self, index: &Path, before: Identity) -> Result<Unchanged, GitError> {
        let now = fs::metadata(index).map_err(GitError::io("cannot read", index))?;
        if Identity::of(&now) != before {
            return Ok(Unchanged::IndexWritten);
        }
        let is_on_base = checkout::head_ref(&self.checkout.place)?.as_deref() == Some(self.base_ref);
        let is_at_from = revision::commit_of(&self.checkout.place, self.base_ref)?.as_deref() == Some(self.from);
        let is_busy = operation::in_progress(&self.checkout.place)?.is_some();
        Ok(if is_on_base && is_at_from && !is_busy { Unchanged::Yes } else { Unchanged::BaseMoved })
    }

    /// Writes the new index into the lock file, and renames the lock file to the index.
    fn install_index(&self, mut index: IndexFile, journal: &Journal, own: &Path, lock: &Path) -> std::io::Result<()> {
        for path in journal.moves.iter().filter_map(recovery::placed_path) {
            let file = fs::symlink_metadata(self.checkout.place.work_tree.join(path))?;
            index.set_stat(path.as_os_str().as_bytes(), &file);
        }
        let mut file = fs::File::options().write(true).truncate(true).open(lock)?;
        file.write_all(&index.into_bytes())?;
        file.set_permissions(fs::metadata(own)?.permissions())?;
        file.sync_all()?;
        drop(file);
        files::sync_file_system(&self.checkout.place.work_tree)?;
        failpoint::hit("delivery.index-written");
        fs::rename(lock, own)
    }

    /// Undoes the delivery, then returns `result`.
    fn undone<T>(
        &self,
        roll_back: &RollBack<'_>,
        index_was_replaced: bool,
        result: Result<T, DeliveryError>,
    ) -> Result<T, Failure> {
        match roll_back.run(index_was_replaced) {
            Ok(left) => {
                if !left.is_empty() {
                    let spec = self.worktree.spec();
                    warn!(%spec, ?left, "boi undid a failed delivery, but kept the files in `left`, which somebody changed meanwhile");
                }
                result.map_err(Failure::Settled)
            }
            Err(stuck) => {
                let (base, checkout) = self.names();
                Err(Failure::Unsettled(stuck.refusal(base, checkout).into()))
            }
        }
    }
}

/// How a delivery failed.
enum Failure {
    /// Nothing was changed, or all changes were undone.
    Settled(DeliveryError),
    /// The checkout may be half changed.
    Unsettled(DeliveryError),
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Failure {
        Failure::Settled(error.into())
    }
}

enum Unchanged {
    Yes,
    /// Another git process wrote the index.
    IndexWritten,
    /// The branch moved, the checkout is no longer on it, or a git operation is in progress.
    BaseMoved,
}

/// Prepares a delivery up to its journal, for tests that interrupt it. Returns the journal and its folder.
#[cfg(test)]
pub(super) fn prepared(
    worktree: &LockedWorktree,
    base: &str,
    from: &str,
    to: &str,
) -> Result<(Journal, PathBuf), DeliveryError> {
    let base_ref = git::ref_names::full_branch_name(base);
    let checkout =
        checkout::find(&worktree.users_place()?, base)?.ok_or_else(|| GitError::NoWorktree { path: base.into() })?;
    let update = Update { worktree, checkout: &checkout, base, base_ref: &base_ref, from, to };
    let folder = update.make_folder()?;
    let prepared = update.prepare(&folder)?;
    prepared.journal.write(&folder)?;
    Ok((prepared.journal, folder))
}

/// Splits paths into parts that fit into the arguments of a process.
fn chunks<'a>(paths: &'a [&'a Path]) -> impl Iterator<Item = &'a [&'a Path]> {
    let mut bytes = 0;
    paths.chunk_by(move |path, _| {
        bytes += path.as_os_str().len() + 1;
        let fits = bytes < ARGUMENT_BYTES;
        if !fits {
            bytes = 0;
        }
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_paths_are_split_and_none_is_lost() {
        let long = "x".repeat(1_000);
        let paths: Vec<PathBuf> = (0..200).map(|number| PathBuf::from(format!("{number}-{long}"))).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let parts: Vec<&[&Path]> = chunks(&paths).collect();
        assert_eq!(parts.len(), 4);
        assert_eq!(parts.concat(), paths);
    }
}
