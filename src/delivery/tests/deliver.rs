//! A branch reaches its base by fast-forward only, and a checkout that is in use is never changed.

use crate::delivery::deliver::{
    BuiltBatch, Candidate, Merged, build_batch, lay_batch, merge_into_files, remove_lander,
};
use crate::delivery::{DeliveryError, FastForward, fast_forward_base};
use crate::domain::delivery::{GitOperation, MergeRefusal};
use crate::domain::id::SpecId;
use crate::git::tests::{Scratch, commit, git, head, read, status, try_git, write};
use crate::git::{LockedWorktree, advance_branch, capture, capture_merge, operation, reset_to_commit};

/// Commits a file on the branch, as a finished task does, and returns the branch's new commit.
fn finish(worktree: &LockedWorktree, base: &str, name: &str, content: &str) -> String {
    write(worktree.path(), name, content);
    let candidate = capture(worktree, base, "task", "t").unwrap().commit.unwrap();
    advance_branch(worktree, base, &candidate).unwrap();
    reset_to_commit(worktree, &candidate, "t").unwrap();
    candidate
}

#[test]
fn a_clean_checkout_moves_along_with_its_branch() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    write(&scratch.repo, "untracked.txt", "untracked\n");
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
    assert_eq!(head(&scratch.repo), done);
    assert_eq!(read(&scratch.repo, "n.txt"), "n\n");
    assert_eq!(status(&scratch.repo), "## main\n?? untracked.txt");
}

