//! Tests of the verdicts on a sequence of file contents, without the reload thread and without timers.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use arc_swap::ArcSwap;
use tempfile::TempDir;

use super::judge::{Content, Unread};
use super::read_file::FileContent;
use super::settle::OpenForWriting;
use super::{Callbacks, ConfigError, Judge, boot, validate};
use crate::config::flags::Flags;
use crate::config::keys::{KEYS, Kind, Value};
use crate::config::{Config, EnvValue, HookConfig, HotConfig, Loaded, Paths, WorkerConfig};
use crate::domain::agent::AgentCommand;
use crate::domain::event::EventKind;
use crate::domain::money::{Price, Usd};
use crate::domain::verdict::{ReloadOutcome, TakesEffect, Trigger, Verdict};
use crate::domain::view::ConfigView;
use crate::system::paths::Home;

struct Scene {
    hot: Arc<ArcSwap<HotConfig>>,
    views: Arc<Mutex<Vec<ConfigView>>>,
    filters: Arc<Mutex<Vec<String>>>,
    judge: Judge,
    // The last field, so that it is dropped last: the recorder writes to this folder until the judge is
    // dropped.
    dir: TempDir,
}

impl Scene {
    fn new(text: &str) -> Scene {
        let dir = TempDir::new().unwrap();
        let home = Home::at(dir.path().join("boi"));
        home.prepare().unwrap();
        fs::write(home.config_file(), text).unwrap();
        Scene::over(dir, &home)
    }

    fn over(dir: TempDir, home: &Home) -> Scene {
        Scene::over_with(dir, home, &Flags::default())
    }

    fn over_with(dir: TempDir, home: &Home, flags: &Flags) -> Scene {
        capture_logs();
        let booted = boot(home, flags).unwrap();
        let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 1, config: booted.config.clone() }));
        let (views, filters) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let callbacks = Callbacks {
            publish: {
                let views = Arc::clone(&views);
                Box::new(move |view| views.lock().unwrap().push(view.clone()))
            },
            set_log_filter: {
                let filters = Arc::clone(&filters);
                Box::new(move |filter| {
                    filters.lock().unwrap().push(filter.to_owned());
                    Ok(())
                })
            },
        };
        let judge = Judge::new(home.clone(), &booted, Arc::clone(&hot), callbacks);
        Scene { hot, views, filters, judge, dir }
    }

    fn home(&self) -> Home {
        Home::at(self.dir.path().join("boi"))
    }

    fn judge(&mut self, content: Content, trigger: Trigger) -> Verdict {
        self.judge.judge(content, trigger, || Duration::from_micros(7));
        self.view().verdict.unwrap()
    }

    fn saved(&mut self, text: &str) -> Verdict {
        self.judge(Content::Bytes(text.as_bytes().to_vec()), Trigger::File)
    }

    fn view(&self) -> ConfigView {
        self.views.lock().unwrap().last().cloned().unwrap()
    }

    fn config(&self) -> Config {
        self.hot.load().config.clone()
    }
}

