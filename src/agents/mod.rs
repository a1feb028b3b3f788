//! Coding agents: how boi calls each agent, reads its output, decides the outcome of a try, advises the user
//! about a failure, and shows the output to people. This room is pure: no function starts a process, opens a
//! file or reads a clock.
//!
//! What an agent prints, its [`OutputKind`], selects a [`Dialect`]; each dialect has its own folder. A try
//! uses its agent's dialect in this order: [`Dialect::command_line`] returns the command to execute; a
//! [`Transcript`] reads the output while the command runs; when the command has ended, [`Dialect::diagnose`]
//! decides the outcome of the try from an [`EndedRun`]. If the outcome is a failure, `advice` returns what
//! the user can do. Tasks with a `run` command have no agent: `exit` decides their outcome.
//!
//! Invariant: the outcome of a try depends on how the command ended, on the result that the agent's CLI
//! itself reports and, if the CLI reports no result, on stderr. It never depends on what the model wrote or
//! what a tool printed.

pub(crate) mod exit;
pub(crate) mod prices;

mod advice;
mod claude;
mod codex;
mod credentials;
mod dialect;
mod gemini;
mod json;
mod kind;
mod opencode;
mod reading;
mod reset_time;
mod text;
mod transcript;

pub(crate) use advice::{advice, hold_advice};
pub use credentials::Credentials;
pub use dialect::{Diagnosis, Dialect, EndedRun, PromptVia, Resumed, Run, Session};
pub use kind::{BUILTIN, Builtin, OutputKind, builtin};
pub use reading::Reading;
pub use transcript::Transcript;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{CommandEnd, EndCause, ExitStatus};
    use crate::domain::outcome::TryOutcome;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_run_goes_through_its_dialect() {
        let kind = builtin("claude").unwrap().kind;
        let (command, session) = (["/opt/claude".to_owned()], Session::New("3f22"));
        let run = Run { command: &command, arguments: &[], model: None, session, max_usd: None };
        assert_eq!(kind.dialect().command_line(&run)[..2], ["/opt/claude", "-p"]);
        let line = br#"{"type":"result","subtype":"success","is_error":false,"session_id":"3f22","num_turns":1}"#;
        assert_eq!(kind.dialect().describe(line).unwrap(), "= done: 1 turn, 0.0 s, cost unknown");
        let mut transcript = kind.transcript();
        transcript.push(line);
        let (reading, now) = (transcript.finish(), Timestamp(0));
        assert_eq!(reading.report().session_id.as_deref(), Some("3f22"));
        let status = Some(ExitStatus::Code(0));
        let end = CommandEnd::new(EndCause::Finished, status, now);
        let ended = EndedRun { end: &end, reading: &reading, stderr: "", now, zone: |_| None };
        assert_eq!(kind.dialect().diagnose(&ended).outcome, TryOutcome::Succeeded);
    }
}
