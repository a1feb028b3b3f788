//! A worker's worktree: a git worktree on the spec's branch, or an empty scratch directory for a spec without
//! a repository. The functions here may block. If the daemon crashes during a function, a later daemon can
//! call the function again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{debug, warn};

use crate::daemon::warm_trees;
use crate::decide::step::{Captured, Landed};
use crate::delivery::{self, DeliveryError, FastForward, Unfinished};
use crate::domain::cause::Unmerged;
use crate::domain::position::{Checkout, Progress, RepositoryIdentity};
use crate::domain::repository_change::{ChangeKind, RepositoryChange};
use crate::domain::repository_config;
use crate::domain::spec::{Base, Repo, Spec};
use crate::git::{
    self, CheckedFiles, GitError, GitWatch, LockedWorktree, RemoveError, Repairs, RepositoryFile, Reset, Severity,
    Worktree,
};
use crate::process::marker;
use crate::queue::Claimed;
use crate::spec::repository_config::MAX_BYTES;
use crate::system::{clock, failpoint, files};

/// After this many setbacks in a row, a failure of git with an unknown cause counts as permanent.
const UNKNOWN_IS_PERMANENT_AFTER: u32 = 6;

/// How many submodules and files that a worktree lacks are recorded.
const NAMED_MISSING: usize = 50;

/// The worktree of a worker.
#[derive(Debug, Clone)]
pub(super) struct WorkerTree {
    path: PathBuf,
    pub(super) git: Option<(Worktree, Repo)>,
    /// The commit of the base that the branch could not be merged with; `None`: the spec was not sent back.
    onto: Option<String>,
    watch: Arc<GitWatch>,
    /// The folders that the worktree passes to the next one, if its path is one of the fixed ones.
    keep: Vec<String>,
    /// Patterns of the files that no try may change.
    protected: Vec<String>,
    setbacks: u32,
    /// Patterns of ignored files of the user's checkout that are copied into the worktree.
    copy: Arc<[String]>,
    /// The commit that the branch was on before the machine restarted, for the repair of damage by a power
    /// cut. `None` if the machine has not restarted or the repair is done.
    damaged: Arc<Mutex<Option<String>>>,
    /// The worktree's files as they were when they were last compared with a commit.
    checked: Arc<Mutex<Option<CheckedFiles>>>,
}

/// Why git could not carry out a step.
#[derive(Debug)]
pub(super) enum Blocked {
    /// Only the user can fix this problem.
    Permanent(String),
    /// The step may succeed later.
    Transient(String),
}

/// What the worktree is created from. Both are `None` if the spec has no repository.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) origin: Option<String>,
    pub(super) repository: Option<RepositoryIdentity>,
}

/// The result of creating a worktree.
pub(super) struct Created {
    pub(super) origin: Option<String>,
    pub(super) head: Option<String>,
    pub(super) kept: Vec<String>,
    /// Whether the working tree is new, or was made clean.
    pub(super) is_new: bool,
    /// What the worktree lacks, because the user's clone does not have it.
    pub(super) missing: Vec<RepositoryChange>,
}

/// The captured changes of a try.
pub(super) struct CapturedWork {
    pub(super) result: Captured,
    pub(super) kept: Vec<String>,
}

/// The result of removing a worktree.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) kept: Vec<String>,
    pub(super) gone: bool,
}

impl Blocked {
    pub(super) fn reason(&self) -> &str {
        match self {
            Blocked::Permanent(reason) | Blocked::Transient(reason) => reason,
        }
    }
}

