//! Pure decisions: how many specs to claim, what a worker does next, what to do with a command that an
//! earlier daemon started, how long to wait before a retry, what the prompt of an agent contains, and which
//! reason the user reads.
//!
//! Invariant: no function of this room is async, reads a clock, draws a random number, or uses files or
//! processes; the callers pass in what a decision needs. Decisions are values; a caller that carries one out
//! twice gets the same effect as from carrying it out once.

pub(crate) mod admission;
pub(crate) mod budget;
pub(crate) mod hold;
pub(crate) mod hook;
pub(crate) mod land;
pub(crate) mod lane;
pub(crate) mod pace;
pub(crate) mod prompt;
pub(crate) mod ramp;
pub(crate) mod reason;
pub(crate) mod recover;
pub(crate) mod report;
pub(crate) mod retry;
pub(crate) mod stall;
pub(crate) mod step;
pub(crate) mod tick;
pub(crate) mod trial;
