//! Reads the values of a `config.toml`, table by table, as the key table describes them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::agent_tables;
use super::hooks;
use super::keys::{KEYS, Key, Kind, Value, keys_of};
use super::log_filter;
use super::values::Config;
use crate::document::problem::Problem;
use crate::document::{Document, Faults, Located, Section, closest, quoted};
use crate::domain::agent::AgentCommand;
use crate::domain::spec;

/// The name of the table that contains one table for each agent.
pub(super) const AGENTS: &str = "agents";

/// The keys that a file sets, each with the byte range of its value.
pub(super) type KeysSet = BTreeMap<String, Range<usize>>;

/// Reads the whole file into `config`, and adds its errors to `faults`. Returns the keys that the file sets.
pub(super) fn read(document: &Document, root: &Section<'_>, faults: &mut Faults, config: &mut Config) -> KeysSet {
    let mut set = KeysSet::new();
    read_table(root, "", &KEYS, faults, config, &mut set);
    if let Some(agents) = root.has(AGENTS).then(|| root.section(faults, AGENTS)).flatten() {
        agent_tables::read(&agents, faults, config, &mut set);
    }
    refuse_two_names(document, config, &set, faults);
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
            let problem = Problem::new(message, set.get(&key.name).cloned());
            faults.push(problem.hint(format!("write [{high}, {low}]")));
        }
    }
}

/// Adds an error to `faults` for each value that the file sets twice, under two names of its key.
fn refuse_two_names(document: &Document, config: &Config, set: &KeysSet, faults: &mut Faults) {
    for key in keys_of(config).iter().filter(|key| !key.is_alias()) {
        let mut names: Vec<(String, &Range<usize>)> = Vec::new();
        for name in [key.clone()].into_iter().chain(key.other_names()).map(|key| key.name) {
            names.extend(set.get(&name).map(|span| (name, span)));
        }
        names.sort_by_key(|(_, span)| span.start);
        let Some((first, earlier)) = names.first() else { continue };
        for (second, later) in &names[1..] {
            let line = document.line_number(earlier.start);
            let message = format!("`{second}` and `{first}` (line {line}) set the same value");
            faults.push(Problem::new(message, (*later).clone()).hint("remove one of the two"));
        }
    }
}

/// Reads those of `keys` that `section` or a table in it contains. `prefix` is the section's dotted name with
/// a final dot, or empty for the whole file. Does not read the table `agents`.
pub(super) fn read_table(
    section: &Section<'_>,
    prefix: &str,
    keys: &[Key],
    faults: &mut Faults,
    config: &mut Config,
    set: &mut KeysSet,
) {
    let mut children: Vec<&str> = Vec::new();
    for key in keys {
        if let Some(child) = key.name.strip_prefix(prefix).and_then(|rest| rest.split('.').next())
            && !children.contains(&child)
        {
            children.push(child);
        }
    }
    section.report_unknown(faults, &children, |name| elsewhere(prefix, name));
    for child in children {
        let name = format!("{prefix}{child}");
        match keys.iter().find(|key| key.name == name) {
            Some(key) => {
                if let Some(value) = read_value(section, child, key, faults) {
                    key.set(config, value.value);
                    set.insert(key.name.clone(), value.span);
                }
            }
            None if name == AGENTS => {}
            None => {
                if let Some(table) = section.section(faults, child) {
                    read_table(&table, &format!("{name}."), keys, faults, config, set);
                }
            }
        }
    }
}

/// Returns the hint for a key `name` that is unknown in the table of `prefix` and known in another table.
pub(super) fn elsewhere(prefix: &str, name: &str) -> Option<String> {
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
        Kind::Money(range) => Some(section.money(faults, leaf, range.clone())?.map(Value::Money)),
        Kind::Switch => Some(section.boolean(faults, leaf)?.map(Value::Switch)),
        Kind::Command => read_command(section, leaf, key, faults),
        Kind::Texts => {
            let texts = section.texts(faults, leaf)?;
            Some(texts.map(|texts| Value::Texts(texts.into_iter().map(|text| text.value).collect())))
        }
        Kind::AgentNames => {
            let names = section.filled_texts(faults, leaf)?;
            Some(names.map(|names| Value::Texts(names.into_iter().map(|name| name.value).collect())))
        }
        Kind::Choice(names) => {
            let text = section.filled_text(faults, leaf)?;
            if names.contains(&text.value.as_str()) {
                return Some(text.map(Value::Text));
            }
            let all = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            let message = format!("`{}` must be one of {all}, but is {}", key.name, quoted(&text.value));
            let problem = Problem::new(message, text.span);
            faults.push(match closest(&text.value, names.iter().copied()) {
                Some(close) => problem.hint(format!("did you mean \"{close}\"?")),
                None => problem,
            });
            None
        }
        Kind::Model => {
            let text = section.text(faults, leaf)?;
            if text.value.is_empty() || spec::is_model(&text.value) {
                return Some(text.map(Value::Text));
            }
            let message = format!("`{}` is {}, which is not the name of a model", key.name, quoted(&text.value));
            faults.push(Problem::new(message, text.span).hint("write one word, as in \"sonnet\""));
            None
        }
        Kind::Env => Some(agent_tables::env(section, leaf, faults)?.map(Value::Env)),
        Kind::Prices => Some(agent_tables::prices(section, leaf, faults)?.map(Value::Prices)),
        Kind::Hooks => Some(hooks::read(section, leaf, faults)?.map(Value::Hooks)),
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

/// Reads a program, or a list of a program and its first arguments.
fn read_command(section: &Section<'_>, leaf: &str, key: &Key, faults: &mut Faults) -> Option<Located<Value>> {
    let words: Located<Vec<String>> = if section.is_list(leaf) {
        let words = section.texts(faults, leaf)?;
        words.map(|words| words.into_iter().map(|word| word.value).collect())
    } else {
        section.filled_text(faults, leaf)?.map(|program| vec![program])
    };
    let Located { value, span } = words;
    match AgentCommand::of_words(value) {
        Some(command) => Some(Located { value: Value::Command(Some(command)), span }),
        None => {
            let message = format!("`{}` does not begin with a program", key.name);
            faults.push(Problem::new(message, span).hint("write the program first, as in [\"docker\", \"exec\"]"));
            None
        }
    }
}

fn pair(numbers: &[Located<i64>]) -> Option<[u64; 2]> {
    let [low, high] = numbers else { return None };
    Some([low.value.unsigned_abs(), high.value.unsigned_abs()])
}
