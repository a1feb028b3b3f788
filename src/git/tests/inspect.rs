//! What is refused as a repository and as a base, and what is taken.

use std::fs;

use super::super::{BaseError, Refusal, inspect, resolve_base};
use super::{Scratch, commit, git, head, write};

#[test]
fn a_repository_is_taken_from_anywhere_inside_it() {
    let scratch = Scratch::new();
    let found = inspect(&scratch.repo.join("sub")).unwrap();
    assert_eq!(found.toplevel, fs::canonicalize(&scratch.repo).unwrap());
    assert_eq!(found.default_base, "main");
    git(&scratch.repo, ["checkout", "-q", "--detach"]);
    assert_eq!(inspect(&scratch.repo).unwrap().default_base, head(&scratch.repo));
}

#[test]
fn linked_worktrees_and_shallow_clones_are_taken() {
    let scratch = Scratch::new();
    let linked = scratch.dir.path().join("linked");
    git(&scratch.repo, ["worktree", "add", "-q", "-b", "topic/ü", linked.to_str().unwrap()]);
    assert_eq!(inspect(&linked).unwrap().default_base, "topic/ü");
    write(&scratch.repo, "a.txt", "b\n");
    commit(&scratch.repo, "second");
    let url = format!("file://{}", scratch.repo.to_str().unwrap());
    git(scratch.dir.path(), ["clone", "-q", "--depth=1", &url, "shallow"]);
    assert_eq!(inspect(&scratch.dir.path().join("shallow")).unwrap().default_base, "main");
}

#[test]
fn what_boi_cannot_work_in_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    let dir = scratch.dir.path();
    assert!(matches!(inspect(&dir.join("none")), Err(Refusal::Missing(_))));
    assert!(matches!(inspect(&scratch.repo.join("a.txt")), Err(Refusal::NotADirectory(_))));
    assert!(matches!(inspect(dir), Err(Refusal::NotARepository(_))));
    assert!(matches!(inspect(&scratch.repo.join(".git")), Err(Refusal::InsideGitDir(_))));
    git(dir, ["init", "-q", "--bare", "bare.git"]);
    assert!(matches!(inspect(&dir.join("bare.git")), Err(Refusal::Bare(_))));
    git(dir, ["init", "-q", "unborn"]);
    assert!(matches!(inspect(&dir.join("unborn")), Err(Refusal::Unborn(_))));
}

#[test]
fn a_branch_named_boi_and_submodules_are_refused() {
    let scratch = Scratch::new();
    git(&scratch.repo, ["branch", "boi"]);
    let refusal = inspect(&scratch.repo).unwrap_err();
    assert!(matches!(refusal, Refusal::BranchNamedBoi(_)), "{refusal}");
    assert!(refusal.to_string().contains("git branch -m boi"));
    git(&scratch.repo, ["branch", "-m", "boi", "boi/x"]);
    inspect(&scratch.repo).unwrap();

    let link = format!("160000,{},vendor/lib ü", head(&scratch.repo));
    git(&scratch.repo, ["update-index", "--add", "--cacheinfo", &link]);
    git(&scratch.repo, ["commit", "-q", "-m", "submodule"]);
    let refusal = inspect(&scratch.repo).unwrap_err();
    assert!(refusal.to_string().contains("vendor/lib ü"), "{refusal}");
}

#[test]
fn a_base_is_a_branch_then_a_tag_then_a_commit() {
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
        assert!(matches!(resolve_base(repo, bad), Err(BaseError::Malformed(_))), "{bad:?} was taken");
    }
    let blob = git(repo, ["rev-parse", "HEAD:a.txt"]);
    assert!(matches!(resolve_base(repo, &blob), Err(BaseError::NotFound { .. })));
    git(repo, ["branch", "feature/login", "HEAD"]);
    let error = resolve_base(repo, "feature/logn").unwrap_err();
    assert!(error.to_string().contains("did you mean `feature/login`?"), "{error}");
}
