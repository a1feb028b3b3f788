//! How fast boi is, end to end, beside its peers: `cargo bench --bench pace [-- PART...]`.
//!
//! Each part starts real daemons in scratch homes and prints a table of medians with the target next to the figure. The
//! peers are measured in the same run if they are installed: task-spooler (`tsp`), pueue (`pueue` and `pueued`).
//! `BOI_BENCH_BASE` names another `boi`, which is measured too. With `BOI_BENCH_QUICK=1` each part does little, to show
//! that it works; its figures mean nothing.
//!
//! | part | what is measured |
//! | --- | --- |
//! | `dispatch` | `boi dispatch` of one spec; until its command runs; 8 slots filled, unpaced and with the defaults |
//! | `throughput` | 1,000 trivial specs with 8 slots |
//! | `follow` | the throughput while `events -f`, `top`, `status --watch`, `run` and `log -f` follow |
//! | `landing` | 12 specs with a verify command of 2 s that land on one base, with two conflicts and a broken test |
//! | `repository` | specs with a repository of 20, 1,000 and 20,000 files, and the git processes of one |
//! | `deep` | dispatch and status with up to 1,000,000 queued specs; with these, the decision and the claim of a tick |
//! | `ended` | `doctor` and an empty `clean` with 100,000 ended specs |
//! | `idle` | what an idle daemon costs, and a daemon after much work |
//! | `supervisor` | the memory and the wake-ups of the supervisors of 1 and 64 commands that sleep |
//! | `reload` | from the save of the configuration until it is in force, also on a busy machine |

#![expect(clippy::disallowed_methods, reason = "benches start programs and read the environment")]

use std::path::PathBuf;
use std::process::ExitCode;

#[path = "../../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../../tests/helpers/saves.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod saves;

#[path = "../../tests/helpers/terminal.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod terminal;

#[path = "../../tests/helpers/landing.rs"]
#[expect(dead_code, reason = "the tests and `crash` use the rest")]
mod landing_specs;

mod deep;
mod follow;
mod idle;
mod jobs;
mod landing;
mod peers;
mod reload;
mod repository;
mod supervisor;
mod table;
mod usage;

use peers::Peers;

/// What all parts need.
pub struct Bench {
    /// The programs called `boi` that are measured, with their names.
    pub programs: Vec<(String, PathBuf)>,
    pub peers: Peers,
    pub is_quick: bool,
}

impl Bench {
    /// How often something is repeated.
    pub fn times(&self, full: usize) -> usize {
        if self.is_quick { full.min(2) } else { full }
    }

    /// A number of specs or files.
    pub fn size(&self, full: usize) -> usize {
        if self.is_quick { (full / 1000).clamp(8.min(full), full) } else { full }
    }
}

/// Measures one part and prints its table.
type Part = fn(&Bench);

fn main() -> ExitCode {
    // The reload thread starts this program again to look at files on foreign mounts.
    if let Some(answered) = boi::reload::answer_look(std::env::args_os()) {
        return answered;
    }
    let mut programs = vec![("boi".to_owned(), PathBuf::from(env!("CARGO_BIN_EXE_boi")))];
    programs.extend(std::env::var("BOI_BENCH_BASE").ok().map(|base| ("base".to_owned(), PathBuf::from(base))));
    let is_quick = std::env::var_os("BOI_BENCH_QUICK").is_some();
    let bench = Bench { programs, peers: Peers::find(), is_quick };
    if is_quick {
        println!("quick mode: the figures mean nothing");
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let parts: [(&str, Part); 10] = [
        ("dispatch", jobs::dispatch),
        ("throughput", jobs::throughput),
        ("follow", follow::measure),
        ("landing", landing::measure),
        ("repository", repository::measure),
        ("deep", deep::queued),
        ("ended", deep::ended),
        ("idle", idle::measure),
        ("supervisor", supervisor::measure),
        ("reload", reload::measure),
    ];
    if let Some(unknown) = wanted.iter().find(|name| !parts.iter().any(|(part, _)| part == name)) {
        println!("there is no part `{unknown}`");
        return ExitCode::from(2);
    }
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part(&bench);
        }
    }
    ExitCode::SUCCESS
}
