//! The failure of a try or of a verify command: what failed, how it ended and what it printed. The prompt of
//! the next try includes it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::command::{CommandEnd, EndCause, ExitStatus};
use super::exit;
use super::outcome::TryOutcome;
use super::text;

/// The longest text of a command that the sentence about its failure contains, in characters.
const COMMAND_SHOWN: usize = 80;

/// Why a try or a verify command failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The part of the try or of the verification that failed.
    pub part: FailedPart,
    /// How the part that failed ended.
    pub how: FailedHow,
    /// The end of the output of the part that failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// The part of a try, or of its verification, that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailedPart {
    /// The agent's run.
    Agent {
        /// The agent's name.
        agent: String,
    },
    /// The task's `run` command.
    Run,
    /// A verify command.
    Verify {
        /// The text of the command in the spec.
        command: String,
        /// The number of the verify command, from 1.
        number: usize,
        /// How many verify commands the task or the spec has.
        count: usize,
    },
    /// A setup command.
    Setup {
        /// The text of the command.
        command: String,
        /// The number of the setup command, from 1.
        number: usize,
        /// How many setup commands there are.
        count: usize,
    },
    /// boi's commit of the try's changes.
    Commit,
    /// The check that the try changed no protected file.
    Protected,
    /// The check that the try changed a file, if the task requires changes.
    Changes,
    /// A part that version 0.1.0 recorded as words.
    Recorded {
        /// The recorded words.
        words: String,
        /// The command, if one failed.
        command: Option<String>,
    },
}

/// How the part that failed ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailedHow {
    /// The command ended by itself, with this status.
    Exited {
        /// The exit status; `None`: it is not known.
        status: Option<ExitStatus>,
    },
    /// The supervisor ended the command at its time limit.
    TimedOut {
        /// The time limit in minutes.
        minutes: u32,
    },
    /// The supervisor ended the command because it printed more than `max_output_mb`.
    TooMuchOutput,
    /// The command was killed together with its supervisor.
    Lost,
    /// The try changed no file, except perhaps files that git ignores.
    NothingChanged,
    /// The try ended with this outcome.
    Outcome {
        /// The outcome.
        outcome: TryOutcome,
    },
    /// The part ended in a way that has no variant of its own.
    Reported {
        /// How the part ended, in words.
        words: String,
    },
}

impl FailedHow {
    /// Returns how a command that did not succeed ended. `minutes` is the command's time limit.
    pub fn of(end: &CommandEnd, minutes: u32) -> FailedHow {
        match &end.cause {
            EndCause::Finished => FailedHow::Exited { status: end.status },
            EndCause::TimedOut => FailedHow::TimedOut { minutes },
            EndCause::TooMuchOutput => FailedHow::TooMuchOutput,
            EndCause::Lost => FailedHow::Lost,
            EndCause::NotExecuted(_) | EndCause::NotExecutedYet(_) | EndCause::Terminated => {
                FailedHow::Reported { words: exit::describe_end(end) }
            }
        }
    }
}

impl fmt::Display for FailedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailedPart::Agent { .. } => f.write_str("the agent's run failed"),
            FailedPart::Run => f.write_str("the run command failed"),
            FailedPart::Verify { count: 1, .. } => f.write_str("the verify command failed"),
            FailedPart::Verify { number, count, .. } => write!(f, "verify command {number} of {count} failed"),
            FailedPart::Setup { count: 1, .. } => f.write_str("the setup command failed"),
            FailedPart::Setup { number, count, .. } => write!(f, "setup command {number} of {count} failed"),
            FailedPart::Commit => f.write_str("boi cannot commit the files"),
            FailedPart::Protected => f.write_str("the try changed protected files"),
            FailedPart::Changes => f.write_str("the task requires changes"),
            FailedPart::Recorded { words, .. } => f.write_str(words),
        }
    }
}