impl WorkerTree {
    /// Describes the worktree of a claimed spec at `path`. `folder` is the attempt's folder. Creates nothing.
    pub(super) fn new(claimed: &Claimed, path: PathBuf, folder: &Path) -> WorkerTree {
        // The lock belongs to the spec, not to the attempt: git may still be running for an earlier attempt.
        let scratch = folder.parent().unwrap_or(folder).join("git");
        let fence = &claimed.fence;
        let marker = marker::marker_of_git(folder.parent().unwrap_or(folder));
        let variables = vec![("BOI_SPEC", fence.spec.to_string()), ("BOI_ATTEMPT", fence.attempt.to_string())];
        let watch = Arc::new(GitWatch::of_worker(marker, variables));
        let git = claimed.spec.repo.clone().map(|repo| {
            let (spec, repository) = (fence.spec.clone(), claimed.position.progress.repository.clone());
            let (path, watch) = (path.clone(), Arc::clone(&watch));
            (Worktree { repo: repo.path.clone(), path, spec, scratch, repository, watch }, repo)
        });
        let Progress { last_boot, head, origin, .. } = &claimed.position.progress;
        let rebooted = last_boot.as_deref().is_some_and(|boot| boot != clock::boot_id());
        let damaged = head.as_ref().or(origin.as_ref()).filter(|_| rebooted).cloned();
        let mut tree = WorkerTree {
            path,
            git,
            onto: claimed.onto.clone(),
            watch,
            setbacks: claimed.setbacks,
            copy: Arc::default(),
            damaged: Arc::new(Mutex::new(damaged)),
            checked: Arc::default(),
            keep: Vec::new(),
            protected: Vec::new(),
        };
        tree.set_files(&claimed.spec);
        tree
    }

    /// Sets which ignored files are copied into the worktree, which ignored folders are kept, and which files no try may
    /// change.
    pub(super) fn set_files(&mut self, spec: &Spec) {
        self.copy = spec.copy.clone().into();
        self.keep.clone_from(&spec.of_repository.keep);
        self.protected.clone_from(&spec.of_repository.protected);
    }

    /// Moves the worktree, which does not exist yet, to `path`, which the worktrees of its repository share one after
    /// another. The folders `keep` pass from one to the next.
    pub(super) fn move_to(&mut self, path: PathBuf, keep: Vec<String>) {
        if let Some((worktree, _)) = &mut self.git {
            worktree.path.clone_from(&path);
        }
        (self.path, self.keep) = (path, keep);
    }

    /// Returns the folders that the worktree passes to the next one at its path.
    fn kept_folders(&self) -> &[String] {
        if warm_trees::is_pooled(&self.path) { &self.keep } else { &[] }
    }

    /// The directory in which commands run.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the watch over the git processes of this worker.
    pub(super) fn watch(&self) -> &Arc<GitWatch> {
        &self.watch
    }

    /// Returns this worktree for a step whose git processes `watch` watches.
    pub(super) fn under(&self, watch: &Arc<GitWatch>) -> WorkerTree {
        let mut tree = self.clone();
        if let Some((worktree, _)) = &mut tree.git {
            worktree.watch = Arc::clone(watch);
        }
        tree.watch = Arc::clone(watch);
        tree
    }

    /// Sets the repository in which the worktree is created, and with which it is compared from now on.
    pub(super) fn set_repository(&mut self, repository: Option<RepositoryIdentity>) {
        if let Some((worktree, _)) = &mut self.git {
            worktree.repository = repository;
        }
    }

    /// Identifies the repository, and resolves the commit that the branch starts from, unless `progress`
    /// contains it. The caller records both before the worktree is created: once the branch exists, its base
    /// may move, and only the record shows that this spec created the branch.
    pub(super) fn resolve(&self, progress: &Progress) -> Result<Resolved, Blocked> {
        let Some((worktree, repo)) = &self.git else { return Ok(Resolved::default()) };
        let identified = worktree.identify_repository();
        let repository = match (identified, &progress.origin) {
            (Ok(repository), _) => repository,
            // The spec may name a linked working tree, which the user may have removed since.
            (Err(_), Some(_)) => None,
            (Err(error), None) => return Err(self.blocked(error)),
        };
        let origin = match &progress.origin {
            Some(origin) => origin.clone(),
            None => self.resolve_base(worktree, repo)?,
        };
        Ok(Resolved { origin: Some(origin), repository })
    }

