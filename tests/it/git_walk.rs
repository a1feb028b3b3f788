//! Random sequences of git operations (`tests/helpers/git_walk.rs`). `BOI_WALK_SEED=SEED` repeats one of them;
//! `benches/git_walk.rs` carries out many.

use super::support;

#[path = "../helpers/git_walk.rs"]
mod walks;

#[test]
fn whatever_agents_do_to_a_repository_is_named_and_loses_nothing() {
    let seed = std::env::var("BOI_WALK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = match seed {
        Some(seed) => seed..seed + 1,
        None => {
            let first = rand::random::<u64>() >> 16;
            first..first + 30
        }
    };
    let figures = walks::walk(seeds.clone());
    assert_eq!(figures.sequences, seeds.end - seeds.start);
    println!("{figures:?}");
}
