//! Reads what branches change, for many branches of a repository with one git process. This module only reads, and runs
//! no program that the repository's configuration or attributes name.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;

use super::git_error::GitError;
use super::place::Place;
use super::program::Git;
use super::{entry, repository};
use crate::domain::report::FileChange;

/// Files that are larger count as binary in a patch, so that no patch has lines of megabytes.
const LARGEST_FILE: &str = "core.bigFileThreshold=1m";

/// Returns for each pair of commits (origin, head) the files that differ between them. `None`: a commit of the pair does
/// not exist, or is not a hash.
pub(crate) fn diff_stats(repo: &Path, pairs: &[(String, String)]) -> Result<Vec<Option<Vec<FileChange>>>, GitError> {
    let at = &repository::find(repo)?;
    let is_hash = |pair: &&(String, String)| [&pair.0, &pair.1].iter().all(|hash| entry::parse_hash(hash).is_some());
    let mut asked: Vec<&(String, String)> = pairs.iter().filter(is_hash).collect();
    let printed = match compare(at, &asked) {
        // Git ends at the first origin that does not exist.
        Err(GitError::Failed { .. }) => {
            let commits = existing_commits(at, &asked)?;
            asked.retain(|(origin, head)| commits.contains(origin) && commits.contains(head));
            compare(at, &asked)?
        }
        printed => printed?,
    };
    let mut parts = printed.split(|byte| *byte == 0).filter(|part| !part.is_empty()).peekable();
    let mut found: HashMap<&(String, String), Vec<FileChange>> = HashMap::new();
    for pair in asked {
        // Git prints nothing about a head that does not exist.
        if parts.next_if(|part| *part == pair.1.as_bytes()).is_none() {
            continue;
        }
        let mut files = Vec::new();
        while let Some(part) = parts.next_if(|part| part.contains(&b'\t')) {
            files.extend(file_change(part));
        }
        found.insert(pair, files);
    }
    Ok(pairs.iter().map(|pair| found.get(pair).cloned()).collect())
}

fn compare(at: &Place, pairs: &[&(String, String)]) -> Result<Vec<u8>, GitError> {
    // Git compares the first commit of a line with the second one.
    let lines: String = pairs.iter().map(|(origin, head)| format!("{head} {origin}\n")).collect();
    // With `--always`, git prints the header of a pair without differences too.
    let args = ["diff-tree", "--stdin", "-r", "--numstat", "-z", "--no-renames", "--always"];
    Git::reading(at).input(input_of(at, &lines)?).args(args).args(["--no-ext-diff", "--no-textconv"]).run()
}

fn existing_commits(at: &Place, pairs: &[&(String, String)]) -> Result<HashSet<String>, GitError> {
    let lines: String = pairs.iter().map(|(origin, head)| format!("{origin}\n{head}\n")).collect();
    let printed = Git::reading(at).input(input_of(at, &lines)?).args(["cat-file", "--batch-check"]).run()?;
    let text = String::from_utf8_lossy(&printed).into_owned();
    Ok(text.lines().filter_map(|line| Some(line.split_once(" commit ")?.0.to_owned())).collect())
}

fn input_of(at: &Place, text: &str) -> Result<File, GitError> {
    let fill = || {
        let mut file = tempfile::tempfile()?;
        file.write_all(text.as_bytes())?;
        file.rewind()?;
        Ok(file)
    };
    fill().map_err(GitError::io("cannot pass commits to git for", &at.work_tree))
}

/// Parses `ADDED<tab>DELETED<tab>PATH`; both numbers are `-` for a binary file.
fn file_change(part: &[u8]) -> Option<FileChange> {
    let mut fields = part.splitn(3, |byte| *byte == b'\t');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (added, deleted): (Option<u64>, Option<u64>) = (number(), number());
    let path = String::from_utf8_lossy(part.splitn(3, |byte| *byte == b'\t').nth(2)?).into_owned();
    Some(FileChange { path, lines: added.zip(deleted) })
}

