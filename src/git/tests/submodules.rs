//! Submodules come out of the user's clone, a change in one is refused, kept and undone, and the clone stays as it was.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Scratch, commit, git, head, read, status, try_git, write};
use crate::domain::position::Checkout;
use crate::git::{
    GitError, LockedWorktree, RemovalRefusal, RemoveError, advance_branch, capture, capture_merge, create_worktree,
    follow_merge, left_empty, overwrite_worktree, pointers, remove_worktree, repair_after_power_loss, reset_to_commit,
};

/// The path of the submodule, and that of the one in it.
const LIB: &str = "third/lib ü";
const INNER: &str = "third/lib ü/inner";

/// Makes a repository with one commit beside the user's.
fn repository(scratch: &Scratch, name: &str) -> PathBuf {
    let repo = scratch.dir.path().join(name);
    fs::create_dir(&repo).unwrap();
    git(&repo, ["init", "-q", "-b", "main"]);
    write(&repo, &format!("{name}.txt"), name);
    write(&repo, ".gitignore", "*.o\n");
    commit(&repo, name);
    git(&repo, ["tag", "v1"]);
    repo
}

fn add_submodule(repo: &Path, from: &Path, path: &str) {
    let from = from.to_str().unwrap();
    git(repo, ["-c", "protocol.file.allow=always", "submodule", "-q", "add", from, path]);
    commit(repo, "submodule");
}

/// Makes a repository with a submodule in a submodule, all of them checked out.
fn with_submodules() -> Scratch {
    let scratch = Scratch::new();
    let inner = repository(&scratch, "inner");
    let lib = repository(&scratch, "lib");
    add_submodule(&lib, &inner, "inner");
    add_submodule(&scratch.repo, &lib, LIB);
    git(&scratch.repo, ["-c", "protocol.file.allow=always", "submodule", "-q", "update", "--init", "--recursive"]);
    // Nothing of it is needed any more.
    fs::remove_dir_all(inner).unwrap();
    fs::remove_dir_all(lib).unwrap();
    scratch
}

/// Returns the content of every file of the user's clone, without what boi adds to a repository.
fn users_clone(scratch: &Scratch) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![scratch.repo.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(&scratch.repo).unwrap().to_str().unwrap().to_owned();
            let is_bois =
                [".git/worktrees", ".git/refs/heads/boi", ".git/refs/boi", ".git/logs/refs/heads/boi", ".git/objects"];
            match fs::symlink_metadata(&path).unwrap() {
                _ if is_bois.contains(&below.as_str()) => {}
                found if found.is_dir() => folders.push(path),
                found if found.is_file() => files.push((path.clone(), fs::read(&path).unwrap())),
                _ => files.push((path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())),
            }
        }
    }
    files.sort();
    files
}

fn changes(captured: Result<crate::git::capture::CapturedTry, GitError>) -> (String, Vec<String>) {
    match captured {
        Err(error @ GitError::SubmodulesChanged { .. }) => {
            let text = error.to_string();
            let GitError::SubmodulesChanged { kept, .. } = error else { unreachable!() };
            (text, kept)
        }
        other => panic!("no submodule counts as changed: {other:?}"),
    }
}

fn assert_as_recorded(worktree: &LockedWorktree) {
    let path = worktree.path();
    let states = git(path, ["submodule", "status", "--recursive"]);
    // The first line begins with a space, which `git` trims.
    assert!(states.lines().count() == 2 && !states.lines().any(|line| line.starts_with(['-', '+', 'U'])), "{states}");
    assert_eq!(
        (read(&path.join(LIB), "lib.txt"), read(&path.join(INNER), "inner.txt")),
        ("lib".into(), "inner".into())
    );
    for folder in [LIB, INNER] {
        assert_eq!(git(&path.join(folder), ["status", "--porcelain"]), "", "{folder}");
    }
}

