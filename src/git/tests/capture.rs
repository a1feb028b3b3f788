//! Whatever a try does with git, its files become one candidate commit on the base, and its own commits are kept.

use std::fs;

use super::{Scratch, commit, executable, git, head, read, status, try_git, write};
use crate::git::refs::kept_refs;
use crate::git::{GitError, advance_branch, branch_head, capture, operation, reset_branch, reset_to_commit};

/// Returns the content of a file in a revision.
fn content(dir: &std::path::Path, revision: &str, path: &str) -> String {
    git(dir, ["show", &format!("{revision}:{path}")])
}

#[test]
fn files_become_a_candidate_and_the_branch_advances_to_it() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "a.txt", "changed\n");
    write(worktree.path(), "new/ü \n.txt", "new\n");
    write(worktree.path(), "new/tool", "tool\n");
    executable(&worktree.path().join("new/tool"));
    std::os::unix::fs::symlink("nowhere", worktree.path().join("dangling")).unwrap();
    write(worktree.path(), "x.ignored", "ignored\n");
    fs::remove_file(worktree.path().join("link")).unwrap();
    let before = scratch.users_state();

    let captured = capture(&worktree, &base, "Title\n\nBoi-Spec: SD979", "t-1").unwrap();
    let candidate = captured.commit.unwrap();
    assert_eq!(captured.kept, [""; 0]);
    assert_eq!(
        git(&scratch.repo, ["show", "-s", "--format=%P|%an|%B", &candidate]),
        format!("{base}|User|Title\n\nBoi-Spec: SD979")
    );
    let tree = git(&scratch.repo, ["ls-tree", "-r", "-z", &candidate]);
    let mode_and_path = |line: &str| format!("{} {}", &line[..6], line.split_once('\t').unwrap().1);
    let mut tree: Vec<_> = tree.split_terminator('\0').map(mode_and_path).collect();
    tree.sort_unstable();
    let expected = [
        "100644 .gitignore",
        "100644 a.txt",
        "100644 new/ü \n.txt",
        "100755 new/tool",
        "100755 sub/run.sh",
        "120000 dangling",
    ];
    assert_eq!(tree, expected);
    assert_eq!(
        branch_head(&scratch.repo, worktree.spec()).unwrap(),
        Some(base.clone()),
        "the branch has not moved yet"
    );
    let lock = |name: &str| write(&scratch.repo, &format!(".git/refs/{name}.lock"), "");
    lock("boi/candidate/SD979");
    assert!(capture(&worktree, &base, "again", "t-1").unwrap().commit.is_some());

    lock("heads/boi/SD979");
    advance_branch(&worktree, &base, &candidate).unwrap();
    advance_branch(&worktree, &base, &candidate).unwrap();
    assert_eq!(reset_to_commit(&worktree, &candidate, "by-product").unwrap(), [""; 0]);
    assert_eq!(status(worktree.path()), "## boi/SD979");
    assert!(worktree.path().join("x.ignored").exists());
    assert_eq!(capture(&worktree, &candidate, "nothing", "t-2").unwrap().commit, None);
    assert_eq!(before, scratch.users_state());
}

#[test]
fn an_agents_commits_are_kept_and_become_part_of_the_candidate() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "one.txt", "1\n");
    let theirs = commit(worktree.path(), "agent's own");
    write(worktree.path(), "two.txt", "2\n");
    let captured = capture(&worktree, &base, "m", "t-1.1").unwrap();
    let candidate = captured.commit.unwrap();
    assert_eq!(captured.kept, [format!("refs/boi/kept/SD979/t-1.1-{}", &theirs[..12])]);
    assert_eq!(git(&scratch.repo, ["rev-parse", &format!("{candidate}^")]), base);
    assert_eq!(content(&scratch.repo, &candidate, "one.txt"), "1");
    assert_eq!(content(&scratch.repo, &candidate, "two.txt"), "2");
    assert_eq!(head(worktree.path()), base);
    assert_eq!(
        capture(&worktree, &base, "m", "t-1.1").unwrap().kept,
        captured.kept,
        "refs of an earlier call are returned again"
    );
}

