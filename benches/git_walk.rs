//! Many random sequences of what agents do to a repository: `cargo bench --bench git_walk [-- SEQUENCES]`.
//!
//! 500 sequences by default. A wrong one panics with its seed, and `BOI_WALK_SEED=SEED cargo test --test it git_walk::`
//! repeats it.

#![expect(clippy::disallowed_methods, reason = "benches start programs and read the environment")]

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../tests/helpers/git_walk.rs"]
mod walks;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let count: u64 = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(500);
    let seed = std::env::var("BOI_WALK_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = seed.unwrap_or_else(|| rand::random::<u64>() >> 16);
    println!("seeds {first}..{}", first + count);
    let walks::Figures { sequences, operations, named, seconds } = walks::walk(first..first + count);
    println!("{sequences} sequences, {operations} operations, {seconds:.1} s");
    for (kind, count) in named {
        println!("{kind:<18} {count:>6}");
    }
}
