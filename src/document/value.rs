//! Checks the type and range of one value of a document. In all functions, `name` is the key of the value,
//! quoted for messages.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeValue;

use super::faults::Faults;
use super::located::Located;
use super::names::quoted;
use super::problem::Problem;
use crate::domain::money::Usd;

/// The maximum number of characters of a number that a message shows in full.
const MAX_DIGITS: usize = 40;

type Value<'d> = Spanned<DeValue<'d>>;

pub(super) fn text(name: &str, value: &Value<'_>, faults: &mut Faults) -> Option<String> {
    let Some(text) = value.get_ref().as_str() else {
        let problem = wrong_type(name, "text", value);
        let scalar = !matches!(value.get_ref(), DeValue::Array(_) | DeValue::Table(_));
        faults.push(if scalar { problem.hint("put it in quotes") } else { problem });
        return None;
    };
    if text.contains('\0') {
        faults
            .push(Problem::new(format!("{name} contains a NUL character"), value.span()).hint("remove the `\\u0000`"));
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn filled_text(name: &str, value: &Value<'_>, faults: &mut Faults) -> Option<String> {
    let text = text(name, value, faults)?;
    if text.trim().is_empty() {
        faults.push(Problem::new(format!("{name} is empty"), value.span()));
        return None;
    }
    Some(text)
}

pub(super) fn integer(name: &str, value: &Value<'_>, range: RangeInclusive<i64>, faults: &mut Faults) -> Option<i64> {
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    match value.get_ref() {
        DeValue::Integer(integer) => {
            // A number that does not fit in 64 bits is outside any range; the message shows it as it is
            // written.
            match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) if range.contains(&number) => return Some(number),
                _ => {}
            }
            let message = format!("{name} must be {expected}, but is {}", cut(&integer.to_string()));
            faults.push(Problem::new(message, value.span()));
        }
        DeValue::String(text) if text.trim().parse::<i64>().is_ok() => {
            faults.push(wrong_type(name, &expected, value).hint("remove the quotes"));
        }
        _ => faults.push(wrong_type(name, &expected, value)),
    }
    None
}

pub(super) fn money(name: &str, value: &Value<'_>, range: &RangeInclusive<u32>, faults: &mut Faults) -> Option<Usd> {
    let expected = format!("an amount in US dollars from {} to {}", range.start(), range.end());
    let dollars = match value.get_ref() {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|it| it as f64),
        DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
        DeValue::String(text) if text.trim().parse::<f64>().is_ok() => {
            faults.push(wrong_type(name, &expected, value).hint("remove the quotes"));
            return None;
        }
        _ => None,
    };
    let range = f64::from(*range.start())..=f64::from(*range.end());
    let amount = dollars.filter(|dollars| range.contains(dollars)).and_then(Usd::from_dollars);
    if amount.is_none() {
        faults.push(wrong_type(name, &expected, value));
    }
    amount
}

pub(super) fn boolean(name: &str, value: &Value<'_>, faults: &mut Faults) -> Option<bool> {
    let found = value.get_ref();
    if found.as_bool().is_none() {
        let problem = wrong_type(name, "true or false", value);
        let quoted = matches!(found.as_str(), Some("true" | "false"));
        faults.push(if quoted { problem.hint("remove the quotes") } else { problem });
    }
    found.as_bool()
}

/// Returns the items of a list that `read` accepts. `read` reports the other items.
pub(super) fn list<T>(
    name: &str,
    value: &Value<'_>,
    of: &str,
    faults: &mut Faults,
    mut read: impl FnMut(&str, &Value<'_>, &mut Faults) -> Option<T>,
) -> Option<Vec<Located<T>>> {
    let Some(items) = value.get_ref().as_array() else {
        let problem = wrong_type(name, &format!("a list of {of}"), value);
        let scalar = !matches!(value.get_ref(), DeValue::Table(_));
        faults.push(if scalar { problem.hint("put it between `[` and `]`") } else { problem });
        return None;
    };
    let mut good = Vec::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        let name = format!("item {} of {name}", number + 1);
        if let Some(read) = read(&name, item, faults) {
            good.push(Located { value: read, span: item.span() });
        }
    }
    Some(good)
}

/// Describes the value in words, such as ``the text `x` ``.
pub(super) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {}", cut(&number.to_string())),
        DeValue::Float(number) if number.as_str().contains("nan") => "`nan`, not a number".to_owned(),
        DeValue::Float(number) => format!("the number {}", cut(number.as_str())),
        DeValue::Boolean(truth) => format!("`{truth}`"),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn wrong_type(name: &str, expected: &str, value: &Value<'_>) -> Problem {
    Problem::new(format!("{name} must be {expected}, but is {}", described(value.get_ref())), value.span())
}

fn cut(number: &str) -> String {
    match number.char_indices().nth(MAX_DIGITS) {
        Some((at, _)) => format!("{}...", &number[..at]),
        None => number.to_owned(),
    }
}
