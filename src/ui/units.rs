//! Formats lengths of time and amounts of usage.

use crate::domain::outcome::Usage;
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

pub(super) fn usage(usage: &Usage) -> String {
    let Usage { turns, input_tokens, output_tokens, cost_usd } = usage;
    format!("{turns} turns, {input_tokens} input tokens, {output_tokens} output tokens, ${cost_usd:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_in_one_unit() {
        let shown = [0, 1_250, 59_000, 600_000, 10_800_000, 900_000_000].map(duration);
        assert_eq!(shown, ["0.0 s", "1.2 s", "59 s", "10 min", "3 h", "10 d"]);
    }
}
