//! Notes of `boi dispatch` about the specs that it queues: about things that are allowed but may be mistakes.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Repo, Spec};
use crate::git;

/// Returns a note for each spec that equals another one of `specs`, or a spec in the queue that has not
/// ended.
/// `twins` has for each spec the equal specs in the queue.
pub(super) fn duplicates(specs: &[Spec], twins: &[Vec<SpecId>]) -> Vec<String> {
    let (mut notes, mut seen) = (Vec::new(), HashSet::new());
    for (index, spec) in specs.iter().enumerate() {
        let title = &spec.title;
        let is_first = serde_json::to_string(spec).is_ok_and(|text| seen.insert(text));
        if let Some(twins) = twins.get(index).filter(|twins| !twins.is_empty()) {
            let ids: Vec<&str> = twins.iter().map(SpecId::as_str).collect();
            let ids = ids.join(" ");
            notes.push(format!(
                "`{title}` is the same spec as {ids}, and is queued again; `boi cancel {ids}` ends the other"
            ));
        } else if !is_first {
            notes.push(format!("`{title}` is queued twice, because the same spec is given twice"));
        }
    }
    notes
}

/// Returns a note for each repository that may have uncommitted changes, which the specs do not see.
pub(super) fn uncommitted_changes(specs: &[Spec]) -> Vec<String> {
    let repos: BTreeSet<(&Path, String)> =
        specs.iter().filter_map(|spec| spec.repo.as_ref()).map(|repo| (repo.path.as_path(), base_name(repo))).collect();
    let changed = |path: &Path| git::has_uncommitted_changes(path).unwrap_or(false);
    let note = |path: &Path, base: &str| {
        format!(
            "{} may have uncommitted changes (see `git status`), which the spec does not see: it starts from {base}",
            path.display()
        )
    };
    repos.iter().filter(|(path, _)| changed(path)).map(|(path, base)| note(path, base)).collect()
}

fn base_name(repo: &Repo) -> String {
    match &repo.base {
        Base::Revision(name) => format!("`{name}`"),
        Base::Spec(id) => format!("the branch of {id}"),
    }
}
