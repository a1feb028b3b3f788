//! The control socket, over which the command line calls the daemon: JSON over HTTP on a Unix socket.
//!
//! Invariant: only processes of the user who runs the daemon are answered.

pub(crate) mod calls;
pub(crate) mod client;
pub(crate) mod server;
