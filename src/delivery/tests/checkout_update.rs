//! A fast-forward changes a checkout as git would, or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::delivery::journal::{self, Identity, Journal, Move};
use crate::delivery::moves::Layout;
use crate::delivery::{
    DeliveryError, FastForward, Recovered, Unfinished, checkout_update, fast_forward_base, interrupted_deliveries,
    recover_deliveries, settle_own_delivery,
};
use crate::domain::delivery::MergeRefusal;
use crate::git::LockedWorktree;
use crate::git::tests::{Scratch, commit, executable, git, head, read, status, write};

/// The files of a checkout: mode, and content or target.
fn files(dir: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let (meta, name) = (path.symlink_metadata().unwrap(), path.strip_prefix(dir).unwrap());
            if name == Path::new(".git") {
                continue;
            }
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_dir() {
                waiting.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(name.to_string_lossy().into_owned(), (meta.mode(), content));
        }
    }
    found
}

/// Changes the base on a branch of the user's as `change` does, and returns the commits before and after.
fn branch_with(scratch: &Scratch, change: impl FnOnce(&Path)) -> (String, String) {
    let base = head(&scratch.repo);
    let side = scratch.dir.path().join("side");
    git(&scratch.repo, ["worktree", "add", "-q", "-b", "side", side.to_str().unwrap()]);
    change(&side);
    let done = commit(&side, "change");
    (base, done)
}

fn deliver(worktree: &LockedWorktree, (from, to): &(String, String)) -> FastForward {
    fast_forward_base(worktree, "main", from, to).unwrap()
}

/// A change of every kind.
fn change_everything(side: &Path) {
    write(side, "a.txt", "changed\n");
    executable(&side.join("a.txt"));
    fs::remove_file(side.join("sub/run.sh")).unwrap();
    fs::remove_dir(side.join("sub")).unwrap();
    write(side, "sub", "a file now\n");
    fs::remove_file(side.join("link")).unwrap();
    write(side, "link/in a folder\n\"now", "x\n");
    write(side, "new/deep/er/file.txt", "new\n");
    std::os::unix::fs::symlink("nowhere", side.join("new/link")).unwrap();
    write(side, "README", "upper case\n");
    write(side, "-n", "an option\n");
    write(side, ":(top)x", "a pathspec\n");
}

#[test]
fn every_kind_of_change_is_made_as_git_makes_it() {
    let scratch = Scratch::new();
    write(&scratch.repo, "Readme", "lower case\n");
    write(&scratch.repo, "old/deep/file", "old\n");
    commit(&scratch.repo, "more");
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, |side| {
        change_everything(side);
        fs::remove_file(side.join("Readme")).unwrap();
        fs::remove_dir_all(side.join("old")).unwrap();
    });
    write(&scratch.repo, "untracked", "mine\n");
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
    assert_eq!(status(&scratch.repo), "## main\n?? untracked");
    // Git trusts every entry of the index without reading a file.
    assert_eq!(git(&scratch.repo, ["diff-files", "--name-only"]), "");
    git(&scratch.repo, ["fsck", "--strict"]);
    fs::remove_file(scratch.repo.join("untracked")).unwrap();
    assert_eq!(files(&scratch.repo), files(&scratch.dir.path().join("side")));
    assert_eq!(git(&scratch.repo, ["rev-parse", "ORIG_HEAD"]), commits.0);
    assert_eq!(git(&scratch.repo, ["reflog", "-1", "--format=%gs", "HEAD"]), "boi deliver");
    assert!(!scratch.repo.join(".git/boi").exists() && !scratch.repo.join(".git/index.lock").exists());
    let back = (
        commits.1.clone(),
        git(&scratch.repo, ["commit-tree", "-p", &commits.1, "-m", "x", &format!("{}^{{tree}}", commits.0)]),
    );
    assert_eq!(deliver(&worktree, &back), FastForward::Done);
    assert_eq!(git(&scratch.repo, ["diff-files", "--name-only"]), "");
    assert_eq!(read(&scratch.repo, "sub/run.sh"), "#!/bin/sh\n");
    assert!(!scratch.repo.join("new").exists(), "emptied folders are removed");
}