    /// Reads the repository's own configuration at a commit.
    pub(super) fn repository_file(&self, commit: &str) -> Result<RepositoryFile, Blocked> {
        let Some((worktree, _)) = &self.git else { return Ok(RepositoryFile::Missing) };
        git::read_repository_file(&worktree.repo, commit, repository_config::FILE, MAX_BYTES as u64)
            .map_err(|error| self.blocked(error))
    }

    /// Creates the worktree, or makes an existing one ready for the next step.
    pub(super) fn create(&self, progress: &Progress, checkout: Checkout) -> Result<Created, Blocked> {
        let Some((worktree, repo)) = &self.git else {
            let is_new = make_scratch_directory(&self.path)? || checkout == Checkout::Clean;
            return Ok(Created { origin: None, head: None, kept: vec![], is_new, missing: vec![] });
        };
        let at = self.lock(worktree)?;
        let origin = match &progress.origin {
            Some(origin) => origin.clone(),
            None => self.resolve_base(worktree, repo)?,
        };
        let label = "leftover";
        let mut kept = Vec::new();
        match (&progress.head, checkout) {
            (Some(head), Checkout::Clean) => {
                kept = git::reset_branch(&at, head, label).map_err(|error| self.blocked(error))?;
            }
            (Some(_), Checkout::AsItIs) => {}
            (None, _) => self.refuse_foreign_branch(worktree, &origin)?,
        }
        let base = progress.head.as_ref().unwrap_or(&origin);
        let copying = git::prepare_copying(&at, base, checkout, &self.copy, &self.keep);
        let copying = copying.map_err(|error| self.blocked(error))?;
        let created = match (git::create_worktree(&at, base, checkout, label), &progress.head) {
            // The last try failed because of this problem, and the prompt of the next try reports it.
            (Err(GitError::LinkReplaced { .. }), Some(head)) if checkout == Checkout::AsItIs => {
                return Ok(Created {
                    origin: Some(origin),
                    head: Some(head.clone()),
                    kept,
                    is_new: false,
                    missing: vec![],
                });
            }
            (created, _) => created.map_err(|error| self.blocked(error))?,
        };
        kept.extend(created.kept);
        if created.is_new && !self.kept_folders().is_empty() {
            let restored = git::restore_kept_folders(&at, self.kept_folders()).map_err(|error| self.blocked(error))?;
            self.link_for_people();
            debug!(spec = %at.spec(), ?restored, "the worktree has the folders of an earlier one");
        }
        if let (Some(onto), Checkout::Clean) = (&self.onto, checkout) {
            match delivery::merge_into_files(&at, onto) {
                Ok(()) => {}
                Err(DeliveryError::Git(error)) => return Err(self.blocked(error)),
                Err(DeliveryError::Refused(refusal)) => return Err(Blocked::Permanent(refusal.to_string())),
            }
        }
        git::copy_files(&at, &copying, created.is_new).map_err(|error| self.blocked(error))?;
        // After a stop, the branch may already be at the commit to which the repeated step will move it.
        let head = match checkout {
            Checkout::AsItIs => progress.head.clone().unwrap_or(created.head),
            Checkout::Clean => created.head,
        };
        let missing = if created.is_new { missing_parts(&at) } else { vec![] };
        Ok(Created { origin: Some(origin), head: Some(head), kept, is_new: created.is_new, missing })
    }

    fn resolve_base(&self, worktree: &Worktree, repo: &Repo) -> Result<String, Blocked> {
        match &repo.base {
            Base::Revision(name) => {
                git::resolve_base(&worktree.repo, name).map_err(|error| Blocked::Permanent(error.to_string()))
            }
            Base::Spec(id) => match git::branch_head(&worktree.repo, id).map_err(|error| self.blocked(error))? {
                Some(head) => Ok(head),
                None => Err(Blocked::Permanent(format!(
                    "the repository has no branch {}, on which this spec is based",
                    id.branch()
                ))),
            },
        }
    }

