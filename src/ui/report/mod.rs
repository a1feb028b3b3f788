//! Writes the report of `boi report` for people: as text, as Markdown and as a page of HTML.

mod diff;
pub(crate) mod html;
pub(crate) mod markdown;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod words;

pub(crate) use self::diff::{MOST_DIFFS, PageBudget, ShownDiff};