#[test]
fn a_failing_filter_changes_nothing_and_a_working_one_runs_as_in_a_checkout() {
    let scratch = Scratch::new();
    for (name, value) in [("clean", "cat"), ("smudge", "false"), ("required", "true")] {
        git(&scratch.repo, ["config", &format!("filter.f.{name}"), value]);
    }
    let (worktree, _) = scratch.create();
    let side = scratch.dir.path().join("side");
    git(&scratch.repo, ["worktree", "add", "-q", "-b", "side", side.to_str().unwrap()]);
    change_everything(&side);
    write(&side, ".gitattributes", "*.dat filter=f\n*.crlf text eol=crlf\n");
    write(&side, "m.dat", "content\n");
    write(&side, "windows.crlf", "one\ntwo\n");
    let commits = (head(&scratch.repo), commit(&side, "change"));
    let (before, state) = (files(&scratch.repo), scratch.users_state());
    let refused = fast_forward_base(&worktree, "main", &commits.0, &commits.1).unwrap_err();
    let DeliveryError::Refused(MergeRefusal::RejectedByGit { message, .. }) = refused else { panic!("{refused}") };
    assert!(message.contains("m.dat: smudge filter f failed"), "{message}");
    assert_eq!((files(&scratch.repo), scratch.users_state()), (before, state));
    assert!(!scratch.repo.join(".git/boi").exists());
    // A filter is started in the top folder of the checkout, and the attributes are those of the commit.
    write(&scratch.repo, "up.ignored", "#!/bin/sh\ntr a-z A-Z\n");
    executable(&scratch.repo.join("up.ignored"));
    git(&scratch.repo, ["config", "filter.f.smudge", "./up.ignored"]);
    git(&scratch.repo, ["config", "filter.f.clean", "tr A-Z a-z"]);
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
    assert_eq!(
        (read(&scratch.repo, "m.dat").as_str(), read(&scratch.repo, "windows.crlf").as_str()),
        ("CONTENT\n", "one\r\ntwo\r\n")
    );
    // Git need not run the filter to know that the file is unchanged.
    git(&scratch.repo, ["config", "filter.f.clean", "false"]);
    // Git compares the content of files that were written in the second in which the index was.
    let later = fs::FileTimes::new().set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(10));
    fs::File::options().write(true).open(scratch.repo.join(".git/index")).unwrap().set_times(later).unwrap();
    assert_eq!(
        (status(&scratch.repo).as_str(), git(&scratch.repo, ["diff-files", "--name-only"]).as_str()),
        ("## main", "")
    );
}

#[test]
fn files_that_git_was_told_to_ignore_are_not_overwritten() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, |side| {
        write(side, "a.txt", "theirs\n");
        write(side, "sub/b.txt", "theirs\n");
    });
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        git(&scratch.repo, ["update-index", flag, "a.txt"]);
        write(&scratch.repo, "a.txt", "mine\n");
        let refused = fast_forward_base(&worktree, "main", &commits.0, &commits.1).unwrap_err();
        let DeliveryError::Refused(MergeRefusal::RejectedByGit { message, .. }) = refused else { panic!("{refused}") };
        assert!(message.contains("a.txt"), "{message}");
        assert_eq!((read(&scratch.repo, "a.txt").as_str(), scratch.repo.join("sub/b.txt").exists()), ("mine\n", false));
        write(&scratch.repo, "a.txt", "a\n");
        git(&scratch.repo, ["update-index", &flag.replace("--", "--no-"), "a.txt"]);
    }
    for (path, in_the_way) in [("sub/b.txt/mine.ignored", "sub/b.txt"), ("sub/b.txt", "sub/b.txt")] {
        write(&scratch.repo, path, "mine\n");
        let refused = fast_forward_base(&worktree, "main", &commits.0, &commits.1).unwrap_err();
        let DeliveryError::Refused(MergeRefusal::FilesInTheWay { files, .. }) = refused else { panic!("{refused}") };
        assert_eq!((files, read(&scratch.repo, path).as_str()), (vec![in_the_way.to_owned()], "mine\n"));
        let _ = fs::remove_dir_all(scratch.repo.join("sub/b.txt"));
    }
    fs::remove_file(scratch.repo.join("sub/b.txt")).unwrap();
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
}

