//! Many rounds of `kill -9`:
//! `cargo bench --bench crash [-- ROUNDS [daemon|supervisors|commands|forkers|everything|landing|events]]`.
//!
//! 300 rounds by default; in three quarters of them only the daemon is killed. A round with a wrong result panics with its
//! seed, and `BOI_CRASH_SEED=SEED cargo test --test it crash::` repeats it.
//!
//! `landing` kills the daemon while specs land (`tests/helpers/landing.rs`), in 300 rounds of its own by default.
//! `BOI_CRASH_SEED=SEED cargo test --test it landing::killed` repeats one.
//!
//! `events` kills the daemon under a reader of the stream of events until 10,000 events were read, each of them once and
//! in order (`tests/helpers/event_rounds.rs`). It runs at the end, or alone.

#![expect(clippy::disallowed_methods, reason = "benches start programs and read the environment")]

use std::time::{Duration, Instant};

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../tests/helpers/crash.rs"]
mod rounds;

#[path = "../tests/helpers/event_rounds.rs"]
mod event_rounds;

#[path = "../tests/helpers/landing.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod landing_rounds;

use rounds::{Victims, round};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let count: u64 = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(300);
    let wanted = arguments.get(1).map(String::as_str);
    let seed = rand::random::<u64>() >> 8;
    println!("{:<12} {:>6} {:>6} {:>6} {:>6} {:>8}", "killed", "rounds", "kills", "specs", "tries", "seconds");
    for victims in Victims::ALL {
        let name = format!("{victims:?}").to_lowercase();
        if wanted.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let share = match (wanted, victims) {
            (Some(_), _) => count,
            (None, Victims::Daemon) => count * 3 / 4,
            (None, _) => count / 16,
        };
        let (began, mut kills, mut specs, mut tries) = (Instant::now(), 0, 0, 0);
        for number in 0..share {
            let figures = round(seed + number, victims);
            kills += figures.kills;
            specs += figures.specs;
            tries += figures.tries;
        }
        println!("{name:<12} {share:>6} {kills:>6} {specs:>6} {tries:>6} {:>8.1}", began.elapsed().as_secs_f64());
    }
    if wanted.is_none_or(|wanted| wanted == "landing") {
        landing(seed, count);
    }
    if wanted.is_none_or(|wanted| wanted == "events") {
        events(seed);
    }
}

/// How many rounds of landing run at once.
const AT_ONCE: usize = 3;

fn landing(seed: u64, count: u64) {
    let titles = ["killed", "rounds", "kills", "landing", "landed", "unmerged", "back", "seconds"];
    let [killed, rounds, kills, during, landed, unmerged, back, seconds] = titles;
    println!("\n{killed:<12} {rounds:>6} {kills:>6} {during:>8} {landed:>7} {unmerged:>9} {back:>6} {seconds:>8}");
    let began = Instant::now();
    let landing_rounds::Figures { kills, while_landing, landed, unmerged, sent_back } =
        landing_rounds::rounds(seed, count, AT_ONCE);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{:<12} {count:>6} {kills:>6} {while_landing:>8} {landed:>7} {unmerged:>9} {sent_back:>6} {seconds:>8.1}",
        "landing"
    );
}

/// The number of events that are read while daemons are killed.
const EVENTS: usize = 10_000;

fn events(seed: u64) {
    println!("\n{:<12} {:>6} {:>6} {:>8} {:>8}", "read", "rounds", "kills", "events", "seconds");
    let (began, mut rounds, mut kills, mut events) = (Instant::now(), 0, 0, 0);
    while events < EVENTS {
        let figures = event_rounds::round(seed + rounds, 250, 40, Duration::from_millis(300));
        rounds += 1;
        kills += figures.kills;
        events += figures.events;
    }
    println!("{:<12} {rounds:>6} {kills:>6} {events:>8} {:>8.1}", "events", began.elapsed().as_secs_f64());
}
