//! Configurations: reading, planning and what is written of the key table.

mod refusals;

use std::path::Path;

use proptest::prelude::*;

use super::changes::{diff, plan};
use super::keys::{KEYS, Kind, Value, find};
use super::*;
use crate::domain::verdict::{Change, TakesEffect};

fn load(text: &str) -> Loaded {
    parse("config.toml", text.as_bytes(), &Outside::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(text: &str) -> String {
    parse("config.toml", text.as_bytes(), &Outside::default()).expect_err("taken").to_string()
}

fn messages(text: &str) -> Vec<String> {
    let problems = parse("config.toml", text.as_bytes(), &Outside::default()).expect_err("taken");
    problems.iter().map(|problem| problem.message.clone()).collect()
}

/// Another value than the default, as `config.toml` writes it, for every key.
fn another(key: &Key) -> String {
    match &key.kind {
        Kind::Number(range) => range.end().to_string(),
        Kind::Span(range) => format!("[{}, {}]", range.start() + 1, range.end()),
        Kind::Switch => "true".to_owned(),
        Kind::Program | Kind::Path => "\"/opt/other\"".to_owned(),
        Kind::Texts => "[\"--verbose\", \"\"]".to_owned(),
        Kind::LogFilter => "\"debug,boi::daemon=trace\"".to_owned(),
    }
}

#[test]
fn an_empty_file_means_defaults() {
    for text in ["", "# nothing\n", "\u{feff}", "[paths]\n"] {
        let loaded = load(text);
        assert_eq!((loaded.config, loaded.set.len()), (Config::default(), 0));
    }
}

#[test]
fn defaults_are_those_of_the_contract() {
    let defaults: Vec<String> = KEYS.iter().map(|key| format!("{} = {}", key.name, key.default())).collect();
    insta::assert_snapshot!(defaults.join("\n"), @r#"
    max_workers = 5
    spawns_per_tick = 4
    claude_bin = "claude"
    claude_args = []
    tick_interval_ms = 1000
    spawn_jitter_ms = [50, 150]
    log = "info"
    task_timeout_minutes = 30
    retry_count = 3
    cleanup_on_failure = false
    stop_grace_seconds = 10
    max_output_mb = 512
    paths.db = ""
    paths.worktrees = ""
    paths.logs = ""
    "#);
}

#[test]
fn a_change_of_each_key_takes_effect_as_in_the_contract() {
    let with = |effect| {
        let keys = KEYS.iter().filter(|key| key.takes_effect == effect).map(|key| key.name);
        keys.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(with(TakesEffect::NextTick), "max_workers spawns_per_tick spawn_jitter_ms");
    assert_eq!(with(TakesEffect::NextWorker), "claude_bin claude_args");
    assert_eq!(with(TakesEffect::AtOnce), "tick_interval_ms log");
    assert_eq!(
        with(TakesEffect::Restart),
        "task_timeout_minutes retry_count cleanup_on_failure stop_grace_seconds max_output_mb paths.db paths.worktrees \
         paths.logs"
    );
}

#[test]
fn every_key_can_be_set_and_is_seen_by_the_diff_alone() {
    for key in KEYS {
        let loaded = load(&format!("{} = {}", key.name, another(key)));
        assert_eq!(key.get(&loaded.config).to_string(), another(key), "{}", key.name);
        assert_eq!((loaded.origin(key), loaded.set.len()), (Origin::File, 1), "{}", key.name);
        let changes = diff(&Config::default(), &loaded.config);
        assert_eq!(changes.len(), 1, "{}: {changes:?}", key.name);
        assert_eq!((changes[0].key.as_str(), &changes[0].new), (key.name, &another(key)));
    }
}

#[test]
fn every_default_lies_within_its_range_and_both_ends_are_taken() {
    for key in KEYS {
        let (Kind::Number(range) | Kind::Span(range)) = &key.kind else { continue };
        let write = |number: i64| match key.kind {
            Kind::Span(_) => format!("{} = [{number}, {number}]", key.name),
            _ => format!("{} = {number}", key.name),
        };
        load(&format!("{} = {}", key.name, key.default()));
        load(&write(*range.start()));
        load(&write(*range.end()));
        assert!(!messages(&write(range.start() - 1)).is_empty(), "{}", key.name);
        assert!(!messages(&write(range.end() + 1)).is_empty(), "{}", key.name);
    }
}

#[test]
fn the_environment_names_the_agent_only_where_the_file_does_not() {
    let key = find("claude_bin").unwrap();
    let read = |env: Option<&str>, text: &str| {
        let outside = Outside { claude_bin_env: env.map(str::to_owned), ..Outside::default() };
        let loaded = parse("config.toml", text.as_bytes(), &outside).unwrap();
        (loaded.config.claude_bin.clone(), loaded.origin(key))
    };
    assert_eq!(read(None, ""), ("claude".to_owned(), Origin::Default));
    assert_eq!(read(Some(""), ""), ("claude".to_owned(), Origin::Default));
    assert_eq!(read(Some("/opt/claude"), ""), ("/opt/claude".to_owned(), Origin::Environment));
    assert_eq!(read(Some("/opt/claude"), "claude_bin = \"mine\""), ("mine".to_owned(), Origin::File));
    assert_eq!(messages("claude_bin = \"\""), ["`claude_bin` is empty"]);
}

#[test]
fn an_empty_path_is_the_usual_place() {
    assert_eq!(load("paths.db = \"\"").config.paths.db, None);
    assert_eq!(load("[paths]\ndb = \"q.db\"").config.paths.db.as_deref(), Some(Path::new("q.db")));
}

#[test]
fn keys_are_found_or_guessed() {
    assert_eq!(find("paths.db").unwrap().name, "paths.db");
    assert_eq!(find("retries_count").unwrap_err(), Some("retry_count"));
    assert_eq!(find("path.db").unwrap_err(), Some("paths.db"));
    assert_eq!(find("colour").unwrap_err(), None);
}

#[test]
fn a_plan_puts_hot_keys_in_force_and_holds_back_the_others() {
    let in_force = load("max_workers = 3\nretry_count = 3").config;
    let on_disk = load("max_workers = 6\nretry_count = 5\npaths.db = \"/x\"").config;
    let made = plan(&in_force, &on_disk);
    assert_eq!((made.config.max_workers, made.config.retry_count, &made.config.paths.db), (6, 3, &None));
    let shown = |changes: &[Change]| {
        let line =
            |change: &Change| format!("{} {} -> {} ({})", change.key, change.old, change.new, change.takes_effect);
        changes.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(shown(&made.applied), ["max_workers 3 -> 6 (next tick)"]);
    assert_eq!(shown(&made.pending_restart), ["retry_count 3 -> 5 (restart)", "paths.db \"\" -> \"/x\" (restart)"]);
    let put_back = plan(&made.config, &load("max_workers = 6").config);
    assert_eq!((put_back.applied, put_back.pending_restart), (Vec::new(), Vec::new()));
}

#[test]
fn a_worker_keeps_the_generation_it_was_started_with() {
    let hot = HotConfig { generation: 7, config: load("claude_args = [\"-v\"]\nmax_output_mb = 1").config };
    let worker = hot.worker_config();
    assert_eq!((worker.generation, worker.max_output_mb, worker.claude_args.len()), (7, 1, 1));
    let json = serde_json::to_string(&worker).unwrap();
    assert_eq!(serde_json::from_str::<WorkerConfig>(&json).unwrap(), worker);
}

#[test]
fn the_host_can_point_into_the_file() {
    let loaded = load("max_workers = 3\nclaude_bin = \"claudee\"\n");
    let problem = loaded.problem_at("claude_bin", "`claudee` is not on the daemon's PATH", None);
    insta::assert_snapshot!(loaded.problems(vec![problem]).unwrap(), @r#"
    error: `claudee` is not on the daemon's PATH
     --> config.toml:2:14
      |
    2 | claude_bin = "claudee"
      |              ^^^^^^^^^
    "#);
    assert_eq!(loaded.problem_at("log", "x", None).span, None);
}

#[test]
fn the_example_file_is_made_from_the_key_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    if std::env::var_os("BOI_BLESS").is_some() {
        std::fs::write(&path, text::example()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text::example(),
        "config.example.toml is not what the key table says: write it anew with `BOI_BLESS=1 cargo test --lib example_file`"
    );
}

#[test]
fn the_example_holds_every_key_at_its_default() {
    let uncommented: String = text::example()
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let loaded = load(&uncommented);
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.set.len(), KEYS.len());
    assert!(text::example().lines().all(|line| line.len() <= 100));
}

#[test]
fn the_documentation_holds_the_key_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let (begin, end) = ("<!-- keys -->\n", "<!-- /keys -->");
    let found = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = found.split_once(begin).unwrap();
    let (table, tail) = rest.split_once(end).unwrap();
    if std::env::var_os("BOI_BLESS").is_some() {
        std::fs::write(&path, format!("{head}{begin}{}{end}{tail}", text::markdown())).unwrap();
        return;
    }
    assert_eq!(table, text::markdown(), "write it anew with `BOI_BLESS=1 cargo test --lib documentation`");
    assert_eq!(text::markdown().lines().count(), KEYS.len() + 2);
}

fn config() -> impl Strategy<Value = Config> {
    let line = "[^\\x00]{0,12}";
    let path = prop::option::of("[a-z/~. é\"\\\\]{0,8}[a-z]").prop_map(|path| path.map(PathBuf::from));
    let paths = (path.clone(), path.clone(), path).prop_map(|(db, worktrees, logs)| Paths { db, worktrees, logs });
    let daemon = (0..=1024_u32, 1..=1024_u32, 50..=3_600_000_u64, 0..=60_000_u64, 0..=60_000_u64);
    let worker = (1..=10_080_u32, 0..=100_u32, any::<bool>(), 0..=3600_u32, 1..=1_048_576_u64);
    let agent = ("[^\\x00]{0,8}[a-z]", prop::collection::vec(line, 0..4));
    (daemon, worker, agent, paths).prop_map(|(daemon, worker, (claude_bin, claude_args), paths)| Config {
        max_workers: daemon.0,
        spawns_per_tick: daemon.1,
        claude_bin,
        claude_args,
        tick_interval_ms: daemon.2,
        spawn_jitter_ms: [daemon.3.min(daemon.4), daemon.3.max(daemon.4)],
        log: "warn,boi=debug".to_owned(),
        task_timeout_minutes: worker.0,
        retry_count: worker.1,
        cleanup_on_failure: worker.2,
        stop_grace_seconds: worker.3,
        max_output_mb: worker.4,
        paths,
    })
}

proptest! {
    #[test]
    fn a_config_comes_back_from_both_ways_to_write_it(config in config()) {
        let serialised = toml::to_string(&config).unwrap();
        prop_assert_eq!(&load(&serialised).config, &config);
        let by_key: String = KEYS.iter().map(|key| format!("{} = {}\n", key.name, key.get(&config))).collect();
        prop_assert_eq!(&load(&by_key).config, &config);
        prop_assert!(diff(&config, &config).is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(problems) = parse("config.toml", &bytes, &Outside::default()) {
            prop_assert!(problems.count() > 0);
        }
    }

    #[test]
    fn no_prefix_or_mutation_of_a_config_makes_it_panic(at in 0..900_usize, length in 0..20_usize, insert in "[\\[\\]{}=\",.a-z0-9\n#é-]{0,5}") {
        let full: String = KEYS.iter().map(|key| format!("{} = {}\n", key.name, another(key))).collect();
        let mut text: Vec<char> = full.chars().collect();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, insert.chars());
        let text: String = text.into_iter().collect();
        match parse("config.toml", text.as_bytes(), &Outside::default()) {
            Ok(loaded) => prop_assert!(loaded.config.spawn_jitter_ms[0] <= loaded.config.spawn_jitter_ms[1]),
            Err(problems) => prop_assert!(problems.reports().iter().all(|report| report.line.is_some())),
        }
    }
}

#[test]
fn values_of_the_wrong_kind_change_nothing() {
    let mut config = Config::default();
    for key in KEYS {
        key.set(&mut config, if key.kind == Kind::Switch { Value::Number(1) } else { Value::Switch(true) });
    }
    assert_eq!(config, Config::default());
}
