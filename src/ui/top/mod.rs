//! The dashboard of `boi top`: what it knows (`state`), what a key does (`keys`), and how it is drawn (`view`).
//!
//! ```text
//!  keys, data, results ─▶ Model::update ─▶ Effect, which `cli::top` carries out
//!                              │
//!                              └─▶ view::draw, a pure function of the model
//! ```
//!
//! Invariants:
//! - Nothing here reads a file, a clock or the terminal. The time and the size of the terminal are messages.
//! - The model holds at most one page of the queue, however long the queue is.
//! - Text of specs and agents reaches the screen only through `domain::text`, which removes escape sequences.

mod action;
mod input;
mod keys;
mod layout;
mod needs;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use action::{Action, Effect, Show};
pub(crate) use needs::Need;
pub(crate) use state::{Data, Message, Model, Page, Query, Running};
pub(crate) use view::draw;
