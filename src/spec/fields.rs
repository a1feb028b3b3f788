//! The fields of a spec and of a task, and the readers that both use.

use std::ops::RangeInclusive;

use crate::document::problem::Problem;
use crate::document::{Faults, Located, Section};

/// The fields of a spec.
pub(super) const OF_SPEC: &[&str] =
    &["title", "repo", "base", "context", "agent", "model", "priority", "after", "deliver", "verify", "tasks"];

/// The fields of a task.
pub(super) const OF_TASK: &[&str] = &["id", "title", "prompt", "run", "needs", "verify", "timeout_minutes"];

/// The priorities that a spec can have. Lower runs first.
pub(crate) const PRIORITIES: RangeInclusive<i64> = -1_000_000..=1_000_000;

/// The time limits of a try, in minutes: at most a week.
pub(crate) const TIMEOUT_MINUTES: RangeInclusive<i64> = 1..=10_080;

/// The longest title, in characters.
const MAX_TITLE: usize = 200;

/// Reads the title of a spec or a task: one printable line.
pub(super) fn title(section: &Section<'_>, faults: &mut Faults) -> Option<String> {
    let Located { value, span } = section.filled_text(faults, "title")?;
    let title = value.trim();
    let length = title.chars().count();
    let problem = if title.contains(['\n', '\r']) {
        Problem::new("`title` must be one line", span).hint("put the rest into a `prompt` or the `context`")
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

/// Reads a list of commands, none of them empty.
pub(super) fn commands(section: &Section<'_>, faults: &mut Faults, key: &str) -> Vec<String> {
    let commands = section.filled_texts(faults, key).map_or(Vec::new(), |commands| commands.value);
    commands.into_iter().map(|command| command.value).collect()
}
