//! Reads positions that version 0.1.0 stored.
//!
//! In that format, the fields `awaiting` (whether a command is running), `boot` and `marker` are not part of
//! the step, and causes are stored as words.

use serde::Deserialize;

use super::cause::{Cause, Unmerged};
use super::failure::Failure;
use super::position::{
    Checkout, CommandStage, Delivered, Ending, GitStage, Merge, Position, Progress, RunningCommand, Stage, Step, Try,
    Verify,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PositionV1 {
    step: StepV1,
    commands: u32,
    awaiting: bool,
    boot: Option<String>,
    #[serde(default)]
    marker: Option<String>,
    origin: Option<String>,
    head: Option<String>,
    first_try: u32,
    failure: Option<Failure>,
    verified: Option<String>,
    #[serde(default)]
    cut_off: u32,
    #[serde(default)]
    deaths: u32,
}

#[derive(Deserialize)]
#[serde(tag = "at", rename_all = "snake_case", deny_unknown_fields)]
enum StepV1 {
    Prepare { laying: Checkout, then: Option<Box<StepV1>> },
    Act { task: usize, try_number: u32 },
    Capture { task: usize, try_number: u32 },
    Check { task: usize, try_number: u32, candidate: Option<String>, index: usize },
    Advance { task: usize, try_number: u32, candidate: Option<String> },
    FinalCheck { index: usize },
    Deliver { round: u32 },
    DeliverCheck { round: u32, from: String, head: String, index: usize },
    Land { round: u32, from: String, head: String },
    Close { ending: EndingV1 },
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum EndingV1 {
    Completed { delivery: Option<DeliveryV1>, reason: Option<String> },
    Failed { task: Option<usize>, reason: String },
    Canceled,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeliveryV1 {
    Branch,
    Merged,
    Unmerged,
}

/// A step of version 0.1.0, converted to the current types, without its running command.
enum Goal {
    Stage(Stage),
    Close(Ending),
    Prepare(Checkout, Option<Stage>),
}

/// Reads a position of version 0.1.0.
pub(super) fn read(value: serde_json::Value) -> Result<Position, String> {
    let old: PositionV1 = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let progress = Progress {
        repository: None,
        commands: old.commands,
        last_boot: old.boot.clone(),
        origin: old.origin,
        head: old.head,
        first_try: old.first_try,
        failure: old.failure,
        verified: old.verified,
        cut_offs: old.cut_off,
        deaths: old.deaths,
        cuts: 0,
        session: None,
        next_try_at: None,
        landing: None,
    };
    let step = match goal(old.step)? {
        Goal::Stage(Stage::Command(stage)) if old.awaiting => {
            // Without the marker, boi could not identify the processes of the running command.
            let marker =
                old.marker.filter(|marker| !marker.is_empty()).ok_or("it has a running command without a marker")?;
            // A command whose boot is unknown is treated as a command of an earlier boot.
            Step::Command { stage, command: RunningCommand { boot: old.boot.unwrap_or_default(), marker } }
        }
        // The command has ended, but the spec was not given back to the queue: the attempt continues as after
        // a stop.
        Goal::Stage(stage @ Stage::Command(_)) => return Ok(progress.resume_at(stage)),
        Goal::Stage(Stage::Git(stage)) => Step::Git(stage),
        Goal::Close(ending) => Step::Close(ending),
        Goal::Prepare(checkout, then) => Step::Prepare { checkout, then },
    };
    Ok(Position { step, progress })
}

/// Reads a step that version 0.1.0 stored in the queue's table of commands. Such a step is never `prepare` or
/// `close`.
pub(super) fn stage(value: serde_json::Value) -> Result<Stage, String> {
    match goal(serde_json::from_value(value).map_err(|error| error.to_string())?)? {
        Goal::Stage(stage) => Ok(stage),
        Goal::Close(_) | Goal::Prepare(..) => Err("a step `prepare` or `close` has no command".to_owned()),
    }
}

fn goal(step: StepV1) -> Result<Goal, String> {
    let of = |task, try_number| Try { task, number: try_number };
    let command = |stage| Goal::Stage(Stage::Command(stage));
    let git = |stage| Goal::Stage(Stage::Git(stage));
    Ok(match step {
        StepV1::Prepare { laying, then } => match then.map(|then| goal(*then)).transpose()? {
            None => Goal::Prepare(laying, None),
            Some(Goal::Stage(stage)) => Goal::Prepare(laying, Some(stage)),
            Some(Goal::Close(ending)) => Goal::Close(ending),
            Some(Goal::Prepare(..)) => return Err("`prepare` is followed by another `prepare`".to_owned()),
        },
        StepV1::Act { task, try_number } => command(CommandStage::Act(of(task, try_number))),
        StepV1::Capture { task, try_number } => git(GitStage::Capture(of(task, try_number))),
        StepV1::Check { task, try_number, candidate, index } => {
            command(CommandStage::Verify(Verify::Task { of: of(task, try_number), candidate, index }))
        }
        StepV1::Advance { task, try_number, candidate } => {
            git(GitStage::Advance { of: of(task, try_number), candidate })
        }
        StepV1::FinalCheck { index } => command(CommandStage::Verify(Verify::Spec { index })),
        StepV1::Deliver { round } => git(GitStage::Deliver { round }),
        StepV1::DeliverCheck { round, from, head, index } => {
            command(CommandStage::Verify(Verify::Merge { merge: Merge { round, from, head }, index }))
        }
        StepV1::Land { round, from, head } => git(GitStage::Land(Merge { round, from, head })),
        StepV1::Close { ending } => Goal::Close(match ending {
            EndingV1::Completed { delivery, reason } => Ending::Completed(match delivery {
                None => Delivered::Nothing,
                Some(DeliveryV1::Branch) => Delivered::Branch,
                Some(DeliveryV1::Merged) => Delivered::Merged,
                Some(DeliveryV1::Unmerged) => {
                    Delivered::Unmerged(Unmerged::Recorded { words: reason.unwrap_or_default() })
                }
            }),
            EndingV1::Failed { task, reason } => Ending::Failed(Cause::Recorded {
                words: task.map_or(reason.clone(), |task| format!("task {}: {reason}", task + 1)),
            }),
            EndingV1::Canceled => Ending::Canceled,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(step: &str, awaiting: bool) -> Result<Position, String> {
        let text = format!(
            r#"{{"step":{step},"commands":3,"awaiting":{awaiting},"boot":"b","marker":"m","origin":"o","head":"h",
                "first_try":2,"failure":{{"what":"verify command failed","command":"v","how":"exit code 1","output":"x"}},
                "verified":"v","cut_off":1,"deaths":2}}"#
        );
        serde_json::from_str::<Position>(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn each_step_of_version_0_1_0_is_read() {
        let of = Try { task: 1, number: 2 };
        let merge = || Merge { round: 1, from: "f".into(), head: "h".into() };
        let command = |stage| Step::Command { stage, command: RunningCommand { boot: "b".into(), marker: "m".into() } };
        let verify = |verify| command(CommandStage::Verify(verify));
        let table = [
            (r#"{"at":"act","task":1,"try_number":2}"#, true, command(CommandStage::Act(of))),
            (r#"{"at":"capture","task":1,"try_number":2}"#, false, Step::Git(GitStage::Capture(of))),
            (
                r#"{"at":"check","task":1,"try_number":2,"candidate":"c","index":3}"#,
                true,
                verify(Verify::Task { of, candidate: Some("c".into()), index: 3 }),
            ),
            (
                r#"{"at":"advance","task":1,"try_number":2,"candidate":null}"#,
                false,
                Step::Git(GitStage::Advance { of, candidate: None }),
            ),
            (r#"{"at":"final_check","index":1}"#, true, verify(Verify::Spec { index: 1 })),
            (r#"{"at":"deliver","round":1}"#, false, Step::Git(GitStage::Deliver { round: 1 })),
            (
                r#"{"at":"deliver_check","round":1,"from":"f","head":"h","index":0}"#,
                true,
                verify(Verify::Merge { merge: merge(), index: 0 }),
            ),
            (r#"{"at":"land","round":1,"from":"f","head":"h"}"#, false, Step::Git(GitStage::Land(merge()))),
            (
                r#"{"at":"prepare","laying":"clean","then":null}"#,
                false,
                Step::Prepare { checkout: Checkout::Clean, then: None },
            ),
            (
                r#"{"at":"prepare","laying":"as_it_is","then":{"at":"act","task":1,"try_number":2}}"#,
                false,
                Step::Prepare { checkout: Checkout::AsItIs, then: Some(Stage::Command(CommandStage::Act(of))) },
            ),
            (
                r#"{"at":"close","ending":{"kind":"completed","delivery":"unmerged","reason":"dirty"}}"#,
                false,
                Step::Close(Ending::Completed(Delivered::Unmerged(Unmerged::Recorded { words: "dirty".into() }))),
            ),
            (
                r#"{"at":"close","ending":{"kind":"failed","task":0,"reason":"r"}}"#,
                false,
                Step::Close(Ending::Failed(Cause::Recorded { words: "task 1: r".into() })),
            ),
            (r#"{"at":"close","ending":{"kind":"canceled"}}"#, false, Step::Close(Ending::Canceled)),
        ];
        for (text, awaiting, step) in table {
            let read = position(text, awaiting).unwrap();
            assert_eq!(read.step, step, "{text}");
            let progress = &read.progress;
            assert_eq!(progress.failure.as_ref().unwrap().sentence(), "verify command failed (`v`): exit code 1");
            let expected = Progress {
                repository: None,
                commands: 3,
                last_boot: Some("b".into()),
                origin: Some("o".into()),
                head: Some("h".into()),
                first_try: 2,
                failure: progress.failure.clone(),
                verified: Some("v".into()),
                cut_offs: 1,
                deaths: 2,
                cuts: 0,
                session: None,
                next_try_at: None,
                landing: None,
            };
            assert_eq!(*progress, expected);
        }
    }

    #[test]
    fn an_interrupted_command_is_resumed_and_unknown_steps_and_fields_are_refused() {
        let act = r#"{"at":"act","task":0,"try_number":1}"#;
        let resumed = position(act, false).unwrap();
        assert!(matches!(resumed.step, Step::Prepare { checkout: Checkout::AsItIs, then: Some(Stage::Command(_)) }));
        assert!(position(r#"{"at":"plan"}"#, false).unwrap_err().contains("plan"));
        assert!(position(r#"{"at":"act","task":0,"try_number":1,"more":1}"#, true).unwrap_err().contains("more"));
        let step = serde_json::from_str(act).unwrap();
        assert_eq!(stage(step), Ok(Stage::Command(CommandStage::Act(Try { task: 0, number: 1 }))));
        assert!(stage(serde_json::json!({"at": "close", "ending": {"kind": "canceled"}})).is_err());
    }
}