impl fmt::Display for FailedHow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailedHow::Exited { status } => f.write_str(&exit::describe_status(*status)),
            FailedHow::TimedOut { minutes } => write!(f, "timed out after {minutes} min"),
            FailedHow::TooMuchOutput => f.write_str("ended because it printed more than max_output_mb"),
            FailedHow::Lost => {
                f.write_str("killed together with its supervisor (kill -9, out of memory, or a power cut)")
            }
            FailedHow::NothingChanged => f.write_str("the agent ended without an error and changed no file"),
            FailedHow::Outcome { outcome } => f.write_str(&outcome.describe()),
            FailedHow::Reported { words } => f.write_str(words),
        }
    }
}

impl Failure {
    /// Returns the outcome of the try that failed, and the name of its agent (`None` for a `run` command).
    /// Returns `None` if something other than the try's own command failed, or if the outcome of the try is
    /// not known.
    pub fn try_outcome(&self) -> Option<(TryOutcome, Option<&str>)> {
        let agent = match &self.part {
            FailedPart::Agent { agent } => Some(agent.as_str()),
            FailedPart::Run => None,
            FailedPart::Verify { .. }
            | FailedPart::Setup { .. }
            | FailedPart::Commit
            | FailedPart::Protected
            | FailedPart::Changes
            | FailedPart::Recorded { .. } => return None,
        };
        let outcome = match &self.how {
            FailedHow::TimedOut { .. } => TryOutcome::TimedOut,
            FailedHow::TooMuchOutput => TryOutcome::TooMuchOutput,
            FailedHow::Lost => TryOutcome::Lost,
            FailedHow::Outcome { outcome } => outcome.clone(),
            FailedHow::Exited { .. } | FailedHow::Reported { .. } | FailedHow::NothingChanged => return None,
        };
        Some((outcome, agent))
    }

    /// Returns the text of the verify or setup command that failed; `None` if something else failed.
    pub fn command(&self) -> Option<&str> {
        match &self.part {
            FailedPart::Verify { command, .. } | FailedPart::Setup { command, .. } => Some(command),
            FailedPart::Recorded { command, .. } => command.as_deref(),
            FailedPart::Agent { .. }
            | FailedPart::Run
            | FailedPart::Commit
            | FailedPart::Protected
            | FailedPart::Changes => None,
        }
    }

    /// Returns the failure in one sentence: what failed, the text of a failed verify command, and how it
    /// ended.
    pub fn sentence(&self) -> String {
        match self.command() {
            Some(command) => {
                format!("{} (`{}`): {}", self.part, text::one_line(command, COMMAND_SHOWN), self.how)
            }
            None => format!("{}: {}", self.part, self.how),
        }
    }

    /// Returns a copy of the failure without the output.
    #[must_use]
    pub fn without_output(&self) -> Failure {
        Failure { output: String::new(), ..self.clone() }
    }
}

/// A failure as this version stores it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Current {
    part: FailedPart,
    how: FailedHow,
    #[serde(default)]
    output: String,
}

