//! Starts and ends the one daemon of a home: its seat (the locked pid file and the open queue), its signals,
//! its health, and the end of its workers.

pub(crate) mod health;
mod leave;
pub(crate) mod running;
pub(crate) mod seat;
mod signals;