#[test]
fn every_form_of_index_stays_usable() {
    let forms: [&[&str]; 5] = [
        &["update-index", "--split-index"],
        &["update-index", "--index-version", "4"],
        &["update-index", "--untracked-cache"],
        &["sparse-checkout", "set", "--no-cone", "/*", "!/away/"],
        &["sparse-checkout", "set", "--cone", "--sparse-index", "sub"],
    ];
    for form in forms {
        let scratch = Scratch::new();
        write(&scratch.repo, "away/old.txt", "old\n");
        commit(&scratch.repo, "away");
        let (worktree, _) = scratch.create();
        let commits = branch_with(&scratch, |side| {
            change_everything(side);
            write(side, "away/old.txt", "changed\n");
            write(side, "away/new.txt", "new\n");
        });
        git(&scratch.repo, form);
        let is_sparse = form[0] == "sparse-checkout";
        assert_eq!(scratch.repo.join("away").exists(), !is_sparse);
        assert_eq!(deliver(&worktree, &commits), FastForward::Done, "{form:?}");
        assert_eq!(status(&scratch.repo), "## main", "{form:?}");
        assert_eq!(git(&scratch.repo, ["diff-files", "--name-only"]), "", "{form:?}");
        assert_eq!(git(&scratch.repo, ["write-tree"]), git(&scratch.repo, ["rev-parse", "HEAD^{tree}"]), "{form:?}");
        assert_eq!(scratch.repo.join("away/new.txt").exists(), !is_sparse, "{form:?}");
        assert_eq!(read(&scratch.repo, "a.txt"), "changed\n", "{form:?}");
    }
}

#[test]
fn a_repository_with_sha256_and_a_linked_worktree_are_updated() {
    let scratch = Scratch::new();
    let repo = scratch.dir.path().join("sha256");
    fs::create_dir(&repo).unwrap();
    git(&repo, ["init", "-q", "-b", "other", "--object-format=sha256"]);
    write(&repo, "a.txt", "a\n");
    commit(&repo, "first");
    let linked = scratch.dir.path().join("linked");
    git(&repo, ["worktree", "add", "-q", "-b", "main", linked.to_str().unwrap()]);
    let scratch = Scratch { repo, ..scratch };
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, |side| write(side, "sub/n.txt", "n\n"));
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
    assert_eq!((status(&linked).as_str(), read(&linked, "sub/n.txt").as_str()), ("## main", "n\n"));
    assert_eq!(git(&linked, ["diff-files", "--name-only"]), "");
    git(&linked, ["fsck", "--strict"]);
    assert_eq!(git(&linked, ["rev-parse", "ORIG_HEAD"]), commits.0);
}

#[test]
fn files_on_another_file_system_than_the_git_directory_are_updated_and_put_back() {
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    let scratch = Scratch::new();
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return println!("skipped: no /dev/shm") };
    if device(elsewhere.path()) == device(scratch.dir.path()) {
        return println!("skipped: /dev/shm is on the same file system");
    }
    let git_dir = elsewhere.path().join("git");
    let copied = Command::new("cp").arg("-a").arg(scratch.repo.join(".git")).arg(&git_dir).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(scratch.repo.join(".git")).unwrap();
    write(&scratch.repo, ".git", &format!("gitdir: {}\n", git_dir.display()));
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, |side| {
        change_everything(side);
        write(side, ".gitattributes", "m.dat filter=f\n");
        write(side, "m.dat", "m\n");
    });
    let before = files(&scratch.repo);
    for (name, value) in [("clean", "cat"), ("smudge", "false"), ("required", "true")] {
        git(&scratch.repo, ["config", &format!("filter.f.{name}"), value]);
    }
    assert!(fast_forward_base(&worktree, "main", &commits.0, &commits.1).is_err());
    assert_eq!((files(&scratch.repo), git_dir.join("boi").exists()), (before.clone(), false));
    git(&scratch.repo, ["config", "filter.f.smudge", "cat"]);
    write(&git_dir, "refs/heads/main.lock", "");
    assert!(fast_forward_base(&worktree, "main", &commits.0, &commits.1).is_err());
    fs::remove_file(git_dir.join("refs/heads/main.lock")).unwrap();
    assert_eq!((files(&scratch.repo), git_dir.join("boi").exists()), (before, false));
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
    assert_eq!(git(&scratch.repo, ["status", "--porcelain", "--ignored"]), "");
    assert_eq!(read(&scratch.repo, "new/deep/er/file.txt"), "new\n");
}

