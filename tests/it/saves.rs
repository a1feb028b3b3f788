//! The reload thread and the many ways to save a file: a part of the matrix of `benches/reload.rs`, and changes that are
//! not ordinary saves.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use boi::domain::verdict::{ReloadOutcome, Trigger};

#[path = "../helpers/saves.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod scene;

use scene::{Scene, agrees, measure, styles, text};

fn scene() -> Scene {
    Scene::new(|root| fs::write(root.join("config.toml"), text(7)).expect("a configuration"))
}

/// Prints to stderr; the test harness does not capture it.
fn say(what: &str) {
    writeln!(std::io::stderr(), "{what}").expect("stderr is open");
}

#[test]
fn every_way_to_save_is_noticed_and_nothing_half_written_is_put_in_force() {
    for style in styles() {
        match measure(&style, 2) {
            None => say(&format!("skipped: {} (there is no `{}`)", style.name, style.program)),
            Some(figures) => assert_eq!((figures.missed, figures.wrong), (0, 0), "{}: {figures:?}", style.name),
        }
    }
}

#[test]
fn a_slow_writer_is_waited_for() {
    let scene = scene();
    let whole = text(42);
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let mut file = File::create(scene.config()).unwrap();
    for chunk in lines.chunks(lines.len().div_ceil(6)) {
        file.write_all(chunk.concat().as_bytes()).unwrap();
        file.sync_all().unwrap();
        // A requested reload must not put the prefix in force either.
        scene.handle().request();
        std::thread::sleep(Duration::from_millis(120));
    }
    assert!(scene.swaps().is_empty(), "a prefix is in force: {:?}", scene.swaps());
    drop(file);
    assert!(scene.in_force(42).is_some());
    assert_eq!(scene.swaps().len(), 1);
}

#[test]
fn a_save_that_changes_no_byte_makes_no_generation() {
    let scene = scene();
    for (number, touch) in [
        (|file: &std::path::Path| File::options().append(true).open(file).map(drop)) as fn(&std::path::Path) -> _,
        |file| fs::set_permissions(file, fs::Permissions::from_mode(0o640)),
        |file| fs::write(file, text(7)),
        |file| {
            fs::read(file)
                .and_then(|bytes| fs::write(file.with_extension("new"), bytes))
                .and_then(|()| fs::rename(file.with_extension("new"), file))
        },
    ]
    .into_iter()
    .enumerate()
    {
        touch(&scene.config()).unwrap();
        if number > 0 {
            scene.verdict(|verdict| verdict.outcome == ReloadOutcome::Unchanged && verdict.trigger == Trigger::File);
        }
        scene.handle().request();
        let verdict = scene.verdict(|verdict| verdict.answers == number as u64 + 1);
        assert_eq!((verdict.outcome, verdict.generation), (ReloadOutcome::Unchanged, 1), "{number}");
    }
    // A read is not a change, neither by another program nor by boi.
    let before = scene.verdict(|_| true).attempt;
    for _ in 0..50 {
        fs::read(scene.config()).unwrap();
    }
    scene.handle().request();
    let verdict = scene.verdict(|verdict| verdict.answers == 5);
    assert_eq!(verdict.attempt, before + 1, "the reads led to a reload");
}

#[test]
fn an_invalid_save_changes_nothing_and_the_next_valid_one_is_applied() {
    let scene = scene();
    fs::write(scene.config(), "max_workers = 1\nspawns_per_tick = \"x\"\nnonsense = 1\n[[[").unwrap();
    let verdict = scene.verdict(|verdict| verdict.outcome == ReloadOutcome::Rejected);
    assert!(
        verdict.errors.len() >= 2 && verdict.errors.iter().all(|error| error.contains("config.toml:")),
        "{verdict:?}"
    );
    fs::write(scene.config(), text(11)).unwrap();
    assert!(scene.in_force(11).is_some());
}

#[test]
fn a_file_that_cannot_be_a_configuration_is_rejected_and_the_watch_goes_on() {
    let scene = scene();
    let config = scene.config();
    let rejected = |what: &str| {
        let verdict = scene.verdict(|verdict| verdict.errors.iter().any(|error| error.contains(what)));
        assert_eq!((verdict.outcome, verdict.generation), (ReloadOutcome::Rejected, 1), "{what}");
    };
    fs::write(&config, vec![b'#'; 2 << 20]).unwrap();
    rejected("too large");
    fs::write(&config, b"max_workers = 3 # \xFF\n").unwrap();
    rejected("UTF-8");
    fs::remove_file(&config).unwrap();
    fs::create_dir(&config).unwrap();
    rejected("not a regular file");
    fs::remove_dir(&config).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &config, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    scene.handle().request();
    let verdict = scene.verdict(|verdict| verdict.answers == 1);
    assert_eq!(verdict.outcome, ReloadOutcome::Rejected, "{verdict:?}");
    fs::remove_file(&config).unwrap();
    symlink("config.toml", &config).unwrap();
    rejected("symbolic links");
    fs::remove_file(&config).unwrap();
    fs::write(&config, text(7)).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    rejected("chmod go-w");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&config, text(12)).unwrap();
    assert!(scene.in_force(12).is_some());
    assert_eq!(scene.swaps().len(), 1);
}

