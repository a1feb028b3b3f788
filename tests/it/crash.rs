//! `kill -9`, again and again. `BOI_CRASH_SEED` replays a round, `benches/crash.rs` runs many more.

use super::support;

#[path = "../helpers/crash.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
pub mod rounds;

use rounds::{Victims, round};

fn rounds(victims: Victims, count: u64) {
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
fn of_the_daemon() {
    rounds(Victims::Daemon, 12);
}

#[test]
fn of_supervisors() {
    rounds(Victims::Supervisors, 6);
}

#[test]
fn of_commands() {
    rounds(Victims::Commands, 6);
}

#[test]
fn of_everything_at_once() {
    rounds(Victims::Everything, 6);
}
