//! Whatever a try does with git, its files become one candidate on the base, and its commits are kept.

use std::fs;

use super::super::{Error, advance, branch_head, capture, entry, kept_refs, rewind, settle};
use super::{Scratch, commit, executable, git, head, read, status, try_git, write};

/// What `show` says a ref's path holds.
fn content(dir: &std::path::Path, revision: &str, path: &str) -> String {
    git(dir, ["show", &format!("{revision}:{path}")])
}

#[test]
fn files_become_a_candidate_that_the_branch_then_moves_to() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    write(at.path(), "a.txt", "changed\n");
    write(at.path(), "new/ü \n.txt", "new\n");
    write(at.path(), "new/tool", "tool\n");
    executable(&at.path().join("new/tool"));
    std::os::unix::fs::symlink("nowhere", at.path().join("dangling")).unwrap();
    write(at.path(), "x.ignored", "ignored\n");
    fs::remove_file(at.path().join("link")).unwrap();
    let before = scratch.users_things();

    let captured = capture(&at, &base, "Title\n\nBoi-Spec: SD979", "t-1").unwrap();
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
    assert_eq!(branch_head(&scratch.repo, at.spec()).unwrap(), Some(base.clone()), "the branch waits for the verdict");
    let lock = |name: &str| write(&scratch.repo, &format!(".git/refs/{name}.lock"), "");
    lock("boi/candidate/SD979");
    assert!(capture(&at, &base, "again", "t-1").unwrap().commit.is_some());

    lock("heads/boi/SD979");
    advance(&at, &base, &candidate).unwrap();
    advance(&at, &base, &candidate).unwrap();
    let settled = settle(&at, &candidate, "by-product").unwrap();
    assert_eq!(settled.kept, [""; 0]);
    assert_eq!(status(at.path()), "## boi/SD979");
    assert!(at.path().join("x.ignored").exists());
    assert_eq!(capture(&at, &candidate, "nothing", "t-2").unwrap().commit, None);
    assert_eq!(before, scratch.users_things());
}

#[test]
fn an_agents_commits_are_kept_and_become_part_of_the_candidate() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    write(at.path(), "one.txt", "1\n");
    let theirs = commit(at.path(), "agent's own");
    write(at.path(), "two.txt", "2\n");
    let captured = capture(&at, &base, "m", "t-1.1").unwrap();
    let candidate = captured.commit.unwrap();
    assert_eq!(captured.kept, [format!("refs/boi/kept/SD979/t-1.1-{}", &theirs[..12])]);
    assert_eq!(git(&scratch.repo, ["rev-parse", &format!("{candidate}^")]), base);
    assert_eq!(content(&scratch.repo, &candidate, "one.txt"), "1");
    assert_eq!(content(&scratch.repo, &candidate, "two.txt"), "2");
    assert_eq!(head(at.path()), base);
    assert_eq!(capture(&at, &base, "m", "t-1.1").unwrap().kept, captured.kept, "what was kept is told again");
}

#[test]
fn an_agent_may_switch_branches_or_detach_or_delete_the_branch() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    git(at.path(), ["checkout", "-q", "-b", "feature"]);
    write(at.path(), "f.txt", "f\n");
    let feature = commit(at.path(), "feature");
    git(at.path(), ["branch", "-q", "-D", "boi/SD979"]);
    git(at.path(), ["checkout", "-q", "--detach"]);
    write(at.path(), "g.txt", "g\n");
    let detached = commit(at.path(), "detached");
    git(at.path(), ["checkout", "-q", "--orphan", "orphan"]);
    let captured = capture(&at, &base, "m", "orphaned").unwrap();
    assert_eq!(captured.kept, [""; 0], "a HEAD without a commit holds nothing");
    git(at.path(), ["checkout", "-q", "-f", &detached]);
    let captured = capture(&at, &base, "m", "t").unwrap();
    assert_eq!(git(at.path(), ["symbolic-ref", "HEAD"]), "refs/heads/boi/SD979");
    assert_eq!(git(at.path(), ["rev-parse", &captured.kept[0]]), detached);
    let candidate = captured.commit.unwrap();
    assert_eq!(content(&scratch.repo, &candidate, "g.txt"), "g");
    assert_eq!(git(&scratch.repo, ["rev-parse", "feature"]), feature);
}

#[test]
fn operations_in_progress_are_ended_without_touching_files() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    git(&scratch.repo, ["checkout", "-q", "-b", "side"]);
    write(&scratch.repo, "a.txt", "side\n");
    commit(&scratch.repo, "side");
    write(at.path(), "a.txt", "ours\n");
    let ours = commit(at.path(), "ours");
    for (n, operation) in [["merge", "side"], ["rebase", "side"], ["cherry-pick", "side"]].into_iter().enumerate() {
        git(at.path(), ["reset", "-q", "--hard", &ours]);
        assert!(!try_git(at.path(), operation).0, "{operation:?} has no conflict");
        let conflict = read(at.path(), "a.txt");
        let captured = capture(&at, &base, "m", &format!("op-{n}")).unwrap();
        assert_eq!(read(at.path(), "a.txt"), conflict);
        assert_eq!(content(&scratch.repo, captured.commit.as_ref().unwrap(), "a.txt"), conflict.trim_end());
        assert!(captured.kept.contains(&format!("refs/boi/kept/SD979/op-{n}-{}", &ours[..12])), "{captured:?}");
        let own = entry::of_worktree(at.path()).unwrap();
        assert_eq!(entry::operation(&own), None);
        assert_eq!(status(at.path()), "## boi/SD979\n M a.txt");
    }
    git(at.path(), ["bisect", "start"]);
    git(at.path(), ["bisect", "bad", "side"]);
    capture(&at, &base, "m", "bisect").unwrap();
    assert!(!git(at.path(), ["for-each-ref", "refs/bisect"]).contains("bisect"));
}

