//! A worker's working tree: a git worktree on the spec's branch, or an empty scratch directory for a spec without a
//! repository. Blocking; each function may be called again after a crash at any point of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use crate::decide::step::Event;
use crate::domain::attempt::{Laying, Position};
use crate::domain::outcome::Failure;
use crate::domain::spec::{Base, Repo};
use crate::git::{self, Error, LandError, Mended, MergeError, Plan, PlanError, Worktree, WorktreeLock};
use crate::queue::Claimed;
use crate::system::{clock, failpoint, files};

/// A git step that fails so often in a row does not fail for a passing reason.
const PASSING: u32 = 6;

/// Where a worker works.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    path: PathBuf,
    git: Option<(Worktree, Repo)>,
    setbacks: u32,
    /// The commit that the branch stood on when the machine was started again, until what that tore is mended.
    torn: Arc<Mutex<Option<String>>>,
}

/// Why a step could not be done.
#[derive(Debug)]
pub(super) enum Broken {
    /// Somebody has to look.
    ForGood(String),
    /// It may work later.
    ForNow(String),
}

/// A tree that is ready.
pub(super) struct Laid {
    pub(super) origin: Option<String>,
    pub(super) head: Option<String>,
    pub(super) kept: Vec<String>,
}

/// What a try left.
pub(super) struct Captured {
    pub(super) event: Event,
    pub(super) kept: Vec<String>,
}

/// What became of a tree that was to go.
pub(super) struct Removed {
    pub(super) kept: Vec<String>,
    pub(super) gone: bool,
}

impl Broken {
    pub(super) fn reason(&self) -> &str {
        match self {
            Broken::ForGood(reason) | Broken::ForNow(reason) => reason,
        }
    }
}

impl Tree {
    /// The tree of a claimed spec at `path`; `folder` is the attempt's.
    pub(super) fn new(claimed: &Claimed, path: PathBuf, folder: PathBuf) -> Tree {
        // The lock is the spec's, not the attempt's: a git of the attempt before may still be at work.
        let scratch = folder.parent().unwrap_or(&folder).join("git");
        let git = claimed.spec.repo.clone().map(|repo| {
            let spec = claimed.fence.spec.clone();
            (Worktree { repo: repo.path.clone(), path: path.clone(), spec, scratch }, repo)
        });
        let Position { boot, head, origin, .. } = &claimed.position;
        let rebooted = boot.as_deref().is_some_and(|boot| boot != clock::boot_id());
        let torn = head.as_ref().or(origin.as_ref()).filter(|_| rebooted).cloned();
        Tree { path, git, setbacks: claimed.setbacks, torn: Arc::new(Mutex::new(torn)) }
    }

    /// Where commands run.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the branch is to start; `None` without a repository. To be recorded before the tree is laid: once the branch
    /// is made, its base may move on, and only this tells that the branch is the spec's.
    pub(super) fn origin(&self) -> Result<Option<String>, Broken> {
        self.git.as_ref().map(|(worktree, repo)| self.resolve(worktree, repo)).transpose()
    }

    /// Makes the tree ready for `position`.
    pub(super) fn lay(&self, position: &Position, laying: Laying) -> Result<Laid, Broken> {
        let Some((worktree, repo)) = &self.git else {
            files::private_dir(&self.path)
                .map_err(|error| Broken::ForNow(format!("cannot make {}: {error}", self.path.display())))?;
            return Ok(Laid { origin: None, head: None, kept: vec![] });
        };
        let at = self.lock(worktree)?;
        let origin = match &position.origin {
            Some(origin) => origin.clone(),
            None => self.resolve(worktree, repo)?,
        };
        let label = "leftover";
        let mut kept = Vec::new();
        match (&position.head, laying) {
            (Some(head), Laying::Clean) => {
                kept = git::rewind(&at, head, label).map_err(|error| self.broken(error))?;
            }
            (Some(_), Laying::AsItIs) => {}
            (None, _) => self.refuse_foreign_branch(worktree, &origin)?,
        }
        let base = position.head.as_ref().unwrap_or(&origin);
        let laid = git::prepare(&at, base, laying, label).map_err(|error| self.broken(error))?;
        kept.extend(laid.kept);
        // After a stop the branch may already stand where the step that goes on will put it.
        let head = match laying {
            Laying::AsItIs => position.head.clone().unwrap_or(laid.head),
            Laying::Clean => laid.head,
        };
        Ok(Laid { origin: Some(origin), head: Some(head), kept })
    }

    fn resolve(&self, worktree: &Worktree, repo: &Repo) -> Result<String, Broken> {
        match &repo.base {
            Base::Revision(name) => {
                git::resolve_base(&worktree.repo, name).map_err(|error| Broken::ForGood(error.to_string()))
            }
            Base::Spec(id) => match git::branch_head(&worktree.repo, id).map_err(|error| self.broken(error))? {
                Some(head) => Ok(head),
                None => Err(Broken::ForGood(format!("its base, branch {}, is not in the repository", id.branch()))),
            },
        }
    }

    /// A branch of the spec's name that boi did not make just now is somebody's work.
    fn refuse_foreign_branch(&self, worktree: &Worktree, origin: &str) -> Result<(), Broken> {
        match git::branch_head(&worktree.repo, &worktree.spec).map_err(|error| self.broken(error))? {
            Some(head) if head != origin => Err(Broken::ForGood(format!(
                "the repository has a branch {} already, which is not this spec's: rename it, then `boi retry {}`",
                worktree.spec.branch(),
                worktree.spec
            ))),
            _ => Ok(()),
        }
    }

