//! The shared part that boi reads from git's files is what git prints.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::{Scratch, commit, git, head, write};
use crate::git::place::Place;
use crate::git::shared_files::{self, Known};
use crate::git::shared_state::{self, RawState};

fn place(scratch: &Scratch) -> Place {
    Place::of_repository(&scratch.repo.join(".git").canonicalize().unwrap(), &Default::default())
}

/// What git prints about the repository.
fn by_git(at: &Place) -> RawState {
    let mut state = RawState {
        refs: shared_state::list_refs(at).unwrap(),
        reflogs: shared_state::list_reflogs(at).unwrap(),
        worktrees: shared_state::list_worktrees(at).unwrap(),
        ..RawState::default()
    };
    if String::from_utf8_lossy(&state.refs).contains(" refs/stash\n") {
        state.stash = shared_state::list_stash(at).unwrap();
    }
    state
}

fn entries(at: &Place) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(at.common_dir.join("worktrees")).into_iter().flatten().map(|entry| entry.unwrap().path())
}

fn lines(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Compares what boi reads with what git prints. `last` is what git printed earlier.
fn compare(at: &Place, last: &RawState) {
    let (expected, own) = (by_git(at), std::path::Path::new("/none"));
    let mut known = Known::new(at, &last.refs, [&last.stash, &last.reflogs]);
    let refs = known.refs("refs/heads/none").unwrap();
    assert_eq!(String::from_utf8_lossy(&refs), String::from_utf8_lossy(&expected.refs));
    assert_eq!(known.stash().unwrap(), expected.stash);
    assert_eq!(lines(&known.reflogs(entries(at), 100).unwrap()), lines(&expected.reflogs));
    let worktrees = shared_files::worktrees(at).unwrap();
    let parsed = |worktrees| RawState { worktrees, ..RawState::default() }.parse(own).worktrees;
    assert_eq!(parsed(worktrees), parsed(expected.worktrees));
}

#[test]
fn refs_stash_reflogs_and_worktrees_are_read_as_git_prints_them() {
    let scratch = Scratch::new();
    let (repo, at) = (&scratch.repo, &place(&scratch));
    compare(at, &RawState::default());
    git(repo, ["branch", "other"]);
    git(repo, ["symbolic-ref", "refs/remotes/o/HEAD", "refs/heads/other"]);
    git(repo, ["symbolic-ref", "refs/heads/dangling", "refs/heads/none"]);
    for text in ["one\n", "two\n"] {
        write(repo, "a.txt", text);
        git(repo, ["stash", "push", "-q", "-m", &format!("{} with a ä", text.trim())]);
    }
    for (name, args) in [("de\ntached", ["--detach", "main"]), ("branch", ["-b", "on-branch"])] {
        let path = scratch.dir.path().join(name);
        git(
            repo,
            ["worktree", "add", "-q", args[0], args[1], path.to_str().unwrap()].iter().filter(|arg| **arg != "main"),
        );
        write(&path, "b", "b\n");
        commit(&path, "in a worktree");
    }
    compare(at, &RawState::default());
    git(repo, ["config", "core.bare", "true"]);
    compare(at, &RawState::default());
    git(repo, ["config", "core.bare", "false"]);
    git(repo, ["tag", "-a", "-m", "a tag", "v1"]);
    git(repo, ["-c", "advice.nestedTag=false", "tag", "-a", "nested", "-m", "of a tag", "v1"]);
    git(repo, ["update-ref", "refs/x/tree", "HEAD^{tree}"]);
    let last = by_git(at);
    git(repo, ["gc", "-q"]);
    compare(at, &last);
    git(repo, ["checkout", "-q", "--orphan", "unborn"]);
    let list = shared_files::worktrees(at).unwrap();
    assert!(
        list.windows(30).any(|part| part == b"\nbranch refs/heads/unborn\n\nwor"),
        "{}",
        String::from_utf8_lossy(&list)
    );
}

#[test]
fn git_is_asked_about_objects_whose_types_are_not_known() {
    let scratch = Scratch::new();
    let (repo, at) = (&scratch.repo, &place(&scratch));
    let known = || Known::new(at, b"", [b"", b""]);
    let first = head(repo);
    assert!(known().refs("").is_some());
    assert_eq!(known().reflogs(std::iter::empty(), 0), None, "too many");
    git(repo, ["tag", "-a", "-m", "a tag", "v1"]);
    assert_eq!(known().refs(""), None, "a tag");
    git(repo, ["tag", "-d", "v1"]);
    write(repo, ".git/refs/heads/missing", &format!("{}\n", "a".repeat(40)));
    assert_eq!(known().refs(""), None, "a missing object");
    fs::remove_file(repo.join(".git/refs/heads/missing")).unwrap();
    let log = fs::read(repo.join(".git/logs/HEAD")).unwrap();
    for damaged in
        ["x\n".to_owned(), format!("{first} {} U <u> 0 +0000\tm\n", "a".repeat(40)), format!("{first} {first} x")]
    {
        fs::write(repo.join(".git/logs/HEAD"), [log.as_slice(), damaged.as_bytes()].concat()).unwrap();
        assert_eq!(known().reflogs(std::iter::empty(), 100), None, "{damaged:?}");
    }
    fs::write(repo.join(".git/logs/HEAD"), &log).unwrap();
    git(repo, ["gc", "-q"]);
    assert_eq!((known().refs(""), known().reflogs(std::iter::empty(), 100)), (None, None), "packed objects");
    let elsewhere = scratch.dir.path().join("elsewhere");
    git(repo, ["worktree", "add", "-q", "--detach", elsewhere.to_str().unwrap()]);
    for damaged in ["", "../../../elsewhere/.git\n", "/elsewhere\n", "/elsewhere/.git"] {
        write(repo, ".git/worktrees/elsewhere/gitdir", damaged);
        assert_eq!(shared_files::worktrees(at).is_some(), damaged.is_empty(), "{damaged:?}");
    }
}
