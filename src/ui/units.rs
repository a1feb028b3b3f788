//! Formats lengths of time and amounts of usage.

use crate::domain::outcome::{Cost, Usage};
use crate::domain::time::Timestamp;

pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration(now.millis_since(at)))
}

/// Formats a length of time in its largest useful unit.
pub(crate) fn duration(millis: i64) -> String {
    match millis.max(0) {
        ms @ 0..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        ms @ 10_000..120_000 => format!("{} s", ms / 1000),
        ms @ 120_000..7_200_000 => format!("{} min", ms / 60_000),
        ms @ 7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        ms => format!("{} d", ms / 86_400_000),
    }
}

/// Formats a length of time so that it changes every second, or for days every minute: `43 s`, `3 min 12 s`, `2 h 5 min`.
pub(super) fn ticking(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{minutes} min {} s", seconds % 60),
        7_200..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
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

/// Formats the tokens and the cost of runs.
pub(super) fn usage(usage: &Usage) -> String {
    let Usage { turns, input_tokens, cached_tokens, output_tokens, .. } = usage;
    let cached = if *cached_tokens > 0 { format!(" ({cached_tokens} cached)") } else { String::new() };
    let [turns, input, output] = [(*turns, "turn"), (*input_tokens, "input token"), (*output_tokens, "output token")]
        .map(|(n, noun)| counted(n, noun));
    format!("{turns}, {input}{cached}, {output}, {}", cost(usage))
}

/// Formats the cost of runs. The text says so if the cost of some runs is not known.
pub(super) fn cost(usage: &Usage) -> String {
    match usage.cost() {
        Cost::Known(_) => sum(usage, 4),
        Cost::AtLeast(_) => {
            let runs = counted(usage.unpriced_runs, "run");
            format!("at least {} (the cost of {runs} is unknown)", sum(usage, 4))
        }
        Cost::Unknown => "cost unknown".to_owned(),
    }
}

/// Formats the cost of runs for a narrow column. A `+` after the sum shows that other runs have an unknown
/// cost.
pub(super) fn short_cost(usage: &Usage) -> String {
    match usage.cost() {
        Cost::Known(_) if *usage == Usage::default() => String::new(),
        Cost::Known(_) => sum(usage, 2),
        Cost::AtLeast(_) => format!("{}+", sum(usage, 2)),
        Cost::Unknown => "unknown".to_owned(),
    }
}

/// Formats the known cost of runs. A `~` shows that boi estimated a part of it.
fn sum(usage: &Usage, places: usize) -> String {
    let estimated = if usage.estimated_usd > 0.0 { "~" } else { "" };
    let least = 0.1_f64.powi(i32::try_from(places).unwrap_or(i32::MAX));
    match usage.cost_usd {
        // A small cost that would be rounded to 0 is shown as less than the smallest amount.
        usd if usd > 0.0 && usd < least / 2.0 => format!("<{estimated}${least:.places$}"),
        usd => format!("{estimated}${usd:.places$}"),
    }
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
    fn a_ticking_duration_changes_every_second_for_two_hours() {
        let shown = [900, 43_000, 192_000, 7_500_000, 200_000_000, -5].map(ticking);
        assert_eq!(shown, ["0 s", "43 s", "3 min 12 s", "2 h 5 min", "2 d 7 h", "0 s"]);
    }

    #[test]
    fn sizes_are_shown_in_one_unit() {
        let shown = [1, 4 << 10, 3 << 19, 67 << 20, 3 << 29].map(bytes);
        assert_eq!(shown, ["1 KiB", "4 KiB", "1.5 MiB", "67.0 MiB", "1.5 GiB"]);
    }

    #[test]
    fn an_estimate_is_marked_and_an_unknown_cost_is_never_a_sum() {
        let known = Usage { turns: 1, cost_usd: 0.5, ..Usage::default() };
        let estimated = Usage { estimated_usd: 0.25, ..known };
        let unknown = Usage { unpriced_runs: 1, cost_usd: 0.0, ..known };
        let shown = |usage: Usage| (cost(&usage), short_cost(&usage));
        let texts = |long: &str, short: &str| (long.to_owned(), short.to_owned());
        assert_eq!(shown(known), texts("$0.5000", "$0.50"));
        assert_eq!(shown(estimated), texts("~$0.5000", "~$0.50"));
        let part = texts("at least ~$0.5000 (the cost of 2 runs is unknown)", "~$0.50+");
        assert_eq!(shown(Usage { unpriced_runs: 2, ..estimated }), part);
        assert_eq!(shown(unknown), texts("cost unknown", "unknown"));
        assert_eq!(shown(Usage { cost_usd: 0.0, ..known }), texts("$0.0000", "$0.00"), "a reported cost of 0 is known");
        assert_eq!(short_cost(&Usage::default()), "", "no agent ran");
    }

    #[test]
    fn cached_tokens_are_named_as_a_part_of_the_input() {
        let run = Usage { turns: 1, input_tokens: 30, cached_tokens: 20, output_tokens: 2, ..Usage::default() };
        assert_eq!(usage(&run), "1 turn, 30 input tokens (20 cached), 2 output tokens, $0.0000");
    }

    #[test]
    fn usage_has_plurals_and_an_unknown_cost_is_named() {
        let one = Usage { turns: 1, input_tokens: 1, output_tokens: 2, cost_usd: 0.5, ..Usage::default() };
        assert_eq!(usage(&one), "1 turn, 1 input token, 2 output tokens, $0.5000");
        let part = usage(&Usage { unpriced_runs: 1, ..one });
        assert!(part.ends_with("at least $0.5000 (the cost of 1 run is unknown)"), "{part}");
        let none = usage(&Usage { unpriced_runs: 1, cost_usd: 0.0, ..one });
        assert!(none.ends_with("2 output tokens, cost unknown"), "{none}");
    }
}
