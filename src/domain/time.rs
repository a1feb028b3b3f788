//! Points in time. The queue stores them as milliseconds since the epoch in UTC; boi shows them to people and
//! scripts in RFC 3339 format.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns this time plus `millis`, which may be negative.
    pub fn plus_millis(self, millis: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(millis))
    }

    /// Returns the milliseconds from `earlier` to this time; negative if the clock was set back meanwhile.
    pub fn millis_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    fn civil(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with milliseconds: `2026-11-23T14:02:11.123Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.civil())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(Timestamp(at.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_rfc_3339_and_back() {
        let at = Timestamp(1_795_442_531_120);
        let json = serde_json::to_string(&at).unwrap();
        assert_eq!(json, "\"2026-11-23T14:02:11.120Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
    }

    #[test]
    fn moves_and_distances_are_in_milliseconds_and_never_overflow() {
        assert_eq!(Timestamp(5_000).plus_millis(-1_500), Timestamp(3_500));
        assert_eq!(Timestamp(i64::MAX).plus_millis(1), Timestamp(i64::MAX));
        for (later, earlier, millis) in [(5_000, 1_500, 3_500), (1_500, 5_000, -3_500), (i64::MIN, 1, i64::MIN)] {
            assert_eq!(Timestamp(later).millis_since(Timestamp(earlier)), millis);
        }
    }
}
