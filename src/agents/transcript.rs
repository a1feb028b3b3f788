//! Reads what Claude Code prints with `--output-format stream-json`: one JSON object a line.
//!
//! The reader takes whatever comes in whatever chunks: text between the JSON lines, bytes that are not UTF-8, types it
//! does not know, a last line without an end. Its memory is bounded: a line above [`LONGEST_LINE`] is passed over
//! as it streams by, and what is kept of a line is cut to [`LONGEST_TEXT`].

use super::line::{ApiRetry, AssistantLine, Head, Init, LimitLine, RawResult, limit, parse, result, status, tokens};
use crate::domain::outcome::Usage;
use crate::domain::text;

/// Longer lines are not read.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// How much is kept of a text that the agent wrote, in bytes from its end.
pub const LONGEST_TEXT: usize = 4 * 1024;

/// Reads an agent's output as it comes.
#[derive(Debug, Default)]
pub struct Transcript {
    line: Vec<u8>,
    skipping: bool,
    last_message: Option<String>,
    reading: Reading,
}

/// What an agent's output says, so far or as a whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The agent's session.
    pub session_id: Option<String>,
    /// The last `result` line.
    pub result: Option<ResultLine>,
    /// The last `rate_limit_event`.
    pub limit: Option<LimitEvent>,
    /// The last `api_retry`: pressure, never an end.
    pub retry: Option<Retry>,
    /// Without a `result` line: what the messages add up to. It counts too few output tokens and knows no cost.
    pub seen: Usage,
    /// The last text of the model, for people only.
    pub last_text: Option<String>,
    /// Lines that were not JSON objects.
    pub unread_lines: u64,
    /// Lines that were too long to be read.
    pub skipped_lines: u64,
    /// The agent had written its `result`, did not exit, and was then ended by boi. The caller sets this, because only
    /// it knows the order: an agent that gets SIGTERM in the middle of its work can still write a `result` that claims
    /// success.
    pub ended_after_result: bool,
}

/// The line in which the agent says how its run went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResultLine {
    /// `success`, `error_max_turns`, ...: an API failure is `success` too, with `is_error`.
    pub subtype: String,
    /// Whether the run failed.
    pub is_error: bool,
    /// The HTTP status of the API's last answer, where that was the failure.
    pub api_status: Option<u16>,
    /// The final text, or the errors.
    pub text: String,
    /// What the whole run cost, subagents included.
    pub usage: Usage,
}

/// What the agent learned of the account's usage limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitEvent {
    /// The account's limit is used up, and no overage pays for more.
    pub rejected: bool,
    /// More than the limit is paid for.
    pub overage: bool,
    /// When the limit is reset, in seconds since the epoch.
    pub resets_at: Option<i64>,
    /// `five_hour`, `seven_day`, ...
    pub kind: Option<String>,
}

/// A request that the API refused and the agent sends again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retry {
    /// The HTTP status; `None` where there was no answer.
    pub status: Option<u16>,
    /// `rate_limit`, `overloaded`, ...
    pub error: String,
}

impl Transcript {
    /// A reader that has read nothing.
    pub fn new() -> Transcript {
        Transcript::default()
    }

    /// Reads on. How the output is cut into chunks makes no difference.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.extend(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    /// What the output says so far. A `result` in it means that the agent should end by itself soon.
    pub fn so_far(&self) -> &Reading {
        &self.reading
    }

    /// What the output says, its last line included where that is complete but for its end of line.
    pub fn finish(mut self) -> Reading {
        self.end_line();
        self.reading
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.skipping {
            return;
        }
        if self.line.len() + bytes.len() > LONGEST_LINE {
            self.skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.skipping) {
            self.reading.skipped_lines += 1;
        } else if !line.trim_ascii().is_empty() && self.read_line(&line).is_none() {
            self.reading.unread_lines += 1;
        }
        if line.capacity() <= 64 * 1024 {
            self.line = line;
            self.line.clear();
        }
    }

    fn read_line(&mut self, line: &[u8]) -> Option<()> {
        let head: Head = parse(line)?;
        match (head.kind.as_str()?, head.subtype.as_str()) {
            ("system", Some("init")) => {
                let init: Init = parse(line)?;
                self.reading.session_id = init.session_id.as_str().map(str::to_owned);
            }
            ("system", Some("api_retry")) => {
                let retry: ApiRetry = parse(line)?;
                let error = retry.error.as_str().map(|error| text::one_line(error, 100)).unwrap_or_default();
                self.reading.retry = Some(Retry { status: status(&retry.error_status), error });
            }
            ("assistant", _) => {
                let line: AssistantLine = parse(line)?;
                self.read_message(line);
            }
            ("rate_limit_event", _) => {
                let event: LimitLine = parse(line)?;
                self.reading.limit = Some(limit(&event.rate_limit_info));
            }
            ("result", _) => {
                let line: RawResult = parse(line)?;
                if let Some(session) = line.session_id.as_str() {
                    self.reading.session_id = Some(session.to_owned());
                }
                self.reading.result = Some(result(&line));
            }
            _ => {}
        }
        Some(())
    }

