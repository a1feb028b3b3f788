//! The report of `boi report`: what ended in a time, what needs the user, and what is to be reviewed. `boi report
//! --json` prints these types as JSON. Field names are stable, since scripts read them.

use serde::Serialize;

use super::id::SpecId;
use super::outcome::{MergedBy, Usage};
use super::time::Timestamp;

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// When the report was made.
    pub at: Timestamp,
    /// The beginning of the reported time. Its end is `at`.
    pub since: Timestamp,
    /// When the first of the reported specs was started within the reported time; `None`: none was.
    pub began_at: Option<Timestamp>,
    /// When the last of the reported specs ended; `None`: one is still running, or none was started.
    pub ended_at: Option<Timestamp>,
    /// The time in which specs ran, from `began_at` to `ended_at` or to now, in milliseconds.
    pub wall_ms: u64,
    /// The sums over everything that is reported.
    pub totals: Totals,
    /// What waits for the user, the most urgent first.
    pub needs_you: Vec<Need>,
    /// The completed specs whose branch is to be reviewed, the smallest first.
    pub to_review: Vec<Review>,
    /// How many more branches are to be reviewed, of specs that ended before `since`.
    pub older_to_review: u64,
    /// The completed specs whose branch was merged.
    pub merged: Vec<Merged>,
    /// The completed specs without anything to review: without a repository, or whose commands changed no file.
    pub done: Vec<SpecLine>,
    /// The specs that the user canceled.
    pub canceled: Vec<SpecLine>,
    /// The specs that the user dropped.
    pub dropped: Vec<SpecLine>,
    /// What has not ended.
    pub open: Open,
    /// Whether more specs ended in the reported time than the report contains. It contains the last ones.
    pub more: bool,
}

/// The sums over everything that is reported.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct Totals {
    /// How many specs ended.
    pub specs: usize,
    /// How many of them are completed but could not be merged.
    pub unmerged: usize,
    /// How many of them failed.
    pub failed: usize,
    /// The number of different causes for which they failed.
    pub causes: usize,
    /// How many of them completed although an agent changed no file, and have no commit.
    pub unchanged: usize,
    /// How many of them are to be reviewed.
    pub to_review: usize,
    /// How many of them are merged.
    pub merged: usize,
    /// How many of them completed and have nothing to review.
    pub done: usize,
    /// How many of them the user canceled.
    pub canceled: usize,
    /// How many of them the user dropped.
    pub dropped: usize,
    /// What all runs of agents used that ended in the reported time.
    pub usage: Usage,
    /// The same for each agent.
    pub agents: Vec<AgentUsage>,
    /// The branches into which specs were merged.
    pub bases: Vec<BaseMove>,
}

/// What the runs of one agent used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AgentUsage {
    /// The agent's name.
    pub agent: String,
    /// What its runs used.
    pub usage: Usage,
}

/// A branch into which specs were merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BaseMove {
    /// The repository.
    pub repo: String,
    /// The name of the branch.
    pub base: String,
    /// How many of the reported specs were merged into it.
    pub specs: usize,
    /// How many commits it gained in the reported time, whoever made them; `None`: git cannot tell.
    pub commits: Option<u64>,
}

/// Something that waits for the user. `next` is the command to run next.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Need {
    /// boi starts nothing: the queue cannot be used, is paused, or has no slots.
    NothingStarts {
        /// Why, in words.
        reason: String,
        /// The next command; `None`: `reason` says what to do.
        next: Option<String>,
    },
    /// The configuration file is not valid.
    ConfigRejected {
        /// The errors.
        errors: Vec<String>,
        /// The next command.
        next: String,
    },
    /// An agent is held.
    Held {
        /// The agent's name.
        agent: String,
        /// Why it is held, in words, with what the user can do.
        reason: String,
        /// When the hold ends or a probe starts; `None`: only the user ends the hold.
        until: Option<Timestamp>,
        /// The next command.
        next: String,
    },
    /// A completed spec could not be merged.
    Unmerged {
        /// The spec.
        spec: SpecLine,
        /// Why, in words, with what the user can do.
        reason: String,
        /// The specs that wait for its merge.
        stops: Vec<SpecId>,
        /// The next command.
        next: String,
    },
    /// Specs failed for the same cause.
    Failed {
        /// The cause in words.
        cause: String,
        /// The last line that the failed command of the first spec printed.
        output: Option<String>,
        /// What the user can do, if boi knows it.
        advice: Option<String>,
        /// The specs.
        specs: Vec<SpecLine>,
        /// The specs that failed because they waited for one of these.
        stops: Vec<SpecId>,
        /// The next command.
        next: String,
    },
    /// A spec completed, but its agent changed no file.
    NoChanges {
        /// The spec.
        spec: SpecLine,
        /// The agent's last message.
        message: Option<String>,
        /// Whether the message ends with a question.
        asks: bool,
        /// The next command.
        next: String,
    },
    /// A spec waits until the user acts.
    Blocked {
        /// The spec.
        spec: SpecLine,
        /// Why, in words, with what the user can do.
        reason: String,
        /// The next command.
        next: String,
    },
}

