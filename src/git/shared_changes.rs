//! Compares the shared part of a repository with the snapshot before a command, and keeps lost objects under refs. boi
//! undoes nothing: the user may have made the change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::slice;

use super::git_error::GitError;
use super::place::Place;
use super::program::{self, Git};
use super::shared_snapshot::{self, Snapshot, commit_object, hash_object, scratch_input};
use super::shared_state::{Head, ObjectKind, RawState, Ref, SharedState, read_files};
use super::worktree::LockedWorktree;
use super::{copy_record, entry, ref_names, refs, revision, shared_config, shell_words, withheld};
use crate::domain::copied::WithheldWork;
use crate::domain::repository_change::{ChangeKind, RepositoryChange};

/// The maximum number of changes of one command that are listed.
const LISTED: usize = 100;
/// If more commits than this were lost, one ref keeps them all.
const KEPT_SINGLY: usize = 50;

/// What changed while a command ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedChanges {
    /// The git directory of the repository.
    pub(crate) repository: String,
    /// The changes, each with the ref that keeps what was lost.
    pub(crate) changes: Vec<RepositoryChange>,
}

/// Compares the repository with the snapshot of the command with this marker. `None`: there is no such snapshot, or the
/// comparison was confirmed by [`confirm_comparison`]. Calling it again after a crash returns the same refs.
pub(crate) fn compare_with_snapshot(
    worktree: &LockedWorktree,
    command: &str,
    label: &str,
) -> Result<Option<SharedChanges>, GitError> {
    let Some(snapshot) = shared_snapshot::read(worktree).filter(|found| found.open && found.command == command) else {
        return Ok(None);
    };
    let files = read_files(&snapshot.common_dir);
    let mut changes = shared_config::compare(worktree, &snapshot, &files, label)?;
    let read = RawState::read(&snapshot.place(worktree), &worktree.branch_ref(), Some(&snapshot.state));
    match read.and_then(|now| compare(worktree, &snapshot, &now, label)) {
        Ok(found) => changes.extend(found),
        // If git cannot read the repository now, the command changed it, and a retry would not help.
        Err(error) => changes.push(RepositoryChange::new(ChangeKind::NotCompared, error.to_string())),
    }
    name_withheld(worktree, &changes, label)?;
    let repository = snapshot.common_dir.display().to_string();
    if changes.len() > LISTED {
        let more = changes.len() - LISTED;
        changes.truncate(LISTED);
        let name = format!("{more} more changes; lost objects are kept under {}", ref_names::kept_dir(worktree.spec()));
        changes.push(RepositoryChange::new(ChangeKind::More, name));
    }
    Ok(Some(SharedChanges { repository, changes }))
}

/// Records which new or moved refs and stash entries contain paths that boi does not commit: the user should not push them.
fn name_withheld(worktree: &LockedWorktree, changes: &[RepositoryChange], label: &str) -> Result<(), GitError> {
    let record = copy_record::read(worktree)?;
    let withheld = record.paths_to_withhold();
    if withheld.is_empty() {
        return Ok(());
    }
    let kinds = [ChangeKind::Created, ChangeKind::Moved, ChangeKind::StashAdded];
    for change in changes.iter().filter(|change| kinds.contains(&change.kind)).take(LISTED) {
        let Some(commit) = change.new.as_deref().and_then(entry::parse_hash) else { continue };
        // An object that is no commit, such as a tag of a file, contains no path.
        let found = withheld::paths_in_history(worktree, &record, &withheld, slice::from_ref(&commit), None);
        let Ok(found) = found else { continue };
        if !found.is_empty() {
            let (paths, held_by) = (copy_record::named(&found), Some(change.name.clone()));
            copy_record::add_withheld(worktree, label, WithheldWork { commit, paths, kept: None, held_by })?;
        }
    }
    Ok(())
}

