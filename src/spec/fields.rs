//! The names and ranges of the fields of a spec and of a task, and the readers of the fields that both have.

use std::ops::RangeInclusive;

use crate::document::problem::Problem;
use crate::document::{Faults, Located, Section, closest, quoted};
use crate::domain::spec::{self, Changes};

/// The names of a spec's fields.
pub(super) const OF_SPEC: &[&str] = &[
    "title",
    "repo",
    "base",
    "context",
    "agent",
    "model",
    "priority",
    "after",
    "deliver",
    "on_conflict",
    "verify",
    "verify_all",
    "changes",
    "max_usd",
    "copy",
    "setup",
    "tasks",
];

/// The names of a task's fields.
pub(super) const OF_TASK: &[&str] =
    &["id", "title", "prompt", "run", "agent", "changes", "needs", "verify", "timeout_minutes"];

/// The priorities that a spec can have. A spec with a lower number runs first.
pub(crate) const PRIORITIES: RangeInclusive<i64> = -1_000_000..=1_000_000;

/// The time limits that a try can have, in minutes: at most a week.
pub(crate) const TIMEOUT_MINUTES: RangeInclusive<i64> = 1..=10_080;

/// The longest title, in characters.
const MAX_TITLE: usize = 200;

/// Reads the title of a spec or a task: one printable line.
pub(super) fn title(section: &Section<'_>, faults: &mut Faults) -> Option<String> {
    let Located { value, span } = section.filled_text(faults, "title")?;
    let title = value.trim();
    let length = title.chars().count();
    let problem = if title.contains(['\n', '\r']) {
        Problem::new("`title` must be one line", span).hint("put the rest of the text into a `prompt` or the `context`")
    } else if title.chars().any(char::is_control) {
        Problem::new("`title` contains a control character", span)
    } else if length > MAX_TITLE {
        Problem::new(format!("`title` must have at most {MAX_TITLE} characters, but has {length}"), span)
    } else {
        return Some(title.to_owned());
    };
    faults.push(problem);
    None
}

/// Reads `model`: the name of a model.
pub(super) fn model(root: &Section<'_>, faults: &mut Faults) -> Option<String> {
    let model = root.filled_text(faults, "model")?;
    if !spec::is_model(&model.value) {
        let message = format!("`model` is {}, which is not the name of a model", quoted(&model.value));
        faults.push(Problem::new(message, model.span).hint("write one word, as in model = \"sonnet\""));
        return None;
    }
    Some(model.value)
}

/// Reads the field `changes` of a spec or a task.
pub(super) fn changes(section: &Section<'_>, faults: &mut Faults) -> Option<Located<Changes>> {
    one_of(section, faults, "changes", &[("required", Changes::Required), ("optional", Changes::Optional)])
}

/// Reads a field whose value is one of a few texts.
pub(super) fn one_of<T: Copy>(
    section: &Section<'_>,
    faults: &mut Faults,
    key: &str,
    values: &[(&str, T)],
) -> Option<Located<T>> {
    let text = section.filled_text(faults, key)?;
    if let Some((_, value)) = values.iter().find(|(name, _)| *name == text.value) {
        return Some(text.map(|_| *value));
    }
    let names = values.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ");
    let problem = Problem::new(format!("`{key}` must be {names}, but is {}", quoted(&text.value)), text.span);
    faults.push(match closest(&text.value, values.iter().map(|(name, _)| *name)) {
        Some(close) => problem.hint(format!("did you mean \"{close}\"?")),
        None => problem,
    });
    None
}

/// Reads a list of patterns, each of them one line.
pub(super) fn patterns(section: &Section<'_>, faults: &mut Faults, key: &str) -> Vec<String> {
    let mut patterns = Vec::new();
    for Located { value, span } in section.filled_texts(faults, key).map_or(Vec::new(), |found| found.value) {
        if value.contains(['\n', '\r']) {
            let problem = Problem::new(format!("a pattern in `{key}` must be one line"), span);
            faults.push(problem.hint("write each pattern as a text of its own"));
        } else {
            patterns.push(value);
        }
    }
    patterns
}

/// Reads a list of commands, none of them empty.
pub(super) fn commands(section: &Section<'_>, faults: &mut Faults, key: &str) -> Vec<String> {
    let commands = section.filled_texts(faults, key).map_or(Vec::new(), |commands| commands.value);
    commands.into_iter().map(|command| command.value).collect()
}
