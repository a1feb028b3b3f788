//! Text for people: the tables of `boi status`, the progress and the summary of `boi run`, reports on the configuration.
//!
//! Invariant: text is returned with its styles ([`style`]); printing through `anstream` removes them where the output is
//! not a terminal or the user asked for none (`NO_COLOR`). Columns are counted as a terminal shows them.

pub(crate) mod config_report;
pub(crate) mod obstacle;
pub(crate) mod overview;
pub(crate) mod progress;
pub(crate) mod run_summary;
#[cfg(test)]
mod sample;
pub(crate) mod screen;
pub(crate) mod shell;
pub(crate) mod spec_details;
pub(crate) mod style;
mod units;
