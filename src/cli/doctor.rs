//! `boi doctor`: what is off with a home and the machine under it, why that matters and what mends it.
//!
//! A problem is something that should not be so; a note says what is there and what to do when it is not wanted. Only
//! problems count for the exit code. What `--fix` does loses nothing: modes, empty folders, entries of worktrees that are
//! gone (what only they hold is kept under refs), processes that prove to be of a command whose spec has ended.

mod answers;
mod home;
mod machine;
mod queue;
mod repositories;

use serde::Serialize;

use self::queue::Queue;
use super::args::Doctor as Asked;
use super::backend;
use super::{CliError, Context, ExitCode, FAILED, plural, print, print_json};
use crate::daemon::boot;
use crate::system::paths::Home;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// It should not be so.
    Problem,
    /// It is in order, and good to know.
    Note,
}

/// One thing that was found.
#[derive(Debug, Serialize)]
struct Finding {
    /// A stable name of its kind.
    kind: &'static str,
    level: Level,
    what: String,
    #[serde(rename = "where")]
    place: String,
    why: String,
    /// What mends it.
    mend: String,
    /// What was done about it.
    mended: Option<String>,
}

/// A look at one home.
struct Doctor {
    home: Home,
    fix: bool,
    /// Whether a daemon has the home.
    daemon: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    /// Takes down a problem. `attempt` mends it when that is wanted: `Ok` says what was done, `Err` why it could not be.
    fn problem(
        &mut self,
        kind: &'static str,
        [what, place, why, mend]: [String; 4],
        attempt: Option<&dyn Fn() -> Result<String, String>>,
    ) {
        let outcome = attempt.filter(|_| self.fix).map(|attempt| attempt());
        let mut finding = Finding { kind, level: Level::Problem, what, place, why, mend, mended: None };
        match outcome {
            Some(Ok(done)) => finding.mended = Some(done),
            Some(Err(reason)) => finding.mend = format!("{} (--fix could not: {reason})", finding.mend),
            None => {}
        }
        self.findings.push(finding);
    }

    fn note(&mut self, kind: &'static str, [what, place, why, mend]: [String; 4]) {
        self.findings.push(Finding { kind, level: Level::Note, what, place, why, mend, mended: None });
    }
}

/// `boi doctor`.
pub(super) fn doctor(context: Context, asked: Asked) -> Result<ExitCode, CliError> {
    let home = backend::configured(&context.home);
    let daemon = boot::seat_is_taken(&home.pid_file())?;
    let mut doctor = Doctor { home, fix: asked.fix, daemon, findings: Vec::new() };
    doctor.look_at_machine();
    if doctor.home.root().exists() {
        let answers = !daemon || doctor.look_at_daemon();
        doctor.look_at_home();
        if let Some(queue) = answers.then(|| Queue::open(&mut doctor)).flatten() {
            doctor.look_at_running(&queue);
            doctor.look_at_processes(&queue);
            doctor.look_at_folders(&queue);
            doctor.look_at_repositories(&queue);
        }
    }
    let left = doctor.findings.iter().filter(|one| one.level == Level::Problem && one.mended.is_none()).count();
    if asked.json {
        print_json(&serde_json::json!({"ok": left == 0, "daemon": daemon, "findings": doctor.findings}))?;
    } else {
        print(render(&doctor.findings, left, asked.fix).as_bytes())?;
    }
    Ok(if left == 0 { 0 } else { FAILED })
}

fn render(findings: &[Finding], left: usize, fixed: bool) -> String {
    let mut out = String::new();
    for Finding { level, what, place, why, mend, mended, .. } in findings {
        let word = match (level, mended) {
            (_, Some(_)) => "mended",
            (Level::Problem, None) => "problem",
            (Level::Note, None) => "note",
        };
        out.push_str(&format!("{word:<8} {what}\n         where: {place}\n         why:   {why}\n"));
        match mended {
            Some(done) => out.push_str(&format!("         done:  {done}\n")),
            None => out.push_str(&format!("         mend:  {mend}\n")),
        }
    }
    let mended = findings.iter().filter(|finding| finding.mended.is_some()).count();
    match (left, mended) {
        (0, 0) => out.push_str("nothing is off\n"),
        (0, _) => out.push_str(&format!("all {mended} mended\n")),
        (_, 0) => {
            let hint = if fixed { "" } else { "; `boi doctor --fix` mends what can be mended without loss" };
            out.push_str(&format!("{left} problem{}{hint}\n", plural(left)));
        }
        _ => out.push_str(&format!("{left} problem{} left, {mended} mended\n", plural(left))),
    }
    out
}
