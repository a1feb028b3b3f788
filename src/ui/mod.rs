//! Builds the text that people read: the tables of `boi status`, the progress and the summary of `boi run`,
//! the reports on the configuration, and the dashboard of `boi top`.
//!
//! Invariant: outside of `top`, which draws on a buffer, the functions return text with styles ([`style`]). `anstream` removes the styles when it prints
//! to an output that is not a terminal, or when the user asked for none (`NO_COLOR`). Widths are counted in
//! terminal columns.

pub(crate) mod config_report;
pub(crate) mod event_line;
mod landers;
pub(crate) mod obstacle;
pub(crate) mod overview;
pub(crate) mod progress;
pub(crate) mod report;
mod result_steps;
pub(crate) mod run_summary;
#[cfg(test)]
mod sample;
pub(crate) mod screen;
pub(crate) mod shell;
pub(crate) mod spec_details;
pub(crate) mod style;
pub(crate) mod times;
pub(crate) mod top;
pub(crate) mod units;
pub(crate) mod wrap;
