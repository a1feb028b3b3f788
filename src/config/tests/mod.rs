//! Tests of parsing, of planning a change, of values with two names, and of the texts made from the key
//! table.

mod agents;
mod hooks;
mod own_agents;
mod refusals;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::changes::{diff, plan};
use super::keys::{KEYS, Key, Kind, ROWS, Value, find};
use super::*;
use crate::agents::OutputKind;
use crate::domain::agent::AgentCommand;
use crate::domain::event::EventKind;
use crate::domain::money::{Price, Usd};
use crate::domain::spec;
use crate::domain::verdict::{Change, TakesEffect};

fn load(text: &str) -> Loaded {
    parse("config.toml", text.as_bytes(), &ProcessSettings::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(text: &str) -> String {
    parse("config.toml", text.as_bytes(), &ProcessSettings::default()).expect_err("accepted").to_string()
}

fn messages(text: &str) -> Vec<String> {
    let problems = parse("config.toml", text.as_bytes(), &ProcessSettings::default()).expect_err("accepted");
    problems.iter().map(|problem| problem.message.clone()).collect()
}

/// Returns the facts of a machine that cannot execute `program`, for the reason `why`.
fn missing(program: &str, why: &str) -> HostFacts {
    HostFacts {
        missing_programs: [(program.to_owned(), why.to_owned())].into(),
        missing_variables: BTreeSet::new(),
        log_filter: Ok(()),
    }
}

/// Returns a value other than the default, as `config.toml` writes it.
fn another(key: &Key) -> String {
    match key.kind {
        Kind::Number(range) => range.end().to_string(),
        Kind::Span(range) => format!("[{}, {}]", range.start() + 1, range.end()),
        Kind::Switch => "true".to_owned(),
        Kind::Money(_) => "2.5".to_owned(),
        Kind::Command => "[\"/opt/other\", \"a b\"]".to_owned(),
        Kind::AgentNames if key.name.contains("codex") => "[\"claude\"]".to_owned(),
        Kind::AgentNames => "[\"codex\"]".to_owned(),
        Kind::Choice(names) => {
            let others = names.iter().map(|name| format!("\"{name}\""));
            others.rev().find(|name| *name != key.default().to_string()).unwrap()
        }
        Kind::Model => "\"some-model\"".to_owned(),
        Kind::Env => "{ A = { from_env = \"B\" } }".to_owned(),
        Kind::Prices => "{ \"m-1.5\" = { input = 1.25, cached = 0, output = 10 } }".to_owned(),
        Kind::Hooks => "[{ name = \"n\", on = [\"spec.failed\"], command = \"x\", timeout_seconds = 30 }]".to_owned(),
        Kind::Path => "\"/opt/other\"".to_owned(),
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
fn the_defaults_are_the_documented_ones() {
    let is_listed = |key: &&Key| !key.name.starts_with("agents.") || key.name.starts_with("agents.codex.");
    let line = |key: &Key| format!("{} = {}", key.name, key.default());
    let defaults: Vec<String> = KEYS.iter().filter(is_listed).map(line).collect();
    insta::assert_snapshot!(defaults.join("\n"), @r#"
    max_workers = 5
    spawns_per_tick = 4
    tick_interval_ms = 1000
    spawn_jitter_ms = [50, 150]
    agents.codex.command = "codex"
    agents.codex.program = "codex"
    agents.codex.args = []
    agents.codex.prompt = "stdin"
    agents.codex.output = "codex-jsonl"
    agents.codex.model = ""
    agents.codex.env = {}
    agents.codex.max_workers = 0
    agents.codex.fallback = []
    agents.codex.prices = {}
    claude_bin = "claude"
    claude_args = []
    log = "info"
    task_timeout_minutes = 30
    stall_timeout_minutes = 15
    retry_count = 3
    retry_backoff_seconds = [1, 60]
    cleanup_on_failure = false
    stop_grace_seconds = 10
    max_output_mb = 512
    max_usd_per_spec = 0
    max_usd_per_day = 0
    retention_days = 90
    max_landings = 1
    max_warm_gb = 20
    min_free_gb = 2
    max_memory_percent = 0
    build_slots = 0
    hooks = []
    paths.db = ""
    paths.worktrees = ""
    paths.logs = ""
    "#);
}

#[test]
fn each_key_takes_effect_when_the_documentation_says() {
    let with = |effect| {
        let rows = ROWS.iter().filter(|row| row.takes_effect == effect).map(|row| row.name);
        rows.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        with(TakesEffect::NextTick),
        "max_workers spawns_per_tick spawn_jitter_ms agents.NAME.max_workers agents.NAME.fallback max_usd_per_spec \
         max_usd_per_day max_landings min_free_gb max_memory_percent"
    );
    assert_eq!(
        with(TakesEffect::NextWorker),
        "agents.NAME.command agents.NAME.program agents.NAME.args agents.NAME.prompt agents.NAME.output \
         agents.NAME.model agents.NAME.prices claude_bin claude_args stall_timeout_minutes retry_backoff_seconds"
    );
    assert_eq!(
        with(TakesEffect::AtOnce),
        "tick_interval_ms agents.NAME.env log retention_days max_warm_gb build_slots hooks"
    );
    assert_eq!(
        with(TakesEffect::Restart),
        "task_timeout_minutes retry_count cleanup_on_failure stop_grace_seconds max_output_mb paths.db paths.worktrees \
         paths.logs"
    );
}

#[test]
fn each_range_is_the_documented_one() {
    let ranges: Vec<String> = ROWS.iter().filter_map(|row| Some(format!("{}: {}", row.name, row.range()?))).collect();
    insta::assert_snapshot!(ranges.join("\n"), @r"
    max_workers: 0 to 1024
    spawns_per_tick: 1 to 1024
    tick_interval_ms: 50 to 3600000 milliseconds
    spawn_jitter_ms: 0 to 60000 milliseconds
    agents.NAME.max_workers: 0 to 1024
    task_timeout_minutes: 1 to 10080 minutes
    stall_timeout_minutes: 0 to 10080 minutes
    retry_count: 0 to 100
    retry_backoff_seconds: 0 to 3600 seconds
    stop_grace_seconds: 0 to 3600 seconds
    max_output_mb: 1 to 1048576 MiB
    max_usd_per_spec: 0 to 1000000 US dollars
    max_usd_per_day: 0 to 1000000 US dollars
    retention_days: 0 to 36500 days
    max_landings: 1 to 64
    max_warm_gb: 0 to 65536 GiB
    min_free_gb: 0 to 65536 GiB
    max_memory_percent: 0 to 100 percent
    build_slots: 0 to 1024
    ");
}

#[test]
fn every_key_can_be_set_and_only_that_key_differs() {
    for key in KEYS.iter() {
        let loaded = load(&format!("{} = {}", key.name, another(key)));
        assert_eq!(key.get(&loaded.config).to_string(), another(key), "{}", key.name);
        assert_eq!((loaded.origin(key), loaded.set.len()), (Origin::File, 1), "{}", key.name);
        let changes = diff(&Config::default(), &loaded);
        assert_eq!(changes.len(), 1, "{}: {changes:?}", key.name);
        let Change { key: name, old, new, takes_effect } = &changes[0];
        assert_eq!((name, old, new), (&key.name, &key.default().to_string(), &another(key)));
        assert_eq!(*takes_effect, key.takes_effect);
    }
}

#[test]
fn the_default_and_both_ends_of_a_range_are_accepted_and_one_beyond_is_refused() {
    for key in KEYS.iter() {
        let (Kind::Number(range) | Kind::Span(range)) = key.kind else { continue };
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
fn the_environment_replaces_the_default_program_and_the_file_replaces_both() {
    let key = &find("claude_bin").unwrap();
    let origin = |loaded: &Loaded, name: &str| loaded.origin(&find(name).unwrap());
    let read = |env: Option<&str>, text: &str| {
        let outside = ProcessSettings { claude_bin_env: env.map(str::to_owned), ..ProcessSettings::default() };
        let loaded = parse("config.toml", text.as_bytes(), &outside).unwrap();
        assert_eq!(origin(&loaded, "agents.claude.program"), loaded.origin(key));
        assert_eq!(origin(&loaded, "claude_args"), Origin::Default);
        (loaded.config.claude().worker.command.program.clone(), loaded.origin(key))
    };
    assert_eq!(read(None, ""), ("claude".to_owned(), Origin::Default));
    assert_eq!(read(Some(" "), ""), ("claude".to_owned(), Origin::Default));
    assert_eq!(read(Some("/opt/claude"), ""), ("/opt/claude".to_owned(), Origin::Environment));
    assert_eq!(read(Some("/opt/claude"), "claude_bin = \"mine\""), ("mine".to_owned(), Origin::File));
    assert_eq!(messages("claude_bin = \"\""), ["`claude_bin` is empty"]);
}

#[test]
fn an_empty_path_means_the_usual_place() {
    assert_eq!(load("paths.db = \" \"").config.paths.db, None);
    assert_eq!(load("[paths]\ndb = \"q.db\"").config.paths.db.as_deref(), Some(Path::new("q.db")));
}

#[test]
fn a_key_is_found_by_name_and_a_misspelled_one_gets_a_suggestion() {
    assert_eq!(find("paths.db").unwrap().name, "paths.db");
    for (name, close) in [
        ("retries_count", Some("retry_count")),
        ("path.db", Some("paths.db")),
        ("agents.Claude.program", Some("agents.claude.program")),
        ("agents.own.modle", Some("agents.own.model")),
        ("agents.codex.prices.gpt", Some("agents.codex.prices")),
        ("colour", None),
    ] {
        assert_eq!(find(name).unwrap_err().as_deref(), close, "{name}");
    }
    let own = find("agents.own.model").unwrap();
    assert_eq!((own.name.as_str(), own.default()), ("agents.own.model", Value::Text(String::new())));
}

#[test]
fn a_plan_applies_hot_keys_and_lists_the_others_as_pending_a_restart() {
    let in_force = load("max_workers = 3\nretry_count = 3").config;
    let on_disk = load("max_workers = 6\nretry_count = 5\npaths.db = \"/x\"");
    let made = plan(&in_force, &on_disk);
    assert_eq!((made.config.max_workers, made.config.retry_count, &made.config.paths.db), (6, 3, &None));
    let shown = |changes: &[Change]| {
        let line =
            |change: &Change| format!("{} {} -> {} ({})", change.key, change.old, change.new, change.takes_effect);
        changes.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(shown(&made.applied), ["max_workers 3 -> 6 (next tick)"]);
    assert_eq!(shown(&made.pending_restart), ["retry_count 3 -> 5 (restart)", "paths.db \"\" -> \"/x\" (restart)"]);
    let put_back = plan(&made.config, &load("max_workers = 6"));
    assert_eq!((put_back.applied, put_back.pending_restart), (Vec::new(), Vec::new()));
}

#[test]
fn a_program_that_cannot_be_executed_rejects_only_its_own_change() {
    let facts = missing("claudee", "is not on the daemon's PATH");
    let loaded = load("max_workers = 3\nclaude_bin = \"claudee\"\n");
    let warning =
        "claude_bin: `claudee` is not on the daemon's PATH; tasks of the agent `claude` cannot run".to_owned();
    let same = load("claude_bin = 'claudee'").config;
    for in_force in [None, Some(&same)] {
        assert_eq!(check_host(&loaded, in_force, &facts), Ok(vec![warning.clone()]));
    }
    insta::assert_snapshot!(check_host(&loaded, Some(&Config::default()), &facts).unwrap_err(), @r#"
    error: `claudee` is not on the daemon's PATH
     --> config.toml:2:14
      |
    2 | claude_bin = "claudee"
      |              ^^^^^^^^^
      |
      = help: write the program's absolute path, or install the program first
    "#);
    let found = missing("x", "");
    assert_eq!(check_host(&loaded, Some(&Config::default()), &found), Ok(Vec::new()));
}

#[test]
fn a_log_filter_that_the_log_refuses_is_rejected() {
    let facts = HostFacts { log_filter: Err("the log does not take this filter".to_owned()), ..missing("x", "") };
    let refused = check_host(&load("\nlog = 'info'"), None, &facts).unwrap_err();
    assert_eq!(refused.lines(), ["config.toml:2:7: the log does not take this filter"]);
    let of_a_flag = check_host(&load(""), None, &facts).unwrap_err();
    assert_eq!(of_a_flag.lines(), ["config.toml: the log does not take this filter"]);
}

#[test]
fn the_example_file_in_the_documentation_is_made_from_the_key_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    if std::env::var_os("BOI_BLESS").is_some() {
        std::fs::write(&path, reference::example()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == reference::example(),
        "config.example.toml does not match the key table: run `BOI_BLESS=1 cargo test --lib documentation` to rewrite it"
    );
}

#[test]
fn the_example_lists_every_key_at_its_default() {
    let uncommented: String = reference::example()
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(line)
        })
        .filter(|line| !line.starts_with("claude_") && !line.contains(".program = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let loaded = load(&uncommented);
    assert_eq!(loaded.config, Config::default());
    let older_names = KEYS.iter().filter(|key| key.is_alias());
    assert_eq!(loaded.set.len(), KEYS.len() - older_names.clone().count());
    for key in older_names {
        assert!(reference::example().contains(&format!("\n#{} = {}\n", key.name, key.default())), "{}", key.name);
    }
    assert!(reference::example().lines().all(|line| line.len() <= 100));
}

#[test]
fn the_documentation_contains_the_key_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let (begin, end) = ("<!-- keys -->\n", "<!-- /keys -->");
    let found = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = found.split_once(begin).unwrap();
    let (table, tail) = rest.split_once(end).unwrap();
    if std::env::var_os("BOI_BLESS").is_some() {
        std::fs::write(&path, format!("{head}{begin}{}{end}{tail}", reference::markdown())).unwrap();
        return;
    }
    assert_eq!(table, reference::markdown(), "run `BOI_BLESS=1 cargo test --lib documentation` to rewrite it");
    assert_eq!(reference::markdown().lines().count(), ROWS.len() + 2);
}

fn config() -> impl Strategy<Value = Config> {
    let line = "[^\\x00]{0,12}";
    let path = prop::option::of("[a-z/~. é\"\\\\]{0,8}[a-z]").prop_map(|path| path.map(PathBuf::from));
    let paths = (path.clone(), path.clone(), path).prop_map(|(db, worktrees, logs)| Paths { db, worktrees, logs });
    let daemon = (0..=1024_u32, 1..=1024_u32, 50..=3_600_000_u64, 0..=60_000_u64, 0..=60_000_u64);
    let worker = (1..=10_080_u32, 0..=100_u32, any::<bool>(), 0..=3600_u32, 1..=1_048_576_u64);
    let words = (prop::collection::vec(line, 0..3), prop::collection::vec(line, 0..4));
    let money = (0..=100_000_000_000_u64).prop_map(|micros| Usd::from_dollars(micros as f64 / 1e6).unwrap());
    let budgets = (money.clone(), money.clone());
    let prices = prop::collection::btree_map("[a-z][a-z./-]{0,6}", money, 0..3);
    let agent = ("[a-z][a-z0-9_-]{0,31}", "[^\\x00]{0,8}[a-z]", words, prices, 0..9_u32, "[a-z-]{0,5}");
    let agents = agent.prop_map(|(name, program, (arguments, args), prices, workers, model)| {
        let mut agents = Agents::default();
        let agent = agents.define(&name);
        agent.worker.command = AgentCommand { program, arguments };
        agent.worker.args = args;
        agent.worker.model = Some(model).filter(|model| spec::is_model(model));
        let price = |input| Price { input, cached: Usd::ZERO, output: input };
        agent.worker.prices = prices.into_iter().map(|(model, input)| (model, price(input))).collect();
        agent.env.insert("A".to_owned(), EnvValue::FromEnv("B".to_owned()));
        agent.max_workers = Some(workers).filter(|workers| *workers > 0);
        // A budget needs agents whose cost is known.
        agent.worker.output = OutputKind::OpencodeJson;
        agent.fallback = ["opencode", "claude"].into_iter().filter(|other| *other != name).map(str::to_owned).collect();
        agents
    });
    (daemon, worker, agents, paths, budgets).prop_map(|(daemon, worker, agents, paths, budgets)| Config {
        max_usd_per_spec: budgets.0,
        max_usd_per_day: budgets.1,
        stall_timeout_minutes: worker.0 - 1,
        retention_days: worker.0 + 1,
        max_landings: worker.0 % 64 + 1,
        max_warm_gb: worker.0,
        min_free_gb: worker.0,
        max_memory_percent: worker.0 % 101,
        build_slots: worker.0 % 1025,
        max_workers: daemon.0,
        spawns_per_tick: daemon.1,
        agents,
        tick_interval_ms: daemon.2,
        spawn_jitter_ms: [daemon.3.min(daemon.4), daemon.3.max(daemon.4)],
        log: "warn,boi=debug".to_owned(),
        task_timeout_minutes: worker.0,
        retry_count: worker.1,
        retry_backoff_seconds: [u64::from(worker.3) / 2, u64::from(worker.3)],
        cleanup_on_failure: worker.2,
        stop_grace_seconds: worker.3,
        max_output_mb: worker.4,
        hooks: (0..worker.1 % 3)
            .map(|number| HookConfig {
                name: format!("hook-{number}"),
                on: vec![EventKind::SpecFailed, EventKind::QueueIdle],
                command: "echo \"é $BOI_EVENT\" >> 'a b'".to_owned(),
                timeout_seconds: worker.3.max(1),
            })
            .collect(),
        paths,
    })
}

proptest! {
    #[test]
    fn a_config_survives_both_ways_to_write_it(config in config()) {
        let serialised = toml::to_string(&config).unwrap();
        prop_assert_eq!(&load(&serialised).config, &config);
        let loaded = load(&serialised);
        let by_key: String = loaded.keys().iter().map(|key| format!("{} = {}\n", key.name, key.get(&config))).collect();
        prop_assert_eq!(&load(&by_key).config, &config);
        prop_assert!(diff(&config, &loaded).is_empty());
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(problems) = parse("config.toml", &bytes, &ProcessSettings::default()) {
            prop_assert!(problems.count() > 0);
        }
    }

    #[test]
    fn no_mutation_of_a_config_causes_a_panic(at in 0..3_000_usize, length in 0..20_usize, insert in "[\\[\\]{}=\",.a-z0-9\n#é-]{0,5}") {
        let keys = KEYS.iter().filter(|key| !key.is_alias());
        let full: String = keys.map(|key| format!("{} = {}\n", key.name, another(key))).collect();
        let mut text: Vec<char> = full.chars().collect();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, insert.chars());
        let text: String = text.into_iter().collect();
        match parse("config.toml", text.as_bytes(), &ProcessSettings::default()) {
            Ok(loaded) => prop_assert!(loaded.config.spawn_jitter_ms[0] <= loaded.config.spawn_jitter_ms[1]),
            Err(problems) => prop_assert!(problems.reports().iter().all(|report| report.line.is_some())),
        }
    }
}

#[test]
fn a_value_of_the_wrong_kind_changes_nothing() {
    let mut config = Config::default();
    for key in KEYS.iter() {
        key.set(&mut config, if *key.kind == Kind::Switch { Value::Number(1) } else { Value::Switch(true) });
    }
    assert_eq!(config, Config::default());
}
