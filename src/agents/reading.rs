//! The content of an agent's output, in types that all agents share.

use crate::domain::cause::ApiRetry;
use crate::domain::outcome::{AgentReport, Tokens, Usage};
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
    /// An error after which the agent may still continue. It decides the outcome if the agent does not
    /// continue and reports no result.
    pub unresolved: Option<RunResult>,
    /// The agent's last report about the account's usage limits.
    pub limit: Option<LimitEvent>,
    /// Whether the model answered at least one request.
    pub answered: bool,
    /// The model that the agent uses, as the agent names it.
    pub model: Option<String>,
    /// The last line that reports an error or a result, shortened to the length of a diagnosis's evidence.
    pub evidence: Option<String>,
    /// The sum of the usage of the messages, used for a run without a result. The messages report too few
    /// output tokens, and no cost.
    pub usage_so_far: Usage,
    /// The tokens of all runs of the session. `None` for an agent that reports the tokens of each run alone.
    pub session_tokens: Option<Tokens>,
    /// The last text that the model wrote. boi shows the text to people, and decides nothing from it.
    pub last_text: Option<String>,
    /// The tools that the agent was not allowed to use: their names, or the reasons if no name is reported.
    pub denials: Vec<String>,
    /// Why the agent's work is unfinished although it reported success.
    pub cut: Option<String>,
    /// The permission mode in which the agent runs, if that is not the mode that boi requested.
    pub(super) forbidden_mode: Option<String>,
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
    /// The agent's name for the API error that made the run fail, such as `rate_limit`.
    pub api_error: Option<String>,
    /// The agent's name for the reason why the run ended, such as `max_turns`.
    pub reason: Option<String>,
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
    /// The line of the output that contains this report, shortened, as evidence.
    pub line: Option<String>,
}

impl Reading {
    /// Returns the report that boi records for the run, whatever its outcome is.
    pub fn report(&self) -> AgentReport {
        let text = self.result.as_ref().map(|result| result.text.as_str()).or(self.last_text.as_deref());
        let mut message = text.map(|text| text::both_ends(text, MESSAGE)).filter(|text| !text.is_empty());
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
            answered: self.answered,
            model: self.model.clone(),
            evidence: self.evidence.clone(),
            session_tokens: self.session_tokens,
        }
    }
}

impl Reading {
    /// Subtracts `tokens`, which the earlier runs of the session `id` used, from the usage of this run. If
    /// the output reports no tokens of the session, stores `tokens` as those. Does nothing for another
    /// session.
    pub fn continues(&mut self, id: &str, tokens: Option<Tokens>) {
        if self.session_id.as_deref() != Some(id) {
            return;
        }
        let (Some(_), Some(earlier)) = (self.session_tokens, tokens) else {
            self.session_tokens = self.session_tokens.or(tokens);
            return;
        };
        if let Some(result) = &mut self.result {
            let usage = &mut result.usage;
            usage.input_tokens = usage.input_tokens.saturating_sub(earlier.input);
            usage.cached_tokens = usage.cached_tokens.saturating_sub(earlier.cached);
            usage.output_tokens = usage.output_tokens.saturating_sub(earlier.output);
        }
    }

    /// Returns the permission mode in which the agent runs, if that is not the mode that boi requested. In
    /// any other mode, the agent cannot work.
    pub fn forbidden_mode(&self) -> Option<&str> {
        self.forbidden_mode.as_deref()
    }

    /// Returns whether the output decides the outcome although boi ended the agent.
    pub fn decides(&self) -> bool {
        self.ended_after_result || self.forbidden_mode.is_some()
    }

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
    /// The number of the next attempt to repeat the request, and the maximum, if the agent reports them.
    pub retry: Option<ApiRetry>,
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
            answered: false,
            model: None,
            evidence: None,
            session_tokens: None,
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

    #[test]
    fn the_tokens_of_earlier_runs_of_the_session_are_not_those_of_the_run() {
        let tokens = |input| Tokens { input, cached: input / 2, output: input / 10 };
        let usage = Usage { input_tokens: 500, cached_tokens: 250, output_tokens: 50, ..Usage::default() };
        let reading = Reading {
            session_id: Some("01a2".into()),
            session_tokens: Some(tokens(500)),
            result: Some(RunResult { usage, ..RunResult::default() }),
            ..Reading::default()
        };
        let read = |mut reading: Reading, id: &str, earlier: Option<Tokens>| {
            reading.continues(id, earlier);
            let report = reading.report();
            (report.usage.input_tokens, report.usage.cached_tokens, report.usage.output_tokens, report.session_tokens)
        };
        assert_eq!(read(reading.clone(), "01a2", Some(tokens(400))), (100, 50, 10, Some(tokens(500))));
        assert_eq!(read(reading.clone(), "01a2", None), (500, 250, 50, Some(tokens(500))));
        assert_eq!(read(reading.clone(), "other", Some(tokens(400))), (500, 250, 50, Some(tokens(500))));
        let killed = Reading { session_tokens: None, result: None, ..reading };
        assert_eq!(read(killed, "01a2", Some(tokens(400))), (0, 0, 0, Some(tokens(400))));
    }
}
