//! The JSON Schema of `config.toml`, for editors, made from the key table.

use serde_json::{Map, Value, json};

use super::keys::{KEYS, Key, Kind};

/// The schema, in draft 7, which the TOML editors know.
pub fn schema() -> Value {
    let mut top = Map::new();
    for key in KEYS {
        match key.name.split_once('.') {
            None => drop(top.insert(key.name.to_owned(), property(key))),
            Some((table, leaf)) => {
                let section = top.entry(table).or_insert_with(|| object(Map::new()));
                section["properties"][leaf] = property(key);
            }
        }
    }
    let mut schema = object(top);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("The configuration of boi");
    schema
}

fn object(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn property(key: &Key) -> Value {
    let mut property = match &key.kind {
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
    let unit = key.unit.map(|unit| format!("In {unit}. ")).unwrap_or_default();
    property["description"] = json!(format!("{} {unit}Takes effect: {}.", key.docs.join(" "), key.takes_effect));
    property["default"] = match key.default() {
        super::keys::Value::Path(None) => json!(""),
        value => json!(value),
    };
    property
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_it_with_its_default_and_nothing_else_is_allowed() {
        let schema = schema();
        for key in KEYS {
            let pointer = format!("/properties/{}", key.name.replace('.', "/properties/"));
            let property = schema.pointer(&pointer).unwrap_or_else(|| panic!("{pointer} is missing"));
            assert!(property["description"].as_str().unwrap().contains(key.docs[0]), "{pointer}");
            assert!(!property["default"].is_null(), "{pointer}");
        }
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["paths"]["additionalProperties"], false);
        assert_eq!(schema["properties"]["max_workers"]["maximum"], 1024);
    }
}