    fn read_message(&mut self, line: AssistantLine) {
        let message = line.message;
        // A message of several blocks comes as several lines, each with the whole message's usage.
        if message.id.is_none() || message.id != self.last_message {
            self.last_message = message.id;
            let tokens = tokens(&message.usage);
            self.reading.seen += Usage { turns: u64::from(line.parent_tool_use_id.is_null()), ..tokens };
        }
        for block in message.content {
            if let (Some("text"), Some(said)) = (block.kind.as_str(), block.text.as_str()) {
                self.reading.last_text = Some(text::tail(said.as_bytes(), LONGEST_TEXT));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::recorded;

    fn read(output: &[u8]) -> Reading {
        let mut transcript = Transcript::new();
        transcript.push(output);
        transcript.finish()
    }

    #[test]
    fn a_session_with_tools_is_read() {
        let reading = read(recorded::TOOLS.as_bytes());
        assert_eq!(reading.session_id.as_deref(), Some("3f221111-1111-4111-8111-111111111111"));
        let result = reading.result.unwrap();
        assert_eq!((result.subtype.as_str(), result.is_error, result.api_status), ("success", false, None));
        assert_eq!(result.text, "wrote \"429\" usage limit");
        let usage = result.usage;
        assert_eq!((usage.turns, usage.input_tokens, usage.output_tokens), (3, 3600, 120));
        assert!((usage.cost_usd - 0.021).abs() < 1e-9);
        assert_eq!((reading.seen.turns, reading.seen.input_tokens), (3, 3600));
        assert_eq!((reading.unread_lines, reading.skipped_lines), (0, 0));
    }

    #[test]
    fn a_limit_event_and_a_retry_are_read() {
        let limit = LimitEvent {
            rejected: true,
            overage: false,
            resets_at: Some(1_795_481_639),
            kind: Some("five_hour".into()),
        };
        assert_eq!(read(recorded::LIMITED.as_bytes()).limit, Some(limit));
        let retry = Retry { status: Some(429), error: "rate_limit".into() };
        assert_eq!(read(recorded::THROTTLED.as_bytes()).retry, Some(retry));
        let overage = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","isUsingOverage":true}}"#;
        assert!(!read(overage.as_bytes()).limit.unwrap().rejected);
    }

    #[test]
    fn tokens_of_a_broken_budget_come_from_the_models() {
        let usage = read(recorded::MAX_BUDGET.as_bytes()).result.unwrap().usage;
        assert_eq!((usage.input_tokens, usage.output_tokens), (1200, 40));
    }

    #[test]
    fn noise_between_and_in_lines_is_passed_over() {
        let noisy = [
            b"warning: something\n\n[1, 2]\n{\"type\":7}\n{\"type\":\"novel\",\"a\":{}}\n{broken\n\xff\xfe\r\n"
                .as_slice(),
            recorded::SUCCESS.trim_end().as_bytes(),
        ]
        .concat();
        let reading = read(&noisy);
        assert_eq!(reading.result.unwrap().text, "All done.");
        assert_eq!(reading.unread_lines, 5);

        let mut invalid = recorded::SUCCESS.replace("All done.", "All ?.").into_bytes();
        let at = invalid.iter().position(|b| *b == b'?').unwrap();
        invalid[at] = 0xff;
        assert_eq!(read(&invalid).result.unwrap().text, "All \u{fffd}.");
    }

    #[test]
    fn a_partial_last_line_says_nothing() {
        let text = recorded::SUCCESS.trim_end();
        assert_eq!(read(&text.as_bytes()[..text.len() - 1]).result, None);
    }

    #[test]
    fn long_lines_are_read_and_longer_ones_are_skipped() {
        let user = |size: usize| format!("{{\"type\":\"user\",\"content\":\"{}\"}}\n", "x".repeat(size));
        let mut transcript = Transcript::new();
        transcript.push(user(8 << 20).as_bytes());
        transcript.push(user(LONGEST_LINE).as_bytes());
        assert!(transcript.line.capacity() <= 64 * 1024);
        transcript.push(recorded::SUCCESS.as_bytes());
        let reading = transcript.finish();
        assert_eq!((reading.unread_lines, reading.skipped_lines), (0, 1));
        assert!(reading.result.is_some());
    }

    fn outputs() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            Just(recorded::TOOLS.as_bytes().to_vec()),
            Just(recorded::LIMITED.as_bytes().to_vec()),
            Just(recorded::THROTTLED.as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
            "\\{\"type\":\"(result|assistant|system|rate_limit_event)\",\"[a-z]{1,4}\":[0-9\"\\[\\{]{0,3}\\}\n"
                .prop_map(String::into_bytes),
        ];
        proptest::collection::vec(line, 0..6).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(output in outputs(), sizes in proptest::collection::vec(1usize..200, 1..20)) {
            let mut transcript = Transcript::new();
            let mut rest = output.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at((*size).min(rest.len()));
                transcript.push(chunk);
                rest = after;
            }
            prop_assert_eq!(transcript.finish(), read(&output));
        }

        #[test]
        fn any_bytes_are_taken(output: Vec<u8>) {
            read(&output);
        }
    }
}
