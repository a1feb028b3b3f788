//! Lengths of time on the command line.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo, Unit};

use super::{CliError, USAGE};

/// Parses a length of time such as `7d`, `90s` or `1h30m`, the value of `option`.
pub(super) fn parse(option: &str, text: &str) -> Result<Duration, CliError> {
    let invalid = || {
        CliError::new(USAGE, format!("{option}: `{text}` is not a length of time"))
            .hint("write it like 7d, 12h, 30m or 45s")
    };
    let span: Span = text.parse().map_err(|_| invalid())?;
    let millis = span.total((Unit::Millisecond, SpanRelativeTo::days_are_24_hours())).map_err(|_| invalid())?;
    Duration::try_from_secs_f64(millis / 1000.0).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_units_and_are_not_negative() {
        for (text, seconds) in
            [("7d", 604_800), ("12h", 43_200), ("30m", 1_800), ("45s", 45), ("1h30m", 5_400), ("0s", 0)]
        {
            assert_eq!(parse("--timeout", text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "7", "-1s", "soon"] {
            assert_eq!(parse("--timeout", text).unwrap_err().code(), USAGE, "{text}");
        }
    }
}
