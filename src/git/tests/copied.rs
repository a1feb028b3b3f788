//! Ignored files of the user's checkout are copied into a new worktree, and boi commits none of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{Scratch, commit, git, head, read, status, try_git, write};
use crate::domain::copied::CopiedFiles;
use crate::domain::position::Checkout;
use crate::git::{
    GitError, LockedWorktree, branch_head, capture, copy_files, create_worktree, files_to_copy, prepare_copying,
    read_copied, remove_worktree, reset_branch, reset_to_commit, withhold_branch,
};

const SECRET: &str = "TOKEN=hunter2";

/// Creates the worktree of spec SD979 with the files that match `patterns`, and the kept folders `keep`.
fn create_with(scratch: &Scratch, patterns: &[&str], keep: &[&str]) -> (LockedWorktree, String, CopiedFiles) {
    let worktree = scratch.worktree("SD979").lock().unwrap();
    let base = head(&scratch.repo);
    copy(&worktree, &base, Checkout::Clean, patterns, keep);
    let copied = read_copied(worktree.scratch()).unwrap_or_default();
    (worktree, base, copied)
}

fn copy(worktree: &LockedWorktree, base: &str, checkout: Checkout, patterns: &[&str], keep: &[&str]) {
    let [patterns, keep] = [patterns, keep].map(|list| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
    let copying = prepare_copying(worktree, base, checkout, &patterns, &keep).unwrap();
    let created = create_worktree(worktree, base, checkout, "create").unwrap();
    copy_files(worktree, &copying, created.is_new).unwrap();
}

/// A repository that ignores `.env`, `config/*.local` and `target/`, and has `.env` with a secret.
fn with_secret() -> Scratch {
    let scratch = Scratch::new();
    write(&scratch.repo, ".gitignore", "*.ignored\n.env\nconfig/*.local\ntarget/\n");
    commit(&scratch.repo, "ignore");
    write(&scratch.repo, ".env", SECRET);
    scratch
}

/// Fails if the secret is in any object of the repository, or a withheld path in any commit that a ref contains.
fn must_not_leak(scratch: &Scratch) {
    let commits = git(&scratch.repo, ["rev-list", "--all"]);
    for commit in commits.lines() {
        let tree = git(&scratch.repo, ["ls-tree", "-r", "--name-only", commit]);
        let leaked = tree.lines().find(|path| path.contains(".env") || path.contains("target/"));
        assert_eq!(leaked, None, "in {commit}: {tree}");
    }
}

fn has_object(scratch: &Scratch, content: &str) -> bool {
    let file = scratch.dir.path().join("content");
    fs::write(&file, content).unwrap();
    let hash = git(&scratch.repo, [OsStr::new("hash-object"), OsStr::new("--no-filters"), file.as_os_str()]);
    try_git(&scratch.repo, ["cat-file", "-e", &hash]).0
}

fn reason<'a>(copied: &'a CopiedFiles, path: &str) -> &'a str {
    let found = copied.skipped.iter().find(|skipped| skipped.path == path);
    &found.unwrap_or_else(|| panic!("{path} is not skipped: {copied:#?}")).reason
}

