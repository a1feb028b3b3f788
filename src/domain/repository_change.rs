//! Changes of the part of a repository that a spec shares with its user and with other specs: branches, tags,
//! the stash, configuration, worktrees. boi compares this part before and after each command. It cannot know
//! who made a change, so it reports the change, keeps lost commits under a ref, and puts nothing back.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A ref appeared.
    Created,
    /// A ref vanished.
    Deleted,
    /// A ref names another commit.
    Moved,
    /// An entry of the stash appeared.
    StashAdded,
    /// An entry of the stash vanished.
    StashDropped,
    /// Reflogs lost entries, and with them commits that no ref contains.
    ReflogExpired,
    /// HEAD of one of the user's worktrees names another branch or commit.
    HeadMoved,
    /// A value in a configuration file of the repository changed.
    ConfigChanged,
    /// A file that belongs to the repository's configuration changed: a hook, or a file in `info/`.
    FileChanged,
    /// A worktree was added.
    WorktreeAdded,
    /// A worktree was removed.
    WorktreeRemoved,
    /// A later task deleted or reverted a file that an earlier task of the same spec had committed.
    Undone,
    /// The repository could not be compared.
    NotCompared,
    /// The folder of a submodule is empty in the spec's worktree, because the user's clone does not have the submodule.
    SubmoduleLeftEmpty,
    /// A file of the spec's worktree is a pointer of Git LFS, because the user's clone lacks its object.
    LfsObjectMissing,
    /// More changes than are listed.
    More,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// One change. The field names in JSON are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryChange {
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The ref, key, path or entry that changed.
    pub name: String,
    /// The commit, value or branch before; `None`: there was none.
    pub old: Option<String>,
    /// The commit, value or branch after; `None`: there is none.
    pub new: Option<String>,
    /// The ref that keeps what was lost; `None`: nothing was lost.
    pub kept: Option<String>,
    /// The shell command that puts the old state back; `None`: there is no such command.
    pub restore: Option<String>,
    /// The file that holds a changed configuration value, or the worktree whose HEAD moved.
    #[serde(default)]
    pub path: Option<String>,
    /// Whether deliveries in this repository are refused until the user has settled the change: put it back
    /// or accepted it.
    #[serde(default)]
    pub blocks: bool,
    /// The task whose command ran when the change was made; `None`: a verify command of the spec itself ran.
    #[serde(default)]
    pub task: Option<String>,
    /// The number of the try in the task.
    #[serde(default, rename = "try")]
    pub number: Option<u32>,
}

impl RepositoryChange {
    /// Returns a change that has only a kind and a name.
    pub(crate) fn new(kind: ChangeKind, name: impl Into<String>) -> RepositoryChange {
        RepositoryChange {
            kind,
            name: name.into(),
            old: None,
            new: None,
            kept: None,
            restore: None,
            path: None,
            blocks: false,
            task: None,
            number: None,
        }
    }

    /// Returns this change with the given old and new state.
    #[must_use]
    pub(crate) fn states(self, old: Option<String>, new: Option<String>) -> RepositoryChange {
        RepositoryChange { old, new, ..self }
    }
}

impl fmt::Display for RepositoryChange {
    /// Writes what changed, from what to what, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RepositoryChange { kind, name, old, new, path, .. } = self;
        let of = |state: &Option<String>| state.as_deref().map_or_else(|| "none".to_owned(), short);
        let (old, new) = (of(old), of(new));
        let at = path.as_deref().map(|path| format!(" in {path}")).unwrap_or_default();
        match kind {
            ChangeKind::Created => write!(f, "created: {name} at {new}"),
            ChangeKind::Deleted => write!(f, "deleted: {name}, was {old}"),
            ChangeKind::Moved => write!(f, "moved: {name}, {old} -> {new}"),
            ChangeKind::StashAdded => write!(f, "stash entry added: {name}, {new}"),
            ChangeKind::StashDropped => write!(f, "stash entry dropped: {name}, was {old}"),
            ChangeKind::ReflogExpired => write!(f, "reflog entries expired: {name}"),
            ChangeKind::HeadMoved => write!(f, "HEAD moved{at}: {old} -> {new}"),
            ChangeKind::ConfigChanged => write!(f, "configuration changed: {name}: {old} -> {new}{at}"),
            ChangeKind::FileChanged => write!(f, "file changed: {name}"),
            ChangeKind::WorktreeAdded => write!(f, "worktree added: {name}, on {new}"),
            ChangeKind::WorktreeRemoved => write!(f, "worktree removed: {name}, was on {old}"),
            ChangeKind::Undone if self.new.is_none() => {
                write!(f, "undone: {name}, which an earlier task committed, was deleted")
            }
            ChangeKind::Undone => write!(f, "undone: {name}, which an earlier task committed, was reverted"),
            ChangeKind::NotCompared => write!(f, "not compared: {name}"),
            ChangeKind::SubmoduleLeftEmpty => {
                write!(f, "submodule left empty: {name}: {}", self.new.as_deref().unwrap_or("its clone is missing"))
            }
            ChangeKind::LfsObjectMissing => {
                write!(f, "Git LFS object missing: {name} has its pointer as the content; run `git lfs fetch --all`")
            }
            ChangeKind::More => f.write_str(name),
            ChangeKind::Unknown => write!(f, "{name}: {old} -> {new}"),
        }
    }
}

/// Returns the first digits of a hash; returns any other text unchanged.
fn short(state: &str) -> String {
    let is_hash = matches!(state.len(), 40 | 64) && state.bytes().all(|byte| byte.is_ascii_hexdigit());
    state[..if is_hash { 12 } else { state.len() }].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_has_stable_names_in_json_and_reads_back() {
        let mut change = RepositoryChange::new(ChangeKind::StashDropped, "stash@{0}");
        change.task = Some("t-1".into());
        change.number = Some(2);
        let json = serde_json::to_value(&change).unwrap();
        let expected = json!({
            "kind": "stash-dropped", "name": "stash@{0}", "old": null, "new": null, "kept": null, "restore": null,
            "path": null, "blocks": false, "task": "t-1", "try": 2,
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<RepositoryChange>(json).unwrap(), change);
        let later = json!({"kind": "later", "name": "n", "old": null, "new": null, "kept": null, "restore": null});
        assert_eq!(serde_json::from_value::<RepositoryChange>(later).unwrap().kind, ChangeKind::Unknown);
    }

    #[test]
    fn a_change_is_one_line_with_short_hashes() {
        let hash = |digit: &str| Some(digit.repeat(40));
        let line = |kind, old, new| RepositoryChange::new(kind, "n").states(old, new).to_string();
        assert_eq!(line(ChangeKind::Moved, hash("a"), hash("b")), "moved: n, aaaaaaaaaaaa -> bbbbbbbbbbbb");
        let value = |text: &str| Some(text.to_owned());
        let changed = "configuration changed: n: none -> a long value";
        assert_eq!(line(ChangeKind::ConfigChanged, None, value("a long value")), changed);
        assert_eq!(
            line(ChangeKind::Undone, hash("a"), None),
            "undone: n, which an earlier task committed, was deleted"
        );
    }
}
