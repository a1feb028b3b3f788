//! A short run of the fuzz target (`tests/helpers/fuzz_config.rs`) over random changes of the example configuration.
//! `BOI_FUZZ_SEED=SEED` repeats a run.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

#[path = "../helpers/fuzz_config.rs"]
mod fuzz_config;

/// How many inputs are checked.
const ROUNDS: u32 = 3000;
/// An input that takes longer counts as a hang; the slowest known takes a few milliseconds.
const HANG: Duration = Duration::from_secs(10);

/// Texts that a change inserts.
const PARTS: [&str; 24] = [
    "max_workers",
    " = ",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "\"\"\"",
    "'",
    "'''",
    "\n",
    "\r\n",
    "#",
    ".",
    ",",
    "paths",
    "-9223372036854775809",
    "0x",
    "nan",
    "1e400",
    "\u{FEFF}",
    "\u{0}",
];

#[test]
fn random_bytes_are_refused_or_parsed_and_written_back_unchanged() {
    let seed = std::env::var("BOI_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let mut random = SmallRng::seed_from_u64(seed);
    let example: Vec<u8> = include_bytes!("../../config.example.toml").to_vec();
    let set: Vec<u8> = String::from_utf8_lossy(&example)
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(line)
        })
        .flat_map(|line| format!("{line}\n").into_bytes())
        .collect();
    for round in 0..ROUNDS {
        let mut bytes = if random.random_bool(0.5) {
            set.clone()
        } else {
            example[..random.random_range(0..example.len())].to_vec()
        };
        for _ in 0..random.random_range(0..6) {
            mutate(&mut random, &mut bytes);
        }
        let began = Instant::now();
        let result = std::panic::catch_unwind(|| fuzz_config::check(&bytes));
        let text = String::from_utf8_lossy(&bytes);
        assert!(result.is_ok(), "BOI_FUZZ_SEED={seed}, round {round}:\n{text}");
        assert!(began.elapsed() < HANG, "BOI_FUZZ_SEED={seed}, round {round} took {:?}:\n{text}", began.elapsed());
    }
}

fn mutate(random: &mut SmallRng, bytes: &mut Vec<u8>) {
    let at = random.random_range(0..=bytes.len());
    match random.random_range(0..5) {
        0 => bytes.truncate(at),
        1 => {
            let part = PARTS[random.random_range(0..PARTS.len())];
            bytes.splice(at..at, part.bytes());
        }
        2 => {
            let end = (at + random.random_range(0..40)).min(bytes.len());
            bytes.drain(at..end);
        }
        3 => {
            let part: Vec<u8> = (0..random.random_range(1..5)).map(|_| random.random()).collect();
            bytes.splice(at..at, part);
        }
        _ => {
            let end = (at + random.random_range(0..200)).min(bytes.len());
            let part: Vec<u8> = bytes[at..end].to_vec();
            for _ in 0..random.random_range(1..20) {
                bytes.splice(at..at, part.iter().copied());
            }
        }
    }
}
