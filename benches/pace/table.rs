//! Medians, and the rows that are printed.

use std::time::Duration;

/// Returns the median of durations in milliseconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Prints the heading of a part.
pub fn heading(what: &str) {
    println!("\n## {what}\n");
    println!("{:<52} {:>12}  target", "", "measured");
}

/// Prints a figure with its target.
pub fn row(what: &str, measured: f64, unit: &str, target: &str) {
    println!("{what:<52} {measured:>9.2} {unit:<3} {target}");
}

/// Prints a figure that is at most `limit`, or says that it is above.
pub fn at_most(what: &str, measured: f64, unit: &str, limit: f64) {
    let verdict = if measured <= limit { "" } else { "  ABOVE" };
    println!("{what:<52} {measured:>9.2} {unit:<3} <= {limit:.2}{verdict}");
}

/// Prints a figure that is at least `limit`, or says that it is below.
pub fn at_least(what: &str, measured: f64, unit: &str, limit: f64) {
    let verdict = if measured >= limit { "" } else { "  BELOW" };
    println!("{what:<52} {measured:>9.2} {unit:<3} >= {limit:.2}{verdict}");
}
