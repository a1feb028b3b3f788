//! Pure decisions: how many specs to claim, what a worker does next, what to do with a command that a new daemon finds,
//! how long to wait before a retry, and what an agent and the user are told.
//!
//! Invariant: nothing here is async, reads a clock, draws a random number, or uses files or processes; callers pass in
//! what a decision needs. Decisions are values; carrying one out twice has the effect of carrying it out once.

pub mod pace;
pub mod prompt;
pub mod reason;
pub mod recover;
pub mod retry;
pub mod step;
pub mod tick;
