//! The phrases with which Codex and its API report failures. boi searches for them only in texts of the CLI,
//! never in what a model wrote.

/// How many characters at the beginning of a text boi searches. A report of a failure names the failure
/// there.
const SEARCHED: usize = 600;

/// The beginning of the text of a failure, in lower case and with straight apostrophes.
pub(super) struct Phrases(String);

impl Phrases {
    pub(super) fn new(text: &str) -> Phrases {
        let straight = |c| if c == '\u{2019}' { '\'' } else { c };
        Phrases(text.chars().take(SEARCHED).map(straight).flat_map(char::to_lowercase).collect())
    }

    /// Returns the HTTP status that the text reports.
    pub(super) fn status(&self) -> Option<u16> {
        let digits = ["unexpected status ", "exceeded retry limit, last status: "]
            .into_iter()
            .find_map(|start| self.0.split_once(start))?
            .1
            .get(..3)?;
        digits.parse().ok().filter(|status| (400..600).contains(status))
    }

    /// Returns whether the text reports that the conversation is too long for the model.
    pub(super) fn prompt_too_long(&self) -> bool {
        self.contains_any(&["context window", "input is too long", "context length"])
    }

    /// Returns whether the text reports a usage limit of the account, which is reset after some time.
    pub(super) fn usage_limit(&self) -> bool {
        self.contains_any(&["hit your usage limit", "usage limit reached", "usage limit has been reached"])
    }

    /// Returns whether the text reports that the service is overloaded, or gave no answer or an incomplete
    /// one.
    pub(super) fn unreachable(&self) -> bool {
        self.contains_any(&[
            "at capacity",
            "high demand",
            "overloaded",
            "stream disconnected",
            "connection failed",
            "error sending request",
            "timed out",
            "timeout",
            "network",
        ])
    }

    /// Returns whether the text reports that the agent is not logged in, or that its login was refused.
    pub(super) fn login_refused(&self) -> bool {
        self.contains_any(&[
            "missing environment variable",
            "not logged in",
            "log in again",
            "sign in again",
            "codex login",
            "access token could not be refreshed",
            "refresh token",
            "token has expired",
            "token_expired",
            "invalid api key",
            "incorrect api key",
        ])
    }

    /// Returns whether the text reports that the account has no credit left or no plan, until a person acts.
    pub(super) fn account_blocked(&self) -> bool {
        self.contains_any(&[
            "quota exceeded",
            "billing",
            "upgrade to plus",
            "out of credits",
            "add credits",
            "spend cap",
            "spending cap",
            "deactivated",
        ])
    }

    /// Returns whether the text reports that the account cannot use the model, or that the model does not
    /// exist.
    pub(super) fn unknown_model(&self) -> bool {
        self.0.contains("model")
            && self.contains_any(&["does not exist", "not found", "is not supported", "do not have access"])
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
            ("unexpected status 401 Unauthorized: x", Some(401)),
            ("exceeded retry limit, last status: 429 Too Many Requests", Some(429)),
            ("unexpected status 302 Found", None),
            ("unexpected status \u{e4}\u{f6}", None),
            ("status 429", None),
            ("", None),
        ] {
            assert_eq!(Phrases::new(text).status(), expected, "{text}");
        }
    }

    #[test]
    fn each_failure_is_found_by_its_phrases() {
        type Question = fn(&Phrases) -> bool;
        let table: [(Question, &[&str], &[&str]); 6] = [
            (Phrases::prompt_too_long, &["ran out of room in the model's context window"], &["The answer is long"]),
            (
                Phrases::usage_limit,
                &["You\u{2019}ve hit your usage limit.", "The usage limit has been reached", "Usage limit reached"],
                &["exceeded retry limit"],
            ),
            (
                Phrases::unreachable,
                &["Selected model is at capacity.", "Connection failed: x", "request timed out", "Overloaded"],
                &["The turn failed"],
            ),
            (
                Phrases::login_refused,
                &[
                    "Your access token could not be refreshed. Please log out and sign in again.",
                    "Missing environment variable: `OPENAI_API_KEY`.",
                    "Not logged in. Run codex login.",
                ],
                &["Logged in"],
            ),
            (
                Phrases::account_blocked,
                &["Quota exceeded. Check your plan and billing details.", "Your workspace is out of credits."],
                &["You\u{2019}ve hit your usage limit."],
            ),
            (
                Phrases::unknown_model,
                &[
                    "The requested model does not exist.",
                    "The 'x' model is not supported when using Codex with an account",
                ],
                &["file not found", "The model is busy"],
            ),
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
