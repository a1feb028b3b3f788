//! How long a saved configuration takes to be in force, on a machine with free cores and on a busy one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Bench;
use super::saves::{self, Figures};
use super::table::{at_most, heading};

/// Busy loops beside the reload thread.
const LOOPS: usize = 6;
/// What is saved, by the name of the style in `saves`, with the longest delay of 99 % of the saves, in milliseconds.
const STYLES: [(&str, &str, f64); 2] =
    [("a rename into place", "new file, renamed", 10.0), ("a write and a close", "write in place", 30.0)];
/// The same with busy loops.
const BUSY: f64 = 50.0;

fn save(name: &str, rounds: u32, loops: usize) -> Figures {
    let style = saves::styles().into_iter().find(|style| style.name == name).expect("the style");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..loops {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // A panic must end the loops too.
        let figures = std::panic::catch_unwind(|| saves::measure(&style, rounds));
        is_over.store(true, Ordering::Relaxed);
        figures.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).expect("the style needs no program")
    })
}

pub fn measure(bench: &Bench) {
    let rounds = u32::try_from(bench.times(200)).expect("few rounds");
    heading(&format!("{rounds} saves of the configuration, each until it is in force"));
    for loops in [0, LOOPS] {
        for (what, style, limit) in STYLES {
            let figures = save(style, rounds, loops);
            let (what, limit) = match loops {
                0 => (what.to_owned(), limit),
                _ => (format!("{what}, {loops} busy loops"), BUSY),
            };
            let millis = |of: Duration| of.as_secs_f64() * 1e3;
            at_most(&format!("{what}: p99"), millis(figures.percentile(0.99)), "ms", limit);
            at_most(&format!("{what}: wrong"), figures.wrong.into(), "", 0.0);
            at_most(&format!("{what}: missed"), figures.missed.into(), "", 0.0);
            assert_eq!((figures.wrong, figures.missed), (0, 0), "{what}: saves that are wrong or missed");
        }
    }
}