#[test]
fn a_submodule_is_left_as_git_checkout_leaves_it() {
    let scratch = Scratch::new();
    let (worktree, base) = scratch.create();
    let commits = branch_with(&scratch, |side| {
        git(side, ["update-index", "--add", "--cacheinfo", &format!("160000,{base},module")]);
        fs::create_dir(side.join("module")).unwrap();
    });
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
    assert!(scratch.repo.join("module").is_dir());
    assert_eq!(status(&scratch.repo), "## main");
    let without = git(&scratch.repo, ["commit-tree", "-p", &commits.1, "-m", "x", &format!("{}^{{tree}}", commits.0)]);
    assert_eq!(deliver(&worktree, &(commits.1, without)), FastForward::Done);
    assert!(!scratch.repo.join("module").exists());
    assert_eq!(status(&scratch.repo), "## main");
}

#[test]
fn a_refused_move_of_the_branch_undoes_everything() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, change_everything);
    let before = (files(&scratch.repo), scratch.users_state(), git(&scratch.repo, ["ls-files", "--stage"]));
    write(&scratch.repo, ".git/refs/heads/main.lock", "");
    let refused = fast_forward_base(&worktree, "main", &commits.0, &commits.1).unwrap_err();
    assert!(matches!(refused, DeliveryError::Refused(MergeRefusal::RejectedByGit { .. })), "{refused}");
    fs::remove_file(scratch.repo.join(".git/refs/heads/main.lock")).unwrap();
    let index = scratch.users_state()[3].clone();
    assert_ne!(index, before.1[3], "the times of files that were moved away and back are in the index");
    assert_eq!(git(&scratch.repo, ["diff-files", "--name-only"]), "");
    let mut after = (files(&scratch.repo), scratch.users_state(), git(&scratch.repo, ["ls-files", "--stage"]));
    after.1[3].clone_from(&before.1[3]);
    assert_eq!(after, before);
    assert!(!scratch.repo.join(".git/boi").exists() && !scratch.repo.join(".git/index.lock").exists());
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
}

/// The interrupted deliveries. A process that another test forks holds the lock of the repository for a moment.
fn interrupted(scratch: &Scratch) -> Vec<Unfinished> {
    for _ in 0..1_000 {
        let found = interrupted_deliveries(&scratch.repo).unwrap();
        if !found.is_empty() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("no interrupted delivery is listed");
}

/// Makes the first `count` moves of a delivery of `commits`, as a delivery that is killed then does.
fn interrupt(scratch: &Scratch, worktree: &LockedWorktree, commits: &(String, String), count: usize) -> Journal {
    // The journal of a delivery that cannot move its branch is complete; undoing it is what is tested.
    let folder = journal::folder_of(&scratch.repo.join(".git").canonicalize().unwrap(), worktree.spec());
    let (journal, staged) = checkout_update::prepared(worktree, "main", &commits.0, &commits.1).unwrap();
    assert_eq!(staged, folder);
    let mut part = journal.clone();
    part.moves.truncate(count);
    fs::rename(folder.join("index-new"), scratch.repo.join(".git/index.lock")).unwrap();
    Layout::new(&part, &folder, &scratch.repo).carry_out(&part).unwrap();
    journal
}

#[test]
fn an_interrupted_delivery_is_undone_after_each_of_its_moves() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, change_everything);
    write(&scratch.repo, "untracked", "mine\n");
    let before = files(&scratch.repo);
    for count in 0.. {
        let journal = interrupt(&scratch, &worktree, &commits, count);
        let listed = interrupted(&scratch);
        assert_eq!(listed[0].files, journal.files());
        let (recovered, unfinished) = recover_deliveries(&scratch.repo).unwrap();
        assert!(
            matches!(&recovered[..], [Recovered::Undone(_, left)] if left.is_empty()),
            "{recovered:?} {unfinished:?}"
        );
        assert_eq!(files(&scratch.repo), before, "after {count} moves");
        assert_eq!(status(&scratch.repo), "## main\n?? untracked");
        assert_eq!(git(&scratch.repo, ["diff-files", "--name-only"]), "");
        assert!(!scratch.repo.join(".git/boi").exists() && !scratch.repo.join(".git/index.lock").exists());
        if count > journal.moves.len() {
            break;
        }
    }
    // The undoing is interrupted, too.
    for left in 0..interrupt(&scratch, &worktree, &commits, usize::MAX).moves.len() {
        let folder = journal::folder_of(&scratch.repo.join(".git").canonicalize().unwrap(), worktree.spec());
        let mut last = Journal::read(&folder).unwrap().unwrap();
        last.moves.drain(..left);
        let undone = Layout::new(&last, &folder, &scratch.repo).undo(&last);
        assert!(undone.left.is_empty() && undone.stuck.is_empty(), "{undone:?}");
        let (recovered, _) = recover_deliveries(&scratch.repo).unwrap();
        assert!(matches!(&recovered[..], [Recovered::Undone(_, left)] if left.is_empty()), "{recovered:?}");
        assert_eq!(files(&scratch.repo), before, "{left} moves were left to undo");
        interrupt(&scratch, &worktree, &commits, usize::MAX);
    }
    recover_deliveries(&scratch.repo).unwrap();
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
}

