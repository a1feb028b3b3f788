//! Typed reading of a table. Each getter returns the value of a key. If the key is not set, it returns
//! `None`; if the value is invalid, it also reports a problem.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults::Faults;
use super::located::Located;
use super::names::{closest, quoted};
use super::problem::Problem;
use super::value;
use crate::domain::money::Usd;

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

    /// Returns the byte range of the table's header or opening brace; for the root table, the start of the
    /// document.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns whether the table has no keys.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns whether `key` is set to any value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Returns whether `key` is set to a list.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Array(_)))
    }

    /// Returns whether `key` is set to a table.
    pub(crate) fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)))
    }

    /// Returns the byte range of the key's name, if the key is set.
    pub(crate) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Returns the keys that are set, in document order.
    pub(crate) fn keys(&self) -> Vec<Located<&'d str>> {
        let mut keys: Vec<_> =
            self.table.keys().map(|key| Located { value: key.get_ref().as_ref(), span: key.span() }).collect();
        keys.sort_by_key(|key| key.span.start);
        keys
    }

    /// Reports every key that is not in `known`. `elsewhere` returns a hint for a key that belongs in another
    /// table.
    ///
    /// Returns the known keys that were probably meant, so that the caller does not report them as missing as
    /// well.
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
            let message = format!("unknown key {}", self.named(key.value));
            if let Some(hint) = elsewhere(key.value) {
                faults.push(Problem::new(message, key.span).hint(hint));
                continue;
            }
            let free = known.iter().copied().filter(|known| !self.has(known));
            let close = closest(key.value, free).or_else(|| closest(key.value, known.iter().copied()));
            let hint = match close {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("valid keys here: {}", names(known)),
            };
            meant.extend(close);
            faults.push(Problem::new(message, key.span).hint(hint));
        }
        meant
    }

    /// Reads a text without NUL characters. It may be empty.
    pub(crate) fn text(&self, faults: &mut Faults, key: &str) -> Option<Located<String>> {
        self.with(faults, key, value::text)
    }

    /// Reads a text that is not only white space.
    pub(crate) fn filled_text(&self, faults: &mut Faults, key: &str) -> Option<Located<String>> {
        self.with(faults, key, value::filled_text)
    }

    /// Reads a whole number within `range`.
    pub(crate) fn integer(&self, faults: &mut Faults, key: &str, range: RangeInclusive<i64>) -> Option<Located<i64>> {
        self.with(faults, key, |name, value, faults| value::integer(name, value, range, faults))
    }

    /// Reads an amount in US dollars within `range`.
    pub(crate) fn money(&self, faults: &mut Faults, key: &str, range: RangeInclusive<u32>) -> Option<Located<Usd>> {
        self.with(faults, key, |name, value, faults| value::money(name, value, &range, faults))
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&self, faults: &mut Faults, key: &str) -> Option<Located<bool>> {
        self.with(faults, key, value::boolean)
    }

    /// Reads a list of texts, which may be empty. Invalid items are reported and left out.
    pub(crate) fn texts(&self, faults: &mut Faults, key: &str) -> Option<Located<Vec<Located<String>>>> {
        self.with(faults, key, |name, value, faults| value::list(name, value, "texts", faults, value::text))
    }

    /// Reads a list of texts that are not only white space. Invalid items are reported and left out.
    pub(crate) fn filled_texts(&self, faults: &mut Faults, key: &str) -> Option<Located<Vec<Located<String>>>> {
        self.with(faults, key, |name, value, faults| value::list(name, value, "texts", faults, value::filled_text))
    }

    /// Reads a list of whole numbers within `range`; returns `None` if any item is invalid.
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

    /// Reads a table.
    pub(crate) fn section(&self, faults: &mut Faults, key: &str) -> Option<Section<'d>> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section { table, path: format!("{}{key}.", self.path), span: value.span() }),
            other => {
                let message = format!("{} must be a table, but is {}", self.named(key), value::described(other));
                faults.push(
                    Problem::new(message, value.span())
                        .hint(format!("write `[{}{key}]` on a line of its own", self.path)),
                );
                None
            }
        }
    }

    /// Reads a list of tables, in document order; returns `None` if an item is not a table.
    pub(crate) fn sections(&self, faults: &mut Faults, key: &str) -> Option<Vec<Section<'d>>> {
        let value = self.table.get(key)?;
        let hint = format!("begin each with `[[{key}]]` on a line of its own");
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
                    let message = format!("{} must contain only tables, but this is {found}", self.named(key));
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