thread_local! {
    /// What this thread has logged since its last call of `logged` began.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThreadLog;

impl Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Captures what each thread logs. Must be called before the first reload in any thread: `tracing` decides once for each
/// log statement whether anything subscribes to it, in the thread that reaches it first.
fn capture_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_writer(|| ThreadLog).with_ansi(false).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Runs `work` and returns what this thread logged meanwhile.
fn logged(work: impl FnOnce()) -> String {
    LOG.take();
    work();
    String::from_utf8(LOG.take()).unwrap()
}

#[test]
fn hot_keys_change_and_a_frozen_key_is_pending_a_restart() {
    let mut scene = Scene::new("max_workers = 3\nretry_count = 2\n");
    let verdict = scene.saved("max_workers = 6\nretry_count = 9\nlog = \"debug\"\n");
    assert_eq!((verdict.outcome, verdict.generation, verdict.attempt), (ReloadOutcome::Applied, 2, 2));
    let config = scene.config();
    assert_eq!((config.max_workers, config.retry_count, config.log.as_str()), (6, 2, "debug"));
    assert_eq!(scene.hot.load().generation, 2);
    let shown: Vec<String> =
        verdict.changed.iter().map(|change| format!("{change} ({})", change.takes_effect)).collect();
    assert_eq!(shown, ["max_workers: 3 -> 6 (next tick)", "log: \"info\" -> \"debug\" (at once)"]);
    assert_eq!(scene.view().pending_restart, ["retry_count: 2 -> 9"]);
    assert_eq!(*scene.filters.lock().unwrap(), ["debug"]);

    let verdict = scene.saved("max_workers = 6\nretry_count = 2\nlog = \"debug\"\n");
    assert_eq!((verdict.outcome, verdict.generation), (ReloadOutcome::Unchanged, 2));
    assert!(scene.view().pending_restart.is_empty(), "the key has the value in force again");
}

#[test]
fn a_frozen_change_alone_is_pending_and_makes_no_generation() {
    let mut scene = Scene::new("");
    let log = logged(|| {
        let verdict = scene.saved("max_output_mb = 1\n");
        assert_eq!((verdict.outcome, verdict.generation), (ReloadOutcome::Unchanged, 1));
        assert_eq!(verdict.pending_restart[0].to_string(), "max_output_mb: 512 -> 1");
    });
    assert!(log.contains("max_output_mb: 512 -> 1 takes effect after a restart of the daemon"), "{log}");
    assert_eq!(scene.config().max_output_mb, 512);
}

#[test]
fn a_frozen_key_that_is_put_back_is_noted_once_in_the_log_and_once_after_a_request() {
    let mut scene = Scene::new("");
    scene.saved("max_output_mb = 1\nretry_count = 9\n");
    let back = ["max_output_mb is 512 again, the value in force: it no longer needs a restart"];
    let log = logged(|| assert_eq!(scene.saved("retry_count = 9\n").notes, back));
    assert_eq!(log.matches(back[0]).count(), 1, "{log}");
    let mut again = || scene.judge(Content::Bytes(b"retry_count = 9\n".to_vec()), Trigger::Signal).notes;
    let log = logged(|| assert_eq!(again(), back, "the request after the save reports the note too"));
    assert!(!log.contains(back[0]), "{log}");
    assert!(again().is_empty(), "a second request does not report the note again");
    // The key was put back and changed again before the request.
    scene.saved("");
    scene.saved("retry_count = 8\n");
    assert!(scene.judge(Content::Bytes(b"retry_count = 8\n".to_vec()), Trigger::Signal).notes.is_empty());
}

#[test]
fn a_bad_file_keeps_the_old_values_and_logs_the_error_once() {
    let mut scene = Scene::new("max_workers = 3\n");
    let bad = "max_wokers = 6\nspawns_per_tick = 0\nlog = 5\n";
    let log = logged(|| {
        let verdict = scene.saved(bad);
        assert_eq!((verdict.outcome, verdict.generation), (ReloadOutcome::Rejected, 1));
        assert_eq!(verdict.errors.len(), 3, "{:?}", verdict.errors);
        assert!(verdict.errors[0].contains("config.toml:1:1") && verdict.errors[0].contains("max_workers"));
    });
    assert!(log.contains("ERROR") && log.contains("max_wokers") && log.contains("generation 1 stays"), "{log}");
    assert_eq!((scene.config().max_workers, scene.hot.load().generation), (3, 1));

    let log = logged(|| {
        let again = scene.judge(Content::Bytes(bad.into()), Trigger::Signal);
        assert_eq!((again.outcome, again.attempt), (ReloadOutcome::Rejected, 3), "the same content is rejected again");
    });
    assert!(!log.contains("ERROR"), "{log}");

    let fixed = scene.saved("max_workers = 3\n");
    assert_eq!((fixed.outcome, scene.view().errors.len()), (ReloadOutcome::Unchanged, 0));
    assert_eq!(scene.saved("max_workers = 4\n").generation, 2);
}

#[test]
fn an_error_is_logged_again_when_another_verdict_came_between() {
    let mut scene = Scene::new("max_workers = 3\n");
    let log = logged(|| {
        scene.saved("max_workers = x\n");
        scene.judge(Content::NotRead(Unread::Missing), Trigger::File);
        scene.saved("max_workers = x\n");
    });
    assert_eq!(log.matches("ERROR").count(), 2, "{log}");
    let log = logged(|| {
        scene.judge(Content::Unreadable("cannot read it".to_owned()), Trigger::Poll);
        scene.judge(Content::Unreadable("cannot read it".to_owned()), Trigger::Poll);
    });
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
}

#[test]
fn warnings_and_pending_restarts_are_logged_once() {
    let mut scene = Scene::new("claude_bin = \"/bin/sh\"\n");
    let pending = logged(|| drop(scene.saved("claude_bin = \"/bin/sh\"\nretry_count = 9\n")));
    let same = logged(|| drop(scene.saved("claude_bin = \"/bin/sh\"\nretry_count = 9\nmax_workers = 2\n")));
    let words = "retry_count: 3 -> 9 takes effect after a restart of the daemon";
    assert!(pending.contains(words) && !same.contains(words), "{pending}\n{same}");

    let mut scene = Scene::new("claude_bin = \"/nowhere\"\n");
    let known = logged(|| drop(scene.saved("claude_bin = \"/nowhere\"\nmax_workers = 2\n")));
    assert!(!known.contains("WARN"), "the start of the daemon has logged this warning: {known}");

    // Without a configuration in force, a missing program is always a warning.
    let validate_alone =
        |path: &Path, bytes: &[u8], _: Option<&Config>, flags: &Flags| validate(path, bytes, None, flags);
    let scene = Scene::new("");
    let mut scene = Scene { judge: scene.judge.with_validator(validate_alone), ..scene };
    let new = logged(|| drop(scene.saved("claude_bin = \"/elsewhere\"\n")));
    let same = logged(|| drop(scene.saved("claude_bin = \"/elsewhere\"\nmax_workers = 3\n")));
    assert!(new.contains("`/elsewhere` does not exist") && !same.contains("WARN"), "{new}\n{same}");
}

#[test]
fn a_waiting_or_missing_file_keeps_the_generation_and_says_what_to_do() {
    let mut scene = Scene::new("max_workers = 3\n");
    let vim = vec![(7, "vim".to_owned())];
    let both = vec![(7, "vim".to_owned()), (8, "cp".to_owned())];
    for (why, outcome, words) in [
        (Unread::OpenForWriting(Vec::new()), ReloadOutcome::Waiting, "a program keeps PATH open for writing"),
        (Unread::OpenForWriting(vim), ReloadOutcome::Waiting, "vim (pid 7) keeps PATH open for writing"),
        (Unread::OpenForWriting(both), ReloadOutcome::Waiting, "vim (pid 7), cp (pid 8) keep PATH open for writing"),
        (Unread::Unsettled("nfs at /m".to_owned()), ReloadOutcome::Waiting, "PATH was changed less than 6 s ago"),
        (Unread::Missing, ReloadOutcome::Missing, "PATH is missing or empty: the old configuration stays in force"),
        (Unread::Dangling("x leads to y".to_owned()), ReloadOutcome::Missing, "x leads to y: the old configuration"),
    ] {
        let is_dangling = matches!(why, Unread::Dangling(_));
        let verdict = scene.judge(Content::NotRead(why), Trigger::File);
        assert_eq!((verdict.outcome, verdict.generation, verdict.errors.len()), (outcome, 1, 1));
        let path = scene.home().config_file().display().to_string();
        assert!(verdict.errors[0].contains(&words.replace("PATH", &path)), "{:?}", verdict.errors);
        assert!(is_dangling || verdict.errors[0].contains("boi daemon reload"), "{:?}", verdict.errors);
    }
}

#[test]
fn a_change_of_the_watch_is_published_once() {
    use crate::domain::verdict::WatchMode::{Inotify, Poll};
    let mut scene = Scene::new("");
    for (mode, published) in [(Poll, 0), (Inotify, 1), (Inotify, 1), (Poll, 2)] {
        scene.judge.set_watch_mode(mode, None);
        assert_eq!(scene.views.lock().unwrap().len(), published, "{mode:?}");
    }
    assert_eq!(scene.view().watch, Poll);
}

#[test]
fn a_missing_file_changes_nothing_and_means_defaults_after_a_request() {
    let mut scene = Scene::new("max_workers = 3\n");
    let missing = scene.judge(Content::NotRead(Unread::Missing), Trigger::File);
    assert_eq!((missing.outcome, missing.generation), (ReloadOutcome::Missing, 1));
    assert_eq!(scene.config().max_workers, 3);
    let log = logged(|| {
        scene.judge.count_request();
        let verdict = scene.judge(Content::Defaults { exists: true }, Trigger::Signal);
        assert_eq!((verdict.outcome, verdict.answers), (ReloadOutcome::Applied, 1));
        let path = scene.home().config_file();
        assert_eq!(verdict.notes, [format!("{} is empty: the defaults are in force", path.display())]);
        fs::remove_file(&path).unwrap();
        let verdict = scene.judge(Content::Defaults { exists: false }, Trigger::Signal);
        assert_eq!(verdict.notes, [format!("{} does not exist: the defaults are in force", path.display())]);
    });
    assert!(
        log.contains("max_workers: 3 -> 5") && log.contains("config.toml does not exist: the defaults are in force"),
        "{log}"
    );
    assert_eq!(scene.config().max_workers, Config::default().max_workers);
}

#[test]
fn unchanged_content_makes_no_generation() {
    let mut scene = Scene::new("max_workers = 3\n");
    for text in ["max_workers = 3\n", "# a comment\nmax_workers = 3\n", "max_workers = 3\nspawns_per_tick = 4\n"] {
        let verdict = scene.saved(text);
        assert_eq!((verdict.outcome, verdict.generation), (ReloadOutcome::Unchanged, 1), "{text}");
    }
    assert_eq!(scene.hot.load().generation, 1);
}

#[test]
fn a_running_worker_keeps_its_configuration() {
    let mut scene = Scene::new("claude_args = [\"--one\"]\n");
    let in_flight: WorkerConfig = scene.hot.load().worker_config();
    scene.saved("claude_args = [\"--two\"]\n");
    scene.saved("claude_args = [\"--three\"]\n");
    scene.saved("");
    assert_eq!(
        (in_flight.generation, in_flight.agents["claude"].args.as_slice()),
        (1, ["--one".to_owned()].as_slice())
    );
    let next = scene.hot.load().worker_config();
    assert_eq!((next.generation, next.agents["claude"].args.len()), (4, 0));
}

#[test]
fn a_missing_program_rejects_only_its_own_change() {
    let mut scene = Scene::new("claude_bin = \"/nowhere/claude\"\n");
    assert_eq!(scene.judge.view().warnings.len(), 1);
    let other = scene.saved("claude_bin = \"/nowhere/claude\"\nmax_workers = 2\n");
    assert_eq!((other.outcome, other.warnings.len()), (ReloadOutcome::Applied, 1));
    let changed = scene.saved("claude_bin = \"/nowhere/else\"\nmax_workers = 9\n");
    assert_eq!(changed.outcome, ReloadOutcome::Rejected);
    assert!(changed.errors[0].contains("1:14") && changed.errors[0].contains("does not exist"), "{:?}", changed.errors);
    assert_eq!(scene.config().max_workers, 2);
    assert_eq!(scene.saved("claude_bin = \"/bin/sh\"\nmax_workers = 9\n").outcome, ReloadOutcome::Applied);
}

#[test]
fn a_panic_in_the_validator_is_a_rejection() {
    fn panics(_: &Path, _: &[u8], _: Option<&Config>, _: &Flags) -> Result<(Loaded, Vec<String>), ConfigError> {
        panic!("a fault in the validator")
    }
    let scene = Scene::new("max_workers = 3\n");
    let mut scene = Scene { judge: scene.judge.with_validator(panics), ..scene };
    let verdict = scene.saved("max_workers = 4\n");
    assert_eq!(verdict.outcome, ReloadOutcome::Rejected);
    assert_eq!(scene.config().max_workers, 3);
}

#[test]
fn every_key_takes_effect_when_the_key_table_says() {
    for key in KEYS.iter() {
        let mut scene = Scene::new("");
        let amount = Usd::from_dollars(2.5).unwrap();
        let value = match (key.default(), key.kind) {
            (_, Kind::Choice(names)) => {
                let other = names.iter().find(|name| Value::Text((**name).to_owned()) != key.default());
                Value::Text((*other.unwrap()).to_owned())
            }
            (_, Kind::AgentNames) => {
                Value::Texts(vec![if key.name.contains("codex") { "claude" } else { "codex" }.into()])
            }
            (Value::Number(number), _) => Value::Number(if number > 100 { number - 1 } else { number + 1 }),
            (Value::Span(_), _) => Value::Span([1, 2]),
            (Value::Money(_), _) => Value::Money(amount),
            (Value::Switch(on), _) => Value::Switch(!on),
            (Value::Command(_), _) => Value::Command(Some(AgentCommand::program("/bin/sh"))),
            (Value::Text(_), _) => Value::Text("warn".into()),
            (Value::Texts(_), _) => Value::Texts(vec!["-x".into()]),
            (Value::Env(_), _) => Value::Env([("A".to_owned(), EnvValue::FromEnv("B".into()))].into()),
            (Value::Prices(_), _) => {
                Value::Prices([("m".to_owned(), Price { input: amount, cached: amount, output: amount })].into())
            }
            (Value::Hooks(_), _) => {
                let on = vec![EventKind::SpecFailed];
                Value::Hooks(vec![HookConfig { name: "n".into(), on, command: "x".into(), timeout_seconds: 5 }])
            }
            (Value::Path(_), _) => Value::Path(Some("/elsewhere".into())),
        };
        let verdict = scene.saved(&format!("{} = {value}\n", key.name));
        let frozen = key.takes_effect == TakesEffect::Restart;
        let (changed, pending) = (verdict.changed.len(), verdict.pending_restart.len());
        assert_eq!((changed, pending), if frozen { (0, 1) } else { (1, 0) }, "{}: {verdict:?}", key.name);
        let expected = if frozen { key.default() } else { value };
        assert_eq!(key.get(&scene.config()), expected, "{}", key.name);
    }
}

#[test]
fn an_invalid_file_at_boot_means_the_last_good_one_or_an_error() {
    let mut scene = Scene::new("max_workers = 3\n");
    scene.saved("max_workers = 8\n");
    let home = scene.home();
    let Scene { dir, judge, .. } = scene;
    // Dropping the judge waits until the records are on disk.
    drop(judge);
    fs::write(home.config_file(), "max_workers = \n").unwrap();
    let degraded = boot(&home, &Flags::default()).unwrap();
    assert_eq!(degraded.config.max_workers, 8);
    assert!(degraded.degraded.as_ref().unwrap().contains("config.toml:1"), "{degraded:?}");
    assert!(degraded.view().degraded);

    let mut scene = Scene::over(dir, &home);
    assert!(scene.judge.view().degraded);
    assert_eq!(scene.saved("max_workers = 9\n").outcome, ReloadOutcome::Applied);
    assert!(!scene.view().degraded);

    let Scene { dir: _dir, judge, .. } = scene;
    drop(judge);
    fs::write(home.config_file(), "max_workers = \n").unwrap();
    // The user asked for the defaults with `boi daemon reload`.
    fs::write(home.last_good_config(), "").unwrap();
    let defaults = boot(&home, &Flags::default()).unwrap();
    assert_eq!(defaults.config, Config::default());
    assert!(defaults.degraded.is_some(), "{defaults:?}");
    fs::remove_file(home.last_good_config()).unwrap();
    assert!(boot(&home, &Flags::default()).is_err());
    fs::remove_file(home.config_file()).unwrap();
    assert_eq!(boot(&home, &Flags::default()).unwrap().config, Config::default());
}

#[test]
fn the_verdict_is_recorded() {
    let mut scene = Scene::new("");
    let told = scene.saved("max_workers = 2\n");
    let home = scene.home();
    let Scene { dir: _dir, judge, .. } = scene;
    drop(judge);
    let recorded: Verdict = serde_json::from_slice(&fs::read(home.reload_record()).unwrap()).unwrap();
    assert_eq!(recorded, told);
    assert_eq!((recorded.micros, recorded.hash_on_disk.as_ref()), (7, recorded.hash_in_force.as_ref()));
}

#[test]
fn a_reader_during_many_swaps_never_sees_a_mixed_snapshot() {
    let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 0, config: Config::default() }));
    hot.store(Arc::new(HotConfig { generation: 1, config: whole(1) }));
    let reader = {
        let hot = Arc::clone(&hot);
        std::thread::spawn(move || {
            let (mut last, mut loads) = (0, 0u64);
            while last < 10_000 {
                let snapshot = hot.load_full();
                let number = snapshot.config.max_workers;
                assert_eq!(snapshot.generation, u64::from(number));
                assert_eq!(snapshot.config, whole(number), "mixed");
                assert!(number >= last, "an older generation came back");
                (last, loads) = (number, loads + 1);
            }
            loads
        })
    };
    for number in 2..=10_000 {
        hot.store(Arc::new(HotConfig { generation: u64::from(number), config: whole(number) }));
    }
    assert!(reader.join().unwrap() > 0);
}

