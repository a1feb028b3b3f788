//! The beginning of the time that `boi report` covers.

use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;

use super::moments::{self, Direction};
use crate::domain::time::Timestamp;

/// The time that a report covers by default, in milliseconds.
const DEFAULT_MILLIS: i64 = 12 * 60 * 60 * 1000;

/// Parses the value of `--since`.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    since(text, Moment::now(), &TimeZone::system())
}

/// Returns the beginning of the reported time without `--since`: 12 h ago or, if nothing has ended since then, 12 h
/// before the last end, so that a report after a weekend shows the last night.
pub(super) fn by_default(now: Timestamp, last_end: Option<Timestamp>) -> Timestamp {
    let recent = now.plus_millis(-DEFAULT_MILLIS);
    match last_end {
        Some(end) if end < recent => end.plus_millis(-DEFAULT_MILLIS),
        _ => recent,
    }
}

/// Returns the time that `text` names: a duration before now, a time of day (the last occurrence), or a date with or
/// without a time. The time is in `zone` unless `text` contains an offset.
fn since(text: &str, now: Moment, zone: &TimeZone) -> Result<Timestamp, String> {
    let found = moments::parse("--since", text, Direction::Past, now, zone);
    let moment = found
        .ok_or("write a duration (12h, 7d), a time of day (22:30), or a date with or without a time (2026-12-01)")?;
    if moment > now {
        return Err("this time has not come yet".to_owned());
    }
    Ok(Timestamp(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_the_users_zone() {
        let (now, zone): (Moment, _) =
            ("2026-11-27T07:00:00Z".parse().unwrap(), TimeZone::get("Europe/Berlin").unwrap());
        for (text, expected) in [
            ("12h", "2026-11-26T19:00:00Z"),
            ("7d", "2026-11-20T07:00:00Z"),
            ("22:30", "2026-11-26T21:30:00Z"),
            ("07:30", "2026-11-27T06:30:00Z"),
            ("2026-11-25", "2026-11-24T23:00:00Z"),
            ("2026-11-25T07:30", "2026-11-25T06:30:00Z"),
            ("2026-11-25T07:30:00Z", "2026-11-25T07:30:00Z"),
        ] {
            let expected: Moment = expected.parse().unwrap();
            assert_eq!(since(text, now, &zone), Ok(Timestamp(expected.as_millisecond())), "{text}");
        }
        for wrong in ["", "soon", "25:00", "2030-01-01", "-2h"] {
            assert!(since(wrong, now, &zone).is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_a_time_the_report_covers_the_last_12_hours_in_which_something_ended() {
        let hour = |hours: i64| Timestamp(hours * 3_600_000);
        assert_eq!(by_default(hour(100), None), hour(88));
        assert_eq!(by_default(hour(100), Some(hour(99))), hour(88));
        assert_eq!(by_default(hour(100), Some(hour(40))), hour(28));
    }
}