#[test]
fn submodules_are_checked_out_of_the_users_clone_and_go_with_the_worktree() {
    let scratch = with_submodules();
    let before = users_clone(&scratch);
    let (worktree, base) = scratch.create();
    assert_as_recorded(&worktree);
    assert_eq!(
        git(&worktree.path().join(LIB), ["describe", "--tags"]),
        git(&scratch.repo.join(LIB), ["describe", "--tags"])
    );
    assert_eq!(left_empty(&worktree), []);
    assert_eq!(pointers(&worktree), [""; 0].map(PathBuf::from));
    write(worktree.path(), "new.txt", "new\n");
    write(worktree.path(), &format!("{LIB}/build.o"), "ignored\n");
    let candidate = capture(&worktree, &base, "m", "t-1").unwrap().commit.unwrap();
    assert_eq!(git(&scratch.repo, ["diff", "--name-only", &base, &candidate]), "new.txt");
    advance_branch(&worktree, &base, &candidate).unwrap();
    assert_eq!(reset_to_commit(&worktree, &candidate, "after").unwrap(), [""; 0]);
    assert!(worktree.path().join(LIB).join("build.o").exists(), "ignored files of a submodule stay");
    assert_as_recorded(&worktree);
    assert_eq!(remove_worktree(&worktree, "leftover").unwrap(), [""; 0]);
    assert!(!worktree.path().exists());
    assert_eq!(users_clone(&scratch), before);
}

#[test]
fn each_change_in_a_submodule_is_refused_kept_and_undone() {
    let scratch = with_submodules();
    let before = users_clone(&scratch);
    let (worktree, base) = scratch.create();
    let path = worktree.path().to_owned();
    let (lib, inner) = (path.join(LIB), path.join(INNER));
    write(&path, "mine.txt", "mine\n");

    write(&lib, "lib.txt", "dirty\n");
    write(&lib, "new/file.txt", "new\n");
    let (text, kept) = changes(capture(&worktree, &base, "m", "dirty"));
    assert!(text.contains(LIB) && text.contains("lib.txt") && text.contains("in a spec of its own"), "{text}");
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    let shown = |file: &str| git(&scratch.repo, ["show", &format!("{kept}:{LIB}/{file}")]);
    assert_eq!((shown("lib.txt"), shown("new/file.txt")), ("dirty".into(), "new".into()));
    assert_as_recorded(&worktree);
    assert_eq!(read(&path, "mine.txt"), "mine\n", "the other changes of the try stay");

    write(&inner, "inner.txt", "dirty\n");
    let (text, kept) = changes(capture(&worktree, &base, "m", "inner"));
    assert!(text.contains(INNER) && kept.len() == 1, "{text}");
    assert_as_recorded(&worktree);

    write(&lib, "lib.txt", "committed\n");
    let theirs = commit(&lib, "agent's own");
    git(&path, ["add", LIB]);
    let (text, kept) = changes(capture(&worktree, &base, "m", "commit"));
    assert!(text.contains(&theirs[..12]), "{text}");
    let [folder] = &kept[..] else { panic!("{kept:?}") };
    let moved = Path::new(folder).join(LIB);
    assert_eq!((head(&moved), read(&moved, "lib.txt")), (theirs, "committed\n".into()));
    assert_as_recorded(&worktree);

    // Only another commit that the user's clone has: there is nothing to keep.
    git(&lib, ["checkout", "-q", "v1"]);
    let (text, kept) = changes(capture(&worktree, &base, "m", "other"));
    assert!(text.contains("instead of") && kept.is_empty(), "{text}");
    assert_as_recorded(&worktree);

    fs::remove_dir_all(&inner).unwrap();
    let (text, _) = changes(capture(&worktree, &base, "m", "gone"));
    assert!(text.contains(INNER), "{text}");
    assert_as_recorded(&worktree);

    fs::remove_dir_all(lib.join(".git")).unwrap();
    let candidate = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
    assert_eq!(git(&scratch.repo, ["diff", "--name-only", &base, &candidate]), "mine.txt");
    assert_as_recorded(&worktree);
    assert_eq!(users_clone(&scratch), before);
}

#[test]
fn a_reset_and_a_removal_keep_what_commands_did_in_submodules() {
    let scratch = with_submodules();
    let (worktree, base) = scratch.create();
    let lib = worktree.path().join(LIB);
    write(&lib, "lib.txt", "by a verify command\n");
    let kept = reset_to_commit(&worktree, &base, "t-1-after-verify").unwrap();
    assert_eq!(git(&scratch.repo, ["show", &format!("{}:{LIB}/lib.txt", kept[0])]), "by a verify command");
    assert_as_recorded(&worktree);

    // Work on another branch changes no file.
    git(&lib, ["checkout", "-q", "-b", "side"]);
    write(&lib, "lib.txt", "side\n");
    let side = commit(&lib, "side");
    git(&lib, ["checkout", "-q", "--detach", "HEAD~1"]);
    let candidate = capture(&worktree, &base, "m", "t").unwrap();
    assert_eq!(candidate.commit, None);
    let kept = remove_worktree(&worktree, "leftover").unwrap();
    let [folder] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(git(&Path::new(folder).join(LIB), ["rev-parse", "side"]), side);
    assert!(!worktree.path().exists());
}

