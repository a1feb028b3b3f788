//! The JSON Schema of `config.toml`, for editors, made from the key table.

use serde_json::{Map, Value, json};

use super::agents::MAX_NAME;
use super::hooks;
use super::key::keys_with;
use super::keys::{self, KEYS, Key, Kind};
use crate::domain::event::EventKind;

/// Stands for the name of an agent that the file defines, in descriptions.
const AGENT: &str = "NAME";

/// Returns the schema, in JSON Schema draft 7, which TOML editors support.
pub fn schema() -> Value {
    let mut schema = object();
    for key in KEYS.iter() {
        put(&mut schema, key);
    }
    // An agent that the file defines needs a command.
    let mut own = object();
    for key in keys_with([AGENT]) {
        put(&mut own, &key);
    }
    let mut own = own["properties"]["agents"]["properties"][AGENT].take();
    own["anyOf"] = json!([{"required": ["command"]}, {"required": ["program"]}]);
    let names = format!("^[a-z0-9][a-z0-9_-]{{0,{}}}$", MAX_NAME - 1);
    schema["properties"]["agents"]["additionalProperties"] = own;
    schema["properties"]["agents"]["propertyNames"] = json!({"pattern": names});
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("The configuration of boi");
    schema
}

/// Adds the property that describes `key` to the schema, in the object of the key's table.
fn put(schema: &mut Value, key: &Key) {
    let mut table = schema;
    let (tables, leaf) = key.name.rsplit_once('.').unwrap_or(("", &key.name));
    for name in tables.split('.').filter(|name| !name.is_empty()) {
        let tables = &mut table["properties"];
        if tables[name].is_null() {
            tables[name] = object();
        }
        table = &mut tables[name];
    }
    table["properties"][leaf] = property(key);
}

fn object() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": Map::new()})
}

fn property(key: &Key) -> Value {
    let mut property = match key.kind {
        Kind::Number(range) => json!({"type": "integer", "minimum": range.start(), "maximum": range.end()}),
        Kind::Span(range) => json!({
            "type": "array", "minItems": 2, "maxItems": 2,
            "items": {"type": "integer", "minimum": range.start(), "maximum": range.end()},
        }),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Money(range) => json!({"type": "number", "minimum": range.start(), "maximum": range.end()}),
        Kind::LogFilter => json!({"type": "string", "minLength": 1}),
        Kind::Command => {
            json!({"type": ["string", "array"], "minLength": 1, "minItems": 1, "items": {"type": "string"}})
        }
        Kind::Texts | Kind::AgentNames => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Choice(names) => json!({"type": "string", "enum": names}),
        Kind::Model | Kind::Path => json!({"type": "string"}),
        Kind::Env => json!({"type": "object", "additionalProperties": {"anyOf": [
            {"type": "string"},
            {"type": "object", "additionalProperties": false, "required": ["from_env"],
                "properties": {"from_env": {"type": "string", "minLength": 1}}},
        ]}}),
        Kind::Hooks => {
            let kinds: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let (shortest, longest) = (hooks::TIMEOUT_SECONDS.start(), hooks::TIMEOUT_SECONDS.end());
            json!({"type": "array", "items": {
                "type": "object", "additionalProperties": false, "required": ["name", "on", "command"],
                "properties": {
                    "name": {"type": "string", "pattern": format!("^[A-Za-z0-9._-]{{1,{}}}$", hooks::MAX_NAME)},
                    "on": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": kinds}},
                    "command": {"type": "string", "minLength": 1},
                    "timeout_seconds": {"type": "integer", "minimum": shortest, "maximum": longest, "default": 30},
                },
            }})
        }
        Kind::Prices => {
            let price = json!({"type": "number", "minimum": 0});
            json!({"type": "object", "additionalProperties": {
                "type": "object", "additionalProperties": false, "required": ["input", "cached", "output"],
                "properties": {"input": price, "cached": price, "output": price},
            }})
        }
    };
    let docs = key.docs().collect::<Vec<_>>().join(" ");
    let unit = key.row.unit.map(|unit| format!("In {unit}. ")).unwrap_or_default();
    property["description"] = json!(format!("{docs} {unit}Takes effect: {}.", key.takes_effect));
    match key.default() {
        keys::Value::Path(None) => property["default"] = json!(""),
        // An agent that the file defines has no default.
        keys::Value::Command(None) => {}
        value => property["default"] = json!(value),
    }
    property
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_type_default_and_documentation_and_no_other_key_is_allowed() {
        let schema = schema();
        for key in KEYS.iter() {
            let pointer = format!("/properties/{}", key.name.replace('.', "/properties/"));
            let property = schema.pointer(&pointer).unwrap_or_else(|| panic!("{pointer} is missing"));
            let description = property["description"].as_str().unwrap();
            let docs = key.docs().collect::<Vec<_>>().join(" ");
            assert!(!docs.contains("NAME") && description.starts_with(&docs), "{pointer}: {description}");
            assert!(description.contains(&format!("Takes effect: {}.", key.takes_effect)), "{pointer}: {description}");
            let default = match key.default() {
                keys::Value::Path(_) => json!(""),
                value => json!(value),
            };
            assert_eq!(property["default"], default, "{pointer}");
        }
        for table in
            ["", "/properties/paths", "/properties/agents/properties/claude", "/properties/agents/additionalProperties"]
        {
            let table = schema.pointer(table).unwrap();
            assert_eq!((&table["additionalProperties"], &table["type"]), (&json!(false), &json!("object")));
        }
        insta::assert_snapshot!(
            ["max_workers", "spawn_jitter_ms", "claude_args", "claude_bin", "cleanup_on_failure"]
                .map(|name| {
                    let mut property = schema["properties"][name].clone();
                    property.as_object_mut().unwrap().retain(|field, _| field != "description");
                    property.to_string()
                })
                .join("\n"),
            @r#"
        {"default":5,"maximum":1024,"minimum":0,"type":"integer"}
        {"default":[50,150],"items":{"maximum":60000,"minimum":0,"type":"integer"},"maxItems":2,"minItems":2,"type":"array"}
        {"default":[],"items":{"type":"string"},"type":"array"}
        {"default":"claude","items":{"type":"string"},"minItems":1,"minLength":1,"type":["string","array"]}
        {"default":false,"type":"boolean"}
        "#);
        let interval = schema["properties"]["tick_interval_ms"]["description"].as_str().unwrap();
        assert!(interval.ends_with("In milliseconds. Takes effect: at once."), "{interval}");
    }
}