#[test]
fn no_flag_in_the_agents_index_hides_a_change() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    git(at.path(), ["update-index", "--assume-unchanged", "a.txt"]);
    git(at.path(), ["update-index", "--skip-worktree", "sub/run.sh"]);
    write(at.path(), "a.txt", "b\n");
    write(at.path(), "sub/run.sh", "#!/bin/no\n");
    write(at.path(), "forced.ignored", "forced\n");
    git(at.path(), ["add", "-f", "forced.ignored"]);
    let candidate = capture(&at, &base, "m", "t").unwrap().commit.unwrap();
    assert_eq!(content(&scratch.repo, &candidate, "a.txt"), "b");
    assert_eq!(content(&scratch.repo, &candidate, "sub/run.sh"), "#!/bin/no");
    advance(&at, &base, &candidate).unwrap();
    settle(&at, &candidate, "t").unwrap();
    assert_eq!(read(at.path(), "forced.ignored"), "forced\n", "what git ignores stays");
}

#[test]
fn nested_repositories_are_an_error_in_a_candidate_and_left_alone_by_settle() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    for name in ["plain", "in/side ü"] {
        let nested = at.path().join(name);
        fs::create_dir_all(&nested).unwrap();
        git(&nested, ["init", "-q"]);
        write(&nested, "n.txt", "n\n");
    }
    commit(&at.path().join("plain"), "nested");
    write(at.path(), "by.txt", "by-product\n");
    let Err(Error::NestedRepository { paths }) = capture(&at, &base, "m", "t") else { panic!("it was captured") };
    assert_eq!(paths.iter().map(|p| p.to_str().unwrap()).collect::<Vec<_>>(), ["in/side ü", "plain"]);
    let settled = settle(&at, &base, "s").unwrap();
    assert_eq!(settled.nested, paths);
    assert_eq!(
        git(&scratch.repo, ["ls-tree", "-r", "--name-only", &settled.kept[0]])
            .lines()
            .filter(|l| l.contains("n.txt"))
            .count(),
        0
    );
    assert_eq!(content(&scratch.repo, &settled.kept[0], "by.txt"), "by-product");
    assert!(!at.path().join("by.txt").exists());
    assert_eq!(read(at.path(), "plain/n.txt"), "n\n");
    assert_eq!(read(at.path(), "in/side ü/n.txt"), "n\n");
    fs::remove_dir_all(at.path().join("in")).unwrap();
    fs::remove_file(at.path().join("a.txt")).unwrap();
    fs::rename(at.path().join("plain"), at.path().join("a.txt")).unwrap();
    assert!(
        matches!(settle(&at, &base, "s"), Err(Error::NestedRepository { .. })),
        "a file would replace a repository"
    );
    assert!(matches!(capture(&at, &base, "m", "t"), Err(Error::NestedRepository { .. })));
    assert_eq!(read(at.path(), "a.txt/n.txt"), "n\n");
    fs::remove_dir_all(at.path().join("a.txt/.git")).unwrap();
    git(&at.path().join("a.txt"), ["init", "-q"]);
    let Err(Error::NestedRepository { paths }) = capture(&at, &base, "m", "t") else { panic!("it was captured") };
    assert_eq!(paths, [std::path::Path::new("a.txt")]);
}

#[test]
fn a_branch_that_somebody_moved_is_reported_and_not_touched() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    write(at.path(), "n.txt", "n\n");
    let candidate = capture(&at, &base, "m", "t").unwrap().commit.unwrap();
    let other = commit(at.path(), "somebody's");
    let Err(Error::Diverged { found, .. }) = advance(&at, &base, &candidate) else { panic!("it was moved") };
    assert_eq!(found, Some(other.clone()));
    assert!(matches!(settle(&at, &base, "s"), Err(Error::Diverged { .. })));
    assert_eq!(branch_head(&scratch.repo, at.spec()).unwrap(), Some(other.clone()));
    let kept = rewind(&at, &base, "back").unwrap();
    assert_eq!(kept, [format!("refs/boi/kept/SD979/back-{}", &other[..12])]);
    assert_eq!(rewind(&at, &base, "back").unwrap(), kept);
    assert_eq!(kept_refs(&scratch.repo, at.spec()).unwrap(), kept);
    advance(&at, &base, &candidate).unwrap();
}

#[test]
fn a_settle_that_is_cut_off_keeps_once() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    write(at.path(), "n.txt", "n\n");
    let kept = settle(&at, &base, "s").unwrap().kept;
    write(at.path(), "n.txt", "n\n");
    assert_eq!(settle(&at, &base, "s").unwrap().kept, kept);
    assert_eq!(kept.len(), 1);
}

#[test]
fn a_directory_and_a_file_may_change_places() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    fs::remove_dir_all(at.path().join("sub")).unwrap();
    fs::remove_file(at.path().join("a.txt")).unwrap();
    write(at.path(), "sub", "a file\n");
    write(at.path(), "a.txt/deep/x", "x\n");
    let candidate = capture(&at, &base, "m", "t").unwrap().commit.unwrap();
    assert_eq!(content(&scratch.repo, &candidate, "a.txt/deep/x"), "x");
    settle(&at, &base, "s").unwrap();
    assert_eq!(status(at.path()), "## boi/SD979");
    assert_eq!(read(at.path(), "a.txt"), "a\n");
}