fn whole(number: u32) -> Config {
    Config {
        max_workers: number,
        spawns_per_tick: number,
        tick_interval_ms: u64::from(number),
        paths: Paths { db: Some(number.to_string().into()), ..Paths::default() },
        ..Config::default()
    }
}

#[test]
fn a_verdict_that_depends_on_the_machine_is_provisional_and_stands_while_nothing_changes() {
    let mut scene = Scene::new("claude_bin = \"/bin/sh\"\n");
    let found = |text: &str| FileContent::Bytes(text.into(), OpenForWriting::No);
    assert!(!scene.judge.is_provisional(), "{:?}", scene.judge.view());
    let tool = scene.dir.path().join("tool");
    let text = format!("claude_bin = '{}'\n", tool.display());
    assert_eq!(scene.saved(&text).outcome, ReloadOutcome::Rejected);
    assert!(scene.judge.is_provisional() && scene.judge.stands(&found(&text)));
    assert!(!scene.judge.stands(&FileContent::Unreadable("EMFILE".to_owned())));
    let log = logged(|| {
        fs::write(&tool, "").unwrap();
        assert!(!scene.judge.stands(&found(&text)), "it exists, but is not executable");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!scene.judge.stands(&found(&text)));
    });
    assert_eq!(log, "", "a look says nothing");
    assert_eq!(scene.saved(&text).outcome, ReloadOutcome::Applied);
    assert!(!scene.judge.is_provisional());
    scene.judge(Content::Unreadable("cannot read it".to_owned()), Trigger::Poll);
    assert!(scene.judge.is_provisional() && scene.judge.stands(&FileContent::Unreadable("cannot read it".to_owned())));
    assert!(!scene.judge.stands(&found(&text)));

    // A warning is looked at again too: the program may be installed.
    let mut warned = Scene::new("claude_bin = \"/nowhere\"\n");
    assert!(warned.judge.is_provisional() && warned.judge.stands(&found("claude_bin = \"/nowhere\"\n")));
    warned.saved("claude_bin = \"/bin/sh\"\n");
    assert!(!warned.judge.is_provisional());
}

