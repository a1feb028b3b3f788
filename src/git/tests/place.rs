//! Where git works, whatever the repository's configuration and the worktree's files say, and what happens to files
//! that git cannot store.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{Scratch, commit, git, head, read, status, write};
use crate::domain::position::Checkout;
use crate::git::{
    GitError, GitWatch, LockedWorktree, capture, check_removal, create_worktree, discard_worktree, remove_worktree,
    reset_to_commit,
};

/// The names of the files in a commit.
fn files(scratch: &Scratch, commit: &str) -> String {
    git(&scratch.repo, ["ls-tree", "-r", "--name-only", commit])
}

/// Settings that make git in a linked worktree work in the user's checkout.
fn redirect_to_users_checkout(scratch: &Scratch) {
    git(&scratch.repo, ["config", "core.worktree", scratch.repo.to_str().unwrap()]);
    git(&scratch.repo, ["config", "extensions.worktreeConfig", "true"]);
}

fn capture_made(scratch: &Scratch, worktree: &LockedWorktree, base: &str) -> String {
    write(&scratch.repo, "a.txt", "edited by the user\n");
    write(&scratch.repo, "untracked", "mine\n");
    write(worktree.path(), "made", "work\n");
    let captured = capture(worktree, base, "message", "try").unwrap().commit.unwrap();
    reset_to_commit(worktree, base, "reset").unwrap();
    assert_eq!(read(&scratch.repo, "a.txt"), "edited by the user\n");
    assert_eq!(read(&scratch.repo, "untracked"), "mine\n");
    captured
}

#[test]
fn settings_that_name_another_working_tree_do_not_move_git() {
    for before in [true, false] {
        let scratch = Scratch::new();
        if before {
            redirect_to_users_checkout(&scratch);
        }
        let (worktree, base) = scratch.create();
        if !before {
            redirect_to_users_checkout(&scratch);
        }
        let captured = capture_made(&scratch, &worktree, &base);
        let names = files(&scratch, &captured);
        assert!(names.contains("made") && !names.contains("untracked"), "{names}");
        // The agent's git works in the worktree too.
        write(worktree.path(), "new", "n");
        assert_eq!(status(worktree.path()), "## boi/SD979\n?? new");
    }
}

#[test]
fn a_repository_that_is_called_bare_meanwhile_does_not_stop_git() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    git(&scratch.repo, ["config", "extensions.worktreeConfig", "true"]);
    git(&scratch.repo, ["config", "core.bare", "true"]);
    let captured = capture_made(&scratch, &worktree, &base);
    assert!(files(&scratch, &captured).contains("made"));
}

/// Makes a clone that looks as if it were the worktree's repository, and a link that leads there.
fn link_to_prepared_clone(scratch: &Scratch, worktree: &LockedWorktree) -> std::path::PathBuf {
    let clone = scratch.dir.path().join("clone");
    git(scratch.dir.path(), ["clone", "-q", scratch.repo.to_str().unwrap(), clone.to_str().unwrap()]);
    git(&clone, ["branch", "boi/SD979"]);
    let entry = clone.join(".git/worktrees/SD979");
    fs::create_dir_all(&entry).unwrap();
    fs::write(entry.join("HEAD"), "ref: refs/heads/boi/SD979\n").unwrap();
    fs::write(entry.join("commondir"), "../..\n").unwrap();
    fs::write(entry.join("gitdir"), format!("{}\n", worktree.path().join(".git").display())).unwrap();
    fs::write(worktree.path().join(".git"), format!("gitdir: {}\n", entry.display())).unwrap();
    clone
}

#[test]
fn a_link_to_another_repository_is_no_worktree_and_its_files_are_kept_in_the_own_repository() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let clone = link_to_prepared_clone(&scratch, &worktree);
    write(worktree.path(), "made", "work\n");
    assert!(matches!(capture(&worktree, &base, "m", "try"), Err(GitError::NoWorktree { .. })));
    let again = create_worktree(&worktree, &base, Checkout::AsItIs, "try");
    assert!(matches!(again, Err(GitError::LinkReplaced { .. })), "{again:?}");
    let refs = || git(&clone, ["for-each-ref", "--format=%(refname) %(objectname)"]);
    let before = refs();
    let kept = remove_worktree(&worktree, "leftover").unwrap();
    assert_eq!(git(&scratch.repo, ["show", &format!("{}:made", kept[0])]), "work");
    assert_eq!(refs(), before);
    assert!(!worktree.path().exists());
}

#[test]
fn a_link_that_was_replaced_by_a_pipe_or_a_link_blocks_nothing_and_a_clean_checkout_writes_it_again() {
    for replace in [
        (|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())) as fn(&std::path::Path),
        |path| symlink("/dev/zero", path).unwrap(),
    ] {
        let scratch = Scratch::new();
        let (worktree, base) = scratch.create();
        let link = worktree.path().join(".git");
        fs::remove_file(&link).unwrap();
        replace(&link);
        assert!(matches!(capture(&worktree, &base, "m", "try"), Err(GitError::NoWorktree { .. })));
        create_worktree(&worktree, &base, Checkout::Clean, "retry").unwrap();
        assert_eq!(status(worktree.path()), "## boi/SD979");
    }
}