#[test]
fn a_checkout_in_use_is_refused_and_unchanged() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    let refused = |what: &str, expected: MergeRefusal| {
        let before = scratch.users_state();
        match fast_forward_base(&worktree, "main", &base, &done) {
            Err(DeliveryError::Refused(refusal)) => assert_eq!(refusal, expected, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(before, scratch.users_state(), "{what}");
    };
    let main = || "main".to_owned();
    let checkout = || scratch.repo.display().to_string();
    let dirty = || MergeRefusal::CheckoutDirty { base: main(), checkout: checkout() };
    let in_the_way =
        || MergeRefusal::FilesInTheWay { base: main(), checkout: checkout(), files: vec!["n.txt".to_owned()] };
    let in_progress = |operation| MergeRefusal::OperationInProgress { base: main(), checkout: checkout(), operation };
    write(&scratch.repo, "a.txt", "dirty\n");
    refused("a changed file", dirty());
    git(&scratch.repo, ["add", "a.txt"]);
    refused("a staged file", dirty());
    git(&scratch.repo, ["reset", "-q", "--hard"]);
    write(&scratch.repo, "n.txt", "mine\n");
    refused("an untracked file in the way", in_the_way());
    assert_eq!(read(&scratch.repo, "n.txt"), "mine\n");
    write(&scratch.repo, ".git/info/exclude", "n.txt\n");
    refused("an ignored file in the way", in_the_way());
    assert_eq!(read(&scratch.repo, "n.txt"), "mine\n");
    std::fs::remove_file(scratch.repo.join("n.txt")).unwrap();
    git(&scratch.repo, ["bisect", "start"]);
    refused("a bisect", in_progress(GitOperation::Bisect));
    git(&scratch.repo, ["bisect", "reset"]);
    git(&scratch.repo, ["branch", "side"]);
    git(&scratch.repo, ["merge", "-q", "--no-ff", "--no-commit", &done]);
    refused("a merge", in_progress(GitOperation::Merge));
    git(&scratch.repo, ["merge", "--abort"]);
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
}

#[test]
fn a_checkout_whose_git_directory_is_a_symbolic_link_moves_along() {
    for store in ["store.git", "store/.git"] {
        let scratch = Scratch::new();
        let (store, link) = (scratch.dir.path().join(store), scratch.repo.join(".git"));
        std::fs::create_dir_all(store.parent().unwrap()).unwrap();
        std::fs::rename(&link, &store).unwrap();
        std::os::unix::fs::symlink(&store, &link).unwrap();
        let (worktree, base) = scratch.create();
        let done = finish(&worktree, &base, "n.txt", "n\n");
        let moved = fast_forward_base(&worktree, "main", &base, &done);
        assert_eq!(moved.unwrap(), FastForward::Done, "{store:?}");
        assert_eq!(status(&scratch.repo), "## main");
        assert_eq!(read(&scratch.repo, "n.txt"), "n\n");
    }
}

#[test]
fn a_checkout_whose_repository_is_called_bare_is_refused() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    git(&scratch.repo, ["config", "core.bare", "true"]);
    match fast_forward_base(&worktree, "main", &base, &done) {
        Err(DeliveryError::Refused(refusal @ MergeRefusal::CheckoutUnreadable { .. })) => {
            assert!(refusal.to_string().contains("core.bare"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(head(&scratch.repo), base);
    git(&scratch.repo, ["config", "core.bare", "false"]);
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
}

#[test]
fn a_refused_fast_forward_leaves_orig_head_unchanged() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    write(&scratch.repo, "n.txt", "mine\n");
    let orig_head = scratch.repo.join(".git/ORIG_HEAD");
    for before in [None, Some(format!("{done}\n"))] {
        if let Some(before) = &before {
            std::fs::write(&orig_head, before).unwrap();
        }
        assert!(matches!(fast_forward_base(&worktree, "main", &base, &done), Err(DeliveryError::Refused(_))));
        assert_eq!(std::fs::read_to_string(&orig_head).ok(), before);
    }
    std::fs::remove_file(scratch.repo.join("n.txt")).unwrap();
    write(&scratch.repo, ".git/index.lock", "");
    let before = scratch.users_state();
    match fast_forward_base(&worktree, "main", &base, &done) {
        Err(DeliveryError::Refused(refusal @ MergeRefusal::CheckoutLocked { .. })) => {
            assert!(refusal.to_string().contains("index.lock"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(before, scratch.users_state());
    std::fs::remove_file(scratch.repo.join(".git/index.lock")).unwrap();
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
}

#[test]
fn a_git_command_of_the_user_that_is_about_to_end_is_waited_for() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    write(&scratch.repo, ".git/index.lock", "");
    let lock = scratch.repo.join(".git/index.lock");
    let folder = scratch.repo.join(".git/boi");
    std::thread::scope(|threads| {
        threads.spawn(|| {
            // The delivery has begun, so it finds the lock.
            while !folder.exists() {
                std::thread::yield_now();
            }
            std::fs::remove_file(&lock).unwrap();
        });
        assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
    });
    assert_eq!(read(&scratch.repo, "n.txt"), "n\n");
}

#[test]
fn a_rebase_of_the_base_is_refused_although_head_is_detached() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    git(&scratch.repo, ["checkout", "-q", "-b", "side"]);
    write(&scratch.repo, "a.txt", "side\n");
    commit(&scratch.repo, "side");
    git(&scratch.repo, ["checkout", "-q", "main"]);
    write(&scratch.repo, "a.txt", "main\n");
    let main = commit(&scratch.repo, "main");
    assert!(!try_git(&scratch.repo, ["rebase", "side"]).0);
    let done = finish(&worktree, &base, "n.txt", "n\n");
    let merged = git(worktree.path(), ["merge", "-q", "--no-edit", &main]);
    assert_eq!(merged, "");
    let merged = head(worktree.path());
    assert_ne!(merged, done);
    let refusal = fast_forward_base(&worktree, "main", &main, &merged).unwrap_err();
    let DeliveryError::Refused(MergeRefusal::OperationInProgress { operation, .. }) = refusal else {
        panic!("{refusal}");
    };
    assert_eq!(operation, GitOperation::Rebase);
    assert_eq!(git(&scratch.repo, ["rev-parse", "main"]), main);
}

#[test]
fn a_base_moves_if_it_is_not_checked_out_or_in_a_clean_linked_worktree() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    git(&scratch.repo, ["checkout", "-q", "-b", "elsewhere"]);
    let before = scratch.users_state()[2..].to_vec();
    git(&scratch.repo, ["branch", "bare-base", &base]);
    assert_eq!(fast_forward_base(&worktree, "bare-base", &base, &done).unwrap(), FastForward::Done);
    assert_eq!(git(&scratch.repo, ["rev-parse", "bare-base"]), done);
    assert_eq!(before, scratch.users_state()[2..].to_vec());
    let linked = scratch.dir.path().join("linked\n\nworktree");
    git(&scratch.repo, ["worktree", "add", "-q", linked.to_str().unwrap(), "main"]);
    write(&linked, "a.txt", "dirty\n");
    assert!(matches!(fast_forward_base(&worktree, "main", &base, &done), Err(DeliveryError::Refused(_))));
    git(&linked, ["checkout", "-q", "--", "a.txt"]);
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
    assert_eq!(status(&linked), "## main");
    assert_eq!(read(&linked, "n.txt"), "n\n");
}

#[test]
fn a_base_that_moved_is_not_moved_again() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    write(&scratch.repo, "m.txt", "m\n");
    let moved = commit(&scratch.repo, "meanwhile");
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::BaseMoved);
    assert_eq!(fast_forward_base(&worktree, "main", &moved, &done).unwrap(), FastForward::BaseMoved);
}

/// A lander, and the branches `boi/S000N` of specs, each of which sets one file.
struct Landers {
    scratch: Scratch,
    lander: LockedWorktree,
}

impl Landers {
    fn new() -> Landers {
        let scratch = Scratch::new();
        let lander = scratch.worktree("LD979").lock().unwrap();
        Landers { scratch, lander }
    }

    /// Commits a file on a new branch of a spec, which starts at `base`.
    fn branch(&self, spec: &str, base: &str, name: &str, content: &str) -> String {
        let repo = &self.scratch.repo;
        git(repo, ["checkout", "-q", "-b", &format!("boi/{spec}"), base]);
        write(repo, name, content);
        let head = commit(repo, spec);
        git(repo, ["checkout", "-q", "main"]);
        head
    }

    fn build(&self, specs: &[&str]) -> BuiltBatch {
        let ids: Vec<SpecId> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
        let candidates: Vec<_> = ids.iter().map(|spec| Candidate { spec, message: format!("Merge {spec}") }).collect();
        build_batch(&self.lander, "refs/heads/main", &candidates).unwrap()
    }
}

#[test]
fn a_batch_contains_all_branches_that_do_not_conflict_and_moves_none_of_them() {
    let landers = Landers::new();
    let repo = &landers.scratch.repo;
    let base = head(repo);
    let first = landers.branch("S0001", "main", "one.txt", "1\n");
    let second = landers.branch("S0002", "main", "two.txt", "2\n");
    landers.branch("S0003", "main", "one.txt", "other\n");
    let fourth = landers.branch("S0004", "boi/S0002", "four.txt", "4\n");
    let before = landers.scratch.users_state();
    for _ in 0..2 {
        let built = landers.build(&["S0001", "S0002", "S0003", "S0004", "S0009"]);
        let joined = |head: &String| Merged::Joined(head.clone());
        let expected = [joined(&first), joined(&second), Merged::Postponed, joined(&fourth), Merged::NoBranch];
        assert_eq!((built.from.as_str(), &built.merged[..]), (base.as_str(), &expected[..]));
        assert_eq!(git(repo, ["show", "--format=", "--name-only", "-m", "--first-parent", &built.tip]), "four.txt");
        let files = git(repo, ["ls-tree", "-r", "--name-only", &built.tip]);
        assert!(["one.txt", "two.txt", "four.txt"].iter().all(|name| files.contains(name)), "{files}");
        assert_eq!(git(repo, ["show", &format!("{}:one.txt", built.tip)]), "1");
    }
    assert_eq!(git(repo, ["rev-parse", "boi/S0001", "boi/S0002"]), format!("{first}\n{second}"));
    assert_eq!(before[1..], landers.scratch.users_state()[1..]);
}

#[test]
fn a_single_branch_on_the_base_is_fast_forwarded_and_one_that_is_in_it_is_contained() {
    let landers = Landers::new();
    let repo = &landers.scratch.repo;
    let first = landers.branch("S0001", "main", "one.txt", "1\n");
    let built = landers.build(&["S0001"]);
    assert_eq!((built.tip, &built.merged[..]), (first.clone(), &[Merged::Joined(first.clone())][..]));
    assert!(!landers.lander.path().exists(), "no worktree is needed");
    git(repo, ["merge", "-q", "--squash", "boi/S0001"]);
    let squashed = commit(repo, "squashed by hand");
    let built = landers.build(&["S0001"]);
    assert_eq!((built.tip, &built.merged[..]), (squashed, &[Merged::Contained][..]));
}

#[test]
fn a_branch_that_conflicts_with_the_base_is_left_out_and_its_files_are_named() {
    let landers = Landers::new();
    let repo = &landers.scratch.repo;
    landers.branch("S0001", "main", "a.txt", "ours\n");
    let second = landers.branch("S0002", "main", "two.txt", "2\n");
    write(repo, "a.txt", "theirs\n");
    commit(repo, "meanwhile");
    let conflicts = || Merged::Conflicts(vec!["a.txt".into()]);
    assert_eq!(landers.build(&["S0001", "S0002"]).merged, [conflicts(), Merged::Joined(second.clone())]);
    let built = landers.build(&["S0002", "S0001"]);
    assert_eq!(built.merged, [Merged::Joined(second), conflicts()]);
    lay_batch(&landers.lander, &built.tip).unwrap();
    assert_eq!(status(landers.lander.path()), "## boi/LD979");
    assert_eq!(operation::in_progress(&landers.lander.place().unwrap()).unwrap(), None);
    write(landers.lander.path(), "left-by-a-verify-command", "x\n");
    for _ in 0..2 {
        remove_lander(&landers.lander).unwrap();
        assert!(!landers.lander.path().exists());
        assert_eq!(git(repo, ["for-each-ref", "--format=%(refname)", "refs/boi", "refs/heads/boi/LD979"]), "");
    }
}

#[test]
fn a_batch_whose_build_was_killed_is_built_again() {
    let landers = Landers::new();
    let repo = &landers.scratch.repo;
    let first = landers.branch("S0001", "main", "one.txt", "1\n");
    write(repo, "m.txt", "m\n");
    let base = commit(repo, "meanwhile");
    let built = landers.build(&["S0001"]);
    git(landers.lander.path(), ["reset", "-q", "--hard", &base]);
    git(landers.lander.path(), ["merge", "-q", "--no-commit", "--no-ff", &first]);
    let entry = std::path::PathBuf::from(git(landers.lander.path(), ["rev-parse", "--absolute-git-dir"]));
    std::fs::write(entry.join("index.lock"), "").unwrap();
    let again = landers.build(&["S0001"]);
    assert_eq!((&again.from, &again.tree), (&built.from, &built.tree));
    assert_eq!(git(repo, ["show", "-s", "--format=%P", &again.tip]), format!("{base} {first}"));
    assert_eq!(status(landers.lander.path()), "## boi/LD979");
    // A worktree without an index looks like one whose creation was interrupted, so its files are kept at first.
    std::fs::remove_file(entry.join("index")).unwrap();
    write(landers.lander.path(), "half", "x\n");
    assert_eq!(landers.build(&["S0001"]).tree, built.tree);
    let refs = || git(repo, ["for-each-ref", "--format=%(refname)", "refs/boi", "refs/heads/boi/LD979"]);
    assert!(refs().contains("refs/boi/kept/LD979/landing-"), "{}", refs());
    remove_lander(&landers.lander).unwrap();
    assert_eq!(refs(), "");
}

#[test]
fn a_commit_that_is_merged_into_the_files_becomes_the_second_parent_of_the_candidate() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "a.txt", "ours\n");
    write(&scratch.repo, "a.txt", "theirs\n");
    let moved = commit(&scratch.repo, "meanwhile");
    merge_into_files(&worktree, &moved).unwrap();
    assert!(read(worktree.path(), "a.txt").contains("<<<<<<<"));
    assert_eq!(operation::in_progress(&worktree.place().unwrap()).unwrap(), None);
    for (resolved, is_same) in [("both\n", false), ("ours\n", true)] {
        write(worktree.path(), "a.txt", resolved);
        let candidate = capture_merge(&worktree, &done, Some(&moved), "resolved", "t").unwrap().commit.unwrap();
        assert_eq!(git(&scratch.repo, ["show", "-s", "--format=%P", &candidate]), format!("{done} {moved}"));
        let tree = |commit: &str| git(&scratch.repo, ["rev-parse", &format!("{commit}^{{tree}}")]);
        assert_eq!(tree(&candidate) == tree(&done), is_same);
    }
}
