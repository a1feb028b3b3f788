//! Completes or undoes a delivery that changed a user's checkout but did not finish, because a step failed or the
//! process was killed.
//!
//! | branch | index | checkout | then |
//! | --- | --- | --- | --- |
//! | at the delivered commit | | | the delivery is done |
//! | at the commit before | of the delivered commit | on the branch | all files are in place: the branch is moved |
//! | at the commit before | another one | on the branch | the files are put back |
//! | elsewhere | | clean | the user cleaned up: nothing is left to do |
//! | elsewhere | | not clean | boi changes nothing; deliveries into the checkout wait for the user |

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tracing::info;

use super::checkout_state;
use super::index_file::IndexFile;
use super::journal::{self, Identity, Journal, JournalError, Move};
use super::moves::Layout;
use crate::domain::delivery::MergeRefusal;
use crate::domain::id::SpecId;
use crate::git::program::{self, Git};
use crate::git::{GitError, Place, Worktree, checkout, entry, locks, repository, revision};
use crate::system::{failpoint, files};

/// A delivery that could be neither completed nor undone.
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// The spec or the lander that made the delivery.
    pub(crate) spec: SpecId,
    /// The ids of the specs whose branches were delivered, separated by commas.
    pub(crate) delivered: String,
    /// The checkout into which it was delivered.
    pub(crate) checkout: PathBuf,
    /// The files that the delivery changes or has to put back, relative to the checkout.
    pub(crate) files: Vec<PathBuf>,
    /// The folder with the journal.
    pub(crate) folder: PathBuf,
    pub(crate) reason: String,
}

/// The result of completing or undoing an interrupted delivery. Each has the ids of the specs whose branches were
/// delivered, separated by commas.
#[derive(Debug)]
pub(crate) enum Recovered {
    /// The branch was moved: the delivery is complete.
    Completed(String),
    /// The checkout is as it was before the delivery, except for these files, which the user changed meanwhile.
    Undone(String, Vec<PathBuf>),
    /// Nothing had to be done: the delivery had changed nothing, or the user had cleaned up the checkout.
    Settled(String),
}

/// Why files could not be put back.
#[derive(Debug)]
pub(super) struct Stuck {
    files: Vec<PathBuf>,
    message: String,
}

/// The undo of a delivery. Meanwhile, no other git process can write the checkout's index: its `index.lock` is held for
/// the delivery, or the delivery has replaced the index.
pub(super) struct RollBack<'a> {
    pub(super) journal: &'a Journal,
    pub(super) layout: &'a Layout,
    pub(super) folder: &'a Path,
    pub(super) git_dir: &'a Path,
}

impl RollBack<'_> {
    /// Puts every file back, and the index if it was replaced, then releases `index.lock`. Keeps and
    /// returns the files that the user changed meanwhile.
    pub(super) fn run(&self, index_was_replaced: bool) -> Result<Vec<PathBuf>, Stuck> {
        let undone = self.layout.undo(self.journal);
        if let Some((path, error)) = undone.stuck.first() {
            let message = format!("cannot put {path:?} back: {error}");
            return Err(Stuck { files: undone.stuck.into_iter().map(|(path, _)| path).collect(), message });
        }
        self.restore_index(index_was_replaced, &undone.restored).map_err(|error| {
            let index = index_in(self.git_dir);
            Stuck { message: format!("cannot restore {index:?}: {error}"), files: vec![index] }
        })?;
        failpoint::hit("delivery.rolled-back");
        Ok(undone.left)
    }

    /// Writes the change times of files that were moved away and back into the index, so that git still trusts their
    /// entries, and does not have to read them through filters that may be broken.
    fn restore_index(&self, was_replaced: bool, restored: &[PathBuf]) -> io::Result<()> {
        let index = index_in(self.git_dir);
        let lock = lock_of(&index);
        let old = fs::read(self.folder.join("index-old"))?;
        let refreshed = IndexFile::parse(old.clone(), self.journal.to.len() / 2).ok().and_then(|mut file| {
            let restored = restored.iter().filter(|path| {
                let found = fs::symlink_metadata(self.layout.in_checkout(path));
                found.is_ok_and(|found| file.set_change_time(path.as_os_str().as_bytes(), &found))
            });
            (restored.count() > 0).then(|| file.into_bytes())
        });
        let content = match (refreshed, was_replaced) {
            (Some(content), _) => content,
            (None, true) => old,
            (None, false) => return remove_own_lock(self.journal, &lock),
        };
        let is_own = Identity::at(&lock)?.is_some_and(|lock| lock.is_inode(self.journal.index_inode));
        let mut options = File::options();
        let mut file = match is_own {
            true => options.write(true).truncate(true).open(&lock)?,
            false => options.write(true).create_new(true).open(&lock)?,
        };
        file.write_all(&content)?;
        file.set_permissions(fs::metadata(&index)?.permissions())?;
        file.sync_all()?;
        fs::rename(&lock, &index)
    }
}

