//! Agents: how one is called, how its output is read, and how the end of a try is told from both.
//!
//! A try's way: [`command::command`] says what to execute; the prompt goes to its stdin. What it prints is fed to a
//! [`transcript::Transcript`] as it comes. When the command has ended, [`outcome::outcome`] weighs the exit record, the
//! [`transcript::Reading`] and the end of stderr, and [`advice::advice`] says what a person can do about it.
//!
//! Invariant: an outcome is read from the agent's `result` line, its `rate_limit_event`s, the exit record and, when
//! there is no `result` line, from stderr. Never from what the model said or what a tool printed.

pub mod advice;
pub mod command;
pub mod describe;
pub mod exit;
pub mod outcome;
pub mod transcript;

mod line;
mod reset;
mod wording;

#[cfg(test)]
mod recorded;
