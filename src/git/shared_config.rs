//! Compares the configuration files of a repository with an earlier state, value by value, and tells whether a recorded
//! change is still in effect.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::git_error::GitError;
use super::program::{self, Git};
use super::shared_snapshot::{Snapshot, hash_object, scratch_file};
use super::shared_state::{FileState, read_file};
use super::watch::GitWatch;
use super::worktree::LockedWorktree;
use super::{ref_names, shell_words};
use crate::domain::repository_change::{ChangeKind, RepositoryChange};

/// The maximum number of characters of a value that a change shows.
const VALUE: usize = 500;

/// Values of each key of a configuration file, in the file's order.
type Values = BTreeMap<String, Vec<String>>;

/// The differences between the configuration files in the snapshot and `now`. The old content of a changed file that git
/// cannot read as configuration is kept under a ref with `label`.
pub(super) fn compare(
    worktree: &LockedWorktree,
    snapshot: &Snapshot,
    now: &BTreeMap<PathBuf, FileState>,
    label: &str,
) -> Result<Vec<RepositoryChange>, GitError> {
    let before = &snapshot.state.files;
    let mut changes = Vec::new();
    let paths: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    for path in paths {
        let (old, new) = (before.get(path), now.get(path));
        if old == new {
            continue;
        }
        if !is_configuration(path) {
            changes.push(file_change(worktree, snapshot, path, old, new, label)?);
            continue;
        }
        let old_values = old.map_or_else(|| Some(Values::new()), |old| values_of(worktree, &old.content));
        let new_values = new.map_or_else(|| Some(Values::new()), |new| values_of(worktree, &new.content));
        match (old_values, new_values) {
            (Some(old), Some(new)) => changes.extend(value_changes(path, &old, &new)),
            _ => changes.push(file_change(worktree, snapshot, path, old, new, label)?),
        }
    }
    Ok(changes)
}

/// Whether the file or key of a recorded change still differs from its old state; `false` for changes of other kinds.
pub(crate) fn still_differs(change: &RepositoryChange, watch: &Arc<GitWatch>) -> bool {
    matches!(change.kind, ChangeKind::FileChanged | ChangeKind::ConfigChanged)
        && present_state(change, watch) != change.old
}

/// Returns the present state of the file or key of a recorded change, in the form of [`RepositoryChange::new`].
pub(crate) fn present_state(change: &RepositoryChange, watch: &Arc<GitWatch>) -> Option<String> {
    let path = Path::new(change.path.as_deref()?);
    if change.kind == ChangeKind::FileChanged {
        return read_file(path).map(|file| fingerprint(&file));
    }
    match list_values(path, watch) {
        Some(values) => values.get(&change.name).map(|values| shown(values)),
        None => Some("not readable by git".to_owned()),
    }
}

fn is_configuration(path: &Path) -> bool {
    matches!(path.file_name().and_then(OsStr::to_str), Some("config" | "config.worktree"))
}

/// Whether a changed key makes deliveries wait. Git itself writes the keys of a branch when a branch is created or deleted,
/// and they do not change how git reads a checkout.
fn blocks(key: &str) -> bool {
    !key.starts_with("branch.")
}

fn value_changes(path: &Path, old: &Values, new: &Values) -> Vec<RepositoryChange> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    let change = |key: &String| {
        let shown = |values: &Values| values.get(key).map(|values| shown(values));
        RepositoryChange {
            path: Some(path.display().to_string()),
            blocks: blocks(key),
            restore: Some(restore_values(path, key, old.get(key))),
            ..RepositoryChange::new(ChangeKind::ConfigChanged, key.clone()).states(shown(old), shown(new))
        }
    };
    changed.map(change).collect()
}

/// The command that gives a key its old values again.
fn restore_values(path: &Path, key: &str, old: Option<&Vec<String>>) -> String {
    let git = |arguments: &[&str]| {
        let command = format!("git config --file {}", shell_words::quote(path.as_os_str().as_bytes()));
        arguments
            .iter()
            .fold(command, |command, argument| format!("{command} {}", shell_words::quote(argument.as_bytes())))
    };
    match old.map(Vec::as_slice) {
        None | Some([]) => git(&["--unset-all", key]),
        Some([value]) => git(&["--replace-all", key, value]),
        Some([first, more @ ..]) => more.iter().fold(git(&["--replace-all", key, first]), |command, value| {
            format!("{command} && {}", git(&["--add", key, value]))
        }),
    }
}

