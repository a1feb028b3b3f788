//! Start and end of a home's one daemon: its seat, its signals, its health, and how it leaves.

pub mod health;
mod leave;
pub mod running;
pub mod seat;
mod signals;