/// Records that the changes of the command were recorded, so that they are not reported again.
pub(crate) fn confirm_comparison(worktree: &LockedWorktree, command: &str) -> Result<(), GitError> {
    match shared_snapshot::read(worktree) {
        Some(found) if found.open && found.command == command => {
            shared_snapshot::write(worktree, &Snapshot { open: false, ..found })
        }
        _ => Ok(()),
    }
}

fn compare(
    worktree: &LockedWorktree,
    snapshot: &Snapshot,
    now: &RawState,
    label: &str,
) -> Result<Vec<RepositoryChange>, GitError> {
    if snapshot.state == *now {
        return Ok(Vec::new());
    }
    let [before, now] = [&snapshot.state, now].map(|state| shared_snapshot::parse(worktree, state));
    let comparison = Comparison { worktree, snapshot, at: snapshot.place(worktree), before, now };
    let mut lost = comparison.refs()?;
    lost.extend(comparison.stash());
    lost.extend(comparison.worktrees());
    lost.extend(comparison.reflogs()?);
    comparison.keep(lost, label)
}

/// A change, and the object that must not be lost because of it.
struct Found {
    change: RepositoryChange,
    lost: Option<(String, ObjectKind)>,
    /// The command that restores the old state.
    restore: Restore,
}

/// How the user can restore the old state.
enum Restore {
    /// With this command; `None`: no command can restore it.
    Command(Option<String>),
    /// With this command, in which [`KEPT`] stands for the ref that keeps the old state.
    FromKept(String),
}

/// The placeholder for the name of the ref that keeps the old state.
const KEPT: &str = "\0kept\0";

struct Comparison<'a> {
    worktree: &'a LockedWorktree,
    snapshot: &'a Snapshot,
    at: Place,
    before: SharedState,
    now: SharedState,
}

