//! Start and end of a home's one daemon: its seat, its signals, its health, and how it leaves.

pub(crate) mod health;
mod leave;
pub(crate) mod running;
pub(crate) mod seat;
mod signals;
