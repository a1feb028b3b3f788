//! Sparse checkouts are inherited, and nothing is fetched: in a partial clone, and with Git LFS.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Scratch, commit, git, head, read, status, write};
use crate::domain::position::Checkout;
use crate::git::{
    GitError, Severity, advance_branch, capture, create_worktree, pointers, remove_worktree, reset_to_commit,
};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_worktree_inherits_the_sparse_checkout_of_the_user() {
    for args in [
        &["--cone", "--no-sparse-index", "in"][..],
        &["--cone", "--sparse-index", "in"],
        &["--no-cone", "/*", "!/out/"],
    ] {
        let scratch = Scratch::new();
        for number in 0..50 {
            write(&scratch.repo, &format!("out/{number}"), "out\n");
        }
        write(&scratch.repo, "in/file", "in\n");
        commit(&scratch.repo, "files");
        git(&scratch.repo, ["sparse-checkout", "set"].iter().chain(args));
        let settings = || {
            [".git/config", ".git/config.worktree", ".git/info/sparse-checkout", ".git/index"]
                .map(|name| fs::read(scratch.repo.join(name)).unwrap())
        };
        let (before, state) = (settings(), scratch.users_state());
        let (worktree, base) = scratch.create();
        let path = worktree.path();
        assert_eq!((path.join("in/file").exists(), path.join("out").exists()), (true, false), "{args:?}");
        assert_eq!(git(path, ["sparse-checkout", "list"]), git(&scratch.repo, ["sparse-checkout", "list"]));
        assert_eq!(git(path, ["config", "index.sparse"]), (args[1] == "--sparse-index").to_string());
        assert_eq!(status(path), "## boi/SD979");
        assert_eq!(capture(&worktree, &base, "m", "t").unwrap().commit, None, "{args:?}");

        // A command may change files that are left out, and leave out more.
        write(path, "in/file", "changed\n");
        write(path, "out/5", "changed\n");
        write(path, "out/new", "new\n");
        let candidate = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
        let names_of = |from: &str, to: &str| git(&scratch.repo, ["diff", "--name-status", from, to]);
        assert_eq!(names_of(&base, &candidate), "M\tin/file\nM\tout/5\nA\tout/new");
        advance_branch(&worktree, &base, &candidate).unwrap();
        assert_eq!(reset_to_commit(&worktree, &candidate, "t").unwrap(), [""; 0]);
        assert_eq!(status(path), "## boi/SD979");
        git(path, ["sparse-checkout", "set", "--no-cone", "/a.txt"]);
        assert!(!path.join("in").exists());
        assert_eq!(capture(&worktree, &candidate, "m", "t").unwrap().commit, None);
        assert_eq!(reset_to_commit(&worktree, &candidate, "t").unwrap(), [""; 0]);
        assert_eq!(read(path, "in/file"), "changed\n", "a reset restores the patterns");
        assert_eq!(remove_worktree(&worktree, "leftover").unwrap(), [""; 0]);
        assert_eq!((settings(), scratch.users_state()), (before, state), "{args:?}");
    }
}