#[test]
fn the_syntax_of_gitignore_selects_ignored_files_and_no_others() {
    let scratch = Scratch::new();
    write(&scratch.repo, ".gitignore", "*.ignored\nsecrets/\n*.key\n.env*\nodd*\n");
    commit(&scratch.repo, "ignore");
    let ignored = [
        ".env",
        "sub/.env",
        ".env.example",
        "secrets/a",
        "secrets/deep/b",
        "top.key",
        "sub/top.key",
        "#odd",
        "!odd",
        "odd\nline",
        "odd ",
        "deep/er/x.ignored",
        "other.ignored",
    ];
    for name in ignored {
        write(&scratch.repo, name, name);
    }
    // `#odd` and `!odd` are not ignored by `odd*`.
    write(&scratch.repo, "not-ignored.txt", "");
    let select = |text: &str| {
        write(&scratch.repo, ".worktreeinclude", text);
        let mut found: Vec<String> =
            files_to_copy(&scratch.repo, &[]).unwrap().iter().map(|path| path.to_str().unwrap().to_owned()).collect();
        found.sort();
        found
    };
    for (text, expected) in [
        ("", &[][..]),
        ("# .env\n\n", &[]),
        (".env", &[".env", "sub/.env"]),
        ("/.env\r\n", &[".env"]),
        (".env*\n!.env.example\n", &[".env", "sub/.env"]),
        ("secrets/\n", &["secrets/a", "secrets/deep/b"]),
        ("secrets/*\n!secrets/deep\n", &["secrets/a"]),
        ("secrets/\n!secrets/a\n", &["secrets/a", "secrets/deep/b"]),
        ("/top.key", &["top.key"]),
        ("**/top.key", &["sub/top.key", "top.key"]),
        ("deep/**/*.ignored", &["deep/er/x.ignored"]),
        ("\\#odd\n\\!odd\n", &[]),
        ("odd*\n", &["odd\nline", "odd "]),
        ("odd\\ \n", &["odd "]),
        ("other.ignored   \n", &["other.ignored"]),
        ("not-ignored.txt\na.txt\n", &[]),
    ] {
        assert_eq!(select(text), expected, "{text:?}");
    }
    write(&scratch.repo, ".gitignore", "*odd\n");
    assert_eq!(select("\\#odd\n\\!odd\n"), ["!odd", "#odd"]);
}

