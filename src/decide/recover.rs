//! What a daemon makes of a command that it finds: the crash protocol's table.
//!
//! The order in which the evidence comes about is: claim committed, lock locked by the daemon, supervisor spawned with
//! it, `started` there, exec, wait, tree swept, its work durable, `exit` durable, lock released.
//!
//! | lock | `exit` | `started` | meaning | then |
//! | --- | --- | --- | --- | --- |
//! | held | | | the supervisor lives | adopt |
//! | free | yes, undamaged | | it ended while no daemon ran | record |
//! | free | no | no | nothing was ever executed | spawn again, same attempt, same try |
//! | free | no | removed, and something carries the marker | only records and lock went | wait for a supervisor that lives |
//! | free | no | removed while its supervisor lived | both died, or its end could not be recorded | sweep, then lost |
//! | free | no | no, begun under another boot | `started` may have been lost with the power | lost |
//! | free | no | damaged, same boot | something was executed | sweep by the marker, then lost |
//! | free | no | yes, other boot | reboot, power cut | lost |
//! | free | no | yes, same boot, command lives | only the supervisor died | end its tree, then lost |
//! | free | no | yes, same boot, command gone | both died | sweep what is left of the tree, then lost |
//!
//! What cannot be verified is left alone and reported, never signalled.

use crate::domain::outcome::CommandEnd;

/// What was found, in the order in which it must be looked at: the lock first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Whether the supervisor's lock is held by somebody.
    pub lock_held: bool,
    /// The exit record.
    pub exit: Option<CommandEnd>,
    /// Whether the machine was started again since the command was recorded as begun.
    pub other_boot: bool,
    /// What is left of a command that was started.
    pub started: Option<Remains>,
    /// Whether its records were removed while its supervisor lived: that there are none says nothing then.
    pub removed: bool,
}

/// What is left of a command that was started and left no exit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// The command itself lives: pid and start time match.
    Alive,
    /// It is gone; others of its tree may live.
    Gone,
}

/// What to do with the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Wait for its supervisor.
    Adopt,
    /// It ended; take its record.
    Record(CommandEnd),
    /// It was never executed: spawn it.
    Spawn,
    /// Its supervisor died: end whatever is left of its tree, then count it as lost.
    SweepThenLost,
    /// It ended with the machine: count it as lost.
    Lost,
}

/// What to do with a command of which `evidence` was found.
pub fn verdict(evidence: Evidence) -> Verdict {
    match evidence {
        Evidence { lock_held: true, .. } => Verdict::Adopt,
        Evidence { exit: Some(end), .. } => Verdict::Record(end),
        Evidence { other_boot: true, .. } => Verdict::Lost,
        Evidence { started: None, removed: false, .. } => Verdict::Spawn,
        Evidence { started: Some(Remains::Alive | Remains::Gone), .. } | Evidence { removed: true, .. } => {
            Verdict::SweepThenLost
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{EndCause, ExitStatus};
    use crate::domain::time::Timestamp;

    #[test]
    fn every_row_of_the_table() {
        let end = CommandEnd {
            cause: EndCause::Finished,
            status: Some(ExitStatus::Code(3)),
            swept: 0,
            ended_at: Timestamp(9),
        };
        let evidence = |lock_held, exit: Option<&CommandEnd>, started| Evidence {
            lock_held,
            exit: exit.cloned(),
            other_boot: false,
            started,
            removed: false,
        };
        let row = |lock_held, exit, started| verdict(evidence(lock_held, exit, started));
        let booted = |exit, started| verdict(Evidence { other_boot: true, ..evidence(false, exit, started) });
        assert_eq!(row(true, None, None), Verdict::Adopt);
        assert_eq!(row(true, Some(&end), Some(Remains::Gone)), Verdict::Adopt);
        assert_eq!(row(false, Some(&end), Some(Remains::Gone)), Verdict::Record(end.clone()));
        assert_eq!(booted(Some(&end), Some(Remains::Gone)), Verdict::Record(end.clone()));
        assert_eq!(row(false, None, None), Verdict::Spawn);
        assert_eq!(booted(None, Some(Remains::Gone)), Verdict::Lost);
        assert_eq!(booted(None, None), Verdict::Lost);
        assert_eq!(row(false, None, Some(Remains::Alive)), Verdict::SweepThenLost);
        assert_eq!(row(false, None, Some(Remains::Gone)), Verdict::SweepThenLost);
        let removed = |exit| verdict(Evidence { removed: true, ..evidence(false, exit, None) });
        assert_eq!(removed(None), Verdict::SweepThenLost);
        assert_eq!(removed(Some(&end)), Verdict::Record(end.clone()));
    }
}
