//! An attempt: one worker's go at a spec, and where it stands.
//!
//! A worker is always at one [`Step`]; its [`Position`] is durable, so that the next daemon rebuilds the worker from it.
//! What each step does and which one follows is decided in `decide::step`:
//!
//! ```text
//! Prepare ─▶ Act ─▶ Capture ─▶ Check* ─▶ Advance ─┬─▶ Act of the next task
//!             ▲        │          │               └─▶ FinalCheck* ─▶ Deliver ⇄ DeliverCheck* ─▶ Land ─▶ Close
//!             └────────┴──────────┘ next try, else Close(failed)
//! ```

use serde::{Deserialize, Serialize};

use super::outcome::{Delivery, Failure};

/// Where a spec is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecStatus {
    /// Waits for a slot, for other specs or for a time.
    Queued,
    /// Has a worker.
    Running,
    /// Every task is done.
    Completed,
    /// Ended without completing; `boi retry` queues it again.
    Failed,
    /// Ended by the user.
    Canceled,
}

impl SpecStatus {
    /// All of them, in the order of a spec's life.
    pub const ALL: [SpecStatus; 5] =
        [SpecStatus::Queued, SpecStatus::Running, SpecStatus::Completed, SpecStatus::Failed, SpecStatus::Canceled];

    /// Its name, in the database, in JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            SpecStatus::Queued => "queued",
            SpecStatus::Running => "running",
            SpecStatus::Completed => "completed",
            SpecStatus::Failed => "failed",
            SpecStatus::Canceled => "canceled",
        }
    }

    /// Whether nothing more happens to it unless the user asks.
    pub fn is_ended(self) -> bool {
        !matches!(self, SpecStatus::Queued | SpecStatus::Running)
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<SpecStatus> {
        SpecStatus::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    Pending,
    /// Its current try runs or is being verified.
    Running,
    /// Verified, and committed if it changed anything.
    Done,
    /// Out of tries.
    Failed,
    /// Not reached, because its spec ended before.
    Skipped,
}

impl TaskStatus {
    /// Its name, in the database, in JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Pending => "pending",
            TaskStatus::Running => "running",
            TaskStatus::Done => "done",
            TaskStatus::Failed => "failed",
            TaskStatus::Skipped => "skipped",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<TaskStatus> {
        [TaskStatus::Pending, TaskStatus::Running, TaskStatus::Done, TaskStatus::Failed, TaskStatus::Skipped]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// What an operator wants of a running attempt. Committed before anyone is signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// End it; the spec is canceled.
    Cancel,
    /// End its command; the spec is queued again and goes on where it was.
    Stop,
}

/// Where a worker stands: complete enough to rebuild the worker from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// What is being done.
    pub step: Step,
    /// The last command's number; commands are numbered from 1 in each attempt.
    pub commands: u32,
    /// Whether command number `commands` has begun for this step, and its end is to be waited for.
    pub awaiting: bool,
    /// The boot of the machine under which that command began.
    pub boot: Option<String>,
    /// What that command and all that descends from it carry in their environment.
    #[serde(default)]
    pub marker: Option<String>,
    /// The commit that the branch stood on before anything was done; `None` without a repository or before `Prepare`.
    pub origin: Option<String>,
    /// The commit that the branch stands on now: the base of the current task.
    pub head: Option<String>,
    /// The number of the first try that this attempt made for the current task.
    pub first_try: u32,
    /// What the next prompt carries.
    pub failure: Option<Failure>,
    /// The commit on which the spec's own verify commands passed.
    pub verified: Option<String>,
    /// How often in a row its command was ended from outside.
    #[serde(default)]
    pub cut_off: u32,
    /// How often in a row its command died: with its supervisor, with the machine, or of a signal.
    #[serde(default)]
    pub deaths: u32,
}

/// How the worktree is laid before an attempt's first command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Laying {
    /// At the last finished task, clean: what an earlier attempt left is kept under a ref.
    Clean,
    /// As it is: the attempt goes on after a stop.
    AsItIs,
}

/// One step of a worker. `task` is the task's index in its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Step {
    /// The worktree is laid.
    Prepare {
        /// How.
        laying: Laying,
        /// What follows; `None`: the first task that is not done.
        then: Option<Box<Step>>,
    },
    /// A try: the agent or the `run` command.
    Act {
        /// Which task.
        task: usize,
        /// Which try of it.
        try_number: u32,
    },
    /// What the try left becomes a candidate commit.
    Capture {
        /// Which task.
        task: usize,
        /// Which try of it.
        try_number: u32,
    },
    /// A verify command of the task.
    Check {
        /// Which task.
        task: usize,
        /// Which try of it.
        try_number: u32,
        /// What the try left; `None`: it changed nothing.
        candidate: Option<String>,
        /// Which of the task's verify commands.
        index: usize,
    },
    /// The branch moves to the verified candidate, and the worktree with it.
    Advance {
        /// Which task.
        task: usize,
        /// Which try of it.
        try_number: u32,
        /// Where to; `None`: the branch stays.
        candidate: Option<String>,
    },
    /// A verify command of the spec, on the committed tree.
    FinalCheck {
        /// Which of the spec's verify commands.
        index: usize,
    },
    /// The base is brought into the branch, as far as needed for a fast-forward of the base.
    Deliver {
        /// How often the base has moved meanwhile.
        round: u32,
    },
    /// A verify command of the spec, on the merged tree.
    DeliverCheck {
        /// As in `Deliver`.
        round: u32,
        /// Where the base stood.
        from: String,
        /// The merge that is being verified.
        head: String,
        /// Which of the spec's verify commands.
        index: usize,
    },
    /// The base moves by fast-forward.
    Land {
        /// As in `Deliver`.
        round: u32,
        /// Where the base stands.
        from: String,
        /// Where it goes.
        head: String,
    },
    /// The worktree goes or stays, and the spec ends.
    Close {
        /// How.
        ending: Ending,
    },
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ending {
    /// Every task is done.
    Completed {
        /// What became of the result; `None` without a repository.
        delivery: Option<Delivery>,
        /// Why it is unmerged.
        reason: Option<String>,
    },
    /// It cannot go on.
    Failed {
        /// The task that failed, where one did.
        task: Option<usize>,
        /// Why, in words.
        reason: String,
    },
    /// The user ended it.
    Canceled,
}

impl Step {
    /// Whether the step is a command under a supervisor.
    pub fn is_command(&self) -> bool {
        matches!(self, Step::Act { .. } | Step::Check { .. } | Step::FinalCheck { .. } | Step::DeliverCheck { .. })
    }
}

impl Position {
    /// Where a new attempt begins, at the branch's `head` after `origin` if the spec was begun before.
    pub fn start(origin: Option<String>, head: Option<String>) -> Position {
        Position {
            step: Step::Prepare { laying: Laying::Clean, then: None },
            commands: 0,
            awaiting: false,
            boot: None,
            marker: None,
            origin,
            head,
            first_try: 1,
            failure: None,
            verified: None,
            cut_off: 0,
            deaths: 0,
        }
    }

    /// Where the attempt goes on after a stop: the same step, in the tree as it is, with a command of its own.
    pub fn resumed(self) -> Position {
        let then = match self.step {
            Step::Prepare { .. } => return self,
            step => Some(Box::new(step)),
        };
        Position { step: Step::Prepare { laying: Laying::AsItIs, then }, awaiting: false, ..self }
    }
}
