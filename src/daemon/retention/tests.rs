//! Tests of what keeps an expired spec.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::system::files;

fn id(name: &str) -> SpecId {
    name.parse().unwrap()
}

#[test]
fn a_spec_stays_while_a_file_a_ref_or_a_command_needs_it() {
    let dir = tempfile::TempDir::new().unwrap();
    let home = Home::at(dir.path().join("boi"));
    home.prepare().unwrap();
    let (readable, unreadable) = ("/readable".to_owned(), dir.path().join("none").display().to_string());
    let refs = OwnRefs { branches: [id("S0002")].into(), kept: [id("S0007")].into() };
    let mut repositories = Repositories([(readable.clone(), Some(refs))].into());
    let spec = |name: &str, repo: Option<&String>, has_own_work| Expired {
        id: id(name),
        repo: repo.cloned(),
        worktree: None,
        is_dropped: false,
        is_merged: false,
        has_own_work,
    };
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir_all(home.worktrees().join("S0005")).unwrap();
    symlink("/nowhere", home.worktrees().join("S0006")).unwrap();
    let command = home.command(&id("S0008"), 1, 1);
    fs::create_dir_all(&command).unwrap();
    fs::create_dir_all(home.command(&id("S0009"), 1, 1)).unwrap();
    fs::write(home.command(&id("S0009"), 1, 1).join("lock"), "").unwrap();
    fs::write(command.join("lock"), "").unwrap();
    let lock = fs::File::open(command.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(files::is_locked(&command.join("lock")).unwrap());
    let recorded = |path: &Path| Some(path.display().to_string());
    for (expired, goes) in [
        (spec("S0001", None, false), true),
        (spec("S0001", None, true), false),
        (spec("S0001", Some(&readable), true), true),
        (spec("S0002", Some(&readable), false), false),
        (Expired { is_merged: true, ..spec("S0002", Some(&readable), false) }, true),
        (Expired { is_merged: true, ..spec("S0007", Some(&readable), false) }, false),
        (spec("S0003", Some(&unreadable), false), true),
        (spec("S0003", Some(&unreadable), true), false),
        (Expired { worktree: recorded(&elsewhere), ..spec("S0004", None, false) }, false),
        (Expired { worktree: recorded(&elsewhere.join("none")), ..spec("S0004", None, false) }, true),
        (spec("S0005", None, false), false),
        (spec("S0006", None, false), false),
        (spec("S0008", None, false), false),
        (spec("S0009", None, false), true),
    ] {
        let removed = removable(&home, vec![expired.clone()], &mut repositories);
        assert_eq!(!removed.is_empty(), goes, "{expired:?}");
    }
}

#[test]
fn a_spec_whose_folder_cannot_be_removed_stays() {
    let dir = tempfile::TempDir::new().unwrap();
    let home = Home::at(dir.path().join("boi"));
    home.prepare().unwrap();
    let specs = vec![id("S0001"), id("S0002")];
    fs::create_dir_all(home.command(&specs[0], 1, 1)).unwrap();
    assert_eq!(remove_folders(&home, specs.clone()), specs, "a missing folder is as good as a removed one");
    assert!(!home.spec_attempts(&specs[0]).exists());
    fs::remove_dir_all(home.attempts()).unwrap();
    symlink(dir.path(), home.attempts()).unwrap();
    assert_eq!(remove_folders(&home, specs), [], "boi removes nothing through a link");
}
