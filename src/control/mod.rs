//! The control socket, over which the command line calls the daemon: JSON over HTTP on a Unix socket.
//!
//! Invariant: the daemon answers only processes of the user who runs it.

pub(crate) mod calls;
pub(crate) mod client;
pub(crate) mod event_stream;
pub(crate) mod events;
pub(crate) mod review;
pub(crate) mod server;
