//! Results reach their base by fast-forward only, and never through a checkout that is in use.

use super::super::{
    LandError, MergeError, Plan, PlanError, WorktreeLock, advance, capture, entry, fast_forward, merge_base, plan,
    settle,
};
use super::{Scratch, commit, git, head, read, status, try_git, write};

/// Finishes a task that writes one file, and returns the branch's new head.
fn finish(at: &WorktreeLock, base: &str, name: &str, content: &str) -> String {
    write(at.path(), name, content);
    let candidate = capture(at, base, "task", "t").unwrap().commit.unwrap();
    advance(at, base, &candidate).unwrap();
    settle(at, &candidate, "t").unwrap();
    candidate
}

#[test]
fn a_clean_checkout_moves_along_with_its_branch() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    assert_eq!(plan(&at, "main").unwrap(), Plan::AlreadyMerged);
    let done = finish(&at, &base, "n.txt", "n\n");
    write(&scratch.repo, "untracked.txt", "untracked\n");
    assert_eq!(plan(&at, "main").unwrap(), Plan::FastForward { from: base.clone(), head: done.clone() });
    fast_forward(&at, "main", &base, &done).unwrap();
    fast_forward(&at, "main", &base, &done).unwrap();
    assert_eq!(head(&scratch.repo), done);
    assert_eq!(read(&scratch.repo, "n.txt"), "n\n");
    assert_eq!(status(&scratch.repo), "## main\n?? untracked.txt");
    assert_eq!(plan(&at, "main").unwrap(), Plan::AlreadyMerged);
    for not_a_branch in [&base[..], "nonesuch"] {
        assert!(matches!(plan(&at, not_a_branch), Err(PlanError::NotABranch(_))));
    }
}

#[test]
fn a_checkout_in_use_is_refused_and_stays_as_it_is() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    let done = finish(&at, &base, "n.txt", "n\n");
    let refused = |what: &str, word: &str| {
        let before = scratch.users_things();
        match fast_forward(&at, "main", &base, &done) {
            Err(LandError::Refused(reason)) => assert!(reason.contains(word), "{what}: {reason}"),
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(before, scratch.users_things(), "{what}");
    };
    write(&scratch.repo, "a.txt", "dirty\n");
    refused("a changed file", "changes");
    git(&scratch.repo, ["add", "a.txt"]);
    refused("a staged file", "changes");
    git(&scratch.repo, ["reset", "-q", "--hard"]);
    write(&scratch.repo, "n.txt", "mine\n");
    refused("an untracked file in the way", "n.txt");
    assert_eq!(read(&scratch.repo, "n.txt"), "mine\n");
    write(&scratch.repo, ".git/info/exclude", "n.txt\n");
    refused("an ignored file in the way", "n.txt");
    assert_eq!(read(&scratch.repo, "n.txt"), "mine\n");
    std::fs::remove_file(scratch.repo.join("n.txt")).unwrap();
    git(&scratch.repo, ["bisect", "start"]);
    refused("a bisect", "bisect");
    git(&scratch.repo, ["bisect", "reset"]);
    git(&scratch.repo, ["branch", "side"]);
    git(&scratch.repo, ["merge", "-q", "--no-ff", "--no-commit", &done]);
    refused("a merge", "merge");
    git(&scratch.repo, ["merge", "--abort"]);
    fast_forward(&at, "main", &base, &done).unwrap();
}