/// A failure as version 0.1.0 stored it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct V1 {
    what: String,
    command: Option<String>,
    how: String,
    output: String,
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Failure, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.get("what").is_some() {
            let V1 { what: words, command, how, output } = serde_json::from_value(value).map_err(de::Error::custom)?;
            let part = FailedPart::Recorded { words, command };
            return Ok(Failure { part, how: FailedHow::Reported { words: how }, output });
        }
        let Current { part, how, output } = serde_json::from_value(value).map_err(de::Error::custom)?;
        Ok(Failure { part, how, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn verify(number: usize, count: usize) -> FailedPart {
        FailedPart::Verify { command: "cargo test".into(), number, count }
    }

    #[test]
    fn sentences_name_the_command_and_how_it_ended() {
        let sentence = |part, how| Failure { part, how, output: "o".into() }.sentence();
        let code = |code| FailedHow::Exited { status: Some(ExitStatus::Code(code)) };
        let table = [
            (sentence(verify(1, 1), code(1)), "the verify command failed (`cargo test`): exit code 1"),
            (
                sentence(verify(2, 3), FailedHow::TimedOut { minutes: 30 }),
                "verify command 2 of 3 failed (`cargo test`): timed out after 30 min",
            ),
            (
                sentence(FailedPart::Run, FailedHow::TooMuchOutput),
                "the run command failed: ended because it printed more than max_output_mb",
            ),
            (
                sentence(FailedPart::Agent { agent: "claude".into() }, FailedHow::Exited { status: None }),
                "the agent's run failed: an unknown exit status",
            ),
            (sentence(FailedPart::Commit, FailedHow::Reported { words: "x".into() }), "boi cannot commit the files: x"),
            (
                sentence(FailedPart::Changes, FailedHow::NothingChanged),
                "the task requires changes: the agent ended without an error and changed no file",
            ),
        ];
        for (sentence, expected) in table {
            assert_eq!(sentence, expected);
        }
    }

    #[test]
    fn each_end_of_a_command_is_mapped_to_how_it_failed() {
        let how = |cause| FailedHow::of(&CommandEnd::new(cause, Some(ExitStatus::Code(3)), Timestamp(0)), 7);
        assert_eq!(how(EndCause::Finished), FailedHow::Exited { status: Some(ExitStatus::Code(3)) });
        assert_eq!(how(EndCause::TimedOut), FailedHow::TimedOut { minutes: 7 });
        assert_eq!(how(EndCause::TooMuchOutput), FailedHow::TooMuchOutput);
        assert_eq!(how(EndCause::Lost), FailedHow::Lost);
        assert_eq!(how(EndCause::NotExecuted("no".into())).to_string(), "an error before the program ran: no");
    }

    #[test]
    fn only_the_failure_of_a_try_itself_has_an_outcome() {
        let agent = || FailedPart::Agent { agent: "claude".into() };
        let of = |part, how| {
            let failure = Failure { part, how, output: String::new() };
            failure.try_outcome().map(|(outcome, agent)| (outcome, agent.map(str::to_owned)))
        };
        let claude = Some("claude".to_owned());
        let crashed = TryOutcome::Crashed("c".into());
        assert_eq!(of(agent(), FailedHow::TimedOut { minutes: 1 }), Some((TryOutcome::TimedOut, claude.clone())));
        assert_eq!(of(agent(), FailedHow::TooMuchOutput), Some((TryOutcome::TooMuchOutput, claude.clone())));
        assert_eq!(of(FailedPart::Run, FailedHow::Lost), Some((TryOutcome::Lost, None)));
        assert_eq!(of(agent(), FailedHow::Outcome { outcome: crashed.clone() }), Some((crashed, claude)));
        assert_eq!(of(verify(1, 1), FailedHow::Lost), None);
        assert_eq!(of(FailedPart::Commit, FailedHow::Reported { words: "w".into() }), None);
        assert_eq!(of(FailedPart::Run, FailedHow::Exited { status: None }), None);
        assert_eq!(of(FailedPart::Changes, FailedHow::NothingChanged), None);
    }

    #[test]
    fn failures_read_back_and_those_of_version_0_1_0_too() {
        let failure = Failure { part: verify(1, 2), how: FailedHow::Lost, output: "end".into() };
        let text = serde_json::to_string(&failure).unwrap();
        assert_eq!(serde_json::from_str::<Failure>(&text).unwrap(), failure);
        assert_eq!(failure.without_output().output, "");
        let old = r#"{"what":"verify command failed","command":"v","how":"exit code 1","output":"end"}"#;
        let read: Failure = serde_json::from_str(old).unwrap();
        assert_eq!(
            (read.sentence().as_str(), read.output.as_str()),
            ("verify command failed (`v`): exit code 1", "end")
        );
        assert!(serde_json::from_str::<Failure>(r#"{"part":{"kind":"run"},"how":{"kind":"lost"},"later":1}"#).is_err());
    }
}