#[test]
fn a_deleted_file_changes_nothing_until_a_reload_is_requested() {
    let scene = scene();
    fs::remove_file(scene.config()).unwrap();
    let missing = scene.verdict(|verdict| verdict.outcome == ReloadOutcome::Missing);
    assert_eq!(missing.generation, 1);
    assert!(scene.swaps().is_empty());
    scene.handle().request();
    let defaults = scene.verdict(|verdict| verdict.answers == 1);
    assert_eq!((defaults.outcome, defaults.trigger), (ReloadOutcome::Applied, Trigger::Signal));
    assert!(defaults.changed.iter().any(|change| change.to_string() == "max_workers: 7 -> 5"), "{defaults:?}");
    fs::write(scene.config(), text(13)).unwrap();
    assert!(scene.in_force(13).is_some(), "created again");
    File::create(scene.config()).unwrap();
    let empty = scene.verdict(|verdict| verdict.outcome == ReloadOutcome::Missing);
    assert_eq!(empty.generation, 3, "an empty file, as a full disk leaves it");
}

#[test]
fn the_home_may_be_removed_created_again_and_replaced() {
    let scene = scene();
    let root = scene.root();
    let aside = scene.dir().join("aside");
    fs::rename(&root, &aside).unwrap();
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(scene.config(), text(21)).unwrap();
    assert!(scene.in_force(21).is_some(), "replaced by a rename");
    fs::remove_dir_all(&root).unwrap();
    scene.verdict(|verdict| verdict.outcome == ReloadOutcome::Missing);
    fs::create_dir(&root).unwrap();
    fs::write(scene.config(), text(22)).unwrap();
    assert!(scene.in_force(22).is_some(), "removed and created again");
    fs::remove_dir_all(&root).unwrap();
    fs::rename(&aside, scene.dir().join("elsewhere")).unwrap();
    symlink("elsewhere", &root).unwrap();
    assert!(scene.in_force(7).is_some(), "the home is a link now");
    fs::write(scene.dir().join("elsewhere/config.toml"), text(23)).unwrap();
    assert!(scene.in_force(23).is_some(), "behind the link");
}

#[test]
fn a_file_created_after_the_start_is_noticed() {
    let scene = Scene::new(|_| {});
    fs::write(scene.config(), text(31)).unwrap();
    assert!(scene.in_force(31).is_some());
}

#[test]
fn a_change_of_any_link_in_a_chain_is_noticed() {
    let scene = Scene::new(|root| {
        let outside = root.parent().unwrap();
        for folder in ["a", "b", "c"] {
            fs::create_dir(outside.join(folder)).unwrap();
        }
        fs::write(outside.join("c/real.toml"), text(7)).unwrap();
        symlink("../c/real.toml", outside.join("b/two.toml")).unwrap();
        symlink(outside.join("b"), outside.join("a/folder")).unwrap();
        symlink("../a/folder/two.toml", root.join("config.toml")).unwrap();
    });
    let outside = scene.dir();
    fs::write(outside.join("c/real.toml"), text(41)).unwrap();
    assert!(scene.in_force(41).is_some(), "the file at the end changed");
    fs::write(outside.join("c/other.toml"), text(42)).unwrap();
    symlink("../c/other.toml", outside.join("b/new")).unwrap();
    fs::rename(outside.join("b/new"), outside.join("b/two.toml")).unwrap();
    assert!(scene.in_force(42).is_some(), "the last link changed");
    fs::create_dir(outside.join("d")).unwrap();
    fs::write(outside.join("d/two.toml"), text(43)).unwrap();
    symlink("../d", outside.join("a/new")).unwrap();
    fs::rename(outside.join("a/new"), outside.join("a/folder")).unwrap();
    assert!(scene.in_force(43).is_some(), "a linked folder changed");
    fs::write(outside.join("d/two.toml"), text(44)).unwrap();
    assert!(scene.in_force(44).is_some(), "the new file changed");
}

#[test]
fn many_requests_during_saves_end_with_the_last_content() {
    let scene = scene();
    let reload = scene.handle();
    let done = Arc::new(AtomicBool::new(false));
    let requesting = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            let mut requested = 0u64;
            while requested < 1000 || !done.load(Ordering::Relaxed) {
                reload.request();
                requested += 1;
                std::thread::yield_now();
                if requested.is_multiple_of(5) {
                    std::thread::sleep(Duration::from_micros(300));
                }
            }
            requested
        })
    };
    for number in 100..300 {
        if number % 2 == 0 {
            fs::write(scene.config(), text(number)).unwrap();
        } else {
            fs::write(scene.root().join("new"), text(number)).unwrap();
            fs::rename(scene.root().join("new"), scene.config()).unwrap();
        }
    }
    done.store(true, Ordering::Relaxed);
    let requested = requesting.join().unwrap();
    assert!(scene.in_force(299).is_some());
    let last = scene.verdict(|verdict| verdict.answers == requested);
    let swaps = scene.swaps();
    assert!(swaps.iter().all(|swap| agrees(&swap.config)), "a half-written file was put in force");
    assert!(swaps.windows(2).all(|pair| pair[0].config != pair[1].config), "a generation changed nothing");
    assert_eq!(last.generation, swaps.len() as u64 + 1);
}

#[test]
fn a_writer_that_opened_the_file_by_another_name_is_waited_for() {
    let scene = scene();
    // Opened by another name, so no event of the watched name reports it.
    let alias = scene.dir().join("alias.toml");
    fs::hard_link(scene.config(), &alias).unwrap();
    let mut writer = OpenOptions::new().write(true).truncate(true).open(&alias).unwrap();
    writer.write_all(&text(51).as_bytes()[..200]).unwrap();
    scene.handle().request();
    writer.write_all(&text(51).as_bytes()[200..]).unwrap();
    drop(writer);
    assert!(scene.in_force(51).is_some());
    assert_eq!(scene.swaps().len(), 1, "{:?}", scene.swaps());
}
