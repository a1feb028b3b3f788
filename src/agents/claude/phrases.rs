//! The phrases with which Claude Code and its API report failures. boi searches for them only in texts of the
//! CLI and the API, never in what a model wrote.

/// How many characters at the beginning of a text are searched: the report of a failure names the failure
/// there.
const SEARCHED: usize = 600;

/// The beginning of the text of a failure, in lower case.
pub(super) struct Phrases(String);

impl Phrases {
    pub(super) fn new(text: &str) -> Phrases {
        Phrases(text.chars().take(SEARCHED).flat_map(char::to_lowercase).collect())
    }

    /// Returns the HTTP status at the beginning of the text, where older versions of the CLI report it.
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

    /// Returns whether the text reports that the prompt is too long for the model.
    pub(super) fn prompt_too_long(&self) -> bool {
        self.contains_any(&["prompt is too long", "request too large", "input is too long", "context limit reached"])
    }

    /// Returns whether the text says that the account's usage limit is not the reason for the failure.
    pub(super) fn denies_usage_limit(&self) -> bool {
        self.contains_any(&["not your usage limit"])
    }

    /// Returns whether the text reports a usage limit of the account, which is reset after some time.
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
        self.contains_any(&LIMITS) && !self.denies_usage_limit()
    }

    /// Returns whether the text reports a limit and announces the date at which the limit ends. The date
    /// itself may be unreadable.
    pub(super) fn dated_limit(&self) -> bool {
        self.contains_any(&["you will regain access on"])
    }

    /// Returns whether the text reports that the service gave no answer, or an incomplete one. Other API
    /// errors without a status are failures of the run itself, such as an answer that is too long.
    pub(super) fn unreachable(&self) -> bool {
        const REASONS: [&str; 8] = [
            "unable to connect",
            "connection",
            "timed out",
            "overloaded",
            "socket",
            "network",
            "malformed response",
            "usually temporary",
        ];
        self.0.starts_with("api error") && self.contains_any(&REASONS)
    }

    /// Returns whether the text reports that the agent is not logged in, or that its login was refused.
    pub(super) fn login_refused(&self) -> bool {
        self.contains_any(&[
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

    /// Returns whether the text reports that the account has no credit left, or is blocked until a person
    /// acts.
    pub(super) fn account_blocked(&self) -> bool {
        self.contains_any(&[
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

    /// Returns whether the text reports that the account cannot use the model, or that the model does not
    /// exist.
    pub(super) fn unknown_model(&self) -> bool {
        self.contains_any(&["issue with the selected model"])
    }

    /// Returns whether the text reports that the CLI refused to skip permission prompts because it ran as
    /// root.
    pub(super) fn refuses_root(&self) -> bool {
        self.contains_any(&["cannot be used with root"])
    }

    fn contains_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.0.contains(phrase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_only_where_the_cli_writes_one() {
        for (text, expected) in [
            ("API Error: 529 x", Some(529)),
            ("API Error: 400", Some(400)),
            ("API Error: 599", Some(599)),
            ("Failed to authenticate. API Error: 401 x", Some(401)),
            ("API Error: Request rejected (429) · x", Some(429)),
            ("API Error: 399 x", None),
            ("API Error: 600 x", None),
            ("API Error: 99", None),
            ("API Error: \u{e4}\u{f6}", None),
            ("I saw API Error: 429", None),
            ("", None),
        ] {
            assert_eq!(Phrases::new(text).status(), expected, "{text}");
        }
    }

    #[test]
    fn each_failure_is_found_by_its_phrases() {
        type Question = fn(&Phrases) -> bool;
        let table: [(Question, &[&str], &[&str]); 7] = [
            (
                Phrases::prompt_too_long,
                &["Prompt is too long", "Request too large", "Input is too long", "Context limit reached"],
                &["The answer is too long"],
            ),
            (
                Phrases::usage_limit,
                &[
                    "You've hit your limit · resets 3pm (UTC)",
                    "Claude AI usage limit reached|1795481639",
                    "Session limit reached",
                    "Weekly limit reached",
                    "5-hour limit reached",
                    "You've reached your limit",
                    "You're out of extra usage",
                ],
                &[
                    "This request would exceed your organization's rate limit of 50,000 input tokens per minute",
                    "Server is temporarily limiting requests (not your usage limit)",
                ],
            ),
            (
                Phrases::unreachable,
                &[
                    "API Error: Unable to connect to API",
                    "API Error: Connection to the API was lost",
                    "API Error: Request timed out",
                    "API Error: Overloaded",
                    "API Error: socket hang up",
                    "API Error: network error",
                    "API Error: empty or malformed response",
                    "API Error: This is usually temporary",
                ],
                &["Connection lost", "API Error: the answer exceeds the maximum of output tokens"],
            ),
            (
                Phrases::login_refused,
                &[
                    "Not logged in",
                    "Please run /login",
                    "Invalid API key",
                    "Failed to authenticate",
                    "OAuth token has expired",
                    "OAuth token has been revoked",
                    "OAuth token revoked",
                    "Session expired",
                    "Your session has expired",
                ],
                &["Logged in"],
            ),
            (
                Phrases::account_blocked,
                &[
                    "Credit balance is too low",
                    "Spend limit reached",
                    "Spending limit reached",
                    "Monthly usage limit reached",
                    "You have reached your specified API usage limits",
                    "Your usage limit is set to $0",
                    "You are out of usage",
                    "Buy usage credits",
                    "Your seat type has no access",
                    "Check your billing",
                    "Your key belongs to a disabled organization",
                    "This organization has been disabled",
                ],
                &["You've hit your limit"],
            ),
            (Phrases::unknown_model, &["There's an issue with the selected model (x)"], &["The model is busy"]),
            (Phrases::refuses_root, &["--x cannot be used with root/sudo privileges"], &["root is fine"]),
        ];
        for (question, found, not_found) in table {
            for text in found {
                assert!(question(&Phrases::new(text)), "{text}");
            }
            for text in not_found {
                assert!(!question(&Phrases::new(text)), "{text}");
            }
        }
    }

    #[test]
    fn only_the_beginning_of_a_text_is_searched() {
        let text = |before: usize| format!("{}not logged in", " ".repeat(before));
        assert!(Phrases::new(&text(SEARCHED - 13)).login_refused());
        assert!(!Phrases::new(&text(SEARCHED - 12)).login_refused());
    }
}