#[test]
fn a_daemon_starts_with_the_last_good_file_when_its_file_was_emptied() {
    for text in ["", "\n", " \r\n\t\n", "\u{FEFF}\n"] {
        let scene = Scene::new("max_workers = 3\n");
        let home = scene.home();
        drop(scene.judge);
        fs::write(home.config_file(), text).unwrap();
        let booted = boot(&home, &Flags::default()).unwrap();
        let view = booted.view();
        assert_eq!((booted.config.max_workers, view.outcome), (3, ReloadOutcome::Missing), "{text:?}");
        assert!(booted.degraded.is_some() && view.errors[0].contains("config.toml is empty"), "{view:?}");
        fs::remove_file(home.config_file()).unwrap();
        std::os::unix::fs::symlink("../dots/boi.toml", home.config_file()).unwrap();
        let dangling = boot(&home, &Flags::default()).unwrap();
        assert_eq!(dangling.config.max_workers, 3);
        assert!(dangling.view().errors[0].contains("dots, which does not exist"), "{:?}", dangling.view().errors);
        // A missing file means the defaults, as documented; that a configuration was lost is said.
        fs::remove_file(home.config_file()).unwrap();
        let missing = boot(&home, &Flags::default()).unwrap();
        assert_eq!((missing.config.max_workers, missing.view().outcome), (5, ReloadOutcome::Applied));
        let is_said = |note: &String| note.contains("is missing: the defaults are in force");
        assert!(missing.notes().iter().any(is_said), "{:?}", missing.notes());
        // Warnings are about the values: `boi doctor` takes them for a program that is missing.
        assert!(!missing.view().warnings.iter().any(is_said), "{:?}", missing.view().warnings);
    }
}