    /// Makes a candidate commit of what a try left.
    pub(super) fn capture(&self, position: &Position, message: &str, label: &str) -> Result<Captured, Broken> {
        let (Some((worktree, _)), Some(head)) = (&self.git, &position.head) else {
            return Ok(Captured { event: Event::Captured { candidate: None }, kept: vec![] });
        };
        let at = self.lock(worktree)?;
        match git::capture(&at, head, message, label) {
            Ok(captured) => Ok(Captured { event: Event::Captured { candidate: captured.commit }, kept: captured.kept }),
            Err(error @ Error::NestedRepository { .. }) => Ok(not_captured(error.to_string())),
            Err(Error::NoWorktree { .. }) => match git::prepare(&at, head, Laying::AsItIs, label) {
                Ok(_) => Ok(not_captured(
                    "the worktree lost its .git, which boi needs to commit the files; it is back, and the files are as \
                     they were left: leave .git alone"
                        .to_owned(),
                )),
                Err(Error::Occupied { .. }) => Ok(not_captured(
                    "the worktree's .git was replaced, so that boi cannot commit the files: remove the new .git".to_owned(),
                )),
                Err(error) => Err(self.broken(error)),
            },
            Err(error) => Err(self.broken(error)),
        }
    }

    /// Moves the branch to the verified candidate, and makes the tree equal to it.
    pub(super) fn advance(
        &self,
        position: &Position,
        candidate: Option<&str>,
        label: &str,
    ) -> Result<Vec<String>, Broken> {
        let (Some((worktree, _)), Some(head)) = (&self.git, &position.head) else { return Ok(vec![]) };
        let at = self.lock(worktree)?;
        if let Some(candidate) = candidate {
            git::advance(&at, head, candidate).map_err(|error| self.broken(error))?;
            failpoint::hit("branch.moved");
        }
        let label = format!("{label}-after-verify");
        let to = candidate.unwrap_or(head);
        let settled = match git::settle(&at, to, &label) {
            // A verify command took the worktree's .git away.
            Err(Error::NoWorktree { .. }) => {
                git::prepare(&at, to, Laying::AsItIs, &label).and_then(|_| git::settle(&at, to, &label))
            }
            settled => settled,
        };
        Ok(settled.map_err(|error| self.broken(error))?.kept)
    }

    /// Brings the base into the branch, as far as it has moved on.
    pub(super) fn deliver(&self, message: &str) -> Result<Event, Broken> {
        let Some((worktree, base)) = self.merging() else { return Ok(Event::Landed) };
        let at = self.lock(worktree)?;
        match git::plan(&at, base) {
            Ok(Plan::AlreadyMerged) => Ok(Event::Landed),
            Ok(Plan::FastForward { from, head }) => Ok(Event::Deliverable { from, head }),
            Ok(Plan::NeedsMerge { from }) => match git::merge_base(&at, &from, message) {
                Ok(head) => {
                    failpoint::hit("base.merged");
                    Ok(Event::Deliverable { from, head })
                }
                Err(error @ MergeError::Conflicts { .. }) => {
                    let id = &worktree.spec;
                    Ok(Event::NotMerged(format!(
                        "{error}, with {base}: merge by hand, or `boi retry {id}` once it fits"
                    )))
                }
                Err(MergeError::Git(error)) => Err(self.broken(error)),
            },
            Err(PlanError::Git(error)) => Err(self.broken(error)),
            Err(refusal) => Ok(Event::NotMerged(refusal.to_string())),
        }
    }

    /// Moves the base forward.
    pub(super) fn land(&self, from: &str, head: &str) -> Result<Event, Broken> {
        let Some((worktree, base)) = self.merging() else { return Ok(Event::Landed) };
        let at = self.lock(worktree)?;
        match git::fast_forward(&at, base, from, head) {
            Ok(()) => {
                failpoint::hit("base.moved");
                Ok(Event::Landed)
            }
            Err(LandError::BaseMoved) => Ok(Event::BaseMoved),
            Err(LandError::Refused(reason)) => Ok(Event::NotMerged(reason)),
            Err(LandError::Git(error)) => Err(self.broken(error)),
        }
    }

    /// Puts the tree away; a scratch directory goes only when it is empty.
    pub(super) fn remove(&self) -> Result<Removed, Broken> {
        match &self.git {
            Some((worktree, _)) => {
                let at = self.lock(worktree)?;
                let kept = git::remove(&at, "leftover").map_err(|error| self.broken(error))?;
                Ok(Removed { kept, gone: true })
            }
            None => Ok(Removed { kept: vec![], gone: std::fs::remove_dir(&self.path).is_ok() }),
        }
    }

    fn merging(&self) -> Option<(&Worktree, &str)> {
        match &self.git {
            Some((worktree, Repo { base: Base::Revision(base), .. })) => Some((worktree, base)),
            _ => None,
        }
    }

    fn lock(&self, worktree: &Worktree) -> Result<WorktreeLock, Broken> {
        let at = worktree.lock().map_err(|error| self.broken(error))?;
        let mut torn = self.torn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = torn.as_deref() {
            let mended = git::mend(&at, base, "leftover").map_err(|error| self.broken(error))?;
            if mended != Mended::default() {
                warn!(path = %self.path.display(), ?mended, "the machine went down while git wrote: mended");
            }
            *torn = None;
        }
        Ok(at)
    }

    fn broken(&self, error: Error) -> Broken {
        match error {
            Error::Git { .. } if self.setbacks < PASSING => Broken::ForNow(error.to_string()),
            Error::Io { .. } | Error::Start(_) => Broken::ForNow(error.to_string()),
            _ => Broken::ForGood(error.to_string()),
        }
    }
}

/// The files of a try cannot be committed, for a reason that the next try is told.
fn not_captured(how: String) -> Captured {
    let what = "the files cannot be committed".to_owned();
    let failure = Failure { what, command: None, how, output: String::new() };
    Captured { event: Event::NotCaptured(failure), kept: vec![] }
}
