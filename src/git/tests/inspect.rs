//! Which repositories and which names of bases are accepted, and why others are refused.

use std::fs;

use super::{Scratch, commit, git, head, write};
use crate::git::inspect::RepositoryRefusal;
use crate::git::revision::BaseError;
use crate::git::{inspect_repository, resolve_base};

#[test]
fn any_directory_inside_a_repository_is_accepted() {
    let scratch = Scratch::new();
    let found = inspect_repository(&scratch.repo.join("sub")).unwrap();
    assert_eq!(found.toplevel, fs::canonicalize(&scratch.repo).unwrap());
    assert_eq!(found.default_base, "main");
    git(&scratch.repo, ["checkout", "-q", "--detach"]);
    assert_eq!(inspect_repository(&scratch.repo).unwrap().default_base, head(&scratch.repo));
}

#[test]
fn linked_worktrees_and_shallow_clones_are_accepted() {
    let scratch = Scratch::new();
    let linked = scratch.dir.path().join("linked");
    git(&scratch.repo, ["worktree", "add", "-q", "-b", "topic/ü", linked.to_str().unwrap()]);
    assert_eq!(inspect_repository(&linked).unwrap().default_base, "topic/ü");
    write(&scratch.repo, "a.txt", "b\n");
    commit(&scratch.repo, "second");
    let url = format!("file://{}", scratch.repo.to_str().unwrap());
    git(scratch.dir.path(), ["clone", "-q", "--depth=1", &url, "shallow"]);
    assert_eq!(inspect_repository(&scratch.dir.path().join("shallow")).unwrap().default_base, "main");
}

#[test]
fn a_directory_that_boi_cannot_work_in_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    let dir = scratch.dir.path();
    assert!(matches!(inspect_repository(&dir.join("none")), Err(RepositoryRefusal::Missing(_))));
    assert!(matches!(inspect_repository(&scratch.repo.join("a.txt")), Err(RepositoryRefusal::NotADirectory(_))));
    assert!(matches!(inspect_repository(dir), Err(RepositoryRefusal::NotARepository(_))));
    assert!(matches!(inspect_repository(&scratch.repo.join(".git")), Err(RepositoryRefusal::InsideGitDir(_))));
    git(dir, ["init", "-q", "--bare", "bare.git"]);
    assert!(matches!(inspect_repository(&dir.join("bare.git")), Err(RepositoryRefusal::Bare(_))));
    git(dir, ["init", "-q", "unborn"]);
    assert!(matches!(inspect_repository(&dir.join("unborn")), Err(RepositoryRefusal::Unborn(_))));
}

#[test]
fn a_branch_named_boi_is_refused() {
    let scratch = Scratch::new();
    git(&scratch.repo, ["branch", "boi"]);
    let refusal = inspect_repository(&scratch.repo).unwrap_err();
    assert!(matches!(refusal, RepositoryRefusal::BranchNamedBoi(_)), "{refusal}");
    assert!(refusal.to_string().contains("git branch -m boi"));
    git(&scratch.repo, ["branch", "-m", "boi", "boi/x"]);
    inspect_repository(&scratch.repo).unwrap();
}

#[test]
fn a_base_is_resolved_as_a_branch_then_a_tag_then_a_commit() {
    let scratch = Scratch::new();
    let repo = &scratch.repo;
    let first = head(repo);
    git(repo, ["tag", "-a", "-m", "t", "v1"]);
    write(repo, "b.txt", "b\n");
    let second = commit(repo, "second");
    git(repo, ["tag", "main", &first]);
    assert_eq!(resolve_base(repo, "main").unwrap(), second);
    assert_eq!(resolve_base(repo, "v1").unwrap(), first);
    assert_eq!(resolve_base(repo, &first[..10]).unwrap(), first);
    assert_eq!(resolve_base(repo, "HEAD~1").unwrap(), first);
    for bad in ["", "--all", "-x", "main..v1", "^main", "HEAD:a.txt", "a b", "a\nb"] {
        assert!(matches!(resolve_base(repo, bad), Err(BaseError::Malformed(_))), "{bad:?} was accepted");
    }
    let blob = git(repo, ["rev-parse", "HEAD:a.txt"]);
    assert!(matches!(resolve_base(repo, &blob), Err(BaseError::NotFound { .. })));
    git(repo, ["branch", "feature/login", "HEAD"]);
    let error = resolve_base(repo, "feature/logn").unwrap_err();
    assert!(error.to_string().contains("did you mean `feature/login`?"), "{error}");
}