/// What every list shows of a spec.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SpecLine {
    /// The spec.
    pub id: SpecId,
    /// The user's title.
    pub title: String,
    /// The repository; `None`: the spec has none.
    pub repo: Option<String>,
    /// The branch with the result.
    pub branch: Option<String>,
    /// The largest number of tries that one of its tasks needed.
    pub tries: u32,
    /// The same in the last attempt of each task.
    pub attempt_tries: u32,
    /// How many tries a task has in one attempt; `None`: unknown.
    pub max_tries: Option<u32>,
    /// What its agents used in all attempts together.
    pub usage: Usage,
    /// When the spec ended.
    pub finished_at: Option<Timestamp>,
}

/// A completed spec whose branch is to be reviewed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Review {
    /// The spec.
    #[serde(flatten)]
    pub spec: SpecLine,
    /// How many of its tasks made a commit.
    pub commits: usize,
    /// The size of its changes; `None`: git cannot tell.
    pub diff: Option<DiffSize>,
    /// The spec on whose branch it builds, if that branch is not merged yet.
    pub on: Option<SpecId>,
    /// The other unmerged branches that change a file which this one changes.
    pub overlaps: Vec<Overlap>,
}

/// The size of a difference between two commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub(crate) struct DiffSize {
    /// How many files differ.
    pub files: u64,
    /// How many lines were added.
    pub added: u64,
    /// How many lines were deleted.
    pub deleted: u64,
    /// How many of the files are binary. Their lines are not counted.
    pub binary: u64,
}

impl DiffSize {
    /// Returns the size of the changes of these files.
    pub(crate) fn of(files: &[FileChange]) -> DiffSize {
        let mut size = DiffSize::default();
        for file in files {
            size.files += 1;
            match file.lines {
                Some((added, deleted)) => (size.added, size.deleted) = (size.added + added, size.deleted + deleted),
                None => size.binary += 1,
            }
        }
        size
    }

    /// Returns the number of changed lines.
    pub(crate) fn lines(&self) -> u64 {
        self.added + self.deleted
    }
}

/// A file that a branch changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileChange {
    /// The path in the repository. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// How many lines were added and deleted; `None`: the file is binary.
    pub lines: Option<(u64, u64)>,
}

/// Another unmerged branch that changes the same files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Overlap {
    /// The spec of the other branch.
    pub id: SpecId,
    /// The first few of the files.
    pub files: Vec<String>,
    /// How many files both change.
    pub count: usize,
}

/// A completed spec whose branch was merged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Merged {
    /// The spec.
    #[serde(flatten)]
    pub spec: SpecLine,
    /// The branch that it was merged into; `None`: unknown.
    pub base: Option<String>,
    /// Who merged it.
    pub by: MergedBy,
}

/// What has not ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct Open {
    /// The running specs.
    pub running: Vec<Running>,
    /// How many specs wait.
    pub queued: u64,
    /// The specs that run next.
    pub next: Vec<Waiting>,
}

/// A running spec.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Running {
    /// The spec.
    pub id: SpecId,
    /// The user's title.
    pub title: String,
    /// The id of its current task.
    pub task: Option<String>,
    /// The number of the current try.
    pub number: u32,
    /// When its worker started.
    pub since: Option<Timestamp>,
    /// What its agents used so far.
    pub usage: Usage,
    /// Why it makes no progress, in words.
    pub reason: Option<String>,
}

/// A waiting spec.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Waiting {
    /// The spec.
    pub id: SpecId,
    /// The user's title.
    pub title: String,
    /// Why it waits, in words; `None`: for a free slot.
    pub reason: Option<String>,
}
