//! Decides what a daemon does with a command that an earlier daemon recorded: the table of the crash
//! protocol.
//!
//! A command leaves evidence in this order. The daemon commits the position to the queue, acquires the
//! command's lock, writes `marker` and `request`, and starts the supervisor, which inherits the lock. The
//! supervisor starts a process, which writes `started` and executes the command. The supervisor waits for the
//! command, ends its process tree, syncs the files of work that is to be kept to the disk, writes `exit` and
//! syncs it to the disk, and releases the lock.
//!
//! In the table, `sweep` means: end the remaining processes of the command. `lost` means: count the command
//! as lost.
//!
//! | lock | `exit` | `started` | meaning | action |
//! | --- | --- | --- | --- | --- |
//! | held | | | the supervisor is alive | adopt |
//! | free | yes, undamaged | | the command ended while no daemon ran | use the `exit` record |
//! | free | no | no | the command was never executed | spawn it again, same attempt, same try |
//! | free | no | deleted while the supervisor was alive | both died, or the supervisor could not record the end | sweep, then lost |
//! | free | no | no, position recorded under another boot | `started` may have been lost in a power cut | lost |
//! | free | damaged | no | the command was executed | sweep, then lost |
//! | free | no | damaged, same boot | the command may have been executed | sweep by the marker, then lost |
//! | free | no | yes, other boot | restart of the machine or power cut | lost |
//! | free | no | yes, same boot, command alive | only the supervisor died | sweep, then lost |
//! | free | no | yes, same boot, command ended | both died | sweep, then lost |
//!
//! If the daemon finds a living supervisor by the command's marker, it waits for that supervisor, even if the
//! lock and the records were deleted. The daemon sends no signal to a process that it cannot identify, and
//! reports that process. If a newer version wrote a record, the daemon quarantines the spec instead.

use crate::domain::command::CommandEnd;

/// What the daemon knows about a command that an earlier daemon recorded. The daemon inspects the lock first,
/// and reads the records only if no supervisor holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Whether a supervisor holds the lock.
    pub lock_held: bool,
    /// The exit record; `None` if it is missing or damaged.
    pub exit: Option<CommandEnd>,
    /// Whether the machine was restarted after the command was recorded.
    pub other_boot: bool,
    /// What remains of the command if it was started; `None`: no record shows that the command was started.
    pub started: Option<Remains>,
    /// Whether the command's records were deleted while its supervisor was alive. If so, the command may have
    /// been executed although its records are missing.
    pub removed: bool,
}

/// What remains of a command that was started and has no exit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    /// The command's own process is alive: pid and start time match.
    Alive,
    /// The command's own process has ended; other processes of its tree may be alive.
    Gone,
}

/// What the daemon does with the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Wait for the supervisor, which is alive.
    Adopt,
    /// The command ended: use its exit record.
    Record(CommandEnd),
    /// Spawn the command, which was never executed.
    Spawn,
    /// The supervisor died: end the remaining processes of the command, then count it as lost.
    SweepThenLost,
    /// The machine was restarted: count the command as lost.
    Lost,
}

/// Decides what to do with a command from the evidence.
pub(crate) fn recovery(evidence: Evidence) -> Recovery {
    match evidence {
        Evidence { lock_held: true, .. } => Recovery::Adopt,
        Evidence { exit: Some(end), .. } => Recovery::Record(end),
        Evidence { other_boot: true, .. } => Recovery::Lost,
        Evidence { started: None, removed: false, .. } => Recovery::Spawn,
        Evidence { started: Some(Remains::Alive | Remains::Gone), .. } | Evidence { removed: true, .. } => {
            Recovery::SweepThenLost
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::command::{EndCause, ExitStatus};
    use crate::domain::time::Timestamp;

    #[test]
    fn every_row_of_the_table() {
        let end = CommandEnd::new(EndCause::Finished, Some(ExitStatus::Code(3)), Timestamp(9));
        let evidence = |lock_held, exit: Option<&CommandEnd>, started| Evidence {
            lock_held,
            exit: exit.cloned(),
            other_boot: false,
            started,
            removed: false,
        };
        let row = |lock_held, exit, started| recovery(evidence(lock_held, exit, started));
        let booted = |exit, started| recovery(Evidence { other_boot: true, ..evidence(false, exit, started) });
        assert_eq!(row(true, None, None), Recovery::Adopt);
        assert_eq!(row(true, Some(&end), Some(Remains::Gone)), Recovery::Adopt);
        assert_eq!(row(false, Some(&end), Some(Remains::Gone)), Recovery::Record(end.clone()));
        assert_eq!(booted(Some(&end), Some(Remains::Gone)), Recovery::Record(end.clone()));
        assert_eq!(row(false, None, None), Recovery::Spawn);
        assert_eq!(booted(None, Some(Remains::Gone)), Recovery::Lost);
        assert_eq!(booted(None, None), Recovery::Lost);
        assert_eq!(row(false, None, Some(Remains::Alive)), Recovery::SweepThenLost);
        assert_eq!(row(false, None, Some(Remains::Gone)), Recovery::SweepThenLost);
        let removed = |exit| recovery(Evidence { removed: true, ..evidence(false, exit, None) });
        assert_eq!(removed(None), Recovery::SweepThenLost);
        assert_eq!(removed(Some(&end)), Recovery::Record(end.clone()));
    }

    fn evidence() -> impl Strategy<Value = Evidence> {
        let end = CommandEnd::new(EndCause::Finished, Some(ExitStatus::Code(0)), Timestamp(0));
        let started = prop::sample::select(vec![None, Some(Remains::Alive), Some(Remains::Gone)]);
        (any::<bool>(), any::<bool>(), any::<bool>(), started, any::<bool>()).prop_map(
            move |(lock_held, exit, other_boot, started, removed)| Evidence {
                lock_held,
                exit: exit.then(|| end.clone()),
                other_boot,
                started,
                removed,
            },
        )
    }

    proptest! {
        /// The daemon spawns a command only if no evidence shows that it may have been executed, adopts it
        /// only while the lock is held, and uses the exit record only if there is one.
        #[test]
        fn nothing_that_may_have_run_is_spawned_again(evidence in evidence()) {
            let shows_nothing = evidence.exit.is_none() && evidence.started.is_none() && !evidence.removed;
            let recovery = recovery(evidence.clone());
            prop_assert_eq!(recovery == Recovery::Spawn, !evidence.lock_held && shows_nothing && !evidence.other_boot);
            prop_assert_eq!(recovery == Recovery::Adopt, evidence.lock_held);
            let recorded = matches!(recovery, Recovery::Record(_));
            prop_assert_eq!(recorded, !evidence.lock_held && evidence.exit.is_some());
            if evidence.started == Some(Remains::Alive) && !evidence.lock_held && evidence.exit.is_none() {
                prop_assert_eq!(recovery == Recovery::SweepThenLost, !evidence.other_boot, "a living command is ended");
            }
        }
    }
}
