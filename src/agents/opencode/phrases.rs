//! The phrases by which opencode and the providers of its models name the causes of errors.

/// The text of an error, in lower case, in which boi searches for phrases.
pub(super) struct Phrases(String);

impl Phrases {
    pub(super) fn new(text: &str) -> Phrases {
        Phrases(text.to_lowercase())
    }

    fn has(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.0.contains(phrase))
    }

    pub(super) fn prompt_too_long(&self) -> bool {
        self.has(&[
            "prompt is too long",
            "maximum context length",
            "context window",
            "context_length_exceeded",
            "maximum number of tokens",
        ])
    }

    pub(super) fn usage_limit(&self) -> bool {
        self.has(&["usage limit", "free usage exceeded", "usage_limit_reached", "daily quota"])
    }

    pub(super) fn account_blocked(&self) -> bool {
        self.has(&[
            "credit balance is too low",
            "insufficient_quota",
            "exceeded your current quota",
            "insufficient balance",
            "insufficient credits",
            "billing",
            "payment",
            "suspended",
            "organization has been disabled",
        ])
    }

    pub(super) fn login_refused(&self) -> bool {
        self.has(&["api key is missing", "invalid api key", "no api key", "unauthorized", "token refresh failed"])
    }

    pub(super) fn unknown_model(&self) -> bool {
        self.has(&["model not found", "modelnotfound", "does not exist", "model_not_found"])
            || self.0.starts_with("model: ")
    }

    pub(super) fn unreachable(&self) -> bool {
        self.has(&[
            "unable to connect",
            "cannot connect to api",
            "connection error",
            "fetch failed",
            "econnrefused",
            "econnreset",
            "enotfound",
            "etimedout",
            "socket connection was closed",
            "timed out",
        ])
    }
}
