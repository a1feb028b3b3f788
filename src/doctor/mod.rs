//! The checks of `boi doctor`. They find what is wrong with a home or the machine, why it matters, and how to
//! fix it.
//!
//! Invariants:
//! - A check changes nothing; it returns findings as data. The command line prints them.
//! - A finding may carry a remedy, which runs only with `--fix`, right after its check, and loses nothing: it
//!   corrects modes, removes empty folders and stale worktree entries (commits that only the entry holds are
//!   kept under refs), and ends processes that demonstrably belong to a command of an ended spec.
//! - Only problems affect the exit code; a note describes something that is in order.

mod admission;
mod daemon_state;
mod holds;
mod home;
mod hooks;
mod leftovers;
mod machine;
mod queue_log;
mod recorded_specs;
mod repositories;
mod repository_changes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Serialize;

pub(crate) use self::daemon_state::DaemonState;
use self::recorded_specs::RecordedSpecs;
use crate::config::flags::Flags;
use crate::domain::view::ConfigView;
use crate::reload;
use crate::system::home_record;
use crate::system::paths::Home;
use crate::ui::shell;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Something is wrong.
    Problem,
    /// Nothing is wrong; the user may want to know or to act.
    Note,
}

/// One result of a check. The names in JSON are stable.
#[derive(Serialize)]
pub(crate) struct Finding {
    /// A stable name for this kind of finding.
    pub(crate) kind: &'static str,
    pub(crate) level: Level,
    pub(crate) what: String,
    /// The path, variable or limit that the finding is about.
    #[serde(rename = "where")]
    pub(crate) place: String,
    pub(crate) why: String,
    /// How the user can fix the problem.
    #[serde(rename = "mend")]
    pub(crate) advice: String,
    /// What `--fix` did; `None`: `--fix` did nothing.
    #[serde(rename = "mended")]
    pub(crate) fixed: Option<String>,
    #[serde(skip)]
    remedy: Option<Remedy>,
}

/// Fixes a finding: `Ok` says what was done, `Err` why it failed.
type Remedy = Box<dyn FnOnce() -> Result<String, String>>;

/// Records that changes of repositories are settled; `Err` says why that failed.
pub(crate) type Settle = Rc<dyn Fn(Vec<i64>) -> Result<(), String>>;

/// The text of a finding.
struct Text {
    what: String,
    place: String,
    why: String,
    advice: String,
}

impl Finding {
    fn problem(kind: &'static str, text: Text) -> Finding {
        Finding::new(kind, Level::Problem, text)
    }

    fn note(kind: &'static str, text: Text) -> Finding {
        Finding::new(kind, Level::Note, text)
    }

    fn new(kind: &'static str, level: Level, Text { what, place, why, advice }: Text) -> Finding {
        Finding { kind, level, what, place, why, advice, fixed: None, remedy: None }
    }

    fn with_remedy(mut self, remedy: impl FnOnce() -> Result<String, String> + 'static) -> Finding {
        self.remedy = Some(Box::new(remedy));
        self
    }

    fn apply_remedy(&mut self) {
        match self.remedy.take().map(|remedy| remedy()) {
            Some(Ok(done)) => self.fixed = Some(done),
            Some(Err(reason)) => self.advice = format!("{} (--fix failed: {reason})", self.advice),
            None => {}
        }
    }

    /// Returns whether the finding is a problem that was not fixed.
    pub(crate) fn is_open_problem(&self) -> bool {
        self.level == Level::Problem && self.fixed.is_none()
    }
}

/// The home that the checks examine, with its daemon and its service.
pub(crate) struct Subject {
    /// The home, with the paths of its configuration.
    pub(crate) home: Home,
    pub(crate) daemon: DaemonState,
    /// The configuration in the running daemon, if it answers.
    pub(crate) config: Option<ConfigView>,
    /// The file that the running daemon logs to, if it answers and logs to one.
    pub(crate) log: Option<PathBuf>,
    /// Records in the queue that the changes of repositories with these numbers are settled.
    pub(crate) settle: Settle,
    /// The name of the installed service that runs the home's daemon.
    pub(crate) service: Option<&'static str>,
}

/// Runs every check. `fix`: also applies the remedies.
pub(crate) fn examine(subject: &Subject, fix: bool) -> Vec<Finding> {
    let mut examination = Examination { fix, findings: Vec::new() };
    // Read once: the file may be on a file system that does not answer.
    let loaded = reload::load_file(&subject.home.config_file(), &Flags::default());
    examination.add(machine::check(subject, &loaded));
    let config = loaded.as_ref().ok().map(|(loaded, _)| &loaded.config);
    if !subject.home.root().exists() {
        return examination.findings;
    }
    examination.add(home::check_identity(&subject.home).into_iter().collect());
    if home_record::check(&subject.home).is_err() {
        // The records of a copy name processes, worktrees and repositories of the original, so nothing else
        // is fixed.
        examination.fix = false;
    }
    examination.add(daemon_state::check(subject));
    examination.add(home::check(subject));
    if subject.daemon.blocks_queue() {
        // Reading the queue would block this process too.
        return examination.findings;
    }
    examination.add(queue_log::check(subject));
    match RecordedSpecs::read(&subject.home) {
        Ok(None) => examination.add(admission::check(subject, config, &BTreeSet::new())),
        Err(error) => examination.add(vec![recorded_specs::unreadable(&subject.home, &error)]),
        Ok(Some(specs)) => {
            examination.add(leftovers::check_quarantined(subject, &specs));
            examination.add(leftovers::check_running(subject, &specs));
            examination.add(leftovers::check_processes(subject, &specs));
            examination.add(leftovers::check_folders(subject, &specs));
            examination.add(holds::check(&specs));
            examination.add(admission::check(subject, config, &specs.survey.repositories));
            examination.add(hooks::check(&specs));
            examination.add(repository_changes::check(subject, &specs));
            examination.add(repositories::check(subject, &specs));
        }
    }
    examination.findings
}

struct Examination {
    fix: bool,
    findings: Vec<Finding>,
}

impl Examination {
    fn add(&mut self, mut found: Vec<Finding>) {
        if self.fix {
            found.iter_mut().for_each(Finding::apply_remedy);
        }
        self.findings.append(&mut found);
    }
}

/// Returns the last part of a path; for a folder of a spec, this is the spec's id.
fn folder_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Returns a path, quoted for a shell.
fn quote(path: &Path) -> String {
    shell::quote(&path.display().to_string()).into_owned()
}