#[test]
fn a_repository_in_the_place_of_the_recorded_one_is_refused() {
    let scratch = Scratch::new();
    let mut worktree = scratch.worktree("SD979");
    worktree.repository = worktree.identify_repository().unwrap();
    drop(worktree.lock().unwrap());
    let git_dir = scratch.repo.join(".git");
    let moved = scratch.repo.join("moved");
    fs::rename(&git_dir, &moved).unwrap();
    assert!(matches!(worktree.lock().unwrap().repository(), Err(GitError::NoRepository { .. })));
    symlink(&moved, &git_dir).unwrap();
    assert!(matches!(worktree.lock(), Err(GitError::RepositoryReplaced { .. })));
    fs::remove_file(&git_dir).unwrap();
    git(&scratch.repo, ["init", "-q"]);
    assert!(matches!(worktree.lock(), Err(GitError::RepositoryReplaced { .. })));
}

#[test]
fn a_repository_whose_file_system_was_mounted_again_is_accepted_with_the_specs_work() {
    let scratch = Scratch::new();
    let mut worktree = scratch.worktree("SD979");
    worktree.repository = worktree.identify_repository().unwrap();
    let mounted_again = worktree.repository.as_mut().unwrap();
    (mounted_again.device, mounted_again.inode) = (mounted_again.device + 1, mounted_again.inode + 1);
    assert!(matches!(worktree.lock(), Err(GitError::RepositoryReplaced { .. })));
    git(&scratch.repo, ["branch", "boi/SD979"]);
    drop(worktree.lock().unwrap());
    git(&scratch.repo, ["branch", "-D", "boi/SD979"]);
    drop(scratch.create());
    git(&scratch.repo, ["update-ref", "-d", "refs/heads/boi/SD979"]);
    drop(worktree.lock().unwrap());
}

#[test]
fn a_lock_file_with_a_second_name_stays_the_lock_file() {
    let scratch = Scratch::new();
    let worktree = scratch.worktree("SD979");
    drop(worktree.lock().unwrap());
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(worktree.scratch.join("git.lock")).unwrap());
    let before = inode();
    fs::hard_link(worktree.scratch.join("git.lock"), scratch.dir.path().join("copy")).unwrap();
    drop(worktree.lock().unwrap());
    assert_eq!(inode(), before);
}

/// Files that git refuses, and a filter that fails.
fn refused_files() -> Vec<fn(&Scratch, &std::path::Path)> {
    vec![
        |_, path| symlink("/dev/null", path.join(".gitmodules")).unwrap(),
        |scratch, path| {
            git(&scratch.repo, ["config", "filter.f.clean", "echo no thanks >&2; false"]);
            git(&scratch.repo, ["config", "filter.f.required", "true"]);
            write(path, ".gitattributes", "*.x filter=f\n");
            write(path, "f.x", "x");
        },
        |_, path| {
            fs::remove_file(path.join("a.txt")).unwrap();
            assert!(Command::new("mkfifo").arg(path.join("a.txt")).status().unwrap().success());
        },
    ]
}

#[test]
fn files_that_git_cannot_store_are_an_error_with_gits_words_and_stay_in_a_folder() {
    for (number, make) in refused_files().into_iter().enumerate() {
        let scratch = Scratch::new();
        let (worktree, base) = scratch.create();
        write(worktree.path(), "y", "precious");
        make(&scratch, worktree.path());
        let captured = capture(&worktree, &base, "m", "try");
        assert!(matches!(captured, Err(GitError::CannotAdd { .. })), "{number}: {captured:?}");
        let folder = |kept: &[String]| kept.iter().find(|name| name.ends_with(".kept")).cloned().unwrap();
        let kept = reset_to_commit(&worktree, &base, "retry").unwrap();
        assert_eq!(read(folder(&kept).as_ref(), "y"), "precious", "{number}");
        assert!(!std::path::Path::new(&folder(&kept)).join(".git").exists());
        assert_eq!(status(worktree.path()), "## boi/SD979");
        write(worktree.path(), "y", "again");
        make(&scratch, worktree.path());
        let kept = remove_worktree(&worktree, "leftover").unwrap();
        let second = kept.iter().find(|name| name.ends_with(".kept-2")).unwrap();
        assert_eq!(read(second.as_ref(), "y"), "again", "{number}");
        assert!(!worktree.path().exists());
        assert!(discard_worktree(&worktree).is_err());
    }
}

#[test]
fn a_pipe_that_git_would_read_is_no_obstacle_to_a_removal() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    write(worktree.path(), "y", "precious");
    fs::remove_file(worktree.path().join(".gitignore")).unwrap();
    assert!(Command::new("mkfifo").arg(worktree.path().join(".gitignore")).status().unwrap().success());
    worktree.watch().begin(std::time::Duration::from_millis(300));
    check_removal(&worktree).unwrap();
    worktree.watch().begin(std::time::Duration::from_millis(300));
    let kept = remove_worktree(&worktree, "leftover").unwrap();
    assert_eq!(read(kept[0].as_ref(), "y"), "precious");
}