/// Returns the patch from `origin` to `head` for these files.
pub(crate) fn patch(repo: &Path, origin: &str, head: &str, files: &[&str]) -> Result<Vec<u8>, GitError> {
    let at = &repository::find(repo)?;
    let git = Git::reading(at).settings(&[LARGEST_FILE]).env("GIT_LITERAL_PATHSPECS", "1");
    let git = git.args(["diff-tree", "-r", "-p", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv"]);
    git.args([origin, head, "--"]).args(files.iter().map(OsStr::new)).run()
}

/// Returns how many commits the branch `base` gained since `since`, a time in RFC 3339; `None`: its reflog does not
/// tell.
pub(crate) fn commits_since(repo: &Path, base: &str, since: &str) -> Option<u64> {
    let at = &repository::find(repo).ok()?;
    let base = super::ref_names::full_branch_name(base);
    let range = format!("{base}@{{{since}}}..{base}");
    let counted = Git::reading(at).args(["rev-list", "--count", &range, "--"]).line().ok()?;
    counted.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scratch, commit, git, head, write};
    use super::*;

    #[test]
    fn the_changes_of_many_branches_are_read_at_once() {
        let scratch = Scratch::new();
        let repo = &scratch.repo;
        let origin = head(repo);
        git(repo, ["checkout", "-q", "-b", "x"]);
        write(repo, "a.txt", "b\nc\n");
        write(repo, "ein\tTab \u{fc}\n.txt", "1\n");
        let text = commit(repo, "text");
        std::fs::write(repo.join("bin"), b"\0\x01").unwrap();
        let both = commit(repo, "both");
        let missing = "0123456789012345678901234567890123456789".to_owned();
        let pair = |origin: &str, head: &str| (origin.to_owned(), head.to_owned());
        let pairs = [
            pair(&origin, &text),
            pair(&origin, &origin),
            pair(&origin, &missing),
            pair(&text, &both),
            pair(&origin, "--output=x"),
            pair(&missing, &text),
            pair(&origin, &both),
        ];
        let file = |path: &str, lines| FileChange { path: path.into(), lines };
        let (a, tab, bin) =
            (file("a.txt", Some((2, 1))), file("ein\tTab \u{fc}\n.txt", Some((1, 0))), file("bin", None));
        let found = diff_stats(repo, &pairs).unwrap();
        assert_eq!(found[0], Some(vec![a.clone(), tab.clone()]));
        assert_eq!(found[1], Some(vec![]), "no difference");
        assert_eq!((&found[2], &found[4], &found[5]), (&None, &None, &None));
        assert_eq!(found[3], Some(vec![bin.clone()]));
        assert_eq!(found[6], Some(vec![a, bin, tab]));
    }

    #[test]
    fn a_patch_has_only_the_chosen_files_and_runs_no_program() {
        let scratch = Scratch::new();
        let repo = &scratch.repo;
        let origin = head(repo);
        write(repo, "a.txt", "new\n");
        write(repo, "b.txt", "other\n");
        write(repo, ".gitattributes", "*.txt diff=run\n");
        let head = commit(repo, "second");
        let ran = scratch.dir.path().join("ran");
        git(repo, ["config", "diff.run.textconv", &format!("touch '{}'; cat", ran.display())]);
        git(repo, ["config", "diff.external", &format!("touch '{}'; cat", ran.display())]);
        let patch = String::from_utf8(patch(repo, &origin, &head, &["a.txt"]).unwrap()).unwrap();
        assert!(patch.contains("-a\n+new\n") && !patch.contains("b.txt"), "{patch}");
        diff_stats(repo, &[(origin, head)]).unwrap();
        assert!(!ran.exists());
    }

    #[test]
    fn the_commits_that_a_base_gained_are_counted_from_its_reflog() {
        let scratch = Scratch::new();
        let repo = &scratch.repo;
        write(repo, "a.txt", "2\n");
        commit(repo, "second");
        assert_eq!(commits_since(repo, "main", "2099-01-01T00:00:00Z"), Some(0));
        assert_eq!(commits_since(repo, "main", "2020-01-01T00:00:00Z"), Some(1));
        assert_eq!(commits_since(repo, "missing", "2020-01-01T00:00:00Z"), None);
    }
}
