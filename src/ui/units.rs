//! Formats lengths of time and amounts of usage.

use crate::domain::outcome::{Cost, Usage};
use crate::domain::time::Timestamp;

pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration(now.millis_since(at)))
}

/// Formats a length of time in its largest useful unit.
pub(super) fn duration(millis: i64) -> String {
    match millis.max(0) {
        ms @ 0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        ms @ 10_000..120_000 => format!("{} s", ms / 1000),
        ms @ 120_000..7_200_000 => format!("{} min", ms / 60_000),
        ms @ 7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        ms => format!("{} d", ms / 86_400_000),
    }
}

/// Formats a number of bytes in the largest useful unit.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..0x10_0000 => format!("{} KiB", count.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", count as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", count as f64 / f64::from(1 << 30)),
    }
}

pub(super) fn usage(usage: &Usage) -> String {
    let Usage { turns, input_tokens, output_tokens, .. } = usage;
    let cost = match usage.cost() {
        Cost::Known(cost) => format!("${cost:.4}"),
        Cost::AtLeast(cost) => {
            let runs = counted(usage.unpriced_runs, "run");
            format!("at least ${cost:.4} (the cost of {runs} is unknown)")
        }
        Cost::Unknown => "cost unknown".to_owned(),
    };
    let [turns, input, output] = [(*turns, "turn"), (*input_tokens, "input token"), (*output_tokens, "output token")]
        .map(|(n, noun)| counted(n, noun));
    format!("{turns}, {input}, {output}, {cost}")
}

/// Returns a count with its noun, in the plural unless the count is 1.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_in_one_unit() {
        let shown = [0, 1_250, 59_000, 600_000, 10_800_000, 900_000_000].map(duration);
        assert_eq!(shown, ["0.0 s", "1.2 s", "59 s", "10 min", "3 h", "10 d"]);
    }

    #[test]
    fn sizes_are_shown_in_one_unit() {
        let shown = [1, 4 << 10, 3 << 19, 67 << 20, 3 << 29].map(bytes);
        assert_eq!(shown, ["1 KiB", "4 KiB", "1.5 MiB", "67.0 MiB", "1.5 GiB"]);
    }

    #[test]
    fn usage_has_plurals_and_an_unknown_cost_is_named() {
        let one = Usage { turns: 1, input_tokens: 1, output_tokens: 2, cost_usd: 0.5, unpriced_runs: 0 };
        assert_eq!(usage(&one), "1 turn, 1 input token, 2 output tokens, $0.5000");
        let part = usage(&Usage { unpriced_runs: 1, ..one });
        assert!(part.ends_with("at least $0.5000 (the cost of 1 run is unknown)"), "{part}");
        let none = usage(&Usage { unpriced_runs: 1, cost_usd: 0.0, ..one });
        assert!(none.ends_with("2 output tokens, cost unknown"), "{none}");
    }
}