    /// Fails if the repository has a branch with the name of the spec's branch that this spec did not create:
    /// such a branch belongs to the user.
    fn refuse_foreign_branch(&self, worktree: &Worktree, origin: &str) -> Result<(), Blocked> {
        match git::branch_head(&worktree.repo, &worktree.spec).map_err(|error| self.blocked(error))? {
            Some(head) if head != origin => Err(Blocked::Permanent(format!(
                "the repository already has a branch {} that this spec did not create: rename that branch",
                worktree.spec.branch(),
            ))),
            _ => Ok(()),
        }
    }

    /// Makes a candidate commit of the changes of a try.
    pub(super) fn capture(&self, progress: &Progress, message: &str, label: &str) -> Result<CapturedWork, Blocked> {
        let (Some((worktree, _)), Some(head)) = (&self.git, &progress.head) else {
            return Ok(CapturedWork { result: Captured::Candidate(None), kept: vec![] });
        };
        let at = self.lock(worktree)?;
        let not_committed = |why: &str| {
            let kept = git::kept_refs_of(&at, label).map_err(|error| self.blocked(error))?;
            Ok(CapturedWork { result: Captured::NotCommitted(why.to_owned()), kept })
        };
        let times = git::read_file_times(&self.path);
        match git::capture_merge(&at, head, self.onto.as_deref(), message, label) {
            Ok(captured) => {
                if let Some(paths) = self.changed_protected(&at, head, captured.commit.as_deref())? {
                    return Ok(CapturedWork { result: Captured::Protected(paths), kept: captured.kept });
                }
                *self.checked() = CheckedFiles::new(captured.commit.as_ref().unwrap_or(head), times);
                Ok(CapturedWork { result: Captured::Candidate(captured.commit), kept: captured.kept })
            }
            Err(
                error @ (GitError::NestedRepositories { .. }
                | GitError::Withheld(_)
                | GitError::CannotAdd { .. }
                | GitError::TimedOut { .. }),
            ) => not_committed(&error.to_string()),
            Err(error @ GitError::SubmodulesChanged { .. }) => {
                let why = error.to_string();
                let GitError::SubmodulesChanged { kept, .. } = error else { return not_committed(&why) };
                Ok(CapturedWork { result: Captured::NotCommitted(why), kept })
            }
            Err(GitError::NoWorktree { .. }) => match git::create_worktree(&at, head, Checkout::AsItIs, label) {
                Ok(_) => not_committed(
                    "the worktree had no .git any more, which boi needs to commit the files; boi created .git again and \
                     changed no other file: do not remove .git",
                ),
                Err(GitError::Occupied { .. } | GitError::LinkReplaced { .. }) => not_committed(
                    "the worktree's .git was replaced, so boi cannot commit the files: remove the new .git",
                ),
                Err(error) => Err(self.blocked(error)),
            },
            Err(error) => Err(self.blocked(error)),
        }
    }

    /// Returns the protected files that the candidate changed; `None`: it changed none.
    fn changed_protected(
        &self,
        at: &LockedWorktree,
        head: &str,
        candidate: Option<&str>,
    ) -> Result<Option<Vec<String>>, Blocked> {
        let Some(candidate) = candidate.filter(|_| !self.protected.is_empty()) else { return Ok(None) };
        let paths = git::changed_protected_files(at, head, self.onto.as_deref(), candidate, &self.protected);
        let paths = paths.map_err(|error| self.blocked(error))?;
        Ok((!paths.is_empty()).then_some(paths))
    }

