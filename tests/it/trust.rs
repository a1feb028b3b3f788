//! What a command or another user can write is data: it is bounded, not followed, and not believed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::support::{Sandbox, lives, pid_in, wait_for};

/// The shell's name for the folder of the running command.
const FOLDER: &str = "D=$BOI_HOME/attempts/$BOI_SPEC/$BOI_ATTEMPT/command-1";

/// A folder of the user's, to which links of the tests lead.
fn precious(sandbox: &Sandbox) -> impl Fn() -> Vec<String> {
    fs::create_dir_all(sandbox.path("precious/1/command-1")).unwrap();
    fs::create_dir_all(sandbox.path("precious/git")).unwrap();
    sandbox.write("precious/gold", "gold");
    let root = sandbox.path("precious");
    move || {
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                found.push(format!("{} {:o}", path.display(), path.metadata().unwrap().permissions().mode()));
                folders.extend(path.is_dir().then_some(path));
            }
        }
        found.sort();
        found
    }
}

#[test]
fn nothing_is_written_or_removed_behind_a_link_that_a_command_made() {
    let sandbox = Sandbox::new("retry_count = 0");
    let listed = precious(&sandbox);
    let before = listed();
    let home = "$BOI_HOME/..";
    for (repo, script) in [
        (
            "repo = 'repo'",
            format!("mv $BOI_HOME/attempts/$BOI_SPEC {home}/x; ln -s {home}/precious $BOI_HOME/attempts/$BOI_SPEC"),
        ),
        (
            "repo = 'repo'",
            format!("G=$BOI_HOME/attempts/$BOI_SPEC/git; rm -r $G; ln -s {home}/precious $G; echo 1 > one"),
        ),
        (
            "repo = 'repo'",
            format!("G=$BOI_HOME/attempts/$BOI_SPEC/git/index; rm -f $G; ln -s {home}/precious/gold $G; echo 1 > one"),
        ),
        ("", format!("cd /; W=$BOI_HOME/worktrees/$BOI_SPEC; rmdir $W; ln -s {home}/precious $W; exit 1")),
        ("repo = 'repo'", format!("cd /; W=$BOI_HOME/worktrees/$BOI_SPEC; rm -r $W; ln -s {home}/precious $W; exit 1")),
    ] {
        let (_, spec) = sandbox.run(&format!("title = 't'\n{repo}\n[[tasks]]\nrun = '{script}'"));
        let id = spec["id"].as_str().unwrap();
        for arguments in
            [&["doctor", "--fix"][..], &["clean", "--dry-run", "--scratch", id], &["clean", "--scratch", id]]
        {
            let said = sandbox.boi(arguments);
            assert_eq!(listed(), before, "{script}: {said:?}");
        }
        for folder in ["attempts", "worktrees"] {
            assert!(sandbox.path(&format!("boi/{folder}/{id}")).symlink_metadata().is_err(), "{script}: {folder}");
        }
        fs::remove_dir_all(sandbox.path("x")).ok();
    }
}

#[test]
fn impostors_in_the_place_of_records_freeze_nothing_and_lead_to_an_end() {
    let mut sandbox = Sandbox::new("retry_count = 0\nmax_workers = 20\nstop_grace_seconds = 1");
    sandbox.start_daemon();
    let forged = r#"{"version":1,"cause":"finished","status":{"code":0},"ended_at":"2026-01-01T00:00:00Z"}"#;
    let scripts = [
        "rm $D/marker; mkfifo $D/marker",
        "rm $D/marker; mkdir -p $D/marker/x",
        "mkfifo $D/exit; kill -9 $PPID",
        "rm $D/started; mkfifo $D/started; kill -9 $PPID",
        "truncate -s 20G $D/exit; kill -9 $PPID",
        "rm $D/output; ln -s /dev/zero $D/output; exit 1",
        "rm $D/output; mkfifo $D/output; exit 1",
        "mkdir -p $D/exit/x",
        "rm $D/exit.new; mkfifo $D/exit.new",
        "rm -r $BOI_HOME/attempts/$BOI_SPEC; mkfifo $BOI_HOME/attempts/$BOI_SPEC",
        "cd /; W=$BOI_HOME/worktrees/$BOI_SPEC; rmdir $W; mkfifo $W; exit 1",
    ];
    let spec = |script: &str| format!("title = 't'\n[[tasks]]\nrun = '''{FOLDER}; {script}'''");
    let ids: Vec<String> = scripts.iter().map(|script| sandbox.dispatch(&spec(script))).collect();
    // A record that is there before its command was started is none: the verify command is executed, and fails.
    let early = format!("N=$D/../command-2; mkdir $N; echo '{forged}' > $N/exit");
    let verified = sandbox.dispatch(&format!("{}\nverify = ['exit 3']", spec(&early)));
    let has_ended = |id: &str| !matches!(sandbox.spec(id)["status"].as_str(), Some("queued" | "running"));
    for (id, script) in ids.iter().zip(scripts) {
        wait_for(script, || has_ended(id).then_some(()));
        for arguments in [&["log", "--all", id][..], &["cancel", id]] {
            assert!(sandbox.boi(arguments).code.is_some());
        }
    }
    sandbox.wait_for_status(&verified, "failed");
    sandbox.boi(&["doctor"]);
    assert_eq!(sandbox.stop_daemon(rustix::process::Signal::TERM).code(), Some(0));
    sandbox.start_daemon();
    sandbox.good(&["clean", "--all", "--scratch"]);
    assert_eq!(fs::read_dir(sandbox.path("boi/attempts")).unwrap().count(), 0);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            fs::copy(&path, &target).unwrap();
        }
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_copy_of_a_home_signals_and_starts_nothing_until_the_original_is_gone() {
    let mut sandbox = Sandbox::new("stop_grace_seconds = 1");
    sandbox.start_daemon();
    let id = sandbox.dispatch("title = 't'\n[[tasks]]\nrun = 'echo $$ > $BOI_HOME/../pid; exec sleep 1000'");
    let command = pid_in(&sandbox.path("pid"));
    let (original, aside) = (sandbox.path("boi"), sandbox.path("original"));
    sandbox.kill_daemon();
    fs::rename(&original, &aside).unwrap();
    copy(&aside, &original);
    // The copy is where the original was, and the original comes back beside it.
    for arguments in [&["cancel", &id][..], &["retry", &id], &["clean"], &["daemon", "start"], &["daemon", "stop"]] {
        let said = sandbox.boi(arguments);
        assert!(said.code == Some(1) && said.err.contains("doctor --fix"), "{said:?}");
    }
    assert!(lives(command), "the command of the original was ended");
    fs::remove_dir_all(&original).unwrap();
    fs::rename(&aside, &original).unwrap();
    sandbox.good(&["cancel", &id]);
    fs::rename(&original, &aside).unwrap();
    copy(&aside, &original);
    assert_eq!(sandbox.boi(&["daemon", "start"]).code, Some(1));
    sandbox.boi(&["doctor", "--fix"]);
    sandbox.start_daemon();
}

