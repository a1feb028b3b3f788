//! The reload thread, in process.