    /// Moves the branch to the verified candidate, and makes the worktree equal to it.
    pub(super) fn advance(
        &self,
        progress: &Progress,
        candidate: Option<&str>,
        label: &str,
    ) -> Result<Vec<String>, Blocked> {
        let (Some((worktree, _)), Some(head)) = (&self.git, &progress.head) else { return Ok(vec![]) };
        let at = self.lock(worktree)?;
        if let Some(candidate) = candidate {
            git::advance_branch(&at, head, candidate).map_err(|error| self.blocked(error))?;
            failpoint::hit("branch.moved");
        }
        let label = format!("{label}-after-verify");
        let to = candidate.unwrap_or(head);
        let times = git::read_file_times(&self.path);
        let checked = self.checked().take();
        let reset = match git::reset_checked_to_commit(&at, to, &label, checked.as_ref()) {
            // A verify command removed the worktree's .git.
            Err(GitError::NoWorktree { .. }) => git::create_worktree(&at, to, Checkout::AsItIs, &label)
                .and_then(|_| git::reset_to_commit(&at, to, &label))
                .map(|kept| Reset { kept, is_complete: false }),
            reset => reset,
        };
        let Reset { kept, is_complete } = reset.map_err(|error| self.blocked(error))?;
        *self.checked() = CheckedFiles::new(to, times.filter(|_| is_complete));
        Ok(kept)
    }

    fn checked(&self) -> MutexGuard<'_, Option<CheckedFiles>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fast-forwards the base.
    pub(super) fn land(&self, from: &str, head: &str) -> Result<Landed, Blocked> {
        let Some((worktree, base)) = self.merging() else { return Ok(Landed::Done) };
        let at = self.lock(worktree)?;
        match delivery::fast_forward_base(&at, base, from, head) {
            Ok(FastForward::Done) => {
                self.watch.complete();
                failpoint::hit("base.moved");
                Ok(Landed::Done)
            }
            Ok(FastForward::BaseMoved) => Ok(Landed::BaseMoved),
            Err(error) => self.unmerged(error).map(Landed::Unmerged),
        }
    }

    /// Completes or undoes an interrupted delivery of this spec. When the spec has ended, no worker would
    /// repeat the delivery.
    pub(super) fn settle_delivery(&self) -> Result<(), Blocked> {
        let Some((worktree, _)) = self.merging() else { return Ok(()) };
        match delivery::settle_own_delivery(worktree).map_err(|error| self.blocked(error))? {
            Some(Unfinished { checkout, files, reason, .. }) => Err(Blocked::Permanent(format!(
                "the merge into {} was interrupted and could not be undone: {reason}; files: {}",
                checkout.display(),
                files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
            ))),
            None => Ok(()),
        }
    }

    /// Moves the branch of a spec that ends without a result back to its last verified commit, if an agent committed
    /// paths to the branch that boi does not commit. Returns the refs that keep the other files of these commits.
    pub(super) fn withhold(&self, progress: &Progress) -> Result<Vec<String>, Blocked> {
        let (Some((worktree, _)), Some(head)) = (&self.git, &progress.head) else { return Ok(vec![]) };
        if !git::has_copy_record(&worktree.scratch) {
            return Ok(vec![]);
        }
        let at = self.lock(worktree)?;
        git::withhold_branch(&at, head, "leftover").map_err(|error| self.blocked(error))
    }

    /// Removes the worktree; a scratch directory is removed only when it is empty.
    pub(super) fn remove(&self) -> Result<Removed, Blocked> {
        match &self.git {
            Some((worktree, _)) => {
                let at = self.lock(worktree)?;
                let checked = self.checked().take();
                let removed = git::remove_checked_worktree(&at, "leftover", checked.as_ref(), self.kept_folders());
                let kept = removed.map_err(|error| match error {
                    RemoveError::Refused(refusal) => Blocked::Permanent(refusal.to_string()),
                    RemoveError::Git(error) => self.blocked(error),
                })?;
                self.unlink_for_people();
                Ok(Removed { kept, gone: true })
            }
            None => Ok(Removed { kept: vec![], gone: std::fs::remove_dir(&self.path).is_ok() }),
        }
    }

