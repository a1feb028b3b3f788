//! A branch reaches its base by fast-forward only, and a checkout that is in use is never changed.

use crate::delivery::{
    DeliveryError, DeliveryPlan, FastForward, fast_forward_base, merge_base_into_branch, plan_delivery,
};
use crate::domain::delivery::{GitOperation, MergeRefusal};
use crate::git::tests::{Scratch, commit, git, head, read, status, try_git, write};
use crate::git::{LockedWorktree, advance_branch, capture, operation, reset_to_commit};

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
    assert_eq!(plan_delivery(&worktree, "main").unwrap(), DeliveryPlan::AlreadyMerged);
    let done = finish(&worktree, &base, "n.txt", "n\n");
    write(&scratch.repo, "untracked.txt", "untracked\n");
    assert_eq!(
        plan_delivery(&worktree, "main").unwrap(),
        DeliveryPlan::FastForward { from: base.clone(), head: done.clone() }
    );
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::Done);
    assert_eq!(head(&scratch.repo), done);
    assert_eq!(read(&scratch.repo, "n.txt"), "n\n");
    assert_eq!(status(&scratch.repo), "## main\n?? untracked.txt");
    assert_eq!(plan_delivery(&worktree, "main").unwrap(), DeliveryPlan::AlreadyMerged);
    for not_a_branch in [&base[..], "nonesuch"] {
        assert!(matches!(
            plan_delivery(&worktree, not_a_branch),
            Err(DeliveryError::Refused(MergeRefusal::BaseNotLocalBranch { .. }))
        ));
    }
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
    let merged = merge_base_into_branch(&worktree, "main", &main, "merge").unwrap();
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
fn a_base_that_moved_is_merged_into_the_branch_first() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    write(&scratch.repo, "m.txt", "m\n");
    let moved = commit(&scratch.repo, "meanwhile");
    assert_eq!(fast_forward_base(&worktree, "main", &base, &done).unwrap(), FastForward::BaseMoved);
    assert_eq!(fast_forward_base(&worktree, "main", &moved, &done).unwrap(), FastForward::BaseMoved);
    assert_eq!(plan_delivery(&worktree, "main").unwrap(), DeliveryPlan::NeedsMerge { from: moved.clone() });
    let before = scratch.users_state();
    let merge = merge_base_into_branch(&worktree, "main", &moved, "Merge main\n\nBoi-Spec: SD979").unwrap();
    assert_eq!(merge_base_into_branch(&worktree, "main", &moved, "again").unwrap(), merge);
    assert_eq!(before, scratch.users_state());
    assert_eq!(git(&scratch.repo, ["show", "-s", "--format=%P|%s", &merge]), format!("{done} {moved}|Merge main"));
    assert_eq!(status(worktree.path()), "## boi/SD979");
    assert_eq!(
        plan_delivery(&worktree, "main").unwrap(),
        DeliveryPlan::FastForward { from: moved.clone(), head: merge.clone() }
    );
    assert_eq!(fast_forward_base(&worktree, "main", &moved, &merge).unwrap(), FastForward::Done);
    assert_eq!(head(&scratch.repo), merge);
}

#[test]
fn conflicts_are_listed_and_leave_branch_and_files_unchanged() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "a.txt", "ours\n");
    write(&scratch.repo, "a.txt", "theirs\n");
    write(&scratch.repo, "added.txt", "added\n");
    let moved = commit(&scratch.repo, "meanwhile");
    for _ in 0..2 {
        let merged = merge_base_into_branch(&worktree, "main", &moved, "m");
        let Err(DeliveryError::Refused(refusal)) = merged else { panic!("{merged:?}") };
        let expected = MergeRefusal::Conflicts { base: "main".to_owned(), files: vec!["a.txt".to_owned()] };
        assert_eq!(refusal, expected);
        assert_eq!(head(worktree.path()), done);
        assert_eq!(status(worktree.path()), "## boi/SD979");
        assert_eq!(read(worktree.path(), "a.txt"), "ours\n");
        assert_eq!(operation::in_progress(&worktree.place().unwrap()).unwrap(), None);
    }
}

#[test]
fn a_merge_that_was_killed_is_repeated() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let done = finish(&worktree, &base, "n.txt", "n\n");
    write(&scratch.repo, "m.txt", "m\n");
    let moved = commit(&scratch.repo, "meanwhile");
    git(worktree.path(), ["merge", "-q", "--no-commit", "--no-ff", &moved]);
    let entry = std::path::PathBuf::from(git(worktree.path(), ["rev-parse", "--absolute-git-dir"]));
    std::fs::write(entry.join("index.lock"), "").unwrap();
    let merge = merge_base_into_branch(&worktree, "main", &moved, "m").unwrap();
    assert_eq!(git(&scratch.repo, ["show", "-s", "--format=%P", &merge]), format!("{done} {moved}"));
    assert_eq!(status(worktree.path()), "## boi/SD979");
}
