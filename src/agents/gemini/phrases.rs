//! The phrases by which Gemini CLI and the Gemini API name the causes of errors.

use crate::domain::time::Timestamp;

/// A wait that an error asks for counts as a usage limit if it is longer than this, in seconds. After a
/// shorter one, the CLI itself repeats the request, so an error that names it is throttling.
const LONG_WAIT_SECONDS: f64 = 300.0;

/// The text of an error, in lower case, in which boi searches for phrases.
pub(super) struct Phrases(String);

impl Phrases {
    pub(super) fn new(text: &str) -> Phrases {
        Phrases(text.to_lowercase())
    }

    fn has(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.0.contains(phrase))
    }

    /// Returns the HTTP status in the text, if the text contains the JSON of an API error.
    pub(super) fn status(&self) -> Option<u16> {
        let (_, rest) = self.0.split_once("\"code\":")?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|status| (400..600).contains(status))
    }

    pub(super) fn prompt_too_long(&self) -> bool {
        self.has(&["exceeds the maximum number of tokens", "input token count", "context window will overflow"])
    }

    /// Returns whether the text reports that the daily quota is used up. Google resets it at midnight,
    /// Pacific time.
    pub(super) fn daily_quota(&self) -> bool {
        self.has(&["daily quota", "per_day", "perday", "per day"])
    }

    pub(super) fn used_up(&self) -> bool {
        self.daily_quota() || self.has(&["exhausted your capacity", "quota will reset"])
    }

    pub(super) fn login_refused(&self) -> bool {
        self.has(&[
            "api key not valid",
            "api key expired",
            "api_key_invalid",
            "please set an auth method",
            "gemini_api_key environment variable",
            "manual authorization is required",
            "invalid_grant",
            "login required",
        ])
    }

    pub(super) fn account_blocked(&self) -> bool {
        self.has(&[
            "suspended",
            "billing",
            "prepayment credits",
            "insufficient_g1_credits",
            "has been disabled",
            "location is not supported",
            "verify your account",
            "limit: 0",
        ])
    }

    pub(super) fn unknown_model(&self) -> bool {
        self.has(&["is not found for api version", "model not found", "requested entity was not found"])
    }

    pub(super) fn unreachable(&self) -> bool {
        self.has(&[
            "fetch failed",
            "econnrefused",
            "econnreset",
            "enotfound",
            "eai_again",
            "etimedout",
            "socket hang up",
            "network error",
        ])
    }

    pub(super) fn mode_forbidden(&self) -> bool {
        self.has(&["yolo mode is disabled", "cannot start in yolo mode", "not running in a trusted directory"])
    }

    /// Returns whether the text, a line of stderr, says why the CLI ended: it reports a refused login, a
    /// forbidden mode or an unreachable service, or begins with `error `.
    pub(super) fn is_known(&self) -> bool {
        self.login_refused() || self.mode_forbidden() || self.unreachable() || self.0.starts_with("error ")
    }

    /// Returns when the quota is available again, if the text names a wait longer than [`LONG_WAIT_SECONDS`].
    pub(super) fn long_wait_until(&self, now: Timestamp) -> Option<Timestamp> {
        let rest = ["retry in ", "reset after ", "resets in "]
            .iter()
            .find_map(|phrase| self.0.split_once(phrase))
            .map(|(_, rest)| rest)?;
        let seconds = duration_seconds(rest)?;
        (seconds > LONG_WAIT_SECONDS).then(|| now.plus_millis((seconds * 1000.0) as i64))
    }
}

/// Reads a duration such as `41.2s`, `120ms` or `2h11m3s` at the beginning of `text`.
fn duration_seconds(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, None);
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..end].parse::<f64>() else { return sum };
        let (unit, length) = match &rest[end..] {
            unit if unit.starts_with("ms") => (0.001, 2),
            unit if unit.starts_with('s') => (1.0, 1),
            unit if unit.starts_with('m') => (60.0, 1),
            unit if unit.starts_with('h') => (3600.0, 1),
            unit if unit.starts_with('d') => (86_400.0, 1),
            _ => return sum,
        };
        sum = Some(sum.unwrap_or(0.0) + number * unit);
        rest = &rest[end + length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, expected) in [
            ("41.5s.", Some(41.5)),
            ("120ms", Some(0.12)),
            ("2h11m3s now", Some(7863.0)),
            ("1d", Some(86_400.0)),
            ("5 minutes", None),
            ("", None),
            ("s", None),
            ("..s", None),
        ] {
            assert_eq!(duration_seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn only_a_long_wait_is_a_limit() {
        let until = |text: &str| Phrases::new(text).long_wait_until(Timestamp(1000)).map(|Timestamp(at)| at);
        assert_eq!(until("Quota exceeded. Please retry in 41.2s."), None);
        assert_eq!(until("Quota exceeded. Please retry in 301s."), Some(302_000));
        assert_eq!(until("Your quota will reset after 1h0m1s."), Some(3_602_000));
        assert_eq!(until("Please retry in a moment"), None);
    }

    #[test]
    fn the_status_in_the_text_is_read() {
        for (text, expected) in [
            (r#"[API Error: {"error":{"code":401,"message":"x"}}]"#, Some(401)),
            (r#"{"error": {"code": 503}}"#, Some(503)),
            (r#"{"error":{"code":7}}"#, None),
            ("[API Error: slow down]", None),
        ] {
            assert_eq!(Phrases::new(text).status(), expected, "{text}");
        }
    }
}
