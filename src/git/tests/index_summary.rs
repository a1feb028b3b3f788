//! What boi reads from an index is what git answers about it.

use std::fs;
use std::path::PathBuf;

use super::{Scratch, commit, git, head, try_git, write};
use crate::git::index_summary::{self, IndexSummary};

fn index(scratch: &Scratch) -> PathBuf {
    scratch.repo.join(".git/index")
}

fn summary(scratch: &Scratch) -> Option<IndexSummary> {
    index_summary::read(&index(scratch), 40)
}

fn tree(scratch: &Scratch) -> Option<String> {
    summary(scratch).unwrap().tree
}

#[test]
fn the_tree_is_known_until_an_entry_changes() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    let long = "l".repeat(200);
    for length in 1..9 {
        write(repo, &format!("{long}/{long}/{}", &long[..length]), "x\n");
    }
    // The length of this name does not fit into the flags of an entry.
    let deep = std::iter::repeat_n(long.as_str(), 21).collect::<Vec<_>>().join("/");
    let blob = git(repo, ["hash-object", "-w", "a.txt"]);
    commit(repo, "long names");
    git(repo, ["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{deep}")]);
    let IndexSummary { tree: before, has_gitlinks, entries } = summary(&scratch).unwrap();
    assert_eq!((before, has_gitlinks), (None, false));
    let written = git(repo, ["write-tree"]);
    assert_eq!(summary(&scratch), Some(IndexSummary { tree: Some(written), has_gitlinks, entries }));
    git(repo, ["read-tree", "--reset", "HEAD"]);
    let first = git(repo, ["rev-parse", "HEAD^{tree}"]);
    assert_eq!(tree(&scratch), Some(first.clone()));
    let IndexSummary { entries, .. } = summary(&scratch).unwrap();
    write(repo, "a.txt", "a\n");
    git(repo, ["add", "--all"]);
    assert_eq!(summary(&scratch).unwrap().entries, entries, "no file differs");
    git(repo, ["add", "--chmod=+x", "a.txt"]);
    assert_ne!(summary(&scratch).unwrap().entries, entries, "another mode");
    git(repo, ["read-tree", "--reset", "HEAD"]);
    write(repo, "a.txt", "b\n");
    git(repo, ["add", "--all"]);
    assert_ne!(summary(&scratch).unwrap().entries, entries, "another content");
    git(repo, ["mv", "a.txt", "b.txt"]);
    assert_ne!(summary(&scratch).unwrap().entries, entries, "another name");
    write(repo, "sub/deeper/new", "new\n");
    git(repo, ["add", "--all"]);
    assert_eq!(tree(&scratch), None);
    assert_ne!(git(repo, ["write-tree"]), first);
    assert_eq!(tree(&scratch), Some(git(repo, ["write-tree"])));
    git(repo, ["rm", "-q", "--cached", "sub/deeper/new"]);
    assert_eq!(tree(&scratch), None);
}

#[test]
fn links_to_repositories_are_found() {
    let scratch = Scratch::new();
    let nested = scratch.repo.join("z");
    fs::create_dir(&nested).unwrap();
    git(&nested, ["init", "-q"]);
    write(&nested, "x", "x\n");
    commit(&nested, "nested");
    git(&scratch.repo, ["-c", "advice.addEmbeddedRepo=false", "add", "--all"]);
    let found = summary(&scratch).unwrap();
    assert_eq!((found.tree, found.has_gitlinks), (None, true));
}

#[test]
fn git_is_asked_about_an_index_that_is_damaged_or_unusual() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    let intact = fs::read(index(&scratch)).unwrap();
    assert_eq!(index_summary::read(&index(&scratch), 64), None, "hashes of another length");
    for damaged in [&intact[..0], &intact[..40], &intact[..intact.len() - 1], &[&intact[..], b"x"].concat()] {
        fs::write(index(&scratch), damaged).unwrap();
        assert_eq!(summary(&scratch), None);
    }
    let unusual = [
        ["update-index", "--assume-unchanged", "a.txt"].as_slice(),
        &["update-index", "--skip-worktree", "a.txt"],
        &["update-index", "--index-version", "4"],
        &["update-index", "--split-index"],
    ];
    for args in unusual {
        fs::write(index(&scratch), &intact).unwrap();
        assert!(summary(&scratch).is_some());
        git(repo, args);
        assert_eq!(summary(&scratch), None, "{args:?}");
    }
    fs::write(index(&scratch), &intact).unwrap();
    write(repo, "new", "new\n");
    git(repo, ["add", "--intent-to-add", "new"]);
    assert_eq!(summary(&scratch), None, "the new file is not in the tree");
    fs::remove_file(index(&scratch)).unwrap();
    assert_eq!(summary(&scratch), None);
}

#[test]
fn an_index_with_hashes_of_sha256_is_read() {
    let scratch = Scratch::new();
    let repo = scratch.dir.path().join("sha256");
    assert!(try_git(scratch.dir.path(), ["init", "-q", "--object-format=sha256", "sha256"]).0);
    write(&repo, "a", "a\n");
    let first = commit(&repo, "first");
    let found = index_summary::read(&repo.join(".git/index"), head(&repo).len()).unwrap();
    assert_eq!(found.tree, Some(git(&repo, ["rev-parse", &format!("{first}^{{tree}}")])));
}