#[test]
fn a_submodule_may_be_removed_and_a_repository_in_its_place_is_not_followed() {
    let scratch = with_submodules();
    let before = users_clone(&scratch);
    let (worktree, base) = scratch.create();
    let third = worktree.path().join("third");
    fs::remove_dir_all(&third).unwrap();
    std::os::unix::fs::symlink(scratch.repo.join("third"), &third).unwrap();
    let captured = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
    assert!(git(&scratch.repo, ["ls-tree", &captured, "third"]).starts_with("120000"));
    reset_to_commit(&worktree, &base, "s").unwrap();
    assert_as_recorded(&worktree);

    git(worktree.path(), ["rm", "-q", "-f", LIB]);
    let captured = capture(&worktree, &base, "m", "t").unwrap().commit.unwrap();
    assert_eq!(git(&scratch.repo, ["ls-tree", "-r", &captured, "third"]), "");
    advance_branch(&worktree, &base, &captured).unwrap();
    assert_eq!(reset_to_commit(&worktree, &captured, "t").unwrap(), [""; 0]);
    assert_eq!(status(worktree.path()), "## boi/SD979");
    remove_worktree(&worktree, "leftover").unwrap();
    assert_eq!(users_clone(&scratch), before);
}

#[test]
fn what_the_users_clone_does_not_have_stays_an_empty_folder() {
    let scratch = with_submodules();
    git(&scratch.repo, ["submodule", "-q", "deinit", "-f", LIB]);
    let (worktree, base) = scratch.create();
    let left = left_empty(&worktree);
    assert!(left.len() == 1 && left[0].0 == Path::new(LIB) && left[0].1.contains("not initialised"), "{left:?}");
    assert_eq!(fs::read_dir(worktree.path().join(LIB)).unwrap().count(), 0);
    assert_eq!(capture(&worktree, &base, "m", "t").unwrap().commit, None);
    write(&worktree.path().join(LIB), "file.txt", "lost?\n");
    let (_, kept) = changes(capture(&worktree, &base, "m", "t"));
    assert_eq!(read(&Path::new(&kept[0]).join(LIB), "file.txt"), "lost?\n");
    assert_eq!(fs::read_dir(worktree.path().join(LIB)).unwrap().count(), 0);
    remove_worktree(&worktree, "leftover").unwrap();
    drop(worktree);

    // The recorded commit is one that the clone of the submodule does not have.
    git(&scratch.repo, ["-c", "protocol.file.allow=always", "submodule", "-q", "update", "--init", "--no-fetch", LIB]);
    let link = format!("160000,{},{LIB}", "1".repeat(40));
    git(&scratch.repo, ["update-index", "--cacheinfo", &link]);
    git(&scratch.repo, ["commit", "-q", "-m", "a commit that nobody has"]);
    let worktree = scratch.worktree("SD97A").lock().unwrap();
    create_worktree(&worktree, &head(&scratch.repo), Checkout::Clean, "create").unwrap();
    let left = left_empty(&worktree);
    assert!(left.len() == 1 && left[0].1.contains("lacks the commit 1111"), "{left:?}");
}

#[test]
fn an_embedded_repository_without_a_name_and_a_name_with_dots_are_handled() {
    let scratch = Scratch::new();
    let embedded = repository(&scratch, "lib");
    fs::rename(embedded, scratch.repo.join("lib")).unwrap();
    commit(&scratch.repo, "embedded");
    let outside = repository(&scratch, "outside");
    let link = format!("160000,{},evil", head(&outside));
    git(&scratch.repo, ["update-index", "--add", "--cacheinfo", &link]);
    write(&scratch.repo, ".gitmodules", "[submodule \"../../../outside/.git\"]\n\tpath = evil\n\turl = ./x\n");
    git(&scratch.repo, ["add", ".gitmodules"]);
    git(&scratch.repo, ["config", "submodule.../../../outside/.git.url", "./x"]);
    git(&scratch.repo, ["commit", "-q", "-m", "evil"]);
    let (worktree, base) = scratch.create();
    assert_eq!(read(worktree.path(), "lib/lib.txt"), "lib");
    assert_eq!(left_empty(&worktree).len(), 1);
    assert_eq!(fs::read_dir(worktree.path().join("evil")).unwrap().count(), 0);
    assert_eq!(capture(&worktree, &base, "m", "t").unwrap().commit, None);
}

