//! The JSON Schema of `config.toml`, for editors, made from the key table.

use serde_json::{Map, Value, json};

use super::keys::{self, KEYS, Key, Kind};

/// Returns the schema, in JSON Schema draft 7, which TOML editors support.
pub fn schema() -> Value {
    let mut schema = object();
    for key in KEYS.iter() {
        let mut table = &mut schema;
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
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("The configuration of boi");
    schema
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
        Kind::Program | Kind::LogFilter => json!({"type": "string", "minLength": 1}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Path => json!({"type": "string"}),
    };
    let docs = key.docs().collect::<Vec<_>>().join(" ");
    let unit = key.row.unit.map(|unit| format!("In {unit}. ")).unwrap_or_default();
    property["description"] = json!(format!("{docs} {unit}Takes effect: {}.", key.takes_effect));
    property["default"] = match key.default() {
        keys::Value::Path(None) => json!(""),
        value => json!(value),
    };
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
        for table in ["", "/properties/paths", "/properties/agents", "/properties/agents/properties/claude"] {
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
        {"default":"claude","minLength":1,"type":"string"}
        {"default":false,"type":"boolean"}
        "#);
        let interval = schema["properties"]["tick_interval_ms"]["description"].as_str().unwrap();
        assert!(interval.ends_with("In milliseconds. Takes effect: at once."), "{interval}");
    }
}