fn file_change(
    worktree: &LockedWorktree,
    snapshot: &Snapshot,
    path: &Path,
    old: Option<&FileState>,
    new: Option<&FileState>,
    label: &str,
) -> Result<RepositoryChange, GitError> {
    let name = path.strip_prefix(&snapshot.common_dir).unwrap_or(path).display().to_string();
    let quoted = shell_words::quote(path.as_os_str().as_bytes());
    let (mut kept, mut restore) = (None, format!("rm {quoted}"));
    if let Some(old) = old {
        let at = &snapshot.place(worktree);
        // Git cannot write into a repository whose configuration is broken.
        if let Ok(hash) = hash_object(worktree, at, "blob", &old.content) {
            let reference = ref_names::kept_ref(worktree.spec(), label, &hash);
            Git::writing(at, worktree.lock_file())?.args(["update-ref", &reference, &hash]).run()?;
            let git_dir = shell_words::quote(snapshot.common_dir.as_os_str().as_bytes());
            restore = format!("git --git-dir={git_dir} cat-file blob {reference} > {quoted}");
            if new.is_none_or(|new| new.mode != old.mode) {
                restore = format!("{restore} && chmod {:o} {quoted}", old.mode);
            }
            kept = Some(reference);
        } else {
            let copy = keep_copy(worktree, &name, &old.content)?;
            restore = format!("cp {} {quoted}", shell_words::quote(copy.as_os_str().as_bytes()));
        }
    }
    Ok(RepositoryChange {
        kept,
        restore: Some(restore),
        path: Some(path.display().to_string()),
        // A change of the ignored files does not change how git reads a checkout, so deliveries need not wait.
        blocks: name != "info/exclude",
        ..RepositoryChange::new(ChangeKind::FileChanged, name).states(old.map(fingerprint), new.map(fingerprint))
    })
}

fn keep_copy(worktree: &LockedWorktree, name: &str, content: &[u8]) -> Result<PathBuf, GitError> {
    let name = format!("kept-{}", ref_names::kept_ref(worktree.spec(), name, "").replace('/', "-"));
    scratch_file(worktree, &name, content)
}

/// Mode and content of a file in a few characters.
fn fingerprint(file: &FileState) -> String {
    let hash = blake3::hash(&file.content).to_hex();
    format!("mode {:o}, {} bytes, {}", file.mode, file.content.len(), &hash[..16])
}

fn shown(values: &[String]) -> String {
    crate::domain::text::one_line(&values.join(", "), VALUE)
}

/// The values in a configuration file's content; `None`: git cannot read it.
fn values_of(worktree: &LockedWorktree, content: &[u8]) -> Option<Values> {
    list_values(&scratch_file(worktree, "config", content).ok()?, worktree.watch())
}

/// The values in a configuration file; `None`: git cannot read it.
fn list_values(path: &Path, watch: &Arc<GitWatch>) -> Option<Values> {
    match path.metadata() {
        // Git would wait for the writer of a pipe.
        Ok(metadata) if !metadata.is_file() => return None,
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(Values::new()),
        _ => {}
    }
    let folder = Path::new("/");
    let args = ["config", "--no-includes", "--list", "-z", "--file"];
    let listed =
        Git::locating(folder, watch).args(args).arg(path).output().ok().filter(|output| output.code == Some(0))?;
    let mut values = Values::new();
    for entry in listed.stdout.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let text = program::line(entry);
        // A key without `=` has no line with a value, and means `true`.
        let (key, value) = text.split_once('\n').unwrap_or((&text, "true"));
        values.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    Some(values)
}

/// Whether git treats the repository of the working tree `repo` as bare. boi must not change a checkout of it then.
pub(crate) fn is_called_bare(repo: &Path, watch: &Arc<GitWatch>) -> bool {
    let asked = Git::locating(repo, watch).args(["rev-parse", "--is-bare-repository"]).output();
    let Ok(output) = asked else { return false };
    output.code == Some(0) && program::line(&output.stdout) == "true"
}

/// The git directory of the worktree's repository, as recorded with its changes.
pub(crate) fn repository_id(worktree: &LockedWorktree) -> Result<String, GitError> {
    Ok(worktree.common_dir()?.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: &[(&str, &[&str])]) -> Values {
        of.iter()
            .map(|(key, values)| ((*key).to_owned(), values.iter().map(|&value| value.to_owned()).collect()))
            .collect()
    }

    #[test]
    fn each_changed_key_is_named_with_the_command_that_puts_it_back() {
        let old = values(&[("a.gone", &["1", "2"]), ("core.bare", &["false"]), ("a.same", &["x"])]);
        let new = values(&[("core.bare", &["true"]), ("a.same", &["x"]), ("branch.x.remote", &["o"])]);
        let changes = value_changes(Path::new("/r/a b"), &old, &new);
        let told: Vec<_> = changes.iter().map(|change| (change.name.as_str(), change.blocks)).collect();
        assert_eq!(told, [("a.gone", true), ("branch.x.remote", false), ("core.bare", true)]);
        let restore: Vec<_> = changes.iter().filter_map(|change| change.restore.as_deref()).collect();
        assert_eq!(
            restore,
            [
                "git config --file '/r/a b' --replace-all a.gone 1 && git config --file '/r/a b' --add a.gone 2",
                "git config --file '/r/a b' --unset-all branch.x.remote",
                "git config --file '/r/a b' --replace-all core.bare false",
            ]
        );
    }
}