#[test]
fn a_file_that_the_user_changed_after_an_interruption_stays() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, change_everything);
    let all = interrupt(&scratch, &worktree, &commits, usize::MAX).moves;
    assert!(all.iter().any(|change| matches!(change, Move::RemoveFolder { .. })), "{all:?}");
    fs::write(scratch.repo.join("a.txt"), "mine\n").unwrap();
    fs::remove_file(scratch.repo.join("-n")).unwrap();
    write(&scratch.repo, "new/deep/mine.txt", "mine too\n");
    let (recovered, _) = recover_deliveries(&scratch.repo).unwrap();
    let [Recovered::Undone(_, left)] = &recovered[..] else { panic!("{recovered:?}") };
    assert_eq!(left[..], [Path::new("a.txt").to_owned()]);
    assert_eq!(read(&scratch.repo, "new/deep/mine.txt"), "mine too\n");
    assert_eq!(git(&scratch.repo, ["status", "--porcelain"]), " M a.txt\n?? new/");
    assert_eq!(
        (read(&scratch.repo, "a.txt").as_str(), read(&scratch.repo, "sub/run.sh").as_str()),
        ("mine\n", "#!/bin/sh\n")
    );
}

#[test]
fn an_interrupted_delivery_is_completed_once_the_index_was_replaced() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, change_everything);
    interrupt(&scratch, &worktree, &commits, usize::MAX);
    fs::remove_file(scratch.repo.join(".git/index.lock")).unwrap();
    git(&scratch.repo, ["read-tree", &commits.1]);
    let (recovered, _) = recover_deliveries(&scratch.repo).unwrap();
    assert!(matches!(&recovered[..], [Recovered::Completed(_)]), "{recovered:?}");
    assert_eq!((head(&scratch.repo), status(&scratch.repo)), (commits.1, "## main".to_owned()));
}

#[test]
fn a_checkout_that_cannot_be_put_back_is_named_and_takes_no_delivery_until_it_can() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, change_everything);
    let journal = interrupt(&scratch, &worktree, &commits, usize::MAX);
    git(&scratch.repo, ["update-ref", "refs/heads/kept", &commits.0]);
    // The user goes on with another branch, and the half changed files are not his.
    git(&scratch.repo, ["symbolic-ref", "HEAD", "refs/heads/kept"]);
    let (_, unfinished) = recover_deliveries(&scratch.repo).unwrap();
    assert!(unfinished[0].files.contains(&Path::new("a.txt").to_owned()), "{unfinished:?}");
    assert_eq!(interrupted(&scratch)[0].files, journal.files());
    let refused = fast_forward_base(&worktree, "kept", &commits.0, &commits.1).unwrap_err();
    assert!(matches!(refused, DeliveryError::Refused(MergeRefusal::CheckoutHalfChanged { .. })), "{refused}");
    git(&scratch.repo, ["symbolic-ref", "HEAD", "refs/heads/main"]);
    assert!(matches!(&recover_deliveries(&scratch.repo).unwrap().0[..], [Recovered::Undone(..)]));
    assert_eq!(deliver(&worktree, &commits), FastForward::Done);
}

#[test]
fn a_file_is_not_moved_onto_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::write(&from, "new").unwrap();
    fs::write(&to, "mine").unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(0o444)).unwrap();
    let refused = crate::system::files::move_without_replacing(&from, &to).unwrap_err();
    assert_eq!(
        (refused.kind(), fs::read_to_string(&to).unwrap().as_str()),
        (std::io::ErrorKind::AlreadyExists, "mine")
    );
    fs::remove_file(&to).unwrap();
    let identity = Identity::at(&from).unwrap();
    crate::system::files::move_without_replacing(&from, &to).unwrap();
    assert_eq!((Identity::at(&to).unwrap(), Identity::at(&from).unwrap()), (identity, None));
}

