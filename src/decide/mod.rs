//! Pure decisions: how many specs to claim, what a worker does next, what to do with a command that a new daemon finds,
//! how long to wait before a retry, and what an agent and the user are told.
//!
//! Invariant: nothing here is async, reads a clock, draws a random number, or uses files or processes; callers pass in
//! what a decision needs. Decisions are values; carrying one out twice has the effect of carrying it out once.

pub(crate) mod pace;
pub(crate) mod prompt;
pub(crate) mod reason;
pub(crate) mod recover;
pub(crate) mod retry;
pub(crate) mod step;
pub(crate) mod tick;
