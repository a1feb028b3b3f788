//! Landers in `boi status`.

use crate::domain::id::SpecId;
use crate::domain::text;
use crate::domain::view::{BatchVerifyView, LanderStep, LanderView};
use crate::ui::times::clock_time;

/// The most specs of a batch that are named.
const NAMED: usize = 8;
/// The width of a verify command, in terminal columns.
const COMMAND: usize = 60;

/// Describes a lander in one line: the base, what the lander does, and with which specs.
pub(super) fn lander_line(lander: &LanderView) -> String {
    let LanderView { id, repo, base, step, verify, batch, waiting, starts_at } = lander;
    let specs = |count: u64| if count == 1 { "1 spec".to_owned() } else { format!("{count} specs") };
    let members = format!("{} ({})", specs(batch.len() as u64), names(batch));
    let what = match (step, verify, starts_at) {
        (LanderStep::Waiting, _, Some(at)) => format!("starts again at {}", clock_time(*at)),
        (LanderStep::Waiting, _, None) => "not running".to_owned(),
        (LanderStep::Building, ..) => "building a batch".to_owned(),
        (LanderStep::Verifying, Some(BatchVerifyView { command, number, count }), _) => {
            let command = text::fit(&text::one_line(command, COMMAND), COMMAND);
            format!("verifying {members}: `{command}`, command {number} of {count}")
        }
        (LanderStep::Verifying, None, _) => format!("verifying {members}"),
        (LanderStep::Landing, ..) => format!("landing {members}"),
        (LanderStep::Ending, ..) => "ending".to_owned(),
    };
    let more = match (waiting, batch.is_empty()) {
        (0, _) => String::new(),
        (count, true) => {
            format!("; {} to land", if *count == 1 { "1 spec waits".into() } else { format!("{count} specs wait") })
        }
        (count, false) => format!("; {count} more to land"),
    };
    format!("lander: {id}, into {base} of {repo}: {what}{more}")
}

fn names(batch: &[SpecId]) -> String {
    let named: Vec<&str> = batch.iter().take(NAMED).map(SpecId::as_str).collect();
    match batch.len().saturating_sub(NAMED) {
        0 => named.join(" "),
        more => format!("{} and {more} more", named.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lander(step: LanderStep, batch: u16, waiting: u64) -> LanderView {
        LanderView {
            id: "L0A1B".parse().unwrap(),
            repo: "/r".into(),
            base: "main".into(),
            step,
            verify: None,
            batch: (1..=batch).map(|number| format!("S{number:04X}").parse().unwrap()).collect(),
            waiting,
            starts_at: None,
        }
    }

    #[test]
    fn a_lander_names_its_base_its_step_and_its_batch() {
        let verify = Some(BatchVerifyView { command: "cargo test".into(), number: 1, count: 2 });
        let verifying = LanderView { verify, ..lander(LanderStep::Verifying, 2, 3) };
        let lines = [
            lander_line(&lander(LanderStep::Building, 0, 1)),
            lander_line(&verifying),
            lander_line(&lander(LanderStep::Landing, 10, 0)),
            lander_line(&lander(LanderStep::Waiting, 0, 2)),
        ];
        let expected = [
            "lander: L0A1B, into main of /r: building a batch; 1 spec waits to land",
            "lander: L0A1B, into main of /r: verifying 2 specs (S0001 S0002): `cargo test`, command 1 of 2; 3 more to land",
            "lander: L0A1B, into main of /r: landing 10 specs (S0001 S0002 S0003 S0004 S0005 S0006 S0007 S0008 and 2 more)",
            "lander: L0A1B, into main of /r: not running; 2 specs wait to land",
        ];
        assert_eq!(lines, expected);
    }
}
