//! Notes of `boi dispatch` about the specs that it queues: about things that are allowed but may be mistakes.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::domain::id::SpecId;
use crate::domain::spec::{Base, Repo, Spec};
use crate::git;

/// How many equal specs a note names.
const NAMED: usize = 3;
/// How many files a note names.
const NAMED_FILES: usize = 10;

/// Returns a note for each of the different specs in `specs` that is given more than once, or that equals a
/// spec in the queue that has not ended. `twins` has for each spec the equal specs in the queue.
pub(super) fn duplicates(specs: &[Spec], twins: &[Vec<SpecId>]) -> Vec<String> {
    // The index of the first spec with a text, and how often the text is given.
    let mut different: Vec<(usize, usize)> = Vec::new();
    let mut places = HashMap::new();
    for (index, text) in
        specs.iter().enumerate().filter_map(|(index, spec)| Some((index, serde_json::to_string(spec).ok()?)))
    {
        let place = *places.entry(text).or_insert(different.len());
        match different.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => different.push((index, 1)),
        }
    }
    let note = |(index, count): (usize, usize)| {
        let (title, twins) = (&specs.get(index)?.title, twins.get(index).map_or(&[][..], Vec::as_slice));
        let times = match count {
            1 => String::new(),
            count => format!(" {count} times"),
        };
        let named: Vec<&str> = twins.iter().take(NAMED).map(SpecId::as_str).collect();
        let more = match twins.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        match (named.as_slice(), count) {
            ([], 1) => None,
            ([], _) => Some(format!("`{title}` is queued {count} times, because the same spec is given {count} times")),
            ([first, ..], _) => Some(format!(
                "`{title}` is the same spec as {}{more}, and is queued again{times}; `boi cancel {first}` ends that one",
                named.join(" "),
            )),
        }
    };
    different.into_iter().filter_map(note).collect()
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

/// Returns a note for each spec for which boi would copy files into the worktree.
pub(super) fn files_to_copy(specs: &[Spec]) -> Vec<String> {
    let note = |spec: &Spec| {
        let repo = &spec.repo.as_ref()?.path;
        let files = match git::files_to_copy(repo, &spec.copy) {
            Ok(files) => files,
            Err(error) => {
                return Some(format!("`{}`: boi cannot tell which files it would copy: {error}", spec.title));
            }
        };
        let named: Vec<String> = files.iter().take(NAMED_FILES).map(|path| format!("{path:?}")).collect();
        let (count, more) = (files.len(), if files.len() > named.len() { ", ..." } else { "" });
        let plural = if count == 1 { "file" } else { "files" };
        (count > 0).then(|| {
            format!(
                "`{}`: boi would copy {count} {plural} that git ignores from {} into the worktree: {}{more}",
                spec.title,
                repo.display(),
                named.join(", ")
            )
        })
    };
    specs.iter().filter_map(note).collect()
}

fn base_name(repo: &Repo) -> String {
    match &repo.base {
        Base::Revision(name) => format!("`{name}`"),
        Base::Spec(id) => format!("the branch of {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_different_spec_has_one_note_of_bounded_length() {
        let ids = |numbers: std::ops::Range<u32>| -> Vec<SpecId> {
            numbers.map(|number| format!("S{number:04}").parse().unwrap()).collect()
        };
        let specs: Vec<Spec> =
            ["alone", "twice", "queued", "twice", "often", "often"].map(|title| Spec::for_tests(title, &["t"])).into();
        let twins = [vec![], vec![], ids(1..2), vec![], ids(1..1001), ids(1..1001)];
        assert_eq!(
            duplicates(&specs, &twins),
            [
                "`twice` is queued 2 times, because the same spec is given 2 times",
                "`queued` is the same spec as S0001, and is queued again; `boi cancel S0001` ends that one",
                "`often` is the same spec as S0001 S0002 S0003 and 997 more, and is queued again 2 times; `boi cancel S0001` ends that one",
            ]
        );
        assert!(duplicates(&specs[..1], &[]).is_empty());
    }
}