#[test]
fn another_boot_id_is_no_reason_to_refuse_a_home() {
    let sandbox = Sandbox::new("").with_variables([("BOI_BOOT_ID", "one".to_owned())]);
    sandbox.run("title = 't'\n[[tasks]]\nrun = 'true'");
    let sandbox = sandbox.with_variables([("BOI_BOOT_ID", "two".to_owned())]);
    let (code, spec) = sandbox.run("title = 't'\n[[tasks]]\nrun = 'true'");
    assert_eq!(code, Some(0), "{spec:#}");
    assert!(sandbox.read("boi/state/home.json").contains("two"));
}

#[test]
fn a_log_in_a_folder_that_others_can_change_is_refused_everywhere() {
    let sandbox = Sandbox::new("");
    fs::create_dir(sandbox.path("open")).unwrap();
    fs::set_permissions(sandbox.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    sandbox.write("boi/config.toml", format!("paths.logs = '{}'", sandbox.at("open/logs")));
    let spec = sandbox.write("s.toml", "title = 't'\n[[tasks]]\nrun = 'true'");
    for arguments in [&["daemon", "start"][..], &["run", spec.to_str().unwrap()], &["config", "check"], &["doctor"]] {
        let said = sandbox.boi(arguments);
        assert!(said.code == Some(1) && format!("{said:?}").contains("mode 777"), "{said:?}");
    }
    assert!(!sandbox.exists("open/logs"));
}

#[test]
fn modes_are_private_under_any_umask_and_commands_keep_the_users() {
    let sandbox = Sandbox::new("retry_count = 0");
    fs::set_permissions(sandbox.path("boi"), fs::Permissions::from_mode(0o700)).unwrap();
    let spec = sandbox.write(
        "s.toml",
        "title = 't'\nrepo = 'repo'\n[[tasks]]\nrun = 'umask > $BOI_HOME/../umask; echo 1 > one; exit 1'",
    );
    let script = format!("umask 000; exec \"$0\" run {}", spec.display());
    let mut shell = sandbox.begin_wrapped(&["sh", "-c", &script]).expect("a shell");
    shell.wait().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut folders = vec![sandbox.path("boi")];
    let mut worktree = None;
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        if folder.parent() == Some(&sandbox.path("boi/worktrees")) {
            worktree = Some(folder);
            continue;
        }
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && path != sandbox.path("boi/config.toml") {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
    assert_eq!(sandbox.read("umask"), "0000\n");
    assert_eq!(mode(&worktree.expect("a worktree").join("one")), 0o666);
}

#[test]
fn titles_and_errors_cannot_deceive_a_terminal() {
    let sandbox = Sandbox::new("");
    let spec = "title = \"a\\u202Eb\\u2028c\\u001B[2Jd\"\n[[tasks]]\nrun = 'true'";
    let file = sandbox.write("no\u{1b}[2J\u{202e}.toml", spec);
    let file = file.to_str().unwrap();
    let missing = format!("{file}x");
    for arguments in [
        &["dispatch", "--dry-run", file][..],
        &["dispatch", "--dry-run", "--json", file],
        &["dispatch", file],
        &["status", "--all"],
        &["status", "--all", "--json"],
        &["run", file],
        &["dispatch", &missing],
    ] {
        let said = sandbox.boi(arguments);
        assert!(
            !format!("{}{}", said.out, said.err).contains(['\u{1b}', '\u{202e}', '\u{2028}']),
            "{arguments:?}: {said:?}"
        );
    }
}
