//! Typed reading of a table: each getter gives the value, or reports what is wrong with it and gives `None`.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::{Located, closest, quoted, value};

/// The problems found so far, and which stretches of the document a syntax error has made unreliable.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    problems: Vec<Problem>,
    damaged: Vec<Range<usize>>,
}

impl Faults {
    /// Reports a problem, unless it lies in a stretch that a syntax error has damaged.
    pub(crate) fn push(&mut self, problem: Problem) {
        let lies_in = |damaged: &Range<usize>| {
            problem.span.as_ref().is_some_and(|span| damaged.start <= span.start && span.start <= damaged.end)
        };
        if !self.damaged.iter().any(lies_in) {
            self.problems.push(problem);
        }
    }

    /// Reports that something is absent or refers to something absent, unless a syntax error may have swallowed it.
    pub(crate) fn push_absent(&mut self, problem: Problem) {
        if self.damaged.is_empty() {
            self.problems.push(problem);
        }
    }

    /// Whether so much was reported that looking for more is a waste.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= 100
    }

    pub(super) fn push_syntax(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn set_damaged(&mut self, damaged: Vec<Range<usize>>) {
        self.damaged = damaged;
    }

    /// Whether nothing was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// A table of the document.
#[derive(Debug, Clone)]
pub(crate) struct Section<'d> {
    table: &'d DeTable<'d>,
    path: String,
    span: Range<usize>,
}

impl<'d> Section<'d> {
    pub(super) fn root(table: &'d DeTable<'d>) -> Section<'d> {
        Section { table, path: String::new(), span: 0..0 }
    }

    /// Where it begins: its header or its opening brace; of the whole document, the very start.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether nothing is set in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether `key` is set, to whatever value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where the name `key` stands, if it is set.
    pub(crate) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// The names that are set and where they stand, in the order of the document.
    pub(crate) fn keys(&self) -> Vec<Located<&'d str>> {
        let mut keys: Vec<_> =
            self.table.keys().map(|key| Located { value: key.get_ref().as_ref(), span: key.span() }).collect();
        keys.sort_by_key(|key| key.span.start);
        keys
    }

    /// Reports every name that is not among `known`; `elsewhere` says of a name that it belongs into another table. Gives
    /// those known names that were probably meant: to call them missing as well would say the same thing twice.
    pub(crate) fn report_unknown<'k>(
        &self,
        faults: &mut Faults,
        known: &[&'k str],
        elsewhere: impl Fn(&str) -> Option<String>,
    ) -> Vec<&'k str> {
        let mut meant = Vec::new();
        for key in self.keys() {
            if known.contains(&key.value) {
                continue;
            }
            let message = format!("there is no {}", self.named(key.value));
            if let Some(hint) = elsewhere(key.value) {
                faults.push(Problem::new(message, key.span).hint(hint));
                continue;
            }
            let free = known.iter().copied().filter(|known| !self.has(known));
            let close = closest(key.value, free).or_else(|| closest(key.value, known.iter().copied()));
            let hint = match close {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("what can be set here: {}", names(known)),
            };
            meant.extend(close);
            faults.push(Problem::new(message, key.span).hint(hint));
        }
        meant
    }

    /// Text, which may be empty. NUL is in no text.
    pub(crate) fn text(&self, faults: &mut Faults, key: &str) -> Option<Located<String>> {
        self.with(faults, key, value::text)
    }

    /// Text with more than white space in it.
    pub(crate) fn filled_text(&self, faults: &mut Faults, key: &str) -> Option<Located<String>> {
        self.with(faults, key, value::filled_text)
    }

    /// A whole number within `range`.
    pub(crate) fn integer(&self, faults: &mut Faults, key: &str, range: RangeInclusive<i64>) -> Option<Located<i64>> {
        self.with(faults, key, |name, value, faults| value::integer(name, value, range, faults))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, faults: &mut Faults, key: &str) -> Option<Located<bool>> {
        self.with(faults, key, value::boolean)
    }

    /// A list of texts, each of which may be empty. Bad items are reported and left out.
    pub(crate) fn texts(&self, faults: &mut Faults, key: &str) -> Option<Located<Vec<Located<String>>>> {
        self.with(faults, key, |name, value, faults| value::list(name, value, "texts", faults, value::text))
    }

    /// A list of texts, each with more than white space in it. Bad items are reported and left out.
    pub(crate) fn filled_texts(&self, faults: &mut Faults, key: &str) -> Option<Located<Vec<Located<String>>>> {
        self.with(faults, key, |name, value, faults| value::list(name, value, "texts", faults, value::filled_text))
    }

    /// A list of whole numbers within `range`.
    pub(crate) fn integers(
        &self,
        faults: &mut Faults,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Option<Located<Vec<Located<i64>>>> {
        self.with(faults, key, |name, value, faults| {
            let mut sound = true;
            let numbers = value::list(name, value, "whole numbers", faults, |name, item, faults| {
                let number = value::integer(name, item, range.clone(), faults);
                sound &= number.is_some();
                number
            })?;
            sound.then_some(numbers)
        })
    }

    /// A table.
    pub(crate) fn section(&self, faults: &mut Faults, key: &str) -> Option<Section<'d>> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section { table, path: format!("{}{key}.", self.path), span: value.span() }),
            other => {
                let message = format!("{} must be a table, but is {}", self.named(key), value::described(other));
                faults.push(Problem::new(message, value.span()).hint(format!("write `[{key}]` on a line of its own")));
                None
            }
        }
    }

    /// A list of tables, in the order of the document.
    pub(crate) fn sections(&self, faults: &mut Faults, key: &str) -> Option<Vec<Section<'d>>> {
        let value = self.table.get(key)?;
        let hint = format!("each begins with `[[{key}]]` on a line of its own");
        let DeValue::Array(items) = value.get_ref() else {
            let found = value::described(value.get_ref());
            let message = format!("{} must be a list of tables, but is {found}", self.named(key));
            faults.push(Problem::new(message, value.span()).hint(hint));
            return None;
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => sections.push(Section { table, path: String::new(), span: item.span() }),
                other => {
                    let found = value::described(other);
                    let message = format!("{} must hold tables only, but this is {found}", self.named(key));
                    faults.push(Problem::new(message, item.span()).hint(hint.clone()));
                }
            }
        }
        (sections.len() == items.len()).then_some(sections)
    }

    fn named(&self, key: &str) -> String {
        quoted(&format!("{}{key}", self.path))
    }

    fn with<T>(
        &self,
        faults: &mut Faults,
        key: &str,
        read: impl FnOnce(&str, &Spanned<DeValue<'d>>, &mut Faults) -> Option<T>,
    ) -> Option<Located<T>> {
        let value = self.table.get(key)?;
        read(&self.named(key), value, faults).map(|read| Located { value: read, span: value.span() })
    }
}

fn names(known: &[&str]) -> String {
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