impl Stuck {
    /// Returns the refusal that names the files that could not be put back.
    pub(super) fn refusal(self, base: String, checkout: String) -> MergeRefusal {
        let files = self.files.iter().map(|path| path.display().to_string()).collect();
        MergeRefusal::CheckoutHalfChanged { base, checkout, files, message: self.message }
    }
}

/// Completes or undoes every interrupted delivery into a checkout of the repository. The repository's lock is held.
pub(super) fn recover_all(repo: &Place, lock: &File) -> (Vec<Recovered>, Vec<Unfinished>) {
    let (mut recovered, mut unfinished) = (Vec::new(), Vec::new());
    for (git_dir, spec, folder) in interrupted(&repo.common_dir) {
        match recover(repo, &git_dir, &spec, &folder, lock) {
            Ok(done) => recovered.push(done),
            Err(error) => unfinished.push(*error),
        }
    }
    (recovered, unfinished)
}

/// Completes or undoes every interrupted delivery into a checkout of the repository. Waits for a delivery that is under
/// way.
pub(crate) fn recover_deliveries(repo: &Path) -> Result<(Vec<Recovered>, Vec<Unfinished>), GitError> {
    let repo = repository::find(repo)?;
    if interrupted(&repo.common_dir).is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let lock = locks::lock_repository(&repo.common_dir, &repo.watch)?;
    Ok(recover_all(&repo, &lock))
}

/// Completes or undoes the interrupted delivery of this worktree's spec, under the worktree's watch. Returns it if neither
/// is possible. If the spec has no interrupted delivery, this changes nothing and waits for no lock.
pub(crate) fn settle_own_delivery(worktree: &Worktree) -> Result<Option<Unfinished>, GitError> {
    // If the repository cannot be found, for example because it was moved, no delivery can be completed or undone.
    let Ok(Some(common_dir)) = worktree.find_repository(Some(&worktree.path)) else { return Ok(None) };
    let own = |(_, spec, _): &(PathBuf, SpecId, PathBuf)| *spec == worktree.spec;
    if !interrupted(&common_dir).iter().any(own) {
        return Ok(None);
    }
    // A thread of an earlier step may hold this lock. Then the delivery still runs, and this waits for it.
    let locked = worktree.lock()?;
    let repo = locked.repository()?;
    let lock = locks::lock_repository(&repo.common_dir, &repo.watch)?;
    for (git_dir, spec, folder) in interrupted(&repo.common_dir).into_iter().filter(own) {
        match recover(&repo, &git_dir, &spec, &folder, &lock) {
            Ok(recovered) => info!(%spec, ?recovered, "boi settled the interrupted delivery of a spec that has ended"),
            Err(unfinished) => return Ok(Some(*unfinished)),
        }
    }
    Ok(None)
}

/// Lists the interrupted deliveries into checkouts of the repository. Changes nothing; a delivery that is under way is
/// not interrupted.
pub(crate) fn interrupted_deliveries(repo: &Path) -> Result<Vec<Unfinished>, GitError> {
    let repo = repository::find(repo)?;
    let found = interrupted(&repo.common_dir);
    if found.is_empty() || locks::is_locked(&repo.common_dir)? {
        return Ok(Vec::new());
    }
    let describe = |(git_dir, spec, folder): (PathBuf, SpecId, PathBuf)| match Journal::read(&folder) {
        Ok(None) => None,
        Ok(Some(journal)) => {
            let reason = "boi was interrupted during the delivery".to_owned();
            let delivered = delivered(&repo, &spec, Some(&journal));
            let (checkout, files) = (journal.checkout.0.clone(), journal.files());
            Some(Unfinished { spec, delivered, checkout, files, folder, reason })
        }
        Err(error) => {
            let delivered = delivered(&repo, &spec, None);
            Some(Unfinished { spec, delivered, checkout: git_dir, files: vec![], folder, reason: error.to_string() })
        }
    };
    Ok(found.into_iter().filter_map(describe).collect())
}