#[test]
fn an_agent_may_switch_or_delete_branches_or_detach_head() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    git(worktree.path(), ["checkout", "-q", "-b", "feature"]);
    write(worktree.path(), "f.txt", "f\n");
    let feature = commit(worktree.path(), "feature");
    git(worktree.path(), ["branch", "-q", "-D", "boi/SD979"]);
    git(worktree.path(), ["checkout", "-q", "--detach"]);
    write(worktree.path(), "g.txt", "g\n");
    let detached = commit(worktree.path(), "detached");
    git(worktree.path(), ["checkout", "-q", "--orphan", "orphan"]);
    let captured = capture(&worktree, &base, "m", "orphaned").unwrap();
    assert_eq!(captured.kept, [""; 0], "a HEAD without a commit has nothing to keep");
    git(worktree.path(), ["checkout", "-q", "-f", &detached]);
    let captured = capture(&worktree, &base, "m", "t").unwrap();
    assert_eq!(git(worktree.path(), ["symbolic-ref", "HEAD"]), "refs/heads/boi/SD979");
    assert_eq!(git(worktree.path(), ["rev-parse", &captured.kept[0]]), detached);
    let candidate = captured.commit.unwrap();
    assert_eq!(content(&scratch.repo, &candidate, "g.txt"), "g");
    assert_eq!(git(&scratch.repo, ["rev-parse", "feature"]), feature);
}

#[test]
fn operations_in_progress_are_ended_without_changing_files() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    git(&scratch.repo, ["checkout", "-q", "-b", "side"]);
    write(&scratch.repo, "a.txt", "side\n");
    commit(&scratch.repo, "side");
    write(worktree.path(), "a.txt", "ours\n");
    let ours = commit(worktree.path(), "ours");
    for (n, operation) in [["merge", "side"], ["rebase", "side"], ["cherry-pick", "side"]].into_iter().enumerate() {
        git(worktree.path(), ["reset", "-q", "--hard", &ours]);
        assert!(!try_git(worktree.path(), operation).0, "{operation:?} has no conflict");
        let conflict = read(worktree.path(), "a.txt");
        let captured = capture(&worktree, &base, "m", &format!("op-{n}")).unwrap();
        assert_eq!(read(worktree.path(), "a.txt"), conflict);
        assert_eq!(content(&scratch.repo, captured.commit.as_ref().unwrap(), "a.txt"), conflict.trim_end());
        assert!(captured.kept.contains(&format!("refs/boi/kept/SD979/op-{n}-{}", &ours[..12])), "{captured:?}");
        assert_eq!(operation::in_progress(&worktree.place().unwrap()).unwrap(), None);
        assert_eq!(status(worktree.path()), "## boi/SD979\n M a.txt");
    }
    git(worktree.path(), ["bisect", "start"]);
    git(worktree.path(), ["bisect", "bad", "side"]);
    capture(&worktree, &base, "m", "bisect").unwrap();
    assert!(!git(worktree.path(), ["for-each-ref", "refs/bisect"]).contains("bisect"));
}

#[test]
fn no_flag_in_the_agents_index_hides_a_change() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    git(worktree.path(), ["update-index", "--assume-unchanged", "a.txt"]);
    git(worktree.path(), ["update-index", "--skip-worktree", "sub/run.sh"]);
    write(worktree.path(), "a.txt", "b\n");
    write(worktree.path(), "sub/run.sh", "#!/bin/no\n");
    write(worktree.path(), "forced.ignored", "forced\n");
    git(worktree.path(), ["add", "-f", "forced.ignored"]);
    let candidate = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
    assert_eq!(content(&scratch.repo, &candidate, "a.txt"), "b");
    assert_eq!(content(&scratch.repo, &candidate, "sub/run.sh"), "#!/bin/no");
    advance_branch(&worktree, &base, &candidate).unwrap();
    reset_to_commit(&worktree, &candidate, "t").unwrap();
    assert_eq!(read(worktree.path(), "forced.ignored"), "forced\n", "ignored files stay");
}

