//! A few rounds of `kill -9` at random moments (`tests/helpers/crash.rs`). `BOI_CRASH_SEED=SEED` repeats one round;
//! `benches/crash.rs` runs many.

use super::support;

#[path = "../helpers/crash.rs"]
#[expect(dead_code, reason = "the benchmark uses the rest")]
pub mod rounds;

use rounds::{Victims, round};

fn run_rounds(victims: Victims, count: u64) {
    let first = std::env::var("BOI_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = match first {
        Some(seed) => seed..seed + 1,
        None => {
            let seed: u64 = rand::random::<u64>() >> 8;
            seed..seed + count
        }
    };
    for seed in seeds {
        round(seed, victims);
    }
}

#[test]
fn killed_daemons_lose_and_repeat_nothing() {
    run_rounds(Victims::Daemon, 12);
}

#[test]
fn killed_supervisors_cost_tries_only() {
    run_rounds(Victims::Supervisors, 6);
}

#[test]
fn killed_commands_cost_tries_only() {
    run_rounds(Victims::Commands, 6);
}

#[test]
fn killed_forkers_cost_nothing() {
    run_rounds(Victims::Forkers, 6);
}

#[test]
fn killed_daemons_with_their_commands_cost_tries_only() {
    run_rounds(Victims::Everything, 6);
}
