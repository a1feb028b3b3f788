//! The types that all rooms (the top-level modules) share: specs, attempts and tries, how they end and why.
//! Nothing in this room reads a clock, a file or the environment.
//!
//! Invariants:
//! - Every `spec::Spec` is valid: task ids are unique, `needs` has no cycles, tasks are in execution order.
//! - Times are [`time::Timestamp`]s, milliseconds since the epoch in UTC; a function that needs the time
//!   takes it as an argument.

pub(crate) mod admission;
pub mod agent;
pub(crate) mod cause;
pub mod command;
pub mod copied;
pub(crate) mod delivery;
pub(crate) mod escape;
pub mod event;
pub(crate) mod exit;
pub(crate) mod failure;
pub mod hold;
pub(crate) mod id;
pub(crate) mod landing;
pub(crate) mod lane;
pub(crate) mod life;
pub mod money;
pub mod outcome;
pub(crate) mod position;
pub(crate) mod position_record;
mod position_v1;
pub(crate) mod report;
pub mod repository_block;
pub(crate) mod repository_change;
pub(crate) mod repository_config;
pub(crate) mod spec;
pub(crate) mod text;
pub mod time;
pub mod verdict;
pub mod view;
