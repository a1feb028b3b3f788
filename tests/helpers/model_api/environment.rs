//! The environments in which the CLIs talk to the API and to nothing else.

use std::path::Path;

use serde_json::json;

use super::ModelApi;

impl ModelApi {
    /// The variables for Claude Code. `home` is an empty directory. `IS_SANDBOX` lets the CLI skip permission prompts as
    /// root. With one retry, a refused run ends after about 1 s.
    pub fn claude_env(&self, home: &Path) -> Vec<(&'static str, String)> {
        vec![
            ("ANTHROPIC_BASE_URL", self.url()),
            ("ANTHROPIC_API_KEY", "sk-fake".to_owned()),
            ("HOME", home.display().to_string()),
            ("IS_SANDBOX", "1".to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            ("CLAUDE_CODE_MAX_RETRIES", "1".to_owned()),
            ("DISABLE_AUTOUPDATER", "1".to_owned()),
        ]
    }

    /// The variables for Codex. Writes its configuration into `home`, with a provider whose requests are not repeated.
    pub fn codex_env(&self, home: &Path) -> Vec<(&'static str, String)> {
        let folder = home.join(".codex");
        std::fs::create_dir_all(&folder).expect("a home of Codex");
        let config = format!(
            "model = 'gpt-5'\nmodel_provider = 'loopback'\ncheck_for_update_on_startup = false\n\
             [analytics]\nenabled = false\n\
             [model_providers.loopback]\nname = 'loopback'\nbase_url = '{}/v1'\nenv_key = 'LOOPBACK_KEY'\n\
             wire_api = 'responses'\nrequest_max_retries = 0\nstream_max_retries = 0\nsupports_websockets = false\n",
            self.url()
        );
        std::fs::write(folder.join("config.toml"), config).expect("a configuration of Codex");
        vec![
            ("CODEX_HOME", folder.display().to_string()),
            ("HOME", home.display().to_string()),
            ("LOOPBACK_KEY", "sk-fake".to_owned()),
        ]
    }

    /// The variables for Gemini CLI. Writes its settings into `home`, with one attempt for each request.
    pub fn gemini_env(&self, home: &Path) -> Vec<(&'static str, String)> {
        let folder = home.join(".gemini");
        std::fs::create_dir_all(&folder).expect("a home of Gemini CLI");
        let settings = json!({
            "general": {"enableAutoUpdate": false, "maxAttempts": 1},
            "privacy": {"usageStatisticsEnabled": false},
            "telemetry": {"enabled": false},
            "security": {"auth": {"selectedType": "gemini-api-key"}}});
        std::fs::write(folder.join("settings.json"), settings.to_string()).expect("settings of Gemini CLI");
        vec![
            ("GOOGLE_GEMINI_BASE_URL", self.url()),
            ("GEMINI_API_KEY", "fake".to_owned()),
            ("HOME", home.display().to_string()),
        ]
    }

    /// The variables for opencode, with the provider `loopback`, which has the model `scripted`.
    pub fn opencode_env(&self, home: &Path) -> Vec<(&'static str, String)> {
        let model = json!({"name": "scripted", "tool_call": true, "cost": {"input": 3, "output": 15},
                           "limit": {"context": 200_000, "output": 8_000}});
        let provider = json!({"npm": "@ai-sdk/anthropic", "name": "loopback", "models": {"scripted": model},
                              "options": {"baseURL": format!("{}/v1", self.url()), "apiKey": "sk-fake"}});
        let config = json!({
            "$schema": "https://opencode.ai/config.json", "autoupdate": false, "share": "disabled",
            "model": "loopback/scripted", "small_model": "loopback/scripted", "enabled_providers": ["loopback"],
            "provider": {"loopback": provider}});
        vec![
            ("OPENCODE_CONFIG_CONTENT", config.to_string()),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned()),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1".to_owned()),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1".to_owned()),
            ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1".to_owned()),
            ("HOME", home.display().to_string()),
            ("XDG_CONFIG_HOME", home.join("config").display().to_string()),
            ("XDG_DATA_HOME", home.join("data").display().to_string()),
            ("XDG_CACHE_HOME", home.join("cache").display().to_string()),
            ("XDG_STATE_HOME", home.join("state").display().to_string()),
        ]
    }
}
