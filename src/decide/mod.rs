//! Verbs without hands: what to spawn, what a worker does next, how a try ended, what a new daemon finds.
//!
//! Invariant: nothing here is async, reads a clock, draws a random number or touches the outside; all of that is passed
//! in. Decisions are values, and whoever carries one out does it idempotently.

pub mod pace;
pub mod prompt;
pub mod recover;
pub mod retry;
pub mod step;
pub mod tick;
