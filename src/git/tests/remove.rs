//! After its removal, a worktree leaves only its branch, and refs that keep work which no branch contains.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::{Scratch, commit, git, head, read, status, write};
use crate::git::{
    CheckedFiles, GitError, LockedWorktree, MergeState, RemovalRefusal, RemoveError, advance_branch, branch_head,
    capture, check_removal, delete_branch, discard_worktree, merge_state, read_file_times, remove_checked_worktree,
    remove_worktree, reset_checked_to_commit, take_snapshot,
};

#[test]
fn unique_work_is_kept_and_everything_else_is_removed() {
    let scratch = Scratch::new();
    let before = scratch.users_state();
    let (worktree, base) = scratch.create();
    git(worktree.path(), ["checkout", "-q", "--detach"]);
    write(worktree.path(), "committed.txt", "c\n");
    let detached = commit(worktree.path(), "detached");
    write(worktree.path(), "uncommitted.txt", "u\n");
    write(worktree.path(), "cache.ignored/deep/x", "x\n");
    fs::set_permissions(worktree.path().join("cache.ignored/deep"), fs::Permissions::from_mode(0o555)).unwrap();
    let kept = remove_worktree(&worktree, "clean").unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().any(|name| git(&scratch.repo, ["rev-parse", name]) == detached));
    let files: Vec<_> = kept.iter().map(|name| git(&scratch.repo, ["ls-tree", "--name-only", name])).collect();
    assert!(files.iter().any(|names| names.contains("uncommitted.txt")));
    assert!(!worktree.path().exists());
    assert!(!scratch.repo.join(".git/worktrees").exists());
    assert_eq!(fs::read_dir(worktree.path().parent().unwrap()).unwrap().count(), 0);
    assert_eq!(branch_head(&scratch.repo, worktree.spec()).unwrap(), Some(base));
    assert_eq!(before, scratch.users_state());
    assert_eq!(remove_worktree(&worktree, "again").unwrap(), [""; 0]);
}

#[test]
fn a_worktree_without_unique_work_leaves_no_ref() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    write(worktree.path(), "x.ignored", "x\n");
    git(worktree.path(), ["checkout", "-q", "-b", "theirs"]);
    commit_on(&worktree);
    assert_eq!(remove_worktree(&worktree, "clean").unwrap().len(), 1, "the spec's branch lacks the files");
    drop(worktree);
    let (worktree, _) = scratch.create();
    assert_eq!(remove_worktree(&worktree, "clean-2").unwrap(), [""; 0]);
}

#[test]
fn files_that_were_written_after_the_check_are_kept() {
    let scratch = Scratch::new();
    type Write<'a> = &'a dyn Fn(&LockedWorktree);
    let writes: [(&str, Write<'_>, usize); 4] = [
        ("nothing", &|_| {}, 0),
        ("a new file", &|worktree| write(worktree.path(), "new", "new\n"), 1),
        ("the same file", &|worktree| write(worktree.path(), "a.txt", "b\n"), 1),
        (
            "a commit that only HEAD names",
            &|worktree| {
                git(worktree.path(), ["checkout", "-q", "--detach"]);
                git(worktree.path(), ["commit", "-q", "--allow-empty", "-m", "detached"]);
            },
            1,
        ),
    ];
    for (what, write, kept) in writes {
        let (worktree, base) = scratch.create();
        let times = read_file_times(worktree.path());
        write(&worktree);
        let checked = CheckedFiles::new(&base, times).unwrap();
        let found = remove_checked_worktree(&worktree, "check", Some(&checked), &[]).unwrap();
        assert_eq!((found.len(), worktree.path().exists()), (kept, false), "{what}");
        for name in found {
            git(&scratch.repo, ["update-ref", "-d", &name]);
        }
    }
    // The branch is at another commit than the files.
    let (worktree, base) = scratch.create();
    write(worktree.path(), "new", "new\n");
    let times = read_file_times(worktree.path());
    write(&scratch.repo, "user", "x\n");
    git(&scratch.repo, ["update-ref", "refs/heads/boi/SD979", &commit(&scratch.repo, "user's")]);
    let checked = CheckedFiles::new(&base, times).unwrap();
    assert_eq!(remove_checked_worktree(&worktree, "check", Some(&checked), &[]).unwrap().len(), 1);
}

#[test]
fn a_reset_to_a_candidate_undoes_what_was_written_after_the_capture() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "new", "new\n");
    let times = read_file_times(worktree.path());
    let candidate = capture(&worktree, &base, "message", "t-1").unwrap().commit.unwrap();
    let checked = CheckedFiles::new(&candidate, times);
    advance_branch(&worktree, &base, &candidate).unwrap();
    let reset = || reset_checked_to_commit(&worktree, &candidate, "t-1", checked.as_ref()).unwrap().kept;
    assert_eq!((reset(), status(worktree.path())), (vec![], "## boi/SD979".to_owned()));
    let writes: [&dyn Fn(); 3] =
        [&|| write(worktree.path(), "new", "NEW\n"), &|| write(worktree.path(), "sub/other", "other\n"), &|| {
            fs::remove_file(worktree.path().join("a.txt")).unwrap()
        }];
    for (index, write) in writes.iter().enumerate() {
        write();
        assert_eq!((reset().len(), status(worktree.path())), (index + 1, "## boi/SD979".to_owned()));
    }
}

