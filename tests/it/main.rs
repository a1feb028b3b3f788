//! The real `boi`, from the outside: scratch homes, scratch repositories, and the fake agent in the place of Claude.
//!
//! Tests wait for what they expect, with a generous deadline, and leave no process behind (`support::Sandbox`).

mod support;

mod after;
mod clean;
mod crash;
mod deaths;
mod deliver;
mod doctor;
mod failpoints;
mod follow;
mod fuzz;
mod git;
mod input;
mod log;
mod parallel;
mod power;
mod queue;
mod real;
mod reload;
mod retry;
mod run;
mod saves;
mod service;
mod stop;
mod store;
mod trees;
