//! A branch that the user merged by hand is found in its base.

use super::{Scratch, commit, git, head, write};
use crate::git::{MergeState, has_changes, local_branches, merge_state};

#[test]
fn a_merged_or_squashed_branch_is_found_and_another_one_is_not() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let (repo, spec) = (&scratch.repo, worktree.spec());
    let found = |into: &str, head: &str| has_changes(repo, into, &base, head).unwrap();
    assert!(!found("main", &base), "a branch without a commit");
    let empty = git(repo, ["commit-tree", "-p", &base, "-m", "empty", "HEAD^{tree}"]);
    assert!(!found("main", &empty), "a branch without a change");
    write(worktree.path(), "n.txt", "n\n");
    write(worktree.path(), "a.txt", "theirs\n");
    let done = commit(worktree.path(), "done");
    assert!(!found("main", &done));
    let state = || merge_state(repo, spec, &["no-such-branch".to_owned(), "main".to_owned()], Some(&base));
    assert_eq!(state(), MergeState::NotMerged);
    // Part of it is not all of it.
    write(repo, "n.txt", "n\n");
    commit(repo, "a part");
    assert!(!found("main", &done));
    git(repo, ["reset", "-q", "--hard", &base]);
    git(repo, ["branch", "merged"]);
    write(repo, "b.txt", "other work\n");
    commit(repo, "other work");
    git(repo, ["merge", "-q", "--squash", "boi/SD979"]);
    commit(repo, "squashed");
    assert!(found("main", &done));
    assert_eq!(state(), MergeState::Merged);
    write(repo, "c.txt", "more work\n");
    commit(repo, "more work");
    assert!(found("main", &done));
    write(repo, "a.txt", "mine\n");
    commit(repo, "changed again");
    assert!(found("main", &done), "the base had the changes for a while");
    // A conflict is no merge.
    git(repo, ["checkout", "-q", "-b", "conflict", "merged"]);
    write(repo, "a.txt", "mine\n");
    commit(repo, "conflict");
    assert!(!found("conflict", &done));
    git(repo, ["checkout", "-q", "merged"]);
    write(repo, "d.txt", "d\n");
    commit(repo, "d");
    git(repo, ["merge", "-q", "--no-edit", "boi/SD979"]);
    assert!(found("merged", &done));
    assert_eq!(local_branches(repo).unwrap()["merged"], head(repo));
}

#[test]
fn no_program_of_the_repository_runs() {
    let scratch = Scratch::new();
    write(&scratch.repo, ".gitattributes", "a.txt merge=m\n");
    git(&scratch.repo, ["config", "merge.m.driver", "touch ran; true"]);
    commit(&scratch.repo, "attributes");
    let (worktree, base) = scratch.create();
    write(worktree.path(), "a.txt", "theirs\n");
    let done = commit(worktree.path(), "done");
    write(&scratch.repo, "a.txt", "mine\n");
    commit(&scratch.repo, "mine");
    assert!(!has_changes(&scratch.repo, "main", &base, &done).unwrap());
    assert!(!scratch.repo.join("ran").exists());
}
