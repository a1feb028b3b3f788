//! What the user can do with the result of a spec: the end of `boi status ID`.

use super::overview::changed_nothing;
use super::units::counted;
use crate::domain::cause::Cause;
use crate::domain::life::SpecStatus;
use crate::domain::outcome::Delivery;
use crate::domain::report::DiffSize;
use crate::domain::view::SpecView;

/// Returns the size of a result: `3 commits, 4 files, +52 -7`.
pub(super) fn size(spec: &SpecView, diff: Option<DiffSize>) -> String {
    let commits = spec.tasks.iter().filter(|task| task.commit.is_some()).count() as u64;
    let mut parts = vec![counted(commits, "commit")];
    if let Some(diff) = diff {
        parts.push(counted(diff.files, "file"));
        parts.push(format!("+{} -{}", diff.added, diff.deleted));
        if diff.binary > 0 {
            parts.push(format!("{} binary", diff.binary));
        }
    }
    parts.join(", ")
}

/// Returns what can be done next, each with its command; empty if nothing is left to do.
pub(super) fn steps(spec: &SpecView) -> Vec<(&'static str, String)> {
    let id = &spec.id;
    let look = ("look", format!("boi diff {id}"));
    let send_back = ("send back", format!("boi retry {id} --note TEXT"));
    let drop = ("drop", format!("boi drop {id}"));
    if let (SpecStatus::Failed, Some(Cause::DependencyEnded { spec: first, status })) = (spec.status, &spec.cause) {
        // The spec has not run, so there is nothing to look at.
        return match status {
            SpecStatus::Dropped => {
                vec![("restore", format!("boi drop --undo {first}")), ("try again", format!("boi retry {id}")), drop]
            }
            _ => vec![("try again", format!("boi retry {first}")), drop],
        };
    }
    match (spec.status, spec.delivery) {
        (SpecStatus::Queued | SpecStatus::Running, _) => Vec::new(),
        (SpecStatus::Dropped, _) => vec![look, ("take back", format!("boi drop --undo {id}"))],
        (_, Some(Delivery::Waiting | Delivery::Landing)) => vec![look, ("wait", format!("boi wait {id}"))],
        (SpecStatus::Completed, _) if changed_nothing(spec) => vec![send_back, drop],
        (SpecStatus::Completed, Some(Delivery::Branch)) if spec.branch.is_some() => {
            vec![look, ("merge", format!("boi merge {id}")), send_back, drop]
        }
        (SpecStatus::Completed, Some(Delivery::Unmerged)) => {
            let correct = ("correct", format!("boi open {id}"));
            vec![look, correct, ("merge", format!("boi merge {id}")), send_back, drop]
        }
        (SpecStatus::Completed, Some(Delivery::Branch | Delivery::Merged) | None) => Vec::new(),
        (SpecStatus::Failed | SpecStatus::Canceled, Some(Delivery::Merged)) => Vec::new(),
        (SpecStatus::Failed | SpecStatus::Canceled, _) => {
            let look = ("look", format!("boi log {id}"));
            let merge = ("merge", format!("boi merge --force {id}, when the reason is fixed"));
            let merge = Some(merge).filter(|_| spec.delivery == Some(Delivery::Unmerged));
            [look, ("try again", format!("boi retry {id}"))].into_iter().chain(merge).chain([send_back, drop]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::life::TaskStatus;
    use crate::domain::outcome::Usage;
    use crate::domain::view::TaskView;
    use crate::ui::sample;

    fn spec(status: SpecStatus, delivery: Option<Delivery>, commit: Option<&str>) -> SpecView {
        let mut spec = sample::spec(1, status, "t");
        (spec.repo, spec.branch, spec.delivery) = (Some("/r".into()), Some("boi/S0001".into()), delivery);
        spec.tasks = vec![TaskView {
            id: "t-1".into(),
            title: "t".into(),
            status: TaskStatus::Done,
            tries: 1,
            commit: commit.map(str::to_owned),
            unchanged: commit.is_none(),
            usage: Usage::default(),
            history: vec![],
        }];
        spec
    }

    #[test]
    fn each_end_has_its_steps() {
        let names = |spec: &SpecView| steps(spec).iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let done = |delivery| spec(SpecStatus::Completed, delivery, Some("c"));
        assert_eq!(names(&done(Some(Delivery::Branch))), ["look", "merge", "send back", "drop"]);
        assert_eq!(names(&done(Some(Delivery::Unmerged))), ["look", "correct", "merge", "send back", "drop"]);
        assert_eq!(names(&done(Some(Delivery::Merged))), Vec::<&str>::new());
        let forced = spec(SpecStatus::Failed, Some(Delivery::Unmerged), Some("c"));
        assert_eq!(names(&forced), ["look", "try again", "merge", "send back", "drop"]);
        assert_eq!(names(&spec(SpecStatus::Failed, None, Some("c"))), ["look", "try again", "send back", "drop"]);
        assert_eq!(names(&spec(SpecStatus::Running, None, Some("c"))), Vec::<&str>::new());
        assert_eq!(names(&spec(SpecStatus::Completed, Some(Delivery::Branch), None)), ["send back", "drop"]);
    }

    #[test]
    fn a_spec_that_failed_with_its_dependency_is_tried_again_with_it() {
        let mut waits = spec(SpecStatus::Failed, None, None);
        let commands = |spec: &SpecView| steps(spec).into_iter().map(|(_, command)| command).collect::<Vec<_>>();
        let ended = |status| Some(Cause::DependencyEnded { spec: "S0002".parse().unwrap(), status });
        waits.cause = ended(SpecStatus::Failed);
        assert_eq!(commands(&waits), ["boi retry S0002", "boi drop S0001"]);
        waits.cause = ended(SpecStatus::Dropped);
        assert_eq!(commands(&waits), ["boi drop --undo S0002", "boi retry S0001", "boi drop S0001"]);
    }

    #[test]
    fn the_size_has_commits_files_and_lines() {
        let one = spec(SpecStatus::Completed, Some(Delivery::Branch), Some("c"));
        let diff = DiffSize { files: 4, added: 52, deleted: 7, binary: 0 };
        assert_eq!(size(&one, Some(diff)), "1 commit, 4 files, +52 -7");
        assert_eq!(size(&one, Some(DiffSize { binary: 1, ..diff })), "1 commit, 4 files, +52 -7, 1 binary");
        assert_eq!(size(&one, None), "1 commit");
    }
}
