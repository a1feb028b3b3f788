//! Draws what boi tells of its state, for people: the progress of `boi run`, the tables of `boi status`.

pub mod config;
pub mod progress;
pub mod report;
