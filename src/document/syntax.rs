//! Parsing with recovery: reports several syntax errors at once, and omits errors that only follow from an
//! earlier one.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, de};

use super::faults::Faults;
use super::problem::Problem;
use super::source::line_at;
use super::syntax_message::{self, SyntaxError};

/// The maximum number of syntax errors that are examined. A file with more errors is probably not TOML.
const MAX_ERRORS: usize = 500;

/// Parses `text`. Returns the table that could be recovered, and the syntax errors.
pub(super) fn parse(text: &str) -> (DeTable<'_>, Faults) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let table = table.into_inner();
    let mut faults = Faults::default();
    if errors.is_empty() {
        return (table, faults);
    }
    let mut values = Vec::new();
    collect_values(&table, &mut values);
    let mut keys = Vec::new();
    collect_keys(&table, &mut keys);

    let mut errors: Vec<(Range<usize>, String)> =
        errors.iter().take(MAX_ERRORS).map(|error| located(text, error)).collect();
    errors.sort_by_key(|(span, _)| span.start);
    // Only the first error of a line, list or text is reported: the others usually follow from it.
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let mut damaged: Vec<Range<usize>> = Vec::new();
    if let Some((conflict, problem)) = merge_conflict(text) {
        faults.push_syntax(problem);
        stretches.push(conflict.clone());
        damaged.push(conflict);
    }
    for (span, message) in &errors {
        let value = values.iter().find(|value| value.span.start <= span.start && span.start <= value.span.end);
        let line = line_at(text, span.start);
        let mut stretch = line.start..line.end.max(span.end);
        if let Some(value) = value {
            stretch = stretch.start.min(value.span.start)..stretch.end.max(value.span.end);
        }
        let follows = stretches.iter().any(|known| known.start <= span.start && span.start <= known.end);
        if !follows {
            let list_is_open =
                value.is_some_and(|value| value.is_list && errors.iter().any(|error| leaves_open(value, error)));
            let value = value.map(|value| value.span.clone());
            let before = |(name, start): &&(&str, usize)| *start < span.start && *name == &text[span.clone()];
            let first = keys.iter().filter(before).map(|(_, start)| *start).max();
            let first_line = first.map(|start| text[..start].matches('\n').count() + 1);
            let error = SyntaxError { text, span: span.clone(), value, list_is_open, first_line };
            faults.push_syntax(syntax_message::problem(&error, message));
        }
        // The parser assigns the keys below an invalid header to the previous table, so these keys are
        // unreliable.
        if text[line.clone()].trim_start().starts_with('[') {
            damaged.push(line.start..section_end(text, line.end));
        }
        damaged.push(stretch.clone());
        stretches.push(stretch);
    }
    faults.set_damaged(damaged);
    (table, faults)
}

/// Finds the markers that a version control system leaves at a merge conflict. Returns the part of `text`
/// with the markers and the problem to report; `None` if there are none. Outside of a multi-line string, such
/// markers are never valid.
fn merge_conflict(text: &str) -> Option<(Range<usize>, Problem)> {
    let (mut at, mut first, mut last) = (0, None, None);
    for line in text.split_inclusive('\n') {
        let range = at..at + line.trim_end().len();
        at += line.len();
        if line.starts_with("<<<<<<< ") {
            first.get_or_insert(range);
        } else if line.starts_with(">>>>>>> ") {
            last = Some(range);
        }
    }
    let (first, last) = first.zip(last).filter(|(first, last)| first.start < last.start)?;
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let hint =
        format!("resolve the conflict on lines {} to {} and remove the markers", line(first.start), line(last.start));
    let conflict = first.start..last.end;
    Some((conflict, Problem::new("the file has merge conflict markers", first).hint(hint)))
}

/// Collects each key of this table and of the tables in it, with the position of the key's first byte.
fn collect_keys<'t>(table: &'t DeTable<'_>, keys: &mut Vec<(&'t str, usize)>) {
    for (key, value) in table.iter() {
        keys.push((key.get_ref().as_ref(), key.span().start));
        if let DeValue::Table(inner) = value.get_ref() {
            collect_keys(inner, keys);
        }
    }
}

/// Returns the offset at which the section below a header ends: before the next header.
fn section_end(text: &str, from: usize) -> usize {
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        if at > from && line.trim_start().starts_with('[') {
            return at - 1;
        }
        at += line.len();
    }
    text.len()
}

struct Value {
    span: Range<usize>,
    is_list: bool,
}

/// Collects the outermost values, and the values inside tables and arrays of tables.
fn collect_values(table: &DeTable<'_>, values: &mut Vec<Value>) {
    for value in table.values() {
        collect_value(value, values);
    }
}

fn collect_value(value: &Spanned<DeValue<'_>>, values: &mut Vec<Value>) {
    let span = value.span();
    match value.get_ref() {
        DeValue::Table(table) => {
            values.push(Value { span, is_list: false });
            collect_values(table, values);
        }
        DeValue::Array(items) => {
            values.push(Value { span, is_list: true });
            for item in items {
                if item.get_ref().is_table() {
                    collect_value(item, values);
                }
            }
        }
        _ => values.push(Value { span, is_list: false }),
    }
}

fn located(text: &str, error: &de::Error) -> (Range<usize>, String) {
    let mut span = error.span().unwrap_or(0..0);
    span.start = span.start.min(text.len());
    while !text.is_char_boundary(span.start) {
        span.start -= 1;
    }
    span.end = span.end.clamp(span.start, text.len());
    while !text.is_char_boundary(span.end) {
        span.end += 1;
    }
    (span, error.message().to_owned())
}

/// Returns whether the error says that the closing bracket of `list` is missing.
fn leaves_open(list: &Value, (span, message): &(Range<usize>, String)) -> bool {
    let within = list.span.start <= span.start && span.start <= list.span.end;
    within && (message.starts_with("unexpected `=` in array") || message.starts_with("unclosed array, "))
}