#[test]
fn a_nested_repository_that_a_verify_command_made_is_not_removed() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let nested = worktree.path().join("nested");
    fs::create_dir(&nested).unwrap();
    git(&nested, ["init", "-q"]);
    write(&nested, "n.txt", "n\n");
    commit(&nested, "nested");
    let reset = reset_checked_to_commit(&worktree, &base, "t-1", None).unwrap();
    assert!(!reset.is_complete, "the nested repository was not compared");
    let removed = remove_worktree(&worktree, "t-1");
    assert!(matches!(removed, Err(RemoveError::Refused(RemovalRefusal::NestedRepositories { .. }))), "{removed:?}");
    assert_eq!(read(&nested, "n.txt"), "n\n");
    fs::remove_dir_all(&nested).unwrap();
    assert!(reset_checked_to_commit(&worktree, &base, "t-1", None).unwrap().is_complete);
    remove_worktree(&worktree, "t-1").unwrap();
}

#[test]
fn a_removal_ignores_the_locks_of_refs_that_a_killed_daemon_left() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "new", "new\n");
    capture(&worktree, &base, "message", "t-1").unwrap();
    take_snapshot(&worktree, "marker").unwrap();
    git(&scratch.repo, ["fsck", "--strict"]);
    fs::remove_dir_all(worktree.path()).unwrap();
    for name in ["candidate", "snapshot"] {
        fs::write(scratch.repo.join(format!(".git/refs/boi/{name}/{}.lock", worktree.spec())), "").unwrap();
    }
    remove_worktree(&worktree, "clean").unwrap();
    assert_eq!(git(&scratch.repo, ["for-each-ref", "refs/boi/candidate", "refs/boi/snapshot"]), "");
    // The daemon was killed between the deletion of the ref and that of its lock.
    let lock = scratch.repo.join(format!(".git/refs/boi/candidate/{}.lock", worktree.spec()));
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    remove_worktree(&worktree, "clean").unwrap();
    assert!(!lock.exists());
}

#[test]
fn the_snapshot_and_the_candidates_ref_are_deleted_with_the_worktree() {
    let scratch = Scratch::new();
    for packed in [false, true] {
        let (worktree, base) = scratch.create();
        write(worktree.path(), "new", "new\n");
        capture(&worktree, &base, "message", "t-1").unwrap();
        take_snapshot(&worktree, "marker").unwrap();
        if packed {
            git(&scratch.repo, ["pack-refs", "--all", "--prune"]);
        }
        assert_eq!(git(&scratch.repo, ["for-each-ref", "--format=%(refname)", "refs/boi"]).lines().count(), 2);
        let kept = remove_worktree(&worktree, "clean").unwrap();
        let left = git(&scratch.repo, ["for-each-ref", "--format=%(refname)", "refs/boi"]);
        assert_eq!(left.lines().collect::<Vec<_>>(), kept, "only the files of the try are kept");
        git(&scratch.repo, ["update-ref", "-d", &kept[0]]);
    }
}

fn commit_on(worktree: &LockedWorktree) {
    write(worktree.path(), "t.txt", "t\n");
    commit(worktree.path(), "theirs");
}

#[test]
fn a_nested_repository_is_refused() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let nested = worktree.path().join("nested");
    fs::create_dir(&nested).unwrap();
    git(&nested, ["init", "-q"]);
    write(&nested, "n.txt", "n\n");
    assert!(matches!(check_removal(&worktree), Err(RemoveError::Refused(RemovalRefusal::NestedRepositories { .. }))));
    assert!(matches!(
        remove_worktree(&worktree, "clean"),
        Err(RemoveError::Refused(RemovalRefusal::NestedRepositories { .. }))
    ));
    assert_eq!(read(&nested, "n.txt"), "n\n");
    assert!(worktree.entry().is_ok());
    fs::rename(&nested, worktree.path().join("nested.ignored")).unwrap();
    remove_worktree(&worktree, "clean").unwrap();
}

#[test]
fn a_worktree_that_was_deleted_by_hand_is_removed() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    git(worktree.path(), ["checkout", "-q", "--detach"]);
    write(worktree.path(), "n.txt", "n\n");
    let lost = commit(worktree.path(), "detached");
    fs::remove_dir_all(worktree.path()).unwrap();
    let kept = remove_worktree(&worktree, "clean").unwrap();
    assert_eq!(git(&scratch.repo, ["rev-parse", &kept[0]]), lost);
    assert!(!scratch.repo.join(".git/worktrees").exists());
    drop(worktree);

    let (worktree, _) = scratch.create();
    fs::remove_dir_all(worktree.path()).unwrap();
    fs::remove_dir_all(&scratch.repo).unwrap();
    assert_eq!(remove_worktree(&worktree, "clean").unwrap(), [""; 0]);
}