/// Returns the ids of the specs whose branches a delivery of `spec` delivers, separated by commas. A lander delivers those
/// of several specs, which the commits name; if they cannot be read, this is the id of the lander.
fn delivered(repo: &Place, spec: &SpecId, journal: Option<&Journal>) -> String {
    let Some(journal) = journal.filter(|_| spec.is_lander()) else { return spec.to_string() };
    let format = "--format=%(trailers:key=Boi-Spec,valueonly)";
    let range = format!("{}..{}", journal.from, journal.to);
    let listed = Git::reading(repo).args(["log", format, &range]).run().unwrap_or_default();
    let text = String::from_utf8_lossy(&listed);
    let specs: BTreeSet<SpecId> = text.lines().filter_map(|line| line.parse().ok()).collect();
    if specs.is_empty() { spec.to_string() } else { specs.iter().map(SpecId::as_str).collect::<Vec<_>>().join(", ") }
}

/// Returns each folder of a delivery in the repository, with the checkout's git directory and the spec.
fn interrupted(common_dir: &Path) -> Vec<(PathBuf, SpecId, PathBuf)> {
    let linked = files::list_folder(&common_dir.join("worktrees")).unwrap_or_default();
    let git_dirs = [common_dir.to_owned()].into_iter().chain(linked);
    let of = |git_dir: PathBuf| {
        let folders = journal::folders_in(&git_dir).into_iter();
        folders.map(move |(spec, folder)| (git_dir.clone(), spec, folder))
    };
    git_dirs.flat_map(of).collect()
}

fn recover(
    repo: &Place,
    git_dir: &Path,
    spec: &SpecId,
    folder: &Path,
    lock: &File,
) -> Result<Recovered, Box<Unfinished>> {
    let read = Journal::read(folder);
    let delivered = delivered(repo, spec, read.as_ref().ok().and_then(Option::as_ref));
    let unfinished = |checkout: &Path, files: Vec<PathBuf>, reason: String| {
        let (spec, checkout, folder) = (spec.clone(), checkout.to_owned(), folder.to_owned());
        Box::new(Unfinished { spec, delivered: delivered.clone(), checkout, files, folder, reason })
    };
    let journal = match read {
        Ok(Some(journal)) => journal,
        Ok(None) => {
            let discarded = discard(folder, None).map_err(|error| error.to_string());
            return discarded
                .map(|()| Recovered::Settled(delivered.clone()))
                .map_err(|reason| unfinished(git_dir, vec![], reason));
        }
        Err(error @ (JournalError::Io(..) | JournalError::Damaged(..) | JournalError::Newer(..))) => {
            return Err(unfinished(git_dir, vec![], error.to_string()));
        }
    };
    let Some(checkout) = checkout_of(repo, git_dir, &journal) else {
        let stored = journal.checkout.0.clone();
        return Err(unfinished(&stored, journal.files(), "the checkout is no longer at this path".to_owned()));
    };
    let layout = Layout::new(&journal, folder, &checkout.work_tree);
    let interrupted = Interrupted { journal: &journal, layout: &layout, folder, git_dir, checkout: &checkout, lock };
    match interrupted.settle(&delivered) {
        Ok(recovered) => Ok(recovered),
        Err(Unsettled::Stuck(stuck)) => Err(unfinished(&checkout.work_tree, stuck.files, stuck.message)),
        Err(Unsettled::Git(error)) => Err(unfinished(&checkout.work_tree, journal.files(), error.to_string())),
    }
}

/// The checkout with this git directory. The user may have moved it since the journal was written.
fn checkout_of(repo: &Place, git_dir: &Path, journal: &Journal) -> Option<Place> {
    let linked = fs::read(git_dir.join("gitdir")).ok().and_then(|link| Some(program::path(&link).parent()?.to_owned()));
    let candidates = [Some(journal.checkout.0.clone()), git_dir.parent().map(Path::to_owned), linked];
    let git_dir = fs::canonicalize(git_dir).ok()?;
    let of = |path: PathBuf| repository::of_working_tree(&path, &repo.watch).ok().flatten();
    let places = candidates.into_iter().flatten().filter_map(of);
    places.into_iter().find(|place| place.git_dir == git_dir)
}

/// A delivery whose process ended, with everything that is needed to complete or undo it.
struct Interrupted<'a> {
    journal: &'a Journal,
    layout: &'a Layout,
    folder: &'a Path,
    git_dir: &'a Path,
    checkout: &'a Place,
    lock: &'a File,
}

/// Why an interrupted delivery can be neither completed nor undone.
enum Unsettled {
    Stuck(Stuck),
    Git(GitError),
}

impl From<GitError> for Unsettled {
    fn from(error: GitError) -> Unsettled {
        Unsettled::Git(error)
    }
}

