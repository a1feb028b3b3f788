//! Reads the values of a `config.toml`, table by table, as the key table describes them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::keys::{KEYS, Key, Kind, Value};
use super::log_filter;
use super::values::Config;
use crate::document::problem::Problem;
use crate::document::{Document, Faults, Located, Section};

/// The keys that a file sets, each with the byte range of its value.
pub(super) type KeysSet = BTreeMap<&'static str, Range<usize>>;

/// Reads the whole file into `config`, and adds its errors to `faults`. Returns the keys that the file sets.
pub(super) fn read(document: &Document, root: &Section<'_>, faults: &mut Faults, config: &mut Config) -> KeysSet {
    let mut set = KeysSet::new();
    read_table(root, "", faults, config, &mut set);
    refuse_two_names(document, &set, faults);
    set
}

/// Adds an error to `faults` for each pair of numbers that is in descending order. `config` holds the
/// effective values; `set` holds their places in the file.
pub(super) fn check_order(config: &Config, set: &KeysSet, faults: &mut Faults) {
    for key in KEYS.iter() {
        if let Value::Span([low, high]) = key.get(config)
            && low > high
        {
            let message = format!("`{}` must be in ascending order, but is [{low}, {high}]", key.name);
            let problem = Problem::new(message, set.get(key.name.as_str()).cloned());
            faults.push(problem.hint(format!("write [{high}, {low}]")));
        }
    }
}

/// Adds an error to `faults` for each value that the file sets by both of its names.
fn refuse_two_names(document: &Document, set: &KeysSet, faults: &mut Faults) {
    for key in KEYS.iter().filter(|key| key.is_alias()) {
        let Some(other) = key.other_name() else { continue };
        let (Some(span), Some(other_span)) = (set.get(key.name.as_str()), set.get(other.name.as_str())) else {
            continue;
        };
        let mut names = [(key, span), (other, other_span)];
        names.sort_by_key(|(_, span)| span.start);
        let [(first, earlier), (second, later)] = names;
        let line = document.line_number(earlier.start);
        let message = format!("`{}` and `{}` (line {line}) set the same value", second.name, first.name);
        faults.push(Problem::new(message, later.clone()).hint("remove one of the two"));
    }
}

/// Reads the table whose keys begin with `prefix` (empty, or ending with a dot), and the tables in that
/// table.
fn read_table(section: &Section<'_>, prefix: &str, faults: &mut Faults, config: &mut Config, set: &mut KeysSet) {
    let mut children: Vec<&'static str> = Vec::new();
    for key in KEYS.iter() {
        if let Some(child) = key.name.strip_prefix(prefix).and_then(|rest| rest.split('.').next())
            && !children.contains(&child)
        {
            children.push(child);
        }
    }
    section.report_unknown(faults, &children, |name| elsewhere(prefix, name));
    for child in children {
        let name = format!("{prefix}{child}");
        match KEYS.iter().find(|key| key.name == name) {
            Some(key) => {
                if let Some(value) = read_value(section, child, key, faults) {
                    key.set(config, value.value);
                    set.insert(&key.name, value.span);
                }
            }
            None => {
                if let Some(table) = section.section(faults, child) {
                    read_table(&table, &format!("{name}."), faults, config, set);
                }
            }
        }
    }
}

/// Returns the hint for a key `name` that is unknown in the table of `prefix` and known in another table.
fn elsewhere(prefix: &str, name: &str) -> Option<String> {
    if KEYS.iter().any(|key| key.name == name) {
        return Some(format!(
            "`{name}` is a top-level key, not a key of `[{}]`: move it above the first table",
            prefix.trim_end_matches('.')
        ));
    }
    let key = KEYS.iter().find(|key| key.name.rsplit('.').next() == Some(name))?;
    Some(format!("did you mean `{}`?", key.name))
}

fn read_value(section: &Section<'_>, leaf: &str, key: &Key, faults: &mut Faults) -> Option<Located<Value>> {
    match key.kind {
        Kind::Number(range) => {
            let number = section.integer(faults, leaf, range.clone())?;
            Some(number.map(|number| Value::Number(number.unsigned_abs())))
        }
        Kind::Span(range) => {
            let numbers = section.integers(faults, leaf, range.clone())?;
            let Some(pair) = pair(&numbers.value) else {
                let count = numbers.value.len();
                let message = format!("`{}` must be a list of two numbers, but has {count}", key.name);
                faults
                    .push(Problem::new(message, numbers.span).hint("write the smaller number first, as in [50, 150]"));
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
                faults.push(Problem::new(format!("`{}`: {message}", key.name), filter.span).hint(hint));
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