#[test]
fn a_merged_base_and_a_lander_move_submodules() {
    let scratch = with_submodules();
    let (worktree, base) = scratch.create();
    write(worktree.path(), "mine.txt", "mine\n");
    let mine = capture(&worktree, &base, "mine", "t").unwrap().commit.unwrap();
    advance_branch(&worktree, &base, &mine).unwrap();
    reset_to_commit(&worktree, &mine, "t").unwrap();
    let lib = scratch.repo.join(LIB);
    git(&lib, ["config", "user.name", "User"]);
    git(&lib, ["config", "user.email", "user@example.org"]);
    write(&lib, "lib.txt", "lib 2");
    git(&lib, ["rm", "-q", "-r", "-f", "inner", ".gitmodules"]);
    commit(&lib, "second");
    let onto = commit(&scratch.repo, "bump");
    let before = users_clone(&scratch);

    git(worktree.path(), ["merge", "-q", "--no-commit", "--no-ff", &onto]);
    follow_merge(&worktree, &onto, "land").unwrap();
    assert_eq!(read(&worktree.path().join(LIB), "lib.txt"), "lib 2");
    assert!(!worktree.path().join(INNER).exists());
    let merged = capture_merge(&worktree, &mine, Some(&onto), "merge", "land").unwrap().commit.unwrap();
    assert_eq!(git(&scratch.repo, ["diff", "--name-only", &onto, &merged]), "mine.txt");
    advance_branch(&worktree, &mine, &merged).unwrap();
    assert_eq!(reset_to_commit(&worktree, &merged, "land").unwrap(), [""; 0]);
    assert_eq!(remove_worktree(&worktree, "leftover").unwrap(), [""; 0]);

    let lander = scratch.worktree("SD97A").lock().unwrap();
    create_worktree(&lander, &base, Checkout::Clean, "create").unwrap();
    assert_as_recorded(&lander);
    write(&lander.path().join(LIB), "lib.txt", "by a verify command\n");
    overwrite_worktree(&lander, &merged, "landing").unwrap();
    assert_eq!(
        (read(&lander.path().join(LIB), "lib.txt"), lander.path().join(INNER).exists()),
        ("lib 2".into(), false)
    );
    let without = git(&scratch.repo, ["rev-parse", &format!("{base}~1")]);
    overwrite_worktree(&lander, &without, "landing").unwrap();
    assert!(!lander.path().join("third").exists());
    overwrite_worktree(&lander, &base, "landing").unwrap();
    assert_as_recorded(&lander);
    assert_eq!(users_clone(&scratch), before);
}

#[test]
fn damage_by_a_power_loss_and_a_refused_removal_leave_the_submodules_usable() {
    let scratch = with_submodules();
    let (worktree, base) = scratch.create();
    let lib = worktree.path().join(LIB);
    for name in ["HEAD", "index", "config"] {
        fs::write(lib.join(".git").join(name), "").unwrap();
    }
    for own in fs::read_dir(scratch.dir.path().join("scratch/SD979")).unwrap() {
        let own = own.unwrap().path();
        if own.is_dir() {
            fs::write(own.join("index"), "").unwrap();
        }
    }
    fs::create_dir_all(lib.join(".git/objects/aa")).unwrap();
    let empty = lib.join(".git/objects/aa").join("b".repeat(38));
    fs::write(&empty, "").unwrap();
    assert_eq!(repair_after_power_loss(&worktree, &base, "leftover").unwrap().empty_objects, 1);
    assert!(!empty.exists());
    create_worktree(&worktree, &base, Checkout::AsItIs, "again").unwrap();
    assert_eq!(capture(&worktree, &base, "m", "t").unwrap().commit, None);
    assert_as_recorded(&worktree);

    let nested = worktree.path().join("nested");
    fs::create_dir(&nested).unwrap();
    git(&nested, ["init", "-q"]);
    let refused = remove_worktree(&worktree, "leftover");
    assert!(matches!(refused, Err(RemoveError::Refused(RemovalRefusal::NestedRepositories { .. }))), "{refused:?}");
    assert_as_recorded(&worktree);
    assert!(try_git(worktree.path(), ["status"]).0);
}
