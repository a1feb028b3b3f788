//! The content of an agent's output, in types that all agents share.

use crate::domain::outcome::{AgentReport, Usage};
use crate::domain::text;

/// The longest text of an agent that a [`Reading`] stores, in bytes. Of a longer text, only the end is
/// stored.
pub(super) const LONGEST_TEXT: usize = 4 * 1024;

/// The longest message that an [`AgentReport`] contains, in characters.
const MESSAGE: usize = 600;

/// Reads the lines of one run's output, in order.
pub trait LineReader: Send {
    /// Adds the content of `line` to `reading`. Ignores lines of unknown types.
    fn read_line(&mut self, line: &[u8], reading: &mut Reading);
}

/// What boi has read from a run's output so far, or from the whole output.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The id of the agent's session.
    pub session_id: Option<String>,
    /// The result that the agent reported at the end of its run. The agent should exit soon after the report.
    pub result: Option<RunResult>,
    /// The agent's last report about the account's usage limits.
    pub limit: Option<LimitEvent>,
    /// The sum of the usage of the messages, used for a run without a result. The messages report too few
    /// output tokens, and no cost.
    pub usage_so_far: Usage,
    /// The last text that the model wrote. boi shows the text to people, and decides nothing from it.
    pub last_text: Option<String>,
    /// The requests that failed since the model's last answer; the agent repeats them.
    pub api_errors: ApiErrors,
    /// Whether the agent reported its result, did not exit, and was then ended by boi. The caller sets this
    /// field, because only the caller knows the order of these events: an agent that gets SIGTERM during its
    /// work can still report a success.
    pub ended_after_result: bool,
}

/// The result of a run, as the agent reports it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunResult {
    /// The kind of the result, as the agent names it, such as `success`.
    pub kind: String,
    /// Whether the run failed; true unless the agent explicitly reports that there was no error.
    pub is_error: bool,
    /// The HTTP status of the API's last answer, if the run failed because of that answer.
    pub api_status: Option<u16>,
    /// The agent's final text or, if it reported none, its errors.
    pub text: String,
    /// The usage of the whole run, including its subagents.
    pub usage: Usage,
}

/// A report of the model's service about the account's usage limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitEvent {
    /// Whether the limit is used up and the account does not pay for use beyond the limit.
    pub rejected: bool,
    /// Whether the account pays for use beyond the limit.
    pub overage: bool,
    /// When the limit is reset, in seconds since the epoch.
    pub resets_at: Option<i64>,
    /// The kind of limit, such as `five_hour` or `seven_day`.
    pub kind: Option<String>,
}

impl Reading {
    /// Returns the report that boi records for the run, whatever its outcome is.
    pub fn report(&self) -> AgentReport {
        let text = self.result.as_ref().map(|result| result.text.as_str()).or(self.last_text.as_deref());
        let mut message = text.map(|text| text::one_line(text, MESSAGE)).filter(|text| !text.is_empty());
        if self.ended_after_result {
            let note = "(the agent did not exit after its result, so boi ended it)";
            message = Some(message.map_or_else(|| note.to_owned(), |text| format!("{text} {note}")));
        }
        AgentReport {
            session_id: self.session_id.clone(),
            usage: match &self.result {
                Some(result) => result.usage,
                None => Usage { unpriced_runs: u64::from(self.has_begun()), ..self.usage_so_far },
            },
            message,
        }
    }
}

impl Reading {
    /// Returns whether the agent printed anything that shows that its run began.
    fn has_begun(&self) -> bool {
        self.session_id.is_some() || self.last_text.is_some() || self.usage_so_far != Usage::default()
    }
}

/// The requests of a run that failed since the last request that the model's service answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiErrors {
    /// How many requests failed.
    pub count: u32,
    /// The last failure: the HTTP status, if there was an answer, and the agent's name for the failure.
    pub last: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_prefers_the_result_to_what_was_seen_before() {
        let turns = |turns| Usage { turns, ..Usage::default() };
        let mut reading = Reading {
            session_id: Some("3f22".into()),
            usage_so_far: turns(2),
            last_text: Some("working\non it".into()),
            ..Reading::default()
        };
        let report = |usage, message: Option<&str>| AgentReport {
            session_id: Some("3f22".into()),
            usage,
            message: message.map(str::to_owned),
        };
        let unpriced = Usage { unpriced_runs: 1, ..turns(2) };
        assert_eq!(reading.report(), report(unpriced, Some("working on it")));
        assert_eq!(Reading::default().report().usage, Usage::default(), "nothing ran");
        reading.result = Some(RunResult { text: "done".into(), usage: turns(3), ..RunResult::default() });
        assert_eq!(reading.report(), report(turns(3), Some("done")));
        reading.ended_after_result = true;
        let note = "(the agent did not exit after its result, so boi ended it)";
        assert_eq!(reading.report().message.unwrap(), format!("done {note}"));
        reading.result = Some(RunResult::default());
        assert_eq!(reading.report().message.unwrap(), note);
        reading.ended_after_result = false;
        assert_eq!(reading.report(), report(turns(0), None));
    }
}