impl Interrupted<'_> {
    /// Completes or undoes the delivery. `delivered`: the ids of the specs whose branches it delivers.
    fn settle(&self, delivered: &str) -> Result<Recovered, Unsettled> {
        let (journal, spec) = (self.journal, delivered.to_owned());
        let branch = revision::commit_of(self.checkout, &journal.base_ref)?;
        if branch.as_deref() == Some(&journal.to) {
            self.end()?;
            return Ok(Recovered::Completed(spec));
        }
        let is_on_branch = checkout::head_ref(self.checkout)?.as_deref() == Some(journal.base_ref.as_str());
        if branch.as_deref() != Some(&journal.from) || !is_on_branch {
            // The user moved the branch or HEAD while the checkout was half changed.
            let changed = checkout_state::changed_files(self.checkout)?;
            if changed.is_empty() {
                self.end()?;
                return Ok(Recovered::Settled(spec));
            }
            let message = format!(
                "{} was moved, or another branch was checked out, before boi could put the files back",
                journal.base_ref
            );
            return Err(Unsettled::Stuck(Stuck { files: changed, message }));
        }
        let has_new_index = self.has_new_index()?;
        if has_new_index {
            let moved = move_branch(self.checkout, self.lock, journal);
            // A git process of the interrupted delivery may have moved the branch at the same time.
            if moved.is_ok() || revision::commit_of(self.checkout, &journal.base_ref)?.as_deref() == Some(&journal.to) {
                self.end()?;
                return Ok(Recovered::Completed(spec));
            }
        }
        let roll_back = RollBack { journal, layout: self.layout, folder: self.folder, git_dir: self.git_dir };
        let left = roll_back.run(has_new_index).map_err(Unsettled::Stuck)?;
        self.end()?;
        Ok(Recovered::Undone(spec, left))
    }

    /// Whether the delivery replaced the index, so that every file is in place. Compares the content of the index,
    /// because git may have written the index again since.
    fn has_new_index(&self) -> Result<bool, GitError> {
        let args = ["diff-index", "--cached", "--quiet", &self.journal.to, "--"];
        Git::reading(self.checkout).args(args).output()?.yes_or_no()
    }

    fn end(&self) -> Result<(), GitError> {
        let lock = lock_of(&index_in(self.git_dir));
        remove_own_lock(self.journal, &lock).map_err(GitError::io("cannot remove", &lock))?;
        discard(self.folder, Some(&self.checkout.work_tree))
    }
}

/// Removes `index.lock` if it is the delivery's.
fn remove_own_lock(journal: &Journal, lock: &Path) -> io::Result<()> {
    match Identity::at(lock)? {
        Some(found) if found.is_inode(journal.index_inode) => fs::remove_file(lock),
        _ => Ok(()),
    }
}

/// Sets `ORIG_HEAD` to the commit before the delivery, as `git merge` does. An error is ignored, because the delivery
/// is done already.
pub(super) fn keep_orig_head(journal: &Journal, checkout: &Place, lock: &File) {
    if let Ok(git) = Git::writing(checkout, lock) {
        drop(git.args(["update-ref", "ORIG_HEAD", &journal.from]).output());
    }
}

/// Removes the folders of a delivery that changed nothing, is done, or is undone. `checkout`: its present path;
/// `None`: at the path that the journal names.
pub(super) fn discard(folder: &Path, checkout: Option<&Path>) -> Result<(), GitError> {
    // The journal is only renamed first: after a kill, it still names the folders to remove, and nothing is undone.
    if let Some(journal) = Journal::retire(folder)? {
        let checkout = checkout.unwrap_or(&journal.checkout.0);
        journal.folders.iter().try_for_each(|inside| entry::remove_any(&checkout.join(&inside.0)))?;
    }
    entry::remove_any(folder)?;
    if let Some(parent) = folder.parent() {
        // This fails, as intended, while there are other deliveries.
        drop(fs::remove_dir(parent));
    }
    Ok(())
}

/// Moves the journal's branch to the delivered commit, if it is at the commit before.
pub(super) fn move_branch(checkout: &Place, lock: &File, journal: &Journal) -> Result<(), GitError> {
    let args = ["update-ref", "-m", "boi deliver", &journal.base_ref, &journal.to, &journal.from];
    Git::writing(checkout, lock)?.args(args).run()?;
    Ok(())
}

/// Returns the path of the file that a move puts into the checkout; `None`: the move puts no file there.
pub(super) fn placed_path(change: &Move) -> Option<&Path> {
    matches!(change, Move::Place { .. }).then(|| change.path())
}

/// Returns the path of the index in the git directory of a checkout, with links resolved as git does.
pub(super) fn index_in(git_dir: &Path) -> PathBuf {
    let index = git_dir.join("index");
    fs::canonicalize(&index).unwrap_or(index)
}

/// Returns the path of the lock file of an index.
pub(super) fn lock_of(index: &Path) -> PathBuf {
    let mut name = index.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