#[test]
fn refs_in_tables_and_hashes_of_sha256_work() {
    for option in ["--ref-format=reftable", "--object-format=sha256"] {
        let scratch = Scratch::new();
        fs::rename(&scratch.repo, scratch.dir.path().join("files")).unwrap();
        fs::create_dir(&scratch.repo).unwrap();
        git(&scratch.repo, ["init", "-q", "-b", "main", option]);
        write(&scratch.repo, "a.txt", "a\n");
        commit(&scratch.repo, "first");
        let (worktree, base) = scratch.create();
        write(worktree.path(), "made", "work\n");
        git(worktree.path(), ["checkout", "-q", "--detach"]);
        commit(worktree.path(), "the agent's own");
        git(worktree.path(), ["revert", "--no-commit", "HEAD"]);
        git(worktree.path(), ["restore", "--staged", "--worktree", "--source=HEAD", "."]);
        let captured = capture(&worktree, &base, "m", "try").unwrap();
        assert!(files(&scratch, &captured.commit.unwrap()).contains("made"), "{option}");
        assert_eq!(captured.kept.len(), 1, "{option}: {captured:?}", captured = captured.kept);
        reset_to_commit(&worktree, &base, "reset").unwrap();
        assert_eq!(status(worktree.path()), "## boi/SD979");
        remove_worktree(&worktree, "leftover").unwrap();
        assert_eq!(head(&scratch.repo), base);
    }
}

#[test]
fn a_partial_clone_without_trees_is_inspected_and_never_fetched_into() {
    let scratch = Scratch::new();
    git(&scratch.repo, ["config", "uploadpack.allowFilter", "true"]);
    let clone = scratch.dir.path().join("clone");
    let url = format!("file://{}", scratch.repo.display());
    let clone_text = clone.to_str().unwrap();
    git(scratch.dir.path(), ["clone", "-q", "--filter=tree:0", "--no-checkout", &url, clone_text]);
    let executed = scratch.dir.path().join("executed");
    let command = format!("touch '{}'; git-upload-pack", executed.display());
    git(&clone, ["config", "remote.origin.uploadpack", &command]);
    let found = crate::git::inspect_repository(&clone).unwrap();
    assert_eq!(found.default_base, "main");
    let base = crate::git::resolve_base(&clone, "main").unwrap();
    assert!(!executed.exists(), "reading executed the remote's command");
    let mut worktree = scratch.worktree("SD979");
    worktree.repo = clone;
    let worktree = worktree.lock().unwrap();
    let error = create_worktree(&worktree, &base, Checkout::Clean, "create").unwrap_err();
    assert_eq!(error.severity(), crate::git::Severity::Permanent, "{error}");
    assert!(!executed.exists(), "boi fetched");
}

#[test]
fn a_hanging_filter_ends_at_the_deadline_and_by_an_order() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    drop(worktree);
    git(&scratch.repo, ["config", "filter.f.clean", "sleep 1000"]);
    let mut worktree = scratch.worktree("SD979");
    let marker = crate::process::marker::new_marker();
    worktree.watch = std::sync::Arc::new(GitWatch::of_worker(marker.clone(), vec![]));
    let watch = std::sync::Arc::clone(&worktree.watch);
    let worktree = worktree.lock().unwrap();
    write(worktree.path(), ".gitattributes", "*.x filter=f\n");
    write(worktree.path(), "f.x", "x");
    watch.begin(std::time::Duration::from_secs(1));
    let captured = capture(&worktree, &base, "m", "try");
    assert!(matches!(captured, Err(GitError::TimedOut { .. })), "{captured:?}");
    let has_processes = || crate::process::supervisor_process::has_processes(&marker);
    assert!(!has_processes());
    watch.begin(std::time::Duration::from_secs(600));
    std::thread::scope(|scope| {
        let capturing = scope.spawn(|| capture(&worktree, &base, "m", "try"));
        while watch.running().is_none_or(|git| git.command != "git add") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        watch.end();
        assert!(matches!(capturing.join().unwrap(), Err(GitError::Ended { .. })));
    });
    assert!(watch.was_interrupted() && !has_processes());
}

#[test]
fn a_wait_for_a_lock_is_shown_and_ends_by_an_order() {
    let scratch = Scratch::new();
    let (_held, _) = scratch.create();
    let worktree = scratch.worktree("SD979");
    worktree.watch.begin(std::time::Duration::from_secs(600));
    std::thread::scope(|scope| {
        let locking = scope.spawn(|| worktree.lock().map(drop));
        while worktree.watch.running().is_none_or(|wait| !wait.command.starts_with("wait for the lock of ")) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        worktree.watch.end();
        assert!(matches!(locking.join().unwrap(), Err(GitError::Ended { .. })));
    });
    assert!(worktree.watch.running().is_none());
}
