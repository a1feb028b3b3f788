//! What holds for any bytes as `config.toml`: parsing neither panics nor hangs, and an accepted configuration is the same
//! after it was written (by key, or as a whole) and parsed again. Used by the fuzzer (`tests/fuzz`) and `tests/it/fuzz.rs`.

use boi::config::{EnvValue, HotConfig, ProcessSettings, changes, parse, schema};

/// Panics if one of the rules does not hold for `bytes`.
pub fn check(bytes: &[u8]) {
    let settings = ProcessSettings::default();
    match parse("config.toml", bytes, &settings) {
        Err(problems) => {
            assert!(problems.count() > 0, "refused without a problem");
            assert_eq!(problems.lines().len(), problems.reports().len());
            assert!(!problems.render(true).is_empty());
        }
        Ok(loaded) => {
            let by_key = loaded.keys().into_iter().map(|key| format!("{} = {}\n", key.name, key.get(&loaded.config)));
            let by_key: String = by_key.collect();
            let config = loaded.config;
            assert!(config.spawn_jitter_ms[0] <= config.spawn_jitter_ms[1]);
            let again = parse("config.toml", by_key.as_bytes(), &settings)
                .expect("an accepted configuration is accepted again");
            let is_text = |value: &EnvValue| matches!(value, EnvValue::Text(_));
            if config.agents.iter().any(|(_, agent)| agent.env.values().any(is_text)) {
                // Such a text is written nowhere.
                return;
            }
            assert_eq!(again.config, config);
            let serialised = toml::to_string(&config).expect("every configuration can be written");
            assert_eq!(parse("config.toml", serialised.as_bytes(), &settings).expect("accepted").config, config);
            let plan = changes::plan(&config, &again);
            assert!(plan.applied.is_empty() && plan.pending_restart.is_empty());
            let worker = HotConfig { generation: 1, config }.worker_config();
            assert_eq!(worker.generation, 1);
        }
    }
    assert!(schema::schema().is_object());
}