#[test]
fn a_partial_clone_is_used_offline() {
    let scratch = Scratch::new();
    git(&scratch.repo, ["config", "uploadpack.allowFilter", "true"]);
    git(&scratch.repo, ["checkout", "-q", "-b", "other"]);
    write(&scratch.repo, "other.txt", "other\n");
    commit(&scratch.repo, "other");
    git(&scratch.repo, ["checkout", "-q", "main"]);
    let clone = scratch.dir.path().join("clone");
    let url = format!("file://{}", scratch.repo.display());
    git(scratch.dir.path(), ["clone", "-q", "--filter=blob:none", &url, clone.to_str().unwrap()]);
    let executed = scratch.dir.path().join("executed");
    git(&clone, ["config", "remote.origin.uploadpack", &format!("touch '{}'; git-upload-pack", executed.display())]);
    let missing = git(&scratch.repo, ["rev-parse", "other:other.txt"]);

    let mut worktree = scratch.worktree("SD979");
    worktree.repo = clone.clone();
    let worktree = worktree.lock().unwrap();
    let base = head(&clone);
    create_worktree(&worktree, &base, Checkout::Clean, "create").unwrap();
    write(worktree.path(), "a.txt", "changed\n");
    let candidate = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
    advance_branch(&worktree, &base, &candidate).unwrap();
    reset_to_commit(&worktree, &candidate, "t").unwrap();
    assert_eq!(read(worktree.path(), "a.txt"), "changed\n");

    let mut other = scratch.worktree("SD97A");
    other.repo = clone.clone();
    let other = other.lock().unwrap();
    let error = create_worktree(&other, &git(&clone, ["rev-parse", "origin/other"]), Checkout::Clean, "c").unwrap_err();
    assert!(matches!(&error, GitError::MissingObject { object: Some(object), .. } if *object == missing), "{error}");
    assert_eq!(error.severity(), Severity::Permanent);
    assert!(error.to_string().contains("git fetch --refetch --no-filter"), "{error}");
    assert!(!executed.exists(), "boi fetched");

    git(&clone, ["fetch", "-q", "--refetch", "--no-filter", "origin"]);
    create_worktree(&other, &git(&clone, ["rev-parse", "origin/other"]), Checkout::Clean, "c").unwrap();
    assert_eq!(read(other.path(), "other.txt"), "other\n");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn files_of_lfs_come_out_of_the_users_store() {
    if !Command::new("git").args(["lfs", "version"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: git-lfs is not installed");
        return;
    }
    let mut scratch = Scratch::new();
    // Git LFS reads the path of a repository only up to a newline.
    let repo = scratch.dir.path().join("ein Größe repo");
    fs::rename(&scratch.repo, &repo).unwrap();
    scratch.repo = repo;
    git(&scratch.repo, ["lfs", "install", "--local"]);
    git(&scratch.repo, ["remote", "add", "origin", "https://127.0.0.1:1/none.git"]);
    write(&scratch.repo, ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    let content = "content\n".repeat(1_000);
    write(&scratch.repo, "a.bin", &content);
    write(&scratch.repo, "b c.bin", "gone\n");
    commit(&scratch.repo, "lfs");
    let pointer = git(&scratch.repo, ["cat-file", "blob", "HEAD:b c.bin"]);
    // A file with the content would put the object back into the store as soon as git reads it.
    write(&scratch.repo, "b c.bin", &format!("{pointer}\n"));
    git(&scratch.repo, ["add", "b c.bin"]);
    let object = pointer.split_once("sha256:").unwrap().1[..64].to_owned();
    fs::remove_file(scratch.repo.join(format!(".git/lfs/objects/{}/{}/{object}", &object[..2], &object[2..4])))
        .unwrap();
    let (before, hooks) = (scratch.users_state(), names(&scratch.repo.join(".git/hooks")));
    for hook in ["post-checkout", "post-commit", "pre-push", "post-merge"] {
        write(
            &scratch.repo,
            &format!(".git/hooks/{hook}"),
            "#!/bin/sh\ntouch \"$(git rev-parse --git-common-dir)/ran\"\n",
        );
    }

    let (worktree, base) = scratch.create();
    assert_eq!(read(worktree.path(), "a.bin"), content);
    assert_eq!(read(worktree.path(), "b c.bin").trim_end(), pointer);
    assert_eq!(pointers(&worktree), [Path::new("b c.bin")]);
    assert_eq!(capture(&worktree, &base, "m", "t").unwrap().commit, None);
    write(worktree.path(), "new.bin", "new content\n");
    let candidate = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
    assert!(
        git(&scratch.repo, ["cat-file", "blob", &format!("{candidate}:new.bin")])
            .starts_with("version https://git-lfs")
    );
    advance_branch(&worktree, &base, &candidate).unwrap();
    write(worktree.path(), "new.bin", "by a verify command\n");
    reset_to_commit(&worktree, &candidate, "t").unwrap();
    assert_eq!(read(worktree.path(), "new.bin"), "new content\n");
    remove_worktree(&worktree, "leftover").unwrap();
    assert!(!scratch.repo.join(".git/ran").exists(), "a hook ran");
    assert_eq!((scratch.users_state(), names(&scratch.repo.join(".git/hooks"))), (before, hooks));
}
