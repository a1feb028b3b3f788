//! Coding agents: how each is called, how its output is read, what the end of a try means, what a person can do about a
//! failure, and how its output is shown to people. Pure: nothing here starts a process, opens a file or reads a clock.
//!
//! An agent is a [`Dialect`] in a folder of its own. A try goes through it in this order: [`Dialect::command_line`]
//! says what to execute, with the prompt on stdin; a [`Transcript`] reads the output as it grows; when the command has
//! ended, [`Dialect::outcome`] decides from an [`EndedRun`] what the try came to; if that is a failure, `advice` says
//! what to do. Tasks that are plain commands have no agent: `exit` alone decides their outcome.
//!
//! Invariant: the outcome of a try comes from how the command ended, from what the agent's CLI itself reports and,
//! where it reports no result, from stderr. It never comes from what the model wrote or what a tool printed.

pub(crate) mod exit;

mod advice;
mod claude;
mod dialect;
mod reading;
mod transcript;

use serde::{Deserialize, Serialize};

pub use dialect::{Dialect, EndedRun, Run};
pub use reading::Reading;
pub use transcript::Transcript;

use crate::domain::id::SpecId;
use crate::domain::outcome::TryOutcome;

/// An agent that boi can run. Its serialized form is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agent {
    /// Claude Code.
    Claude,
}

/// The agent that specs call `name`; `None` if there is none.
pub(crate) fn find(name: &str) -> Option<Agent> {
    Agent::ALL.into_iter().find(|agent| agent.name() == name)
}

/// The names of all agents, as specs and the configuration write them.
pub(crate) fn names() -> &'static [&'static str] {
    const NAMES: [&str; Agent::ALL.len()] = [Agent::Claude.name()];
    &NAMES
}

/// What a person can do about `outcome`, in complete sentences with the command to type. `agent` is the agent of the
/// task, `None` for a task that is a plain command. The result is `None` if nobody needs to act: after a success, and
/// after a refusal that boi waits out.
pub(crate) fn advice(outcome: &TryOutcome, agent: Option<Agent>, spec: &SpecId) -> Option<String> {
    match agent {
        Some(agent) => agent.dialect().advice(outcome, spec),
        None => advice::for_command(outcome, spec),
    }
}

impl Agent {
    const ALL: [Agent; 1] = [Agent::Claude];

    const fn name(self) -> &'static str {
        match self {
            Agent::Claude => "claude",
        }
    }

    /// The dialect of this agent.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Agent::Claude => &claude::Claude,
        }
    }

    /// A reader of this agent's output that has read nothing yet.
    pub fn transcript(self) -> Transcript {
        Transcript::new(self.dialect().line_reader())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{CommandEnd, EndCause, ExitStatus};
    use crate::domain::time::Timestamp;

    #[test]
    fn an_agent_is_found_and_stored_by_its_name() {
        assert_eq!(names(), ["claude"]);
        assert_eq!((find("claude"), find("Claude"), find("")), (Some(Agent::Claude), None, None));
        for name in names() {
            assert_eq!(serde_json::to_value(find(name)).unwrap(), *name);
        }
    }

    #[test]
    fn a_run_goes_through_its_dialect() {
        let dialect = find("claude").unwrap().dialect();
        let run = Run { program: "/opt/claude", arguments: &[], model: None, session: "3f22" };
        assert_eq!(dialect.command_line(&run)[..2], ["/opt/claude", "-p"]);
        let line = br#"{"type":"result","subtype":"success","is_error":false,"session_id":"3f22","num_turns":1}"#;
        assert_eq!(dialect.describe(line).unwrap(), "= done: 1 turn, 0.0 s, $0.0000");
        let mut transcript = Agent::Claude.transcript();
        transcript.push(line);
        let (reading, now) = (transcript.finish(), Timestamp(0));
        assert_eq!(reading.report().session_id.as_deref(), Some("3f22"));
        let status = Some(ExitStatus::Code(0));
        let end = CommandEnd::new(EndCause::Finished, status, now);
        let ended = EndedRun { end: &end, reading: &reading, stderr: "", now, zone: |_| None };
        assert_eq!(dialect.outcome(&ended), TryOutcome::Succeeded);
    }

    #[test]
    fn advice_for_a_plain_command_names_no_agent() {
        let (missing, spec) = (TryOutcome::NotExecuted("cannot execute `sh`".into()), "SD979".parse().unwrap());
        assert!(advice(&missing, Some(Agent::Claude), &spec).unwrap().contains("Claude Code"));
        assert!(!advice(&missing, None, &spec).unwrap().contains("Claude Code"));
    }
}