/// Delivers while `action` is done in the checkout: after it was found clean, before it is changed.
fn deliver_during(action: impl FnOnce(&Scratch)) -> (Scratch, Result<FastForward, DeliveryError>) {
    let scratch = Scratch::new();
    let wait = "touch began.ignored; while [ ! -e go.ignored ]; do sleep 0.01; done; cat";
    git(&scratch.repo, ["config", "filter.slow.smudge", wait]);
    let (worktree, _) = scratch.create();
    let (from, to) = branch_with(&scratch, |side| {
        change_everything(side);
        write(side, ".gitattributes", "*.slow filter=slow\n");
        write(side, "n.slow", "n\n");
    });
    let result = std::thread::scope(|scope| {
        let delivery = scope.spawn(|| fast_forward_base(&worktree, "main", &from, &to));
        while !scratch.repo.join("began.ignored").exists() && !delivery.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        action(&scratch);
        write(&scratch.repo, "go.ignored", "");
        delivery.join().unwrap()
    });
    let left = [".git/boi", ".git/index.lock"].map(|name| scratch.repo.join(name).exists());
    assert_eq!(left, [false, false], "{result:?}");
    (scratch, result)
}

#[test]
fn what_the_user_does_meanwhile_is_not_lost() {
    for (name, in_the_way) in [("a.txt", "a.txt"), ("README", "README"), ("sub/mine.txt", "sub")] {
        let (scratch, result) = deliver_during(|scratch| write(&scratch.repo, name, "mine\n"));
        let Err(DeliveryError::Refused(MergeRefusal::FilesInTheWay { files, .. })) = result else {
            panic!("{result:?}")
        };
        assert_eq!((files, read(&scratch.repo, name).as_str()), (vec![in_the_way.to_owned()], "mine\n"));
        fs::remove_file(scratch.repo.join(name)).unwrap();
        git(&scratch.repo, ["checkout", "-q", "--", "."]);
        assert_eq!(
            (status(&scratch.repo).as_str(), read(&scratch.repo, "sub/run.sh").as_str()),
            ("## main", "#!/bin/sh\n")
        );
    }
    let (scratch, result) = deliver_during(|scratch| {
        git(&scratch.repo, ["update-index", "--force-write-index"]);
    });
    assert_eq!((result.unwrap(), status(&scratch.repo).as_str()), (FastForward::Done, "## main"));
    let (scratch, result) = deliver_during(|scratch| {
        git(&scratch.repo, ["commit", "-q", "--allow-empty", "-m", "mine"]);
    });
    assert_eq!((result.unwrap(), read(&scratch.repo, "a.txt").as_str()), (FastForward::BaseMoved, "a\n"));
    let (scratch, result) = deliver_during(|scratch| {
        git(&scratch.repo, ["checkout", "-q", "-b", "other"]);
    });
    assert_eq!((result.unwrap(), status(&scratch.repo).as_str()), (FastForward::BaseMoved, "## other"));
    let (scratch, result) = deliver_during(|scratch| {
        write(&scratch.repo, "mine.txt", "mine\n");
        git(&scratch.repo, ["add", "mine.txt"]);
    });
    assert!(matches!(result, Err(DeliveryError::Refused(MergeRefusal::CheckoutDirty { .. }))), "{result:?}");
    assert_eq!(status(&scratch.repo), "## main\nA  mine.txt");
}

#[test]
fn only_the_own_delivery_is_settled_when_a_spec_ends() {
    let scratch = Scratch::new();
    let (worktree, _) = scratch.create();
    let commits = branch_with(&scratch, change_everything);
    let before = files(&scratch.repo);
    let other = scratch.worktree("SD980");
    interrupt(&scratch, &worktree, &commits, usize::MAX);
    drop(worktree);
    // The lock of a delivery that is under way is not waited for by another spec.
    let lock = fs::File::open(scratch.repo.join(".git")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(settle_own_delivery(&other).unwrap().is_none());
    drop(lock);
    assert_eq!(interrupted(&scratch).len(), 1);
    let own = scratch.worktree("SD979");
    assert!(settle_own_delivery(&own).unwrap().is_none());
    assert_eq!(files(&scratch.repo), before);
    assert!(!scratch.repo.join(".git/boi").exists());
    fs::rename(&scratch.repo, scratch.dir.path().join("moved")).unwrap();
    assert!(settle_own_delivery(&own).unwrap().is_none());
}