impl Comparison<'_> {
    /// `git -C REPOSITORY`, for a command that the user can copy.
    fn git(&self) -> String {
        format!("git -C {}", shell_words::quote(self.worktree.users_repo().as_os_str().as_bytes()))
    }

    fn refs(&self) -> Result<Vec<Found>, GitError> {
        let (before, now) = (&self.before.refs, &self.now.refs);
        let names: BTreeSet<&Vec<u8>> = before.keys().chain(now.keys()).collect();
        let mut found = Vec::new();
        for name in names {
            let (old, new) = (before.get(name), now.get(name));
            // The entries of the stash are compared separately, so a change of its ref need not be reported.
            let is_listed = name == b"refs/stash" && !(self.before.stash.is_empty() && self.now.stash.is_empty());
            if old == new || is_listed {
                continue;
            }
            if let Some(change) = self.ref_change(name, old, new)? {
                found.push(change);
            }
        }
        Ok(found)
    }

    fn ref_change(&self, name: &[u8], old: Option<&Ref>, new: Option<&Ref>) -> Result<Option<Found>, GitError> {
        let of_boi = name.starts_with(b"refs/heads/boi/");
        let is_remote = name.starts_with(b"refs/remotes/");
        let (git, quoted) = (self.git(), shell_words::quote(name));
        let change = |kind| {
            let state = |found: Option<&Ref>| found.map(|found| found.symbolic.clone().unwrap_or(found.hash.clone()));
            RepositoryChange::new(kind, String::from_utf8_lossy(name)).states(state(old), state(new))
        };
        let symbolic = |found: &Ref| found.symbolic.clone();
        Ok(match (old, new) {
            (None, Some(new)) if !of_boi && !is_remote => Some(Found {
                change: change(ChangeKind::Created),
                lost: None,
                restore: Restore::Command(Some(match symbolic(new) {
                    Some(_) => format!("{git} symbolic-ref --delete {quoted}"),
                    None => format!("{git} update-ref -d {quoted} {}", new.hash),
                })),
            }),
            (Some(old), new) => {
                let kind = if new.is_some() { ChangeKind::Moved } else { ChangeKind::Deleted };
                if let Some(target) = symbolic(old) {
                    let same_target = new.is_some_and(|new| new.symbolic.as_ref() == Some(&target));
                    let restore = Restore::Command(Some(format!("{git} symbolic-ref {quoted} {target}")));
                    return Ok((!same_target).then(|| Found { change: change(kind), lost: None, restore }));
                }
                if of_boi && self.is_contained(&old.hash)? {
                    // Another worker, or `boi clean`, moved or deleted the branch, and no commit was lost.
                    return Ok(None);
                }
                let forward = match new {
                    Some(new) => self.is_forward(old, new)?,
                    None => false,
                };
                if forward && (is_remote || self.is_delivery(name)?) {
                    return Ok(None);
                }
                let found = |lost, restore| Found { change: change(kind), lost, restore };
                let expected = new.map_or("''", |new| new.hash.as_str());
                Some(if forward {
                    let command = format!("{git} update-ref {quoted} {} {expected}", old.hash);
                    found(None, Restore::Command(Some(command)))
                } else {
                    let command = format!("{git} update-ref {quoted} {KEPT} {expected}");
                    found(Some((old.hash.clone(), old.kind)), Restore::FromKept(command))
                })
            }
            _ => None,
        })
    }

    /// Whether a ref only moved to a descendant of its old commit.
    fn is_forward(&self, old: &Ref, new: &Ref) -> Result<bool, GitError> {
        if old.kind != ObjectKind::Commit || new.kind != ObjectKind::Commit {
            return Ok(false);
        }
        revision::is_ancestor(&self.at, &old.hash, &new.hash)
    }

    /// Whether boi's own delivery moved the branch, according to the branch's reflog.
    fn is_delivery(&self, name: &[u8]) -> Result<bool, GitError> {
        let name = String::from_utf8_lossy(name);
        let args = ["log", "-g", "-1", "--format=%gs", &name, "--"];
        let last = Git::reading(&self.at).args(args).output()?;
        Ok(last.code == Some(0) && last.stdout.starts_with(b"boi deliver"))
    }

    /// Whether a branch, a tag or a kept ref contains the commit.
    fn is_contained(&self, commit: &str) -> Result<bool, GitError> {
        let args = ["for-each-ref", "--format=%(refname)", "--contains", commit];
        let namespaces = ["refs/heads", "refs/tags", "refs/remotes", "refs/boi/kept", "refs/boi/candidate"];
        let containing = Git::reading(&self.at).args(args).args(namespaces).output()?;
        // A comparison that was killed may have kept the commit already.
        let own = ref_names::kept_dir(self.worktree.spec());
        // Git fails if the object is missing.
        Ok(containing.code == Some(0) && program::line(&containing.stdout).lines().any(|name| !name.starts_with(&own)))
    }

    fn stash(&self) -> Vec<Found> {
        let (before, now) = (&self.before.stash, &self.now.stash);
        let hashes = |entries: &[super::shared_state::StashEntry]| -> BTreeSet<String> {
            entries.iter().map(|entry| entry.hash.clone()).collect()
        };
        let (old, new) = (hashes(before), hashes(now));
        let dropped = before.iter().enumerate().filter(|(_, entry)| !new.contains(&entry.hash));
        let dropped = dropped.map(|(index, entry)| {
            let name = format!("stash@{{{index}}}");
            let message = shell_words::quote(entry.message.as_bytes());
            let git = self.git();
            let mut command = format!("{git} stash store -m {message} {KEPT}");
            if self.now.refs.get(b"refs/stash".as_slice()).is_some_and(|now| now.hash == entry.hash) {
                // The stash's reflog is missing, and git adds no entry for a commit that the ref already names.
                command = format!(
                    "{{ {git} stash list | grep -q . || {git} update-ref -d refs/stash {}; }} && {command}",
                    entry.hash
                );
            }
            Found {
                change: RepositoryChange::new(ChangeKind::StashDropped, name).states(Some(entry.hash.clone()), None),
                lost: Some((entry.hash.clone(), ObjectKind::Commit)),
                restore: Restore::FromKept(command),
            }
        });
        let added = now.iter().enumerate().filter(|(_, entry)| !old.contains(&entry.hash)).map(|(index, entry)| {
            let name = format!("stash@{{{index}}}");
            let change = RepositoryChange::new(ChangeKind::StashAdded, name).states(None, Some(entry.hash.clone()));
            Found { change, lost: None, restore: Restore::Command(None) }
        });
        dropped.chain(added).collect()
    }

    fn worktrees(&self) -> Vec<Found> {
        let (before, now) = (&self.before.worktrees, &self.now.worktrees);
        let shown = |head: Option<&Head>| match head {
            Some(Head::Branch(name) | Head::Detached(name)) => Some(name.clone()),
            Some(Head::Unknown) | None => None,
        };
        let lost = |head: &Head| match head {
            Head::Detached(hash) => Some((hash.clone(), ObjectKind::Commit)),
            Head::Branch(_) | Head::Unknown => None,
        };
        let quote = |path: &Path| shell_words::quote(path.as_os_str().as_bytes());
        let paths: BTreeSet<_> = before.keys().chain(now.keys()).collect();
        let mut found = Vec::new();
        for path in paths {
            let (old, new) = (before.get(path), now.get(path));
            let name = path.display().to_string();
            let states = |kind, name: String| RepositoryChange::new(kind, name).states(shown(old), shown(new));
            match (old, new) {
                // If git treats the repository as bare, the change of the configuration is reported instead.
                (Some(old), Some(new)) if old != new && ![old, new].contains(&&Head::Unknown) => {
                    let change = states(ChangeKind::HeadMoved, "HEAD".to_owned());
                    let command = match old {
                        Head::Branch(branch) => {
                            format!(
                                "git -C {} symbolic-ref HEAD {}",
                                quote(path),
                                shell_words::quote(branch.as_bytes())
                            )
                        }
                        _ => format!("git -C {} update-ref --no-deref HEAD {KEPT}", quote(path)),
                    };
                    let change = RepositoryChange { path: Some(name), ..change };
                    found.push(Found { change, lost: lost(old), restore: Restore::FromKept(command) });
                }
                (Some(old), None) => {
                    let command = match old {
                        Head::Branch(branch) => {
                            let branch = ref_names::short_branch_name(branch);
                            format!(
                                "{} worktree add {} {}",
                                self.git(),
                                quote(path),
                                shell_words::quote(branch.as_bytes())
                            )
                        }
                        _ => format!("{} worktree add --detach {} {KEPT}", self.git(), quote(path)),
                    };
                    // Git refuses to add a worktree over files.
                    let restore = if path.exists() { Restore::Command(None) } else { Restore::FromKept(command) };
                    found.push(Found { change: states(ChangeKind::WorktreeRemoved, name), lost: lost(old), restore });
                }
                (None, Some(_)) => {
                    let command = format!("{} worktree remove {}", self.git(), quote(path));
                    let restore = Restore::Command(Some(command));
                    found.push(Found { change: states(ChangeKind::WorktreeAdded, name), lost: None, restore });
                }
                _ => {}
            }
        }
        found
    }

    /// Finds reflog entries that vanished, if no ref contains their commits any more.
    fn reflogs(&self) -> Result<Vec<Found>, GitError> {
        let named: BTreeSet<&String> = self
            .before
            .refs
            .values()
            .map(|found| &found.hash)
            .chain(self.before.stash.iter().map(|entry| &entry.hash))
            .collect();
        let gone = self.before.reflogs.difference(&self.now.reflogs).filter(|hash| !named.contains(hash));
        let gone: Vec<&String> = gone.collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = String::new();
        for hash in &gone {
            let _ = writeln!(list, "{hash}");
        }
        for hash in self.now.refs.values().map(|found| &found.hash) {
            let _ = writeln!(list, "^{hash}");
        }
        let file = scratch_input(self.worktree, "commits", list.as_bytes())?;
        let args = ["rev-list", "--stdin", "--ignore-missing"];
        let listed = Git::reading(&self.at).input(file).args(args).run()?;
        // Git also lists ancestors of the commits.
        let listed = program::line(&listed);
        let lost: BTreeSet<&str> = listed.lines().collect();
        let lost: BTreeSet<String> = gone.into_iter().filter(|hash| lost.contains(hash.as_str())).cloned().collect();
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let (at, worktree) = (&self.at, self.worktree);
        let tree = hash_object(worktree, at, "tree", b"")?;
        let commit = commit_object(worktree, at, &tree, &lost)?;
        let name = format!("{} of commits that no ref contains", lost.len());
        let change = RepositoryChange::new(ChangeKind::ReflogExpired, name);
        Ok(vec![Found { change, lost: Some((commit, ObjectKind::Commit)), restore: Restore::Command(None) }])
    }

    /// Keeps lost objects under refs, and adds the refs and the commands to the changes.
    fn keep(&self, found: Vec<Found>, label: &str) -> Result<Vec<RepositoryChange>, GitError> {
        let (worktree, snapshot) = (self.worktree, self.snapshot);
        let lost: Vec<_> = found.iter().filter_map(|found| found.lost.clone()).collect();
        if lost.iter().any(|(_, kind)| *kind == ObjectKind::Tag) {
            shared_snapshot::restore_tags(worktree, snapshot)?;
        }
        // Commits that appeared while commands of this spec ran, and that contain paths that boi does not commit. The user may
        // have made any other commit, so boi keeps it as it is.
        let record = copy_record::read(worktree)?;
        let is_withheld =
            |hash: &str| record.withheld.iter().any(|(_, work)| work.held_by.is_some() && work.commit == hash);
        let together = lost.len() > KEPT_SINGLY && !lost.iter().any(|(hash, _)| is_withheld(hash));
        let mut refs: BTreeMap<String, String> = BTreeMap::new();
        let mut changes = Vec::new();
        for Found { mut change, lost, restore } in found {
            let mut source = None;
            if let Some((hash, kind)) = lost {
                let all = together && kind == ObjectKind::Commit;
                let what = if all { "all" } else { change.name.rsplit('/').next().unwrap_or_default() };
                let kept_hash = match kind {
                    ObjectKind::Commit if all => snapshot.commit.clone(),
                    ObjectKind::Commit if is_withheld(&hash) => {
                        refs::committable(worktree, &hash, label, &format!("-{what}"))?
                    }
                    _ => hash.clone(),
                };
                let name = ref_names::kept_ref(worktree.spec(), &format!("{label}-{what}"), &kept_hash);
                refs.insert(name.clone(), kept_hash);
                source = Some(if all { hash } else { name.clone() });
                change.kept = Some(name);
            }
            change.restore = match restore {
                Restore::Command(command) => command,
                Restore::FromKept(command) => Some(command.replace(KEPT, source.as_deref().unwrap_or_default())),
            };
            changes.push(change);
        }
        update_refs(worktree, &self.at, &refs)?;
        Ok(changes)
    }
}

/// Creates all of these refs in one git process. The process takes its input from a file instead of the lock: what it writes
/// is the same whenever it runs.
fn update_refs(worktree: &LockedWorktree, at: &Place, refs: &BTreeMap<String, String>) -> Result<(), GitError> {
    if refs.is_empty() {
        return Ok(());
    }
    let mut list = String::new();
    for (name, hash) in refs {
        let _ = writeln!(list, "update {name} {hash}");
    }
    let file = scratch_input(worktree, "updates", list.as_bytes())?;
    Git::reading(at).input(file).args(["update-ref", "--stdin"]).run()?;
    Ok(())
}