#[test]
fn files_are_copied_with_their_permissions_and_stay_ignored() {
    let scratch = with_secret();
    fs::set_permissions(scratch.repo.join(".env"), fs::Permissions::from_mode(0o600)).unwrap();
    write(&scratch.repo, "config/a.local", "a");
    write(&scratch.repo, "config/b.local", "b");
    let odd = scratch.repo.join("config").join(OsStr::from_bytes(b"\xff\n.local"));
    fs::write(&odd, "odd").unwrap();
    write(&scratch.repo, ".worktreeinclude", "config/*.local\n!config/b.local\n");
    let before = scratch.users_state();
    let (worktree, base, copied) = create_with(&scratch, &[".env"], &[]);
    assert_eq!((copied.files, copied.bytes), (3, 17), "{copied:#?}");
    assert_eq!(read(worktree.path(), ".env"), SECRET);
    assert_eq!(read(worktree.path(), "config/a.local"), "a");
    assert_eq!(fs::read(worktree.path().join("config").join(odd.file_name().unwrap())).unwrap(), b"odd");
    assert!(!worktree.path().join("config/b.local").exists());
    let mode = fs::metadata(worktree.path().join(".env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(status(worktree.path()), "## boi/SD979");
    write(worktree.path(), "new", "new");
    let candidate = capture(&worktree, &base, "m", "t-1").unwrap().commit.unwrap();
    assert!(git(&scratch.repo, ["ls-tree", "-r", "--name-only", &candidate]).contains("new"));
    must_not_leak(&scratch);
    assert!(!has_object(&scratch, SECRET));
    assert_eq!(scratch.users_state(), before);
}

#[test]
fn a_file_that_is_not_ignored_or_not_a_file_of_the_checkout_is_skipped_with_its_reason() {
    let scratch = with_secret();
    let outside = scratch.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x.ignored"), SECRET).unwrap();
    symlink(outside.join("x.ignored"), scratch.repo.join("link.ignored")).unwrap();
    symlink(&outside, scratch.repo.join("folder.ignored")).unwrap();
    git(&scratch.repo, ["init", "-q", "nested.ignored"]);
    write(&scratch.repo, "nested.ignored/y.ignored", "");
    // The base tracks one file, and does not ignore another.
    write(&scratch.repo, "tracked.ignored", "base");
    git(&scratch.repo, ["add", "-f", "tracked.ignored"]);
    git(&scratch.repo, ["commit", "-q", "-m", "tracked"]);
    let base = head(&scratch.repo);
    git(&scratch.repo, ["rm", "-q", "--cached", "tracked.ignored"]);
    write(&scratch.repo, ".gitignore", "*.ignored\n.env\nlater\n");
    write(&scratch.repo, "tracked.ignored", "changed");
    for name in ["later", "plain"] {
        write(&scratch.repo, name, name);
    }
    // In the worktree, a link is in the place of the folder.
    symlink("sub", scratch.repo.join("dir")).unwrap();
    git(&scratch.repo, ["add", "dir"]);
    git(&scratch.repo, ["commit", "-q", "-m", "link"]);
    let with_link = head(&scratch.repo);
    fs::remove_file(scratch.repo.join("dir")).unwrap();
    write(&scratch.repo, "dir/z.ignored", "z");
    let patterns = ["*.ignored", "later", "plain", "a.txt"];
    let worktree = scratch.worktree("SD979").lock().unwrap();
    copy(&worktree, &with_link, Checkout::Clean, &patterns, &[]);
    let copied = read_copied(worktree.scratch()).unwrap();
    // The base no longer tracks this file.
    assert_eq!(copied.names, ["tracked.ignored"], "{copied:#?}");
    assert!(reason(&copied, "link.ignored").contains("link"));
    assert!(reason(&copied, "folder.ignored").contains("link"));
    assert!(reason(&copied, "nested.ignored/").contains("repository"));
    assert!(reason(&copied, "plain").contains("not ignore it in the checkout"));
    assert!(reason(&copied, "later").contains("not ignore it at the base"));
    assert!(reason(&copied, "dir/z.ignored").contains("not a folder"));
    assert!(!worktree.path().join("later").exists() && !worktree.path().join("sub/z.ignored").exists());
    assert_ne!(base, with_link);
    drop(worktree);

    // A file that the base tracks keeps the content of the base.
    let worktree = scratch.worktree("SD97A").lock().unwrap();
    copy(&worktree, &base, Checkout::Clean, &["tracked.ignored"], &[]);
    assert!(reason(&read_copied(worktree.scratch()).unwrap(), "tracked.ignored").contains("the base contains"));
    assert_eq!(read(worktree.path(), "tracked.ignored"), "base");
}

#[test]
fn an_include_file_that_is_a_link_or_too_large_is_not_read() {
    let scratch = with_secret();
    let include = scratch.repo.join(".worktreeinclude");
    fs::write(scratch.dir.path().join("patterns"), ".env\n").unwrap();
    symlink(scratch.dir.path().join("patterns"), &include).unwrap();
    let (worktree, _, copied) = create_with(&scratch, &[], &[]);
    assert!(reason(&copied, ".worktreeinclude").contains("regular file"), "{copied:#?}");
    drop(worktree);
    fs::remove_file(&include).unwrap();
    fs::write(&include, ".env\n".repeat(20_000)).unwrap();
    let (worktree, _, copied) = create_with(&scratch, &[], &[]);
    assert!(reason(&copied, ".worktreeinclude").contains("64 KiB"), "{copied:#?}");
    assert!(!worktree.path().join(".env").exists());
}

#[test]
fn worktrees_of_boi_in_the_checkout_are_not_copied() {
    let scratch = with_secret();
    write(&scratch.repo, ".gitignore", ".boi/\n.env\n");
    commit(&scratch.repo, "ignore");
    let mut worktree = scratch.worktree("SD979");
    worktree.path = scratch.repo.join(".boi/worktrees/SD979");
    worktree.scratch = scratch.repo.join(".boi/attempts/SD979/git");
    write(&scratch.repo, ".boi/worktrees/SD000.kept/.env", "old");
    write(&scratch.repo, ".boi/config.toml", "");
    let worktree = worktree.lock().unwrap();
    copy(&worktree, &head(&scratch.repo), Checkout::Clean, &[".boi", ".env"], &[]);
    let copied = read_copied(worktree.scratch()).unwrap();
    assert_eq!(copied.names, [".env"], "{copied:#?}");
    assert!(reason(&copied, ".boi/config.toml").contains("boi"));
}

#[test]
fn ten_thousand_files_are_copied_and_not_committed() {
    let scratch = with_secret();
    for number in 0..10_000 {
        write(&scratch.repo, &format!("target/{}/{number}", number % 100), "x");
    }
    let (worktree, base, copied) = create_with(&scratch, &["target/"], &[]);
    assert_eq!((copied.files, copied.names.len(), copied.skipped.len()), (10_000, 20, 0));
    assert_eq!(read(worktree.path(), "target/99/9999"), "x");
    assert_eq!(capture(&worktree, &base, "m", "t-1").unwrap().commit, None);
    write(worktree.path(), ".gitignore", "");
    let Err(GitError::Withheld(found)) = capture(&worktree, &base, "m", "t-2") else { panic!("captured") };
    assert!(found.to_string().contains("and 9990 more"), "{found}");
    assert_eq!(reset_to_commit(&worktree, &base, "reset").unwrap().len(), 1);
    assert!(worktree.path().join("target/99/9999").exists());
    must_not_leak(&scratch);
}

#[test]
fn a_killed_copying_is_repeated_and_a_worktree_that_is_used_as_it_is_gets_nothing() {
    let scratch = with_secret();
    let worktree = scratch.worktree("SD979").lock().unwrap();
    let base = head(&scratch.repo);
    let patterns = [".env".to_owned()];
    // The first call is killed once the worktree exists.
    prepare_copying(&worktree, &base, Checkout::Clean, &patterns, &[]).unwrap();
    create_worktree(&worktree, &base, Checkout::Clean, "create").unwrap();
    copy(&worktree, &base, Checkout::AsItIs, &[".env"], &[]);
    assert_eq!(read(worktree.path(), ".env"), SECRET);
    fs::remove_file(worktree.path().join(".env")).unwrap();
    copy(&worktree, &base, Checkout::AsItIs, &[".env"], &[]);
    assert!(!worktree.path().join(".env").exists());
    // A later attempt begins with the user's present file.
    write(worktree.path(), ".env", "changed");
    write(&scratch.repo, ".env", "new");
    copy(&worktree, &base, Checkout::Clean, &[".env"], &[]);
    assert_eq!(read(worktree.path(), ".env"), "new");
    // A worktree that was removed and is made again gets the files again.
    drop(fs::remove_dir_all(worktree.path()));
    copy(&worktree, &base, Checkout::AsItIs, &[".env"], &[]);
    assert_eq!(read(worktree.path(), ".env"), "new");
}

#[test]
fn a_try_that_stops_ignoring_a_copied_file_or_a_kept_folder_fails_and_leaks_nothing() {
    for (file, text) in
        [(".gitignore", ""), (".gitignore", "!.env\n!target/\n"), ("target/.gitignore", "!*\n"), (".git-exclude", "")]
    {
        let scratch = with_secret();
        if file == ".git-exclude" {
            git(&scratch.repo, ["rm", "-q", "--cached", ".gitignore"]);
            git(&scratch.repo, ["commit", "-q", "-m", "no .gitignore"]);
            fs::rename(scratch.repo.join(".gitignore"), scratch.repo.join(".git/info/exclude")).unwrap();
        }
        let (worktree, base, copied) = create_with(&scratch, &[".env"], &["target"]);
        assert_eq!(copied.names, [".env"], "{file}");
        write(worktree.path(), "target/debug/built", "built");
        git(worktree.path(), ["init", "-q", "target/nested"]);
        write(worktree.path(), "work", "work");
        match file {
            ".git-exclude" => write(&scratch.repo, ".git/info/exclude", text),
            // A folder that git ignores as a whole cannot be included again from inside.
            "target/.gitignore" => {
                write(worktree.path(), ".gitignore", "*.ignored\n.env\n");
                write(worktree.path(), file, text);
            }
            _ => write(worktree.path(), file, text),
        }
        let error = capture(&worktree, &base, "m", "t-1").unwrap_err();
        let GitError::Withheld(found) = &error else { panic!("{error}") };
        assert!(error.to_string().contains("git no longer ignores"), "{error}");
        let names: Vec<_> = found.not_ignored.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names.contains(&".env"), file != "target/.gitignore", "{names:?}");
        assert!(names.contains(&"target/debug/built") && names.contains(&"target/nested/"), "{names:?}");
        // The work is kept without these paths, and they stay in the worktree.
        let kept = reset_to_commit(&worktree, &base, "leftover").unwrap();
        assert_eq!(kept.len(), 1, "{file}");
        assert_eq!(git(&scratch.repo, ["show", &format!("{}:work", kept[0])]), "work");
        assert_eq!(
            (read(worktree.path(), ".env"), read(worktree.path(), "target/debug/built")),
            (SECRET.into(), "built".into())
        );
        write(worktree.path(), "later", "later");
        write(worktree.path(), ".gitignore", "");
        remove_worktree(&worktree, "removed").unwrap();
        assert!(!worktree.path().exists());
        must_not_leak(&scratch);
        assert!(!has_object(&scratch, SECRET) && !has_object(&scratch, "built"), "{file}");
    }
}

#[test]
fn a_copied_file_that_was_replaced_by_a_folder_or_a_link_is_not_committed() {
    for is_link in [true, false] {
        let scratch = with_secret();
        let (worktree, base, _) = create_with(&scratch, &[".env"], &["target"]);
        let env = worktree.path().join(".env");
        fs::remove_file(&env).unwrap();
        match is_link {
            true => symlink(scratch.repo.join(".env"), &env).unwrap(),
            false => write(worktree.path(), ".env/inner", SECRET),
        }
        assert_eq!(capture(&worktree, &base, "m", "t-1").unwrap().commit, None);
        write(worktree.path(), ".gitignore", "");
        let error = capture(&worktree, &base, "m", "t-2").unwrap_err().to_string();
        assert!(error.contains(".env"), "{error}");
        must_not_leak(&scratch);
        assert!(!has_object(&scratch, SECRET));
    }
    // A link in the place of a kept folder is not ignored by `target/`.
    let scratch = with_secret();
    let (worktree, base, _) = create_with(&scratch, &[], &["target"]);
    symlink("/tmp", worktree.path().join("target")).unwrap();
    assert!(matches!(capture(&worktree, &base, "m", "t-1"), Err(GitError::Withheld(_))));
}

#[test]
fn a_file_that_was_added_to_the_index_by_force_fails_the_try_once() {
    let scratch = with_secret();
    let (worktree, base, _) = create_with(&scratch, &[".env"], &["target"]);
    write(worktree.path(), "target/debug/built", "built");
    write(worktree.path(), "work", "work");
    git(worktree.path(), ["add", "-f", ".env", "target"]);
    let error = capture(&worktree, &base, "m", "t-1").unwrap_err().to_string();
    assert!(error.contains("\".env\", \"target/debug/built\"") && error.contains("index"), "{error}");
    let candidate = capture(&worktree, &base, "m", "t-2").unwrap().commit.unwrap();
    assert_eq!(git(&scratch.repo, ["diff", "--name-only", &base, &candidate]), "work");
    must_not_leak(&scratch);
}

#[test]
fn an_agents_commits_with_a_copied_file_are_kept_without_it() {
    let scratch = with_secret();
    let (worktree, base, _) = create_with(&scratch, &[".env"], &["target"]);
    git(worktree.path(), ["add", "-f", ".env"]);
    git(worktree.path(), ["commit", "-q", "-m", "add the secret"]);
    // The tip no longer contains the file, but its history does.
    git(worktree.path(), ["rm", "-q", "--cached", ".env"]);
    write(worktree.path(), "work", "work");
    git(worktree.path(), ["add", "work"]);
    git(worktree.path(), ["commit", "-q", "-m", "work\n\nbody"]);
    let theirs = head(worktree.path());
    git(worktree.path(), ["checkout", "-q", "--detach"]);
    write(worktree.path(), "target/x", "built");
    git(worktree.path(), ["add", "-f", "target"]);
    git(worktree.path(), ["commit", "-q", "-m", "built"]);
    let error = capture(&worktree, &base, "m", "t-1").unwrap_err().to_string();
    assert!(error.contains("commits of the try contain \".env\", \"target/x\""), "{error}");
    let kept = git(&scratch.repo, ["for-each-ref", "--format=%(refname)", "refs/boi/kept"]);
    assert_eq!(kept.lines().count(), 2, "{kept}");
    must_not_leak(&scratch);
    let copied = read_copied(worktree.scratch()).unwrap();
    let of_tip = copied.withheld.iter().find(|work| work.commit == theirs).expect("recorded");
    assert_eq!(of_tip.paths, [".env"]);
    let kept = of_tip.kept.as_deref().unwrap();
    assert_eq!(git(&scratch.repo, ["show", "-s", "--format=%P %B", kept]), format!("{base} work\n\nbody"));
    assert_eq!(git(&scratch.repo, ["diff", "--name-only", &base, kept]), "work");
    // A repeated capture after a crash fails too, with the same refs.
    assert!(matches!(capture(&worktree, &base, "m", "t-1"), Err(GitError::Withheld(_))));
    assert!(capture(&worktree, &base, "m", "t-2").unwrap().commit.is_some());
    must_not_leak(&scratch);
}

#[test]
fn a_branch_with_a_copied_file_is_moved_back_when_the_spec_ends() {
    let scratch = with_secret();
    let (worktree, base, _) = create_with(&scratch, &[".env"], &[]);
    write(worktree.path(), "work", "work");
    commit(worktree.path(), "work");
    let clean = head(worktree.path());
    assert_eq!(withhold_branch(&worktree, &base, "end").unwrap(), [""; 0]);
    assert_eq!(branch_head(&scratch.repo, worktree.spec()).unwrap(), Some(clean));
    git(worktree.path(), ["add", "-f", ".env"]);
    git(worktree.path(), ["commit", "-q", "-m", "x"]);
    assert_eq!(withhold_branch(&worktree, &base, "end").unwrap().len(), 1);
    assert_eq!(branch_head(&scratch.repo, worktree.spec()).unwrap(), Some(base.clone()));
    reset_branch(&worktree, &base, "end").unwrap();
    must_not_leak(&scratch);
}

#[test]
fn a_damaged_record_stops_the_capture() {
    let scratch = with_secret();
    let (worktree, base, _) = create_with(&scratch, &[".env"], &[]);
    write(worktree.path(), ".gitignore", "");
    fs::write(worktree.scratch().join("copied"), "{").unwrap();
    let error = capture(&worktree, &base, "m", "t-1").unwrap_err();
    assert!(matches!(error, GitError::CopyRecordDamaged { .. }), "{error}");
    assert_eq!(read_copied(worktree.scratch()), None);
    assert!(Path::new(&worktree.path().join(".env")).exists());
    must_not_leak(&scratch);
}

#[test]
fn a_lost_commit_with_a_copied_file_is_kept_without_it_if_it_appeared_during_the_spec() {
    use crate::git::{compare_with_snapshot, confirm_comparison, take_snapshot};
    let scratch = with_secret();
    // The user's own branch contains such a file, and nothing of the user's work is lost.
    git(&scratch.repo, ["checkout", "-q", "-b", "users"]);
    git(&scratch.repo, ["add", "-f", ".env"]);
    git(&scratch.repo, ["commit", "-q", "-m", "mine"]);
    let users = head(&scratch.repo);
    git(&scratch.repo, ["checkout", "-q", "main"]);
    write(&scratch.repo, ".env", SECRET);
    let (worktree, ..) = create_with(&scratch, &[".env"], &[]);
    let command = |marker: &str, run: &dyn Fn()| {
        take_snapshot(&worktree, marker).unwrap();
        run();
        let changes = compare_with_snapshot(&worktree, marker, marker).unwrap().unwrap().changes;
        confirm_comparison(&worktree, marker).unwrap();
        changes
    };
    let path = worktree.path();
    command("one", &|| {
        git(path, ["checkout", "-q", "-b", "theirs"]);
        git(path, ["add", "-f", ".env"]);
        git(path, ["commit", "-q", "-m", "secret"]);
        git(path, ["checkout", "-q", "boi/SD979"]);
        write(path, ".env", SECRET);
    });
    let theirs = git(&scratch.repo, ["rev-parse", "theirs"]);
    let noted = read_copied(worktree.scratch()).unwrap().withheld;
    assert_eq!(noted.len(), 1, "{noted:#?}");
    assert_eq!((noted[0].held_by.as_deref(), &noted[0].commit), (Some("refs/heads/theirs"), &theirs));
    let changes = command("two", &|| drop(git(path, ["branch", "-q", "-D", "theirs", "users"])));
    let kept = |name: &str| {
        let change = changes.iter().find(|change| change.name == name).unwrap();
        git(&scratch.repo, ["rev-parse", change.kept.as_deref().unwrap()])
    };
    assert_eq!(kept("refs/heads/users"), users);
    let stripped = kept("refs/heads/theirs");
    assert_ne!(stripped, theirs);
    assert!(!git(&scratch.repo, ["ls-tree", "--name-only", &stripped]).contains(".env"));
    assert_eq!(git(&scratch.repo, ["show", "-s", "--format=%s", &stripped]), "secret");
}
