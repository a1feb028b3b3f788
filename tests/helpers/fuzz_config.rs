//! What must hold for any bytes in the place of a `config.toml`: no panic, no hang, and what is accepted comes back the
//! same from both ways to write it. For the fuzzer (`tests/fuzz`) and a bounded run in `tests/it`.

use boi::config::keys::KEYS;
use boi::config::{HotConfig, Outside, changes, parse, schema};

/// Panics when one of the rules is broken.
pub fn check(bytes: &[u8]) {
    let outside = Outside::default();
    match parse("config.toml", bytes, &outside) {
        Err(problems) => {
            assert!(problems.count() > 0, "refused for no reason");
            assert_eq!(problems.lines().len(), problems.reports().len());
            assert!(!problems.render(true).is_empty());
        }
        Ok(loaded) => {
            let config = loaded.config;
            assert!(config.spawn_jitter_ms[0] <= config.spawn_jitter_ms[1]);
            let by_key: String = KEYS.iter().map(|key| format!("{} = {}\n", key.name, key.get(&config))).collect();
            let again = parse("config.toml", by_key.as_bytes(), &outside).expect("what was accepted is accepted again");
            assert_eq!(again.config, config);
            let serialised = toml::to_string(&config).expect("every configuration can be written");
            assert_eq!(parse("config.toml", serialised.as_bytes(), &outside).expect("accepted").config, config);
            let plan = changes::plan(&config, &again.config);
            assert!(plan.applied.is_empty() && plan.pending_restart.is_empty());
            let worker = HotConfig { generation: 1, config }.worker_config();
            assert_eq!(worker.generation, 1);
        }
    }
    assert!(schema::schema().is_object());
}