#[test]
fn a_first_start_without_a_file_says_nothing() {
    let dir = TempDir::new().unwrap();
    let home = Home::at(dir.path().join("boi"));
    for text in [None, Some("\n")] {
        if let Some(text) = text {
            fs::create_dir_all(home.root()).unwrap();
            fs::write(home.config_file(), text).unwrap();
        }
        let booted = boot(&home, &Flags::default()).unwrap();
        let view = booted.view();
        assert_eq!((view.outcome, view.errors.len(), booted.degraded), (ReloadOutcome::Applied, 0, None), "{text:?}");
    }
}

#[test]
fn a_file_is_judged_on_its_own_values_too() {
    let dir = TempDir::new().unwrap();
    let home = Home::at(dir.path().join("boi"));
    home.prepare().unwrap();
    fs::write(home.config_file(), "max_workers = 3\n").unwrap();
    let given = ["spawn_jitter_ms=[300, 400]", "max_workers=2", "log=debug"].map(str::to_owned);
    let mut scene = Scene::over_with(dir, &home, &Flags::read(&given).unwrap());
    let verdict = scene.saved("spawn_jitter_ms = [400, 200]\n");
    assert_eq!(verdict.outcome, ReloadOutcome::Rejected, "{verdict:?}");
    let verdict = scene.saved("log = \"boi[a{b=\"\n");
    assert_eq!(verdict.outcome, ReloadOutcome::Rejected, "{verdict:?}");
    let verdict = scene.saved("max_workers = 12\nretry_count = 2\n");
    assert_eq!(scene.config().max_workers, 2);
    assert!(
        verdict.notes.contains(&"max_workers = 12 is overridden by the daemon's command line: 2".to_owned()),
        "{verdict:?}"
    );
}
