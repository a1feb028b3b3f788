//! What the phrases in which Claude Code reports a failure mean. Only for texts of the CLI and the API, never for what
//! a model wrote.

/// How much of a text is looked at: reports are short and begin with what they report.
const LOOKED_AT: usize = 600;

/// A failure's text, ready to be searched.
pub(super) struct Wording(String);

impl Wording {
    pub(super) fn new(text: &str) -> Wording {
        Wording(text.chars().take(LOOKED_AT).flat_map(char::to_lowercase).collect())
    }

    fn any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.0.contains(phrase))
    }

    /// The HTTP status that the text names, as older versions of the CLI report it.
    pub(super) fn status(&self) -> Option<u16> {
        if self.0.starts_with("api error: request rejected (429)") {
            return Some(429);
        }
        let digits = ["api error: ", "failed to authenticate. api error: "]
            .into_iter()
            .find_map(|start| self.0.strip_prefix(start))?
            .get(..3)?;
        digits.parse().ok().filter(|status| (400..600).contains(status))
    }

    pub(super) fn context(&self) -> bool {
        self.any(&["prompt is too long", "request too large", "input is too long", "context limit reached"])
    }

    /// The service itself says that it is not the account's limit.
    pub(super) fn not_a_usage_limit(&self) -> bool {
        self.any(&["not your usage limit"])
    }

    /// A limit that ends by itself.
    pub(super) fn usage_limit(&self) -> bool {
        const LIMITS: [&str; 7] = [
            "usage limit",
            "session limit",
            "weekly limit",
            "5-hour limit",
            "hit your limit",
            "reached your limit",
            "out of extra usage",
        ];
        self.any(&LIMITS) && !self.not_a_usage_limit()
    }

    /// No answer, or half of one. Other errors without a status, such as an answer that is too long, stay.
    pub(super) fn unreachable(&self) -> bool {
        const ENDS: [&str; 8] = [
            "unable to connect",
            "connection",
            "timed out",
            "overloaded",
            "socket",
            "network",
            "malformed response",
            "usually temporary",
        ];
        self.0.starts_with("api error") && self.any(&ENDS)
    }

    pub(super) fn auth(&self) -> bool {
        self.any(&[
            "not logged in",
            "please run /login",
            "invalid api key",
            "failed to authenticate",
            "oauth token has expired",
            "oauth token has been revoked",
            "oauth token revoked",
            "session expired",
            "session has expired",
        ])
    }

    /// Money, or an account that somebody has to see to.
    pub(super) fn needs_human(&self) -> bool {
        self.any(&[
            "credit balance",
            "spend limit",
            "spending limit",
            "monthly usage limit",
            "reached your specified",
            "usage limit is set to $0",
            "out of usage",
            "usage credits",
            "seat type",
            "billing",
            "disabled organization",
            "organization has been disabled",
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_only_where_the_cli_writes_one() {
        let status = |text: &str| Wording::new(text).status();
        assert_eq!(status("API Error: 529 x"), Some(529));
        assert_eq!(status("Failed to authenticate. API Error: 401 x"), Some(401));
        assert_eq!(status("API Error: Request rejected (429) · x"), Some(429));
        for other in ["", "API Error: 99", "API Error: 200 fine", "API Error: \u{e4}\u{f6}", "I saw API Error: 429"] {
            assert_eq!(status(other), None, "{other}");
        }
    }

    #[test]
    fn a_rate_limit_is_not_a_usage_limit() {
        let usage = |text: &str| Wording::new(text).usage_limit();
        assert!(usage("You've hit your limit · resets 3pm (UTC)"));
        assert!(usage("Claude AI usage limit reached|1795481639"));
        assert!(!usage("This request would exceed your organization's rate limit of 50,000 input tokens per minute"));
        assert!(!usage("Server is temporarily limiting requests (not your usage limit)"));
    }
}