#[test]
fn nested_repositories_fail_a_capture_and_are_left_alone_by_a_reset() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    for name in ["plain", "in/side ü"] {
        let nested = worktree.path().join(name);
        fs::create_dir_all(&nested).unwrap();
        git(&nested, ["init", "-q"]);
        write(&nested, "n.txt", "n\n");
    }
    commit(&worktree.path().join("plain"), "nested");
    write(worktree.path(), "by.txt", "by-product\n");
    let Err(GitError::NestedRepositories { paths }) = capture(&worktree, &base, "m", "t") else {
        panic!("nothing failed")
    };
    assert_eq!(paths.iter().map(|p| p.to_str().unwrap()).collect::<Vec<_>>(), ["in/side ü", "plain"]);
    let kept = reset_to_commit(&worktree, &base, "s").unwrap();
    assert_eq!(
        git(&scratch.repo, ["ls-tree", "-r", "--name-only", &kept[0]]).lines().filter(|l| l.contains("n.txt")).count(),
        0
    );
    assert_eq!(content(&scratch.repo, &kept[0], "by.txt"), "by-product");
    assert!(!worktree.path().join("by.txt").exists());
    assert_eq!(read(worktree.path(), "plain/n.txt"), "n\n");
    assert_eq!(read(worktree.path(), "in/side ü/n.txt"), "n\n");
    fs::remove_dir_all(worktree.path().join("in")).unwrap();
    fs::remove_file(worktree.path().join("a.txt")).unwrap();
    fs::rename(worktree.path().join("plain"), worktree.path().join("a.txt")).unwrap();
    assert!(
        matches!(reset_to_commit(&worktree, &base, "s"), Err(GitError::NestedRepositories { .. })),
        "a file of the commit would replace a nested repository"
    );
    assert!(matches!(capture(&worktree, &base, "m", "t"), Err(GitError::NestedRepositories { .. })));
    assert_eq!(read(worktree.path(), "a.txt/n.txt"), "n\n");
    fs::remove_dir_all(worktree.path().join("a.txt/.git")).unwrap();
    git(&worktree.path().join("a.txt"), ["init", "-q"]);
    let Err(GitError::NestedRepositories { paths }) = capture(&worktree, &base, "m", "t") else {
        panic!("nothing failed")
    };
    assert_eq!(paths, [std::path::Path::new("a.txt")]);
}

#[test]
fn a_branch_that_was_moved_by_others_is_reported_and_unchanged() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "n.txt", "n\n");
    let candidate = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
    let other = commit(worktree.path(), "another's");
    let Err(GitError::Diverged { found, .. }) = advance_branch(&worktree, &base, &candidate) else {
        panic!("nothing failed")
    };
    assert_eq!(found, Some(other.clone()));
    assert!(matches!(reset_to_commit(&worktree, &base, "s"), Err(GitError::Diverged { .. })));
    assert_eq!(branch_head(&scratch.repo, worktree.spec()).unwrap(), Some(other.clone()));
    let kept = reset_branch(&worktree, &base, "back").unwrap();
    assert_eq!(kept, [format!("refs/boi/kept/SD979/back-{}", &other[..12])]);
    assert_eq!(reset_branch(&worktree, &base, "back").unwrap(), kept);
    assert_eq!(kept_refs(&worktree.repository().unwrap(), worktree.spec()).unwrap(), kept);
    advance_branch(&worktree, &base, &candidate).unwrap();
}

#[test]
fn a_repeated_reset_keeps_the_same_files_once() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "n.txt", "n\n");
    let kept = reset_to_commit(&worktree, &base, "s").unwrap();
    write(worktree.path(), "n.txt", "n\n");
    assert_eq!(reset_to_commit(&worktree, &base, "s").unwrap(), kept);
    assert_eq!(kept.len(), 1);
}

#[test]
fn a_directory_and_a_file_may_replace_each_other() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    fs::remove_dir_all(worktree.path().join("sub")).unwrap();
    fs::remove_file(worktree.path().join("a.txt")).unwrap();
    write(worktree.path(), "sub", "a file\n");
    write(worktree.path(), "a.txt/deep/x", "x\n");
    let candidate = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
    assert_eq!(content(&scratch.repo, &candidate, "a.txt/deep/x"), "x");
    reset_to_commit(&worktree, &base, "s").unwrap();
    assert_eq!(status(worktree.path()), "## boi/SD979");
    assert_eq!(read(worktree.path(), "a.txt"), "a\n");
}
