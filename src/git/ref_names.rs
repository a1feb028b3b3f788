//! Names of the refs that boi creates in a repository.

use crate::domain::id::SpecId;
pub(crate) use crate::domain::landing::short_branch_name;

/// The number of digits of the commit's hash in the name of a kept ref.
const HASH_DIGITS: usize = 12;

/// Returns `refs/heads/boi/<SPEC>`, the spec's branch.
pub(super) fn branch_ref(spec: &SpecId) -> String {
    format!("refs/heads/{}", spec.branch())
}

/// Returns `refs/boi/kept/<SPEC>/`, the prefix of the names of the spec's kept refs.
pub(super) fn kept_dir(spec: &SpecId) -> String {
    format!("refs/boi/kept/{spec}/")
}

/// Returns the name of the ref that protects a candidate from git's garbage collection while the candidate is
/// verified.
pub(super) fn candidate_ref(spec: &SpecId) -> String {
    format!("refs/boi/candidate/{spec}")
}

/// Returns the name of the ref that protects the objects of the snapshot that was taken before a command of the spec.
pub(super) fn snapshot_ref(spec: &SpecId) -> String {
    format!("refs/boi/snapshot/{spec}")
}

/// Returns the name of the ref that keeps `commit`: `refs/boi/kept/<SPEC>/<label>-<hash>`.
pub(super) fn kept_ref(spec: &SpecId, label: &str, commit: &str) -> String {
    let short = &commit[..HASH_DIGITS.min(commit.len())];
    format!("{}{}-{short}", kept_dir(spec), component(label))
}

/// Whether `name` is a kept ref of the spec with exactly this label.
pub(super) fn is_kept_with_label(name: &str, spec: &SpecId, label: &str) -> bool {
    let prefix = format!("{}{}-", kept_dir(spec), component(label));
    name.strip_prefix(&prefix)
        .is_some_and(|hash| hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns `refs/heads/<BRANCH>` for the short or the full name of a branch.
pub(crate) fn full_branch_name(branch: &str) -> String {
    format!("refs/heads/{}", short_branch_name(branch))
}

/// Turns `label` into a valid component of a ref's name: git allows no dot at the start and no two dots in a row.
fn component(label: &str) -> String {
    let mut last = '.';
    let safe = |c: char| {
        let is_valid = c.is_ascii_alphanumeric() || c == '-' || c == '_' || (c == '.' && last != '.');
        last = if is_valid { c } else { '-' };
        last
    };
    label.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_label_becomes_a_valid_component_of_a_ref() {
        assert_eq!(component("t-1.2"), "t-1.2");
        assert_eq!(component(".a..b c/ä~^"), "-a.-b-c----");
    }
}
