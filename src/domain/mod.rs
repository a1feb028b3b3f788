//! The types that all rooms share: specs, attempts, tries, how they end and why. Nothing here reads a clock, a file or
//! the environment.
//!
//! Invariants:
//! - Every [`spec::Spec`] is valid: task ids are unique, `needs` has no cycles, tasks are in execution order.
//! - Times are [`time::Timestamp`]s, milliseconds since the epoch in UTC; a function that needs the time takes it as an
//!   argument.

pub mod cause;
pub mod command;
pub mod delivery;
pub mod exit;
pub mod failure;
pub mod id;
pub mod life;
pub mod outcome;
pub mod position;
pub mod position_record;
mod position_v1;
pub mod spec;
pub mod text;
pub mod time;
pub mod verdict;
pub mod view;
