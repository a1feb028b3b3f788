//! The control socket: HTTP and JSON over a Unix socket that only its user can reach.
//!
//! Invariants: the socket has mode 0600 in a folder of mode 0700, and a peer of another user is turned away before a byte
//! of its request is read.

pub mod client;
pub mod server;
pub mod wire;
