//! A `config.toml` to a [`Config`], key by key out of the key table.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::keys::{KEYS, Kind, Value};
use super::{Config, Loaded, Outside, log_filter};
use crate::document::Located;
use crate::document::document::Document;
use crate::document::problem::Problem;
use crate::document::section::{Faults, Section};

/// Reads the whole file.
pub(super) fn read(document: &Document, root: &Section<'_>, faults: &mut Faults, outside: &Outside) -> Loaded {
    let mut config = Config::default();
    let env = outside.claude_bin_env.as_ref().filter(|program| !program.trim().is_empty());
    if let Some(program) = env {
        config.claude_bin.clone_from(program);
    }

    let tables: Vec<&str> = unique(KEYS.iter().filter_map(|key| Some(key.name.split_once('.')?.0)));
    let top = KEYS.iter().map(|key| key.name).filter(|name| !name.contains('.')).chain(tables.iter().copied());
    root.report_unknown(faults, &top.collect::<Vec<_>>(), |name| {
        let key = KEYS.iter().find(|key| key.name.split_once('.').is_some_and(|(_, leaf)| leaf == name))?;
        Some(format!("did you mean `{}`?", key.name))
    });
    let mut set = read_keys(root, "", faults, &mut config);
    for table in tables {
        let Some(section) = root.section(faults, table) else { continue };
        let known: Vec<&str> = KEYS.iter().filter_map(|key| key.name.strip_prefix(table)?.strip_prefix('.')).collect();
        section.report_unknown(faults, &known, |name| {
            let is_top = KEYS.iter().any(|key| key.name == name);
            is_top.then(|| format!("`{name}` is not in a table: put it above `[{table}]`"))
        });
        set.extend(read_keys(&section, &format!("{table}."), faults, &mut config));
    }
    outside.flags.apply(&mut config);
    check_together(&config, &set, faults);
    Loaded { config, set, env: env.is_some(), flags: outside.flags.clone(), document: document.clone() }
}

/// Rules between effective values.
fn check_together(config: &Config, set: &BTreeMap<&'static str, Range<usize>>, faults: &mut Faults) {
    for key in KEYS.iter().filter(|key| matches!(key.kind, Kind::Span(_))) {
        if let Value::Span([low, high]) = key.get(config)
            && low > high
        {
            let message = format!("`{}` goes from {low} down to {high}", key.name);
            let problem = Problem::new(message, set.get(key.name).cloned());
            faults.push(problem.hint(format!("the smaller number comes first: [{high}, {low}]")));
        }
    }
}

fn read_keys(
    section: &Section<'_>,
    prefix: &str,
    faults: &mut Faults,
    config: &mut Config,
) -> BTreeMap<&'static str, Range<usize>> {
    let mut set = BTreeMap::new();
    for key in KEYS {
        let Some(leaf) = key.name.strip_prefix(prefix).filter(|leaf| !leaf.contains('.')) else { continue };
        if let Some(value) = read_value(section, leaf, &key.kind, faults) {
            key.set(config, value.value);
            set.insert(key.name, value.span);
        }
    }
    set
}

fn read_value(section: &Section<'_>, leaf: &str, kind: &Kind, faults: &mut Faults) -> Option<Located<Value>> {
    match kind {
        Kind::Number(range) => {
            let number = section.integer(faults, leaf, range.clone())?;
            Some(number.map(|number| Value::Number(number.unsigned_abs())))
        }
        Kind::Span(range) => {
            let numbers = section.integers(faults, leaf, range.clone())?;
            let Some(pair) = pair(&numbers.value) else {
                let count = numbers.value.len();
                let message = format!("`{leaf}` must be a list of two numbers, but has {count}");
                faults.push(Problem::new(message, numbers.span).hint("the least and the most, as in [50, 150]"));
                return None;
            };
            Some(numbers.map(|_| Value::Span(pair)))
        }
        Kind::Switch => Some(section.boolean(faults, leaf)?.map(Value::Switch)),
        Kind::Program => Some(section.filled_text(faults, leaf)?.map(Value::Text)),
        Kind::Texts => {
            let texts = section.texts(faults, leaf)?;
            Some(texts.map(|texts| Value::Texts(texts.into_iter().map(|text| text.value).collect())))
        }
        Kind::LogFilter => {
            let filter = section.filled_text(faults, leaf)?;
            if let Err((message, hint)) = log_filter::check(&filter.value) {
                faults.push(Problem::new(format!("`{leaf}`: {message}"), filter.span).hint(hint));
                return None;
            }
            Some(filter.map(Value::Text))
        }
        Kind::Path => {
            let path = section.text(faults, leaf)?;
            Some(path.map(|path| Value::Path((!path.trim().is_empty()).then(|| PathBuf::from(path)))))
        }
    }
}

fn pair(numbers: &[Located<i64>]) -> Option<[u64; 2]> {
    let [low, high] = numbers else { return None };
    Some([low.value.unsigned_abs(), high.value.unsigned_abs()])
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}