#[test]
fn unique_work_stays_while_the_repository_cannot_be_reached() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    write(worktree.path(), "precious.txt", "p\n");
    let away = scratch.repo.with_file_name("away");
    fs::rename(&scratch.repo, &away).unwrap();
    for place in ["nothing", "an empty folder", "an empty folder within another repository"] {
        match place {
            "nothing" => {}
            "an empty folder" => fs::create_dir(&scratch.repo).unwrap(),
            _ => drop(git(scratch.repo.parent().unwrap(), ["init", "-q"])),
        }
        let refused = remove_worktree(&worktree, "clean").unwrap_err();
        assert!(
            matches!(refused, RemoveError::Refused(RemovalRefusal::RepositoryUnreachable { .. })),
            "{place}: {refused}"
        );
        assert!(matches!(
            check_removal(&worktree),
            Err(RemoveError::Refused(RemovalRefusal::RepositoryUnreachable { .. }))
        ));
        assert_eq!(read(worktree.path(), "precious.txt"), "p\n");
    }
    fs::remove_dir(&scratch.repo).unwrap();
    fs::rename(&away, &scratch.repo).unwrap();
    let discarded = discard_worktree(&worktree);
    let expected = RemovalRefusal::RepositoryReachable { repo: scratch.repo.clone() };
    assert!(matches!(discarded, Err(RemoveError::Refused(refusal)) if refusal == expected));
    assert_eq!(remove_worktree(&worktree, "clean").unwrap().len(), 1);
    drop(worktree);

    let (worktree, _) = scratch.create();
    write(worktree.path(), "precious.txt", "p\n");
    fs::remove_dir_all(&scratch.repo).unwrap();
    fs::remove_dir_all(scratch.repo.with_file_name(".git")).unwrap();
    discard_worktree(&worktree).unwrap();
    assert!(!worktree.path().exists());
}

#[test]
fn a_removal_that_was_killed_is_completed() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    fs::rename(worktree.path(), worktree.path().with_file_name("SD979.removed")).unwrap();
    assert_eq!(remove_worktree(&worktree, "clean").unwrap(), [""; 0]);
    assert!(!scratch.repo.join(".git/worktrees").exists());
    assert_eq!(fs::read_dir(worktree.path().parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_foreign_folder_at_the_worktrees_path_stays() {
    let scratch = Scratch::new();
    let worktree = scratch.worktree("SD979").lock().unwrap();
    write(worktree.path(), "mine.txt", "mine\n");
    assert!(matches!(
        remove_worktree(&worktree, "clean"),
        Err(RemoveError::Refused(RemovalRefusal::NotAWorktree { .. }))
    ));
    assert_eq!(read(worktree.path(), "mine.txt"), "mine\n");
}

#[test]
fn a_branch_is_deleted_only_if_it_is_where_expected() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let spec = worktree.spec();
    let state = || merge_state(&scratch.repo, spec, &["gone".to_owned(), "main".to_owned()], Some(&base));
    assert_eq!(state(), MergeState::Unchanged);
    assert!(matches!(delete_branch(&scratch.repo, spec, &base), Err(GitError::BranchInUse { .. })));
    write(worktree.path(), "n.txt", "n\n");
    let moved = commit(worktree.path(), "n");
    assert_eq!(state(), MergeState::NotMerged);
    remove_worktree(&worktree, "clean").unwrap();
    assert!(matches!(delete_branch(&scratch.repo, spec, &base), Err(GitError::Diverged { .. })));
    delete_branch(&scratch.repo, spec, &moved).unwrap();
    delete_branch(&scratch.repo, spec, &moved).unwrap();
    assert_eq!(branch_head(&scratch.repo, spec).unwrap(), None);
    assert_eq!(head(&scratch.repo), base);
}

#[test]
fn files_are_set_aside_for_a_hanging_filter_but_not_for_lack_of_time() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    git(&scratch.repo, ["config", "filter.f.clean", "sleep 1000"]);
    write(worktree.path(), ".gitattributes", "*.x filter=f\n");
    write(worktree.path(), "f.x", "x");
    let (long, short) = (Duration::from_secs(600), Duration::from_millis(500));
    worktree.watch().begin(long);
    worktree.watch().shorten(short);
    let removed = remove_worktree(&worktree, "clean");
    assert!(matches!(&removed, Err(RemoveError::Git(GitError::TimedOut { .. }))), "{removed:?}");
    assert_eq!(read(worktree.path(), "f.x"), "x");
    drop(worktree);
    let worktree = scratch.worktree("SD979").lock().unwrap();
    worktree.watch().begin(short);
    let kept = remove_worktree(&worktree, "clean").unwrap();
    assert!(!worktree.path().exists() && kept[0].ends_with(".kept"), "{kept:?}");
}