#[test]
fn a_refusal_leaves_the_users_orig_head() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    let done = finish(&at, &base, "n.txt", "n\n");
    write(&scratch.repo, "n.txt", "mine\n");
    let orig_head = scratch.repo.join(".git/ORIG_HEAD");
    for before in [None, Some(format!("{done}\n"))] {
        if let Some(before) = &before {
            std::fs::write(&orig_head, before).unwrap();
        }
        assert!(matches!(fast_forward(&at, "main", &base, &done), Err(LandError::Refused(_))));
        assert_eq!(std::fs::read_to_string(&orig_head).ok(), before);
    }
    std::fs::remove_file(scratch.repo.join("n.txt")).unwrap();
    write(&scratch.repo, ".git/index.lock", "");
    let before = scratch.users_things();
    match fast_forward(&at, "main", &base, &done) {
        Err(LandError::Refused(reason)) => assert!(reason.contains("index.lock"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(before, scratch.users_things());
    std::fs::remove_file(scratch.repo.join(".git/index.lock")).unwrap();
    fast_forward(&at, "main", &base, &done).unwrap();
}

#[test]
fn a_rebase_of_the_base_is_an_operation_though_its_head_is_detached() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    git(&scratch.repo, ["checkout", "-q", "-b", "side"]);
    write(&scratch.repo, "a.txt", "side\n");
    commit(&scratch.repo, "side");
    git(&scratch.repo, ["checkout", "-q", "main"]);
    write(&scratch.repo, "a.txt", "main\n");
    let main = commit(&scratch.repo, "main");
    assert!(!try_git(&scratch.repo, ["rebase", "side"]).0);
    let done = finish(&at, &base, "n.txt", "n\n");
    let merged = merge_base(&at, &main, "merge").unwrap();
    assert_ne!(merged, done);
    let refusal = fast_forward(&at, "main", &main, &merged).unwrap_err();
    assert!(matches!(&refusal, LandError::Refused(reason) if reason.contains("rebase")), "{refusal}");
    assert_eq!(git(&scratch.repo, ["rev-parse", "main"]), main);
}

#[test]
fn a_base_that_is_checked_out_nowhere_or_in_a_linked_worktree_moves() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    let done = finish(&at, &base, "n.txt", "n\n");
    git(&scratch.repo, ["checkout", "-q", "-b", "elsewhere"]);
    let before = scratch.users_things()[2..].to_vec();
    git(&scratch.repo, ["branch", "bare-base", &base]);
    fast_forward(&at, "bare-base", &base, &done).unwrap();
    assert_eq!(git(&scratch.repo, ["rev-parse", "bare-base"]), done);
    assert_eq!(before, scratch.users_things()[2..].to_vec());
    let linked = scratch.dir.path().join("linked\n\nworktree");
    git(&scratch.repo, ["worktree", "add", "-q", linked.to_str().unwrap(), "main"]);
    write(&linked, "a.txt", "dirty\n");
    assert!(matches!(fast_forward(&at, "main", &base, &done), Err(LandError::Refused(_))));
    git(&linked, ["checkout", "-q", "--", "a.txt"]);
    fast_forward(&at, "main", &base, &done).unwrap();
    assert_eq!(status(&linked), "## main");
    assert_eq!(read(&linked, "n.txt"), "n\n");
}

#[test]
fn a_base_that_moved_is_merged_into_the_branch_first() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    let done = finish(&at, &base, "n.txt", "n\n");
    write(&scratch.repo, "m.txt", "m\n");
    let moved = commit(&scratch.repo, "meanwhile");
    assert!(matches!(fast_forward(&at, "main", &base, &done), Err(LandError::BaseMoved)));
    assert!(matches!(fast_forward(&at, "main", &moved, &done), Err(LandError::BaseMoved)));
    assert_eq!(plan(&at, "main").unwrap(), Plan::NeedsMerge { from: moved.clone() });
    let before = scratch.users_things();
    let merge = merge_base(&at, &moved, "Merge main\n\nBoi-Spec: SD979").unwrap();
    assert_eq!(merge_base(&at, &moved, "again").unwrap(), merge);
    assert_eq!(before, scratch.users_things());
    assert_eq!(git(&scratch.repo, ["show", "-s", "--format=%P|%s", &merge]), format!("{done} {moved}|Merge main"));
    assert_eq!(status(at.path()), "## boi/SD979");
    assert_eq!(plan(&at, "main").unwrap(), Plan::FastForward { from: moved.clone(), head: merge.clone() });
    fast_forward(&at, "main", &moved, &merge).unwrap();
    assert_eq!(head(&scratch.repo), merge);
}

#[test]
fn conflicts_are_named_and_leave_branch_and_files_as_before() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    let done = finish(&at, &base, "a.txt", "ours\n");
    write(&scratch.repo, "a.txt", "theirs\n");
    write(&scratch.repo, "added.txt", "added\n");
    let moved = commit(&scratch.repo, "meanwhile");
    for _ in 0..2 {
        let Err(MergeError::Conflicts { paths }) = merge_base(&at, &moved, "m") else { panic!("it was merged") };
        assert_eq!(paths, [std::path::Path::new("a.txt")]);
        assert_eq!(head(at.path()), done);
        assert_eq!(status(at.path()), "## boi/SD979");
        assert_eq!(read(at.path(), "a.txt"), "ours\n");
        assert_eq!(entry::operation(&entry::of_worktree(at.path()).unwrap()), None);
    }
}

#[test]
fn a_merge_that_was_cut_off_is_made_again() {
    let scratch = Scratch::new();
    let (at, base) = scratch.laid();
    let done = finish(&at, &base, "n.txt", "n\n");
    write(&scratch.repo, "m.txt", "m\n");
    let moved = commit(&scratch.repo, "meanwhile");
    git(at.path(), ["merge", "-q", "--no-commit", "--no-ff", &moved]);
    std::fs::write(entry::of_worktree(at.path()).unwrap().join("index.lock"), "").unwrap();
    let merge = merge_base(&at, &moved, "m").unwrap();
    assert_eq!(git(&scratch.repo, ["show", "-s", "--format=%P", &merge]), format!("{done} {moved}"));
    assert_eq!(status(at.path()), "## boi/SD979");
}