    /// Links the worktree from the path at which people look for it.
    fn link_for_people(&self) {
        if let Some((worktree, _)) = &self.git
            && let Some(link) = warm_trees::link_of(&self.path, worktree.spec.as_str())
            && let Err(error) = std::os::unix::fs::symlink(&self.path, &link)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            debug!(path = %link.display(), %error, "boi cannot link the worktree");
        }
    }

    /// Removes the link to the worktree.
    fn unlink_for_people(&self) {
        if let Some((worktree, _)) = &self.git
            && let Some(link) = warm_trees::link_of(&self.path, worktree.spec.as_str())
            && std::fs::read_link(&link).is_ok_and(|to| to == self.path)
        {
            std::fs::remove_file(&link).ok();
        }
    }

    /// The worktree and the name of its base; `None` for a spec that cannot be merged into a named base.
    fn merging(&self) -> Option<(&Worktree, &str)> {
        match &self.git {
            Some((worktree, Repo { base: Base::Revision(base), .. })) => Some((worktree, base)),
            _ => None,
        }
    }

    /// Locks the worktree. The first call after a restart of the machine also repairs what a power cut may
    /// have damaged.
    pub(super) fn lock(&self, worktree: &Worktree) -> Result<LockedWorktree, Blocked> {
        let at = worktree.lock().map_err(|error| self.blocked(error))?;
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = damaged.as_deref() {
            let repairs = git::repair_after_power_loss(&at, base, "leftover").map_err(|error| self.blocked(error))?;
            if repairs != Repairs::default() {
                warn!(path = %self.path.display(), ?repairs, "boi repaired files that git was writing when the machine went down");
            }
            *damaged = None;
        }
        Ok(at)
    }

    fn unmerged(&self, error: DeliveryError) -> Result<Unmerged, Blocked> {
        match error {
            DeliveryError::Refused(refusal) => Ok(Unmerged::Refused { refusal }),
            DeliveryError::Git(error) => Err(self.blocked(error)),
        }
    }

    pub(super) fn blocked(&self, error: GitError) -> Blocked {
        match error.severity() {
            Severity::Transient => Blocked::Transient(error.to_string()),
            Severity::Unknown if self.setbacks < UNKNOWN_IS_PERMANENT_AFTER => Blocked::Transient(error.to_string()),
            Severity::Unknown | Severity::Permanent => Blocked::Permanent(error.to_string()),
        }
    }
}

/// Returns what the worktree lacks, because the user's clone does not have it.
fn missing_parts(at: &LockedWorktree) -> Vec<RepositoryChange> {
    let named = |kind, path: &Path| RepositoryChange::new(kind, path.to_string_lossy());
    let empty = git::left_empty(at).into_iter();
    let empty = empty.map(|(path, why)| named(ChangeKind::SubmoduleLeftEmpty, &path).states(None, Some(why)));
    let pointers = git::pointers(at).into_iter().map(|path| named(ChangeKind::LfsObjectMissing, &path));
    let mut missing: Vec<_> = empty.chain(pointers).collect();
    if let Some(more @ 1..) = missing.len().checked_sub(NAMED_MISSING) {
        missing.truncate(NAMED_MISSING);
        missing.push(RepositoryChange::new(ChangeKind::More, format!("{more} more submodules or files")));
    }
    missing
}

/// Creates a scratch directory; returns whether it was missing. Removes a link, FIFO or socket in its place, which only a command can have
/// created. Fails if there is a file, which may be work of a command.
fn make_scratch_directory(path: &Path) -> Result<bool, Blocked> {
    let transient = |error: io::Error| Blocked::Transient(format!("cannot create {}: {error}", path.display()));
    match path.symlink_metadata() {
        Ok(found) if found.is_file() => {
            let why =
                format!("{} is a file, but boi needs its scratch directory there: move the file away", path.display());
            return Err(Blocked::Permanent(why));
        }
        Ok(found) if !found.is_dir() => {
            std::fs::remove_file(path).map_err(transient)?;
            warn!(path = %path.display(), "a command had replaced the scratch directory by something else; boi removed that");
        }
        _ => {}
    }
    let is_new = !path.exists();
    files::private_dir(path).map_err(transient)?;
    Ok(is_new)
}
