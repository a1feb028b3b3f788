//! Nouns: what a spec, an attempt, a try and their ends *are*. std and serde only; nothing here reads a clock, a file
//! or the environment.
//!
//! Invariants:
//! - A [`spec::Spec`] that exists is valid: ids unique, `needs` acyclic, tasks in the order they are carried out.
//! - Times are [`time::Timestamp`]s, milliseconds since the epoch in UTC; who needs "now" is handed it.

pub mod attempt;
pub mod command;
pub mod id;
pub mod outcome;
pub mod spec;
pub mod text;
pub mod time;
pub mod verdict;
pub mod view;
